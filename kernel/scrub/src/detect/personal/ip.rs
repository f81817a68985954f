//! Addresses of the Internet Protocol in text: version 4 in dotted decimals, version 6 in every form of RFC 4291 §2.2,
//! with a zone (RFC 4007) and with an address of version 4 at its end.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{is_named_before, word_before};
use crate::bytes::{at, before, is_word, skip, skip_back, slice};
use crate::rules::Detector;
use crate::scan::Scan;

/// Longest address of version 6 (`INET6_ADDRSTRLEN` without its zero).
const LENGTH_MAX: usize = 45;
/// Longest zone that is struck with its address.
const ZONE_MAX: usize = 16;

/// Looks at a run of hexadecimal digits, colons and dots.
pub(super) fn in_run(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let run = slice(bytes, start, end);
    let colons = memchr::memchr_iter(b':', run).count();
    if colons >= 2 {
        let trimmed_end = start + skip_back(run, run.len(), |byte| byte == b'.');
        if !version_6(scan, start, trimmed_end) {
            // `address::port` is no address; `name:::1` is.
            version_4_in(scan, start, end);
        }
        return;
    }
    version_4_in(scan, start, end);
}

fn version_6(scan: &mut Scan<'_>, start: usize, end: usize) -> bool {
    let bytes = scan.bytes;
    // A colon before or behind it separates it from what is around: `from: ::1`, `addr:fe80::1`, `fe80::1: no route`.
    let tail_end = if slice(bytes, start, end).ends_with(b":") && !slice(bytes, start, end).ends_with(b"::") {
        end - 1
    } else {
        end
    };
    let head_start = if at(bytes, start) == b':' && at(bytes, start + 1) != b':' { start + 1 } else { start };
    let joined = is_word(before(bytes, start)) || (head_start == start && before(bytes, start) == b':');
    let text = slice(bytes, head_start, tail_end);
    if joined || text.len() > LENGTH_MAX || is_word(at(bytes, end)) {
        return false;
    }
    let Some(address) = std::str::from_utf8(text).ok().and_then(|text| text.parse::<Ipv6Addr>().ok()) else {
        return false;
    };
    let has_digit = text.iter().any(u8::is_ascii_digit);
    let is_short = memchr::memmem::find(text, b"::").is_some();
    // Eight small numbers with colons between them are rather a list.
    let is_full = address.segments().iter().filter(|group| **group > 0xff).count() >= 2;
    if address.is_unspecified() || !has_digit || !(is_short || is_full) {
        return false;
    }
    let zone_end = match at(bytes, tail_end) == b'%' && tail_end == end {
        true => skip(slice(bytes, 0, (end + ZONE_MAX).min(bytes.len())), end + 1, is_word),
        false => tail_end,
    };
    scan.hit(head_start, zone_end.max(tail_end), Detector::Ip);
    true
}

/// Looks at the parts of a run between colons.
fn version_4_in(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let mut part_start = start;
    while part_start < end {
        let part_end = skip(slice(bytes, 0, end), part_start, |byte| byte != b':');
        version_4(scan, part_start, part_end);
        part_start = part_end + 1;
    }
}

fn version_4(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let trimmed = skip_back(slice(bytes, 0, end), end, |byte| byte == b'.').max(start);
    let text = slice(bytes, start, trimmed);
    // `0.0.0.0` to `255.255.255.255`.
    if !(7..=15).contains(&text.len()) || !at(text, 0).is_ascii_digit() {
        return;
    }
    let Some(address) = version_4_of(text) else { return };
    if is_word(before(bytes, start)) || is_word(at(bytes, end)) || is_version(bytes, start, end, address) {
        return;
    }
    scan.hit(start, trimmed, Detector::Ip);
}

/// Four decimals of a byte; zeros may lead.
fn version_4_of(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0u8; 4];
    let mut parts = text.split(|byte| *byte == b'.');
    for octet in &mut octets {
        let part = parts.next().filter(|part| (1..=3).contains(&part.len()))?;
        *octet = std::str::from_utf8(part).ok()?.parse().ok()?;
    }
    parts.next().is_none().then(|| octets.into())
}

/// True where four numbers are rather a version: `Chrome/120.0.0.0`, `version 1.2.3.4`, `libfoo 1.2.3.4`.
fn is_version(bytes: &[u8], start: usize, end: usize, address: Ipv4Addr) -> bool {
    const WORDS: [&[u8]; 9] =
        [b"version", b"ver", b"v", b"release", b"build", b"firmware", b"rev", b"revision", b"assembly"];
    if before(bytes, start) == b'/' && before(bytes, start - 1).is_ascii_alphabetic() {
        // A product and its version; a path or network of a log has an address that is none's version.
        let product = slice(bytes, skip_back(bytes, start - 1, |byte| !byte.is_ascii_whitespace()), start);
        return !product.contains(&b':') && at(bytes, end) != b':';
    }
    let is_host = slice(bytes, 0, start).ends_with(b"//");
    if before(bytes, start) == b'/' && !is_host && address.octets().iter().all(|octet| *octet < 20) {
        return true;
    }
    if before(bytes, start) == b'=' && is_named_before(bytes, start, 12, &[b"version"]) {
        return true;
    }
    let word = word_before(bytes, start);
    WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// What is left of an address: so many bits. None where the text is no address.
pub(crate) fn generalised(text: &str, v4: u8, v6: u8) -> Option<String> {
    let address = text.split('%').next().unwrap_or_default();
    let network4 = |address: Ipv4Addr| {
        let mask = u32::MAX.checked_shl(32 - u32::from(v4.min(32))).unwrap_or(0);
        Ipv4Addr::from_bits(address.to_bits() & mask)
    };
    if let Some(address) = version_4_of(address.as_bytes()) {
        return Some(network4(address).to_string());
    }
    let address: Ipv6Addr = address.parse().ok()?;
    if let Some(mapped) = address.to_ipv4_mapped() {
        return Some(network4(mapped).to_ipv6_mapped().to_string());
    }
    let mask = u128::MAX.checked_shl(128 - u32::from(v6.min(128))).unwrap_or(0);
    Some(Ipv6Addr::from_bits(address.to_bits() & mask).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        let network = |text: &str| generalised(text, 24, 48);
        assert_eq!(network("203.0.113.9").as_deref(), Some("203.0.113.0"));
        assert_eq!(network("2001:db8:1:2::3").as_deref(), Some("2001:db8:1::"));
        assert_eq!(network("fe80::1%eth0").as_deref(), Some("fe80::"));
        assert_eq!(network("::ffff:203.0.113.9").as_deref(), Some("::ffff:203.0.113.0"));
        assert_eq!(network("jane"), None);
        assert_eq!(generalised("203.0.113.9", 0, 0).as_deref(), Some("0.0.0.0"));
        assert_eq!(generalised("203.0.113.9", 32, 0).as_deref(), Some("203.0.113.9"));
    }
}
