//! The first account, sessions, tokens.

use serde_json::json;

use super::server::{Answer, Server};

const JSON: (&str, &str) = ("Content-Type", "application/json");

fn post(server: &Server, path: &str, headers: &[(&str, &str)], body: serde_json::Value) -> Answer {
    let headers: Vec<(&str, &str)> = headers.iter().copied().chain([JSON]).collect();
    server.request("POST", path, &headers, body.to_string().as_bytes())
}

fn cookie(answer: &Answer) -> String {
    let cookie = answer.headers["set-cookie"].to_str().expect("text");
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    cookie.split(';').next().expect("a pair").to_owned()
}

#[test]
fn the_setup_link_makes_the_first_account_once() {
    let server = Server::start();
    let link = server.ready["setup_url"].as_str().expect("a link").to_owned();
    assert!(link.starts_with("http://localhost:"), "{link}");
    assert!(!server.log().contains(&link), "the link is in the log");
    let token = link.split("token=").nth(1).expect("a token");
    assert_eq!(server.api("GET", "/api/v1/status", None).json()["setup_needed"], true);
    let account = |token: &str| json!({ "token": token, "email": "ada@example.com", "password": "correct horse", "org": "acme" });
    assert_eq!(post(&server, "/api/v1/setup", &[], account("wrong")).status, 403);
    let made = post(&server, "/api/v1/setup", &[], account(token));
    assert_eq!(made.status, 200, "{}", made.text());
    let cookie = cookie(&made);
    assert_eq!(post(&server, "/api/v1/setup", &[], account(token)).status, 409);
    let me = server.request("GET", "/api/v1/me", &[("Cookie", &cookie)], b"").json();
    assert_eq!(me["user"]["email"], "ada@example.com");
    assert_eq!(me["orgs"][0]["name"], "acme");
    assert_eq!(me["orgs"][0]["role"], "owner");

    // A change by cookie carries the header that other sites cannot send.
    let create = |headers: &[(&str, &str)]| {
        post(&server, "/api/v1/projects", headers, json!({ "name": "shop" })).status
    };
    assert_eq!(create(&[("Cookie", &cookie)]), 403);
    assert_eq!(create(&[("Cookie", &cookie), ("X-Candor", "1")]), 201);

    let signed_out =
        server.request("DELETE", "/api/v1/session", &[("Cookie", &cookie), ("X-Candor", "1")], b"");
    assert_eq!(signed_out.status, 204);
    assert_eq!(server.request("GET", "/api/v1/me", &[("Cookie", &cookie)], b"").status, 401);
}

#[test]
fn setup_without_a_browser_then_sessions_and_tokens() {
    let server = Server::start();
    let password = server.data_dir.with_extension("password");
    std::fs::write(&password, "correct horse\n").expect("writes");
    let file = password.to_str().expect("text");
    server.print(&["setup", "--email", "ada@example.com", "--password-file", file, "--org", "acme"]);
    let again = server.run(&["setup", "--email", "eve@example.com", "--password-file", file]);
    assert_eq!(again.status.code(), Some(1));

    let sign_in = |password: &str| {
        post(&server, "/api/v1/session", &[], json!({ "email": "ada@example.com", "password": password }))
    };
    assert_eq!(sign_in("wrong").status, 401);
    let session = sign_in("correct horse");
    assert_eq!(session.status, 200, "{}", session.text());
    let cookie = cookie(&session);
    let headers = [("Cookie", cookie.as_str()), ("X-Candor", "1")];
    let made = post(&server, "/api/v1/tokens", &headers, json!({ "name": "ci" }));
    assert_eq!(made.status, 201);
    let token = made.json()["token"].as_str().expect("a token").to_owned();

    server.project("shop");
    let base = server.url("");
    let listed = super::server::program()
        .args(["project", "list", "--server", &base, "--token", &token, "--json"])
        .output()
        .expect("runs");
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("one document");
    assert_eq!(listed[0]["name"], "shop");
    let path = format!("/api/v1/tokens/{}", made.json()["id"]);
    assert_eq!(server.request("DELETE", &path, &headers, b"").status, 204);
    let bearer = format!("Bearer {token}");
    assert_eq!(server.request("GET", "/api/v1/me", &[("Authorization", &bearer)], b"").status, 401);
}

#[test]
fn guessing_is_throttled_with_a_time_to_wait() {
    let server = Server::start();
    let mut last = 0;
    for _ in 0..8 {
        let answer = post(
            &server,
            "/api/v1/session",
            &[],
            json!({ "email": "a@example.com", "password": "guess guess" }),
        );
        last = answer.status;
        if last == 429 {
            assert!(answer.headers.contains_key("retry-after"));
            break;
        }
        assert_eq!(last, 401);
    }
    assert_eq!(last, 429);
}
