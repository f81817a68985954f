//! Sentry's data scrubbing as rules of a policy.

use candor_policy::{Imported, import_sentry, lint, read};
use candor_scrub::{Leaf, RecordKind, Scrubber, Selector};

fn import(text: &str) -> Imported {
    import_sentry("pii.json", text)
}

fn faults(imported: &Imported) -> String {
    imported.faults.iter().map(|fault| format!("{fault}\n")).collect()
}

const SETTINGS: &str = r#"{
  "rules": {
    "device": { "type": "pattern", "pattern": "d/[a-f0-9]{12}", "redaction": { "method": "hash" } },
    "order": { "type": "pattern", "pattern": "ORD-(\\d+)", "replaceGroups": [1], "redaction": { "method": "replace", "text": "[order]" } },
    "names": { "type": "redact_pair", "keyPattern": "^(first_name|last_name)$" },
    "parts": { "type": "redact_pair", "keyPattern": "secret|token" },
    "both": { "type": "multiple", "rules": ["@email", "device"], "redaction": { "method": "mask" } },
    "again": { "type": "alias", "rule": "again" },
    "odd": { "type": "faces" }
  },
  "applications": {
    "$string": ["@ip:replace", "@creditcard:mask", "@usssn:mask", "device"],
    "$user && !user.id": ["@anything:remove"],
    "extra.'free text'": ["both", "order", "names"],
    "**": ["parts", "odd", "missing", "@nothing", "again"],
    "$string &&": ["@ip"]
  }
}"#;

#[test]
fn what_can_be_said_is_and_what_cannot_is_told() {
    let imported = import(SETTINGS);
    expect_test::expect![[r#"
        [[scrub.rule]]
        id = "sentry_ip_replace"
        at = "$string"
        detect = ["ip"]
        action = "replace:[ip]"

        [[scrub.rule]]
        id = "sentry_creditcard_mask"
        at = "$string"
        detect = ["card", "ssn_us"]
        action = "mask"

        [[scrub.rule]]
        id = "sentry_device"
        at = "$string"
        pattern = "d/[a-f0-9]{12}"
        action = "pseudonym"

        [[scrub.rule]]
        id = "sentry_anything_remove"
        at = "$user && !user.id"
        action = "remove"

        [[scrub.rule]]
        id = "sentry_email"
        at = "extra.'free text'"
        detect = ["email"]
        action = "mask"

        [[scrub.rule]]
        id = "sentry_device_2"
        at = "extra.'free text'"
        pattern = "d/[a-f0-9]{12}"
        action = "pseudonym"

        [[scrub.rule]]
        id = "sentry_order"
        at = "extra.'free text'"
        pattern = 'ORD-(\d+)'
        action = "replace:[order]"

        [[scrub.rule]]
        id = "sentry_names"
        at = "(extra.'free text') && ('first_name' || 'last_name')"
        action = "remove"

    "#]]
    .assert_eq(&imported.toml);
    expect_test::expect![[r#"
        pii.json:3:5: rules.device: a hash becomes a code under a key of the instance: other values than before, and none that can be guessed; look whether that will do
        pii.json:16:5: applications.$string &&: "$string &&" is no selector here: a path is missing at the end at byte 10; write the rule by hand
        pii.json:6:5: rules.parts: `parts` looks for parts of the names of members, which a selector cannot; name the members in the selector of a rule, as in `password || 'api key'`
        pii.json:9:5: rules.odd: `odd` is of a type that is not known: "faces"; write it by hand
        pii.json:15:28: rules.missing: there is no rule `missing`; define it, or leave it out
        pii.json:15:39: rules.@nothing: there is no built-in rule `@nothing`; see the list in Sentry's documentation
        pii.json:8:5: rules.again: `again` is named by rules that name rules, too deep; name it directly
        pii.json:3:5: rules.device: a hash becomes a code under a key of the instance: other values than before, and none that can be guessed; look whether that will do
        pii.json:4:5: rules.order: it strikes groups of its match alone; here the whole match is struck; look whether that will do
    "#]].assert_eq(&faults(&imported));
}

/// What was imported is a part of a policy, which may hold.
#[test]
fn what_was_imported_can_be_put_into_a_policy() {
    let text = format!("candor_policy = 1\n{}", import(SETTINGS).toml);
    let resolved = read("policy.toml", &text).unwrap_or_else(|faults| panic!("{faults:?}"));
    let about_rules: Vec<String> =
        lint(&resolved).iter().filter(|one| one.key.starts_with("scrub")).map(ToString::to_string).collect();
    assert_eq!(about_rules, Vec::<String>::new());
    Scrubber::new(resolved.policy.scrub_rules().expect("compile")).expect("scrubs");
    let names = resolved.policy.scrub.rules.iter().find(|rule| rule.id == "sentry_names").expect("is there");
    let at = Selector::parse(&names.at).expect("is a selector");
    let holds = |path: &[&str]| at.holds_at(Some(RecordKind::Error), path, Leaf::String);
    assert!(!holds(&["extra", "first_name"]), "it is narrowed to where the application is");
}

#[test]
fn a_pair_of_names_alone_holds_wherever_they_stand() {
    let imported = import(
        r#"{"rules":{"n":{"type":"redact_pair","keyPattern":"^(api key|pin)$"}},"applications":{"$string":["n"]}}"#,
    );
    assert_eq!(faults(&imported), "");
    let text = format!("candor_policy = 1\n{}", imported.toml);
    let rules = read("policy.toml", &text).expect("reads").policy.scrub.rules;
    let at = Selector::parse(&rules[0].at).expect("is a selector");
    let holds = |path: &[&str]| at.holds_at(Some(RecordKind::Error), path, Leaf::String);
    assert!(holds(&["extra", "PIN"]) && holds(&["extra", "api key"]) && !holds(&["extra", "pins"]));
    assert_eq!(rules[0].action, "remove");
}

#[test]
fn the_common_rules_are_all_there() {
    let imported = import(r#"{"applications":{"**":["@common"]}}"#);
    expect_test::expect![[r#"
        [[scrub.rule]]
        id = "sentry_common"
        at = "**"
        detect = ["ip"]
        action = "replace:[ip]"

        [[scrub.rule]]
        id = "sentry_common_2"
        at = "**"
        detect = ["email"]
        action = "replace:[email]"

        [[scrub.rule]]
        id = "sentry_common_3"
        at = "**"
        detect = ["card", "ssn_us"]
        action = "mask"

        [[scrub.rule]]
        id = "sentry_common_4"
        at = "**"
        detect = ["iban"]
        action = "replace:[iban]"

        [[scrub.rule]]
        id = "sentry_common_5"
        at = "**"
        detect = ["user_path"]
        action = "replace:[user]"

        [[scrub.rule]]
        id = "sentry_common_6"
        at = "**"
        detect = ["private_key"]
        action = "replace:[pemkey]"

        [[scrub.rule]]
        id = "sentry_common_7"
        at = "**"
        detect = ["url_credentials"]
        action = "replace:[auth]"

        [[scrub.rule]]
        id = "sentry_common_8"
        at = "**"
        detect = ["secrets:names"]
        action = "remove"

        [[scrub.rule]]
        id = "sentry_common_9"
        at = "**"
        detect = ["secrets:shapes"]
        action = "replace:Bearer [token]"

    "#]]
    .assert_eq(&imported.toml);
    assert_eq!(faults(&imported), "");
}

#[test]
fn it_is_found_in_the_settings_of_a_project() {
    let plain = import(r#"{"applications":{"$string":["@email:hash"]}}"#);
    let project = import(r#"{"config":{"piiConfig":{"applications":{"$string":["@email:hash"]}}}}"#);
    let text = import(r#""{\"applications\":{\"$string\":[\"@email:hash\"]}}""#);
    assert_eq!((&plain.toml, &plain.toml), (&project.toml, &text.toml));
    assert!(plain.toml.contains("action = \"pseudonym\""), "{}", plain.toml);
    assert_eq!(plain.faults.len(), 1, "a hash is not the same hash");
}

#[test]
fn what_is_no_such_file_is_refused() {
    let mut found = String::new();
    for text in [
        "",
        "[]",
        "{}",
        "{\"applications\":[]}",
        "{\"applications\":{\"**\":\"@ip\"}}",
        "{\"applications\":{\"**\":[1]}}",
    ] {
        found += &faults(&import(text));
    }
    expect_test::expect![[r#"
        pii.json:1:1: this is not JSON: EOF while parsing a value at line 1 column 0; see Sentry's documentation of Advanced Data Scrubbing
        pii.json:1:1: this is not an object; see Sentry's documentation of Advanced Data Scrubbing
        pii.json:1:1: there are no `applications`: no rule is in use; see Sentry's documentation of Advanced Data Scrubbing
        pii.json:1:1: there are no `applications`: no rule is in use; see Sentry's documentation of Advanced Data Scrubbing
        pii.json:1:1: the application of "**" is not a list; see Sentry's documentation of Advanced Data Scrubbing
        pii.json:1:1: the application of "**" is not a list of names; see Sentry's documentation of Advanced Data Scrubbing
    "#]].assert_eq(&found);
}

/// Rules that name many rules that name many rules: a bounded number is followed.
#[test]
fn rules_that_name_rules_come_to_an_end() {
    let mut rules = String::new();
    for level in 0..8 {
        let next = format!("\"r{}\",", level + 1).repeat(500);
        let list = next.trim_end_matches(',');
        rules += &format!("\"r{level}\":{{\"type\":\"multiple\",\"rules\":[{list}]}},");
    }
    let text = format!(
        "{{\"rules\":{{{rules}\"r8\":{{\"type\":\"multiple\",\"rules\":[]}}}},\"applications\":{{\"**\":[\"r0\"]}}}}"
    );
    let imported = import(&text);
    assert_eq!((imported.toml.as_str(), imported.faults.len()), ("", 1));
}
