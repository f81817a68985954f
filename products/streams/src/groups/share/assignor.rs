//! Which member of a share group reads which partition: the assignor `simple` (KIP-932). Every partition that somebody
//! wants has a member at least, and every member that wants some has a partition at least.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Partitions;
use crate::directory::TopicId;

/// Shares out the partitions of topics, each to the one of those who want it that has fewest; who is left without one
/// gets the one that the fewest have.
pub(super) fn assign(
    topics: &BTreeMap<TopicId, u32>,
    wishes: &[(Arc<str>, BTreeSet<TopicId>)],
) -> BTreeMap<Arc<str>, Partitions> {
    let mut shares: Vec<Partitions> = vec![Partitions::new(); wishes.len()];
    let mut readers: BTreeMap<(TopicId, i32), usize> = BTreeMap::new();
    for (topic, count) in topics {
        let wanting = wishes.iter().enumerate().filter(|(_, (_, wants))| wants.contains(topic));
        let mut wanting: BTreeSet<(usize, usize)> =
            wanting.map(|(index, _)| (shares.get(index).map_or(0, Partitions::len), index)).collect();
        for number in 0..i32::try_from(*count).unwrap_or(i32::MAX) {
            let Some((had, index)) = wanting.pop_first() else { break };
            if let Some(share) = shares.get_mut(index) {
                share.insert((*topic, number));
            }
            wanting.insert((had + 1, index));
            readers.insert((*topic, number), 1);
        }
    }
    for ((_, wants), share) in wishes.iter().zip(&mut shares) {
        if !share.is_empty() {
            continue;
        }
        let theirs = wants.iter().flat_map(|topic| readers.range((*topic, 0)..=(*topic, i32::MAX)));
        let least = theirs.min_by_key(|(_, count)| **count).map(|(partition, _)| *partition);
        if let Some(partition) = least {
            share.insert(partition);
            *readers.entry(partition).or_default() += 1;
        }
    }
    wishes.iter().zip(shares).map(|((id, _), share)| (Arc::clone(id), share)).collect()
}
