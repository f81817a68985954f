//! Published files through the open door.

use serde_json::Value;

use super::server::Server;

fn catalog(server: &Server, project: &str) -> (Value, Vec<u8>) {
    let out = server.data_dir.with_extension("catalog.db");
    let path = out.to_str().expect("text");
    let text = server.print(&["lake", "catalog", "--project", project, "--out", path, "--json"]);
    (serde_json::from_str(&text).expect("one document"), std::fs::read(&out).expect("reads"))
}

#[test]
fn a_catalog_opens_its_project_and_no_other() {
    let server = Server::start();
    let (shop, other) = (server.project("shop"), server.project("other"));
    server.send_logs(&shop.token, &["published"]);
    let flushed: Value =
        serde_json::from_str(&server.print(&["flush", "--project", "shop", "--json"])).expect("one document");
    let (lake, file) = catalog(&server, "shop");
    assert!(file.starts_with(b"SQLite format 3\0"));
    assert!(lake["snapshot"].as_i64() >= flushed["snapshot"].as_i64(), "{lake} {flushed}");
    let attach = lake["attach"].as_str().expect("text");
    assert!(
        attach.starts_with("ATTACH 'ducklake:sqlite:/") && attach.contains("AS shop (READ_ONLY"),
        "{attach}"
    );
    assert!(lake["secret"].as_str().expect("text").contains("TYPE http"));

    let bearer = format!("Bearer {}", lake["token"].as_str().expect("a token"));
    let headers = [("Authorization", bearer.as_str())];
    let path = |project: i64| format!("/lake/{project}/catalog.db");
    assert_eq!(server.request("GET", &path(shop.number), &headers, b"").status, 200);
    assert_eq!(server.request("GET", &path(shop.number), &[], b"").status, 401);
    assert_eq!(server.request("GET", &path(other.number), &headers, b"").status, 403);
    assert_eq!(server.request("GET", "/lake/999/catalog.db", &headers, b"").status, 403);
    let query = server.request(
        "POST",
        "/api/v1/query",
        &[("Authorization", &bearer), ("Content-Type", "application/json")],
        br#"{"project":"shop","sql":"SELECT 1"}"#,
    );
    assert_eq!(query.status, 401);
}

#[test]
fn the_door_answers_ranges() {
    let server = Server::start();
    let shop = server.project("shop");
    server.print(&["flush", "--project", "shop"]);
    let (lake, _) = catalog(&server, "shop");
    let bearer = format!("Bearer {}", lake["token"].as_str().expect("a token"));
    let get = |method: &str, range: &str| {
        let headers = [("Authorization", bearer.as_str()), ("Range", range)];
        server.request(method, &format!("/lake/{}/catalog.db", shop.number), &headers, b"")
    };
    let head = get("HEAD", "bytes=0-99");
    assert_eq!((head.status, head.headers["content-length"].to_str().expect("text")), (206, "100"));
    let part = get("GET", "bytes=0-15");
    assert_eq!(part.body, b"SQLite format 3\0");
    assert!(part.headers["content-range"].to_str().expect("text").starts_with("bytes 0-15/"));
    assert_eq!(get("GET", "bytes=99999999-").status, 416);
    assert_eq!(get("GET", "bytes=-16").body.len(), 16);
}

#[test]
fn ranges_of_a_catalog_are_of_one_file() {
    let server = Server::start();
    let shop = server.project("shop");
    let flush = |body: &str| {
        server.send_logs(&shop.token, &[body]);
        server.print(&["flush", "--project", "shop"]);
    };
    flush("one");
    let (lake, _) = catalog(&server, "shop");
    let bearer = format!("Bearer {}", lake["token"].as_str().expect("a token"));
    let get = |more: &[(&str, &str)]| {
        let mut headers = vec![("Authorization", bearer.as_str())];
        headers.extend_from_slice(more);
        server.request("GET", &format!("/lake/{}/catalog.db", shop.number), &headers, b"")
    };
    let whole = get(&[]);
    let tag = whole.headers["etag"].to_str().expect("text").to_owned();
    let first = get(&[("Range", "bytes=0-4095")]);
    // A snapshot in between.
    flush("two");
    let rest = get(&[("Range", "bytes=4096-")]);
    assert_eq!((first.status, rest.status), (206, 206));
    assert_eq!([&first.headers["etag"], &rest.headers["etag"]], [&tag, &tag]);
    assert_eq!([&first.body[..], &rest.body[..]].concat(), whole.body);

    // Whoever asks for all of it gets the newest; the old tag is no longer a reason for a part.
    let newer = get(&[]);
    assert_ne!(newer.headers["etag"], tag.as_str());
    assert_ne!(newer.headers["x-candor-snapshot"], whole.headers["x-candor-snapshot"]);
    assert_eq!(get(&[("Range", "bytes=0-99"), ("If-Range", &tag)]).status, 200);
    let current = newer.headers["etag"].to_str().expect("text");
    assert_eq!(get(&[("Range", "bytes=0-99"), ("If-Range", current)]).status, 206);
}

#[test]
fn a_snapshot_reads_what_was_published_then() {
    let server = Server::start();
    let shop = server.project("shop");
    let flush = || {
        let text = server.print(&["flush", "--project", "shop", "--json"]);
        let value: Value = serde_json::from_str(&text).expect("one document");
        value["snapshot"].to_string()
    };
    server.send_logs(&shop.token, &["one"]);
    let first = flush();
    server.send_logs(&shop.token, &["two"]);
    let second = flush();
    server.send_logs(&shop.token, &["three"]);
    let count = |snapshot: &str| {
        let sql = "SELECT count(*) AS n FROM logs";
        server.print(&["query", "--project", "shop", "--format", "csv", "--snapshot", snapshot, sql])
    };
    let number = |text: String| text.lines().nth(1).map(|line| line.trim().to_owned());
    assert_eq!(number(count(&first)).as_deref(), Some("1"));
    assert_eq!(number(count(&second)).as_deref(), Some("2"));
    assert_eq!(server.count("shop", "logs"), 3);
}
