//! Signals as topics: rows are records, of any size in pieces, found by their times.

use bytes::Bytes;
use candor_log::Topic;
use candor_model::record::{Incoming, LogRecord, Origin, Records};
use candor_model::time::EventTime;
use candor_model::{Clock, Signal, Value};
use candor_records::{Bounds, Header, open};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::delete_records_request::{
    DeleteRecordsPartition, DeleteRecordsRequest, DeleteRecordsTopic,
};
use kafka_protocol::messages::list_offsets_request::{
    ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic,
};
use serde_json::Value as Json;

use super::{FIRST, fetch, topic_name};
use crate::testing::{House, NOW};

const LOGS: &str = "candor.logs";

/// A record as a client sees it.
#[derive(Debug)]
struct Seen {
    offset: i64,
    timestamp: i64,
    key: Option<String>,
    value: Json,
}

fn records(mut bytes: Bytes) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let header = Header::parse(&bytes).unwrap();
        let opened =
            open(&bytes.split_to(header.bytes), Bounds { bytes: 1 << 30, records: 1 << 20 }).unwrap();
        for record in opened.records() {
            let record = record.unwrap();
            seen.push(Seen {
                offset: record.offset(&header),
                timestamp: record.timestamp(&header),
                key: record.key.map(|key| String::from_utf8(key.to_vec()).unwrap()),
                value: serde_json::from_slice(record.value.unwrap()).unwrap(),
            });
        }
    }
    seen
}

fn log_record(body: String, second: i64, trace: &str) -> LogRecord {
    LogRecord {
        timestamp: Some(EventTime { micros: NOW.0 + second * 1_000_000, nanos: 7 }),
        body: Value::from(body),
        service_name: "till".to_owned(),
        trace_id: trace.to_owned(),
        ..LogRecord::default()
    }
}

/// Stores a batch of log records.
async fn store(house: &House, records: Vec<LogRecord>) {
    let incoming = Incoming { records: Records::Logs(records), origin: Origin::default(), request: None };
    let cleared = house.gate.clear(&house.scope, incoming);
    house.log.append(vec![cleared.admitted.unwrap()]).await.unwrap();
}

async fn read(house: &House, from: i64, bytes_max: i32) -> (i16, Vec<Seen>, usize) {
    let request = fetch(LOGS, from, bytes_max);
    let answer = house.streams.parts.fetch.answer(&house.rights(&house.owner), request).await;
    let data = answer.partitions.into_iter().next().unwrap();
    let bytes = data.records.into_bytes();
    (data.error, records(bytes.clone()), bytes.len())
}

async fn offset_at(house: &House, timestamp: i64) -> (i64, i64) {
    let partition = ListOffsetsPartition::default().with_partition_index(0).with_timestamp(timestamp);
    let topic = ListOffsetsTopic::default().with_name(topic_name(LOGS)).with_partitions(vec![partition]);
    let request = ListOffsetsRequest::default().with_topics(vec![topic]);
    let answer = house.streams.parts.offsets.list(&house.rights(&house.owner), request, 10).await;
    let partition = &answer.topics[0].partitions[0];
    assert_eq!(partition.error_code, 0);
    (partition.offset, partition.timestamp)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_are_json_records_at_their_offsets() {
    let house = House::new().await;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    store(&house, vec![log_record("paid with 4111111111111111".into(), 0, trace)]).await;
    store(&house, vec![log_record("two".into(), 1, ""), log_record("three".into(), 2, "")]).await;
    let (error, seen, _) = read(&house, 0, 1 << 20).await;
    assert_eq!(error, 0);
    assert_eq!(seen.iter().map(|record| record.offset).collect::<Vec<_>>(), [0, 1, 2]);
    let base = NOW.0 / 1000;
    assert_eq!(
        seen.iter().map(|record| record.timestamp).collect::<Vec<_>>(),
        [base, base + 1000, base + 2000]
    );
    assert_eq!(seen[0].key.as_deref(), Some(trace));
    assert_eq!(seen[1].key, None);
    let first = &seen[0].value;
    assert!(!first.to_string().contains("4111111111111111"), "{first}");
    assert!(first["body"].as_str().unwrap().starts_with("paid with "));
    for (name, value) in [("service_name", "till"), ("timestamp", &NOW.to_string())] {
        assert_eq!(first[name], value, "{name}");
    }
    assert_eq!((&first["_offset"], &first["_partition"]), (&Json::from(0), &Json::from(0)));
    assert_eq!(first["_ingested_at"], house.clock.now().to_string());
    // Inside of a batch of the log.
    let (_, seen, _) = read(&house, 2, 1 << 20).await;
    assert_eq!(seen.iter().map(|record| record.offset).collect::<Vec<_>>(), [2]);
    assert_eq!(seen[0].value["body"], "three");
    assert_eq!(read(&house, 3, 1 << 20).await.1.len(), 0);
    assert_eq!(read(&house, 4, 1 << 20).await.0, ResponseError::OffsetOutOfRange.code());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_batch_is_read_through_in_pieces() {
    let house = House::new().await;
    let body = "lorem ipsum ".repeat(20);
    let many = (0..3000).map(|n| log_record(format!("{n} {body}"), n, "")).collect();
    store(&house, many).await;
    let (mut next, mut pieces) = (0, 0);
    while next < 3000 {
        let (error, seen, bytes) = read(&house, next, 100_000).await;
        assert_eq!(error, 0);
        assert!(bytes <= 100_000, "{bytes}");
        assert!(!seen.is_empty());
        for record in seen {
            assert_eq!(record.offset, next);
            assert!(record.value["body"].as_str().unwrap().starts_with(&format!("{next} ")));
            next += 1;
        }
        pieces += 1;
    }
    assert!(pieces > 5, "{pieces}");
    // One record is given, however little is asked for.
    let (_, seen, _) = read(&house, 17, 1).await;
    assert_eq!(seen.iter().map(|record| record.offset).collect::<Vec<_>>(), [17]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_are_looked_up_by_arrival_and_row() {
    let house = House::new().await;
    let base = NOW.0 / 1000;
    assert_eq!(offset_at(&house, base).await, (-1, -1));
    assert_eq!(offset_at(&house, -3).await, (-1, -1));
    for minute in 0..20 {
        house.clock.advance(if minute == 0 { 30 } else { 60 } * 1_000_000);
        let rows = (0..3).map(|row| log_record(format!("{minute}"), minute * 60 + row * 10, ""));
        store(&house, rows.collect()).await;
    }
    for (asked, found) in [
        (0, (0, base)),
        (base, (0, base)),
        (base + 1, (1, base + 10_000)),
        (base + 7 * 60_000 + 10_000, (22, base + 7 * 60_000 + 10_000)),
        (base + 19 * 60_000 + 20_001, (-1, -1)),
        (-3, (59, base + 19 * 60_000 + 20_000)),
        (-1, (60, -1)),
        (-2, (0, -1)),
    ] {
        assert_eq!(offset_at(&house, asked).await, found, "{asked}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn signals_are_there_without_records_and_lose_none_to_clients() {
    let house = House::new().await;
    for signal in Signal::ALL {
        let name = signal.topic().0;
        let request = fetch(&name, 0, 1 << 20);
        let answer = house.streams.parts.fetch.answer(&house.rights(&house.owner), request).await;
        assert_eq!(answer.partitions[0].error, 0, "{name}");
    }
    store(&house, vec![log_record("kept".into(), 0, "")]).await;
    let partition = DeleteRecordsPartition::default().with_partition_index(0).with_offset(-1);
    let topic = DeleteRecordsTopic::default().with_name(topic_name(LOGS)).with_partitions(vec![partition]);
    let request = DeleteRecordsRequest::default().with_topics(vec![topic]);
    let answer = house.streams.parts.offsets.delete(&house.rights(&house.owner), request).await;
    let refused = ResponseError::TopicAuthorizationFailed.code();
    assert_eq!(answer.topics[0].partitions[0].error_code, refused);
    let topic = Topic { project: house.project(), name: Signal::Logs.topic() };
    assert_eq!(house.log.log_start(&topic, FIRST).0, 0);
}
