//! Values with some of their texts replaced, and everything else as it was written.

use candor_model::Value;

use super::decode::{block, long, text};
use super::{Id, Primitive, Schema, Type};
use crate::{Budget, DecodeError};

impl Schema {
    /// The value with the texts of `after` where they differ from those of `before`, which is what it was opened as.
    pub(crate) fn patched(
        &self,
        mut payload: &[u8],
        before: &Value,
        after: &Value,
    ) -> Result<Vec<u8>, DecodeError> {
        let mut out = Vec::with_capacity(payload.len());
        let mut budget = Budget::new(payload.len());
        self.patch(self.root, &mut payload, (before, after), &mut out, (&mut budget, 0))?;
        if payload.is_empty() { Ok(out) } else { Err(DecodeError::Long) }
    }

    fn patch(
        &self,
        id: Id,
        input: &mut &[u8],
        (before, after): (&Value, &Value),
        out: &mut Vec<u8>,
        (budget, depth): (&mut Budget, usize),
    ) -> Result<(), DecodeError> {
        let whole = *input;
        if before == after {
            self.value(id, input, budget, depth)?;
            return copy(whole, input, out);
        }
        budget.take(depth)?;
        match (self.get(id), before, after) {
            (Type::Primitive(Primitive::String, _), Value::Str(_), Value::Str(after)) => {
                text(input)?;
                put_text(after, out);
                Ok(())
            }
            // What is no number is never equal to itself.
            (Type::Primitive(..), Value::Float(before), Value::Float(after))
                if before.to_bits() == after.to_bits() =>
            {
                self.value(id, input, budget, depth)?;
                copy(whole, input, out)
            }
            (Type::Array(of), Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
                let mut pairs = before.iter().zip(after);
                while let Some(count) = block(input)? {
                    put_long(count as i64, out);
                    for _ in 0..count {
                        let pair = pairs.next().ok_or(CHANGED)?;
                        self.patch(*of, input, pair, out, (&mut *budget, depth + 1))?;
                    }
                }
                put_long(0, out);
                Ok(())
            }
            (Type::Map(of), Value::Object(before), Value::Object(after)) if before.len() == after.len() => {
                let mut pairs = before.0.iter().zip(&after.0);
                while let Some(count) = block(input)? {
                    put_long(count as i64, out);
                    for _ in 0..count {
                        let ((_, before), (key, after)) = pairs.next().ok_or(CHANGED)?;
                        text(input)?;
                        put_text(key, out);
                        self.patch(*of, input, (before, after), out, (&mut *budget, depth + 1))?;
                    }
                }
                put_long(0, out);
                Ok(())
            }
            (Type::Union(branches), ..) => {
                let index = usize::try_from(long(input)?).ok();
                let branch = index.and_then(|index| branches.get(index)).ok_or(CHANGED)?;
                copy(whole, input, out)?;
                self.patch(*branch, input, (before, after), out, (budget, depth + 1))
            }
            (Type::Record { fields, .. }, Value::Object(before), Value::Object(after)) => {
                let mut pairs = before.0.iter().zip(&after.0);
                for field in fields {
                    let ((_, before), (name, after)) = pairs.next().ok_or(CHANGED)?;
                    if *name != field.name {
                        return Err(CHANGED);
                    }
                    self.patch(field.of, input, (before, after), out, (&mut *budget, depth + 1))?;
                }
                Ok(())
            }
            _ => Err(CHANGED),
        }
    }
}

/// What differs is no text.
const CHANGED: DecodeError = DecodeError::Mismatch("what changes is no text");

/// Copies what was read since `whole`.
fn copy(whole: &[u8], input: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
    out.extend_from_slice(whole.get(..whole.len() - input.len()).ok_or(DecodeError::Short)?);
    Ok(())
}

fn put_long(number: i64, out: &mut Vec<u8>) {
    let mut left = (number << 1 ^ number >> 63) as u64;
    while left >= 0x80 {
        out.push(left as u8 | 0x80);
        left >>= 7;
    }
    out.push(left as u8);
}

fn put_text(text: &str, out: &mut Vec<u8>) {
    put_long(text.len() as i64, out);
    out.extend_from_slice(text.as_bytes());
}
