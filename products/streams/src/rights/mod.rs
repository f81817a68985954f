//! Who may do what, asked before the parts do it.
//!
//! The parts know projects; rules within a project are asked here, a request's topics one by one as Kafka does: what is
//! not allowed is answered with Kafka's error, the rest is done. Records in and out ask for themselves, for they look
//! each topic up anyway; so does the administration.

pub(crate) mod by_id;
pub(crate) mod groups;
pub(crate) mod offsets;
#[cfg(test)]
mod tests;
pub(crate) mod transactions;

use std::collections::BTreeSet;
use std::net::IpAddr;

use candor_model::ProjectId;
use kafka_protocol::ResponseError;

use crate::admin::acl::{Acls, Operation, Resource, ResourceType, Sights};
use crate::caller::Caller;

/// See [`Rights::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RightsMark {
    changes: u64,
    is_owner: bool,
    host: IpAddr,
}

/// What the rules say of one who asks.
#[derive(Clone)]
pub(crate) struct Rights {
    acls: Acls,
    caller: Caller,
    /// Nothing has to be looked up for one who may do everything.
    is_owner: bool,
}

impl Rights {
    /// What they say of this client.
    pub fn of(acls: &Acls, caller: &Caller) -> Rights {
        Rights { acls: acls.clone(), caller: caller.clone(), is_owner: acls.is_owner(caller) }
    }

    /// Who asks, within the project.
    pub fn user(&self) -> &str {
        &self.caller.user
    }

    /// Who asks.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What an answer of the rules depends on: as long as it is the same, so is the answer for this user.
    pub fn mark(&self) -> RightsMark {
        RightsMark { changes: self.acls.changes(), is_owner: self.is_owner, host: self.caller.host }
    }

    /// Whose topics, groups and transactions it is about.
    pub fn project(&self) -> ProjectId {
        self.caller.project
    }

    fn may(&self, operation: Operation, resource: Resource<'_>) -> bool {
        self.is_owner || self.acls.allowed(&self.caller, operation, resource)
    }

    /// What users of the project may see, for answers about others than who asks.
    pub fn sights(&self) -> Sights {
        Sights::new(&self.acls, self.caller.project)
    }

    pub fn on_topic(&self, operation: Operation, name: &str) -> Result<(), ResponseError> {
        let may = self.may(operation, Resource::topic(name));
        may.then_some(()).ok_or(ResponseError::TopicAuthorizationFailed)
    }

    pub fn on_group(&self, operation: Operation, name: &str) -> Result<(), ResponseError> {
        let may = self.may(operation, Resource::group(name));
        may.then_some(()).ok_or(ResponseError::GroupAuthorizationFailed)
    }

    pub fn on_transactional_id(&self, operation: Operation, id: &str) -> Result<(), ResponseError> {
        let may = self.may(operation, Resource::transactional_id(id));
        may.then_some(()).ok_or(ResponseError::TransactionalIdAuthorizationFailed)
    }

    pub fn on_cluster(&self, operation: Operation) -> Result<(), ResponseError> {
        let may = self.may(operation, Resource::cluster());
        may.then_some(()).ok_or(ResponseError::ClusterAuthorizationFailed)
    }

    /// Whether it may number what it produces: one that may write to any topic may (KIP-679).
    fn may_number(&self) -> Result<(), ResponseError> {
        let writes = || self.acls.allowed_some(&self.caller, Operation::Write, ResourceType::Topic);
        self.on_cluster(Operation::IdempotentWrite)
            .or_else(|error| if writes() { Ok(()) } else { Err(error) })
    }

    /// The bit field of what may be done with a group (KIP-430).
    fn group_operations(&self, name: &str) -> i32 {
        self.acls.operations(&self.caller, Resource::group(name))
    }
}

/// Each once, however often it is named: an answer is many times as long as a question.
pub(crate) fn once<T, N: Ord>(mut all: Vec<T>, name: impl Fn(&T) -> N) -> Vec<T> {
    let mut seen = BTreeSet::new();
    all.retain(|one| seen.insert(name(one)));
    all
}

/// Parts what may be done from what may not.
pub(crate) fn parted<T>(
    all: Vec<T>,
    mut may: impl FnMut(&T) -> Result<(), ResponseError>,
) -> (Vec<T>, Vec<(T, ResponseError)>) {
    let (mut allowed, mut refused) = (Vec::with_capacity(all.len()), Vec::new());
    for one in all {
        match may(&one) {
            Ok(()) => allowed.push(one),
            Err(error) => refused.push((one, error)),
        }
    }
    (allowed, refused)
}
