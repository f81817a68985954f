//! The disk as an argument: real files in production, a simulated disk that tears writes and forgets what was not
//! synced in tests. Calls block; they are made on threads of their own.

mod gentle;
mod real;

use std::sync::Arc;

pub use real::{DiskLock, RealDisk};

/// Why the disk refused.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// No space left; a reserve stays for metadata and erasure.
    #[error("no space left on the device")]
    Full,
    /// No such file.
    #[error("no such file: {0}")]
    NotFound(String),
    /// Another process holds the directory.
    #[error("another process holds {0}")]
    Locked(String),
    /// A file of that name is there.
    #[error("file exists: {0}")]
    Exists(String),
    /// Anything else.
    #[error("the disk failed at {operation} of {path}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file, relative to the root.
        path: String,
        /// Why.
        source: std::io::Error,
    },
}

/// A directory tree. Paths are relative, with `/`.
pub trait Disk: Send + Sync {
    /// Creates a file (and its folders); [`DiskError::Exists`] if it is there. Not durable until the file and its
    /// folder are synced.
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError>;
    /// Opens a file to read and write.
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError>;
    /// Renames atomically, replacing what has the name. Durable once the folder of `to` is synced.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file. Who has it open reads on. A large one takes its time.
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// The files below a folder and its folders, as paths from the root, sorted; none where it does not exist.
    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError>;
    /// Makes a folder's entries durable, and the folder itself where it is new.
    fn sync_dir(&self, folder: &str) -> Result<(), DiskError>;
    /// Bytes free for data, less the reserve.
    fn free_bytes(&self) -> Result<u64, DiskError>;
    /// The same without the reserve: for metadata and erasure, without which a full disk would stay full.
    fn privileged(&self) -> Arc<dyn Disk>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes at a position.
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError>;
    /// Reads up to `buffer.len()` bytes at a position; fewer at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, DiskError>;
    /// Makes the content durable (fdatasync).
    fn sync(&self) -> Result<(), DiskError>;
    /// Extends to `length` with zeros and reserves the space, so that later writes there cannot find the disk full.
    fn preallocate(&self, length: u64) -> Result<(), DiskError>;
    /// Cuts or extends.
    fn set_length(&self, length: u64) -> Result<(), DiskError>;
    /// The length.
    fn length(&self) -> Result<u64, DiskError>;
}
