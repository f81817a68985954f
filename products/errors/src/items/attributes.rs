//! From Sentry's shapes to OpenTelemetry's flat attributes.

use candor_model::{Object, Value};

/// Levels of members that become dotted names; what lies deeper stays JSON.
const FLATTEN_DEPTH: usize = 3;

/// Attributes of the newer items: `{"key": {"value": …, "type": "string|integer|double|boolean", "unit"?}}`. A member
/// that is not of that form is taken as it is.
pub(crate) fn typed(attributes: Option<&Value>) -> Object {
    let Some(members) = attributes.and_then(Value::as_object) else { return Object::new() };
    members
        .iter()
        .filter_map(|(key, member)| {
            let value = match member.as_object().and_then(|typed| typed.get("value")) {
                Some(value) => value,
                None => member,
            };
            (!value.is_null()).then(|| (key.to_owned(), value.clone()))
        })
        .collect()
}

/// Adds `value` under `name`, objects as dotted names. What is there already stays.
pub(crate) fn flatten(into: &mut Object, name: &str, value: &Value) {
    flatten_below(into, name, value, FLATTEN_DEPTH);
}

fn flatten_below(into: &mut Object, name: &str, value: &Value, depth: usize) {
    match value {
        Value::Null => {}
        Value::Object(members) if depth > 0 => {
            for (key, member) in members.iter() {
                flatten_below(into, &format!("{name}.{key}"), member, depth - 1);
            }
        }
        Value::Array(items) if items.is_empty() => {}
        other => add(into, name, other.clone()),
    }
}

/// Adds an attribute unless there is one of that name.
pub(crate) fn add(into: &mut Object, name: &str, value: impl Into<Value>) {
    if into.get(name).is_none() {
        into.insert(name, value);
    }
}

/// Adds every member of an object under its own name, or, where that is taken, under `prefix` and its name.
pub(crate) fn add_all(into: &mut Object, prefix: &str, members: Option<&Value>) {
    for (key, value) in members.and_then(Value::as_object).iter().flat_map(|object| object.iter()) {
        if value.is_null() {
            continue;
        }
        match into.get(key) {
            None => into.insert(key, value.clone()),
            Some(present) if present == value => {}
            Some(_) => add(into, &format!("{prefix}.{key}"), value.clone()),
        }
    }
}

/// The text of an attribute, empty where there is none.
pub(crate) fn text(attributes: &Object, name: &str) -> String {
    attributes.get(name).filter(|value| !value.is_null()).map(Value::to_text).unwrap_or_default()
}
