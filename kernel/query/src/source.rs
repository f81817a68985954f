//! Where tables come from: the lake, seen through a trait, so that tests hand in tables of their own.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use candor_lake::{DataFile, Lake, LakeError, Pinned, TableName};
use candor_meta::ReadScope;
use candor_model::{ProjectId, Signal, Timestamp};
use candor_store::{StoreError, StoredFile};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use futures::future::BoxFuture;

/// The content of an open file.
#[async_trait]
pub trait Content: Send + Sync {
    /// A range of it.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError>;
}

#[async_trait]
impl Content for StoredFile {
    async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        StoredFile::read(self, range).await
    }
}

/// The tables of the projects. The scope says which project; nothing else does.
#[async_trait]
pub trait Tables: Send + Sync {
    /// Pins a table of the project that the scope may read.
    async fn pin(&self, scope: &ReadScope, signal: Signal) -> Result<Pinned, LakeError>;
    /// Pins published files as of a snapshot, without the tail.
    async fn pin_snapshot(
        &self,
        scope: &ReadScope,
        signal: Signal,
        snapshot: i64,
    ) -> Result<Pinned, LakeError>;
    /// The names of the project's topics of streams, sorted.
    fn streams(&self, scope: &ReadScope) -> Vec<Arc<str>>;
    /// The columns of a topic's table as far as they are known. None where no topic has that name.
    async fn stream_columns(&self, scope: &ReadScope, name: &str) -> Result<Option<SchemaRef>, LakeError>;
    /// Pins the table of a topic, at a snapshot where one is given. None where no topic has that name.
    async fn pin_stream(
        &self,
        scope: &ReadScope,
        name: &str,
        snapshot: Option<i64>,
    ) -> Result<Option<Pinned>, LakeError>;
    /// Opens a published file of a pinned table.
    async fn open(&self, file: &DataFile) -> Result<Arc<dyn Content>, LakeError>;
}

#[async_trait]
impl Tables for Lake {
    async fn pin(&self, scope: &ReadScope, signal: Signal) -> Result<Pinned, LakeError> {
        Lake::pin(self, scope, signal).await
    }
    async fn pin_snapshot(
        &self,
        scope: &ReadScope,
        signal: Signal,
        snapshot: i64,
    ) -> Result<Pinned, LakeError> {
        Lake::pin_snapshot(self, scope, signal, snapshot).await
    }
    fn streams(&self, scope: &ReadScope) -> Vec<Arc<str>> {
        Lake::streams(self, scope)
    }
    async fn stream_columns(&self, scope: &ReadScope, name: &str) -> Result<Option<SchemaRef>, LakeError> {
        Lake::stream_columns(self, scope, name).await
    }
    async fn pin_stream(
        &self,
        scope: &ReadScope,
        name: &str,
        snapshot: Option<i64>,
    ) -> Result<Option<Pinned>, LakeError> {
        match snapshot {
            Some(snapshot) => Lake::pin_stream_snapshot(self, scope, name, snapshot).await,
            None => Lake::pin_stream(self, scope, name).await,
        }
    }
    async fn open(&self, file: &DataFile) -> Result<Arc<dyn Content>, LakeError> {
        Ok(Arc::new(Lake::open(self, file).await?))
    }
}

/// Why a source failed that is not the lake.
pub type SourceError = Box<dyn std::error::Error + Send + Sync>;

/// An entry of the ledger.
#[derive(Debug, Clone)]
pub struct LedgerRow {
    /// When it was written.
    pub timestamp: Timestamp,
    /// Its number.
    pub index: u64,
    /// Who did it.
    pub actor: String,
    /// What was done.
    pub action: &'static str,
    /// For what.
    pub purpose: String,
    /// Which signals.
    pub signal: Option<String>,
    /// Rows that were given or touched.
    pub rows: u64,
    /// How many persons it concerned.
    pub subject_count: u64,
    /// The clause that asked or allowed.
    pub clause: Option<String>,
}

/// The ledger's entries of a project. The scope says which project; nothing else does.
pub trait LedgerRows: Send + Sync {
    /// The number after the project's newest entry, zero where it has none. What was done before is an entry then.
    fn end<'a>(&'a self, scope: &'a ReadScope) -> BoxFuture<'a, Result<u64, SourceError>>;
    /// So many entries below a number, the newest first.
    fn below<'a>(
        &'a self,
        scope: &'a ReadScope,
        below: u64,
        count: u32,
    ) -> BoxFuture<'a, Result<Vec<LedgerRow>, SourceError>>;
}

/// One consistent view of a table, as [`Pinned`] gives it and as tests make it.
#[derive(Clone)]
pub(crate) struct View {
    pub(crate) project: ProjectId,
    pub(crate) name: TableName,
    pub(crate) schema: SchemaRef,
    pub(crate) files: Arc<Vec<DataFile>>,
    pub(crate) tail: Arc<Vec<RecordBatch>>,
    /// Older rows are past their time.
    pub(crate) not_before: Option<i64>,
    /// What keeps it readable.
    pub(crate) _hold: Option<Pinned>,
}

impl From<Pinned> for View {
    fn from(pinned: Pinned) -> View {
        View {
            project: pinned.project,
            name: pinned.name.clone(),
            schema: Arc::clone(&pinned.schema),
            files: Arc::clone(&pinned.files),
            tail: Arc::clone(&pinned.tail),
            not_before: pinned.not_before,
            _hold: Some(pinned),
        }
    }
}

/// The tables of one project: what a query gets to see of [`Tables`]. It holds the scope, so that nothing beyond
/// this point can name another.
#[async_trait]
pub(crate) trait Scoped: Send + Sync {
    /// Pins a table, at a snapshot where one is given.
    async fn pin(&self, signal: Signal, snapshot: Option<i64>) -> Result<View, LakeError>;
    /// The names of the topics of streams, sorted.
    fn streams(&self) -> Vec<Arc<str>>;
    /// The columns of a topic's table as far as they are known. None where no topic has that name.
    async fn stream_columns(&self, name: &str) -> Result<Option<SchemaRef>, LakeError>;
    /// Pins the table of a topic, at a snapshot where one is given. None where no topic has that name.
    async fn pin_stream(&self, name: &str, snapshot: Option<i64>) -> Result<Option<View>, LakeError>;
    /// Opens a file of a pinned table.
    async fn open(&self, file: &DataFile) -> Result<Arc<dyn Content>, LakeError>;
    /// The number after the newest entry of the ledger.
    async fn ledger_end(&self) -> Result<u64, SourceError>;
    /// Entries of the ledger below a number, the newest first.
    async fn ledger_below(&self, below: u64, count: u32) -> Result<Vec<LedgerRow>, SourceError>;
}

/// [`Tables`] and the ledger bound to a scope.
pub(crate) struct OfScope {
    tables: Arc<dyn Tables>,
    ledger: Arc<dyn LedgerRows>,
    scope: ReadScope,
}

impl OfScope {
    /// Binds them to a scope.
    pub(crate) fn new(tables: Arc<dyn Tables>, ledger: Arc<dyn LedgerRows>, scope: ReadScope) -> OfScope {
        OfScope { tables, ledger, scope }
    }
}

#[async_trait]
impl Scoped for OfScope {
    async fn pin(&self, signal: Signal, snapshot: Option<i64>) -> Result<View, LakeError> {
        let pinned = match snapshot {
            Some(snapshot) => self.tables.pin_snapshot(&self.scope, signal, snapshot).await,
            None => self.tables.pin(&self.scope, signal).await,
        };
        pinned.map(View::from)
    }
    fn streams(&self) -> Vec<Arc<str>> {
        self.tables.streams(&self.scope)
    }
    async fn stream_columns(&self, name: &str) -> Result<Option<SchemaRef>, LakeError> {
        self.tables.stream_columns(&self.scope, name).await
    }
    async fn pin_stream(&self, name: &str, snapshot: Option<i64>) -> Result<Option<View>, LakeError> {
        let pinned = self.tables.pin_stream(&self.scope, name, snapshot).await?;
        Ok(pinned.map(View::from))
    }
    async fn open(&self, file: &DataFile) -> Result<Arc<dyn Content>, LakeError> {
        self.tables.open(file).await
    }
    async fn ledger_end(&self) -> Result<u64, SourceError> {
        self.ledger.end(&self.scope).await
    }
    async fn ledger_below(&self, below: u64, count: u32) -> Result<Vec<LedgerRow>, SourceError> {
        self.ledger.below(&self.scope, below, count).await
    }
}
