//! Requests and answers: keys, encodings, refusals, cross-origin rules.

use std::io::Write;

use axum::body::Body;
use candor_model::Signal;
use data_encoding::BASE64;
use flate2::Compression;
use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
use http::Request;

use crate::house::{House, envelope};

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";
const EVENT: &[u8] = br#"{"message":"hello","platform":"python","timestamp":1741256391.5}"#;

fn headers() -> String {
    format!(r#"{{"event_id":"{ID}"}}"#)
}

#[tokio::test]
async fn every_place_of_the_key() {
    let house = House::new().await;
    let (number, key) = (house.project, house.key.clone());
    let body = |id: u32| envelope(&format!(r#"{{"event_id":"{id:032x}"}}"#), &[("event", EVENT)]);
    let fields = format!("Sentry sentry_key={key}, sentry_version=7, sentry_client=test/1");
    let basic = format!("Basic {}", BASE64.encode(format!("{key}:").as_bytes()));
    let dsn = format!("http://{key}@localhost/{number}");
    let path = format!("/api/{number}/envelope/");
    let requests = [
        Request::post(&path).header("x-sentry-auth", &fields).body(Body::from(body(1))),
        Request::post(&path).header("authorization", &fields).body(Body::from(body(2))),
        Request::post(&path).header("authorization", &basic).body(Body::from(body(3))),
        Request::post(house.envelope_path()).body(Body::from(body(4))),
        Request::post(format!("//api//{number}/envelope?sentry_key={key}")).body(Body::from(body(5))),
        Request::post(&path).body(Body::from(envelope(
            &format!(r#"{{"event_id":"{:032x}","dsn":"{dsn}"}}"#, 6),
            &[("event", EVENT)],
        ))),
    ];
    for (at, request) in requests.into_iter().enumerate() {
        let answer = house.send(request.unwrap()).await;
        assert_eq!(answer.line(), format!(r#"200 {{"id":"{:032x}"}}"#, at + 1));
    }
    assert_eq!(house.count(Signal::Errors).await, 6);
}

#[tokio::test]
async fn refusals_in_sentrys_words() {
    let house = House::new().await;
    let (number, key) = (house.project, house.key.clone());
    let (_, other) = house.tenancy.create_project("other").await.unwrap();
    let body = envelope(&headers(), &[("event", EVENT)]);
    let unknown = "0".repeat(32);
    let large = vec![b' '; 21 << 20];
    let cases: Vec<(String, Vec<u8>, &str)> = vec![
        (
            format!("/api/{number}/envelope/"),
            body.clone(),
            r#"401 {"detail":"missing authorization information"}"#,
        ),
        (
            format!("/api/{number}/envelope/?sentry_key=short"),
            body.clone(),
            r#"400 {"detail":"bad authorization information","causes":["bad sentry DSN public key"]}"#,
        ),
        (
            format!("/api/{number}/envelope/?sentry_key={unknown}"),
            body.clone(),
            r#"403 {"detail":"event submission rejected with_reason: ProjectId"}"#,
        ),
        (
            format!("/api/{number}/envelope/?sentry_key={}", other.dsn_key),
            body.clone(),
            r#"403 {"detail":"event submission rejected with_reason: ProjectId"}"#,
        ),
        (
            format!("/api/shop/envelope/?sentry_key={key}"),
            body.clone(),
            r#"400 {"detail":"invalid project id"}"#,
        ),
        (
            house.envelope_path(),
            Vec::new(),
            r#"400 {"detail":"invalid event envelope","causes":["missing envelope header"]}"#,
        ),
        (
            house.envelope_path(),
            b"{}\n{\"type\":\"event\",\"length\":99}\n{}".to_vec(),
            r#"400 {"detail":"invalid event envelope","causes":["unexpected end of file in item 1"]}"#,
        ),
        (
            house.envelope_path(),
            envelope(&headers(), &[("event", b"[1,2]")]),
            r#"400 {"detail":"failed to read the event payload","causes":["item error is not an object"]}"#,
        ),
        (
            house.envelope_path(),
            envelope(&headers(), &[("event", b"{\"a\":")]),
            r#"400 {"detail":"failed to read the event payload","causes":["invalid JSON in item error"]}"#,
        ),
        (
            house.envelope_path(),
            envelope(
                &headers(),
                &[("event", &[b"{\"message\":\"", vec![b'x'; 11 << 20].as_slice(), b"\"}"].concat())],
            ),
            r#"413 {"detail":"envelope exceeded size limits","causes":["item error is too large"]}"#,
        ),
        (
            house.envelope_path(),
            large,
            r#"413 {"detail":"envelope exceeded size limits","causes":["the body is larger than 20971520 bytes"]}"#,
        ),
        (house.store_path(), b" ".to_vec(), r#"400 {"detail":"empty request body"}"#),
        (
            house.store_path(),
            b"!!".to_vec(),
            r#"400 {"detail":"failed to decode the event payload","causes":["invalid base64"]}"#,
        ),
    ];
    for (path, body, expected) in cases {
        let answer = house.post(&path, body).await;
        assert_eq!(answer.line(), expected, "{path}");
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("access-control-allow-origin"), "*");
        assert!(!answer.header("x-sentry-error").is_empty());
    }
    assert_eq!(house.count(Signal::Errors).await, 0);
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn content_encodings() {
    let house = House::new().await;
    let body = |id: u32| envelope(&format!(r#"{{"event_id":"{id:032x}"}}"#), &[("event", EVENT)]);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(&body(2)).unwrap();
    let mut raw = DeflateEncoder::new(Vec::new(), Compression::default());
    raw.write_all(&body(3)).unwrap();
    for (at, (encoding, body)) in [
        ("gzip", gzip(&body(1))),
        ("deflate", zlib.finish().unwrap()),
        ("deflate", raw.finish().unwrap()),
        ("zstd", zstd::encode_all(body(4).as_slice(), 3).unwrap()),
        ("", body(5)),
        ("UTF-8", body(6)),
        ("identity", body(7)),
        ("gzip, utf-8", gzip(&body(8))),
    ]
    .into_iter()
    .enumerate()
    {
        let request = Request::post(house.envelope_path()).header("content-encoding", encoding);
        let answer = house.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.line(), format!(r#"200 {{"id":"{:032x}"}}"#, at + 1), "{encoding}");
    }

    // A tunnel's key stands in the compressed body, however small the pieces are in which it comes.
    let dsn = format!("http://{}@h/{}", house.key, house.project);
    let tunnelled =
        gzip(&envelope(&format!(r#"{{"event_id":"{:032x}","dsn":"{dsn}"}}"#, 9), &[("event", EVENT)]));
    let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
        tunnelled.chunks(7).map(|piece| Ok(piece.to_vec())).collect();
    let request =
        Request::post(format!("/api/{}/envelope/", house.project)).header("content-encoding", "gzip");
    let answer = house.send(request.body(Body::from_stream(futures::stream::iter(pieces))).unwrap()).await;
    assert_eq!(answer.line(), format!(r#"200 {{"id":"{:032x}"}}"#, 9));

    for (encoding, body, status) in [
        ("gzip", b"not gzip".to_vec(), 400),
        ("gzip", gzip(&body(10))[..40].to_vec(), 400),
        ("gzip", gzip(&vec![b' '; 110 << 20]), 413),
        ("lzma", body(11), 415),
    ] {
        let request = Request::post(house.envelope_path()).header("content-encoding", encoding);
        let answer = house.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), status, "{encoding}: {}", answer.body);
    }
    assert_eq!(house.count(Signal::Errors).await, 9);
}

#[tokio::test]
async fn a_stranger_that_drips_costs_no_more_than_one_that_does_not() {
    let house = House::new().await;
    // Nothing like a first line in it, and hardly smaller compressed.
    let random = candor_model::random::Seeded::new(3);
    let noise: String =
        (0..2_500).map(|_| format!("{:016x}", candor_model::Random::next_u64(&random))).collect();
    let zipped = gzip(noise.as_bytes());
    let path = format!("/api/{}/envelope/", house.project);
    let mut took = Vec::new();
    for size in [zipped.len(), 1] {
        let pieces: Vec<Result<Vec<u8>, std::io::Error>> =
            zipped.chunks(size).map(|piece| Ok(piece.to_vec())).collect();
        let request = Request::post(&path).header("content-encoding", "gzip");
        let began = std::time::Instant::now();
        let answer =
            house.send(request.body(Body::from_stream(futures::stream::iter(pieces))).unwrap()).await;
        took.push(began.elapsed());
        assert_eq!(answer.status.as_u16(), 401, "{}", answer.body);
    }
    // Decompressing it all again for each of its 23,000 pieces would take a thousand times as long.
    assert!(took[1] < 50 * took[0] + std::time::Duration::from_millis(200), "{took:?}");
}

#[tokio::test]
async fn the_older_path_in_all_its_forms() {
    let house = House::new().await;
    let event = format!(r#"{{"event_id":"{ID}","message":"old"}}"#);
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::default());
    zlib.write_all(event.as_bytes()).unwrap();
    let zlib = zlib.finish().unwrap();
    for body in [event.clone().into_bytes(), zlib.clone(), BASE64.encode(&zlib).into_bytes()] {
        let answer = house.post(&house.store_path(), body).await;
        assert_eq!(answer.line(), format!(r#"200 {{"id":"{ID}"}}"#));
    }
    let by_key = format!("/api/store/?sentry_key={}", house.key);
    assert_eq!(house.post(&by_key, event.clone()).await.line(), format!(r#"200 {{"id":"{ID}"}}"#));
    // An event without an id gets one, and says which.
    let answer = house.post(&house.store_path(), r#"{"message":"nameless"}"#).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 41), "{}", answer.body);

    let data = BASE64.encode(br#"{"message":"pixel"}"#);
    let request = Request::get(format!("{}&sentry_data={data}", house.store_path()));
    let answer = house.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "image/gif"));

    // The first four are one event that was sent four times.
    let mut values = house.column(Signal::Errors, "value").await;
    values.sort();
    assert_eq!(values, ["nameless", "old", "pixel"]);
}

#[tokio::test]
async fn any_site_may_send() {
    let house = House::new().await;
    let request = Request::options(house.envelope_path())
        .header("origin", "https://shop.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "x-sentry-auth,content-type");
    let answer = house.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 200);
    let shown: Vec<String> =
        answer.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    let mut shown: Vec<String> =
        shown.into_iter().filter(|line| !line.starts_with("content-length")).collect();
    shown.sort();
    expect_test::expect![[r#"
        access-control-allow-headers: x-sentry-auth,x-requested-with,x-forwarded-for,origin,referer,accept,content-type,authentication,authorization,content-encoding,transfer-encoding,sentry-trace,baggage,candor-consent
        access-control-allow-methods: POST
        access-control-allow-origin: *
        access-control-expose-headers: x-sentry-error,x-sentry-rate-limits,retry-after
        access-control-max-age: 3600
        cross-origin-resource-policy: cross-origin"#]]
    .assert_eq(&shown.join("\n"));
    let answer = house.send(Request::put(house.envelope_path()).body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status.as_u16(), 405);
}

#[tokio::test]
async fn limits_say_when_to_come_again() {
    let mut limits = candor_gate::admission::Limits::default();
    limits.key.requests_per_second = Some(1);
    let house = House::with(limits).await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        answers.push(house.post_items("{}", &[("event", EVENT)]).await);
    }
    let refused = answers.iter().find(|answer| answer.status.as_u16() == 429).expect("a refusal");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(refused.header("x-sentry-rate-limits"), "1::key");
    assert_eq!(refused.body, r#"{"detail":"event submission rejected due to rate limits"}"#);

    house.admission.pressure().set(candor_gate::admission::Cause::DiskFull, true);
    let answer = house.post_items("{}", &[("event", EVENT)]).await;
    assert_eq!((answer.status.as_u16(), answer.header("retry-after")), (503, "30"));
    house.admission.pressure().set(candor_gate::admission::Cause::DiskFull, false);
    house.clock.advance(60_000_000);
    assert_eq!(house.post_items("{}", &[("event", EVENT)]).await.status.as_u16(), 200);
}
