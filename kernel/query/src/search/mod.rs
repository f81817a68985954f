//! Search over a table: newest rows, a histogram by severity, the commonest values of a few columns.
//!
//! Rows come in two steps: first the keys of the newest matches, from the columns that the search looks at, then the
//! whole rows by their keys. A search that looks at bodies decodes no other column of the rows it passes over.

mod summary;

use std::collections::HashSet;
use std::sync::Arc;

use candor_model::{Signal, Timestamp};
use datafusion::arrow::array::{AsArray, BooleanArray};
use datafusion::arrow::compute::filter_record_batch;
use datafusion::arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::{Column, Result as EngineResult, ScalarValue};
use datafusion::datasource::provider_as_source;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, cast};
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::lit;
use futures::StreamExt;

use crate::encode::{JsonRows, json_string, stats_json};
use crate::engine::{Engine, Run};
use crate::run::physical_plan;
use crate::source::Scoped;
use crate::tables::scan::slice_bytes;
use crate::{Limits, QueryError, Stats, language};

/// Most rows of a page.
pub const PAGE_ROWS_MAX: usize = 10_000;

/// What to search for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Which table.
    pub signal: Signal,
    /// The search language; empty for everything.
    pub text: String,
    /// From this time on.
    pub from: Option<Timestamp>,
    /// Until before this time.
    pub to: Option<Timestamp>,
    /// Most rows.
    pub limit: usize,
    /// Where the last page ended.
    pub cursor: Option<String>,
    /// Count over time and facets too (a first page wants them, a next page does not).
    pub summary: bool,
}

/// One page of rows, newest first.
#[derive(Debug, Clone)]
pub struct SearchPage {
    /// The columns.
    pub schema: SchemaRef,
    /// The rows, newest first.
    pub rows: Vec<RecordBatch>,
    /// Where the next page begins; none at the end.
    pub cursor: Option<String>,
    /// All matching rows; none without summary.
    pub total: Option<u64>,
    /// Matching rows over time.
    pub histogram: Option<Histogram>,
    /// The commonest values.
    pub facets: Vec<Facet>,
    /// What it took.
    pub stats: Stats,
}

/// Rows over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// Width of a bucket, µs.
    pub bucket_us: i64,
    /// The buckets that hold rows, oldest first.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its start, µs since the epoch.
    pub t: i64,
    /// Rows by severity (`error`, `warn`, …), least severe first; `unset` for rows without one.
    pub counts: Vec<(&'static str, u64)>,
}

/// The commonest values of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facet {
    /// The column.
    pub column: &'static str,
    /// Values and their rows, most first.
    pub values: Vec<(String, u64)>,
}

impl SearchPage {
    /// The JSON of `GET /api/v1/search`.
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = b"{\"rows\":[".to_vec();
        let rows = JsonRows::new(&self.schema);
        let mut any = false;
        for batch in &self.rows {
            let cells = rows.batch(batch);
            for row in 0..batch.num_rows() {
                if std::mem::replace(&mut any, true) {
                    out.push(b',');
                }
                cells.object(row, &mut out);
            }
        }
        out.extend_from_slice(b"],\"cursor\":");
        match &self.cursor {
            Some(cursor) => json_string(cursor, &mut out),
            None => out.extend_from_slice(b"null"),
        }
        let total = self.total.map_or_else(|| "null".to_owned(), |total| total.to_string());
        out.extend_from_slice(format!(",\"total\":{total},\"histogram\":").as_bytes());
        match &self.histogram {
            Some(histogram) => histogram.write(&mut out),
            None => out.extend_from_slice(b"null"),
        }
        out.extend_from_slice(b",\"facets\":{");
        for (at, facet) in self.facets.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json_string(facet.column, &mut out);
            out.extend_from_slice(b":[");
            for (at, (value, count)) in facet.values.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b",[" } else { b"[" });
                json_string(value, &mut out);
                out.extend_from_slice(format!(",{count}]").as_bytes());
            }
            out.push(b']');
        }
        out.extend_from_slice(b"},\"stats\":");
        out.extend_from_slice(stats_json(&self.stats).as_bytes());
        out.push(b'}');
        out
    }
}

impl Histogram {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("{{\"bucket_us\":{},\"buckets\":[", self.bucket_us).as_bytes());
        for (at, bucket) in self.buckets.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            out.extend_from_slice(format!("{comma}{{\"t\":{},\"counts\":{{", bucket.t).as_bytes());
            for (at, (severity, count)) in bucket.counts.iter().enumerate() {
                let comma = if at > 0 { "," } else { "" };
                out.extend_from_slice(format!("{comma}\"{severity}\":{count}").as_bytes());
            }
            out.extend_from_slice(b"}}");
        }
        out.extend_from_slice(b"]}");
    }
}

/// The place of a row in the order of a search: time first, newest first, then where the log put it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    timestamp: i64,
    nanos: i64,
    partition: i64,
    offset: i64,
}

impl Key {
    fn parse(cursor: &str) -> Option<Key> {
        let mut numbers = cursor.split('.').map(|part| part.parse::<i64>().ok());
        let mut next = || numbers.next().flatten();
        let key = Key { timestamp: next()?, nanos: next()?, partition: next()?, offset: next()? };
        numbers.next().is_none().then_some(key)
    }

    fn cursor(self) -> String {
        format!("{}.{}.{}.{}", self.timestamp, self.nanos, self.partition, self.offset)
    }
}

const TIMESTAMP: &str = "timestamp";
const NANOS: &str = "timestamp_ns";
const PARTITION: &str = "_partition";
const OFFSET: &str = "_offset";

fn column(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

fn at(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
}

impl Engine {
    /// See [`crate::Query::search`].
    pub(crate) async fn search(
        self: &Arc<Self>,
        tables: Arc<dyn Scoped>,
        request: SearchRequest,
        limits: Limits,
    ) -> Result<SearchPage, QueryError> {
        if request.limit > PAGE_ROWS_MAX {
            return Err(QueryError::Argument(format!("at most {PAGE_ROWS_MAX} rows a page")));
        }
        let cursor = match request.cursor.as_deref() {
            Some(cursor) => Some(
                Key::parse(cursor)
                    .ok_or_else(|| QueryError::Argument("the cursor is not one of ours".to_owned()))?,
            ),
            None => None,
        };
        let started = self.run(tables, limits, move |run| search(run, request, cursor)).await?;
        let progress = Arc::clone(&started.progress);
        let mut page = started.wait().await?;
        page.stats = page.stats.timed(&progress.stats());
        Ok(page)
    }
}

async fn search(run: Run, request: SearchRequest, cursor: Option<Key>) -> Result<SearchPage, QueryError> {
    let signal = request.signal;
    let table = run.project.table(signal).await.map_err(QueryError::from_datafusion)?;
    let schema = table.schema();
    let mut filters = Vec::new();
    filters.extend(language::expression(&request.text, signal, &schema)?);
    filters.extend(request.from.map(|from| column(TIMESTAMP).gt_eq(at(from.0))));
    filters.extend(request.to.map(|to| column(TIMESTAMP).lt(at(to.0))));

    let rows = rows(&run, &table, filters.clone(), cursor, request.limit);
    let (page, summary) = if request.summary {
        let range = summary::range(run.project.pin(signal).await?, request.from, request.to);
        let summary = summary::summarise(&run, &table, signal, filters, range);
        let (page, summary) = futures::future::try_join(rows, summary).await?;
        (page, Some(summary))
    } else {
        (rows.await?, None)
    };
    let Page { rows, more, rows_decoded } = page;
    let cursor = match (more, rows.last()) {
        (true, Some(batch)) => keys(batch)?.last().map(|key| key.cursor()),
        _ => None,
    };
    let decoded = rows_decoded + summary.as_ref().map_or(0, |summary| summary.rows_decoded);
    let (total, histogram, facets) = match summary {
        Some(summary) => (Some(summary.total), Some(summary.histogram), summary.facets),
        None => (None, None, Vec::new()),
    };
    let stats = Stats { rows_scanned: decoded, ..Stats::default() };
    Ok(SearchPage { schema, rows, cursor, total, histogram, facets, stats })
}

struct Page {
    rows: Vec<RecordBatch>,
    more: bool,
    rows_decoded: u64,
}

/// The newest rows before the cursor.
async fn rows(
    run: &Run,
    table: &Arc<dyn TableProvider>,
    mut filters: Vec<Expr>,
    cursor: Option<Key>,
    limit: usize,
) -> Result<Page, QueryError> {
    if limit == 0 {
        return Ok(Page { rows: Vec::new(), more: false, rows_decoded: 0 });
    }
    filters.extend(cursor.map(before));
    let key_columns = [
        column(TIMESTAMP),
        cast(column(NANOS), DataType::Int64).alias(NANOS),
        cast(column(PARTITION), DataType::Int64).alias(PARTITION),
        cast(column(OFFSET), DataType::Int64).alias(OFFSET),
    ];
    let plan = scan(table, filters)
        .and_then(|plan| plan.project(key_columns))
        .and_then(|plan| plan.sort(newest_first()))
        .and_then(|plan| plan.limit(0, Some(limit + 1)))
        .and_then(LogicalPlanBuilder::build)
        .map_err(QueryError::from_datafusion)?;
    let (found, mut rows_decoded) = collect(run, &plan, true, usize::MAX).await?;
    let mut newest = Vec::new();
    for batch in &found {
        newest.extend(keys(batch)?);
    }
    let more = newest.len() > limit;
    newest.truncate(limit);
    let (Some(first), Some(last)) = (newest.first(), newest.last()) else {
        return Ok(Page { rows: Vec::new(), more: false, rows_decoded });
    };

    let offsets: Vec<Expr> = newest.iter().map(|key| lit(key.offset)).collect();
    let whole = vec![
        column(TIMESTAMP).lt_eq(at(first.timestamp)),
        column(TIMESTAMP).gt_eq(at(last.timestamp)),
        column(OFFSET).in_list(offsets, false),
    ];
    let plan = scan(table, whole)
        .and_then(|plan| plan.sort(newest_first()))
        .and_then(LogicalPlanBuilder::build)
        .map_err(QueryError::from_datafusion)?;
    let (rows, decoded) = collect(run, &plan, true, run.limits.answer_bytes.unwrap_or(usize::MAX)).await?;
    rows_decoded += decoded;
    // An offset is unique in its partition, not over all.
    let wanted: HashSet<Key> = newest.into_iter().collect();
    let mut kept = Vec::with_capacity(rows.len());
    for batch in rows {
        let mask: BooleanArray = keys(&batch)?.iter().map(|key| Some(wanted.contains(key))).collect();
        let batch = if mask.true_count() == batch.num_rows() {
            batch
        } else {
            filter_record_batch(&batch, &mask).map_err(|e| QueryError::Internal(Box::new(e)))?
        };
        if batch.num_rows() > 0 {
            kept.push(batch);
        }
    }
    Ok(Page { rows: kept, more, rows_decoded })
}

/// Rows that come after `key`, newest first.
fn before(key: Key) -> Expr {
    let later = |name: &str, value: i64, rest: Expr| {
        column(name).lt(lit(value)).or(column(name).eq(lit(value)).and(rest))
    };
    let by_place = later(PARTITION, key.partition, column(OFFSET).lt(lit(key.offset)));
    let by_nanos = later(NANOS, key.nanos, by_place);
    // The first condition prunes files; the second says what it says exactly.
    column(TIMESTAMP).lt_eq(at(key.timestamp)).and(column(TIMESTAMP).lt(at(key.timestamp)).or(by_nanos))
}

fn newest_first() -> Vec<datafusion::logical_expr::SortExpr> {
    [TIMESTAMP, NANOS, PARTITION, OFFSET].map(|name| column(name).sort(false, false)).to_vec()
}

/// A scan of the table under filters that must all hold.
fn scan(table: &Arc<dyn TableProvider>, filters: Vec<Expr>) -> EngineResult<LogicalPlanBuilder> {
    let mut plan = LogicalPlanBuilder::scan("rows", provider_as_source(Arc::clone(table)), None)?;
    for filter in filters {
        plan = plan.filter(filter)?;
    }
    Ok(plan)
}

/// Runs a plan to its end within a bound of bytes; gives the rows that were decoded too.
async fn collect(
    run: &Run,
    plan: &LogicalPlan,
    late: bool,
    bytes_max: usize,
) -> Result<(Vec<RecordBatch>, u64), QueryError> {
    let mut state: SessionState = run.state.clone();
    let physical = physical_plan(&mut state, plan, Some(late)).await?;
    let mut stream =
        execute_stream(Arc::clone(&physical), state.task_ctx()).map_err(QueryError::from_datafusion)?;
    let mut batches = Vec::new();
    let mut bytes = 0;
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(QueryError::from_datafusion)?;
        bytes += slice_bytes(&batch);
        if bytes > bytes_max {
            return Err(QueryError::TooLarge(bytes_max));
        }
        batches.push(batch);
    }
    Ok((batches, crate::answer::rows_decoded(physical.as_ref())))
}

/// The keys of a batch's rows.
fn keys(batch: &RecordBatch) -> Result<Vec<Key>, QueryError> {
    let missing = || QueryError::Internal("a table without its own columns".into());
    let times = batch.column_by_name(TIMESTAMP).ok_or_else(missing)?;
    let times = times.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(missing)?.clone();
    let numbers = |name: &str| {
        let array = batch.column_by_name(name).ok_or_else(missing)?;
        let array = datafusion::arrow::compute::cast(array, &DataType::Int64)
            .map_err(|e| QueryError::Internal(Box::new(e)))?;
        Ok::<_, QueryError>(array.as_primitive::<Int64Type>().clone())
    };
    let (nanos, partitions, offsets) = (numbers(NANOS)?, numbers(PARTITION)?, numbers(OFFSET)?);
    Ok((0..batch.num_rows())
        .map(|row| Key {
            timestamp: times.value(row),
            nanos: nanos.value(row),
            partition: partitions.value(row),
            offset: offsets.value(row),
        })
        .collect())
}
