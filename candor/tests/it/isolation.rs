//! A key of one project neither reads nor writes another by any route, and ingest keys read nothing at all.

use serde_json::{Value, json};

use super::server::{Server, otlp_logs};

/// Routes that answer whoever asks: what they say is nobody's.
const OPEN: &[&str] = &["/api/v1/status", "/api/v1/openapi.json", "/api/v1/setup", "/api/v1/session"];

#[test]
fn the_description_and_the_routes_are_the_same() {
    let server = Server::start();
    let document = server.request("GET", "/api/v1/openapi.json", &[], b"").json();
    let mut described: Vec<&String> = document["paths"].as_object().expect("paths").keys().collect();
    described.sort_unstable();
    let mut routes: Vec<&str> = candor::api::ROUTES.iter().map(|(path, _)| *path).collect();
    routes.sort_unstable();
    assert_eq!(described, routes);
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let concrete = path.replace("{project}", "none").replace("{id}", "1").replace("{event_id}", "x");
        for method in ["get", "post", "put", "delete"] {
            let answer = server.api(&method.to_uppercase(), &concrete, Some(json!({})));
            let known = methods.get(method).is_some();
            assert_eq!(answer.status != 405, known, "{method} {path}: {}", answer.status);
        }
    }
}

#[test]
fn write_keys_read_nothing_by_any_route() {
    let server = Server::start();
    let (a, b) = (server.project("a"), server.project("b"));
    assert_eq!(server.send_logs(&a.token, &["secret of a"]).status, 200);
    server.print(&["flush"]);
    let bearer = |secret: &str| format!("Bearer {secret}");
    let mut tried = 0;
    for secret in [&a.token, &a.key, &b.token, &b.key, &"made up".to_owned()] {
        let authorization = bearer(secret);
        let headers = [
            ("Authorization", authorization.as_str()),
            ("X-API-KEY", secret.as_str()),
            ("X-Candor", "1"),
            ("Content-Type", "application/json"),
        ];
        for (path, _) in candor::api::ROUTES.iter().filter(|(path, _)| !OPEN.contains(path)) {
            let path =
                path.replace("{project}", "a").replace("{id}", "1").replace("{event_id}", &"a".repeat(32));
            for method in ["GET", "POST", "PUT", "DELETE"] {
                let body =
                    json!({ "project": "a", "sql": "SELECT * FROM logs", "name": "x", "format": "json" });
                let answer = server.request(
                    method,
                    &format!("{path}?project=a"),
                    &headers,
                    body.to_string().as_bytes(),
                );
                assert!(matches!(answer.status, 401 | 403 | 405), "{method} {path}: {}", answer.status);
                assert!(!answer.text().contains("secret of a"));
                tried += 1;
            }
        }
        for path in ["catalog.db", "logs/x.parquet"] {
            let path = format!("/lake/{}/{path}", a.number);
            assert_eq!(server.request("GET", &path, &headers, b"").status, 401, "{path}");
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn write_keys_write_into_their_own_project_alone() {
    let server = Server::start();
    let (a, b) = (server.project("a"), server.project("b"));
    let auth = format!("Sentry sentry_version=7, sentry_key={}", a.key);
    let event = br#"{"message":"stray"}"#;
    for path in ["store", "envelope"] {
        let path = format!("/api/{}/{path}/", b.number);
        let answer = server.request("POST", &path, &[("X-Sentry-Auth", &auth)], event);
        assert!(matches!(answer.status, 401 | 403), "{path}: {}", answer.status);
    }
    for secret in ["made up", ""] {
        let bearer = format!("Bearer {secret}");
        let headers =
            [("Authorization", bearer.as_str()), ("X-API-KEY", secret), ("Content-Type", "application/json")];
        for path in [
            "/v1/logs",
            "/v1/traces",
            "/logs?source_name=x",
            "/api/logs?source_name=x",
            "/api/events?source_name=x",
            "/",
        ] {
            let answer = server.request("POST", path, &headers, otlp_logs(&["stray"]).to_string().as_bytes());
            assert!(matches!(answer.status, 401 | 403), "{path}: {}", answer.status);
        }
    }
    for project in ["a", "b"] {
        assert_eq!((server.count(project, "logs"), server.count(project, "errors")), (0, 0), "{project}");
    }
}

#[test]
fn queries_see_their_own_project_alone() {
    let server = Server::start();
    let (a, b) = (server.project("a"), server.project("b"));
    server.send_logs(&a.token, &["of a"]);
    server.send_logs(&b.token, &["of b"]);
    let seen: Vec<Value> = server.rows("a", "SELECT body FROM logs");
    assert_eq!(seen, [json!({ "body": "of a" })]);
    let other = format!("SELECT * FROM p{}.logs", b.number);
    assert_eq!(server.run(&["query", "--project", "a", &other]).status.code(), Some(1));
}

#[test]
fn old_keys_work_until_their_grace_has_passed() {
    let server = Server::start();
    let old = server.project("shop");
    let rotate = |grace: &str| -> Value {
        let text = server.print(&["project", "rotate-keys", "shop", "--grace", grace, "--json"]);
        serde_json::from_str(&text).expect("one document")
    };
    let newer = rotate("1h")["ingest_token"].as_str().expect("a token").to_owned();
    assert_eq!(server.send_logs(&old.token, &["with the old"]).status, 200);
    assert_eq!(server.send_logs(&newer, &["with the new"]).status, 200);
    rotate("0s");
    assert!(matches!(server.send_logs(&newer, &["too late"]).status, 401 | 403));
    server.print(&["project", "delete", "shop"]);
    assert_eq!(server.run(&["query", "--project", "shop", "SELECT 1"]).status.code(), Some(1));
}
