//! The map from group hashes to issues: the errors product keeps it, queries resolve `errors.issue` through it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::ProjectId;

/// In place of a hash: the issue of every event whose hashes are not in the map. A map has it once its project has as
/// many hashes as it may.
pub const EVERY_OTHER: &str = "*";

/// Which issue a group hash belongs to.
///
/// Stored rows hold group hashes and never issue numbers, so merging and splitting issues changes this map and no
/// file. An event belongs to the issue that owns the first of its `group_hashes` that is in the map; where none is
/// and the map has [`EVERY_OTHER`], to the issue of that.
pub trait IssueMap: Send + Sync {
    /// Every known group hash (32 hex digits) of a project with its issue, as of now. Cheap: a shared snapshot.
    fn issues(&self, project: ProjectId) -> Arc<HashMap<String, i64>>;
}

/// A map without issues, for where there is no errors product.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoIssues;

impl IssueMap for NoIssues {
    fn issues(&self, _project: ProjectId) -> Arc<HashMap<String, i64>> {
        Arc::default()
    }
}
