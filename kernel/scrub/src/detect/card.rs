//! Payment cards in text: digits, alone or in the groups that cards are printed in.
//!
//! A checksum alone passes one number in ten, so the issuer's range, the boundaries and the grouping have to agree
//! too. What long decimal ids share with cards (19 digits behind `blk_`, 16 behind a decimal point) is told apart by
//! what stands before them.

use super::issuer::{DIGITS_MAX, DIGITS_MIN, is_card, passes_luhn};
use crate::bytes::{at, before, is_blank, is_quote, is_word, skip, skip_back, slice};
use crate::names;
use crate::rules::Detector;
use crate::scan::Scan;

/// Groups of digits of a run that are looked at; what has more is a list of numbers.
const GROUPS_MAX: usize = 16;
/// Digits from which on a card's number is whole; shorter ones may be the beginning of one that passes by chance.
const COMPLETE_MIN: usize = 15;
/// How far before a number a word for it is looked for, bytes.
const NAME_REACH: usize = 40;
/// Longest hexadecimal id, characters.
const HEX_ID_MAX: usize = 128;

/// What is known about the run's surroundings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// It stands by itself.
    Free,
    /// It is part of a longer word (`order_4111…`), where ids live.
    Attached,
    /// A name beside it says that it is a card.
    Named,
}

/// Finds cards in a run of digits, dashes and single separators.
pub(crate) fn in_run(scan: &mut Scan<'_>, start: usize, end: usize, place: Place) {
    let bytes = scan.bytes;
    let mut groups = [(0usize, 0usize); GROUPS_MAX];
    let mut count = 0;
    let mut index = start;
    loop {
        let group = skip(bytes, index, |byte| !byte.is_ascii_digit()).min(end);
        let group_end = skip(bytes, group, |byte| byte.is_ascii_digit()).min(end);
        if group == group_end {
            break;
        }
        match groups.get_mut(count) {
            Some(slot) => *slot = (group, group_end),
            // A list of numbers: only numbers in one piece are of interest.
            None => return solid_groups(scan, start, end, place),
        }
        count += 1;
        index = group_end;
    }
    let groups = groups.get(..count).unwrap_or_default();
    let mut first = 0;
    while first < groups.len() {
        first = match window_from(scan, groups, first, place) {
            Some(last) => last + 1,
            None => first + 1,
        };
    }
}

/// Finds a card that begins with the group `first`; gives its last group.
fn window_from(scan: &mut Scan<'_>, groups: &[(usize, usize)], first: usize, place: Place) -> Option<usize> {
    if place != Place::Named && !may_begin(groups, first) {
        return None;
    }
    let bytes = scan.bytes;
    let mut digits = [0u8; DIGITS_MAX];
    let mut lengths = [0u8; GROUPS_MAX];
    let mut total = 0;
    let mut separator = None;
    let mut found = None;
    let mut is_complete = false;
    let window_start = groups.get(first)?.0;
    for (index, (start, end)) in groups.iter().copied().enumerate().skip(first) {
        if index > first {
            // One separator, and the same one between all groups.
            let previous_end = groups.get(index - 1)?.1;
            let between = at(bytes, previous_end);
            if start - previous_end != 1 || *separator.get_or_insert(between) != between {
                break;
            }
        }
        let group = slice(bytes, start, end);
        let Some(slots) = digits.get_mut(total..total + group.len()) else { break };
        for (slot, byte) in slots.iter_mut().zip(group) {
            *slot = byte - b'0';
        }
        total += group.len();
        *lengths.get_mut(index - first)? = group.len() as u8;
        if total < DIGITS_MIN {
            continue;
        }
        let lengths = lengths.get(..=index - first).unwrap_or_default();
        let digits = digits.get(..total).unwrap_or_default();
        let fits = match (lengths.len(), place) {
            (1, _) => is_plausible_number(scan, start, end, place),
            (_, Place::Named) => true,
            _ => is_printed_grouping(lengths),
        };
        let checks = match place {
            Place::Named => passes_luhn(digits),
            Place::Attached => is_card(digits),
            Place::Free => is_card(digits) || (passes_luhn(digits) && is_named_before(bytes, window_start)),
        };
        if is_complete && !(is_card(digits) && may_go_on(bytes, digits, end, separator)) {
            break;
        }
        if fits && checks {
            found = Some((index, end));
            is_complete = total >= COMPLETE_MIN && is_card(digits);
        }
    }
    let (last, end) = found?;
    scan.hit(window_start, end, Detector::Card);
    Some(last)
}

/// False where no card without a name begins with the group `first`: by the lengths of it and the next, which tell
/// most dates, times and counters of a log line off.
fn may_begin(groups: &[(usize, usize)], first: usize) -> bool {
    let length = |index: usize| groups.get(index).map_or(0, |(start, end)| end - start);
    match length(first) {
        DIGITS_MIN..=DIGITS_MAX => true,
        // As in `is_printed_grouping`.
        4 => matches!(length(first + 1), 3..=6),
        6 => matches!(length(first + 1), 10 | 13),
        8 => length(first + 1) == 8,
        _ => false,
    }
}

/// True where a number that is a card's already may be a longer one's beginning: one group more is an amount or a
/// security code (`4111 1111 1111 1111 82.65`), but for schemes that issue more than 16 digits in earnest.
fn may_go_on(bytes: &[u8], digits: &[u8], end: usize, separator: Option<u8>) -> bool {
    let sign = at(bytes, end);
    let is_amount =
        matches!(sign, b'.' | b',') && separator != Some(sign) && at(bytes, end + 1).is_ascii_digit();
    digits.first() != Some(&4) && !is_amount
}

/// Checks only numbers in one piece.
fn solid_groups(scan: &mut Scan<'_>, start: usize, end: usize, place: Place) {
    let bytes = scan.bytes;
    let mut index = start;
    while index < end {
        let group = skip(bytes, index, |byte| !byte.is_ascii_digit()).min(end);
        let group_end = skip(bytes, group, |byte| byte.is_ascii_digit()).min(end);
        if (DIGITS_MIN..=DIGITS_MAX).contains(&(group_end - group)) {
            window_from(scan, &[(group, group_end)], 0, place);
        }
        index = group_end.max(index + 1);
    }
}

/// True where the words right before `start` speak of a card.
fn is_named_before(bytes: &[u8], start: usize) -> bool {
    let reach = slice(bytes, start.saturating_sub(NAME_REACH), start);
    reach.windows(6).any(|window| match window {
        [before, word @ .., after] => {
            word.eq_ignore_ascii_case(b"card")
                && !before.is_ascii_alphabetic()
                && !after.is_ascii_alphabetic()
        }
        _ => false,
    })
}

/// The groups in which schemes print numbers, and halves. Groups of 8, 4 and 12 are left to UUIDs.
fn is_printed_grouping(lengths: &[u8]) -> bool {
    matches!(
        lengths,
        [4, 4, 4, 1..=4]
            | [4, 4, 4, 4, 1..=3]
            | [4, 6, 4..=5]
            | [4, 4, 5]
            | [4, 3, 3, 3]
            | [4, 5, 6]
            | [8, 8]
            | [6, 10 | 13]
    )
}

/// False where a number in one piece is rather an id or a fraction.
fn is_plausible_number(scan: &Scan<'_>, start: usize, end: usize, place: Place) -> bool {
    let bytes = scan.bytes;
    if place == Place::Named {
        return true;
    }
    // The digits behind a decimal point: 0.4111111111111111.
    if before(bytes, start) == b'.' && before(bytes, start - 1).is_ascii_digit() {
        return false;
    }
    // Decimal ids of 64 bits have 17 to 19 digits.
    if end - start < 17 {
        return true;
    }
    let alone = matches!(bytes.trim_ascii(), [b'-', number @ ..] | number if number.len() == end - start);
    let name = name_before(bytes, start).or(scan.key.filter(|_| alone).map(str::as_bytes));
    place == Place::Free && !name.is_some_and(names::is_identifier)
}

/// The name that an assignment (`name=`, `"name": `) right before `start` gives to what begins there.
fn name_before(bytes: &[u8], start: usize) -> Option<&[u8]> {
    let decoration = |byte: u8| is_blank(byte) || is_quote(byte) || byte == b'\\' || byte == b'-';
    let operator = skip_back(bytes, start, decoration);
    matches!(before(bytes, operator), b'=' | b':').then_some(())?;
    let name_end = skip_back(bytes, operator - 1, decoration);
    let name = slice(bytes, skip_back(bytes, name_end, |byte| is_word(byte) || byte == b'.'), name_end);
    (!name.is_empty()).then_some(name)
}

/// Finds cards in a word that has letters in it.
pub(crate) fn in_word(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let mut run = start;
    for index in start..=end {
        let byte = if index < end { at(bytes, index) } else { 0 };
        if byte.is_ascii_digit() || (byte == b'-' && index > run) {
            continue;
        }
        if index - run >= DIGITS_MIN {
            let run_end = skip_back(bytes, index, |byte| byte == b'-').max(run);
            // `blk_-5195…` is a negative number.
            let negative = before(bytes, run) == b'-' && before(bytes, run - 1) == b'_';
            if run_end - run >= DIGITS_MIN && !negative && !is_in_hex_id(bytes, start, end, run, run_end) {
                in_run(scan, run, run_end, Place::Attached);
            }
        }
        run = index + 1;
    }
}

/// Finds a card whose groups of four, or single digits, have any one sign between them, by one of its digits at `index`.
/// A longer row of such groups is a list.
pub(crate) fn printed(scan: &mut Scan<'_>, index: usize) {
    let bytes = scan.bytes;
    // A row of single digits has not more than these.
    let end =
        skip(slice(bytes, 0, (index + 2 * DIGITS_MAX).min(bytes.len())), index, |byte| byte.is_ascii_digit());
    let (group, groups) = match at(bytes, index - 1).is_ascii_digit() {
        true => (4, 4),
        false => (1, DIGITS_MAX),
    };
    let sign = at(bytes, if group == 1 { index - 1 } else { index.saturating_sub(4) });
    if sign.is_ascii_alphanumeric() || !sign.is_ascii() || (group == 4 && end != index + 1) {
        return;
    }
    let is_group = |start: usize| {
        slice(bytes, start, start + group).iter().all(u8::is_ascii_digit)
            && !at(bytes, start + group).is_ascii_digit()
    };
    let mut digits = [0u8; DIGITS_MAX];
    let (mut start, mut count) = (index + 1 - group, 1);
    while count < groups && start > group && at(bytes, start - 1) == sign && is_group(start - 1 - group) {
        start -= group + 1;
        count += 1;
    }
    let mut end = index + 1;
    while group == 1 && count < groups && at(bytes, end) == sign && is_group(end + 1) {
        end += 2;
        count += 1;
    }
    let goes_on = (start > 1 && at(bytes, start - 1) == sign && at(bytes, start - 2).is_ascii_digit())
        || (at(bytes, end) == sign && at(bytes, end + 1).is_ascii_digit())
        || before(bytes, start).is_ascii_digit();
    let found = slice(bytes, start, end).iter().filter(|byte| byte.is_ascii_digit());
    let total = digits.iter_mut().zip(found).map(|(slot, byte)| *slot = byte - b'0').count();
    let digits = digits.get(..total).unwrap_or_default();
    if !goes_on && (group == 1 || count == groups) && is_card(digits) {
        scan.hit(start, end, Detector::Card);
    }
}

/// True where the digits are a part of a hexadecimal id of one of the usual lengths.
fn is_in_hex_id(bytes: &[u8], word_start: usize, word_end: usize, start: usize, end: usize) -> bool {
    // No id is longer than this; a word can be as long as the text.
    let window_start = start.saturating_sub(HEX_ID_MAX).max(word_start);
    let window_end = (end + HEX_ID_MAX).min(word_end);
    let is_alphanumeric = |byte: u8| byte.is_ascii_alphanumeric();
    let head = slice(bytes, window_start, start);
    let piece_start = window_start + skip_back(head, head.len(), is_alphanumeric);
    let piece_end = skip(slice(bytes, 0, window_end), end, is_alphanumeric);
    let piece = slice(bytes, piece_start, piece_end);
    let has_letter = piece.iter().any(u8::is_ascii_alphabetic);
    has_letter
        && matches!(piece.len(), 16 | 24 | 32 | 40 | 48 | 56 | 64 | 96 | 128)
        && piece.iter().all(u8::is_ascii_hexdigit)
}

/// The first card-like text in `start..end`, which a name says is one: any separators, any issuer.
pub(crate) fn named(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let mut index = start;
    while index < end {
        let run = skip(bytes, index, |byte| !byte.is_ascii_digit()).min(end);
        let run_end =
            skip(bytes, run, |byte| byte.is_ascii_digit() || matches!(byte, b' ' | b'-' | b'.')).min(end);
        if run_end - run >= DIGITS_MIN {
            in_run(scan, run, run_end, Place::Named);
        }
        index = run_end.max(run + 1);
    }
}
