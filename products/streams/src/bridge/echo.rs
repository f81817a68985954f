//! Whether records would come back to where they began.
//!
//! MirrorMaker 2 tells mirrored topics by their names. Here names may stay, so what bridges commit tells it: each says
//! beside its offsets which cluster and topic the records are from, and where those have them from. A bridge first commits
//! its own word and then reads those of the source: of bridges in a circle the one that was made last sees the others'
//! and does not begin. Nothing is written into records.

use std::collections::HashMap;

use kafka_protocol::messages::offset_fetch_request::OffsetFetchRequest;
use kafka_protocol::messages::{ApiKey, ListGroupsRequest};
use kafka_protocol::protocol::StrBytes;

use super::client::Cluster;
use super::position::{Claim, Origin};
use super::trouble::Trouble;

/// How the names of bridges' groups and transactions begin.
pub(crate) const GROUP_PREFIX: &str = "candor-bridge.";

/// Groups of bridges that are asked about: more than a cluster has.
const BRIDGES_MAX: usize = 500;

/// All groups of a cluster.
pub(crate) async fn groups(cluster: &mut Cluster) -> Result<Vec<(String, String)>, Trouble> {
    let requests = cluster.nodes().into_iter().map(|node| (node, ListGroupsRequest::default())).collect();
    let mut groups = Vec::new();
    let name = cluster.name();
    for (_, told) in cluster.ask_each(requests, std::time::Duration::ZERO).await {
        let told = told?.message;
        Trouble::check(|| name.to_owned(), ApiKey::ListGroups, told.error_code)?;
        groups.extend(
            told.groups.into_iter().map(|group| (group.group_id.to_string(), group.group_type.to_string())),
        );
    }
    Ok(groups)
}

/// What bridges that write to a cluster say of its topics, by their names there. `own` is who asks.
pub(crate) async fn claims(cluster: &mut Cluster, own: &str) -> Result<HashMap<String, Vec<Claim>>, Trouble> {
    let mut claims: HashMap<String, Vec<Claim>> = HashMap::new();
    let groups = groups(cluster).await?;
    let bridges = groups.into_iter().map(|(name, _)| name).filter(|name| name.starts_with(GROUP_PREFIX));
    for group in bridges.filter(|name| name != own).take(BRIDGES_MAX) {
        let request = OffsetFetchRequest::default()
            .with_group_id(StrBytes::from_string(group.clone()).into())
            .with_topics(None);
        let told = cluster.ask_group(&group, &request).await?;
        // One that may not be asked about, or is gone by now, says nothing.
        for topic in told.topics {
            let said = topic.partitions.iter().filter_map(|part| Claim::decode(part.metadata.as_deref()?));
            for claim in said {
                let known = claims.entry(topic.name.to_string()).or_default();
                if !known.iter().any(|other| other.origin == claim.origin && other.via == claim.via) {
                    known.push(claim);
                }
            }
        }
    }
    Ok(claims)
}

/// Where the records of a topic come from, as these say.
pub(crate) fn origins(claims: &[Claim]) -> Vec<Origin> {
    let mut origins: Vec<Origin> = Vec::new();
    for origin in claims.iter().flat_map(Claim::origins) {
        if !origins.contains(origin) {
            origins.push(origin.clone());
        }
    }
    origins
}

/// Whether the records of a topic come from the target, by bridges that were all there before this one.
pub(crate) fn is_echo(claims: &[Claim], target_cluster: &str, target: &str, since: i64) -> bool {
    claims.iter().any(|claim| {
        let is_target = |origin: &Origin| origin.cluster == target_cluster && origin.topic == target;
        claim.origins().any(is_target) && claim.origins().all(|origin| origin.since <= since)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(cluster: &str, topic: &str, since: i64) -> Origin {
        Origin { cluster: cluster.to_owned(), topic: topic.to_owned(), since }
    }

    fn claim(from: Origin, via: &[Origin]) -> Claim {
        let (topic_id, target_id) = (String::new(), String::new());
        Claim { origin: from, topic_id, target_id, via: via.to_vec(), runs: Default::default() }
    }

    #[test]
    fn of_bridges_in_a_circle_the_last_one_does_not_begin() {
        // B has t from A. A bridge from B to A would send it back, whichever side runs it.
        let of_b = [claim(origin("A", "t", 5), &[])];
        assert!(is_echo(&of_b, "A", "t", 6));
        assert!(!is_echo(&of_b, "A", "b.t", 6), "under another name it is another topic");
        assert!(!is_echo(&of_b, "C", "t", 6));
        // The older one goes on.
        assert!(!is_echo(&of_b, "A", "t", 4));
        // C has it from B, which has it from A.
        let of_c = [claim(origin("B", "t", 7), &origins(&of_b))];
        assert!(is_echo(&of_c, "A", "t", 8));
        assert!(!is_echo(&of_c, "A", "t", 6));
        assert!(!is_echo(&[], "A", "t", 9));
    }
}
