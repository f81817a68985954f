//! Why the house takes nothing for a while, set by those who notice and cleared by them.

use std::sync::atomic::{AtomicU8, Ordering};

use super::Refusal;

/// Why nothing can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No space left but the reserve.
    DiskFull,
    /// The database does not answer.
    DatabaseLost,
    /// The object store does not answer.
    ObjectsLost,
    /// The process is stopping.
    Stopping,
    /// What was acknowledged is not visible yet: taking more would acknowledge into the dark.
    Lagging,
}

impl Cause {
    const ALL: [Cause; 5] =
        [Cause::Stopping, Cause::DiskFull, Cause::DatabaseLost, Cause::ObjectsLost, Cause::Lagging];

    fn bit(self) -> u8 {
        1 << self as u8
    }

    /// What a client is told. Causes that pass by themselves are worth an early retry.
    pub fn refusal(self) -> Refusal {
        let unavailable = |what, retry_after_seconds| Refusal::Unavailable { what, retry_after_seconds };
        match self {
            Cause::DiskFull => unavailable("no space left", 30),
            Cause::DatabaseLost => unavailable("the database is unreachable", 5),
            Cause::ObjectsLost => unavailable("the object store is unreachable", 5),
            Cause::Stopping => unavailable("stopping", 5),
            Cause::Lagging => Refusal::Overloaded { retry_after_seconds: 1 },
        }
    }
}

/// The causes that hold now.
#[derive(Debug, Default)]
pub struct Pressure(AtomicU8);

impl Pressure {
    /// Says that a cause holds, or holds no longer.
    pub fn set(&self, cause: Cause, holds: bool) {
        if holds {
            self.0.fetch_or(cause.bit(), Ordering::Relaxed);
        } else {
            self.0.fetch_and(!cause.bit(), Ordering::Relaxed);
        }
    }

    /// True while a cause holds.
    pub fn holds(&self, cause: Cause) -> bool {
        self.0.load(Ordering::Relaxed) & cause.bit() != 0
    }

    /// The weightiest cause that holds.
    pub fn cause(&self) -> Option<Cause> {
        let bits = self.0.load(Ordering::Relaxed);
        Cause::ALL.into_iter().find(|cause| bits & cause.bit() != 0)
    }

    pub(super) fn check(&self) -> Result<(), Refusal> {
        self.cause().map_or(Ok(()), |cause| Err(cause.refusal()))
    }
}
