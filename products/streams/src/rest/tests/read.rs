//! Reading a partition: from where, how much, and nothing of what was given up.

use bytes::Bytes;
use candor_records::{BatchBuilder, Codec, Headers, Marker, MarkerKind, Producer, place};
use serde_json::{Value, json};

use super::Web;
use crate::rest::read::{Wanted, records};

async fn web_with(count: usize) -> Web {
    let web = Web::new().await;
    web.topic("t", 1).await;
    let one = |number: usize| {
        let time = format!("2021-01-01T00:00:{number:02}Z");
        json!({ "value": { "type": "JSON", "data": number }, "timestamp": time }).to_string()
    };
    for number in 0..count {
        web.post(&web.v3("/topics/t/records"), one(number)).await;
    }
    web
}

fn values(list: &Value) -> Vec<i64> {
    list["data"].as_array().unwrap().iter().map(|record| record["value"]["data"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_an_offset_or_a_time_on() {
    let web = web_with(5).await;
    for (query, found) in [
        ("", vec![0, 1, 2, 3, 4]),
        ("?offset=earliest&max_records=2", vec![0, 1]),
        ("?offset=3", vec![3, 4]),
        ("?offset=5", vec![]),
        ("?offset=latest", vec![]),
        ("?timestamp=2021-01-01T00:00:02Z", vec![2, 3, 4]),
        ("?timestamp=1609459203000", vec![3, 4]),
        ("?timestamp=2022-01-01T00:00:00Z", vec![]),
        ("?max_bytes=1", vec![0]),
    ] {
        let list = web.get(&web.v3(&format!("/topics/t/partitions/0/records{query}"))).await.json();
        assert_eq!(values(&list), found, "{query}");
    }
    // One page after the other, by the link to the next.
    let mut path = web.v3("/topics/t/partitions/0/records?max_records=2");
    let mut seen = Vec::new();
    for _ in 0..3 {
        let list = web.get(&path).await.json();
        seen.extend(values(&list));
        let next = list["metadata"]["next"].as_str().unwrap().strip_prefix("http://host").unwrap();
        path = format!("{next}&max_records=2");
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_may_wait() {
    let web = web_with(0).await;
    let path = web.v3("/topics/t/partitions/0/records?offset=0&wait_ms=20000");
    let sent = async {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        web.post(&web.v3("/topics/t/records"), r#"{"value":{"type":"JSON","data":8}}"#).await
    };
    let (read, _) = tokio::join!(web.get(&path), sent);
    assert_eq!(values(&read.json()), [8]);
}

fn batch(base: i64, producer: Option<i64>, value: &str) -> Bytes {
    let builder = BatchBuilder::new(Codec::Lz4);
    let mut builder = match producer {
        Some(id) => builder.transactional(Producer { id, epoch: 0, sequence: 0 }),
        None => builder,
    };
    builder.push(1, None, Some(value.as_bytes()), Headers::default());
    builder.push(2, None, Some(value.as_bytes()), Headers::default());
    at(base, builder.finish().unwrap())
}

fn at(base: i64, batch: Bytes) -> Bytes {
    let mut batch = batch.to_vec();
    place(&mut batch, base, 0).unwrap();
    Bytes::from(batch)
}

fn marker(base: i64, producer: i64, kind: MarkerKind) -> Bytes {
    at(base, Marker { kind, coordinator_epoch: 0 }.batch(producer, 0, 3))
}

#[tokio::test]
async fn transactions_that_were_given_up_are_passed_over() {
    let web = Web::new().await;
    let room = web.house.streams.room().take(1).await.unwrap();
    let log = [
        batch(10, Some(1), "given up"),
        batch(12, Some(2), "kept"),
        batch(14, None, "alone"),
        marker(16, 1, MarkerKind::Abort),
        batch(17, Some(1), "kept later"),
        marker(19, 2, MarkerKind::Commit),
        marker(20, 1, MarkerKind::Commit),
        batch(21, None, "cut").slice(..30),
    ];
    let wanted = Wanted { from: 13, bytes_max: 1, records_max: 100, wait_ms: 0 };
    let page = records(Bytes::from(log.concat()), vec![(1, 10)], wanted, Some(room)).unwrap();
    let seen: Vec<(i64, &[u8])> =
        page.records.iter().map(|record| (record.offset, record.value.as_deref().unwrap())).collect();
    let (kept, alone, later) = (&b"kept"[..], &b"alone"[..], &b"kept later"[..]);
    assert_eq!(seen, [(13, kept), (14, alone), (15, alone), (17, later), (18, later)]);
    assert_eq!(page.next, 21);
}
