//! Members of objects and items of lists.

use std::collections::{HashMap, HashSet};

use candor_model::{Object, Value};
use regex::{Regex, RegexBuilder};

use super::compare::{Comparison, Place, changed};
use crate::change::Found;

/// Longest pattern of `patternProperties` that is tried on names, bytes.
const PATTERN_BYTES_MAX: usize = 1024;

/// Greatest size of such a pattern once compiled, bytes.
const PATTERN_PROGRAM_BYTES_MAX: usize = 256 << 10;

/// What a schema says about members that it does not name.
enum Others<'a> {
    Open,
    Partly(&'a Value),
    Closed,
}

fn others<'a>(object: &'a Object, key: &str) -> Others<'a> {
    match object.get(key) {
        None | Some(Value::Bool(true)) => Others::Open,
        Some(Value::Bool(false)) => Others::Closed,
        Some(schema) => Others::Partly(schema),
    }
}

/// What a pattern takes of what may be looked at: making it ready takes about as long as so many names.
const PATTERN_COST: usize = 100;

/// Patterns of `patternProperties` that are tried. More are as if they were not there.
const PATTERNS_MAX: usize = 64;

/// What an object says of its members, to be looked up.
struct Members<'a> {
    named: HashMap<&'a str, &'a Value>,
    required: HashSet<&'a str>,
    patterns: Vec<(Regex, &'a Value)>,
    of: &'a Object,
}

impl<'a> Members<'a> {
    fn new(of: &'a Object, path: &str, found: &mut Found) -> Members<'a> {
        let members = |key| of.get(key).and_then(Value::as_object).into_iter().flat_map(Object::iter);
        let patterns = members("patternProperties").take(PATTERNS_MAX).filter_map(|(pattern, schema)| {
            let fits = pattern.len() <= PATTERN_BYTES_MAX && found.spend(PATTERN_COST, path);
            let pattern = Some(pattern).filter(|_| fits)?;
            Some((RegexBuilder::new(pattern).size_limit(PATTERN_PROGRAM_BYTES_MAX).build().ok()?, schema))
        });
        let patterns: Vec<(Regex, &Value)> = patterns.collect();
        let required = of.get("required").and_then(Value::as_array).unwrap_or_default();
        let required: HashSet<&str> = required.iter().filter_map(Value::as_str).collect();
        let named: HashMap<&str, &Value> = members("properties").collect();
        // What is left says whether to go on.
        found.spend(required.len() + named.len() * (1 + patterns.len()), path);
        Members { named, required, patterns, of }
    }

    /// The schema of a member that is not named: that of the first pattern that fits it, else that of the others.
    fn unnamed(&self, name: &str) -> Others<'a> {
        match self.patterns.iter().find(|(pattern, _)| pattern.is_match(name)) {
            Some((_, schema)) => Others::Partly(schema),
            None => others(self.of, "additionalProperties"),
        }
    }

    fn has_default(&self, name: &str) -> bool {
        self.named.get(name).is_some_and(|member| member.get("default").is_some())
    }
}

fn members(object: &Object) -> impl Iterator<Item = (&str, &Value)> {
    object.get("properties").and_then(Value::as_object).into_iter().flat_map(Object::iter)
}

impl Comparison {
    pub(super) fn objects(
        &mut self,
        reader: Place<'_>,
        own: &Object,
        writer: Place<'_>,
        other: &Object,
        path: &str,
        found: &mut Found,
    ) {
        let (reads, wrote) = (Members::new(own, path, found), Members::new(other, path, found));
        for (name, schema) in members(own) {
            let at = format!("{path}/properties/{name}");
            if !found.go_on(&at) {
                return;
            }
            let schema = reader.inner(schema);
            match wrote.named.get(name) {
                Some(written) => self.any(schema, writer.inner(written), &at, found),
                None => match wrote.unnamed(name) {
                    Others::Open if schema.takes_all() => {}
                    Others::Open => {
                        added("PROPERTY_ADDED_TO_OPEN_CONTENT_MODEL", "an open content model", &at, found)
                    }
                    Others::Partly(written) => {
                        let written = writer.inner(written);
                        if !found.quietly(|found| self.any(schema, written, &at, found)) {
                            added(
                                "PROPERTY_ADDED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                                "a partially open content model",
                                &at,
                                found,
                            );
                        }
                    }
                    Others::Closed if reads.required.contains(name) && !reads.has_default(name) => added(
                        "REQUIRED_PROPERTY_ADDED_TO_UNOPEN_CONTENT_MODEL",
                        "an unopen content model and requires it",
                        &at,
                        found,
                    ),
                    Others::Closed => {}
                },
            }
        }
        for (name, schema) in members(other).filter(|(name, _)| !reads.named.contains_key(name)) {
            let at = format!("{path}/properties/{name}");
            if !found.go_on(&at) {
                return;
            }
            let written = writer.inner(schema);
            match reads.unnamed(name) {
                Others::Open => {}
                Others::Closed if written.takes_none() => {}
                Others::Closed => removed(
                    "PROPERTY_REMOVED_FROM_CLOSED_CONTENT_MODEL",
                    "a closed content model",
                    &at,
                    found,
                ),
                Others::Partly(schema) => {
                    if !found.quietly(|found| self.any(reader.inner(schema), written, &at, found)) {
                        removed(
                            "PROPERTY_REMOVED_NOT_COVERED_BY_PARTIALLY_OPEN_CONTENT_MODEL",
                            "a partially open content model",
                            &at,
                            found,
                        );
                    }
                }
            }
        }
        let required = own.get("required").and_then(Value::as_array).unwrap_or_default();
        for name in required.iter().filter_map(Value::as_str) {
            let at = format!("{path}/required/{name}");
            // One that is new as a property was told already.
            let is_new = reads.named.contains_key(name) && !wrote.named.contains_key(name);
            if !(wrote.required.contains(name) || reads.has_default(name) || is_new) {
                changed("REQUIRED_ATTRIBUTE_ADDED", &format!("requires '{name}'"), &at, found);
            }
        }
        self.unnamed_members(reader, own, writer, other, path, found);
        dependencies(own, other, path, found);
    }

    fn unnamed_members(
        &mut self,
        reader: Place<'_>,
        own: &Object,
        writer: Place<'_>,
        other: &Object,
        path: &str,
        found: &mut Found,
    ) {
        let key = "additionalProperties";
        let at = format!("{path}/{key}");
        match (others(own, key), others(other, key)) {
            (Others::Open, _) | (_, Others::Closed) => {}
            (Others::Closed, Others::Open) => {
                changed("ADDITIONAL_PROPERTIES_REMOVED", "takes no additional properties", &at, found);
            }
            (Others::Partly(schema), Others::Open) if reader.inner(schema).takes_all() => {}
            (Others::Closed, Others::Partly(_)) | (Others::Partly(_), Others::Open) => {
                changed("ADDITIONAL_PROPERTIES_NARROWED", "takes fewer additional properties", &at, found);
            }
            (Others::Partly(own), Others::Partly(other)) => {
                self.any(reader.inner(own), writer.inner(other), &at, found);
            }
        }
    }

    pub(super) fn arrays(
        &mut self,
        reader: Place<'_>,
        own: &Object,
        writer: Place<'_>,
        other: &Object,
        path: &str,
        found: &mut Found,
    ) {
        let (tuple, rest) = items(own);
        let (written, written_rest) = items(other);
        for index in 0..tuple.len().max(written.len()) {
            let at = format!("{path}/items/{index}");
            if !found.go_on(&at) {
                return;
            }
            match (tuple.get(index), written.get(index)) {
                (Some(own), Some(other)) => self.any(reader.inner(own), writer.inner(other), &at, found),
                (Some(own), None) => match &written_rest {
                    Others::Open if reader.inner(own).takes_all() => {}
                    Others::Open => {
                        added("ITEM_ADDED_TO_OPEN_CONTENT_MODEL", "an open content model", &at, found);
                    }
                    Others::Partly(other) => self.any(reader.inner(own), writer.inner(other), &at, found),
                    Others::Closed => {}
                },
                (None, Some(other)) => match &rest {
                    Others::Open => {}
                    Others::Partly(own) => self.any(reader.inner(own), writer.inner(other), &at, found),
                    Others::Closed => {
                        removed(
                            "ITEM_REMOVED_FROM_CLOSED_CONTENT_MODEL",
                            "a closed content model",
                            &at,
                            found,
                        );
                    }
                },
                (None, None) => {}
            }
        }
        let at = format!("{path}/items");
        match (rest, written_rest) {
            (Others::Open, _) | (_, Others::Closed) => {}
            (Others::Closed, Others::Open) => {
                changed("ADDITIONAL_ITEMS_REMOVED", "takes no additional items", &at, found);
            }
            (Others::Partly(schema), Others::Open) if reader.inner(schema).takes_all() => {}
            (Others::Closed, Others::Partly(_)) | (Others::Partly(_), Others::Open) => {
                changed("ADDITIONAL_ITEMS_NARROWED", "takes fewer items", &at, found);
            }
            (Others::Partly(own), Others::Partly(other)) => {
                self.any(reader.inner(own), writer.inner(other), &at, found);
            }
        }
    }
}

/// The items with a place, and what is said of the others. `items` is a list up to draft 2019-09, `prefixItems` from
/// 2020-12 on.
fn items(object: &Object) -> (&[Value], Others<'_>) {
    if let Some(Value::Array(tuple)) = object.get("prefixItems") {
        return (tuple, others(object, "items"));
    }
    match object.get("items") {
        Some(Value::Array(tuple)) => (tuple, others(object, "additionalItems")),
        _ => (&[], others(object, "items")),
    }
}

/// Names that have to come with another (`dependencies`, `dependentRequired`).
fn dependencies(own: &Object, other: &Object, path: &str, found: &mut Found) {
    for key in ["dependencies", "dependentRequired"] {
        let Some(Value::Object(all)) = own.get(key) else { continue };
        for (name, needed) in all.iter() {
            let at = format!("{path}/{key}/{name}");
            let before = other.get(key).and_then(|all| all.get(name));
            match (needed, before) {
                (Value::Array(needed), Some(Value::Array(before))) => {
                    if !needed.iter().all(|name| before.contains(name)) {
                        changed("DEPENDENCY_ARRAY_EXTENDED", "has more dependencies", &at, found);
                    }
                }
                (needed, Some(before)) if needed == before => {}
                (Value::Array(_), _) => {
                    changed("DEPENDENCY_ARRAY_ADDED", "has a dependency", &at, found);
                }
                _ => changed("DEPENDENCY_SCHEMA_ADDED", "has a dependency", &at, found),
            }
        }
    }
}

fn added(error: &'static str, model: &str, path: &str, found: &mut Found) {
    let description = format!(
        "The {{writer}} schema has {model} and the {{reader}} schema has a property or item at path '{path}' which is \
         missing in the {{writer}} schema"
    );
    found.add(error, path, description, "");
}

fn removed(error: &'static str, model: &str, path: &str, found: &mut Found) {
    let description = format!(
        "The {{reader}} schema has {model} and is missing a property or item present at path '{path}' in the \
         {{writer}} schema"
    );
    found.add(error, path, description, "");
}
