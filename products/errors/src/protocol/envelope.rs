//! The envelope: a header line, then items of a header line and a payload each (Sentry developer documentation,
//! "Envelopes").
//!
//! ```text
//! {"event_id":"…","dsn":"…","sent_at":"…"}\n
//! {"type":"event","length":41}\n
//! …41 bytes…\n
//! {"type":"log","item_count":2}\n
//! …up to the next line feed or the end…
//! ```
//! `length` is optional, and JavaScript never sends it. A length that lies makes everything behind it garbage, so it
//! refuses the whole envelope; blank lines between items are forgiven, because some transports add one.

use bytes::Bytes;
use candor_model::json::{self, Leniency};
use candor_model::{Object, Value};

/// Items in one envelope. Real SDKs send fewer than ten; old ones put up to a thousand single spans in.
pub const ITEMS_MAX: usize = 5_000;

/// One header line, bytes. A header with a whole dynamic sampling context is below 2 KiB.
pub const HEADER_BYTES_MAX: usize = 64 << 10;

/// An envelope taken apart; payloads share the request's memory.
#[derive(Debug)]
pub struct Envelope {
    /// `event_id`, `dsn`, `sent_at`, `sdk`, `trace`.
    pub headers: Object,
    /// In the order they came.
    pub items: Vec<Item>,
}

/// One item.
#[derive(Debug)]
pub struct Item {
    /// `type`, `length`, `content_type`, `filename`, …
    pub headers: Object,
    /// The bytes, without the line feed that ends them.
    pub payload: Bytes,
}

/// Why bytes are not an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Not even a header line.
    #[error("missing envelope header")]
    Empty,
    /// The first line is not a JSON object.
    #[error("invalid envelope header")]
    Header,
    /// An item's header line is not a JSON object with a type.
    #[error("invalid item header of item {0}")]
    ItemHeader(usize),
    /// The item's length is no length.
    #[error("invalid length of item {0}")]
    Length(usize),
    /// The item's length goes beyond the end.
    #[error("unexpected end of file in item {0}")]
    Truncated(usize),
    /// The byte behind the item's length is no line feed.
    #[error("missing newline after item {0}")]
    Unterminated(usize),
    /// More than [`ITEMS_MAX`].
    #[error("too many items")]
    TooManyItems,
}

impl Envelope {
    /// Takes a request's decoded body apart.
    pub fn parse(body: &Bytes) -> Result<Envelope, EnvelopeError> {
        let (line, mut at) = line(body, 0);
        if line.iter().all(u8::is_ascii_whitespace) {
            return Err(EnvelopeError::Empty);
        }
        let headers = header(line).ok_or(EnvelopeError::Header)?;

        let mut items = Vec::new();
        while at < body.len() {
            let (line, payload_at) = line_at(body, at);
            if line.iter().all(u8::is_ascii_whitespace) {
                at = payload_at;
                continue;
            }
            let number = items.len() + 1;
            if number > ITEMS_MAX {
                return Err(EnvelopeError::TooManyItems);
            }
            let headers = header(line).ok_or(EnvelopeError::ItemHeader(number))?;
            if headers.get("type").and_then(Value::as_str).is_none() {
                return Err(EnvelopeError::ItemHeader(number));
            }
            let end = match headers.get("length") {
                None | Some(Value::Null) => end_of_line(body, payload_at),
                Some(length) => {
                    let length = length.as_i64().and_then(|n| usize::try_from(n).ok());
                    let length = length.ok_or(EnvelopeError::Length(number))?;
                    let end = payload_at.checked_add(length).filter(|end| *end <= body.len());
                    let end = end.ok_or(EnvelopeError::Truncated(number))?;
                    if body.get(end).is_some_and(|byte| *byte != b'\n') {
                        return Err(EnvelopeError::Unterminated(number));
                    }
                    end
                }
            };
            items.push(Item { headers, payload: body.slice(payload_at.min(end)..end) });
            at = end + 1;
        }
        Ok(Envelope { headers, items })
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(Value::as_str)
    }
}

impl Item {
    /// The type, never empty of meaning to the caller: unknown ones are dropped there.
    pub fn kind(&self) -> &str {
        self.header("type").unwrap_or_default()
    }

    /// A header that is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(Value::as_str)
    }
}

/// The line that starts at `at`, without its line feed, and where the next one starts.
fn line_at(body: &[u8], at: usize) -> (&[u8], usize) {
    let end = end_of_line(body, at);
    (body.get(at..end).unwrap_or_default(), (end + 1).min(body.len()))
}

fn line(body: &[u8], at: usize) -> (&[u8], usize) {
    line_at(body, at)
}

fn end_of_line(body: &[u8], at: usize) -> usize {
    let rest = body.get(at..).unwrap_or_default();
    memchr::memchr(b'\n', rest).map_or(body.len(), |found| at + found)
}

fn header(line: &[u8]) -> Option<Object> {
    if line.len() > HEADER_BYTES_MAX {
        return None;
    }
    match json::parse(line, Leniency::LENIENT) {
        Ok(Value::Object(headers)) => Some(headers),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(body: &str, expected: Expect) {
        let shown = match Envelope::parse(&Bytes::copy_from_slice(body.as_bytes())) {
            Ok(envelope) => {
                envelope.items.iter().fold(format!("{} headers\n", envelope.headers.len()), |shown, item| {
                    shown + &format!("{}: {:?}\n", item.kind(), String::from_utf8_lossy(&item.payload))
                })
            }
            Err(error) => format!("{error}\n"),
        };
        expected.assert_eq(&shown);
    }

    #[test]
    fn items_with_and_without_a_length() {
        check(
            "{\"event_id\":\"9ec79c33ec9942ab8353589fcb2e04dc\"}\n{\"type\":\"attachment\",\"length\":10}\n\u{feff}Hello\r\n\n{\"type\":\"event\",\"length\":4}\n{\n}\n\n{\"type\":\"log\"}\n{\"items\":[]}",
            expect![[r#"
                1 headers
                attachment: "\u{feff}Hello\r\n"
                event: "{\n}\n"
                log: "{\"items\":[]}"
            "#]],
        );
    }

    #[test]
    fn empty_payloads_headers_and_trailing_blank_lines() {
        check(
            "{}\n{\"type\":\"a\",\"length\":0}\n\n{\"type\":\"b\",\"length\":0}\n",
            expect![[r#"
            0 headers
            a: ""
            b: ""
        "#]],
        );
        check(
            "{}\n{\"type\":\"a\"}",
            expect![[r#"
            0 headers
            a: ""
        "#]],
        );
        check(
            "{}\n\n\n{\"type\":\"a\"}\nx\n\n\n",
            expect![[r#"
            0 headers
            a: "x"
        "#]],
        );
        check(
            "{}",
            expect![[r#"
            0 headers
        "#]],
        );
    }

    #[test]
    fn what_is_not_an_envelope() {
        check(
            "",
            expect![[r#"
            missing envelope header
        "#]],
        );
        check(
            "[]\n",
            expect![[r#"
            invalid envelope header
        "#]],
        );
        check(
            "{}\n{\"length\":1}\nx",
            expect![[r#"
            invalid item header of item 1
        "#]],
        );
        check(
            "{}\n{\"type\":\"a\",\"length\":3}\nxx",
            expect![[r#"
            unexpected end of file in item 1
        "#]],
        );
        check(
            "{}\n{\"type\":\"a\",\"length\":1}\nxx\n",
            expect![[r#"
            missing newline after item 1
        "#]],
        );
        check(
            "{}\n{\"type\":\"a\",\"length\":-1}\nxx\n",
            expect![[r#"
            invalid length of item 1
        "#]],
        );
        check(
            "{}\n{\"type\":\"a\",\"length\":18446744073709551615}\nxx\n",
            expect![[r#"
            invalid length of item 1
        "#]],
        );
    }
}
