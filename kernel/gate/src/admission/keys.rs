//! Which body a client's `Idempotency-Key` came with: the same key with another body is a mistake that must be told,
//! for the second body would be taken for a retry of the first and be lost.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>, 2.7
//!
//! Kept in memory, for as long as a retry is likely: what stores requests once is the log's window of ids, which holds
//! over a restart. Ids are of key and body together, so a reuse that is not known of here is stored, not lost.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candor_model::RequestId;
use parking_lot::Mutex;

use super::Refusal;

/// Keys of one generation; two are kept. With the map's own bytes they are some 6 MB.
const GENERATION_MAX: usize = 32_768;

/// A digest of a request's body.
pub type BodyDigest = [u8; 16];

/// The keys that were used lately.
#[derive(Debug, Default)]
pub(super) struct Keys {
    newer: HashMap<RequestId, BodyDigest>,
    older: HashMap<RequestId, BodyDigest>,
}

impl Keys {
    fn find(&self, key: RequestId) -> Option<BodyDigest> {
        self.newer.get(&key).or_else(|| self.older.get(&key)).copied()
    }

    fn insert(&mut self, key: RequestId, body: BodyDigest) {
        if self.newer.len() >= GENERATION_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, body);
    }

    fn remove(&mut self, key: RequestId) {
        self.newer.remove(&key);
        self.older.remove(&key);
    }
}

/// The use of a key by one request. Where the request is not stored it is dropped without [`Claim::keep`], and the
/// key is free for another body.
#[derive(Debug)]
pub struct Claim {
    keys: Arc<Mutex<Keys>>,
    key: RequestId,
    is_first: bool,
    is_kept: AtomicBool,
}

impl Claim {
    /// Claims a key for a body; refused where it was used for another.
    pub(super) fn new(keys: &Arc<Mutex<Keys>>, key: RequestId, body: BodyDigest) -> Result<Claim, Refusal> {
        let mut known = keys.lock();
        let is_first = match known.find(key) {
            Some(first) if first != body => return Err(Refusal::KeyReused),
            Some(_) => false,
            None => {
                known.insert(key, body);
                true
            }
        };
        drop(known);
        Ok(Claim { keys: Arc::clone(keys), key, is_first, is_kept: AtomicBool::new(false) })
    }

    /// The request was stored.
    pub fn keep(&self) {
        self.is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.is_first && !self.is_kept.load(Ordering::Relaxed) {
            self.keys.lock().remove(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u64) -> RequestId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&n.to_le_bytes());
        RequestId(bytes)
    }

    #[test]
    fn a_key_is_for_one_body_once_that_is_stored() {
        let keys = Arc::default();
        drop(Claim::new(&keys, id(1), [1; 16]).expect("free"));
        let claim = Claim::new(&keys, id(1), [2; 16]).expect("the first was not stored");
        claim.keep();
        drop(claim);
        drop(Claim::new(&keys, id(1), [2; 16]).expect("a retry"));
        assert_eq!(Claim::new(&keys, id(1), [1; 16]).err(), Some(Refusal::KeyReused));
        drop(Claim::new(&keys, id(2), [1; 16]).expect("another key"));
    }

    #[test]
    fn the_last_keys_are_kept() {
        let keys = Arc::default();
        for n in 0..200_000 {
            Claim::new(&keys, id(n), [1; 16]).expect("free").keep();
        }
        let known = keys.lock();
        assert!(known.newer.len() + known.older.len() <= 2 * GENERATION_MAX);
        assert!(known.find(id(199_999 - GENERATION_MAX as u64)).is_some() && known.find(id(0)).is_none());
    }
}
