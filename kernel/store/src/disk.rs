//! The disk as an argument: real files in production, a simulated disk that tears writes and forgets what was not
//! synced in tests. Calls block; they are made on threads of their own.

use std::sync::Arc;

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
    /// Creates a file (and its folders); fails if it exists. Not durable until it and its folder are synced.
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError>;
    /// Opens a file to read and write.
    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError>;
    /// Renames atomically, in one folder.
    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError>;
    /// Removes a file.
    fn remove(&self, path: &str) -> Result<(), DiskError>;
    /// The files below a folder, sorted; none where it does not exist.
    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError>;
    /// Makes a folder's entries durable.
    fn sync_dir(&self, folder: &str) -> Result<(), DiskError>;
    /// Bytes free for data, less the reserve.
    fn free_bytes(&self) -> Result<u64, DiskError>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Writes at a position.
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError>;
    /// Reads up to `buffer.len()` bytes at a position; fewer at the end.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, DiskError>;
    /// Makes the content durable (fdatasync).
    fn sync(&self) -> Result<(), DiskError>;
    /// Reserves space so that later writes there change no metadata.
    fn preallocate(&self, length: u64) -> Result<(), DiskError>;
    /// Cuts or extends.
    fn set_length(&self, length: u64) -> Result<(), DiskError>;
    /// The length.
    fn length(&self) -> Result<u64, DiskError>;
}

/// Files of the operating system below one directory.
pub struct RealDisk {}

impl RealDisk {
    /// The disk below `root`, created if absent. Data writes that would leave less than `reserve` bytes free on the
    /// device get [`DiskError::Full`].
    pub fn open(_root: &std::path::Path, _reserve: u64) -> Result<RealDisk, DiskError> {
        todo!()
    }
    /// Locks the directory for this process; [`DiskError::Locked`] while another holds it. Held until dropped.
    pub fn lock(&self) -> Result<DiskLock, DiskError> {
        todo!()
    }
    /// The same directory without the reserve: for metadata and erasure.
    pub fn privileged(&self) -> RealDisk {
        todo!()
    }
}

/// The right to write below a directory, for one process at a time.
pub struct DiskLock {}
