//! The JSON Schema of policy files (draft 2020-12), made from the register, so that editors complete.

use serde_json::{Map, Value as Json, json};

use crate::keys::{Key, Shape, Takes, root};
use crate::terms;

/// The schema, as text.
pub fn json_schema() -> String {
    let mut schema = of(root());
    if let Some(members) = schema.as_object_mut() {
        members.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        members.insert("title".to_owned(), json!("Candor's policy"));
        members.insert("required".to_owned(), json!(["candor_policy"]));
    }
    format!("{schema:#}")
}

fn of(shape: &Shape) -> Json {
    if let Some((key, takes)) = shape.key.and_then(|key| Some((key, key.takes?))) {
        return leaf(key, takes);
    }
    if let Some((id, inner)) = &shape.items {
        let mut item = of(inner);
        if let Some(members) = item.as_object_mut() {
            members.insert("required".to_owned(), json!([id]));
        }
        return json!({ "type": "array", "items": item });
    }
    let properties: Map<String, Json> =
        shape.members.iter().map(|(name, inner)| ((*name).to_owned(), of(inner))).collect();
    let rest = shape.free.as_ref().map_or(json!(false), |inner| of(inner));
    let mut object = json!({ "type": "object", "properties": properties, "additionalProperties": rest });
    if let (Some(key), Some(members)) = (shape.key, object.as_object_mut()) {
        members.insert("description".to_owned(), json!(key.what));
    }
    object
}

fn leaf(key: &Key, takes: Takes) -> Json {
    let text = || json!({ "type": "string" });
    let list = |items: Json| json!({ "type": "array", "items": items });
    let term = |vocabulary| match terms::closed(vocabulary) {
        Some(terms) => json!({ "enum": terms }),
        None => json!({ "type": "string", "examples": [terms::example(vocabulary)] }),
    };
    let mut schema = match takes {
        Takes::Text => text(),
        Takes::Word(words) => json!({ "enum": words }),
        Takes::Words(words) => list(json!({ "enum": words })),
        Takes::Texts => list(text()),
        Takes::Int(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Takes::Number(least) => json!({ "type": "number", "minimum": least }),
        Takes::Bool => json!({ "type": "boolean" }),
        Takes::Span => json!({ "type": "string", "pattern": "^[0-9]+[smhdwy]$" }),
        Takes::Date => json!({ "type": "string", "format": "date" }),
        Takes::Term(vocabulary) => term(vocabulary),
        Takes::Terms(vocabulary) => list(term(vocabulary)),
    };
    if let Some(members) = schema.as_object_mut() {
        members.insert("description".to_owned(), json!(key.what));
    }
    schema
}
