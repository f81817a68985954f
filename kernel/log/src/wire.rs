//! Reading and writing of the log's own binary forms: fixed-width little endian numbers, lengths before bytes.

use bytes::Bytes;

/// Appends fields to a buffer.
pub trait Put {
    /// Raw bytes.
    fn put(&mut self, bytes: &[u8]);

    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_le_bytes());
    }
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }
    fn put_i64(&mut self, value: i64) {
        self.put(&value.to_le_bytes());
    }
    /// Bytes with their length, as a `u32`, before them.
    fn put_bytes(&mut self, bytes: &[u8]) {
        // Batches are bounded far below 4 GiB where they are admitted.
        debug_assert!(u32::try_from(bytes.len()).is_ok());
        self.put_u32(bytes.len() as u32);
        self.put(bytes);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes fields off the front of shared bytes; `None` where they end too early.
#[derive(Clone)]
pub struct Take(pub Bytes);

impl Take {
    pub fn bytes(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.0.len()).then(|| self.0.split_to(length))
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.first_chunk().copied()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }
    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }
    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }
    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
    pub fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_le_bytes)
    }
    pub fn id(&mut self) -> Option<[u8; 16]> {
        self.array()
    }
    pub fn key_id(&mut self) -> Option<[u8; 8]> {
        self.array()
    }
    /// What [`Put::put_bytes`] wrote.
    pub fn sized(&mut self) -> Option<Bytes> {
        let length = self.u32()?;
        self.bytes(usize::try_from(length).ok()?)
    }
    /// What [`Put::put_bytes`] wrote, as text.
    pub fn text(&mut self) -> Option<String> {
        String::from_utf8(self.sized()?.to_vec()).ok()
    }
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
