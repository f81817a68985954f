//! JSON in and out of [`Value`], for input that nobody promised to be well formed.
//!
//! The grammar is RFC 8259's. What real senders get wrong is taken only where a [`Leniency`] says so, and nothing
//! makes the parser panic or recurse without bound. The trade-off refused is parsing without a tree: the gate has to
//! look into every member anyway, so a tree of owned values, built twice as fast as a general one, is what everyone
//! wants (`cargo run --release -p candor-model --example json_speed` measures).
//!
//! - [`parse`] takes one record, [`parse_body`] one request of many records (a larger bound on members).
//! - [`documents`] walks NDJSON and concatenated documents and survives bad lines; [`elements`] walks a top-level
//!   list without holding all of it.
//! - [`prefix`] reads what there is of a document that ends early, or that other text follows.
//! - [`patched`] changes some values of a text and no other byte.
//! - [`to_string`] and [`write`](fn@write) make compact text that parses back to the same value.

mod documents;
mod parse;
mod patch;
mod scan;
mod write;

pub use documents::{Documents, Elements, documents, elements};
pub use patch::patched;
pub use write::{to_string, write, write_string};

use crate::Value;
use crate::limits::{BODY_NODES_MAX, NESTING_DEPTH_MAX, RECORD_NODES_MAX};

/// How forgiving to be. The default is RFC 8259 to the letter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Leniency {
    /// Take `NaN`, `Infinity`, `-Infinity` (Python's `json.dumps` writes them), and numbers beyond the range of a
    /// double as infinities.
    pub non_finite: bool,
    /// Replace invalid UTF-8 and lone surrogates by U+FFFD instead of refusing (JavaScript sends the latter).
    pub replace_invalid: bool,
}

impl Leniency {
    /// RFC 8259 to the letter.
    pub const STRICT: Leniency = Leniency { non_finite: false, replace_invalid: false };
    /// Everything that real senders get wrong.
    pub const LENIENT: Leniency = Leniency { non_finite: true, replace_invalid: true };
}

/// Bounds on one document, so that a small body cannot become a large tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Deepest nesting of lists and objects.
    pub depth: usize,
    /// Members and items over all levels.
    pub nodes: usize,
}

impl Bounds {
    /// One record.
    pub const RECORD: Bounds = Bounds { depth: NESTING_DEPTH_MAX, nodes: RECORD_NODES_MAX };
    /// One request of many records.
    pub const BODY: Bounds = Bounds { depth: NESTING_DEPTH_MAX, nodes: BODY_NODES_MAX };
}

/// Why text is not JSON that we take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct JsonError {
    /// What is wrong, without quoting the input.
    pub what: &'static str,
    /// Where.
    pub at: usize,
}

/// Parses one record. Nesting is bounded by [`NESTING_DEPTH_MAX`], members by [`RECORD_NODES_MAX`].
///
/// Integers that fit 64 bits stay exact ([`Value::Int`], [`Value::UInt`]); longer ones keep their digits
/// ([`Value::BigInt`]); what has a fraction or an exponent is the nearest double. Duplicate keys are kept, in order.
/// A byte order mark at the start is skipped.
pub fn parse(input: &[u8], leniency: Leniency) -> Result<Value, JsonError> {
    parse_bounded(input, leniency, Bounds::RECORD)
}

/// Parses one request's body that holds many records: as [`parse`], with [`BODY_NODES_MAX`] members.
pub fn parse_body(input: &[u8], leniency: Leniency) -> Result<Value, JsonError> {
    parse_bounded(input, leniency, Bounds::BODY)
}

/// Parses one document within bounds of the caller's choice.
pub fn parse_bounded(input: &[u8], leniency: Leniency, bounds: Bounds) -> Result<Value, JsonError> {
    let mut parser = parse::Parser::new(input, leniency);
    parser.skip_byte_order_mark();
    let value = parser.document(bounds)?;
    parser.skip_space();
    match parser.rest().is_empty() {
        true => Ok(value),
        false => Err(parser.error("unexpected text after the value")),
    }
}

/// What can be read of the object or list that begins at the first byte, and how many bytes that takes. A document
/// that ends too early, or goes on as no JSON does, ends behind the last member or item that was read; a string that
/// the text or its line ends in counts as read. None where no object or list begins there. Bounded as one record, and
/// what goes beyond the bounds is not read; needs no more time than its length.
pub fn prefix(input: &str) -> Option<(Value, usize)> {
    parse::Parser::of_text(input, Leniency::LENIENT).prefix(Bounds::RECORD)
}

/// The text that the inside of a JSON string stands for, and how many bytes of `input` that is: up to the quote that
/// closes the string, or to the end of its line or of the input. Escapes that JSON has not stand for themselves.
pub fn unescaped_prefix(input: &str) -> (String, usize) {
    let bytes = input.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        end += match byte {
            b'"' | b'\n' | b'\r' => break,
            b'\\' if matches!(bytes.get(end + 1), Some(b'"' | b'\\')) => 2,
            _ => 1,
        };
    }
    let inside = input.get(..end).unwrap_or_default();
    (parse::Parser::of_text(inside, Leniency::LENIENT).unclosed_string(), end)
}
