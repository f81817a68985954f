//! Where a key belongs, as Apache Kafka's clients in Java say it (`BuiltInPartitioner.partitionForKey`): the positive
//! part of MurmurHash2 (seed 0x9747b28c), by the number of partitions.

/// The partition of a key; 0 where there are none.
pub(crate) fn partition_of(key: &[u8], partitions: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).checked_rem(partitions).unwrap_or(0)
}

fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let mut fours = bytes.chunks_exact(4);
    for four in &mut fours {
        let word = four.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        let word = word.wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ (word ^ (word >> 24)).wrapping_mul(M);
    }
    let rest = fours.remainder();
    if !rest.is_empty() {
        let word = rest.iter().rev().fold(0_u32, |word, byte| word << 8 | u32::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers of Kafka's own `UtilsTest.testMurmur2`.
    #[test]
    fn hashes_are_those_of_kafkas_clients() {
        let known = [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ];
        for (text, hash) in known {
            assert_eq!(murmur2(text.as_bytes()).cast_signed(), hash, "{text}");
        }
        assert_eq!(partition_of(b"anything", 1), 0);
        assert_eq!(partition_of(b"anything", 0), 0);
    }
}
