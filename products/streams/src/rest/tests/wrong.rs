//! Who is refused, and what is answered to what is wrong.

use axum::body::Body;
use http::Request;
use serde_json::json;

use super::{Web, basic};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_users_of_a_project_are_let_in() {
    let web = Web::new().await;
    let ask = async |authorization: Option<String>| {
        let mut request = Request::builder().uri("/kafka/v3/clusters").header("host", "localhost:8080");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        web.send(request.body(Body::empty()).unwrap()).await
    };
    for wrong in [
        None,
        Some(basic("web", "guess")),
        Some(basic("nobody", "")),
        Some("Basic %".to_owned()),
        Some("Bearer x".to_owned()),
    ] {
        let answered = ask(wrong.clone()).await;
        assert_eq!(answered.status, 401, "{wrong:?}");
        assert_eq!(answered.json()["error_code"], 40101);
        assert!(answered.json()["message"].is_string());
        assert_eq!(answered.headers["www-authenticate"], r#"Basic realm="Kafka", charset="UTF-8""#);
    }
    assert_eq!(ask(Some(web.owner.clone())).await.status, 200);
    // A project that is gone lets nobody in.
    web.house.streams.forget(web.house.project()).await.unwrap();
    assert_eq!(ask(Some(web.owner.clone())).await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_may_do_what_rules_allow() {
    let mut web = Web::new().await;
    web.topic("seen", 1).await;
    web.topic("hidden", 1).await;
    let rule = json!({
        "resource_type": "TOPIC", "resource_name": "seen", "pattern_type": "LITERAL", "principal": "User:guest",
        "host": "*", "operation": "DESCRIBE", "permission": "ALLOW",
    });
    assert_eq!(web.post(&web.v3("/acls"), rule).await.status, 201);
    web.owner = web.guest().await;
    assert_eq!(web.get("/kafka/topics").await.json(), json!(["seen"]));
    let refused = web.post(&web.v3("/topics"), json!({ "topic_name": "new" })).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error_code"].clone()), (403, json!(40301)));
    for (method, path) in [
        ("DELETE", "/topics/seen"),
        ("GET", "/topics/hidden"),
        ("GET", "/topics/seen/configs"),
        ("GET", "/acls"),
        ("GET", "/broker-configs"),
    ] {
        assert_eq!(web.ask(method, &web.v3(path), "", Body::empty()).await.status, 403, "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_is_said() {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let long = format!(r#"{{"value":{{"type":"STRING","data":"{}"}}}}"#, "x".repeat(9 << 20));
    let deep = format!(r#"{{"value":{}"#, "[".repeat(200_000));
    let table: &[(&str, &str, &str, u16, u32)] = &[
        ("GET", "/nothing", "", 404, 404),
        ("PUT", "", "", 405, 405),
        ("GET", "/topics/absent", "", 404, 40403),
        ("GET", "/topics/%ff", "", 404, 404),
        ("GET", "/topics/t/partitions/9", "", 404, 40402),
        ("GET", "/topics/t/partitions/x", "", 404, 404),
        ("GET", "/topics/t/partitions/-1", "", 404, 40402),
        ("GET", "/topics/t/partitions/0/replicas/9", "", 404, 404),
        ("GET", "/topics/t/partitions/0/reassignment", "", 404, 404),
        ("GET", "/topics/t/configs/absent", "", 404, 404),
        ("GET", "/brokers/9", "", 404, 404),
        ("GET", "/brokers/9/configs", "", 404, 404),
        ("GET", "/consumer-groups/absent", "", 404, 404),
        ("GET", "/consumer-groups/absent/lag-summary", "", 404, 404),
        ("GET", "/acls?operation=FLY", "", 400, 400),
        ("DELETE", "/acls", "", 400, 400),
        ("GET", "/topics/t/partitions/0/records?offset=-1", "", 400, 400),
        ("GET", "/topics/t/partitions/0/records?offset=x", "", 400, 400),
        ("GET", "/topics/t/partitions/0/records?offset=7", "", 400, 40002),
        ("GET", "/topics/t/partitions/0/records?offset=0&timestamp=0", "", 400, 400),
        ("GET", "/topics/t/partitions/0/records?timestamp=soon", "", 400, 400),
        ("GET", "/topics/t/partitions/0/records?max_bytes=many", "", 400, 400),
        ("GET", "/topics/t/partitions/0/records?type=XML", "", 400, 400),
        ("GET", "/topics/t/partitions/9/records", "", 404, 40403),
        ("GET", "/topics/absent/partitions/0/records", "", 404, 40403),
        ("POST", "/topics", "", 422, 42206),
        ("POST", "/topics", "{", 400, 400),
        ("POST", "/topics", "{}", 400, 400),
        ("POST", "/topics", r#"{"topic_name":1}"#, 400, 400),
        ("POST", "/topics", r#"{"topic_name":"a b"}"#, 400, 40002),
        ("POST", "/topics", r#"{"topic_name":"t"}"#, 400, 40002),
        ("POST", "/topics", r#"{"topic_name":"u","partitions_count":0}"#, 400, 40002),
        ("POST", "/topics", r#"{"topic_name":"u","configs":[{"name":"x","value":"y"}]}"#, 400, 40002),
        ("PATCH", "/topics/t", r#"{"partitions_count":1}"#, 400, 40002),
        ("PATCH", "/topics/absent", r#"{"partitions_count":2}"#, 404, 40403),
        ("DELETE", "/topics/absent", "", 404, 40403),
        ("PUT", "/topics/t/configs/retention.ms", r#"{"value":"long"}"#, 400, 40002),
        ("POST", "/topics/t/configs:alter", r#"{"data":[{"name":"a","operation":"ADD"}]}"#, 400, 400),
        ("POST", "/acls", r#"{"resource_type":"TOPIC"}"#, 400, 400),
        ("POST", "/topics/t/records", "", 422, 42206),
        ("POST", "/topics/t/records", " \n", 422, 42206),
        ("POST", "/topics/a%20b/records", "{}", 400, 40002),
        ("POST", "/topics/t/records", &long, 200, 413),
        ("POST", "/topics/t/records", &deep, 200, 400),
        ("POST", "/topics/t/records:batch", &long, 413, 413),
        ("POST", "/topics/t/records:batch", r#"{"entries":{}}"#, 400, 400),
        ("POST", "/topics/t/records:batch", r#"{"entries":[{}]}"#, 400, 400),
    ];
    for (method, path, body, status, code) in table {
        let answered = web.ask(method, &web.v3(path), "application/json", (*body).to_owned()).await;
        let first = answered.lines().into_iter().next().unwrap_or_default();
        let shown = body.get(..body.len().min(60)).unwrap_or_default();
        assert_eq!(
            (answered.status.as_u16(), first["error_code"].as_u64()),
            (*status, Some(u64::from(*code))),
            "{method} {path} {shown}: {first}"
        );
        assert!(first["message"].as_str().is_some_and(|message| !message.is_empty()), "{method} {path}");
    }
    let other = format!("/kafka/v3/clusters/{}", "other");
    assert_eq!(web.get(&other).await.json()["message"], "Cluster other cannot be found.");
    // What does not say that it is JSON is not taken for it: a page of another origin can send that.
    for path in ["/topics/t/records", "/topics/t/records:batch", "/topics", "/acls"] {
        let answered = web.ask("POST", &web.v3(path), "text/plain", "{}").await;
        assert_eq!(
            (answered.status.as_u16(), answered.json()["error_code"].clone()),
            (415, json!(415)),
            "{path}"
        );
    }
}
