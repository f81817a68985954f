//! PostgreSQL's binary form of the types that our tables use, both ways.

use candor_model::{EventTime, Timestamp};
use sqlx::postgres::PgRow;
use sqlx::{Row as _, TypeInfo, ValueRef};

use crate::database::{Param, Row, SqlError};

/// Microseconds from the Unix epoch to PostgreSQL's, 2000-01-01.
const EPOCH_2000: i64 = 946_684_800_000_000;

/// A value in the binary form of a type; none is NULL.
pub(super) fn encode(param: &Param, type_name: &str) -> Result<Option<Vec<u8>>, SqlError> {
    let misfit = || SqlError::Statement(format!("a value does not fit the type {type_name}").into());
    let encoded = match (param, type_name) {
        (Param::Null, _) => return Ok(None),
        (Param::Int(v), "INT8") => Some(v.to_be_bytes().to_vec()),
        (Param::Int(v), "INT4") => i32::try_from(*v).ok().map(|v| v.to_be_bytes().to_vec()),
        (Param::Int(v), "INT2") => i16::try_from(*v).ok().map(|v| v.to_be_bytes().to_vec()),
        (Param::Int(v), "BOOL") => Some(vec![u8::from(*v != 0)]),
        (Param::Int(v), "FLOAT8") => Some((*v as f64).to_be_bytes().to_vec()),
        (Param::Int(v), "FLOAT4") => Some((*v as f32).to_be_bytes().to_vec()),
        (Param::Int(v), "TIMESTAMPTZ" | "TIMESTAMP") => Some(encode_time(*v)),
        (Param::Int(v), "NUMERIC") => Some(encode_numeric(*v)),
        (Param::Int(v), "TEXT" | "VARCHAR") => Some(v.to_string().into_bytes()),
        (Param::Real(v), "FLOAT8") => Some(v.to_be_bytes().to_vec()),
        (Param::Real(v), "FLOAT4") => Some((*v as f32).to_be_bytes().to_vec()),
        (Param::Text(v), "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "JSON" | "UNKNOWN") => {
            Some(v.clone().into_bytes())
        }
        (Param::Text(v), "JSONB") => Some([&[1], v.as_bytes()].concat()),
        (Param::Text(v), "UUID") => encode_uuid(v),
        (Param::Text(v), "TIMESTAMPTZ" | "TIMESTAMP") => EventTime::parse(v).map(|t| encode_time(t.micros)),
        (Param::Blob(v), "BYTEA") => Some(v.clone()),
        _ => None,
    };
    encoded.map(Some).ok_or_else(misfit)
}

fn encode_time(micros: i64) -> Vec<u8> {
    micros.saturating_sub(EPOCH_2000).to_be_bytes().to_vec()
}

fn encode_uuid(text: &str) -> Option<Vec<u8>> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(digits.as_bytes()).ok()?;
    (bytes.len() == 16).then_some(bytes)
}

/// `numeric`: counts of base-10000 digits, the weight of the first, a sign, a scale, the digits.
fn encode_numeric(value: i64) -> Vec<u8> {
    let mut digits = Vec::new();
    let mut rest = value.unsigned_abs();
    while rest > 0 {
        digits.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let count = digits.len() as u16;
    let mut out = Vec::with_capacity(8 + digits.len() * 2);
    out.extend(count.to_be_bytes());
    out.extend(count.saturating_sub(1).to_be_bytes());
    out.extend((if value < 0 { 0x4000_u16 } else { 0 }).to_be_bytes());
    out.extend(0_u16.to_be_bytes());
    out.extend(digits.iter().rev().flat_map(|digit| digit.to_be_bytes()));
    out
}

/// A row as values.
pub(super) fn read(row: &PgRow) -> Result<Row, SqlError> {
    let value = |column: usize| -> Result<Param, SqlError> {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Param::Null);
        }
        let bytes = raw.as_bytes().map_err(SqlError::Statement)?;
        decode(bytes, raw.type_info().name()).ok_or(SqlError::Column(column))
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}

fn decode(bytes: &[u8], type_name: &str) -> Option<Param> {
    Some(match type_name {
        "INT8" => Param::Int(i64::from_be_bytes(bytes.try_into().ok()?)),
        "INT4" => Param::Int(i32::from_be_bytes(bytes.try_into().ok()?).into()),
        "INT2" => Param::Int(i16::from_be_bytes(bytes.try_into().ok()?).into()),
        "OID" => Param::Int(u32::from_be_bytes(bytes.try_into().ok()?).into()),
        "BOOL" => Param::Int((*bytes.first()? != 0).into()),
        "FLOAT8" => Param::Real(f64::from_be_bytes(bytes.try_into().ok()?)),
        "FLOAT4" => Param::Real(f32::from_be_bytes(bytes.try_into().ok()?).into()),
        "NUMERIC" => decode_numeric(bytes)?,
        "BYTEA" => Param::Blob(bytes.to_vec()),
        "UUID" => Param::Text(decode_uuid(bytes)?),
        "TIMESTAMPTZ" | "TIMESTAMP" => {
            let micros = i64::from_be_bytes(bytes.try_into().ok()?).saturating_add(EPOCH_2000);
            Param::Text(Timestamp(micros).to_string())
        }
        "VOID" => Param::Null,
        "JSONB" => Param::Text(std::str::from_utf8(bytes.get(1..)?).ok()?.to_owned()),
        _ => Param::Text(std::str::from_utf8(bytes).ok()?.to_owned()),
    })
}

fn decode_uuid(bytes: &[u8]) -> Option<String> {
    let hex = data_encoding::HEXLOWER.encode(bytes);
    let part = |range: std::ops::Range<usize>| hex.get(range);
    Some(format!("{}-{}-{}-{}-{}", part(0..8)?, part(8..12)?, part(12..16)?, part(16..20)?, part(20..32)?))
}

/// An integer where it is one that fits (`sum(bigint)` is a numeric), else a float.
fn decode_numeric(bytes: &[u8]) -> Option<Param> {
    let word = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(bytes.get(at * 2..at * 2 + 2)?.try_into().ok()?))
    };
    let (count, weight, sign) = (usize::from(word(0)?), i32::from(word(1)? as i16), word(2)?);
    if sign & 0xc000 == 0xc000 {
        return Some(Param::Real(f64::NAN));
    }
    let negative = sign == 0x4000;
    let mut whole: Option<i64> = Some(0);
    let mut float = 0.0;
    for at in 0..count {
        let digit = word(4 + at)?;
        let power = weight - i32::try_from(at).ok()?;
        float += f64::from(digit) * 10_000_f64.powi(power);
        let place = u32::try_from(power).ok().and_then(|power| 10_000_i64.checked_pow(power));
        whole = match (whole, place) {
            (Some(sum), Some(place)) => {
                i64::from(digit).checked_mul(place).and_then(|part| sum.checked_sub(part))
            }
            _ if digit == 0 => whole,
            _ => None,
        };
    }
    // Summed below zero, where one more number fits than above.
    Some(match whole.and_then(|sum| if negative { Some(sum) } else { sum.checked_neg() }) {
        Some(sum) => Param::Int(sum),
        None => Param::Real(if negative { -float } else { float }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numerics_come_back_as_integers() {
        for value in [0, 1, -1, 9_999, 10_000, -123_456_789, i64::MAX, i64::MIN] {
            assert_eq!(decode_numeric(&encode_numeric(value)), Some(Param::Int(value)), "{value}");
        }
        assert_eq!(decode_numeric(&[0, 2]), None);
        // 1.5: two digits, weight 0, scale 1.
        let one_and_a_half = [0, 2, 0, 0, 0, 0, 0, 1, 0, 1, 0x13, 0x88];
        assert_eq!(decode_numeric(&one_and_a_half), Some(Param::Real(1.5)));
    }

    #[test]
    fn identifiers_and_times_survive() {
        let uuid = "0196f0b5-6a2c-7e11-8d00-00000000002a";
        let bytes = encode(&Param::from(uuid), "UUID").unwrap().unwrap();
        assert_eq!(decode(&bytes, "UUID"), Some(Param::from(uuid)));
        let bytes = encode(&Param::from("2026-11-20T10:00:00.25Z"), "TIMESTAMPTZ").unwrap().unwrap();
        assert_eq!(decode(&bytes, "TIMESTAMPTZ"), Some(Param::from("2026-11-20T10:00:00.250000Z")));
        assert!(encode(&Param::from(70_000), "INT2").is_err());
        assert!(encode(&Param::from("x"), "INT8").is_err());
    }
}
