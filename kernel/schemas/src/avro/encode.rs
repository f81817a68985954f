//! From values to bytes (Avro 1.12 specification, "JSON Encoding" and "Binary Encoding").

use candor_model::{EventTime, Value};

use super::{Id, Logical, Primitive, Schema, Type};
use crate::encode::{EncodeError, Steps, whole};

impl Schema {
    /// The bytes of a value in Avro's JSON encoding. A union's value may stand without its branch's name: the first branch
    /// that takes it is meant.
    pub(crate) fn encode(&self, value: &Value) -> Result<Vec<u8>, EncodeError> {
        let (mut out, mut steps) = (Vec::new(), Steps::new());
        self.write(self.root, value, &mut out, &mut steps)?;
        Ok(out)
    }

    fn write(&self, id: Id, value: &Value, out: &mut Vec<u8>, steps: &mut Steps) -> Result<(), EncodeError> {
        steps.take()?;
        match (self.get(id), value) {
            (Type::Primitive(primitive, logical), value) => scalar(*primitive, *logical, value, out),
            (Type::Array(of), Value::Array(items)) => {
                if !items.is_empty() {
                    long(items.len() as i64, out);
                }
                for (at, item) in items.iter().enumerate() {
                    self.deeper(*of, item, out, steps).map_err(|error| error.within(at))?;
                }
                long(0, out);
                Ok(())
            }
            (Type::Map(of), Value::Object(members)) => {
                if members.iter().next().is_some() {
                    long(members.iter().count() as i64, out);
                }
                for (key, item) in members.iter() {
                    sized(key.as_bytes(), out);
                    self.deeper(*of, item, out, steps).map_err(|error| error.within(key))?;
                }
                long(0, out);
                Ok(())
            }
            (Type::Union(branches), value) => self.branch(branches, value, out, steps),
            (Type::Record { name, fields }, Value::Object(members)) => {
                for (key, _) in members.iter() {
                    if !fields.iter().any(|field| field.name == *key) {
                        return Err(EncodeError::new(format!("{} has no such field", name.full)).within(key));
                    }
                }
                for field in fields {
                    let missing = || EncodeError::new("it is missing").within(&field.name);
                    let value = members.get(&field.name).ok_or_else(missing)?;
                    self.deeper(field.of, value, out, steps).map_err(|error| error.within(&field.name))?;
                }
                Ok(())
            }
            (Type::Enum { name, symbols, .. }, Value::Str(symbol)) => {
                let at = symbols.iter().position(|own| own == symbol);
                let none = || EncodeError::new(format!("it is no symbol of {}", name.full));
                long(at.ok_or_else(none)? as i64, out);
                Ok(())
            }
            (Type::Fixed { name, size, .. }, Value::Str(text)) => {
                let bytes = latin(text)?;
                if bytes.len() != *size {
                    return Err(EncodeError::new(format!("{} has {size} bytes", name.full)));
                }
                out.extend_from_slice(&bytes);
                Ok(())
            }
            (expected, _) => Err(EncodeError::new(format!("{} is expected", said(expected)))),
        }
    }

    fn deeper(&self, id: Id, value: &Value, out: &mut Vec<u8>, steps: &mut Steps) -> Result<(), EncodeError> {
        steps.enter()?;
        let done = self.write(id, value, out, steps);
        steps.leave();
        done
    }

    fn branch(
        &self,
        branches: &[Id],
        value: &Value,
        out: &mut Vec<u8>,
        steps: &mut Steps,
    ) -> Result<(), EncodeError> {
        // `{"string": "x"}` names its branch.
        if let Value::Object(members) = value
            && let [(key, inner)] = members.0.as_slice()
            && let Some(at) = branches.iter().position(|branch| self.is_called(*branch, key))
            && let Some(branch) = branches.get(at)
        {
            let before = out.len();
            long(at as i64, out);
            match self.deeper(*branch, inner, out, steps) {
                Ok(()) => return Ok(()),
                // A record may have a field of that name.
                Err(_) if !steps.is_spent() => out.truncate(before),
                Err(error) => return Err(error.within(key)),
            }
        }
        let mut first = None;
        for (at, branch) in branches.iter().enumerate() {
            let before = out.len();
            long(at as i64, out);
            match self.deeper(*branch, value, out, steps) {
                Ok(()) => return Ok(()),
                Err(error) => {
                    out.truncate(before);
                    // What a value of null does not fit says nothing.
                    let is_null = matches!(self.get(*branch), Type::Primitive(Primitive::Null, _));
                    first = first.or((!is_null).then_some(error));
                }
            }
            if steps.is_spent() {
                break;
            }
        }
        Err(first.unwrap_or_else(|| EncodeError::new("it is none of the union's branches")))
    }

    fn is_called(&self, branch: Id, name: &str) -> bool {
        match self.get(branch) {
            Type::Primitive(primitive, _) => Primitive::from_name(name) == Some(*primitive),
            Type::Array(_) => name == "array",
            Type::Map(_) => name == "map",
            other => other.name().is_some_and(|own| own.full == name || own.simple() == name),
        }
    }
}

fn said(expected: &Type) -> String {
    match expected {
        Type::Primitive(primitive, _) => {
            let name = Primitive::ALL.iter().find(|(_, own)| own == primitive).map_or("", |(name, _)| name);
            match primitive {
                Primitive::Null => "null".to_owned(),
                Primitive::Bytes => "a string of bytes (each a character up to U+00FF)".to_owned(),
                Primitive::Int => "an int".to_owned(),
                _ => format!("a {name}"),
            }
        }
        Type::Array(_) => "a list".to_owned(),
        Type::Map(_) => "an object".to_owned(),
        Type::Record { name, .. } => format!("an object that is a {}", name.full),
        Type::Enum { name, .. } => format!("a symbol of {}", name.full),
        Type::Fixed { name, size, .. } => format!("a string of the {size} bytes of {}", name.full),
        Type::Union(_) | Type::Open => "something else".to_owned(),
    }
}

fn scalar(
    primitive: Primitive,
    logical: Logical,
    value: &Value,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let wrong = || EncodeError::new(format!("{} is expected", said(&Type::Primitive(primitive, logical))));
    match (primitive, value) {
        (Primitive::Null, Value::Null) => {}
        (Primitive::Boolean, Value::Bool(is)) => out.push(u8::from(*is)),
        (Primitive::Int, value) => {
            let number = whole(value).and_then(|number| i32::try_from(number).ok()).ok_or_else(wrong)?;
            long(i64::from(number), out);
        }
        (Primitive::Long, value) => {
            long(whole(value).or_else(|| time(logical, value)).ok_or_else(wrong)?, out);
        }
        (Primitive::Float, value) => {
            out.extend_from_slice(&(number(value).ok_or_else(wrong)? as f32).to_le_bytes());
        }
        (Primitive::Double, value) => {
            out.extend_from_slice(&number(value).ok_or_else(wrong)?.to_le_bytes());
        }
        (Primitive::Bytes, Value::Str(text)) => sized(&latin(text)?, out),
        (Primitive::String, Value::Str(text)) => sized(text.as_bytes(), out),
        _ => return Err(wrong()),
    }
    Ok(())
}

/// A time that stands as RFC 3339, as values are shown.
fn time(logical: Logical, value: &Value) -> Option<i64> {
    let micros = EventTime::parse(value.as_str()?)?.micros;
    match logical {
        Logical::TimestampMillis => Some(micros.div_euclid(1000)),
        Logical::TimestampMicros => Some(micros),
        Logical::TimestampNanos => micros.checked_mul(1000),
        Logical::None | Logical::Decimal { .. } | Logical::Date => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Int(number) => Some(*number as f64),
        Value::UInt(number) => Some(*number as f64),
        Value::BigInt(digits) => digits.parse().ok(),
        Value::Float(number) => Some(*number),
        _ => None,
    }
}

/// Bytes that stand as text, each as the character of its number.
fn latin(text: &str) -> Result<Vec<u8>, EncodeError> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    bytes.ok_or_else(|| EncodeError::new("a character above U+00FF is no byte"))
}

fn sized(bytes: &[u8], out: &mut Vec<u8>) {
    long(bytes.len() as i64, out);
    out.extend_from_slice(bytes);
}

/// A number in zigzag and base 128.
fn long(number: i64, out: &mut Vec<u8>) {
    crate::proto::put_varint((number << 1 ^ number >> 63) as u64, out);
}
