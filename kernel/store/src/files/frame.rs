//! The layout of a framed file: header, frames, and the arithmetic between content and stored bytes.

use std::ops::Range;

use bytes::Bytes;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use super::{FileKind, WRAPPED_KEY_BYTES_MAX};

const MAGIC: &[u8; 8] = b"CANDOR\x1aF";
const VERSION: u8 = 1;
const MODE_PLAIN: u8 = 0;
const MODE_SEALED: u8 = 1;
const FRAME_LOG2: u8 = 16;

/// Header bytes that are bound to every frame.
const BOUND_BYTES: usize = 20;
const FIXED_BYTES: usize = BOUND_BYTES + 2;
const CRC_BYTES: usize = 4;

/// What must be read to have the whole header.
pub const HEADER_BYTES_MAX: usize = FIXED_BYTES + WRAPPED_KEY_BYTES_MAX + CRC_BYTES;

/// How a Parquet file begins.
pub const PARQUET_MAGIC: &[u8] = b"PAR1";

/// Why a header does not pass.
pub enum BadHeader {
    /// A later format.
    Newer(u8),
    /// Not one of ours, or changed.
    Damaged,
}

/// A parsed header.
pub struct Header<'a> {
    kind: FileKind,
    frame_log2: u8,
    length: u64,
    bytes: u64,
    bound: [u8; BOUND_BYTES],
    /// The file's key, wrapped; none in a plain file.
    pub wrapped_key: Option<&'a [u8]>,
}

impl<'a> Header<'a> {
    pub fn parse(start: &'a [u8]) -> Result<Header<'a>, BadHeader> {
        let bound: [u8; BOUND_BYTES] = *start.first_chunk().ok_or(BadHeader::Damaged)?;
        let [.., version, kind, mode, frame_log2, l0, l1, l2, l3, l4, l5, l6, l7] = bound;
        if !bound.starts_with(MAGIC) {
            return Err(BadHeader::Damaged);
        }
        if version != VERSION {
            return Err(BadHeader::Newer(version));
        }
        let key_length = read_u16(start, BOUND_BYTES).ok_or(BadHeader::Damaged)?;
        let end = FIXED_BYTES + usize::from(key_length);
        let wrapped = start.get(FIXED_BYTES..end).ok_or(BadHeader::Damaged)?;
        let stated: [u8; CRC_BYTES] =
            *start.get(end..).and_then(|rest| rest.first_chunk()).ok_or(BadHeader::Damaged)?;
        let crc = crc32fast::hash(start.get(..end).unwrap_or_default());
        let kind = FileKind::from_code(kind).ok_or(BadHeader::Damaged)?;
        let known = (12..=24).contains(&frame_log2) && (mode == MODE_SEALED) != wrapped.is_empty();
        if crc != u32::from_le_bytes(stated) || mode > MODE_SEALED || !known {
            return Err(BadHeader::Damaged);
        }
        Ok(Header {
            kind,
            frame_log2,
            length: u64::from_le_bytes([l0, l1, l2, l3, l4, l5, l6, l7]),
            bytes: (end + CRC_BYTES) as u64,
            bound,
            wrapped_key: (mode == MODE_SEALED).then_some(wrapped),
        })
    }

    pub fn open(&self, name: &str, file_key: Option<[u8; 32]>) -> Opened {
        Opened {
            kind: self.kind,
            length: self.length,
            header_bytes: self.bytes,
            frame_bytes: 1 << self.frame_log2,
            protection: match file_key {
                Some(key) => Protection::Sealed { key: cipher(&key), bound: bound_with(&self.bound, name) },
                None => Protection::Checked { bound: bound_with(&self.bound, name) },
            },
        }
    }
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn bound_with(bound: &[u8; BOUND_BYTES], name: &str) -> Vec<u8> {
    [bound.as_slice(), name.as_bytes()].concat()
}

fn cipher(key: &[u8; 32]) -> LessSafeKey {
    #[allow(clippy::expect_used, reason = "32 bytes are what the algorithm takes")]
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("a key of 32 bytes"))
}

#[allow(clippy::large_enum_variant, reason = "one for each file that is open")]
enum Protection {
    Sealed {
        key: LessSafeKey,
        bound: Vec<u8>,
    },
    Checked {
        bound: Vec<u8>,
    },
    /// Parquet as it is; it has its own checksums.
    Raw,
}

/// What is known of a file once its header is read.
pub struct Opened {
    kind: FileKind,
    length: u64,
    header_bytes: u64,
    frame_bytes: u64,
    protection: Protection,
}

/// Where a range of content is stored.
pub struct StoredRange {
    pub first_frame: u64,
    pub bytes: Range<u64>,
}

impl Opened {
    /// Plain Parquet, stored as it is.
    pub fn raw(size: u64) -> Opened {
        Opened {
            kind: FileKind::Parquet,
            length: size,
            header_bytes: 0,
            frame_bytes: 1 << FRAME_LOG2,
            protection: Protection::Raw,
        }
    }

    pub fn kind(&self) -> FileKind {
        self.kind
    }

    pub fn length(&self) -> u64 {
        self.length
    }

    /// Where the frames begin.
    pub fn header_bytes(&self) -> usize {
        usize::try_from(self.header_bytes).unwrap_or(usize::MAX)
    }

    fn tag_bytes(&self) -> u64 {
        match self.protection {
            Protection::Sealed { .. } => AES_256_GCM.tag_len() as u64,
            Protection::Checked { .. } => CRC_BYTES as u64,
            Protection::Raw => 0,
        }
    }

    fn frames(&self) -> u64 {
        self.length.div_ceil(self.frame_bytes).max(1)
    }

    pub fn stored_size(&self) -> u64 {
        let tags = self.frames().saturating_mul(self.tag_bytes());
        self.header_bytes.saturating_add(self.length).saturating_add(tags)
    }

    /// The stored bytes of the frames that hold a range, which is within the length and not empty.
    pub fn stored_range(&self, range: &Range<u64>) -> StoredRange {
        if matches!(self.protection, Protection::Raw) {
            return StoredRange { first_frame: range.start / self.frame_bytes, bytes: range.clone() };
        }
        let stored_frame = self.frame_bytes + self.tag_bytes();
        let first_frame = range.start / self.frame_bytes;
        let last_frame = (range.end - 1) / self.frame_bytes;
        let start = self.header_bytes + first_frame * stored_frame;
        let end = (self.header_bytes + (last_frame + 1) * stored_frame).min(self.stored_size());
        StoredRange { first_frame, bytes: start..end }
    }

    /// Checks and opens frames, and cuts the range out of them. The error is the frame that does not pass.
    pub fn unseal(&self, range: &Range<u64>, first_frame: u64, stored: Bytes) -> Result<Bytes, u64> {
        let (sealed, bound) = match &self.protection {
            Protection::Raw => {
                let whole = stored.len() as u64 == range.end - range.start;
                return if whole { Ok(stored) } else { Err(first_frame) };
            }
            Protection::Sealed { key, bound } => (Some(key), bound),
            Protection::Checked { bound } => (None, bound),
        };
        let mut stored: Vec<u8> = stored.into();
        let mut content = Vec::with_capacity(stored.len());
        let stored_frame = usize::try_from(self.frame_bytes + self.tag_bytes()).unwrap_or(usize::MAX);
        let mut number = first_frame;
        for frame in stored.chunks_mut(stored_frame) {
            let last = number + 1 == self.frames();
            let clear = match sealed {
                Some(key) => {
                    let nonce = nonce(number, last);
                    key.open_in_place(nonce, Aad::from(bound), frame).map_err(|_| number)?
                }
                None => check(frame, bound, number, last).ok_or(number)?,
            };
            content.extend_from_slice(clear);
            number += 1;
        }
        let skip = usize::try_from(range.start - first_frame * self.frame_bytes).map_err(|_| first_frame)?;
        let take = usize::try_from(range.end - range.start).map_err(|_| first_frame)?;
        if skip + take > content.len() {
            return Err(number);
        }
        Ok(Bytes::from(content).slice(skip..skip + take))
    }
}

/// 11 bytes of number, big endian, and the mark of the last frame.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    for (to, from) in bytes.iter_mut().skip(3).zip(number.to_be_bytes()) {
        *to = from;
    }
    if let Some(flag) = bytes.last_mut() {
        *flag = u8::from(last);
    }
    Nonce::assume_unique_for_key(bytes)
}

/// The CRC-32 of a plain frame binds the same things as a sealed frame's tag: against mistakes, not malice.
fn frame_crc(content: &[u8], bound: &[u8], number: u64, last: bool) -> [u8; CRC_BYTES] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(bound);
    crc.update(&number.to_le_bytes());
    crc.update(&[u8::from(last)]);
    crc.update(content);
    crc.finalize().to_le_bytes()
}

fn check<'a>(frame: &'a mut [u8], bound: &[u8], number: u64, last: bool) -> Option<&'a mut [u8]> {
    let (content, stated) = frame.split_last_chunk_mut::<CRC_BYTES>()?;
    (frame_crc(content, bound, number, last) == *stated).then_some(content)
}

/// A whole file: header and frames.
pub fn seal(name: &str, kind: FileKind, content: &[u8], key: Option<([u8; 32], &[u8])>) -> Vec<u8> {
    let wrapped = key.map_or([].as_slice(), |(_, wrapped)| wrapped);
    assert!(wrapped.len() <= WRAPPED_KEY_BYTES_MAX, "a wrapped key of {} bytes", wrapped.len());
    let mode = if key.is_some() { MODE_SEALED } else { MODE_PLAIN };
    let mut file = Vec::with_capacity(HEADER_BYTES_MAX + content.len() + content.len() / 1024 + 16);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&[VERSION, kind.code(), mode, FRAME_LOG2]);
    file.extend_from_slice(&(content.len() as u64).to_le_bytes());
    let bound = bound_with(file.first_chunk().unwrap_or(&[0; BOUND_BYTES]), name);
    file.extend_from_slice(&(wrapped.len() as u16).to_le_bytes());
    file.extend_from_slice(wrapped);
    file.extend_from_slice(&crc32fast::hash(&file).to_le_bytes());

    let cipher = key.map(|(key, _)| cipher(&key));
    let frames = content.len().div_ceil(1 << FRAME_LOG2).max(1) as u64;
    let mut chunks = content.chunks(1 << FRAME_LOG2);
    for number in 0..frames {
        let chunk = chunks.next().unwrap_or_default();
        let last = number + 1 == frames;
        let start = file.len();
        file.extend_from_slice(chunk);
        match &cipher {
            Some(cipher) => {
                let frame = file.get_mut(start..).unwrap_or_default();
                #[allow(clippy::expect_used, reason = "sealing fails beyond 64 GiB only")]
                let tag = cipher
                    .seal_in_place_separate_tag(nonce(number, last), Aad::from(&bound), frame)
                    .expect("a frame of 64 KiB");
                file.extend_from_slice(tag.as_ref());
            }
            None => file.extend_from_slice(&frame_crc(chunk, &bound, number, last)),
        }
    }
    file
}
