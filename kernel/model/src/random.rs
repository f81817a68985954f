//! Randomness as an argument.

/// A source of random bytes: the operating system's in production, a seeded one in the simulation.
pub trait Random: Send + Sync {
    /// Fills `bytes` with random data fit for keys.
    fn fill(&self, bytes: &mut [u8]);

    /// A random `u64`.
    fn next_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// A seeded source for tests and the simulation (SplitMix64). Never for keys that guard real data.
pub struct Seeded(std::sync::atomic::AtomicU64);

impl Seeded {
    /// A source whose whole sequence follows from `seed`.
    pub fn new(seed: u64) -> Seeded {
        Seeded(std::sync::atomic::AtomicU64::new(seed))
    }
}

impl Random for Seeded {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let state = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, std::sync::atomic::Ordering::Relaxed);
            let mut z = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.copy_from_slice(&z.to_le_bytes()[..chunk.len()]);
        }
    }
}
