//! Finding the next byte of a string that cannot stand as it is, eight bytes at a time.
//!
//! Most strings are short, so calling into a vectorised search costs more than it saves; eight bytes in one register
//! find the quote, the backslash and the control characters together.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Length of the run before the first quote, backslash or control character, or the whole length.
#[inline]
pub(super) fn plain_run(bytes: &[u8]) -> usize {
    let (chunks, tail) = bytes.as_chunks::<8>();
    for (index, chunk) in chunks.iter().enumerate() {
        let word = u64::from_le_bytes(*chunk);
        let special = (below(word, 0x20) | equal(word, b'"') | equal(word, b'\\')) & HIGHS;
        if special != 0 {
            return index * 8 + (special.trailing_zeros() / 8) as usize;
        }
    }
    let plain = tail.iter().take_while(|byte| is_plain(**byte)).count();
    chunks.len() * 8 + plain
}

/// True for what stands in a JSON string as it is.
#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}

/// The high bit of each byte that is below `limit` (at most 0x80). Bytes above the first true one may be wrong, so
/// only the lowest may be believed.
#[inline]
fn below(word: u64, limit: u8) -> u64 {
    word.wrapping_sub(ONES.wrapping_mul(u64::from(limit))) & !word
}

/// The high bit of each byte that equals `byte`, with the same caution.
#[inline]
fn equal(word: u64, byte: u8) -> u64 {
    let difference = word ^ ONES.wrapping_mul(u64::from(byte));
    difference.wrapping_sub(ONES) & !difference
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place() {
        for length in 0..20 {
            for place in 0..length {
                for byte in 0..=255u8 {
                    for filler in [b'a', 0xff, 0x80, 0x21, b'!'] {
                        let mut bytes = vec![filler; length];
                        bytes[place] = byte;
                        let expected = bytes.iter().position(|byte| !is_plain(*byte)).unwrap_or(length);
                        assert_eq!(plain_run(&bytes), expected, "{byte:#x} at {place} of {length}");
                    }
                }
            }
        }
    }
}
