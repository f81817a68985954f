//! User name and password before the host of a URL (RFC 3986 §3.2.1).

use crate::bytes::{at, before, from, is_quote, skip_back, slice};
use crate::detect::value;
use crate::rules::Detector;
use crate::scan::Scan;

/// Longest user information that is looked for, bytes.
const USER_INFORMATION_MAX: usize = 1024;

/// Looks behind the `:` at `colon`, which ends a word that could be a scheme.
pub(crate) fn after_scheme(scan: &mut Scan<'_>, colon: usize) {
    let bytes = scan.bytes;
    let start = match from(bytes, colon + 1) {
        [b'/', b'/', ..] => colon + 3,
        // As JSON may write it.
        [b'\\', b'/', b'\\', b'/', ..] => colon + 5,
        _ => return,
    };
    // An IPv6 host, or our own placeholder.
    if at(bytes, start) == b'[' {
        return;
    }
    let window = from(bytes, start);
    if memchr::memchr(b'@', window.get(..USER_INFORMATION_MAX).unwrap_or(window)).is_none() {
        return;
    }
    let (mut separator, mut slash, mut end) = (None, None, None);
    for (index, byte) in bytes.iter().copied().enumerate().skip(start).take(USER_INFORMATION_MAX) {
        match byte {
            b' ' | b'\t' | b'\n' | b'\r' | b'<' | b'>' => break,
            _ if is_quote(byte) => break,
            b':' if separator.is_none() && slash.is_none() => separator = Some(index),
            b'@' => end = Some(index),
            // Another URL begins.
            b'/' if before(bytes, index) == b':' && at(bytes, index + 1) == b'/' => break,
            b'/' | b'?' | b'#' if slash.is_none() => {
                // The path begins, unless what looks like a port is no number: then this is a password with a slash.
                let Some(separator) = separator else { break };
                let port = slice(bytes, separator + 1, index);
                if end.is_some() || port.iter().all(|byte| byte.is_ascii_digit() || *byte == b'\\') {
                    break;
                }
                slash = Some(index);
            }
            _ => {}
        }
    }
    let Some(end) = end else { return };
    let Some(separator) = separator else { return key_alone(scan, colon, start, end) };
    let password = slice(bytes, separator + 1, end);
    let is_code = value::is_person_code(slice(bytes, start, end));
    if separator < end && !password.is_empty() && !value::is_stand_in(scan, password) && !is_code {
        scan.hit(start, end, Detector::UrlCredentials);
    }
}

/// Fewest characters of a key that stands alone where other protocols than HTTP have the name of an account.
const KEY_MIN: usize = 20;

/// `https://key@host`, as Sentry's DSNs and tokens of code hosts come. Browsers and SDKs never name an account there
/// without a password; elsewhere (`ssh://git@host`) it is a key only where it is long and has a digit in it.
///
/// An `@` behind what separates fields (`https://shop.example,jane@example.org`) belongs to the next field.
fn key_alone(scan: &mut Scan<'_>, colon: usize, start: usize, end: usize) {
    let bytes = scan.bytes;
    let separator = (start..end).find(|index| match at(bytes, *index) {
        b',' | b';' | b'(' | b')' | b'|' | b'&' | b'\\' | b']' | b'{' | b'}' => true,
        // It may also pad a key in base64.
        b'=' => !matches!(at(bytes, index + 1), b'=' | b'@'),
        _ => false,
    });
    let end = match separator {
        None => end,
        Some(separator) => match memchr::memrchr(b'@', slice(bytes, start, separator)) {
            Some(length) => start + length,
            None => return,
        },
    };
    let key = slice(bytes, start, end);
    let scheme = slice(bytes, colon.saturating_sub(5), colon);
    let is_http = [&b"http"[..], b"https"].iter().any(|name| {
        scheme.len() >= name.len()
            && slice(scheme, scheme.len() - name.len(), scheme.len()).eq_ignore_ascii_case(name)
    });
    let looks_random = key.len() >= KEY_MIN && key.iter().any(u8::is_ascii_digit);
    let is_placeholder = key.first() == Some(&b'[') || value::is_stand_in(scan, key);
    if !key.is_empty() && (is_http || looks_random) && !is_placeholder && !value::is_person_code(key) {
        scan.hit(start, end, Detector::UrlCredentials);
    }
}

/// Looks before the `@` at `index`: `user:password@tcp(host)`, as Go's drivers take it.
pub(crate) fn before_at(scan: &mut Scan<'_>, index: usize) {
    let bytes = scan.bytes;
    let driver = from(bytes, index + 1);
    if !(driver.starts_with(b"tcp(") || driver.starts_with(b"unix(")) {
        return;
    }
    let floor = index.saturating_sub(USER_INFORMATION_MAX);
    let start = skip_back(bytes, index, |byte| {
        !(byte.is_ascii_whitespace() || is_quote(byte) || matches!(byte, b'=' | b'<' | b'>' | b'('))
    })
    .max(floor);
    let pair = slice(bytes, start, index);
    let Some(separator) = memchr::memchr(b':', pair) else { return };
    let password = slice(pair, separator + 1, pair.len());
    let is_stand_in = value::is_stand_in(scan, password) || value::is_person_code(pair);
    if !password.is_empty() && before(bytes, index) != b']' && !is_stand_in {
        scan.hit(start, index, Detector::UrlCredentials);
    }
}
