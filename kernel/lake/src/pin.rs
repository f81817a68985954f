//! What a query holds: one snapshot's files and the tail beyond them, readable until it is dropped.

use std::sync::Arc;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use candor_model::{ProjectId, Signal};

/// An end of a column's range of values.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Bound {
    /// Of an integer column, or of a time in µs.
    Int(i64),
    /// Of text.
    Text(Box<str>),
}

/// What the catalog knows of a column of a file. Only columns that name no person have bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnStats {
    /// The column.
    pub column: &'static str,
    /// How many of its values are null.
    pub nulls: u64,
    /// Its least value; none where unknown (or all are null).
    pub min: Option<Bound>,
    /// Its greatest value; none where unknown (or all are null).
    pub max: Option<Bound>,
}

/// A published file, as a query sees it.
#[derive(Debug, Clone)]
pub struct DataFile {
    /// Its id in the catalog.
    pub id: i64,
    /// Its key in the store.
    pub key: String,
    /// Length in the clear, bytes.
    pub length: u64,
    /// Length of the Parquet footer, bytes.
    pub footer: u64,
    /// Rows.
    pub rows: u64,
    /// Least and greatest `timestamp`, µs.
    pub timestamps: (i64, i64),
    /// Least and greatest `_ingested_at`, µs.
    pub ingested: (i64, i64),
    /// For pruning by other columns; a column that is absent here is unknown.
    pub columns: Arc<[ColumnStats]>,
}

/// One consistent view of a table: files of one snapshot and the rows of the tail beyond them. Holds both readable
/// until it is dropped (clones count).
#[derive(Clone)]
pub struct Pinned {
    /// The project.
    pub project: ProjectId,
    /// Which table.
    pub signal: Signal,
    /// The table's columns: the gate's, `_ingested_at`, `_partition`, `_offset`, `_epoch`, then promoted `a_…`.
    /// A file that is older than a promoted column does not have it: it reads as null there.
    pub schema: SchemaRef,
    /// The snapshot.
    pub snapshot: i64,
    /// The files, in the order they were published.
    pub files: Arc<Vec<DataFile>>,
    /// The tail, oldest first, in `schema`.
    pub tail: Arc<Vec<RecordBatch>>,
}
