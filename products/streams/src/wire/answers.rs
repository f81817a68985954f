//! Room for records on their way to clients, all connections together. Who asks for records and does not take them costs
//! what all such clients may cost together, and no more.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

/// The unit of room, bytes.
const UNIT: usize = 1 << 10;

/// An answer waits for so much room, if it asks for more than there is, bytes: what a batch has as topics come.
const LEAST_BYTES: usize = 1 << 20;

/// Room for the records of answers. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Answers {
    units: Arc<Semaphore>,
    max: usize,
}

impl Answers {
    /// Room for so many bytes of records. A batch that is larger than what its answer was given goes beyond it.
    pub fn new(bytes: usize) -> Answers {
        let max = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Answers { units: Arc::new(Semaphore::new(max)), max }
    }

    /// Room for so many bytes, or for less where there is not so much; none where there was none until `deadline`.
    pub async fn take(&self, bytes: usize, deadline: Instant) -> Option<AnswerRoom> {
        let mut wanted = bytes.div_ceil(UNIT).min(self.max);
        let least = wanted.min(LEAST_BYTES / UNIT);
        while wanted > least {
            if let Ok(units) = Arc::clone(&self.units).try_acquire_many_owned(permits(wanted)) {
                return Some(AnswerRoom { units });
            }
            wanted = (wanted / 2).max(least);
        }
        let waited = timeout_at(deadline, Arc::clone(&self.units).acquire_many_owned(permits(least))).await;
        Some(AnswerRoom { units: waited.ok()?.ok()? })
    }

    #[cfg(test)]
    pub fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT
    }
}

/// Permits are counted in 32 bits; more than there are was never asked for.
fn permits(units: usize) -> u32 {
    u32::try_from(units).unwrap_or(u32::MAX)
}

/// What an answer may hold until it is sent.
#[derive(Debug)]
pub(crate) struct AnswerRoom {
    units: OwnedSemaphorePermit,
}

impl AnswerRoom {
    /// For how many bytes it is.
    pub fn bytes(&self) -> usize {
        self.units.num_permits() * UNIT
    }

    /// Gives back what is not needed for so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        if let Some(less) = self.units.num_permits().checked_sub(bytes.div_ceil(UNIT)) {
            drop(self.units.split(less));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn answers_shrink_before_they_wait_and_wait_before_there_are_too_many() {
        let answers = Answers::new(8 << 20);
        let soon = || Instant::now() + Duration::from_secs(1);
        let mut first = answers.take(6 << 20, soon()).await.expect("there is room");
        let second = answers.take(6 << 20, soon()).await.expect("there is room for less");
        assert_eq!((first.bytes(), second.bytes()), (6 << 20, 3 << 19));
        let third = answers.take(1, soon()).await.expect("what is small gets what it asks");
        assert_eq!(third.bytes(), UNIT);
        assert!(answers.take(6 << 20, soon()).await.is_none(), "half a MiB is not enough");
        first.shrink(3 << 20);
        let fourth = answers.take(6 << 20, soon()).await.expect("there is room again");
        assert_eq!(fourth.bytes(), 3 << 20);
        drop((first, second, third, fourth));
        assert_eq!(answers.free_bytes(), 8 << 20);
        let all = answers.take(1 << 40, soon()).await.expect("all there is");
        assert_eq!(all.bytes(), 8 << 20);
    }
}
