//! What every test stands on: a log in memory, a clock that stands still, a folder.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use arrow::array::{
    ArrayRef, AsArray, Int32Array, Int64Array, ListBuilder, MapBuilder, MapFieldNames, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, FieldRef, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use bytes::Bytes;
use candor_gate::StreamSubjects;
use candor_lake::{Lake, LakeConfig, LakeParts, Pinned, Source};
use candor_log::{Aborted, Committed, Follower, ReadError, Topic};
use candor_meta::{Database, ReadScope, Tenancy};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Offset, Partition, PolicyEpoch, ProjectId, Signal, Timestamp, TopicName};
use candor_records::{Header, Marker, MarkerKind};
use candor_store::{DiskObjects, Files, Objects, RealDisk};
use parking_lot::Mutex;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// 2026-11-20T10:00:00Z.
pub const START: Timestamp = Timestamp(1_795_168_800_000_000);

/// A log in memory that behaves as the real one does to a follower and a reader.
#[derive(Default)]
pub struct MemoryLog {
    state: Mutex<LogState>,
    pub reads: AtomicUsize,
    pub refuse_reads: AtomicBool,
    /// The topic of which nothing can be read.
    pub unreadable: Mutex<Option<String>>,
}

#[derive(Default)]
struct LogState {
    topics: BTreeMap<(Topic, Partition), Vec<Committed>>,
    followers: Vec<Arc<dyn Follower>>,
    consumed: BTreeMap<(Topic, Partition), Offset>,
    starts: BTreeMap<(Topic, Partition), Offset>,
}

impl MemoryLog {
    /// Commits rows as one batch; the follower has seen them on return.
    pub fn append(&self, project: ProjectId, signal: Signal, rows: RecordBatch, at: Timestamp) {
        self.append_to(project, signal, Partition(0), rows, at);
    }

    pub fn append_to(
        &self,
        project: ProjectId,
        signal: Signal,
        partition: Partition,
        rows: RecordBatch,
        at: Timestamp,
    ) {
        let topic = Topic { project, name: signal.topic() };
        let count = rows.num_rows() as u32;
        self.commit(topic, partition, count, Some(rows), (Bytes::new(), StreamSubjects::default()), at);
    }

    /// Commits a record batch to a topic of streams.
    pub fn append_stream(
        &self,
        project: ProjectId,
        topic: &str,
        partition: u32,
        batch: Bytes,
        at: Timestamp,
    ) {
        self.append_about(project, topic, partition, (batch, StreamSubjects::default()), at);
    }

    /// The same with whom its records are about.
    pub fn append_about(
        &self,
        project: ProjectId,
        topic: &str,
        partition: u32,
        (batch, subjects): (Bytes, StreamSubjects),
        at: Timestamp,
    ) {
        let topic = Topic { project, name: TopicName(topic.to_owned()) };
        let count = Header::parse(&batch).unwrap().offsets();
        self.commit(topic, Partition(partition), count, None, (batch, subjects), at);
    }

    fn commit(
        &self,
        topic: Topic,
        partition: Partition,
        count: u32,
        rows: Option<RecordBatch>,
        (bytes, subjects): (Bytes, StreamSubjects),
        at: Timestamp,
    ) {
        let mut state = self.state.lock();
        let batches = state.topics.entry((topic.clone(), partition)).or_default();
        let base = batches.last().map_or(0, |last| last.base.0 + u64::from(last.count));
        let batch = Committed {
            topic,
            partition,
            base: Offset(base),
            count,
            ingested_at: at,
            epoch: PolicyEpoch(1),
            request: None,
            batch: bytes,
            rows,
            vault: Vec::new(),
            subjects,
        };
        batches.push(batch.clone());
        for follower in &state.followers {
            follower.committed(std::slice::from_ref(&batch));
        }
    }

    /// Loses a batch of the first partition, as nothing may.
    pub fn lose(&self, project: ProjectId, signal: Signal, batch: usize) {
        let topic = Topic { project, name: signal.topic() };
        if let Some(batches) = self.state.lock().topics.get_mut(&(topic, Partition(0))) {
            batches.remove(batch);
        }
    }

    /// How far somebody said that a topic's partitions were consumed.
    pub fn consumed_streams(&self, topic: &str) -> Vec<u64> {
        let state = self.state.lock();
        let of = state.consumed.iter().filter(|((of, _), _)| of.name.0 == topic);
        of.map(|(_, offset)| offset.0).collect()
    }

    /// Lets a partition of a topic of streams begin later.
    pub fn trim(&self, project: ProjectId, topic: &str, partition: u32, start: u64) {
        let topic = Topic { project, name: TopicName(topic.to_owned()) };
        let mut state = self.state.lock();
        if let Some(batches) = state.topics.get_mut(&(topic.clone(), Partition(partition))) {
            batches.retain(|batch| batch.base.0 + u64::from(batch.count) > start);
        }
        state.starts.insert((topic, Partition(partition)), Offset(start));
    }

    /// The transactions of a partition: the first offsets of those that are open, and the aborted ones with their markers.
    fn transactions(batches: &[Committed]) -> (Vec<Offset>, Vec<(Aborted, Offset)>) {
        let mut open: BTreeMap<i64, Offset> = BTreeMap::new();
        let mut aborted = Vec::new();
        for batch in batches {
            let Ok(header) = Header::parse(&batch.batch) else { continue };
            if header.is_control() {
                let opened = candor_records::open(&batch.batch, candor_gate::STREAM_BOUNDS).unwrap();
                let marker = Marker::read(&opened.records().next().unwrap().unwrap()).unwrap();
                let first = open.remove(&header.producer_id);
                if marker.kind == MarkerKind::Abort
                    && let Some(first_offset) = first
                {
                    aborted.push((Aborted { first_offset, producer_id: header.producer_id }, batch.base));
                }
            } else if header.is_transactional() {
                open.entry(header.producer_id).or_insert(batch.base);
            }
        }
        aborted.sort_unstable();
        (open.into_values().collect(), aborted)
    }

    pub fn consumed_to(&self, project: ProjectId, signal: Signal) -> Option<Offset> {
        let topic = Topic { project, name: signal.topic() };
        self.state.lock().consumed.get(&(topic, Partition(0))).copied()
    }
}

#[async_trait]
impl Source for MemoryLog {
    fn follow(&self, follower: Arc<dyn Follower>) -> Vec<(Topic, Partition, Offset)> {
        let mut state = self.state.lock();
        state.followers.push(follower);
        let end = |batches: &Vec<Committed>| {
            batches.last().map_or(Offset(0), |last| Offset(last.base.0 + u64::from(last.count)))
        };
        state.topics.iter().map(|((topic, part), batches)| (topic.clone(), *part, end(batches))).collect()
    }
    fn log_start(&self, topic: &Topic, partition: Partition) -> Offset {
        self.state.lock().starts.get(&(topic.clone(), partition)).copied().unwrap_or_default()
    }
    fn stable_ends(&self, topic: &Topic) -> Vec<(Partition, Offset)> {
        let state = self.state.lock();
        let of = state.topics.iter().filter(|((of, _), _)| of == topic);
        of.map(|((_, partition), batches)| {
            let end = batches.last().map_or(0, |last| last.base.0 + u64::from(last.count));
            let (open, _) = MemoryLog::transactions(batches);
            (*partition, open.into_iter().min().unwrap_or(Offset(end)))
        })
        .collect()
    }
    fn aborted_among(&self, batches: &[Committed]) -> Vec<Aborted> {
        let Some(first) = batches.first() else { return Vec::new() };
        let state = self.state.lock();
        let all = state.topics.get(&(first.topic.clone(), first.partition));
        let (_, mut aborted) = MemoryLog::transactions(all.map(Vec::as_slice).unwrap_or_default());
        aborted.retain(|(aborted, marker)| {
            batches.iter().any(|batch| {
                let producer = Header::parse(&batch.batch).map(|header| header.producer_id);
                producer.is_ok_and(|producer| producer == aborted.producer_id)
                    && (aborted.first_offset..*marker).contains(&batch.base)
            })
        });
        aborted.into_iter().map(|(aborted, _)| aborted).collect()
    }
    fn consumed(&self, topic: &Topic, partition: Partition, next: Offset) {
        self.state.lock().consumed.insert((topic.clone(), partition), next);
    }
    async fn read(
        &self,
        topic: &Topic,
        partition: Partition,
        from: Offset,
        _max_bytes: usize,
    ) -> Result<Vec<Committed>, ReadError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let is_unreadable = self.unreadable.lock().as_ref() == Some(&topic.name.0);
        if self.refuse_reads.load(Ordering::Relaxed) || is_unreadable {
            return Err(ReadError::Storage("the disk is gone".into()));
        }
        let state = self.state.lock();
        let batches = state.topics.get(&(topic.clone(), partition)).map(Vec::as_slice).unwrap_or_default();
        let beyond = batches.iter().filter(|batch| batch.base.0 + u64::from(batch.count) > from.0);
        Ok(beyond.take(16).cloned().collect())
    }
}

/// A folder with databases and files, a log, a clock, two projects.
pub struct Bed {
    pub folder: tempfile::TempDir,
    pub clock: Arc<ManualClock>,
    pub log: Arc<MemoryLog>,
    pub files: Arc<Files>,
    pub objects: Arc<dyn Objects>,
    pub catalog: Database,
    pub meta: Database,
    pub shop: ReadScope,
    pub other: ReadScope,
    seed: AtomicUsize,
}

impl Bed {
    pub async fn new() -> Bed {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Database::open_sqlite(&folder.path().join("lake.db"), &[]).await.unwrap();
        Bed::over(folder, catalog).await
    }

    /// With the catalog in PostgreSQL; none where that is not installed.
    pub async fn postgres(test: &str) -> Option<Bed> {
        let server = candor_testbed::postgres::server(test)?;
        let catalog = Database::open_postgres(&server.url(), &server.fresh_schema(), &[]).await.unwrap();
        Some(Bed::over(tempfile::tempdir().unwrap(), catalog).await)
    }

    async fn over(folder: tempfile::TempDir, catalog: Database) -> Bed {
        let clock = Arc::new(ManualClock::new(START));
        let disk = Arc::new(RealDisk::open(&folder.path().join("objects"), 0).unwrap());
        let objects: Arc<dyn Objects> = Arc::new(DiskObjects::new(disk, ""));
        // Plain files, so that DuckDB opens them as they lie; what encrypts is below the lake and tested there.
        let files = Arc::new(Files::new(Arc::clone(&objects), None, Arc::new(Seeded::new(7))));
        let meta = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        let clock_of_tenancy: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let tenancy = Tenancy::open(meta.clone(), clock_of_tenancy, Arc::new(Seeded::new(9))).await.unwrap();
        let mut scopes = Vec::new();
        for name in ["shop", "other"] {
            let (project, _) = tenancy.create_project(name).await.unwrap();
            scopes.push(tenancy.admin_read(project.id).await.unwrap().unwrap());
        }
        let other = scopes.pop().unwrap();
        let shop = scopes.pop().unwrap();
        let log = Arc::new(MemoryLog::default());
        Bed { folder, clock, log, files, objects, catalog, meta, shop, other, seed: AtomicUsize::new(0) }
    }

    pub fn config(&self) -> LakeConfig {
        LakeConfig { data_path: self.data_path(), upkeep: false, ..LakeConfig::default() }
    }

    pub fn data_path(&self) -> String {
        format!("{}/objects/lake/", self.folder.path().display())
    }

    pub async fn lake(&self) -> Lake {
        self.lake_with(self.config()).await
    }

    pub async fn lake_with(&self, config: LakeConfig) -> Lake {
        Lake::start(self.parts(), config).await.unwrap()
    }

    pub fn parts(&self) -> LakeParts {
        LakeParts {
            catalog: self.catalog.clone(),
            meta: self.meta.clone(),
            files: Arc::clone(&self.files),
            source: Arc::clone(&self.log) as Arc<dyn Source>,
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            random: Arc::new(Seeded::new(self.seed.fetch_add(1, Ordering::Relaxed) as u64 + 100)),
        }
    }

    pub fn project(&self) -> ProjectId {
        self.shop.project()
    }

    /// Commits log rows numbered from `first`.
    pub fn logs(&self, first: usize, count: usize) {
        self.log.append(self.project(), Signal::Logs, logs(first, count), self.clock.now());
    }

    pub fn advance_seconds(&self, seconds: i64) {
        self.clock.advance(seconds * 1_000_000);
    }

    /// Every row of a table, in `_offset` order, with only the columns of the table.
    pub async fn rows(&self, lake: &Lake, pinned: &Pinned) -> RecordBatch {
        let mut batches = Vec::new();
        for file in pinned.files.iter() {
            let stored = lake.open(file).await.unwrap();
            assert_eq!(stored.length(), file.length);
            let bytes = stored.read(0..file.length).await.unwrap();
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            let footer = reader.metadata().file_metadata().num_rows();
            assert_eq!(footer as u64, file.rows, "the catalog's count is the footer's");
            for batch in reader.build().unwrap() {
                batches.push(widen(&batch.unwrap(), &pinned.schema));
            }
        }
        batches.extend(pinned.tail.iter().cloned());
        let all = arrow::compute::concat_batches(&pinned.schema, &batches).unwrap();
        let offsets = all.column_by_name("_offset").unwrap();
        let order = arrow::compute::sort_to_indices(offsets, None, None).unwrap();
        arrow::compute::take_record_batch(&all, &order).unwrap()
    }

    pub async fn offsets(&self, lake: &Lake, signal: Signal) -> Vec<i64> {
        let pinned = lake.pin(&self.shop, signal).await.unwrap();
        let rows = self.rows(lake, &pinned).await;
        rows.column_by_name("_offset").unwrap().as_primitive::<Int64Type>().values().to_vec()
    }

    /// Keys of all objects below `lake/`.
    pub async fn stored(&self) -> Vec<String> {
        self.objects.list("lake/").await.unwrap()
    }
}

/// The batch with the columns that it lacks as null, and fields that are narrower cast.
fn widen(batch: &RecordBatch, schema: &Arc<Schema>) -> RecordBatch {
    let columns = schema
        .fields()
        .iter()
        .map(|field| {
            let there = batch.column_by_name(field.name()).cloned();
            match there {
                Some(array) => arrow::compute::cast(&array, field.data_type()).unwrap(),
                None => arrow::array::new_null_array(field.data_type(), batch.num_rows()),
            }
        })
        .collect();
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

/// Log rows numbered from `first`: ten a second, five services, attributes of several types.
pub fn logs(first: usize, count: usize) -> RecordBatch {
    rows(Signal::Logs, first, count)
}

/// Rows of a signal, each column a function of the row's number.
pub fn rows(signal: Signal, first: usize, count: usize) -> RecordBatch {
    let schema = candor_gate::schema::schema(signal);
    let numbers = first..first + count;
    let columns =
        schema.fields().iter().map(|field| column(field.name(), field.data_type(), numbers.clone()));
    RecordBatch::try_new(Arc::clone(&schema), columns.collect()).unwrap()
}

fn column(name: &str, kind: &DataType, numbers: std::ops::Range<usize>) -> ArrayRef {
    match kind {
        DataType::Timestamp(_, _) => {
            let times = numbers.map(|n| START.0 + n as i64 * 100_000);
            Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
        }
        DataType::Int32 => Arc::new(Int32Array::from_iter_values(numbers.map(|n| (n % 25) as i32))),
        DataType::Int64 => Arc::new(Int64Array::from_iter_values(numbers.map(|n| n as i64 * 17))),
        DataType::Utf8 => Arc::new(numbers.map(|n| text(name, n)).collect::<StringArray>()),
        DataType::List(element) => {
            let mut list = ListBuilder::new(StringBuilder::new()).with_field(Arc::clone(element));
            for n in numbers {
                list.append_value((0..n % 3).map(|k| Some(format!("user:{n}-{k}"))));
            }
            Arc::new(list.finish())
        }
        DataType::Map(entries, _) => map(entries, numbers.map(attributes)),
        other => panic!("no rows for {other}"),
    }
}

/// A map column with these pairs in each row.
pub fn map(entries: &FieldRef, rows: impl IntoIterator<Item = Vec<(&'static str, String)>>) -> ArrayRef {
    let DataType::Struct(pair) = entries.data_type() else { panic!("a map of {entries:?}") };
    let names = MapFieldNames {
        entry: entries.name().clone(),
        key: pair[0].name().clone(),
        value: pair[1].name().clone(),
    };
    let mut map = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    for row in rows {
        for (key, value) in row {
            map.keys().append_value(key);
            map.values().append_value(value);
        }
        map.append(true).unwrap();
    }
    Arc::new(map.finish())
}

fn text(name: &str, n: usize) -> Option<String> {
    Some(match name {
        "service_name" => format!("service-{}", n % 5),
        "level" | "severity_text" => ["info", "warn", "error"][n % 3].to_owned(),
        "host_name" if n.is_multiple_of(7) => return None,
        "host_name" => format!("host-{}", n % 11),
        "trace_id" => format!("{:032x}", n / 5),
        "source" => "app".to_owned(),
        _ => format!("{name} number {n} with some words"),
    })
}

/// A number, a text of few values, one that is a number but for some rows, one of many values.
pub fn attributes(n: usize) -> Vec<(&'static str, String)> {
    vec![
        ("http.status", (200 + n % 4 * 100).to_string()),
        ("region", format!("eu-{}", n % 3)),
        ("mixed", if n % 1000 == 999 { "none".to_owned() } else { n.to_string() }),
        ("request.id", format!("req-{n}")),
    ]
}
