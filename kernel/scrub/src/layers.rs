//! Encodings that text hides in: percent-encoding, escapes, entities, look-alike digits, base64.
//!
//! A layer is decoded once as a whole, with the place of every byte, so that a find in the decoded text strikes
//! exactly the encoded bytes it came from. Base64 has no such places: a find strikes the whole run.

pub(crate) mod base64;

use crate::bytes::{at, before, from, is_quote, skip, slice};

/// A decoded text.
pub(crate) struct Layer {
    pub(crate) text: Vec<u8>,
    /// Where in the encoded text each byte came from, and the end.
    pub(crate) places: Vec<u32>,
}

impl Layer {
    /// Decodes with `step`, which gives the length of the encoded piece at an index and the character it stands for;
    /// none where nothing is encoded there.
    fn decode(bytes: &[u8], step: impl Fn(&[u8], usize) -> Option<(usize, Decoded)>) -> Layer {
        let mut layer =
            Layer { text: Vec::with_capacity(bytes.len()), places: Vec::with_capacity(bytes.len() + 1) };
        let mut index = 0;
        while index < bytes.len() {
            let (length, decoded) = step(bytes, index).unwrap_or((1, Decoded::Byte(at(bytes, index))));
            match decoded {
                Decoded::Byte(byte) => layer.push(&[byte], index),
                Decoded::Character(character) => {
                    layer.push(character.encode_utf8(&mut [0; 4]).as_bytes(), index);
                }
                Decoded::Nothing => {}
            }
            index += length.max(1);
        }
        layer.places.push(place(bytes.len()));
        layer
    }

    fn push(&mut self, decoded: &[u8], index: usize) {
        self.text.extend_from_slice(decoded);
        self.places.resize(self.text.len(), place(index));
    }
}

/// Texts are bounded far below 4 GiB ([`candor_model::limits::BODY_DECODED_BYTES_MAX`]).
fn place(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

enum Decoded {
    Byte(u8),
    Character(char),
    Nothing,
}

fn hex(byte: u8) -> Option<u32> {
    char::from(byte).to_digit(16)
}

/// The number that hexadecimal digits write.
fn hex_number(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0u32, |sum, digit| Some(sum.checked_mul(16)? + hex(*digit)?))
}

/// True for `%` and two hexadecimal digits.
pub(crate) fn is_percent_escape(bytes: &[u8], index: usize) -> bool {
    at(bytes, index + 1).is_ascii_hexdigit() && at(bytes, index + 2).is_ascii_hexdigit()
}

/// Percent-encoding (RFC 3986 §2.1).
pub(crate) fn percent(bytes: &[u8]) -> Layer {
    Layer::decode(bytes, |bytes, index| {
        let escaped = at(bytes, index) == b'%' && is_percent_escape(bytes, index);
        let code = escaped.then(|| hex_number(slice(bytes, index + 1, index + 3)))??;
        Some((3, Decoded::Byte(code as u8)))
    })
}

/// Where a piece of a query or form that goes on at `index` ends.
pub(crate) fn token_end(bytes: &[u8], index: usize) -> usize {
    skip(bytes, index, |byte| {
        !(byte.is_ascii_whitespace()
            || is_quote(byte)
            || matches!(byte, b'&' | b'<' | b'>' | b'#' | b',' | b')'))
    })
}

/// True for `\uXXXX` and `\xXX`. Other escapes hide nothing that the pass over the raw text does not see.
pub(crate) fn is_character_escape(bytes: &[u8], index: usize) -> bool {
    let digits = match at(bytes, index + 1) {
        b'u' => slice(bytes, index + 2, index + 6),
        b'x' => slice(bytes, index + 2, index + 4),
        _ => return false,
    };
    digits.len() >= 2 && digits.iter().all(u8::is_ascii_hexdigit)
}

/// One level of backslash escapes, as JSON, JavaScript and Python write them.
pub(crate) fn escapes(bytes: &[u8]) -> Layer {
    Layer::decode(bytes, |bytes, index| {
        if at(bytes, index) != b'\\' {
            return None;
        }
        let unit = |index: usize| {
            let escaped = slice(bytes, index, index + 2) == b"\\u";
            escaped.then(|| {
                hex_number(slice(bytes, index + 2, index + 6)).filter(|_| index + 6 <= bytes.len())
            })?
        };
        match at(bytes, index + 1) {
            b'u' => {
                let first = unit(index)?;
                if let (0xd800..0xdc00, Some(second @ 0xdc00..0xe000)) = (first, unit(index + 6)) {
                    let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                    return Some((12, Decoded::Character(char::from_u32(code)?)));
                }
                Some((6, Decoded::Character(char::from_u32(first).unwrap_or(char::REPLACEMENT_CHARACTER))))
            }
            b'x' if is_character_escape(bytes, index) => {
                let code = hex_number(slice(bytes, index + 2, index + 4))?;
                Some((4, Decoded::Byte(code as u8)))
            }
            b'n' => Some((2, Decoded::Byte(b'\n'))),
            b'r' => Some((2, Decoded::Byte(b'\r'))),
            b't' => Some((2, Decoded::Byte(b'\t'))),
            escaped @ (b'"' | b'\'' | b'\\' | b'/') => Some((2, Decoded::Byte(escaped))),
            _ => None,
        }
    })
}

/// Longest entity that is decoded, bytes.
const ENTITY_MAX: usize = 10;

/// True for `&quot;` and its like.
pub(crate) fn is_entity(bytes: &[u8], index: usize) -> bool {
    entity(bytes, index).is_some()
}

fn entity(bytes: &[u8], index: usize) -> Option<(usize, char)> {
    let window = slice(bytes, index, (index + ENTITY_MAX).min(bytes.len()));
    let name = window.strip_prefix(b"&")?;
    let name = name.get(..memchr::memchr(b';', name)?)?;
    let character = match name {
        b"quot" => '"',
        b"apos" => '\'',
        b"lt" => '<',
        b"gt" => '>',
        b"nbsp" => ' ',
        b"amp" => '&',
        [b'#', b'x' | b'X', digits @ ..] if !digits.is_empty() => char::from_u32(hex_number(digits)?)?,
        [b'#', digits @ ..] => char::from_u32(std::str::from_utf8(digits).ok()?.parse().ok()?)?,
        _ => return None,
    };
    Some((name.len() + 2, character))
}

/// Entities of HTML and XML.
pub(crate) fn entities(bytes: &[u8]) -> Layer {
    Layer::decode(bytes, |bytes, index| {
        let (length, character) = entity(bytes, index)?;
        Some((length, Decoded::Character(character)))
    })
}

/// True where a character that begins at `index` reads as a digit, or as a separator beside a digit.
pub(crate) fn folds(bytes: &[u8], index: usize) -> bool {
    match folded(bytes, index) {
        Some((_, Decoded::Byte(b'0'..=b'9'))) => true,
        Some((length, _)) => {
            before(bytes, index).is_ascii_digit()
                && (at(bytes, index + length).is_ascii_digit() || !at(bytes, index + length).is_ascii())
        }
        None => false,
    }
}

/// Digits of other scripts and full width, blanks and dashes beyond ASCII, and what has no width.
fn folded(bytes: &[u8], index: usize) -> Option<(usize, Decoded)> {
    let digit = |byte: u8, zero: u8| Decoded::Byte(b'0' + (byte - zero));
    Some(match from(bytes, index) {
        // No-break space; soft hyphen.
        [0xc2, 0xa0, ..] => (2, Decoded::Byte(b' ')),
        [0xc2, 0xad, ..] => (2, Decoded::Nothing),
        // Arabic-Indic and its eastern form; Devanagari, Bengali and the other scripts of India; Thai and Lao; Tibetan;
        // Myanmar; Khmer.
        [0xd9, byte @ 0xa0..=0xa9, ..] => (2, digit(*byte, 0xa0)),
        [0xdb, byte @ 0xb0..=0xb9, ..] => (2, digit(*byte, 0xb0)),
        [0xe0, 0xa5 | 0xa7 | 0xa9 | 0xab | 0xad | 0xaf | 0xb1 | 0xb3 | 0xb5, byte @ 0xa6..=0xaf, ..] => {
            (3, digit(*byte, 0xa6))
        }
        [0xe0, 0xb9 | 0xbb, byte @ 0x90..=0x99, ..] => (3, digit(*byte, 0x90)),
        [0xe0, 0xbc, byte @ 0xa0..=0xa9, ..] => (3, digit(*byte, 0xa0)),
        [0xe1, 0x81, byte @ 0x80..=0x89, ..] => (3, digit(*byte, 0x80)),
        [0xe1, 0x9f, byte @ 0xa0..=0xa9, ..] => (3, digit(*byte, 0xa0)),
        // Zero width space and joiners; spaces of all widths; dashes.
        [0xe2, 0x80, 0x8b..=0x8d, ..] => (3, Decoded::Nothing),
        [0xe2, 0x80, 0x80..=0x8a | 0xaf, ..] | [0xe2, 0x81, 0x9f, ..] => (3, Decoded::Byte(b' ')),
        [0xe2, 0x80, 0x90..=0x95, ..] | [0xe2, 0x88, 0x92, ..] => (3, Decoded::Byte(b'-')),
        // Full width.
        [0xef, 0xbc, byte @ 0x90..=0x99, ..] => (3, digit(*byte, 0x90)),
        [0xef, 0xbb, 0xbf, ..] => (3, Decoded::Nothing),
        // Mathematical: five alphabets of ten.
        [0xf0, 0x9d, 0x9f, byte @ 0x8e..=0xbf, ..] => (4, Decoded::Byte(b'0' + (byte - 0x8e) % 10)),
        _ => return None,
    })
}

/// Characters that read as ASCII digits and separators, as those.
pub(crate) fn fold(bytes: &[u8]) -> Layer {
    Layer::decode(bytes, folded)
}

/// Text of 16 bits a character that was read byte by byte: without the zeros between them.
pub(crate) fn narrow(bytes: &[u8]) -> Layer {
    Layer::decode(bytes, |bytes, index| (at(bytes, index) == 0).then_some((1, Decoded::Nothing)))
}
