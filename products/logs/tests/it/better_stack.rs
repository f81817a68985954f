//! Better Stack's ingest: JSON and MessagePack at the root, and its own answers.

use candor_log::AppendError;
use http::StatusCode;

use crate::house::{House, chunked, gzip};

#[tokio::test]
async fn json_and_message_pack_are_taken() {
    let house = House::new().await;
    let event =
        rmpv::Value::Map(vec![("message".into(), "packed".into()), ("dt".into(), 1_767_225_600.into())]);
    let mut packed = Vec::new();
    rmpv::encode::write_value(&mut packed, &rmpv::Value::Array(vec![event])).unwrap();
    for (kind, body, expected) in [
        ("application/json", br#"{"message":"a","dt":"2026-01-01T00:00:00Z"}"#.to_vec(), &["a"][..]),
        ("application/json", br#"[{"message":"a"},{"message":"b"}]"#.to_vec(), &["a", "b"]),
        ("application/x-ndjson", b"{\"message\":\"a\"}\n{\"message\":\"b\"}\n".to_vec(), &["a", "b"]),
        ("application/msgpack", packed.clone(), &["packed"]),
        ("", packed.clone(), &["packed"]),
        ("application/msgpack", b"\x90".to_vec(), &[]),
        ("application/json", b"[]".to_vec(), &[]),
    ] {
        let answer = house.post("/", &[("content-type", kind)], body).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::ACCEPTED, ""), "{expected:?}");
        assert_eq!(answer.header("x-candor-dropped"), "");
        assert_eq!(house.bodies(), expected);
    }
    let answer = house
        .post(
            "/",
            &[("content-type", "application/msgpack"), ("content-encoding", "gzip")],
            chunked(gzip(&packed)),
        )
        .await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    let log = house.logs().remove(0);
    assert_eq!(log.timestamp.map(|time| time.micros), Some(1_767_225_600_000_000));
}

#[tokio::test]
async fn refusals_are_in_its_own_words() {
    let house = House::new().await;
    for key in [("authorization", ""), ("authorization", "Bearer wrong")] {
        let answer = house.post("/", &[key], r#"{"message":"x"}"#).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::FORBIDDEN, "Unauthorized"));
    }
    for bad in [&b""[..], b"nonsense", b"{\"a\":", b"\x92\x80", b"[7,8]", b"\xc1"] {
        let answer = house.post("/", &[], bad.to_vec()).await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::NOT_ACCEPTABLE, "Couldn't parse JSON content.")
        );
    }
    for body in [vec![b' '; (10 << 20) + 1].into(), chunked(vec![b' '; (10 << 20) + 1])] {
        let answer = house.post("/", &[], body).await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::PAYLOAD_TOO_LARGE, "payload reached size limit")
        );
    }
    let answer = house.post("/", &[], r#"[{"message":"good"},7]"#).await;
    assert_eq!((answer.status, answer.header("x-candor-dropped")), (StatusCode::ACCEPTED, "1"));
    assert_eq!(house.bodies(), ["good"]);

    for (failure, status) in
        [(AppendError::Overloaded, 429), (AppendError::Full, 503), (AppendError::Closed, 503)]
    {
        house.fail(failure);
        let answer = house.post("/", &[], r#"{"message":"x"}"#).await;
        assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (status, "3"));
    }
}
