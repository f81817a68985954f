//! Compact JSON text.

use std::fmt::Write;
use std::slice::Iter;

use super::scan::plain_run;
use crate::Value;

/// Compact JSON text; NaN and infinities are `null`.
///
/// Apart from those, [`super::parse`] gives the same value back: integers are exact, doubles have the fewest digits
/// that round to them.
pub fn to_string(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

/// A list or an object that is being written.
enum Open<'a> {
    Array(Iter<'a, Value>),
    Object(Iter<'a, (String, Value)>),
}

/// Appends [`to_string`]'s text. It does not recurse: a value that did not come from our parser may be deep.
pub fn write(value: &Value, out: &mut String) {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = Some(value);
    loop {
        match next.take() {
            Some(Value::Array(items)) => {
                out.push('[');
                open.push(Open::Array(items.iter()));
            }
            Some(Value::Object(object)) => {
                out.push('{');
                open.push(Open::Object(object.0.iter()));
            }
            Some(scalar) => write_scalar(scalar, out),
            None => return,
        }
        while next.is_none() {
            let Some(innermost) = open.last_mut() else { return };
            // A comma goes before every member but the first, which stands right after its bracket. No scalar
            // ends in an opening bracket, and a string ends in its quote, so the last byte tells.
            let first = matches!(out.as_bytes().last(), Some(b'[' | b'{'));
            let (member, close) = match innermost {
                Open::Array(items) => (items.next().map(|item| (None, item)), ']'),
                Open::Object(members) => (members.next().map(|(key, value)| (Some(key), value)), '}'),
            };
            match member {
                Some((key, member)) => {
                    if !first {
                        out.push(',');
                    }
                    if let Some(key) = key {
                        write_string(key, out);
                        out.push(':');
                    }
                    next = Some(member);
                }
                None => {
                    out.push(close);
                    open.pop();
                }
            }
        }
    }
}

fn write_scalar(value: &Value, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = match value {
        Value::Bool(true) => out.write_str("true"),
        Value::Bool(false) => out.write_str("false"),
        Value::Int(number) => write!(out, "{number}"),
        Value::UInt(number) => write!(out, "{number}"),
        // `{:?}` is the shortest text that reads back, with an exponent where that is shorter than zeros.
        Value::Float(number) if number.is_finite() => write!(out, "{number:?}"),
        Value::BigInt(digits) => out.write_str(digits),
        Value::Str(text) => {
            write_string(text, out);
            Ok(())
        }
        Value::Null | Value::Float(_) | Value::Array(_) | Value::Object(_) => out.write_str("null"),
    };
}

/// Appends a JSON string: in quotes, with what may not stand escaped.
pub fn write_string(text: &str, out: &mut String) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    loop {
        let run = plain_run(rest.as_bytes());
        let (plain, special) = rest.split_at_checked(run).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut characters = special.chars();
        let Some(character) = characters.next() else { break };
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            control => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
        }
        rest = characters.as_str();
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Object;

    #[test]
    fn numbers() {
        let check = |value: Value, expected: &str| assert_eq!(to_string(&value), expected);
        check(Value::Int(i64::MIN), "-9223372036854775808");
        check(Value::UInt(u64::MAX), "18446744073709551615");
        check(Value::BigInt("123456789012345678901234567890".into()), "123456789012345678901234567890");
        check(Value::Float(1.0), "1.0");
        check(Value::Float(0.1), "0.1");
        check(Value::Float(-0.0), "-0.0");
        check(Value::Float(1e300), "1e300");
        check(Value::Float(5e-324), "5e-324");
        check(Value::Float(f64::NAN), "null");
        check(Value::Float(f64::NEG_INFINITY), "null");
    }

    #[test]
    fn strings() {
        let check = |text: &str, expected: &str| assert_eq!(to_string(&Value::from(text)), expected);
        check("", r#""""#);
        check("a\"b\\c/d", r#""a\"b\\c/d""#);
        check("\u{0}\u{1f}\u{7f}\n\r\t\u{8}\u{c}", "\"\\u0000\\u001f\u{7f}\\n\\r\\t\\b\\f\"");
        check("žluťoučký 😀 kůň\n", "\"žluťoučký 😀 kůň\\n\"");
    }

    #[test]
    fn structure() {
        let inner =
            Object(vec![("[".to_owned(), Value::Array(vec![])), ("{".to_owned(), Object::new().into())]);
        let value = Value::Array(vec![
            Value::Str("[".into()),
            Value::Null,
            inner.into(),
            Value::Array(vec![Value::Bool(true), Value::Int(1)]),
        ]);
        assert_eq!(to_string(&value), r#"["[",null,{"[":[],"{":{}},[true,1]]"#);
    }

    #[test]
    fn deep_values_do_not_recurse() {
        let mut value = Value::Null;
        for _ in 0..20_000 {
            value = Value::Array(vec![value]);
        }
        assert_eq!(to_string(&value).len(), 40_004);
        // Dropping would recurse.
        while let Value::Array(items) = value {
            value = items.into_iter().next().expect("one item");
        }
    }
}
