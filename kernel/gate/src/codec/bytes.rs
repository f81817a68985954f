//! Numbers and bytes, written as they come and read as if they lied.

use super::CodecError;

/// What a batch may expand to, bytes of text and entries of maps and lists together. Constants and dictionaries
/// expand: without a bound a few damaged bytes could ask for gigabytes.
const EXPANDED_BYTES_MAX: usize = 1 << 30;

/// What is left of [`EXPANDED_BYTES_MAX`].
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Budget {
        Budget(EXPANDED_BYTES_MAX)
    }

    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), CodecError> {
        self.0 = self.0.checked_sub(bytes).ok_or(CodecError("expands too far"))?;
        Ok(())
    }
}

/// LEB128.
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A signed number, small ones either side of zero in few bytes.
pub(super) fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn remaining(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(CodecError("cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u8(&mut self) -> Result<u8, CodecError> {
        let (&first, rest) = self.0.split_first().ok_or(CodecError("cut short"))?;
        self.0 = rest;
        Ok(first)
    }

    pub(super) fn u32(&mut self) -> Result<u32, CodecError> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().map_err(|_| CodecError("cut short"))?))
    }

    pub(super) fn varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.u8()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(CodecError("a number is too long"))
    }

    pub(super) fn zigzag(&mut self) -> Result<i64, CodecError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A count or length that has to be possible: not more than `EXPANDED_BYTES_MAX`.
    pub(super) fn length(&mut self) -> Result<usize, CodecError> {
        let value = usize::try_from(self.varint()?).map_err(|_| CodecError("too large"))?;
        if value > EXPANDED_BYTES_MAX { Err(CodecError("too large")) } else { Ok(value) }
    }

    /// A count of things that take at least one byte each here.
    pub(super) fn count(&mut self) -> Result<usize, CodecError> {
        let value = self.length()?;
        if value > self.remaining() { Err(CodecError("cut short")) } else { Ok(value) }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, CodecError> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| CodecError("not UTF-8"))
    }
}

/// Which of `rows` are there: one byte 0 for all, or 1 and a bit each.
pub(super) struct Validity<'a> {
    bits: Option<&'a [u8]>,
    rows: usize,
}

impl<'a> Validity<'a> {
    pub(super) fn read(reader: &mut Reader<'a>, rows: usize) -> Result<Validity<'a>, CodecError> {
        let bits = match reader.u8()? {
            0 => None,
            1 => Some(reader.take(rows.div_ceil(8))?),
            _ => return Err(CodecError("bad validity")),
        };
        Ok(Validity { bits, rows })
    }

    pub(super) fn get(&self, row: usize) -> bool {
        self.bits.is_none_or(|bits| bits.get(row / 8).is_some_and(|byte| byte >> (row % 8) & 1 == 1))
    }

    pub(super) fn count(&self) -> usize {
        match self.bits {
            None => self.rows,
            Some(_) => (0..self.rows).filter(|row| self.get(*row)).count(),
        }
    }
}

pub(super) fn put_validity(out: &mut Vec<u8>, rows: usize, is_valid: impl Fn(usize) -> bool) {
    if (0..rows).all(&is_valid) {
        out.push(0);
        return;
    }
    out.push(1);
    let start = out.len();
    out.resize(start + rows.div_ceil(8), 0);
    for row in (0..rows).filter(|row| is_valid(*row)) {
        if let Some(byte) = out.get_mut(start + row / 8) {
            *byte |= 1 << (row % 8);
        }
    }
}
