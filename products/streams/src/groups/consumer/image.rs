//! A group as it is stored: JSON. Who its members are and where is not stored; it is known again with the first
//! request of each.

use serde::{Deserialize, Serialize};

use super::*;
use crate::groups::storage::{GroupKey, Step};
use crate::groups::tables::{parse_id, show_id};

#[derive(Serialize, Deserialize)]
pub(in crate::groups) struct Head {
    pub epoch: i32,
    pub assignment_epoch: i32,
    pub assignor: String,
    pub empty_since: Option<i64>,
    /// Id, name and number of partitions of each topic that members want.
    pub topics: Vec<(String, String, u32)>,
}

/// Partitions by topic.
type Stored = Vec<(String, Vec<i32>)>;

#[derive(Serialize, Deserialize)]
struct StoredMember {
    instance: Option<String>,
    client_id: String,
    rebalance_ms: u64,
    names: Vec<String>,
    regex: Option<String>,
    rack: Option<String>,
    assignor: Option<String>,
    epoch: i32,
    previous: i32,
    assigned: Stored,
    revoking: Stored,
    target: Stored,
}

fn show(partitions: &Partitions) -> Stored {
    let mut stored: Stored = Vec::new();
    let mut last = None;
    for (topic, partition) in partitions {
        if last != Some(topic) {
            stored.push((show_id(topic), Vec::new()));
            last = Some(topic);
        }
        if let Some((_, numbers)) = stored.last_mut() {
            numbers.push(*partition);
        }
    }
    stored
}

fn parse(stored: &Stored) -> Option<Partitions> {
    let mut partitions = Partitions::new();
    for (topic, numbers) in stored {
        let topic = parse_id(topic)?;
        partitions.extend(numbers.iter().map(|number| (topic, *number)));
    }
    Some(partitions)
}

impl Consumer {
    /// What has changed since the last time.
    pub fn take_steps(&mut self, key: &GroupKey) -> (Head, Vec<Step>) {
        let head = Head {
            epoch: self.epoch,
            assignment_epoch: self.assignment_epoch,
            assignor: self.assignor.name().to_owned(),
            empty_since: self.empty_since.map(|at| at.0),
            topics: self
                .topics
                .values()
                .map(|topic| (show_id(&topic.id), topic.name.to_string(), topic.partitions))
                .collect(),
        };
        let all = std::mem::take(&mut self.rewrite);
        let removed = std::mem::take(&mut self.removed);
        let mut steps: Vec<Step> = match all {
            true => vec![Step::ForgetMembers { key: key.clone() }],
            false => {
                removed.into_iter().map(|member| Step::ForgetMember { key: key.clone(), member }).collect()
            }
        };
        for (id, member) in &mut self.members {
            if std::mem::take(&mut member.dirty) || all {
                let body = serde_json::to_string(&stored(member)).unwrap_or_default();
                steps.push(Step::Member { key: key.clone(), member: Arc::clone(id), body });
            }
        }
        (head, steps)
    }

    /// The group as it was stored. Its members have a whole session to be heard of again. One that is not readable is
    /// left out: it joins anew.
    pub fn restore(bounds: Bounds, head: Head, members: &[(Arc<str>, String)], now: Instant) -> Consumer {
        let mut group = Consumer::new(bounds);
        group.rewrite = false;
        group.epoch = head.epoch;
        group.assignment_epoch = head.assignment_epoch;
        group.assignor = Assignor::parse(&head.assignor).unwrap_or(Assignor::Uniform);
        group.empty_since = head.empty_since.map(Timestamp);
        for (id, name, partitions) in head.topics {
            if let Some(id) = parse_id(&id) {
                group.topics.insert(id, Topic { id, name: Arc::from(name), partitions });
            }
        }
        for (id, body) in members {
            let Some(member) = restore_member(body, bounds, now) else {
                group.removed.insert(Arc::clone(id));
                group.outdate();
                continue;
            };
            if let Some(instance) = &member.instance {
                group.statics.insert(Arc::clone(instance), Arc::clone(id));
            }
            for partition in member.assigned.iter().chain(&member.revoking) {
                group.owners.insert(*partition, Arc::clone(id));
            }
            group.members.insert(Arc::clone(id), member);
        }
        group
    }
}

fn stored(member: &Member) -> StoredMember {
    let subscription = &member.subscription;
    let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
    StoredMember {
        instance: text(&member.instance),
        client_id: member.client_id.to_string(),
        rebalance_ms: u64::try_from(member.rebalance.as_millis()).unwrap_or(u64::MAX),
        names: subscription.names.iter().map(|name| name.to_string()).collect(),
        regex: text(&subscription.regex),
        rack: text(&subscription.rack),
        assignor: subscription.assignor.map(|assignor| assignor.name().to_owned()),
        epoch: member.epoch,
        previous: member.previous,
        assigned: show(&member.assigned),
        revoking: show(&member.revoking),
        target: show(&member.target),
    }
}

fn restore_member(body: &str, bounds: Bounds, now: Instant) -> Option<Member> {
    let stored: StoredMember = serde_json::from_str(body).ok()?;
    let rebalance = Duration::from_millis(stored.rebalance_ms);
    let revoking = parse(&stored.revoking)?;
    Some(Member {
        instance: stored.instance.map(Arc::from),
        client_id: Arc::from(stored.client_id),
        user: None,
        host: None,
        rebalance,
        subscription: Subscription {
            names: stored.names.into_iter().map(Arc::from).collect(),
            regex: stored.regex.map(Arc::from),
            rack: stored.rack.map(Arc::from),
            assignor: stored.assignor.as_deref().and_then(Assignor::parse),
        },
        epoch: stored.epoch,
        previous: stored.previous,
        assigned: parse(&stored.assigned)?,
        revoke_by: (!revoking.is_empty()).then(|| now + rebalance),
        revoking,
        target: parse(&stored.target)?,
        topics: BTreeSet::new(),
        looked: false,
        deadline: now + bounds.session,
        matches_later: false,
        dirty: false,
    })
}
