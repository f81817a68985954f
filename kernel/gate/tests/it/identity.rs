//! Identifiers leave records, codes stay, values go to the vault.

use candor_gate::{Policy, UnknownFields};
use candor_model::{LogRecord, Records, Subject, SubjectKind, Value};

use crate::{Bed, error, object, row};

fn code(bed: &Bed, kind: SubjectKind, value: &str) -> String {
    bed.keyring.code(bed.scope.project(), None, &Subject { kind, value: value.to_owned() })
}

fn log(attributes: &str) -> LogRecord {
    LogRecord { attributes: object(attributes), ..LogRecord::default() }
}

fn get(row: &[(String, String)], name: &str) -> String {
    row.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

#[test]
fn the_first_present_kind_names_the_row() {
    let bed = Bed::new();
    let all = r#"{"replay_id": "r-1", "session.id": "s-1", "device.id": "d-1", "user.name": "alice",
                  "user.email": "a@b.example", "user.id": "u-1"}"#;
    let expected = [
        code(&bed, SubjectKind::User, "u-1"),
        code(&bed, SubjectKind::Email, "a@b.example"),
        code(&bed, SubjectKind::Name, "alice"),
        code(&bed, SubjectKind::Device, "d-1"),
        code(&bed, SubjectKind::Session, "s-1"),
        code(&bed, SubjectKind::Replay, "r-1"),
    ];
    let row = bed.log(log(all));
    assert_eq!(get(&row, "subject"), expected[0]);
    assert_eq!(get(&row, "subjects"), expected.join(", "));
    assert_eq!(get(&row, "attributes"), "", "nothing that identifies is left");
    let row = bed.log(log(r#"{"client.address": "203.0.113.9"}"#));
    assert_eq!((get(&row, "subject"), get(&row, "subjects")), (String::new(), String::new()));
    assert_eq!(get(&row, "attributes"), "client.address=[ip]");
}

#[test]
fn values_go_to_the_vault_and_nowhere_else() {
    let bed = Bed::new();
    let cleared =
        bed.clear(Records::Logs(vec![log(r#"{"user.id": "u-4711", "user.email": "alice@example.com"}"#)]));
    let admitted = cleared.admitted.unwrap();
    let opened: Vec<_> = admitted
        .vault()
        .iter()
        .map(|entry| (entry.code.clone(), bed.keyring.open_entry(bed.scope.project(), entry).unwrap()))
        .collect();
    assert_eq!(
        opened,
        [
            (code(&bed, SubjectKind::User, "u-4711"), "u-4711".to_owned()),
            (code(&bed, SubjectKind::Email, "alice@example.com"), "alice@example.com".to_owned()),
        ]
    );
    let seen = format!("{:?} {:?}", admitted, cleared.report);
    assert!(!seen.contains("4711") && !seen.contains("alice"), "{seen}");
}

#[test]
fn one_person_has_one_code_in_every_signal_and_batch() {
    let bed = Bed::new();
    let row_of_log = bed.log(log(r#"{"user.email": "Alice@Example.com"}"#));
    let event = bed.event(r#"{"user": {"email": "alice@example.com"}}"#);
    let code = code(&bed, SubjectKind::Email, "alice@example.com");
    assert_eq!(get(&row_of_log, "subject"), code);
    assert_eq!(event.path(&["user", "email"]).and_then(Value::as_str), Some(code.as_str()));
}

#[test]
fn batches_share_what_they_name() {
    let bed = Bed::new();
    let mut mention = log("{}");
    mention.body = "reset for alice@example.com".into();
    let records = vec![mention, log(r#"{"user.email": "alice@example.com"}"#)];
    let admitted = bed.clear(Records::Logs(records)).admitted.unwrap();
    let code = code(&bed, SubjectKind::Email, "alice@example.com");
    let first = row(admitted.rows(), 0);
    assert_eq!(get(&first, "body"), format!("reset for {code}"));
    assert_eq!(get(&first, "subjects"), code, "erasing finds the row that mentions");
    assert_eq!(get(&first, "subject"), "", "but it is not about her");
    assert_eq!(get(&row(admitted.rows(), 1), "subject"), code);
    assert_eq!(admitted.vault().len(), 1);
}

#[test]
fn an_identifier_that_a_rule_strikes_makes_no_code() {
    let bed = Bed::new();
    let cleared = bed.clear(Records::Logs(vec![log(r#"{"user.id": "4111111111111111"}"#)]));
    let admitted = cleared.admitted.unwrap();
    assert_eq!(admitted.vault(), []);
    assert_eq!(get(&row(admitted.rows(), 0), "attributes"), "user.id=[card]");
    let event = bed.event(r#"{"user": {"id": 4111111111111111, "email": "a@b.example"}}"#);
    assert_eq!(event.path(&["user", "id"]), Some(&Value::from("[card]")));
    let email = code(&bed, SubjectKind::Email, "a@b.example");
    assert_eq!(event.path(&["user", "email"]), Some(&Value::from(email)));
}

#[test]
fn addresses_are_taken_out_in_all_their_places() {
    let bed = Bed::new();
    let event = bed.event(
        r#"{"user": {"ip_address": "{{auto}}"},
            "request": {"headers": {"X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9", "Host": "x"},
                        "env": {"REMOTE_ADDR": "203.0.113.9"}},
            "tags": [["user.ip", "203.0.113.9"], ["user", "ip:203.0.113.9"], ["a", "b"]],
            "contexts": {"user": {"ip_address": "203.0.113.9"}},
            "breadcrumbs": {"values": [{"data": {"client_ip": "203.0.113.9", "remoteAddress": "203.0.113.9"}}]}}"#,
    );
    let text = event.to_text();
    assert!(!text.contains("203.0.113.9") && !text.contains("auto"), "{text}");
    assert_eq!(text.matches("[ip]").count(), 8, "{text}");
    assert!(text.contains(r#""Host":"x""#) && text.contains(r#"["a","b"]"#) && text.contains(r#""user":{}"#));
}

#[test]
fn traits_of_users_go_unless_the_policy_keeps_them() {
    let bed = Bed::new();
    let event = r#"{"user": {"id": "u-1", "plan": "pro", "data": {"email": "a@b.example"}, "geo": {"city": "Brno"}}}"#;
    let user = bed.event(event);
    assert_eq!(user.path(&["user", "plan"]), None);
    assert_eq!(user.path(&["user", "data"]), None);
    assert_eq!(user.path(&["user", "geo", "city"]), Some(&Value::from("Brno")));
    bed.gate.set_policy(Policy { user_traits: UnknownFields::Scrub, ..Policy::default() }).unwrap();
    let user = bed.event(event);
    assert_eq!(user.path(&["user", "plan"]), Some(&Value::from("pro")));
    let email = code(&bed, SubjectKind::Email, "a@b.example");
    assert_eq!(user.path(&["user", "data", "email"]), Some(&Value::from(email)));
}

#[test]
fn pino_and_otlp_spellings_are_known() {
    let bed = Bed::new();
    let row = bed.log(log(
        r#"{"req": {"method": "GET", "remoteAddress": "::1", "user": {"id": 7, "username": "alice"}},
            "userId": 8, "context": {"user": "bob"}, "user": "carol"}"#,
    ));
    assert_eq!(get(&row, "attributes"), "req={\"method\":\"GET\",\"remoteAddress\":\"[ip]\"}");
    assert_eq!(
        get(&row, "subjects"),
        [
            code(&bed, SubjectKind::User, "7"),
            code(&bed, SubjectKind::User, "8"),
            code(&bed, SubjectKind::Name, "alice"),
            code(&bed, SubjectKind::Name, "bob"),
            code(&bed, SubjectKind::Name, "carol"),
        ]
        .join(", ")
    );
}

#[test]
fn names_that_say_something_else_are_left() {
    let bed = Bed::new();
    let kept = r#"{"notifications.email": "enabled", "forwarded": 3, "channels": ["email", "sms"], "email": true,
                   "db.user": "shop", "host.ip": "10.0.0.1", "user_agent.name": "Firefox", "thread.name": "main"}"#;
    let row = bed.log(log(kept));
    assert_eq!(get(&row, "attributes").lines().count(), 8, "{row:?}");
    assert_eq!(get(&row, "subjects"), "");
    assert!(!format!("{row:?}").contains("[ip]"));
}

#[test]
fn a_record_of_many_people_leaks_none() {
    let bed = Bed::new();
    let users: Vec<String> = (0..200).map(|n| format!(r#"{{"email": "person{n}@example.com"}}"#)).collect();
    let event = bed.event(&format!(r#"{{"extra": {{"users": [{}]}}}}"#, users.join(",")));
    let text = event.to_text();
    assert!(!text.contains("@example.com"), "{text}");
    assert_eq!(text.matches("email:").count(), 64);
    assert_eq!(text.matches("[email]").count(), 136);
}

#[test]
fn strange_shapes_do_no_harm() {
    let bed = Bed::new();
    for event in [
        "null",
        "[]",
        "7",
        r#""text""#,
        r#"{"user": null}"#,
        r#"{"user": []}"#,
        r#"{"user": [[]]}"#,
        r#"{"user": [{"id": 1}]}"#,
        r#"{"user": {"id": {"id": {"id": 1}}}}"#,
        r#"{"user": {"id": [1, [2], {"email": "x"}]}}"#,
        r#"{"user": {"id": "", "email": "  ", "ip_address": null, "username": true}}"#,
        r#"{"tags": [[], ["a"], ["a", 1, 2]]}"#,
        r#"{"tags": [{"key": "user.id"}, {"key": 7, "value": 8}]}"#,
        r#"{"user": 1.5}"#,
        r#"{"user": {"email": 5}}"#,
        r#"{"user": "ip:"}"#,
        r#"{"user": "id:"}"#,
        r#"{"": {"": ""}, ".": {".": "x"}}"#,
        r#"{"user.": 1, ".user": 2}"#,
    ] {
        let cleared = bed.clear(Records::Errors(vec![error(event)]));
        assert_eq!(cleared.admitted.unwrap().count(), 1, "{event}");
    }
}

#[test]
fn a_busy_batch_keeps_each_record_to_its_person() {
    let bed = Bed::new();
    let records: Vec<LogRecord> = (0..5_000)
        .map(|n| LogRecord {
            body: format!("user {n}: person{n}@example.com did it").into(),
            attributes: object(&format!(
                r#"{{"user.id": "person-{n}", "user.email": "person{n}@example.com"}}"#
            )),
            ..LogRecord::default()
        })
        .collect();
    let admitted = bed.clear(Records::Logs(records)).admitted.unwrap();
    assert_eq!(admitted.count(), 5_000);
    for n in [0, 1, 2047, 2048, 4_999] {
        let row = row(admitted.rows(), n);
        let email = code(&bed, SubjectKind::Email, &format!("person{n}@example.com"));
        assert_eq!(get(&row, "body"), format!("user {n}: {email} did it"));
        assert_eq!(get(&row, "subject"), code(&bed, SubjectKind::User, &format!("person-{n}")));
    }
    assert_eq!(admitted.vault().len(), 10_000);
}

#[test]
fn what_was_done_is_counted_over_all_batches() {
    let bed = Bed::new();
    for _ in 0..3 {
        bed.log(log(r#"{"note": "paid with 4111111111111111", "user.id": "u-1"}"#));
    }
    let report = bed.gate.totals().report();
    assert_eq!(report.replaced, [("card", 3), ("identifier", 3)]);
    assert_eq!((report.records_dropped(), report.attributes_dropped), (0, 0));
}
