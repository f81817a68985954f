//! The lake: topics become tables. The newest rows are Arrow in memory (the tail), the rest Parquet under a
//! DuckLake-shaped catalog.

pub mod config;
pub mod error;
pub mod pin;
pub mod serve;
pub mod source;

pub use config::{LakeConfig, Retention};
pub use error::LakeError;
pub use pin::{Bound, ColumnStats, DataFile, Pinned};
pub use serve::{LakeGrant, LakeToken, ServeError};
pub use source::Source;

use std::path::Path;
use std::sync::Arc;

use candor_meta::{Database, ReadScope};
use candor_model::{Clock, ProjectId, Random, Signal};
use candor_store::{Files, StoredFile};

/// What a lake stands on.
pub struct LakeParts {
    /// `lake.db`, or a schema of its own in PostgreSQL. No other process may write it.
    pub catalog: Database,
    /// `meta.db`: holds the read tokens, hashed.
    pub meta: Database,
    /// Where the Parquet files go.
    pub files: Arc<Files>,
    /// The log ([`candor_log::Log`] is one).
    pub source: Arc<dyn Source>,
    /// The clock of retention, of ages and of snapshots.
    pub clock: Arc<dyn Clock>,
    /// For file names and tokens.
    pub random: Arc<dyn Random>,
}

/// How hard the lake asks ingest to slow down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Publishing keeps up.
    None,
    /// The tails are past their bound: delay what is let in.
    Slow,
    /// The tails are far past their bound, or publishing fails: answer 429 or 503 with Retry-After.
    Refuse,
}

/// The lake. Cheap to clone.
#[derive(Clone)]
pub struct Lake {}

impl Lake {
    /// Starts the lake: brings the catalog's tables up, follows the log, and starts its own upkeep on the runtime
    /// that this is called on (publishing, compaction, retention). Rows that were acknowledged but not published
    /// are read back from the log behind the return; a query that needs them waits for them.
    pub async fn start(_parts: LakeParts, _config: LakeConfig) -> Result<Lake, LakeError> {
        todo!()
    }
    /// Pins a table of the project that the scope may read. A project without rows has empty tables.
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
    /// Merges the small files of a project or of all now, rather than when upkeep finds them; gives how many files
    /// were replaced.
    pub async fn compact(&self, _project: Option<ProjectId>) -> Result<usize, LakeError> {
        todo!()
    }
    /// How hard ingest should slow down. Cheap: ask at every request.
    pub fn pressure(&self) -> Pressure {
        todo!()
    }
    /// Publishes every tail and stops upkeep.
    pub async fn close(&self) -> Result<(), LakeError> {
        todo!()
    }
    /// Ends the tables of a deleted project; their files go when history and pins are past.
    pub async fn drop_project(&self, _project: ProjectId) -> Result<(), LakeError> {
        todo!()
    }
    /// Writes a DuckLake catalog of one project to a new SQLite file: schema `main`, file names relative to
    /// `/lake/<project number>/`, a table `issues(group_hash, issue)` from `issues`. Gives the snapshot.
    pub async fn export(
        &self,
        _scope: &ReadScope,
        _issues: &[(String, i64)],
        _data_path: &str,
        _out: &Path,
    ) -> Result<i64, LakeError> {
        todo!()
    }
    /// Makes a token that reads the published files of the scope's project for `ttl_seconds`.
    pub async fn mint_token(&self, _scope: &ReadScope, _ttl_seconds: i64) -> Result<LakeToken, LakeError> {
        todo!()
    }
    /// The grant of a presented token for a project: `Unauthorized` for one that is unknown or expired,
    /// `Forbidden` for another project's.
    pub async fn authorize(&self, _token: &str, _project: ProjectId) -> Result<LakeGrant, ServeError> {
        todo!()
    }
    /// The file behind a path below `/lake/<project>/` (`logs/2026-11-20/….parquet`), while a snapshot that is
    /// kept names it. `length()` and `read(range)` of the result answer HEAD and ranged GET.
    pub async fn serve(&self, _grant: &LakeGrant, _path: &str) -> Result<StoredFile, ServeError> {
        todo!()
    }
    /// Files that hold erased rows: `/lake/` answers 410 for them until they are rewritten.
    pub async fn deny(&self, _project: ProjectId, _keys: &[String]) -> Result<(), LakeError> {
        todo!()
    }
}
