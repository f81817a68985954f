//! The parser: recursive descent whose recursion is bounded by the depth it accepts.

use std::borrow::Cow;

use super::scan::plain_run;
use super::{Bounds, JsonError, Leniency};
use crate::{Object, Value};

/// A position in the input.
pub(super) struct Parser<'a> {
    input: &'a [u8],
    /// The same, where all of it is UTF-8: one check of everything costs less than one of every string.
    text: Option<&'a str>,
    at: usize,
    leniency: Leniency,
    depth_left: usize,
    nodes_left: usize,
    /// Members of the objects that are open, innermost last. They move into an allocation of the exact size when
    /// their object closes: most objects are tiny, and growing each by itself costs more memory than the text.
    members: Vec<(String, Value)>,
    /// Items of the lists that are open, in the same way.
    items: Vec<Value>,
    /// What goes wrong ends the document there instead of refusing it.
    cuts: bool,
    /// Behind the last member, item or opening bracket that was read.
    read: usize,
    /// What `read` was where the document was cut.
    cut: Option<usize>,
}

impl<'a> Parser<'a> {
    pub(super) fn new(input: &'a [u8], leniency: Leniency) -> Parser<'a> {
        Parser::over(input, std::str::from_utf8(input).ok(), leniency)
    }

    /// As [`Parser::new`], without a check of what is known to be UTF-8.
    pub(super) fn of_text(text: &'a str, leniency: Leniency) -> Parser<'a> {
        Parser::over(text.as_bytes(), Some(text), leniency)
    }

    fn over(input: &'a [u8], text: Option<&'a str>, leniency: Leniency) -> Parser<'a> {
        Parser {
            input,
            text,
            at: 0,
            leniency,
            depth_left: 0,
            nodes_left: 0,
            members: Vec::new(),
            items: Vec::new(),
            cuts: false,
            read: 0,
            cut: None,
        }
    }

    /// What can be read of the object or list that begins here, and where that ends; none where neither begins.
    pub(super) fn prefix(&mut self, bounds: Bounds) -> Option<(Value, usize)> {
        let Some(b'{' | b'[') = self.peek() else { return None };
        self.cuts = true;
        self.cut = None;
        let value = self.document(bounds).ok()?;
        Some((value, self.cut.unwrap_or(self.at)))
    }

    /// What the inside of a string stands for, whose quotes are not in the input.
    pub(super) fn unclosed_string(&mut self) -> String {
        self.cuts = true;
        self.string().unwrap_or_default()
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn seek(&mut self, at: usize) {
        self.at = at.min(self.input.len());
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.input.get(self.at..).unwrap_or_default()
    }

    pub(super) fn error(&self, what: &'static str) -> JsonError {
        JsonError { what, at: self.at }
    }

    pub(super) fn skip_byte_order_mark(&mut self) {
        if self.rest().starts_with("\u{feff}".as_bytes()) {
            self.at += 3;
        }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.input.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Steps over `byte` where it comes next.
    #[inline]
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// One value and nothing behind it.
    pub(super) fn document(&mut self, bounds: Bounds) -> Result<Value, JsonError> {
        self.depth_left = bounds.depth;
        self.nodes_left = bounds.nodes;
        self.members.clear();
        self.items.clear();
        self.value()
    }

    fn value(&mut self) -> Result<Value, JsonError> {
        self.skip_space();
        let Some(byte) = self.peek() else { return Err(self.error("unexpected end")) };
        let Some(nodes_left) = self.nodes_left.checked_sub(1) else {
            return Err(self.error("too many members"));
        };
        self.nodes_left = nodes_left;
        match byte {
            b'"' => {
                self.at += 1;
                self.string().map(Value::Str)
            }
            b'{' => self.nested(Parser::object),
            b'[' => self.nested(Parser::array),
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'N' if self.leniency.non_finite => self.word("NaN", Value::Float(f64::NAN)),
            b'I' if self.leniency.non_finite => self.word("Infinity", Value::Float(f64::INFINITY)),
            _ => Err(self.error("expected a value")),
        }
    }

    fn word(&mut self, word: &'static str, value: Value) -> Result<Value, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.error("expected a value"));
        }
        self.at += word.len();
        Ok(value)
    }

    /// Steps over the opening bracket and parses what is in it one level deeper.
    fn nested(&mut self, inner: fn(&mut Self) -> Result<Value, JsonError>) -> Result<Value, JsonError> {
        let Some(depth_left) = self.depth_left.checked_sub(1) else {
            return Err(self.error("nested too deep"));
        };
        self.depth_left = depth_left;
        let is_object = self.peek() == Some(b'{');
        let (members, items) = (self.members.len(), self.items.len());
        self.at += 1;
        self.read = self.at;
        let value = match inner(self) {
            Err(_) if self.cuts => {
                self.cut.get_or_insert(self.read);
                // Whatever is open around this ends here too.
                self.at = self.input.len();
                match is_object {
                    true => Value::Object(Object(self.members.split_off(members))),
                    false => Value::Array(self.items.split_off(items)),
                }
            }
            other => other?,
        };
        self.depth_left += 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Value, JsonError> {
        let first = self.members.len();
        self.skip_space();
        if self.take(b'}') {
            return Ok(Value::Object(Object::new()));
        }
        loop {
            self.skip_space();
            if !self.take(b'"') {
                return Err(self.expected("expected a key"));
            }
            let key = self.string()?;
            self.skip_space();
            if !self.take(b':') {
                return Err(self.expected("expected `:`"));
            }
            let value = self.value()?;
            self.members.push((key, value));
            self.read = self.at;
            self.skip_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b'}') {
                return Ok(Value::Object(Object(self.members.split_off(first))));
            }
            return Err(self.expected("expected `,` or `}`"));
        }
    }

    fn array(&mut self) -> Result<Value, JsonError> {
        let first = self.items.len();
        self.skip_space();
        if self.take(b']') {
            return Ok(Value::Array(Vec::new()));
        }
        loop {
            let item = self.value()?;
            self.items.push(item);
            self.read = self.at;
            self.skip_space();
            if self.take(b',') {
                continue;
            }
            if self.take(b']') {
                return Ok(Value::Array(self.items.split_off(first)));
            }
            return Err(self.expected("expected `,` or `]`"));
        }
    }

    /// The error for a missing byte, or for the end where the input ends.
    pub(super) fn expected(&self, what: &'static str) -> JsonError {
        self.error(if self.rest().is_empty() { "unexpected end" } else { what })
    }

    /// A string after its opening quote.
    fn string(&mut self) -> Result<String, JsonError> {
        let rest = self.rest();
        let run = plain_run(rest);
        if rest.get(run) != Some(&b'"') {
            return self.escaped_string();
        }
        let text = self.plain(run)?.into_owned();
        self.at += run + 1;
        Ok(text)
    }

    /// The next `length` bytes as text.
    #[inline]
    fn plain(&self, length: usize) -> Result<Cow<'a, str>, JsonError> {
        if let Some(plain) = self.text.and_then(|text| text.get(self.at..self.at + length)) {
            return Ok(Cow::Borrowed(plain));
        }
        let raw = self.rest().get(..length).unwrap_or_default();
        match std::str::from_utf8(raw) {
            Ok(plain) => Ok(Cow::Borrowed(plain)),
            Err(invalid) if !self.leniency.replace_invalid => {
                Err(JsonError { what: "invalid UTF-8", at: self.at + invalid.valid_up_to() })
            }
            Err(_) => Ok(Cow::Owned(String::from_utf8_lossy(raw).into_owned())),
        }
    }

    /// A string with escapes in it, or with an error.
    #[cold]
    fn escaped_string(&mut self) -> Result<String, JsonError> {
        let mut text = String::new();
        loop {
            let run = plain_run(self.rest());
            text.push_str(&self.plain(run)?);
            self.at += run;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    let behind = self.at;
                    match self.escape() {
                        Ok(character) => text.push(character),
                        Err(_) if self.cuts => {
                            self.at = behind;
                            text.push('\\');
                        }
                        Err(error) => return Err(error),
                    }
                }
                // A line that was cut ends with its line; a tab is only written wrongly.
                Some(byte) if self.cuts && !matches!(byte, b'\n' | b'\r') => {
                    self.at += 1;
                    text.push(char::from(byte));
                }
                None | Some(_) if self.cuts => {
                    self.input = self.input.get(..self.at).unwrap_or_default();
                    return Ok(text);
                }
                Some(_) => return Err(self.error("control character in a string")),
                None => return Err(self.error("unexpected end")),
            }
        }
    }

    /// An escape after its backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let character = match self.peek() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'u') => {
                self.at += 1;
                return self.unicode_escape();
            }
            Some(_) => return Err(self.error("unknown escape")),
            None => return Err(self.error("unexpected end")),
        };
        self.at += 1;
        Ok(character)
    }

    /// `XXXX` after `\u`, and the second half of a surrogate pair where this is the first.
    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let start = self.at;
        let unit = self.four_hex_digits()?;
        if (0xd800..0xdc00).contains(&unit) {
            let after_first = self.at;
            if self.rest().starts_with(b"\\u") {
                self.at += 2;
                let second = self.four_hex_digits()?;
                if (0xdc00..0xe000).contains(&second) {
                    let code = 0x10000 + ((unit - 0xd800) << 10) + (second - 0xdc00);
                    return char::from_u32(code).ok_or(JsonError { what: "lone surrogate", at: start });
                }
                // Not a pair: what follows stands for itself.
                self.at = after_first;
            }
        }
        match char::from_u32(unit) {
            Some(character) => Ok(character),
            None if self.leniency.replace_invalid => Ok(char::REPLACEMENT_CHARACTER),
            None => Err(JsonError { what: "lone surrogate", at: start }),
        }
    }

    fn four_hex_digits(&mut self) -> Result<u32, JsonError> {
        let mut unit = 0;
        for _ in 0..4 {
            let Some(byte) = self.peek() else { return Err(self.error("unexpected end")) };
            let Some(digit) = char::from(byte).to_digit(16) else {
                return Err(self.error("expected four hexadecimal digits"));
            };
            unit = unit * 16 + digit;
            self.at += 1;
        }
        Ok(unit)
    }

    /// Steps over digits; says how many.
    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Result<Value, JsonError> {
        let start = self.at;
        let negative = self.take(b'-');
        if negative && self.leniency.non_finite && self.peek() == Some(b'I') {
            return self.word("Infinity", Value::Float(f64::NEG_INFINITY));
        }
        let leading_zero = self.peek() == Some(b'0');
        let integer_digits = self.digits();
        if integer_digits == 0 {
            return Err(self.expected("expected a digit"));
        }
        if leading_zero && integer_digits > 1 {
            return Err(JsonError { what: "leading zero in a number", at: start });
        }
        let mut float = false;
        if self.take(b'.') {
            float = true;
            if self.digits() == 0 {
                return Err(self.expected("expected a digit"));
            }
        }
        if let Some(b'e' | b'E') = self.peek() {
            float = true;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.expected("expected a digit"));
            }
        }
        let raw = self.input.get(start..self.at).unwrap_or_default();
        if !float {
            return Ok(integer(raw, negative));
        }
        self.float(raw, start)
    }

    fn float(&self, raw: &[u8], start: usize) -> Result<Value, JsonError> {
        let number: f64 = std::str::from_utf8(raw)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(JsonError { what: "expected a number", at: start })?;
        match number.is_finite() || self.leniency.non_finite {
            true => Ok(Value::Float(number)),
            false => Err(JsonError { what: "number beyond the range of a double", at: start }),
        }
    }
}

/// The value of `-?[0-9]+`.
fn integer(raw: &[u8], negative: bool) -> Value {
    let digits = raw.get(usize::from(negative)..).unwrap_or_default();
    // 20 digits may still fit a u64, which the checks below find out.
    let magnitude = match digits.len() {
        0..=18 => Some(digits.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit & 0xf))),
        19..=20 => digits.iter().try_fold(0u64, |sum, digit| {
            sum.checked_mul(10).and_then(|sum| sum.checked_add(u64::from(digit & 0xf)))
        }),
        _ => None,
    };
    let value = match (magnitude, negative) {
        // Zero has a sign only as a double.
        (Some(0), true) => Some(Value::Float(-0.0)),
        (Some(magnitude), true) => 0i64.checked_sub_unsigned(magnitude).map(Value::Int),
        (Some(magnitude), false) => Some(i64::try_from(magnitude).map_or(Value::UInt(magnitude), Value::Int)),
        (None, _) => None,
    };
    value.unwrap_or_else(|| Value::BigInt(String::from_utf8_lossy(raw).into()))
}
