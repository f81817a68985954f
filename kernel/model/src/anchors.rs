//! A cheap first question about names: whether one has any of a few letter sequences in it, in either case.
//!
//! Names recur in every record and most of them mean nothing, so the question has to cost less than a look into a
//! table of names seen before. Each three bytes in a row are looked up in a bit map: the answer "no" is certain, "maybe"
//! is for the caller to look into.

/// Sequences to look for.
#[derive(Debug)]
pub struct Anchors {
    trigrams: [u64; TRIGRAMS / 64],
}

const TRIGRAMS: usize = 1 << 15;

/// Three bytes as one number. Letters count without regard to case; other bytes share their numbers.
const fn trigram(before: usize, byte: u8) -> usize {
    (before << 5 | (byte & 31) as usize) & (TRIGRAMS - 1)
}

impl Anchors {
    /// Sequences of two or more ASCII letters; of longer ones the first three count.
    pub const fn new(sequences: &[&[u8]]) -> Anchors {
        let mut trigrams = [0; TRIGRAMS / 64];
        let mut index = 0;
        while index < sequences.len() {
            match sequences[index] {
                [first, second, third, ..] => {
                    let number = trigram(trigram(trigram(0, *first), *second), *third);
                    trigrams[number / 64] |= 1 << (number % 64);
                }
                [first, second] => {
                    let mut before = 0;
                    while before < 32 {
                        let number = trigram(trigram(before, *first), *second);
                        trigrams[number / 64] |= 1 << (number % 64);
                        before += 1;
                    }
                }
                _ => panic!("an anchor has two letters at least"),
            }
            index += 1;
        }
        Anchors { trigrams }
    }

    /// False where none of the sequences stands in the name.
    #[inline]
    pub fn may_be_in(&self, name: &[u8]) -> bool {
        let mut last = 0;
        name.iter().any(|byte| {
            last = trigram(last, *byte);
            self.trigrams.get(last / 64).is_some_and(|bits| bits >> (last % 64) & 1 == 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_is_certain() {
        static ANCHORS: Anchors = Anchors::new(&[b"user", b"ip", b"KEY"]);
        for name in ["user", "theUSErName", "ip", "client.ip", "IP_address", "x-api-key", "useless"] {
            assert!(ANCHORS.may_be_in(name.as_bytes()), "{name}");
        }
        for name in ["", "u", "us", "i", "p", "service.name", "pi", "k-e-y", "message"] {
            assert!(!ANCHORS.may_be_in(name.as_bytes()), "{name}");
        }
    }
}
