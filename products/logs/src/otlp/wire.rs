//! Protobuf's wire format, read in place.
//!
//! Generated code would copy every string and list into messages that are thrown away at once, and would refuse a
//! whole request for one bad byte. This reads the fields one after the other from the request's own bytes; a
//! malformed record is a record's own affair, since its length stands before it.
//! <https://protobuf.dev/programming-guides/encoding/>

use std::borrow::Cow;

/// The bytes are not protobuf, or a known field is of the wrong kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed protobuf")]
pub(crate) struct WireError;

/// A field's value as the wire has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
}

impl<'a> Wire<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], WireError> {
        match self {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => Err(WireError),
        }
    }

    /// A string; what is not UTF-8 becomes U+FFFD.
    pub(crate) fn text(self) -> Result<Cow<'a, str>, WireError> {
        self.bytes().map(String::from_utf8_lossy)
    }

    pub(crate) fn string(self) -> Result<String, WireError> {
        self.text().map(Cow::into_owned)
    }

    pub(crate) fn varint(self) -> Result<u64, WireError> {
        match self {
            Wire::Varint(number) => Ok(number),
            _ => Err(WireError),
        }
    }

    /// An `int32`, `uint32` or enum: the low half, as protobuf's own parsers take it.
    pub(crate) fn int32(self) -> Result<i32, WireError> {
        self.varint().map(|number| number as i32)
    }

    pub(crate) fn uint32(self) -> Result<u32, WireError> {
        self.varint().map(|number| number as u32)
    }

    pub(crate) fn fixed64(self) -> Result<u64, WireError> {
        match self {
            Wire::Fixed64(number) => Ok(number),
            _ => Err(WireError),
        }
    }

    pub(crate) fn fixed32(self) -> Result<u32, WireError> {
        match self {
            Wire::Fixed32(number) => Ok(number),
            _ => Err(WireError),
        }
    }
}

/// The fields of a message, in the order they stand.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(crate) fn new(message: &'a [u8]) -> Fields<'a> {
        Fields(message)
    }

    /// The next field: its number and value; `None` at the end. Groups, which nobody sends any more, are passed over.
    pub(crate) fn next(&mut self) -> Result<Option<(u32, Wire<'a>)>, WireError> {
        let mut open_groups = 0u32;
        loop {
            if self.0.is_empty() {
                return if open_groups == 0 { Ok(None) } else { Err(WireError) };
            }
            let tag = self.varint()?;
            let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0).ok_or(WireError)?;
            let value = match tag & 7 {
                0 => Wire::Varint(self.varint()?),
                1 => Wire::Fixed64(u64::from_le_bytes(self.array()?)),
                2 => {
                    let length = usize::try_from(self.varint()?).map_err(|_| WireError)?;
                    Wire::Bytes(self.split(length)?)
                }
                3 => {
                    open_groups += 1;
                    continue;
                }
                4 => {
                    open_groups = open_groups.checked_sub(1).ok_or(WireError)?;
                    continue;
                }
                5 => Wire::Fixed32(u32::from_le_bytes(self.array()?)),
                _ => return Err(WireError),
            };
            if open_groups == 0 {
                return Ok(Some((number, value)));
            }
        }
    }

    fn split(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(WireError)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.split(N)?.try_into().map_err(|_| WireError)
    }

    fn varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0u64;
        for (at, byte) in self.0.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * at);
            if byte & 0x80 == 0 {
                self.0 = self.0.get(at + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(WireError)
    }
}

/// Writes a varint.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes an integer field, unless it is protobuf's default of zero.
pub(crate) fn put_int(out: &mut Vec<u8>, field: u32, number: u64) {
    if number != 0 {
        put_varint(out, u64::from(field) << 3);
        put_varint(out, number);
    }
}

/// Writes a field of bytes, text or a message.
pub(crate) fn put_bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    put_varint(out, u64::from(field) << 3 | 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, WireError> {
        let mut fields = Fields::new(bytes);
        let mut found = Vec::new();
        while let Some(field) = fields.next()? {
            found.push(field);
        }
        Ok(found)
    }

    #[test]
    fn every_kind_of_field_is_read() {
        let mut message = Vec::new();
        put_int(&mut message, 1, 300);
        put_int(&mut message, 2, 0);
        put_bytes(&mut message, 3, b"abc");
        message.extend([0x21, 1, 0, 0, 0, 0, 0, 0, 0, 0x2d, 2, 0, 0, 0]);
        put_int(&mut message, 1000, u64::MAX);
        assert_eq!(
            fields(&message),
            Ok(vec![
                (1, Wire::Varint(300)),
                (3, Wire::Bytes(b"abc")),
                (4, Wire::Fixed64(1)),
                (5, Wire::Fixed32(2)),
                (1000, Wire::Varint(u64::MAX)),
            ])
        );
    }

    #[test]
    fn groups_are_passed_over_however_deep() {
        let mut message = vec![0x0b; 100_000];
        message.extend(vec![0x0c; 100_000]);
        put_int(&mut message, 7, 1);
        assert_eq!(fields(&message), Ok(vec![(7, Wire::Varint(1))]));
    }

    #[test]
    fn lying_bytes_are_refused() {
        for bytes in [
            &[0x0a, 0x05, 1][..],
            &[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
            &[0x08],
            &[0x08, 0x80],
            &[0x80; 11],
            &[0x09, 1, 2],
            &[0x0b],
            &[0x0c],
            &[0x0e],
            &[0x00],
        ] {
            assert_eq!(fields(bytes), Err(WireError), "{bytes:02x?}");
        }
    }
}
