//! Objects: whole, never overwritten, on a [`crate::Disk`] or in S3.

use async_trait::async_trait;
use bytes::Bytes;

/// Why an object store refused.
#[derive(Debug, thiserror::Error)]
pub enum ObjectError {
    /// No such object.
    #[error("no such object: {0}")]
    NotFound(String),
    /// The key is taken.
    #[error("object exists: {0}")]
    Exists(String),
    /// No space or quota left.
    #[error("no space left in the object store")]
    Full,
    /// Anything else; a retry may pass.
    #[error("the object store failed at {operation} of {key}")]
    Failed {
        /// What was tried.
        operation: &'static str,
        /// On which object.
        key: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// An object store. A `put` that returned is on stable storage.
#[async_trait]
pub trait Objects: Send + Sync {
    /// Stores an object under a key that must be free.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError>;
    /// A range of an object.
    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, ObjectError>;
    /// The size in bytes.
    async fn size(&self, key: &str) -> Result<u64, ObjectError>;
    /// Removes an object; removing what is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;
    /// The keys below a prefix, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;
}

/// Objects as files of a [`crate::Disk`], in one folder of it.
pub struct DiskObjects {}

impl DiskObjects {
    /// Objects in `folder`. Calls run on the blocking threads of the current tokio runtime.
    pub fn new(_disk: std::sync::Arc<dyn crate::Disk>, _folder: &str) -> DiskObjects {
        todo!()
    }
}

/// Objects in S3 or what speaks its protocol.
pub struct S3Objects {}

impl S3Objects {
    /// From `s3://bucket/prefix`; endpoint, region and keys as the AWS SDKs read them from the environment.
    pub fn from_url(_url: &str) -> Result<S3Objects, ObjectError> {
        todo!()
    }
}

#[async_trait]
impl Objects for DiskObjects {
    async fn put(&self, _key: &str, _bytes: Bytes) -> Result<(), ObjectError> {
        todo!()
    }
    async fn get_range(&self, _key: &str, _range: std::ops::Range<u64>) -> Result<Bytes, ObjectError> {
        todo!()
    }
    async fn size(&self, _key: &str) -> Result<u64, ObjectError> {
        todo!()
    }
    async fn delete(&self, _key: &str) -> Result<(), ObjectError> {
        todo!()
    }
    async fn list(&self, _prefix: &str) -> Result<Vec<String>, ObjectError> {
        todo!()
    }
}

#[async_trait]
impl Objects for S3Objects {
    async fn put(&self, _key: &str, _bytes: Bytes) -> Result<(), ObjectError> {
        todo!()
    }
    async fn get_range(&self, _key: &str, _range: std::ops::Range<u64>) -> Result<Bytes, ObjectError> {
        todo!()
    }
    async fn size(&self, _key: &str) -> Result<u64, ObjectError> {
        todo!()
    }
    async fn delete(&self, _key: &str) -> Result<(), ObjectError> {
        todo!()
    }
    async fn list(&self, _prefix: &str) -> Result<Vec<String>, ObjectError> {
        todo!()
    }
}
