//! The keys of a project: how they are made, recognised and stored.

use candor_model::{ProjectId, Random, Timestamp};

use super::cache::KeyDigest;
use super::{KeyKind, Tenancy, TenancyError};
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
                "SELECT id, kind, public, hint, created_at, expires_at FROM project_key \
                 WHERE project_id = ? ORDER BY id DESC",
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

    /// Gives a project new keys; the present ones work for `grace_seconds` more.
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
        // A key that was to end sooner still does.
        tx.execute(
            "UPDATE project_key SET expires_at = ? \
             WHERE project_id = ? AND (expires_at IS NULL OR expires_at > ?)",
            params![end.0, project.0, end.0],
        )
        .await?;
        keys.store(&mut tx, project, now).await?;
        tx.commit().await?;
        self.inner.cache.invalidate();
        Ok(keys)
    }
}
