//! Trees: names, numbers, pairs, and the 29 places of an event in which a well-known scrubber leaves cards.

use candor_model::json::{self, Leniency};
use candor_scrub::{Action, Counts, Detector, Kind, Rule, RuleError, Rules, Scope, Scrubber};
use expect_test::{Expect, expect};

fn scrub_json(scrubber: &Scrubber, text: &str) -> (String, Counts) {
    let mut value = json::parse(text.as_bytes(), Leniency::LENIENT).expect("valid JSON");
    let mut counts = Counts::new();
    scrubber.scrub_value(&mut value, None, &mut counts);
    let once = json::to_string(&value);
    let mut again = Counts::new();
    scrubber.scrub_value(&mut value, None, &mut again);
    assert_eq!(json::to_string(&value), once, "twice is once");
    assert!(again.is_empty(), "nothing is counted twice: {again:?}");
    (once, counts)
}

fn check(inputs: &str, expected: Expect) {
    let scrubber = Scrubber::default();
    let lines: Vec<String> = inputs
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| scrub_json(&scrubber, line).0)
        .collect();
    expected.assert_eq(&format!("{}\n", lines.join("\n")));
}

#[test]
fn by_name() {
    check(
        r#"
        {"password":"hunter2","passwd":1234,"secret":true,"token":null,"api_key":"","apiKey":"k","author":"Jane","token_count":5}
        {"tokens":512,"token":512,"max_tokens":"100","tokenType":"x","csrf":"abc","session":"s3ss10n","session_id":"abc","credentials":{"user":"a","key":"b"}}
        {"headers":[["Cookie","a=b"],["Host","x"],["Authorization","Bearer x"]],"cookies":{"sid":"abc","n":1,"none":null}}
        {"headers":{"Cookie":"a=b","set-cookie":["a=b","c=d"],"X-Api-Key":"k","Accept":"*/*"}}
        {"rawHeaders":["Host","x","Cookie","a=b","Accept","*/*"],"argv":["mysql","--password","hunter2","--user","jane"]}
        [{"name":"Authorization","value":"abc"},{"key":"password","value":{"stringValue":"hunter2"}},{"name":"Host","value":"x"}]
        {"tags":[["password","hunter2"],["level","error"]],"tags2":{"db.password":"x","db.name":"y"}}
        {"modules":{"cookie":"0.6.0","jsonwebtoken":"9.0.2","pyjwt":"2.8.0"},"password":"1.2.3"}
        {"password":"[Filtered]","token":"[secret]","secret":"***"}
        {"card":"30569309025904","card_number":"4111-1111-1111-1111","pan":1234567812345670,"ssn":536904399,"ssn2":"536904399","id":536904399}
        {"session":{"id":"abc","user":"jane"},"auth":{"password":"x","kind":"basic"},"auth2":"ok"}
        {"extra":{"note":"password=hunter2 and {\"token\":\"abc\"}"}}
        "#,
        expect![[r#"
            {"password":"[secret]","passwd":"[secret]","secret":true,"token":null,"api_key":"","apiKey":"[secret]","author":"Jane","token_count":5}
            {"tokens":512,"token":"[secret]","max_tokens":"100","tokenType":"x","csrf":"[secret]","session":"[secret]","session_id":"abc","credentials":{"user":"[secret]","key":"[secret]"}}
            {"headers":[["Cookie","[secret]"],["Host","x"],["Authorization","[secret]"]],"cookies":{"sid":"[secret]","n":"[secret]","none":null}}
            {"headers":{"Cookie":"[secret]","set-cookie":["[secret]","[secret]"],"X-Api-Key":"[secret]","Accept":"*/*"}}
            {"rawHeaders":["Host","x","Cookie","[secret]","Accept","*/*"],"argv":["mysql","--password","[secret]","--user","jane"]}
            [{"name":"Authorization","value":"[secret]"},{"key":"password","value":{"stringValue":"[secret]"}},{"name":"Host","value":"x"}]
            {"tags":[["password","[secret]"],["level","error"]],"tags2":{"db.password":"[secret]","db.name":"y"}}
            {"modules":{"cookie":"0.6.0","jsonwebtoken":"9.0.2","pyjwt":"2.8.0"},"password":"[secret]"}
            {"password":"[Filtered]","token":"[secret]","secret":"***"}
            {"card":"[card]","card_number":"[card]","pan":1234567812345670,"ssn":"[ssn]","ssn2":"[ssn]","id":536904399}
            {"session":{"id":"abc","user":"jane"},"auth":{"password":"[secret]","kind":"basic"},"auth2":"ok"}
            {"extra":{"note":"password=[secret] and {\"token\":\"[secret]\"}"}}
        "#]],
    );
}

#[test]
fn names_that_mean_something_else_once_they_are_scrubbed() {
    check(
        r#"
        ["Cooroot:x@tcp(h)kie","x=y"]
        ["root:Cookie@tcp(h)","x=y"]
        {"rawHeaders":["Cooroot:x@tcp(h)kie","x=y","Host","h"]}
        ["--root:x@tcp(h)password","a","b"]
        {"name":"Cooroot:x@tcp(h)kie","value":"x=y"}
        {"value":"x=y","name":"Cooroot:x@tcp(h)kie","data":["a"]}
        {"root:Cookie@tcp(h)":"x=y","root:x@tcp(h)password":{"a":[1]},"session root:password@tcp(h)":"plain"}
        {"4111111111111111":17,"4111111111111111 id":12345678901234567,"4111 1111 1111 1111 id":4111111111111111110}
        {"AKIAIOSFODNN7EXAMPLE":"plain","[secret]":"plain","[secret]#2":1}
        {"{\\\"password\\\":\\\"hunter2\\":1,"{\\\"password\\\":\\\"hunter3\\":2,"[secret]#2":3}
        {"card 4111111111111111":1,"card [card]":2,"card 4111-1111-1111-1111":3}
        ["AKIAIOSFODNN7EXAMPLE","plain"]
        {"token":"{root:x@tcp(h)}"}
        "#,
        expect![[r#"
            ["[url_credentials]@tcp(h)kie","[secret]"]
            ["[url_credentials]@tcp(h)","[secret]"]
            {"rawHeaders":["[url_credentials]@tcp(h)kie","[secret]","Host","h"]}
            ["[url_credentials]@tcp(h)password","[secret]","b"]
            {"name":"[url_credentials]@tcp(h)kie","value":"[secret]"}
            {"value":"[secret]","name":"[url_credentials]@tcp(h)kie","data":["[secret]"]}
            {"[url_credentials]@tcp(h)":"[secret]","[url_credentials]@tcp(h)password":{"a":["[secret]"]},"session [url_credentials]@tcp(h)":"[secret]"}
            {"[card]":17,"[card] id":12345678901234567,"[card] id#2":"[card]"}
            {"[secret]#3":"plain","[secret]":"plain","[secret]#2":1}
            {"{\\\"password\\\":\\\"[secret]":"[secret]","[secret]#3":"[secret]","[secret]#2":3}
            {"card [card]#2":1,"card [card]":2,"card [card]#3":3}
            ["[secret]","plain"]
            {"token":"[secret]"}
        "#]],
    );
}

#[test]
fn numbers_and_keys() {
    check(
        r#"
        {"n":4111111111111111,"f":4111111111111111.0,"e":4.111111111111111e15,"neg":-4111111111111111,"big":41111111111111111111111}
        {"ts":1767323045678,"ns":1767323045678000000,"trace_id":4131034282458809939,"free":4131034282458809939,"pi":3.14}
        {"4111111111111111":"x","4242424242424242":"y","a":"z"}
        {"card 4111111111111111":{"4111111111111111":1},"[card]":"there already","4111111111111111":2}
        {"password=hunter2":1,"https://u:p@h/":2,"DE89370400440532013000":3,"536-90-4399":4,"4111 1111 1111 1111":5}
        "#,
        expect![[r#"
            {"n":"[card]","f":"[card]","e":"[card]","neg":"[card]","big":41111111111111111111111}
            {"ts":1767323045678,"ns":1767323045678000000,"trace_id":4131034282458809939,"free":"[card]","pi":3.14}
            {"[card]":"x","[card]#2":"y","a":"z"}
            {"card [card]":{"[card]":1},"[card]":"there already","[card]#2":2}
            {"password=[secret]":"[secret]","https://[url_credentials]@h/":"[secret]","[iban]":3,"[ssn]":4,"[card]":5}
        "#]],
    );
}

#[test]
fn counts_by_kind_and_rule() {
    let (_, counts) = scrub_json(
        &Scrubber::default(),
        r#"{"password":"x","a":"4111111111111111 DE89370400440532013000 4242424242424242"}"#,
    );
    assert_eq!(counts.by_kind().collect::<Vec<_>>(), [(Kind::Card, 2), (Kind::Iban, 1), (Kind::Secret, 1)]);
    assert_eq!(counts.by_rule().collect::<Vec<_>>(), [(0, 3), (1, 1)]);
    let mut sum = Counts::new();
    sum.merge(&counts);
    sum.merge(&counts);
    assert_eq!(sum.total(), 8);
}

#[test]
fn no_place_of_an_event_keeps_a_card() {
    let number = "4111111111111111";
    let dotted = "4111.1111.1111.1111";
    let spaced = "4111 1111 1111 1111";
    let places = [
        r#"{"extra":{"v":NUMBER}}"#,
        r#"{"extra":{"v":"{\"card\": \"CARD\"}"}}"#,
        r#"{"extra":{"v":"cc%3DCARD"}}"#,
        r#"{"extra":{"v":"DOTTED"}}"#,
        r#"{"extra":{"CARD":"x"}}"#,
        r#"{"tags":[["t","CARD"]]}"#,
        r#"{"exception":{"values":[{"type":"E","value":"CARD"}]}}"#,
        r#"{"exception":{"values":[{"type":"CARD","value":"x"}]}}"#,
        r#"{"transaction":"/pay/CARD"}"#,
        r#"{"request":{"url":"https://x/?c=CARD"}}"#,
        r#"{"request":{"query_string":"c=CARD"}}"#,
        r#"{"exception":{"values":[{"type":"E","stacktrace":{"frames":[{"context_line":"x='CARD'"}]}}]}}"#,
        r#"{"exception":{"values":[{"type":"E","stacktrace":{"frames":[{"vars":{"c":"CARD"}}]}}]}}"#,
        r#"{"exception":{"values":[{"type":"E","stacktrace":{"frames":[{"function":"f_CARD"}]}}]}}"#,
        r#"{"breadcrumbs":{"values":[{"message":"CARD"}]}}"#,
        r#"{"breadcrumbs":{"values":[{"category":"CARD"}]}}"#,
        r#"{"logentry":{"formatted":"CARD"}}"#,
        r#"{"logentry":{"message":"%s","params":["CARD"]}}"#,
        r#"{"user":{"username":"CARD"}}"#,
        r#"{"user":{"name":"CARD"}}"#,
        r#"{"user":{"id":"CARD"}}"#,
        r#"{"contexts":{"x":{"c":"CARD"}}}"#,
        r#"{"request":{"headers":[["User-Agent","CARD"]]}}"#,
        r#"{"release":"CARD"}"#,
        r#"{"server_name":"CARD"}"#,
        r#"{"fingerprint":["CARD"]}"#,
        r#"{"spans":[{"description":"SELECT 'CARD'","span_id":"aaaaaaaaaaaaaaaa"}]}"#,
        r#"{"threads":{"values":[{"name":"CARD"}]}}"#,
        r#"{"modules":{"CARD":"1"}}"#,
    ];
    let scrubber = Scrubber::default();
    let mut leaks = Vec::new();
    for place in places {
        for card in [number, spaced, "4111-1111-1111-1111", dotted] {
            let event = place.replace("NUMBER", number).replace("DOTTED", dotted).replace("CARD", card);
            let (out, counts) = scrub_json(&scrubber, &event);
            if out.contains("1111") || counts.is_empty() {
                leaks.push(out);
            }
        }
    }
    assert!(leaks.is_empty(), "{} places leak: {leaks:#?}", leaks.len());
}

fn one_rule(detectors: &[Detector], action: Action) -> Result<Scrubber, RuleError> {
    Scrubber::new(Rules::of(vec![Rule {
        id: "one".to_owned(),
        detectors: detectors.to_vec(),
        action,
        scope: Scope::Everywhere,
    }]))
}

#[test]
fn actions() {
    let event = r#"{"password":"hunter2","a":"card 4111-1111-1111-1111, mail jane@example.com."}"#;
    let check = |detectors: &[Detector], action: Action, expected: Expect| {
        expected.assert_eq(&scrub_json(&one_rule(detectors, action).expect("fine rules"), event).0);
    };
    let both = [Detector::Card, Detector::SecretName];
    check(
        &both,
        Action::Remove,
        expect![[r#"{"password":"[secret]","a":"card [card], mail jane@example.com."}"#]],
    );
    check(
        &both,
        Action::Replace("<gone>".to_owned()),
        expect![[r#"{"password":"<gone>","a":"card <gone>, mail jane@example.com."}"#]],
    );
    check(
        &both,
        Action::Mask { keep_last: 4 },
        expect![[r#"{"password":"***ter2","a":"card ****-****-****-1111, mail jane@example.com."}"#]],
    );
    check(
        &both,
        Action::Truncate { characters: 3 },
        expect![[r#"{"password":"hun","a":"card 411, mail jane@example.com."}"#]],
    );
    check(
        &[Detector::Email],
        Action::Remove,
        expect![[r#"{"password":"hunter2","a":"card 4111-1111-1111-1111, mail [email]."}"#]],
    );
    check(
        &[Detector::Whole],
        Action::Truncate { characters: 9 },
        expect![[r#"{"password":"hunter2","a":"card 4111"}"#]],
    );
    check(
        &[],
        Action::Remove,
        expect![[r#"{"password":"hunter2","a":"card 4111-1111-1111-1111, mail jane@example.com."}"#]],
    );
}

#[test]
fn rules_that_are_refused() {
    let refused =
        one_rule(&[Detector::Card], Action::Replace("4111111111111111".to_owned())).expect_err("strikes");
    expect!["rule `one`: the replacement itself contains what the rules remove"]
        .assert_eq(&refused.to_string());
    let mut twice = Rules::default();
    let again = twice.rules.first().cloned().expect("a rule");
    twice.rules.push(again);
    let refused = Scrubber::new(twice).expect_err("duplicate");
    expect!["two rules are called `payment`"].assert_eq(&refused.to_string());
}

#[test]
fn fields() {
    let scrubber = Scrubber::default();
    let field = |key: &str, text: &str| scrubber.scrub_field(key, text, &mut Counts::new());
    assert_eq!(field("password", "hunter2").as_deref(), Some("[secret]"));
    assert_eq!(field("password", "[secret]"), None);
    assert_eq!(field("note", "password=hunter2").as_deref(), Some("password=[secret]"));
    assert_eq!(field("note", "all is well"), None);
    assert_eq!(field("span_id", "4131034282458809939"), None);
    assert_eq!(field("ssn", "536904399").as_deref(), Some("[ssn]"));
    assert_eq!(field("cookie", "1.2.3"), None);
}

#[test]
fn deep_values() {
    let mut value = candor_model::Value::from("password=hunter2");
    for _ in 0..2000 {
        value = candor_model::Value::Array(vec![value]);
    }
    Scrubber::default().scrub_value(&mut value, None, &mut Counts::new());
    assert!(!json::to_string(&value).contains("hunter2"));
}
