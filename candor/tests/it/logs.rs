//! From a client's bytes to an answer: the first path through everything.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::{Value, json};

use super::server::{Server, program};

#[test]
fn what_is_acknowledged_is_found_at_once() {
    let server = Server::start();
    let shop = server.project("shop");
    let sent = server.send_logs(&shop.token, &["first", "second, paid with 4111 1111 1111 1111"]);
    assert_eq!(sent.status, 200, "{}", sent.text());
    let rows = server
        .rows("shop", "SELECT body, service_name, severity_text, attributes FROM logs ORDER BY _offset");
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0]["body"], "first");
    assert_eq!(rows[0]["service_name"], "test");
    assert_eq!(rows[1]["body"], "second, paid with [card]");
    assert_eq!(rows[1]["attributes"]["n"], "1");
}

#[test]
fn every_form_prints_every_row() {
    let server = Server::start();
    let shop = server.project("shop");
    let bodies: Vec<String> = (0..25).map(|n| format!("row {n}")).collect();
    server.send_logs(&shop.token, &bodies.iter().map(String::as_str).collect::<Vec<_>>());
    let sql = "SELECT body FROM logs ORDER BY _offset";
    let print = |more: &[&str]| server.print(&[&["query", "--project", "shop"][..], more, &[sql]].concat());
    assert_eq!(print(&["--format", "ndjson"]).lines().count(), 25);
    assert_eq!(print(&["--format", "csv"]).lines().count(), 26);
    assert!(print(&[]).contains("row 24"));
    let document: Value = serde_json::from_str(&print(&["--json"])).expect("one document");
    assert_eq!(document["rows"].as_array().map(Vec::len), Some(25));
    assert_eq!(document["truncated"], false);
    let cut: Value = serde_json::from_str(&print(&["--json", "--max-rows", "10"])).expect("one document");
    assert_eq!((cut["rows"].as_array().map(Vec::len), &cut["truncated"]), (Some(10), &json!(true)));
    let api = server
        .api("POST", "/api/v1/query", Some(json!({ "project": "shop", "sql": sql, "max_rows": 3 })))
        .json();
    assert_eq!(api["columns"][0], json!({ "name": "body", "type": "VARCHAR" }));
    assert_eq!((api["rows"].as_array().map(Vec::len), &api["truncated"]), (Some(3), &json!(true)));
    for figure in ["elapsed_ms", "cpu_ms", "rows_scanned", "bytes_scanned", "files", "files_pruned"] {
        assert!(api["stats"][figure].is_number(), "{figure} in {}", api["stats"]);
    }
}

#[test]
fn mistakes_in_sql_are_told_to_who_made_them() {
    let server = Server::start();
    server.project("shop");
    let output = server.run(&["query", "--project", "shop", "SELEC 1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
    let answer = server.api(
        "POST",
        "/api/v1/query",
        Some(json!({ "project": "shop", "sql": "SELECT nothing FROM logs" })),
    );
    assert_eq!(answer.status, 400);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    let unknown = server.api("POST", "/api/v1/query", Some(json!({ "project": "nope", "sql": "SELECT 1" })));
    assert_eq!(unknown.status, 404);
}

#[test]
fn the_tail_shows_what_matches_as_it_arrives() {
    let server = Server::start();
    let shop = server.project("shop");
    server.send_logs(&shop.token, &["before the tail"]);
    let mut tail = program()
        .args(["tail", "--project", "shop", "--json", "wanted", "--data-dir"])
        .arg(&server.data_dir)
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(tail.stdout.take().expect("a pipe")).lines();
    // The reader stands once it is counted.
    while !server.request("GET", "/metrics", &[], b"").text().contains("candor_tail_readers 1") {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    server.send_logs(&shop.token, &["other", "wanted 1", "other", "wanted 2"]);
    let mut next =
        || -> Value { serde_json::from_str(&lines.next().expect("a line").expect("text")).expect("JSON") };
    assert_eq!(next()["body"], "wanted 1");
    assert_eq!(next()["body"], "wanted 2");
    tail.kill().expect("kills");
    tail.wait().expect("ends");
}

#[test]
fn a_tail_resumes_where_it_was() {
    let server = Server::start();
    let shop = server.project("shop");
    server.send_logs(&shop.token, &["zero", "one", "two", "three"]);
    let bearer = format!("Bearer {}", server.admin_key());
    let url = server.url("/api/v1/tail?project=shop&q=");
    let read = super::server::block_on(async {
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(url).header("Authorization", bearer).header("Last-Event-ID", "1");
        let mut response = request.send().await.expect("an answer");
        let mut text = String::new();
        while text.matches("data:").count() < 2 {
            let piece = response.chunk().await.expect("reads").expect("goes on");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        text
    });
    assert!(read.contains("id: 2") && read.contains("two") && read.contains("three"), "{read}");
    assert!(!read.contains("\"one\""), "{read}");
}

#[test]
fn a_source_is_shown_with_the_id_that_shippers_may_give() {
    let server = Server::start();
    let shop = server.project("shop");
    let log = |path: &str, text: &str| {
        let authorization = format!("Bearer {}", shop.token);
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        let body = json!({ "message": text }).to_string();
        let answer = server.request("POST", path, &headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.text());
    };
    assert_eq!(server.print(&["project", "sources", "shop"]), "");
    log("/logs?source_name=web%20front", "by name");
    let printed = server.print(&["project", "sources", "shop"]);
    let (id, name) = printed.trim_end().split_once("  ").expect("id and name");
    assert_eq!((id.len(), name), (36, "web front"));
    for path in ["/logs?source", "/api/logs?source_name", "/api/events?collection"] {
        log(&format!("{path}={id}"), "by id");
    }
    let rows = server.rows("shop", "SELECT source, count(*) AS n FROM logs GROUP BY source");
    assert_eq!((rows.len(), &rows[0]["source"], &rows[0]["n"]), (1, &json!("web front"), &json!(4)));
    let sources: Value =
        serde_json::from_str(&server.print(&["project", "sources", "shop", "--json"])).expect("JSON");
    assert_eq!((&sources[0]["id"], &sources[0]["name"]), (&json!(id), &json!("web front")));
}
