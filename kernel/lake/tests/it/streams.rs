//! Topics of streams as tables.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use arrow::util::display::array_value_to_string;
use bytes::Bytes;
use candor_gate::{StreamSubjects, ValuesMode};
use candor_lake::{Lake, Pinned, StreamTables, StreamTopic, ValueDecoder};
use candor_model::{Clock, Object, ProjectId, TopicName, Value};
use candor_records::{BatchBuilder, Codec, HeadersBuf, Marker, MarkerKind, Producer};
use parking_lot::Mutex;

use crate::bed::{Bed, START};

/// A topic's retention in the tests: a week.
pub const WEEK_MS: u64 = 7 * 86_400_000;

/// Topics that are what the test says.
#[derive(Default)]
pub struct Registry(pub Mutex<Vec<StreamTopic>>);

impl Registry {
    pub fn add(&self, name: &str, in_log: &str, values: ValuesMode) {
        let topic = StreamTopic {
            name: Arc::from(name),
            topic: TopicName(in_log.to_owned()),
            values,
            retention_ms: Some(WEEK_MS),
            compact_after_ms: None,
            retention_bytes: None,
        };
        self.0.lock().push(topic);
    }

    pub fn remove(&self, name: &str) {
        self.0.lock().retain(|topic| *topic.name != *name);
    }
}

impl StreamTables for Registry {
    fn topics(&self, _: ProjectId) -> Vec<StreamTopic> {
        self.0.lock().clone()
    }
    fn topic(&self, _: ProjectId, name: &str) -> Option<StreamTopic> {
        self.0.lock().iter().find(|topic| *topic.name == *name).cloned()
    }
    fn in_log(&self, _: ProjectId, name: &TopicName) -> Option<StreamTopic> {
        self.0.lock().iter().find(|topic| topic.topic == *name).cloned()
    }
}

/// What stands behind five bytes, as the field `word`.
struct Words;

impl ValueDecoder for Words {
    fn decode(&self, _: ProjectId, _: &TopicName, value: &[u8]) -> Option<Value> {
        let word = std::str::from_utf8(value.get(5..)?).ok()?;
        Some(Value::Object(Object(vec![("word".to_owned(), word.into())])))
    }
}

/// A bed with a topic `orders`, whose log's name is the same.
pub async fn bed(values: ValuesMode) -> (Bed, Arc<Registry>) {
    let registry = Arc::new(Registry::default());
    registry.add("orders", "orders", values);
    (Bed::new().await, registry)
}

pub async fn lake(bed: &Bed, registry: &Arc<Registry>) -> Lake {
    let lake = bed.lake().await;
    lake.serve_streams(Arc::clone(registry) as Arc<dyn StreamTables>, Some(Arc::new(Words)));
    lake
}

pub type Fields<'a> = (Option<&'a [u8]>, Option<&'a [u8]>);

/// A batch of keys and values, a second apart.
pub fn batch(records: &[Fields<'_>]) -> Bytes {
    built(BatchBuilder::new(Codec::Zstd), records)
}

pub fn built(mut builder: BatchBuilder, records: &[Fields<'_>]) -> Bytes {
    for (n, (key, value)) in records.iter().enumerate() {
        builder.push(START.0 / 1000 + n as i64 * 1000, *key, *value, HeadersBuf::new().headers());
    }
    builder.finish().unwrap()
}

pub fn value(text: &str) -> Fields<'_> {
    (None, Some(text.as_bytes()))
}

pub fn append(bed: &Bed, partition: u32, batch: Bytes) {
    bed.log.append_stream(bed.project(), "orders", partition, batch, bed.clock.now());
}

pub async fn pin(bed: &Bed, lake: &Lake) -> Pinned {
    lake.pin_stream(&bed.shop, "orders").await.unwrap().unwrap()
}

pub async fn rows(bed: &Bed, lake: &Lake) -> RecordBatch {
    let pinned = pin(bed, lake).await;
    bed.rows(lake, &pinned).await
}

pub fn column(rows: &RecordBatch, name: &str) -> Vec<String> {
    let column = rows.column_by_name(name).unwrap_or_else(|| panic!("no {name}"));
    let shown = |column: &ArrayRef, row| match column.is_null(row) {
        true => "null".to_owned(),
        false => array_value_to_string(column, row).unwrap(),
    };
    (0..rows.num_rows()).map(|row| shown(column, row)).collect()
}

pub fn fields(schema: &arrow::datatypes::Schema) -> String {
    let fields = schema.fields().iter().filter(|field| field.name().starts_with("v_"));
    fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect::<Vec<_>>().join(", ")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_are_rows_before_and_after_they_are_published() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    let empty = pin(&bed, &lake).await;
    let names: Vec<_> = empty.schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        names.join(" "),
        "partition offset timestamp key value headers subject subjects _ingested_at _partition _offset _epoch"
    );

    let mut headers = HeadersBuf::new();
    headers.push(b"trace", Some(b"old"));
    headers.push(b"trace", Some(b"new"));
    headers.push(b"bytes", Some(&[0xff, 0]));
    headers.push(b"none", None);
    let mut builder = BatchBuilder::new(Codec::Lz4);
    builder.push(START.0 / 1000, Some(b"k1"), Some(br#"{"n":1,"s":"x","o":{"a":[1]}}"#), headers.headers());
    builder.push(-1, None, None, HeadersBuf::new().headers());
    append(&bed, 1, builder.finish().unwrap());
    append(&bed, 1, batch(&[value(r#"{"n":2.5,"s":null,"ok":true}"#), value("no json {")]));
    append(&bed, 0, batch(&[(Some(b"k2"), Some(b"[1]"))]));

    for published in [false, true, true] {
        let rows = rows(&bed, &lake).await;
        let order =
            arrow::compute::sort_to_indices(rows.column_by_name("partition").unwrap(), None, None).unwrap();
        let rows = arrow::compute::take_record_batch(&rows, &order).unwrap();
        assert_eq!(column(&rows, "partition"), ["0", "1", "1", "1", "1"]);
        assert_eq!(column(&rows, "offset"), ["0", "0", "1", "2", "3"]);
        assert_eq!(column(&rows, "_offset"), column(&rows, "offset"));
        assert_eq!(column(&rows, "key"), ["k2", "k1", "null", "null", "null"]);
        assert_eq!(column(&rows, "value")[1], r#"{"n":1,"s":"x","o":{"a":[1]}}"#);
        assert_eq!(column(&rows, "value")[2..], ["null", r#"{"n":2.5,"s":null,"ok":true}"#, "no json {"]);
        assert_eq!(column(&rows, "v_n"), ["null", "1.0", "null", "2.5", "null"]);
        assert_eq!(column(&rows, "v_o"), ["null", r#"{"a":[1]}"#, "null", "null", "null"]);
        assert_eq!(column(&rows, "v_ok"), ["null", "null", "null", "true", "null"]);
        assert_eq!(column(&rows, "v_s"), ["null", "x", "null", "null", "null"]);
        assert_eq!(column(&rows, "headers")[1], r"{trace: new, bytes: \xff00, none: }");
        assert_eq!(column(&rows, "subject")[0], "null");
        let times = rows.column_by_name("timestamp").unwrap().as_primitive::<TimestampMicrosecondType>();
        assert_eq!(
            (times.value(1), times.value(2)),
            (START.0, bed.clock.now().0),
            "without a time, its arrival"
        );
        assert_eq!(fields(&rows.schema()), "v_n Float64, v_o Utf8, v_ok Boolean, v_s Utf8");
        let pinned = pin(&bed, &lake).await;
        assert_eq!(pinned.files.is_empty(), !published);
        lake.flush(None).await.unwrap();
    }
    assert_eq!(bed.log.consumed_streams("orders"), [1, 4]);
    assert_eq!(lake.stats().stream_lag_bytes, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_first_says_what_keys_and_values_are_for_good() {
    for (values, first, key_type, value_type) in [
        (ValuesMode::Auto, "text".as_bytes(), DataType::Binary, DataType::Utf8),
        (ValuesMode::Auto, &[0_u8, 1, 2][..], DataType::Binary, DataType::Binary),
        (ValuesMode::Json, &[0xff][..], DataType::Binary, DataType::Utf8),
        (ValuesMode::Opaque, b"text", DataType::Binary, DataType::Binary),
        (ValuesMode::Auto, b"\0\0\0\0\x07word", DataType::Binary, DataType::Utf8),
    ] {
        let (bed, registry) = bed(values).await;
        let lake = lake(&bed, &registry).await;
        append(
            &bed,
            0,
            batch(&[(None, None), (Some(&[0, 0, 0, 1]), Some(first)), (Some(&[0, 9]), Some(&[0xfe, 1]))]),
        );
        append(&bed, 0, batch(&[(None, Some(b"{\"a\":1}"))]));
        let before = rows(&bed, &lake).await;
        let kind = |name: &str| before.schema().field_with_name(name).unwrap().data_type().clone();
        assert_eq!((kind("key"), kind("value")), (key_type, value_type.clone()), "{values:?} {first:?}");
        let odd = if value_type == DataType::Utf8 { r"\xfe01" } else { "fe01" };
        assert_eq!(column(&before, "value")[2], odd);
        lake.flush(None).await.unwrap();
        drop(lake);
        let lake = self::lake(&bed, &registry).await;
        append(&bed, 0, batch(&[(Some(b"text"), Some(b"text"))]));
        assert_eq!(rows(&bed, &lake).await.schema(), before.schema(), "{values:?} {first:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_nothing_was_published_after_holds_over_a_restart() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    append(&bed, 1, batch(&[value("text")]));
    let kind = |rows: RecordBatch| rows.schema().field_with_name("value").unwrap().data_type().clone();
    assert_eq!(kind(rows(&bed, &lake).await), DataType::Utf8);
    drop(lake);
    // Read first from now on.
    append(&bed, 0, batch(&[(None, Some(&[0]))]));
    let lake = self::lake(&bed, &registry).await;
    assert_eq!(kind(rows(&bed, &lake).await), DataType::Utf8);
    assert!(bed.log.consumed_streams("orders").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_with_a_schema_are_what_the_decoder_makes_of_them() {
    let (bed, registry) = bed(ValuesMode::Schema).await;
    let lake = lake(&bed, &registry).await;
    append(&bed, 0, batch(&[value("\0\0\0\0\x07hello"), value("{\"a\":1}"), value("\0\0")]));
    let rows = rows(&bed, &lake).await;
    assert_eq!(column(&rows, "value"), [r#"{"word":"hello"}"#, "{\"a\":1}", "\0\0"]);
    assert_eq!(column(&rows, "v_word"), ["hello", "null", "null"]);
    assert_eq!(fields(&rows.schema()), "v_word Utf8");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_are_seen_when_they_are_committed_and_aborted_ones_never() {
    let (bed, registry) = bed(ValuesMode::Text).await;
    let lake = lake(&bed, &registry).await;
    let of = |id: i64, text: &str| {
        let producer = Producer { id, epoch: 0, sequence: 0 };
        built(BatchBuilder::new(Codec::None).transactional(producer), &[value(text)])
    };
    let end = |id: i64, kind| Marker { kind, coordinator_epoch: 0 }.batch(id, 0, 1);
    let seen = async || column(&rows(&bed, &lake).await, "value").join(" ");
    append(&bed, 0, batch(&[value("a")]));
    append(&bed, 0, of(7, "lost1"));
    append(&bed, 0, batch(&[value("b")]));
    append(&bed, 0, of(8, "kept1"));
    assert_eq!(seen().await, "a", "nothing behind the first open transaction");
    append(&bed, 0, end(8, MarkerKind::Commit));
    assert_eq!(seen().await, "a");
    lake.flush(None).await.unwrap();
    assert_eq!(bed.log.consumed_streams("orders"), [1]);
    append(&bed, 0, of(7, "lost2"));
    append(&bed, 0, end(7, MarkerKind::Abort));
    assert_eq!(seen().await, "a b kept1");
    append(&bed, 0, of(7, "kept2"));
    append(&bed, 0, end(7, MarkerKind::Commit));
    append(&bed, 0, of(7, "lost3"));
    assert_eq!(seen().await, "a b kept1 kept2");
    append(&bed, 0, end(7, MarkerKind::Abort));
    assert_eq!(seen().await, "a b kept1 kept2");
    lake.flush(None).await.unwrap();
    assert_eq!(seen().await, "a b kept1 kept2");
    assert_eq!(
        bed.log.consumed_streams("orders"),
        [11],
        "what has no rows is passed, and lets go of the log"
    );
}

/// Offsets of a topic by partition.
pub async fn offsets(bed: &Bed, lake: &Lake) -> Vec<(String, String)> {
    let rows = rows(bed, lake).await;
    let mut all: Vec<_> = column(&rows, "partition").into_iter().zip(column(&rows, "offset")).collect();
    all.sort_by_key(|(partition, offset)| (partition.clone(), offset.parse::<u64>().unwrap()));
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_loses_nothing_and_doubles_nothing() {
    let (bed, registry) = bed(ValuesMode::Json).await;
    let mut expected = Vec::new();
    let mut n = 0;
    for round in 0..12 {
        let lake = lake(&bed, &registry).await;
        for partition in 0..3 {
            let texts: Vec<String> =
                (0..5).map(|k| format!(r#"{{"n":{},"f{}":1}}"#, n + k, round % 4)).collect();
            append(&bed, partition, batch(&texts.iter().map(|text| value(text)).collect::<Vec<_>>()));
            expected.extend((0..5).map(|k| (partition.to_string(), (round * 5 + k).to_string())));
            n += 5;
        }
        match round % 4 {
            0 => {}
            1 => drop(pin(&bed, &lake).await),
            2 => drop(lake.flush(None).await.unwrap()),
            _ => {
                lake.flush(None).await.unwrap();
                lake.compact(None).await.unwrap();
            }
        }
        if round % 3 == 0 {
            expected.sort_by_key(|(partition, offset)| (partition.clone(), offset.parse::<u64>().unwrap()));
            assert_eq!(offsets(&bed, &lake).await, expected, "round {round}");
        }
    }
    let lake = lake(&bed, &registry).await;
    expected.sort_by_key(|(partition, offset)| (partition.clone(), offset.parse::<u64>().unwrap()));
    assert_eq!(offsets(&bed, &lake).await, expected);
    let rows = rows(&bed, &lake).await;
    let mut seen: Vec<i64> =
        rows.column_by_name("v_n").unwrap().as_primitive::<Int64Type>().values().to_vec();
    seen.sort_unstable();
    assert_eq!(seen, (0..i64::from(n)).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_widen_over_files_tail_and_merges() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    let steps = [
        (r#"{"a":1,"b":true}"#, "v_a Int64, v_b Boolean"),
        (r#"{"a":2,"c":"new"}"#, "v_a Int64, v_b Boolean, v_c Utf8"),
        (r#"{"a":2.5}"#, "v_a Float64, v_b Boolean, v_c Utf8"),
        (r#"{"a":"three","b":7,"A":1}"#, "v_a Utf8, v_b Utf8, v_c Utf8"),
        (r#"{"a":4,"b":false}"#, "v_a Utf8, v_b Utf8, v_c Utf8"),
    ];
    let mut pins = Vec::new();
    for (n, (text, expected)) in steps.into_iter().enumerate() {
        append(&bed, 0, batch(&[value(text)]));
        let pinned = pin(&bed, &lake).await;
        assert_eq!(fields(&pinned.schema), expected);
        assert_eq!(pinned.rows(), n as u64 + 1);
        pins.push((pinned, lake.flush(None).await.unwrap()));
    }
    lake.compact(None).await.unwrap();
    let pinned = pin(&bed, &lake).await;
    assert_eq!((pinned.files.len(), pinned.tail.len()), (1, 0));
    let rows = bed.rows(&lake, &pinned).await;
    assert_eq!(column(&rows, "v_a"), ["1", "2", "2.5", "three", "4"]);
    assert_eq!(column(&rows, "v_b"), ["true", "null", "null", "7", "false"]);
    for ((pinned, snapshot), (_, expected)) in pins.iter().zip(steps) {
        let old = lake.pin_stream_snapshot(&bed.shop, "orders", *snapshot).await.unwrap().unwrap();
        assert_eq!((fields(&old.schema).as_str(), old.rows()), (expected, pinned.rows()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whom_a_record_is_about_is_in_its_row() {
    let (bed, registry) = bed(ValuesMode::Json).await;
    let lake = lake(&bed, &registry).await;
    let records = batch(&[value("{}"), value("{}"), value("{}")]);
    let about = StreamSubjects::of([(0, vec!["user:a", "email:b"]), (2, vec!["email:b"])]);
    bed.log.append_about(bed.project(), "orders", 0, (records, about), bed.clock.now());
    append(&bed, 0, batch(&[value("{}")]));
    for _ in ["from memory", "from a file"] {
        let rows = rows(&bed, &lake).await;
        assert_eq!(column(&rows, "subject"), ["user:a", "null", "email:b", "null"]);
        assert_eq!(column(&rows, "subjects"), ["[user:a, email:b]", "[]", "[email:b]", "[]"]);
        lake.flush(None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_with_a_column_has_it_beside_any_number_of_others() {
    let (bed, registry) = bed(ValuesMode::Auto).await;
    let lake = lake(&bed, &registry).await;
    append(&bed, 0, batch(&[value(r#"{"status":"first"}"#)]));
    assert_eq!(column(&rows(&bed, &lake).await, "v_status"), ["first"]);
    // More names than a table has columns, and the known one at their end.
    let names: Vec<String> = (0..600).map(|n| format!("\"a{n}\":{n}")).collect();
    let many = format!("{{{},\"status\":\"many\"}}", names.join(","));
    append(&bed, 0, batch(&[value(&many), value(r#"{"status":"later","late":1}"#)]));
    let rows = rows(&bed, &lake).await;
    assert_eq!(column(&rows, "v_status"), ["first", "many", "later"]);
    assert_eq!(column(&rows, "v_a510"), ["null", "510", "null"]);
    assert!(rows.column_by_name("v_a511").is_none() && rows.column_by_name("v_late").is_none());
}
