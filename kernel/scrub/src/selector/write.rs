//! The one form in which a selector is printed.

use std::fmt::{Formatter, Result, Write};

use super::parse::bare;
use super::{Expression, Item};

pub(super) fn expression(expression: &Expression, out: &mut Formatter<'_>) -> Result {
    match expression {
        Expression::Path(items) => path(items, out),
        Expression::Not(inner) => {
            out.write_char('!')?;
            enclosed(inner, matches!(**inner, Expression::All(_) | Expression::Any(_)), out)
        }
        Expression::All(parts) => {
            joined(parts, " && ", out, |part, out| enclosed(part, matches!(part, Expression::Any(_)), out))
        }
        Expression::Any(parts) => joined(parts, " || ", out, self::expression),
    }
}

fn enclosed(expression: &Expression, encloses: bool, out: &mut Formatter<'_>) -> Result {
    if !encloses {
        return self::expression(expression, out);
    }
    out.write_char('(')?;
    self::expression(expression, out)?;
    out.write_char(')')
}

fn joined<T>(
    parts: &[T],
    sign: &str,
    out: &mut Formatter<'_>,
    write: impl Fn(&T, &mut Formatter<'_>) -> Result,
) -> Result {
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            out.write_str(sign)?;
        }
        write(part, out)?;
    }
    Ok(())
}

fn path(items: &[Item], out: &mut Formatter<'_>) -> Result {
    if items == [Item::Any] {
        return out.write_str("**");
    }
    joined(items, ".", out, |item, out| match item {
        Item::Deep => out.write_str("**"),
        Item::Any => out.write_char('*'),
        Item::Type(one) => write!(out, "${}", one.name()),
        Item::Key(key) => self::key(key, out),
    })
}

/// A key as it stands in a path.
pub(crate) fn key(key: &str, out: &mut impl Write) -> Result {
    match !key.is_empty() && bare(key).len() == key.len() {
        true => out.write_str(key),
        false => write!(out, "'{}'", key.replace('\'', "''")),
    }
}
