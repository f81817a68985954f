//! Slows guessing down: failed sign-ins are counted per address and peer together, and per peer alone.
//!
//! An attempt counts as failed from the moment it begins, and is given back once it proves to be none: a password takes
//! a while to check, and what is counted only then lets any number of guesses in meanwhile.
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
    /// Lets an attempt in and counts it as failed, or says how many seconds the caller must wait.
    pub(crate) fn begin(&self, email: &str, peer: Option<IpAddr>, now: Timestamp) -> Result<Attempt, u64> {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (pair, peer) = (Who::Pair(email.to_owned(), peer), Who::Peer(peer));
        let of = |who: &Who, free: u32| failures.get(who).map_or(0, |entry| entry.wait(free, now));
        let wait = of(&pair, FREE_FAILURES_PAIR).max(of(&peer, FREE_FAILURES_PEER));
        if wait > 0 {
            return Err(wait);
        }
        make_room(&mut failures, now);
        let counted = [pair, peer].map(|who| {
            let before = count(&mut failures, who.clone(), now);
            (who, before)
        });
        Ok(Attempt { counted, at: now })
    }

    /// Gives an attempt back that was none: nothing was checked.
    pub(crate) fn refund(&self, attempt: Attempt) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        for (who, before) in attempt.counted {
            give_back(&mut failures, &who, before, attempt.at);
        }
    }

    /// A success clears the pair and gives back what it counted of the peer. The peer's other failures stay, or one
    /// own account would cover guessing at others.
    pub(crate) fn succeeded(&self, attempt: Attempt) {
        let mut failures = self.failures.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let [(pair, _), (peer, before)] = attempt.counted;
        failures.remove(&pair);
        give_back(&mut failures, &peer, before, attempt.at);
    }
}

/// An attempt that was let in and counted.
#[derive(Debug)]
pub(crate) struct Attempt {
    /// Who was counted, and when they last were before.
    counted: [(Who, Timestamp); 2],
    at: Timestamp,
}

fn make_room(failures: &mut HashMap<Who, Failures>, now: Timestamp) {
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
}

/// Counts one; gives when the last one before was.
fn count(failures: &mut HashMap<Who, Failures>, who: Who, now: Timestamp) -> Timestamp {
    let entry = failures.entry(who).or_insert(Failures { count: 0, last: now });
    if entry.forgotten(now) {
        entry.count = 0;
    }
    entry.count = entry.count.saturating_add(1);
    std::mem::replace(&mut entry.last, now)
}

fn give_back(failures: &mut HashMap<Who, Failures>, who: &Who, before: Timestamp, at: Timestamp) {
    let Some(entry) = failures.get_mut(who) else { return };
    entry.count = entry.count.saturating_sub(1);
    // Others may have been counted since: their time stands.
    if entry.last == at {
        entry.last = before;
    }
    if entry.count == 0 {
        failures.remove(who);
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

    /// Fails so many times, each as soon as it may. Gives when the last was.
    fn fail(
        throttle: &Throttle,
        email: &str,
        peer: Option<IpAddr>,
        times: u32,
        mut now: Timestamp,
    ) -> Timestamp {
        for _ in 0..times {
            while let Err(wait) = throttle.begin(email, peer, now) {
                now = now.plus_seconds(wait as i64);
            }
        }
        now
    }

    fn wait(throttle: &Throttle, email: &str, peer: Option<IpAddr>, now: Timestamp) -> u64 {
        match throttle.begin(email, peer, now) {
            Ok(attempt) => {
                throttle.refund(attempt);
                0
            }
            Err(wait) => wait,
        }
    }

    #[test]
    fn waits_double_after_the_free_failures_and_end() {
        let throttle = Throttle::default();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        assert_eq!(fail(&throttle, "a@example.com", peer, 4, NOW), NOW);
        assert_eq!(wait(&throttle, "a@example.com", peer, NOW), 0);
        fail(&throttle, "a@example.com", peer, 1, NOW);
        assert_eq!(wait(&throttle, "a@example.com", peer, NOW), 1);
        let last = fail(&throttle, "a@example.com", peer, 1, NOW);
        assert_eq!(wait(&throttle, "a@example.com", peer, last), 2);
        let last = fail(&throttle, "a@example.com", peer, 12, last);
        assert_eq!(wait(&throttle, "a@example.com", peer, last), WAIT_SECONDS_MAX);
        assert_eq!(wait(&throttle, "a@example.com", peer, last.plus_seconds(901)), 0);
    }

    #[test]
    fn others_are_not_locked_out_until_the_peer_itself_is_suspect() {
        let throttle = Throttle::default();
        let (bad, good) = (Some(IpAddr::from([192, 0, 2, 1])), Some(IpAddr::from([192, 0, 2, 2])));
        let now = fail(&throttle, "a@example.com", bad, 8, NOW);
        assert!(wait(&throttle, "a@example.com", bad, now) > 0);
        assert_eq!(wait(&throttle, "a@example.com", good, now), 0);
        assert_eq!(wait(&throttle, "b@example.com", bad, now), 0);
        for n in 0..30 {
            let _ = throttle.begin(&format!("c{n}@example.com"), bad, now);
        }
        assert!(wait(&throttle, "b@example.com", bad, now) > 0);
    }

    #[test]
    fn guesses_at_once_are_counted_before_any_is_checked() {
        let throttle = Throttle::default();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        let mut let_in: Vec<Attempt> =
            (0..1000).filter_map(|_| throttle.begin("a@example.com", peer, NOW).ok()).collect();
        assert_eq!(let_in.len(), FREE_FAILURES_PAIR as usize);
        // What was not checked after all is given back, and only that.
        throttle.refund(let_in.pop().expect("five"));
        assert_eq!(wait(&throttle, "a@example.com", peer, NOW), 0);
        throttle.begin("a@example.com", peer, NOW).expect("the fifth again");
        assert!(throttle.begin("a@example.com", peer, NOW).is_err());
    }

    #[test]
    fn a_success_leaves_the_peers_failures_as_they_were() {
        let throttle = Throttle::default();
        let peer = Some(IpAddr::from([192, 0, 2, 1]));
        for n in 0..30 {
            throttle.begin(&format!("{n}@example.com"), peer, NOW).expect("is free");
        }
        assert_eq!(wait(&throttle, "own@example.com", peer, NOW), 1);
        let later = NOW.plus_seconds(1);
        for _ in 0..100 {
            let attempt = throttle.begin("own@example.com", peer, later).expect("has waited");
            throttle.succeeded(attempt);
        }
        throttle.begin("other@example.com", peer, later).expect("is the 31st");
        assert_eq!(wait(&throttle, "own@example.com", peer, later), 2);
    }

    #[test]
    fn memory_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..60_000u32 {
            let at = NOW.plus_seconds(i64::from(n) / 1000);
            let _ = throttle.begin(&format!("{n}@example.com"), Some(IpAddr::from(n.to_be_bytes())), at);
        }
        let entries = throttle.failures.lock().expect("not poisoned").len();
        assert!(entries <= ENTRIES_MAX + 2, "{entries}");
    }
}
