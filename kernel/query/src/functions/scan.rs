//! A walk over JSON text to one value by path, without building a tree.
//!
//! `event` is a whole event, tens of kilobytes; a query that wants `event->>'release'` of a million of them must not
//! allocate each. The text was written by Candor's own serialiser; what is not JSON all the same gives no value,
//! and nothing here recurses.

use std::borrow::Cow;

use candor_model::json::{Leniency, parse};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// A member of an object.
    Key(String),
    /// An item of an array: from 0; negative from the end.
    Index(i64),
}

/// The kind of a value, by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Boolean,
    Null,
}

/// The raw text of the value at a path.
pub(crate) fn find<'a>(json: &'a str, path: &[Step]) -> Option<&'a str> {
    let mut value = value_at(json, skip_space(json.as_bytes(), 0))?;
    for step in path {
        value = match step {
            Step::Key(key) => Members::new(value)?.find(|(name, _)| *name == *key)?.1,
            Step::Index(index) => item(value, *index)?,
        };
    }
    Some(value)
}

/// The kind of a raw value.
pub(crate) fn kind(raw: &str) -> Option<Kind> {
    Some(match raw.as_bytes().first()? {
        b'{' => Kind::Object,
        b'[' => Kind::Array,
        b'"' => Kind::Text,
        b't' | b'f' => Kind::Boolean,
        b'n' => Kind::Null,
        b'-' | b'0'..=b'9' => Kind::Number,
        _ => return None,
    })
}

/// A raw string without quotes and escapes.
pub(crate) fn unquote(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    let leniency = Leniency { replace_invalid: true, ..Leniency::default() };
    let value = parse(raw.as_bytes(), leniency).ok()?;
    value.as_str().map(|text| Cow::Owned(text.to_owned()))
}

/// A value as `->>` gives it: a string without quotes, null as none, the rest as JSON.
pub(crate) fn text(raw: &str) -> Option<Cow<'_, str>> {
    match kind(raw)? {
        Kind::Text => unquote(raw),
        Kind::Null => None,
        _ => Some(Cow::Borrowed(raw)),
    }
}

/// How many members or items a value has.
pub(crate) fn length(raw: &str) -> Option<usize> {
    match kind(raw)? {
        Kind::Object => Some(Members::new(raw)?.count()),
        Kind::Array => Some(Items::new(raw)?.count()),
        _ => None,
    }
}

fn item(raw: &str, index: i64) -> Option<&str> {
    let items = Items::new(raw)?;
    match usize::try_from(index) {
        Ok(index) => items.into_iter().nth(index),
        Err(_) => {
            let back = usize::try_from(index.unsigned_abs()).ok()?;
            let all: Vec<&str> = items.collect();
            all.get(all.len().checked_sub(back)?).copied()
        }
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// The end of the string that begins at `at` with a quote: just past its closing quote.
fn string_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let found = at + memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(found) == Some(&b'"') {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

/// The raw value that begins at `at`.
fn value_at(json: &str, at: usize) -> Option<&str> {
    let bytes = json.as_bytes();
    let end = match bytes.get(at)? {
        b'"' => string_end(bytes, at)?,
        b'{' | b'[' => {
            let mut depth = 0_usize;
            let mut next = at;
            loop {
                match bytes.get(next)? {
                    b'"' => {
                        next = string_end(bytes, next)?;
                        continue;
                    }
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                next += 1;
                if depth == 0 {
                    break next;
                }
            }
        }
        _ => {
            let rest = bytes.get(at..)?;
            let length = rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
            at + length.unwrap_or(rest.len())
        }
    };
    json.get(at..end).filter(|raw| !raw.is_empty())
}

/// The members of an object.
pub(crate) struct Members<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Members<'a> {
    /// Of a raw object; none of anything else.
    pub(crate) fn new(raw: &'a str) -> Option<Members<'a>> {
        raw.starts_with('{').then_some(Members { json: raw, at: 1 })
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (Cow<'a, str>, &'a str);

    fn next(&mut self) -> Option<(Cow<'a, str>, &'a str)> {
        let bytes = self.json.as_bytes();
        let start = skip_space(bytes, self.at);
        if bytes.get(start) != Some(&b'"') {
            return None;
        }
        let end = string_end(bytes, start)?;
        let key = unquote(self.json.get(start..end)?)?;
        let colon = skip_space(bytes, end);
        if bytes.get(colon) != Some(&b':') {
            return None;
        }
        let value_start = skip_space(bytes, colon + 1);
        let value = value_at(self.json, value_start)?;
        let next = skip_space(bytes, value_start + value.len());
        self.at = if bytes.get(next) == Some(&b',') { next + 1 } else { bytes.len() };
        Some((key, value))
    }
}

/// The items of an array.
pub(crate) struct Items<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Items<'a> {
    /// Of a raw array; none of anything else.
    pub(crate) fn new(raw: &'a str) -> Option<Items<'a>> {
        raw.starts_with('[').then_some(Items { json: raw, at: 1 })
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let bytes = self.json.as_bytes();
        let start = skip_space(bytes, self.at);
        if matches!(bytes.get(start), None | Some(b']')) {
            return None;
        }
        let value = value_at(self.json, start)?;
        let next = skip_space(bytes, start + value.len());
        self.at = if bytes.get(next) == Some(&b',') { next + 1 } else { bytes.len() };
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str =
        r#"{"a":{"b":[1,{"c":"x\"y"},-2.5e3,null,true]},"k\u0041":"\u00e9","s":"}{][,", "e":{}, "l":[]}"#;

    fn at(path: &[Step]) -> Option<&'static str> {
        find(EVENT, path)
    }

    fn key(name: &str) -> Step {
        Step::Key(name.to_owned())
    }

    #[test]
    fn paths_reach_members_and_items() {
        let b = [key("a"), key("b")];
        let of = |index| at(&[&b[..], &[Step::Index(index)]].concat());
        assert_eq!(of(0), Some("1"));
        assert_eq!(of(2), Some("-2.5e3"));
        assert_eq!(of(-1), Some("true"));
        assert_eq!(of(-5), Some("1"));
        assert_eq!(of(-6), None);
        assert_eq!(of(5), None);
        let c = at(&[&b[..], &[Step::Index(1), key("c")]].concat());
        assert_eq!(c.and_then(text).as_deref(), Some("x\"y"));
        assert_eq!(at(&[key("kA")]).and_then(text).as_deref(), Some("é"));
        assert_eq!(at(&[key("s")]).and_then(text).as_deref(), Some("}{][,"));
        assert_eq!(at(&[key("e")]).and_then(length), Some(0));
        assert_eq!(at(&[key("l")]).and_then(length), Some(0));
        assert_eq!(at(&b).and_then(length), Some(5));
        assert_eq!(at(&[key("nope")]), None);
        assert_eq!(at(&[key("s"), key("x")]), None);
    }

    #[test]
    fn what_is_no_json_gives_nothing_and_ends() {
        let seeds = [
            "", "{", "[", "\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[", "[1,", "]", "}", "\\", "[,]", "{,}",
        ];
        for seed in seeds {
            for path in [vec![], vec![key("a")], vec![Step::Index(0)], vec![Step::Index(-1)]] {
                if let Some(raw) = find(seed, &path) {
                    let _ = (kind(raw), length(raw), text(raw));
                }
            }
        }
        let deep = "[".repeat(1_000_000);
        assert_eq!(find(&deep, &[Step::Index(0)]), None);
    }
}
