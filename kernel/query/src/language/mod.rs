//! The search language: `timeout "could not connect" service:cart level>=error -host:db* (a OR b) url:~^/api`.
//!
//! ```text
//! search  = and { "OR" and }
//! and     = not { ["AND"] not }
//! not     = ("-" | "NOT") not | "(" search ")" | term
//! term    = word | phrase | key ":" value | key compare value
//! compare = ":" (">=" | "<=" | ">" | "<") | ">=" | "<=" | ">" | "<"
//! value   = word | phrase | "*" | "~" regex
//! ```
//!
//! Words and phrases are found anywhere in the text of a record and in the values of its attributes, in any case;
//! `*` in a word stands for anything. `key:value` is exact, `key:*` asks that the key be there. A key is a column or
//! one of its short names (`service`, `host`, `level`, `trace`), else an attribute. One expression comes of it, which
//! filters the table, the live tail and an alert alike; absent on purpose is a second evaluator.

mod compile;
mod keys;
mod parse;

pub(crate) use compile::compile;
pub(crate) use keys::{Level, facets};
pub use parse::ParseError;
#[cfg(test)]
pub(crate) use parse::SEARCH_BYTES_MAX;
pub(crate) use parse::parse;

use candor_model::Signal;
use datafusion::arrow::datatypes::Schema;
use datafusion::logical_expr::Expr;

/// Search text as one expression over the rows of a signal; none for a text that asks nothing.
pub(crate) fn expression(text: &str, signal: Signal, schema: &Schema) -> Result<Option<Expr>, ParseError> {
    match parse(text)? {
        Some(node) => Ok(Some(compile(&node, signal, schema)?)),
        None => Ok(None),
    }
}
