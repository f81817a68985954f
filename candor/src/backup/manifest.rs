//! What a backup holds, with the digest of every file.

use std::path::Path;

use candor_model::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BackupError, failed};
use crate::files;

/// The manifest's name.
pub const MANIFEST: &str = "manifest.json";

/// The form of backups.
const FORMAT: u32 = 1;

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its path in the data dir.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// SHA-256 of its content, hex.
    pub sha256: String,
}

/// What the cut holds of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicEnd {
    /// The project's number.
    pub project: i64,
    /// The topic.
    pub topic: String,
    /// The oldest offset that the copied log holds.
    #[serde(default)]
    pub start: u64,
    /// The offset after its last record.
    pub end: u64,
}

/// The manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The form.
    pub format: u32,
    /// The release that took it.
    pub version: String,
    /// When, RFC 3339.
    pub created_at: String,
    /// How many files.
    pub file_count: usize,
    /// Their length together.
    pub total_bytes: u64,
    /// Where the topics end.
    pub topics: Vec<TopicEnd>,
    /// The files.
    pub files: Vec<Entry>,
}

impl Manifest {
    pub(super) fn new(now: Timestamp, files: Vec<Entry>, topics: Vec<TopicEnd>) -> Manifest {
        Manifest {
            format: FORMAT,
            version: crate::VERSION.to_owned(),
            created_at: now.to_string(),
            file_count: files.len(),
            total_bytes: files.iter().map(|entry| entry.bytes).sum(),
            topics,
            files,
        }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let path = folder.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        files::write_private(&path, &text).map_err(failed("write", &path))
    }

    /// Reads the manifest of a backup.
    pub fn read(folder: &Path) -> Result<Manifest, BackupError> {
        let path = folder.join(MANIFEST);
        let not_one = |what: String| BackupError::NotOne { path: folder.to_owned(), what };
        let bytes = files::read_all(&path).map_err(|error| not_one(format!("{MANIFEST}: {error}")))?;
        let manifest: Manifest =
            serde_json::from_slice(&bytes).map_err(|error| not_one(format!("{MANIFEST}: {error}")))?;
        if manifest.format > FORMAT {
            return Err(not_one(format!("its format {} is newer than this program knows", manifest.format)));
        }
        // A manifest names files below the backup and nothing else.
        let strays =
            |path: &str| path.starts_with('/') || path.split('/').any(|part| part == ".." || part.is_empty());
        if let Some(stray) = manifest.files.iter().find(|entry| strays(&entry.path)) {
            return Err(not_one(format!("its manifest names {:?}", stray.path)));
        }
        Ok(manifest)
    }
}
