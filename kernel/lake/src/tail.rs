//! The tail of one partition: rows that are acknowledged and not published, as Arrow, in offset order.
//!
//! Rows come in batches as small as one record. Arrow spends some kilobytes on the buffers of a batch, however few
//! its rows, so small batches are folded into larger ones: at once when many have come, else by upkeep, a second
//! later. What a publish has taken stands still until the publish ends.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, Int64Array, TimestampMicrosecondArray};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use candor_gate::codec;
use candor_log::Committed;
use candor_model::{Offset, Partition, Signal, Timestamp};

use crate::LakeError;
use crate::columns::{Columns, base_schema};
use crate::promote::adapt;
use crate::streams::piece::CELL_BYTES;

/// A batch of so many rows is not folded any more: its buffers outweigh its frame.
const FOLDED_ROWS: usize = 8192;

/// Nor is a batch of so many bytes, however few its rows.
const FOLDED_BYTES: usize = 1 << 20;

/// So many small batches are folded at once, where they come. Bounds both the memory of their frames and the work
/// on the log's thread: a fold of this many one-row batches costs less than a millisecond.
const LOOSE_MAX: usize = 256;

/// Rows with the system columns, and how they look with the table's promoted ones.
pub(crate) struct TailBatch {
    pub(crate) rows: RecordBatch,
    /// When the first of them came.
    pub(crate) since: Timestamp,
    bytes: usize,
    /// In the columns of the table when it had this many promoted ones. Made when a query asks.
    adapted: Option<(usize, RecordBatch)>,
}

impl TailBatch {
    fn new(rows: RecordBatch, since: Timestamp) -> TailBatch {
        TailBatch { bytes: rows.get_array_memory_size(), rows, since, adapted: None }
    }

    fn is_large(&self) -> bool {
        self.rows.num_rows() >= FOLDED_ROWS || self.bytes >= FOLDED_BYTES
    }

    fn in_columns(&mut self, columns: &Columns) -> Result<RecordBatch, ArrowError> {
        if columns.is_stream {
            return adapt(columns, &self.rows);
        }
        match &self.adapted {
            Some((promoted, rows)) if *promoted == columns.promoted.len() => Ok(rows.clone()),
            _ => {
                let rows = adapt(columns, &self.rows)?;
                if !columns.promoted.is_empty() {
                    self.adapted = Some((columns.promoted.len(), rows.clone()));
                }
                Ok(rows)
            }
        }
    }
}

/// The rows of a committed batch with the system columns: the parsed ones where they are at hand, else decoded.
pub(crate) fn rows_of(signal: Signal, batch: &Committed) -> Result<RecordBatch, LakeError> {
    let decoded;
    let rows = match &batch.rows {
        Some(rows) => rows,
        None => {
            decoded = codec::decode(signal, &batch.batch)?;
            &decoded
        }
    };
    let count = rows.num_rows();
    if count != batch.count as usize {
        return Err(LakeError::Inconsistent(format!(
            "the batch at offset {} says {} records and holds {count}",
            batch.base, batch.count
        )));
    }
    let first = batch.base.0 as i64;
    let ingested = TimestampMicrosecondArray::from_value(batch.ingested_at.0, count).with_timezone("UTC");
    let mut columns: Vec<ArrayRef> = rows.columns().to_vec();
    columns.push(Arc::new(ingested));
    columns.push(Arc::new(Int32Array::from_value(batch.partition.0 as i32, count)));
    columns.push(Arc::new(Int64Array::from_iter_values(first..first + count as i64)));
    columns.push(Arc::new(Int32Array::from_value(batch.epoch.0 as i32, count)));
    Ok(RecordBatch::try_new(base_schema(signal), columns)?)
}

/// What a publish takes from a tail.
pub(crate) struct Taken {
    pub(crate) partition: Partition,
    pub(crate) batches: Vec<RecordBatch>,
    /// Where the table stands in the catalog; none: nowhere yet.
    pub(crate) from: Option<Offset>,
    /// Where it will stand.
    pub(crate) to: Offset,
}

/// The tail of one partition.
pub(crate) struct PartitionTail {
    pub(crate) partition: Partition,
    /// What the catalog says; none where it has no row.
    pub(crate) published: Option<Offset>,
    /// The offset expected next.
    pub(crate) next: Offset,
    batches: Vec<TailBatch>,
    /// How many of the batches a publish has taken.
    frozen: usize,
    /// Where `next` stood when it took them.
    frozen_to: Offset,
    bytes: usize,
}

impl PartitionTail {
    pub(crate) fn new(partition: Partition, published: Option<Offset>, next: Offset) -> PartitionTail {
        PartitionTail {
            partition,
            published,
            next,
            batches: Vec::new(),
            frozen: 0,
            frozen_to: next,
            bytes: 0,
        }
    }

    /// Adds the next rows. Those of a stream need its columns, as they are known by now, to be folded.
    pub(crate) fn push(
        &mut self,
        rows: RecordBatch,
        since: Timestamp,
        next: Offset,
        seen: Option<&Columns>,
    ) -> Result<(), ArrowError> {
        self.next = next;
        let batch = TailBatch::new(rows, since);
        self.bytes += batch.bytes;
        self.batches.push(batch);
        let loose = self.batches.len() - self.foldable_from();
        if loose >= LOOSE_MAX { self.fold(seen) } else { Ok(()) }
    }

    /// Puts rows that are older than all that is here before it: what was read back from the log.
    pub(crate) fn put_before(&mut self, older: Vec<(RecordBatch, Timestamp)>) -> Result<(), ArrowError> {
        debug_assert_eq!(self.frozen, 0);
        let older: Vec<TailBatch> =
            older.into_iter().map(|(rows, since)| TailBatch::new(rows, since)).collect();
        self.bytes += older.iter().map(|batch| batch.bytes).sum::<usize>();
        self.batches.splice(0..0, older);
        Ok(())
    }

    /// The first of the small batches at the end.
    fn foldable_from(&self) -> usize {
        let large = self.batches.iter().rposition(TailBatch::is_large);
        large.map_or(0, |at| at + 1).max(self.frozen)
    }

    /// Makes one batch of the small ones at the end.
    pub(crate) fn fold(&mut self, seen: Option<&Columns>) -> Result<(), ArrowError> {
        let from = self.foldable_from();
        let Some(loose) = self.batches.get(from..).filter(|loose| loose.len() > 1) else { return Ok(()) };
        let mut pieces: Vec<TailBatch> = Vec::new();
        let mut run: Vec<&TailBatch> = Vec::new();
        let (mut rows, mut bytes) = (0, 0);
        for (n, batch) in loose.iter().enumerate() {
            run.push(batch);
            rows += batch.rows.num_rows();
            bytes += batch.bytes;
            if rows >= FOLDED_ROWS || bytes >= FOLDED_BYTES || n + 1 == loose.len() {
                if let Some(first) = run.first() {
                    let whole = match seen {
                        Some(seen) => {
                            let alike: Vec<RecordBatch> =
                                run.iter().map(|batch| adapt(seen, &batch.rows)).collect::<Result<_, _>>()?;
                            concat_batches(&seen.schema, &alike)?
                        }
                        None => concat_batches(&first.rows.schema(), run.iter().map(|batch| &batch.rows))?,
                    };
                    pieces.push(TailBatch::new(whole, first.since));
                }
                run.clear();
                (rows, bytes) = (0, 0);
            }
        }
        self.batches.truncate(from);
        self.batches.extend(pieces);
        self.bytes = self.batches.iter().map(|batch| batch.bytes).sum();
        Ok(())
    }

    /// True with more than one small batch at the end.
    pub(crate) fn is_loose(&self) -> bool {
        self.batches.len() > self.foldable_from() + 1
    }

    /// The rows for a query, oldest first.
    pub(crate) fn collect(
        &mut self,
        columns: &Columns,
        into: &mut Vec<RecordBatch>,
    ) -> Result<(), ArrowError> {
        for batch in &mut self.batches {
            into.push(batch.in_columns(columns)?);
        }
        Ok(())
    }

    /// Passes offsets that have no rows.
    pub(crate) fn skip_to(&mut self, next: Offset) {
        self.next = next.max(self.next);
    }

    /// Lets go of rows that the log has, unless a publish holds them.
    pub(crate) fn let_go(&mut self) {
        if self.frozen == 0 && !self.batches.is_empty() {
            self.batches = Vec::new();
            self.bytes = 0;
            self.next = self.published.unwrap_or_default();
        }
    }

    /// Takes all there is for a publish; none without rows, unless offsets without any are to be passed.
    pub(crate) fn take(&mut self, without_rows: bool) -> Option<Taken> {
        debug_assert_eq!(self.frozen, 0);
        let passes = without_rows && self.next > self.published.unwrap_or_default();
        if self.batches.is_empty() && !passes {
            return None;
        }
        (self.frozen, self.frozen_to) = (self.batches.len(), self.next);
        Some(Taken {
            partition: self.partition,
            batches: self.batches.iter().map(|batch| batch.rows.clone()).collect(),
            from: self.published,
            to: self.next,
        })
    }

    /// What was taken is published: it leaves the tail.
    pub(crate) fn release(&mut self) {
        self.batches.drain(..self.frozen);
        self.published = Some(self.frozen_to);
        self.skip_to(self.frozen_to);
        self.frozen = 0;
        self.bytes = self.batches.iter().map(|batch| batch.bytes).sum();
        if self.batches.is_empty() {
            self.batches = Vec::new();
        }
    }

    /// What was taken could not be published: it stays.
    pub(crate) fn restore(&mut self) {
        self.frozen = 0;
    }

    /// True while a publish holds a part.
    pub(crate) fn is_taken(&self) -> bool {
        self.frozen > 0
    }

    /// What rows of a stream take beyond that once they stand in so many columns, bytes.
    pub(crate) fn bytes_in_columns(&self, columns: usize) -> usize {
        let lacks =
            |batch: &TailBatch| columns.saturating_sub(batch.rows.num_columns()) * batch.rows.num_rows();
        self.batches.iter().map(lacks).sum::<usize>() * CELL_BYTES
    }

    /// Bytes in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest row came.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.batches.first().map(|batch| batch.since)
    }
}
