//! The wire format (Protocol Buffers, "Encoding").

use crate::DecodeError;

/// What stands at a tag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'a [u8]),
    /// What lies between the two tags of a group.
    Group(&'a [u8]),
}

/// A number in base 128, least significant group first.
pub(crate) fn varint(input: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut out = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first().ok_or(DecodeError::Short)?;
        *input = rest;
        out |= u64::from(byte & 0x7f) << shift;
        if *byte < 0x80 {
            return Ok(out);
        }
    }
    Err(DecodeError::Mismatch("a number is longer than 64 bits"))
}

pub(super) fn zigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

fn take<'a>(input: &mut &'a [u8], length: u64) -> Result<&'a [u8], DecodeError> {
    let length = usize::try_from(length).map_err(|_| DecodeError::Short)?;
    let (taken, rest) = input.split_at_checked(length).ok_or(DecodeError::Short)?;
    *input = rest;
    Ok(taken)
}

/// The next field of a message and what stands there.
pub(super) fn field<'a>(input: &mut &'a [u8]) -> Result<(i32, Raw<'a>), DecodeError> {
    let tag = varint(input)?;
    let number = i32::try_from(tag >> 3).ok().filter(|number| (1..=super::FIELD_NUMBER_MAX).contains(number));
    let number = number.ok_or(DecodeError::Mismatch("a field has no such number"))?;
    let raw = match tag & 7 {
        0 => Raw::Varint(varint(input)?),
        1 => Raw::Fixed64(u64::from_le_bytes(take(input, 8)?.first_chunk().copied().unwrap_or_default())),
        2 => {
            let length = varint(input)?;
            Raw::Bytes(take(input, length)?)
        }
        3 => Raw::Group(group(input, number)?),
        5 => Raw::Fixed32(u32::from_le_bytes(take(input, 4)?.first_chunk().copied().unwrap_or_default())),
        _ => return Err(DecodeError::Mismatch("there is no such wire type")),
    };
    Ok((number, raw))
}

/// Reads to the end of a group. Groups within are counted, not recursed into.
fn group<'a>(input: &mut &'a [u8], number: i32) -> Result<&'a [u8], DecodeError> {
    let whole = *input;
    let mut open = vec![number];
    loop {
        let before = whole.len() - input.len();
        let tag = varint(input)?;
        let inner =
            i32::try_from(tag >> 3).map_err(|_| DecodeError::Mismatch("a field has no such number"))?;
        match tag & 7 {
            0 => drop(varint(input)?),
            1 => drop(take(input, 8)?),
            2 => {
                let length = varint(input)?;
                take(input, length)?;
            }
            3 if open.len() >= candor_model::limits::NESTING_DEPTH_MAX => return Err(DecodeError::TooDeep),
            3 => open.push(inner),
            4 => {
                if open.pop() != Some(inner) {
                    return Err(DecodeError::Mismatch("a group ends that did not begin"));
                }
                if open.is_empty() {
                    return whole.get(..before).ok_or(DecodeError::Short);
                }
            }
            5 => drop(take(input, 4)?),
            _ => return Err(DecodeError::Mismatch("there is no such wire type")),
        }
    }
}

/// Writes a number in base 128, least significant group first.
pub(crate) fn put_varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes messages.
#[derive(Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    fn raw(&mut self, number: u64) {
        put_varint(number, &mut self.0);
    }

    pub(super) fn fixed64(&mut self, field: u64, number: u64) {
        self.raw(field << 3 | 1);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn fixed32(&mut self, field: u64, number: u32) {
        self.raw(field << 3 | 5);
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn number(&mut self, field: u64, number: i64) {
        self.raw(field << 3);
        self.raw(number as u64);
    }

    pub(super) fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.raw(field << 3 | 2);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn text(&mut self, field: u64, text: &str) {
        self.bytes(field, text.as_bytes());
    }

    pub(super) fn message(&mut self, field: u64, write: impl FnOnce(&mut Writer)) {
        let mut inner = Writer::default();
        write(&mut inner);
        self.bytes(field, &inner.0);
    }
}
