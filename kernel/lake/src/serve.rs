//! The open door: read tokens and the files behind `/lake/`.

use candor_model::{ProjectId, Timestamp};

use crate::LakeError;

/// A read token, shown once.
#[derive(Debug, Clone)]
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
    #[error(transparent)]
    Lake(#[from] LakeError),
}
