//! Signals as Kafka's clients read them: each row of a columnar batch a record, its value the row as JSON.
//!
//! The log holds columnar batches; record batches are made at each read. They begin at the offset that is asked for and
//! end where an answer is full, so that a batch of the log of any size is read through in pieces. A value has the
//! columns of the signal's table but for `issue`, which is no part of what was sent. Decoded batches are kept a while,
//! for the next piece.
//!
//! The trade-off refused is keeping what was made: JSON takes some ten times what a columnar batch does.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, Int64Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_gate::codec::{self, CodecError};
use candor_gate::json::JsonRows;
use candor_gate::schema;
use candor_log::{Committed, Log, ReadError, Topic};
use candor_model::{Offset, ProjectId, Signal};
use candor_records::{BadBatch, BatchBuilder, Codec, Headers, place};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::{LEADER_EPOCH, Place};

/// A record batch ends beyond so many bytes of records: a client takes a batch in whole.
const BATCH_BYTES: usize = 256 << 10;

/// What one byte of a columnar batch becomes, roughly: so much less is read than is asked for.
const GROWTH: usize = 8;

/// Decoded batches that are kept, bytes of their arrays together.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// Decoded batches that are kept.
const KEPT_MAX: usize = 64;

/// Decoded and written at once: readers must not take the processors from ingest.
const RENDERING_MAX: usize = 2;

/// How far is looked for a record of a time behind the first batch that may hold one, bytes of columnar batches.
const SEARCH_BYTES: usize = 4 << 20;

const MICROS_PER_MS: i64 = 1000;

/// Why rows cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignalError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error("a batch of a signal cannot be decoded")]
    Codec(#[from] CodecError),
    #[error("columns of a signal do not fit")]
    Columns(#[from] ArrowError),
    #[error("a batch of a signal has {found} rows and says {said}")]
    Rows { found: usize, said: u32 },
    #[error("records of a signal make no batch")]
    Batch(#[from] BadBatch),
    #[error("the server stops")]
    Stopped,
}

impl SignalError {
    /// The error that a client is told, the cause said in our own log.
    pub fn told(&self, what: &str) -> ResponseError {
        if let SignalError::Read(ReadError::OutOfRange { .. }) = self {
            return ResponseError::OffsetOutOfRange;
        }
        tracing::warn!(error = self as &dyn std::error::Error, "{what}");
        ResponseError::KafkaStorageError
    }
}

/// Makes record batches of signals. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Signals {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    /// The newest last.
    kept: Mutex<VecDeque<Kept>>,
    rendering: Semaphore,
}

struct Kept {
    topic: Topic,
    base: Offset,
    rows: RecordBatch,
    bytes: usize,
}

impl Signals {
    pub fn new(log: Log) -> Signals {
        let (kept, rendering) = (Mutex::default(), Semaphore::new(RENDERING_MAX));
        Signals { inner: Arc::new(Inner { log, kept, rendering }) }
    }

    /// Record batches from an offset on, together no longer than `bytes_max`, but with one record at the least where
    /// `at_least_one` says so.
    pub async fn read(
        &self,
        place: &Place,
        signal: Signal,
        from: Offset,
        bytes_max: usize,
        at_least_one: bool,
    ) -> Result<Vec<Bytes>, SignalError> {
        let Place { topic, partition } = place;
        let batches = self.inner.log.read(topic, *partition, from, (bytes_max / GROWTH).max(1)).await?;
        let signals = self.clone();
        let write = move || {
            let mut written = Written { batches: Vec::new(), bytes: 0, bytes_max, at_least_one };
            for batch in batches {
                let rows = signals.rows(signal, &batch)?;
                let first = usize::try_from(from.0.saturating_sub(batch.base.0)).unwrap_or(usize::MAX);
                if !written.add(signal, batch.base, &rows, first)? {
                    break;
                }
            }
            Ok(written.batches)
        };
        self.aside(write).await
    }

    /// The first record with that time (milliseconds since 1970) or a later one: its offset and its time.
    ///
    /// Rows come in the order of their arrival and none arrives before its time, so the search begins with what arrived
    /// then. Where nothing is found within a bound, it is where the search ended, without a time: no record of that
    /// time lies before it.
    pub async fn offset_for_timestamp(
        &self,
        place: &Place,
        signal: Signal,
        timestamp: i64,
    ) -> Result<Option<(Offset, i64)>, SignalError> {
        let (log, Place { topic, partition }) = (&self.inner.log, place);
        let end = log.high_watermark(topic, *partition);
        let (mut from, mut to) = (log.log_start(topic, *partition).0, end.0);
        while from < to {
            let middle = from + (to - from) / 2;
            let batches = log.read(topic, *partition, Offset(middle), 1).await?;
            let Some(batch) = batches.first() else { break };
            match batch.ingested_at.0.div_euclid(MICROS_PER_MS) >= timestamp {
                true => to = batch.base.0.max(from),
                false => from = batch.base.0 + u64::from(batch.count),
            }
        }
        if from >= end.0 {
            return Ok(None);
        }
        let batches = log.read(topic, *partition, Offset(from), SEARCH_BYTES).await?;
        let signals = self.clone();
        let search = move || {
            let mut searched = from;
            for batch in &batches {
                let rows = signals.rows(signal, batch)?;
                let times = Times::of(&rows);
                let first = usize::try_from(from.saturating_sub(batch.base.0)).unwrap_or(usize::MAX);
                if let Some(row) = (first..rows.num_rows()).find(|row| times.at(*row) >= timestamp) {
                    return Ok(Some((Offset(batch.base.0 + row as u64), times.at(row))));
                }
                searched = batch.base.0 + u64::from(batch.count);
            }
            Ok((searched < end.0).then_some((Offset(searched), -1)))
        };
        self.aside(search).await
    }

    /// The record with the greatest time among those of the newest batch: its offset and its time.
    pub async fn newest(&self, place: &Place, signal: Signal) -> Result<Option<(Offset, i64)>, SignalError> {
        let (log, Place { topic, partition }) = (&self.inner.log, place);
        let end = log.high_watermark(topic, *partition).0;
        if end <= log.log_start(topic, *partition).0 {
            return Ok(None);
        }
        let batches = log.read(topic, *partition, Offset(end - 1), 1).await?;
        let signals = self.clone();
        let search = move || {
            let Some(batch) = batches.first() else { return Ok(None) };
            let rows = signals.rows(signal, batch)?;
            let times = Times::of(&rows);
            // Of several with the same time the first, as Kafka says.
            let greatest = (0..rows.num_rows()).rev().max_by_key(|row| times.at(*row));
            Ok(greatest.map(|row| (Offset(batch.base.0 + row as u64), times.at(row))))
        };
        self.aside(search).await
    }

    /// Forgets what it keeps of a project.
    pub fn forget(&self, project: ProjectId) {
        self.inner.kept.lock().retain(|kept| kept.topic.project != project);
    }

    /// Runs what takes the processor on a thread for that.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, SignalError> + Send + 'static,
    ) -> Result<T, SignalError> {
        let _leave = self.inner.rendering.acquire().await.map_err(|_| SignalError::Stopped)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| SignalError::Stopped)?
    }

    /// A batch's rows with the columns that the table adds.
    fn rows(&self, signal: Signal, batch: &Committed) -> Result<RecordBatch, SignalError> {
        if let Some(rows) = &batch.rows {
            return with_place(batch, rows);
        }
        if let Some(kept) = self.kept(batch) {
            return Ok(kept);
        }
        let rows = with_place(batch, &codec::decode(signal, &batch.batch)?)?;
        self.keep(batch, &rows);
        Ok(rows)
    }

    fn kept(&self, batch: &Committed) -> Option<RecordBatch> {
        let mut kept = self.inner.kept.lock();
        let at = kept.iter().position(|kept| kept.base == batch.base && kept.topic == batch.topic)?;
        let found = kept.remove(at)?;
        let rows = found.rows.clone();
        kept.push_back(found);
        Some(rows)
    }

    fn keep(&self, batch: &Committed, rows: &RecordBatch) {
        let bytes = rows.get_array_memory_size();
        if bytes > KEPT_BYTES_MAX {
            return;
        }
        let mut kept = self.inner.kept.lock();
        let mut room = KEPT_BYTES_MAX - bytes;
        let fits = kept.iter().rev().take(KEPT_MAX - 1).take_while(|kept| {
            let left = room.checked_sub(kept.bytes);
            room = left.unwrap_or(0);
            left.is_some()
        });
        let stay = fits.count();
        let gone = kept.len() - stay;
        kept.drain(..gone);
        kept.push_back(Kept { topic: batch.topic.clone(), base: batch.base, rows: rows.clone(), bytes });
    }
}

/// Rows with the columns that every table has.
fn with_place(batch: &Committed, rows: &RecordBatch) -> Result<RecordBatch, SignalError> {
    let count = rows.num_rows();
    if count != batch.count as usize {
        return Err(SignalError::Rows { found: count, said: batch.count });
    }
    let first = batch.base.0 as i64;
    let ingested = TimestampMicrosecondArray::from_value(batch.ingested_at.0, count).with_timezone("UTC");
    let added: [(&str, DataType, ArrayRef); 4] = [
        ("_ingested_at", schema::time(), Arc::new(ingested)),
        ("_partition", DataType::Int32, Arc::new(Int32Array::from_value(batch.partition.0 as i32, count))),
        ("_offset", DataType::Int64, Arc::new(Int64Array::from_iter_values(first..first + count as i64))),
        ("_epoch", DataType::Int32, Arc::new(Int32Array::from_value(batch.epoch.0 as i32, count))),
    ];
    let mut fields: Vec<_> = rows.schema().fields().iter().map(Arc::clone).collect();
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    for (name, kind, column) in added {
        fields.push(Arc::new(Field::new(name, kind, false)));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

/// When rows happened, milliseconds since 1970; -1 where none is known.
struct Times<'a>(Option<&'a TimestampMicrosecondArray>);

impl Times<'_> {
    fn of(rows: &RecordBatch) -> Times<'_> {
        let column = rows.column_by_name("timestamp");
        Times(column.and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>()))
    }

    fn at(&self, row: usize) -> i64 {
        let time = self.0.filter(|times| times.is_valid(row)).map(|times| times.value(row));
        time.map_or(-1, |micros| micros.div_euclid(MICROS_PER_MS))
    }
}

/// The column that is a record's key: what belongs together has the same.
fn key_of(signal: Signal) -> &'static str {
    match signal {
        Signal::Logs | Signal::Spans => "trace_id",
        Signal::Errors => "event_id",
    }
}

/// Batches that are being written for an answer.
struct Written {
    batches: Vec<Bytes>,
    bytes: usize,
    bytes_max: usize,
    at_least_one: bool,
}

impl Written {
    /// Writes rows from the `first` on; false once there is no room for more.
    fn add(
        &mut self,
        signal: Signal,
        base: Offset,
        rows: &RecordBatch,
        first: usize,
    ) -> Result<bool, SignalError> {
        let json = JsonRows::new(&rows.schema());
        let (ready, times) = (json.batch(rows), Times::of(rows));
        let keys = rows.column_by_name(key_of(signal)).and_then(|column| column.as_string_opt::<i32>());
        let mut builder = BatchBuilder::new(Codec::None);
        let mut begins = first;
        let mut value = Vec::new();
        for row in first..rows.num_rows() {
            value.clear();
            ready.object(row, &mut value);
            let key = keys.filter(|keys| keys.is_valid(row)).map(|keys| keys.value(row).as_bytes());
            // Beside what it holds a record takes up to 30 bytes, a batch 61.
            let record = value.len() + key.map_or(0, <[u8]>::len) + 30;
            let is_first = self.batches.is_empty() && builder.is_empty();
            let soon = self.bytes + builder.bytes() + candor_records::HEADER_BYTES + record;
            if soon > self.bytes_max && !(is_first && self.at_least_one) {
                self.finish(builder, base, begins)?;
                return Ok(false);
            }
            if builder.bytes() + record > BATCH_BYTES && !builder.is_empty() {
                let full = std::mem::replace(&mut builder, BatchBuilder::new(Codec::None));
                self.finish(full, base, begins)?;
                begins = row;
            }
            builder.push(times.at(row), key, Some(&value), Headers::default());
        }
        self.finish(builder, base, begins)?;
        Ok(true)
    }

    fn finish(&mut self, builder: BatchBuilder, base: Offset, first: usize) -> Result<(), SignalError> {
        if builder.is_empty() {
            return Ok(());
        }
        let mut batch = bytes::BytesMut::from(builder.finish()?);
        place(&mut batch, (base.0 + first as u64).cast_signed(), LEADER_EPOCH)?;
        self.bytes += batch.len();
        self.batches.push(batch.freeze());
        Ok(())
    }
}
