//! Words of a `.proto` file.

use crate::SchemaError;

/// A word, as it stands in the text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) kind: TokenKind,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TokenKind {
    Word,
    Number,
    Quoted,
    Symbol,
}

/// Cuts a text into words; comments go.
pub(super) fn lex(text: &str) -> Result<Vec<Token<'_>>, SchemaError> {
    let bytes = text.as_bytes();
    let (mut at, mut line) = (0, 1);
    let mut out = Vec::new();
    while let Some(byte) = bytes.get(at) {
        let start = at;
        let began = line;
        let kind = match byte {
            b'\n' => {
                line += 1;
                at += 1;
                continue;
            }
            byte if byte.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'/') => {
                at += run(bytes, at, |byte| byte != b'\n');
                continue;
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => {
                let rest = text.get(at + 2..).unwrap_or_default();
                let length = rest.find("*/").ok_or_else(|| wrong(line, "a comment does not end"))?;
                line += rest.get(..length).unwrap_or_default().matches('\n').count();
                at += length + 4;
                continue;
            }
            b'"' | b'\'' => {
                at += 1;
                loop {
                    match bytes.get(at) {
                        Some(b'\\') => at += 2,
                        Some(end) if end == byte => break,
                        Some(b'\n') | None => return Err(wrong(line, "a string does not end")),
                        Some(_) => at += 1,
                    }
                }
                at += 1;
                TokenKind::Quoted
            }
            byte if byte.is_ascii_alphabetic() || *byte == b'_' => {
                at += run(bytes, at, |byte| byte.is_ascii_alphanumeric() || byte == b'_');
                TokenKind::Word
            }
            byte if byte.is_ascii_digit() => {
                at += run(bytes, at, |byte| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'_');
                // The sign of an exponent.
                let is_hex = bytes.get(start + 1).is_some_and(|x| x.eq_ignore_ascii_case(&b'x'));
                if !is_hex
                    && bytes.get(at - 1).is_some_and(|e| e.eq_ignore_ascii_case(&b'e'))
                    && bytes.get(at).is_some_and(|sign| b"+-".contains(sign))
                {
                    at += 1 + run(bytes, at + 1, |byte| byte.is_ascii_digit());
                }
                TokenKind::Number
            }
            byte if byte.is_ascii_punctuation() => {
                at += 1;
                TokenKind::Symbol
            }
            _ => {
                return Err(wrong(
                    line,
                    "a character that no .proto file has outside of strings and comments",
                ));
            }
        };
        let text = text.get(start..at).ok_or_else(|| wrong(line, "a string is cut within a character"))?;
        out.push(Token { text, kind, line: began });
    }
    Ok(out)
}

fn run(bytes: &[u8], from: usize, fits: impl Fn(u8) -> bool) -> usize {
    bytes.get(from..).unwrap_or_default().iter().take_while(|byte| fits(**byte)).count()
}

pub(super) fn wrong(line: usize, what: impl Into<String>) -> SchemaError {
    SchemaError::at(format!("line {line}"), what)
}

/// What a quoted word stands for.
pub(super) fn unquoted(quoted: &str) -> String {
    let inside = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let mut out: Vec<u8> = Vec::with_capacity(inside.len());
    let mut bytes = inside.bytes().peekable();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next() {
            Some(b'n') => out.push(b'\n'),
            Some(b't') => out.push(b'\t'),
            Some(b'r') => out.push(b'\r'),
            Some(b'a') => out.push(7),
            Some(b'b') => out.push(8),
            Some(b'f') => out.push(12),
            Some(b'v') => out.push(11),
            Some(b'x' | b'X') => out.push(digits(&mut bytes, 0, 16) as u8),
            Some(octal @ b'0'..=b'7') => out.push(digits(&mut bytes, u32::from(octal - b'0'), 8) as u8),
            Some(other) => out.push(other),
            None => {}
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Reads up to two more digits of an escaped number.
fn digits(bytes: &mut std::iter::Peekable<std::str::Bytes<'_>>, first: u32, base: u32) -> u32 {
    let mut number = first;
    for _ in 0..2 {
        match bytes.peek().and_then(|byte| char::from(*byte).to_digit(base)) {
            Some(digit) => number = number * base + digit,
            None => break,
        }
        bytes.next();
    }
    number
}

/// A text as a quoted word.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_ascii_control() => out.push_str(&format!("\\{:03o}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
