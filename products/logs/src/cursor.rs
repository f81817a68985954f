//! A walk over JSON text without building a tree of it.
//!
//! Batches are taken apart here, record by record, before anything is parsed in earnest: so one bad record is
//! dropped and its neighbours live, limits hold for each record and not for the batch, and OTLP's wordy JSON
//! becomes records without a tree between. [`Cursor::skip`] only finds where a value ends; what looks at the value
//! finds what is wrong with it.

use std::borrow::Cow;

use candor_model::Value;
use memchr::memchr2;

/// The text is not JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// What is wrong, without quoting the input.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// A place in JSON text.
#[derive(Debug, Clone)]
pub(crate) struct Cursor<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Cursor<'a> {
        let at = if text.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        Cursor { text, at }
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Where the cursor stands.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// True when nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, at: self.at })
    }

    fn take(&mut self, byte: u8, what: &'static str) -> Result<(), Malformed> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.wrong(what)
    }

    /// Calls `each` with every key of an object; it must consume the value. `null` is an object without members.
    pub(crate) fn members<E: From<Malformed>>(
        &mut self,
        mut each: impl FnMut(&mut Cursor<'a>, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.take_null() {
            return Ok(());
        }
        self.take(b'{', "an object was expected")?;
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.take(b':', "a colon was expected")?;
            each(self, &key)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Ok(self.wrong("a comma or a closing brace was expected")?),
            }
        }
    }

    /// Calls `each` at every item of an array; it must consume the item. `null` is an array without items.
    pub(crate) fn items<E: From<Malformed>>(
        &mut self,
        mut each: impl FnMut(&mut Cursor<'a>) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.take_null() {
            return Ok(());
        }
        self.take(b'[', "an array was expected")?;
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            each(self)?;
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Ok(self.wrong("a comma or a closing bracket was expected")?),
            }
        }
    }

    /// Consumes `null` where it stands here.
    pub(crate) fn take_null(&mut self) -> bool {
        self.peek() == Some(b'n') && self.take_word(b"null")
    }

    fn take_word(&mut self, word: &[u8]) -> bool {
        let found = self.text.get(self.at..).is_some_and(|rest| rest.starts_with(word));
        if found {
            self.at += word.len();
        }
        found
    }

    /// Passes over one value of any kind and gives its text. Nesting costs no stack.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Malformed> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'{' | b'[') => self.skip_nested()?,
            Some(b'"') => self.skip_string()?,
            Some(b',' | b':' | b'}' | b']') | None => return self.wrong("a value was expected"),
            Some(_) => self.skip_scalar(),
        }
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn skip_nested(&mut self) -> Result<(), Malformed> {
        let mut open = 0u64;
        while let Some(byte) = self.text.get(self.at) {
            match byte {
                b'"' => {
                    self.skip_string()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open -= 1,
                _ => {}
            }
            self.at += 1;
            if open == 0 {
                return Ok(());
            }
        }
        self.wrong("the text ends within a value")
    }

    fn skip_string(&mut self) -> Result<(), Malformed> {
        self.at += 1;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            match memchr2(b'"', b'\\', rest) {
                Some(found) if rest.get(found) == Some(&b'"') => {
                    self.at += found + 1;
                    return Ok(());
                }
                Some(found) if found + 1 < rest.len() => self.at += found + 2,
                _ => {
                    self.at = self.text.len();
                    return self.wrong("the text ends within a string");
                }
            }
        }
    }

    fn skip_scalar(&mut self) {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let ends =
            |byte: &u8| matches!(byte, b',' | b'}' | b']' | b':' | b'"' | b' ' | b'\t' | b'\n' | b'\r');
        self.at += rest.iter().position(ends).unwrap_or(rest.len()).max(1);
    }

    /// A string. What is not UTF-8, and lone surrogates, become U+FFFD.
    pub(crate) fn string(&mut self) -> Result<Cow<'a, str>, Malformed> {
        if self.peek() != Some(b'"') {
            return self.wrong("a string was expected");
        }
        let start = self.at + 1;
        self.skip_string()?;
        let inner = self.text.get(start..self.at - 1).unwrap_or_default();
        if memchr::memchr(b'\\', inner).is_none() {
            return Ok(String::from_utf8_lossy(inner));
        }
        match unescape(inner) {
            Some(text) => Ok(Cow::Owned(text)),
            None => Err(Malformed { what: "an escape that JSON does not know", at: start }),
        }
    }

    /// A string, or the digits of a number, or nothing for `null`.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, Malformed> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'n') if self.take_null() => Ok(Cow::Borrowed("")),
            Some(b'-' | b'+' | b'.' | b'0'..=b'9' | b'N' | b'I') => Ok(String::from_utf8_lossy(self.skip()?)),
            _ => self.wrong("a string or a number was expected"),
        }
    }

    /// A boolean; also as text. `null` is false.
    pub(crate) fn bool(&mut self) -> Result<bool, Malformed> {
        let at = self.at;
        let word = self.skip()?;
        match word {
            b"true" | b"\"true\"" => Ok(true),
            b"false" | b"\"false\"" | b"null" => Ok(false),
            _ => Err(Malformed { what: "a boolean was expected", at }),
        }
    }

    /// A number without a sign, as a number or as text (protobuf's JSON writes 64-bit integers as text).
    pub(crate) fn u64(&mut self) -> Result<u64, Malformed> {
        let at = self.at;
        let text = self.text()?;
        if text.is_empty() {
            return Ok(0);
        }
        let whole = text.parse::<u64>().ok();
        // JavaScript writes 1.7e18 for what it holds as a double; negative and endless numbers are nobody's.
        let rounded = || text.parse::<f64>().ok().filter(|n| (0.0..1.8e19).contains(n)).map(|n| n as u64);
        whole.or_else(rounded).ok_or(Malformed { what: "a number was expected", at })
    }

    /// A number as a value, from a number or from text: an integer of any length, or one with a fraction.
    pub(crate) fn number(&mut self) -> Result<Value, Malformed> {
        let at = self.at;
        let text = self.text()?;
        number(&text).ok_or(Malformed { what: "a number was expected", at })
    }
}

/// The number that a text holds, in the narrowest type that holds it whole.
pub(crate) fn number(text: &str) -> Option<Value> {
    if let Ok(number) = text.parse::<i64>() {
        return Some(Value::Int(number));
    }
    if let Ok(number) = text.parse::<u64>() {
        return Some(Value::UInt(number));
    }
    let digits = text.strip_prefix('-').unwrap_or(text);
    if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Value::BigInt(text.into()));
    }
    match text {
        "NaN" => Some(Value::Float(f64::NAN)),
        "Infinity" | "+Infinity" => Some(Value::Float(f64::INFINITY)),
        "-Infinity" => Some(Value::Float(f64::NEG_INFINITY)),
        _ if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.')) => {
            text.parse().ok().map(Value::Float)
        }
        _ => None,
    }
}

/// The text that the inside of a JSON string stands for (RFC 8259, section 7).
fn unescape(inner: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at_checked(at)?;
        text.push_str(&String::from_utf8_lossy(plain));
        rest = escape.get(2..)?;
        text.push(match escape.get(1)? {
            b'"' => '"',
            b'\\' => '\\',
            b'/' => '/',
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let (unit, after) = code_unit(rest)?;
                rest = after;
                match unit {
                    0xd800..=0xdbff => match low_surrogate(rest) {
                        Some((low, after)) => {
                            rest = after;
                            let code =
                                0x1_0000 + ((u32::from(unit) - 0xd800) << 10) + (u32::from(low) - 0xdc00);
                            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
                        }
                        None => char::REPLACEMENT_CHARACTER,
                    },
                    unit => char::from_u32(u32::from(unit)).unwrap_or(char::REPLACEMENT_CHARACTER),
                }
            }
            _ => return None,
        });
    }
    text.push_str(&String::from_utf8_lossy(rest));
    Some(text)
}

/// Four hexadecimal digits.
fn code_unit(text: &[u8]) -> Option<(u16, &[u8])> {
    let (digits, rest) = text.split_at_checked(4)?;
    let mut unit = 0;
    for digit in digits {
        unit = unit * 16 + char::from(*digit).to_digit(16)?;
    }
    Some((u16::try_from(unit).ok()?, rest))
}

fn low_surrogate(text: &[u8]) -> Option<(u16, &[u8])> {
    let (unit, rest) = code_unit(text.strip_prefix(b"\\u")?)?;
    (0xdc00..0xe000).contains(&unit).then_some((unit, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &str) -> Result<String, &'static str> {
        Cursor::new(text.as_bytes()).string().map(Cow::into_owned).map_err(|wrong| wrong.what)
    }

    #[test]
    fn strings_are_unescaped() {
        assert_eq!(string(r#""plain ü""#).as_deref(), Ok("plain ü"));
        assert_eq!(string(r#""a\"b\\c\/\b\f\n\r\t""#).as_deref(), Ok("a\"b\\c/\u{8}\u{c}\n\r\t"));
        assert_eq!(string(r#""\u00fc\ud83d\ude00""#).as_deref(), Ok("ü😀"));
        assert_eq!(string(r#""\ud83d and \ude00""#).as_deref(), Ok("\u{fffd} and \u{fffd}"));
        assert_eq!(string(r#""\ud83d\n""#).as_deref(), Ok("\u{fffd}\n"));
        assert!(string(r#""\x""#).is_err());
        assert!(string(r#""\u12""#).is_err());
        assert!(string(r#""open"#).is_err());
        assert!(string(r#""open\"#).is_err());
        assert_eq!(Cursor::new(b"\"\xff\"").string().as_deref(), Ok("\u{fffd}"));
    }

    #[test]
    fn skipping_finds_where_a_value_ends() {
        for (text, value) in [
            (r#" {"a":"}\"]"} ,1"#, r#"{"a":"}\"]"}"#),
            ("[[[]],{}]]", "[[[]],{}]"),
            ("12.5e3,", "12.5e3"),
            ("nullx ", "nullx"),
            (r#""a" "b""#, r#""a""#),
        ] {
            assert_eq!(Cursor::new(text.as_bytes()).skip(), Ok(value.as_bytes()), "{text}");
        }
        for text in ["", " ", "{", "[1,", "\"a", ",", "}", r#"{"a":"b\"#] {
            assert!(Cursor::new(text.as_bytes()).skip().is_err(), "{text}");
        }
        let deep = "[".repeat(1_000_000);
        assert!(Cursor::new(deep.as_bytes()).skip().is_err());
    }

    #[test]
    fn members_and_items_are_walked() {
        let mut seen = Vec::new();
        let mut cursor = Cursor::new(br#"{"a":[1,2,[3]],"b":null,"c":{"d":true}} "#);
        let outcome: Result<(), Malformed> = cursor.members(|cursor, key| match key {
            "a" => cursor.items(|cursor| cursor.skip().map(|item| seen.push(item.len()))),
            _ => cursor.skip().map(|value| seen.push(value.len())),
        });
        assert_eq!((outcome, seen), (Ok(()), vec![1, 1, 3, 4, 10]));
        assert!(cursor.is_at_end());
    }

    #[test]
    fn numbers_keep_their_width() {
        assert_eq!(number("-5"), Some(Value::Int(-5)));
        assert_eq!(number("18446744073709551615"), Some(Value::UInt(u64::MAX)));
        assert_eq!(number("99999999999999999999"), Some(Value::BigInt("99999999999999999999".into())));
        assert_eq!(number("1.5e3"), Some(Value::Float(1500.0)));
        assert_eq!(number("-Infinity"), Some(Value::Float(f64::NEG_INFINITY)));
        for not_a_number in ["", "-", "nan", "inf", "0x10", "1,5", "--1"] {
            assert_eq!(number(not_a_number), None, "{not_a_number}");
        }
        assert_eq!(Cursor::new(b"\"1767225600000000000\"").u64(), Ok(1_767_225_600_000_000_000));
        assert_eq!(Cursor::new(b"1.7e18").u64(), Ok(1_700_000_000_000_000_000));
        assert!(Cursor::new(b"-1").u64().is_err());
    }
}
