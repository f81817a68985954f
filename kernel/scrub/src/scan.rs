//! One pass over text that finds the places worth a detector's look.
//!
//! The pass reads words (`[A-Za-z0-9_-]+`) and a few signs between them. The kinds of a word's bytes and its length,
//! gathered while reading, rule out every detector for nearly every word of a clean line. What is left of the cost is
//! that nobody can foresee where a word ends. So text is mapped first, 64 bytes at a time, and only the words
//! and signs are read that the maps cannot rule out ([`places`]); it finds what reading every word finds. A pass with
//! a multi-pattern automaton measured slower, and would still leave the digits to do.

mod classes;
mod maps;
mod places;
#[cfg(test)]
mod tests;

use crate::bytes::{at, before, from, is_blank, is_quote, skip, slice};
use crate::detect::personal::{self, PERSONAL};
use crate::detect::{assignment, bearer, card, email, iban, pattern, pem, shape, ssn, url};
use crate::hit::Hit;
use crate::layers;
use crate::names;
use crate::plan::Tools;
use crate::rules::Detector;
use classes::{BLANK, CLASSES, DASH, DIGIT, LETTER, LOWER, SIGN, UNDERSCORE, UPPER, WORD};
use places::{Place, Places};

/// How many encodings around each other are looked through. What is deeper was not written by accident.
pub(crate) const LAYERS_MAX: u8 = 4;

/// Shortest word that can be a token, a base64 text or a key of any kind.
const LONG_WORD: usize = 16;

/// Fewest digits that anything found by digits alone has: a social security number.
const DIGITS_MIN: usize = 9;

/// True where no detector but [`Detector::Whole`] can find anything, as in most values of a record: a short word or
/// two without a sign between a name and a value or of an encoding, without a blank behind an option or a scheme, and
/// with few digits. What is longer is left to the pass.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    if text.len() >= LONG_WORD {
        return false;
    }
    let (mut classes, mut digits) = (0, 0);
    for byte in text {
        let class = CLASSES[usize::from(*byte)];
        classes |= class;
        digits += usize::from(class & DIGIT);
    }
    classes & (SIGN | BLANK) == 0 && digits < DIGITS_MIN
}

/// Digits that cards have in their first group, where that is not all of them.
const GROUP_MIN: usize = 4;
const GROUP_MAX: usize = 8;

/// True where the `=` at `index` ends base64 rather than standing between a name and a value.
fn is_padding(bytes: &[u8], index: usize) -> bool {
    let behind = index + 1 + usize::from(at(bytes, index + 1) == b'=');
    match at(bytes, behind) {
        byte if is_quote(byte) || is_blank(byte) => true,
        0 | b'\n' | b'\r' | b',' | b';' | b'&' | b'<' | b'>' | b')' | b']' | b'}' | b'\\' | b'%' => true,
        _ => false,
    }
}

/// A pass over one text.
pub(crate) struct Scan<'a> {
    pub(crate) bytes: &'a [u8],
    /// What is looked for, and what the rules put where it was.
    pub(crate) tools: Tools<'a>,
    /// The name that the whole text stands under.
    pub(crate) key: Option<&'a str>,
    hits: Vec<Hit>,
    /// Behind the last byte of any hit: what names a secret within one needs no second look.
    covered: usize,
    /// Behind the last private key.
    keys_until: usize,
    /// Behind the last base64 that was looked into.
    pub(crate) decoded_until: usize,
    /// Whether a word in the text announces a telephone number, where that was asked.
    pub(crate) announces_phone: Option<bool>,
    /// How many encodings are around this text.
    depth: u8,
    /// Signs of encodings in the text.
    signs: u8,
}

/// Signs of an encoding that a second pass has to look through.
mod sign {
    pub(super) const PERCENT: u8 = 1;
    pub(super) const ESCAPE: u8 = 1 << 1;
    pub(super) const ENTITY: u8 = 1 << 2;
    pub(super) const FOLD: u8 = 1 << 3;
    pub(super) const WIDE: u8 = 1 << 4;
}

/// A word.
#[derive(Clone, Copy, Default)]
pub(crate) struct Word {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Words of digits and dashes with one separator between them.
#[derive(Clone, Copy, Default)]
struct Chain {
    start: usize,
    end: usize,
    digits: usize,
}

/// Where a pass stands: the last word, and the digits before it.
#[derive(Default)]
struct Reading {
    word: Word,
    classes: u8,
    chain: Chain,
}

impl<'a> Scan<'a> {
    pub(crate) fn new(bytes: &'a [u8], tools: Tools<'a>) -> Scan<'a> {
        Scan {
            bytes,
            tools,
            key: None,
            hits: Vec::new(),
            covered: 0,
            keys_until: 0,
            decoded_until: 0,
            announces_phone: None,
            depth: 0,
            signs: 0,
        }
    }

    /// A pass over what this text hides in an encoding; none where too many are around it already.
    pub(crate) fn inner<'b>(&self, bytes: &'b [u8]) -> Option<Scan<'b>>
    where
        'a: 'b,
    {
        let depth = self.depth + 1;
        (depth < LAYERS_MAX).then(|| Scan { depth, ..Scan::new(bytes, self.tools) })
    }

    pub(crate) fn detects(&self, detector: Detector) -> bool {
        self.tools.detects(detector)
    }

    /// Notes a find.
    pub(crate) fn hit(&mut self, start: usize, end: usize, detector: Detector) {
        if start < end && self.detects(detector) {
            self.hits.push(Hit { start, end, detector });
            self.covered = self.covered.max(end);
            if detector == Detector::PrivateKey {
                self.keys_until = self.keys_until.max(end);
            }
        }
    }

    /// Everything that is found in the text and in what it hides.
    pub(crate) fn run(mut self) -> Vec<Hit> {
        self.pass();
        if self.tools.plan.detectors.has_any(PERSONAL) {
            personal::everywhere(&mut self);
        }
        if !self.tools.plan.skips_plain {
            pattern::everywhere(&mut self);
        }
        if self.signs != 0 {
            self.look_through();
        }
        self.hits
    }

    /// Looks at every place that is worth it, in order.
    fn pass(&mut self) {
        let bytes = self.bytes;
        let mut reading = Reading::default();
        let mut places = Places::of(bytes);
        let (mut done, mut numbers_done) = (0, 0);
        while let Some(place) = places.next() {
            match place {
                Place::Number(start, end) if end > numbers_done => {
                    let from = places::word_at(bytes, numbers_done, start);
                    numbers_done = self.read::<true, false>(from, end, &mut reading);
                }
                Place::Word(at) if at >= done => {
                    let from = places::word_at(bytes, done, at);
                    done = self.read::<false, true>(from, at + 1, &mut reading);
                }
                Place::Sign(at) if at >= done => {
                    let from = places::word_before(bytes, done, at).unwrap_or(at);
                    done = self.read::<false, true>(from, at + 1, &mut reading);
                    if done > at + 1 {
                        // The word behind an escape begins where no map shows it.
                        let behind = done;
                        done = self.read::<false, true>(behind, behind + 1, &mut reading);
                        if numbers_done <= behind {
                            numbers_done = self.read::<true, false>(behind, behind + 1, &mut reading);
                        }
                    }
                }
                Place::Printed(at) => card::printed(self, at),
                _ => {}
            }
        }
        self.end_chain(&mut reading.chain);
    }

    /// Reads the words and signs from `from` to `until`, the last word to its end; gives where that is. `NUMBERS` looks
    /// at words for what is found by its digits, `REST` at signs and at words for everything else.
    fn read<const NUMBERS: bool, const REST: bool>(
        &mut self,
        from: usize,
        until: usize,
        reading: &mut Reading,
    ) -> usize {
        let bytes = self.bytes;
        let mut index = from;
        while index < until {
            let Some(byte) = bytes.get(index) else { break };
            let class = CLASSES[usize::from(*byte)];
            if class & WORD == 0 {
                if REST && class & SIGN != 0 {
                    self.sign(*byte, index, reading.word, reading.classes);
                }
                index += 1;
                if *byte == b'\\' && matches!(at(bytes, index), b'n' | b'r' | b't') {
                    // The letter of an escaped line end or tab is no part of the word behind it, unless the
                    // backslash was a path's.
                    index += 1;
                }
                continue;
            }
            // One loop a word: where a loop ends is what a processor cannot foresee.
            let start = index;
            let (mut class, mut digits, mut classes) = (class, 0, 0);
            while class & WORD != 0 {
                classes |= class;
                digits += usize::from(class & DIGIT);
                index += 1;
                class = bytes.get(index).map_or(0, |byte| CLASSES[usize::from(*byte)]);
            }
            let word = Word { start, end: index };
            let length = index - start;
            if REST {
                (reading.word, reading.classes) = (word, classes);
            }
            if classes & (DIGIT | DASH) == 0 && length < LONG_WORD && !matches!(*byte, b'b' | b'B') {
                continue;
            }
            if NUMBERS && digits > 0 {
                if classes & (LETTER | UNDERSCORE) == 0 {
                    self.numeric_word(word, classes, digits, &mut reading.chain);
                } else {
                    self.bridge_chain(word, &mut reading.chain);
                    self.mixed_word(word, classes, digits);
                }
            }
            if !REST {
                continue;
            }
            if length >= LONG_WORD {
                self.long_word(word, classes);
            }
            if classes & DASH != 0 {
                self.dashed_word(word);
            }
            if matches!(length, 5 | 6) && matches!(*byte, b'b' | b'B') && self.detects(Detector::SecretShape)
            {
                bearer::after_word(self, start, index);
            }
        }
        index
    }

    /// True where the word may be a name that says what stands behind it.
    pub(crate) fn may_name(&self, word: Word) -> bool {
        // What was taken for an escape may be the end of a path: `C:\\token=…`.
        let is_escaped = word.start >= 2 && at(self.bytes, word.start - 2) == b'\\';
        names::may_mean(slice(self.bytes, word.start - usize::from(is_escaped), word.end))
    }

    /// A sign between words.
    fn sign(&mut self, byte: u8, index: usize, word: Word, classes: u8) {
        let bytes = self.bytes;
        match byte {
            b':' | b'=' => {
                if index < self.covered {
                    return;
                }
                if classes & LETTER != 0 {
                    assignment::around_operator(self, word, index);
                }
                if byte == b'=' && word.end == index && is_padding(bytes, index) {
                    self.padded_word(word, classes);
                }
                if byte == b':' && word.end == index && matches!(at(bytes, index + 1), b'/' | b'\\') {
                    url::after_scheme(self, index);
                }
            }
            b',' if crate::bytes::is_quote(before(bytes, index)) && index >= self.covered => {
                assignment::around_comma(self, word, index);
            }
            b'>' if word.end == index && index >= self.covered => {
                assignment::around_tag(self, word, index);
            }
            b'@' => {
                if self.detects(Detector::Email) {
                    email::around(self, index);
                }
                if self.detects(Detector::UrlCredentials) {
                    url::before_at(self, index);
                }
            }
            b'%' if layers::is_percent_escape(bytes, index) => self.signs |= sign::PERCENT,
            b'\\' if layers::is_character_escape(bytes, index) => self.signs |= sign::ESCAPE,
            b'&' if layers::is_entity(bytes, index) => self.signs |= sign::ENTITY,
            0x80.. if layers::folds(bytes, index) => self.signs |= sign::FOLD,
            0 => self.signs |= sign::WIDE,
            _ => {}
        }
    }

    /// A word of upper and lower case with padding of base64 behind it.
    fn padded_word(&mut self, word: Word, classes: u8) {
        let is_long = word.end - word.start >= layers::base64::PADDED_MIN;
        if classes & UPPER != 0 && classes & LOWER != 0 && is_long && self.tools.compiled.decode.base64 {
            layers::base64::before_padding(self, word.start, word.end);
        }
    }

    fn numeric_word(&mut self, word: Word, classes: u8, digits: usize, chain: &mut Chain) {
        if !self.is_joined(word, chain) {
            self.end_chain(chain);
            chain.start = word.start;
        }
        chain.end = word.end;
        chain.digits += digits;
        if digits >= 9 && classes & DASH != 0 {
            ssn::in_word(self, word.start, word.end);
        }
    }

    /// True where one separator stands between the chain and the word.
    fn is_joined(&self, word: Word, chain: &Chain) -> bool {
        chain.digits > 0
            && chain.end + 1 == word.start
            && matches!(at(self.bytes, chain.end), b' ' | b'.' | b'+')
    }

    /// Ends the chain with the digits that a word of other characters begins with, and begins one with those that it
    /// ends with: `f_4111 1111 1111 1111_x`.
    fn bridge_chain(&mut self, word: Word, chain: &mut Chain) {
        let bytes = self.bytes;
        if chain.digits > 0 && self.is_joined(word, chain) {
            let end = skip(bytes, word.start, |byte| byte.is_ascii_digit());
            if end > word.start {
                chain.digits += end - word.start;
                chain.end = end;
            }
        }
        self.end_chain(chain);
        if before(bytes, word.end).is_ascii_digit() {
            let tail = slice(bytes, word.start.max(word.end.saturating_sub(GROUP_MAX + 1)), word.end);
            let digits = tail.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
            if (GROUP_MIN..=GROUP_MAX).contains(&digits) {
                *chain = Chain { start: word.end - digits, end: word.end, digits };
            }
        }
    }

    fn end_chain(&mut self, chain: &mut Chain) {
        let Chain { start, end, digits } = std::mem::take(chain);
        if digits == 9 {
            ssn::in_run(self, start, end, false);
        } else if digits >= 12 {
            card::in_run(self, start, end, card::Place::Free);
        }
    }

    /// A word of letters and digits.
    fn mixed_word(&mut self, word: Word, classes: u8, digits: usize) {
        let Word { start, end } = word;
        let bytes = self.bytes;
        if digits >= 9 && classes & DASH != 0 {
            ssn::in_word(self, start, end);
        }
        if digits >= 12 {
            card::in_word(self, start, end);
        }
        if classes & LETTER == 0 {
            return;
        }
        let could_begin = |index: usize| {
            at(bytes, index + 2).is_ascii_digit()
                && at(bytes, index + 3).is_ascii_digit()
                && at(bytes, index).is_ascii_alphabetic()
                && at(bytes, index + 1).is_ascii_alphabetic()
        };
        if could_begin(start) {
            iban::at_word(self, start);
        }
        if digits >= 8 && classes & (UNDERSCORE | DASH) != 0 {
            for index in start + 1..end {
                if matches!(before(bytes, index), b'_' | b'-') && could_begin(index) {
                    iban::at_word(self, index);
                }
            }
        }
    }

    fn long_word(&mut self, word: Word, classes: u8) {
        if self.detects(Detector::SecretShape) {
            shape::in_word(self, word.start, word.end, classes & (UNDERSCORE | DASH) == 0);
        }
        if classes & UPPER != 0 && classes & LOWER != 0 && self.tools.compiled.decode.base64 {
            layers::base64::around_word(self, word.start, word.end);
        }
    }

    fn dashed_word(&mut self, word: Word) {
        let Word { start, end } = word;
        let text = slice(self.bytes, start, end);
        if (text.ends_with(b"-----BEGIN") || text.ends_with(b"-----END")) && end > self.keys_until {
            pem::at_boundary(self, end, self.keys_until);
        }
        let is_option = text.starts_with(b"-") && is_blank(at(self.bytes, end));
        if is_option && end >= self.covered {
            match text {
                b"-u" | b"--user" => assignment::after_user_option(self, end),
                _ => assignment::after_option(self, word),
            }
        }
    }

    /// Looks through the encodings that the pass saw signs of.
    #[cold]
    fn look_through(&mut self) {
        let bytes = self.bytes;
        let decode = self.tools.compiled.decode;
        let signs = self.signs;
        let seen = |sign: u8| signs & sign != 0;
        if seen(sign::PERCENT) && decode.url {
            let layer = layers::percent(bytes);
            for hit in self.hits_within(&layer) {
                // An escaped blank or `&` in a secret's value ended it in the decoded text only.
                let end = match hit.detector {
                    Detector::SecretName => layers::token_end(bytes, hit.end),
                    _ => hit.end,
                };
                self.hit(hit.start, end, hit.detector);
            }
        }
        type Decode = fn(&[u8]) -> layers::Layer;
        let others: [(bool, Decode); 4] = [
            (seen(sign::ESCAPE) && decode.json, layers::escapes),
            (seen(sign::ENTITY), layers::entities),
            (seen(sign::FOLD), layers::fold),
            (seen(sign::WIDE), layers::narrow),
        ];
        for (seen, decode) in others {
            if seen {
                for hit in self.hits_within(&decode(bytes)) {
                    self.hit(hit.start, hit.end, hit.detector);
                }
            }
        }
    }

    /// What is found in the decoded text, as places of this one.
    fn hits_within(&self, layer: &layers::Layer) -> Vec<Hit> {
        let Some(scan) = self.inner(&layer.text) else { return Vec::new() };
        let place = |index: usize| layer.places.get(index).map_or(self.bytes.len(), |place| *place as usize);
        scan.run()
            .into_iter()
            .map(|hit| Hit { start: place(hit.start), end: place(hit.end), detector: hit.detector })
            .collect()
    }

    /// What is found in `decoded`, if anything: the detector of the first find.
    pub(crate) fn finds_within(&self, decoded: &[u8]) -> Option<Detector> {
        self.inner(decoded)?.run().iter().min_by_key(|hit| hit.start).map(|hit| hit.detector)
    }

    /// Strikes what the name of the whole text says: a card in any form, a social security number without dashes.
    pub(crate) fn named(&mut self, meaning: names::Meaning) {
        let end = self.bytes.len();
        match meaning {
            names::Meaning::Card => card::named(self, 0, end),
            names::Meaning::Ssn => {
                let trimmed = from(self.bytes, 0).trim_ascii_start();
                let start = end - trimmed.len();
                ssn::in_run(self, start, start + trimmed.trim_ascii_end().len(), true);
            }
            _ => {}
        }
    }
}
