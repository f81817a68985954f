//! What is said of files that are none.

use candor_policy::{lint, read};

fn faults(text: &str) -> String {
    let faults = read("policy.toml", text).expect_err("has faults");
    faults.iter().map(|fault| format!("{fault}\n")).collect()
}

#[test]
fn every_fault_is_told_with_its_place() {
    let text = r#"candor_policy = 1
extends = "preset:stric"

[collect]
user_agnet = "drop"
ip = { action = "generalize", v4 = 40 }
device_ids = ["drop"]

[[activity]]
id = "errors"
legal_basis = "consent"
subjects = ["costumer"]
retention = { live = "a month" }

[[scrub.rule]]
id = "a"
[[scrub.rule]]
id = "a"

[consent]
mode = "opt_in"
"#;
    expect_test::expect![[r#"
        policy.toml:11:15: activity.errors.legal_basis: "consent" is no term of it; there are: eu-gdpr:A6-1-a, eu-gdpr:A6-1-b, eu-gdpr:A6-1-c, eu-gdpr:A6-1-d, eu-gdpr:A6-1-e, eu-gdpr:A6-1-f
        policy.toml:13:22: activity.errors.retention.live: "a month" is no span of time; a span of time is a whole number and s, m, h, d, w or y, as in 30d
        policy.toml:12:12: activity.errors.subjects: "costumer" is no term of it; did you mean `customer`?
        policy.toml:7:14: collect.device_ids: this is a list; write one of drop, pseudonym, keep
        policy.toml:6:17: collect.ip.action: "generalize" is not taken here; did you mean `generalise`?
        policy.toml:6:36: collect.ip.v4: 40 is out of range; write a whole number from 0 to 32
        policy.toml:5:14: collect.user_agnet: there is no such key; did you mean `user_agent`?
        policy.toml:21:8: consent.mode: this is a text, not a table; write a table with default
        policy.toml:17:1: scrub.rule.a: two have the same `id`; give each its own
        policy.toml:2:11: extends: there is no "preset:stric"; did you mean `preset:strict`?
    "#]].assert_eq(&faults(text));
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    expect_test::expect![[r#"
        policy.toml:2:9: this is not TOML: unclosed table, expected `]`; see https://toml.io for how it is written
    "#]].assert_eq(&faults("candor_policy = 1\n[collect\nip = 3\n"));
}

#[test]
fn a_file_says_its_version_and_nothing_of_another() {
    expect_test::expect![[r#"
        policy.toml:1:1: it does not say which version of the language it is in; write `candor_policy = 1`
        policy.toml:1:17: candor_policy: 2 is out of range; write 1
    "#]]
    .assert_eq(&(faults("") + &faults("candor_policy = 2\n")));
}

#[test]
fn an_item_that_is_not_whole_names_what_is_missing() {
    let text =
        "candor_policy = 1\n[[activity]]\nid = \"new\"\nsignals = [\"logs\"]\n[[recipient]]\nid = \"x\"\n";
    expect_test::expect![[r#"
        policy.toml:2:1: activity.new: `legal_basis` is missing: what allows it: eu-gdpr:A6-1-f; write `legal_basis = …`, a term, as in "eu-gdpr:A6-1-f"
        policy.toml:2:1: activity.new: `retention.backups` is missing: how long copies are kept; write `retention.backups = …`, a span of time, as in "30d"
        policy.toml:2:1: activity.new: `retention.basis` is missing: for a fixed time, or as long as an account; write `retention.basis = …`, one of fixed, account
        policy.toml:2:1: activity.new: `retention.live` is missing: how long it is kept; write `retention.live = …`, a span of time, as in "30d"
        policy.toml:2:1: activity.new: `retention.max_lag` is missing: how much later its bytes are gone; write `retention.max_lag = …`, a span of time, as in "30d"
        policy.toml:5:1: recipient.x: `country` is missing: where; write `country = …`, a term, as in "DE"
        policy.toml:5:1: recipient.x: `name` is missing: who it is; write `name = …`, a text
        policy.toml:5:1: recipient.x: `role` is missing: processor, sub-processor, third party; write `role = …`, a term, as in "dpv:DataSubProcessor"
    "#]].assert_eq(&faults(text));
}

/// What parses and may not hold, or should be looked at.
#[test]
fn the_lint_says_what_and_where_and_what_to_write() {
    let text = r#"candor_policy = 1

[[activity]]
id = "operations"
signals = ["logs", "metrics", "checks", "tracez"]
retention = { live = "1d", max_lag = "1h", backups = "30d", basis = "account" }

[consent]
mode = { default = "implied", DE = "implied" }
signals = { gpc = [], dnt = [] }
children = { min_age = 12 }

[collect]
enrichment = ["clearbit"]

[collect.streams.orders]
subject_key = "customer"
values = "opaque"

[scrub]
rule = [
  { id = "one", at = "a.(b", detect = ["crad"], action = "hash" },
  { id = "two", at = "**", pattern = "(a", action = "remove" },
]

[residency]
countries = ["DE"]

[[recipient]]
id = "aws"
name = "AWS"
country = "US"
role = "dpv:DataProcessor"
endpoints = ["http://aws.example"]

[sharing]
ads = "allowed"
aggregates = { to = ["press"], k = 1 }

[governance]
breach = { authority_hours = 100 }
"#;
    let resolved = read("policy.toml", text).expect("parses");
    let found: String = lint(&resolved).iter().map(|finding| format!("{finding}\n")).collect();
    expect_test::expect![[r#"
        policy.toml:5:11: error: activity.operations.signals: there is no signal "tracez"; there are: logs, errors, spans, metrics, checks, replays, stream:*
        policy.toml:1:1: error: activity: topics without an entry are in no activity; name `stream:*` in the signals of one
        policy.toml:6:38: error: activity.operations.retention.max_lag: 1h cannot be kept: an ended file is there for two hours, for readers that began before; write at least "2h"
        policy.toml:6:54: error: activity.operations.retention.backups: copies outlive what they are copies of; write at most `live` and `max_lag` together
        policy.toml:6:69: warning: activity.operations.retention.basis: Candor does not know when an account ends: `live` holds; write "fixed"
        policy.toml:17:15: error: collect.streams.orders.subject_key: "customer" is no path; write it as in `$.customer.id`
        policy.toml:18:10: error: collect.streams.orders.values: values that are never opened are refused here; write `opaque = "allow"` beside it
        policy.toml:22:22: error: scrub.rule.one.at: "a.(b" is no selector: a path is expected: a key, `*`, `**`, `$type`, or a key in single quotes at byte 2; see `candor policy schema` for how places are written
        policy.toml:22:39: error: scrub.rule.one.detect: there is no detector "crad"; did you mean `card`?
        policy.toml:22:58: error: scrub.rule.one.action: there is no action "hash"; there are: remove, replace:TEXT, mask:KEEP_LAST, truncate:CHARACTERS, generalise, pseudonym, drop_field, drop_event, alert
        policy.toml:1:1: error: scrub: there is no detector "crad"; change the rule that is named
        policy.toml:9:36: error: consent.mode.DE: consent by use alone is none in Europe, and nobody tells where a record is from; write "opt_in", or "opt_out" where an activity rests on another basis
        policy.toml:9:20: error: consent.mode.default: consent by use alone is none in Europe, and nobody tells where a record is from; write "opt_in", or "opt_out" where an activity rests on another basis
        policy.toml:10:19: warning: consent.signals.gpc: this signal of browsers is ignored, and the page says so; list what it switches off: "no_share", "no_replay", "no_id"
        policy.toml:10:29: warning: consent.signals.dnt: this signal of browsers is ignored, and the page says so; list what it switches off: "no_share", "no_replay", "no_id"
        policy.toml:10:19: error: consent.signals.gpc: data is shared, and Global Privacy Control is an objection to that; write `gpc = ["no_share"]`
        policy.toml:11:24: error: consent.children.min_age: no law sets an age below 13; write 13 to 18, or 0 where none is kept out
        policy.toml:29:1: error: recipient.aws.transfer: nothing is named that allows data to go to US; write "eu-gdpr:A46-2-c" where standard clauses were agreed, "eu-gdpr:A45-3" for an adequacy decision
        policy.toml:34:13: error: recipient.aws.endpoints: http://aws.example is not encrypted; write an https address
        policy.toml:38:36: error: sharing.aggregates.k: a sum over one person is that person; write at least 2; 20 is usual
        policy.toml:14:14: error: collect.enrichment: Candor completes records from nowhere; write `enrichment = []`
        policy.toml:41:30: error: governance.breach.authority_hours: the authority is to be told within 72 hours (GDPR Art. 33); write 72 or less
        policy.toml:1:1: warning: controller.name: the page does not say who is responsible and where to write to; write `controller.name` and `notice.contact`
    "#]].assert_eq(&found);
}
