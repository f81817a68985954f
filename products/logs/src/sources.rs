//! Named origins of logs. A name that nobody has used yet makes a source; at most
//! [`SOURCES_MAX`] a project, so that a shipper that puts an id where a name belongs is noticed.

use std::collections::HashMap;
use std::sync::Arc;

use candor_meta::{Database, Migration, SqlError, params};
use candor_model::limits::SOURCES_MAX;
use candor_model::{Clock, ProjectId, Random, Timestamp};
use candor_scrub::{Counts, Scrubber};
use parking_lot::Mutex;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "logs",
    version: 1,
    sql: "
CREATE TABLE log_source (
    project_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (project_id, name)
);
CREATE UNIQUE INDEX log_source_id ON log_source (project_id, id);
",
}];

const LOOK_UP: &str = "SELECT name FROM log_source WHERE project_id = ? AND (name = ? OR id = ?)";

/// Longest name, bytes.
const NAME_BYTES_MAX: usize = 200;

/// Answers kept in memory. Sources are neither renamed nor removed, so an answer stays right; a flood empties the
/// cache at worst.
const ANSWERS_MAX: usize = 100_000;

/// How long a project that was full refuses new names without counting its sources again.
const FULL_MICROS: i64 = 10 * Timestamp::SECOND;

/// Why there is no such source.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The name cannot be one.
    #[error("a source's name has 1 to {NAME_BYTES_MAX} bytes and no control characters")]
    BadName,
    /// The project has as many sources as it may.
    #[error("the project has {SOURCES_MAX} sources already")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// A source as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The id that shippers may give instead of the name; in the form of a UUID.
    pub id: String,
    /// The name.
    pub name: String,
    /// When it was first used.
    pub created_at: Timestamp,
}

/// The sources of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Sources {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    scrubber: Scrubber,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Names by what was asked for: a name or an id.
    names: HashMap<(ProjectId, String), Arc<str>>,
    /// Projects that are full, and until when that is believed: until then a new name is not tried to be made.
    full: HashMap<ProjectId, Timestamp>,
}

impl Sources {
    /// Opens the table in `meta.db`.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Sources, SqlError> {
        database.migrate(MIGRATIONS).await?;
        // Names stand in metadata, where nothing else is scrubbed.
        let scrubber = Scrubber::default();
        let inner = Inner { database, clock, random, scrubber, known: Mutex::default() };
        Ok(Sources { inner: Arc::new(inner) })
    }

    /// The name of the source that a shipper names by its id or its name; a new name makes a source. No SQL for a
    /// source that has been asked for before.
    pub async fn resolve(&self, project: ProjectId, asked: &str) -> Result<Arc<str>, SourceError> {
        let asked = asked.trim();
        if !may_be_asked(asked) {
            return Err(SourceError::BadName);
        }
        let now = self.inner.clock.now();
        let full = {
            let known = self.inner.known.lock();
            if let Some(name) = known.names.get(&(project, asked.to_owned())) {
                return Ok(Arc::clone(name));
            }
            known.full.get(&project).is_some_and(|until| now < *until)
        };
        let scrubbed = self.inner.scrubber.scrub_str(asked, &mut Counts::new());
        let name = scrubbed.as_deref().unwrap_or(asked);
        let found = match self.look_up(project, name).await? {
            Some(name) => Ok(name),
            None if full => return Err(SourceError::TooMany),
            None => self.make(project, name, now).await,
        };
        let mut known = self.inner.known.lock();
        match &found {
            Ok(name) => {
                if known.names.len() >= ANSWERS_MAX {
                    known.names.clear();
                }
                known.names.insert((project, asked.to_owned()), Arc::clone(name));
            }
            Err(SourceError::TooMany) => {
                known.full.retain(|_, until| now < *until);
                known.full.insert(project, Timestamp(now.0.saturating_add(FULL_MICROS)));
            }
            Err(_) => {}
        }
        found
    }

    /// The name of a source that there is already, by its id or its name; none where there is none, or where metadata
    /// cannot be asked now.
    pub async fn known(&self, project: ProjectId, asked: &str) -> Option<Arc<str>> {
        let asked = asked.trim();
        if !may_be_asked(asked) {
            return None;
        }
        if let Some(name) = self.inner.known.lock().names.get(&(project, asked.to_owned())) {
            return Some(Arc::clone(name));
        }
        match self.look_up(project, asked).await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "sources cannot be asked for now");
                None
            }
        }
    }

    /// Removes the sources of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), SqlError> {
        self.inner
            .database
            .execute("DELETE FROM log_source WHERE project_id = ?", params![project.0])
            .await?;
        self.inner.known.lock().names.retain(|(of, _), _| *of != project);
        Ok(())
    }

    async fn look_up(&self, project: ProjectId, asked: &str) -> Result<Option<Arc<str>>, SqlError> {
        let rows = self.inner.database.query(LOOK_UP, params![project.0, asked, asked]).await?;
        rows.first().map(|row| row.text(0).map(Arc::from)).transpose()
    }

    /// Makes the source, unless another request was first.
    async fn make(&self, project: ProjectId, asked: &str, now: Timestamp) -> Result<Arc<str>, SourceError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock(&format!("log_source:{project}")).await?;
        if let Some(row) = tx.query(LOOK_UP, params![project.0, asked, asked]).await?.first() {
            return Ok(Arc::from(row.text(0)?));
        }
        let rows =
            tx.query("SELECT COUNT(*) FROM log_source WHERE project_id = ?", params![project.0]).await?;
        let count = rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0);
        if usize::try_from(count).unwrap_or(usize::MAX) >= SOURCES_MAX {
            return Err(SourceError::TooMany);
        }
        tx.execute(
            "INSERT INTO log_source (project_id, name, id, created_at) VALUES (?, ?, ?, ?)",
            params![project.0, asked, uuid(&*self.inner.random), now.0],
        )
        .await?;
        tx.commit().await?;
        Ok(Arc::from(asked))
    }

    /// The sources of a project, by name.
    pub async fn list(&self, project: ProjectId) -> Result<Vec<Source>, SqlError> {
        let sql = "SELECT id, name, created_at FROM log_source WHERE project_id = ? ORDER BY name";
        let rows = self.inner.database.query(sql, params![project.0]).await?;
        let source = |row: &candor_meta::Row| {
            Ok(Source {
                id: row.text(0)?.to_owned(),
                name: row.text(1)?.to_owned(),
                created_at: Timestamp(row.int(2)?),
            })
        };
        rows.iter().map(source).collect()
    }
}

/// A random id in the form of a UUID of version 4 (RFC 9562, section 5.4).
fn uuid(random: &dyn Random) -> String {
    let mut bytes = [0; 16];
    random.fill(&mut bytes);
    let bits = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc << 60) | (0x4000 << 64) | (0x8 << 60);
    let digits = format!("{bits:032x}");
    let part = |from, to| digits.get(from..to).unwrap_or_default();
    format!("{}-{}-{}-{}-{}", part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32))
}

/// True for what may be a source's name or id.
fn may_be_asked(asked: &str) -> bool {
    !asked.is_empty() && asked.len() <= NAME_BYTES_MAX && !asked.chars().any(char::is_control)
}
