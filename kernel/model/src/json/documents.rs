//! Many documents in one body: NDJSON, documents one after the other, and the items of a top-level list.

use super::parse::Parser;
use super::{Bounds, JsonError, Leniency};
use crate::Value;

/// Walks newline-delimited or simply concatenated documents (log shippers send both; some print them over several
/// lines). A document that does not parse costs its line: the walk goes on behind the next newline after the place
/// where the bad document began, so its neighbours survive.
pub fn documents(input: &[u8], leniency: Leniency) -> Documents<'_> {
    let mut parser = Parser::new(input, leniency);
    parser.skip_byte_order_mark();
    Documents { parser }
}

/// See [`documents`]. Each item is the byte at which the document begins, and the document. It is bounded as one
/// record.
pub struct Documents<'a> {
    parser: Parser<'a>,
}

impl Iterator for Documents<'_> {
    type Item = (usize, Result<Value, JsonError>);

    fn next(&mut self) -> Option<Self::Item> {
        self.parser.skip_space();
        // RFC 7464 puts a record separator before each document.
        while self.parser.take(0x1e) {
            self.parser.skip_space();
        }
        let start = self.parser.at();
        self.parser.peek()?;
        let document = self.parser.document(Bounds::RECORD);
        if document.is_err() {
            // Not behind the newline after the error: a line that was cut is noticed only within the next one.
            self.parser.seek(start);
            let rest = self.parser.rest();
            let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
            self.parser.seek(start + line);
        }
        Some((start, document))
    }
}

/// Walks the items of a top-level list one by one, so that a body of many records is never a tree as a whole. None
/// where the text does not begin with `[`. The first error ends the walk: within a list there is no safe place to go
/// on.
pub fn elements(input: &[u8], leniency: Leniency) -> Option<Elements<'_>> {
    let mut parser = Parser::new(input, leniency);
    parser.skip_byte_order_mark();
    parser.skip_space();
    parser.take(b'[').then_some(Elements { parser, state: State::First })
}

/// See [`elements`]. Each item is bounded as one record.
pub struct Elements<'a> {
    parser: Parser<'a>,
    state: State,
}

enum State {
    /// Behind the opening bracket.
    First,
    /// Behind an item.
    Behind,
    /// Behind the list, or behind an error.
    Done,
}

impl Elements<'_> {
    /// Steps to the next item; false at the end of the list.
    fn step(&mut self) -> Result<bool, JsonError> {
        self.parser.skip_space();
        if self.parser.take(b']') {
            self.parser.skip_space();
            return match self.parser.rest().is_empty() {
                true => Ok(false),
                false => Err(self.parser.error("unexpected text after the value")),
            };
        }
        if matches!(self.state, State::Behind) && !self.parser.take(b',') {
            return Err(self.parser.expected("expected `,` or `]`"));
        }
        Ok(true)
    }
}

impl Iterator for Elements<'_> {
    type Item = Result<Value, JsonError>;

    fn next(&mut self) -> Option<Self::Item> {
        if matches!(self.state, State::Done) {
            return None;
        }
        let item = match self.step() {
            Ok(true) => self.parser.document(Bounds { depth: Bounds::RECORD.depth - 1, ..Bounds::RECORD }),
            Ok(false) => {
                self.state = State::Done;
                return None;
            }
            Err(error) => Err(error),
        };
        self.state = if item.is_ok() { State::Behind } else { State::Done };
        Some(item)
    }
}
