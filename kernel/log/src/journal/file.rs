//! One journal file: its header, its frames, and reading them back.

use std::sync::Arc;

use bytes::Bytes;
use candor_model::Random;
use candor_store::{DiskError, DiskFile, KeyWrap};
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::path_of;
use crate::wire::{Put, Take};

const MAGIC: &[u8; 8] = b"CANDOR\x1aJ";
const VERSION: u8 = 1;
const FIXED_BYTES: usize = 44;
const CRC_BYTES: usize = 4;
const FRAME_MAGIC: [u8; 4] = [0xc5, b'J', b'F', 1];

/// A frame's header.
pub(crate) const FRAME_HEADER_BYTES: usize = 36;
/// Frames begin at multiples of this, so that a search for them tries few places.
pub(crate) const ALIGNMENT: u64 = 16;
/// Longest header: the wrapped key is bounded by the store.
const HEADER_BYTES_MAX: usize = 512;
/// Longest body: a request is bounded to 100 MiB long before.
pub(crate) const BODY_BYTES_MAX: u32 = 512 << 20;

pub(crate) fn aligned(at: u64) -> u64 {
    at.next_multiple_of(ALIGNMENT)
}

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameAt {
    /// The file's number.
    pub file: u64,
    /// Where its header begins.
    pub at: u64,
    /// Header and body, bytes.
    pub length: u32,
}

/// What a file's header says beside its key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FileHead {
    pub number: u64,
    pub identity: u64,
    pub first_sequence: u64,
    pub previous_end: u64,
}

/// What a frame's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHead {
    pub body: u32,
    pub sequence: u64,
    pub group: u64,
}

/// An open journal file.
pub(crate) struct JournalFile {
    pub head: FileHead,
    /// Where its frames begin.
    pub frames_at: u64,
    file: Arc<dyn DiskFile>,
    key: Option<LessSafeKey>,
}

/// Why a file cannot be opened.
pub(crate) enum BadFile {
    Disk(DiskError),
    Newer(u8),
    KeyGone,
    Damaged,
}

impl JournalFile {
    /// Writes the header of a new file. It is not synced.
    pub fn create(
        file: Arc<dyn DiskFile>,
        head: FileHead,
        keys: Option<&dyn KeyWrap>,
        random: &dyn Random,
    ) -> Result<JournalFile, DiskError> {
        let key = keys.map(|keys| {
            let mut key = [0; 32];
            random.fill(&mut key);
            (cipher(&key), keys.wrap(&key))
        });
        let wrapped = key.as_ref().map_or([].as_slice(), |(_, wrapped)| wrapped);
        let mut header = Vec::with_capacity(HEADER_BYTES_MAX);
        header.put(MAGIC);
        header.put_u8(VERSION);
        header.put_u8(u8::from(key.is_some()));
        header.put_u16(wrapped.len() as u16);
        header.put_u64(head.number);
        header.put_u64(head.identity);
        header.put_u64(head.first_sequence);
        header.put_u64(head.previous_end);
        header.put(wrapped);
        header.put_u32(crc32fast::hash(&header));
        assert!(header.len() <= HEADER_BYTES_MAX, "a header of {} bytes", header.len());
        let frames_at = aligned(header.len() as u64);
        file.write_at(&header, 0)?;
        Ok(JournalFile { head, frames_at, file, key: key.map(|(key, _)| key) })
    }

    /// Reads the header of a file.
    pub fn open(file: Arc<dyn DiskFile>, keys: Option<&dyn KeyWrap>) -> Result<JournalFile, BadFile> {
        let mut start = vec![0; HEADER_BYTES_MAX];
        let read = file.read_at(&mut start, 0).map_err(BadFile::Disk)?;
        start.truncate(read);
        let mut take = Take(Bytes::from(start.clone()));
        let parsed = (|| {
            let magic = take.bytes(MAGIC.len())?;
            (magic.as_ref() == MAGIC).then_some(())?;
            Some((take.u8()?, take.u8()?, take.u16()?))
        })();
        let (version, mode, key_length) = parsed.ok_or(BadFile::Damaged)?;
        if version != VERSION {
            return Err(BadFile::Newer(version));
        }
        let parsed = (|| {
            let head = FileHead {
                number: take.u64()?,
                identity: take.u64()?,
                first_sequence: take.u64()?,
                previous_end: take.u64()?,
            };
            let wrapped = take.bytes(usize::from(key_length))?;
            let end = FIXED_BYTES + wrapped.len();
            (take.u32()? == crc32fast::hash(start.get(..end)?)).then_some((head, wrapped, end))
        })();
        let (head, wrapped, end) = parsed.ok_or(BadFile::Damaged)?;
        let key = match mode {
            0 => None,
            _ => {
                let unwrapped = keys.and_then(|keys| keys.unwrap(&wrapped)).ok_or(BadFile::KeyGone)?;
                Some(cipher(&unwrapped))
            }
        };
        Ok(JournalFile { head, frames_at: aligned((end + CRC_BYTES) as u64), file, key })
    }

    pub fn disk_file(&self) -> &dyn DiskFile {
        &*self.file
    }

    pub fn path(&self) -> String {
        path_of(self.head.number)
    }

    fn tag_bytes(&self) -> usize {
        if self.key.is_some() { AES_256_GCM.tag_len() } else { CRC_BYTES }
    }

    /// Appends a frame to `buffer`, padded; gives its length without the padding.
    pub fn seal(
        &self,
        sequence: u64,
        group: u64,
        buffer: &mut Vec<u8>,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> u32 {
        let start = buffer.len();
        buffer.resize(start + FRAME_HEADER_BYTES, 0);
        body(buffer);
        let length = buffer.len() - start - FRAME_HEADER_BYTES + self.tag_bytes();
        assert!(length <= BODY_BYTES_MAX as usize, "a frame of {length} bytes");

        let mut header = Vec::with_capacity(FRAME_HEADER_BYTES);
        header.put(&FRAME_MAGIC);
        header.put_u32(length as u32);
        header.put_u64(self.head.identity);
        header.put_u64(sequence);
        header.put_u64(group);
        header.put_u32(crc32fast::hash(&header));
        if let Some(place) = buffer.get_mut(start..start + FRAME_HEADER_BYTES) {
            place.copy_from_slice(&header);
        }
        let body = buffer.get_mut(start + FRAME_HEADER_BYTES..).unwrap_or_default();
        match &self.key {
            Some(key) => {
                #[allow(clippy::expect_used, reason = "sealing fails beyond 64 GiB only")]
                let tag = key
                    .seal_in_place_separate_tag(nonce(sequence), Aad::from(&header), body)
                    .expect("a body of less than 512 MiB");
                buffer.put(tag.as_ref());
            }
            None => {
                let crc = body_crc(&header, body);
                buffer.put_u32(crc);
            }
        }
        let length = (buffer.len() - start) as u32;
        buffer.resize(start + aligned(u64::from(length)) as usize, 0);
        length
    }

    /// The header of a frame, where these bytes begin with one of this file.
    pub fn parse_frame_head(&self, bytes: &[u8]) -> Option<FrameHead> {
        let header: &[u8; FRAME_HEADER_BYTES] = bytes.first_chunk()?;
        if !header.starts_with(&FRAME_MAGIC) {
            return None;
        }
        let (fields, crc) = header.split_last_chunk::<CRC_BYTES>()?;
        let mut take = Take(Bytes::copy_from_slice(fields));
        take.u32()?;
        let body = take.u32()?;
        let identity = take.u64()?;
        let head = FrameHead { body, sequence: take.u64()?, group: take.u64()? };
        let valid = crc32fast::hash(fields) == u32::from_le_bytes(*crc)
            && identity == self.head.identity
            && body <= BODY_BYTES_MAX
            && body as usize >= self.tag_bytes();
        valid.then_some(head)
    }

    /// Opens a frame: header and body as they lie in the file.
    pub fn unseal(&self, mut frame: Vec<u8>) -> Option<(FrameHead, Bytes)> {
        let head = self.parse_frame_head(&frame)?;
        frame.truncate(FRAME_HEADER_BYTES + head.body as usize);
        if frame.len() != FRAME_HEADER_BYTES + head.body as usize {
            return None;
        }
        let (header, body) = frame.split_at_mut_checked(FRAME_HEADER_BYTES)?;
        let length = match &self.key {
            Some(key) => key.open_in_place(nonce(head.sequence), Aad::from(&header), body).ok()?.len(),
            None => {
                let (body, crc) = body.split_last_chunk::<CRC_BYTES>()?;
                (body_crc(header, body) == u32::from_le_bytes(*crc)).then_some(body.len())?
            }
        };
        Some((head, Bytes::from(frame).slice(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + length)))
    }

    /// Reads a frame's body; `None` where it does not authenticate.
    pub fn read(&self, at: u64, length: u32) -> Result<Option<Bytes>, DiskError> {
        let mut frame = vec![0; length as usize];
        let read = self.file.read_at(&mut frame, at)?;
        frame.truncate(read);
        Ok(self.unseal(frame).map(|(_, body)| body))
    }
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    #[allow(clippy::expect_used, reason = "32 bytes are what the algorithm takes")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes"))
}

fn nonce(sequence: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    for (to, from) in bytes.iter_mut().skip(NONCE_LEN - 8).zip(sequence.to_be_bytes()) {
        *to = from;
    }
    Nonce::assume_unique_for_key(bytes)
}

fn body_crc(header: &[u8], body: &[u8]) -> u32 {
    let mut crc = crc32fast::Hasher::new();
    crc.update(header);
    crc.update(body);
    crc.finalize()
}
