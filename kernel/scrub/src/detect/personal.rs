//! What tells of a person or a device: telephone numbers, addresses of networks and network cards, device numbers and
//! names of users in paths. No rule looks for these unless a policy says so, so they have a pass of their own that
//! goes from one sign to the next.

mod calling;
mod imei;
mod ip;
mod mac;
mod numbers;
mod phone;
mod user_path;

pub(crate) use ip::generalised;

use crate::bytes::{at, is_word, skip, skip_back, slice};
use crate::plan::Detectors;
use crate::rules::Detector;
use crate::scan::Scan;

/// The detectors of this pass.
pub(crate) const PERSONAL: Detectors =
    NUMBERS.with(Detector::Ip).with(Detector::Mac).with(Detector::UserPath);
/// Those that look at digits.
const NUMBERS: Detectors = Detectors::NONE.with(Detector::Phone).with(Detector::Imei);

/// Finds what the detectors that are on look for.
pub(crate) fn everywhere(scan: &mut Scan<'_>) {
    let detectors = scan.tools.plan.detectors;
    if detectors.has(Detector::Ip) || detectors.has(Detector::Mac) {
        addresses(scan);
    }
    if detectors.has_any(NUMBERS) {
        numbers::everywhere(scan);
    }
    if detectors.has(Detector::UserPath) {
        user_path::everywhere(scan);
    }
}

/// Looks at every run of hexadecimal digits with colons, dots or dashes in it.
fn addresses(scan: &mut Scan<'_>) {
    let bytes = scan.bytes;
    let mut done = 0;
    for sign in memchr::memchr3_iter(b':', b'.', b'-', bytes) {
        if sign < done {
            continue;
        }
        let is_dash = at(bytes, sign) == b'-';
        let belongs = |byte: u8| {
            byte.is_ascii_hexdigit() || if is_dash { byte == b'-' } else { matches!(byte, b':' | b'.') }
        };
        let start = done + skip_back(slice(bytes, done, sign), sign - done, belongs);
        let end = skip(bytes, sign, belongs);
        done = end;
        if end - start >= mac::LENGTH_MIN && scan.detects(Detector::Mac) {
            mac::in_run(scan, start, end);
        }
        if !is_dash && scan.detects(Detector::Ip) {
            ip::in_run(scan, start, end);
        }
    }
}

/// True where one of the words stands in the bytes before `start`, whatever their case, with no letter on either side.
fn is_named_before(bytes: &[u8], start: usize, reach: usize, words: &[&[u8]]) -> bool {
    let before = slice(bytes, start.saturating_sub(reach), start);
    words.iter().any(|word| has_word(before, word))
}

/// True where the word stands in the text, whatever its case, with no letter on either side, and is no placeholder.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).enumerate().any(|(place, window)| {
        let (left, right) = (crate::bytes::before(text, place), at(text, place + word.len()));
        let is_alone = !left.is_ascii_alphabetic() && !right.is_ascii_alphabetic();
        let is_placeholder = left == b'[' && right == b']';
        is_alone && !is_placeholder && window.eq_ignore_ascii_case(word)
    })
}

/// True where a name consists of words of which one is among `words`: `mobilePhone`, `phone_number`.
fn name_says(name: &str, words: &[&[u8]]) -> bool {
    let name = name.as_bytes();
    // Names are short; what is long is text.
    const NAME_BYTES_MAX: usize = 64;
    if name.len() > NAME_BYTES_MAX {
        return false;
    }
    words.iter().any(|word| {
        name.windows(word.len()).enumerate().any(|(place, window)| {
            let next = at(name, place + word.len());
            let begins = place == 0
                || at(name, place).is_ascii_uppercase()
                || !crate::bytes::before(name, place).is_ascii_alphabetic();
            window.eq_ignore_ascii_case(word) && begins && !next.is_ascii_lowercase()
        })
    })
}

/// The word right before `start`, behind blanks and the signs of an assignment.
fn word_before(bytes: &[u8], start: usize) -> &[u8] {
    const REACH: usize = 24;
    let window = slice(bytes, start.saturating_sub(REACH), start);
    let end = skip_back(window, window.len(), |byte| matches!(byte, b' ' | b':' | b'=' | b'"' | b'\''));
    slice(window, skip_back(window, end, is_word), end)
}

/// Strikes what the name of a whole text says: a telephone number in any form, a device's number.
pub(crate) fn named(scan: &mut Scan<'_>, key: &str) {
    if scan.detects(Detector::Imei) && imei::is_name(key) {
        numbers::whole(scan, Detector::Imei, imei::DIGITS..=imei::DIGITS_MAX);
    }
    if scan.detects(Detector::Phone) && phone::is_name(key) {
        numbers::whole(scan, Detector::Phone, phone::DIGITS_MIN..=phone::DIGITS_MAX);
    }
}
