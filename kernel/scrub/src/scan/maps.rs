//! Maps of 64 bytes: of every kind of byte a map, in which bit `n` says whether byte `n` is of it.

use super::classes::{CLASSES, DASH, DIGIT, LETTER, SIGN, WORD};

/// Bytes in a block: the bits of a map.
pub(super) const BLOCK: usize = 64;

/// The maps of a block.
#[derive(Default, Debug, PartialEq, Eq)]
pub(super) struct Maps {
    pub(super) digit: u64,
    pub(super) letter: u64,
    pub(super) word: u64,
    pub(super) dash: u64,
    /// What stands between digits of one number: a blank, a dot, a plus, a dash.
    pub(super) joint: u64,
    /// What the name of an authentication scheme begins with.
    pub(super) b: u64,
    pub(super) sign: u64,
}

/// True for [`Maps::joint`].
fn is_joint(byte: u8) -> bool {
    matches!(byte, b' ' | b'.' | b'+' | b'-')
}

/// True for what belongs to a number in groups.
pub(super) fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_digit() || is_joint(byte)
}

impl Maps {
    /// Byte by byte.
    #[cfg_attr(target_arch = "x86_64", allow(dead_code, reason = "the tests hold the other one against it"))]
    fn one_by_one(block: &[u8; BLOCK]) -> Maps {
        let mut maps = Maps::default();
        for (index, byte) in block.iter().enumerate() {
            let class = CLASSES[usize::from(*byte)];
            let set = |map: &mut u64, is: bool| *map |= u64::from(is) << index;
            set(&mut maps.digit, class & DIGIT != 0);
            set(&mut maps.letter, class & LETTER != 0);
            set(&mut maps.word, class & WORD != 0);
            set(&mut maps.dash, class & DASH != 0);
            set(&mut maps.joint, is_joint(*byte));
            set(&mut maps.b, matches!(byte, b'b' | b'B'));
            set(&mut maps.sign, class & SIGN != 0);
        }
        maps
    }

    /// The maps of a block.
    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn of(block: &[u8; BLOCK]) -> Maps {
        Maps::one_by_one(block)
    }

    /// The maps of a block.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    #[expect(unsafe_code, reason = "the compiler wants it said that the processor has SSE2")]
    pub(super) fn of(block: &[u8; BLOCK]) -> Maps {
        // SAFETY: every processor of this family has SSE2, and the function needs nothing more than that.
        unsafe { Maps::by_sixteen(block) }
    }

    /// 16 bytes at a time.
    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "sse2")]
    #[inline]
    fn by_sixteen(block: &[u8; BLOCK]) -> Maps {
        use std::arch::x86_64::{
            __m128i, _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
            _mm_set1_epi8, _mm_sub_epi8,
        };
        let mut maps = Maps::default();
        let mut high = 0u64;
        for (index, chunk) in block.as_chunks::<16>().0.iter().enumerate() {
            let both = u128::from_le_bytes(*chunk);
            let bytes = _mm_set_epi64x((both >> 64) as i64, both as i64);
            let all = |byte: u8| _mm_set1_epi8(byte as i8);
            let is = |byte: u8| _mm_cmpeq_epi8(bytes, all(byte));
            let or = |one: __m128i, other: __m128i| _mm_or_si128(one, other);
            let between = |bytes: __m128i, first: u8, last: u8| {
                let distance = _mm_sub_epi8(bytes, all(first));
                _mm_cmpeq_epi8(_mm_min_epu8(distance, all(last - first)), distance)
            };
            let map = |found: __m128i| u64::from(_mm_movemask_epi8(found) as u16) << (index * 16);
            let lower = or(bytes, all(0x20));
            let digit = between(bytes, b'0', b'9');
            let letter = between(lower, b'a', b'z');
            let dash = is(b'-');
            let word = or(or(digit, letter), or(dash, is(b'_')));
            let joint = or(or(is(b' '), is(b'.')), or(is(b'+'), dash));
            let operators = or(or(is(b':'), is(b'=')), or(is(b'>'), is(b'@')));
            let others = or(or(is(b','), is(b'\\')), or(between(bytes, b'%', b'&'), is(0)));
            maps.digit |= map(digit);
            maps.letter |= map(letter);
            maps.word |= map(word);
            maps.dash |= map(dash);
            maps.joint |= map(joint);
            maps.b |= map(_mm_cmpeq_epi8(lower, all(b'b')));
            maps.sign |= map(or(operators, others));
            high |= map(bytes);
        }
        // Beyond ASCII there are few signs, and most text has none of it.
        while high != 0 {
            let bit = high & high.wrapping_neg();
            high ^= bit;
            if block
                .get(bit.trailing_zeros() as usize)
                .is_some_and(|byte| CLASSES[usize::from(*byte)] & SIGN != 0)
            {
                maps.sign |= bit;
            }
        }
        maps
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Random;
    use candor_model::random::Seeded;

    use super::*;

    #[test]
    fn sixteen_at_a_time_are_as_one_by_one() {
        for first in (0..=255u8).step_by(64) {
            let block = std::array::from_fn(|index| first + index as u8);
            assert_eq!(Maps::of(&block), Maps::one_by_one(&block));
        }
        let random = Seeded::new(1);
        for _ in 0..1000 {
            let mut block = [0; BLOCK];
            block.iter_mut().for_each(|byte| *byte = random.next_u64() as u8);
            assert_eq!(Maps::of(&block), Maps::one_by_one(&block));
        }
    }
}
