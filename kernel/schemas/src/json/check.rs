//! Whether a document is a schema at all: keywords have the types that they must have, references lead somewhere.

use candor_model::{Object, Value};

use super::Schema;
use crate::SchemaError;

/// Documents that describe JSON Schema itself need not be among a schema's references.
const META: &str = "json-schema.org/";

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "integer", "string"];

/// Keywords whose value is a schema.
const ONE: [&str; 12] = [
    "additionalItems",
    "additionalProperties",
    "contains",
    "contentSchema",
    "else",
    "if",
    "items",
    "not",
    "propertyNames",
    "then",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// Keywords whose value is a list of schemas.
const MANY: [&str; 4] = ["allOf", "anyOf", "oneOf", "prefixItems"];

/// Keywords whose members are schemas.
const NAMED: [&str; 5] = ["properties", "patternProperties", "definitions", "$defs", "dependentSchemas"];

const NUMBERS: [&str; 9] = [
    "maxLength",
    "minLength",
    "maxItems",
    "minItems",
    "maxProperties",
    "minProperties",
    "maximum",
    "minimum",
    "multipleOf",
];

pub(super) fn check(schema: &Schema) -> Result<(), SchemaError> {
    for document in std::iter::once(&schema.root).chain(&schema.documents) {
        any(schema, document, document, "#")?;
    }
    Ok(())
}

fn any(schema: &Schema, document: &Value, value: &Value, at: &str) -> Result<(), SchemaError> {
    let object = match value {
        Value::Bool(_) => return Ok(()),
        Value::Object(object) => object,
        _ => return Err(SchemaError::at(at, "a schema is an object, true or false")),
    };
    types(object, at)?;
    for key in NUMBERS {
        if object.get(key).is_some_and(|value| value.as_f64().is_none()) {
            return Err(SchemaError::at(format!("{at}/{key}"), "a number is expected"));
        }
    }
    match object.get("required") {
        None | Some(Value::Bool(_)) => {}
        Some(Value::Array(names)) if names.iter().all(|name| name.as_str().is_some()) => {}
        Some(_) => return Err(SchemaError::at(format!("{at}/required"), "a list of names is expected")),
    }
    if object.get("enum").is_some_and(|values| values.as_array().is_none()) {
        return Err(SchemaError::at(format!("{at}/enum"), "a list is expected"));
    }
    for key in ["$ref", "$dynamicRef", "$recursiveRef"] {
        let Some(reference) = object.get(key) else { continue };
        let Some(reference) = reference.as_str() else {
            return Err(SchemaError::at(format!("{at}/{key}"), "a string is expected"));
        };
        if !reference.contains(META) && schema.follow(document, reference).is_none() {
            return Err(SchemaError::Unknown(reference.to_owned()));
        }
    }
    for key in ONE {
        match object.get(key) {
            None => {}
            Some(Value::Array(items)) if key == "items" => {
                many(schema, document, items, &format!("{at}/{key}"))?
            }
            Some(inner) => any(schema, document, inner, &format!("{at}/{key}"))?,
        }
    }
    for key in MANY {
        match object.get(key) {
            None => {}
            Some(Value::Array(items)) => many(schema, document, items, &format!("{at}/{key}"))?,
            Some(_) => return Err(SchemaError::at(format!("{at}/{key}"), "a list of schemas is expected")),
        }
    }
    for key in NAMED {
        match object.get(key) {
            None => {}
            Some(Value::Object(members)) => {
                for (name, inner) in members.iter() {
                    any(schema, document, inner, &format!("{at}/{key}/{name}"))?;
                }
            }
            Some(_) => return Err(SchemaError::at(format!("{at}/{key}"), "an object is expected")),
        }
    }
    Ok(())
}

fn many(schema: &Schema, document: &Value, items: &[Value], at: &str) -> Result<(), SchemaError> {
    items
        .iter()
        .enumerate()
        .try_for_each(|(index, item)| any(schema, document, item, &format!("{at}/{index}")))
}

fn types(object: &Object, at: &str) -> Result<(), SchemaError> {
    let known = |value: &Value| value.as_str().is_some_and(|name| TYPES.contains(&name));
    let fits = match object.get("type") {
        None => true,
        Some(Value::Array(names)) => !names.is_empty() && names.iter().all(known),
        Some(name) => known(name),
    };
    let what =
        || "a type is one of null, boolean, object, array, number, integer, string, or a list of these";
    if fits { Ok(()) } else { Err(SchemaError::at(format!("{at}/type"), what())) }
}
