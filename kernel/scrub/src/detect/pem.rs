//! Private keys in PEM (RFC 7468) and its relatives, whole or cut at either end, with real or escaped line ends.

use crate::bytes::{at, before, from, is_quote, skip, skip_back, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// Longest label between `BEGIN` and the dashes, bytes.
const LABEL_MAX: usize = 64;

/// Looks at `-----BEGIN` or `-----END`, which ends at `end`; `floor` is where text begins that is not struck yet.
pub(crate) fn at_boundary(scan: &mut Scan<'_>, end: usize, floor: usize) {
    let bytes = scan.bytes;
    let label = skip(bytes, end, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b' ');
    let text = slice(bytes, end, label);
    if text.len() > LABEL_MAX || !text.windows(11).any(|words| words == b"PRIVATE KEY") {
        return;
    }
    let label_end = skip(bytes, label, |byte| byte == b'-');
    if slice(bytes, 0, end).ends_with(b"BEGIN") {
        let start = skip_back(bytes, end - 5, |byte| byte == b'-');
        scan.hit(start, end_of_key(bytes, label_end), Detector::PrivateKey);
    } else {
        let dashes = skip_back(bytes, end - 3, |byte| byte == b'-');
        scan.hit(start_of_key(bytes, dashes).max(floor), label_end, Detector::PrivateKey);
    }
}

/// Behind the end mark; where there is none, the key was cut and runs to the end of what quotes it.
fn end_of_key(bytes: &[u8], start: usize) -> usize {
    let rest = from(bytes, start);
    if let Some(mark) = memchr::memmem::find(rest, b"-----END") {
        let label = skip(bytes, start + mark + 8, |byte| byte.is_ascii_uppercase() || byte == b' ');
        return skip(bytes, label, |byte| byte == b'-');
    }
    let end = skip(bytes, start, |byte| !is_quote(byte) && byte != b'<');
    // An escaped quote's backslashes belong to the quote.
    if end < bytes.len() { skip_back(bytes, end, |byte| byte == b'\\').max(start) } else { end }
}

/// The start of the base64 lines right before an end mark.
fn start_of_key(bytes: &[u8], end: usize) -> usize {
    let mut start = end;
    loop {
        let line = skip_back(bytes, start, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=')
        });
        let gap = skip_back(bytes, line, |byte| matches!(byte, b'\n' | b'\r' | b' ' | b'\t' | b'\\'));
        // The `n` of an escaped line end reads as base64, so gaps are crossed only towards more base64.
        let more = before(bytes, gap);
        let goes_on = more.is_ascii_alphanumeric() || matches!(more, b'+' | b'/' | b'=');
        if gap == start || !goes_on {
            return line;
        }
        start = gap;
    }
}

/// True where decoded bytes begin as a private key in DER does: PKCS #8 (RFC 5958) or PKCS #1 (RFC 8017) within a
/// sequence, version first, or an elliptic curve's (RFC 5915).
pub(crate) fn is_private_der(bytes: &[u8]) -> bool {
    if at(bytes, 0) != 0x30 {
        return false;
    }
    let header = match at(bytes, 1) {
        0x81 => 3,
        0x82 => 4,
        0x00..=0x7f => 2,
        _ => return false,
    };
    match from(bytes, header) {
        // Version 0 or 1, then an algorithm's sequence with an object identifier: PKCS #8.
        [0x02, 0x01, 0x00 | 0x01, 0x30, length, 0x06, ..] if *length < 0x40 => true,
        // Version 0, then a modulus of at least 1,024 bits: PKCS #1.
        [0x02, 0x01, 0x00, 0x02, 0x81 | 0x82, ..] => true,
        // Version 1, then a key of 28 to 66 bytes: RFC 5915.
        [0x02, 0x01, 0x01, 0x04, length, ..] => (28..=66).contains(length),
        _ => false,
    }
}
