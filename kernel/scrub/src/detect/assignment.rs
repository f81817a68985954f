//! Secrets that a name in the text announces: `password=…`, `"token": "…"`, `Cookie: …`, `("authorization", "…")`,
//! `<secret>…`, `--password …`, at any depth of escaping.

use crate::bytes::{at, before, is_blank, is_quote, is_word, skip, skip_back, slice};
use crate::detect::{card, ssn, value};
use crate::names::{self, Meaning, Secrecy};
use crate::rules::Detector;
use crate::scan::{Scan, Word};

/// Most bytes (quotes, backslashes, blanks) between a name and its operator.
const GAP_MAX: usize = 12;
/// Longest name that is looked back for, bytes.
const TYPED_NAME_MAX: usize = 64;

/// What stands between a name and what it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// `=`, `:=`, `=>`
    Equals,
    /// `:`
    Colon,
    /// A comma in a pair, a tag's bracket, a blank behind an option.
    Other,
}

/// Looks at the `=` or `:` at `operator` behind a word.
pub(crate) fn around_operator(scan: &mut Scan<'_>, word: Word, operator: usize) {
    let bytes = scan.bytes;
    let gap = slice(bytes, word.end, operator);
    let is_equals = at(bytes, operator) == b'=';
    // `::=`, `?=`, `.=`, `+=`, `||=` of makefiles and languages.
    let of_operator = |byte: u8| is_equals && matches!(byte, b':' | b'?' | b'.' | b'+' | b'|');
    let decoration =
        |byte: &u8| is_quote(*byte) || is_blank(*byte) || matches!(*byte, b'\\' | b']') || of_operator(*byte);
    if gap.len() > GAP_MAX || !gap.iter().all(decoration) {
        return;
    }
    if is_value_label(slice(bytes, word.start, word.end)) {
        return around_attribute(scan, word, operator);
    }
    let Some(word) = typed_name(scan, word).filter(|name| scan.may_name(*name)) else { return };
    let gap = slice(bytes, word.end, operator);
    let (sign, next) = (at(bytes, operator), at(bytes, operator + 1));
    let (link, behind) = match (sign, next) {
        (b':', b':') => return,
        (b':', b'/') if at(bytes, operator + 2) == b'/' => return,
        (b':', b'=') => (Link::Equals, operator + 2),
        (b':', _) => (Link::Colon, operator + 1),
        (_, b'>') => (Link::Equals, operator + 2),
        (_, b'=') => (Link::Equals, skip(bytes, operator, |byte| byte == b'=')),
        _ => (Link::Equals, operator + 1),
    };
    if before(bytes, word.start) == b':' && link == Link::Colon {
        return;
    }
    let quoted_name = gap.iter().any(|byte| is_quote(*byte));
    named(scan, word, behind, link, quoted_name);
}

/// The name that an assignment is to: the word before the operator, or before the type that stands between
/// (`var token string = …`, `token: string = …`).
fn typed_name(scan: &Scan<'_>, word: Word) -> Option<Word> {
    const TYPES: [&[u8]; 4] = [b"string", b"String", b"str", b"bytes"];
    let bytes = scan.bytes;
    if !TYPES.contains(&slice(bytes, word.start, word.end)) {
        return Some(word);
    }
    let end = skip_back(bytes, word.start, |byte| is_blank(byte) || byte == b':');
    let floor = end.saturating_sub(TYPED_NAME_MAX);
    let start = floor + skip_back(slice(bytes, floor, end), end - floor, is_word);
    (start < end && end < word.start).then_some(Word { start, end })
}

/// `key="Password" value="…"`: attributes of a tag, of which one says what the other is. `word` is the second's name.
fn around_attribute(scan: &mut Scan<'_>, word: Word, operator: usize) {
    let bytes = scan.bytes;
    let close = skip_back(bytes, word.start, is_blank);
    if close == word.start || !is_quote(before(bytes, close)) {
        return;
    }
    let floor = close.saturating_sub(TYPED_NAME_MAX);
    let start = floor + skip_back(slice(bytes, floor, close - 1), close - 1 - floor, is_word);
    let name = Word { start, end: close - 1 };
    if !is_quote(before(bytes, start)) || before(bytes, start - 1) != b'=' || !scan.may_name(name) {
        return;
    }
    let label_end = start - 2;
    let label = slice(
        bytes,
        skip_back(slice(bytes, floor.min(label_end), label_end), label_end - floor.min(label_end), is_word)
            + floor.min(label_end),
        label_end,
    );
    if is_name_label(label) {
        named(scan, name, operator + 1, Link::Other, true);
    }
}

/// Looks at the comma at `comma`, right behind a quoted word: `["Cookie", "…"]`, `("token", "…")`, and
/// `{"name": "Cookie", "value": "…"}`.
pub(crate) fn around_comma(scan: &mut Scan<'_>, word: Word, comma: usize) {
    let bytes = scan.bytes;
    if !scan.may_name(word) {
        return;
    }
    let gap = slice(bytes, word.end, comma);
    let closing = gap.iter().all(|byte| is_quote(*byte) || *byte == b'\\');
    let open = skip_back(bytes, word.start, |byte| {
        is_quote(byte) || matches!(byte, b'\\' | b'b' | b'u') || is_blank(byte)
    });
    if gap.len() > GAP_MAX || !closing || open == word.start {
        return;
    }
    match before(bytes, open) {
        b'[' | b'(' => named(scan, word, comma + 1, Link::Other, true),
        b':' => {
            let is_label = |byte: u8| is_quote(byte) || byte == b'\\' || is_blank(byte);
            let label_end = skip_back(bytes, open - 1, is_label);
            let label = slice(bytes, skip_back(bytes, label_end, is_word), label_end);
            let value_label = skip(bytes, comma + 1, is_label);
            let value_label_end = skip(bytes, value_label, is_word);
            let operator = skip(bytes, value_label_end, is_label);
            if is_name_label(label)
                && is_value_label(slice(bytes, value_label, value_label_end))
                && at(bytes, operator) == b':'
            {
                named(scan, word, operator + 1, Link::Other, true);
            }
        }
        _ => {}
    }
}

/// True for what lists of pairs call the name: `{"name": …, "value": …}`.
pub(crate) fn is_name_label(label: &[u8]) -> bool {
    [&b"name"[..], b"key", b"header", b"field", b"param", b"parameter"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(label))
}

/// True for what lists of pairs call the value.
pub(crate) fn is_value_label(label: &[u8]) -> bool {
    [&b"value"[..], b"val", b"content", b"text", b"data"]
        .iter()
        .any(|known| known.eq_ignore_ascii_case(label))
}

/// Looks at the `>` that closes the tag `<word>`.
pub(crate) fn around_tag(scan: &mut Scan<'_>, word: Word, bracket: usize) {
    if before(scan.bytes, word.start) == b'<' && word.end == bracket && scan.may_name(word) {
        // What it encloses may stand on a line of its own.
        let behind = skip(scan.bytes, bracket + 1, |byte| byte.is_ascii_whitespace());
        named(scan, word, behind, Link::Other, true);
    }
}

/// How far before `-u` the command is looked for, bytes.
const COMMAND_REACH: usize = 512;

/// Strikes the password in `curl -u user:password`.
pub(crate) fn after_user_option(scan: &mut Scan<'_>, option_end: usize) {
    let bytes = scan.bytes;
    let start = skip(bytes, option_end, is_blank);
    let quote = Some(at(bytes, start)).filter(|byte| is_quote(*byte));
    let content = start + usize::from(quote.is_some());
    let end = skip(bytes, content, |byte| match quote {
        Some(quote) => byte != quote && byte != b'\n',
        None => !byte.is_ascii_whitespace() && !is_quote(byte),
    });
    let Some(colon) = memchr::memchr(b':', slice(bytes, content, end)) else { return };
    let password = content + colon + 1;
    let text = slice(bytes, password, end);
    let command = slice(bytes, option_end.saturating_sub(COMMAND_REACH), option_end);
    let is_curl = memchr::memmem::find(command, b"curl").is_some();
    if is_curl && value::is_secret(scan, text, Secrecy::Password, false) {
        scan.hit(password, end, Detector::SecretName);
    }
}

/// Looks behind the option `--word`.
pub(crate) fn after_option(scan: &mut Scan<'_>, word: Word) {
    let bytes = scan.bytes;
    let next = skip(bytes, word.end, is_blank);
    if next > word.end && at(bytes, next) != b'-' && scan.may_name(word) {
        named(scan, word, word.end, Link::Other, false);
    }
}

/// Strikes what stands from `behind` on, if the name calls it a secret and it looks like one.
fn named(scan: &mut Scan<'_>, name: Word, behind: usize, link: Link, quoted_name: bool) {
    let bytes = scan.bytes;
    let Word { start: name_start, end: name_end } = name;
    let mut meaning = names::meaning(slice(bytes, name_start, name_end));
    if meaning == Meaning::Ordinary && name_start >= 2 && at(bytes, name_start - 2) == b'\\' {
        // What was taken for an escape may be the end of a path: `C:\\token=…`.
        meaning = names::meaning(slice(bytes, name_start - 1, name_end));
    }
    if meaning == Meaning::Ordinary {
        return;
    }
    // The kind of a person's code may be such a name (`session:…`).
    let code_end = behind + value::CODE_BYTES;
    if value::is_person_code(slice(bytes, name_start, code_end))
        && !at(bytes, code_end).is_ascii_alphanumeric()
    {
        return;
    }
    let start = skip(bytes, behind, is_blank);
    let secrecy = match meaning {
        Meaning::Secret(secrecy) if scan.detects(Detector::SecretName) => secrecy,
        Meaning::Card if scan.detects(Detector::Card) => {
            let end = skip(bytes, start, |byte| {
                !byte.is_ascii_alphabetic() && !matches!(byte, b',' | b';' | b'\n')
            });
            return card::named(scan, start, end);
        }
        Meaning::Ssn if scan.detects(Detector::SsnUs) => {
            let start = skip(bytes, start, |byte| is_quote(byte) || byte == b'\\');
            let end = skip(bytes, start, |byte| byte.is_ascii_digit() || matches!(byte, b'-' | b' ' | b'.'));
            let end = skip_back(bytes, end, |byte| !byte.is_ascii_digit()).max(start);
            return ssn::in_run(scan, start, end, true);
        }
        _ => return,
    };
    // A working directory, as the environment calls it.
    let name = slice(bytes, name_start, name_end);
    if matches!(name, b"PWD" | b"OLDPWD") && matches!(at(bytes, start), b'/' | b'\\') {
        return;
    }
    // `Unexpected token: }` of a parser.
    let word_before =
        skip_back(bytes, skip_back(bytes, name_start, is_blank), |byte| byte.is_ascii_alphabetic());
    if secrecy == Secrecy::Token
        && slice(bytes, word_before, name_start).to_ascii_lowercase().starts_with(b"unexpected")
    {
        return;
    }
    // The quote before the name encloses the value too, if the name is not closed by one.
    let inside = Some(before(bytes, name_start)).filter(|byte| is_quote(*byte) && !quoted_name);
    let Some(found) = value::at_start(scan, start, secrecy, inside) else { return };
    let spaced = start > behind;
    let prose = !found.quoted && link == Link::Colon && spaced;
    if !found.quoted
        && spaced
        && !quoted_name
        && link != Link::Other
        && value::is_code(bytes, found.start, found.end)
    {
        return;
    }
    let text = slice(bytes, found.start, found.end);
    // `tokens=512` counts.
    if secrecy == Secrecy::Token && name.ends_with(b"s") && text.iter().all(u8::is_ascii_digit) {
        return;
    }
    if value::is_secret(scan, text, secrecy, prose) {
        scan.hit(found.start, found.end, Detector::SecretName);
    }
}
