//! Simulated storage for tests: seeded, in memory, worse than the real one.
//!
//! [`SimDisk`] forgets at a power cut what was not synced, bytes and directory entries, and tears writes at sector
//! boundaries; [`SimObjects`] is an object store that fails and loses answers. Both can lie about syncs on demand,
//! so that a test can show that it would notice a sync left out.

mod disk;
mod file;
mod inode;
mod objects;
mod state;

pub use disk::{SimCrash, SimDisk};
pub use objects::SimObjects;
pub use state::SimOperation;

/// A small seeded generator (SplitMix64), of its own so that no test's draws shift another's.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to `sides` - 1.
    pub(crate) fn below(&mut self, sides: u64) -> u64 {
        self.next() % sides.max(1)
    }

    pub(crate) fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}
