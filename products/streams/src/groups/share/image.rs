//! A share group as it is stored: JSON. What members are assigned is found anew, and who has which record is not
//! stored: a restart ends all sessions.

use serde::{Deserialize, Serialize};

use super::partition::Standing;
use super::*;
use crate::groups::storage::{GroupKey, Step, StoredGroup};

#[derive(Serialize, Deserialize)]
pub(in crate::groups) struct Head {
    epoch: i32,
}

#[derive(Serialize, Deserialize)]
struct StoredMember {
    rack: Option<String>,
    client_id: String,
    names: Vec<String>,
    epoch: i32,
    previous: i32,
}

/// A partition's row.
#[derive(Serialize, Deserialize)]
struct StoredPartition {
    start: i64,
    /// Length, standing and deliveries of each run from the start on.
    runs: Vec<(i64, char, i16)>,
}

const AVAILABLE: char = 'a';
const ACKNOWLEDGED: char = 'k';
const ARCHIVED: char = 'x';

impl Share {
    /// What has changed since the last time.
    pub(in crate::groups) fn take_steps(&mut self, key: &GroupKey) -> (Head, Vec<Step>) {
        let all = std::mem::take(&mut self.rewrite);
        let removed = std::mem::take(&mut self.removed);
        let mut steps: Vec<Step> = match all {
            true => vec![
                Step::ForgetMembers { key: key.clone() },
                Step::ForgetShares { key: key.clone(), topic: None },
            ],
            false => {
                removed.into_iter().map(|member| Step::ForgetMember { key: key.clone(), member }).collect()
            }
        };
        let forgotten = std::mem::take(&mut self.forgotten);
        steps.extend(
            forgotten.into_iter().map(|topic| Step::ForgetShares { key: key.clone(), topic: Some(topic) }),
        );
        for (id, member) in &mut self.members {
            if std::mem::take(&mut member.dirty) || all {
                let body = serde_json::to_string(&stored(member)).unwrap_or_default();
                steps.push(Step::Member { key: key.clone(), member: Arc::clone(id), body });
            }
        }
        for ((topic, partition), part) in &mut self.parts {
            if std::mem::take(&mut part.dirty) || all {
                let body = serde_json::to_string(&stored_partition(part)).unwrap_or_default();
                steps.push(Step::Share { key: key.clone(), topic: *topic, partition: *partition, body });
            }
        }
        (Head { epoch: self.epoch }, steps)
    }

    /// The group as it was stored. Its members have a whole session to be heard of again.
    pub(in crate::groups) fn restore(
        bounds: Bounds,
        head: Head,
        stored: &StoredGroup,
        now: Instant,
    ) -> Share {
        let mut group = Share::new(bounds);
        group.epoch = head.epoch;
        for (id, body) in &stored.members {
            match serde_json::from_str::<StoredMember>(body) {
                Ok(member) => {
                    group.members.insert(Arc::clone(id), restored(member, now + bounds.session));
                }
                Err(_) => {
                    group.removed.insert(Arc::clone(id));
                }
            }
        }
        for (topic, partition, body) in &stored.shares {
            match serde_json::from_str::<StoredPartition>(body) {
                Ok(part) => {
                    group.parts.insert((*topic, *partition), restored_partition(part, group.limits()));
                }
                Err(error) => tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "where a share group stands in a partition is not readable: it begins there anew"
                ),
            }
        }
        group.runs = group.parts.values().map(SharePartition::runs).sum();
        group
    }
}

fn stored(member: &Member) -> StoredMember {
    StoredMember {
        rack: member.rack.as_deref().map(str::to_owned),
        client_id: member.client_id.to_string(),
        names: member.names.iter().map(|name| name.to_string()).collect(),
        epoch: member.epoch,
        previous: member.previous,
    }
}

fn restored(stored: StoredMember, deadline: Instant) -> Member {
    Member {
        rack: stored.rack.map(Arc::from),
        client_id: Arc::from(stored.client_id),
        host: None,
        names: stored.names.into_iter().map(Arc::from).collect(),
        epoch: stored.epoch,
        previous: stored.previous,
        assigned: Partitions::new(),
        deadline,
        dirty: false,
    }
}

fn stored_partition(part: &SharePartition) -> StoredPartition {
    let (start, runs) = part.image();
    let runs = runs.into_iter().map(|(length, standing, deliveries)| {
        let standing = match standing {
            Standing::Available | Standing::Acquired { .. } => AVAILABLE,
            Standing::Acknowledged => ACKNOWLEDGED,
            Standing::Archived => ARCHIVED,
        };
        (length, standing, deliveries)
    });
    StoredPartition { start, runs: runs.collect() }
}

fn restored_partition(stored: StoredPartition, limits: Limits) -> SharePartition {
    let runs = stored.runs.into_iter().map(|(length, standing, deliveries)| {
        let standing = match standing {
            ACKNOWLEDGED => Standing::Acknowledged,
            ARCHIVED => Standing::Archived,
            _ => Standing::Available,
        };
        (length, standing, deliveries)
    });
    SharePartition::restore(stored.start, runs.collect(), limits)
}
