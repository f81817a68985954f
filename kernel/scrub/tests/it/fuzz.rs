//! Mutated and planted input: nothing panics, nothing planted survives, twice is once.

use candor_model::json::{self, Leniency};
use candor_model::random::Seeded;
use candor_model::{Random, Value};
use candor_scrub::{Counts, Scrubber};

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

fn fuzz_seconds() -> f64 {
    std::env::var("CANDOR_FUZZ_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(1.0)
}

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

#[test]
fn twice_is_once() {
    let random = Seeded::new(11);
    let scrubber = Scrubber::default();
    let started = std::time::Instant::now();
    let (mut rounds, mut struck, mut gave_up) = (0u64, 0u64, 0u64);
    while started.elapsed().as_secs_f64() < fuzz_seconds() {
        for _ in 0..200 {
            rounds += 1;
            let text = mutated(&random);
            if let Some(once) = scrubber.scrub_str(&text, &mut Counts::new()) {
                struck += 1;
                gave_up += u64::from(once == "[secret]" && text.len() > 20);
                let mut counts = Counts::new();
                let twice = scrubber.scrub_str(&once, &mut counts);
                assert_eq!(twice, None, "from {text:?} to {once:?}");
                assert!(counts.is_empty());
            }
            let key = CORPUS[pick(&random, CORPUS.len())].split(['=', ':', ' ']).next().unwrap_or_default();
            if let Some(once) = scrubber.scrub_field(key, &text, &mut Counts::new()) {
                assert_eq!(scrubber.scrub_field(key, &once, &mut Counts::new()), None, "{key} of {text:?}");
            }
            if let Ok(mut value) = json::parse(text.as_bytes(), Leniency::LENIENT) {
                scrubber.scrub_value(&mut value, None, &mut Counts::new());
                let once = json::to_string(&value);
                scrubber.scrub_value(&mut value, None, &mut Counts::new());
                assert_eq!(json::to_string(&value), once, "from {text:?}");
            }
        }
    }
    println!("{rounds} texts, {struck} struck, {gave_up} blanked whole");
    assert!(struck * 4 > rounds, "the corpus still strikes");
}

/// What may stand right before and behind a planted secret.
const LEFT: &[&str] =
    &["", " ", "x ", "(", "[", "'", "\"", "=", ":", ",", ";", "/", "\n", "é", "|", "<", "#", "key=", "n: "];
const RIGHT: &[&str] =
    &["", " ", " x", ")", "]", "'", "\"", ",", ";", "/", "\n", ".", "?", "é", "|", ">", "&a=b", ", n: 1"];

#[test]
fn nothing_planted_survives() {
    let random = Seeded::new(12);
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
    let started = std::time::Instant::now();
    let mut rounds = 0u64;
    while started.elapsed().as_secs_f64() < fuzz_seconds() {
        for _ in 0..200 {
            rounds += 1;
            let (secret, trace) = planted[pick(&random, planted.len())];
            let (left, right) = (LEFT[pick(&random, LEFT.len())], RIGHT[pick(&random, RIGHT.len())]);
            let noise = CORPUS[CORPUS.len() - 1];
            let text = format!("{noise} canary {left}{secret}{right}");
            let out = scrubber.scrub_str(&text, &mut Counts::new()).unwrap_or_else(|| text.clone());
            assert!(!out.contains(trace), "{text:?} became {out:?}");
            assert!(out.contains("canary"), "the neighbours survive: {out:?}");

            // The same in JSON within JSON, percent-encoded, and in base64.
            let nested = json::to_string(&Value::from(json::to_string(&Value::from(text.as_str()))));
            let out = scrubber.scrub_str(&nested, &mut Counts::new()).unwrap_or_else(|| nested.clone());
            assert!(!out.contains(trace), "{nested:?} became {out:?}");
            let encoded: String = text
                .bytes()
                .map(|byte| match byte.is_ascii_alphanumeric() && pick(&random, 4) > 0 {
                    true => char::from(byte).to_string(),
                    false => format!("%{byte:02X}"),
                })
                .collect();
            let out = scrubber.scrub_str(&encoded, &mut Counts::new()).unwrap_or_else(|| encoded.clone());
            let decoded = percent_decoded(&out);
            assert!(!decoded.contains(trace), "{encoded:?} became {out:?}");
        }
    }
    println!("{rounds} texts");
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
