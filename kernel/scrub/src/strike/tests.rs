//! What is let go unread.

use candor_model::Random;
use candor_model::random::Seeded;

use super::*;
use crate::plan::Compiled;
use crate::rules::{Rule, Rules, Scope};

/// What is let go unread has nothing in it that the pass would find.
#[test]
fn plain_text_has_no_hits() {
    let detectors = Detector::ALL.into_iter().filter(|detector| *detector <= Detector::Email).collect();
    let rule = Rule { id: "all".into(), detectors, action: Action::Remove, scope: Scope::Everywhere };
    let compiled = Compiled::new(Rules::of(vec![rule])).expect("the rule is taken");
    let tools = Tools { compiled: &compiled, plan: &compiled.everywhere };
    assert!(tools.plan.skips_plain);
    let pieces: &[&str] = &[
        "4",
        "1",
        "536904399",
        "378282246310005",
        "NO93",
        "86011117947",
        "eyJ",
        "sk-",
        "xoxb-",
        "AKIA",
        "Bearer",
        "Basic",
        "password",
        "pw",
        "token",
        "ssn",
        "card",
        "--",
        "-",
        "_",
        ".",
        "/",
        "+",
        "\n",
        "\"",
        "'",
        "<",
        "(",
        "[",
        "]",
        "#",
        "?",
        "é",
        "SG",
        "=",
        ":",
        ",",
        ">",
        "@",
        "&",
        "%41",
        "\\",
        " ",
        "\u{a0}",
        "４",
        "A",
    ];
    let random = Seeded::new(3);
    let mut plain = 0;
    for _ in 0..200_000 {
        let mut text = String::new();
        for _ in 0..random.next_u64() % 7 {
            text.push_str(pieces[random.next_u64() as usize % pieces.len()]);
        }
        if !scan::is_plain(text.as_bytes()) {
            continue;
        }
        plain += 1;
        let meanings = [Meaning::Ordinary, Meaning::Card, Meaning::Ssn, Meaning::Secret(Secrecy::Cookie)];
        for meaning in meanings {
            assert_eq!(tools.hits(&text, Some("card"), meaning), [], "{text:?} under {meaning:?}");
        }
    }
    assert!(plain > 10_000, "{plain}");
}
