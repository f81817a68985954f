//! Files of all kinds: a policy or faults, never a panic.

use candor_model::Random;
use candor_model::random::Seeded;

use crate::files::SHOP;

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

#[test]
fn no_file_makes_it_panic() {
    let random = Seeded::new(11);
    let below = |most: usize| (random.next_u64() % most.max(1) as u64) as usize;
    for round in 0..4_000 {
        let mut text = if round % 2 == 0 { SHOP.to_owned() } else { String::new() };
        for _ in 0..1 + below(6) {
            let mut at = below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            match below(3) {
                0 => text.truncate(at),
                _ => text.insert_str(at, PIECES[below(PIECES.len())]),
            }
        }
        if let Ok(resolved) = candor_policy::read("policy.toml", &text) {
            candor_policy::lint(&resolved);
            candor_policy::diff(&resolved.policy, &resolved.policy);
        }
    }
}
