//! Files in authenticated 64 KiB frames (AES-256-GCM, STREAM construction) under a key of their own, below every
//! format; ranges are read without the whole.

use std::sync::Arc;

use bytes::Bytes;
use candor_model::Random;

use crate::{ObjectError, Objects};

/// Wraps the keys of files. The keyring implements it over the root key; `store` never sees that one.
pub trait KeyWrap: Send + Sync {
    /// Wraps a file's key.
    fn wrap(&self, key: &[u8; 32]) -> Vec<u8>;
    /// Unwraps it; `None` where it was not wrapped here or the wrapping key is gone.
    fn unwrap(&self, wrapped: &[u8]) -> Option<[u8; 32]>;
}

/// What a stored file is; in its header, bound to its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A journal file of the log.
    Journal,
    /// A segment of the log.
    Segment,
    /// Parquet.
    Parquet,
    /// A search sidecar.
    Sidecar,
    /// An attachment.
    Blob,
    /// A chunk of a backup.
    Backup,
}

/// Why a stored file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object store failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A frame's tag or the header is bad: the file was changed, cut or is of another key.
    #[error("{key}: frame {frame} does not authenticate")]
    Corrupt {
        /// Which file.
        key: String,
        /// Which frame; 0 is the first.
        frame: u64,
    },
    /// The header is of a newer format.
    #[error("{key}: format {found} is newer than this program knows")]
    Newer {
        /// Which file.
        key: String,
        /// What it says.
        found: u8,
    },
    /// The key that wraps the file's key is gone (shredded).
    #[error("{0}: its key is gone")]
    KeyGone(String),
}

/// Framed files over an object store.
pub struct Files {
    _objects: Arc<dyn Objects>,
    _keys: Option<Arc<dyn KeyWrap>>,
    _random: Arc<dyn Random>,
}

impl Files {
    /// Files over `objects`. With `keys` none, files are plain (`at_rest = "off"`).
    pub fn new(
        _objects: Arc<dyn Objects>,
        _keys: Option<Arc<dyn KeyWrap>>,
        _random: Arc<dyn Random>,
    ) -> Files {
        todo!()
    }
    /// Writes a file whole; on return it is on stable storage. Gives its stored size.
    pub async fn put(&self, _key: &str, _kind: FileKind, _content: Bytes) -> Result<u64, StoreError> {
        todo!()
    }
    /// Opens a file: reads its header.
    pub async fn open(&self, _key: &str) -> Result<StoredFile, StoreError> {
        todo!()
    }
    /// Removes a file.
    pub async fn delete(&self, _key: &str) -> Result<(), StoreError> {
        todo!()
    }
    /// The keys below a prefix, sorted.
    pub async fn list(&self, _prefix: &str) -> Result<Vec<String>, StoreError> {
        todo!()
    }
}

/// An open file. Cheap to clone; holds no descriptor.
#[derive(Clone)]
pub struct StoredFile {}

impl StoredFile {
    /// What it is.
    pub fn kind(&self) -> FileKind {
        todo!()
    }
    /// Length of the content in the clear, bytes.
    pub fn length(&self) -> u64 {
        todo!()
    }
    /// A range of the content.
    pub async fn read(&self, _range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
        todo!()
    }
}
