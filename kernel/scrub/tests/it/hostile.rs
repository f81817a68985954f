//! What is written to slow the scrubber down or to pass it.

use candor_model::json::{self, Leniency};
use candor_model::{Object, Value};
use candor_scrub::{Counts, Detector, Scrubber};

use crate::personal::all;

/// Text as UTF-16 that was read byte by byte.
fn wide(text: &str) -> String {
    text.chars().flat_map(|character| [character, '\0']).collect()
}

#[test]
fn encodings_do_not_hide() {
    let scrubber = all();
    let base64 = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
    let base64_wide = |text: &str| {
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        data_encoding::BASE64.encode(&bytes)
    };
    let percent = |text: &str| text.bytes().map(|byte| format!("%{byte:02x}")).collect::<String>();
    let escaped = |text: &str| text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
    let nested = |text: &str| json::to_string(&Value::from(json::to_string(&Value::from(text))));
    let planted = [
        "pay with 4111111111111111 now",
        "IBAN DE89370400440532013000 it is",
        "ssn 536-90-4399 of mine",
        "password=hunter2hunter2 is it",
        "AKIAIOSFODNN7EXAMPLE is the key",
        "write to jane@example.com please",
        "call +14155550132 tonight",
        "from 203.0.113.97 it came",
        "card 00:1A:2B:3C:4D:5E on it",
    ];
    for text in planted {
        let encodings = [
            ("plain", text.to_owned()),
            ("wide", wide(text)),
            ("base64", base64(text)),
            ("base64 of UTF-16", base64_wide(text)),
            ("percent", percent(text)),
            ("twice percent", percent(&percent(text))),
            ("escaped", escaped(text)),
            ("nested", nested(text)),
            ("percent within base64", base64(&percent(text))),
            ("base64 within JSON", nested(&base64(text))),
            ("base64 within percent", percent(&base64(text))),
        ];
        for (name, encoded) in encodings {
            let struck = scrubber.scrub_str(&encoded, &mut Counts::new());
            assert!(struck.is_some(), "{text:?} as {name}: {encoded}");
            let once = struck.unwrap_or_default();
            assert_eq!(scrubber.scrub_str(&once, &mut Counts::new()), None, "twice is once: {once}");
        }
    }
}

#[test]
fn numbers_and_long_names() {
    let scrubber = Scrubber::default();
    let mut value = json::parse(
        br#"{"a":[4111111111111111,4.111111111111111e15],"b":{"c":378282246310005}}"#,
        Leniency::STRICT,
    )
    .expect("JSON");
    scrubber.scrub_value(&mut value, None, &mut Counts::new());
    assert_eq!(json::to_string(&value), r#"{"a":["[card]","[card]"],"b":{"c":"[card]"}}"#);

    let name = format!("{}4111111111111111{}", "key ".repeat(150_000), " token".repeat(60_000));
    let mut object: Object = [(name, Value::from("x"))].into_iter().collect();
    scrubber.scrub_object(&mut object, &mut Counts::new());
    let out = json::to_string(&Value::Object(object));
    assert!(!out.contains("4111111111111111") && out.contains("[card]") && out.len() > 900_000);
}

/// Sixteen times the text may not take much more than sixteen times as long.
#[test]
fn time_grows_with_the_text() {
    let detectors = Detector::ALL.len();
    assert_eq!(detectors, 14, "a new detector has its hostile text here");
    let scrubber = all();
    let small = 60_000;
    for unit in [
        "+1415555",
        "+1 ",
        "1-2-",
        "(415) ",
        "555-0132 ",
        "415-555-",
        "phone: ",
        "call me at ",
        "1.2.",
        "10.0.0.",
        "::",
        "a:b:",
        ":1",
        "fe80::1%",
        "00:1A:",
        "AA-BB-",
        "0012.3456.",
        "/home/",
        "/Users/a",
        "C:\\Users\\",
        "\\Users\\a b ",
        "https://x/home/",
        "imei ",
        "35-209900-",
        "a@",
        "@b.c",
        "a@b.c.",
        "user@[",
        "sha256~",
        "Q~",
        "8Q~aaaaaaaaaaaaaaaa",
        "|aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "curl -u a:",
        "-u ",
        "value=\"",
        "key=\"token\" value=\"",
        "token string = ",
        "token ::= ",
        "<token>\n",
        "pat.",
        "SG.a.",
        "eyJrIjoi",
        "AAAAAAAAAAAAAAAAAAAA%",
        "\0",
        "4\0",
        "N\0D\0",
        "%2541",
        "\\\\u0041",
        "&amp;",
        "4111\u{a0}",
        "１２３",
        "hooks.slack.com/aaaaaaaaaaaaaaaaaaaa/",
    ] {
        let time = |bytes: usize| {
            let text = unit.repeat(bytes / unit.len());
            let best = (0..3).map(|_| {
                let started = std::time::Instant::now();
                let _ = scrubber.scrub_str(&text, &mut Counts::new());
                started.elapsed().as_secs_f64()
            });
            best.fold(f64::MAX, f64::min)
        };
        let (short, long) = (time(small).max(2e-4), time(small * 16));
        let ratio = long / short;
        println!("{unit:?}: {:.1} ms, {ratio:.1} times", long * 1e3);
        assert!(ratio < 60.0, "{unit:?}: 16 times the text took {ratio:.0} times as long");
    }
}

/// A record of one member in one member in one … is walked or blanked, and never recursed into without bound.
#[test]
fn deep_and_wide_records() {
    let scrubber = Scrubber::default();
    let time = |members: usize| {
        let members = (0..members).map(|index| (format!("a{index}"), Value::from("password=hunter2")));
        let mut value = Value::Object(members.collect());
        let started = std::time::Instant::now();
        scrubber.scrub_value(&mut value, None, &mut Counts::new());
        started.elapsed().as_secs_f64()
    };
    time(1_000);
    let (small, large) = (time(5_000).max(1e-4), time(80_000));
    assert!(large / small < 80.0, "16 times the members took {:.0} times as long", large / small);

    // Names that become alike.
    let names = |count: usize| {
        let members = (0..count).map(|index| (format!("password=x{index}"), Value::from(1)));
        let mut object: Object = members.collect();
        let started = std::time::Instant::now();
        scrubber.scrub_object(&mut object, &mut Counts::new());
        let distinct: std::collections::HashSet<&str> =
            object.0.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(distinct.len(), count);
        started.elapsed().as_secs_f64()
    };
    let best = |count: usize| (0..3).map(|_| names(count)).fold(f64::MAX, f64::min);
    let (small, large) = (best(2_000).max(1e-4), best(32_000));
    assert!(large / small < 120.0, "16 times the names took {:.0} times as long", large / small);
}
