//! Objects: whole, never overwritten, on a [`crate::Disk`] or in S3.

mod local;
mod s3;

use async_trait::async_trait;
use bytes::Bytes;

pub use local::DiskObjects;
pub use s3::S3Objects;

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
    /// A range of an object; fewer bytes at its end.
    async fn get_range(&self, key: &str, range: std::ops::Range<u64>) -> Result<Bytes, ObjectError>;
    /// The size in bytes.
    async fn size(&self, key: &str) -> Result<u64, ObjectError>;
    /// The first bytes of an object, at most `length`, and its whole size: one request where the store can.
    async fn get_start(&self, key: &str, length: u64) -> Result<(Bytes, u64), ObjectError> {
        let size = self.size(key).await?;
        Ok((self.get_range(key, 0..length.min(size)).await?, size))
    }
    /// Removes an object; removing what is not there is no error.
    async fn delete(&self, key: &str) -> Result<(), ObjectError>;
    /// The keys below a prefix, sorted.
    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError>;
}
