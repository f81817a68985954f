//! From values to bytes, as ProtoJSON has them (Protocol Buffers, "ProtoJSON Format"): fields by the name in the file or
//! in lowerCamelCase, enums by name or number, bytes in base64, 64-bit integers as numbers or text.

use candor_model::{EventTime, Value};
use data_encoding::BASE64;

use super::link::{Fld, Kind, Msg, Schema, Single};
use super::wire::Writer;
use super::{Label, Scalar};
use crate::encode::{EncodeError, Steps, whole};

type Done = Result<(), EncodeError>;

fn expected(what: &str) -> EncodeError {
    EncodeError::new(format!("{what} is expected"))
}

impl Schema {
    /// What follows a schema's id: the place of the file's first message, then it.
    pub(crate) fn encode(&self, value: &Value) -> Result<Vec<u8>, EncodeError> {
        let first = self.roots.first().ok_or_else(|| EncodeError::new("the schema has no message"))?;
        // One nought stands for the first message.
        let mut out = Writer(vec![0]);
        self.write(*first, value, &mut out, &mut Steps::new())?;
        Ok(out.0)
    }

    fn write(&self, id: usize, value: &Value, out: &mut Writer, steps: &mut Steps) -> Done {
        steps.take()?;
        let message =
            self.messages.get(id).ok_or_else(|| EncodeError::new("the schema has no such message"))?;
        if message.is_group {
            return Err(EncodeError::new("groups are not written"));
        }
        if let Some(known) = message.full.strip_prefix("google.protobuf.")
            && self.write_known(known, message, value, out, steps)?
        {
            return Ok(());
        }
        let Value::Object(members) = value else {
            return Err(expected(&format!("an object that is a {}", message.full)));
        };
        let mut chosen = vec![false; message.oneofs.len()];
        for (key, value) in members.iter() {
            let of = message.fields.iter().find(|field| field.name == *key || camel(&field.name) == *key);
            let of = of
                .ok_or_else(|| EncodeError::new(format!("{} has no such field", message.full)).within(key))?;
            // Null is a field that is not there, but where it is what the field holds.
            if matches!(value, Value::Null) && !self.takes_null(of.kind) {
                continue;
            }
            if let Some(taken) = of.oneof.and_then(|oneof| chosen.get_mut(oneof))
                && std::mem::replace(taken, true)
            {
                return Err(EncodeError::new("another one of its oneof is there already").within(key));
            }
            self.write_field(of, value, out, steps).map_err(|error| error.within(key))?;
        }
        Ok(())
    }

    fn takes_null(&self, kind: Kind) -> bool {
        let is_value = |id: usize| self.messages.get(id).is_some_and(|of| of.full == "google.protobuf.Value");
        matches!(kind, Kind::Message(id) if is_value(id))
    }

    fn write_field(&self, of: &Fld, value: &Value, out: &mut Writer, steps: &mut Steps) -> Done {
        let single = match of.kind {
            Kind::Map(key, of_values) => return self.write_map(of.number, key, of_values, value, out, steps),
            Kind::Scalar(scalar) => Single::Scalar(scalar),
            Kind::Enum(id) => Single::Enum(id),
            Kind::Message(id) => Single::Message(id),
        };
        match (of.label, value) {
            (Label::Repeated, Value::Array(items)) => {
                for (at, item) in items.iter().enumerate() {
                    // Each by itself, which every reader takes, packed or not.
                    self.write_single(of.number, single, item, out, steps)
                        .map_err(|error| error.within(at))?;
                }
                Ok(())
            }
            (Label::Repeated, _) => Err(expected("a list")),
            (_, value) => self.write_single(of.number, single, value, out, steps),
        }
    }

    fn write_map(
        &self,
        number: i32,
        key: Scalar,
        of: Single,
        value: &Value,
        out: &mut Writer,
        steps: &mut Steps,
    ) -> Done {
        let Value::Object(members) = value else { return Err(expected("an object")) };
        for (name, value) in members.iter() {
            let mut entry = Writer::default();
            let named = match (key, name) {
                (Scalar::Bool, "true") => Value::Bool(true),
                (Scalar::Bool, "false") => Value::Bool(false),
                (_, name) => Value::from(name),
            };
            scalar(1, key, &named, &mut entry).map_err(|error| error.within(name))?;
            self.write_single(2, of, value, &mut entry, steps).map_err(|error| error.within(name))?;
            out.bytes(place(number), &entry.0);
        }
        Ok(())
    }

    fn write_single(
        &self,
        number: i32,
        of: Single,
        value: &Value,
        out: &mut Writer,
        steps: &mut Steps,
    ) -> Done {
        steps.take()?;
        match of {
            Single::Scalar(kind) => scalar(number, kind, value, out),
            Single::Enum(id) => {
                let values = self.enums.get(id).map(|of| &of.values);
                let named = |name: &str| {
                    let found = values?.iter().find(|(_, own)| *own == name);
                    found.map(|(number, _)| i64::from(*number))
                };
                let found = value.as_str().and_then(named);
                let found = found.or_else(|| whole(value).filter(|number| i32::try_from(*number).is_ok()));
                out.number(place(number), found.ok_or_else(|| expected("a name or number of the enum"))?);
                Ok(())
            }
            Single::Message(id) => {
                steps.enter()?;
                let mut inner = Writer::default();
                let done = self.write(id, value, &mut inner, steps);
                steps.leave();
                done?;
                out.bytes(place(number), &inner.0);
                Ok(())
            }
        }
    }

    /// Messages that have a form of their own; false for others.
    fn write_known(
        &self,
        name: &str,
        message: &Msg,
        value: &Value,
        out: &mut Writer,
        steps: &mut Steps,
    ) -> Result<bool, EncodeError> {
        match (name, value) {
            ("Timestamp", Value::Str(text)) => {
                let time = EventTime::parse(text).ok_or_else(|| expected("a time of RFC 3339"))?;
                out.number(1, time.micros.div_euclid(1_000_000));
                out.number(2, time.micros.rem_euclid(1_000_000) * 1000 + i64::from(time.nanos));
            }
            ("Duration", Value::Str(text)) => {
                let (seconds, nanos) = duration(text).ok_or_else(|| expected("a duration as \"1.5s\""))?;
                out.number(1, seconds);
                out.number(2, nanos);
            }
            (
                "DoubleValue" | "FloatValue" | "Int64Value" | "UInt64Value" | "Int32Value" | "UInt32Value"
                | "BoolValue" | "StringValue" | "BytesValue",
                value,
            ) if !matches!(value, Value::Object(_)) => {
                let of = message.fields.first().ok_or_else(|| expected("something else"))?;
                self.write_field(of, value, out, steps)?;
            }
            ("Struct", Value::Object(_)) | ("ListValue", Value::Array(_)) => {
                let of = message.fields.first().ok_or_else(|| expected("something else"))?;
                self.write_field(of, value, out, steps)?;
            }
            ("Value", value) => {
                let name = match value {
                    Value::Null => {
                        out.number(1, 0);
                        return Ok(true);
                    }
                    Value::Bool(_) => "bool_value",
                    Value::Str(_) => "string_value",
                    Value::Array(_) => "list_value",
                    Value::Object(_) => "struct_value",
                    Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::BigInt(_) => "number_value",
                };
                let of = message.fields.iter().find(|field| field.name == name);
                let of = of.ok_or_else(|| expected("something else"))?;
                self.write_field(of, value, out, steps)?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn place(number: i32) -> u64 {
    u64::try_from(number).unwrap_or_default()
}

/// `order_id` as `orderId`.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_upper = false;
    for c in name.chars() {
        match c {
            '_' => is_upper = true,
            c if is_upper => {
                out.push(c.to_ascii_uppercase());
                is_upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

/// Seconds and nanoseconds, of the same sign.
fn duration(text: &str) -> Option<(i64, i64)> {
    let text = text.strip_suffix('s')?;
    let (sign, text) = text.strip_prefix('-').map_or((1, text), |text| (-1, text));
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos: i64 = format!("{fraction:0<9}").parse().ok()?;
    let seconds: u32 = seconds.parse().ok()?;
    Some((sign * i64::from(seconds), sign * nanos))
}

/// An integer that stands as a number or as text.
fn integer(value: &Value) -> Option<i128> {
    match value {
        Value::Str(text) => text.parse().ok(),
        Value::UInt(number) => Some(i128::from(*number)),
        other => whole(other).map(i128::from),
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        Value::Float(number) => Some(*number),
        Value::Str(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            text => text.parse().ok(),
        },
        other => integer(other).map(|number| number as f64),
    }
}

fn scalar(number: i32, of: Scalar, value: &Value, out: &mut Writer) -> Done {
    let wrong = || expected(&format!("a value of {}", of.name()));
    let place = place(number);
    let whole = || integer(value).ok_or_else(wrong);
    match of {
        Scalar::Double => out.fixed64(place, real(value).ok_or_else(wrong)?.to_bits()),
        Scalar::Float => out.fixed32(place, (real(value).ok_or_else(wrong)? as f32).to_bits()),
        Scalar::Bool => match value {
            Value::Bool(is) => out.number(place, i64::from(*is)),
            _ => return Err(wrong()),
        },
        Scalar::String => out.text(place, value.as_str().ok_or_else(wrong)?),
        Scalar::Bytes => {
            let bytes = value.as_str().and_then(|text| BASE64.decode(text.as_bytes()).ok());
            out.bytes(place, &bytes.ok_or_else(|| expected("base64"))?);
        }
        Scalar::Int32 => out.number(place, i64::from(i32::try_from(whole()?).map_err(|_| wrong())?)),
        Scalar::Int64 => out.number(place, i64::try_from(whole()?).map_err(|_| wrong())?),
        Scalar::Uint32 => out.number(place, i64::from(u32::try_from(whole()?).map_err(|_| wrong())?)),
        Scalar::Uint64 => out.number(place, u64::try_from(whole()?).map_err(|_| wrong())?.cast_signed()),
        Scalar::Sint32 => {
            let number = i64::from(i32::try_from(whole()?).map_err(|_| wrong())?);
            out.number(place, number << 1 ^ number >> 63);
        }
        Scalar::Sint64 => {
            let number = i64::try_from(whole()?).map_err(|_| wrong())?;
            out.number(place, number << 1 ^ number >> 63);
        }
        Scalar::Fixed32 => out.fixed32(place, u32::try_from(whole()?).map_err(|_| wrong())?),
        Scalar::Fixed64 => out.fixed64(place, u64::try_from(whole()?).map_err(|_| wrong())?),
        Scalar::Sfixed32 => {
            out.fixed32(place, i32::try_from(whole()?).map_err(|_| wrong())?.cast_unsigned());
        }
        Scalar::Sfixed64 => {
            out.fixed64(place, i64::try_from(whole()?).map_err(|_| wrong())?.cast_unsigned());
        }
    }
    Ok(())
}
