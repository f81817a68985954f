//! A table in memory: its tails, and what the catalog says of its files while somebody asks.
//!
//! One lock a table holds both, so that a query sees rows either in the tail or in a file, never in both and never
//! in neither: a publish swaps them under it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};

use arrow::record_batch::RecordBatch;
use candor_model::{Offset, Partition, ProjectId, Timestamp};
use parking_lot::{Mutex, RwLock};
use tokio::sync::OnceCell;

use crate::columns::Columns;
use crate::name::TableName;
use crate::pin::DataFile;
use crate::streams::Lag;
use crate::tail::PartitionTail;

/// Which table.
pub(crate) type TableKey = (ProjectId, TableName);

/// What the log holds of a partition beyond what is published, from before we followed it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backlog {
    pub(crate) partition: Partition,
    pub(crate) from: Offset,
    pub(crate) until: Offset,
}

/// A table.
pub(crate) struct Table {
    pub(crate) project: ProjectId,
    pub(crate) name: TableName,
    /// What must be read back from the log before the table is whole.
    pub(crate) backlog: Vec<Backlog>,
    /// Set once the backlog is in the tail.
    pub(crate) whole: OnceCell<()>,
    pub(crate) state: Mutex<TableState>,
    /// Bytes of the tails, to choose by without the lock.
    pub(crate) tail_bytes: AtomicUsize,
    /// Rows came since upkeep last folded.
    pub(crate) touched: AtomicBool,
    /// When a query last asked, for the cache of file lists.
    pub(crate) asked: AtomicI64,
    /// Small files made since the last merge.
    pub(crate) small_files: AtomicUsize,
    /// Of a stream: held by who reads its partitions on. Taken before the lake's own locks.
    pub(crate) filling: Arc<tokio::sync::Mutex<()>>,
    /// Of a stream: what of it waits in the log.
    pub(crate) lag: Lag,
    /// Its topic was deleted.
    pub(crate) is_dropped: AtomicBool,
}

/// What the lock guards.
pub(crate) struct TableState {
    /// The catalog's id, once there is one.
    pub(crate) table: Option<i64>,
    /// Counts the swaps: a list that was read from the catalog meanwhile is void.
    pub(crate) generation: u64,
    /// The snapshot that the files are of.
    pub(crate) snapshot: i64,
    pub(crate) listing: Option<Listing>,
    /// Of a stream, once its rows were looked at: the columns of the files and of all rows read since.
    pub(crate) seen: Option<Arc<Columns>>,
    pub(crate) partitions: Vec<PartitionTail>,
}

/// The files and columns of a table, as the catalog has them at the table's snapshot.
#[derive(Clone)]
pub(crate) struct Listing {
    pub(crate) columns: Arc<Columns>,
    pub(crate) files: Arc<Vec<DataFile>>,
}

impl Table {
    pub(crate) fn new(key: TableKey, table: Option<i64>, snapshot: i64, backlog: Vec<Backlog>) -> Table {
        let whole = if backlog.is_empty() { OnceCell::new_with(Some(())) } else { OnceCell::new() };
        Table {
            project: key.0,
            name: key.1,
            backlog,
            whole,
            state: Mutex::new(TableState {
                table,
                generation: 0,
                snapshot,
                listing: None,
                seen: None,
                partitions: Vec::new(),
            }),
            tail_bytes: AtomicUsize::new(0),
            touched: AtomicBool::new(false),
            asked: AtomicI64::new(0),
            small_files: AtomicUsize::new(0),
            filling: Arc::default(),
            lag: Lag::default(),
            is_dropped: AtomicBool::new(false),
        }
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.whole.initialized()
    }

    /// When the oldest row of the tails came.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        self.state.lock().partitions.iter().filter_map(PartitionTail::since).min()
    }
}

impl TableState {
    /// The tail of a partition, made where there is none.
    pub(crate) fn partition(&mut self, partition: Partition, next: Offset) -> &mut PartitionTail {
        let at = match self.partitions.binary_search_by_key(&partition, |tail| tail.partition) {
            Ok(at) => at,
            Err(at) => {
                self.partitions.insert(at, PartitionTail::new(partition, None, next));
                at
            }
        };
        &mut self.partitions[at]
    }

    /// Bytes of the tails; of a stream as its rows are in the table's columns, in which a query has them.
    pub(crate) fn bytes(&self) -> usize {
        let columns = self.seen.as_ref().map_or(0, |seen| seen.schema.fields().len());
        self.partitions.iter().map(|tail| tail.bytes() + tail.bytes_in_columns(columns)).sum()
    }

    /// The tail's rows in the table's columns.
    pub(crate) fn tail(&mut self, columns: &Columns) -> Result<Vec<RecordBatch>, arrow::error::ArrowError> {
        let mut rows = Vec::new();
        for partition in &mut self.partitions {
            partition.collect(columns, &mut rows)?;
        }
        Ok(rows)
    }
}

/// Every table that has rows, and the bytes of all tails.
#[derive(Default)]
pub(crate) struct Tables {
    tables: RwLock<HashMap<TableKey, Arc<Table>>>,
    tail_bytes: AtomicUsize,
}

impl Tables {
    pub(crate) fn get(&self, key: &TableKey) -> Option<Arc<Table>> {
        self.tables.read().get(key).cloned()
    }

    pub(crate) fn get_or_make(&self, key: TableKey, make: impl FnOnce(TableKey) -> Table) -> Arc<Table> {
        if let Some(table) = self.get(&key) {
            return table;
        }
        let mut tables = self.tables.write();
        Arc::clone(tables.entry(key.clone()).or_insert_with(|| Arc::new(make(key))))
    }

    /// Takes a table of a project out, or all.
    pub(crate) fn remove(&self, project: ProjectId, name: Option<&TableName>) -> Vec<Arc<Table>> {
        let goes = |key: &TableKey| key.0 == project && name.is_none_or(|name| key.1 == *name);
        self.tables.write().extract_if(|key, _| goes(key)).map(|(_, table)| table).collect()
    }

    /// The tables of a project, or of all.
    pub(crate) fn list(&self, project: Option<ProjectId>) -> Vec<Arc<Table>> {
        let tables = self.tables.read();
        match project {
            Some(project) => tables.values().filter(|table| table.project == project).cloned().collect(),
            None => tables.values().cloned().collect(),
        }
    }

    /// Bytes of all tails.
    pub(crate) fn bytes(&self) -> usize {
        self.tail_bytes.load(Ordering::Relaxed)
    }

    /// Takes over a table's new tail size. Called under the table's lock.
    pub(crate) fn account(&self, table: &Table, state: &TableState) {
        let now = state.bytes();
        let before = table.tail_bytes.swap(now, Ordering::Relaxed);
        // Two steps would let a reader see a sum without either: add the difference, which may wrap, at once.
        self.tail_bytes.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
    }
}
