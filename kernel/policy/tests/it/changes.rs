//! What differs, and which way it goes.

use candor_policy::keys::{Order, Takes};
use candor_policy::{ChangeClass, Policy, diff, keys, read, stricter};
use serde_json::{Value, json};

use crate::files::SHOP;

fn policy(text: &str) -> Policy {
    read("policy.toml", text).unwrap_or_else(|faults| panic!("{faults:?}")).policy
}

fn extended(rest: &str) -> Policy {
    policy(&format!("candor_policy = 1\nextends = \"preset:better-stack-2022\"\n{rest}"))
}

fn classes(old: &Policy, new: &Policy) -> Vec<(String, ChangeClass)> {
    diff(old, new).into_iter().map(|change| (change.key, change.class)).collect()
}

#[test]
fn changes_go_one_way_or_the_other() {
    let base = extended("");
    for (rest, key, there) in [
        ("collect.ip.action = \"drop\"", "collect.ip.action", ChangeClass::Tightening),
        ("collect.ip.v4 = 16", "collect.ip.v4", ChangeClass::Tightening),
        ("collect.user_agent = \"keep\"", "collect.user_agent", ChangeClass::Loosening),
        ("consent.signals.dnt = [\"no_id\"]", "consent.signals.dnt", ChangeClass::Tightening),
        ("consent.signals.gpc = [\"no_id\"]", "consent.signals.gpc", ChangeClass::Mixed),
        ("scrub.keys_too = false", "scrub.keys_too", ChangeClass::Loosening),
        ("notice.version = \"9\"", "notice.version", ChangeClass::Neutral),
        ("governance.changes.prior_days = 10", "governance.changes.prior_days", ChangeClass::Loosening),
        ("sharing.aggregates.k = 50", "sharing.aggregates.k", ChangeClass::Tightening),
        (
            "[[scrub.rule]]\nid = \"x\"\nat = \"**\"\ndetect = [\"email\"]\naction = \"remove\"",
            "scrub.rule.x",
            ChangeClass::Tightening,
        ),
        ("without = [\"scrub.rule.payment\"]", "scrub.rule.payment", ChangeClass::Loosening),
        (
            "[[recipient]]\nid = \"x\"\nname = \"X\"\ncountry = \"DE\"\nrole = \"dpv:DataProcessor\"",
            "recipient.x",
            ChangeClass::Loosening,
        ),
        (
            "[[activity]]\nid = \"errors\"\nretention = { live = \"90d\" }",
            "activity.errors.retention.live",
            ChangeClass::Loosening,
        ),
    ] {
        let changed = extended(rest);
        assert_eq!(classes(&base, &changed), [(key.to_owned(), there)], "{rest}");
        // And back it goes the other way.
        let back = match there {
            ChangeClass::Tightening => ChangeClass::Loosening,
            ChangeClass::Loosening => ChangeClass::Tightening,
            same => same,
        };
        assert_eq!(classes(&changed, &base), [(key.to_owned(), back)], "{rest}, back");
    }
    assert_eq!(diff(&base, &base), []);
}

/// What is not there is as something else says, and a change is told against that.
#[test]
fn what_comes_and_goes_is_told_against_what_holds_without_it() {
    let base = extended("");
    for (rest, key, there) in [
        // Topics without an entry are taken.
        (
            "collect.streams.orders = { opaque = \"reject\" }",
            "collect.streams.orders",
            ChangeClass::Tightening,
        ),
        ("collect.streams.orders = { opaque = \"allow\" }", "collect.streams.orders", ChangeClass::Neutral),
        ("collect.streams.orders = { subject_key = \"$.a\" }", "collect.streams.orders", ChangeClass::Mixed),
        // Others are asked afterwards, Europeans before.
        ("consent.mode = { BR = \"opt_in\" }", "consent.mode.BR", ChangeClass::Tightening),
        ("consent.mode = { BR = \"opt_out\" }", "consent.mode.BR", ChangeClass::Neutral),
        ("consent.mode = { BR = \"implied\" }", "consent.mode.BR", ChangeClass::Loosening),
        ("consent.mode = { DE = \"opt_out\" }", "consent.mode.DE", ChangeClass::Loosening),
        ("consent.mode = { NO = \"opt_in\" }", "consent.mode.NO", ChangeClass::Neutral),
        ("consent.mode = { GB = \"opt_out\" }", "consent.mode.GB", ChangeClass::Loosening),
        ("rights.deadline = { BR = \"15d\" }", "rights.deadline.BR", ChangeClass::Tightening),
        ("rights.deadline = { BR = \"90d\" }", "rights.deadline.BR", ChangeClass::Loosening),
        (
            "collect.unknown_fields = { logs = \"drop\" }",
            "collect.unknown_fields.logs",
            ChangeClass::Tightening,
        ),
        ("collect.fields = { logs = [\"cart.size\"] }", "collect.fields.logs", ChangeClass::Loosening),
        ("without = [\"consent.mode.UK\"]", "consent.mode.UK", ChangeClass::Loosening),
    ] {
        assert_eq!(classes(&base, &extended(rest)), [(key.to_owned(), there)], "{rest}");
    }
    // What a topic has of its own is told against what all have.
    let strict = policy("candor_policy = 1\ncollect.streams.orders = { values = \"json\" }");
    let taken =
        policy("candor_policy = 1\ncollect.streams.orders = { values = \"json\", opaque = \"allow\" }");
    let loosened = [("collect.streams.orders.opaque".to_owned(), ChangeClass::Loosening)];
    assert_eq!(classes(&strict, &taken), loosened);
}

/// An activity that is called otherwise goes and comes: in between its signals must not be nobody's.
#[test]
fn signals_that_move_are_never_in_no_activity() {
    let text = "candor_policy = 1\n[[activity]]\nid = \"faults\"\nsignals = [\"errors\", \"spans\"]\n\
        legal_basis = \"eu-gdpr:A6-1-f\"\n\
        retention = { live = \"7d\", max_lag = \"24h\", backups = \"0d\", basis = \"fixed\" }\n";
    let one = text.replace("\"errors\", ", "");
    let (old, new) = (policy("candor_policy = 1\n"), policy(text));
    for (old, new) in [(&old, &new), (&new, &old), (&old, &policy(&one)), (&policy(&one), &new)] {
        let changes = diff(old, new);
        assert!(!changes.is_empty());
        let between = stricter(old, new, &changes);
        for signal in ["logs", "errors", "spans", "stream:x"] {
            assert!(between.activity(signal).is_some(), "{signal} is in none: {changes:?}");
            assert!(new.activity(signal).is_some());
        }
    }
    // What nobody has any more is not kept any more, at once.
    let without = policy("candor_policy = 1\nwithout = [\"activity.replay\"]\n");
    let gone = [("activity.replay".to_owned(), ChangeClass::Tightening)];
    assert_eq!(classes(&policy("candor_policy = 1\n"), &without), gone);
}

/// The first rule that holds decides, so one can undo another.
#[test]
fn rules_are_told_beside_each_other() {
    let rule = |id: &str, detect: &str, action: &str| {
        format!("[[scrub.rule]]\nid = \"{id}\"\nat = \"**\"\ndetect = [{detect}]\naction = \"{action}\"\n")
    };
    let with = |rules: &[String]| policy(&format!("candor_policy = 1\n{}", rules.concat()));
    let base = with(&[]);
    let of = |key: &str, class: ChangeClass| vec![(key.to_owned(), class)];
    // It stands before `payment`, which removes cards.
    let alert = with(&[rule("look", "\"card\"", "alert")]);
    assert_eq!(classes(&base, &alert), of("scrub.rule.look", ChangeClass::Mixed));
    assert_eq!(classes(&alert, &base), of("scrub.rule.look", ChangeClass::Mixed));
    let mails = with(&[rule("look", "\"email\"", "alert")]);
    assert_eq!(classes(&base, &mails), of("scrub.rule.look", ChangeClass::Tightening));
    let more = with(&[rule("look", "\"email\", \"iban\"", "alert")]);
    assert_eq!(classes(&mails, &more), of("scrub.rule.look.detect", ChangeClass::Mixed));
    let harder = with(&[rule("look", "\"email\"", "remove")]);
    assert_eq!(classes(&mails, &harder), of("scrub.rule.look.action", ChangeClass::Tightening));
    assert_eq!(classes(&harder, &mails), of("scrub.rule.look.action", ChangeClass::Loosening));
    // The order of two that meet, and of two that do not.
    let (one, other) = (rule("one", "\"email\"", "mask"), rule("other", "\"pii:all\"", "remove"));
    let (there, back) = (with(&[one.clone(), other.clone()]), with(&[other, one.clone()]));
    assert_eq!(classes(&there, &back), of("scrub.rule", ChangeClass::Mixed));
    let apart = rule("apart", "\"mac\"", "mask");
    let (there, back) = (with(&[one.clone(), apart.clone()]), with(&[apart, one]));
    assert_eq!(classes(&there, &back), of("scrub.rule", ChangeClass::Neutral));
    // What is made stricter at once stands where it is to stand.
    let new = with(&[rule("mails", "\"email\"", "remove")]);
    let between = stricter(&base, &new, &diff(&base, &new));
    assert_eq!(between, new);
}

#[test]
fn the_same_span_in_other_words_is_no_change_of_matter() {
    let (days, hours) = (
        extended("[[activity]]\nid = \"errors\"\nretention = { live = \"2d\" }"),
        extended("[[activity]]\nid = \"errors\"\nretention = { live = \"48h\" }"),
    );
    assert_eq!(classes(&days, &hours), [("activity.errors.retention.live".to_owned(), ChangeClass::Neutral)]);
}

/// What tightens holds at once, and nothing that loosens with it.
#[test]
fn the_stricter_parts_of_a_change_hold_without_the_rest() {
    let old = policy(SHOP);
    let new = policy(
        &SHOP
            .replace("live = \"14d\"", "live = \"7d\"")
            .replace("v4 = 16", "v4 = 24")
            .replace("detect = [\"email\", \"phone\"]", "detect = [\"email\", \"phone\", \"ip\"]")
            .replace("id = \"pager\"", "id = \"paging\""),
    );
    let changes = diff(&old, &new);
    let between = stricter(&old, &new, &changes);
    let live =
        |policy: &Policy| policy.activity("errors").map(|activity| activity.retention.live.text().to_owned());
    assert_eq!((live(&between).as_deref(), between.collect.ip.v4), (Some("7d"), 16));
    let mail = between.scrub.rules.iter().find(|rule| rule.id == "mail");
    assert_eq!(mail.map(|rule| rule.detect.len()), Some(3));
    // The one who got data gets none any more; the new one not yet.
    assert_eq!(between.recipients.len(), 0);
    assert!(diff(&between, &new).iter().all(|change| change.class.waits()));
    assert!(diff(&old, &between).iter().all(|change| !change.class.waits()));
}

/// For every key of the language: another value of it is a change of that key and of no other.
#[test]
fn a_change_of_each_key_is_noticed_as_its_own() {
    let base = serde_json::to_value(policy(SHOP)).expect("is JSON");
    let old: Policy = serde_json::from_value(base.clone()).expect("is a policy");
    let mut missed = Vec::new();
    for key in keys::all() {
        let Some(takes) = key.takes else { continue };
        if matches!(key.path, "candor_policy" | "extends" | "without")
            || key.path.ends_with("].id")
            || key.path == "site.[name].name"
            || key.path == "scrub.allow.[at].at"
        {
            continue;
        }
        let mut json = base.clone();
        let Some(place) = place(&mut json, &key.path.split('.').collect::<Vec<_>>()) else {
            missed.push(key.path);
            continue;
        };
        let Some(other) = other(takes, place) else { continue };
        *place = other;
        let new: Policy =
            serde_json::from_value(json).unwrap_or_else(|error| panic!("{}: {error}", key.path));
        let changes = diff(&old, &new);
        assert_eq!(changes.len(), 1, "{}: {changes:?}", key.path);
        let found: Vec<String> = changes[0].key.split('.').map(str::to_owned).collect();
        assert!(keys::of(&found).is_some() || changes[0].key.contains("order_no"), "{}", changes[0].key);
        if key.order != Order::Neutral {
            assert_ne!(changes[0].class, ChangeClass::Neutral, "{}", key.path);
        }
    }
    assert_eq!(missed, Vec::<&str>::new());
}

/// The value of a path of the register, made where a free name has none.
pub fn place<'a>(json: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    let Some((first, rest)) = path.split_first() else { return Some(json) };
    if first.starts_with('[') {
        return place(json.as_array_mut()?.last_mut()?, rest);
    }
    let members = json.as_object_mut()?;
    let name = match first.starts_with('{') {
        true => members.keys().next().cloned().unwrap_or_else(|| "logs".to_owned()),
        false => (*first).to_owned(),
    };
    place(members.entry(name).or_insert(Value::Null), rest)
}

/// Another value than this; none where there is no other.
pub fn other(takes: Takes, value: &Value) -> Option<Value> {
    Some(match takes {
        Takes::Text => json!(format!("{}x", value.as_str().unwrap_or("a"))),
        Takes::Word(words) => json!(words.iter().find(|word| Some(**word) != value.as_str())?),
        Takes::Words(words) => match value.as_array() {
            Some(list) if list.is_empty() => json!([words.first()?]),
            _ => json!([]),
        },
        Takes::Texts | Takes::Terms(_) => json!(["another"]),
        Takes::Int(least, most) => json!(if value.as_i64() == Some(most) { least } else { most }),
        Takes::Number(least) => json!(value.as_f64().unwrap_or(least) + 1.0),
        Takes::Bool => json!(value != &json!(true)),
        Takes::Span => json!("77d"),
        Takes::Date => json!("2027-01-01"),
        Takes::Term(_) => json!("another"),
    })
}
