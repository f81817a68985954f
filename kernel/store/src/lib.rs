//! Bytes on disk or in S3: journal files, objects, authenticated frames. The only crate that touches files and
//! object storage.

pub mod disk;
pub mod files;
pub mod objects;

pub use disk::{Disk, DiskError, DiskFile, DiskLock, RealDisk};
pub use files::{FileKind, Files, KeyWrap, StoreError, StoredFile};
pub use objects::{DiskObjects, ObjectError, Objects, S3Objects};
