//! US social security numbers. Nine digits alone say nothing, so the groups that they are printed in have to be there, or
//! a name beside them.

use crate::bytes::{at, before, skip, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// How far before nine digits a name is looked for, bytes.
const NAME_REACH: usize = 24;

/// True where the Social Security Administration could have issued it (no area 000, 666 or 9xx, no zero group or
/// serial).
pub(crate) fn is_issued(digits: &[u8]) -> bool {
    let &[a, b, c, d, e, f, g, h, i] = digits else { return false };
    let area = [a, b, c];
    area != [0, 0, 0] && area != [6, 6, 6] && a != 9 && [d, e] != [0, 0] && [f, g, h, i] != [0, 0, 0, 0]
}

/// The digits of nine in the form `ddd-dd-dddd`.
fn dashed(text: &[u8]) -> Option<[u8; 9]> {
    let &[a, b, c, b'-', d, e, b'-', f, g, h, i] = text else { return None };
    let digits = [a, b, c, d, e, f, g, h, i];
    digits.iter().all(u8::is_ascii_digit).then(|| digits.map(|digit| digit - b'0'))
}

/// Finds `ddd-dd-dddd` in a word.
pub(crate) fn in_word(scan: &mut Scan<'_>, start: usize, end: usize) {
    const LENGTH: usize = 11;
    let bytes = scan.bytes;
    let mut index = start;
    while index + LENGTH <= end {
        let after = index + LENGTH;
        let digit_before = before(bytes, index).is_ascii_digit()
            || (before(bytes, index) == b'-' && before(bytes, index - 1).is_ascii_digit());
        let digit_after = at(bytes, after).is_ascii_digit()
            || (at(bytes, after) == b'-' && at(bytes, after + 1).is_ascii_digit());
        let clear = !digit_before && !digit_after;
        match dashed(slice(bytes, index, after)) {
            Some(digits) if clear && is_issued(&digits) => {
                scan.hit(index, after, Detector::SsnUs);
                index = after;
            }
            _ => index = skip(bytes, index + 1, |byte| !byte.is_ascii_digit()),
        }
    }
}

/// Strikes nine digits in one piece or in groups of 3, 2 and 4, where a name says what they are.
pub(crate) fn in_run(scan: &mut Scan<'_>, start: usize, end: usize, named: bool) {
    let text = slice(scan.bytes, start, end);
    let mut digits = [0u8; 9];
    let mut count = 0;
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                let Some(slot) = digits.get_mut(count) else { return };
                *slot = byte - b'0';
                count += 1;
            }
            _ if matches!((count, place), (3, 3) | (5, 6)) => {}
            _ => return,
        }
    }
    // `536 90 4399` with nothing more of the same before or behind it.
    let is_printed = matches!(text, [_, _, _, one, _, _, two, ..] if text.len() == 11 && one == two && matches!(one, b' ' | b'.'));
    let is_said = || named || is_printed || is_named_before(scan.bytes, start);
    if count == 9 && is_issued(&digits) && is_said() {
        scan.hit(start, end, Detector::SsnUs);
    }
}

/// True where the words right before `start` say social security.
fn is_named_before(bytes: &[u8], start: usize) -> bool {
    let reach = slice(bytes, start.saturating_sub(NAME_REACH), start);
    let says = |name: &[u8]| reach.windows(name.len()).any(|window| window.eq_ignore_ascii_case(name));
    says(b"ssn") || says(b"social security") || says(b"soc sec")
}
