//! Random choices that repeat for a seed, so that two demos of one seed tell the same story.

use candor_model::Random;
use candor_model::random::Seeded;

/// The dice.
pub(crate) struct Dice(Seeded);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(Seeded::new(seed))
    }

    /// A number below `bound`.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0.next_u64() % bound.max(1)
    }

    /// True so often.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64 <= probability
    }

    /// One of them.
    pub(crate) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        // Every list here is written down in this folder and none is empty.
        &items[self.below(items.len() as u64) as usize]
    }

    /// A duration around `typical`, with the long tail that latencies have.
    pub(crate) fn latency_us(&mut self, typical_us: u64) -> u64 {
        let base = typical_us / 2 + self.below(typical_us);
        if self.chance(0.03) { base * (4 + self.below(8)) } else { base }
    }

    /// Lower-case hex digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        let mut bytes = vec![0; digits.div_ceil(2)];
        self.0.fill(&mut bytes);
        let mut text = data_encoding::HEXLOWER.encode(&bytes);
        text.truncate(digits);
        text
    }
}
