//! From bytes to values, much as Protobuf's own JSON (ProtoJSON) has them: fields by the names that the file gives them,
//! enums by name, bytes in base64, times in RFC 3339. 64-bit integers stay numbers.

use std::collections::HashMap;

use candor_model::{Object, Timestamp, Value};
use data_encoding::BASE64;

use super::link::{Fld, Kind, Msg, Schema, Single};
use super::wire::{Raw, field, varint, zigzag};
use super::{Label, Scalar};
use crate::avro::float;
use crate::{Budget, DecodeError};

/// Indexes that lead to a message within messages. A file nests no deeper.
const INDEXES_MAX: i64 = super::MESSAGE_DEPTH_MAX as i64 + 1;

impl Schema {
    /// A value: the indexes of its message within the file, then the message.
    pub(crate) fn decode(&self, payload: &[u8]) -> Result<Value, DecodeError> {
        let (id, message) = self.named_message(payload)?;
        self.message(id, &[message], &mut Budget::new(payload.len()), 0)
    }

    /// The message that a value's indexes lead to, and its bytes behind them.
    pub(super) fn named_message<'a>(&self, mut payload: &'a [u8]) -> Result<(usize, &'a [u8]), DecodeError> {
        let count = zigzag(varint(&mut payload)?);
        if !(0..=INDEXES_MAX).contains(&count) {
            return Err(DecodeError::NoMessage);
        }
        let mut among = &self.roots;
        // No indexes are the first message.
        let mut id = *among.first().ok_or(DecodeError::NoMessage)?;
        for _ in 0..count {
            let index = usize::try_from(zigzag(varint(&mut payload)?)).map_err(|_| DecodeError::NoMessage)?;
            id = *among.get(index).ok_or(DecodeError::NoMessage)?;
            among = self.messages.get(id).map(|message| &message.nested).ok_or(DecodeError::NoMessage)?;
        }
        Ok((id, payload))
    }

    /// A message from the pieces that it came in: a field that comes twice is merged.
    fn message(
        &self,
        id: usize,
        pieces: &[&[u8]],
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        budget.take(depth)?;
        let message = self.messages.get(id).ok_or(DecodeError::NoMessage)?;
        let mut found: HashMap<usize, Vec<Raw<'_>>> = HashMap::new();
        // Which member of each oneof came last.
        let mut chosen: HashMap<_, usize> = HashMap::new();
        for piece in pieces {
            let mut input = *piece;
            while !input.is_empty() {
                let (number, raw) = field(&mut input)?;
                budget.field()?;
                let Some(at) = message.by_number.get(&number) else { continue };
                let Some(own) = message.fields.get(*at) else { continue };
                if let Some(oneof) = own.oneof
                    && let Some(before) = chosen.insert(oneof, *at)
                    && before != *at
                {
                    found.remove(&before);
                }
                let all = found.entry(*at).or_default();
                let keeps =
                    own.label == Label::Repeated || !matches!(own.kind, Kind::Scalar(_) | Kind::Enum(_));
                if !keeps {
                    all.clear();
                }
                all.push(raw);
            }
        }
        if let Some(value) = self.known(message, &found, budget, depth)? {
            return Ok(value);
        }
        let mut members = Vec::new();
        for (at, own) in message.fields.iter().enumerate() {
            let value = match found.get(&at) {
                Some(raws) => self.field_value(own, raws, budget, depth)?,
                None if own.is_implicit => {
                    budget.take(depth)?;
                    self.default(own, budget)?
                }
                None => continue,
            };
            members.push((budget.name(&own.name)?, value));
        }
        Ok(Value::Object(Object(members)))
    }

    fn field_value(
        &self,
        own: &Fld,
        raws: &[Raw<'_>],
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        let single = match own.kind {
            Kind::Map(key, of) => return self.map(key, of, raws, budget, depth),
            Kind::Scalar(scalar) => Single::Scalar(scalar),
            Kind::Enum(id) => Single::Enum(id),
            Kind::Message(id) => Single::Message(id),
        };
        if own.label != Label::Repeated {
            return self.single(single, raws, budget, depth + 1);
        }
        let mut items = Vec::new();
        for raw in raws {
            match (single, raw) {
                // Packed: one after the other without tags.
                (Single::Scalar(_) | Single::Enum(_), Raw::Bytes(packed)) if is_packable(single) => {
                    let mut packed = *packed;
                    while !packed.is_empty() {
                        let raw = unpacked(single, &mut packed)?;
                        items.push(self.single(single, &[raw], budget, depth + 1)?);
                    }
                }
                _ => items.push(self.single(single, std::slice::from_ref(raw), budget, depth + 1)?),
            }
        }
        Ok(Value::Array(items))
    }

    fn map(
        &self,
        key: Scalar,
        of: Single,
        raws: &[Raw<'_>],
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        let mut members = Vec::with_capacity(raws.len());
        for raw in raws {
            budget.take(depth + 1)?;
            let Raw::Bytes(mut entry) = *raw else { return Err(MISMATCH) };
            let (mut name, mut values) = (scalar_default(key), Vec::new());
            while !entry.is_empty() {
                match field(&mut entry)? {
                    (1, raw) => name = scalar(key, raw)?,
                    (2, raw) => values.push(raw),
                    _ => {}
                }
            }
            let value = match (values.as_slice(), of) {
                ([], Single::Message(id)) => self.message(id, &[], budget, depth + 2)?,
                ([], Single::Scalar(of)) => scalar_default(of),
                ([], Single::Enum(id)) => self.enum_value(id, 0, budget)?,
                (values, _) => self.single(of, values, budget, depth + 2)?,
            };
            members.push((name.to_text(), value));
        }
        Ok(Value::Object(Object(members)))
    }

    /// What stands at a field that is no list: of several scalars the last counts.
    fn single(
        &self,
        of: Single,
        raws: &[Raw<'_>],
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        match (of, raws.last()) {
            (Single::Message(id), _) => {
                let mut pieces = Vec::with_capacity(raws.len());
                for raw in raws {
                    match raw {
                        Raw::Bytes(bytes) | Raw::Group(bytes) => pieces.push(*bytes),
                        _ => return Err(MISMATCH),
                    }
                }
                self.message(id, &pieces, budget, depth)
            }
            (Single::Scalar(of), Some(raw)) => {
                budget.take(depth)?;
                scalar(of, *raw)
            }
            (Single::Enum(id), Some(Raw::Varint(number))) => {
                budget.take(depth)?;
                self.enum_value(id, *number as i32, budget)
            }
            _ => Err(MISMATCH),
        }
    }

    fn enum_value(&self, id: usize, number: i32, budget: &mut Budget) -> Result<Value, DecodeError> {
        match self.enums.get(id).and_then(|of| of.values.get(&number)) {
            Some(name) => Ok(Value::Str(budget.name(name)?)),
            None => Ok(Value::Int(i64::from(number))),
        }
    }

    fn default(&self, of: &Fld, budget: &mut Budget) -> Result<Value, DecodeError> {
        match of.kind {
            Kind::Scalar(scalar) => Ok(scalar_default(scalar)),
            Kind::Enum(id) => self.enum_value(id, 0, budget),
            Kind::Message(_) | Kind::Map(..) => Ok(Value::Null),
        }
    }

    /// Messages that have a form of their own.
    fn known(
        &self,
        message: &Msg,
        found: &HashMap<usize, Vec<Raw<'_>>>,
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Option<Value>, DecodeError> {
        let Some(name) = message.full.strip_prefix("google.protobuf.") else { return Ok(None) };
        let integer = |at: usize| match found.get(&at).and_then(|raws| raws.last()) {
            Some(Raw::Varint(number)) => *number as i64,
            _ => 0,
        };
        let first = || match (message.fields.first(), found.get(&0)) {
            (Some(own), Some(raws)) => Some((own, raws)),
            _ => None,
        };
        Ok(match name {
            "Timestamp" => {
                let micros =
                    integer(0).checked_mul(1_000_000).and_then(|of| of.checked_add(integer(1) / 1000));
                micros
                    .filter(|micros| micros.unsigned_abs() < 250_000_000_000_000_000)
                    .map(|micros| Value::Str(Timestamp(micros).to_string()))
            }
            "Duration" => {
                let (seconds, nanos) = (integer(0), integer(1));
                let sign = if seconds < 0 || nanos < 0 { "-" } else { "" };
                let (seconds, nanos) = (seconds.unsigned_abs(), nanos.unsigned_abs());
                Some(Value::Str(match nanos {
                    0 => format!("{sign}{seconds}s"),
                    _ => format!("{sign}{seconds}.{nanos:09}s"),
                }))
            }
            "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
            | "BoolValue" | "StringValue" | "BytesValue" => match (first(), message.fields.first()) {
                (Some((own, raws)), _) => Some(self.field_value(own, raws, budget, depth)?),
                (None, Some(own)) => Some(self.default(own, budget)?),
                (None, None) => None,
            },
            "Struct" => Some(match first() {
                Some((own, raws)) => self.field_value(own, raws, budget, depth)?,
                None => Value::Object(Object::new()),
            }),
            "ListValue" => Some(match first() {
                Some((own, raws)) => self.field_value(own, raws, budget, depth)?,
                None => Value::Array(Vec::new()),
            }),
            "Value" => Some(match found.iter().next() {
                Some((at, raws)) if *at > 0 => match message.fields.get(*at) {
                    Some(own) => self.field_value(own, raws, budget, depth)?,
                    None => Value::Null,
                },
                _ => Value::Null,
            }),
            _ => None,
        })
    }
}

const MISMATCH: DecodeError = DecodeError::Mismatch("a field has another type than its schema says");

fn is_packable(of: Single) -> bool {
    !matches!(of, Single::Scalar(Scalar::String | Scalar::Bytes))
}

fn unpacked<'a>(of: Single, input: &mut &'a [u8]) -> Result<Raw<'a>, DecodeError> {
    let fixed = |input: &mut &'a [u8], length: usize| {
        let (taken, rest) = input.split_at_checked(length).ok_or(DecodeError::Short)?;
        *input = rest;
        Ok::<_, DecodeError>(taken)
    };
    Ok(match of {
        Single::Scalar(Scalar::Double | Scalar::Fixed64 | Scalar::Sfixed64) => {
            Raw::Fixed64(u64::from_le_bytes(fixed(input, 8)?.first_chunk().copied().unwrap_or_default()))
        }
        Single::Scalar(Scalar::Float | Scalar::Fixed32 | Scalar::Sfixed32) => {
            Raw::Fixed32(u32::from_le_bytes(fixed(input, 4)?.first_chunk().copied().unwrap_or_default()))
        }
        _ => Raw::Varint(varint(input)?),
    })
}

fn scalar(of: Scalar, raw: Raw<'_>) -> Result<Value, DecodeError> {
    let unsigned = |number: u64| i64::try_from(number).map_or(Value::UInt(number), Value::Int);
    Ok(match (of, raw) {
        (Scalar::Double, Raw::Fixed64(bits)) => Value::Float(f64::from_bits(bits)),
        (Scalar::Float, Raw::Fixed32(bits)) => float(f32::from_bits(bits)),
        (Scalar::Int32, Raw::Varint(number)) => Value::Int(i64::from(number as i32)),
        (Scalar::Int64, Raw::Varint(number)) => Value::Int(number as i64),
        (Scalar::Uint32, Raw::Varint(number)) => Value::Int(i64::from(number as u32)),
        (Scalar::Uint64, Raw::Varint(number)) | (Scalar::Fixed64, Raw::Fixed64(number)) => unsigned(number),
        (Scalar::Sint32 | Scalar::Sint64, Raw::Varint(number)) => Value::Int(zigzag(number)),
        (Scalar::Fixed32, Raw::Fixed32(number)) => Value::Int(i64::from(number)),
        (Scalar::Sfixed32, Raw::Fixed32(number)) => Value::Int(i64::from(number as i32)),
        (Scalar::Sfixed64, Raw::Fixed64(number)) => Value::Int(number as i64),
        (Scalar::Bool, Raw::Varint(number)) => Value::Bool(number != 0),
        (Scalar::String, Raw::Bytes(bytes)) => Value::Str(String::from_utf8_lossy(bytes).into_owned()),
        (Scalar::Bytes, Raw::Bytes(bytes)) => Value::Str(BASE64.encode(bytes)),
        _ => return Err(MISMATCH),
    })
}

fn scalar_default(of: Scalar) -> Value {
    match of {
        Scalar::Double | Scalar::Float => Value::Float(0.0),
        Scalar::Bool => Value::Bool(false),
        Scalar::String | Scalar::Bytes => Value::from(""),
        _ => Value::Int(0),
    }
}
