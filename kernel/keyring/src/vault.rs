//! The vault's tables in `meta.db`: wrapped keys of subjects, and what they seal.
//!
//! What identifies is never in the clear here: SQLite's files lie below no encryption of ours.

use candor_meta::{Database, Migration, Param, SqlError, Tx, params};
use candor_model::{ProjectId, Timestamp};

use crate::{Keyring, KeyringError, VaultEntry};

/// Entries read at the start, so that steady traffic is not emitted again after it.
const WARM_ENTRIES: i64 = 50_000;

/// Entries of one code that are opened at most: a code stands beside as many subjects as it came with.
const REVEALED_MAX: i64 = 1_000;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "keyring",
    version: 1,
    sql: "
CREATE TABLE keyring_root (
    id BIGINT PRIMARY KEY,
    fingerprint TEXT NOT NULL
);
CREATE TABLE subject_key (
    project BIGINT NOT NULL,
    subject TEXT NOT NULL,
    key_id BLOB NOT NULL,
    wrapped BLOB NOT NULL,
    PRIMARY KEY (project, subject, key_id)
);
CREATE TABLE vault (
    project BIGINT NOT NULL,
    code TEXT NOT NULL,
    subject TEXT NOT NULL,
    key_id BLOB NOT NULL,
    kind TEXT NOT NULL,
    sealed BLOB NOT NULL,
    stored_at BIGINT NOT NULL,
    PRIMARY KEY (project, code, subject)
);
CREATE INDEX vault_subject ON vault (project, subject);
CREATE INDEX vault_stored_at ON vault (stored_at);
",
}];

/// The vault. Cheap to clone.
#[derive(Clone)]
pub struct Vault {
    database: Database,
}

impl Vault {
    /// Opens the vault's tables. The first root key that opens them is on record from then on; another is refused
    /// before anything is written under it.
    pub async fn open(database: Database, keyring: &Keyring) -> Result<Vault, KeyringError> {
        database.migrate(MIGRATIONS).await?;
        let mut tx = database.begin().await?;
        tx.execute(
            "INSERT INTO keyring_root (id, fingerprint) VALUES (1, ?) ON CONFLICT (id) DO NOTHING",
            params![keyring.fingerprint()],
        )
        .await?;
        let rows = tx.query("SELECT fingerprint FROM keyring_root WHERE id = 1", &[]).await?;
        tx.commit().await?;
        if let Some(row) = rows.first() {
            keyring.check_fingerprint(row.text(0)?)?;
        }
        let vault = Vault { database };
        vault.warm(keyring).await?;
        Ok(vault)
    }

    /// Tells the keyring what was stored last.
    async fn warm(&self, keyring: &Keyring) -> Result<(), SqlError> {
        let rows = self
            .database
            .query(
                "SELECT project, code, subject FROM vault ORDER BY stored_at DESC LIMIT ?",
                params![WARM_ENTRIES],
            )
            .await?;
        for row in rows.iter().rev() {
            let entry = VaultEntry {
                code: row.text(1)?.to_owned(),
                subject: row.text(2)?.to_owned(),
                key_id: [0; 8],
                wrapped_key: Vec::new(),
                sealed: Vec::new(),
            };
            keyring.committed(ProjectId(row.int(0)?), &[entry]);
        }
        Ok(())
    }

    /// Removes every key of a project's subjects and what they seal.
    pub async fn forget_project(tx: &mut Tx, project: ProjectId) -> Result<(), SqlError> {
        for table in ["vault", "subject_key"] {
            tx.execute(&format!("DELETE FROM {table} WHERE project = ?"), params![project.0]).await?;
        }
        Ok(())
    }

    /// Stores entries in a transaction of the caller's, beside its position in the log. Storing an entry again
    /// changes nothing: the first one, under the first key, stays.
    pub async fn store(
        tx: &mut Tx,
        project: ProjectId,
        entries: &[VaultEntry],
        now: Timestamp,
    ) -> Result<(), SqlError> {
        for entry in entries {
            let kind = entry.code.split_once(':').map_or("", |(kind, _)| kind);
            let new = tx
                .execute(
                    "INSERT INTO vault (project, code, subject, key_id, kind, sealed, stored_at) \
                     VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (project, code, subject) DO NOTHING",
                    params![
                        project.0,
                        &entry.code,
                        &entry.subject,
                        &entry.key_id[..],
                        kind,
                        &entry.sealed[..],
                        now.0
                    ],
                )
                .await?;
            // A key that seals nothing is not kept.
            if new > 0 {
                tx.execute(
                    "INSERT INTO subject_key (project, subject, key_id, wrapped) VALUES (?, ?, ?, ?) \
                     ON CONFLICT (project, subject, key_id) DO NOTHING",
                    params![project.0, &entry.subject, &entry.key_id[..], &entry.wrapped_key[..]],
                )
                .await?;
            }
        }
        Ok(())
    }

    /// The entries of a subject: every value that its keys seal.
    pub async fn entries(&self, project: ProjectId, subject: &str) -> Result<Vec<VaultEntry>, SqlError> {
        self.read(params![project.0, subject, i64::MAX], "v.subject = ?").await
    }

    /// What stands behind a code, in the clear: one value, or several where an identifier was written in several
    /// ways. Empty where the vault knows none or its keys are destroyed. It identifies a person: callers hold the
    /// right to reveal, and have written that they do.
    pub async fn reveal(
        &self,
        keyring: &Keyring,
        project: ProjectId,
        code: &str,
    ) -> Result<Vec<String>, SqlError> {
        let entries = self.read(params![project.0, code, REVEALED_MAX], "v.code = ?").await?;
        let mut values: Vec<String> =
            entries.iter().filter_map(|entry| keyring.open_entry(project, entry)).collect();
        values.sort_unstable();
        values.dedup();
        Ok(values)
    }

    async fn read(&self, params: &[Param], which: &str) -> Result<Vec<VaultEntry>, SqlError> {
        let sql = format!(
            "SELECT v.code, v.subject, v.key_id, k.wrapped, v.sealed FROM vault v JOIN subject_key k \
             ON k.project = v.project AND k.subject = v.subject AND k.key_id = v.key_id \
             WHERE v.project = ? AND {which} ORDER BY v.code, v.subject LIMIT ?"
        );
        let rows = self.database.query(&sql, params).await?;
        rows.iter()
            .map(|row| {
                Ok(VaultEntry {
                    code: row.text(0)?.to_owned(),
                    subject: row.text(1)?.to_owned(),
                    key_id: row.blob(2)?.try_into().map_err(|_| SqlError::Column(2))?,
                    wrapped_key: row.blob(3)?.to_vec(),
                    sealed: row.blob(4)?.to_vec(),
                })
            })
            .collect()
    }
}
