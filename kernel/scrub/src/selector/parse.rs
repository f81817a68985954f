//! Text into an expression.

use super::limits::{BYTES_MAX, DEPTH_MAX, ITEMS_MAX};
use super::types::Type;
use super::{Expression, Item, SelectorError};

const UNKNOWN_TYPE: &str = "there is no such type; there are $string, $number, $boolean, $null, $object, $array and \
     $datetime, the records $error, $log, $span, $stream, $metric, $replay and $check, and of an error $exception, \
     $stacktrace, $frame, $request, $user, $message, $thread, $breadcrumb and $sdk";

pub(super) fn expression(text: &str) -> Result<Expression, SelectorError> {
    let mut parser = Parser { text, at: 0, items: 0 };
    if text.len() > BYTES_MAX {
        return Err(SelectorError {
            at: BYTES_MAX,
            why: "a selector has 2048 bytes at most; write several rules",
        });
    }
    let expression = parser.any(0)?;
    match parser.rest().chars().next() {
        None => Ok(expression),
        Some(')') => Err(parser.error("this parenthesis closes none")),
        Some('&' | '|') => Err(parser.error("paths are joined with `&&` or `||`")),
        Some(_) => Err(parser.error(
            "unexpected text; keys with other signs than letters, digits, `_` and `-` are \
             written in single quotes",
        )),
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    items: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, why: &'static str) -> SelectorError {
        SelectorError { at: self.at, why }
    }

    fn skip_blanks(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Goes beyond `sign` and the blanks behind it, where it is next.
    fn takes(&mut self, sign: &str) -> bool {
        let found = self.rest().starts_with(sign);
        if found {
            self.at += sign.len();
        }
        found
    }

    fn any(&mut self, depth: usize) -> Result<Expression, SelectorError> {
        let first = self.all(depth)?;
        let parts = self.joined(first, "||", |parser| parser.all(depth))?;
        Ok(flat(parts, Expression::Any, |part| match part {
            Expression::Any(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    fn all(&mut self, depth: usize) -> Result<Expression, SelectorError> {
        let first = self.one(depth)?;
        let parts = self.joined(first, "&&", |parser| parser.one(depth))?;
        Ok(flat(parts, Expression::All, |part| match part {
            Expression::All(inner) => Ok(inner),
            other => Err(other),
        }))
    }

    /// What stands between as many `sign`s as there are.
    fn joined(
        &mut self,
        first: Expression,
        sign: &str,
        mut next: impl FnMut(&mut Parser<'a>) -> Result<Expression, SelectorError>,
    ) -> Result<Vec<Expression>, SelectorError> {
        let mut parts = vec![first];
        loop {
            self.skip_blanks();
            if !self.takes(sign) {
                break;
            }
            parts.push(next(self)?);
        }
        Ok(parts)
    }

    fn one(&mut self, depth: usize) -> Result<Expression, SelectorError> {
        self.skip_blanks();
        if depth > DEPTH_MAX {
            return Err(self.error("too many parentheses and `!` within each other"));
        }
        if self.takes("!") {
            return Ok(Expression::Not(Box::new(self.one(depth + 1)?)));
        }
        let open = self.at;
        if self.takes("(") {
            let inner = self.any(depth + 1)?;
            self.skip_blanks();
            if self.takes(")") {
                return Ok(inner);
            }
            return Err(match self.rest().is_empty() {
                true => SelectorError { at: open, why: "this parenthesis is not closed" },
                false => self.error("`)`, `&&` or `||` is expected here"),
            });
        }
        self.path()
    }

    fn path(&mut self) -> Result<Expression, SelectorError> {
        let mut items: Vec<Item> = Vec::new();
        loop {
            let begins = self.at;
            let item = self.item()?;
            if !(item == Item::Deep && items.last() == Some(&Item::Deep)) {
                self.items += 1;
                items.push(item);
            }
            if self.items > ITEMS_MAX {
                return Err(SelectorError {
                    at: begins,
                    why: "more than 64 steps in one selector; write several rules",
                });
            }
            if !self.takes(".") {
                break;
            }
        }
        // What `**` alone says is what `*` alone says: any place at all.
        match items.as_slice() {
            [Item::Deep] => Ok(Expression::Path(vec![Item::Any])),
            _ => Ok(Expression::Path(items)),
        }
    }

    fn item(&mut self) -> Result<Item, SelectorError> {
        let rest = self.rest();
        if self.takes("**") {
            return Ok(Item::Deep);
        }
        if self.takes("*") {
            return Ok(Item::Any);
        }
        let begins = self.at;
        if self.takes("$") {
            let name = bare(self.rest());
            let Some(known) = Type::by_name(name) else {
                return Err(SelectorError { at: begins, why: UNKNOWN_TYPE });
            };
            self.at += name.len();
            return Ok(Item::Type(known));
        }
        if self.takes("'") {
            return self.quoted(begins);
        }
        let key = bare(rest);
        if key.is_empty() {
            return Err(self.error(match rest.chars().next() {
                None => "a path is missing at the end",
                Some('"') => "keys are quoted with single quotes",
                Some('.') => "a path has a key, `*` or `**` between its dots",
                _ => "a path is expected: a key, `*`, `**`, `$type`, or a key in single quotes",
            }));
        }
        self.at += key.len();
        Ok(Item::Key(key.to_owned()))
    }

    /// The key in quotes whose opening quote is behind us.
    fn quoted(&mut self, begins: usize) -> Result<Item, SelectorError> {
        let mut key = String::new();
        loop {
            let rest = self.rest();
            let Some(end) = rest.find('\'') else {
                return Err(SelectorError { at: begins, why: "this quote is not closed" });
            };
            key.push_str(rest.get(..end).unwrap_or_default());
            self.at += end + 1;
            if !self.takes("'") {
                return Ok(Item::Key(key));
            }
            key.push('\'');
        }
    }
}

/// One expression of several; those that are of the same kind themselves, in parentheses, join in.
fn flat(
    parts: Vec<Expression>,
    join: fn(Vec<Expression>) -> Expression,
    inner: fn(Expression) -> Result<Vec<Expression>, Expression>,
) -> Expression {
    let mut all = Vec::with_capacity(parts.len());
    let mut only = None;
    let single = parts.len() == 1;
    for part in parts {
        if single {
            only = Some(part);
            break;
        }
        match inner(part) {
            Ok(parts) => all.extend(parts),
            Err(part) => all.push(part),
        }
    }
    only.unwrap_or_else(|| join(all))
}

/// The key at the beginning of the text that needs no quotes.
pub(super) fn bare(text: &str) -> &str {
    let end = text.find(|sign: char| !(sign.is_alphanumeric() || matches!(sign, '_' | '-')));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}
