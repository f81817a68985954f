//! Credentials that give themselves away: what issuers put before their tokens so that scanners find them.

mod issuers;

use crate::bytes::{at, before, from, skip, skip_back, slice};
use crate::layers::base64;
use crate::rules::Detector;
use crate::scan::Scan;
use issuers::Alphabet::{Hex, Url};
use issuers::SHAPES;

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
/// `is_one_piece` says that there is neither a dash nor an underscore in it.
pub(crate) fn in_word(scan: &mut Scan<'_>, start: usize, end: usize, is_one_piece: bool) {
    let bytes = scan.bytes;
    // What stands before a dot belongs to the tokens that have dots (`SG.…`).
    let first = start;
    let start = match before(bytes, start) {
        b'.' => {
            let earliest = start.saturating_sub(DOTTED_PREFIX_MAX);
            (earliest..start).find(|index| is_dotted_prefix(bytes, *index)).unwrap_or(start)
        }
        _ => start,
    };
    let mut index = start;
    while index < end {
        // A number may be written right before it.
        let digits_end = skip(slice(bytes, 0, end), index, |byte| byte.is_ascii_digit());
        let token = token_at(bytes, index).map(|token_end| (index, token_end));
        let token = token
            .or_else(|| (digits_end > index).then(|| Some((digits_end, token_at(bytes, digits_end)?)))?);
        if let Some((token, token_end)) = token {
            scan.hit(token, token_end, Detector::SecretShape);
            index = token_end;
        }
        // The next part of the word.
        if is_one_piece && start == first {
            break;
        }
        index = skip(bytes, index, |byte| byte.is_ascii_alphanumeric());
        index = skip(bytes, index, |byte| matches!(byte, b'_' | b'-')).max(index + 1);
    }
    match before(bytes, first) {
        b':' if end - first >= 30 => telegram(scan, first, end),
        b'/' => webhook(scan, first, end),
        b'~' => behind_tilde(scan, first, end),
        b'|' => facebook(scan, first, end),
        _ => {}
    }
    if at(bytes, end) == b'%' && slice(bytes, first, end).starts_with(TWITTER) {
        let window = slice(bytes, 0, (end + TWITTER_MAX).min(bytes.len()));
        let token_end = skip(window, end, |byte| byte.is_ascii_alphanumeric() || byte == b'%');
        if token_end - first >= 60 {
            scan.hit(first, token_end, Detector::SecretShape);
        }
    }
}

/// Longest prefix that ends in a dot.
const DOTTED_PREFIX_MAX: usize = 7;
/// Longest secret of Azure's directory.
const AZURE_MAX: usize = 48;
/// What Twitter's application tokens begin with.
const TWITTER: &[u8] = b"AAAAAAAAAAAAAAAAAAAA";
/// Longest of them.
const TWITTER_MAX: usize = 160;

/// True where a prefix that ends in a dot stands alone at `index`.
fn is_dotted_prefix(bytes: &[u8], index: usize) -> bool {
    let sign = before(bytes, index);
    let is_glued = sign.is_ascii_lowercase() && from(bytes, index).starts_with(b"SG.");
    (!sign.is_ascii_alphanumeric() || is_glued)
        && [
            &b"SG."[..],
            b"ya29.",
            b"hvs.",
            b"hvb.",
            b"xoxe.",
            b"dt0c01.",
            b"dt0s01.",
            b"pat.",
            b"sat.",
            b"t1.",
            b"v1.0",
        ]
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
    let number = skip_back(bytes, start - 1, |byte| byte.is_ascii_digit());
    let plausible = (8..=10).contains(&(start - 1 - number))
        && (34..=36).contains(&(end - start))
        && slice(bytes, start, end).starts_with(b"AA");
    if plausible {
        scan.hit(number, end, Detector::SecretShape);
    }
}

/// `hooks.slack.com/services/T…/B…/secret`, `….webhook.office.com/webhookb2/…/IncomingWebhook/secret/…`.
fn webhook(scan: &mut Scan<'_>, start: usize, end: usize) {
    const REACH: usize = 160;
    let before = slice(scan.bytes, start.saturating_sub(REACH), start);
    let has = |host: &[u8]| memchr::memmem::find(before, host).is_some();
    if has(b"hooks.slack.com/") || has(b".webhook.office.com/") {
        scan.hit(start, end, Detector::SecretShape);
    }
}

/// `abc8Q~…` of Azure's directory, `sha256~…` of OpenShift.
fn behind_tilde(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let head = slice(bytes, start.saturating_sub(7), start);
    if head.ends_with(b"sha256~") && end - start >= 40 {
        return scan.hit(start - 7, end, Detector::SecretShape);
    }
    let is_secret = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'~' | b'.' | b'-');
    let floor = start.saturating_sub(AZURE_MAX);
    let run = slice(bytes, floor, start);
    let run_start = floor + skip_back(run, run.len(), is_secret);
    let Some(mark) = memchr::memmem::find(slice(bytes, run_start, start), b"Q~") else { return };
    let mark = run_start + mark;
    let token_end = skip(slice(bytes, 0, (mark + AZURE_MAX).min(bytes.len())), mark, is_secret);
    let is_azure = mark >= run_start + 4
        && before(bytes, mark).is_ascii_digit()
        && (33..=40).contains(&(token_end.max(end) - mark));
    if is_azure {
        scan.hit(mark - 4, token_end.max(end), Detector::SecretShape);
    }
}

/// `123456789012345|…`: an application of Facebook and its token.
fn facebook(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let number = skip_back(bytes, start - 1, |byte| byte.is_ascii_digit());
    if (15..=16).contains(&(start - 1 - number)) && (27..=40).contains(&(end - start)) {
        scan.hit(number, end, Detector::SecretShape);
    }
}

#[cfg(test)]
mod tests {
    use super::issuers::Alphabet;
    use super::*;

    #[test]
    fn the_table_is_in_order_of_first_bytes() {
        assert!(SHAPES.iter().map(|shape| shape.prefix.first()).is_sorted());
        for shape in SHAPES {
            let is_word = |byte: &u8| Alphabet::Dotted.holds(*byte);
            assert!(shape.prefix.iter().all(is_word), "the scan finds words only");
        }
    }
}
