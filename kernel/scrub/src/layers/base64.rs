//! Base64 of text (RFC 4648 §4 and §5), found by looking whether it decodes to some.

use crate::bytes::{before, is_word, skip, skip_back, slice};
use crate::detect::pem;
use crate::rules::Detector;
use crate::scan::Scan;

/// Shortest run that is decoded: 16 characters hold 12 bytes, the shortest card.
const RUN_MIN: usize = 16;
/// Shortest run with padding behind it, which says what it is: `pwd=x` has 5 bytes.
pub(crate) const PADDED_MIN: usize = 6;
/// Characters that are decoded first: text and keys show in twelve bytes.
const TASTE: usize = 16;
/// Places within a run where its text may begin.
const STARTS_MAX: usize = 6;

fn is_base64(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'+' | b'/')
}

const INVALID: u8 = 0xff;

static SEXTETS: [u8; 256] = {
    let mut sextets = [INVALID; 256];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut index = 0;
    while index < alphabet.len() {
        sextets[alphabet[index] as usize] = index as u8;
        index += 1;
    }
    sextets[b'-' as usize] = 62;
    sextets[b'_' as usize] = 63;
    sextets
};

/// Decodes either alphabet, padded or not, cut or not; none where another character stands in it.
pub(crate) fn decode(text: &[u8]) -> Option<Vec<u8>> {
    let end = skip_back(text, text.len(), |byte| byte == b'=');
    let mut decoded = Vec::with_capacity(end / 4 * 3 + 3);
    for group in slice(text, 0, end).chunks(4) {
        let mut bits = 0u32;
        for byte in group {
            let sextet = SEXTETS[usize::from(*byte)];
            if sextet == INVALID {
                return None;
            }
            bits = bits << 6 | u32::from(sextet);
        }
        let [_, first, second, third] = match group.len() {
            4 => bits.to_be_bytes(),
            3 => (bits << 6).to_be_bytes(),
            2 => (bits << 12).to_be_bytes(),
            // A character too few for a byte: the run was cut.
            _ => break,
        };
        let whole = [first, second, third];
        decoded.extend_from_slice(whole.get(..group.len() - 1).unwrap_or_default());
    }
    Some(decoded)
}

/// True for text without control characters; its last character may be cut.
fn is_text(bytes: &[u8]) -> bool {
    let plain =
        bytes.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f || matches!(byte, b'\n' | b'\r' | b'\t'));
    plain && std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true)
}

/// Text of 16 bits a character (UTF-16) as text of one byte each, where it is such: every other byte a zero.
fn narrowed(bytes: &[u8]) -> Option<Vec<u8>> {
    let zeros = memchr::memchr_iter(0, bytes).count();
    // Characters beyond ASCII have no zero in them, so a few may be missing.
    if zeros * 5 < bytes.len() * 2 || zeros > bytes.len().div_ceil(2) {
        return None;
    }
    let narrow: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != 0).collect();
    is_text(&narrow).then_some(narrow)
}

/// Text of 16 bits a character that has a mark before it, or beyond ASCII so much that [`narrowed`] does not know it.
fn widened(bytes: &[u8]) -> Option<Vec<u8>> {
    let (is_little, units) = match bytes {
        [0xff, 0xfe, units @ ..] => (true, units),
        [0xfe, 0xff, units @ ..] => (false, units),
        _ => {
            let zeros = |first: usize| bytes.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
            let (even, odd) = (zeros(0), zeros(1));
            if even.max(odd) * 5 < bytes.len() * 2 {
                return None;
            }
            (odd > even, bytes)
        }
    };
    let unit = |pair: &[u8]| match *pair {
        [low, high] if is_little => u16::from_le_bytes([low, high]),
        [high, low] => u16::from_be_bytes([high, low]),
        _ => 0,
    };
    // What is cut begins or ends within a character.
    let characters = char::decode_utf16(units.chunks_exact(2).map(unit));
    let text: String = characters.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    (!text.is_empty() && is_text(text.as_bytes())).then(|| text.into_bytes())
}

/// True for what is mostly ASCII that can be read: text of one byte a character, or within something else.
fn is_mostly_text(bytes: &[u8]) -> bool {
    let readable = bytes.iter().filter(|byte| matches!(byte, 0x20..0x7f | b'\n' | b'\r' | b'\t')).count();
    !bytes.is_empty() && readable * 3 >= bytes.len() * 2
}

/// Looks into the run of base64 that a word of upper and lower case stands in.
pub(crate) fn around_word(scan: &mut Scan<'_>, word_start: usize, word_end: usize) {
    in_run(scan, word_start, word_end, RUN_MIN);
}

/// As [`around_word`] for a word with padding behind it.
pub(crate) fn before_padding(scan: &mut Scan<'_>, word_start: usize, word_end: usize) {
    in_run(scan, word_start, word_end, PADDED_MIN);
}

fn in_run(scan: &mut Scan<'_>, word_start: usize, word_end: usize, run_min: usize) {
    let bytes = scan.bytes;
    let floor = scan.decoded_until;
    if word_end <= floor {
        return;
    }
    let run_start =
        skip_back(slice(bytes, floor, word_start), word_start - floor.min(word_start), is_base64) + floor;
    let run_end = skip(bytes, word_end, is_base64);
    scan.decoded_until = word_end;
    let first = run_start.min(word_start);
    let tells = |taste: &[u8]| {
        is_text(taste) || pem::is_private_der(taste) || narrowed(taste).is_some() || widened(taste).is_some()
    };
    if let Some(start) = starts(bytes, first, word_end, run_end, run_min).find(|run| tells(&run.1)) {
        return look_into(scan, start.0, run_end);
    }
    // What is text but for some bytes is hard to tell from noise: it counts where something is found in it.
    for (start, taste) in starts(bytes, first, word_end, run_end, run_min) {
        if is_mostly_text(&taste) {
            look_into(scan, start, run_end);
        }
    }
}

/// Places in a run where its text may begin, with what the first characters there decode to.
fn starts(
    bytes: &[u8],
    first: usize,
    word_end: usize,
    run_end: usize,
    run_min: usize,
) -> impl Iterator<Item = (usize, Vec<u8>)> {
    let next = move |start: &usize| {
        // The text may begin behind a sign that only looks like base64: `key_…`, `path/…`.
        let sign = skip(bytes, *start, |byte| byte.is_ascii_alphanumeric());
        let next = skip(bytes, sign, |byte| !byte.is_ascii_alphanumeric()).max(start + 1);
        (next < word_end).then_some(next)
    };
    std::iter::successors(Some(first), next)
        .take(STARTS_MAX)
        .take_while(move |start| run_end.saturating_sub(*start) >= run_min)
        .map(move |start| {
            let run = slice(bytes, start, run_end);
            (start, run.get(..TASTE.min(run.len())).and_then(decode).unwrap_or_default())
        })
}

fn look_into(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let padded_end = skip(bytes, end, |byte| byte == b'=');
    scan.decoded_until = padded_end;
    let Some(decoded) = decode(slice(bytes, start, end)) else { return };
    if pem::is_private_der(&decoded) && decoded.len() > 30 {
        return scan.hit(start, padded_end, Detector::PrivateKey);
    }
    // A word of ordinary letters decodes to noise; so does what merely begins like text.
    let found = if is_text(&decoded) {
        scan.finds_within(&decoded)
    } else if let Some(text) = widened(&decoded).or_else(|| narrowed(&decoded)) {
        scan.finds_within(&text)
    } else if is_mostly_text(&decoded) {
        scan.finds_within(&decoded)
    } else {
        None
    };
    if let Some(detector) = found {
        debug_assert!(!before(bytes, start).is_ascii_alphanumeric() || start > 0);
        scan.hit(start, padded_end, detector);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_both_alphabets_and_what_was_cut() {
        assert_eq!(decode(b"aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode(b"aGVsbG8").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode(b"aGVsb").as_deref(), Some(&b"hel"[..]));
        assert_eq!(decode(b"-_-_").as_deref(), decode(b"+/+/").as_deref());
        assert_eq!(decode(b"").as_deref(), Some(&b""[..]));
        assert_eq!(decode(b"aG VsbG8="), None);
    }
}
