//! The published JSON Schema beside what is read.

use candor_policy::{PRESETS, json_schema, read};
use candor_schemas::{Kind, Schema};
use serde_json::{Value, json};

use crate::files::SHOP;

fn schema() -> Value {
    serde_json::from_str(&json_schema()).expect("is JSON")
}

/// What a schema of the keywords that ours has says of a value.
fn violations(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if schema == &json!(false) {
        found.push(format!("{at}: nothing may be there"));
        return;
    }
    let known = [
        "$schema",
        "title",
        "description",
        "examples",
        "format",
        "type",
        "enum",
        "properties",
        "additionalProperties",
        "items",
        "required",
        "minimum",
        "maximum",
        "pattern",
    ];
    for keyword in schema.as_object().into_iter().flatten().map(|(keyword, _)| keyword) {
        assert!(known.contains(&keyword.as_str()), "{at}: this test does not know {keyword}");
    }
    let is_type = match schema.get("type").and_then(Value::as_str) {
        None => true,
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("integer") => value.is_i64(),
        Some("number") => value.is_number(),
        Some("boolean") => value.is_boolean(),
        Some(other) => panic!("{at}: {other}"),
    };
    let is_of_enum = schema.get("enum").and_then(Value::as_array).is_none_or(|words| words.contains(value));
    let bound = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    let number = value.as_f64();
    let is_in_range = number.is_none_or(|number| {
        bound("minimum").is_none_or(|least| number >= least)
            && bound("maximum").is_none_or(|most| number <= most)
    });
    let fits = match (schema.get("pattern").and_then(Value::as_str), value.as_str()) {
        (Some("^[0-9]+[smhdwy]$"), Some(text)) => text
            .strip_suffix(['s', 'm', 'h', 'd', 'w', 'y'])
            .is_some_and(|number| !number.is_empty() && number.bytes().all(|sign| sign.is_ascii_digit())),
        (Some(pattern), Some(_)) => panic!("{at}: this test does not know {pattern}"),
        _ => true,
    };
    if !(is_type && is_of_enum && is_in_range && fits) {
        found.push(format!("{at}: {value}"));
    }
    for (name, member) in value.as_object().into_iter().flatten() {
        let at = format!("{at}/{name}");
        let own = schema.get("properties").and_then(|properties| properties.get(name));
        match own.or_else(|| schema.get("additionalProperties")) {
            Some(inner) => violations(inner, member, &at, found),
            None => found.push(format!("{at}: no schema says what it is")),
        }
    }
    for name in
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    {
        if value.get(name).is_none() {
            found.push(format!("{at}: {name} is missing"));
        }
    }
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        if let Some(inner) = schema.get("items") {
            violations(inner, item, &format!("{at}/{index}"), found);
        }
    }
}

fn of(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().expect("is TOML");
    let mut value = serde_json::to_value(table).expect("is JSON");
    // Days are no type of JSON.
    if let Some(day) = value.pointer_mut("/notice/effective") {
        *day = json!("2026-12-01");
    }
    let mut found = Vec::new();
    violations(&schema(), &value, "", &mut found);
    found
}

#[test]
fn it_is_a_schema() {
    Schema::parse(Kind::Json, &json_schema(), &[]).expect("is a JSON Schema");
}

#[test]
fn files_that_are_read_are_as_it_says() {
    for text in PRESETS.iter().map(|preset| preset.text).chain([SHOP, crate::files::WHOLE]) {
        assert_eq!(of(text), Vec::<String>::new());
    }
    let whole = read("policy.toml", SHOP).expect("reads").policy.to_toml();
    assert_eq!(of(&whole), Vec::<String>::new());
}

#[test]
fn files_that_are_not_read_are_not() {
    for (text, at) in [
        ("collect.ip.action = \"generalize\"", "/collect/ip/action: \"generalize\""),
        ("collect.ip.v4 = 33", "/collect/ip/v4: 33"),
        ("collect.user_agnet = \"drop\"", "/collect/user_agnet: nothing may be there"),
        ("scrub.keys_too = 1", "/scrub/keys_too: 1"),
        ("rights.ack = \"3 days\"", "/rights/ack: \"3 days\""),
        ("[[site]]\norigins = []", "/site/0: name is missing"),
        ("consent.signals.gpc = [\"no_idea\"]", "/consent/signals/gpc/0: \"no_idea\""),
    ] {
        let text = format!("candor_policy = 1\n{text}\n");
        assert_eq!(of(&text), [at]);
        assert!(read("policy.toml", &text).is_err(), "{text}");
    }
}
