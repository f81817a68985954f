//! Fields within text: JSON that was made text before it was sent (once or more often), query strings, and forms.
//!
//! What stands there under a telling name is no other than what stands there in the open. The text around it stays
//! byte for byte; a piece of JSON in which nothing is found stays whole. Python's and Ruby's printed objects are not
//! read here: `scrub` takes secrets out of them, and a repeated identifier is known by its value.

use candor_model::json;
use candor_model::{Object, SubjectKind, Value};

use super::walk::{Keep, Walker};

/// How many times text may lie in text: a request's body, logged as JSON, shipped as JSON.
const DEPTH_MAX: u8 = 4;

/// Shortest text that holds a telling name and an identifier: `ip=1.2.3`.
const BYTES_MIN: usize = 8;

/// Members whose text is a query or a form even with one field in it.
const FORMS: [&str; 9] =
    ["query_string", "query", "http.query", "url.query", "data", "body", "form", "payload", "search"];

impl Walker<'_, '_> {
    /// Takes identifiers and secrets out of the fields within a text that stands under `key`.
    pub(super) fn text(&mut self, text: &mut String, key: &str) {
        let is_form = FORMS.iter().any(|form| form.eq_ignore_ascii_case(key));
        if let Some(clean) = self.embedded(text, "", is_form) {
            *text = clean;
        }
    }

    /// The text without what identifies in it; none where that is the text itself. Its names stand at `path`.
    pub(super) fn embedded(&mut self, text: &str, path: &str, is_form: bool) -> Option<String> {
        if text.len() < BYTES_MIN || self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let clean = self.pieces(text, path);
        let fields = self.fields(clean.as_deref().unwrap_or(text), is_form);
        self.depth -= 1;
        fields.or(clean)
    }

    /// The pieces of JSON in a text, each read as far as it is JSON. What comes behind one is looked at from the end of
    /// what was read, so that a text costs what its length does.
    fn pieces(&mut self, text: &str, path: &str) -> Option<String> {
        let bytes = text.as_bytes();
        let mut edits = Edits::new(text);
        let (mut next, mut unescaped_until) = (0, 0);
        for at in memchr::memchr2_iter(b'{', b'[', bytes) {
            if at < next {
                continue;
            }
            let behind = bytes.get(at + 1..).unwrap_or_default();
            let rest = text.get(at..).unwrap_or_default();
            match opening(behind) {
                Some(Opening::Plain) => {
                    let Some((value, length)) = json::prefix(rest) else { continue };
                    next = at + length;
                    let piece = rest.get(..length).unwrap_or_default();
                    if let Some(clean) = self.json(piece, value, path) {
                        edits.replace(at, next, &clean);
                    }
                }
                Some(Opening::Escaped) if at >= unescaped_until => {
                    let (mut inner, mut length) = json::unescaped_prefix(rest);
                    let mut piece = rest.get(..length).unwrap_or_default();
                    // The quote that ended this belongs to JSON that is not escaped.
                    let kept = piece.trim_end_matches(['{', '[', ' ']);
                    if kept.len() < length && rest.as_bytes().get(length) == Some(&b'"') {
                        (inner, length) = json::unescaped_prefix(kept);
                        piece = kept;
                    }
                    if !piece.contains("\\\"") {
                        unescaped_until = at + length;
                        continue;
                    }
                    next = at + length;
                    if let Some(clean) = self.embedded(&inner, path, false) {
                        let (start, end, changed) = changed(piece, &inner, &clean, json_unit);
                        let changed = json::to_string(&Value::from(changed));
                        let changed = changed.get(1..changed.len() - 1).unwrap_or_default();
                        edits.replace(at + start, at + end, changed);
                    }
                }
                _ => {}
            }
        }
        edits.finish()
    }

    /// A piece of JSON without what identifies in it.
    fn json(&mut self, text: &str, mut value: Value, path: &str) -> Option<String> {
        let before = self.work();
        self.value(&mut value, path, Keep::Event);
        self.scrub(&mut value);
        if self.work() == before {
            return None;
        }
        let (original, _) = json::prefix(text)?;
        Some(json::patched(text, &original, &value))
    }

    /// The fields of a form, or of the queries and fragments of URLs.
    fn fields(&mut self, text: &str, is_form: bool) -> Option<String> {
        memchr::memchr(b'=', text.as_bytes())?;
        let mut edits = Edits::new(text);
        if looks_like_form(text, is_form) {
            let start = usize::from(text.starts_with(['?', '#']));
            self.pairs(start, text.trim_ascii_end().len(), &mut edits);
            return edits.finish();
        }
        let bytes = text.as_bytes();
        let (mut from, mut is_quoted) = (0, false);
        for mark in memchr::memchr2_iter(b'?', b'#', bytes) {
            if mark < from {
                continue;
            }
            let before = bytes.get(from..mark).unwrap_or_default();
            if let Some(place) = before.iter().rposition(|byte| *byte == b'\'' || ends_query(*byte)) {
                is_quoted = before.get(place) == Some(&b'\'');
            }
            let end = end_of_query(bytes, mark + 1, is_quoted);
            self.pairs(mark + 1, end, &mut edits);
            from = end;
        }
        edits.finish()
    }

    /// The fields between two places of a text, parted by `&`.
    fn pairs(&mut self, start: usize, end: usize, edits: &mut Edits<'_>) {
        let mut at = start;
        for field in edits.text.get(start..end).unwrap_or_default().split('&') {
            if let Some((name, value)) = field.split_once('=')
                && let Some((from, to, clean)) = self.field(name.strip_prefix("amp;").unwrap_or(name), value)
            {
                let value_at = at + name.len() + 1;
                edits.replace(value_at + from, value_at + to, &clean);
            }
            at += field.len() + 1;
        }
    }

    /// What takes the place of a part of a field's value, and from where to where; none where it stays.
    fn field(&mut self, name: &str, value: &str) -> Option<(usize, usize, String)> {
        // What JSON around or within this has done is not done again.
        if value.is_empty() || is_done(value) {
            return None;
        }
        // `user[email]`, as Rails and PHP write members.
        let name = decoded(name).replace('[', ".").replace(']', "");
        let text = decoded(value);
        let before = self.work();
        let mut fields = Object::from_iter([(name, Value::from(text.as_str()))]);
        self.members(&mut fields, "", Keep::Event);
        if self.work() == before {
            return None;
        }
        let clean = fields.0.pop().map(|(_, value)| value.to_text()).unwrap_or_default();
        let (start, end, changed) = changed(value, &text, &clean, percent_unit);
        Some((start, end, encoded(changed)))
    }
}

/// A text and what has been replaced in it, from its beginning on.
struct Edits<'t> {
    text: &'t str,
    out: Option<String>,
    copied: usize,
}

impl<'t> Edits<'t> {
    fn new(text: &'t str) -> Edits<'t> {
        Edits { text, out: None, copied: 0 }
    }

    fn replace(&mut self, start: usize, end: usize, by: &str) {
        let out = self.out.get_or_insert_with(|| String::with_capacity(self.text.len()));
        out.push_str(self.text.get(self.copied..start).unwrap_or_default());
        out.push_str(by);
        self.copied = end;
    }

    /// The text as it is now; none where nothing was replaced.
    fn finish(self) -> Option<String> {
        let mut out = self.out?;
        out.push_str(self.text.get(self.copied..).unwrap_or_default());
        Some(out)
    }
}

enum Opening {
    /// `{"`, `["`, `[{`
    Plain,
    /// The same as it stands within a string of more JSON.
    Escaped,
}

/// What a bracket opens that has `behind` behind it.
fn opening(behind: &[u8]) -> Option<Opening> {
    match behind.trim_ascii_start() {
        [b'"', ..] | [b'{' | b'[', b'"' | b'{', ..] => Some(Opening::Plain),
        [b'\\', ..] | [b'{' | b'[', b'\\', ..] => Some(Opening::Escaped),
        _ => None,
    }
}

/// True where all of a text is fields. Names in a form have neither spaces nor the marks of URLs, which tells a form
/// from a statement or a request's line under the same name, and a text of one field with spaces has no further `=`,
/// which tells it from `a=1 b=2`.
fn looks_like_form(text: &str, is_form: bool) -> bool {
    let text = text.strip_prefix(['?', '#']).unwrap_or(text).trim_ascii_end();
    let is_of_name = |byte: u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'%' | b'+' | b'$')
    };
    let Some((name, value)) = text.split_once('=') else { return false };
    if name.is_empty() || !name.bytes().all(is_of_name) {
        return false;
    }
    match value.contains('&') {
        true => is_form || !text.bytes().any(ends_query),
        false => is_form && !(value.contains('=') && value.contains(|c: char| c.is_ascii_whitespace())),
    }
}

/// What ends a query within a text, but for `'`.
fn ends_query(byte: u8) -> bool {
    byte.is_ascii_whitespace() || matches!(byte, b'"' | b'`' | b'<' | b'>' | b'\\')
}

/// Where the query or fragment that begins at `start` ends: a next one begins there too. `'` may stand in it, and ends
/// it where one stood before the URL, or where nothing of a query follows.
fn end_of_query(bytes: &[u8], start: usize, is_quoted: bool) -> usize {
    let rest = bytes.get(start..).unwrap_or_default();
    let goes_on = |byte: Option<&u8>| {
        byte.is_some_and(|byte| {
            byte.is_ascii_alphanumeric()
                || !byte.is_ascii()
                || matches!(byte, b'&' | b'%' | b'=' | b'+' | b'-' | b'_' | b'.')
        })
    };
    let ends = |(at, byte): (usize, &u8)| match byte {
        b'?' | b'#' => true,
        b'\'' => is_quoted || !goes_on(rest.get(at + 1)),
        byte => ends_query(*byte),
    };
    start + rest.iter().enumerate().position(ends).unwrap_or(rest.len())
}

/// What is written anew of `raw` where `old`, which it stands for, becomes `new`: from where to where, and what it
/// stands for then. `unit` gives the length of what stands for the first characters of a text, and theirs.
fn changed<'n>(
    raw: &str,
    old: &str,
    new: &'n str,
    unit: fn(&[u8]) -> (usize, usize),
) -> (usize, usize, &'n str) {
    let whole = (0, raw.len(), new);
    let same = |(one, other): &(char, char)| one == other;
    let before: usize = old.chars().zip(new.chars()).take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (Some(old_rest), Some(new_rest)) = (old.get(before..), new.get(before..)) else { return whole };
    let backwards = old_rest.chars().rev().zip(new_rest.chars().rev());
    let behind: usize = backwards.take_while(same).map(|(c, _)| c.len_utf8()).sum();
    let (mut at, mut stands_for, mut start, mut end) = (0, 0, None, None);
    loop {
        if stands_for == before {
            start = start.or(Some(at));
        }
        if stands_for == old.len() - behind {
            end = end.or(Some(at));
        }
        let rest = raw.as_bytes().get(at..).unwrap_or_default();
        if rest.is_empty() {
            break;
        }
        let (length, characters) = unit(rest);
        at += length;
        stands_for += characters;
    }
    let changed = new.get(before..new.len() - behind);
    match (start, end, changed) {
        // Otherwise the units are not what `old` was made of, as with invalid UTF-8.
        (Some(start), Some(end), Some(changed))
            if stands_for == old.len() && raw.is_char_boundary(start) && raw.is_char_boundary(end) =>
        {
            (start, end, changed)
        }
        _ => whole,
    }
}

/// A byte of a form's value, and what it stands for.
fn percent_unit(raw: &[u8]) -> (usize, usize) {
    match raw {
        [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => (3, 1),
        _ => (1, 1),
    }
}

/// A byte or an escape of JSON, and what it stands for.
fn json_unit(raw: &[u8]) -> (usize, usize) {
    let unit = |raw: &[u8]| match raw {
        [b'\\', b'u', digits @ ..] => {
            digits.get(..4).and_then(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok())
        }
        _ => None,
    };
    match (raw, unit(raw)) {
        (_, Some(0xd800..0xdc00)) => match raw.get(6..).and_then(unit) {
            Some(0xdc00..0xe000) => (12, 4),
            _ => (6, 3),
        },
        (_, Some(code)) => (6, char::from_u32(code).map_or(3, char::len_utf8)),
        ([b'\\', b'"' | b'\\' | b'/' | b'n' | b'r' | b't' | b'b' | b'f', ..], _) => (2, 1),
        _ => (1, 1),
    }
}

/// True for a code: a value that was replaced before.
fn is_done(value: &str) -> bool {
    let Some((kind, code)) = value.split_once(':') else {
        let is_placeholder = || SubjectKind::ALL.iter().any(|kind| value == super::found::placeholder(*kind));
        return value == super::ADDRESS_PLACEHOLDER || value.starts_with('[') && is_placeholder();
    };
    code.len() == CODE_LENGTH
        && SubjectKind::ALL.iter().any(|known| known.name() == kind)
        && code.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'))
}

/// Characters of a code behind its kind.
const CODE_LENGTH: usize = 26;

/// Percent-encoding undone, and `+` of forms (WHATWG URL, application/x-www-form-urlencoded).
fn decoded(text: &str) -> String {
    if !text.contains(['%', '+']) {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let hex = |byte: Option<&u8>| byte.and_then(|byte| char::from(*byte).to_digit(16));
        match (byte, hex(behind.first()), hex(behind.get(1))) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = behind.get(2..).unwrap_or_default();
            }
            (b'+', ..) => bytes.push(b' '),
            _ => bytes.push(*byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A field's value as a query has it, but that codes and placeholders stay readable.
fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => out.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'~' | b':' | b'[' | b']' | b'@' | b',' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}
