//! Where tables come from: the lake, seen through a trait, so that tests hand in tables of their own.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use candor_lake::{DataFile, Lake, LakeError, Pinned};
use candor_meta::ReadScope;
use candor_model::{ProjectId, Signal};
use candor_store::StoredFile;

/// The tables of the projects. The scope says which project; nothing else does.
#[async_trait]
pub trait Tables: Send + Sync {
    /// Pins a table of the project that the scope may read.
    async fn pin(&self, scope: &ReadScope, signal: Signal) -> Result<Pinned, LakeError>;
    /// Pins published files as of a snapshot, without the tail.
    async fn pin_snapshot(
        &self,
        scope: &ReadScope,
        signal: Signal,
        snapshot: i64,
    ) -> Result<Pinned, LakeError>;
    /// Opens a published file of a pinned table.
    async fn open(&self, file: &DataFile) -> Result<StoredFile, LakeError>;
}

#[async_trait]
impl Tables for Lake {
    async fn pin(&self, scope: &ReadScope, signal: Signal) -> Result<Pinned, LakeError> {
        Lake::pin(self, scope, signal).await
    }
    async fn pin_snapshot(
        &self,
        scope: &ReadScope,
        signal: Signal,
        snapshot: i64,
    ) -> Result<Pinned, LakeError> {
        Lake::pin_snapshot(self, scope, signal, snapshot).await
    }
    async fn open(&self, file: &DataFile) -> Result<StoredFile, LakeError> {
        Lake::open(self, file).await
    }
}

/// Which issue a group hash belongs to. Files hold hashes, not issues, so that merging two issues rewrites nothing.
pub trait IssueMap: Send + Sync {
    /// The issues of a project by group hash, as of now.
    fn issues(&self, project: ProjectId) -> Arc<HashMap<String, i64>>;
}

/// No issues: `errors.issue` is null.
pub struct NoIssues;

impl IssueMap for NoIssues {
    fn issues(&self, _project: ProjectId) -> Arc<HashMap<String, i64>> {
        Arc::new(HashMap::new())
    }
}
