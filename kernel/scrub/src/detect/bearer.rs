//! `Bearer …` and `Basic …` in text (RFC 6750, RFC 7617), and the schemes that a header's value begins with.

use crate::bytes::{at, is_blank, skip, slice};
use crate::layers::base64;
use crate::rules::Detector;
use crate::scan::Scan;

/// True for what credentials in a header consist of (`token68` of RFC 9110, and the dots of web tokens).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'+' | b'/' | b'=')
}

/// Looks behind the word at `start..end`, where it is `Bearer` or `Basic`.
pub(crate) fn after_word(scan: &mut Scan<'_>, start: usize, end: usize) {
    let bytes = scan.bytes;
    let scheme = slice(bytes, start, end);
    if !scheme.eq_ignore_ascii_case(b"bearer") && !scheme.eq_ignore_ascii_case(b"basic") {
        return;
    }
    let token_start = skip(bytes, end, is_blank);
    let token_end = skip(bytes, token_start, is_token);
    let token = slice(bytes, token_start, token_end);
    let is_credential = match () {
        () if token_start == end || token.is_empty() => false,
        () if scheme.len() == b"bearer".len() => is_bearer_token(token, at(bytes, token_end)),
        () => is_basic_pair(token),
    };
    if is_credential {
        scan.hit(token_start, token_end, Detector::SecretShape);
    }
}

fn is_bearer_token(token: &[u8], next: u8) -> bool {
    // `Bearer realm="…"` is a challenge.
    if next == b'"' && token.ends_with(b"=") {
        return false;
    }
    let has_digit = token.iter().any(u8::is_ascii_digit);
    // A capital that does not begin the word.
    let has_inner_capital = token.iter().skip(1).any(u8::is_ascii_uppercase);
    token.len() >= 24 || (token.len() >= 8 && (has_digit || has_inner_capital))
}

fn is_basic_pair(token: &[u8]) -> bool {
    token.len() >= 4
        && base64::decode(token)
            .is_some_and(|pair| pair.contains(&b':') && pair.iter().all(|byte| *byte >= 0x20))
}

/// True for a word that begins the value of an `Authorization` header.
pub(crate) fn is_scheme(word: &[u8]) -> bool {
    const SCHEMES: [&[u8]; 16] = [
        b"bearer",
        b"basic",
        b"digest",
        b"token",
        b"negotiate",
        b"ntlm",
        b"apikey",
        b"api-key",
        b"hawk",
        b"aws4-hmac-sha256",
        b"oauth",
        b"key",
        b"dpop",
        b"hmac",
        b"jwt",
        b"sentry",
    ];
    SCHEMES.iter().any(|scheme| scheme.eq_ignore_ascii_case(word))
}
