//! A schema's text in one form. Members come in the order in which Avro's own library writes them; a primitive type with
//! no properties is its name; a namespace stands only where it is not the one around it.

use candor_model::{Object, Value, json};

use super::Primitive;
use super::parse::{declared, full_name, namespace_of, read};
use crate::SchemaError;

/// The text; with properties in the order of their names where `is_sorted`.
pub(crate) fn canonical(text: &str, is_sorted: bool) -> Result<String, SchemaError> {
    Ok(json::to_string(&any(&read(text)?, "", is_sorted)))
}

fn any(value: &Value, namespace: &str, is_sorted: bool) -> Value {
    match value {
        Value::Str(name) => reference(name, namespace),
        Value::Array(branches) => {
            Value::Array(branches.iter().map(|branch| any(branch, namespace, is_sorted)).collect())
        }
        Value::Object(object) => declaration(object, namespace, is_sorted),
        other => other.clone(),
    }
}

/// A name as it is written within a namespace.
fn reference(name: &str, namespace: &str) -> Value {
    match name.rsplit_once('.') {
        Some((own, simple)) if own == namespace && Primitive::from_name(simple).is_none() => {
            Value::from(simple)
        }
        _ => Value::from(name),
    }
}

fn declaration(object: &Object, namespace: &str, is_sorted: bool) -> Value {
    let mut out = Object::new();
    let mut known: Vec<&str> = vec!["type"];
    let kind = match object.get("type") {
        Some(Value::Str(kind)) => kind.as_str(),
        // `{"type": {…}}` is what it holds.
        Some(inner) => return any(inner, namespace, is_sorted),
        None => return Value::Object(object.clone()),
    };
    let mut inner_namespace = namespace.to_owned();
    out.insert("type", kind);
    if matches!(kind, "record" | "error" | "enum" | "fixed") {
        known.extend(["name", "namespace", "doc", "aliases"]);
        let full = declared(object, namespace).unwrap_or_default();
        let own = namespace_of(&full);
        out.insert("name", full.rsplit('.').next().unwrap_or_default());
        if own != namespace {
            out.insert("namespace", own);
        }
        copy(object, &mut out, "doc");
        inner_namespace = own.to_owned();
    }
    let within = inner_namespace.as_str();
    let mut inner = |key: &'static str| {
        known.push(key);
        if let Some(value) = object.get(key) {
            out.insert(key, any(value, within, is_sorted));
        }
    };
    match kind {
        "record" | "error" => {
            known.push("fields");
            let fields = object.get("fields").and_then(Value::as_array).unwrap_or_default();
            let fields = fields.iter().map(|one| field(one, within, is_sorted)).collect();
            out.insert("fields", Value::Array(fields));
        }
        "array" => inner("items"),
        "map" => inner("values"),
        "enum" => {
            known.extend(["symbols", "default"]);
            copy(object, &mut out, "symbols");
            copy(object, &mut out, "default");
        }
        "fixed" => {
            known.push("size");
            copy(object, &mut out, "size");
        }
        _ => {}
    }
    let bare = out.len();
    rest(object, &mut out, &known, is_sorted);
    if let Some(Value::Array(aliases)) = object.get("aliases").filter(|_| known.contains(&"aliases")) {
        let full = |alias: &Value| reference(&full_name(alias.as_str().unwrap_or_default(), within), within);
        out.insert("aliases", Value::Array(aliases.iter().map(full).collect()));
    }
    let is_plain = !matches!(kind, "record" | "error" | "enum" | "fixed" | "array" | "map");
    if is_plain && out.len() == bare {
        return reference(kind, namespace);
    }
    Value::Object(out)
}

fn field(value: &Value, namespace: &str, is_sorted: bool) -> Value {
    let Some(object) = value.as_object() else { return value.clone() };
    let mut out = Object::new();
    copy(object, &mut out, "name");
    if let Some(of) = object.get("type") {
        out.insert("type", any(of, namespace, is_sorted));
    }
    copy(object, &mut out, "doc");
    copy(object, &mut out, "default");
    // Ascending is what a field is without saying so.
    if object.get("order").is_some_and(|order| order.as_str() != Some("ascending")) {
        copy(object, &mut out, "order");
    }
    copy(object, &mut out, "aliases");
    rest(object, &mut out, &["name", "type", "doc", "default", "order", "aliases"], is_sorted);
    Value::Object(out)
}

fn copy(from: &Object, to: &mut Object, key: &str) {
    if let Some(value) = from.get(key) {
        to.insert(key, value.clone());
    }
}

/// Properties that the specification does not name.
fn rest(from: &Object, to: &mut Object, known: &[&str], is_sorted: bool) {
    let mut left: Vec<(&str, &Value)> = from.iter().filter(|(key, _)| !known.contains(key)).collect();
    if is_sorted {
        left.sort_by(|one, other| one.0.cmp(other.0));
    }
    for (key, value) in left {
        to.insert(key, value.clone());
    }
}
