//! What holds, in memory and in `meta.db`.

use std::collections::HashMap;
use std::sync::Arc;

use candor_meta::{Database, SqlError, params};
use candor_model::{Clock, PolicyEpoch, ProjectId, Timestamp};
use candor_policy::Resolved;
use parking_lot::RwLock;

use crate::schema::MIGRATIONS;
use crate::version::{COLUMNS, Owner, Version};

/// Why policies could not be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum NoticesError {
    /// The database failed.
    #[error("the policies cannot be reached")]
    Sql(#[from] SqlError),
    /// What was stored under an older release does not read any more.
    #[error("the policy of epoch {epoch} does not read: {why}")]
    Stored {
        /// Which.
        epoch: u32,
        /// The first fault.
        why: String,
    },
    /// The file that seeds the first start is refused.
    #[error("the policy that is to hold from the start is refused:\n{0}")]
    Seed(String),
}

/// A version and what it says.
#[derive(Debug, Clone)]
pub struct Held {
    /// The version.
    pub version: Version,
    /// What its file resolves to.
    pub resolved: Arc<Resolved>,
}

/// The policies. Cheap to clone.
#[derive(Clone)]
pub struct Policies {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) database: Database,
    pub(crate) clock: Arc<dyn Clock>,
    /// What holds for whom.
    held: RwLock<HashMap<Owner, Arc<Held>>>,
    /// One change at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl Policies {
    /// Opens the tables. At the first start the policy of `seed` begins to hold at once: there is nobody yet to whom
    /// a change would have to be announced.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        seed: (&str, &str),
    ) -> Result<Policies, NoticesError> {
        database.migrate(MIGRATIONS).await?;
        let inner =
            Inner { database, clock, held: RwLock::default(), changing: tokio::sync::Mutex::default() };
        let policies = Policies { inner: Arc::new(inner) };
        policies.read().await?;
        if policies.inner.held.read().get(&Owner::Instance).is_none() {
            policies.seed(seed).await?;
        }
        Ok(policies)
    }

    /// Reads what holds.
    async fn read(&self) -> Result<(), NoticesError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM policy_version WHERE activated_at IS NOT NULL AND ended_at IS NULL ORDER BY epoch"
        );
        for row in self.inner.database.query(&sql, &[]).await? {
            self.hold(resolved(Version::from_row(&row)?)?);
        }
        Ok(())
    }

    async fn seed(&self, (name, source): (&str, &str)) -> Result<(), NoticesError> {
        let resolved = crate::apply::admissible(name, source)
            .map_err(|refused| NoticesError::Seed(refused.to_string()))?;
        let now = self.inner.clock.now();
        let new = NewVersion {
            owner: Owner::Instance,
            source,
            hash: &resolved.policy.hash(),
            is_interim: false,
            by: "system:first-start",
            effective_at: now,
            activated_at: Some(now),
        };
        let mut tx = self.inner.database.begin().await?;
        let version = new.insert(&mut tx, now).await?;
        tx.commit().await?;
        self.hold(Held { version, resolved: Arc::new(resolved) });
        Ok(())
    }

    pub(crate) fn hold(&self, held: Held) {
        self.inner.held.write().insert(held.version.owner, Arc::new(held));
    }

    /// What holds for an owner that has a policy of its own.
    pub fn own(&self, owner: Owner) -> Option<Arc<Held>> {
        self.inner.held.read().get(&owner).map(Arc::clone)
    }

    /// What holds in a project.
    pub fn of(&self, project: ProjectId) -> Option<Arc<Held>> {
        self.own(Owner::Project(project)).or_else(|| self.own(Owner::Instance))
    }

    /// Everything that holds.
    pub fn all(&self) -> Vec<Arc<Held>> {
        self.inner.held.read().values().map(Arc::clone).collect()
    }

    /// The versions of an owner, newest first.
    pub async fn versions(&self, owner: Owner) -> Result<Vec<Version>, NoticesError> {
        let sql = format!("SELECT {COLUMNS} FROM policy_version WHERE owner = ? ORDER BY epoch DESC");
        let rows = self.inner.database.query(&sql, params![owner.number()]).await?;
        Ok(rows.iter().map(Version::from_row).collect::<Result<_, _>>()?)
    }

    /// A version of an owner, with what it says.
    pub async fn version(&self, owner: Owner, epoch: PolicyEpoch) -> Result<Option<Held>, NoticesError> {
        let sql = format!("SELECT {COLUMNS} FROM policy_version WHERE owner = ? AND epoch = ?");
        let rows = self.inner.database.query(&sql, params![owner.number(), i64::from(epoch.0)]).await?;
        rows.first().map(|row| resolved(Version::from_row(row)?)).transpose()
    }

    /// The version of an owner that was announced and does not hold yet.
    pub async fn announced(&self, owner: Owner) -> Result<Option<Held>, NoticesError> {
        let sql = format!(
            "SELECT {COLUMNS} FROM policy_version WHERE owner = ? AND activated_at IS NULL AND ended_at IS NULL"
        );
        let rows = self.inner.database.query(&sql, params![owner.number()]).await?;
        rows.first().map(|row| resolved(Version::from_row(row)?)).transpose()
    }

    /// A deleted project needs no policy. What it published stays on record.
    pub async fn forget(&self, project: ProjectId) -> Result<(), NoticesError> {
        let _changing = self.inner.changing.lock().await;
        let now = self.inner.clock.now();
        self.inner
            .database
            .execute(
                "UPDATE policy_version SET ended_at = ? WHERE owner = ? AND ended_at IS NULL",
                params![now.0, project.0],
            )
            .await?;
        self.inner.held.write().remove(&Owner::Project(project));
        Ok(())
    }
}

/// A version that is to be stored.
pub(crate) struct NewVersion<'a> {
    pub(crate) owner: Owner,
    pub(crate) source: &'a str,
    pub(crate) hash: &'a str,
    pub(crate) is_interim: bool,
    pub(crate) by: &'a str,
    pub(crate) effective_at: Timestamp,
    pub(crate) activated_at: Option<Timestamp>,
}

impl NewVersion<'_> {
    pub(crate) async fn insert(&self, tx: &mut candor_meta::Tx, now: Timestamp) -> Result<Version, SqlError> {
        let sql = format!(
            "INSERT INTO policy_version \
             (owner, source, hash, is_interim, applied_by, applied_at, effective_at, activated_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING {COLUMNS}"
        );
        let rows = tx
            .query(
                &sql,
                params![
                    self.owner.number(),
                    self.source,
                    self.hash,
                    i64::from(self.is_interim),
                    self.by,
                    now.0,
                    self.effective_at.0,
                    self.activated_at.map(|at| at.0)
                ],
            )
            .await?;
        rows.first().map(Version::from_row).transpose()?.ok_or(SqlError::Column(0))
    }
}

/// A stored version and what it says.
fn resolved(version: Version) -> Result<Held, NoticesError> {
    let name = format!("epoch {}", version.epoch.0);
    let resolved = candor_policy::read(&name, &version.source).map_err(|faults| NoticesError::Stored {
        epoch: version.epoch.0,
        why: faults.first().map(ToString::to_string).unwrap_or_default(),
    })?;
    Ok(Held { version, resolved: Arc::new(resolved) })
}
