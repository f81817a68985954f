//! Keys: the root key, the keys of files and of subjects, the codes of persons, and the vault.

use std::sync::Arc;

use candor_model::{ProjectId, Random, Subject};

/// A value that left a row, sealed under its subject's key; travels in the journal record and lands in the vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultEntry {
    /// The code that stays in the row: `email:…`.
    pub code: String,
    /// The code of the subject whose key seals it.
    pub subject: String,
    /// Which of the subject's keys.
    pub key_id: [u8; 8],
    /// That key, wrapped under the project's.
    pub wrapped_key: Vec<u8>,
    /// Nonce and sealed value.
    pub sealed: Vec<u8>,
}

/// The keyring of an instance. Cheap to share.
pub struct Keyring {}

impl Keyring {
    /// The code of an identifier in a project and site: `kind:` + 26 base32 characters (HMAC-SHA-256 cut to 128
    /// bits under the project's and site's key).
    pub fn code(&self, _project: ProjectId, _site: Option<&str>, _subject: &Subject) -> String {
        todo!()
    }

    /// Seals what identifies into vault entries under the key of the subject named first; entries that are known
    /// to be in the vault already are left out.
    pub fn seal(
        &self,
        _project: ProjectId,
        _site: Option<&str>,
        _subjects: &[Subject],
        _random: &dyn Random,
    ) -> Vec<VaultEntry> {
        todo!()
    }
}

/// A keyring in an `Arc`.
pub type SharedKeyring = Arc<Keyring>;
