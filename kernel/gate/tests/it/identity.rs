//! Identifiers leave records, codes stay, values go to the vault.

use candor_gate::{Collect, Policy, UnknownFields};
use candor_model::{LogRecord, Object, Records, Subject, SubjectKind, Value};

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
    let first = row(admitted.rows().unwrap(), 0);
    assert_eq!(get(&first, "body"), format!("reset for {code}"));
    assert_eq!(get(&first, "subjects"), code, "erasing finds the row that mentions");
    assert_eq!(get(&first, "subject"), "", "but it is not about her");
    assert_eq!(get(&row(admitted.rows().unwrap(), 1), "subject"), code);
    assert_eq!(admitted.vault().len(), 1);
}

#[test]
fn an_identifier_beside_a_secret_becomes_a_code_without_it() {
    let bed = Bed::new();
    for (name, kind, sent, clean) in [
        ("user.name", SubjectKind::Name, "Jane 4111 1111 1111 1111", "Jane [card]"),
        ("user.id", SubjectKind::User, "jane password=hunter2", "jane password=[secret]"),
        ("user.email", SubjectKind::Email, "jane+4111111111111111@x.example", "jane+[card]@x.example"),
        ("session.id", SubjectKind::Session, "DE89370400440532013000 of Jane", "[iban] of Jane"),
    ] {
        let attributes = format!(r#"{{"{name}": "{sent}", "note": "of {sent}"}}"#);
        let cleared = bed.clear(Records::Logs(vec![log(&attributes)]));
        let admitted = cleared.admitted.unwrap();
        let row = row(admitted.rows().unwrap(), 0);
        let subject = Subject { kind, value: clean.to_owned() };
        let code = bed.keyring.code(bed.scope.project(), None, &subject);
        assert_eq!(get(&row, "subject"), code, "{row:?}");
        assert_eq!(get(&row, "attributes"), format!("note=of {code}"));
        assert_eq!(admitted.vault().len(), 1);
        let event =
            bed.event(&format!(r#"{{"user": {{"username": "{sent}"}}, "tags": {{"user": "{sent}"}}}}"#));
        let event = event.to_text();
        assert!(!event.to_lowercase().contains("jane"), "{event}");
    }
    // A rule's own words say nothing of anybody.
    let bed =
        Bed::under("[[scrub.rule]]\nid = \"c\"\nat = \"**\"\ndetect = [\"card\"]\naction = \"replace:GONE\"");
    let (attributes, subjects) = bed.attributes(r#"{"user.id": "4111 1111 1111 1111"}"#);
    assert_eq!((attributes.as_str(), subjects.as_str()), ("user.id=GONE", ""));
}

#[test]
fn an_identifier_that_a_rule_strikes_makes_no_code() {
    let bed = Bed::new();
    let cleared = bed.clear(Records::Logs(vec![log(r#"{"user.id": "4111111111111111"}"#)]));
    let admitted = cleared.admitted.unwrap();
    assert_eq!(admitted.vault(), []);
    assert_eq!(get(&row(admitted.rows().unwrap(), 0), "attributes"), "user.id=[card]");
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
    let collect = Collect { user_traits: UnknownFields::Scrub, ..Collect::default() };
    bed.gate.set_policy(Policy { collect, ..Policy::default() }).unwrap();
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
        let row = row(admitted.rows().unwrap(), n);
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

/// Text that holds fields, what must not be left of it, and what must be.
fn fields_within(text: &str, gone: &[&str], kept: &[&str]) {
    let bed = Bed::new();
    let mut record = log("{}");
    record.attributes.insert("payload", text);
    record.body = text.into();
    let row = bed.log(record);
    let attribute = get(&row, "attributes").strip_prefix("payload=").unwrap().to_owned();
    assert_eq!(get(&row, "body"), attribute);
    for gone in gone {
        assert!(!attribute.contains(gone), "{gone} is left of {text}: {attribute}");
    }
    for kept in kept {
        assert!(attribute.contains(kept), "{kept} is lost of {text}: {attribute}");
    }
    let email = code(&bed, SubjectKind::Email, "a@b.example");
    assert!(get(&row, "subjects").contains(&email), "{text} names nobody: {row:?}");
    assert!(attribute.contains(&email), "{attribute}");
    // In an event as in a row.
    let event = bed.event(&Value::from(Object::from_iter([("message".to_owned(), text.into())])).to_text());
    assert_eq!(event.get("message").and_then(Value::as_str), Some(attribute.as_str()));
}

#[test]
fn fields_of_json_within_text_are_fields() {
    let json =
        r#"{ "user": {"email":"a@b.example",  "id" : 42.0, "note":"1.50"}, "n": 1.50,"password":"hunter2" }"#;
    let escaped = |text: &str| {
        let quoted = Value::from(text).to_text();
        let quoted = candor_model::json::to_string(&Value::from(quoted));
        quoted[1..quoted.len() - 1].to_owned()
    };
    let quoted = |text: &str| candor_model::json::to_string(&Value::from(text));
    let gone = ["a@b.example", "42.0", "hunter2"];
    fields_within(json, &gone, &[r#"{ "user": {"email":"email:"#, r#", "n": 1.50,"password":"[secret]" }"#]);
    for text in [
        quoted(json),
        quoted(&quoted(json)),
        escaped(json),
        format!("request failed: {json}, giving up"),
        format!("[{json}]"),
        format!("{{\"body\":{}}}", quoted(json)),
        format!("{{\"a\":{{\"body\":{}}}}}", quoted(&format!("{{\"inner\":{}}}", quoted(json)))),
    ] {
        fields_within(&text, &gone, &["1.50"]);
    }
    let turned = r#"{"email":"a@b.example","fields":[{"value":"hunter2","name":"password"}],"ok":true}"#;
    fields_within(turned, &["hunter2"], &[r#"{"value":"[secret]","name":"password"}],"ok":true}"#]);
    fields_within(r#"["email=a@b.example&x=1",{"password":["hunter2"]}]"#, &["hunter2"], &["&x=1"]);
}

#[test]
fn fields_of_queries_and_forms_are_fields() {
    let gone = ["a@b.example", "a%40b", "hunter2", "4711", "203.0.113.9"];
    for (text, kept) in [
        ("user[email]=a%40b.example&password=hunter2&page=2&user[id]=4711", &["&page=2&"][..]),
        ("user%5Bemail%5D=a@b.example&x=%20&user_id=4711&client_ip=203.0.113.9", &["&x=%20&"]),
        ("https://shop.example/?x=1&email=a%40b.example#top", &["https://shop.example/?x=1&", "#top"]),
        (
            "GET /a?email=a%40b.example&q=a+b&user_id=4711 HTTP/1.1 200",
            &["GET /a?", "&q=a+b&", " HTTP/1.1 200"],
        ),
        ("/x?user_id=4711 /y?email=a@b.example&amp;session_id=4711", &["/x?user_id=user:", " /y?"]),
        ("a=1&data=%7B%22user%22%3A%7B%22email%22%3A%22a%40b.example%22%7D%2C%22k%22%3A1%7D", &["a=1&data="]),
    ] {
        fields_within(text, &gone, kept);
    }
    let bed = Bed::new();
    let event = bed.event(r#"{"request": {"query_string": "email=a%40b.example", "data": "user_id=4711"}}"#);
    assert!(!event.to_text().contains("a%40b") && !event.to_text().contains("4711"), "{}", event.to_text());
}

#[test]
fn text_without_fields_of_persons_stays_as_it_is() {
    let bed = Bed::new();
    for text in [
        r#"{ "a" : 1.10, "name": "x", "list":[ 1 , 2e5 ], "\u0041": "\/" }"#,
        "{\"broken\": {\"email\"",
        "a=1&b=2&name=x",
        "if (a == b && c != d) { return \"x\"; }",
        "{'user': 1}",
        "x = y ? z : email",
        "https://shop.example/?page=2&id=7",
        "{{}}[[]]",
        "[\"\\",
    ] {
        let mut record = log("{}");
        record.body = text.into();
        let row = bed.log(record);
        assert_eq!((get(&row, "body").as_str(), get(&row, "subjects").as_str()), (text, ""));
    }
    // Bounded however deep it lies, and however often a bracket opens.
    let mut deep = r#"{"email":"a@b.example"}"#.to_owned();
    for _ in 0..12 {
        deep = candor_model::json::to_string(&Value::from(deep));
    }
    for text in [deep, "{\"".repeat(100_000), "[{\"a\":".repeat(50_000), "?a=b".repeat(50_000)] {
        let mut record = log("{}");
        record.body = text.into();
        bed.log(record);
    }
}

#[test]
fn a_person_within_text_is_a_person() {
    let bed = Bed::new();
    let row = bed.log(log(r#"{"user": "{\"id\": \"u-4711\", \"plan\": \"pro\"}"}"#));
    let user = code(&bed, SubjectKind::User, "u-4711");
    assert_eq!(get(&row, "subject"), user);
    assert_eq!(get(&row, "attributes"), format!("user={{\"id\": \"{user}\"}}"));
}

#[test]
fn a_person_whose_json_was_cut_leaves_as_a_whole() {
    let bed = Bed::new();
    for text in [
        r#"{"id":"u-4711","email":"a@b.c","avatar":"https://x/?user_id=5"#,
        r#"{"id":"u-4711","avatar":"https://x/?user_id=5"} u-4711"#,
        r#"{"id":"u-4711","#,
        r#"{id: u-4711, avatar: "https://x/?user_id=5"}"#,
    ] {
        let mut record = log("{}");
        record.attributes.insert("user", text);
        let row = bed.log(record);
        let seen = format!("{row:?}");
        assert!(!seen.contains("4711") && !seen.contains("a@b.c"), "{text}: {seen}");
        let event = Value::from(Object::from_iter([("user".to_owned(), Value::from(text))]));
        let event = bed.event(&event.to_text()).to_text();
        assert!(!event.contains("4711") && !event.contains("a@b.c"), "{text}: {event}");
    }
}
