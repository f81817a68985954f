//! MessagePack into values, in place and bounded.
//!
//! A general decoder would make a tree of the whole body first, at forty times its size for a list of nulls, and
//! would give up a whole batch for one record. Here a body is taken apart into records, and each is bounded in depth
//! and members. <https://github.com/msgpack/msgpack/blob/master/spec.md>

use candor_model::limits::NESTING_DEPTH_MAX;
use candor_model::{EventTime, Object, Value};

use crate::cursor::Malformed;
use crate::drops::{Budget, DropReason};
use crate::events::Slices;

/// True for the first byte of a map or a list, which no JSON text begins with.
pub(crate) fn begins(body: &[u8]) -> bool {
    matches!(body.first(), Some(0x80..=0x9f | 0xdc..=0xdf))
}

/// The records of a body: the items of lists, and whatever else stands at the top.
pub(crate) fn records(body: &[u8]) -> Result<Slices<'_>, Malformed> {
    let (mut slices, mut reader) = (Slices::default(), Reader { bytes: body, at: 0 });
    while !reader.is_at_end() {
        let start = reader.at;
        match reader.head()? {
            Head::List(count) => {
                for _ in 0..count {
                    slices.push(reader.skip()?);
                }
            }
            _ => {
                reader.at = start;
                slices.push(reader.skip()?);
            }
        }
    }
    Ok(slices)
}

/// One record.
pub(crate) fn value(bytes: &[u8]) -> Result<Value, DropReason> {
    Reader { bytes, at: 0 }.value(0, &mut Budget::new())
}

/// The start of a value: itself, or how much of what kind follows.
enum Head {
    Whole(Value),
    Text(usize),
    Bytes(usize),
    Extension(i8, usize),
    List(u64),
    Map(u64),
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T, Malformed> {
        Err(Malformed { what, at: self.at })
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(length);
        match end.and_then(|end| self.bytes.get(self.at..end)) {
            Some(taken) => {
                self.at += length;
                Ok(taken)
            }
            None => self.wrong("the body ends within a value"),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let taken = self.take(N)?;
        taken.try_into().or_else(|_| self.wrong("the body ends within a value"))
    }

    fn length8(&mut self) -> Result<usize, Malformed> {
        self.array::<1>().map(|[byte]| usize::from(byte))
    }

    fn length16(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| usize::from(u16::from_be_bytes(bytes)))
    }

    fn length32(&mut self) -> Result<usize, Malformed> {
        self.array().map(|bytes| u32::from_be_bytes(bytes) as usize)
    }

    fn extension(&mut self, length: usize) -> Result<Head, Malformed> {
        let kind = i8::from_be_bytes(self.array()?);
        Ok(Head::Extension(kind, length))
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        let whole = |value: Value| Ok(Head::Whole(value));
        let int = |number: i64| Ok(Head::Whole(Value::Int(number)));
        let [marker] = self.array()?;
        match marker {
            0x00..=0x7f => int(i64::from(marker)),
            0x80..=0x8f => Ok(Head::Map(u64::from(marker & 0x0f))),
            0x90..=0x9f => Ok(Head::List(u64::from(marker & 0x0f))),
            0xa0..=0xbf => Ok(Head::Text(usize::from(marker & 0x1f))),
            0xc0 => whole(Value::Null),
            0xc1 => self.wrong("a byte that MessagePack never uses"),
            0xc2 => whole(Value::Bool(false)),
            0xc3 => whole(Value::Bool(true)),
            0xc4 => self.length8().map(Head::Bytes),
            0xc5 => self.length16().map(Head::Bytes),
            0xc6 => self.length32().map(Head::Bytes),
            0xc7 => self.length8().and_then(|length| self.extension(length)),
            0xc8 => self.length16().and_then(|length| self.extension(length)),
            0xc9 => self.length32().and_then(|length| self.extension(length)),
            0xca => whole(Value::Float(widened(f32::from_be_bytes(self.array()?)))),
            0xcb => whole(Value::Float(f64::from_be_bytes(self.array()?))),
            0xcc => int(i64::from(u8::from_be_bytes(self.array()?))),
            0xcd => int(i64::from(u16::from_be_bytes(self.array()?))),
            0xce => int(i64::from(u32::from_be_bytes(self.array()?))),
            0xcf => {
                let number = u64::from_be_bytes(self.array()?);
                whole(i64::try_from(number).map_or(Value::UInt(number), Value::Int))
            }
            0xd0 => int(i64::from(i8::from_be_bytes(self.array()?))),
            0xd1 => int(i64::from(i16::from_be_bytes(self.array()?))),
            0xd2 => int(i64::from(i32::from_be_bytes(self.array()?))),
            0xd3 => int(i64::from_be_bytes(self.array()?)),
            0xd4..=0xd8 => self.extension(1 << (marker - 0xd4)),
            0xd9 => self.length8().map(Head::Text),
            0xda => self.length16().map(Head::Text),
            0xdb => self.length32().map(Head::Text),
            0xdc => self.length16().map(|count| Head::List(count as u64)),
            0xdd => self.length32().map(|count| Head::List(count as u64)),
            0xde => self.length16().map(|count| Head::Map(count as u64)),
            0xdf => self.length32().map(|count| Head::Map(count as u64)),
            0xe0..=0xff => int(i64::from(marker as i8)),
        }
    }

    /// Passes over one value. Nesting costs no stack, and a length that lies runs into the end.
    fn skip(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        let mut left = 1u64;
        while left > 0 {
            left -= 1;
            match self.head()? {
                Head::Whole(_) => {}
                Head::Text(length) | Head::Bytes(length) | Head::Extension(_, length) => {
                    self.take(length)?;
                }
                Head::List(count) => left += count,
                Head::Map(count) => left += 2 * count,
            }
        }
        Ok(self.bytes.get(start..self.at).unwrap_or_default())
    }

    fn value(&mut self, depth: usize, budget: &mut Budget) -> Result<Value, DropReason> {
        if depth > NESTING_DEPTH_MAX {
            return Err(DropReason::Nesting);
        }
        budget.spend()?;
        Ok(match self.head()? {
            Head::Whole(value) => value,
            Head::Text(length) => Value::Str(String::from_utf8_lossy(self.take(length)?).into_owned()),
            Head::Bytes(length) => Value::Str(bytes_text(self.take(length)?)),
            Head::Extension(kind, length) => {
                let data = self.take(length)?;
                let time = if kind == -1 { timestamp(data) } else { None };
                Value::Str(time.map_or_else(|| data_encoding::BASE64.encode(data), crate::times::to_text))
            }
            Head::List(count) => {
                let mut items = Vec::new();
                for _ in 0..count {
                    items.push(self.value(depth + 1, budget)?);
                }
                Value::Array(items)
            }
            Head::Map(count) => {
                let mut members = Vec::new();
                for _ in 0..count {
                    let key = match self.value(depth + 1, budget)? {
                        Value::Str(text) => text,
                        // As text, each level of keys within keys would double the escapes of the one below.
                        Value::Array(_) | Value::Object(_) => return Err(DropReason::Malformed),
                        other => other.to_text(),
                    };
                    members.push((key, self.value(depth + 1, budget)?));
                }
                Value::Object(Object(members))
            }
        })
    }
}

/// The shortest decimal that a 32-bit float stands for, so that 0.1 stays 0.1.
fn widened(number: f32) -> f64 {
    if number.is_finite() {
        number.to_string().parse().unwrap_or(f64::from(number))
    } else {
        f64::from(number)
    }
}

/// Old writers send text as bytes; what is no text becomes base64.
fn bytes_text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => data_encoding::BASE64.encode(bytes),
    }
}

/// The extension type -1 ("Timestamp extension type" of the specification) in its three lengths.
fn timestamp(data: &[u8]) -> Option<EventTime> {
    let (seconds, nanos) = match data.len() {
        4 => (i128::from(u32::from_be_bytes(data.try_into().ok()?)), 0),
        8 => {
            let both = u64::from_be_bytes(data.try_into().ok()?);
            (i128::from(both & 0x3_ffff_ffff), i128::from(both >> 34))
        }
        12 => {
            let (nanos, seconds) = data.split_first_chunk::<4>()?;
            let seconds = i64::from_be_bytes(seconds.try_into().ok()?);
            (i128::from(seconds), i128::from(u32::from_be_bytes(*nanos)))
        }
        _ => return None,
    };
    Some(EventTime::from_nanos(seconds * 1_000_000_000 + nanos))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json;

    fn encoded(value: &rmpv::Value) -> Vec<u8> {
        let mut bytes = Vec::new();
        rmpv::encode::write_value(&mut bytes, value).unwrap();
        bytes
    }

    fn text(bytes: &[u8]) -> String {
        json::to_string(&value(bytes).unwrap())
    }

    #[test]
    fn every_kind_is_read_as_another_writer_writes_it() {
        use rmpv::Value as V;
        let list = vec![
            V::Nil,
            V::from(true),
            V::from(5),
            V::from(-5),
            V::from(200),
            V::from(70_000),
            V::from(-70_000),
            V::from(i64::MIN),
            V::from(u64::MAX),
            V::F32(0.1),
            V::F64(1.5),
            V::from("ü".repeat(40)),
            V::Binary(b"raw".to_vec()),
            V::Binary(vec![0xff, 0xfe]),
            V::Map(vec![(V::from(1), V::from("one")), (V::from("k"), V::Array(vec![]))]),
            V::Ext(7, vec![1, 2, 3]),
        ];
        let expected = format!(
            r#"[null,true,5,-5,200,70000,-70000,-9223372036854775808,18446744073709551615,0.1,1.5,"{}","raw","//4=",{{"1":"one","k":[]}},"AQID"]"#,
            "ü".repeat(40)
        );
        assert_eq!(text(&encoded(&V::Array(list))), expected);
    }

    #[test]
    fn timestamps_of_all_three_lengths_are_read() {
        let ext = |data: &[u8]| encoded(&rmpv::Value::Ext(-1, data.to_vec()));
        assert_eq!(text(&ext(&1_767_225_600u32.to_be_bytes())), r#""2026-01-01T00:00:00Z""#);
        let both = (123_456_789u64 << 34) | 1_767_225_600;
        assert_eq!(text(&ext(&both.to_be_bytes())), r#""2026-01-01T00:00:00.123456789Z""#);
        let long: Vec<u8> = [&5u32.to_be_bytes()[..], &(-1i64).to_be_bytes()[..]].concat();
        assert_eq!(text(&ext(&long)), r#""1969-12-31T23:59:59.000000005Z""#);
        assert_eq!(text(&ext(&[1])), r#""AQ==""#);
    }

    #[test]
    fn bodies_are_taken_apart() {
        let count = |body: &[u8]| records(body).map(|slices| slices.len());
        assert_eq!(count(&[0x90]), Ok(0));
        assert_eq!(count(&[0x92, 0x80, 0x80]), Ok(2));
        assert_eq!(count(&[0x80, 0x80, 0x91, 0x80]), Ok(3));
        assert!(count(&[0x92, 0x80]).is_err());
        assert!(count(&[0xdd, 0xff, 0xff, 0xff, 0xff]).is_err());
        assert!(count(&[0xc1]).is_err());
        assert!(count(&vec![0x91; 1_000_000]).is_err());
    }

    #[test]
    fn keys_within_keys_cannot_grow() {
        let nested = |depth: usize| [vec![0x81; depth], vec![0xa1, b'"'], vec![0xc0; depth]].concat();
        assert_eq!(text(&nested(1)), r#"{"\"":null}"#);
        for depth in 2..60 {
            assert_eq!(value(&nested(depth)), Err(DropReason::Malformed), "{depth}");
        }
        assert_eq!(value(&[0x81, 0x90, 0xc0]), Err(DropReason::Malformed));
    }

    #[test]
    fn depth_and_members_are_bounded() {
        let mut deep = vec![0x91; 65];
        deep.push(0xc0);
        assert_eq!(value(&deep), Err(DropReason::Nesting));
        assert!(value(&deep[1..]).is_ok());
        let mut wide = vec![0xdd, 0, 4, 0, 0];
        wide.extend(vec![0xc0; 0x4_0000]);
        assert_eq!(value(&wide), Err(DropReason::Members));
    }
}
