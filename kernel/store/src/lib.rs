//! Bytes on disk or in S3: journal files, objects, authenticated frames. The only crate that touches files and
//! object storage.
//!
//! Disk and object store are traits; [`sim`] has versions of both that forget what was not synced, tear writes and
//! fail on demand, so that the code that ships is the code that a seeded simulation breaks.

pub mod disk;
pub mod files;
pub mod objects;
pub mod sim;

pub use disk::{Disk, DiskError, DiskFile, DiskLock, RealDisk};
pub use files::{
    FileKind, Files, KeyWrap, StoreError, StoredFile, WRAPPED_KEY_BYTES_MAX, open_file, seal_file,
};
pub use objects::{DiskObjects, ObjectError, Objects, S3Objects};
