//! What is known of presented keys, so that the hot path needs no SQL.

use std::collections::HashMap;

use candor_model::Timestamp;
use parking_lot::Mutex;

use super::scope::WriteScope;

/// SHA-256 of a kind and a secret: the cache never holds a secret either.
pub(super) type KeyDigest = [u8; 32];

/// Answers kept. A flood of wrong keys empties the cache at worst; it never grows.
const ENTRIES_MAX: usize = 50_000;

/// How long a valid key is believed where other nodes change keys too.
const VALID_MICROS: i64 = 30 * Timestamp::SECOND;

/// How long an unknown key is refused without asking again: a key made on another node works after so long.
const UNKNOWN_MICROS: i64 = 5 * Timestamp::SECOND;

/// An answer of the database.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// The key writes, until it expires.
    Valid(WriteScope, Option<Timestamp>),
    /// No such key.
    Unknown,
}

/// What the cache says.
pub(super) enum Cached {
    /// Fresh: use it.
    Fresh(Answer),
    /// Too old: ask, and use it only if the database does not answer.
    Stale(Answer),
    /// Never seen.
    Absent,
}

pub(super) struct KeyCache {
    entries: Mutex<Entries>,
    /// Nobody else changes keys (SQLite has one writing process): answers stay valid until we change them.
    exclusive: bool,
}

#[derive(Default)]
struct Entries {
    answers: HashMap<KeyDigest, (Answer, Timestamp)>,
    /// Counts invalidations, so that an answer read before one is not stored after it.
    generation: u64,
}

impl KeyCache {
    pub(super) fn new(exclusive: bool) -> KeyCache {
        KeyCache { entries: Mutex::default(), exclusive }
    }

    pub(super) fn get(&self, digest: &KeyDigest, now: Timestamp) -> Cached {
        let entries = self.entries.lock();
        let Some((answer, at)) = entries.answers.get(digest) else { return Cached::Absent };
        let age = now.0.saturating_sub(at.0);
        let fresh = match answer {
            // A clock that was set back makes ages negative: ask again.
            _ if age < 0 => false,
            Answer::Valid(..) => self.exclusive || age < VALID_MICROS,
            Answer::Unknown => self.exclusive || age < UNKNOWN_MICROS,
        };
        if fresh { Cached::Fresh(answer.clone()) } else { Cached::Stale(answer.clone()) }
    }

    /// To be taken before the database is asked and given to [`KeyCache::put`].
    pub(super) fn generation(&self) -> u64 {
        self.entries.lock().generation
    }

    pub(super) fn put(&self, digest: KeyDigest, answer: Answer, now: Timestamp, generation: u64) {
        let mut entries = self.entries.lock();
        if entries.generation != generation {
            return;
        }
        if entries.answers.len() >= ENTRIES_MAX {
            entries.answers.retain(|_, (answer, _)| matches!(answer, Answer::Valid(..)));
            if entries.answers.len() >= ENTRIES_MAX {
                entries.answers.clear();
            }
        }
        entries.answers.insert(digest, (answer, now));
    }

    /// Forgets everything: a key or a project was changed.
    pub(super) fn invalidate(&self) {
        let mut entries = self.entries.lock();
        entries.answers.clear();
        entries.generation += 1;
    }
}
