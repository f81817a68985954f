//! The order of rows in files: (5-minute bucket, service, time), which measured smallest. Rows of one service stand
//! together, and a query for the last minutes still reads few row groups.
//!
//! The sender's time is taken as sent. Rows from 1970 or 2500 gather at the ends of a file, where the statistics of
//! their own row groups confine them.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use arrow::array::{Array, AsArray, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::TimestampMicrosecondType;
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use crate::columns::{SERVICE, TIMESTAMP};

/// Five minutes.
const BUCKET_US: i64 = 300 * 1_000_000;

/// Rows in one piece of output, and in a Parquet row group: small groups prune well and cost 0.2% of size.
pub(crate) const CHUNK_ROWS: usize = 16_384;

/// What rows are sorted by.
struct Keys<'a> {
    times: &'a [i64],
    services: Option<&'a StringArray>,
}

impl<'a> Keys<'a> {
    fn of(batch: &'a RecordBatch) -> Keys<'a> {
        let times = batch
            .column_by_name(TIMESTAMP)
            .and_then(|column| column.as_primitive_opt::<TimestampMicrosecondType>());
        let services = batch.column_by_name(SERVICE).and_then(|column| column.as_string_opt::<i32>());
        Keys { times: times.map_or(&[], |times| times.values()), services }
    }

    fn time(&self, row: usize) -> i64 {
        self.times.get(row).copied().unwrap_or(0)
    }

    fn service(&self, row: usize) -> &'a str {
        match self.services {
            Some(services) if services.is_valid(row) => services.value(row),
            _ => "",
        }
    }
}

/// The rows of these batches in order, as (batch, row).
pub(crate) fn sorted(batches: &[&RecordBatch]) -> Vec<(usize, usize)> {
    let keys: Vec<Keys<'_>> = batches.iter().map(|batch| Keys::of(batch)).collect();
    let mut names: Vec<&str> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for (batch, keys) in batches.iter().zip(&keys) {
        for row in 0..batch.num_rows() {
            let name = keys.service(row);
            if seen.insert(name) {
                names.push(name);
            }
        }
    }
    names.sort_unstable();
    let ranks: std::collections::HashMap<&str, u32> =
        names.iter().enumerate().map(|(rank, name)| (*name, rank as u32)).collect();

    let mut rows = Vec::with_capacity(batches.iter().map(|batch| batch.num_rows()).sum());
    for (n, (batch, keys)) in batches.iter().zip(&keys).enumerate() {
        for row in 0..batch.num_rows() {
            let time = keys.time(row);
            let rank = ranks.get(keys.service(row)).copied().unwrap_or(0);
            // Batches come in offset order, so their number and the row make the order total and repeatable.
            rows.push((time.div_euclid(BUCKET_US), rank, time, n as u32, row as u32));
        }
    }
    rows.sort_unstable();
    rows.into_iter().map(|(_, _, _, batch, row)| (batch as usize, row as usize)).collect()
}

/// Merges inputs that are each in order into pieces of [`CHUNK_ROWS`] in order, holding one batch of each input and
/// what the piece under way refers to.
pub(crate) struct Merge<I> {
    cursors: Vec<Cursor<I>>,
    heap: BinaryHeap<Head>,
    /// Batches that the piece under way refers to.
    held: Vec<RecordBatch>,
    rows: Vec<(usize, usize)>,
}

struct Cursor<I> {
    input: I,
    /// Where the current batch stands in `held`.
    slot: usize,
    row: usize,
    rows: usize,
}

/// The next row of a cursor. The service is owned: it outlives the batch that it came from.
#[derive(PartialEq, Eq)]
struct Head {
    bucket: i64,
    service: Box<str>,
    time: i64,
    cursor: usize,
}

impl Head {
    fn of(batch: &RecordBatch, row: usize, cursor: usize) -> Head {
        let keys = Keys::of(batch);
        let time = keys.time(row);
        Head { bucket: time.div_euclid(BUCKET_US), service: keys.service(row).into(), time, cursor }
    }
}

impl Ord for Head {
    /// Reversed: the heap gives its greatest, we want the least.
    fn cmp(&self, other: &Head) -> Ordering {
        let key = |head: &Head| (head.bucket, head.time, head.cursor);
        other
            .bucket
            .cmp(&self.bucket)
            .then_with(|| other.service.cmp(&self.service))
            .then_with(|| key(other).cmp(&key(self)))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<I, E> Merge<I>
where
    I: Iterator<Item = Result<RecordBatch, E>>,
    E: From<ArrowError>,
{
    pub(crate) fn new(inputs: impl IntoIterator<Item = I>) -> Result<Merge<I>, E> {
        let mut merge =
            Merge { cursors: Vec::new(), heap: BinaryHeap::new(), held: Vec::new(), rows: Vec::new() };
        for input in inputs {
            merge.cursors.push(Cursor { input, slot: 0, row: 0, rows: 0 });
            merge.fetch(merge.cursors.len() - 1)?;
        }
        Ok(merge)
    }

    /// Takes the cursor's next batch with rows and puts its head on the heap.
    fn fetch(&mut self, at: usize) -> Result<(), E> {
        let Some(cursor) = self.cursors.get_mut(at) else { return Ok(()) };
        for batch in cursor.input.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                (cursor.slot, cursor.row, cursor.rows) = (self.held.len(), 0, batch.num_rows());
                self.heap.push(Head::of(&batch, 0, at));
                self.held.push(batch);
                return Ok(());
            }
        }
        (cursor.row, cursor.rows) = (0, 0);
        Ok(())
    }

    /// The next piece; none at the end.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<RecordBatch>, E> {
        while self.rows.len() < CHUNK_ROWS {
            let Some(head) = self.heap.pop() else { break };
            let at = head.cursor;
            let Some(cursor) = self.cursors.get_mut(at) else { break };
            self.rows.push((cursor.slot, cursor.row));
            cursor.row += 1;
            if cursor.row == cursor.rows {
                self.fetch(at)?;
            } else if let Some(batch) = self.held.get(cursor.slot) {
                self.heap.push(Head::of(batch, cursor.row, at));
            }
        }
        if self.rows.is_empty() {
            return Ok(None);
        }
        let held: Vec<&RecordBatch> = self.held.iter().collect();
        let chunk = interleave_record_batch(&held, &self.rows)?;
        self.rows.clear();
        self.release();
        Ok(Some(chunk))
    }

    /// Keeps only the batches that cursors stand in.
    fn release(&mut self) {
        let mut kept = Vec::with_capacity(self.cursors.len());
        for cursor in self.cursors.iter_mut().filter(|cursor| cursor.rows > 0) {
            if let Some(batch) = self.held.get(cursor.slot) {
                cursor.slot = kept.len();
                kept.push(batch.clone());
            }
        }
        self.held = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, TimestampMicrosecondArray};

    fn batch(rows: &[(i64, &str, i64)]) -> RecordBatch {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|r| r.0 * 1_000_000));
        RecordBatch::try_from_iter([
            (TIMESTAMP, Arc::new(times.with_timezone("UTC")) as ArrayRef),
            (SERVICE, Arc::new(StringArray::from_iter(rows.iter().map(|r| Some(r.1))))),
            ("n", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| r.2)))),
        ])
        .unwrap()
    }

    fn numbers(batch: &RecordBatch) -> Vec<i64> {
        batch.column(2).as_primitive::<arrow::datatypes::Int64Type>().values().to_vec()
    }

    #[test]
    fn rows_go_by_bucket_then_service_then_time() {
        let a = batch(&[(310, "a", 4), (10, "b", 2), (20, "a", 1)]);
        let b = batch(&[(5, "b", 0), (-1, "z", -1), (10, "b", 3)]);
        let order = sorted(&[&a, &b]);
        let sorted = interleave_record_batch(&[&a, &b], &order).unwrap();
        assert_eq!(numbers(&sorted), [-1, 1, 0, 2, 3, 4]);
    }

    #[test]
    fn a_merge_equals_a_sort() {
        let rows: Vec<(i64, String, i64)> =
            (0..40_000).map(|n| ((n * 7919) % 5000, format!("s{}", n % 13), n)).collect();
        let parts: Vec<RecordBatch> = rows
            .chunks(9_000)
            .map(|part| batch(&part.iter().map(|r| (r.0, r.1.as_str(), r.2)).collect::<Vec<_>>()))
            .collect();
        let each_sorted: Vec<RecordBatch> =
            parts.iter().map(|part| interleave_record_batch(&[part], &sorted(&[part])).unwrap()).collect();
        let inputs = each_sorted.iter().map(|part| {
            let pieces: Vec<_> = (0..part.num_rows())
                .step_by(1000)
                .map(|from| Ok::<_, ArrowError>(part.slice(from, 1000.min(part.num_rows() - from))))
                .collect();
            pieces.into_iter()
        });
        let mut merge = Merge::new(inputs).unwrap();
        let mut merged = Vec::new();
        while let Some(chunk) = merge.next_chunk().unwrap() {
            assert!(chunk.num_rows() <= CHUNK_ROWS);
            merged.extend(numbers(&chunk));
        }
        let all: Vec<&RecordBatch> = parts.iter().collect();
        let order = sorted(&all);
        let whole = interleave_record_batch(&all, &order).unwrap();
        assert_eq!(merged, numbers(&whole));
    }
}
