//! Where a rule holds: a small language over the places of a record, for people who write policies.
//!
//! `user.email` is a path: it holds where the *end* of a value's path is so, wherever that stands, as in Sentry's data
//! scrubbing. `*` is one step, `**` any number of them, `$string` a value of a type, `$error` a record of a kind,
//! `$frame` a part of an event, `'a key'` a key with signs in it (`''` is a quote), `0` also an item of a list.
//! Paths are joined with `!`, `&&`, `||` and parentheses. Keys are compared without regard to ASCII case.
//!
//! A key with dots in it is one step and also as many as it has parts, so that `user.email` finds the flat attribute
//! `user.email` as well.
//!
//! A selector is parsed once and becomes an automaton of at most 64 states that live in one word:
//! going down a path costs the same few operations a step, whatever the selector says.

mod compile;
mod parse;
mod place;
mod types;
mod write;

use std::fmt;

pub(crate) use compile::{Name, Program, State, Step};
pub use place::Leaf;
pub use types::RecordKind;
pub(crate) use types::Types;
pub(crate) use write::key as write_key;

/// Bounds of one selector.
mod limits {
    /// Longest selector, bytes.
    pub(super) const BYTES_MAX: usize = 2048;
    /// Deepest nesting of parentheses and `!`.
    pub(super) const DEPTH_MAX: usize = 16;
    /// Most steps over all paths of one selector: the states of its automaton are the bits of one word.
    pub(super) const ITEMS_MAX: usize = 64;
}

/// A parsed selector. Printed, it has one form, which parses to the same selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    expression: Expression,
}

impl Selector {
    /// Parses a selector.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        Ok(Selector { expression: parse::expression(text)? })
    }

    /// The selector that holds everywhere: `**`.
    pub fn everywhere() -> Selector {
        Selector { expression: Expression::Path(vec![Item::Any]) }
    }

    /// True where the selector says where it does not hold. It then says nothing about what stands within a place
    /// that it holds at.
    pub(crate) fn excludes(&self) -> bool {
        self.expression.any(&|part| matches!(part, Expression::Not(_)))
    }

    /// The words after `$` in it.
    fn types(&self) -> Types {
        let mut types = Types::default();
        self.expression.each_item(&mut |item| {
            if let Item::Type(one) = item {
                types = types.with(*one);
            }
        });
        types
    }
}

impl std::str::FromStr for Selector {
    type Err = SelectorError;

    fn from_str(text: &str) -> Result<Selector, SelectorError> {
        Selector::parse(text)
    }
}

/// Why text is no selector.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why} at byte {at}")]
pub struct SelectorError {
    /// Where in the text, in bytes.
    pub at: usize,
    /// What is wrong, and what to write instead.
    pub why: &'static str,
}

/// Paths and what joins them.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    Path(Vec<Item>),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
}

impl Expression {
    /// True where the test holds for this or for any part of it.
    fn any(&self, test: &impl Fn(&Expression) -> bool) -> bool {
        test(self)
            || match self {
                Expression::Path(_) => false,
                Expression::Not(inner) => inner.any(test),
                Expression::All(parts) | Expression::Any(parts) => parts.iter().any(|part| part.any(test)),
            }
    }

    fn each_item(&self, visit: &mut impl FnMut(&Item)) {
        match self {
            Expression::Path(items) => items.iter().for_each(visit),
            Expression::Not(inner) => inner.each_item(visit),
            Expression::All(parts) | Expression::Any(parts) => {
                parts.iter().for_each(|part| part.each_item(visit));
            }
        }
    }
}

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    /// `**`. At the end of a path it is at least one step.
    Deep,
    /// `*`, and `**` alone.
    Any,
    /// A key, or the place of an item in a list.
    Key(String),
    /// `$name`.
    Type(types::Type),
}

impl fmt::Display for Selector {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write::expression(&self.expression, out)
    }
}

#[cfg(test)]
mod tests;
