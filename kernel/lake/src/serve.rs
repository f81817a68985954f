//! The open door: read tokens, and the files behind `/lake/`.
//!
//! A token reads the published files of one project until it expires. It is random and stored as its hash, so the
//! database that holds it opens nothing.

use std::sync::Arc;

use candor_meta::secret::digest;
use candor_meta::{ReadScope, params};
use candor_model::{ProjectId, Timestamp};
use candor_store::StoredFile;

use crate::LakeError;
use crate::catalog::{key_of, schema_folder};
use crate::inner::Inner;
use crate::name::TableName;

/// What tokens begin with, so that scanners for leaked secrets know them.
const TOKEN_PREFIX: &str = "candor_lake_";

/// Longest life of a token, seconds: a forgotten one must end by itself.
const TTL_SECONDS_MAX: i64 = 30 * 86_400;

/// A read token, shown once.
#[derive(Clone)]
pub struct LakeToken {
    /// The secret.
    pub token: String,
    /// When it ends.
    pub expires: Timestamp,
}

/// The right to fetch published files of one project, proven by a token. Only [`crate::Lake::authorize`] makes one.
#[derive(Debug, Clone)]
pub struct LakeGrant {
    project: ProjectId,
    actor: String,
}

impl LakeGrant {
    /// The project.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// Who asked for the token, for the ledger.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}

/// A file that is served.
pub struct Served {
    /// The file.
    pub file: StoredFile,
    /// Whose rows it holds: `logs`, `stream:TOPIC`.
    pub table: String,
    /// How many, zero where that is not known any more.
    pub rows: u64,
}

/// Why a file is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No token, or one that is unknown or expired: 401.
    #[error("a read token is needed")]
    Unauthorized,
    /// A token of another project: 403.
    #[error("the token reads another project")]
    Forbidden,
    /// No kept snapshot names such a file: 404.
    #[error("no such file")]
    NotFound,
    /// It holds erased rows and waits to be rewritten: 410.
    #[error("the file holds erased rows")]
    Gone,
    /// The lake failed: 500.
    #[error("the lake failed")]
    Lake(#[from] LakeError),
}

impl From<candor_meta::SqlError> for ServeError {
    fn from(error: candor_meta::SqlError) -> ServeError {
        ServeError::Lake(error.into())
    }
}

impl Inner {
    pub(crate) async fn mint_token(
        &self,
        scope: &ReadScope,
        ttl_seconds: i64,
    ) -> Result<LakeToken, LakeError> {
        let mut secret = [0; 32];
        self.random.fill(&mut secret);
        let token = format!("{TOKEN_PREFIX}{}", data_encoding::BASE64URL_NOPAD.encode(&secret));
        let expires = self.clock.now().plus_seconds(ttl_seconds.clamp(1, TTL_SECONDS_MAX));
        self.meta
            .execute(
                "INSERT INTO candor_lake_token (token_hash, project, actor, expires_at) VALUES (?, ?, ?, ?)",
                params![digest(&token).to_vec(), scope.project().0, scope.actor(), expires.0],
            )
            .await?;
        Ok(LakeToken { token, expires })
    }

    pub(crate) async fn revoke_tokens(&self, project: ProjectId) -> Result<(), LakeError> {
        self.meta.execute("DELETE FROM candor_lake_token WHERE project = ?", params![project.0]).await?;
        Ok(())
    }

    pub(crate) async fn authorize(&self, token: &str, project: ProjectId) -> Result<LakeGrant, ServeError> {
        let rows = self
            .meta
            .query(
                "SELECT project, actor FROM candor_lake_token WHERE token_hash = ? AND expires_at > ?",
                params![digest(token).to_vec(), self.clock.now().0],
            )
            .await?;
        let Some(row) = rows.first() else { return Err(ServeError::Unauthorized) };
        if row.int(0)? != project.0 {
            return Err(ServeError::Forbidden);
        }
        Ok(LakeGrant { project, actor: row.text(1)?.to_owned() })
    }

    pub(crate) async fn serve(
        self: &Arc<Inner>,
        grant: &LakeGrant,
        path: &str,
    ) -> Result<Served, ServeError> {
        let (table, file) = TableName::of_path(path).ok_or(ServeError::NotFound)?;
        // The catalog is the list of what may be asked for: no path is ever put together from parts of a request
        // that it does not know.
        let rows =
            self.catalog.rows_of_file(grant.project, &table, file).await?.ok_or(ServeError::NotFound)?;
        let path = format!("{}{}{file}", schema_folder(grant.project), table.folder());
        if self.catalog.is_denied(&path).await? {
            return Err(ServeError::Gone);
        }
        Ok(Served { file: self.open(&key_of(&path)).await?, table: table.stored(), rows })
    }

    /// Forgets tokens that have ended.
    pub(crate) async fn forget_tokens(&self, now: Timestamp) -> Result<(), LakeError> {
        let ended = self
            .meta
            .query("SELECT 1 FROM candor_lake_token WHERE expires_at <= ? LIMIT 1", params![now.0])
            .await?;
        if !ended.is_empty() {
            self.meta.execute("DELETE FROM candor_lake_token WHERE expires_at <= ?", params![now.0]).await?;
        }
        Ok(())
    }
}
