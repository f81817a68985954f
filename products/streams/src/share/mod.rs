//! Share groups (KIP-932), as far as records are concerned: who is given which, and what becomes of them.
//!
//! Which member reads what, and where the records of each partition stand, is known to the group ([`crate::groups`]),
//! under its lock and in its rows. Here it meets the log: ShareFetch looks where something may be free, reads there
//! without a lock, and then takes what is free still. An acknowledgement is answered once it is stored; what is locked
//! is not stored, so that a restart gives it again, and so is not how often it was given since something was stored
//! last.

mod acknowledge;
pub(crate) mod fetch;
mod offsets;
mod records;
mod session;
#[cfg(test)]
mod tests;
pub(crate) mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candor_log::Log;
use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::share_group_describe_response::DescribedGroup;
use kafka_protocol::messages::{
    GroupId, ShareGroupDescribeRequest, ShareGroupDescribeResponse, ShareGroupHeartbeatRequest,
    ShareGroupHeartbeatResponse,
};
use kafka_protocol::protocol::StrBytes;

use crate::admin::acl::{Acls, Operation};
use crate::admin::resources::ResourceConfigs;
use crate::caller::Caller;
use crate::directory::{TopicDirectory, TopicId, TopicView};
use crate::groups::Groups;
use crate::rights::{Rights, once, parted};
use crate::wire::Answers;
use session::Sessions;

/// A partition, by its topic's id.
type Place = (TopicId, i32);

/// Longest id of a member, bytes.
const MEMBER_BYTES_MAX: usize = 1_024;

/// Records of all answers together that are read or on their way, bytes: they are copies.
const ANSWERS_BYTES: usize = 128 << 20;

/// Answers what members of share groups ask about records. Cheap to clone.
#[derive(Clone)]
pub struct Shares {
    inner: Arc<Inner>,
}

struct Inner {
    log: Log,
    groups: Groups,
    directory: Arc<dyn TopicDirectory>,
    configs: ResourceConfigs,
    acls: Acls,
    sessions: Sessions,
    answers: Answers,
}

/// What holds for a group.
#[derive(Debug, Clone, Copy)]
struct Terms {
    /// `share.record.lock.duration.ms`.
    lock: Duration,
    /// `share.isolation.level` is `read_committed`.
    committed_only: bool,
    /// `share.auto.offset.reset` is `earliest`.
    from_start: bool,
}

impl Terms {
    fn lock_ms(&self) -> i32 {
        i32::try_from(self.lock.as_millis()).unwrap_or(i32::MAX)
    }
}

/// Who asks for what of which group.
struct Asking<'a> {
    project: ProjectId,
    rights: Rights,
    group: &'a str,
    member: Arc<str>,
    terms: Terms,
}

impl Shares {
    /// Over a log and its groups.
    pub fn new(
        log: Log,
        groups: Groups,
        directory: Arc<dyn TopicDirectory>,
        configs: ResourceConfigs,
        acls: Acls,
    ) -> Shares {
        let (sessions, answers) = (Sessions::default(), Answers::new(ANSWERS_BYTES));
        Shares { inner: Arc::new(Inner { log, groups, directory, configs, acls, sessions, answers }) }
    }

    fn rights(&self, caller: &Caller) -> Rights {
        Rights::of(&self.inner.acls, caller)
    }

    /// ShareGroupHeartbeat, 1.
    pub async fn heartbeat(
        &self,
        caller: &Caller,
        request: ShareGroupHeartbeatRequest,
    ) -> ShareGroupHeartbeatResponse {
        let rights = self.rights(caller);
        let mut names = request.subscribed_topic_names.iter().flatten();
        let may = rights
            .on_group(Operation::Read, &request.group_id)
            .and_then(|()| names.try_for_each(|name| rights.on_topic(Operation::Describe, name)));
        if let Err(error) = may {
            return ShareGroupHeartbeatResponse::default().with_error_code(error.code());
        }
        self.inner.groups.share_heartbeat(caller, request).await
    }

    /// ShareGroupDescribe, 1.
    pub async fn describe(
        &self,
        caller: &Caller,
        mut request: ShareGroupDescribeRequest,
    ) -> ShareGroupDescribeResponse {
        let rights = self.rights(caller);
        let groups = once(std::mem::take(&mut request.group_ids), Clone::clone);
        let (allowed, refused) = parted(groups, |group| rights.on_group(Operation::Describe, group));
        request.group_ids = allowed;
        let mut response = self.inner.groups.share_describe(caller, request).await;
        response.groups.extend(refused.into_iter().map(|(group, error)| {
            DescribedGroup::default().with_group_id(group).with_error_code(error.code())
        }));
        response
    }

    /// Forgets the sessions of a deleted project. Its groups go with the others.
    pub(crate) fn forget_project(&self, project: ProjectId) {
        self.inner.sessions.forget(project);
    }

    fn config(&self, project: ProjectId, group: &str, name: &str) -> String {
        self.inner.configs.of_group(project, group, name).unwrap_or_default()
    }

    fn duration(&self, project: ProjectId, group: &str, name: &str) -> Duration {
        Duration::from_millis(self.config(project, group, name).parse().unwrap_or(0))
    }

    fn asking<'a>(
        &self,
        caller: &Caller,
        group: Option<&'a GroupId>,
        member: Option<&StrBytes>,
    ) -> Result<Asking<'a>, ResponseError> {
        let (Some(group), Some(member)) = (group, member) else { return Err(ResponseError::InvalidRequest) };
        if member.is_empty() || member.len() > MEMBER_BYTES_MAX {
            return Err(ResponseError::InvalidRequest);
        }
        let (project, rights) = (caller.project, self.rights(caller));
        rights.on_group(Operation::Read, group)?;
        // That it is there is all that is asked.
        self.inner.groups.with_share(project, group, |_, _| ())?;
        let terms = Terms {
            lock: self.duration(project, group, "share.record.lock.duration.ms"),
            committed_only: self.config(project, group, "share.isolation.level") == "read_committed",
            from_start: self.config(project, group, "share.auto.offset.reset") == "earliest",
        };
        Ok(Asking { project, rights, group, member: Arc::from(member.as_str()), terms })
    }

    /// A topic whose records can be shared with who asks.
    fn topic(&self, asking: &Asking<'_>, id: TopicId) -> Result<Arc<TopicView>, ResponseError> {
        let view = self.inner.directory.topic_by_id(asking.project, id);
        let view = view.ok_or(ResponseError::UnknownTopicId)?;
        asking.rights.on_topic(Operation::Read, &view.name)?;
        match view.in_log.signal() {
            None => Ok(view),
            // What a signal's topic holds are no record batches.
            Some(_) => Err(ResponseError::InvalidTopicException),
        }
    }
}

/// Partitions by topic.
fn by_topic<T>(all: impl IntoIterator<Item = (Place, T)>) -> BTreeMap<TopicId, Vec<(i32, T)>> {
    let mut topics: BTreeMap<TopicId, Vec<(i32, T)>> = BTreeMap::new();
    for ((topic, partition), what) in all {
        topics.entry(topic).or_default().push((partition, what));
    }
    topics
}
