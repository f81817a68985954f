//! Topics of streams, key by key of `collect.streams`.

use candor_gate::{Activities, Policy, RecordRefusal, StreamBatch, StreamRefusal, TopicRules, ValuesMode};
use candor_model::{Subject, SubjectKind};
use candor_records::Codec;

use crate::Bed;
use crate::streams::{Sent, batch, clear, read, refused, stream, value};

fn named(name: &str, values: ValuesMode, records: &[Sent]) -> StreamBatch {
    StreamBatch { name: name.to_owned(), values, ..stream(&batch(Codec::Lz4, records)) }
}

fn binary() -> Sent {
    Sent { value: Some(vec![0, 1, 0xff]), ..Sent::default() }
}

#[test]
fn collect_streams_opaque() {
    let bed = Bed::under(
        r#"
[collect.streams]
"orders" = { opaque = "reject" }
"photos" = { opaque = "allow" }
"#,
    );
    let send = |name: &str, values, sent: Sent| clear(&bed, named(name, values, &[value("text"), sent]));
    assert!(send("photos", ValuesMode::Auto, binary()).is_ok());
    assert!(send("other", ValuesMode::Auto, binary()).is_ok(), "a first start takes what nobody declares");
    for mode in [ValuesMode::Auto, ValuesMode::Text] {
        let refused = refused(send("orders", mode, binary()));
        assert_eq!(refused, (87, vec![(1, RecordRefusal::Opaque)]), "{mode:?}");
    }
    assert!(send("orders", ValuesMode::Opaque, value("{}")).is_ok());
    assert!(send("orders", ValuesMode::Opaque, binary()).is_err(), "a topic's own setting opens nothing up");
    for fine in
        [value(r#"{"a":1}"#), value("text"), Sent::default(), Sent { value: Some(vec![]), ..Sent::default() }]
    {
        assert!(send("orders", ValuesMode::Auto, fine.clone()).is_ok(), "{fine:?}");
    }
    assert!(RecordRefusal::Opaque.to_string().contains("collect.streams"), "it says what to write");
}

#[test]
fn collect_streams_strict_refuses_what_is_undeclared_and_binary() {
    let strict = candor_policy::read("test.toml", "candor_policy = 1\nextends = \"preset:strict\"").unwrap();
    let bed = Bed::new();
    let compiled = candor_gate::compile(&strict.policy, candor_model::PolicyEpoch(2)).unwrap();
    bed.gate.set_policies(compiled, std::collections::HashMap::new());
    let send = |sent: Sent| clear(&bed, named("other", ValuesMode::Auto, &[sent]));
    assert_eq!(refused(send(binary())), (87, vec![(0, RecordRefusal::Opaque)]));
    assert!(send(value(r#"{"a":1}"#)).is_ok() && send(value("text")).is_ok());
}

#[test]
fn collect_streams_values_may_be_narrowed_alone() {
    let card = r#"{"card":"4111 1111 1111 1111"}"#;
    let strikes = |policy: &str, of_topic| {
        let bed = Bed::under(&format!("[collect.streams]\n\"orders\" = {policy}"));
        let cleared = clear(&bed, named("orders", of_topic, &[value(card)])).unwrap();
        !cleared.report.replaced.is_empty()
    };
    assert!(strikes(r#"{ values = "json" }"#, ValuesMode::Opaque), "the policy opens it");
    assert!(strikes(r#"{ values = "auto", opaque = "reject" }"#, ValuesMode::Opaque));
    assert!(!strikes(r#"{ values = "auto", opaque = "allow" }"#, ValuesMode::Opaque), "the topic closes it");
    assert!(!strikes(r#"{ values = "opaque", opaque = "allow" }"#, ValuesMode::Auto));
    assert!(strikes(r#"{ values = "opaque", opaque = "allow" }"#, ValuesMode::Json), "the topic opens it");
}

#[test]
fn collect_streams_subject_key() {
    let bed = Bed::under("[collect.streams]\n\"orders\" = { subject_key = \"$.customer.ref\" }");
    let records = [value(r#"{"customer":{"ref":"c-17"}}"#), value(r#"{"customer":{"ref":17}}"#), value("{}")];
    let codes = |name: &str| {
        let cleared = clear(&bed, named(name, ValuesMode::Auto, &records)).unwrap();
        let mut opened = cleared.admitted.subjects().open();
        (0..3).map(|delta| opened.of(delta).join(" ")).collect::<Vec<_>>()
    };
    let code = |value: &str| {
        let subject = Subject { kind: SubjectKind::User, value: value.to_owned() };
        bed.keyring.code(bed.scope.project(), None, &subject)
    };
    assert_eq!(codes("orders"), [code("c-17"), code("17"), String::new()]);
    assert_eq!(codes("other"), ["", "", ""]);
}

#[test]
fn only_the_fields_of_a_topic_that_are_named_are_kept() {
    let bed = Bed::new();
    let fields = Some(vec!["id".to_owned(), "customer.country".to_owned()]);
    let rules = TopicRules { fields, ..TopicRules::default() };
    bed.gate
        .set_policy(Policy { topics: [("orders".to_owned(), rules)].into(), ..Policy::default() })
        .unwrap();
    let send = |text: &str| clear(&bed, named("orders", ValuesMode::Auto, &[value(text)]));
    let stored = |text: &str| {
        let value = read(send(text).unwrap().admitted.batch()).remove(0).value.unwrap();
        String::from_utf8(value).unwrap()
    };
    assert_eq!(
        stored(r#"{ "id": 1, "note": "x", "customer": {"name": "alice", "country": "CZ"} }"#),
        r#"{"id":1,"customer":{"country":"CZ"}}"#
    );
    assert_eq!(stored(r#"{ "id": 1 }"#), r#"{ "id": 1 }"#, "what needs no change keeps its bytes");
    for other in ["text", "[1]"] {
        assert_eq!(refused(send(other)), (87, vec![(0, RecordRefusal::Fields)]), "{other}");
    }
}

#[test]
fn a_topic_of_no_activity_takes_nothing() {
    let bed = Bed::new();
    let topics = [("orders".to_owned(), candor_gate::Activity::default())].into();
    let activities = Activities { topics, other_topics: None, ..Activities::default() };
    bed.gate.set_policy(Policy { activities, ..Policy::default() }).unwrap();
    assert!(clear(&bed, named("orders", ValuesMode::Auto, &[value("{}")])).is_ok());
    let refusal = clear(&bed, named("other", ValuesMode::Auto, &[value("{}")])).map(|_| ()).unwrap_err();
    assert_eq!(refusal, StreamRefusal::NoActivity);
    assert_eq!(refusal.code(), 44, "no client sends it again");
    assert_eq!(bed.gate.totals().take_refused(), [(bed.scope.project(), "activity", 1)]);
}

#[test]
fn a_rule_that_drops_records_refuses_them_by_their_index() {
    let bed = Bed::under(
        r#"
[[scrub.rule]]
id = "keys"
at = "**"
detect = ["email"]
action = "drop_event"
"#,
    );
    let sent = batch(Codec::None, &[value("fine"), value(r#"{"to":"alice@example.com"}"#)]);
    assert_eq!(refused(clear(&bed, stream(&sent))), (87, vec![(1, RecordRefusal::Rule)]));
}
