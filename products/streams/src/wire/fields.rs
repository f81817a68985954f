//! Fields of a message that is read by hand: bounded by what is there, nothing is copied.

use bytes::Bytes;
use kafka_protocol::protocol::StrBytes;

use super::shape::ELEMENTS_MAX;

/// Why a message cannot be read.
pub(crate) const MALFORMED: &str = "it is malformed";

/// Takes fields off the front of a message.
pub(crate) struct Fields {
    rest: Bytes,
    /// Lengths are varints, structs end with tagged fields (KIP-482).
    is_flexible: bool,
    /// Elements of all arrays so far.
    elements: usize,
}

/// What a read gives.
pub(crate) type Read<T> = Result<T, &'static str>;

impl Fields {
    /// Of a message's body.
    pub fn new(body: Bytes, is_flexible: bool) -> Fields {
        Fields { rest: body, is_flexible, elements: 0 }
    }

    fn take(&mut self, bytes: usize) -> Read<Bytes> {
        if bytes > self.rest.len() { Err(MALFORMED) } else { Ok(self.rest.split_to(bytes)) }
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        let (bytes, _) = self.rest.split_first_chunk::<N>().ok_or(MALFORMED)?;
        let bytes = *bytes;
        bytes::Buf::advance(&mut self.rest, N);
        Ok(bytes)
    }

    pub fn i8(&mut self) -> Read<i8> {
        self.array().map(i8::from_be_bytes)
    }

    pub fn i16(&mut self) -> Read<i16> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Read<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn i64(&mut self) -> Read<i64> {
        self.array().map(i64::from_be_bytes)
    }

    /// A UUID.
    pub fn id(&mut self) -> Read<[u8; 16]> {
        self.array()
    }

    fn varint(&mut self) -> Read<u32> {
        let mut value = 0u64;
        for shift in (0..35).step_by(7) {
            let [byte] = self.array::<1>()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return u32::try_from(value).map_err(|_| MALFORMED);
            }
        }
        Err(MALFORMED)
    }

    /// A length as flexible versions write it: one more than it is, 0 for null.
    fn compact(&mut self) -> Read<i64> {
        Ok(i64::from(self.varint()?) - 1)
    }

    fn sized(&mut self, length: i64) -> Read<Option<Bytes>> {
        match length {
            -1 => Ok(None),
            length => self.take(usize::try_from(length).map_err(|_| MALFORMED)?).map(Some),
        }
    }

    /// A text; none for null.
    pub fn text(&mut self) -> Read<Option<StrBytes>> {
        let length = if self.is_flexible { self.compact()? } else { i64::from(self.i16()?) };
        let text = self.sized(length)?.map(StrBytes::from_utf8);
        text.transpose().map_err(|_| MALFORMED)
    }

    /// A text that must not be null.
    pub fn name(&mut self) -> Read<StrBytes> {
        self.text()?.ok_or(MALFORMED)
    }

    /// Bytes; none for null.
    pub fn bytes(&mut self) -> Read<Option<Bytes>> {
        let length = if self.is_flexible { self.compact()? } else { i64::from(self.i32()?) };
        self.sized(length)
    }

    /// How many elements of an array follow, each of so many bytes at the least; null has none.
    pub fn count(&mut self, bytes_min: usize) -> Read<usize> {
        Ok(self.count_or_null(bytes_min)?.unwrap_or(0))
    }

    /// The same, where null says something else than none.
    pub fn count_or_null(&mut self, bytes_min: usize) -> Read<Option<usize>> {
        let count = if self.is_flexible { self.compact()? } else { i64::from(self.i32()?) };
        if count == -1 {
            return Ok(None);
        }
        let count = usize::try_from(count).map_err(|_| MALFORMED)?;
        self.elements = self.elements.saturating_add(count);
        // A count that lies sets nothing aside.
        if count.saturating_mul(bytes_min) > self.rest.len() || self.elements > ELEMENTS_MAX as usize {
            return Err(MALFORMED);
        }
        Ok(Some(count))
    }

    /// The end of a struct: what it has of tagged fields is passed over.
    pub fn end(&mut self) -> Read<()> {
        if !self.is_flexible {
            return Ok(());
        }
        for _ in 0..self.varint()? {
            self.varint()?;
            let length = self.varint()?;
            self.take(length as usize)?;
        }
        Ok(())
    }
}

/// Writes fields.
pub(crate) trait PutFields: bytes::BufMut {
    /// A number as flexible versions write lengths.
    fn put_varint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.put_u8((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.put_u8(value as u8);
    }

    /// The length of an array or of bytes.
    fn put_length(&mut self, length: usize, is_flexible: bool) {
        // Messages are bounded far below 2 GiB.
        let length = i32::try_from(length).unwrap_or(i32::MAX);
        if is_flexible { self.put_varint(length as u32 + 1) } else { self.put_i32(length) }
    }

    /// A text that is not null; what is too long for its length, which no name is, is cut.
    fn put_text(&mut self, text: &str, is_flexible: bool) {
        let length = text.floor_char_boundary(i16::MAX as usize);
        let text = text.get(..length).unwrap_or_default();
        if is_flexible {
            self.put_varint(length as u32 + 1)
        } else {
            self.put_i16(length as i16)
        }
        self.put_slice(text.as_bytes());
    }

    /// The length of an array that is null.
    fn put_no_length(&mut self, is_flexible: bool) {
        if is_flexible { self.put_varint(0) } else { self.put_i32(-1) }
    }

    /// The end of a struct without tagged fields.
    fn put_end(&mut self, is_flexible: bool) {
        if is_flexible {
            self.put_u8(0);
        }
    }
}

impl<B: bytes::BufMut> PutFields for B {}
