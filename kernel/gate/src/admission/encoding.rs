//! Content encodings: undone one after the other, each within bounds.

use std::io::Read;

use http::{HeaderMap, header};

use super::Refusal;

/// Encodings stacked on one body. Two are an accident that happens; more is an attack.
const STACK_MAX: usize = 3;

/// Beyond so many bytes …
const RATIO_FREE_BYTES: usize = 8 << 20;

/// … a body may be at most so many times what came. Logs of one repeated line reach 100; a bomb reaches 1000 and more.
const RATIO_MAX: usize = 250;

/// zstd's window, as a power of two: a frame may ask for more memory than its content, and 128 MiB is what the
/// format's recommended limit for decoders allows (RFC 8878, 3.1.1.1.2).
const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// What is read at a time.
const CHUNK_BYTES: usize = 64 << 10;

/// Which encodings a protocol takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accept {
    snappy: bool,
}

impl Accept {
    /// gzip, deflate, br, zstd.
    pub const STANDARD: Accept = Accept { snappy: false };
    /// Snappy too, in blocks or framed, for the protocols that have it.
    pub const WITH_SNAPPY: Accept = Accept { snappy: true };

    /// For the header `Accept-Encoding` of a 415 answer (RFC 9110, 12.5.3).
    pub fn header(self) -> &'static str {
        if self.snappy { "gzip, deflate, br, zstd, snappy" } else { "gzip, deflate, br, zstd" }
    }
}

/// A content encoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// RFC 1952, also of several members.
    Gzip,
    /// RFC 1950, or RFC 1951 without its wrapper, as some clients send: told apart by the first two bytes.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// Snappy, one block or framed: told apart by the stream identifier.
    Snappy,
}

impl Encoding {
    fn from_name(name: &str, accept: Accept) -> Option<Encoding> {
        match name.to_ascii_lowercase().as_str() {
            "gzip" | "x-gzip" => Some(Encoding::Gzip),
            "deflate" => Some(Encoding::Deflate),
            "br" => Some(Encoding::Brotli),
            "zstd" => Some(Encoding::Zstd),
            "snappy" | "x-snappy-framed" if accept.snappy => Some(Encoding::Snappy),
            _ => None,
        }
    }

    /// Its name in the header.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Gzip => "gzip",
            Encoding::Deflate => "deflate",
            Encoding::Brotli => "br",
            Encoding::Zstd => "zstd",
            Encoding::Snappy => "snappy",
        }
    }
}

/// The encodings of a body, in the order in which they are to be undone.
pub(super) fn encodings(headers: &HeaderMap, accept: Accept) -> Result<Vec<Encoding>, Refusal> {
    let mut all = Vec::new();
    for line in headers.get_all(header::CONTENT_ENCODING) {
        let line = line.to_str().map_err(|_| Refusal::UnsupportedEncoding)?;
        for name in line.split(',').map(str::trim) {
            if name.is_empty() || name.eq_ignore_ascii_case("identity") {
                continue;
            }
            all.push(Encoding::from_name(name, accept).ok_or(Refusal::UnsupportedEncoding)?);
        }
    }
    if all.len() > STACK_MAX {
        return Err(Refusal::UnsupportedEncoding);
    }
    all.reverse();
    Ok(all)
}

/// The start of a body of which only a part has come: at most about `bytes_max` bytes of it, undone as far as they
/// go. For a protocol that carries its key in its body, which must be known before the body is let in.
pub fn decode_start(
    headers: &HeaderMap,
    received: &[u8],
    accept: Accept,
    bytes_max: usize,
) -> Result<Vec<u8>, Refusal> {
    let mut start = received.to_vec();
    for encoding in encodings(headers, accept)? {
        let input = std::mem::take(&mut start);
        let mut room = bytes_max;
        let mut grow = |more: usize| {
            room = room.checked_sub(more).ok_or(Refusal::DecodedTooLarge)?;
            Ok(())
        };
        let mut sink =
            Sink { encoding, input_bytes: input.len(), bytes_max, grow: &mut grow, out: Vec::new() };
        // What has not come yet reads as damage; what was undone before it is what is wanted.
        let _ = sink.undo(&input);
        start = sink.out;
    }
    Ok(start)
}

/// Undoes one encoding. `bytes_max` bounds the result; `grow` is told of every piece before it is kept and may
/// refuse.
pub fn decode(
    encoding: Encoding,
    input: &[u8],
    bytes_max: usize,
    grow: &mut dyn FnMut(usize) -> Result<(), Refusal>,
) -> Result<Vec<u8>, Refusal> {
    if input.is_empty() {
        return Ok(Vec::new());
    }
    let mut sink = Sink { encoding, input_bytes: input.len(), bytes_max, grow, out: Vec::new() };
    sink.undo(input)?;
    Ok(sink.out)
}

struct Sink<'a> {
    encoding: Encoding,
    input_bytes: usize,
    bytes_max: usize,
    grow: &'a mut dyn FnMut(usize) -> Result<(), Refusal>,
    out: Vec<u8>,
}

impl Sink<'_> {
    fn bad(&self, what: &'static str) -> Refusal {
        Refusal::BadEncoding { encoding: self.encoding.name(), what }
    }

    fn undo(&mut self, input: &[u8]) -> Result<(), Refusal> {
        match self.encoding {
            Encoding::Gzip => self.pump(flate2::bufread::MultiGzDecoder::new(input)),
            Encoding::Deflate => self.inflate(input),
            Encoding::Brotli => {
                let mut rest = input;
                self.pump(brotli_decompressor::Decompressor::new(&mut rest, CHUNK_BYTES))
            }
            Encoding::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(input).map_err(|_| self.bad("no decoder"))?;
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(|_| self.bad("no decoder"))?;
                self.pump(decoder)
            }
            Encoding::Snappy if input.starts_with(b"\xff\x06\x00\x00sNaPpY") => {
                self.pump(snap::read::FrameDecoder::new(input))
            }
            Encoding::Snappy => self.snappy_block(input),
        }
    }

    /// Reads to the end, a bounded piece at a time.
    fn pump(&mut self, mut reader: impl Read) -> Result<(), Refusal> {
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let count = match reader.read(&mut chunk) {
                Ok(0) => return Ok(()),
                Ok(count) => count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                    return Err(self.bad("it ends early"));
                }
                Err(_) => return Err(self.bad("it is damaged")),
            };
            self.accept(count)?;
            self.out.extend_from_slice(chunk.get(..count).unwrap_or(&[]));
        }
    }

    /// Checks that `more` bytes are within all bounds.
    fn accept(&mut self, more: usize) -> Result<(), Refusal> {
        let length = self.out.len() + more;
        let bomb = length > RATIO_FREE_BYTES && length / self.input_bytes.max(1) > RATIO_MAX;
        if length > self.bytes_max || bomb {
            return Err(Refusal::DecodedTooLarge);
        }
        (self.grow)(more)
    }

    fn inflate(&mut self, input: &[u8]) -> Result<(), Refusal> {
        // A zlib header: method 8, and the two bytes are a multiple of 31 (RFC 1950, 2.2).
        let is_zlib = matches!(input, [cmf, flg, ..]
            if cmf & 0x0f == 8 && (u16::from(*cmf) << 8 | u16::from(*flg)).is_multiple_of(31));
        let rest = if is_zlib {
            let mut decoder = flate2::bufread::ZlibDecoder::new(input);
            self.pump(&mut decoder)?;
            decoder.into_inner()
        } else {
            let mut decoder = flate2::bufread::DeflateDecoder::new(input);
            self.pump(&mut decoder)?;
            decoder.into_inner()
        };
        if rest.is_empty() { Ok(()) } else { Err(self.bad("something follows its end")) }
    }

    fn snappy_block(&mut self, input: &[u8]) -> Result<(), Refusal> {
        let length = snap::raw::decompress_len(input).map_err(|_| self.bad("it is damaged"))?;
        self.accept(length)?;
        self.out = snap::raw::Decoder::new().decompress_vec(input).map_err(|_| self.bad("it is damaged"))?;
        Ok(())
    }
}
