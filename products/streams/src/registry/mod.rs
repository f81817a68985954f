//! The schema registry: schemas of a project's topics, by subject and version, and what may change about them. It speaks
//! the Confluent Schema Registry's HTTP API ([`http`]), so that clients' serializers find what they expect.
//!
//! Ids are numbers within a project, over all its contexts: a value names its schema by nothing else. All is in memory
//! and in the metadata database; an operation plans its [`edit::Edit`]s from what it sees and is planned anew where
//! somebody else was quicker, so that heavy comparisons hold nobody up.

pub mod book;
mod change;
mod edit;
mod error;
mod examine;
pub mod http;
mod names;
mod parsed;
mod settings;
mod store;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use candor_meta::{Database, SqlError, Tx};
use candor_model::ProjectId;
use candor_schemas::Schema;
use parking_lot::RwLock;
use tokio::sync::Semaphore;

pub use book::{Book, Extra, Reference, Stored, Versions};
pub use change::{Deleted, Given, Registered};
use edit::Edit;
pub use error::RegistryError;
pub use examine::{Examination, Examined};
pub use names::{Context, Subject};
pub(crate) use settings::check_empty;
pub use settings::{Mode, Scope, Settings};

/// Times that an operation is planned anew because another one of the project was quicker.
const PLANNED_MAX: usize = 200;

/// The registry of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    books: RwLock<HashMap<ProjectId, Arc<Book>>>,
    /// Parsing and comparing at once.
    working: Semaphore,
    /// The one writer; true where memory may differ from the database.
    writer: tokio::sync::Mutex<bool>,
}

impl Registry {
    /// Opens the tables and reads all schemas; they are parsed when they are first asked for.
    pub async fn open(database: Database) -> Result<Registry, SqlError> {
        database.migrate(store::MIGRATIONS).await?;
        let books = RwLock::new(store::load(database.begin_read().await?).await?);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (working, writer) = (Semaphore::new(cores), tokio::sync::Mutex::new(false));
        Ok(Registry { inner: Arc::new(Inner { database, books, working, writer }) })
    }

    /// What a project has now.
    pub fn book(&self, project: ProjectId) -> Arc<Book> {
        self.inner.books.read().get(&project).map(Arc::clone).unwrap_or_default()
    }

    /// A project's schema by its id, parsed.
    pub fn schema(&self, project: ProjectId, id: i32) -> Option<Arc<Schema>> {
        let book = self.book(project);
        book.schema(id)?.parsed(&book)
    }

    /// Runs a plan over what a project has, on a blocking thread.
    async fn aside<T: Send + 'static>(
        &self,
        book: &Arc<Book>,
        plan: impl FnOnce(&Book) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, RegistryError> {
        let _turn = self.inner.working.acquire().await.map_err(|_| RegistryError::busy())?;
        let book = Arc::clone(book);
        tokio::task::spawn_blocking(move || plan(&book)).await.map_err(|_| RegistryError::busy())?
    }

    /// Plans edits and makes them, as one change.
    async fn edit<T: Send + 'static>(
        &self,
        project: ProjectId,
        plan: impl Fn(&Book) -> Result<(T, Vec<Edit>), RegistryError> + Send + Sync + 'static,
    ) -> Result<T, RegistryError> {
        let plan = Arc::new(plan);
        for _ in 0..PLANNED_MAX {
            let before = self.book(project);
            let planned = Arc::clone(&plan);
            let (told, edits) = self.aside(&before, move |book| planned(book)).await?;
            if edits.is_empty() || self.make(project, &before, &edits).await? {
                return Ok(told);
            }
        }
        Err(RegistryError::busy())
    }

    /// Makes edits, unless the project changed since they were planned.
    async fn make(
        &self,
        project: ProjectId,
        before: &Arc<Book>,
        edits: &[Edit],
    ) -> Result<bool, RegistryError> {
        let mut doubt = self.writer().await?;
        let now = self.inner.books.read().get(&project).map(Arc::clone);
        let is_same = now.as_ref().map_or(before.is_empty(), |now| Arc::ptr_eq(now, before));
        if !is_same {
            return Ok(false);
        }
        let mut after = Book::clone(before);
        for edit in edits {
            after.apply(edit);
        }
        after.check_room(before)?;
        *doubt = true;
        let mut tx = self.change().await?;
        for edit in edits {
            store::write(&mut tx, project, edit).await?;
        }
        store::set_next(&mut tx, project, after.next_id()).await?;
        tx.commit().await?;
        *doubt = false;
        self.inner.books.write().insert(project, Arc::new(after));
        Ok(true)
    }

    /// Removes all that a deleted project has.
    pub async fn forget(&self, project: ProjectId) -> Result<(), SqlError> {
        let mut doubt = self.writer().await?;
        *doubt = true;
        let mut tx = self.change().await?;
        store::forget(&mut tx, project).await?;
        tx.commit().await?;
        *doubt = false;
        self.inner.books.write().remove(&project);
        Ok(())
    }

    /// A transaction of a change. The lock makes it wait for the end of one that was left in the middle.
    async fn change(&self) -> Result<Tx, SqlError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock("stream_schema").await?;
        Ok(tx)
    }

    /// Takes the writer's place, and reads the database anew where a change before it was left in doubt.
    async fn writer(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, SqlError> {
        let mut doubt = self.inner.writer.lock().await;
        if *doubt {
            let books = store::load(self.change().await?).await?;
            *self.inner.books.write() = books;
            *doubt = false;
        }
        Ok(doubt)
    }
}

impl candor_gate::Schemas for Registry {
    fn schema(&self, project: ProjectId, id: i32) -> Option<Arc<Schema>> {
        Registry::schema(self, project, id)
    }
}
