//! Telephone numbers. With a plus the country's code and length decide (E.164). Without, only two things do: North
//! American numbers as they are printed, and a word for a telephone right before or behind the number; other groups of
//! digits are dates, amounts and ids.

use std::sync::LazyLock;

use aho_corasick::AhoCorasick;

use super::numbers::separates;
use super::{calling, has_word, is_named_before, name_says};
use crate::bytes::{at, before, is_blank, skip, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// Fewest and most digits of a number that a word announces.
pub(super) const DIGITS_MIN: usize = 7;
pub(super) const DIGITS_MAX: usize = 15;
/// How far before a number a word for it is looked for, bytes.
const NAME_REACH: usize = 32;
/// Longest extension behind a number, digits.
const EXTENSION_MAX: usize = 6;

/// Words for telephones, as they stand before numbers.
const WORDS: [&[u8]; 22] = [
    b"phone",
    b"phones",
    b"telephone",
    b"tel",
    b"mobile",
    b"cell",
    b"cellphone",
    b"fax",
    b"msisdn",
    b"whatsapp",
    b"landline",
    b"hotline",
    b"desk",
    b"handy",
    b"telefon",
    b"mobil",
    b"phone_number",
    b"phonenumber",
    b"sms",
    b"dial",
    b"voicemail",
    b"callback",
];
/// Words that lead to a number in a sentence, with what has to follow them.
const LEADING: [(&[u8], &[&[u8]]); 7] = [
    (b"call", &[b"me", b"us", b"him", b"her", b"them", b"at", b"on"]),
    (b"answering", &[b"at", b"on"]),
    (b"reach", &[b"me", b"us", b"at", b"on"]),
    (b"contact", &[b"me", b"us", b"at", b"on"]),
    (b"messages", &[b"to"]),
    (b"text", &[b"me", b"us"]),
    (b"registered", &[b"registered"]),
];
/// Words behind a number, with a dash between them.
const BEHIND: [&[u8]; 6] = [b"office", b"fax", b"mobile", b"home", b"work", b"cell"];

/// True where a name says that its value is a telephone number.
pub(super) fn is_name(name: &str) -> bool {
    const NAMES: [&[u8]; 9] =
        [b"phone", b"telephone", b"tel", b"mobile", b"cell", b"fax", b"msisdn", b"whatsapp", b"telefon"];
    const ABOUT: [&[u8]; 8] = [b"type", b"id", b"count", b"model", b"os", b"verified", b"country", b"brand"];
    name_says(name, &NAMES) && !name_says(name, &ABOUT)
}

/// Looks at groups of digits; gives how many from the first on were struck.
pub(super) fn at_group(scan: &mut Scan<'_>, groups: &[(usize, usize)]) -> Option<usize> {
    let bytes = scan.bytes;
    let first = groups.first()?.0;
    let sign = opening(bytes, first);
    let count = match at(bytes, sign) == b'+' {
        true => international(bytes, groups)?,
        false => match north_american(bytes, groups) {
            Some(count) => count,
            None => announced(scan, groups)?,
        },
    };
    let end = extension_end(bytes, groups.get(count - 1)?.1);
    // Digits of a longer word, a decimal fraction, a unit.
    if at(bytes, end).is_ascii_alphabetic() || at(bytes, end) == b'_' {
        return None;
    }
    let start = if matches!(at(bytes, sign), b'+' | b'(') { sign } else { first };
    scan.hit(start, end, Detector::Phone);
    Some(count)
}

/// Where the sign stands that a number begins with, if one does: `+`, `(`, `+(`.
fn opening(bytes: &[u8], first: usize) -> usize {
    let open = if before(bytes, first) == b'(' { first - 1 } else { first };
    match before(bytes, open) {
        b'+' if !before(bytes, open - 1).is_ascii_alphanumeric() => open - 1,
        _ => open,
    }
}

fn length(groups: &[(usize, usize)], index: usize) -> usize {
    groups.get(index).map_or(0, |(start, end)| end - start)
}

/// How many groups are a number with its country's code.
fn international(bytes: &[u8], groups: &[(usize, usize)]) -> Option<usize> {
    let mut digits: Vec<u8> = Vec::with_capacity(DIGITS_MAX);
    let mut has_trunk = false;
    let mut found = None;
    for (index, (start, end)) in groups.iter().copied().enumerate() {
        // `+44 (0)20 …`: dialled within the country alone.
        let is_trunk = index > 0 && slice(bytes, start, end) == b"0" && before(bytes, start) == b'(';
        has_trunk |= is_trunk;
        if !is_trunk {
            digits.extend(slice(bytes, start, end).iter().map(|byte| byte - b'0'));
        }
        if digits.len() > DIGITS_MAX {
            break;
        }
        let Some((code, least, most)) = calling::code(&digits) else { break };
        let national = digits.len().saturating_sub(code);
        if national > most {
            break;
        }
        if national >= least {
            found = Some(index + 1);
        }
        // A group behind a whole number begins something else, unless it is a short one of the same number.
        let next = groups.get(index + 1).map_or(0, |(start, end)| end - start);
        if national >= least && next > 4 {
            break;
        }
    }
    // What is printed without its own length is none; a trunk prefix alone says nothing.
    found.filter(|_| !has_trunk || digits.len() > 6)
}

/// How many groups are a North American number as it is printed: `(415) 555-0132`, `1-415-555-0132`, `415.555.0132`.
fn north_american(bytes: &[u8], groups: &[(usize, usize)]) -> Option<usize> {
    let is_prefixed =
        groups.first().is_some_and(|(start, end)| matches!(slice(bytes, *start, *end), b"1" | b"001"));
    let skipped = usize::from(is_prefixed);
    let own = groups.get(skipped..)?;
    if (length(own, 0), length(own, 1), length(own, 2)) != (3, 3, 4) {
        return None;
    }
    let (area, exchange, line) = (own.first()?, own.get(1)?, own.get(2)?);
    let begins_well = |group: &(usize, usize)| matches!(at(bytes, group.0), b'2'..=b'9');
    let between = |left: &(usize, usize), right: &(usize, usize)| slice(bytes, left.1, right.0);
    let is_open = before(bytes, area.0) == b'(';
    let (one, two) = (between(area, exchange), between(exchange, line));
    let is_printed = match one {
        b")" | b") " | b")-" => is_open && matches!(two, b"-" | b"." | b" "),
        b"-" | b"." => two == one,
        _ => false,
    };
    // More of the same goes on: a version, an id, a date.
    let next = groups.get(skipped + 3).map_or(&b""[..], |next| slice(bytes, line.1, next.0));
    let goes_on = !is_open && !next.is_empty() && next == one;
    let sign = before(bytes, groups.first()?.0);
    let is_tail = !is_open && !is_prefixed && matches!(sign, b'-' | b'.' | b'/');
    (is_printed && !goes_on && !is_tail && begins_well(area) && begins_well(exchange)).then_some(skipped + 3)
}

/// Every word that announces a number, to see whether a text has any.
static ANNOUNCING: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let leading = LEADING.iter().map(|(word, _)| *word);
    let words = WORDS.into_iter().chain(leading).chain(BEHIND).chain([&b"my"[..]]);
    AhoCorasick::builder().ascii_case_insensitive(true).build(words).ok()
});

/// How many groups a word for a telephone announces.
fn announced(scan: &mut Scan<'_>, groups: &[(usize, usize)]) -> Option<usize> {
    let bytes = scan.bytes;
    // Most texts have no such word, and are asked once.
    let is_announcing = || ANNOUNCING.as_ref().is_none_or(|words| words.is_match(bytes));
    if !*scan.announces_phone.get_or_insert_with(is_announcing) {
        return None;
    }
    let start = groups.first()?.0;
    if matches!(before(bytes, start), b'-' | b'.' | b'/') && before(bytes, start - 1).is_ascii_alphanumeric()
    {
        return None;
    }
    let mut digits = 0;
    let mut count = 0;
    for (index, (start, end)) in groups.iter().enumerate() {
        let more = end - start;
        // A date begins, or the sum is too long for a number.
        if digits + more > 13 || more > 13 {
            break;
        }
        digits += more;
        count = index + 1;
    }
    let end = groups.get(count.checked_sub(1)?)?.1;
    if !(DIGITS_MIN..=13).contains(&digits) || is_date(bytes, groups) {
        return None;
    }
    let is_said =
        is_said_before(bytes, start, count > 1 || digits >= 10) || is_said_behind(bytes, end, count > 1);
    is_said.then_some(count)
}

/// True for `2026-01-02`, `02.01.2026` and addresses.
fn is_date(bytes: &[u8], groups: &[(usize, usize)]) -> bool {
    let sign = groups.first().map_or(0, |(_, end)| at(bytes, *end));
    let lengths = (length(groups, 0), length(groups, 1), length(groups, 2));
    let is_year = |index: usize| {
        groups.get(index).is_some_and(|(start, end)| {
            let text = slice(bytes, *start, *end);
            text.starts_with(b"19") || text.starts_with(b"20")
        })
    };
    match lengths {
        (4, 2, 2) if is_year(0) => matches!(sign, b'-' | b'.' | b'/'),
        (2, 2, 4) if is_year(2) => matches!(sign, b'-' | b'.' | b'/'),
        _ => false,
    }
}

fn is_said_before(bytes: &[u8], start: usize, is_long: bool) -> bool {
    if is_named_before(bytes, start, NAME_REACH, &WORDS) {
        return true;
    }
    let reach = slice(bytes, start.saturating_sub(NAME_REACH), start);
    let says = |word: &[u8]| has_word(reach, word);
    // `My number is …`, but not that of something else.
    const OTHERS: [&[u8]; 11] = [
        b"license",
        b"licence",
        b"card",
        b"account",
        b"order",
        b"passport",
        b"invoice",
        b"tracking",
        b"serial",
        b"security",
        b"reference",
    ];
    if says(b"my") && says(b"number") && !OTHERS.iter().any(|other| says(other)) {
        return true;
    }
    is_long && LEADING.iter().any(|(word, next)| says(word) && next.iter().any(|next| says(next)))
}

fn is_said_behind(bytes: &[u8], end: usize, is_grouped: bool) -> bool {
    let rest = slice(bytes, end, (end + 10).min(bytes.len()));
    let word = match rest.split_first() {
        Some((b'-', word)) => word,
        Some((b' ', word)) if is_grouped => word,
        _ => return false,
    };
    BEHIND.iter().any(|known| {
        word.get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known))
            && !at(word, known.len()).is_ascii_alphabetic()
    })
}

/// The end of an extension behind a number, or of the number: `x123`, ` ext. 123`.
fn extension_end(bytes: &[u8], end: usize) -> usize {
    let start = skip(bytes, end, is_blank);
    let rest = slice(bytes, start, (start + 4).min(bytes.len()));
    const MARKS: [&[u8]; 3] = [b"ext.", b"ext", b"x"];
    let mark =
        MARKS.iter().find(|mark| rest.get(..mark.len()).is_some_and(|head| head.eq_ignore_ascii_case(mark)));
    let Some(mark) = mark else { return end };
    let digits = skip(bytes, start + mark.len(), is_blank);
    let digits_end = skip(bytes, digits, |byte| byte.is_ascii_digit());
    let is_extension = (1..=EXTENSION_MAX).contains(&(digits_end - digits)) && !separates(at(bytes, end - 1));
    if is_extension { digits_end } else { end }
}
