//! The last offset of each key, in bounded memory.

use std::collections::HashMap;

use ring::digest::{SHA256, digest};

/// Keys remembered at once. With that many the table has 2^20 places of 25 bytes, 26 MB, and while it grows to that
/// half as much beside it.
pub(crate) const KEYS_MAX: usize = 917_504;

/// What stands for a key. Of a good hash, so that nobody can make two keys that are taken for one.
type Hash = [u8; 16];

/// Keys and their last offsets.
pub(super) struct Keys {
    latest: HashMap<Hash, u64>,
    most: usize,
}

fn hash(key: &[u8]) -> Hash {
    let digest = digest(&SHA256, key);
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

impl Keys {
    /// None yet, and at most so many.
    pub fn new(most: usize) -> Keys {
        Keys { latest: HashMap::new(), most }
    }

    /// True where so many more fit, whichever they are. Those of a single batch always do: it is bounded where it is
    /// admitted.
    pub fn has_room(&self, more: usize) -> bool {
        self.latest.is_empty() || self.latest.len().saturating_add(more) <= self.most
    }

    /// Takes in a record's key. Offsets come in their order.
    pub fn insert(&mut self, key: &[u8], offset: u64) {
        self.latest.insert(hash(key), offset);
    }

    /// The last offset of a key that was taken in.
    pub fn latest(&self, key: &[u8]) -> Option<u64> {
        self.latest.get(&hash(key)).copied()
    }
}
