//! Tests over a lake of their own: known rows, some in Parquet files in memory, some in the tail.

mod crowd;
mod fuzz;
mod ledger;
mod limits;
mod promoted;
mod refused;
mod search;
mod shape;
mod slt;
mod streams;
mod times;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use candor_lake::{Bound, ColumnStats, DataFile, LakeError, TableName};
use candor_model::time::ManualClock;
use candor_model::{IssueMap, ProjectId, Signal, Timestamp, TopicName};
use candor_store::StoreError;
use datafusion::arrow::array::{
    ArrayRef, Int32Builder, Int64Builder, ListBuilder, MapBuilder, MapFieldNames, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Field, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::file::metadata::KeyValue;
use datafusion::parquet::file::properties::WriterProperties;

use crate::engine::Engine;
use crate::source::{Content, LedgerRow, Scoped, SourceError, View};
use crate::{Answer, Format, Limits, Options, QueryError, encode};

/// 2026-11-20T10:00:00Z, when the rows of the test lake begin.
pub(crate) const START: i64 = 1_795_168_800_000_000;

const SECOND: i64 = 1_000_000;

/// Where tables are whatever the test made them.
#[derive(Default)]
pub(crate) struct TestLake {
    tables: HashMap<Signal, View>,
    streams: BTreeMap<String, View>,
    files: HashMap<String, Bytes>,
    pub(crate) reads: AtomicU64,
    /// The number after the newest entry of the ledger; each time it is asked for there is one more.
    pub(crate) ledger_end: AtomicU64,
    /// Makes every read wait: a store that hangs.
    pub(crate) read_delay: Option<std::time::Duration>,
}

struct InMemory {
    bytes: Bytes,
    delay: Option<std::time::Duration>,
}

#[async_trait]
impl Content for InMemory {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        if let Some(delay) = self.delay {
            tokio::time::sleep(delay).await;
        }
        Ok(self.bytes.slice(range.start as usize..range.end as usize))
    }
}

#[async_trait]
impl Scoped for TestLake {
    async fn pin(&self, signal: Signal, snapshot: Option<i64>) -> Result<View, LakeError> {
        match snapshot {
            Some(snapshot) if snapshot > 7 => Err(LakeError::NoSnapshot(snapshot)),
            Some(_) => Ok(View { tail: Arc::default(), ..self.tables[&signal].clone() }),
            None => Ok(self.tables[&signal].clone()),
        }
    }
    fn streams(&self) -> Vec<Arc<str>> {
        self.streams.keys().map(|name| Arc::from(&**name)).collect()
    }
    async fn stream_columns(&self, name: &str) -> Result<Option<SchemaRef>, LakeError> {
        Ok(self.streams.get(name).map(|view| Arc::clone(&view.schema)))
    }
    async fn pin_stream(&self, name: &str, _: Option<i64>) -> Result<Option<View>, LakeError> {
        Ok(self.streams.get(name).cloned())
    }
    async fn open(&self, file: &DataFile) -> Result<Arc<dyn Content>, LakeError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        Ok(Arc::new(InMemory { bytes: self.files[&file.key].clone(), delay: self.read_delay }))
    }
    async fn ledger_end(&self) -> Result<u64, SourceError> {
        Ok(self.ledger_end.fetch_add(ledger::EVERY, Ordering::Relaxed))
    }
    async fn ledger_below(&self, below: u64, count: u32) -> Result<Vec<LedgerRow>, SourceError> {
        if self.ledger_end.load(Ordering::Relaxed) == ledger::BROKEN + ledger::EVERY {
            return Err("the database is gone".into());
        }
        let own = (0..below).rev().filter(|index| index.is_multiple_of(ledger::EVERY));
        Ok(own.take(count as usize).map(ledger::row).collect())
    }
}

impl TestLake {
    /// Sets a table: files of these batches, and the tail.
    pub(crate) fn table(&mut self, signal: Signal, files: &[RecordBatch], tail: &[RecordBatch]) {
        let schema = files.iter().chain(tail).next().expect("rows").schema();
        let view = self.view(signal.into(), schema, files, tail);
        self.tables.insert(signal, view);
    }

    /// Says from when on a table's rows are shown.
    pub(crate) fn hide(&mut self, signal: Signal, not_before: Option<i64>) {
        if let Some(view) = self.tables.get_mut(&signal) {
            view.not_before = not_before;
        }
    }

    /// Sets a topic's table, whose files may have fewer and narrower columns than its schema.
    pub(crate) fn stream(
        &mut self,
        name: &str,
        schema: SchemaRef,
        files: &[RecordBatch],
        tail: &[RecordBatch],
    ) {
        let view = self.view(TableName::Stream(TopicName(name.to_owned())), schema, files, tail);
        self.streams.insert(name.to_owned(), view);
    }

    fn view(
        &mut self,
        name: TableName,
        schema: SchemaRef,
        files: &[RecordBatch],
        tail: &[RecordBatch],
    ) -> View {
        let mut listed = Vec::new();
        for (at, batch) in files.iter().enumerate() {
            let key = format!("p1/{name:?}/{at}.parquet");
            let (bytes, footer) = parquet(batch);
            listed.push(DataFile {
                id: at as i64,
                key: key.clone(),
                length: bytes.len() as u64,
                footer,
                rows: batch.num_rows() as u64,
                timestamps: bounds(batch, "timestamp"),
                ingested: bounds(batch, "_ingested_at"),
                columns: text_stats(batch, "service_name"),
            });
            self.files.insert(key, bytes);
        }
        View {
            project: ProjectId(1),
            name,
            schema,
            files: Arc::new(listed),
            tail: Arc::new(tail.to_vec()),
            not_before: None,
            _hold: None,
        }
    }
}

fn parquet(batch: &RecordBatch) -> (Bytes, u64) {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(64)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).expect("writer");
    writer.write(batch).expect("written");
    // As the lake writes them, not within the Arrow schema.
    for (key, value) in batch.schema().metadata() {
        writer.append_key_value_metadata(KeyValue::new(key.clone(), value.clone()));
    }
    writer.close().expect("closed");
    let footer = u32::from_le_bytes(out[out.len() - 8..out.len() - 4].try_into().expect("four"));
    (Bytes::from(out), u64::from(footer))
}

fn bounds(batch: &RecordBatch, column: &str) -> (i64, i64) {
    use datafusion::arrow::array::AsArray;
    use datafusion::arrow::datatypes::TimestampMicrosecondType;
    let values = batch.column_by_name(column).expect("column").as_primitive::<TimestampMicrosecondType>();
    let values: Vec<i64> = values.iter().flatten().collect();
    (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0))
}

fn text_stats(batch: &RecordBatch, column: &'static str) -> Arc<[ColumnStats]> {
    use datafusion::arrow::array::{Array, AsArray};
    let Some(values) = batch.column_by_name(column) else { return Arc::new([]) };
    let values = values.as_string::<i32>();
    let bound = |value: Option<&str>| value.map(|value| Bound::Text(value.into()));
    Arc::new([ColumnStats {
        column,
        rows: values.len() as u64,
        nulls: values.null_count() as u64,
        min: bound(values.iter().flatten().min()),
        max: bound(values.iter().flatten().max()),
    }])
}

pub(crate) fn logs_schema() -> SchemaRef {
    candor_lake::base_schema(Signal::Logs)
}

pub(crate) fn errors_schema() -> SchemaRef {
    candor_lake::base_schema(Signal::Errors)
}

pub(crate) fn spans_schema() -> SchemaRef {
    candor_lake::base_schema(Signal::Spans)
}

/// A value of a row under construction.
#[derive(Debug, Clone)]
pub(crate) enum Cell {
    Int(i64),
    Text(String),
    List(Vec<String>),
    Map(Vec<(String, String)>),
}

pub(crate) type Row = HashMap<&'static str, Cell>;

/// Rows as a batch; what a row lacks is null, or 0 where that may not be.
pub(crate) fn batch(schema: &SchemaRef, rows: &[Row]) -> RecordBatch {
    let columns = schema.fields().iter().map(|field| column(field, rows)).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).expect("columns fit")
}

fn column(field: &Field, rows: &[Row]) -> ArrayRef {
    let int = |row: &Row| match row.get(field.name().as_str()) {
        Some(Cell::Int(value)) => Some(*value),
        _ => (!field.is_nullable()).then_some(0),
    };
    match field.data_type() {
        DataType::Timestamp(_, _) => {
            let mut builder = TimestampMicrosecondBuilder::new().with_timezone("UTC");
            rows.iter().for_each(|row| builder.append_option(int(row)));
            Arc::new(builder.finish())
        }
        DataType::Int32 => {
            let mut builder = Int32Builder::new();
            rows.iter().for_each(|row| builder.append_option(int(row).map(|value| value as i32)));
            Arc::new(builder.finish())
        }
        DataType::Int64 => {
            let mut builder = Int64Builder::new();
            rows.iter().for_each(|row| builder.append_option(int(row)));
            Arc::new(builder.finish())
        }
        DataType::Utf8 => {
            let mut builder = StringBuilder::new();
            for row in rows {
                match row.get(field.name().as_str()) {
                    Some(Cell::Text(text)) => builder.append_value(text),
                    _ => builder.append_null(),
                }
            }
            Arc::new(builder.finish())
        }
        DataType::List(item) => {
            let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(item));
            for row in rows {
                if let Some(Cell::List(items)) = row.get(field.name().as_str()) {
                    items.iter().for_each(|item| builder.values().append_value(item));
                }
                builder.append(true);
            }
            Arc::new(builder.finish())
        }
        DataType::Map(_, _) => {
            let names = MapFieldNames {
                entry: "key_value".to_owned(),
                key: "key".to_owned(),
                value: "value".to_owned(),
            };
            let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
            for row in rows {
                let members = match row.get(field.name().as_str()) {
                    Some(Cell::Map(members)) => members.as_slice(),
                    _ => &[],
                };
                for (key, value) in members {
                    builder.keys().append_value(key);
                    builder.values().append_value(value);
                }
                builder.append(true).expect("appended");
            }
            Arc::new(builder.finish())
        }
        other => panic!("no test values of {other}"),
    }
}

pub(crate) fn text(value: impl Into<String>) -> Cell {
    Cell::Text(value.into())
}

pub(crate) fn map(members: &[(&str, &str)]) -> Cell {
    Cell::Map(members.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
}

/// Log record number `at`: one a second, of three services and four severities.
pub(crate) fn log_row(at: i64) -> Row {
    let services = ["cart", "web", "db"];
    let severities = [("INFO", 9), ("WARN", 13), ("ERROR", 17), ("DEBUG", 5)];
    let service = services[(at % 3) as usize];
    let (severity, number) = severities[(at % 4) as usize];
    let mut row: Row = HashMap::new();
    row.insert("timestamp", Cell::Int(START + at * SECOND));
    row.insert("timestamp_ns", Cell::Int(at % 1000));
    row.insert("observed_timestamp", Cell::Int(START + at * SECOND + 5));
    row.insert("severity_text", text(severity));
    row.insert("severity_number", Cell::Int(number));
    row.insert(
        "body",
        text(format!("request {at} took {} ms{}", at % 97, if at % 50 == 0 { ", Timed out" } else { "" })),
    );
    row.insert("service_name", text(service));
    if at % 5 != 0 {
        row.insert("host_name", text(format!("{service}-{}", at % 2)));
    }
    if at % 10 == 0 {
        row.insert("trace_id", text(format!("{:032x}", at / 30)));
    }
    row.insert("source", text("main"));
    let status = if at % 7 == 0 { "none".to_owned() } else { format!("{}", 200 + at % 4 * 100) };
    row.insert("attributes", map(&[("http.status", &status), ("path", &format!("/api/{}", at % 9))]));
    row.insert("subject", text(format!("user:{}", at % 6)));
    row.insert("subjects", Cell::List(vec![format!("user:{}", at % 6), format!("device:{}", at % 2)]));
    row.insert("_ingested_at", Cell::Int(START + at * SECOND + 10));
    row.insert("_offset", Cell::Int(at));
    row.insert("_epoch", Cell::Int(1));
    row
}

pub(crate) fn error_row(at: i64) -> Row {
    let mut row: Row = HashMap::new();
    row.insert("timestamp", Cell::Int(START + at * 60 * SECOND));
    row.insert("event_id", text(format!("{at:032x}")));
    row.insert("level", text(["error", "warning", "fatal"][(at % 3) as usize]));
    row.insert("type", text(["ValueError", "KeyError"][(at % 2) as usize]));
    row.insert("value", text(format!("bad value {at}")));
    row.insert("release", text("shop@1.2"));
    row.insert("tags", map(&[("browser", "Firefox"), ("size", &at.to_string())]));
    row.insert("contexts", text(r#"{"os":{"name":"Linux","version":"6.1"},"n":[1,2,{"x":"y"}]}"#));
    row.insert("event", text(format!(r#"{{"user":{{"id":{at}}},"ok":true,"message":"say \"hi\" ä"}}"#)));
    row.insert("group_hashes", Cell::List(vec![format!("new{at}"), format!("h{}", at % 3)]));
    row.insert("_ingested_at", Cell::Int(START + at * 60 * SECOND));
    row.insert("_offset", Cell::Int(at));
    row
}

pub(crate) fn span_row(at: i64) -> Row {
    let mut row: Row = HashMap::new();
    row.insert("timestamp", Cell::Int(START + at * SECOND));
    row.insert("duration_ns", Cell::Int(at * 1_000_000));
    row.insert("trace_id", text(format!("{:032x}", at / 4)));
    row.insert("span_id", text(format!("{at:016x}")));
    row.insert("name", text(format!("GET /{}", at % 3)));
    row.insert("op", text("http.server"));
    row.insert("status", text(if at % 5 == 0 { "error" } else { "ok" }));
    row.insert("service_name", text("web"));
    row.insert("attributes", map(&[("retries", &(at % 3).to_string())]));
    row.insert("_offset", Cell::Int(at));
    row
}

struct FewIssues;

impl IssueMap for FewIssues {
    fn issues(&self, _project: ProjectId) -> Arc<HashMap<String, i64>> {
        Arc::new([("h0".to_owned(), 10), ("h1".to_owned(), 11)].into_iter().collect())
    }
}

/// The lake of most tests: 1,000 log records in 5 files and a tail, 12 errors, 40 spans.
pub(crate) fn standard_lake() -> TestLake {
    let mut lake = TestLake::default();
    let logs = |range: Range<i64>| batch(&logs_schema(), &range.map(log_row).collect::<Vec<_>>());
    lake.table(
        Signal::Logs,
        &[logs(0..200), logs(200..400), logs(400..600), logs(600..800), logs(800..900)],
        &[logs(900..950), logs(950..951), logs(951..1000)],
    );
    let errors = |range: Range<i64>| batch(&errors_schema(), &range.map(error_row).collect::<Vec<_>>());
    lake.table(Signal::Errors, &[errors(0..8)], &[errors(8..12)]);
    let spans = |range: Range<i64>| batch(&spans_schema(), &range.map(span_row).collect::<Vec<_>>());
    lake.table(Signal::Spans, &[], &[spans(0..40)]);
    lake
}

pub(crate) fn engine_with(options: Options) -> Arc<Engine> {
    let clock = ManualClock::new(Timestamp(START + 1000 * SECOND));
    Engine::new(Arc::new(FewIssues), Arc::new(clock), options)
}

pub(crate) fn engine() -> Arc<Engine> {
    engine_with(Options { threads: 2, ..Options::default() })
}

/// Runs SQL over the standard lake.
pub(crate) async fn sql(sql: &str) -> Result<Answer, QueryError> {
    engine().sql(Arc::new(standard_lake()), sql, Limits::default()).await
}

/// The answer as text, without the last line of a table, which says how long it took.
pub(crate) async fn rendered(answer: Answer, format: Format) -> Result<String, QueryError> {
    let whole = encode::collect(answer, format).await?;
    let whole = String::from_utf8(whole.to_vec()).expect("text");
    match format {
        Format::Table => {
            let cut = whole.trim_end().rfind('\n').map_or(0, |at| at + 1);
            Ok(whole[..cut].to_owned())
        }
        _ => Ok(whole),
    }
}
