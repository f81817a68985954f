//! Starting and stopping, health, and what stands at the root.

use std::time::Duration;

use super::server::Server;

#[test]
fn a_stop_drains_publishes_and_ends_in_time() {
    let mut server = Server::start();
    let shop = server.project("shop");
    server.send_logs(&shop.token, &["kept"]);
    server.signal("-TERM");
    let (took, code) = server.wait();
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(code, Some(0), "{}", server.log());
    assert!(!server.data_dir.join("server.json").exists());
    // As a process leaves it that is killed while it writes.
    let unfinished = server.data_dir.join("objects/.unfinished/3");
    std::fs::create_dir_all(unfinished.parent().expect("a folder")).expect("makes");
    std::fs::write(&unfinished, "half").expect("writes");
    let again = Server::over(&server.data_dir, &[]);
    assert_eq!(again.count("shop", "logs"), 1);
    assert!(!unfinished.exists(), "what was not finished is cleared away");
}

#[test]
fn a_live_tail_does_not_hold_a_stop_up() {
    let mut server = Server::start();
    server.project("shop");
    let bearer = format!("Bearer {}", server.admin_key());
    let url = server.url("/api/v1/tail?project=shop&q=");
    let waiting = std::thread::spawn(move || {
        super::server::block_on(async {
            let client = reqwest::Client::builder().no_proxy().build().expect("a client");
            let mut response =
                client.get(url).header("Authorization", bearer).send().await.expect("an answer");
            while let Ok(Some(_)) = response.chunk().await {}
        });
    });
    std::thread::sleep(Duration::from_millis(300));
    server.signal("-TERM");
    let (took, code) = server.wait();
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert_eq!(code, Some(0));
    waiting.join().expect("ends");
}

#[test]
fn the_root_tells_browsers_from_elasticsearch() {
    let server = Server::start();
    let banner = server.request("GET", "/", &[], b"");
    assert_eq!(banner.headers["x-elastic-product"], "Elasticsearch");
    assert_eq!(banner.json()["tagline"], "You Know, for Search");
    let page = server.request("GET", "/", &[("Accept", "text/html,application/xhtml+xml")], b"");
    assert_eq!((page.status, page.headers["location"].to_str().expect("text")), (307, "/app/"));
    let app = server.request("GET", "/app/", &[], b"");
    let policy = app.headers["content-security-policy"].to_str().expect("text").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-eval"), "{policy}");
    assert_eq!(server.request("GET", "/healthz", &[], b"").status, 200);
    let ready = server.request("GET", "/readyz", &[], b"");
    assert_eq!(ready.status, 200, "{}", ready.text());
    assert!(server.request("GET", "/metrics", &[], b"").text().contains("# TYPE candor_up_seconds gauge"));
    let nothing = server.request("GET", "/nothing/here", &[], b"");
    assert_eq!(
        (nothing.status, nothing.headers["content-type"].to_str().expect("text")),
        (404, "application/problem+json")
    );
}

#[test]
fn the_test_clock_is_shifted_by_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data");
    let server = Server::over(&data_dir, &["--test-clock"]);
    assert_eq!(server.api("GET", "/api/v1/status", None).json()["test_clock"], true);
}
