//! What the maps leave out has nothing in it.

use std::collections::BTreeSet;

use candor_model::Random;
use candor_model::random::Seeded;

use super::*;
use crate::plan::Compiled;
use crate::rules::{Action, Rule, Rules, Scope};

const PIECES: &[&str] = &[
    "4111 1111 1111 1111",
    "4111-1111",
    "4111111111111111",
    "378282246310005",
    "536-90-4399",
    "536904399",
    "536 90 4399",
    "DE89370400440532013000",
    "DE89 3704 0044 0532 0130 00",
    "GB82_WEST",
    "AKIAIOSFODNN7EXAMPLE",
    "ghp_0123456789abcdefghijABCDEFGHIJ012345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "Bearer",
    "Basic",
    "dXNlcjpwYXNzd29yZDE=",
    "password",
    "token",
    "card",
    "ssn",
    "--password",
    "-u",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----",
    "https://jane:hunter2@example.org/",
    "jane@example.org",
    "%34%31",
    "\\u0034",
    "\\n",
    "\\t",
    "\\",
    "&quot;",
    "\u{0}",
    "\u{a0}",
    "４１１１",
    "=",
    ":",
    ": ",
    "\", \"",
    ">",
    "</",
    " ",
    "  ",
    " ",
    ".",
    "+",
    "-",
    "_",
    ",",
    "/",
    "\"",
    "'",
    "\n",
    "(",
    ")",
    "[",
    "]",
    "2026-01-02",
    "T03:04:05.123Z",
    "INFO",
    "worker",
    "1",
    "42",
    "0000",
    "a",
    "b",
    "xyz",
    "hunter2hunter2",
    "a1b2c3d4e5f60718293a4b5c6d7e8f90",
    "order_",
    "f_4111",
    "1111",
    "\u{fc}",
];

/// The same pass, told to read everything.
fn read_whole<'a>(text: &'a str, tools: Tools<'a>) -> (Vec<Hit>, u8) {
    let mut scan = Scan::new(text.as_bytes(), tools);
    let mut reading = Reading::default();
    scan.read::<true, true>(0, text.len(), &mut reading);
    scan.end_chain(&mut reading.chain);
    (scan.hits, scan.signs)
}

#[test]
fn maps_leave_out_nothing_that_reading_finds() {
    let detectors = Detector::ALL.into_iter().filter(|detector| *detector != Detector::Whole).collect();
    let rule = Rule { id: "all".into(), detectors, action: Action::Remove, scope: Scope::Everywhere };
    let compiled = Compiled::new(Rules::of(vec![rule])).expect("the rule is taken");
    let tools = Tools { compiled: &compiled, plan: &compiled.everywhere };
    let random = Seeded::new(7);
    let below = |bound: usize| random.next_u64() as usize % bound;
    let (mut found, mut texts, mut more) = (0, 0, 0);
    while texts < 60_000 {
        let mut text = String::new();
        for _ in 0..1 + below(24) {
            text.push_str(PIECES[below(PIECES.len())]);
        }
        let mut mapped = Scan::new(text.as_bytes(), tools);
        mapped.pass();
        let whole = read_whole(&text, tools);
        // Numbers are read apart from the rest, and what a number covers is not looked at for a name's value: so there
        // may be a find more around one, and none may be missing.
        assert_eq!(mapped.signs, whole.1, "{text:?}");
        let struck = |hits: &[Hit]| hits.iter().flat_map(|hit| hit.start..hit.end).collect::<BTreeSet<_>>();
        let (by_maps, by_reading) = (struck(&mapped.hits), struck(&whole.0));
        assert!(by_maps.is_superset(&by_reading), "{text:?}: {:?} and {:?}", mapped.hits, whole.0);
        more += usize::from(by_maps != by_reading);
        found += usize::from(!whole.0.is_empty());
        texts += 1;
    }
    assert!(more < texts / 200, "{more} of {texts} texts have more struck");
    assert!(found > texts / 4, "{found} of {texts} texts have anything in them");
}
