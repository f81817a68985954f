//! Files of all kinds: a policy or faults, never a panic.

use candor_model::Random;
use candor_model::random::Seeded;
use candor_testbed::fuzz::fuzz;

use crate::files::{SHOP, WHOLE};

/// Pieces of the language, and of what breaks it.
const PIECES: &[&str] = &[
    "\n",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ".",
    ",",
    "\"",
    "'",
    "\"\"\"",
    "#",
    "é",
    "\u{0}",
    "1",
    "-1",
    "1e400",
    "9223372036854775808",
    "0x1F",
    "nan",
    "true",
    "2026-12-01",
    "2026-13-41",
    "candor_policy = 1",
    "extends",
    "preset:strict",
    "activity",
    "scrub.rule",
    "collect.streams.\"*\"",
    "collect.ip",
    "retention",
    "live = \"30d\"",
    "at = \"**\"",
    "id = \"x\"",
    "without = [\"a.b\"]",
    "= [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p = 1",
];

/// A file that was cut and put together by chance.
fn broken(whole: &str, case: u64) -> String {
    let random = Seeded::new(case);
    let below = |most: usize| (random.next_u64() % most.max(1) as u64) as usize;
    let mut text = if case.is_multiple_of(2) { whole.to_owned() } else { String::new() };
    for _ in 0..1 + below(6) {
        let at = text.floor_char_boundary(below(text.len() + 1));
        match below(3) {
            0 => text.truncate(at),
            _ => text.insert_str(at, PIECES[below(PIECES.len())]),
        }
    }
    text
}

#[test]
fn no_file_makes_it_panic() {
    fuzz(
        |case| broken(if case.is_multiple_of(4) { SHOP } else { WHOLE }, case),
        |text| {
            if let Ok(resolved) = candor_policy::read("policy.toml", text) {
                candor_policy::lint(&resolved);
                assert_eq!(candor_policy::diff(&resolved.policy, &resolved.policy), []);
            }
        },
    );
}

#[test]
fn no_settings_of_another_make_it_panic() {
    const SETTINGS: &str = r#"{"rules":{"a":{"type":"multiple","rules":["a","b","@common"]},"b":{"type":"pattern",
        "pattern":"é+","redaction":{"method":"replace","text":"x\"\n"}}},"applications":{"$string || 'a b'":["a","b"]}}"#;
    fuzz(
        |case| broken(SETTINGS, case),
        |text| {
            let imported = candor_policy::import_sentry("pii.json", text);
            let policy = format!("candor_policy = 1\n{}", imported.toml);
            candor_policy::read("policy.toml", &policy).expect("what was made is read");
        },
    );
}
