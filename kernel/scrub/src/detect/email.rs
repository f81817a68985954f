//! E-mail addresses in text, as people write them (the useful part of RFC 5321's `Mailbox`).

use crate::bytes::{at, before, skip, skip_back, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// Longest local part and domain (RFC 5321 §4.5.3.1).
const LOCAL_MAX: usize = 64;
const DOMAIN_MAX: usize = 255;

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b".!#$%&'*+/=?^_`{|}~-".contains(&byte)
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || matches!(byte, b'.' | b'-')
}

/// Looks around the `@` at `index`.
pub(crate) fn around(scan: &mut Scan<'_>, index: usize) {
    let bytes = scan.bytes;
    let floor = index.saturating_sub(LOCAL_MAX);
    let mut start = skip_back(bytes, index, is_local).max(floor);
    // What is no character's first byte would cut a character in two.
    while start < index && (at(bytes, start) & 0xc0 == 0x80 || !is_first(at(bytes, start))) {
        start += 1;
    }
    let mut end = skip(bytes, index + 1, is_domain);
    while end > index && matches!(before(bytes, end), b'.' | b'-') {
        end -= 1;
    }
    let domain = slice(bytes, index + 1, end.max(index + 1));
    let top = domain.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    let plausible = start < index
        && domain.len() <= DOMAIN_MAX
        && domain.contains(&b'.')
        && top.len() >= 2
        && !top.iter().all(u8::is_ascii_digit)
        && !domain.windows(2).any(|pair| pair == b"..");
    if plausible {
        scan.hit(start, end, Detector::Email);
    }
}

/// True for what an address begins with, so that the `=` or quote before it stays.
fn is_first(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || byte == b'_'
}
