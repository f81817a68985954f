//! The keys of a project: how they are made, recognised and stored.

use candor_model::{ProjectId, Random, Timestamp};

use super::cache::KeyDigest;
use super::{KeyKind, KeyLimits, Tenancy, TenancyError, usage};
use crate::{Tx, params};

/// Random bytes in an ingest token. 20 are 32 base32 characters.
const TOKEN_BYTES: usize = 20;

/// The start of every ingest token, by which people and secret scanners know it.
const TOKEN_PREFIX: &str = "cnd_";

/// Characters of a token that are shown again.
const HINT_CHARS: usize = 8;

/// The secrets of a new or rotated project, shown once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectKeys {
    /// The public key of the DSN: 32 hex digits.
    pub dsn_key: String,
    /// The token of log shippers.
    pub ingest_token: String,
}

/// A key as its owner sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The row number.
    pub id: i64,
    /// What it is.
    pub kind: KeyKind,
    /// The whole key where it is public (a DSN's), else none.
    pub public: Option<String>,
    /// Its first characters.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it stops working; none while it is current.
    pub expires_at: Option<Timestamp>,
    /// What it may use.
    pub limits: KeyLimits,
}

impl ProjectKeys {
    pub(super) fn generate(random: &dyn Random) -> ProjectKeys {
        let mut dsn = [0; 16];
        random.fill(&mut dsn);
        let mut token = [0; TOKEN_BYTES];
        random.fill(&mut token);
        let encoded = data_encoding::BASE32_NOPAD.encode(&token).to_ascii_lowercase();
        ProjectKeys {
            dsn_key: data_encoding::HEXLOWER.encode(&dsn),
            ingest_token: format!("{TOKEN_PREFIX}{encoded}"),
        }
    }

    pub(super) async fn store(
        &self,
        tx: &mut Tx,
        project: ProjectId,
        now: Timestamp,
    ) -> Result<(), TenancyError> {
        for (kind, secret) in [(KeyKind::Dsn, &self.dsn_key), (KeyKind::Ingest, &self.ingest_token)] {
            let public = (kind == KeyKind::Dsn).then_some(secret.as_str());
            let hint: String = secret.chars().take(HINT_CHARS).collect();
            tx.execute(
                "INSERT INTO project_key (project_id, kind, public, digest, hint, created_at) \
                 VALUES (?, ?, ?, ?, ?, ?)",
                params![project.0, kind.name(), public, digest(kind, secret).to_vec(), hint, now.0],
            )
            .await?;
        }
        Ok(())
    }
}

/// What is stored of a key and compared: a random secret of 128 bits and more needs no slow hash.
pub(super) fn digest(kind: KeyKind, secret: &str) -> KeyDigest {
    crate::secret::digest(&format!("{}:{secret}", kind.name()))
}

impl Tenancy {
    /// The keys of a project, newest first: those that work and those that ran out.
    pub async fn keys(&self, project: ProjectId) -> Result<Vec<KeyInfo>, TenancyError> {
        let rows = self
            .inner
            .database
            .query(
                "SELECT k.id, k.kind, k.public, k.hint, k.created_at, k.expires_at, \
                 l.requests_per_second, l.bytes_per_second, l.bytes_per_day FROM project_key k \
                 LEFT JOIN key_limit l ON l.key_id = k.id WHERE k.project_id = ? ORDER BY k.id DESC",
                params![project.0],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(KeyInfo {
                    id: row.int(0)?,
                    kind: KeyKind::from_name(row.text(1)?).ok_or(crate::SqlError::Column(1))?,
                    public: row.opt_text(2)?.map(str::to_owned),
                    hint: row.text(3)?.to_owned(),
                    created_at: Timestamp(row.int(4)?),
                    expires_at: row.opt_int(5)?.map(Timestamp),
                    limits: usage::limits(row, 6)?,
                })
            })
            .collect()
    }

    /// The public DSN key of a project that works and is newest.
    pub async fn dsn_key(&self, project: ProjectId) -> Result<Option<String>, TenancyError> {
        let keys = self.keys(project).await?;
        Ok(keys
            .into_iter()
            .find(|key| key.kind == KeyKind::Dsn && key.expires_at.is_none())
            .and_then(|k| k.public))
    }

    /// Gives a project new keys, with the limits of those that they replace; the present ones work for `grace_seconds`
    /// more.
    pub async fn rotate_keys(
        &self,
        project: ProjectId,
        grace_seconds: u64,
    ) -> Result<ProjectKeys, TenancyError> {
        let now = self.inner.clock.now();
        let end = now.plus_seconds(i64::try_from(grace_seconds).unwrap_or(i64::MAX));
        let keys = ProjectKeys::generate(self.inner.random.as_ref());
        let mut tx = self.inner.database.begin().await?;
        let found = tx
            .execute(
                // Locks the row: two rotations at once leave one current pair, not two.
                "UPDATE project SET name = name WHERE id = ? AND deleted_at IS NULL",
                params![project.0],
            )
            .await?;
        if found == 0 {
            return Err(TenancyError::NoSuchProject);
        }
        let replaced = tx
            .query(
                "SELECT k.kind, l.requests_per_second, l.bytes_per_second, l.bytes_per_day FROM project_key k \
                 JOIN key_limit l ON l.key_id = k.id WHERE k.project_id = ? AND k.expires_at IS NULL",
                params![project.0],
            )
            .await?;
        // A key that was to end sooner still does.
        tx.execute(
            "UPDATE project_key SET expires_at = ? \
             WHERE project_id = ? AND (expires_at IS NULL OR expires_at > ?)",
            params![end.0, project.0, end.0],
        )
        .await?;
        keys.store(&mut tx, project, now).await?;
        for row in &replaced {
            let sql = "SELECT max(id) FROM project_key WHERE project_id = ? AND kind = ?";
            let made = tx.query(sql, params![project.0, row.text(0)?]).await?;
            let made = made.first().ok_or(crate::SqlError::Column(0))?.int(0)?;
            usage::set_limits_in(&mut tx, made, usage::limits(row, 1)?).await?;
        }
        tx.commit().await?;
        self.inner.cache.invalidate();
        Ok(keys)
    }

    /// Changes what the current keys of a project may use, those of one kind or all; gives how many keys that were. A
    /// key that was replaced and works out its grace keeps what it has.
    pub async fn change_limits(
        &self,
        project: ProjectId,
        kind: Option<KeyKind>,
        change: impl Fn(KeyLimits) -> KeyLimits,
    ) -> Result<usize, TenancyError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock(&format!("key_limit:{project}")).await?;
        let rows = tx
            .query(
                "SELECT k.id, k.kind, l.requests_per_second, l.bytes_per_second, l.bytes_per_day \
                 FROM project_key k LEFT JOIN key_limit l ON l.key_id = k.id \
                 WHERE k.project_id = ? AND k.expires_at IS NULL",
                params![project.0],
            )
            .await?;
        let mut changed = 0;
        for row in &rows {
            if kind.is_none_or(|kind| row.text(1).is_ok_and(|name| name == kind.name())) {
                usage::set_limits_in(&mut tx, row.int(0)?, change(usage::limits(row, 2)?)).await?;
                changed += 1;
            }
        }
        tx.commit().await?;
        self.inner.cache.invalidate();
        Ok(changed)
    }
}
