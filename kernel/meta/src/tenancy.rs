//! Organisations, projects and their keys, and the scopes that only this module can make.

use std::sync::Arc;

use candor_model::{Clock, OrgId, ProjectId, Random};

use crate::{Database, SqlError};

/// The right to write records into one project, proven by a key. Only [`Tenancy::authorize_write`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteScope {
    org: OrgId,
    project: ProjectId,
    key: i64,
}

impl WriteScope {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }
    /// The project.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// The key's row number, for quotas and counts.
    pub fn key(&self) -> i64 {
        self.key
    }
}

/// The right to read one project. Only [`Tenancy`] makes one, for a principal that it has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadScope {
    org: OrgId,
    project: ProjectId,
    actor: String,
}

impl ReadScope {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }
    /// The project.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// Who reads, for the ledger: `user:3`, `token:7`, `admin`.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// The public key of a Sentry DSN: 32 hex digits.
    Dsn,
    /// An ingest token of log shippers.
    Ingest,
}

/// A project as its owner sees it.
#[derive(Debug, Clone)]
pub struct Project {
    /// The number.
    pub id: ProjectId,
    /// The organisation.
    pub org: OrgId,
    /// The organisation's name.
    pub org_name: String,
    /// The name.
    pub name: String,
}

/// Organisations, projects, keys. Cheap to clone.
#[derive(Clone)]
pub struct Tenancy {}

impl Tenancy {
    /// Opens the tables of this module in `meta.db`.
    pub async fn open(
        _database: Database,
        _clock: Arc<dyn Clock>,
        _random: Arc<dyn Random>,
    ) -> Result<Tenancy, SqlError> {
        todo!()
    }
    /// The scope of a key presented by a client; `None` for a key that is unknown, rotated out or of a deleted
    /// project. Cached: no SQL on the hot path.
    pub async fn authorize_write(
        &self,
        _kind: KeyKind,
        _secret: &str,
    ) -> Result<Option<WriteScope>, SqlError> {
        todo!()
    }
}
