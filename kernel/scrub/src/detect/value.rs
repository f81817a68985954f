//! Where a secret's value ends in free text, and whether it is one at all.
//!
//! Text has no grammar: the value of `password=…` may stand in a query, a shell line, a printed object or prose. Each
//! rule here was chosen so that a doubt takes more rather than less, except where the text is plainly about a secret
//! instead of being one (`password: required`, `token = self.token`).

use std::borrow::Cow;
use std::ops::Range;

use candor_model::SubjectKind;

use crate::bytes::{at, before, from, is_blank, is_quote, is_word, skip, slice};
use crate::names::Secrecy;
use crate::scan::Scan;

/// What others put where a secret was.
const STAND_INS: [&[u8]; 9] = [
    b"[filtered]",
    b"[redacted]",
    b"<redacted>",
    b"(redacted)",
    b"<filtered>",
    b"<hidden>",
    b"redacted",
    b"filtered",
    b"[hidden]",
];

/// Values that say that there is none.
const NOTHINGS: [&[u8]; 8] =
    [b"null", b"none", b"nil", b"undefined", b"true", b"false", b"same-origin", b"omit"];

/// Words that follow `password: ` and its like in prose and messages.
const PROSE: [&[u8]; 62] = [
    b"a",
    b"an",
    b"and",
    b"are",
    b"blank",
    b"can",
    b"cannot",
    b"changed",
    b"could",
    b"denied",
    b"disabled",
    b"does",
    b"empty",
    b"enabled",
    b"error",
    b"expired",
    b"failed",
    b"failure",
    b"for",
    b"found",
    b"from",
    b"has",
    b"if",
    b"in",
    b"incorrect",
    b"invalid",
    b"is",
    b"missing",
    b"mismatch",
    b"must",
    b"no",
    b"not",
    b"of",
    b"off",
    b"ok",
    b"on",
    b"or",
    b"please",
    b"rejected",
    b"required",
    b"reset",
    b"revoked",
    b"set",
    b"should",
    b"string",
    b"success",
    b"that",
    b"the",
    b"this",
    b"to",
    b"too",
    b"unknown",
    b"unset",
    b"unsupported",
    b"updated",
    b"using",
    b"valid",
    b"was",
    b"with",
    b"wrong",
    b"yes",
    b"you",
];

/// True for text that stands where a secret was: our placeholders, others' words for it, rows of asterisks,
/// templates.
pub(crate) fn is_stand_in(scan: &Scan<'_>, text: &[u8]) -> bool {
    let text = text.trim_ascii();
    text.is_empty()
        || scan.tools.stand_ins().any(|own| own.as_bytes() == text)
        || STAND_INS.iter().any(|word| word.eq_ignore_ascii_case(text))
        || is_mask(text)
        || is_template(text)
        || is_person_code(text)
}

/// What a person's code has behind its kind, bytes: 128 bits in base32.
pub(crate) const CODE_BYTES: usize = 26;

/// The code of a person that already stands in for an identifier: `kind:` and 26 base32 characters.
pub(crate) fn is_person_code(text: &[u8]) -> bool {
    text.len() > CODE_BYTES && person_code(text, text.len() - CODE_BYTES - 1) == Some(0..text.len())
}

/// Where the code of a person stands that has its colon at `colon`.
fn person_code(text: &[u8], colon: usize) -> Option<Range<usize>> {
    let end = colon + 1 + CODE_BYTES;
    let code = text.get(colon + 1..end).filter(|_| at(text, colon) == b':')?;
    let is_code = code.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'2'..=b'7'));
    let kind =
        SubjectKind::ALL.iter().find(|kind| slice(text, 0, colon).ends_with(kind.name().as_bytes()))?;
    is_code.then(|| colon - kind.name().len()..end)
}

/// Text without the codes of persons in it: they look random, and say nothing about what they stand in.
fn without_codes(text: &[u8]) -> Cow<'_, [u8]> {
    if text.len() <= CODE_BYTES {
        return Cow::Borrowed(text);
    }
    let (mut out, mut done) = (Vec::new(), 0);
    for code in memchr::memchr_iter(b':', text).filter_map(|colon| person_code(text, colon)) {
        out.extend_from_slice(slice(text, done, code.start));
        done = code.end;
    }
    if done == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(from(text, done));
    Cow::Owned(out)
}

/// `***`, `xxxx`, `....`, `••••`.
fn is_mask(text: &[u8]) -> bool {
    [&b"*"[..], b"x", b"X", b".", "•".as_bytes()]
        .iter()
        .any(|unit| text.len() >= unit.len() * 3 && text.chunks(unit.len()).all(|chunk| chunk == *unit))
        || (text == b"*" || text == b"**")
}

/// `%s`, `{}`, `{password}`, `${PASSWORD}`, `$PASSWORD`, `%(password)s`, `<password>`, `?`, `{{ token }}`.
fn is_template(text: &[u8]) -> bool {
    let is_name = |text: &[u8]| {
        text.iter().all(|byte| is_word(*byte) || matches!(byte, b'.' | b' ' | b':'))
            && !text.iter().any(u8::is_ascii_digit)
    };
    match text {
        b"?" | b"%s" | b"%d" | b"%v" | b"%q" | b"%r" | b"%@" | b"%x" | b"%i" => true,
        [b'{', b'{', inner @ .., b'}', b'}'] => is_name(inner),
        [b'$' | b'#', b'{', inner @ .., b'}'] => is_name(inner),
        [b'{', inner @ .., b'}'] => is_name(inner) && !inner.contains(&b':'),
        [b'<', inner @ .., b'>'] => is_name(inner),
        [b'%', b'(', inner @ .., b')', b's' | b'd' | b'r'] => is_name(inner),
        [b'$', b'(', ..] => true,
        [b'$', first, inner @ ..] => {
            (first.is_ascii_uppercase() || *first == b'_')
                && inner
                    .iter()
                    .all(|byte| byte.is_ascii_uppercase() || *byte == b'_' || byte.is_ascii_digit())
        }
        _ => false,
    }
}

/// A value in text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) quoted: bool,
}

/// What stands at `start`: quoted text, or a run up to what ends one. `inside` is the quote that the name stands
/// behind as well (`-H "Cookie: …"`).
pub(crate) fn at_start(scan: &Scan<'_>, start: usize, secrecy: Secrecy, inside: Option<u8>) -> Option<Found> {
    let bytes = scan.bytes;
    // `b'…'`, `u"…"` of Python.
    let prefix =
        usize::from(matches!(at(bytes, start), b'b' | b'u' | b'r' | b'f') && is_quote(at(bytes, start + 1)));
    let slashes_end = skip(bytes, start + prefix, |byte| byte == b'\\');
    let quote = at(bytes, slashes_end);
    if is_quote(quote) && Some(quote) != inside {
        let content = slashes_end + 1;
        let end = closing_quote(bytes, content, quote, slashes_end - start - prefix);
        return Some(Found { start: content, end, quoted: true });
    }
    if let Some(end) = stand_in_end(scan, start) {
        // Already scrubbed; what follows is not part of it.
        return Some(Found { start, end, quoted: false });
    }
    let first_end = unquoted_end(bytes, start);
    let first = slice(bytes, start, first_end);
    let end = match (at(bytes, start), secrecy) {
        (b'{' | b'[', secrecy) if secrecy.takes_containers() => closing_bracket(bytes, start),
        (_, Secrecy::Authorization) if super::bearer::is_scheme(first) => {
            let next = skip(bytes, first_end, is_blank);
            let is_list =
                matches!(first.to_ascii_lowercase().as_slice(), b"digest" | b"oauth" | b"hawk" | b"sentry")
                    || first.len() > 10;
            match () {
                () if next == first_end => first_end,
                () if is_list => line_end(bytes, next, inside),
                () => unquoted_end(bytes, next),
            }
        }
        (_, Secrecy::Cookie) if first.contains(&b'=') => line_end(bytes, start, inside),
        _ => first_end,
    };
    (end > start).then_some(Found { start, end, quoted: false })
}

/// The end of a placeholder that begins at `start` and is followed by what ends a value.
fn stand_in_end(scan: &Scan<'_>, start: usize) -> Option<usize> {
    let rest = from(scan.bytes, start);
    let ours = scan.tools.stand_ins();
    ours.filter(|own| rest.starts_with(own.as_bytes()))
        .map(|own| start + own.len())
        .find(|end| ends_value(scan.bytes, *end))
}

/// The quote that closes text opened by a quote with so many backslashes before it; the end of the text where none
/// does.
fn closing_quote(bytes: &[u8], start: usize, quote: u8, slashes: usize) -> usize {
    let mut index = start;
    while let Some(next) = memchr::memchr(quote, from(bytes, index)) {
        let place = index + next;
        let run = slice(bytes, start, place).iter().rev().take_while(|byte| **byte == b'\\').count();
        // In text without escapes around it, an odd run escapes the quote. Within an escaped text, as many as at
        // the opening close it, and fewer close what is around it.
        let closes = if slashes == 0 { run % 2 == 0 } else { run <= slashes };
        if closes {
            return if slashes == 0 { place } else { place - run };
        }
        index = place + 1;
    }
    bytes.len()
}

/// Behind the bracket that closes the one at `start`; the end of the text where none does.
fn closing_bracket(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut index = start;
    while index < bytes.len() {
        match at(bytes, index) {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return index + 1;
                }
            }
            b'"' if before(bytes, index) != b'\\' => index = closing_quote(bytes, index + 1, b'"', 0),
            _ => {}
        }
        index += 1;
    }
    bytes.len()
}

/// The end of the line, real or escaped, or the quote that the whole line stands in.
fn line_end(bytes: &[u8], start: usize, inside: Option<u8>) -> usize {
    let mut end = start;
    while end < bytes.len() {
        let byte = at(bytes, end);
        let escaped = byte == b'\\' && matches!(at(bytes, end + 1), b'n' | b'r');
        if matches!(byte, b'\n' | b'\r') || escaped || Some(byte) == inside {
            break;
        }
        end += 1;
    }
    // A backslash before the closing quote is the quote's.
    crate::bytes::skip_back(bytes, end, |byte| byte == b'\\').max(start)
}

fn unquoted_end(bytes: &[u8], start: usize) -> usize {
    let mut end = start;
    let mut open = 0usize;
    loop {
        match at(bytes, end) {
            b'(' | b'[' | b'{' => open += 1,
            // It closes what the value itself opened: `${PASSWORD}`.
            b')' | b']' | b'}' if open > 0 => open -= 1,
            _ if ends_value(bytes, end) => return end,
            _ => {}
        }
        end += 1;
    }
}

/// True where a value that is not quoted cannot go on.
fn ends_value(bytes: &[u8], index: usize) -> bool {
    let next = at(bytes, index + 1);
    match at(bytes, index) {
        _ if index >= bytes.len() => true,
        b'"' | b'\'' | b'`' | b'<' | b'>' => true,
        b'\\' => is_quote(next) || matches!(next, b'n' | b'r' | b't' | b'\\'),
        // A list goes on with another name, or stops.
        b',' | b';' | b'|' | b'&' => {
            let name = skip(bytes, index + 1, is_blank);
            let name_end =
                skip(bytes, name, |byte| is_word(byte) || matches!(byte, b'.' | b'[' | b']' | b'%'));
            let starts_name = name > index + 1 || index + 1 >= bytes.len() || is_quote(next) || next == b'\\';
            let operator = skip(bytes, name_end, is_blank);
            starts_name
                || (name_end > name && name_end - name < 64 && matches!(at(bytes, operator), b'=' | b':'))
                || from(bytes, index).starts_with(b"&amp;")
                || matches!(next, b'\n' | b'\r')
        }
        b')' | b']' | b'}' => !next.is_ascii_alphanumeric(),
        byte => byte.is_ascii_whitespace(),
    }
}

/// True where `text` is a secret and not a word about one.
pub(crate) fn is_secret(scan: &Scan<'_>, text: &[u8], secrecy: Secrecy, prose: bool) -> bool {
    let text = text.trim_ascii();
    if is_stand_in(scan, text) || NOTHINGS.iter().any(|nothing| nothing.eq_ignore_ascii_case(text)) {
        return false;
    }
    let lower = |words: &[&[u8]]| {
        let word = text.strip_suffix(b".").unwrap_or(text);
        words.iter().any(|known| known.eq_ignore_ascii_case(word))
    };
    let alphabetic = text.iter().all(u8::is_ascii_alphabetic);
    match secrecy {
        Secrecy::Password => !(prose && lower(&PROSE)),
        Secrecy::Weak => !prose && looks_random(&without_codes(text)),
        Secrecy::Token | Secrecy::Authorization | Secrecy::Cookie => {
            let word = prose && alphabetic && text.len() < 16;
            !word && !is_version(text) && !is_object(text)
        }
    }
}

/// True for letters and digits together, and for what is long and in one piece.
fn looks_random(text: &[u8]) -> bool {
    let has = |class: fn(&u8) -> bool| text.iter().any(class);
    (has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)) || (text.len() >= 16 && !text.contains(&b' '))
}

/// `1.2`, `v3.4.5-beta.1`: what stands under the name of a package.
fn is_version(text: &[u8]) -> bool {
    let text = text
        .strip_prefix(b"v")
        .or_else(|| text.strip_prefix(b"^"))
        .or_else(|| text.strip_prefix(b"~"))
        .unwrap_or(text);
    let mut parts = text.splitn(3, |byte| *byte == b'.');
    let is_number = |part: Option<&[u8]>| {
        part.is_some_and(|part| (1..=5).contains(&part.len()) && part.iter().all(u8::is_ascii_digit))
    };
    text.len() <= 24 && is_number(parts.next()) && {
        let second = parts.next();
        match parts.next() {
            None => is_number(second),
            Some(rest) => is_number(second) && rest.first().is_some_and(u8::is_ascii_digit),
        }
    }
}

/// An object as Java prints it: `Token{a64f992`, `android.os.BinderProxy@2bd79ce`.
fn is_object(text: &[u8]) -> bool {
    let class_end = skip(text, 0, |byte| byte.is_ascii_alphabetic() || matches!(byte, b'.' | b'$'));
    let rest = from(text, class_end);
    let is_hex = |text: &[u8]| (1..=8).contains(&text.len()) && text.iter().all(u8::is_ascii_hexdigit);
    match rest {
        [b'{', ..] => at(text, 0).is_ascii_uppercase(),
        [b'@', hash @ ..] => class_end > 0 && is_hex(hash),
        _ => false,
    }
}

/// True where an assignment reads as source code whose value is an expression: `token = get_token(`,
/// `password = self.password`, `secret: string`.
pub(crate) fn is_code(bytes: &[u8], start: usize, end: usize) -> bool {
    let expression_end =
        skip(bytes, start, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'$' | b':'));
    let expression = slice(bytes, start, expression_end.min(end.max(start)));
    let call = matches!(at(bytes, expression_end), b'(' | b'[') && expression_end > start;
    const ROOTS: [&[u8]; 16] = [
        b"self.",
        b"this.",
        b"os.",
        b"process.",
        b"request.",
        b"req.",
        b"config.",
        b"settings.",
        b"env.",
        b"ctx.",
        b"params.",
        b"args.",
        b"options.",
        b"opts.",
        b"props.",
        b"state.",
    ];
    call || ROOTS.iter().any(|root| expression.starts_with(root))
}
