//! A group as it is stored: JSON, bytes in base64. Addresses of clients are not stored; they are known again with the
//! first request.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::*;
use crate::groups::storage::{GroupKey, Step};

#[derive(Serialize, Deserialize)]
pub(in crate::groups) struct Head {
    pub generation: i32,
    pub protocol_type: Option<String>,
    pub protocol: Option<String>,
    pub leader: Option<String>,
    pub stable: bool,
    pub empty_since: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct StoredMember {
    instance: Option<String>,
    client_id: String,
    session_ms: u64,
    rebalance_ms: u64,
    protocols: Vec<(String, String)>,
    assignment: String,
    ordinal: u64,
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Classic {
    /// The group as it is now. All its members are written anew: a rebalance changes every one of them.
    pub fn steps(&self, key: &GroupKey) -> (Head, Vec<Step>) {
        let text = |text: &Option<Arc<str>>| text.as_deref().map(str::to_owned);
        let head = Head {
            generation: self.generation,
            protocol_type: text(&self.protocol_type),
            protocol: text(&self.protocol),
            leader: text(&self.leader),
            // While the assignment is being stored it is complete: who asks after a restart gets it.
            stable: self.phase == Phase::Stable || self.saving.is_some(),
            empty_since: self.empty_since.map(|at| at.0),
        };
        let mut steps = vec![Step::ForgetMembers { key: key.clone() }];
        for (id, member) in &self.members {
            let stored = StoredMember {
                instance: text(&member.instance),
                client_id: member.client_id.to_string(),
                session_ms: millis(member.session),
                rebalance_ms: millis(member.rebalance),
                protocols: member
                    .protocols
                    .iter()
                    .map(|(name, metadata)| (name.to_string(), BASE64.encode(metadata)))
                    .collect(),
                assignment: BASE64.encode(&member.assignment),
                ordinal: member.ordinal,
            };
            let body = serde_json::to_string(&stored).unwrap_or_default();
            steps.push(Step::Member { key: key.clone(), member: Arc::clone(id), body });
        }
        (head, steps)
    }

    /// The group as it was stored. Its members have a whole session to be heard of again. What is not readable is
    /// left out: such a member joins anew.
    pub fn restore(bounds: Bounds, head: Head, members: &[(Arc<str>, String)], now: Instant) -> Classic {
        let mut group = Classic::new(bounds);
        group.generation = head.generation;
        group.protocol_type = head.protocol_type.map(Arc::from);
        group.protocol = head.protocol.map(Arc::from);
        group.empty_since = head.empty_since.map(Timestamp);
        for (id, body) in members {
            let Some(member) = restore_member(body, now) else { continue };
            group.joins = group.joins.max(member.ordinal);
            if let Some(instance) = &member.instance {
                group.statics.insert(Arc::clone(instance), Arc::clone(id));
            }
            group.members.insert(Arc::clone(id), member);
        }
        let leader = head.leader.map(Arc::<str>::from).filter(|id| group.members.contains_key(id));
        let whole = group.members.len() == members.len() && leader.is_some();
        group.leader = leader.or_else(|| group.eldest(|_| true));
        if !group.members.is_empty() {
            group.phase = Phase::Stable;
            if !head.stable || !whole {
                group.prepare(now);
            }
        }
        group
    }
}

fn restore_member(body: &str, now: Instant) -> Option<Member> {
    let stored: StoredMember = serde_json::from_str(body).ok()?;
    let decode = |text: &str| BASE64.decode(text.as_bytes()).ok().map(Bytes::from);
    let protocols =
        stored.protocols.iter().map(|(name, metadata)| Some((Arc::from(&**name), decode(metadata)?)));
    let session = Duration::from_millis(stored.session_ms);
    Some(Member {
        instance: stored.instance.map(Arc::from),
        client_id: Arc::from(stored.client_id),
        host: None,
        session,
        rebalance: Duration::from_millis(stored.rebalance_ms),
        protocols: protocols.collect::<Option<Protocols>>()?,
        assignment: decode(&stored.assignment)?,
        ordinal: stored.ordinal,
        deadline: now + session,
        join: None,
        sync: None,
        synced: true,
    })
}
