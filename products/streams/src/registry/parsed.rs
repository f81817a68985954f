//! Schemas that were parsed, as many as there is room for: those that were asked for last.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use candor_schemas::Schema;
use parking_lot::Mutex;

/// Bytes of text, with all that they refer to, of a project's schemas that stay parsed. Parsed they take some ten times
/// as much.
const PARSED_BYTES_MAX: usize = 16 << 20;

/// What an entry takes, whatever its text.
const ENTRY_BYTES: usize = 512;

/// A schema's place: whoever comes while it is parsed waits for it.
pub(super) type Slot = Arc<OnceLock<Option<Arc<Schema>>>>;

#[derive(Debug)]
struct Entry {
    slot: Slot,
    bytes: usize,
    used: u64,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<[u8; 32], Entry>,
    /// Entries from the one that was not asked for the longest.
    order: BTreeMap<u64, [u8; 32]>,
    bytes: usize,
    clock: u64,
}

/// Parsed schemas of a project, by their digests.
#[derive(Debug, Default)]
pub(super) struct Parsed(Mutex<Inner>);

impl Parsed {
    /// A schema's place, where it has one.
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Slot> {
        let mut inner = self.0.lock();
        let Inner { entries, order, clock, .. } = &mut *inner;
        let entry = entries.get_mut(digest)?;
        order.remove(&entry.used);
        *clock += 1;
        entry.used = *clock;
        order.insert(entry.used, *digest);
        Some(Arc::clone(&entry.slot))
    }

    /// Gives a schema a place; others lose theirs where there is not room for all.
    pub(super) fn put(&self, digest: [u8; 32], bytes: usize) -> Slot {
        if let Some(slot) = self.get(&digest) {
            return slot;
        }
        let mut inner = self.0.lock();
        let bytes = bytes.saturating_add(ENTRY_BYTES);
        while inner.bytes.saturating_add(bytes) > PARSED_BYTES_MAX {
            let Some((_, oldest)) = inner.order.pop_first() else { break };
            let gone = inner.entries.remove(&oldest).map_or(0, |entry| entry.bytes);
            inner.bytes = inner.bytes.saturating_sub(gone);
        }
        inner.clock += 1;
        let (used, slot) = (inner.clock, Slot::default());
        let entry = Entry { slot: Arc::clone(&slot), bytes, used };
        inner.bytes = inner.bytes.saturating_add(bytes);
        inner.order.insert(used, digest);
        // Somebody else may have put it in the meantime.
        if let Some(before) = inner.entries.insert(digest, entry) {
            inner.order.remove(&before.used);
            inner.bytes = inner.bytes.saturating_sub(before.bytes);
        }
        slot
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_last_stays_within_the_room() {
        let parsed = Parsed::default();
        let digest = |number: u8| [number; 32];
        let first = parsed.put(digest(0), 1 << 20);
        for number in 1..100 {
            parsed.put(digest(number), 1 << 20);
            let again = parsed.get(&digest(0)).unwrap();
            assert!(Arc::ptr_eq(&first, &again));
            let inner = parsed.0.lock();
            assert!(inner.bytes <= PARSED_BYTES_MAX && inner.order.len() == inner.entries.len());
            assert_eq!(inner.bytes, inner.entries.values().map(|entry| entry.bytes).sum::<usize>());
        }
        assert!(parsed.get(&digest(1)).is_none() && parsed.get(&digest(99)).is_some());
        assert!(parsed.0.lock().entries.len() >= 15);
    }
}
