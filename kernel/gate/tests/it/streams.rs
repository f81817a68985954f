//! Batches of streams: what is clean keeps its bytes, what a rule strikes does not come through, and what cannot be
//! cleared is refused.

use std::sync::Arc;

use bytes::Bytes;
use candor_gate::{
    ClearedStream, RecordRefusal, STREAM_BOUNDS, Schemas, StreamBatch, StreamRefusal, Timestamps,
    TransactionEnd, ValuesMode,
};
use candor_model::random::Seeded;
use candor_model::{Partition, ProjectId, Random, TopicName};
use candor_records::{
    BatchBuilder, Codec, Headers, HeadersBuf, Marker, MarkerKind, Producer, TimestampType, open,
    set_max_timestamp,
};
use candor_schemas::{Kind, Schema};
use candor_testbed::fuzz::fuzz;

use crate::{Bed, NOW};

const NOW_MS: i64 = NOW.0 / 1000;

/// A record to send: key, value, headers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sent {
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

pub fn value(value: &str) -> Sent {
    Sent { value: Some(value.into()), ..Sent::default() }
}

pub fn keyed(key: &str, value: &str) -> Sent {
    Sent { key: Some(key.into()), ..self::value(value) }
}

pub fn header(name: &str, value: &str) -> Sent {
    Sent { headers: vec![(name.into(), Some(value.into())), (b"n".to_vec(), None)], ..self::value("v") }
}

pub fn batch(codec: Codec, records: &[Sent]) -> Bytes {
    let producer = Producer { id: 4711, epoch: 2, sequence: 90 };
    let mut builder = BatchBuilder::new(codec).transactional(producer);
    for (index, record) in (0..).zip(records) {
        let mut headers = HeadersBuf::new();
        record.headers.iter().for_each(|(name, value)| headers.push(name, value.as_deref()));
        builder.push(NOW_MS + index, record.key.as_deref(), record.value.as_deref(), headers.headers());
    }
    builder.finish().unwrap()
}

pub fn read(batch: &Bytes) -> Vec<Sent> {
    let opened = open(batch, STREAM_BOUNDS).unwrap();
    let records = opened.records().map(|record| {
        let record = record.unwrap();
        let owned = |bytes: Option<&[u8]>| bytes.map(<[u8]>::to_vec);
        Sent {
            key: owned(record.key),
            value: owned(record.value),
            headers: record.headers.iter().map(|(name, value)| (name.to_vec(), owned(value))).collect(),
        }
    });
    records.collect()
}

pub fn stream(bytes: &Bytes) -> StreamBatch {
    StreamBatch::new(TopicName("orders.1".into()), Partition(3), bytes.clone())
}

pub fn clear(bed: &Bed, batch: StreamBatch) -> Result<ClearedStream, StreamRefusal> {
    bed.gate.clear_stream(&bed.scope, batch)
}

/// Clears records one by one as they are sent in every codec, and gives what is stored of them.
pub fn stored(bed: &Bed, values: ValuesMode, records: &[Sent]) -> Vec<Sent> {
    let all = Codec::ALL.map(|codec| {
        let sent = batch(codec, records);
        let cleared = clear(bed, StreamBatch { values, ..stream(&sent) }).unwrap();
        let header = *open(&sent, STREAM_BOUNDS).unwrap().header();
        let kept = cleared.header;
        assert_eq!(kept.check(cleared.admitted.batch()), Ok(()));
        assert_eq!(
            candor_records::Header { crc: header.crc, bytes: header.bytes, ..kept },
            header,
            "{codec:?}"
        );
        let stored = read(cleared.admitted.batch());
        assert_eq!(
            stored == records,
            cleared.admitted.batch() == &sent,
            "{codec:?}: bytes change with records"
        );
        assert_eq!(stored == records, cleared.report.replaced.is_empty(), "{:?}", cleared.report);
        // What is stored has been cleared for good.
        let again = clear(bed, StreamBatch { values, ..stream(cleared.admitted.batch()) }).unwrap();
        assert_eq!(again.admitted.batch(), cleared.admitted.batch(), "{codec:?}");
        stored
    });
    assert!(all.iter().all(|one| *one == all[0]), "{all:?}");
    all[0].clone()
}

pub fn refused(result: Result<ClearedStream, StreamRefusal>) -> (i16, Vec<(u32, RecordRefusal)>) {
    let refusal = result.map(|_| ()).expect_err("it is refused");
    let records = match &refusal {
        StreamRefusal::Batch(_) | StreamRefusal::NoActivity => Vec::new(),
        StreamRefusal::Records { first, .. } => {
            first.iter().map(|record| (record.index, record.reason)).collect()
        }
    };
    (refusal.code(), records)
}

#[test]
fn what_is_clean_keeps_its_bytes_without_a_copy() {
    let bed = Bed::new();
    let records = [
        keyed("k", r#"{ "note" : "fine", "n" : 1.50, "list" : [ {}, null ] }"#),
        value("plain text"),
        header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        Sent::default(),
        Sent { key: Some(vec![0, 1, 0xff]), value: Some(vec![0xff, 0, 7]), ..Sent::default() },
    ];
    for codec in Codec::ALL {
        for values in ValuesMode::ALL {
            // A topic of JSON takes nothing binary.
            let records = if values == ValuesMode::Json { &records[..4] } else { &records };
            let sent = batch(codec, records);
            let cleared = clear(&bed, StreamBatch { values, ..stream(&sent) }).unwrap();
            assert_eq!(cleared.admitted.batch().as_ptr(), sent.as_ptr(), "{codec:?} {values:?}");
            assert_eq!(cleared.admitted.batch(), &sent);
            assert_eq!(cleared.report, candor_gate::GateReport::default());
        }
    }
    let admitted = clear(&bed, stream(&batch(Codec::None, &records))).unwrap().admitted;
    assert_eq!(
        (admitted.topic().0.as_str(), admitted.partition(), admitted.count()),
        ("orders.1", Partition(3), 5)
    );
    assert_eq!((admitted.project(), admitted.request()), (bed.scope.project(), None));
    assert!(admitted.rows().is_none() && admitted.vault().is_empty());
}

#[test]
fn what_rules_strike_is_not_stored_anywhere_in_a_record() {
    let bed = Bed::new();
    for (dirty, canary) in [
        ("4111 1111 1111 1111", "4111 1111 1111"),
        ("DE89370400440532013000", "89370400440532013000"),
        ("password=hunter2", "hunter2"),
        ("https://u:hunter2@x.example/", "hunter2"),
    ] {
        let text = format!("harmlesscanary {dirty} ");
        let places = [
            value(&text),
            value(&format!(r#"{{"a": "{text}", "b": 1.10}}"#)),
            value(&format!(r#" [1e3, {{"{text}": true}}]"#)),
            keyed(&text, "v"),
            keyed(&format!(r#"{{"id": "{text}"}}"#), "v"),
            header("note", &text),
            header("note", &format!(r#"{{"a": ["{text}"]}}"#)),
            header(&text, "v"),
        ];
        for place in places {
            let all = [value("first"), place.clone(), value("last")];
            let stored = stored(&bed, ValuesMode::Auto, &all);
            let seen: Vec<u8> = [&stored[1]]
                .iter()
                .flat_map(|record| {
                    let headers =
                        record.headers.iter().flat_map(|(name, value)| [Some(name.clone()), value.clone()]);
                    [record.key.clone(), record.value.clone()].into_iter().chain(headers).flatten().flatten()
                })
                .collect();
            let seen = String::from_utf8(seen).unwrap();
            assert!(!seen.contains(canary), "{place:?}: {seen}");
            assert!(seen.contains("harmlesscanary"), "{place:?}: {seen}");
            assert_eq!((&stored[0], &stored[2]), (&all[0], &all[2]));
        }
    }
    let totals = bed.gate.totals().report();
    assert!(totals.replaced.iter().any(|(kind, count)| *kind == "card" && *count > 0), "{totals:?}");
}

#[test]
fn only_what_changes_within_json_is_written_anew() {
    let bed = Bed::new();
    let sent = r#" { "n" : 1.50, "password" : "hunter2" ,"e":"\u0041" }"#;
    let stored = stored(&bed, ValuesMode::Auto, &[value(sent)]);
    assert_eq!(stored, [value(r#" { "n" : 1.50, "password" : "[secret]" ,"e":"\u0041" }"#)]);
}

#[test]
fn a_header_is_known_by_its_name() {
    let bed = Bed::new();
    let stored = stored(&bed, ValuesMode::Auto, &[header("Authorization", "Bearer abcdefgh12345678")]);
    assert_eq!(stored, [header("Authorization", "[secret]")]);
}

#[test]
fn keys_of_compacted_topics_never_change_and_must_be_there() {
    let bed = Bed::new();
    let card = "card 4111 1111 1111 1111";
    let sent =
        batch(Codec::Lz4, &[keyed("k 17", card), Sent { key: Some(b"gone".to_vec()), ..Sent::default() }]);
    let compacted = StreamBatch { compacted: true, ..stream(&sent) };
    let stored = read(clear(&bed, compacted).unwrap().admitted.batch());
    assert_eq!(stored[0], keyed("k 17", "card [card]"));
    assert_eq!(stored[1].value, None);
    let sent = batch(Codec::Zstd, &[keyed("k", "v"), value("v"), keyed("k", "v"), value("w")]);
    for values in [ValuesMode::Opaque, ValuesMode::Auto] {
        let result = clear(&bed, StreamBatch { compacted: true, values, ..stream(&sent) });
        assert_eq!(refused(result), (87, vec![(1, RecordRefusal::NoKey), (3, RecordRefusal::NoKey)]));
    }
    assert!(clear(&bed, stream(&sent)).is_ok());
    assert_eq!(bed.gate.totals().report().dropped, [("stream", 8)]);
}

#[test]
fn a_record_whose_type_would_change_is_refused_by_its_index() {
    let bed = Bed::new();
    let card = r#"{"a": [{"card": 4111111111111111}]}"#;
    let sent = batch(Codec::Gzip, &[value("v"), value(card), value("password=hunter2"), value(card)]);
    let result = clear(&bed, stream(&sent));
    assert_eq!(refused(result), (87, vec![(1, RecordRefusal::Type), (3, RecordRefusal::Type)]));
    let refusal = clear(&bed, stream(&sent)).unwrap_err().to_string();
    assert!(refusal.starts_with("2 records are refused, record 1 because"), "{refusal}");
    // Nothing of a refused batch is counted as replaced.
    assert_eq!(bed.gate.totals().report().replaced, []);
    // JSON that is no UTF-8 cannot be patched.
    let latin = b"{\"name\": \"M\xfcller\", \"password\": \"hunter2\"}".to_vec();
    let sent = batch(Codec::None, &[Sent { value: Some(latin), ..Sent::default() }]);
    assert_eq!(refused(clear(&bed, stream(&sent))), (87, vec![(0, RecordRefusal::Encoding)]));
    let clean = b"{\"name\": \"M\xfcller\"}".to_vec();
    let sent = batch(Codec::None, &[Sent { value: Some(clean), ..Sent::default() }]);
    assert_eq!(clear(&bed, stream(&sent)).unwrap().admitted.batch(), &sent);
}

#[test]
fn an_answer_names_a_hundred_records_at_most() {
    let bed = Bed::new();
    let sent = batch(Codec::Zstd, &vec![value("v"); 5000]);
    let result = clear(&bed, StreamBatch { compacted: true, ..stream(&sent) });
    let Err(StreamRefusal::Records { count, first }) = result else { panic!("not refused") };
    assert_eq!((count, first.len(), first[99].index), (5000, 100, 99));
}

#[test]
fn the_mode_says_what_is_opened() {
    let bed = Bed::new();
    let secret = "password=hunter2";
    let json = r#""password=hunter2 in a text of JSON""#;
    let object = r#"{"password": "hunter2"}"#;
    let sent = [value(secret), value(json), value(object)];
    let changed = |values| {
        let stored = stored(&bed, values, &sent);
        stored.iter().zip(&sent).map(|(stored, sent)| stored != sent).collect::<Vec<bool>>()
    };
    assert_eq!(changed(ValuesMode::Auto), [true, true, true]);
    assert_eq!(changed(ValuesMode::Json), [true, true, true]);
    assert_eq!(changed(ValuesMode::Text), [true, true, true]);
    assert_eq!(changed(ValuesMode::Schema), [false, false, false]);
    assert_eq!(changed(ValuesMode::Opaque), [false, false, false]);
    for mode in ValuesMode::ALL {
        assert_eq!(ValuesMode::from_name(mode.name()), Some(mode));
    }
    assert_eq!(ValuesMode::from_name("avro"), None);
}

#[test]
fn binary_values_are_stored_as_sent() {
    let bed = Bed::new();
    // A message of Protocol Buffers, an Avro record behind a schema's id, and a number.
    let card = b"4111111111111111";
    let values = [
        [&b"\x0a\x10"[..], card].concat(),
        [&b"\x00\x00\x00\x00\x07\x20"[..], card].concat(),
        7_i64.to_be_bytes().to_vec(),
    ];
    let sent = values.map(|value| Sent { value: Some(value), ..Sent::default() });
    assert_eq!(stored(&bed, ValuesMode::Auto, &sent), sent);
    // Text with the separator of FIX and with colours of a terminal is text.
    let text = stored(
        &bed,
        ValuesMode::Auto,
        &[value("8=FIX.4.4\u{1}4111 1111 1111 1111\u{1}"), value("\u{1b}[1mpassword=hunter2")],
    );
    assert!(
        text.iter().all(|record| !String::from_utf8_lossy(record.value.as_ref().unwrap()).contains("1111")
            && !String::from_utf8_lossy(record.value.as_ref().unwrap()).contains("hunter2")),
        "{text:?}"
    );
}

/// Knows one schema, of one id.
pub struct One(pub Arc<Schema>);

impl Schemas for One {
    fn schema(&self, _: ProjectId, id: i32) -> Option<Arc<Schema>> {
        (id == 7).then(|| Arc::clone(&self.0))
    }
}

#[test]
fn values_are_opened_by_the_schemas_that_they_name() {
    let bed = Bed::new();
    let text = r#"{"type":"record","name":"R","fields":[{"name":"password","type":"string"},{"name":"n","type":"long"}]}"#;
    bed.gate.set_schemas(Arc::new(One(Arc::new(Schema::parse(Kind::Avro, text, &[]).unwrap()))));
    let framed = |id: u8, payload: &[u8]| [&[0, 0, 0, 0, id], payload].concat();
    let sent = |value: Vec<u8>| Sent { key: Some(value.clone()), value: Some(value), ..Sent::default() };
    let secret = framed(7, b"\x0ehunter2\x02");
    for mode in [ValuesMode::Auto, ValuesMode::Schema] {
        let stored = &stored(&bed, mode, &[sent(secret.clone())])[0];
        let struck = stored.value.as_deref().unwrap();
        assert!(struck.starts_with(&[0, 0, 0, 0, 7]) && struck.ends_with(&[2]), "{struck:?}");
        assert!(!String::from_utf8_lossy(struck).contains("hunter2"));
        assert_eq!(stored.key.as_deref(), Some(struck));
    }
    // What names another schema, or does not fit, is not opened.
    for other in [framed(8, b"\x0ehunter2\x02"), framed(7, b"\x0ehunter2"), b"hunter2".to_vec()] {
        assert_eq!(stored(&bed, ValuesMode::Schema, &[sent(other.clone())]), [sent(other)]);
    }
    assert_eq!(stored(&bed, ValuesMode::Opaque, &[sent(secret.clone())]), [sent(secret)]);
    // A card number in a number cannot become text.
    let card = framed(7, &[&b"\0"[..], b"\x8e\xc7\xc7\xd6\x94\xc2\xcd\x0e".as_slice()].concat());
    let batch = batch(Codec::None, &[value("v"), sent(card)]);
    assert_eq!(refused(clear(&bed, stream(&batch))).1, [(1, RecordRefusal::Type)]);
}

#[test]
fn damage_bombs_and_limits_have_their_errors() {
    let bed = Bed::new();
    let sent = batch(Codec::Zstd, &[value("v")]);
    let code = |bytes: Vec<u8>| refused(clear(&bed, stream(&Bytes::from(bytes)))).0;
    let with = |change: fn(&mut Vec<u8>)| {
        let mut bytes = sent.to_vec();
        change(&mut bytes);
        bytes
    };
    assert_eq!(code(with(|bytes| bytes[70] ^= 1)), 2);
    assert_eq!(code(with(|bytes| bytes.truncate(bytes.len() - 1))), 2);
    assert_eq!(code(with(|bytes| bytes[16] = 1)), 87);
    assert_eq!(code(Vec::new()), 2);
    assert_eq!(code([&sent[..], &sent[..]].concat()), 87);
    // Right in its checksum, wrong within.
    let mut noise = sent.to_vec();
    noise[61..].fill(0x55);
    set_max_timestamp(&mut noise, TimestampType::CreateTime, 1).unwrap();
    assert_eq!(code(noise), 2);
    assert_eq!(refused(clear(&bed, StreamBatch { max_bytes: sent.len() - 1, ..stream(&sent) })).0, 10);
    let zeros = |bytes| Sent { value: Some(vec![0; bytes]), ..Sent::default() };
    for values in [ValuesMode::Auto, ValuesMode::Opaque] {
        let clear =
            |batch: Bytes| clear(&bed, StreamBatch { values, max_bytes: usize::MAX, ..stream(&batch) });
        let plain = batch(Codec::None, &[zeros(STREAM_BOUNDS.bytes)]);
        assert_eq!(refused(clear(plain)), (10, vec![]));
        // Of what unfolds to hundreds of times itself less is taken.
        let bomb = batch(Codec::Zstd, &[zeros(9 << 20)]);
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        assert_eq!(refused(clear(bomb)), (10, vec![]));
        assert!(clear(batch(Codec::Zstd, &[zeros(7 << 20)])).is_ok());
    }
}

#[test]
fn what_grows_beyond_what_may_be_opened_is_refused() {
    let bed = Bed::new();
    // Each secret of a few bytes becomes a placeholder, and there is room for hardly more than what was sent.
    let secrets = "pwd=k7x9 ".repeat(100_000);
    let zeros = Sent { value: Some(vec![0; STREAM_BOUNDS.bytes - secrets.len() - 1000]), ..Sent::default() };
    let records = [zeros, value(&secrets)];
    let sent = batch(Codec::None, &records);
    assert!(open(&sent, STREAM_BOUNDS).is_ok());
    let large = |values| StreamBatch { values, max_bytes: sent.len(), ..stream(&sent) };
    assert_eq!(refused(clear(&bed, large(ValuesMode::Auto))), (10, vec![]));
    assert!(clear(&bed, large(ValuesMode::Opaque)).is_ok());
}

#[test]
fn timestamps_are_the_topics() {
    let bed = Bed::new();
    let mut builder = BatchBuilder::new(Codec::Snappy);
    for timestamp in [NOW_MS - 5_000, NOW_MS + 7_000, -1] {
        builder.push(timestamp, None, Some(b"v"), Headers::default());
    }
    let sent = builder.finish().unwrap();
    let within = |before_max_ms, after_max_ms| {
        let timestamps = Timestamps::CreateTime { before_max_ms, after_max_ms };
        clear(&bed, StreamBatch { timestamps, values: ValuesMode::Opaque, ..stream(&sent) })
    };
    assert_eq!(within(5_000, 7_000).unwrap().admitted.batch().as_ptr(), sent.as_ptr());
    assert_eq!(refused(within(4_999, 7_000)), (32, vec![(0, RecordRefusal::Timestamp)]));
    assert_eq!(refused(within(5_000, 6_999)), (32, vec![(1, RecordRefusal::Timestamp)]));
    assert!(within(i64::MAX, i64::MAX).is_ok());
    let late = StreamBatch { timestamps: Timestamps::LogAppendTime, ..stream(&sent) };
    let cleared = clear(&bed, late).unwrap();
    assert_eq!(cleared.header.timestamp_type(), TimestampType::LogAppendTime);
    assert_eq!(cleared.header.max_timestamp, NOW_MS);
    assert_eq!(cleared.header.check(cleared.admitted.batch()), Ok(()));
    assert_eq!(read(cleared.admitted.batch()), read(&sent));
}

#[test]
fn a_wrong_greatest_timestamp_is_put_right() {
    let bed = Bed::new();
    let sent = batch(Codec::None, &[value("v"), value("w")]);
    let mut careless = sent.to_vec();
    set_max_timestamp(&mut careless, TimestampType::CreateTime, -1).unwrap();
    let cleared = clear(&bed, stream(&Bytes::from(careless))).unwrap();
    assert_eq!(cleared.admitted.batch(), &sent);
    assert_eq!(cleared.header.max_timestamp, NOW_MS + 1);
}

#[test]
fn markers_come_from_the_gate() {
    let bed = Bed::new();
    for commit in [true, false] {
        let end = TransactionEnd { producer_id: 4711, producer_epoch: 2, commit, coordinator_epoch: 6 };
        let admitted = bed.gate.marker(&bed.scope, TopicName("orders.1".into()), Partition(1), end);
        assert_eq!((admitted.count(), admitted.partition(), admitted.rows()), (1, Partition(1), None));
        let opened = open(admitted.batch(), STREAM_BOUNDS).unwrap();
        let header = *opened.header();
        assert!(header.is_control() && header.is_transactional() && header.check(admitted.batch()).is_ok());
        assert_eq!((header.producer_id, header.producer_epoch, header.max_timestamp), (4711, 2, NOW_MS));
        let kind = if commit { MarkerKind::Commit } else { MarkerKind::Abort };
        let marker = Marker::read(&opened.records().next().unwrap().unwrap());
        assert_eq!(marker, Some(Marker { kind, coordinator_epoch: 6 }));
        // Nobody sends one.
        let result = clear(&bed, stream(admitted.batch()));
        assert_eq!(refused(result).0, 87);
    }
}

/// Random records of clean and dirty parts: what is stored stays what it is when it is cleared again, and nothing is
/// stored that a rule strikes.
#[test]
fn streams_are_cleared_for_good() {
    let bed = Bed::new();
    let parts = [
        "card 4111 1111 1111 1111",
        "password=hunter2",
        r#"{"password":"hunter2"}"#,
        r#"{"a":{"token":["hunter2"],"n":1.0},"b":"4111111111111111"}"#,
        "[1,2",
        "plain",
        "\u{0}\u{8}",
        "{\"a\":4111111111111111}",
        "é",
        " ",
        "Authorization: Basic dXNlcjpodW50ZXIy",
        "https://u:hunter2@x.example/",
        "Cookie",
    ];
    let make = |case: u64| {
        let random = Seeded::new(case);
        let below = |limit: usize| (random.next_u64() % limit as u64) as usize;
        let bytes = || {
            let text: String = (0..below(3)).map(|_| parts[below(parts.len())]).collect();
            let mut bytes = match below(8) {
                0 => text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
                1 => text.encode_utf16().flat_map(u16::to_be_bytes).collect(),
                _ => text.into_bytes(),
            };
            if below(4) == 0 {
                bytes.insert(below(bytes.len() + 1), [0, 2, 0xa0, 0xc3, 0xff][below(5)]);
            }
            (below(6) > 0).then_some(bytes)
        };
        let record = || Sent {
            key: bytes(),
            value: bytes(),
            headers: (0..below(3)).map(|_| (bytes().unwrap_or_default(), bytes())).collect(),
        };
        let records: Vec<Sent> = (0..1 + below(4)).map(|_| record()).collect();
        (Codec::ALL[below(5)], below(2) == 0, records)
    };
    fuzz(make, |(codec, compacted, records)| {
        let sent = batch(*codec, records);
        let batch = StreamBatch { compacted: *compacted, ..stream(&sent) };
        let Ok(cleared) = clear(&bed, batch.clone()) else { return };
        let again = clear(&bed, StreamBatch { bytes: cleared.admitted.batch().clone(), ..batch }).unwrap();
        assert_eq!(again.admitted.batch(), cleared.admitted.batch());
        let stored = read(cleared.admitted.batch());
        assert_eq!(stored.len(), records.len());
        for (stored, sent) in stored.iter().zip(records) {
            assert!(!compacted || stored.key == sent.key);
            assert_eq!(stored.headers.len(), sent.headers.len());
            assert_eq!(stored.value.is_none(), sent.value.is_none());
        }
    });
}
