//! Storage of metadata that takes its time and fails at times: before it took something, or behind it, so that the
//! answer is lost.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use candor_meta::SqlError;
use candor_model::Random;
use candor_model::random::Seeded;

/// The longest that storage takes before or behind its work, milliseconds.
const PAUSE_MS_MAX: u64 = 3;

/// One in so many is refused, and for one in so many the answer is lost, while it fails.
const FAILS_ONE_IN: u64 = 3;

/// What storage does beside storing.
pub(crate) struct Trouble {
    dice: Seeded,
    /// It fails at times.
    pub fails: AtomicBool,
}

impl Trouble {
    pub fn new(seed: u64) -> Trouble {
        Trouble { dice: Seeded::new(seed), fails: AtomicBool::new(false) }
    }

    /// Takes some time.
    pub async fn pause(&self) {
        let ms = self.dice.next_u64() % (PAUSE_MS_MAX + 1);
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }

    fn strikes(&self) -> bool {
        self.fails.load(Ordering::Relaxed) && self.dice.next_u64().is_multiple_of(FAILS_ONE_IN)
    }

    /// Does something that storage does.
    pub async fn storing<T>(&self, work: impl Future<Output = Result<T, SqlError>>) -> Result<T, SqlError> {
        let failed = || Err(SqlError::Transient("told to fail".into()));
        self.pause().await;
        if self.strikes() {
            return failed();
        }
        let done = work.await;
        self.pause().await;
        if self.strikes() { failed() } else { done }
    }
}
