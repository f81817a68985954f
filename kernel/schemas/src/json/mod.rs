//! JSON Schema, draft 4 to 2020-12: what its keywords say of compatibility, and where its references lead. Values are not
//! held against it: they are JSON already, and the client that wrote them was the one to check.

mod check;
mod compare;
mod object;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use candor_model::json::{Bounds, Leniency, parse, parse_bounded, patched, to_string};
use candor_model::limits::RECORD_NODES_MAX;
use candor_model::{Object, Value};

use crate::{DecodeError, Dependency, SCHEMA_DEPTH_MAX, SchemaError};

/// References that are followed from one to the next. More are a circle.
const FOLLOWED_MAX: usize = 32;

/// A schema and those it refers to.
#[derive(Debug)]
pub(crate) struct Schema {
    root: Value,
    /// By the names that references use and by their own `$id`.
    others: HashMap<String, usize>,
    documents: Vec<Value>,
}

fn read(text: &str) -> Result<Value, SchemaError> {
    let bounds = Bounds { depth: SCHEMA_DEPTH_MAX, nodes: RECORD_NODES_MAX };
    Ok(parse_bounded(text.as_bytes(), Leniency::STRICT, bounds)?)
}

/// The text without space; with members in the order of their names where `is_sorted`.
pub(crate) fn canonical(text: &str, is_sorted: bool) -> Result<String, SchemaError> {
    fn sorted(value: Value) -> Value {
        match value {
            Value::Object(Object(mut members)) => {
                members.sort_by(|one, other| one.0.cmp(&other.0));
                Value::Object(members.into_iter().map(|(key, value)| (key, sorted(value))).collect())
            }
            Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
            other => other,
        }
    }
    let value = read(text)?;
    Ok(to_string(&if is_sorted { sorted(value) } else { value }))
}

/// The identifier that a document gives itself, without its fragment.
fn id_of(document: &Value) -> Option<&str> {
    let id = document.get("$id").or_else(|| document.get("id")).and_then(Value::as_str)?;
    Some(id.split('#').next().unwrap_or_default()).filter(|id| !id.is_empty())
}

impl Schema {
    /// Parses a schema. What its references name is in it or among `dependencies`.
    pub(crate) fn parse(text: &str, dependencies: &[Dependency]) -> Result<Schema, SchemaError> {
        let mut schema = Schema { root: read(text)?, others: HashMap::new(), documents: Vec::new() };
        // A document of many names is there once.
        let mut known: HashMap<*const u8, usize> = HashMap::new();
        for dependency in dependencies {
            let text = Arc::as_ptr(&dependency.text).cast::<u8>();
            let at = match known.get(&text) {
                Some(at) => *at,
                None => {
                    let (document, at) = (read(&dependency.text)?, schema.documents.len());
                    if let Some(id) = id_of(&document) {
                        schema.others.entry(id.to_owned()).or_insert(at);
                    }
                    schema.documents.push(document);
                    known.insert(text, at);
                    at
                }
            };
            schema.others.insert(dependency.name.clone(), at);
        }
        check::check(&schema)?;
        Ok(schema)
    }

    /// A value: JSON text.
    pub(crate) fn decode(&self, payload: &[u8]) -> Result<Value, DecodeError> {
        parse(payload, Leniency::LENIENT).map_err(|_| DecodeError::Mismatch("it is not JSON"))
    }

    /// The text with the values of `after` where they differ from those of `before`.
    pub(crate) fn patched(
        &self,
        payload: &[u8],
        before: &Value,
        after: &Value,
    ) -> Result<Vec<u8>, DecodeError> {
        let text = std::str::from_utf8(payload).map_err(|_| DecodeError::Mismatch("it is not UTF-8"))?;
        Ok(patched(text, before, after).into_bytes())
    }

    /// Where a reference that stands in `document` leads: the document and the place within.
    fn follow<'a>(&'a self, document: &'a Value, reference: &str) -> Option<(&'a Value, &'a Value)> {
        let (file, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let document = if file.is_empty() || Some(file) == id_of(document) {
            document
        } else {
            self.document(document, file)?
        };
        Some((document, within(document, fragment)?))
    }

    fn document<'a>(&'a self, base: &'a Value, file: &str) -> Option<&'a Value> {
        let known = |name: &str| match self.others.get(name) {
            Some(at) => self.documents.get(*at),
            None => Some(&self.root).filter(|root| id_of(root) == Some(name)),
        };
        let joined = || {
            let folder = id_of(base)?.rsplit_once('/')?.0;
            known(&format!("{folder}/{}", file.trim_start_matches("./")))
        };
        // A reference may name what the subject's reference calls by its full identifier, or the other way round.
        known(file).or_else(joined).or_else(|| identified(base, file, 0))
    }
}

/// The schema with that `$id` within a document.
fn identified<'a>(value: &'a Value, id: &str, depth: usize) -> Option<&'a Value> {
    if depth > SCHEMA_DEPTH_MAX {
        return None;
    }
    match value {
        Value::Object(object) => {
            let own = id_of(value);
            let ends =
                |own: &str| own == id || own.strip_suffix(id).is_some_and(|start| start.ends_with('/'));
            if own.is_some_and(ends) {
                return Some(value);
            }
            object.iter().find_map(|(_, value)| identified(value, id, depth + 1))
        }
        Value::Array(items) => items.iter().find_map(|value| identified(value, id, depth + 1)),
        _ => None,
    }
}

/// The place that a fragment names: a JSON pointer (RFC 6901) or an anchor.
fn within<'a>(document: &'a Value, fragment: &str) -> Option<&'a Value> {
    let fragment = percent_decoded(fragment);
    if fragment.is_empty() {
        return Some(document);
    }
    let Some(pointer) = fragment.strip_prefix('/') else { return anchored(document, &fragment, 0) };
    pointer.split('/').try_fold(document, |value, token| {
        let token = token.replace("~1", "/").replace("~0", "~");
        match value {
            Value::Object(object) => object.get(&token),
            Value::Array(items) => items.get(token.parse::<usize>().ok()?),
            _ => None,
        }
    })
}

fn anchored<'a>(value: &'a Value, anchor: &str, depth: usize) -> Option<&'a Value> {
    if depth > SCHEMA_DEPTH_MAX {
        return None;
    }
    match value {
        Value::Object(object) => {
            let named = |key: &str| object.get(key).and_then(Value::as_str);
            let id = named("$id").or_else(|| named("id")).and_then(|id| id.strip_prefix('#'));
            if named("$anchor") == Some(anchor) || id == Some(anchor) {
                return Some(value);
            }
            object.iter().find_map(|(_, value)| anchored(value, anchor, depth + 1))
        }
        Value::Array(items) => items.iter().find_map(|value| anchored(value, anchor, depth + 1)),
        _ => None,
    }
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
