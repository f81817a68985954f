//! Presets, and a file that builds on one.

use candor_policy::{PRESETS, Severity, lint, preset, read};

fn resolve(text: &str) -> candor_policy::Resolved {
    read("policy.toml", text).unwrap_or_else(|faults| {
        panic!("{}", faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

fn errors(resolved: &candor_policy::Resolved) -> Vec<String> {
    let found = lint(resolved);
    found
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .map(|finding| finding.key.clone())
        .collect()
}

/// A shop's policy, with something of each section.
pub const SHOP: &str = r#"
candor_policy = 1
extends = "preset:better-stack-2022"
data_ownership = "tenant"

[notice]
version = "7"
effective = 2026-12-01
contact = "privacy@shop.example"

[controller]
name = "The Shop"
country = "CZ"
role = { default = "controller", "project:customers/*" = "processor" }

[[site]]
name = "shop"
origins = ["https://shop.example"]

[[activity]]
id = "faults"
title = "Faults"
signals = ["errors", "spans"]
legal_basis = "eu-gdpr:A6-1-f"
retention = { live = "14d", max_lag = "24h", backups = "7d", basis = "fixed" }

[collect]
ip = { v4 = 16 }

[collect.streams.orders]
subject_key = "$.customer.id"
opaque = "reject"

[[scrub.rule]]
id = "mail"
at = "** && !user.email"
detect = ["email", "phone"]
action = "pseudonym"

[[scrub.allow]]
at = "extra.order_no"
detect = ["card"]
reason = "order numbers of 16 digits, looked at in October"

[[recipient]]
id = "pager"
name = "PagerCo"
country = "US"
role = "dpv:DataSubProcessor"
endpoints = ["https://api.pager.example"]
transfer = "eu-gdpr:A46-2-c"
"#;

/// A policy with every section, as a company might write it.
pub const WHOLE: &str = r#"
candor_policy = 1
extends = "preset:better-stack-2022"
data_ownership = "tenant"

[notice]
version = "2027.1"
effective = 2027-02-01
languages = ["de", "en"]
contact = "datenschutz@werk.example"
authority = "BfDI (DE)"

[controller]
name = "Werk GmbH"
country = "DE"
dpo = "dpo@werk.example"
role = { default = "controller", "project:kunden/*" = "processor" }

[[site]]
name = "werk"
origins = ["https://werk.example", "https://www.werk.example"]

[[activity]]
id = "errors"
signals = ["errors", "spans"]
subjects = ["customer", "employee"]
data_categories = ["user.unique_id.pseudonymous", "user.device.ip_address", "system.operations"]
data_uses = ["essential.service.operations.improve"]
purpose = "dpv:ServiceOptimisation"
legal_basis = "eu-gdpr:A6-1-f"
retention = { live = "21d", max_lag = "24h", backups = "7d", basis = "fixed" }

[[activity]]
id = "orders"
signals = ["stream:orders"]
subjects = ["customer"]
data_categories = ["user.behavior.purchase_history"]
data_uses = ["essential.service"]
purpose = "dpv:ServiceProvision"
legal_basis = "eu-gdpr:A6-1-b"
retention = { live = "10d", max_lag = "24h", backups = "0d", basis = "fixed" }

[collect]
unknown_fields = { default = "scrub", replays = "drop", user_traits = "drop" }
fields = { logs = ["cart.size"] }
enrichment = []
ip = { action = "generalise", v4 = 20, v6 = 40, derive = ["country"] }
user_agent = "family_only"
location = "country"
device_ids = "drop"
replay = { text = "mask", inputs = "never", media = "block", request_headers = ["accept"], bodies = "off", console = "scrub", canvas = "off" }
streams = { orders = { subject_key = "$.buyer.id", opaque = "reject" } }

[consent]
mode = { default = "opt_out", EEA = "opt_in", UK = "opt_in", CH = "opt_in" }
no_cookie = "anonymous"
signals = { gpc = ["no_share", "no_replay"], dnt = ["no_id"], beats_stored_consent = true }
children = { min_age = 16, below = "erase", parental_consent = true }

[identity]
keys = ["user.id", "user.email", "session.id"]
ip_is_identity = false
pseudonym = { alg = "hmac-sha256", scope = "site", vault = "per_subject_key" }
cross_domain = "forbid"
technical_to_identity = "forbid"

[scrub]
on_error = "drop_event"
keys_too = true
decode = ["json", "url", "base64"]
rule = [
  { id = "money",  at = "**", detect = ["card", "iban", "ssn_us"], action = "remove" },
  { id = "keys",   at = "**", detect = ["secrets:all", "url_credentials"], action = "replace:[secret]" },
  { id = "people", at = "** && !user.email", detect = ["email", "phone"], action = "pseudonym" },
  { id = "prose",  at = "extra.'what happened' || logentry.params.*", action = "truncate:300" },
  { id = "badge",  at = "$log", pattern = "W-[0-9]{6}", action = "mask:2" },
]
allow = [ { at = "extra.parcel", detect = ["card"], reason = "parcel numbers, looked at in January" } ]

[residency]
regions = ["eu-central"]
replicas = ["eu-west"]
viewers = ["EEA", "CH"]

[[recipient]]
id = "phone"
name = "Rufdienst Inc."
country = "US"
role = "dpv:DataSubProcessor"
uses = ["essential.service.notifications"]
endpoints = ["https://api.ruf.example"]
transfer = "eu-gdpr:A46-2-c"
fields = ["issue.title"]

[sharing]
sale = "never"
ads = "never"
partners = "never"
affiliates = "never"
events = "never"
publish_support_requests = "with_consent"
aggregates = { to = ["annual_report"], k = 50, epsilon_year = 0.5 }

[rights]
deadline = { default = "30d", US-CA = "45d" }
ack = "2d"
verify = ["email_link", "controller_jwt"]
refuse_codes = ["manifestly_unfounded", "identity_failed"]
access = { format = ["json-ld", "html"], include_access_log = true }
rectification = "self_service"
restriction = "store_only"
erasure = { hide = "60s", keys = "1h", live = "72h", backups = "shred", receipt = "signed" }

[governance]
legal_requests = { approvers = 2, notify_subject = "unless_gagged", report = "yearly" }
breach = { authority_hours = 72, processor_to_controller_hours = 12, subjects = "high_risk" }
changes = { notice = ["email", "feed"], prior_days = 30, subprocessor_days = 30, loosening_applies_to = "new_data" }
transfer_of_control = { notice_days = 60, choices = ["export", "erase"] }
reads = { ledger = true, reveal_needs_reason = true, roles = { viewer = "tokens", responder = "reveal", dpo = "all" } }
telemetry = { self = "off", email_open_tracking = false, third_party_embeds = [] }
security = { tls = "required", second_factor = "required", at_rest = "per_file_keys" }
"#;

#[test]
fn a_policy_of_every_section_holds() {
    let resolved = resolve(WHOLE);
    assert_eq!(lint(&resolved), Vec::new());
    let rules: Vec<&str> = resolved.policy.scrub.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(rules, ["money", "keys", "people", "prose", "badge", "payment", "secrets"]);
    let orders = resolved.policy.activity("stream:orders").map(|activity| activity.id.as_str());
    assert_eq!(orders, Some("orders"));
}

#[test]
fn a_file_is_laid_over_its_preset() {
    let shop = resolve(SHOP);
    let policy = &shop.policy;
    assert_eq!(policy.controller.name.as_deref(), Some("The Shop"));
    // What the file names of a table, and what it leaves to the preset.
    assert_eq!((policy.collect.ip.v4, policy.collect.ip.v6), (16, 48));
    // Its own activity takes the signals from the preset's, which has none left and is gone.
    assert_eq!(policy.activity("errors").map(|activity| activity.id.as_str()), Some("faults"));
    assert!(policy.activities.iter().all(|activity| activity.id != "errors"));
    assert_eq!(policy.activity("stream:anything").map(|activity| activity.id.as_str()), Some("operations"));
    assert_eq!(policy.stream("orders").opaque.as_deref(), Some("reject"));
    assert_eq!(policy.stream("others").opaque.as_deref(), Some("allow"));
    // The first rule decides, so the file's own stand in front.
    let rules: Vec<&str> = policy.scrub.rules.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(rules, ["mail", "payment", "secrets"]);
    assert_eq!(errors(&shop), Vec::<String>::new());
    let overridden: Vec<&str> = shop.overrides.iter().map(|one| one.key.as_str()).collect();
    assert!(overridden.contains(&"collect.ip.v4"), "{overridden:?}");
    assert!(!overridden.contains(&"data_ownership"), "says what the preset says: {overridden:?}");
}

#[test]
fn what_a_preset_brings_can_be_left_out() {
    let text = "candor_policy = 1\nextends = \"preset:logrocket-2018\"\nwithout = [\"recipient.google\", \"recipient.redis\"]\n";
    let ids: Vec<String> =
        resolve(text).policy.recipients.into_iter().map(|recipient| recipient.id).collect();
    assert_eq!(ids, ["aws"]);
}

#[test]
fn an_item_can_be_replaced_whole() {
    let text = "candor_policy = 1\nextends = \"logrocket-2018\"\nwithout = [\"recipient.aws\"]\n\
        [[recipient]]\nid = \"aws\"\nname = \"AWS\"\ncountry = \"DE\"\nrole = \"dpv:DataProcessor\"\n";
    let resolved = resolve(text);
    assert_eq!(resolved.extends.as_deref(), Some("preset:logrocket-2018"));
    let aws = resolved.policy.recipients.iter().find(|recipient| recipient.id == "aws");
    assert_eq!(aws.map(|aws| (aws.country.as_str(), aws.transfer.as_deref())), Some(("DE", None)));
}

/// A signal goes to whom the file gives it, also from an activity that the file changes otherwise.
#[test]
fn a_signal_leaves_the_activity_that_had_it() {
    let text = "candor_policy = 1\n[[activity]]\nid = \"errors\"\nretention = { live = \"7d\" }\n\
        [[activity]]\nid = \"traces\"\nsignals = [\"spans\"]\nlegal_basis = \"eu-gdpr:A6-1-f\"\n\
        retention = { live = \"2d\", max_lag = \"24h\", backups = \"0d\", basis = \"fixed\" }\n";
    let resolved = resolve(text);
    let signals = |id: &str| {
        let activity = resolved.policy.activities.iter().find(|activity| activity.id == id);
        activity.map(|activity| activity.signals.join(" "))
    };
    assert_eq!(signals("errors").as_deref(), Some("errors"));
    assert_eq!(signals("traces").as_deref(), Some("spans"));
    assert_eq!(errors(&resolved), Vec::<String>::new());
    // One that has none left because the file says so is not dropped in silence.
    let none = resolve("candor_policy = 1\n[[activity]]\nid = \"replay\"\nsignals = []\n");
    assert_eq!(errors(&none), ["activity.replay.signals"]);
}

#[test]
fn a_file_that_extends_nothing_is_as_strict_as_can_be() {
    let bare = resolve("candor_policy = 1\n").policy;
    let strict = read("preset:strict", preset("strict").expect("is there")).expect("reads").policy;
    assert_eq!(bare, strict);
    assert_eq!(bare.hash(), strict.hash());
}

#[test]
fn default_is_strict_but_for_what_would_stop_working() {
    let (strict, default) = (
        read("preset:strict", preset("strict").expect("is there")).expect("reads"),
        read("preset:default", preset("default").expect("is there")).expect("reads"),
    );
    let changes = candor_policy::diff(&strict.policy, &default.policy);
    let keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
    assert_eq!(
        keys,
        ["collect.location", "collect.streams.*.opaque", "collect.user_agent", "consent.mode.default"]
    );
    assert_eq!((errors(&strict), errors(&default)), (Vec::new(), Vec::new()));
}

/// What is wrong with the published policies by today's measure, and nothing else.
#[test]
fn presets_read_and_the_lint_says_what_is_wrong_with_them() {
    let mut found = String::new();
    for preset in PRESETS {
        let resolved =
            read(preset.name, preset.text).unwrap_or_else(|faults| panic!("{}: {faults:?}", preset.name));
        for finding in lint(&resolved) {
            found.push_str(&format!("{:?} {}: {}\n", finding.severity, preset.name, finding.key));
        }
    }
    expect_test::expect![[r#"
        Warning preset:default: controller.name
        Warning preset:strict: controller.name
        Error preset:logflare: consent.mode.default
        Warning preset:logflare: consent.signals.gpc
        Warning preset:logflare: consent.signals.dnt
        Error preset:logflare: consent.signals.gpc
        Warning preset:logflare: consent.children.min_age
        Warning preset:logflare: governance.changes.prior_days
        Warning preset:logflare: controller.name
        Error preset:logflare: activity.errors.retention.live
        Error preset:logflare: activity.operations.retention.live
        Error preset:logflare: activity.replay.retention.live
        Error preset:logrocket-2018: consent.mode.default
        Warning preset:logrocket-2018: consent.signals.gpc
        Warning preset:logrocket-2018: consent.signals.dnt
        Error preset:logrocket-2018: recipient.aws.transfer
        Warning preset:logrocket-2018: recipient.aws.endpoints
        Error preset:logrocket-2018: recipient.google.transfer
        Warning preset:logrocket-2018: recipient.google.endpoints
        Error preset:logrocket-2018: recipient.redis.transfer
        Warning preset:logrocket-2018: recipient.redis.endpoints
        Warning preset:logrocket-2018: governance.changes.prior_days
        Warning preset:logrocket-2018: controller.name
        Warning preset:better-stack-2022: consent.signals.dnt
        Warning preset:better-stack-2022: controller.name
        Error preset:sentry-2013: consent.mode.default
        Warning preset:sentry-2013: consent.signals.gpc
        Warning preset:sentry-2013: consent.signals.dnt
        Error preset:sentry-2013: consent.signals.gpc
        Warning preset:sentry-2013: consent.children.min_age
        Warning preset:sentry-2013: governance.changes.prior_days
        Warning preset:sentry-2013: controller.name
        Warning preset:confluent-2015: activity.errors.retention.basis
        Warning preset:confluent-2015: activity.operations.retention.basis
        Error preset:confluent-2015: consent.mode.default
        Warning preset:confluent-2015: consent.signals.gpc
        Warning preset:confluent-2015: consent.signals.dnt
        Error preset:confluent-2015: consent.signals.gpc
        Warning preset:confluent-2015: governance.changes.prior_days
        Warning preset:confluent-2015: controller.name
    "#]]
    .assert_eq(&found);
}

#[test]
fn a_policy_that_was_written_out_reads_as_the_same() {
    for text in PRESETS.iter().map(|preset| preset.text).chain([SHOP, WHOLE]) {
        let policy = resolve(text).policy;
        let again = resolve(&policy.to_toml()).policy;
        assert_eq!(candor_policy::diff(&policy, &again), []);
        assert_eq!(policy.hash(), again.hash());
    }
}

#[test]
fn the_schema_knows_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&candor_policy::json_schema()).expect("is JSON");
    let live = "/properties/activity/items/properties/retention/properties/live/pattern";
    assert_eq!(schema.pointer(live).and_then(|value| value.as_str()), Some("^[0-9]+[smhdwy]$"));
    assert_eq!(schema.pointer("/additionalProperties"), Some(&serde_json::json!(false)));
    for key in candor_policy::keys::all().iter().filter(|key| key.takes.is_some()) {
        let mut pointer = String::new();
        for segment in key.path.split('.') {
            pointer += &match segment.chars().next() {
                Some('[') => "/items".to_owned(),
                Some('{') => "/additionalProperties".to_owned(),
                _ => format!("/properties/{segment}"),
            };
        }
        let found = schema.pointer(&pointer).and_then(|schema| schema.get("description"));
        assert_eq!(found.and_then(|value| value.as_str()), Some(key.what), "{pointer}");
    }
}
