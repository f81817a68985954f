//! What of groups outlives the process, as steps that storage takes: many of them in one transaction.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use candor_meta::SqlError;
use candor_model::{ProjectId, Timestamp};

use crate::directory::TopicId;

/// Which group.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct GroupKey {
    pub project: ProjectId,
    pub name: Arc<str>,
}

/// A partition of a topic, by the topic's name.
pub(super) type Place = (Arc<str>, i32);

/// A committed offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Committed {
    /// The topic that the name meant: one of the same name that came later begins without offsets.
    pub topic_id: TopicId,
    pub offset: i64,
    pub leader_epoch: i32,
    pub metadata: Bytes,
    pub at: Timestamp,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Offset {
        key: GroupKey,
        place: Place,
        committed: Committed,
    },
    ForgetOffset {
        key: GroupKey,
        place: Place,
    },
    /// A group's own row; `body` is JSON.
    Group {
        key: GroupKey,
        body: String,
    },
    Member {
        key: GroupKey,
        member: Arc<str>,
        body: String,
    },
    ForgetMember {
        key: GroupKey,
        member: Arc<str>,
    },
    ForgetMembers {
        key: GroupKey,
    },
    /// An offset of a transaction that has not ended.
    Pending {
        key: GroupKey,
        producer: i64,
        epoch: i16,
        place: Place,
        committed: Committed,
    },
    /// A transaction's end: what was pending becomes committed, or goes.
    EndPending {
        key: GroupKey,
        producer: i64,
        commit: bool,
    },
    /// Where a share group stands in a partition; `body` is JSON.
    Share {
        key: GroupKey,
        topic: TopicId,
        partition: i32,
        body: String,
    },
    /// A share group begins anew in a topic, or in all.
    ForgetShares {
        key: GroupKey,
        topic: Option<TopicId>,
    },
    /// The group with all that belongs to it.
    DropGroup {
        key: GroupKey,
    },
    DropProject(ProjectId),
}

/// A group as it was stored.
#[derive(Debug, Clone, Default)]
pub(super) struct StoredGroup {
    /// None for a group of which there are offsets alone.
    pub body: Option<String>,
    pub members: Vec<(Arc<str>, String)>,
    pub pending: Vec<StoredPending>,
    /// Of a share group: topic, partition and where it stands there.
    pub shares: Vec<(TopicId, i32, String)>,
}

/// A pending offset as it was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StoredPending {
    pub producer: i64,
    pub epoch: i16,
    pub place: Place,
    pub committed: Committed,
}

/// Where steps go.
#[async_trait]
pub(super) trait Storage: Send + Sync {
    /// Takes all steps, in order, or none. Once it returns they are on stable storage. After an error that is
    /// transient they may be, too: steps are harmless to repeat.
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError>;

    /// All groups without their offsets.
    async fn load(&self) -> Result<Vec<(GroupKey, StoredGroup)>, SqlError>;

    /// A group's offsets.
    async fn offsets(&self, key: &GroupKey) -> Result<Vec<(Place, Committed)>, SqlError>;
}
