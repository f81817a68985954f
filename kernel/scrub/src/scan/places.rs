//! Where in a text the pass has to look, found 64 bytes at a time.
//!
//! Of a block every kind of byte becomes a map, a bit a byte; runs and beginnings are shifts of maps. A text of
//! which no map says anything has no find, and most of a clean log is such text.

use super::classes::{CLASSES, WORD};
use super::maps::{BLOCK, Maps, is_of_number};
use super::{DIGITS_MIN, LONG_WORD};
use crate::bytes::{at, before, is_quote, skip_back, slice};
use crate::layers;

/// A map with that of the block before it, so that what began there is seen.
#[derive(Clone, Copy, Default)]
struct Joined(u128);

impl Joined {
    fn push(&mut self, map: u64) {
        self.0 = (u128::from(map) << BLOCK) | (self.0 >> BLOCK);
    }

    /// The map moved on by so many bytes.
    fn later(self, bytes: u32) -> u64 {
        (self.0 << bytes >> BLOCK) as u64
    }

    /// Where runs get so long: the last byte of the first so many. `LENGTH` is a power of two, or one more.
    fn run_of<const LENGTH: u32>(self) -> u64 {
        let mut run = self.0;
        let mut length = 1;
        while length * 2 <= LENGTH {
            run &= run << length;
            length *= 2;
        }
        if length < LENGTH {
            run &= self.0 << length;
        }
        ((run & !(run << 1)) >> BLOCK) as u64
    }
}

/// A place that is worth a look.
pub(super) enum Place {
    /// A sign.
    Sign(usize),
    /// A byte of a word.
    Word(usize),
    /// From where to where digits and what joins them stand, or what an account number begins with.
    Number(usize, usize),
    /// The last digit of four groups of four, or of a row of single ones, with a sign between each.
    Printed(usize),
}

/// Goes through a text from block to block.
pub(super) struct Places<'a> {
    bytes: &'a [u8],
    /// Where the current block begins, and the next one.
    block: usize,
    next: usize,
    signs: u64,
    words: u64,
    digits: u64,
    accounts: u64,
    printed: u64,
    word: Joined,
    dash: Joined,
    digit: Joined,
    letter: Joined,
    number: Joined,
}

impl<'a> Places<'a> {
    pub(super) fn of(bytes: &'a [u8]) -> Places<'a> {
        Places {
            bytes,
            block: 0,
            next: 0,
            signs: 0,
            words: 0,
            digits: 0,
            accounts: 0,
            printed: 0,
            word: Joined::default(),
            dash: Joined::default(),
            digit: Joined::default(),
            letter: Joined::default(),
            number: Joined::default(),
        }
    }

    /// Maps the next block; false behind the last one.
    fn map(&mut self) -> bool {
        let rest = slice(self.bytes, self.next, self.bytes.len());
        let mut last = [b'/'; BLOCK];
        let block: &[u8; BLOCK] = match rest.first_chunk() {
            Some(block) => block,
            None if rest.is_empty() => return false,
            None => {
                // What fills the last block is no word, no sign and no joint.
                last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
                &last
            }
        };
        let maps = Maps::of(block);
        self.word.push(maps.word);
        self.dash.push(maps.dash);
        self.digit.push(maps.digit);
        self.letter.push(maps.letter);
        self.number.push(maps.digit | maps.joint);
        let begins = maps.word & !self.word.later(1);
        // Two letters and two digits where no letter or digit is before them, as account numbers begin.
        let account = maps.digit
            & self.digit.later(1)
            & self.letter.later(2)
            & self.letter.later(3)
            & !(self.letter.later(4) | self.digit.later(4));
        self.signs = maps.sign;
        self.words = self.word.run_of::<{ LONG_WORD as u32 }>()
            | self.dash.run_of::<4>()
            | (begins & (maps.dash | maps.b));
        self.accounts = account;
        self.digits = self.number.run_of::<{ DIGITS_MIN as u32 }>();
        self.printed = self.groups_of_four() | self.single_digits();
        self.block = self.next;
        self.next += BLOCK;
        true
    }

    /// Where four groups of four digits end that something stands between.
    fn groups_of_four(&self) -> u64 {
        let digit = self.digit.0;
        let two = digit & (digit << 1);
        let four = two & (two << 2);
        let between = !digit;
        let groups = four & (four << 5) & (four << 10) & (four << 15);
        ((groups & (between << 4) & (between << 9) & (between << 14)) >> BLOCK) as u64
    }

    /// Where the thirteenth of digits stands that something is between, one by one.
    fn single_digits(&self) -> u64 {
        let digit = self.digit.0;
        let single = digit & !(digit << 1);
        let two = single & (single << 2);
        let four = two & (two << 4);
        let eight = four & (four << 8);
        let thirteen = eight & (eight << 10);
        ((thirteen & !(thirteen << 2)) >> BLOCK) as u64
    }

    /// The next place, in the order in which they begin to show.
    pub(super) fn next(&mut self) -> Option<Place> {
        loop {
            let all = self.signs | self.words | self.digits | self.accounts | self.printed;
            if all == 0 {
                if !self.map() {
                    return None;
                }
                continue;
            }
            let bit = all & all.wrapping_neg();
            let index = self.block + all.trailing_zeros() as usize;
            if self.digits & bit != 0 {
                self.digits ^= bit;
                if let Some(place) = self.number(index) {
                    return Some(place);
                }
            } else if self.printed & bit != 0 {
                self.printed ^= bit;
                return Some(Place::Printed(index));
            } else if self.accounts & bit != 0 {
                self.accounts ^= bit;
                return Some(Place::Number(index, index + 1));
            } else if self.words & bit != 0 {
                self.words ^= bit;
                return Some(Place::Word(index));
            } else {
                self.signs ^= bit;
                if self.says_something(index) {
                    return Some(Place::Sign(index));
                }
            }
        }
    }

    /// False for a sign that says nothing where it stands: a comma of prose.
    #[inline]
    fn says_something(&self, index: usize) -> bool {
        match at(self.bytes, index) {
            b',' => is_quote(before(self.bytes, index)),
            b'>' => CLASSES[usize::from(before(self.bytes, index))] & WORD != 0,
            b'%' => layers::is_percent_escape(self.bytes, index),
            b'&' => layers::is_entity(self.bytes, index),
            b':' => !is_of_clock(self.bytes, index),
            _ => true,
        }
    }

    /// The run of digits and joints whose ninth byte is at `index`, if there are enough digits in it.
    fn number(&self, index: usize) -> Option<Place> {
        let start = (index + 1).saturating_sub(DIGITS_MIN);
        let (mut end, mut digits) = (start, 0);
        loop {
            let byte = at(self.bytes, end);
            if !is_of_number(byte) {
                break;
            }
            digits += usize::from(byte.is_ascii_digit());
            end += 1;
        }
        (digits >= DIGITS_MIN).then_some(Place::Number(start, end))
    }
}

/// True for the colon of a time of day, `2026-01-02T12:34` and `:34:56`: no name is before it.
fn is_of_clock(bytes: &[u8], index: usize) -> bool {
    let byte = |back: usize| index.checked_sub(back).map_or(0, |index| at(bytes, index));
    if !(byte(1).is_ascii_digit() && byte(2).is_ascii_digit() && at(bytes, index + 1).is_ascii_digit()) {
        return false;
    }
    let is_date = || {
        let is_alone = CLASSES[usize::from(byte(DATE_AND_HOUR + 1))] & WORD == 0;
        is_alone && byte(6) == b'-' && byte(9) == b'-' && byte(4).is_ascii_digit()
    };
    matches!(byte(3), b':' | b' ') || (byte(3) == b'T' && is_date())
}

/// Bytes of `2026-01-02T12`.
const DATE_AND_HOUR: usize = 13;

/// Where the word begins that the byte before `end` belongs to or that stands last before it, not before `from`; none
/// where there is none.
pub(super) fn word_before(bytes: &[u8], from: usize, end: usize) -> Option<usize> {
    let is_word = |byte: u8| CLASSES[usize::from(byte)] & WORD != 0;
    let window = slice(bytes, from, end);
    let word_end = skip_back(window, window.len(), |byte| !is_word(byte));
    let start = skip_back(window, word_end, is_word);
    (start < word_end).then_some(from + start)
}

/// Where the word begins that the byte at `index` belongs to, not before `from`; the index itself where it belongs to none.
pub(super) fn word_at(bytes: &[u8], from: usize, index: usize) -> usize {
    let is_word = CLASSES[usize::from(at(bytes, index))] & WORD != 0;
    match is_word && index >= from {
        true => word_before(bytes, from, index + 1).unwrap_or(index),
        false => index.max(from),
    }
}
