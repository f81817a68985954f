//! Fields within text: JSON that was made text before it was sent (once or more often), query strings, and forms.
//!
//! What stands there under a telling name is no other than what stands there in the open. The text around it stays
//! byte for byte; a piece of JSON in which nothing is found stays whole. Python's and Ruby's printed objects are not
//! read here: `scrub` takes secrets out of them, and a repeated identifier is known by its value.

use candor_model::json::{self, Leniency};
use candor_model::{Object, Value};

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
        if let Some(clean) = self.embedded(text, "", FORMS.contains(&key)) {
            *text = clean;
        }
    }

    /// The text without what identifies in it; none where that is the text itself. Its names stand at `path`.
    pub(super) fn embedded(&mut self, text: &str, path: &str, is_form: bool) -> Option<String> {
        if text.len() < BYTES_MIN || self.depth >= DEPTH_MAX {
            return None;
        }
        self.depth += 1;
        let clean = match json_within(text) {
            Some((start, end)) => {
                let (before, rest) = text.split_at_checked(start)?;
                let (inner, behind) = rest.split_at_checked(end - start)?;
                let clean = self.json(inner, path).or_else(|| self.escaped(inner, path));
                clean.map(|clean| [before, &clean, behind].concat())
            }
            None => None,
        };
        let fields = self.fields(clean.as_deref().unwrap_or(text), is_form);
        self.depth -= 1;
        fields.or(clean)
    }

    fn json(&mut self, text: &str, path: &str) -> Option<String> {
        let mut value = json::parse(text.as_bytes(), Leniency::LENIENT).ok()?;
        let before = self.work();
        self.value(&mut value, path, Keep::Event);
        self.scrub(&mut value);
        if self.work() == before {
            return None;
        }
        let original = json::parse(text.as_bytes(), Leniency::LENIENT).ok()?;
        Some(json::patched(text, &original, &value))
    }

    /// JSON whose quotes are escaped, as it stands within a string of more JSON.
    fn escaped(&mut self, text: &str, path: &str) -> Option<String> {
        if !text.contains("\\\"") {
            return None;
        }
        let quoted = format!("\"{text}\"");
        let Ok(Value::Str(inner)) = json::parse(quoted.as_bytes(), Leniency::LENIENT) else { return None };
        let clean = json::to_string(&Value::Str(self.embedded(&inner, path, false)?));
        Some(clean.get(1..clean.len() - 1)?.to_owned())
    }

    /// The fields of a form and of the queries of URLs.
    fn fields(&mut self, text: &str, is_form: bool) -> Option<String> {
        let bytes = text.as_bytes();
        memchr::memchr(b'=', bytes)?;
        let ends = |from: usize| {
            let rest = bytes.get(from..).unwrap_or_default();
            let ends = |byte: &u8| {
                byte.is_ascii_whitespace()
                    || matches!(byte, b'"' | b'\'' | b'`' | b'<' | b'>' | b'#' | b'\\' | b'?')
            };
            from + rest.iter().position(ends).unwrap_or(rest.len())
        };
        let mut out: Option<String> = None;
        let mut copied = 0;
        let is_whole = ends(0) == bytes.len() && (is_form || memchr::memchr(b'&', bytes).is_some());
        let mut starts = memchr::memchr_iter(b'?', bytes).map(|mark| mark + 1);
        let first = if is_whole { Some(0) } else { starts.next() };
        let mut next = first;
        while let Some(start) = next {
            let end = ends(start);
            let mut at = start;
            for field in text.get(start..end).unwrap_or_default().split('&') {
                if let Some((name, value)) = field.split_once('=')
                    && let Some(clean) = self.field(name.strip_prefix("amp;").unwrap_or(name), value)
                {
                    let value_at = at + name.len() + 1;
                    let out = out.get_or_insert_with(|| String::with_capacity(text.len()));
                    out.push_str(text.get(copied..value_at).unwrap_or_default());
                    out.push_str(&clean);
                    copied = value_at + value.len();
                }
                at += field.len() + 1;
            }
            next = starts.find(|start| *start > end);
        }
        let mut out = out?;
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }

    /// What takes the place of a field's value; none where it stays.
    fn field(&mut self, name: &str, value: &str) -> Option<String> {
        if value.is_empty() {
            return None;
        }
        // `user[email]`, as Rails and PHP write members.
        let name = decoded(name).replace('[', ".").replace(']', "");
        let text = decoded(value);
        let before = self.work();
        let mut fields = Object::from_iter([(name, Value::Str(text))]);
        self.members(&mut fields, "", Keep::Event);
        if self.work() == before {
            return None;
        }
        let clean = fields.0.pop().map(|(_, value)| value.to_text()).unwrap_or_default();
        Some(encoded(&clean))
    }
}

/// Where a text holds JSON, if it looks so: from the first bracket that opens an object or a list of something to the
/// last that closes one.
fn json_within(text: &str) -> Option<(usize, usize)> {
    let bytes = text.as_bytes();
    let opens = |at: usize| {
        let rest = bytes.get(at + 1..).unwrap_or_default().trim_ascii_start();
        matches!(rest, [b'"' | b'\\', ..] | [b'{' | b'[', b'"' | b'\\' | b'{', ..])
    };
    let start = memchr::memchr2_iter(b'{', b'[', bytes).take(BRACKETS_MAX).find(|at| opens(*at))?;
    let close = if bytes.get(start) == Some(&b'{') { b'}' } else { b']' };
    let end = memchr::memrchr(close, bytes)? + 1;
    (end > start + 1).then_some((start, end))
}

/// Brackets that are looked at before a text is taken for one without JSON.
const BRACKETS_MAX: usize = 16;

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
