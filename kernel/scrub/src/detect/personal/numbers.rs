//! Digits in groups, as people write telephone and device numbers.

use std::ops::RangeInclusive;

use super::{imei, phone};
use crate::bytes::{at, before, skip};
use crate::rules::Detector;
use crate::scan::Scan;

/// Groups that are looked at together. What has more is a list of numbers.
const GROUPS_MAX: usize = 16;

/// True for what stands between the groups of a number.
pub(super) fn separates(byte: u8) -> bool {
    matches!(byte, b' ' | b'-' | b'.' | b'/' | b'(' | b')')
}

/// Looks at every chain of digit groups.
pub(super) fn everywhere(scan: &mut Scan<'_>) {
    let bytes = scan.bytes;
    let mut groups: Vec<(usize, usize)> = Vec::with_capacity(GROUPS_MAX);
    let mut index = 0;
    while index < bytes.len() {
        let start = skip(bytes, index, |byte| !byte.is_ascii_digit());
        let end = skip(bytes, start, |byte| byte.is_ascii_digit());
        if start == end {
            break;
        }
        index = end;
        let gap = groups.last().map_or(usize::MAX, |(_, last)| start - last);
        let last = groups.last().map_or(0, |(_, last)| *last);
        // `(20) 7123`, `555)  0132`: at most three signs.
        let is_joined = gap <= 3 && (last..start).all(|place| separates(at(bytes, place)));
        if !is_joined || groups.len() == GROUPS_MAX {
            in_chain(scan, &groups);
            groups.clear();
        }
        groups.push((start, end));
    }
    in_chain(scan, &groups);
}

fn in_chain(scan: &mut Scan<'_>, groups: &[(usize, usize)]) {
    let mut rest = groups;
    let mut is_first = true;
    while let Some((start, _)) = rest.first() {
        let sign = before(scan.bytes, *start);
        // Digits of a word are no number's; within a chain a group follows a separator.
        let is_of_word = is_first && (sign.is_ascii_alphanumeric() || sign == b'_' || sign >= 0x80);
        let struck = match is_of_word {
            true => None,
            false => of_group(scan, rest),
        };
        rest = rest.get(struck.unwrap_or(1).max(1)..).unwrap_or_default();
        is_first = false;
    }
}

fn of_group(scan: &mut Scan<'_>, groups: &[(usize, usize)]) -> Option<usize> {
    let device = if scan.detects(Detector::Imei) { imei::at_group(scan, groups) } else { None };
    match device {
        Some(count) => Some(count),
        None if scan.detects(Detector::Phone) => phone::at_group(scan, groups),
        None => None,
    }
}

/// Strikes the whole text where it is one number of so many digits.
pub(super) fn whole(scan: &mut Scan<'_>, detector: Detector, digits: RangeInclusive<usize>) {
    let bytes = scan.bytes;
    let start = skip(bytes, 0, |byte| byte.is_ascii_whitespace());
    let is_of_number = |byte: u8| byte.is_ascii_digit() || separates(byte) || byte == b'+';
    let end = skip(bytes, start, is_of_number);
    let count = bytes.iter().take(end).filter(|byte| byte.is_ascii_digit()).count();
    // An extension, or nothing more.
    let is_whole = bytes
        .get(end..)
        .unwrap_or_default()
        .trim_ascii_start()
        .first()
        .is_none_or(|byte| matches!(byte, b'x' | b'X' | b'#' | b',' | b';' | b'e'));
    if is_whole && digits.contains(&count) {
        scan.hit(start, end, detector);
    }
}
