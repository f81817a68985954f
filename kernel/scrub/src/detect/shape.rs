//! Credentials that give themselves away: what issuers put before their tokens so that scanners find them.

use crate::bytes::{at, before, from, skip, slice};
use crate::layers::base64;
use crate::rules::Detector;
use crate::scan::Scan;

/// What a token consists of behind its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    /// `[A-Za-z0-9]`
    Alphanumeric,
    /// `[A-Z0-9]`
    Upper,
    /// `[0-9a-fA-F]`
    Hex,
    /// `[A-Za-z0-9_-]`
    Url,
    /// `[A-Za-z0-9_.=-]`
    Dotted,
}

impl Alphabet {
    fn holds(self, byte: u8) -> bool {
        match self {
            Alphabet::Alphanumeric => byte.is_ascii_alphanumeric(),
            Alphabet::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Alphabet::Hex => byte.is_ascii_hexdigit(),
            Alphabet::Url => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Alphabet::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'='),
        }
    }
}

/// One issuer's tokens.
struct Shape {
    prefix: &'static [u8],
    alphabet: Alphabet,
    /// Fewest and most characters behind the prefix.
    length: (usize, usize),
    /// Whether a digit and a capital have to be among them: for prefixes that ordinary words share.
    random: bool,
}

const fn shape(prefix: &'static str, alphabet: Alphabet, least: usize, most: usize) -> Shape {
    Shape { prefix: prefix.as_bytes(), alphabet, length: (least, most), random: false }
}

const fn random(prefix: &'static str, alphabet: Alphabet, least: usize) -> Shape {
    Shape { prefix: prefix.as_bytes(), alphabet, length: (least, usize::MAX), random: true }
}

use Alphabet::{Alphanumeric, Dotted, Hex, Upper, Url};

/// In order of their first byte. Lengths are a little below what issuers document, so that a token that was cut in a
/// log is struck too.
const SHAPES: &[Shape] = &[
    shape("AGE-SECRET-KEY-1", Upper, 20, usize::MAX),
    shape("AIza", Url, 30, 45),
    shape("AKIA", Upper, 16, 16),
    shape("ASIA", Upper, 16, 16),
    shape("ABIA", Upper, 16, 16),
    shape("ACCA", Upper, 16, 16),
    shape("ATATT3", Url, 20, usize::MAX),
    shape("ATBB", Alphanumeric, 24, usize::MAX),
    random("EAAC", Alphanumeric, 40),
    shape("FLWSECK_TEST-", Alphanumeric, 12, usize::MAX),
    shape("GOCSPX-", Url, 20, usize::MAX),
    shape("HRKU-", Url, 30, usize::MAX),
    shape("NRAK-", Upper, 20, usize::MAX),
    shape("PMAK-", Url, 24, usize::MAX),
    shape("SG.", Dotted, 40, usize::MAX),
    shape("SK", Hex, 32, 32),
    shape("candor_admin_", Url, 20, usize::MAX),
    shape("candor_pat_", Url, 20, usize::MAX),
    shape("cnd_", Url, 20, usize::MAX),
    random("dapi", Hex, 32),
    shape("dckr_pat_", Url, 20, usize::MAX),
    shape("doo_v1_", Hex, 32, usize::MAX),
    shape("dop_v1_", Hex, 32, usize::MAX),
    shape("dor_v1_", Hex, 32, usize::MAX),
    shape("dp.pt.", Alphanumeric, 30, usize::MAX),
    shape("figd_", Url, 20, usize::MAX),
    shape("gho_", Alphanumeric, 20, usize::MAX),
    shape("ghp_", Alphanumeric, 20, usize::MAX),
    shape("ghr_", Alphanumeric, 20, usize::MAX),
    shape("ghs_", Alphanumeric, 20, usize::MAX),
    shape("ghu_", Alphanumeric, 20, usize::MAX),
    shape("github_pat_", Url, 20, usize::MAX),
    shape("glc_", Dotted, 24, usize::MAX),
    shape("glcbt-", Url, 18, usize::MAX),
    shape("gldt-", Url, 18, usize::MAX),
    shape("glft-", Url, 18, usize::MAX),
    shape("glpat-", Url, 18, usize::MAX),
    shape("glptt-", Url, 18, usize::MAX),
    shape("glrt-", Url, 18, usize::MAX),
    shape("glsa_", Url, 24, usize::MAX),
    shape("gsk_", Alphanumeric, 30, usize::MAX),
    shape("hf_", Alphanumeric, 30, usize::MAX),
    shape("hvb.", Url, 30, usize::MAX),
    shape("hvs.", Url, 20, usize::MAX),
    random("key-", Hex, 32),
    shape("lin_api_", Alphanumeric, 30, usize::MAX),
    shape("npm_", Alphanumeric, 30, usize::MAX),
    shape("ntn_", Alphanumeric, 30, usize::MAX),
    shape("phx_", Alphanumeric, 30, usize::MAX),
    shape("pscale_pw_", Url, 20, usize::MAX),
    shape("pscale_tkn_", Url, 20, usize::MAX),
    shape("pul-", Hex, 40, usize::MAX),
    shape("pypi-", Url, 50, usize::MAX),
    shape("rk_live_", Alphanumeric, 10, usize::MAX),
    shape("rk_test_", Alphanumeric, 10, usize::MAX),
    shape("rubygems_", Hex, 32, usize::MAX),
    shape("sbp_", Hex, 32, usize::MAX),
    random("secret_", Alphanumeric, 40),
    shape("shpat_", Hex, 20, usize::MAX),
    shape("shpca_", Hex, 20, usize::MAX),
    shape("shppa_", Hex, 20, usize::MAX),
    shape("shpss_", Hex, 20, usize::MAX),
    random("sk-", Url, 20),
    shape("sk-ant-", Url, 16, usize::MAX),
    shape("sk-proj-", Url, 16, usize::MAX),
    shape("sk_live_", Alphanumeric, 10, usize::MAX),
    shape("sk_test_", Alphanumeric, 10, usize::MAX),
    shape("sntrys_", Dotted, 20, usize::MAX),
    shape("sntryu_", Hex, 32, usize::MAX),
    shape("sq0atp-", Url, 20, usize::MAX),
    shape("sq0csp-", Url, 20, usize::MAX),
    shape("tskey-", Url, 16, usize::MAX),
    shape("whsec_", Dotted, 20, usize::MAX),
    shape("xapp-", Url, 20, usize::MAX),
    shape("xoxa-", Url, 10, usize::MAX),
    shape("xoxb-", Url, 10, usize::MAX),
    shape("xoxc-", Url, 10, usize::MAX),
    shape("xoxd-", Dotted, 10, usize::MAX),
    shape("xoxe-", Url, 10, usize::MAX),
    shape("xoxe.", Dotted, 10, usize::MAX),
    shape("xoxo-", Url, 10, usize::MAX),
    shape("xoxp-", Url, 10, usize::MAX),
    shape("xoxr-", Url, 10, usize::MAX),
    shape("xoxs-", Url, 10, usize::MAX),
    shape("ya29.", Url, 20, usize::MAX),
];

/// Bytes behind a prefix that tell whether it is a token; the rest of one that is may be longer.
const PROBE: usize = 128;
/// Longest header of a web token, encoded bytes.
const HEADER_MAX: usize = 1024;

/// Which bytes a prefix begins with, and for each which may come second (a bit for its lowest five bits), so that most
/// words are let go after one look.
static BEGINNINGS: [u32; 256] = {
    let mut beginnings = [0; 256];
    let mut index = 0;
    while index < SHAPES.len() {
        let prefix = SHAPES[index].prefix;
        beginnings[prefix[0] as usize] |= 1 << (prefix[1] & 31);
        index += 1;
    }
    beginnings[b'e' as usize] |= 1 << (b'y' & 31);
    beginnings
};

/// Looks at a word of `[A-Za-z0-9_-]` that is long enough to be a token, and at its parts.
pub(crate) fn in_word(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    // What stands before a dot belongs to the tokens that have dots (`SG.…`).
    let start = match (before(bytes, start), start.checked_sub(5)) {
        (b'.', Some(earlier)) => {
            (earlier..start).find(|index| is_dotted_prefix(bytes, *index)).unwrap_or(start)
        }
        (b'.', None) => (0..start).find(|index| is_dotted_prefix(bytes, *index)).unwrap_or(start),
        _ => start,
    };
    let mut index = start;
    while index < end {
        if let Some(token_end) = token_at(bytes, index) {
            scan.hit(index, token_end, Detector::SecretShape);
            index = token_end;
        }
        // The next part of the word.
        index = skip(bytes, index, |byte| byte.is_ascii_alphanumeric());
        index = skip(bytes, index, |byte| matches!(byte, b'_' | b'-')).max(index + 1);
    }
    if before(bytes, start) == b':' && end - start >= 30 {
        telegram(scan, start, end);
    }
    if before(bytes, start) == b'/' {
        slack_webhook(scan, start, end);
    }
}

/// True where a prefix that ends in a dot stands alone at `index`.
fn is_dotted_prefix(bytes: &[u8], index: usize) -> bool {
    !before(bytes, index).is_ascii_alphanumeric()
        && [&b"SG."[..], b"ya29.", b"hvs.", b"hvb.", b"xoxe."]
            .iter()
            .any(|prefix| from(bytes, index).starts_with(prefix))
}

/// The end of the token that begins at `index`.
fn token_at(bytes: &[u8], index: usize) -> Option<usize> {
    let first = at(bytes, index);
    if BEGINNINGS[usize::from(first)] >> (at(bytes, index + 1) & 31) & 1 == 0 {
        return None;
    }
    let rest = from(bytes, index);
    if rest.starts_with(b"eyJ") {
        return web_token(bytes, index);
    }
    let candidates = SHAPES.partition_point(|shape| shape.prefix < rest.get(..1).unwrap_or_default());
    SHAPES
        .iter()
        .skip(candidates)
        .take_while(|shape| shape.prefix.first() == Some(&first))
        .filter(|shape| rest.starts_with(shape.prefix))
        .find_map(|shape| {
            let tail_start = index + shape.prefix.len();
            let probe = slice(bytes, 0, (tail_start + PROBE).min(bytes.len()));
            let tail = slice(bytes, tail_start, skip(probe, tail_start, |byte| shape.alphabet.holds(byte)));
            let (least, most) = shape.length;
            let varied = !shape.random
                || (tail.iter().any(u8::is_ascii_digit)
                    && (shape.alphabet == Hex || tail.iter().any(u8::is_ascii_uppercase)));
            if !(least..=most).contains(&tail.len()) || !varied {
                return None;
            }
            let tail_end = skip(bytes, tail_start, |byte| shape.alphabet.holds(byte));
            // A full stop is the sentence's.
            let tail_end = if before(bytes, tail_end) == b'.' { tail_end - 1 } else { tail_end };
            (!at(bytes, tail_end).is_ascii_alphanumeric()).then_some(tail_end)
        })
}

/// The end of a JSON web token (RFC 7519; RFC 7516 has five parts): a header that decodes to an object, and at least
/// one more part.
fn web_token(bytes: &[u8], start: usize) -> Option<usize> {
    let part = |start: usize| skip(bytes, start, |byte| Url.holds(byte) || byte == b'=');
    let window = slice(bytes, 0, (start + HEADER_MAX + 1).min(bytes.len()));
    let header_end = skip(window, start, |byte| Url.holds(byte) || byte == b'=');
    if header_end - start > HEADER_MAX || at(bytes, header_end) != b'.' {
        return None;
    }
    let header = base64::decode(slice(bytes, start, header_end))?;
    let is_object = header.starts_with(b"{\"") && header.iter().all(|byte| *byte >= 0x20);
    if !is_object {
        return None;
    }
    let mut end = part(header_end + 1);
    if end - header_end < 8 {
        return None;
    }
    for _ in 0..3 {
        if at(bytes, end) != b'.' {
            break;
        }
        let next = part(end + 1);
        // A full stop is the sentence's.
        end = if next == end + 1 { break } else { next };
    }
    Some(end)
}

/// `123456789:AA…`: a Telegram bot's number and token.
fn telegram(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let number = crate::bytes::skip_back(bytes, start - 1, |byte| byte.is_ascii_digit());
    let plausible = (8..=10).contains(&(start - 1 - number))
        && (34..=36).contains(&(end - start))
        && slice(bytes, start, end).starts_with(b"AA");
    if plausible {
        scan.hit(number, end, Detector::SecretShape);
    }
}

/// `hooks.slack.com/services/T…/B…/secret`.
fn slack_webhook(scan: &mut Scan<'_>, start: usize, end: usize) {
    const REACH: usize = 64;
    let before = slice(scan.bytes, start.saturating_sub(REACH), start);
    if memchr::memmem::find(before, b"hooks.slack.com/").is_some() {
        scan.hit(start, end, Detector::SecretShape);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_order_of_first_bytes() {
        assert!(SHAPES.iter().map(|shape| shape.prefix.first()).is_sorted());
        for shape in SHAPES {
            assert!(shape.prefix.iter().all(|byte| Dotted.holds(*byte)), "the scan finds words only");
        }
    }
}
