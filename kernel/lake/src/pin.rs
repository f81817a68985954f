//! What a query holds: one snapshot's files and the tail beyond them, readable until it is dropped.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::{datatypes::SchemaRef, record_batch::RecordBatch};
use candor_model::ProjectId;
use parking_lot::Mutex;

use crate::LakeError;
use crate::columns::Columns;
use crate::inner::Inner;
use crate::name::TableName;
use crate::table::{Listing, Table};

/// Files in the lists that are kept in memory, over all tables: a kilobyte each. The lists of the tables that were
/// asked longest ago go first.
const LISTED_FILES_MAX: usize = 20_000;

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
    /// How many rows.
    pub rows: u64,
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
    /// Length of the Parquet footer's metadata, bytes (without the eight that end the file).
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
    pub name: TableName,
    /// The table's columns: the gate's (of a stream, those of records), `_ingested_at`, `_partition`, `_offset`,
    /// `_epoch`, then promoted `a_…` (of a stream, fields `v_…`). A file that is older than one of these does not have
    /// it: it reads as null there. A file may have a field in a narrower type than the table: it is to be cast.
    pub schema: SchemaRef,
    /// The snapshot.
    pub snapshot: i64,
    /// The files, in the order they were published.
    pub files: Arc<Vec<DataFile>>,
    /// The tail, oldest first, in `schema`.
    pub tail: Arc<Vec<RecordBatch>>,
    /// Rows that came before this (`_ingested_at`, µs) are past their time and to be shown to nobody, though files
    /// that are listed have some; none where there are none such.
    pub not_before: Option<i64>,
    _ticket: Arc<Ticket>,
}

impl Pinned {
    /// The same, but that what came before `cutoff` is past its time.
    pub(crate) fn hiding(self, cutoff: i64) -> Pinned {
        let has_older = self.files.iter().any(|file| file.ingested.0 < cutoff);
        Pinned { not_before: has_older.then_some(cutoff), ..self }
    }

    /// Rows of files and tail together.
    pub fn rows(&self) -> u64 {
        let files: u64 = self.files.iter().map(|file| file.rows).sum();
        files + self.tail.iter().map(|batch| batch.num_rows() as u64).sum::<u64>()
    }
}

/// Who reads what since when: a counter goes up with each pin and each file that ends, and the bytes of a file go
/// only when every pin from before its end is gone.
#[derive(Default)]
pub(crate) struct Pins(Arc<Mutex<Board>>);

#[derive(Default)]
struct Board {
    counter: u64,
    held: BTreeSet<u64>,
}

/// A pin on the board; taken off when dropped.
pub(crate) struct Ticket {
    board: Arc<Mutex<Board>>,
    number: u64,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.board.lock().held.remove(&self.number);
    }
}

impl Pins {
    /// Puts a pin on the board.
    pub(crate) fn enter(&self) -> Arc<Ticket> {
        let mut board = self.0.lock();
        board.counter += 1;
        let number = board.counter;
        board.held.insert(number);
        Arc::new(Ticket { board: Arc::clone(&self.0), number })
    }

    /// The moment now: pins from here on are later.
    pub(crate) fn moment(&self) -> u64 {
        self.0.lock().counter
    }

    /// True where every pin from before or at that moment is gone.
    pub(crate) fn are_past(&self, moment: u64) -> bool {
        self.0.lock().held.first().is_none_or(|oldest| *oldest > moment)
    }
}

impl Inner {
    /// Pins a table: its rows in files and in the tail.
    pub(crate) async fn pin(
        self: &Arc<Inner>,
        project: ProjectId,
        name: TableName,
    ) -> Result<Pinned, LakeError> {
        let Some(table) = self.tables.get(&(project, name.clone())) else {
            return Ok(self.empty(project, &name, self.head()));
        };
        self.make_whole(&table).await?;
        table.asked.store(self.clock.now().0, std::sync::atomic::Ordering::Relaxed);
        self.pin_table(&table).await
    }

    /// Pins a table as it is in memory and in files.
    pub(crate) async fn pin_table(&self, table: &Arc<Table>) -> Result<Pinned, LakeError> {
        let (project, name) = (table.project, &table.name);
        loop {
            let ticket = self.pins.enter();
            let (id, snapshot, generation) = {
                let mut state = table.state.lock();
                if let Some(listing) = state.listing.clone() {
                    let columns = state.seen.clone().unwrap_or(listing.columns);
                    let tail = state.tail(&columns)?;
                    return Ok(Pinned {
                        project,
                        name: name.clone(),
                        schema: Arc::clone(&columns.schema),
                        snapshot: state.snapshot,
                        files: listing.files,
                        tail: Arc::new(tail),
                        not_before: None,
                        _ticket: ticket,
                    });
                }
                (state.table, state.snapshot, state.generation)
            };
            // As of the snapshot whose swap is done: a commit that is ahead of its swap has its rows in the tail.
            let listing = match id {
                Some(id) => {
                    let read = self.catalog.files(project, name, id, snapshot).await?;
                    Listing { columns: read.columns, files: Arc::new(read.files) }
                }
                None => Listing { columns: Arc::new(Columns::new(name)), files: Arc::default() },
            };
            let mut state = table.state.lock();
            if state.generation == generation {
                state.listing = Some(listing);
                drop(state);
                self.bound_listings(table);
            }
        }
    }

    /// Pins the files of a snapshot that somebody named.
    pub(crate) async fn pin_snapshot(
        self: &Arc<Inner>,
        project: ProjectId,
        name: &TableName,
        snapshot: i64,
    ) -> Result<Pinned, LakeError> {
        // Before the list is read: what it names cannot go meanwhile.
        let ticket = self.pins.enter();
        let Some(read) = self.catalog.files_of_snapshot(project, name, snapshot).await? else {
            return Err(LakeError::NoSnapshot(snapshot));
        };
        Ok(Pinned {
            project,
            name: name.clone(),
            schema: Arc::clone(&read.columns.schema),
            snapshot,
            files: Arc::new(read.files),
            tail: Arc::default(),
            not_before: None,
            _ticket: ticket,
        })
    }

    pub(crate) fn empty(&self, project: ProjectId, name: &TableName, snapshot: i64) -> Pinned {
        Pinned {
            project,
            name: name.clone(),
            schema: Columns::new(name).schema,
            snapshot,
            files: Arc::default(),
            tail: Arc::default(),
            not_before: None,
            _ticket: self.pins.enter(),
        }
    }

    /// Drops the lists that were asked for longest ago until the rest is within the bound.
    fn bound_listings(&self, keep: &Arc<Table>) {
        let mut listed: Vec<(i64, usize, Arc<Table>)> = Vec::new();
        for table in self.tables.list(None) {
            let count = table.state.lock().listing.as_ref().map_or(0, |listing| listing.files.len());
            if count > 0 && !Arc::ptr_eq(&table, keep) {
                listed.push((table.asked.load(std::sync::atomic::Ordering::Relaxed), count, table));
            }
        }
        let kept = keep.state.lock().listing.as_ref().map_or(0, |listing| listing.files.len());
        let mut total: usize = kept + listed.iter().map(|(_, count, _)| count).sum::<usize>();
        listed.sort_by_key(|(asked, _, _)| *asked);
        for (_, count, table) in listed {
            if total <= LISTED_FILES_MAX {
                return;
            }
            table.state.lock().listing = None;
            total -= count;
        }
    }

    /// Drops the lists that nobody asked for since `before`.
    pub(crate) fn forget_listings(&self, before: i64) {
        for table in self.tables.list(None) {
            if table.asked.load(std::sync::atomic::Ordering::Relaxed) < before {
                table.state.lock().listing = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_outlives_the_pins_from_before_its_end() {
        let pins = Pins::default();
        let before = pins.enter();
        let ended = pins.moment();
        let after = pins.enter();
        assert!(!pins.are_past(ended));
        drop(after);
        assert!(!pins.are_past(ended));
        drop(before);
        assert!(pins.are_past(ended));
    }
}
