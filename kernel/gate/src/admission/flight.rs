//! Bytes of all requests in the house, bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::Refusal;

/// What a request takes before its body: headers, tasks, the answer.
const REQUEST_BYTES: usize = 4096;

/// A crowd disperses within about a second.
const RETRY_AFTER_SECONDS: u32 = 1;

#[derive(Debug)]
pub(super) struct InFlight {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl InFlight {
    pub(super) fn new(bytes_max: usize) -> InFlight {
        InFlight { bytes: AtomicUsize::new(0), bytes_max }
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(super) fn meter(self: &Arc<Self>) -> Reservation {
        Reservation { in_flight: Arc::clone(self), bytes: 0 }
    }

    pub(super) fn enter(self: &Arc<Self>) -> Result<Reservation, Refusal> {
        let mut reservation = self.meter();
        reservation.grow(REQUEST_BYTES)?;
        Ok(reservation)
    }
}

/// The bytes of one request. Dropping it gives them back.
#[derive(Debug)]
pub struct Reservation {
    in_flight: Arc<InFlight>,
    bytes: usize,
}

impl Reservation {
    /// Takes more. A request that is alone gets what it asks for: its own bounds hold it, and one that is larger
    /// than the whole must pass some time.
    pub fn grow(&mut self, more: usize) -> Result<(), Refusal> {
        let own = self.bytes;
        let take = |all: usize| {
            let fits = all + more <= self.in_flight.bytes_max || all <= own;
            fits.then_some(all + more)
        };
        match self.in_flight.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => {
                self.bytes += more;
                Ok(())
            }
            Err(_) => Err(Refusal::Overloaded { retry_after_seconds: RETRY_AFTER_SECONDS }),
        }
    }

    /// Gives all of it to another holder. It stays one reservation: two would never be alone in the house.
    pub(super) fn hand_over(&mut self) -> Reservation {
        Reservation { in_flight: Arc::clone(&self.in_flight), bytes: std::mem::take(&mut self.bytes) }
    }

    /// Gives some back: a compressed body that is decompressed now.
    pub fn shrink(&mut self, less: usize) {
        let less = less.min(self.bytes);
        self.bytes -= less;
        self.in_flight.bytes.fetch_sub(less, Ordering::Relaxed);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.in_flight.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_together_stay_in_bounds_and_the_large_pass_alone() {
        let in_flight = Arc::new(InFlight::new(100_000));
        let mut large = in_flight.enter().unwrap();
        large.grow(1_000_000).unwrap();
        assert!(matches!(in_flight.enter(), Err(Refusal::Overloaded { .. })));
        large.shrink(960_000);
        let mut small = in_flight.enter().unwrap();
        small.grow(40_000).unwrap();
        assert!(small.grow(40_000).is_err());
        drop(large);
        small.grow(40_000).unwrap();
        drop(small);
        assert_eq!(in_flight.bytes(), 0);
    }
}
