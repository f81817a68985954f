//! Slows guessing down: failed sign-ins are counted per address and peer together, and per peer alone.
//!
//! Counting by e-mail address alone would let anyone lock a person out, so the address never stands by itself. The
//! counts live in memory: a restart forgives, which costs an attacker who can restart the server nothing they had
//! not got already.

use std::collections::HashMap;
use std::net::IpAddr;

use candor_model::Timestamp;
use std::sync::Mutex;

/// Failures that cost nothing.
const FREE_FAILURES_PAIR: u32 = 5;
/// Failures of one peer over all addresses that cost nothing: an office behind one address mistypes more.
const FREE_FAILURES_PEER: u32 = 30;
/// Longest wait, seconds.
const WAIT_SECONDS_MAX: u64 = 900;
/// How long a failure is remembered, seconds.
const MEMORY_SECONDS: i64 = 3600;
/// Entries kept: some 100 bytes each.
const ENTRIES_MAX: usize = 20_000;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Pair(String, Option<IpAddr>),
    Peer(Option<IpAddr>),
}

#[derive(Debug, Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

#[derive(Default)]
pub(crate) struct Throttle {
    failures: Mutex<HashMap<Who, Failures>>,
}

impl Throttle {
    /// How long this caller must wait before trying again; zero for now.
    pub(crate) fn wait_seconds(&self, email: &str, peer: Option<IpAddr>, now: Timestamp) -> u64 {
        let failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let of = |who: &Who, free: u32| failures.get(who).map_or(0, |entry| entry.wait(free, now));
        of(&Who::Pair(email.to_owned(), peer), FREE_FAILURES_PAIR)
            .max(of(&Who::Peer(peer), FREE_FAILURES_PEER))
    }

    /// Counts a failure.
    pub(crate) fn failed(&self, email: &str, peer: Option<IpAddr>, now: Timestamp) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if failures.len() >= ENTRIES_MAX {
            failures.retain(|_, entry| !entry.forgotten(now));
        }
        if failures.len() >= ENTRIES_MAX {
            // All fresh: someone is flooding. Forget the older half rather than grow.
            let mut times: Vec<Timestamp> = failures.values().map(|entry| entry.last).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable(middle);
            let median = *median;
            failures.retain(|_, entry| entry.last > median);
        }
        for who in [Who::Pair(email.to_owned(), peer), Who::Peer(peer)] {
            let entry = failures.entry(who).or_insert(Failures { count: 0, last: now });
            if entry.forgotten(now) {
                entry.count = 0;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
    }

    /// A success clears the pair; the peer's count stays, or one own account would cover guessing at others.
    pub(crate) fn succeeded(&self, email: &str, peer: Option<IpAddr>) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        failures.remove(&Who::Pair(email.to_owned(), peer));
    }
}

impl Failures {
    fn forgotten(&self, now: Timestamp) -> bool {
        now > self.last.plus_seconds(MEMORY_SECONDS)
    }

    fn wait(&self, free: u32, now: Timestamp) -> u64 {
        if self.count < free || self.forgotten(now) {
            return 0;
        }
        let doublings = (self.count - free).min(20);
        let wait = (1u64 << doublings).min(WAIT_SECONDS_MAX);
        let until = self.last.plus_seconds(wait as i64);
        let left = (until.0 - now.0).max(0) as u64;
        left.div_ceil(Timestamp::SECOND as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000_000);

    #[test]
    fn waits_double_after_the_free_failures_and_end() {
        let throttle = Throttle::default();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..4 {
            throttle.failed("a@example.com", peer, NOW);
        }
        assert_eq!(throttle.wait_seconds("a@example.com", peer, NOW), 0);
        throttle.failed("a@example.com", peer, NOW);
        assert_eq!(throttle.wait_seconds("a@example.com", peer, NOW), 1);
        throttle.failed("a@example.com", peer, NOW);
        assert_eq!(throttle.wait_seconds("a@example.com", peer, NOW), 2);
        for _ in 0..20 {
            throttle.failed("a@example.com", peer, NOW);
        }
        assert_eq!(throttle.wait_seconds("a@example.com", peer, NOW), WAIT_SECONDS_MAX);
        assert_eq!(throttle.wait_seconds("a@example.com", peer, NOW.plus_seconds(901)), 0);
    }

    #[test]
    fn others_are_not_locked_out_until_the_peer_itself_is_suspect() {
        let throttle = Throttle::default();
        let (bad, good) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        for _ in 0..10 {
            throttle.failed("a@example.com", bad, NOW);
        }
        assert_eq!(throttle.wait_seconds("a@example.com", good, NOW), 0);
        assert_eq!(throttle.wait_seconds("b@example.com", bad, NOW), 0);
        for _ in 0..25 {
            throttle.failed("c@example.com", bad, NOW);
        }
        assert!(throttle.wait_seconds("b@example.com", bad, NOW) > 0);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..60_000u32 {
            let at = NOW.plus_seconds(i64::from(n) / 1000);
            throttle.failed(&format!("{n}@example.com"), Some(IpAddr::from(n.to_be_bytes())), at);
        }
        let entries = throttle.failures.lock().expect("not poisoned").len();
        assert!(entries <= ENTRIES_MAX + 2, "{entries}");
    }
}
