//! Variable-length integers as records hold them: zigzag, seven bits a byte, the low ones first (as Protocol Buffers'
//! `sint32` and `sint64`).

/// Reads the front of a slice, which moves on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    #[inline]
    pub fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    #[inline]
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A number of at most five bytes.
    #[inline]
    pub fn varint(&mut self) -> Option<i32> {
        // Most lengths and deltas are small.
        if let Some((byte @ 0..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Some(i32::from(byte >> 1) ^ -i32::from(byte & 1));
        }
        let mut raw = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let byte = self.byte()?;
            raw |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((raw >> 1) as i32 ^ -((raw & 1) as i32));
            }
        }
        None
    }

    /// A number of at most ten bytes.
    #[inline]
    pub fn varlong(&mut self) -> Option<i64> {
        if let Some((byte @ 0..0x80, rest)) = self.0.split_first() {
            self.0 = rest;
            return Some(i64::from(byte >> 1) ^ -i64::from(byte & 1));
        }
        let mut raw = 0u64;
        for shift in [0, 7, 14, 21, 28, 35, 42, 49, 56, 63] {
            let byte = self.byte()?;
            raw |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
            }
        }
        None
    }

    /// Bytes with their length before them; none within for a negative length, which is how null is written.
    #[inline]
    pub fn nullable(&mut self) -> Option<Option<&'a [u8]>> {
        match usize::try_from(self.varint()?) {
            Ok(length) => self.take(length).map(Some),
            Err(_) => Some(None),
        }
    }
}

/// Appends a number, of 32 bits as of 64.
pub(crate) fn put(number: i64, to: &mut Vec<u8>) {
    let mut raw = ((number << 1) ^ (number >> 63)) as u64;
    while raw >= 0x80 {
        to.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    to.push(raw as u8);
}

/// Appends bytes with their length before them, null as length -1.
pub(crate) fn put_nullable(bytes: Option<&[u8]>, to: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => {
            put(bytes.len() as i64, to);
            to.extend_from_slice(bytes);
        }
        None => put(-1, to),
    }
}

/// Bytes that a number takes.
pub(crate) fn length(number: i64) -> usize {
    let raw = ((number << 1) ^ (number >> 63)) as u64;
    (64 - (raw | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back_and_have_the_length_that_is_said() {
        for number in
            [0, -1, 1, 63, -64, 64, 8191, -8193, i64::from(i32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN]
        {
            let mut bytes = Vec::new();
            put(number, &mut bytes);
            assert_eq!(bytes.len(), length(number), "{number}");
            let mut reader = Reader(&bytes);
            assert_eq!((reader.varlong(), reader.0.len()), (Some(number), 0));
            let mut reader = Reader(&bytes);
            assert_eq!(reader.varint().map(i64::from), i32::try_from(number).ok().map(i64::from), "{number}");
            for end in 0..bytes.len() {
                assert_eq!(Reader(&bytes[..end]).varlong(), None);
            }
        }
        // From the specification of Protocol Buffers.
        let mut bytes = Vec::new();
        put(-2, &mut bytes);
        put(2_147_483_647, &mut bytes);
        assert_eq!(bytes, [3, 0xfe, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn what_never_ends_is_no_number() {
        assert_eq!(Reader(&[0xff; 20]).varint(), None);
        assert_eq!(Reader(&[0xff; 20]).varlong(), None);
    }
}
