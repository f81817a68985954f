//! Reading a partition: from where, how much, and nothing of what was given up.

use bytes::Bytes;
use candor_records::{BatchBuilder, Codec, Headers, HeadersBuf, Marker, MarkerKind, Producer, place};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{ProduceRequest, TopicName};
use kafka_protocol::protocol::StrBytes;
use serde_json::{Value, json};

use super::Web;
use crate::rest::read::{Wanted, Within, records};
use crate::view::NewSchema;

const ALL: Within = Within { page: 8 << 20, batch: candor_gate::STREAM_BOUNDS };

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
    let page = records(Bytes::from(log.concat()), vec![(1, 10)], wanted, ALL).unwrap().unwrap();
    let seen: Vec<(i64, &[u8])> =
        page.records.iter().map(|record| (record.offset, record.value.as_deref().unwrap())).collect();
    let (kept, alone, later) = (&b"kept"[..], &b"alone"[..], &b"kept later"[..]);
    assert_eq!(seen, [(13, kept), (14, alone), (15, alone), (17, later), (18, later)]);
    assert_eq!(page.next, 21);
}

#[test]
fn a_page_counts_what_it_keeps() {
    let mut headers = HeadersBuf::new();
    (0..20_000).for_each(|_| headers.push(b"h", None));
    let mut builder = BatchBuilder::new(Codec::Zstd);
    (0..3).for_each(|_| builder.push(1, None, Some(&[0; 1000]), headers.headers()));
    let one = at(0, builder.finish().unwrap());
    let wanted = Wanted { from: 0, bytes_max: 1, records_max: 100, wait_ms: 0 };
    let page = records(one.clone(), Vec::new(), wanted, ALL).unwrap().unwrap();
    assert_eq!(page.records.len(), 3);
    assert_eq!((page.records[0].headers.len(), page.records[0].headers_left), (10_000, 10_000));
    let unfolded = candor_records::open(&one, ALL.batch).unwrap().body().len();
    assert!(page.bytes > unfolded + 3 * 10_000 * 64, "{}", page.bytes);
    // A page ends where it has taken enough, and goes on behind that.
    let page = records(one.clone(), Vec::new(), wanted, Within { page: 1_000_000, ..ALL }).unwrap().unwrap();
    assert_eq!((page.records.len(), page.next), (1, 1));
    let page = records(one.clone(), Vec::new(), Wanted { from: 2, ..wanted }, ALL).unwrap().unwrap();
    assert_eq!((page.records.len(), page.next), (1, 3));
    // One that unfolds to more than it may is no page, or ends the one before it.
    let small = Within { batch: candor_records::Bounds { bytes: 1000, records: 100 }, ..ALL };
    assert!(records(one.clone(), Vec::new(), wanted, small).unwrap().is_none());
    let two = Bytes::from([batch(0, None, "small"), at(2, one)].concat());
    let page = records(two, Vec::new(), wanted, small).unwrap().unwrap();
    assert_eq!((page.records.len(), page.next), (2, 2));
}

/// A list of records whose one field takes no bytes: some bytes that say a quarter of a mebibyte.
fn much() -> (String, Vec<u8>) {
    let name = "n".repeat(1000);
    let field = format!(r#"{{"name":"{name}","type":"null"}}"#);
    let schema = format!(r#"{{"type":"array","items":{{"type":"record","name":"R","fields":[{field}]}}}}"#);
    // 250 of them.
    (schema, vec![0xf4, 0x03, 0])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_says_much_in_few_bytes_is_given_out_page_by_page() {
    const COUNT: usize = 40;
    let web = Web::new().await;
    web.topic("t", 1).await;
    let (schema, payload) = much();
    let new = NewSchema { schema, kind: None, references: Vec::new() };
    let id = web.house.streams.view().register_schema(&web.house.scope, "t-value", new).await.unwrap().id;
    let value = [&b"\0"[..], &id.to_be_bytes(), &payload].concat();
    let record = json!({ "value": data_encoding::BASE64.encode(&value) });
    let body = json!({ "records": vec![record; COUNT] }).to_string();
    let sent = web.ask("POST", "/kafka/topics/t", "application/vnd.kafka.binary.v2+json", body).await;
    assert_eq!(sent.status, 200, "{}", sent.text);
    let mut path = web.v3("/topics/t/partitions/0/records?type=AVRO");
    let (mut pages, mut seen) = (0, 0);
    while seen < COUNT {
        let answered = web.get(&path).await;
        assert!(answered.text.len() < 9 << 20, "{}", answered.text.len());
        let list = answered.json();
        for record in list["data"].as_array().unwrap() {
            assert_eq!(record["offset"], seen);
            assert_eq!(record["value"]["type"], "AVRO");
            seen += 1;
        }
        let next = list["metadata"]["next"].as_str().unwrap().strip_prefix("http://host").unwrap();
        path = format!("{next}&type=AVRO");
        pages += 1;
    }
    assert_eq!((seen, pages), (COUNT, 2));
    let one = web.consumer("g", "one", json!({ "format": "avro" })).await;
    web.v2("POST", &format!("{one}/subscription"), json!({ "topics": ["t"] })).await;
    let (first, second) = (web.records_of(&one).await, web.records_of(&one).await);
    assert!((2..COUNT).contains(&first.len()), "{}", first.len());
    assert_eq!(first.len() + second.len(), COUNT);
    assert_eq!(second[0]["offset"], first.len());
}

impl Web {
    async fn produced(&self, topic: &str, batch: Bytes) {
        let partition = PartitionProduceData::default().with_index(0).with_records(Some(batch));
        let topic = TopicProduceData::default()
            .with_name(TopicName(StrBytes::from_string(topic.to_owned())))
            .with_partition_data(vec![partition]);
        let request =
            ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![topic]);
        let (house, parts) = (&self.house, &self.house.streams.parts);
        let taken = parts.produce.take(&house.scope, &house.rights(&house.owner), request, 12);
        let answer = taken.answer.await.unwrap();
        assert_eq!(answer.responses[0].partition_responses[0].error_code, 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gate_lets_in_can_be_read() {
    let web = Web::new().await;
    for topic in ["large", "small", "gone"] {
        web.topic(topic, 1).await;
    }
    // 36 MiB out of some hundred kilobytes.
    let mut noise = vec![0; 256 << 10];
    candor_model::Random::fill(&candor_model::random::Seeded::new(5), &mut noise);
    let mut builder = BatchBuilder::new(Codec::Zstd);
    builder.push(1, None, Some(&noise), Headers::default());
    (0..36).for_each(|_| builder.push(1, None, Some(&vec![0; 1 << 20]), Headers::default()));
    web.produced("large", builder.finish().unwrap()).await;
    let list = web.get(&web.v3("/topics/large/partitions/0/records?max_records=2")).await.json();
    assert_eq!(list["data"].as_array().unwrap().len(), 2);
    for topic in ["small", "gone"] {
        web.produced(topic, batch(0, None, "x")).await;
    }
    let one = web.consumer("g", "one", json!({ "format": "binary" })).await;
    let all = ["large", "small", "gone"].map(|topic| json!({ "topic": topic, "partition": 0 }));
    web.v2("POST", &format!("{one}/assignments"), json!({ "partitions": all })).await;
    let offsets = all.iter().map(|place| {
        let mut place = place.clone();
        place["offset"] = json!(if place["topic"] == "large" { 36 } else { 0 });
        place
    });
    let offsets: Vec<Value> = offsets.collect();
    let answered = web.v2("POST", &format!("{one}/positions"), json!({ "offsets": offsets })).await;
    assert_eq!(answered.status, 204, "{}", answered.text);
    assert_eq!(web.ask("DELETE", &web.v3("/topics/gone"), "", "").await.status, 204);
    // A partition that cannot be read keeps nobody from the others, nor does one that takes more room.
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..4 {
        let read = web.v2("GET", &format!("{one}/records?timeout=1"), Value::Null).await;
        if read.status == 200 {
            seen.extend(
                read.json().as_array().unwrap().iter().map(|one| one["topic"].as_str().unwrap().to_owned()),
            );
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["large", "small"]);
    let failed = web.v2("GET", &format!("{one}/records?timeout=1"), Value::Null).await;
    assert_eq!(failed.status, 404, "{}", failed.text);
}
