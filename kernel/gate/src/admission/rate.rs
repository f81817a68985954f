//! Rates and quotas of keys. Keys without limits cost one look at an empty table.

use std::collections::HashMap;

use candor_meta::KeyLimits;
use candor_model::Timestamp;
use parking_lot::Mutex;

use super::Refusal;

/// Microseconds in a day.
const DAY_MICROS: i64 = 86_400 * Timestamp::SECOND;

/// A bucket holds what comes in so many seconds: short bursts pass.
const BURST_SECONDS: f64 = 5.0;

/// Keys remembered; those that were idle longest are forgotten first, with full buckets.
const KEYS_MAX: usize = 100_000;

/// The day of a time, UTC.
pub(super) fn day(now: Timestamp) -> i64 {
    now.0.div_euclid(DAY_MICROS)
}

#[derive(Debug, Default)]
pub(super) struct Rates(Mutex<HashMap<i64, Key>>);

#[derive(Debug)]
struct Key {
    requests: Bucket,
    bytes: Bucket,
    day: i64,
    stored_bytes: u64,
    unsaved_bytes: u64,
}

/// A token bucket. It may go below nothing: a body's size is known only once it is there.
#[derive(Debug)]
struct Bucket {
    tokens: f64,
    filled_at: Timestamp,
}

impl Bucket {
    /// Full, whatever its rate: [`Bucket::fill`] cuts it to size.
    fn full(now: Timestamp) -> Bucket {
        Bucket { tokens: f64::INFINITY, filled_at: now }
    }

    fn fill(&mut self, per_second: u64, now: Timestamp) {
        let seconds = now.0.saturating_sub(self.filled_at.0).max(0) as f64 / 1e6;
        let full = per_second as f64 * BURST_SECONDS;
        self.tokens = (self.tokens + seconds * per_second as f64).min(full);
        self.filled_at = now;
    }

    /// Seconds until there is a token again, where there is none.
    fn wait(&self, per_second: u64) -> Option<u32> {
        (self.tokens < 1.0).then(|| {
            let seconds = (1.0 - self.tokens) / (per_second.max(1) as f64);
            seconds.ceil().clamp(1.0, 3600.0) as u32
        })
    }
}

impl Rates {
    /// Takes one request's token, or says when to come again.
    pub(super) fn check(&self, key: i64, limits: KeyLimits, now: Timestamp) -> Result<(), Refusal> {
        if limits == KeyLimits::default() {
            return Ok(());
        }
        let mut keys = self.0.lock();
        let state = entry(&mut keys, key, now);
        if let Some(per_day) = limits.bytes_per_day
            && state.stored_bytes + state.unsaved_bytes >= per_day
        {
            let end = (day(now) + 1) * DAY_MICROS;
            let seconds = (end - now.0).div_euclid(Timestamp::SECOND) + 1;
            return Err(Refusal::QuotaExceeded {
                retry_after_seconds: u32::try_from(seconds).unwrap_or(86_400),
            });
        }
        for (bucket, per_second) in [
            (&mut state.bytes, limits.bytes_per_second),
            (&mut state.requests, limits.requests_per_second.map(u64::from)),
        ] {
            let Some(per_second) = per_second else { continue };
            bucket.fill(per_second, now);
            if let Some(retry_after_seconds) = bucket.wait(per_second) {
                return Err(Refusal::RateLimited { retry_after_seconds });
            }
        }
        state.requests.tokens -= 1.0;
        Ok(())
    }

    /// Counts the bytes of a request that was let in.
    pub(super) fn used(&self, key: i64, limits: KeyLimits, bytes: u64, now: Timestamp) {
        if limits == KeyLimits::default() {
            return;
        }
        let mut keys = self.0.lock();
        let state = entry(&mut keys, key, now);
        if let Some(per_second) = limits.bytes_per_second {
            state.bytes.fill(per_second, now);
            state.bytes.tokens -= bytes as f64;
        }
        if limits.bytes_per_day.is_some() {
            state.unsaved_bytes += bytes;
        }
    }

    /// What was used and not stored: key, day, bytes.
    pub(super) fn take_unsaved(&self, now: Timestamp) -> Vec<(i64, i64, u64)> {
        let mut keys = self.0.lock();
        let mut fresh = Vec::new();
        for (key, state) in keys.iter_mut().filter(|(_, state)| state.unsaved_bytes > 0) {
            fresh.push((*key, state.day, state.unsaved_bytes));
            if state.day == day(now) {
                state.stored_bytes += state.unsaved_bytes;
            }
            state.unsaved_bytes = 0;
        }
        fresh
    }

    /// Takes back what could not be stored.
    pub(super) fn put_back(&self, fresh: &[(i64, i64, u64)]) {
        let mut keys = self.0.lock();
        for (key, day, bytes) in fresh {
            if let Some(state) = keys.get_mut(key).filter(|state| state.day == *day) {
                state.unsaved_bytes += bytes;
                state.stored_bytes = state.stored_bytes.saturating_sub(*bytes);
            }
        }
    }

    /// What all nodes together stored for today: key, bytes.
    pub(super) fn learn(&self, stored: &[(i64, u64)], now: Timestamp) {
        let mut keys = self.0.lock();
        for (key, bytes) in stored {
            if keys.len() >= KEYS_MAX && !keys.contains_key(key) {
                continue;
            }
            let state = keys.entry(*key).or_insert_with(|| Key::new(now));
            state.turn(day(now));
            state.stored_bytes = *bytes;
        }
    }
}

impl Key {
    fn new(now: Timestamp) -> Key {
        let (requests, bytes) = (Bucket::full(now), Bucket::full(now));
        Key { requests, bytes, day: day(now), stored_bytes: 0, unsaved_bytes: 0 }
    }

    /// A new day begins with nothing used.
    fn turn(&mut self, today: i64) {
        if self.day != today {
            self.day = today;
            self.stored_bytes = 0;
            self.unsaved_bytes = 0;
        }
    }
}

fn entry(keys: &mut HashMap<i64, Key>, key: i64, now: Timestamp) -> &mut Key {
    if keys.len() >= KEYS_MAX && !keys.contains_key(&key) {
        // The older half goes; a forgotten key begins with a full bucket, and its quota is learnt again.
        let mut times: Vec<i64> = keys.values().map(|state| state.requests.filled_at.0).collect();
        let middle = times.len() / 2;
        let median = *times.select_nth_unstable(middle).1;
        keys.retain(|_, state| state.requests.filled_at.0 > median || state.unsaved_bytes > 0);
    }
    let state = keys.entry(key).or_insert_with(|| Key::new(now));
    state.turn(day(now));
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Timestamp = Timestamp(1_790_000_000 / 86_400 * DAY_MICROS + DAY_MICROS / 2);

    #[test]
    fn a_bucket_lets_bursts_pass_and_then_its_rate() {
        let rates = Rates::default();
        let limits = KeyLimits { requests_per_second: Some(10), ..KeyLimits::default() };
        let passed = |at: Timestamp| (0..1000).filter(|_| rates.check(1, limits, at).is_ok()).count();
        assert_eq!(passed(NOON), 50);
        assert_eq!(rates.check(1, limits, NOON), Err(Refusal::RateLimited { retry_after_seconds: 1 }));
        assert_eq!(passed(NOON.plus_seconds(2)), 20);
        assert_eq!(passed(NOON.plus_seconds(3600)), 50);
        assert!(rates.check(2, limits, NOON).is_ok(), "each key has its own");
        assert!(rates.check(1, KeyLimits::default(), NOON).is_ok());
    }

    #[test]
    fn bytes_that_came_must_be_paid_off_first() {
        let rates = Rates::default();
        let limits = KeyLimits { bytes_per_second: Some(1000), ..KeyLimits::default() };
        assert!(rates.check(1, limits, NOON).is_ok());
        rates.used(1, limits, 15_000, NOON);
        assert_eq!(rates.check(1, limits, NOON), Err(Refusal::RateLimited { retry_after_seconds: 11 }));
        assert!(rates.check(1, limits, NOON.plus_seconds(11)).is_ok());
    }

    #[test]
    fn a_quota_ends_with_the_day() {
        let rates = Rates::default();
        let limits = KeyLimits { bytes_per_day: Some(100), ..KeyLimits::default() };
        rates.used(1, limits, 60, NOON);
        assert!(rates.check(1, limits, NOON).is_ok());
        assert_eq!(rates.take_unsaved(NOON), [(1, day(NOON), 60)]);
        rates.put_back(&[(1, day(NOON), 60)]);
        assert_eq!(rates.take_unsaved(NOON), [(1, day(NOON), 60)]);
        // Another node used as much.
        rates.learn(&[(1, 120)], NOON);
        let refused = rates.check(1, limits, NOON);
        assert_eq!(refused, Err(Refusal::QuotaExceeded { retry_after_seconds: 43_201 }));
        assert!(rates.check(1, limits, NOON.plus_seconds(43_201)).is_ok());
    }
}
