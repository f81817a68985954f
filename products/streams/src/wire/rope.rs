//! An answer's bytes in pieces: what is made for it, and records where they lie, which are not copied.

use std::collections::VecDeque;
use std::io::IoSlice;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::answers::AnswerRoom;

/// What is shorter is copied: of pieces only so many go to the system in one call.
const SHORT_BYTES: usize = 4 << 10;

/// Bytes in pieces, in order.
#[derive(Debug, Clone, Default)]
pub struct Rope {
    pieces: VecDeque<Bytes>,
    bytes: usize,
    /// What is given back when it is gone.
    room: Option<Arc<AnswerRoom>>,
}

impl Rope {
    /// The same, which holds room until it is gone.
    pub(crate) fn holding(mut self, room: Option<Arc<AnswerRoom>>) -> Rope {
        self.room = room;
        self
    }

    /// How many bytes it has.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All of it in one piece; what is one is not copied.
    pub fn into_bytes(mut self) -> Bytes {
        self.copy_to_bytes(self.bytes)
    }

    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }
}

impl From<BytesMut> for Rope {
    fn from(bytes: BytesMut) -> Rope {
        Rope::from(bytes.freeze())
    }
}

impl From<Bytes> for Rope {
    fn from(bytes: Bytes) -> Rope {
        let mut rope = Rope::default();
        rope.push(bytes);
        rope
    }
}

impl Buf for Rope {
    fn remaining(&self) -> usize {
        self.bytes
    }

    fn chunk(&self) -> &[u8] {
        self.pieces.front().map_or(&[], |piece| piece)
    }

    fn advance(&mut self, mut count: usize) {
        assert!(count <= self.bytes, "{count} bytes of {}", self.bytes);
        self.bytes -= count;
        while let Some(first) = self.pieces.front_mut() {
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.pieces.pop_front();
        }
    }

    fn chunks_vectored<'a>(&'a self, into: &mut [IoSlice<'a>]) -> usize {
        let mut count = 0;
        for (slot, piece) in into.iter_mut().zip(&self.pieces) {
            *slot = IoSlice::new(piece);
            count += 1;
        }
        count
    }

    fn copy_to_bytes(&mut self, count: usize) -> Bytes {
        assert!(count <= self.bytes, "{count} bytes of {}", self.bytes);
        if let Some(first) = self.pieces.front_mut()
            && first.len() >= count
        {
            let taken = first.split_to(count);
            self.advance_emptied(count);
            return taken;
        }
        let mut all = BytesMut::with_capacity(count);
        let mut left = count;
        while left > 0 {
            let chunk = self.chunk();
            let taken = chunk.len().min(left);
            all.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            self.advance(taken);
            left -= taken;
        }
        all.freeze()
    }
}

impl Rope {
    /// The front lost so many bytes.
    fn advance_emptied(&mut self, count: usize) {
        self.bytes -= count;
        while self.pieces.front().is_some_and(Bytes::is_empty) {
            self.pieces.pop_front();
        }
    }
}

/// Makes a rope: fields are written to one buffer, long bytes lie between.
#[derive(Default)]
pub(crate) struct RopeBuilder {
    /// Fields, and what is short.
    pub fields: BytesMut,
    /// Pieces, and where in the fields they stand.
    between: Vec<(usize, Bytes)>,
}

impl RopeBuilder {
    /// With room for so many bytes of fields.
    pub fn with_capacity(bytes: usize) -> RopeBuilder {
        RopeBuilder { fields: BytesMut::with_capacity(bytes), between: Vec::new() }
    }

    /// Adds bytes, without a copy where they are long.
    pub fn put_bytes(&mut self, bytes: Bytes) {
        if bytes.len() < SHORT_BYTES {
            self.fields.extend_from_slice(&bytes);
        } else {
            self.between.push((self.fields.len(), bytes));
        }
    }

    /// The rope.
    pub fn finish(self) -> Rope {
        let mut fields = self.fields.freeze();
        let mut rope = Rope::default();
        let mut cut = 0;
        for (at, piece) in self.between {
            rope.push(fields.split_to(at - cut));
            rope.push(piece);
            cut = at;
        }
        rope.push(fields);
        rope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rope() -> (Rope, Vec<u8>) {
        let mut builder = RopeBuilder::default();
        let long: Vec<u8> = (0..=255).cycle().take(5000).collect();
        builder.fields.extend_from_slice(b"head");
        builder.put_bytes(Bytes::from_static(b"short"));
        builder.put_bytes(Bytes::from(long.clone()));
        builder.put_bytes(Bytes::from(long.clone()));
        builder.fields.extend_from_slice(b"tail");
        let whole = [b"headshort".as_slice(), &long, &long, b"tail"].concat();
        (builder.finish(), whole)
    }

    #[test]
    fn pieces_are_read_in_order_however_they_are_taken() {
        for step in [1, 7, 9, 5000, 12_000] {
            let (mut rope, whole) = rope();
            assert_eq!(rope.bytes(), whole.len());
            let mut read = Vec::new();
            while rope.has_remaining() {
                read.extend_from_slice(&rope.copy_to_bytes(step.min(rope.remaining())));
            }
            assert_eq!(read, whole, "{step}");
        }
        let (rope, whole) = rope();
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(rope.chunks_vectored(&mut slices), 4, "what is short lies with the fields");
        let read: Vec<u8> = slices.iter().flat_map(|slice| slice.to_vec()).collect();
        assert_eq!(read, whole);
        assert_eq!(rope.into_bytes(), whole);
    }

    #[tokio::test]
    async fn a_writer_that_takes_little_gets_all() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut rope, whole) = rope();
        let (mut to, mut from) = tokio::io::duplex(33);
        let writing = tokio::spawn(async move { to.write_all_buf(&mut rope).await });
        let mut read = Vec::new();
        from.read_to_end(&mut read).await.unwrap();
        writing.await.unwrap().unwrap();
        assert_eq!(read, whole);
    }
}
