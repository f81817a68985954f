//! From bytes to values (Avro 1.12 specification, "Binary Encoding").

use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{Object, Timestamp, Value};
use data_encoding::BASE64;

use super::{Id, Logical, Primitive, Schema, Type};
use crate::{Budget, DecodeError};

/// Longest decimal that is shown as a number, bytes. Past it the time would grow with the square of the length.
const DECIMAL_BYTES_MAX: usize = 64;

impl Schema {
    /// A value. Unions give what they hold, bytes are base64, decimals text, times RFC 3339.
    pub(crate) fn decode(&self, mut payload: &[u8]) -> Result<Value, DecodeError> {
        let mut budget = Budget::new(payload.len());
        let value = self.value(self.root, &mut payload, &mut budget, 0)?;
        if payload.is_empty() { Ok(value) } else { Err(DecodeError::Long) }
    }

    pub(super) fn value(
        &self,
        id: Id,
        input: &mut &[u8],
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        budget.take(depth)?;
        match self.get(id) {
            Type::Primitive(primitive, logical) => scalar(*primitive, *logical, input),
            Type::Array(of) => {
                let mut items = Vec::new();
                while let Some(count) = block(input)? {
                    for _ in 0..count {
                        items.push(self.value(*of, input, budget, depth + 1)?);
                    }
                }
                Ok(Value::Array(items))
            }
            Type::Map(of) => {
                let mut members = Vec::new();
                while let Some(count) = block(input)? {
                    for _ in 0..count {
                        let key = text(input)?;
                        members.push((key, self.value(*of, input, budget, depth + 1)?));
                    }
                }
                Ok(Value::Object(Object(members)))
            }
            Type::Union(branches) => {
                let index = usize::try_from(long(input)?).ok();
                let branch = index.and_then(|index| branches.get(index));
                let branch = branch.ok_or(DecodeError::Mismatch("no such branch of a union"))?;
                self.value(*branch, input, budget, depth + 1)
            }
            Type::Record { fields, .. } => {
                let mut members = Vec::new();
                for field in fields {
                    let name = budget.name(&field.name)?;
                    members.push((name, self.value(field.of, input, budget, depth + 1)?));
                }
                Ok(Value::Object(Object(members)))
            }
            Type::Enum { symbols, .. } => {
                let index = usize::try_from(long(input)?).ok();
                let symbol = index.and_then(|index| symbols.get(index));
                let symbol = symbol.ok_or(DecodeError::Mismatch("no such symbol"))?;
                Ok(Value::Str(budget.name(symbol)?))
            }
            Type::Fixed { size, logical, .. } => Ok(binary(take(input, *size)?, *logical)),
            Type::Open => Err(DecodeError::Mismatch("the schema is not whole")),
        }
    }
}

fn scalar(primitive: Primitive, logical: Logical, input: &mut &[u8]) -> Result<Value, DecodeError> {
    Ok(match primitive {
        Primitive::Null => Value::Null,
        Primitive::Boolean => match take(input, 1)? {
            [0] => Value::Bool(false),
            [1] => Value::Bool(true),
            _ => return Err(DecodeError::Mismatch("a boolean is 0 or 1")),
        },
        Primitive::Int => {
            let number = i32::try_from(long(input)?).map_err(|_| DecodeError::Mismatch("no int"))?;
            number_shown(i64::from(number), logical)
        }
        Primitive::Long => number_shown(long(input)?, logical),
        Primitive::Float => {
            let bytes = take(input, 4)?.first_chunk().copied().unwrap_or_default();
            float(f32::from_le_bytes(bytes))
        }
        Primitive::Double => {
            let bytes = take(input, 8)?.first_chunk().copied().unwrap_or_default();
            Value::Float(f64::from_le_bytes(bytes))
        }
        Primitive::Bytes => binary(sized(input)?, logical),
        Primitive::String => Value::Str(text(input)?),
    })
}

/// A float as the shortest decimal that is it: 0.1, not 0.10000000149.
pub(crate) fn float(number: f32) -> Value {
    let exact = f64::from(number);
    Value::Float(if number.is_finite() { number.to_string().parse().unwrap_or(exact) } else { exact })
}

fn number_shown(number: i64, logical: Logical) -> Value {
    let micros = match logical {
        Logical::Date => number.checked_mul(86_400_000_000),
        Logical::TimestampMillis => number.checked_mul(1000),
        Logical::TimestampMicros => Some(number),
        Logical::TimestampNanos => Some(number.div_euclid(1000)),
        Logical::None | Logical::Decimal { .. } => return Value::Int(number),
    };
    let Some(shown) = micros.filter(|micros| micros.unsigned_abs() < SHOWN_MICROS_MAX) else {
        return Value::Int(number);
    };
    let shown = Timestamp(shown).to_string();
    match logical {
        Logical::Date => Value::from(shown.split('T').next().unwrap_or_default()),
        _ => Value::Str(shown),
    }
}

/// Times that are shown as times lie within this of 1970, microseconds: some 8,000 years. RFC 3339 ends with 9999.
const SHOWN_MICROS_MAX: u64 = 250_000_000_000_000_000;

fn binary(bytes: &[u8], logical: Logical) -> Value {
    match logical {
        Logical::Decimal { scale } if bytes.len() <= DECIMAL_BYTES_MAX => Value::Str(decimal(bytes, scale)),
        _ => Value::Str(BASE64.encode(bytes)),
    }
}

/// A number in two's complement, most significant byte first, with a point before the last `scale` digits.
fn decimal(bytes: &[u8], scale: u32) -> String {
    let is_negative = bytes.first().is_some_and(|first| *first >= 0x80);
    let mut left = bytes.to_vec();
    if is_negative {
        let mut carry = true;
        for byte in left.iter_mut().rev() {
            let (flipped, over) = (!*byte).overflowing_add(u8::from(carry));
            (*byte, carry) = (flipped, over);
        }
    }
    let mut digits = Vec::new();
    while left.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u32;
        for byte in &mut left {
            let part = rest << 8 | u32::from(*byte);
            *byte = (part / 10) as u8;
            rest = part % 10;
        }
        digits.push(b'0' + rest as u8);
    }
    let scale = scale as usize;
    while digits.len() <= scale {
        digits.push(b'0');
    }
    let mut out = String::with_capacity(digits.len() + 2);
    if is_negative {
        out.push('-');
    }
    for (at, digit) in digits.iter().enumerate().rev() {
        out.push(char::from(*digit));
        if at == scale && scale > 0 {
            out.push('.');
        }
    }
    out
}

/// The items in the next block; none at the end.
pub(super) fn block(input: &mut &[u8]) -> Result<Option<u64>, DecodeError> {
    let count = long(input)?;
    if count < 0 {
        // The block's length in bytes, for those who skip it.
        long(input)?;
    }
    Ok(Some(count.unsigned_abs()).filter(|count| *count > 0))
}

pub(super) fn text(input: &mut &[u8]) -> Result<String, DecodeError> {
    let bytes = sized(input)?;
    let text = std::str::from_utf8(bytes).map_err(|_| DecodeError::Mismatch("a string is not UTF-8"))?;
    Ok(text.to_owned())
}

fn sized<'a>(input: &mut &'a [u8]) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(long(input)?).map_err(|_| DecodeError::Mismatch("a negative length"))?;
    take(input, length)
}

fn take<'a>(input: &mut &'a [u8], length: usize) -> Result<&'a [u8], DecodeError> {
    if length > RECORD_BYTES_MAX {
        return Err(DecodeError::Short);
    }
    let (taken, rest) = input.split_at_checked(length).ok_or(DecodeError::Short)?;
    *input = rest;
    Ok(taken)
}

/// A number in zigzag and base 128.
pub(super) fn long(input: &mut &[u8]) -> Result<i64, DecodeError> {
    let raw = crate::proto::varint(input)?;
    Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
}
