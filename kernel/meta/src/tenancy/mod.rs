//! Organisations, projects and their keys, and the scopes that only this module can make.
//!
//! A DSN key is public by nature (it stands in web pages) and stored readable, so that the screen can show the DSN
//! again; an ingest token is stored as a digest and shown once. Both are looked up by digest.

mod cache;
mod keys;
mod names;
mod orgs;
mod projects;
mod scope;
mod usage;

use std::sync::Arc;

use candor_model::{Clock, OrgId, ProjectId, Random, Timestamp};

use crate::{Database, Engine, Migration, SqlError, Tx, params};
use cache::{Answer, Cached, KeyCache};
pub use keys::{KeyInfo, ProjectKeys};
pub use orgs::{Org, Role};
pub use projects::Project;
pub use scope::{KeyLimits, ReadScope, WriteScope};

/// The name of the organisation that every instance begins with; `setup --org` renames it.
const FIRST_ORG: &str = "default";

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyKind {
    /// The public key of a Sentry DSN: 32 hex digits.
    Dsn,
    /// An ingest token of log shippers.
    Ingest,
}

impl KeyKind {
    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            KeyKind::Dsn => "dsn",
            KeyKind::Ingest => "ingest",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<KeyKind> {
        [KeyKind::Dsn, KeyKind::Ingest].into_iter().find(|kind| kind.name() == name)
    }
}

/// Why something about organisations, projects or keys was refused.
#[derive(Debug, thiserror::Error)]
pub enum TenancyError {
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The name is taken in its organisation.
    #[error("the name is taken")]
    Taken,
    /// The name has characters that names do not have.
    #[error("a name is 1 to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit")]
    BadName,
    /// No such organisation.
    #[error("no such organisation")]
    NoSuchOrg,
    /// No such project.
    #[error("no such project")]
    NoSuchProject,
}

/// The number of no key: what a user of Kafka does counts against no key's quota.
const NO_KEY: i64 = 0;

impl TenancyError {
    fn from_insert(error: SqlError) -> TenancyError {
        match error {
            SqlError::Unique(_) => TenancyError::Taken,
            other => TenancyError::Sql(other),
        }
    }
}

const MIGRATIONS: &[Migration] = &[
    Migration {
        owner: "tenancy",
        version: 1,
        sql: "
CREATE TABLE org (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);
CREATE TABLE membership (
    org_id BIGINT NOT NULL REFERENCES org (id),
    user_id BIGINT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX membership_user ON membership (user_id);
CREATE TABLE project (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    org_id BIGINT NOT NULL REFERENCES org (id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    deleted_at BIGINT
);
CREATE UNIQUE INDEX project_name ON project (org_id, name) WHERE deleted_at IS NULL;
CREATE TABLE project_key (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project_id BIGINT NOT NULL REFERENCES project (id),
    kind TEXT NOT NULL,
    public TEXT,
    digest BLOB NOT NULL UNIQUE,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX project_key_project ON project_key (project_id);
",
    },
    Migration {
        owner: "tenancy",
        version: 2,
        sql: "
CREATE TABLE key_limit (
    key_id BIGINT PRIMARY KEY REFERENCES project_key (id),
    requests_per_second BIGINT,
    bytes_per_second BIGINT,
    bytes_per_day BIGINT
);
CREATE TABLE key_usage (
    key_id BIGINT PRIMARY KEY REFERENCES project_key (id),
    day BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
",
    },
];

/// Organisations, projects, keys. Cheap to clone.
#[derive(Clone)]
pub struct Tenancy {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    cache: KeyCache,
}

impl Tenancy {
    /// Opens the tables of this module in `meta.db` and makes the first organisation where there is none.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Tenancy, SqlError> {
        database.migrate(MIGRATIONS).await?;
        let exclusive = database.engine() == Engine::Sqlite;
        let mut tx = database.begin().await?;
        tx.lock("tenancy").await?;
        tx.execute(
            "INSERT INTO org (name, created_at) SELECT ?, CAST(? AS BIGINT) \
             WHERE NOT EXISTS (SELECT 1 FROM org)",
            params![FIRST_ORG, clock.now().0],
        )
        .await?;
        tx.commit().await?;
        let inner = Inner { database, clock, random, cache: KeyCache::new(exclusive) };
        Ok(Tenancy { inner: Arc::new(inner) })
    }

    /// The scope of a key presented by a client; `None` for a key that is unknown, rotated out or of a deleted
    /// project. Cached: no SQL on the hot path. Where the database does not answer, a key that was valid lately
    /// still is: nothing can be written without the database anyway.
    pub async fn authorize_write(&self, kind: KeyKind, secret: &str) -> Result<Option<WriteScope>, SqlError> {
        let digest = keys::digest(kind, secret);
        let now = self.inner.clock.now();
        let stale = match self.inner.cache.get(&digest, now) {
            Cached::Fresh(answer) => return Ok(usable(answer, now)),
            Cached::Stale(answer) => Some(answer),
            Cached::Absent => None,
        };
        let generation = self.inner.cache.generation();
        match self.look_up(&digest).await {
            Ok(answer) => {
                self.inner.cache.put(digest, answer.clone(), now, generation);
                Ok(usable(answer, now))
            }
            Err(error) => match stale {
                Some(answer) if error.is_transient() => Ok(usable(answer, now)),
                _ => Err(error),
            },
        }
    }

    async fn look_up(&self, digest: &cache::KeyDigest) -> Result<Answer, SqlError> {
        let rows = self
            .inner
            .database
            .query(
                "SELECT k.id, k.expires_at, p.id, p.org_id, \
                 l.requests_per_second, l.bytes_per_second, l.bytes_per_day FROM project_key k \
                 JOIN project p ON p.id = k.project_id LEFT JOIN key_limit l ON l.key_id = k.id \
                 WHERE k.digest = ? AND p.deleted_at IS NULL",
                params![digest.to_vec()],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(Answer::Unknown) };
        let scope = WriteScope {
            key: row.int(0)?,
            project: ProjectId(row.int(2)?),
            org: OrgId(row.int(3)?),
            limits: usage::limits(row, 4)?,
        };
        Ok(Answer::Valid(scope, row.opt_int(1)?.map(Timestamp)))
    }

    /// The right to write of a Kafka user of a project. The caller has checked the user's proof. None where the project
    /// is deleted.
    pub async fn user_write(&self, project: ProjectId) -> Result<Option<WriteScope>, SqlError> {
        let rows = self.live_rows(project).await?;
        let org = rows.first().map(|row| row.int(0)).transpose()?;
        let scope = |org| WriteScope { org: OrgId(org), project, key: NO_KEY, limits: KeyLimits::default() };
        Ok(org.map(scope))
    }

    /// The right of the local admin key, which reads every project as its owner. The caller has checked that key.
    /// None where there is no such project.
    pub async fn admin_read(&self, project: ProjectId) -> Result<Option<ReadScope>, SqlError> {
        let rows = self.live_rows(project).await?;
        self.read_scope(&rows, project, "admin".to_owned())
    }

    async fn live_rows(&self, project: ProjectId) -> Result<Vec<crate::Row>, SqlError> {
        let sql = "SELECT org_id FROM project WHERE id = ? AND deleted_at IS NULL";
        self.inner.database.query(sql, params![project.0]).await
    }

    /// The right that a read token of the lake gives: it was made by `actor`, whose right was checked then. None where
    /// the project is deleted.
    pub async fn granted_read(&self, project: ProjectId, actor: &str) -> Result<Option<ReadScope>, SqlError> {
        let rows = self.live_rows(project).await?;
        self.read_scope(&rows, project, actor.to_owned())
    }

    /// The right of a user who signed in, where the user belongs to the project's organisation.
    pub async fn user_read(&self, user: i64, project: ProjectId) -> Result<Option<ReadScope>, SqlError> {
        let rows = self.member_rows(user, project).await?;
        self.read_scope(&rows, project, format!("user:{user}"))
    }

    /// The right of a personal token of a user, where the user belongs to the project's organisation.
    pub async fn token_read(
        &self,
        token: i64,
        user: i64,
        project: ProjectId,
    ) -> Result<Option<ReadScope>, SqlError> {
        let rows = self.member_rows(user, project).await?;
        self.read_scope(&rows, project, format!("token:{token}"))
    }

    async fn member_rows(&self, user: i64, project: ProjectId) -> Result<Vec<crate::Row>, SqlError> {
        self.inner
            .database
            .query(
                "SELECT p.org_id FROM project p JOIN membership m ON m.org_id = p.org_id \
                 WHERE p.id = ? AND p.deleted_at IS NULL AND m.user_id = ?",
                params![project.0, user],
            )
            .await
    }

    fn read_scope(
        &self,
        rows: &[crate::Row],
        project: ProjectId,
        actor: String,
    ) -> Result<Option<ReadScope>, SqlError> {
        let org = rows.first().map(|row| row.int(0)).transpose()?;
        Ok(org.map(|org| ReadScope { org: OrgId(org), project, actor }))
    }

    /// A transaction on the database that holds these tables.
    pub async fn begin(&self) -> Result<Tx, SqlError> {
        self.inner.database.begin().await
    }
}

/// The scope, unless the key has run out meanwhile.
fn usable(answer: Answer, now: Timestamp) -> Option<WriteScope> {
    match answer {
        Answer::Valid(scope, expires) => expires.is_none_or(|end| now < end).then_some(scope),
        Answer::Unknown => None,
    }
}
