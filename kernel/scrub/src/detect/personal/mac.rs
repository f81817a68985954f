//! Addresses of network cards (EUI-48): six pairs of hexadecimal digits, or three groups of four with dots.

use super::is_named_before;
use crate::bytes::{at, before, is_word, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// Shortest form: `0012.3456.789a`.
pub(super) const LENGTH_MIN: usize = 14;
/// How far before an address a word for it is looked for, bytes.
const NAME_REACH: usize = 24;

/// Looks at a run of hexadecimal digits with colons and dots, or with dashes.
pub(super) fn in_run(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    // What separates it from the words around it.
    let start = if matches!(at(bytes, start), b':' | b'.') { start + 1 } else { start };
    let end = if matches!(before(bytes, end), b':' | b'.') { end - 1 } else { end };
    let text = slice(bytes, start, end);
    if is_word(before(bytes, start)) || is_word(at(bytes, end)) {
        return;
    }
    let Some((digits, separator)) = digits_of(text) else { return };
    let alike = |other: u8| digits.iter().all(|digit| digit.eq_ignore_ascii_case(&other));
    let has_letter = digits.iter().any(u8::is_ascii_alphabetic);
    // Numbers with dots or dashes between them are many things.
    let is_clear = separator == b':' || has_letter || is_named_before(bytes, start, NAME_REACH, &[b"mac"]);
    if is_clear && !alike(b'0') && !alike(b'f') {
        scan.hit(start, end, Detector::Mac);
    }
}

/// The digits of an address, and what separates them.
fn digits_of(text: &[u8]) -> Option<([u8; 12], u8)> {
    let (separator, group) = match text.len() {
        17 => (at(text, 2), 2),
        14 => (at(text, 4), 4),
        _ => return None,
    };
    let is_separator = matches!((separator, group), (b':' | b'-', 2) | (b'.', 4));
    let mut digits = [0; 12];
    let mut slots = digits.iter_mut();
    for (place, byte) in text.iter().enumerate() {
        match place % (group + 1) == group {
            true if *byte == separator => {}
            false if byte.is_ascii_hexdigit() => *slots.next()? = *byte,
            _ => return None,
        }
    }
    is_separator.then_some((digits, separator))
}
