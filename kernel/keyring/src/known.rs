//! A bounded memory that forgets what was not asked for lately.
//!
//! Two generations: when the young one is full it becomes the old one, and the old one is dropped. That keeps the
//! last half of the bound at least, costs one hash a question, and needs no list of who was used when.

use std::collections::HashMap;

pub(crate) struct Recent<V> {
    young: HashMap<u128, V>,
    old: HashMap<u128, V>,
    generation_max: usize,
}

impl<V: Clone> Recent<V> {
    /// A memory of at most `entries_max` entries.
    pub(crate) fn new(entries_max: usize) -> Recent<V> {
        Recent { young: HashMap::new(), old: HashMap::new(), generation_max: (entries_max / 2).max(1) }
    }

    pub(crate) fn get(&mut self, key: u128) -> Option<V> {
        if let Some(found) = self.young.get(&key) {
            return Some(found.clone());
        }
        let found = self.old.remove(&key)?;
        self.put(key, found.clone());
        Some(found)
    }

    pub(crate) fn put(&mut self, key: u128, value: V) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: u128) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    pub(crate) fn clear(&mut self) {
        self.young.clear();
        self.old.clear();
    }
}

/// A digest of parts, wide enough that two different lists of parts never meet: a false "known" would lose an
/// entry for good.
pub(crate) fn digest(parts: &[&[u8]]) -> u128 {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut out = [0; 16];
    out.iter_mut().zip(context.finish().as_ref()).for_each(|(to, from)| *to = *from);
    u128::from_le_bytes(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_bounded_and_keeps_what_is_used() {
        let mut recent = Recent::new(100);
        recent.put(0, 0);
        for key in 1..10_000_u128 {
            recent.put(key, key);
            assert_eq!(recent.get(0), Some(0), "what is asked for stays");
            assert!(recent.young.len() + recent.old.len() <= 100);
        }
        assert_eq!(recent.get(5), None, "what is not asked for goes");
        assert_eq!(recent.get(9_990), Some(9_990));
        recent.remove(0);
        assert_eq!(recent.get(0), None);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(digest(&[b"ab", b"c"]), digest(&[b"a", b"bc"]));
    }
}
