//! Mutated and planted input: nothing panics, nothing planted survives, twice is once. See [`candor_testbed::fuzz`]
//! for how long and how to run a case again.

use std::cell::Cell;

use candor_model::json::{self, Leniency};
use candor_model::random::Seeded;
use candor_model::{Object, Random, Value};
use candor_scrub::{Counts, Scrubber};
use candor_testbed::fuzz::fuzz;

/// Text that the mutations start from: every detector's food, and what surrounds it in real records.
const CORPUS: &[&str] = &[
    "card 4111 1111 1111 1111, 4111-1111-1111-1111 and 378282246310005 declined",
    "IBAN DE89 3704 0044 0532 0130 00 or GB29NWBK60161331926819",
    "SSN 536-90-4399 ssn=536904399",
    "password=hunter2&token=abc123; Cookie: a=b; c=d\nX-Api-Key: k",
    r#"{"password":"hun\"ter2","a":[["Cookie","x=y"]],"b":{"secret":["x",1]},"n":4111111111111111}"#,
    r#"{\"password\":\"hunter2\",\"t\":\"\\u0034111111111111111\"}"#,
    "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA0Z3VS5JJ\n-----END RSA PRIVATE KEY-----",
    "postgres://u:p@ss@host:5432/db https:\\/\\/a:b@c redis://:x@y root:x@tcp(h)",
    "cc=%34%31%31%31111111111111%20x&p=password%3Dx%26y &quot;pwd&quot;:&quot;x&quot; &#52;",
    "NDExMTExMTExMTExMTExMQ== key_cGFzc3dvcmQ9aHVudGVyMg== eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "Authorization: Bearer abc123def Basic dXNlcjpwYXNz Digest a=\"b\" --password x <token>y</token>",
    "[card] [iban] [ssn] [secret] [private_key] [url_credentials] password=[secret], token: [card]",
    "žluťoučký ４１１１１１１１１１１１１１１１ kůň 4111\u{a0}1111\u{a0}1111\u{a0}1111 😀",
    "2026-01-02 03:04:05,678 INFO [main] org.example.Foo: took 0.123 s at /usr/lib/x (id=4bf92f3577b34da6)",
];

fn pick(random: &Seeded, below: usize) -> usize {
    (random.next_u64() % below.max(1) as u64) as usize
}

fn mutated(random: &Seeded) -> String {
    let mut text: Vec<char> = CORPUS[pick(random, CORPUS.len())].chars().collect();
    for _ in 0..pick(random, 8) {
        let at = pick(random, text.len());
        match pick(random, 7) {
            0 => text.insert(at, char::from(pick(random, 128) as u8)),
            1 if !text.is_empty() => drop(text.remove(at)),
            2 => text.truncate(at),
            3 => {
                let signs: Vec<char> = "\"'\\:=,;&%@[]{}()<>-_ \n.+0é".chars().collect();
                text.insert(at, signs[pick(random, signs.len())]);
            }
            4 => {
                let end = (at + pick(random, 20)).min(text.len());
                let piece = text[at..end].to_vec();
                let to = pick(random, text.len());
                drop(text.splice(to..to, piece));
            }
            5 => {
                let other: Vec<char> = CORPUS[pick(random, CORPUS.len())].chars().collect();
                let from = pick(random, other.len());
                let end = (from + pick(random, 40)).min(other.len());
                drop(text.splice(at..at, other[from..end].to_vec()));
            }
            _ if !text.is_empty() => text[at] = char::from(pick(random, 128) as u8),
            _ => {}
        }
    }
    text.into_iter().collect()
}

/// Names that mean something, and some that do not: what trees are made of beside mutated text.
const NAMES: &[&str] = &[
    "password",
    "token",
    "tokens",
    "authorization",
    "Cookie",
    "session",
    "card",
    "ssn",
    "rawHeaders",
    "name",
    "value",
    "key",
    "header",
    "data",
    "[secret]",
    "[card]",
    "[card]#2",
    "trace_id",
    "message",
    "--password",
    "-token",
    "id",
    "api_key",
    "tags",
    "PWD",
    "auth",
    "",
];

/// A value of any kind whose names and texts strike often.
fn tree(random: &Seeded, depth: usize) -> Value {
    let name = || match pick(random, 8) {
        0 => mutated(random).chars().take(24).collect(),
        1 => {
            // A secret within a name, which makes another name when it goes.
            let (first, second) = (NAMES[pick(random, NAMES.len())], NAMES[pick(random, NAMES.len())]);
            let cut = pick(random, first.len() + 1);
            let infix = [
                "root:x@tcp(h)",
                "https://a:b@h",
                "4111111111111111",
                "AKIAIOSFODNN7EXAMPLE",
                "?p=password&",
            ];
            format!("{}{}{}{second}", &first[..cut], infix[pick(random, infix.len())], &first[cut..])
        }
        _ => NAMES[pick(random, NAMES.len())].to_owned(),
    };
    match pick(random, if depth < 4 { 14 } else { 10 }) {
        0 => Value::Null,
        1 => Value::Bool(true),
        2 => {
            Value::Int([7, 512, 536_904_399, 4_111_111_111_111_111, -4_111_111_111_111_111][pick(random, 5)])
        }
        3 => Value::UInt(6_205_500_000_000_000_004),
        4 => Value::Float([4.1, 4_111_111_111_111_111.0, 512.0, f64::NAN][pick(random, 4)]),
        5 => Value::BigInt("41111111111111110000000".into()),
        6 => name().into(),
        7 => ["a=b", "1.2.3", "null", "Token{abc", "***", "${PASSWORD}", "required"][pick(random, 7)].into(),
        8 | 9 => mutated(random).into(),
        10 | 11 => Value::Array((0..pick(random, 5)).map(|_| tree(random, depth + 1)).collect()),
        _ => (0..pick(random, 5)).map(|_| (name(), tree(random, depth + 1))).collect::<Object>().into(),
    }
}

#[test]
fn text_twice_is_once() {
    let scrubber = Scrubber::default();
    let struck = Cell::new(0);
    let cases = fuzz(
        |case| mutated(&Seeded::new(case)),
        |text| {
            let Some(once) = scrubber.scrub_str(text, &mut Counts::new()) else { return };
            struck.set(struck.get() + 1);
            let mut counts = Counts::new();
            assert_eq!(scrubber.scrub_str(&once, &mut counts), None, "from {once:?}");
            assert!(counts.is_empty());
        },
    );
    assert!(struck.get() * 4 > cases || cases < 100, "the corpus still strikes: {} of {cases}", struck.get());
}

/// What the other detectors look for, to be mixed into the rest.
const PERSONAL: &[&str] = &[
    "call +14155550132 or (415) 555-0132 x12, phone: 0496 46 46 70",
    "from 203.0.113.9:80 to ::ffff:192.0.2.1 and fe80::1%eth0, 00:1A:2B:3C:4D:5E or 0012.3456.789a",
    "/home/jane/app C:\\Users\\Jane Doe\\x imei 490154203237518 35-209900-176148-1",
    "jane%40example.com žluť@kůň.cz <jane@example.com>, my number is 13812345678-office",
    "[phone] [ip] [mac] [imei] [user] [removed] /home/[user]/x",
];

#[test]
fn text_twice_is_once_with_every_detector() {
    let scrubber = crate::personal::all();
    fuzz(
        |case| {
            let random = Seeded::new(case);
            let own = PERSONAL[pick(&random, PERSONAL.len())];
            let mut at = pick(&random, own.len() + 1);
            while !own.is_char_boundary(at) {
                at -= 1;
            }
            format!("{}{}{}", &own[..at], mutated(&random), &own[at..])
        },
        |text| {
            let Some(once) = scrubber.scrub_str(text, &mut Counts::new()) else { return };
            let mut counts = Counts::new();
            assert_eq!(scrubber.scrub_str(&once, &mut counts), None, "from {once:?}");
            assert!(counts.is_empty());
        },
    );
}

#[test]
fn fields_twice_are_once() {
    let scrubber = Scrubber::default();
    fuzz(
        |case| {
            let random = Seeded::new(case);
            (NAMES[pick(&random, NAMES.len())], mutated(&random))
        },
        |(key, text)| {
            let Some(once) = scrubber.scrub_field(key, text, &mut Counts::new()) else { return };
            assert_eq!(scrubber.scrub_field(key, &once, &mut Counts::new()), None, "from {once:?}");
        },
    );
}

#[test]
fn trees_twice_are_once() {
    let scrubber = Scrubber::default();
    fuzz(
        |case| {
            let random = Seeded::new(case);
            match json::parse(mutated(&random).as_bytes(), Leniency::LENIENT) {
                Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
                _ => tree(&random, 0),
            }
        },
        |value| {
            let mut value = value.clone();
            scrubber.scrub_value(&mut value, None, &mut Counts::new());
            let once = json::to_string(&value);
            let mut counts = Counts::new();
            scrubber.scrub_value(&mut value, None, &mut counts);
            assert_eq!(json::to_string(&value), once);
            assert!(counts.is_empty(), "counted again from {once}");
        },
    );
}

/// What may stand right before and behind a planted secret.
const LEFT: &[&str] =
    &["", " ", "x ", "(", "[", "'", "\"", "=", ":", ",", ";", "/", "\n", "é", "|", "<", "#", "key=", "n: "];
const RIGHT: &[&str] =
    &["", " ", " x", ")", "]", "'", "\"", ",", ";", "/", "\n", ".", "?", "é", "|", ">", "&a=b", ", n: 1"];

#[test]
fn nothing_planted_survives() {
    let scrubber = Scrubber::default();
    let planted: &[(&str, &str)] = &[
        ("4111111111111111", "4111111111111111"),
        ("4111 1111 1111 1111", "1111 1111"),
        ("5500-0000-0000-0004", "0000-0000"),
        ("378282246310005", "378282246310005"),
        ("DE89370400440532013000", "370400440532013000"),
        ("DE89 3704 0044 0532 0130 00", "0044 0532"),
        ("536-90-4399", "536-90-4399"),
        ("password=hunter2", "hunter2"),
        ("\"password\":\"hunter2\"", "hunter2"),
        ("https://jane:hunter2@host/x", "hunter2"),
        ("Authorization: Bearer hunter2hunter2", "hunter2"),
        ("AKIAIOSFODNN7EXAMPLE", "IOSFODNN7"),
    ];
    fuzz(
        |case| {
            let random = Seeded::new(case);
            let (secret, trace) = planted[pick(&random, planted.len())];
            let (left, right) = (LEFT[pick(&random, LEFT.len())], RIGHT[pick(&random, RIGHT.len())]);
            let text = format!("{} canary {left}{secret}{right}", CORPUS[CORPUS.len() - 1]);
            let encoded: String = text
                .bytes()
                .map(|byte| match byte.is_ascii_alphanumeric() && pick(&random, 4) > 0 {
                    true => char::from(byte).to_string(),
                    false => format!("%{byte:02X}"),
                })
                .collect();
            (text, trace, encoded)
        },
        |(text, trace, encoded)| {
            let scrubbed =
                |text: &str| scrubber.scrub_str(text, &mut Counts::new()).unwrap_or_else(|| text.to_owned());
            let out = scrubbed(text);
            assert!(!out.contains(trace), "{out:?}");
            assert!(out.contains("canary"), "the neighbours survive: {out:?}");

            // The same in JSON within JSON, and percent-encoded.
            let nested = json::to_string(&Value::from(json::to_string(&Value::from(text.as_str()))));
            let out = scrubbed(&nested);
            assert!(!out.contains(trace), "{nested:?} became {out:?}");
            let out = scrubbed(encoded);
            assert!(!percent_decoded(&out).contains(trace), "{encoded:?} became {out:?}");
        },
    );
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = &tail[2..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[test]
fn hostile_repetition_stays_linear() {
    let scrubber = Scrubber::default();
    for unit in [
        "password=",
        "password=\"",
        "cookie: a=",
        "token={",
        "://a:b",
        "x://a:bx",
        "eyJ.",
        "sk-",
        "aA1",
        "%41",
        "\\u0041",
        "&#65;",
        "1",
        "1 ",
        "4111 ",
        "4111-",
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "AAAA/",
        "Aa0+",
        "a111111111111",
        "DE89",
        "DE89 ",
        "Bearer ",
        "a,",
        "password=a,",
        "\"",
        "\\",
        "\\\"",
        "[\"token\",",
        "=",
        "<token>",
        "４",
        "@tcp(",
        "a@b.c",
        "é",
        "password:",
        "n=1234567890123456789 ",
        "ghp_",
        "_4111111111111111",
    ] {
        // The debug build of the tests is slow, the crate is not.
        let text = unit.repeat(2_000_000 / unit.len());
        let started = std::time::Instant::now();
        let _ = scrubber.scrub_str(&text, &mut Counts::new());
        let seconds = started.elapsed().as_secs_f64();
        println!("{unit:?} {seconds:.3} s");
        assert!(seconds < 5.0, "{unit:?} took {seconds} s");
    }
}
