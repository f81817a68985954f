//! The window of request ids: what makes a retry be stored once.
//!
//! Bounded, because a retry comes soon or not at all: the window holds the last ids of all partitions together, and
//! one busy partition recycles its own before it takes those of others.

use std::collections::{HashMap, VecDeque};

use candor_model::RequestId;

use crate::state::PartitionKey;

/// Ids that a partition keeps whatever others do.
const OWN_REQUESTS_MIN: usize = 64;

/// Where the first try went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stored {
    pub base: u64,
    pub count: u32,
}

/// Recent request ids.
pub(crate) struct Window {
    limit: usize,
    stored: HashMap<(PartitionKey, RequestId), Stored>,
    /// The same in order of arrival, by partition: what the checkpoint copies.
    order: HashMap<PartitionKey, VecDeque<(RequestId, Stored)>>,
}

impl Window {
    pub fn new(limit: usize) -> Window {
        Window { limit, stored: HashMap::new(), order: HashMap::new() }
    }

    pub fn find(&self, partition: PartitionKey, request: RequestId) -> Option<Stored> {
        self.stored.get(&(partition, request)).copied()
    }

    pub fn insert(&mut self, partition: PartitionKey, request: RequestId, stored: Stored) {
        if self.stored.insert((partition, request), stored).is_some() {
            return;
        }
        let order = self.order.entry(partition).or_default();
        order.push_back((request, stored));
        // At the limit a partition makes room among its own ids; those that have few may exceed it by that little.
        while self.stored.len() > self.limit && order.len() > OWN_REQUESTS_MIN {
            let Some((oldest, _)) = order.pop_front() else { break };
            self.stored.remove(&(partition, oldest));
        }
    }

    /// A partition's ids and where they went, oldest first.
    pub fn of(&self, partition: PartitionKey) -> impl Iterator<Item = (RequestId, Stored)> + '_ {
        self.order.get(&partition).into_iter().flatten().copied()
    }

    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.stored.len()
    }
}

/// The id under which the `nth` batch (from 0) of one append with the same topic and request id is remembered: a
/// request may hold several batches of a topic, and they are not retries of each other.
pub(crate) fn nth_id(request: RequestId, nth: u32) -> RequestId {
    let mut id = request;
    for (byte, part) in id.0.iter_mut().zip(nth.to_le_bytes()) {
        *byte ^= part;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u32) -> RequestId {
        let mut bytes = [0; 16];
        bytes[12..].copy_from_slice(&n.to_le_bytes());
        RequestId(bytes)
    }

    #[test]
    fn a_busy_partition_recycles_its_own_ids() {
        let mut window = Window::new(1000);
        for n in 0..10 {
            window.insert(PartitionKey(1), id(n), Stored { base: u64::from(n), count: 1 });
        }
        for n in 0..5000 {
            window.insert(PartitionKey(2), id(n), Stored { base: u64::from(n), count: 1 });
        }
        assert_eq!(window.len(), 1000);
        assert!((0..10).all(|n| window.find(PartitionKey(1), id(n)).is_some()));
        assert_eq!(window.find(PartitionKey(2), id(4009)), None);
        assert_eq!(window.find(PartitionKey(2), id(4010)), Some(Stored { base: 4010, count: 1 }));
        assert_eq!(window.of(PartitionKey(2)).count(), 990);
    }

    #[test]
    fn batches_of_one_request_have_ids_of_their_own() {
        assert_eq!(nth_id(id(7), 0), id(7));
        assert_ne!(nth_id(id(7), 1), id(7));
    }
}
