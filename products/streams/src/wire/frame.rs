//! Frames: four bytes that say how long it is, then a request.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout};

/// The size of what is read ahead, and of a frame that needs no leave.
const FREE_BYTES: usize = 64 << 10;

/// Address space that a frame is given at once.
const AT_ONCE_BYTES: usize = 2 << 20;

/// The unit of room, bytes.
const UNIT: usize = 1 << 10;

/// Room for the frames of all connections together. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Room {
    units: Arc<Semaphore>,
    /// Whoever has this needs no more room to go on: one frame is always on its way to its end, and what is begun never
    /// waits for one another in a ring.
    beyond: Arc<Semaphore>,
    max: u32,
}

impl Room {
    /// Room for so many bytes, and one frame beyond.
    pub fn new(bytes: usize) -> Room {
        let max = u32::try_from(bytes / UNIT).unwrap_or(u32::MAX).clamp(1, 1 << 22);
        Room { units: Arc::new(Semaphore::new(max as usize)), beyond: Arc::new(Semaphore::new(1)), max }
    }

    /// Waits for room. A frame larger than all there is gets all.
    pub(crate) async fn take(&self, bytes: usize) -> io::Result<OwnedSemaphorePermit> {
        let units = self.units_of(bytes);
        Arc::clone(&self.units).acquire_many_owned(units).await.map_err(io::Error::other)
    }

    fn units_of(&self, bytes: usize) -> u32 {
        u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.max)
    }

    #[cfg(test)]
    pub(crate) fn free_bytes(&self) -> usize {
        self.units.available_permits() * UNIT
    }
}

/// The room that something holds while it comes. It grows with what is there, so that a length alone holds nothing.
#[derive(Debug, Default)]
pub(crate) struct Held {
    units: Option<OwnedSemaphorePermit>,
    beyond: Option<OwnedSemaphorePermit>,
}

impl Held {
    /// Waits until it holds room for so many bytes. What is small needs none.
    pub async fn cover(&mut self, room: &Room, bytes: usize) -> io::Result<()> {
        let has = self.units.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let missing = (room.units_of(bytes) as usize).saturating_sub(has);
        if bytes <= FREE_BYTES || missing == 0 || self.beyond.is_some() {
            return Ok(());
        }
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        tokio::select! {
            biased;
            more = Arc::clone(&room.units).acquire_many_owned(missing) => {
                let more = more.map_err(io::Error::other)?;
                match &mut self.units {
                    Some(units) => units.merge(more),
                    None => self.units = Some(more),
                }
            }
            beyond = Arc::clone(&room.beyond).acquire_owned() => {
                self.beyond = Some(beyond.map_err(io::Error::other)?);
            }
        }
        Ok(())
    }

    /// Holds room for so many bytes from now on, be it more or less than before.
    pub async fn fit(&mut self, room: &Room, bytes: usize) -> io::Result<()> {
        if bytes <= FREE_BYTES {
            *self = Held::default();
            return Ok(());
        }
        let wanted = room.units_of(bytes) as usize;
        if let Some(units) = &mut self.units
            && let Some(less) = units.num_permits().checked_sub(wanted)
        {
            drop(units.split(less));
        }
        self.cover(room, bytes).await
    }
}

/// A frame, and the room that it holds.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Without its length.
    pub bytes: Bytes,
    /// Given back when the request is answered.
    pub room: Held,
}

/// Reads frames. Reading may be given up and begun again at any await.
pub(crate) struct FrameReader<S> {
    stream: S,
    buffer: BytesMut,
    /// For so many of its bytes there is room.
    covered: usize,
    /// The buffer was made larger for a frame, or shares its memory with one.
    has_grown: bool,
    room: Room,
    held: Held,
    /// Time for a frame that has begun to come.
    transfer: Duration,
    /// What of it is left: it runs while we wait for the rest, and not while we read nothing.
    left: Duration,
}

/// Takes the time that something waits from what is left.
struct Waits<'a> {
    left: &'a mut Duration,
    began: Instant,
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        *self.left = self.left.saturating_sub(self.began.elapsed());
    }
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    /// Each frame is to be there within `transfer` from its first byte on.
    pub fn new(stream: S, room: Room, transfer: Duration) -> FrameReader<S> {
        let (buffer, held) = (BytesMut::new(), Held::default());
        FrameReader { stream, buffer, covered: 0, has_grown: false, room, held, transfer, left: transfer }
    }

    /// True where nothing of the next frame is there.
    pub fn is_between(&self) -> bool {
        self.buffer.is_empty()
    }

    /// The next frame; none at the end of the stream. Fails where one is longer than `bytes_max`, or comes too slowly.
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
                    let bytes = if length < FREE_BYTES / 2 {
                        // Records that are kept are not to keep all that was read with them.
                        let bytes = Bytes::copy_from_slice(self.buffer.get(..length).unwrap_or_default());
                        self.buffer.advance(length);
                        bytes
                    } else {
                        self.has_grown = true;
                        self.buffer.split_to(length).freeze()
                    };
                    if self.buffer.is_empty() && self.has_grown {
                        // What follows does not keep what was read alive.
                        self.buffer = BytesMut::new();
                        self.has_grown = false;
                    }
                    self.covered = 0;
                    self.left = self.transfer;
                    return Ok(Some(Frame { bytes, room: std::mem::take(&mut self.held) }));
                }
                if self.buffer.len() >= self.covered.max(FREE_BYTES) {
                    let covered = (2 * self.buffer.len()).min(whole);
                    self.held.cover(&self.room, covered).await?;
                    // Not before: the wait may be given up.
                    self.covered = covered;
                }
                // Memory that nothing was written to yet costs nothing, and spares copies.
                let at_once = self.covered.max(whole.min(AT_ONCE_BYTES));
                self.buffer.reserve(at_once.saturating_sub(self.buffer.len()));
                self.has_grown |= whole > FREE_BYTES / 2;
            } else {
                self.buffer.reserve(FREE_BYTES);
            }
            if self.read().await? == 0 {
                let is_whole = self.buffer.is_empty();
                return if is_whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    async fn read(&mut self) -> io::Result<usize> {
        if self.is_between() {
            return self.stream.read_buf(&mut self.buffer).await;
        }
        // No more than there is room for.
        let more = self.covered.max(FREE_BYTES).saturating_sub(self.buffer.len()).max(1);
        let mut buffer = (&mut self.buffer).limit(more);
        let patience = self.left;
        let _waits = Waits { left: &mut self.left, began: Instant::now() };
        match timeout(patience, self.stream.read_buf(&mut buffer)).await {
            Ok(read) => read,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "a frame comes too slowly")),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    const TRANSFER: Duration = Duration::from_secs(60);
    const SECOND: Duration = Duration::from_secs(1);

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
                    to.write_all(piece).await.unwrap();
                }
            });
            let mut reader = FrameReader::new(from, Room::new(1 << 20), TRANSFER);
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
            let mut reader = FrameReader::new(&sent[..], Room::new(1 << 20), TRANSFER);
            assert_eq!(reader.next(1 << 20).await.unwrap_err().kind(), kind, "{sent:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn large_frames_wait_for_room_and_one_goes_beyond_it() {
        let room = Room::new(200 << 10);
        let large = framed(&vec![1; 150 << 10]);
        let larger = framed(&vec![1; 300 << 10]);
        let [mut first, mut second, mut third] =
            [&large, &larger, &large].map(|sent| FrameReader::new(&sent[..], room.clone(), TRANSFER));
        let held = first.next(1 << 20).await.unwrap().unwrap();
        let beyond = second.next(1 << 20).await.unwrap().unwrap();
        assert_eq!(beyond.bytes.len(), 300 << 10);
        assert!(timeout(SECOND, third.next(1 << 20)).await.is_err());
        drop(beyond);
        assert_eq!(third.next(1 << 20).await.unwrap().unwrap().bytes.len(), 150 << 10);
        drop((held, first, second, third));
        assert_eq!((room.units.available_permits(), room.beyond.available_permits()), (200, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_for_room_that_was_given_up_begins_again() {
        let room = Room::new(200 << 10);
        let large = framed(&vec![1; 150 << 10]);
        let larger = framed(&vec![1; 300 << 10]);
        let [mut first, mut second, mut third] =
            [&large, &larger, &large].map(|sent| FrameReader::new(&sent[..], room.clone(), TRANSFER));
        let held = first.next(1 << 20).await.unwrap().unwrap();
        let _beyond = second.next(1 << 20).await.unwrap().unwrap();
        for _ in 0..3 {
            assert!(timeout(SECOND, third.next(1 << 20)).await.is_err(), "there is no room");
        }
        drop(held);
        let third = third.next(1 << 20).await.unwrap().unwrap();
        assert_eq!(third.bytes.len(), 150 << 10);
        assert_eq!(room.units.available_permits(), 49, "it holds room for all of it, its length included");
    }

    /// A hundred connections begin frames of all the room there is, and say no more. One that sends has its turn.
    #[tokio::test(start_paused = true)]
    async fn who_says_a_length_alone_keeps_nobody_waiting() {
        let room = Room::new(1 << 20);
        let mut idle = Vec::new();
        for _ in 0..100 {
            let (mut to, from) = tokio::io::duplex(1 << 20);
            to.write_all(&(100_i32 << 20).to_be_bytes()).await.unwrap();
            to.write_all(&[0; 60 << 10]).await.unwrap();
            let mut reader = FrameReader::new(from, room.clone(), TRANSFER);
            let reading =
                tokio::spawn(async move { reader.next(100 << 20).await.map(|frame| frame.is_some()) });
            idle.push((to, reading));
        }
        tokio::time::sleep(SECOND).await;
        assert_eq!(room.units.available_permits(), 1 << 10);
        let sent = framed(&vec![1; 1 << 20]);
        let mut reader = FrameReader::new(&sent[..], room.clone(), TRANSFER);
        assert!(reader.next(100 << 20).await.unwrap().is_some());
        tokio::time::sleep(TRANSFER).await;
        for (_, reading) in idle {
            assert_eq!(reading.await.unwrap().unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn time_runs_from_the_first_byte_on_and_while_we_wait() {
        let (mut to, from) = tokio::io::duplex(1 << 20);
        let mut reader = FrameReader::new(from, Room::new(1 << 20), TRANSFER);
        assert!(timeout(TRANSFER * 5, reader.next(1 << 20)).await.is_err(), "nothing has begun to come");
        to.write_all(&[0, 0, 0]).await.unwrap();
        // Given up and begun again, as a connection does between its answers; what is not waited for is not counted.
        for _ in 0..5 {
            assert!(timeout(SECOND * 10, reader.next(1 << 20)).await.is_err());
            tokio::time::sleep(TRANSFER).await;
        }
        to.write_all(&[1]).await.unwrap();
        to.write_all(&[7, 0]).await.unwrap();
        assert_eq!(&reader.next(1 << 20).await.unwrap().unwrap().bytes[..], [7]);
        let began = Instant::now();
        let error = reader.next(1 << 20).await.unwrap_err();
        assert_eq!(
            (error.kind(), began.elapsed()),
            (io::ErrorKind::TimedOut, TRANSFER),
            "the next has begun"
        );
    }
}
