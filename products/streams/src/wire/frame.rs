//! Frames: four bytes that say how long it is, then a request.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The size of what is read ahead, and of a frame that needs no leave.
const FREE_BYTES: usize = 64 << 10;

/// The unit of room, bytes.
const UNIT: usize = 1 << 10;

/// Room for the frames of all connections together. Cheap to clone.
#[derive(Clone)]
pub struct Room {
    units: Arc<Semaphore>,
    max: u32,
}

impl Room {
    /// Room for so many bytes.
    pub fn new(bytes: usize) -> Room {
        let max = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, 1 << 22);
        Room { units: Arc::new(Semaphore::new(max as usize)), max }
    }

    /// Waits for room. A frame larger than all there is gets all.
    pub(crate) async fn take(&self, bytes: usize) -> io::Result<OwnedSemaphorePermit> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.max);
        Arc::clone(&self.units).acquire_many_owned(units).await.map_err(io::Error::other)
    }
}

/// A frame, and the room that it holds.
#[derive(Debug)]
pub(super) struct Frame {
    /// Without its length.
    pub bytes: Bytes,
    /// Given back when the request is answered.
    pub room: Option<OwnedSemaphorePermit>,
}

/// Reads frames. Reading may be given up and begun again at any await.
pub(super) struct FrameReader<S> {
    stream: S,
    buffer: BytesMut,
    room: Room,
    held: Option<OwnedSemaphorePermit>,
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    pub fn new(stream: S, room: Room) -> FrameReader<S> {
        FrameReader { stream, buffer: BytesMut::new(), room, held: None }
    }

    /// True where nothing of the next frame is there.
    pub fn is_between(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next frame; none at the end of the stream. Fails where one is longer than `bytes_max`.
    pub async fn next(&mut self, bytes_max: usize) -> io::Result<Option<Frame>> {
        loop {
            if let Some(length) = self.buffer.first_chunk::<4>() {
                let length = usize::try_from(i32::from_be_bytes(*length))
                    .ok()
                    .filter(|length| *length <= bytes_max)
                    .ok_or_else(|| {
                        io::Error::new(io::ErrorKind::InvalidData, "a frame is longer than allowed")
                    })?;
                let whole = 4 + length;
                if self.buffer.len() >= whole {
                    self.buffer.advance(4);
                    let bytes = self.buffer.split_to(length).freeze();
                    if self.buffer.is_empty() {
                        // What follows does not keep what was read alive.
                        self.buffer = BytesMut::new();
                    }
                    return Ok(Some(Frame { bytes, room: self.held.take() }));
                }
                if whole > FREE_BYTES && self.held.is_none() {
                    self.held = Some(self.room.take(whole).await?);
                }
                // With leave, its memory may be set aside at once.
                self.buffer.reserve(whole - self.buffer.len());
            } else {
                self.buffer.reserve(FREE_BYTES);
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                let is_whole = self.buffer.is_empty();
                return if is_whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(bytes: &[u8]) -> Vec<u8> {
        let mut framed = (bytes.len() as i32).to_be_bytes().to_vec();
        framed.extend_from_slice(bytes);
        framed
    }

    #[tokio::test]
    async fn frames_are_cut_wherever_reads_end() {
        let mut sent = framed(b"one");
        sent.extend(framed(&vec![7; 100_000]));
        sent.extend(framed(b""));
        for piece in [1, 3, 5, 4096, 200_000] {
            let (mut to, from) = tokio::io::duplex(1 << 20);
            let sent = sent.clone();
            tokio::spawn(async move {
                for piece in sent.chunks(piece) {
                    tokio::io::AsyncWriteExt::write_all(&mut to, piece).await.unwrap();
                }
            });
            let mut reader = FrameReader::new(from, Room::new(1 << 20));
            let mut lengths = Vec::new();
            while let Some(frame) = reader.next(1 << 20).await.unwrap() {
                lengths.push(frame.bytes.len());
            }
            assert_eq!(lengths, [3, 100_000, 0], "{piece}");
        }
    }

    #[tokio::test]
    async fn lengths_that_lie_end_the_connection() {
        for (sent, kind) in [
            (i32::MAX.to_be_bytes().to_vec(), io::ErrorKind::InvalidData),
            ((-1i32).to_be_bytes().to_vec(), io::ErrorKind::InvalidData),
            (vec![0, 0, 0, 9, 1], io::ErrorKind::UnexpectedEof),
            (vec![0, 0], io::ErrorKind::UnexpectedEof),
        ] {
            let mut reader = FrameReader::new(&sent[..], Room::new(1 << 20));
            assert_eq!(reader.next(1 << 20).await.unwrap_err().kind(), kind, "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_frames_wait_for_room_and_the_largest_passes_alone() {
        let room = Room::new(200 << 10);
        let large = framed(&vec![1; 150 << 10]);
        let larger = framed(&vec![1; 300 << 10]);
        let mut first = FrameReader::new(&large[..], room.clone());
        let mut second = FrameReader::new(&larger[..], room.clone());
        let held = first.next(1 << 20).await.unwrap().unwrap();
        let waits = tokio::time::timeout(std::time::Duration::from_secs(1), second.next(1 << 20)).await;
        assert!(waits.is_err());
        drop(held);
        assert_eq!(second.next(1 << 20).await.unwrap().unwrap().bytes.len(), 300 << 10);
    }
}
