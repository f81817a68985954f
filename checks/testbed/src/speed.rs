//! Figures that a busy machine does not spoil much: the best of many rounds, in processor time of this thread.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// How long rounds are repeated.
const MEASURED: Duration = Duration::from_secs(2);

/// Megabytes of input a second of processor time: the best of rounds of `work` over what `make` makes outside of the
/// measured time. `bytes` is what one round takes in.
pub fn megabytes_a_second<T, R>(
    bytes: usize,
    mut make: impl FnMut() -> T,
    mut work: impl FnMut(T) -> R,
) -> f64 {
    let (began, mut best) = (Instant::now(), Duration::MAX);
    while began.elapsed() < MEASURED {
        let made = make();
        let before = processor_time();
        let result = work(black_box(made));
        let took = processor_time().saturating_sub(before);
        drop(black_box(result));
        best = best.min(took);
    }
    bytes as f64 / best.as_secs_f64() / 1e6
}

/// Processor time that this thread has used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
