//! Fuzz targets: cases that follow from their numbers, one after the other, so that every machine runs the same ones
//! and only how far it gets depends on its speed.
//!
//! `CANDOR_FUZZ_SECONDS` says for how long each target runs, at most (1 by default). `CANDOR_FUZZ_START` is the first
//! case (0 by default): another number is another stretch of cases. A case that fails is printed with its number, and
//! `CANDOR_FUZZ_CASE` runs it alone again.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// Bytes as a case: they print as text, the way a test can hold them.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(pub Vec<u8>);

impl Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "b\"{}\"", self.0.escape_ascii())
    }
}

/// Most cases a second: a machine faster than those that the targets were proven on goes no further than they did.
const CASES_A_SECOND: u64 = 100_000;

/// Makes and checks cases until the time or their number is up; gives how many there were. A case is made of its
/// number and nothing else, and `check` panics on a case that is not as it should be.
pub fn fuzz<T: Debug>(make: impl Fn(u64) -> T, check: impl Fn(&T)) -> u64 {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seconds = number("CANDOR_FUZZ_SECONDS").unwrap_or(1);
    let (first, end) = match number("CANDOR_FUZZ_CASE") {
        Some(only) => (only, only.saturating_add(1)),
        None => {
            let first = number("CANDOR_FUZZ_START").unwrap_or(0);
            (first, first.saturating_add(seconds.saturating_mul(CASES_A_SECOND)))
        }
    };
    let began = Instant::now();
    let mut count = 0;
    for case in first..end {
        let made = make(case);
        if catch_unwind(AssertUnwindSafe(|| check(&made))).is_err() {
            panic!("CANDOR_FUZZ_CASE={case} fails on {made:?}");
        }
        count += 1;
        if began.elapsed() >= Duration::from_secs(seconds) {
            break;
        }
    }
    println!("{count} cases from {first} on");
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_that_fails_is_named() {
        let failure = catch_unwind(|| fuzz(|case| case * 2, |made| assert_ne!(*made, 10)));
        let message = failure.expect_err("a case fails").downcast::<String>().expect("text");
        assert_eq!(*message, "CANDOR_FUZZ_CASE=5 fails on 10");
    }
}
