//! Bodies of the older `/store/` path: JSON, or JSON in zlib or gzip, or any of those in base64, which is how the
//! clients of 2012 to 2019 sent. Nobody says which; the first bytes do.

use std::io::Read;

use bytes::Bytes;
use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD};
use flate2::read::{GzDecoder, ZlibDecoder};

/// Why a body could not be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StoreBodyError {
    /// Neither JSON nor base64.
    #[error("invalid base64")]
    Base64,
    /// zlib or gzip that is none.
    #[error("invalid compression")]
    Compression,
    /// It grows beyond the limit.
    #[error("the decompressed body is too large")]
    TooLarge,
}

/// The JSON in a body, at most `max` bytes of it.
pub fn decode(body: Bytes, max: usize) -> Result<Bytes, StoreBodyError> {
    match inflate(&body, max)? {
        Some(inflated) => Ok(inflated),
        None if looks_like_json(&body) => Ok(body),
        None => {
            let decoded = decode_base64(&body)?;
            Ok(inflate(&decoded, max)?.unwrap_or(Bytes::from(decoded)))
        }
    }
}

fn looks_like_json(body: &[u8]) -> bool {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    first.is_none_or(|byte| matches!(byte, b'{' | b'[' | b'"') || *byte == 0xef)
}

/// Inflates what starts like zlib or gzip; nothing where it does not.
fn inflate(body: &[u8], max: usize) -> Result<Option<Bytes>, StoreBodyError> {
    let limit = max as u64 + 1;
    let mut out = Vec::new();
    let read = match body {
        [0x1f, 0x8b, ..] => GzDecoder::new(body).take(limit).read_to_end(&mut out),
        // A window of 32 KiB and a header that is a multiple of 31 (RFC 1950, section 2.2).
        [first @ 0x78, second, ..] if (u16::from(*first) << 8 | u16::from(*second)).is_multiple_of(31) => {
            ZlibDecoder::new(body).take(limit).read_to_end(&mut out)
        }
        _ => return Ok(None),
    };
    match read {
        Ok(_) if out.len() > max => Err(StoreBodyError::TooLarge),
        Ok(_) => Ok(Some(Bytes::from(out))),
        Err(_) => Err(StoreBodyError::Compression),
    }
}

/// Base64 in either alphabet, with or without padding and line breaks.
fn decode_base64(body: &[u8]) -> Result<Vec<u8>, StoreBodyError> {
    let mut digits: Vec<u8> = body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    while digits.last() == Some(&b'=') {
        digits.pop();
    }
    // A query turns `+` into a space, which was dropped: the length then betrays it, and it is refused.
    let url_safe = digits.iter().any(|byte| matches!(byte, b'-' | b'_'));
    let decoded = if url_safe { BASE64URL_NOPAD.decode(&digits) } else { BASE64_NOPAD.decode(&digits) };
    decoded.map_err(|_| StoreBodyError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::BASE64;
    use flate2::Compression;
    use flate2::read::{GzEncoder, ZlibEncoder};

    const EVENT: &[u8] = br#" {"message":"hello hello hello"}"#;

    fn zlib() -> Vec<u8> {
        let mut out = Vec::new();
        ZlibEncoder::new(EVENT, Compression::default()).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn every_form_is_recognised() {
        let mut gzip = Vec::new();
        GzEncoder::new(EVENT, Compression::default()).read_to_end(&mut gzip).unwrap();
        let wrapped: String = BASE64
            .encode(&zlib())
            .as_bytes()
            .chunks(20)
            .map(|line| String::from_utf8_lossy(line) + "\n")
            .collect();
        for body in [
            EVENT.to_vec(),
            zlib(),
            gzip,
            BASE64.encode(&zlib()).into_bytes(),
            BASE64URL_NOPAD.encode(&zlib()).into_bytes(),
            BASE64.encode(EVENT).into_bytes(),
            wrapped.into_bytes(),
        ] {
            assert_eq!(decode(Bytes::from(body), 1000).unwrap(), EVENT);
        }
    }

    #[test]
    fn lies_and_bombs_are_refused() {
        assert_eq!(decode(Bytes::from_static(b"!!"), 10), Err(StoreBodyError::Base64));
        let mut cut = zlib();
        cut.truncate(12);
        assert_eq!(decode(Bytes::from(cut), 1000), Err(StoreBodyError::Compression));
        let mut bomb = Vec::new();
        ZlibEncoder::new(&[b' '; 100_000][..], Compression::best()).read_to_end(&mut bomb).unwrap();
        assert_eq!(decode(Bytes::from(bomb), 99_999), Err(StoreBodyError::TooLarge));
    }
}
