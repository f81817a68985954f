//! The shape of a message: what changes from one occurrence to the next is masked, what names the fault is kept.
//!
//! One pass over the first line that says something, at each place the most specific reading first. Numbers that are
//! part of a name (`utf-8`, `sha256`, `http2`) are kept; identifiers with long numbers (`order-48213`) are not. The
//! gate's codes of persons (`email:…`) are masked too: one fault is one issue, whomever it strikes.

/// Longest line that is read, bytes; beyond it messages carry bodies.
const SHAPE_BYTES_MAX: usize = 1_000;

/// The shape of a text.
pub(crate) fn shape(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let line = crate::event::cut(line, SHAPE_BYTES_MAX);
    let mut out = String::with_capacity(line.len());
    let mut at = 0;
    while at < line.len() {
        let before = line[..at].chars().next_back();
        let rest = &line[at..];
        let (length, mask) = read(before, rest);
        match mask {
            Some(mask) => out.push_str(mask),
            None => out.push_str(&rest[..length]),
        }
        at += length;
    }
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Reads what `rest` starts with: its length, at least one character, and what it is masked by.
fn read(before: Option<char>, rest: &str) -> (usize, Option<&'static str>) {
    let fresh = before.is_none_or(|c| !c.is_alphanumeric());
    let first = rest.chars().next().unwrap_or(' ');
    if fresh && let Some(length) = quoted(before, rest) {
        return (length, Some("<quoted>"));
    }
    if !first.is_alphanumeric() {
        if fresh && let Some(length) = ipv6(rest) {
            return (length, Some("<ip>"));
        }
        if matches!(first, '-' | '+') && before.is_none_or(|c| c.is_whitespace() || "=([,:".contains(c)) {
            // A sign belongs to its number.
            if rest[1..].starts_with(|c: char| c.is_ascii_digit()) {
                let (length, mask) = word(None, &rest[1..]);
                return (length + 1, mask);
            }
        }
        return (first.len_utf8(), None);
    }
    if !fresh {
        // The rest of a word that was looked at from its start.
        return named_number(rest);
    }
    word(before, rest)
}

/// Reads the word that `rest` starts with.
fn word(before: Option<char>, rest: &str) -> (usize, Option<&'static str>) {
    if let Some((length, mask)) = person(rest) {
        return (length, Some(mask));
    }
    let readers: [(Reader, &'static str); 8] = [
        (url, "<url>"),
        (email, "<email>"),
        (uuid, "<uuid>"),
        (date, "<date>"),
        (ipv4, "<ip>"),
        (ipv6, "<ip>"),
        (hex, "<hex>"),
        (duration, "<duration>"),
    ];
    for (reader, mask) in readers {
        if let Some(length) = reader(rest) {
            return (length, Some(mask));
        }
    }
    if let Some(length) = number(before, rest) {
        return (length, Some("<number>"));
    }
    named_number(rest)
}

type Reader = fn(&str) -> Option<usize>;

fn run(text: &str, accept: impl Fn(char) -> bool) -> usize {
    text.find(|c: char| !accept(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    run(text, |c| c.is_ascii_digit())
}

/// True where `text` goes on with something that would make what stands before it a part of a longer word.
fn goes_on(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// Text in matching quotes that open a word and close one.
fn quoted(before: Option<char>, rest: &str) -> Option<usize> {
    let quote = rest.chars().next()?;
    let close = match quote {
        '"' | '\'' | '`' => quote,
        '“' => '”',
        '‘' => '’',
        '«' => '»',
        _ => return None,
    };
    if quote == '\'' && before.is_some_and(|c| c.is_alphanumeric()) {
        return None;
    }
    let inner = &rest[quote.len_utf8()..];
    let mut from = 0;
    loop {
        let end = from + inner[from..].find(close)?;
        let after = end + close.len_utf8();
        let escaped = inner[..end].ends_with('\\');
        if !escaped && !inner[after..].starts_with(|c: char| c.is_alphanumeric()) {
            return Some(quote.len_utf8() + after);
        }
        from = after;
    }
}

/// Characters of a code behind its kind: 128 bits in base32.
const CODE_CHARACTERS: usize = 26;

/// A code of the gate in place of an identifier: its length, and the mask of its kind. An address by e-mail is masked
/// as one that no code stands for.
fn person(text: &str) -> Option<(usize, &'static str)> {
    const KINDS: [(&str, &str); 6] = [
        ("user:", "<user>"),
        ("email:", "<email>"),
        ("name:", "<name>"),
        ("device:", "<device>"),
        ("session:", "<session>"),
        ("replay:", "<replay>"),
    ];
    let (kind, mask) = KINDS.into_iter().find(|(kind, _)| text.starts_with(kind))?;
    let code = &text[kind.len()..];
    let length = run(code, |c| matches!(c, 'a'..='z' | '2'..='7'));
    (length == CODE_CHARACTERS && !goes_on(&code[length..])).then_some((kind.len() + length, mask))
}

fn url(text: &str) -> Option<usize> {
    let scheme = run(text, |c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let after = text[scheme..].strip_prefix("://")?;
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return None;
    }
    let length =
        run(after, |c| !c.is_whitespace() && !matches!(c, '"' | '\'' | '<' | '>' | '`' | ')' | ']' | '}'));
    let trimmed = after[..length].trim_end_matches(['.', ',', ';', ':', '!', '?']).len();
    Some(scheme + 3 + trimmed)
}

fn email(text: &str) -> Option<usize> {
    let local = run(text, |c| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-'));
    let domain = text[local..].strip_prefix('@')?;
    let length = run(domain, |c| c.is_alphanumeric() || matches!(c, '.' | '-'));
    let name = domain[..length].trim_end_matches(['.', '-']);
    (local > 0 && name.contains('.')).then_some(local + 1 + name.len())
}

fn uuid(text: &str) -> Option<usize> {
    let bytes = text.as_bytes().get(..36)?;
    let fits = bytes.iter().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    });
    (fits && !goes_on(&text[36..])).then_some(36)
}

/// `2025-03-06`, `2025/03/06`, with a time behind `T` or a space; `10:19:51`; `06/Mar/2025`.
fn date(text: &str) -> Option<usize> {
    let mut length = day(text).unwrap_or(0);
    let rest = &text[length..];
    let joint = match length {
        0 => 0,
        _ => usize::from(rest.starts_with(['T', 't', ' ', ':', '_'])),
    };
    if let Some(time) = clock(&rest[joint..]) {
        length += joint + time;
        let rest = &text[length..];
        let fraction = match rest.strip_prefix(['.', ',']) {
            Some(after) if digits(after) > 0 => 1 + digits(after),
            _ => 0,
        };
        length += fraction;
        let rest = &text[length..];
        length += match rest.as_bytes().first() {
            Some(b'Z' | b'z') => 1,
            Some(b'+' | b'-') => 1 + run(&rest[1..], |c| c.is_ascii_digit() || c == ':').min(6),
            _ => 0,
        };
    }
    (length > 0 && !goes_on(&text[length..])).then_some(length)
}

fn day(text: &str) -> Option<usize> {
    let first = digits(text);
    let separator = text[first..].chars().next().filter(|c| matches!(c, '-' | '/' | '.'))?;
    let rest = &text[first + 1..];
    let middle = run(rest, |c| c.is_ascii_alphanumeric());
    let last_at = first + 1 + middle + 1;
    let last = text.get(last_at - 1..)?.strip_prefix(separator).map(digits)?;
    let month_is_named = middle == 3 && rest[..middle].chars().all(|c| c.is_ascii_alphabetic());
    let month_is_number = (1..=2).contains(&middle) && digits(rest) == middle;
    let by_year = first == 4 && (1..=2).contains(&last);
    let by_day = (1..=2).contains(&first) && last == 4;
    ((by_year || by_day) && (month_is_named || month_is_number)).then_some(last_at + last)
}

fn clock(text: &str) -> Option<usize> {
    let part = |text: &str| Some(digits(text)).filter(|length| (1..=2).contains(length));
    let hours = part(text)?;
    let rest = text[hours..].strip_prefix(':')?;
    let minutes = part(rest).filter(|length| *length == 2)?;
    let length = hours + 1 + minutes;
    match rest[minutes..].strip_prefix(':').and_then(part) {
        Some(2) => Some(length + 3),
        _ => Some(length),
    }
}

fn ipv4(text: &str) -> Option<usize> {
    let mut length = 0;
    for part in 0..4 {
        if part > 0 {
            length += text[length..].starts_with('.').then_some(1)?;
        }
        let run = digits(&text[length..]);
        text[length..length + run].parse::<u8>().ok()?;
        length += run;
    }
    let port = match text[length..].strip_prefix(':') {
        Some(after) if (1..=5).contains(&digits(after)) => 1 + digits(after),
        _ => 0,
    };
    let end = length + port;
    let after = &text[end..];
    let five_parts = after.strip_prefix('.').is_some_and(|after| digits(after) > 0);
    (!goes_on(after) && !five_parts).then_some(end)
}

fn ipv6(text: &str) -> Option<usize> {
    let length = run(text, |c| c.is_ascii_hexdigit() || c == ':');
    let found = text[..length].trim_end_matches(':');
    let found = if text[..length].ends_with("::") { &text[..length] } else { found };
    // Colons alone are C++'s, and `a::b` may be a path: an address has a digit somewhere.
    let is_address = found.matches(':').count() >= 2
        && found.bytes().any(|byte| byte.is_ascii_digit())
        && found.parse::<std::net::Ipv6Addr>().is_ok();
    (is_address && !goes_on(&text[found.len()..])).then_some(found.len())
}

/// `0x…`, or at least eight hex digits of which one is a digit and one a letter (digits alone are a number).
fn hex(text: &str) -> Option<usize> {
    if let Some(after) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let length = run(after, |c| c.is_ascii_hexdigit());
        return (length > 0 && !goes_on(&after[length..])).then_some(2 + length);
    }
    let length = run(text, |c| c.is_ascii_hexdigit());
    let found = &text[..length];
    let mixed = found.bytes().any(|b| b.is_ascii_digit()) && found.bytes().any(|b| b.is_ascii_alphabetic());
    (length >= 8 && mixed && !goes_on(&text[length..])).then_some(length)
}

/// A number with a unit of time: `12ms`, `1.5 s` stays two words, `3m12s` is one.
fn duration(text: &str) -> Option<usize> {
    const UNITS: [&str; 12] =
        ["ms", "us", "µs", "μs", "ns", "sec", "secs", "seconds", "minutes", "s", "m", "h"];
    let mut length = 0;
    loop {
        let rest = &text[length..];
        let number = run(rest, |c| c.is_ascii_digit() || c == '.');
        if number == 0 || !rest.starts_with(|c: char| c.is_ascii_digit()) {
            break;
        }
        let after = &rest[number..];
        let letters = run(after, |c| c.is_alphabetic());
        if !UNITS.contains(&&after[..letters]) {
            break;
        }
        length += number + letters;
    }
    (length > 0 && !goes_on(&text[length..])).then_some(length)
}

/// A number by itself: digits in groups, a fraction, an exponent, per cent left to stand.
fn number(before: Option<char>, text: &str) -> Option<usize> {
    let mut length = digits(text);
    if length == 0 {
        return None;
    }
    // `utf-8`, `x86_64`: a short number behind a word's hyphen or underscore is a part of the name.
    if before.is_some_and(|c| matches!(c, '-' | '_')) && length <= 2 {
        return None;
    }
    while let Some(after) = text[length..].strip_prefix([',', '.', '_', '\'']) {
        match digits(after) {
            0 => break,
            more => length += 1 + more,
        }
    }
    let rest = &text[length..];
    if let Some(after) = rest.strip_prefix(['e', 'E']) {
        let sign = usize::from(after.starts_with(['+', '-']));
        let exponent = digits(&after[sign..]);
        if exponent > 0 && !goes_on(&after[sign + exponent..]) {
            length += 1 + sign + exponent;
        }
    }
    (!text[length..].starts_with(|c: char| c.is_alphanumeric())).then_some(length)
}

/// A part of a word with numbers in it: numbers of four digits and more are masked, the rest is its name.
fn named_number(text: &str) -> (usize, Option<&'static str>) {
    match digits(text) {
        0 => (run(text, |c| c.is_alphanumeric() && !c.is_ascii_digit()), None),
        length if length >= 4 => (length, Some("<number>")),
        length => (length, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_is_masked() {
        for (text, expected) in [
            ("order 48213 of 4,150,908 failed", "order <number> of <number> failed"),
            ("user 9f8b0c1e-2d3a-4b5c-8d7e-6f5a4b3c2d1e not found", "user <uuid> not found"),
            ("timeout after 12ms (1.5e-3, 99.5%)", "timeout after <duration> (<number>, <number>%)"),
            ("GET https://shop.example/a/1?x=2 gave 503.", "GET <url> gave <number>."),
            ("mail to jane.doe+x@example.co.uk bounced", "mail to <email> bounced"),
            ("mail to email:cj3fyjqk5dulg33ignfks63b5q bounced", "mail to <email> bounced"),
            ("no user:dbc5pb6w2iaqaudzc6neg6f22e, name:r7flvlhni73xk3h46ucauvtlmu.", "no <user>, <name>."),
            ("connect 10.0.0.7:5432: refused", "connect <ip>: refused"),
            ("peer 2001:db8::1 gone, fe80::1", "peer <ip> gone, <ip>"),
            ("at 0x7fffdeadbeef, sha 5a0c9e7bd1", "at <hex>, sha <hex>"),
            ("2025-03-06T10:19:51.132+01:00 late", "<date> late"),
            ("since 2025-03-06 10:19:51,132: x", "since <date>: x"),
            ("[06/Mar/2025:10:19:51 +0000] x", "[<date> <number>] x"),
            ("no column \"na\\\"me\" in 'it's here' or `t`", "no column <quoted> in <quoted> or <quoted>"),
            ("delta -5 and +3.2", "delta <number> and <number>"),
            ("took 3m12s", "took <duration>"),
            ("\n\n  first line 1 \n second 2", "first line <number>"),
            ("key=xyz123456 order-48213 x_12345", "key=xyz<number> order-<number> x_<number>"),
        ] {
            assert_eq!(shape(text), expected);
        }
    }

    #[test]
    fn what_names_the_fault_is_kept() {
        for text in [
            "invalid utf-8 sequence",
            "sha256 mismatch over http2 on x86_64",
            "Fee::add() overflowed",
            "can't find the user's cart",
            "[card] declined",
            "a.b.c is undefined",
            "größe überschritten – bitte kürzen",
            "dead beef cafe face",
            "user:ada is not email:yes",
            "std::vector<T>::at",
            "",
        ] {
            assert_eq!(shape(text), text);
        }
    }

    #[test]
    fn shapes_are_stable_and_total() {
        for text in
            ["'", "'\"", "-", "0x", "1.", "1:2", "::", "12:", "@", "a@", "://", "\u{1F600}1\u{1F600}", "٣٤"]
        {
            let once = shape(text);
            assert_eq!(shape(&once), once, "{text}");
        }
    }
}
