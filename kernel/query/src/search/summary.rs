//! All matching rows in one pass: their number, their severities over time, the commonest values.
//!
//! One pass over the few columns it needs, each partition counted on a thread of its own, instead of one grouped
//! query a figure.

use std::collections::HashMap;
use std::sync::Arc;

use candor_model::{Signal, Timestamp};
use datafusion::arrow::array::{Array, AsArray, PrimitiveArray, StringArray};
use datafusion::arrow::datatypes::{Int32Type, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::runtime::JoinSet;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder};
use datafusion::physical_plan::execute_stream_partitioned;
use futures::StreamExt;

use super::{Bucket, Facet, Histogram, TIMESTAMP, column, scan};
use crate::QueryError;
use crate::engine::Run;
use crate::language::{Level, facets};
use crate::run::physical_plan;
use crate::source::View;
use crate::tables::prune::is_known;

/// Most buckets of a histogram: about one for every ten pixels.
const BUCKETS_MAX: i64 = 100;

/// Most values given of a facet.
const FACET_VALUES: usize = 20;

/// Most different values counted of a facet in a partition; rarer ones that come later are not.
const FACET_DISTINCT_MAX: usize = 20_000;

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Widths that people read off a clock.
const WIDTHS: [i64; 25] = [
    1000,
    10 * 1000,
    100 * 1000,
    500 * 1000,
    SECOND,
    2 * SECOND,
    5 * SECOND,
    10 * SECOND,
    15 * SECOND,
    30 * SECOND,
    MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    3 * HOUR,
    6 * HOUR,
    12 * HOUR,
    DAY,
    2 * DAY,
    7 * DAY,
    30 * DAY,
];

/// Severities in an answer: none first, then by rank.
const SEVERITIES: usize = Level::ALL.len() + 1;

/// The times that a summary covers, both ends included.
#[derive(Debug, Clone, Copy)]
pub(super) struct Range {
    first: i64,
    last: i64,
}

/// What was asked for, else what the table holds.
pub(super) fn range(pinned: &View, from: Option<Timestamp>, to: Option<Timestamp>) -> Range {
    let mut first = i64::MAX;
    let mut last = i64::MIN;
    if from.is_none() || to.is_none() {
        for file in pinned.files.iter().filter(|file| is_known(file.timestamps)) {
            first = first.min(file.timestamps.0);
            last = last.max(file.timestamps.1);
        }
        for batch in pinned.tail.iter() {
            let times = batch.column_by_name(TIMESTAMP);
            let Some(times) = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>())
            else {
                continue;
            };
            first = first.min(datafusion::arrow::compute::min(times).unwrap_or(i64::MAX));
            last = last.max(datafusion::arrow::compute::max(times).unwrap_or(i64::MIN));
        }
    }
    let first = from.map_or(first, |from| from.0);
    let last = to.map_or(last, |to| to.0.saturating_sub(1));
    if first > last { Range { first: 0, last: 0 } } else { Range { first, last } }
}

/// The width of a bucket that shows a range in at most [`BUCKETS_MAX`].
fn width(range: Range) -> i64 {
    let span = range.last.saturating_sub(range.first);
    let fits = |width: &&i64| span / **width < BUCKETS_MAX;
    match WIDTHS.iter().find(fits) {
        Some(width) => *width,
        // Someone's clock says 1970: whole months, as many as it takes.
        None => (span / BUCKETS_MAX / (30 * DAY) + 1).saturating_mul(30 * DAY),
    }
}

/// What a pass over all matching rows gives.
pub(super) struct Summary {
    pub(super) total: u64,
    pub(super) histogram: Histogram,
    pub(super) facets: Vec<Facet>,
    pub(super) rows_decoded: u64,
}

/// Counts the rows for which all filters hold.
pub(super) async fn summarise(
    run: &Run,
    table: &Arc<dyn TableProvider>,
    signal: Signal,
    filters: Vec<Expr>,
    range: Range,
) -> Result<Summary, QueryError> {
    let schema = table.schema();
    let mut wanted = vec![TIMESTAMP];
    wanted.extend(severity_columns(signal));
    wanted.extend(facets(signal));
    wanted.sort_unstable();
    wanted.dedup();
    wanted.retain(|name| schema.field_with_name(name).is_ok());
    let plan = scan(table, filters)
        .and_then(|plan| plan.project(wanted.into_iter().map(column)))
        .and_then(LogicalPlanBuilder::build)
        .map_err(QueryError::from_datafusion)?;
    let mut state = run.state.clone();
    let physical = physical_plan(&mut state, &plan, Some(false)).await?;
    let streams = execute_stream_partitioned(Arc::clone(&physical), state.task_ctx())
        .map_err(QueryError::from_datafusion)?;

    let width = width(range);
    let mut tasks = JoinSet::new();
    for mut stream in streams {
        tasks.spawn(async move {
            let mut tally = Tally::new(signal, range, width);
            while let Some(batch) = stream.next().await {
                tally.add(&batch.map_err(QueryError::from_datafusion)?);
            }
            Ok::<Tally, QueryError>(tally)
        });
    }
    let mut whole = Tally::new(signal, range, width);
    while let Some(joined) = tasks.join_next().await {
        whole.merge(joined.map_err(|e| QueryError::Internal(Box::new(e)))??);
    }
    Ok(whole.summary(crate::answer::rows_decoded(physical.as_ref())))
}

fn severity_columns(signal: Signal) -> &'static [&'static str] {
    match signal {
        Signal::Logs => &["severity_number", "severity_text"],
        Signal::Errors => &["level"],
        Signal::Spans => &["status"],
    }
}

/// Where a severity is counted: 0 for none.
fn slot(level: Option<Level>) -> usize {
    level.map_or(0, |level| level as usize + 1)
}

fn slot_name(slot: usize) -> &'static str {
    slot.checked_sub(1).and_then(|at| Level::ALL.get(at)).map_or("unset", |level| level.name())
}

struct Tally {
    signal: Signal,
    width: i64,
    first_bucket: i64,
    buckets: Vec<[u64; SEVERITIES]>,
    facets: Vec<(&'static str, HashMap<Box<str>, u64>)>,
    total: u64,
}

impl Tally {
    fn new(signal: Signal, range: Range, width: i64) -> Tally {
        let first_bucket = range.first.div_euclid(width);
        let last_bucket = range.last.div_euclid(width);
        // Bounded by the choice of the width.
        let count =
            usize::try_from(last_bucket - first_bucket + 1).unwrap_or(1).min(BUCKETS_MAX as usize + 2);
        Tally {
            signal,
            width,
            first_bucket,
            buckets: vec![[0; SEVERITIES]; count],
            facets: facets(signal).iter().map(|name| (*name, HashMap::new())).collect(),
            total: 0,
        }
    }

    fn add(&mut self, batch: &RecordBatch) {
        self.total += batch.num_rows() as u64;
        self.add_times(batch);
        for (name, counts) in &mut self.facets {
            if let Some(values) = batch.column_by_name(name).and_then(|values| values.as_string_opt::<i32>())
            {
                count(values, counts);
            }
        }
    }

    fn add_times(&mut self, batch: &RecordBatch) {
        let times = batch.column_by_name(TIMESTAMP);
        let Some(times) = times.and_then(|times| times.as_primitive_opt::<TimestampMicrosecondType>()) else {
            return;
        };
        let text = |name: &str| batch.column_by_name(name).and_then(|values| values.as_string_opt::<i32>());
        let numbers: Option<&PrimitiveArray<Int32Type>> =
            batch.column_by_name("severity_number").and_then(|values| values.as_primitive_opt());
        let names = match self.signal {
            Signal::Logs => text("severity_text"),
            Signal::Errors => text("level"),
            Signal::Spans => text("status"),
        };
        let last = self.buckets.len() - 1;
        let mut seen: Option<(&str, usize)> = None;
        for (row, time) in times.values().iter().enumerate() {
            let number =
                numbers.filter(|numbers| numbers.is_valid(row)).map_or(0, |numbers| numbers.value(row));
            let slot = match Level::from_number(number) {
                Some(level) => slot(Some(level)),
                None => match names.filter(|names| names.is_valid(row)).map(|names| names.value(row)) {
                    Some(name) => match seen {
                        Some((last, slot)) if last == name => slot,
                        _ => {
                            let slot = slot(severity(self.signal, name));
                            seen = Some((name, slot));
                            slot
                        }
                    },
                    None => 0,
                },
            };
            let bucket = time.div_euclid(self.width) - self.first_bucket;
            let bucket = usize::try_from(bucket).unwrap_or(0).min(last);
            if let Some(counts) = self.buckets.get_mut(bucket) {
                counts[slot] += 1;
            }
        }
    }

    fn merge(&mut self, other: Tally) {
        self.total += other.total;
        for (mine, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            for (mine, theirs) in mine.iter_mut().zip(theirs) {
                *mine += theirs;
            }
        }
        for ((_, mine), (_, theirs)) in self.facets.iter_mut().zip(other.facets) {
            for (value, count) in theirs {
                *mine.entry(value).or_default() += count;
            }
        }
    }

    fn summary(self, rows_decoded: u64) -> Summary {
        let Tally { width, first_bucket, buckets, facets, total, .. } = self;
        let buckets = buckets.iter().enumerate().filter(|(_, counts)| counts.iter().any(|count| *count > 0));
        let buckets = buckets.map(|(at, counts)| Bucket {
            t: (first_bucket + at as i64).saturating_mul(width),
            counts: counts
                .iter()
                .enumerate()
                .filter(|(_, count)| **count > 0)
                .map(|(slot, count)| (slot_name(slot), *count))
                .collect(),
        });
        let facets = facets.into_iter().map(|(column, counts)| {
            let mut values: Vec<(String, u64)> =
                counts.into_iter().map(|(value, count)| (value.into(), count)).collect();
            values.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
            values.truncate(FACET_VALUES);
            Facet { column, values }
        });
        let histogram = Histogram { bucket_us: width, buckets: buckets.collect() };
        Summary { total, histogram, facets: facets.collect(), rows_decoded }
    }
}

/// The severity of a name; of a span, by how it ended.
fn severity(signal: Signal, name: &str) -> Option<Level> {
    match signal {
        Signal::Spans => match name.to_ascii_lowercase().as_str() {
            "ok" | "unset" | "" => Some(Level::Info),
            _ => Some(Level::Error),
        },
        _ => Level::from_name(name),
    }
}

/// Counts values. Files are sorted by service and time, so that most rows say what the row before said.
fn count(values: &StringArray, counts: &mut HashMap<Box<str>, u64>) {
    let mut run: Option<(&str, u64)> = None;
    for value in values.iter().flatten() {
        match &mut run {
            Some((last, times)) if *last == value => *times += 1,
            _ => {
                if let Some((value, times)) = run.replace((value, 1)) {
                    put(value, times, counts);
                }
            }
        }
    }
    if let Some((value, times)) = run {
        put(value, times, counts);
    }
}

fn put(value: &str, times: u64, counts: &mut HashMap<Box<str>, u64>) {
    if let Some(count) = counts.get_mut(value) {
        *count += times;
    } else if counts.len() < FACET_DISTINCT_MAX {
        counts.insert(value.into(), times);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_fit_a_screen_whatever_the_range() {
        for span in [0, 1, SECOND, MINUTE, HOUR, DAY, 30 * DAY, 365 * DAY, 500 * 365 * DAY, i64::MAX] {
            for first in [0, START_OF_2026, -DAY] {
                let range = Range { first, last: first.saturating_add(span) };
                let width = width(range);
                let buckets = range.last.div_euclid(width) - range.first.div_euclid(width) + 1;
                assert!((1..=BUCKETS_MAX + 2).contains(&buckets), "{span} in {buckets} of {width}");
            }
        }
        assert_eq!(width(Range { first: 0, last: HOUR - 1 }), MINUTE);
        assert_eq!(width(Range { first: 0, last: DAY - 1 }), 15 * MINUTE);
    }

    const START_OF_2026: i64 = 1_767_225_600 * SECOND;
}
