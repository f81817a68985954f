//! The lake: topics become tables. The newest rows are Arrow in memory (the tail), the rest Parquet under a
//! DuckLake-shaped catalog.

use std::sync::Arc;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use candor_meta::ReadScope;
use candor_model::{ProjectId, Signal};
use candor_store::StoredFile;

/// Why the lake failed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The catalog failed.
    #[error("the catalog failed")]
    Sql(#[from] candor_meta::SqlError),
    /// A file failed.
    #[error("a file failed")]
    Store(#[from] candor_store::StoreError),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] candor_log::ReadError),
    /// Parquet or Arrow failed.
    #[error("a table file failed")]
    Arrow(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No such snapshot (expired, or never was).
    #[error("no snapshot {0}: it expired or never was")]
    NoSnapshot(i64),
}

/// A published file, as a query sees it.
#[derive(Debug, Clone)]
pub struct DataFile {
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
}

/// One consistent view of a table: files of one snapshot and the rows of the tail beyond them. Holds both readable
/// until it is dropped.
#[derive(Clone)]
pub struct Pinned {
    /// The table's columns, with the system columns and the promoted ones.
    pub schema: SchemaRef,
    /// The snapshot.
    pub snapshot: i64,
    /// The files.
    pub files: Arc<Vec<DataFile>>,
    /// The tail, oldest first, in `schema`.
    pub tail: Arc<Vec<RecordBatch>>,
}

/// The lake. Cheap to clone.
#[derive(Clone)]
pub struct Lake {}

impl Lake {
    /// Pins a table of the project that the scope may read.
    pub async fn pin(&self, _scope: &ReadScope, _signal: Signal) -> Result<Pinned, LakeError> {
        todo!()
    }
    /// Pins published files as of a snapshot, without the tail.
    pub async fn pin_snapshot(
        &self,
        _scope: &ReadScope,
        _signal: Signal,
        _snapshot: i64,
    ) -> Result<Pinned, LakeError> {
        todo!()
    }
    /// Opens a published file of a pinned table.
    pub async fn open(&self, _file: &DataFile) -> Result<StoredFile, LakeError> {
        todo!()
    }
    /// Publishes the tail of a project or of all; gives the snapshot.
    pub async fn flush(&self, _project: Option<ProjectId>) -> Result<i64, LakeError> {
        todo!()
    }
}
