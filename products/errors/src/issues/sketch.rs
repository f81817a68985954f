//! How many different persons an issue touched, in bounded space: exact to 256, then HyperLogLog (Flajolet and
//! others, 2007) with 2,048 registers, a standard error of 2.3%.
//!
//! What goes in are subject codes, never identifiers; what is kept are digests of them.

use ring::digest;

/// Different persons counted exactly.
const EXACT_MAX: usize = 256;
/// The registers, 2^11.
const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 11;
/// The first byte of the stored form.
const FORM_EXACT: u8 = 1;
const FORM_REGISTERS: u8 = 2;

/// A set of persons of which only the size can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sketch {
    /// Sorted digests.
    Exact(Vec<u64>),
    /// The greatest rank seen in each register.
    Registers(Box<[u8; REGISTERS]>),
}

impl Default for Sketch {
    fn default() -> Sketch {
        Sketch::Exact(Vec::new())
    }
}

/// The digest of a subject's code.
pub(crate) fn digest(code: &str) -> u64 {
    let digest = digest::digest(&digest::SHA256, code.as_bytes());
    let mut bytes = [0; 8];
    for (to, from) in bytes.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    u64::from_le_bytes(bytes)
}

impl Sketch {
    /// Counts a person by the digest of the code.
    pub fn add(&mut self, digest: u64) {
        match self {
            Sketch::Exact(digests) => {
                let Err(at) = digests.binary_search(&digest) else { return };
                digests.insert(at, digest);
                if digests.len() > EXACT_MAX {
                    let mut registers = Box::new([0; REGISTERS]);
                    digests.iter().for_each(|digest| rank(&mut registers, *digest));
                    *self = Sketch::Registers(registers);
                }
            }
            Sketch::Registers(registers) => rank(registers, digest),
        }
    }

    /// Counts everyone whom `other` counted.
    pub fn merge(&mut self, other: &Sketch) {
        match (&mut *self, other) {
            (_, Sketch::Exact(digests)) => digests.iter().for_each(|digest| self.add(*digest)),
            (Sketch::Registers(mine), Sketch::Registers(theirs)) => {
                mine.iter_mut().zip(theirs.iter()).for_each(|(mine, theirs)| *mine = (*mine).max(*theirs));
            }
            (Sketch::Exact(_), Sketch::Registers(_)) => {
                let mine = std::mem::replace(self, other.clone());
                self.merge(&mine);
            }
        }
    }

    /// How many.
    pub fn count(&self) -> u64 {
        match self {
            Sketch::Exact(digests) => digests.len() as u64,
            Sketch::Registers(registers) => {
                let size = REGISTERS as f64;
                let sum: f64 = registers.iter().map(|rank| 2f64.powi(-i32::from(*rank))).sum();
                let estimate = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
                let empty = registers.iter().filter(|rank| **rank == 0).count() as f64;
                // Linear counting is the better estimate while registers are empty.
                let estimate =
                    if estimate <= 2.5 * size && empty > 0.0 { size * (size / empty).ln() } else { estimate };
                estimate.round() as u64
            }
        }
    }

    /// The stored form.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Sketch::Exact(digests) => {
                let mut bytes = vec![FORM_EXACT];
                digests.iter().for_each(|digest| bytes.extend_from_slice(&digest.to_le_bytes()));
                bytes
            }
            Sketch::Registers(registers) => {
                let mut bytes = vec![FORM_REGISTERS];
                bytes.extend_from_slice(registers.as_slice());
                bytes
            }
        }
    }

    /// Reads the stored form; what is none counts nobody.
    pub fn decode(bytes: &[u8]) -> Sketch {
        match bytes.split_first() {
            Some((&FORM_EXACT, rest)) => {
                let (digests, _) = rest.as_chunks::<8>();
                Sketch::Exact(digests.iter().map(|digest| u64::from_le_bytes(*digest)).collect())
            }
            Some((&FORM_REGISTERS, rest)) => match <[u8; REGISTERS]>::try_from(rest) {
                Ok(registers) => Sketch::Registers(Box::new(registers)),
                Err(_) => Sketch::default(),
            },
            _ => Sketch::default(),
        }
    }
}

fn rank(registers: &mut [u8; REGISTERS], digest: u64) {
    let register = (digest >> (64 - REGISTER_BITS)) as usize;
    let rank = ((digest << REGISTER_BITS) | (1 << (REGISTER_BITS - 1))).leading_zeros() as u8 + 1;
    if let Some(slot) = registers.get_mut(register) {
        *slot = rank.max(*slot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(people: std::ops::Range<u64>) -> Sketch {
        let mut sketch = Sketch::default();
        people.for_each(|person| sketch.add(digest(&format!("user:{person}"))));
        sketch
    }

    #[test]
    fn small_counts_are_exact_and_great_ones_near() {
        for size in [0, 1, 255, 256] {
            assert_eq!(of(0..size).count(), size);
        }
        for size in [257_u64, 5_000, 100_000] {
            let counted = of(0..size).count();
            assert!(counted.abs_diff(size) * 100 <= size * 7, "{counted} of {size}");
        }
    }

    #[test]
    fn counting_twice_or_apart_is_counting_once() {
        for (one, other, all) in
            [(0..100, 50..150, 0..150), (0..100, 0..4000, 0..4000), (0..3000, 2000..5000, 0..5000)]
        {
            let mut merged = of(one.clone());
            merged.merge(&of(other.clone()));
            assert_eq!(merged, of(all), "{one:?} {other:?}");
            let stored = Sketch::decode(&merged.encode());
            assert_eq!(stored, merged);
        }
        assert_eq!(Sketch::decode(&[]).count(), 0);
        assert_eq!(Sketch::decode(&[2, 1]).count(), 0);
    }
}
