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
        policy.toml:2:11: extends: there is no "preset:stric"; did you mean `preset:strict`?
        policy.toml:5:14: collect.user_agnet: there is no such key; did you mean `user_agent`?
        policy.toml:6:17: collect.ip.action: "generalize" is not taken here; did you mean `generalise`?
        policy.toml:6:36: collect.ip.v4: 40 is out of range; write a whole number from 0 to 32
        policy.toml:7:14: collect.device_ids: this is a list; write one of drop, pseudonym, keep
        policy.toml:11:15: activity.errors.legal_basis: "consent" is no term of it; there are: eu-gdpr:A6-1-a, eu-gdpr:A6-1-b, eu-gdpr:A6-1-c, eu-gdpr:A6-1-d, eu-gdpr:A6-1-e, eu-gdpr:A6-1-f
        policy.toml:12:12: activity.errors.subjects: "costumer" is no term of it; did you mean `customer`?
        policy.toml:13:22: activity.errors.retention.live: "a month" is no span of time; a span of time is a whole number and s, m, h, d, w or y, as in 30d
        policy.toml:17:1: scrub.rule.a: two have the same `id`; give each its own
        policy.toml:21:8: consent.mode: this is a text, not a table; write a table with default
    "#]].assert_eq(&faults(text));
}

#[test]
fn a_file_that_is_no_toml_says_where() {
    expect_test::expect![[r#"
        policy.toml:2:9: this is not TOML: unclosed table, expected `]`; see https://toml.io for how it is written
    "#]].assert_eq(&faults("candor_policy = 1\n[collect\nip = 3\n"));
}

#[test]
fn what_a_file_does_without_has_to_be_there() {
    expect_test::expect![[r#"
        policy.toml:2:12: without: preset:strict has no `recipient.aws`; name a key, or an item by its name, as in `recipient.aws`
        policy.toml:2:51: without: preset:strict has no `collect.ipp`; name a key, or an item by its name, as in `recipient.aws`
    "#]].assert_eq(&faults(
        "candor_policy = 1\nwithout = [\"recipient.aws\", \"scrub.rule.secrets\", \"collect.ipp\"]\n",
    ));
}

#[test]
fn every_fault_of_writing_is_told_at_once() {
    let text = "candor_policy = 1\n[collect]\nip = \nuser_agent = drop\n[scrub\nkeys_too = true\n";
    expect_test::expect![[r#"
        policy.toml:5:7: this is not TOML: unclosed table, expected `]`; see https://toml.io for how it is written
        policy.toml:3:6: this is not TOML: string values must be quoted, expected literal string; see https://toml.io for how it is written
        policy.toml:4:14: this is not TOML: string values must be quoted, expected literal string; see https://toml.io for how it is written
    "#]].assert_eq(&faults(text));
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
endpoints = ["http://aws.example", "mailto:a@b.example"]

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
        policy.toml:22:58: error: scrub.rule.one.action: "hash": a hash without a key is undone by guessing; `pseudonym` has one; there are: remove, replace:TEXT, mask:KEEP_LAST, truncate:CHARACTERS, generalise, pseudonym, drop_field, drop_event, alert
        policy.toml:1:1: error: scrub: there is no detector "crad"; change the rule that is named
        policy.toml:9:36: error: consent.mode.DE: consent by use alone is none in Europe; write "opt_in", or "opt_out" where activities rest on another basis; of the default also by naming EEA, UK and CH
        policy.toml:9:20: error: consent.mode.default: consent by use alone is none in Europe; write "opt_in", or "opt_out" where activities rest on another basis; of the default also by naming EEA, UK and CH
        policy.toml:10:19: warning: consent.signals.gpc: this signal of browsers is ignored, and the page says so; list what it switches off: "no_share", "no_replay", "no_id"
        policy.toml:10:29: warning: consent.signals.dnt: this signal of browsers is ignored, and the page says so; list what it switches off: "no_share", "no_replay", "no_id"
        policy.toml:10:19: error: consent.signals.gpc: data is shared, and Global Privacy Control is an objection to that; write `gpc = ["no_share"]`
        policy.toml:11:24: error: consent.children.min_age: no law sets an age below 13; write 13 to 18, or 0 where none is kept out
        policy.toml:29:1: error: recipient.aws.transfer: nothing is named that allows data to go to US; write "eu-gdpr:A46-2-c" where standard clauses were agreed, "eu-gdpr:A45-3" for an adequacy decision
        policy.toml:34:13: error: recipient.aws.endpoints: http://aws.example is not encrypted; write an https address
        policy.toml:34:13: error: recipient.aws.endpoints: "mailto:a@b.example" is no address: nothing can be sent there; write https://HOST, or HOST:PORT of a broker
        policy.toml:38:36: error: sharing.aggregates.k: a sum over one person is that person; write at least 2; 20 is usual
        policy.toml:14:14: error: collect.enrichment: Candor completes records from nowhere; write `enrichment = []`
        policy.toml:41:30: error: governance.breach.authority_hours: the authority is to be told within 72 hours (GDPR Art. 33); write 72 or less
        policy.toml:1:1: warning: controller.name: the page does not say who is responsible and where to write to; write `controller.name` and `notice.contact`
    "#]].assert_eq(&found);
}

/// What has no effect, and what two parts of a policy say of the same that cannot both be.
#[test]
fn the_lint_says_what_has_no_effect_and_what_cannot_be_both() {
    let text = r#"candor_policy = 1
extends = "preset:better-stack-2022"

[notice]
languages = []
authority = "EU-US Privacy Shield Panel"

[controller]
role = { default = "controller", customers = "processor" }

[[site]]
name = "a"
origins = ["https://a.example/shop", "https://b.example"]
[[site]]
name = "b"
origins = ["https://b.example"]

[[activity]]
id = "errors"
title = "Anonymous reports"
subjects = ["anonymous_user"]

[consent]
mode = { EAA = "opt_in", CA-QC = "opt_in" }
signals = { gpc = [] }

[collect.streams."a topic"]
opaque = "reject"

[[scrub.rule]]
id = "one"
at = "**"
detect = ["pii:all"]
action = "remove"
[[scrub.rule]]
id = "two"
at = "extra.mail"
detect = ["email"]
action = "hash"
[[scrub.allow]]
at = "extra.path"
detect = ["whole"]
reason = "nothing looks for it"

[[recipient]]
id = "ads"
name = "Ads"
country = "DE"
role = "dpv:ThirdParty"
uses = ["marketing.advertising.serving"]
endpoints = ["https://ads.example"]

[governance]
legal_requests = { approvers = 0 }
reads = { roles = { support = "all", viewer = "tokens" } }
"#;
    let resolved = read("policy.toml", text).expect("parses");
    let found: String = lint(&resolved).iter().map(|finding| format!("{finding}\n")).collect();
    expect_test::expect![[r#"
        policy.toml:39:10: error: scrub.rule.two.action: "hash": a hash without a key is undone by guessing; `pseudonym` has one; there are: remove, replace:TEXT, mask:KEEP_LAST, truncate:CHARACTERS, generalise, pseudonym, drop_field, drop_event, alert
        policy.toml:1:1: error: scrub: "hash": a hash without a key is undone by guessing; `pseudonym` has one; change the rule that is named
        policy.toml:25:19: warning: consent.signals.gpc: this signal of browsers is ignored, and the page says so; list what it switches off: "no_share", "no_replay", "no_id"
        preset:better-stack-2022:25:39: warning: consent.signals.dnt: this signal of browsers is ignored, and the page says so; list what it switches off: "no_share", "no_replay", "no_id"
        policy.toml:1:1: warning: controller.name: the page does not say who is responsible and where to write to; write `controller.name` and `notice.contact`
        policy.toml:1:1: error: collect.streams.a topic: no topic can be called "a topic"; name one topic, or `*` for all others
        policy.toml:24:34: error: consent.mode.CA-QC: senders state countries, not parts of them; name the country
        policy.toml:24:16: error: consent.mode.EAA: "EAA" is no term of it; write a country, as in "DE", or one of EEA, EU, UK, CA-QC, US-CA
        policy.toml:13:11: error: site.a.origins: "https://a.example/shop" is no origin: no page is of it; write scheme and host alone, as in "https://shop.example"
        policy.toml:16:11: error: site.b.origins: https://b.example is one of a already; name each origin once
        policy.toml:9:46: error: controller.role.customers: no project is meant by that; write `"project:NAME"` or `"project:PREFIX/*"`
        policy.toml:55:31: warning: governance.reads.roles.support: nobody has the role "support"; name operator, viewer, responder or dpo
        policy.toml:35:1: warning: scrub.rule.two: it never strikes: `one` before it does, everywhere; put it before that one, or leave it out
        policy.toml:42:10: warning: scrub.allow.extra.path.detect: no rule looks for "whole": there is nothing to except; leave it out
        policy.toml:21:12: error: activity.errors.subjects: who has an address is not anonymous; add "customer" or "visitor"
        policy.toml:20:9: error: activity.errors.title: data with an address is not anonymous; call it pseudonymous, or otherwise
        policy.toml:50:8: error: recipient.ads.uses: it gets data for advertisements, and `sharing.ads` says that nobody does; leave that use out, or say in `sharing.ads` what holds
        policy.toml:50:8: error: recipient.ads.uses: it gets data for advertisements, and Global Privacy Control is an objection to that; write `gpc = ["no_share"]`
        policy.toml:5:13: error: notice.languages: the page is in no language; write `languages = ["en"]`
        policy.toml:6:13: error: notice.authority: "EU-US Privacy Shield Panel" names a framework that is void: nobody answers there; name the supervisory authority of the country
        policy.toml:54:32: warning: governance.legal_requests.approvers: data goes to authorities without anybody's approval; write 2
    "#]].assert_eq(&found);
}

#[test]
fn addresses_that_are_kept_are_named() {
    let text = "candor_policy = 1\n[collect]\nip = { action = \"generalise\", v4 = 24, v6 = 48 }\n";
    let found: Vec<String> =
        lint(&read("policy.toml", text).expect("parses")).into_iter().map(|finding| finding.key).collect();
    assert_eq!(found, ["controller.name", "collect.ip.action"]);
}

/// By use alone where everybody of whom it is not told counts as a European.
#[test]
fn consent_by_use_alone_leaves_out_europe() {
    let keys = |mode: &str| -> Vec<String> {
        let text = format!("candor_policy = 1\nconsent.mode = {{ {mode} }}\n");
        let found = lint(&read("policy.toml", &text).expect("parses"));
        found.into_iter().map(|finding| finding.key).filter(|key| key.starts_with("consent")).collect()
    };
    assert_eq!(
        keys("default = \"implied\", EEA = \"opt_in\", GB = \"opt_out\", CH = \"opt_in\""),
        Vec::<String>::new()
    );
    assert_eq!(keys("default = \"implied\", EEA = \"opt_in\", CH = \"opt_in\""), ["consent.mode.default"]);
    assert_eq!(keys("default = \"opt_in\", GB = \"implied\", BR = \"implied\""), ["consent.mode.GB"]);
}
