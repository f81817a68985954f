//! The four codecs, as the Java client writes and reads them.
//!
//! What is decompressed is bounded while it is made, whatever it claims about itself.

use std::io::{Read, Write};

use crate::bad::BadBatch;

/// What xerial's `SnappyOutputStream` writes first: its name, version 1, readable by version 1.
const XERIAL: [u8; 16] = *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01";
/// Its name alone, by which it is known: some clients write the versions in the other byte order.
const XERIAL_NAME: &[u8] = b"\x82SNAPPY\0";
/// What it compresses at a time.
const XERIAL_BLOCK_BYTES: usize = 32 << 10;
/// Snappy stands for at most 64 bytes by three, so what claims to be larger by far is no use decompressing.
const SNAPPY_RATIO_MAX: usize = 64;

/// zstd's window, as a power of two: 128 MiB, what the format recommends that decoders take (RFC 8878, 3.1.1.1.2).
const ZSTD_WINDOW_LOG_MAX: u32 = 27;
/// What Apache Kafka compresses with where nothing is set.
const ZSTD_LEVEL: i32 = 3;

/// How records are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Codec {
    /// Not at all.
    #[default]
    None,
    /// RFC 1952.
    Gzip,
    /// Snappy blocks in the frame of xerial's Java library, or one block bare.
    Snappy,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// Every codec, by its number.
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec of that number in a batch's attributes.
    pub fn from_number(number: u8) -> Option<Codec> {
        Codec::ALL.get(usize::from(number)).copied()
    }

    /// Its number in a batch's attributes.
    pub fn number(self) -> u8 {
        self as u8
    }

    /// The name that `compression.type` has for it.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    pub(crate) fn compress(self, input: &[u8]) -> Result<Vec<u8>, BadBatch> {
        let failed = |_| BadBatch::Compressed;
        match self {
            Codec::None => Ok(input.to_vec()),
            Codec::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(input).map_err(failed)?;
                encoder.finish().map_err(failed)
            }
            Codec::Snappy => compress_xerial(input),
            Codec::Lz4 => {
                // As the Java client: independent blocks of 64 KiB, no checksum of the content.
                let info = lz4_flex::frame::FrameInfo::new()
                    .block_size(lz4_flex::frame::BlockSize::Max64KB)
                    .block_mode(lz4_flex::frame::BlockMode::Independent);
                let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
                encoder.write_all(input).map_err(failed)?;
                encoder.finish().map_err(|_| BadBatch::Compressed)
            }
            Codec::Zstd => zstd::bulk::compress(input, ZSTD_LEVEL).map_err(failed),
        }
    }

    /// Decompresses to at most `max` bytes.
    pub(crate) fn decompress(self, input: &[u8], max: usize) -> Result<Vec<u8>, BadBatch> {
        match self {
            Codec::None if input.len() > max => Err(BadBatch::TooLarge),
            Codec::None => Ok(input.to_vec()),
            Codec::Gzip => read(flate2::bufread::MultiGzDecoder::new(input), input.len(), max),
            Codec::Snappy => decompress_snappy(input, max),
            Codec::Lz4 => read(lz4_flex::frame::FrameDecoder::new(input), input.len(), max),
            Codec::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(input).map_err(|_| BadBatch::Compressed)?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| BadBatch::Compressed)?;
                read(decoder, input.len(), max)
            }
        }
    }
}

/// Reads to the end, at most `max` bytes.
fn read(from: impl Read, input_bytes: usize, max: usize) -> Result<Vec<u8>, BadBatch> {
    // Room for what is usual; more grows as it comes.
    let mut out = Vec::with_capacity(input_bytes.saturating_mul(4).min(max));
    let bound = (max as u64).saturating_add(1);
    from.take(bound).read_to_end(&mut out).map_err(|_| BadBatch::Compressed)?;
    if out.len() > max { Err(BadBatch::TooLarge) } else { Ok(out) }
}

fn compress_xerial(input: &[u8]) -> Result<Vec<u8>, BadBatch> {
    let mut encoder = snap::raw::Encoder::new();
    let mut out = XERIAL.to_vec();
    for block in input.chunks(XERIAL_BLOCK_BYTES) {
        let compressed = encoder.compress_vec(block).map_err(|_| BadBatch::Compressed)?;
        out.extend_from_slice(&(compressed.len() as u32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

fn decompress_snappy(input: &[u8], max: usize) -> Result<Vec<u8>, BadBatch> {
    let mut out = Vec::new();
    let mut decoder = snap::raw::Decoder::new();
    if !input.starts_with(XERIAL_NAME) {
        decompress_block(&mut decoder, input, max, &mut out)?;
        return Ok(out);
    }
    let mut rest = input;
    while !rest.is_empty() {
        // Streams may stand one behind the other, each with its own header.
        if rest.starts_with(XERIAL_NAME) {
            rest = rest.get(XERIAL.len()..).ok_or(BadBatch::Compressed)?;
            continue;
        }
        let (length, behind) = rest.split_first_chunk::<4>().ok_or(BadBatch::Compressed)?;
        let length = u32::from_be_bytes(*length) as usize;
        let (block, behind) = behind.split_at_checked(length).ok_or(BadBatch::Compressed)?;
        decompress_block(&mut decoder, block, max, &mut out)?;
        rest = behind;
    }
    Ok(out)
}

fn decompress_block(
    decoder: &mut snap::raw::Decoder,
    block: &[u8],
    max: usize,
    out: &mut Vec<u8>,
) -> Result<(), BadBatch> {
    let length = snap::raw::decompress_len(block).map_err(|_| BadBatch::Compressed)?;
    let from = out.len();
    if length > max.saturating_sub(from) {
        return Err(BadBatch::TooLarge);
    }
    if length > block.len().saturating_mul(SNAPPY_RATIO_MAX) {
        return Err(BadBatch::Compressed);
    }
    out.resize(from + length, 0);
    let room = out.get_mut(from..).unwrap_or_default();
    let written = decoder.decompress(block, room).map_err(|_| BadBatch::Compressed)?;
    if written == length { Ok(()) } else { Err(BadBatch::Compressed) }
}
