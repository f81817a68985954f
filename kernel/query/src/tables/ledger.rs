//! The table `ledger`: what was done with personal data of the project, read page by page from where it is kept.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use candor_lake::{EPOCH, INGESTED_AT, OFFSET, PARTITION};
use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::common::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::col;
use futures::stream;
use tokio::sync::OnceCell;

use super::scan::{ScanCounts, slice_bytes};
use crate::QueryError;
use crate::source::{LedgerRow, Scoped, SourceError};

/// The table's name.
pub(crate) const LEDGER: &str = "ledger";

/// The column that numbers the entries.
const INDEX: &str = "index";

/// Entries that are read at once. A leaf has at most some KiB.
const PAGE_ROWS: u32 = 1_000;

/// The table's columns: its own, and the four that every table has. An entry was cleared under no epoch.
pub(crate) fn schema() -> SchemaRef {
    static SCHEMA: OnceLock<SchemaRef> = OnceLock::new();
    let made = SCHEMA.get_or_init(|| {
        let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        Arc::new(Schema::new(vec![
            Field::new("timestamp", time.clone(), false),
            Field::new(INDEX, DataType::Int64, false),
            Field::new("actor", DataType::Utf8, false),
            Field::new("action", DataType::Utf8, false),
            Field::new("purpose", DataType::Utf8, false),
            Field::new("signal", DataType::Utf8, true),
            Field::new("rows", DataType::Int64, false),
            Field::new("subject_count", DataType::Int64, false),
            Field::new("clause", DataType::Utf8, true),
            Field::new(INGESTED_AT, time, false),
            Field::new(PARTITION, DataType::Int32, false),
            Field::new(OFFSET, DataType::Int64, false),
            Field::new(EPOCH, DataType::Int32, true),
        ]))
    });
    Arc::clone(made)
}

/// The table of a query. `end` is where the ledger ended when the query first read it.
pub(crate) fn table(
    tables: &Arc<dyn Scoped>,
    end: &Arc<OnceCell<u64>>,
    counts: &Arc<ScanCounts>,
) -> Result<Arc<dyn TableProvider>> {
    let pages = Pages {
        tables: Arc::clone(tables),
        end: Arc::clone(end),
        counts: Arc::clone(counts),
        schema: schema(),
    };
    let table = StreamingTable::try_new(schema(), vec![Arc::new(pages)])?;
    Ok(Arc::new(table.with_sort_order(vec![col(INDEX).sort(false, false)])))
}

/// Reads the entries, the newest first.
struct Pages {
    tables: Arc<dyn Scoped>,
    end: Arc<OnceCell<u64>>,
    counts: Arc<ScanCounts>,
    schema: SchemaRef,
}

impl fmt::Debug for Pages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pages")
    }
}

impl PartitionStream for Pages {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (tables, end, counts) =
            (Arc::clone(&self.tables), Arc::clone(&self.end), Arc::clone(&self.counts));
        let pages = stream::try_unfold(None, move |below: Option<u64>| {
            let (tables, end, counts) = (Arc::clone(&tables), Arc::clone(&end), Arc::clone(&counts));
            async move {
                let below = match below {
                    Some(below) => below,
                    // A query that names the table twice reads the same rows twice.
                    None => *end.get_or_try_init(|| tables.ledger_end()).await.map_err(failed)?,
                };
                if below == 0 {
                    return Ok(None);
                }
                let rows = tables.ledger_below(below, PAGE_ROWS).await.map_err(failed)?;
                let Some(last) = rows.last() else { return Ok(None) };
                let next = if rows.len() < PAGE_ROWS as usize { 0 } else { last.index };
                let page = batch(&rows)?;
                counts.tail_rows.fetch_add(page.num_rows() as u64, Ordering::Relaxed);
                counts.tail_bytes.fetch_add(slice_bytes(&page) as u64, Ordering::Relaxed);
                Ok(Some((page, Some(next))))
            }
        });
        Box::pin(RecordBatchStreamAdapter::new(Arc::clone(&self.schema), pages))
    }
}

fn failed(error: SourceError) -> datafusion::common::DataFusionError {
    QueryError::Storage(error).into_datafusion()
}

fn batch(rows: &[LedgerRow]) -> Result<RecordBatch> {
    let times = || -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.timestamp.0));
        Arc::new(times.with_timezone("UTC"))
    };
    let numbers = |of: fn(&LedgerRow) -> u64| -> ArrayRef {
        let number = |row| i64::try_from(of(row)).unwrap_or(i64::MAX);
        Arc::new(Int64Array::from_iter_values(rows.iter().map(number)))
    };
    let texts = |of: fn(&LedgerRow) -> Option<&str>| -> ArrayRef {
        Arc::new(rows.iter().map(of).collect::<StringArray>())
    };
    let columns = vec![
        times(),
        numbers(|row| row.index),
        texts(|row| Some(&row.actor)),
        texts(|row| Some(row.action)),
        texts(|row| Some(&row.purpose)),
        texts(|row| row.signal.as_deref()),
        numbers(|row| row.rows),
        numbers(|row| row.subject_count),
        texts(|row| row.clause.as_deref()),
        times(),
        Arc::new(Int32Array::from(vec![0; rows.len()])),
        numbers(|row| row.index),
        Arc::new(Int32Array::new_null(rows.len())),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}
