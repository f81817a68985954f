//! Policies by instance and project, activities, identity, sites, rules at places, and the trying out of a policy.

use std::collections::HashMap;

use candor_gate::{Activities, Change, Policy, compile};
use candor_model::{
    Incoming, LogRecord, Origin, PolicyEpoch, ProjectId, Records, Signal, Subject, SubjectKind, Value,
};

use crate::{Bed, compiled, error, object, row, value, written};

fn log(text: &str) -> LogRecord {
    LogRecord { attributes: object(text), ..LogRecord::default() }
}

fn code(bed: &Bed, site: Option<&str>, kind: SubjectKind, value: &str) -> String {
    bed.keyring.code(bed.scope.project(), site, &Subject { kind, value: value.to_owned() })
}

fn subject(bed: &Bed, attributes: &str, origin: Origin) -> String {
    let admitted = bed.clear_from(Records::Logs(vec![log(attributes)]), origin).admitted.unwrap();
    let row = row(admitted.rows().unwrap(), 0);
    row.into_iter().find(|(name, _)| name == "subject").map(|(_, code)| code).unwrap_or_default()
}

/// The same payload under two policies: other bytes are stored.
#[test]
fn a_project_with_a_policy_of_its_own_stores_other_bytes() {
    let bed = Bed::new();
    let send =
        || bed.clear(Records::Logs(vec![log(r#"{"client.address": "203.0.113.9"}"#)])).admitted.unwrap();
    let own = || compiled(r#"collect.ip = { action = "generalise", v4 = 24, v6 = 48 }"#, 3);
    bed.gate.set_policies(compiled("", 2), HashMap::from([(ProjectId(999), own())]));
    let by_instance = send();
    bed.gate.set_policies(compiled("", 2), HashMap::from([(bed.scope.project(), own())]));
    let by_own = send();
    assert_ne!(by_instance.batch(), by_own.batch());
    assert_eq!((by_instance.epoch(), by_own.epoch()), (PolicyEpoch(2), PolicyEpoch(3)));
}

#[test]
fn epochs_of_a_project_are_never_older_than_the_instances() {
    let bed = Bed::new();
    let project = bed.scope.project();
    bed.gate.set_policies(compiled("", 7), HashMap::from([(project, compiled("", 3))]));
    assert_eq!((bed.gate.epoch(project), bed.gate.epoch(ProjectId(999))), (PolicyEpoch(7), PolicyEpoch(7)));
    assert_eq!(bed.clear(Records::Logs(vec![log("{}")])).admitted.unwrap().epoch(), PolicyEpoch(7));
}

#[test]
fn a_signal_of_no_activity_is_dropped_and_counted() {
    let bed = Bed::new();
    let activities = Activities { logs: None, ..Activities::default() };
    bed.gate.set_policy(Policy { activities, ..Policy::default() }).unwrap();
    let cleared = bed.clear(Records::Logs(vec![log("{}"), log("{}")]));
    assert!(cleared.admitted.is_none());
    assert_eq!(cleared.report.dropped, [("policy:activity", 2)]);
    assert!(bed.clear(Records::Errors(vec![error("{}")])).admitted.is_some());
    assert_eq!(bed.gate.totals().report().dropped, [("policy:activity", 2)]);
    // For the ledger: by project and key, each once.
    let project = bed.scope.project();
    assert_eq!(bed.gate.totals().take_refused(), [(project, "activity", 2)]);
    assert_eq!(bed.gate.totals().take_refused(), []);
}

#[test]
fn activity_retention_live() {
    const DAY_US: i64 = 86_400 * 1_000_000;
    let bed = Bed::under(
        r#"
[[activity]]
id = "operations"
retention = { live = "7d" }
[[activity]]
id = "orders"
signals = ["stream:orders"]
data_categories = ["system.operations"]
data_uses = ["essential.service.operations"]
purpose = "dpv:ServiceProvision"
legal_basis = "eu-gdpr:A6-1-b"
retention = { live = "5y", max_lag = "24h", backups = "0d", basis = "fixed" }
"#,
    );
    let activities = bed.gate.activities(bed.scope.project());
    let live = |signal| activities.of(signal).unwrap().live_us.unwrap() / DAY_US;
    assert_eq!((live(Signal::Logs), live(Signal::Errors), live(Signal::Spans)), (7, 30, 30));
    let topic = |name: &str| activities.of_topic(name).unwrap().live_us.unwrap() / DAY_US;
    assert_eq!((topic("orders"), topic("other")), (5 * 365, 7));
}

#[test]
fn identity_keys() {
    let bed = Bed::under(r#"identity.keys = ["user.email", "session.id"]"#);
    let sent = r#"{"user.id": "u-4711", "user.email": "a@b.example", "session.id": "s-9", "note": "u-4711 of a@b.example"}"#;
    let (email, session) =
        (code(&bed, None, SubjectKind::Email, "a@b.example"), code(&bed, None, SubjectKind::Session, "s-9"));
    let (attributes, subjects) = bed.attributes(sent);
    assert_eq!(subjects, format!("{email}, {session}"));
    assert_eq!(attributes, format!("note=[user] of {email}"), "what makes no code is gone all the same");
}

#[test]
fn identity_pseudonym_scope() {
    let sites = r#"
[[site]]
name = "shop"
origins = ["https://shop.example"]
[[site]]
name = "blog"
origins = ["https://blog.example/"]
"#;
    let from = |site: &str| Origin { site: Some(site.to_owned()), ..Origin::default() };
    let user = r#"{"user.id": "u-1"}"#;
    let bed = Bed::under(sites);
    let shop = code(&bed, Some("shop"), SubjectKind::User, "u-1");
    let blog = code(&bed, Some("blog"), SubjectKind::User, "u-1");
    let none = code(&bed, None, SubjectKind::User, "u-1");
    assert!(shop != blog && blog != none, "one person has two codes on two sites");
    assert_eq!(subject(&bed, user, from("https://SHOP.example")), shop);
    assert_eq!(subject(&bed, user, from("https://blog.example")), blog);
    assert_eq!(subject(&bed, user, from("https://other.example")), none);
    assert_eq!(subject(&bed, user, Origin::default()), none);
    let bed = Bed::under(&format!("identity.pseudonym = {{ scope = \"project\" }}\n{sites}"));
    assert_eq!(subject(&bed, user, from("https://shop.example")), none);
}

#[test]
fn a_site_is_known_by_its_key_too() {
    let bed = Bed::new();
    let site = candor_gate::Site { name: "shop".to_owned(), keys: vec!["k1".to_owned()], origins: vec![] };
    bed.gate.set_policy(Policy { sites: vec![site], ..Policy::default() }).unwrap();
    let by = |key: &str| {
        let origin = Origin { key: Some(key.to_owned()), ..Origin::default() };
        subject(&bed, r#"{"user.id": "u-1"}"#, origin)
    };
    assert_eq!(by("k1"), code(&bed, Some("shop"), SubjectKind::User, "u-1"));
    assert_eq!(by("k2"), code(&bed, None, SubjectKind::User, "u-1"));
}

#[test]
fn identity_pseudonym_vault() {
    let vault = |keeps: &str| {
        let bed = Bed::under(&format!("identity.pseudonym = {{ vault = \"{keeps}\" }}"));
        bed.clear(Records::Logs(vec![log(r#"{"user.id": "u-1"}"#)])).admitted.unwrap().vault().len()
    };
    assert_eq!((vault("per_subject_key"), vault("none")), (1, 0));
}

#[test]
fn scrub_rules_hold_at_their_places() {
    let bed = Bed::under(
        r#"
[[scrub.rule]]
id = "note"
at = "extra.note"
action = "truncate:4"
[[scrub.rule]]
id = "mail"
at = "**"
detect = ["email"]
action = "pseudonym"
"#,
    );
    let event = bed
        .event(r#"{"message": "to alice@example.com", "extra": {"note": "abcdefgh", "other": "abcdefgh"}}"#);
    let email = code(&bed, None, SubjectKind::Email, "alice@example.com");
    let expected =
        format!(r#"{{"message": "to {email}", "extra": {{"note": "abcd", "other": "abcdefgh"}}}}"#);
    assert_eq!(event, value(&expected));
    let admitted =
        bed.clear(Records::Errors(vec![error(r#"{"message": "to alice@example.com"}"#)])).admitted.unwrap();
    let row = row(admitted.rows().unwrap(), 0);
    assert!(row.contains(&("subjects".to_owned(), email.clone())), "erasing finds the row that mentions");
    assert!(!row.iter().any(|(name, _)| name == "subject"), "but it is not about her");
    let opened: Vec<_> = admitted
        .vault()
        .iter()
        .map(|entry| (entry.subject.clone(), bed.keyring.open_entry(bed.scope.project(), entry).unwrap()))
        .collect();
    assert_eq!(opened, [(email, "alice@example.com".to_owned())], "under a key of her own");
}

#[test]
fn scrub_rules_may_drop_records() {
    let bed = Bed::under(
        r#"
[[scrub.rule]]
id = "no-mail"
at = "**"
detect = ["email"]
action = "drop_event"
"#,
    );
    let cleared = bed.clear(Records::Logs(vec![log(r#"{"note": "a@b.example"}"#), log(r#"{"note": "x"}"#)]));
    assert_eq!(cleared.report.dropped, [("policy:scrub.rule", 1)]);
    assert_eq!(cleared.admitted.unwrap().count(), 1);
}

#[test]
fn a_word_that_the_gate_does_not_know_is_refused() {
    let mut policy = written("");
    policy.collect.user_agent = "whatever".to_owned();
    let error = compile(&policy, PolicyEpoch(2)).map(|_| ()).unwrap_err();
    assert_eq!(error.to_string(), "collect.user_agent says \"whatever\", which the gate does not know");
}

#[test]
fn every_preset_that_names_all_signals_compiles() {
    for preset in candor_policy::PRESETS {
        let text = format!("candor_policy = 1\nextends = \"{}\"", preset.name);
        let policy = candor_policy::read("test.toml", &text).unwrap().policy;
        let compiled =
            compile(&policy, PolicyEpoch(2)).map_err(|error| format!("{}: {error}", preset.name)).unwrap();
        for signal in Signal::ALL {
            assert!(compiled.activities().of(signal).is_some(), "{}: {}", preset.name, signal.name());
        }
    }
}

#[test]
fn a_policy_is_tried_out_and_each_clause_says_what_it_did() {
    let bed = Bed::new();
    let policy = compiled(
        r#"collect.user_agent = "family_only"
collect.unknown_fields = { errors = "drop", user_traits = "drop" }"#,
        2,
    );
    let sent = r#"{"message": "u-4711 paid with 4111 1111 1111 1111", "user": {"id": "u-4711", "plan": "pro", "ip_address": "203.0.113.9"},
                   "request": {"headers": {"User-Agent": "curl/8.5.0"}}, "extra": {"cart": 1}}"#;
    let incoming = |records| Incoming { records, origin: Origin::default(), request: None };
    let records = Records::Errors(vec![error(sent)]);
    let tested = bed.gate.test(&policy, bed.scope.project(), incoming(records)).remove(0);
    let told: Vec<String> = tested
        .changes
        .iter()
        .map(|Change { place, clause, is_removed }| {
            format!("{place} {clause}{}", if *is_removed { " -" } else { "" })
        })
        .collect();
    assert_eq!(
        told,
        [
            "extra.cart collect.unknown_fields -",
            "user.id identity.keys",
            "user.plan collect.unknown_fields.user_traits -",
            "user.ip_address collect.ip",
            "request.headers.User-Agent collect.user_agent",
            "message scrub.rule.payment",
            "message identity.keys",
        ]
    );
    assert_eq!((tested.before, tested.dropped), (value(sent), None));
    let user = code(&bed, None, SubjectKind::User, "u-4711");
    assert_eq!(tested.subjects.join(" "), user);
    let message = tested.after.as_ref().and_then(|after| after.get("message")).and_then(Value::as_str);
    assert_eq!(message, Some(format!("{user} paid with [card]").as_str()));
    assert_eq!(bed.gate.totals().report().replaced, [], "nothing is counted");

    let policy = compiled("consent.children = { min_age = 16 }", 2);
    let records = Records::Logs(vec![log(r#"{"user.age": 12}"#), log(r#"{"user.age": 20}"#)]);
    let tested = bed.gate.test(&policy, bed.scope.project(), incoming(records));
    assert_eq!((tested[0].dropped, &tested[0].after), (Some("policy:consent.children"), &None));
    assert_eq!(tested[1].dropped, None);
}

/// A server's records are stored under a first start's policy as they were before there were policies: byte for byte
/// but for what it says of user agents, places and children.
#[test]
fn preset_default_clears_a_servers_records_as_before() {
    let bed = Bed::new();
    let events = [
        r#"{"event_id": "a1", "platform": "python", "message": "u-4711 paid with 4111 1111 1111 1111",
            "user": {"id": "u-4711", "email": "alice@example.com", "ip_address": "203.0.113.9", "plan": "pro"},
            "tags": [["tenant", "t"], ["user", "email:alice@example.com"]], "extra": {"cart": {"sum": 3}, "password": "x"},
            "request": {"url": "https://x.test/?email=alice%40example.com", "headers": {"X-Forwarded-For": "203.0.113.9"}},
            "contexts": {"device": {"id": "d-1"}, "os": {"name": "Linux"}, "own": {"a": 1}}}"#,
        r#"{"message": "mail to bob@example.com", "extra": {"body": "{\"user_id\":7,\"token\":\"ghp_aaaa\"}"}}"#,
    ];
    let logs = || {
        [
            "{\"user.id\": \"u-4711\", \"client.address\": \"203.0.113.9\", \"cart\": 3}",
            "{\"db.user\": \"shop\"}",
        ]
        .map(log)
        .to_vec()
    };
    let stored =
        |bed: &Bed| {
            let mut batches = vec![bed.clear(Records::Logs(logs())).admitted.unwrap().batch().clone()];
            batches.extend(events.map(|event| {
                bed.clear(Records::Errors(vec![error(event)])).admitted.unwrap().batch().clone()
            }));
            batches
        };
    let before = stored(&bed);
    let text = "candor_policy = 1\nextends = \"preset:default\"";
    let policy = candor_policy::read("test.toml", text).unwrap().policy;
    bed.gate.set_policies(compile(&policy, PolicyEpoch(1)).unwrap(), HashMap::new());
    assert!(stored(&bed) == before);
}
