//! Numbers of mobile devices (3GPP TS 23.003 §6.2): fifteen digits with Luhn's checksum, which alone says little.

use super::{is_named_before, name_says};
use crate::bytes::slice;
use crate::detect::issuer;
use crate::rules::Detector;
use crate::scan::Scan;

/// Digits with the checksum.
pub(super) const DIGITS: usize = 15;
/// Digits where a version takes the checksum's place.
pub(super) const DIGITS_MAX: usize = 16;
/// How far before a number a word for it is looked for, bytes.
const NAME_REACH: usize = 32;

/// True where a name says that its value is a device's number.
pub(super) fn is_name(name: &str) -> bool {
    name_says(name, &[b"imei", b"imeisv"])
}

/// Looks at groups of digits with one separator between them; gives how many groups from `first` on were struck.
pub(super) fn at_group(scan: &mut Scan<'_>, groups: &[(usize, usize)]) -> Option<usize> {
    let lengths =
        |count: usize| groups.get(..count)?.iter().map(|(start, end)| end - start).collect::<Vec<_>>().into();
    let printed: [&[usize]; 4] = [&[2, 6, 6, 1], &[6, 2, 6, 1], &[8, 6, 1], &[6, 8, 1]];
    let is_printed = |form: &&&[usize]| {
        let own: Option<Vec<usize>> = lengths(form.len());
        own.is_some_and(|own| own == **form)
    };
    let start = groups.first()?.0;
    let count = match printed.iter().find(is_printed) {
        Some(form) => form.len(),
        None => {
            let (start, end) = *groups.first()?;
            let is_whole = (DIGITS..=DIGITS_MAX).contains(&(end - start));
            let is_named = is_named_before(scan.bytes, start, NAME_REACH, &[b"imei", b"imeisv"]);
            (is_whole && is_named).then_some(1)?
        }
    };
    let end = groups.get(count - 1)?.1;
    let digits: Vec<u8> = slice(scan.bytes, start, end)
        .iter()
        .filter(|byte| byte.is_ascii_digit())
        .map(|byte| byte - b'0')
        .collect();
    if digits.len() == DIGITS && !issuer::passes_luhn(&digits) {
        return None;
    }
    scan.hit(start, end, Detector::Imei);
    Some(count)
}
