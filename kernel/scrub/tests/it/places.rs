//! Rules that hold at places: selectors, exceptions, precedence, actions, remarks.

use candor_model::Value;
use candor_model::json::{self, Leniency};
use candor_scrub::{
    Action, Allow, Counts, Detector, Kind, Pattern, Pseudonyms, RecordKind, Remarks, Rule, RuleError, Rules,
    Run, Scope, Scrubber, Selector,
};
use expect_test::{Expect, expect};

fn at(selector: &str) -> Scope {
    Scope::At(Selector::parse(selector).expect("a selector"))
}

fn rule(id: &str, scope: Scope, detectors: &[Detector], action: Action) -> Rule {
    Rule { id: id.to_owned(), detectors: detectors.to_vec(), action, scope }
}

/// Numbers what it is asked for.
#[derive(Default)]
struct Numbered(usize);

impl Pseudonyms for Numbered {
    fn code(&mut self, kind: Kind, _: &str) -> Option<String> {
        self.0 += 1;
        (kind != Kind::Mac)
            .then(|| format!("user:{}{}", "a".repeat(25), char::from(b'a' + (self.0 % 26) as u8)))
    }
}

fn event(scrubber: &Scrubber, text: &str) -> (String, Remarks, Option<usize>) {
    let mut value = json::parse(text.as_bytes(), Leniency::LENIENT).expect("valid JSON");
    let (mut counts, mut remarks, mut codes) = (Counts::new(), Remarks::new(), Numbered::default());
    let mut run =
        Run::new(&mut counts).of(RecordKind::Error).with_remarks(&mut remarks).with_pseudonyms(&mut codes);
    scrubber.value_at(&[], &mut value, &mut run);
    let dropped = run.dropped_by();
    (json::to_string(&value), remarks, dropped)
}

fn check(rules: Rules, text: &str, expected: Expect) {
    let scrubber = Scrubber::new(rules).expect("fine rules");
    let once = event(&scrubber, text).0;
    assert_eq!(event(&scrubber, &once).0, once, "twice is once");
    expected.assert_eq(&once);
}

#[test]
fn the_first_rule_that_holds_decides() {
    let rules = vec![
        rule("orders", at("extra.order"), &[Detector::Card], Action::Mask { keep_last: 4 }),
        rule("mail", at("** && !user.email"), &[Detector::Email], Action::Pseudonym),
        rule("frames", at("$frame.vars.**"), &[Detector::Whole], Action::Replace("-".to_owned())),
        rule("all", Scope::Everywhere, &[Detector::Card, Detector::Email], Action::Remove),
    ];
    check(
        Rules::of(rules),
        r#"{"user":{"email":"jane@example.com"},"extra":{"order":"4111111111111111","other":"4111111111111111 jane@example.com"},"exception":{"values":[{"value":"4242424242424242","stacktrace":{"frames":[{"vars":{"a":"b","n":1,"l":[1]}}]}}]}}"#,
        expect![[
            r#"{"user":{"email":"[email]"},"extra":{"order":"************1111","other":"[card] user:aaaaaaaaaaaaaaaaaaaaaaaaab"},"exception":{"values":[{"value":"[card]","stacktrace":{"frames":[{"vars":{"a":"-","n":"-","l":"-"}}]}}]}}"#
        ]],
    );
}

#[test]
fn exceptions() {
    let allow = |at: &str, detectors: &[Detector]| Allow {
        at: Selector::parse(at).expect("a selector"),
        detectors: detectors.to_vec(),
    };
    let allow = vec![
        allow("extra.order_no", &[Detector::Card]),
        allow("tags.**", &[Detector::SecretName, Detector::SecretShape]),
    ];
    let rules = Rules { allow, ..Rules::default() };
    check(
        rules,
        r#"{"extra":{"order_no":4111111111111111,"order":4111111111111111},"tags":{"password":"hunter2","n":"4111111111111111"},"x":{"order_no":"password=hunter2 4111111111111111"}}"#,
        expect![[
            r#"{"extra":{"order_no":4111111111111111,"order":"[card]"},"tags":{"password":"hunter2","n":"[card]"},"x":{"order_no":"password=[secret] [card]"}}"#
        ]],
    );
}

#[test]
fn whole_places() {
    let whole = |at_: &str, action: Action| Rules::of(vec![rule("one", at(at_), &[Detector::Whole], action)]);
    let text = r#"{"a":{"b":"some text","n":12345,"t":true,"z":null},"l":["one","two",3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#;
    check(
        whole("a", Action::Remove),
        text,
        expect![[
            r#"{"a":"[secret]","l":["one","two",3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("a", Action::DropField),
        text,
        expect![[
            r#"{"l":["one","two",3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("a.*", Action::DropField),
        text,
        expect![[
            r#"{"a":{"z":null},"l":["one","two",3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("l.1", Action::DropField),
        text,
        expect![[
            r#"{"a":{"b":"some text","n":12345,"t":true,"z":null},"l":["one",null,3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("a", Action::Mask { keep_last: 1 }),
        text,
        expect![[
            r#"{"a":{"b":"**** ***t","n":"****5","t":"***e","z":null},"l":["one","two",3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("** && !a.b", Action::Truncate { characters: 3 }),
        text,
        expect![[
            r#"{"a":{"b":"some text","n":"123","t":"tru","z":null},"l":["one","two",3],"when":"202","lat":"52.","ip":"203"}"#
        ]],
    );
    check(
        whole("$string", Action::Replace("x".to_owned())),
        text,
        expect![[
            r#"{"a":{"b":"x","n":12345,"t":true,"z":null},"l":["x","x",3],"when":"x","lat":52.520008,"ip":"x"}"#
        ]],
    );
    check(
        whole("when || lat || ip || l", Action::GENERALISE),
        text,
        expect![[
            r#"{"a":{"b":"some text","n":12345,"t":true,"z":null},"l":["[secret]","[secret]","[secret]"],"when":"2026-01-02T03:00:00Z","lat":52.5,"ip":"203.0.113.0"}"#
        ]],
    );
    check(
        whole("a.b || l", Action::Pseudonym),
        text,
        expect![[
            r#"{"a":{"b":"user:aaaaaaaaaaaaaaaaaaaaaaaaab","n":12345,"t":true,"z":null},"l":"user:aaaaaaaaaaaaaaaaaaaaaaaaac","when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("$number", Action::Remove),
        text,
        expect![[
            r#"{"a":{"b":"some text","n":"[secret]","t":true,"z":null},"l":["one","two","[secret]"],"when":"2026-01-02T03:04:05Z","lat":"[secret]","ip":"203.0.113.9"}"#
        ]],
    );
    check(
        whole("$log.**", Action::Remove),
        text,
        expect![[
            r#"{"a":{"b":"some text","n":12345,"t":true,"z":null},"l":["one","two",3],"when":"2026-01-02T03:04:05Z","lat":52.520008,"ip":"203.0.113.9"}"#
        ]],
    );
}

#[test]
fn drops() {
    let rules = vec![
        rule("gone", at("$request.**"), &[Detector::Card], Action::DropField),
        rule("all", at("extra.**"), &[Detector::Iban], Action::DropEvent),
        rule("told", Scope::Everywhere, &[Detector::Card], Action::Alert),
    ];
    let scrubber = Scrubber::new(Rules::of(rules)).expect("fine rules");
    let (out, remarks, dropped) = event(
        &scrubber,
        r#"{"request":{"url":"https://x/4111111111111111","headers":[["a","4111111111111111"]],"4111111111111111":1,"ok":1},"x":"4111111111111111"}"#,
    );
    expect![[r#"{"request":{"headers":[["a",null]],"ok":1},"x":"4111111111111111"}"#]].assert_eq(&out);
    assert_eq!(dropped, None);
    let told: Vec<String> =
        remarks.iter().map(|remark| format!("{} {} {}", remark.path, remark.rule, remark.action)).collect();
    expect![
        "request.'[card]' 0 drop_field, request.url 0 drop_field, request.headers.0.1 0 drop_field, x 2 alert"
    ]
    .assert_eq(&told.join(", "));
    let (_, _, dropped) = event(&scrubber, r#"{"extra":{"a":["DE89370400440532013000"]}}"#);
    assert_eq!(dropped, Some(1));
}

#[test]
fn remarks_say_where_and_never_what() {
    let mut rules = Rules::default();
    rules.rules.push(rule("mail", Scope::Everywhere, &[Detector::Email], Action::Mask { keep_last: 3 }));
    let scrubber = Scrubber::new(rules).expect("fine rules");
    let (out, remarks, _) = event(
        &scrubber,
        r#"{"a":[{"it's":"pay 4111111111111111 jane@example.com now"}],"password":"hunter2","card 4242424242424242":{"n":4111111111111111},"u":"https://jane:hunter2@host/?token=abc123 jane@example.com"}"#,
    );
    let mut told = format!("{out}\n");
    for remark in remarks.iter() {
        told.push_str(&format!("{remark:?}\n"));
        assert!(remark.start <= remark.end);
    }
    expect![[r#"
        {"a":[{"it's":"pay [card] ****@*******.com now"}],"password":"[secret]","card [card]":{"n":"[card]"},"u":"https://[url_credentials]@host/?token=[secret] ****@*******.com"}
        Remark { path: "'card [card]'", in_key: true, rule: 0, kind: Card, action: "remove", start: 5, end: 11 }
        Remark { path: "a.0.'it''s'", in_key: false, rule: 0, kind: Card, action: "remove", start: 4, end: 10 }
        Remark { path: "a.0.'it''s'", in_key: false, rule: 2, kind: Email, action: "mask", start: 11, end: 27 }
        Remark { path: "password", in_key: false, rule: 1, kind: Secret, action: "remove", start: 0, end: 8 }
        Remark { path: "'card [card]'.n", in_key: false, rule: 0, kind: Card, action: "remove", start: 0, end: 6 }
        Remark { path: "u", in_key: false, rule: 1, kind: UrlCredentials, action: "remove", start: 8, end: 25 }
        Remark { path: "u", in_key: false, rule: 1, kind: Secret, action: "remove", start: 38, end: 46 }
        Remark { path: "u", in_key: false, rule: 2, kind: Email, action: "mask", start: 47, end: 63 }
    "#]].assert_eq(&told);
}

#[test]
fn texts_and_objects_at_places() {
    let rules = vec![
        rule("names", at("$log.resource.**"), &[Detector::Email], Action::Remove),
        rule("body", at("$log.body"), &[Detector::Whole], Action::Truncate { characters: 4 }),
        rule("id", at("$log.trace_id"), &[Detector::Whole], Action::DropField),
    ];
    let scrubber = Scrubber::new(Rules::of(rules)).expect("fine rules");
    let (mut counts, mut remarks) = (Counts::new(), Remarks::new());
    let mut run = Run::new(&mut counts).of(RecordKind::Log).with_remarks(&mut remarks);
    assert_eq!(
        scrubber.text_at(&["resource", "owner"], "jane@example.com", &mut run).as_deref(),
        Some("[email]")
    );
    assert_eq!(scrubber.text_at(&["attributes", "owner"], "jane@example.com", &mut run), None);
    assert_eq!(scrubber.text_at(&["trace_id"], "abc", &mut run).as_deref(), Some(""));
    let mut body = Value::from("all of it");
    scrubber.value_at(&["body"], &mut body, &mut run);
    assert_eq!(body, Value::from("all "));
    let mut resource = [("service.owner".to_owned(), Value::from("jane@example.com"))].into_iter().collect();
    scrubber.object_at(&["resource"], &mut resource, &mut run);
    assert_eq!(resource.get("service.owner"), Some(&Value::from("[email]")));
    let told: Vec<String> = remarks.iter().map(|remark| remark.path).collect();
    assert_eq!(told, ["resource.owner", "trace_id", "body", "resource.'service.owner'"]);
    let mut other = Run::new(&mut counts).of(RecordKind::Span);
    assert_eq!(scrubber.text_at(&["resource", "owner"], "jane@example.com", &mut other), None);
}

fn patterns(expressions: &[&str], action: Action) -> Result<Scrubber, RuleError> {
    let patterns = expressions
        .iter()
        .enumerate()
        .map(|(index, expression)| Pattern { id: format!("p{index}"), expression: (*expression).to_owned() });
    let detectors: Vec<Detector> =
        (0..expressions.len()).map(|index| Detector::Pattern(index as u8)).collect();
    let mut rules = Rules::of(vec![rule("own", Scope::Everywhere, &detectors, action)]);
    rules.patterns = patterns.collect();
    Scrubber::new(rules)
}

#[test]
fn users_patterns() {
    let scrub = |expressions: &[&str], action: Action, text: &str| {
        let scrubber = patterns(expressions, action).expect("fine patterns");
        let (once, _, _) = event(&scrubber, text);
        assert_eq!(event(&scrubber, &once).0, once, "twice is once");
        once
    };
    let text = r#"{"order":"ACME-12345 of K-99","n":12345,"k":"x%41CME-777"}"#;
    expect![[r#"{"order":"[removed] of [removed]","n":12345,"k":"x[removed]"}"#]].assert_eq(&scrub(
        &[r"ACME-\d+", r"K-\d\d"],
        Action::Remove,
        text,
    ));
    expect![[r#"{"[removed]":"[removed]-[removed] [removed] [removed]-[removed]","[removed]#2":"[removed]","[removed]#3":"[removed]-[removed]"}"#]].assert_eq(&scrub(&[r"\w+"], Action::Remove, text));
    expect![[r#"{"[removed]":"[removed]","[removed]#2":"[removed]","[removed]#3":"[removed]"}"#]]
        .assert_eq(&scrub(&[r".+"], Action::Remove, text));
    expect![[r#"{"user:aaaaaaaaaaaaaaaaaaaaaaaaab":"user:aaaaaaaaaaaaaaaaaaaaaaaaae-user:aaaaaaaaaaaaaaaaaaaaaaaaaf user:aaaaaaaaaaaaaaaaaaaaaaaaag user:aaaaaaaaaaaaaaaaaaaaaaaaah-user:aaaaaaaaaaaaaaaaaaaaaaaaai","user:aaaaaaaaaaaaaaaaaaaaaaaaac":"user:aaaaaaaaaaaaaaaaaaaaaaaaaj","user:aaaaaaaaaaaaaaaaaaaaaaaaad":"user:aaaaaaaaaaaaaaaaaaaaaaaaak-user:aaaaaaaaaaaaaaaaaaaaaaaaal"}"#]].assert_eq(&scrub(&[r"\w+"], Action::Pseudonym, text));
    expect![[r#"{"order":"ACME-****5 of K-*9","n":"****5","k":"x%*1CME-**7"}"#]].assert_eq(&scrub(
        &[r"\d+"],
        Action::Mask { keep_last: 1 },
        text,
    ));
    let refused =
        |expressions: &[&str]| patterns(expressions, Action::Remove).expect_err("it is refused").to_string();
    expect!["pattern `p0`: unclosed group"].assert_eq(&refused(&["a("]));
    expect!["pattern `p0`: look-around, including look-ahead and look-behind, is not supported"]
        .assert_eq(&refused(&["(?=a)b"]));
    expect!["pattern `p0`: it matches the empty text, so it would match everywhere"]
        .assert_eq(&refused(&["a*"]));
    expect!["pattern `p0`: compiled it is larger than 262144 bytes"]
        .assert_eq(&refused(&[r"\w{1000}{1000}"]));
    expect!["pattern `p0`: it is longer than 4096 bytes"].assert_eq(&refused(&[&"a".repeat(5000)]));
    let many: Vec<String> = (0..65).map(|index| format!("a{index}")).collect();
    expect!["65 patterns, more than 64; join some with `|`"]
        .assert_eq(&refused(&many.iter().map(String::as_str).collect::<Vec<_>>()));
    let unknown = Rules::of(vec![rule("x", Scope::Everywhere, &[Detector::Pattern(0)], Action::Remove)]);
    expect!["`x` names a pattern that there is not"]
        .assert_eq(&Scrubber::new(unknown).expect_err("it is refused").to_string());
}

#[test]
fn encodings_that_are_not_looked_into() {
    let mut rules = Rules::default();
    rules.decode.clear();
    let scrubber = Scrubber::new(rules).expect("fine rules");
    for text in ["%34%31%31%31111111111111", "NDExMTExMTExMTExMTExMQ==", "\\u0034111111111111111"] {
        assert_eq!(scrubber.scrub_str(text, &mut Counts::new()), None);
        assert!(Scrubber::default().scrub_str(text, &mut Counts::new()).is_some(), "{text}");
    }
    let rules = Rules { keys_too: false, ..Rules::default() };
    check(rules, r#"{"4111111111111111":"4111111111111111"}"#, expect![[r#"{"4111111111111111":"[card]"}"#]]);
}

/// What is said about many places costs what they are many, and a record may have any shape.
#[test]
fn placed_rules_take_time_in_proportion() {
    let rules = (0..20).map(|index| {
        rule(
            &format!("r{index}"),
            at(&format!("**.a{index}.**.b.** && !($frame.vars.** || c)")),
            &[Detector::Card],
            Action::Remove,
        )
    });
    let scrubber = Scrubber::new(Rules::of(rules.collect())).expect("fine rules");
    let time = |members: usize| {
        let object = (0..members)
            .map(|index| (format!("a{}.b.c{index}", index % 30), Value::from("4111111111111111")));
        let mut value = Value::Array(vec![Value::Object(object.collect())]);
        let (mut counts, started) = (Counts::new(), std::time::Instant::now());
        scrubber.value_at(&[], &mut value, &mut Run::new(&mut counts).of(RecordKind::Error));
        assert!(counts.total() > 0);
        started.elapsed().as_secs_f64()
    };
    time(100);
    let (small, large) = (time(2_000).max(1e-4), time(40_000));
    assert!(large / small < 100.0, "20 times as much took {:.0} times as long", large / small);
}
