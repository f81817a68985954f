//! Who is to have which partition: the assignors `uniform` and `range` (KIP-848).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::Partitions;
use crate::directory::TopicId;

/// How partitions are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::groups) enum Assignor {
    /// All have the same number, give or take one; as few move as can be.
    Uniform,
    /// Each topic's partitions in order, so that partitions of the same number of several topics meet in one member.
    Range,
}

/// The assignors' names, as members ask for them.
pub(in crate::groups) const ASSIGNORS: [(&str, Assignor); 2] =
    [("uniform", Assignor::Uniform), ("range", Assignor::Range)];

impl Assignor {
    pub fn parse(name: &str) -> Option<Assignor> {
        ASSIGNORS.iter().find(|(known, _)| *known == name).map(|(_, assignor)| *assignor)
    }

    pub fn name(self) -> &'static str {
        ASSIGNORS.iter().find(|(_, assignor)| *assignor == self).map_or("", |(name, _)| name)
    }
}

/// One of those who share.
pub(in crate::groups) struct Sharer<'a> {
    pub id: &'a Arc<str>,
    /// By what `range` sorts: the instance id of static members, so that a restart changes nothing.
    pub rank: &'a str,
    /// The topics that it wants.
    pub topics: &'a BTreeSet<TopicId>,
    /// What it was to have until now.
    pub had: &'a Partitions,
}

/// Shares out all partitions of all topics that somebody wants, each to exactly one who wants its topic.
pub(in crate::groups) fn assign(
    assignor: Assignor,
    topics: &BTreeMap<TopicId, u32>,
    sharers: &[Sharer<'_>],
) -> HashMap<Arc<str>, Partitions> {
    let mut shares: Vec<Partitions> = vec![Partitions::new(); sharers.len()];
    match assignor {
        Assignor::Uniform => uniform(topics, sharers, &mut shares),
        Assignor::Range => range(topics, sharers, &mut shares),
    }
    sharers.iter().zip(shares).map(|(sharer, share)| (Arc::clone(sharer.id), share)).collect()
}

fn range(topics: &BTreeMap<TopicId, u32>, sharers: &[Sharer<'_>], shares: &mut [Partitions]) {
    let mut order: Vec<usize> = (0..sharers.len()).collect();
    order.sort_by_key(|index| sharers.get(*index).map(|sharer| (sharer.rank, sharer.id)));
    for (topic, count) in topics {
        let wanting: Vec<usize> = order
            .iter()
            .copied()
            .filter(|index| sharers.get(*index).is_some_and(|sharer| sharer.topics.contains(topic)))
            .collect();
        if wanting.is_empty() {
            continue;
        }
        let each = *count as usize / wanting.len();
        let more = *count as usize % wanting.len();
        let mut next = 0;
        for (place, index) in wanting.into_iter().enumerate() {
            let size = each + usize::from(place < more);
            if let Some(share) = shares.get_mut(index) {
                share.extend(numbers(next, next + size).map(|number| (*topic, number)));
            }
            next += size;
        }
    }
}

fn numbers(from: usize, to: usize) -> impl Iterator<Item = i32> {
    (from..to).filter_map(|number| i32::try_from(number).ok())
}

/// Everybody keeps what it had as far as its fair share goes; the rest goes to those who have least. Where not all
/// want the same topics, partitions then move from who has much to who has less, as long as that evens things out.
fn uniform(topics: &BTreeMap<TopicId, u32>, sharers: &[Sharer<'_>], shares: &mut [Partitions]) {
    let wanted: BTreeSet<TopicId> = sharers.iter().flat_map(|sharer| sharer.topics.iter().copied()).collect();
    let all: Partitions = topics
        .iter()
        .filter(|(topic, _)| wanted.contains(*topic))
        .flat_map(|(topic, count)| numbers(0, *count as usize).map(|number| (*topic, number)))
        .collect();
    if sharers.is_empty() {
        return;
    }
    let alike = sharers.windows(2).all(|pair| matches!(pair, [a, b] if a.topics == b.topics));
    let floor = all.len() / sharers.len();
    let mut extra = all.len() % sharers.len();
    let mut free = all.clone();
    for (sharer, share) in sharers.iter().zip(shares.iter_mut()) {
        let may =
            |partition: &&(TopicId, i32)| sharer.topics.contains(&partition.0) && free.contains(*partition);
        let mut kept: Vec<(TopicId, i32)> = sharer.had.iter().filter(may).copied().collect();
        if alike {
            // As many as have more than the floor keep one more, for as long as there are such.
            let most = floor + usize::from(extra > 0 && kept.len() > floor);
            extra -= usize::from(most > floor);
            kept.truncate(most);
        }
        for partition in &kept {
            free.remove(partition);
        }
        share.extend(kept);
    }
    let mut by_load: BTreeSet<(usize, usize)> =
        shares.iter().enumerate().map(|(index, share)| (share.len(), index)).collect();
    for partition in free {
        let fits = |&&(_, index): &&(usize, usize)| {
            sharers.get(index).is_some_and(|sharer| sharer.topics.contains(&partition.0))
        };
        let Some(&(load, index)) = by_load.iter().find(fits) else { continue };
        if let Some(share) = shares.get_mut(index) {
            share.insert(partition);
            by_load.remove(&(load, index));
            by_load.insert((load + 1, index));
        }
    }
    if !alike {
        even_out(sharers, shares);
    }
}

/// Moves partitions from who has at least two more than another that wants them, too. Every move brings the loads
/// nearer to each other, so it ends.
fn even_out(sharers: &[Sharer<'_>], shares: &mut [Partitions]) {
    loop {
        let mut moved = false;
        let mut heaviest: Vec<usize> = (0..shares.len()).collect();
        heaviest.sort_by_key(|index| std::cmp::Reverse(shares.get(*index).map_or(0, BTreeSet::len)));
        for from in heaviest {
            let partitions: Vec<(TopicId, i32)> =
                shares.get(from).map(|share| share.iter().copied().collect()).unwrap_or_default();
            for partition in partitions {
                let load = shares.get(from).map_or(0, BTreeSet::len);
                let lightest = sharers
                    .iter()
                    .zip(shares.iter())
                    .enumerate()
                    .filter(|(_, (sharer, _))| sharer.topics.contains(&partition.0))
                    .map(|(index, (_, share))| (share.len(), index))
                    .min();
                let Some((least, to)) = lightest else { continue };
                if least + 2 > load {
                    continue;
                }
                if let Some(share) = shares.get_mut(from) {
                    share.remove(&partition);
                }
                if let Some(share) = shares.get_mut(to) {
                    share.insert(partition);
                }
                moved = true;
            }
        }
        if !moved {
            return;
        }
    }
}
