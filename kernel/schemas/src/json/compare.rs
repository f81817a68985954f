//! Whether a reader's schema takes all that a writer's does. The kinds of differences are those that registries tell.
//!
//! Content models follow the registry that clients know: an object without `additionalProperties` is open, and a
//! property that is added to it narrows what it takes, since the writer may have put anything there.

use std::collections::HashSet;

use candor_model::json::to_string;
use candor_model::{Object, Value};

use super::{FOLLOWED_MAX, Schema};
use crate::change::{Fitting, Found};

/// A schema at a place of a document: references in it are seen from there.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    schema: &'a Schema,
    document: &'a Value,
    pub(super) value: &'a Value,
}

impl<'a> Place<'a> {
    fn root(schema: &'a Schema) -> Place<'a> {
        Place { schema, document: &schema.root, value: &schema.root }
    }

    pub(super) fn inner(self, value: &'a Value) -> Place<'a> {
        Place { value, ..self }
    }

    pub(super) fn object(self) -> Option<&'a Object> {
        self.value.as_object()
    }

    /// Where its references lead. One that leads nowhere, or in a circle, says nothing.
    fn resolved(mut self) -> Place<'a> {
        for _ in 0..FOLLOWED_MAX {
            let Some(reference) = self.value.get("$ref").and_then(Value::as_str) else { return self };
            match self.schema.follow(self.document, reference) {
                Some((document, value)) => self = Place { document, value, ..self },
                None => return self,
            }
        }
        self
    }

    /// True where anything fits.
    pub(super) fn takes_all(self) -> bool {
        match self.resolved().value {
            Value::Bool(takes) => *takes,
            Value::Object(object) => !object.iter().any(|(key, _)| !NOTES.contains(&key)),
            _ => false,
        }
    }

    /// True where nothing fits.
    pub(super) fn takes_none(self) -> bool {
        matches!(self.resolved().value, Value::Bool(false))
    }
}

/// Keywords that say nothing about what fits.
const NOTES: [&str; 14] = [
    "$anchor",
    "$comment",
    "$defs",
    "$id",
    "$schema",
    "$vocabulary",
    "default",
    "definitions",
    "deprecated",
    "description",
    "examples",
    "id",
    "title",
    "readOnly",
];

pub(super) struct Comparison {
    /// By where they are in memory.
    fitting: Fitting<(usize, usize)>,
}

impl Schema {
    /// What keeps this schema from taking what `writer` takes.
    pub(crate) fn compare(&self, writer: &Schema, found: &mut Found) {
        let mut comparison = Comparison { fitting: Fitting::new() };
        comparison.any(Place::root(self), Place::root(writer), "#", found);
    }
}

impl Comparison {
    pub(super) fn any(&mut self, reader: Place<'_>, writer: Place<'_>, path: &str, found: &mut Found) {
        let (reader, writer) = (reader.resolved(), writer.resolved());
        let pair = (std::ptr::from_ref(reader.value) as usize, std::ptr::from_ref(writer.value) as usize);
        let Some(begun) = self.fitting.begin(pair) else { return };
        let before = found.all.len();
        found.deeper(path, |found| self.pair(reader, writer, path, found));
        self.fitting.end(begun, found.all.len() == before);
    }

    fn pair(&mut self, reader: Place<'_>, writer: Place<'_>, path: &str, found: &mut Found) {
        if reader.takes_all() || writer.takes_none() {
            return;
        }
        let Some(own) = reader.object() else {
            return changed("TYPE_NARROWED", "takes nothing", path, found);
        };
        let nothing = Object::new();
        let other = writer.object().unwrap_or(&nothing);
        self.sums(reader, own, writer, other, path, found);
        for part in list(own, "allOf") {
            let part = reader.inner(part);
            let parts = list(other, "allOf");
            let fits = std::iter::once(writer.value)
                .chain(parts)
                .any(|written| found.quietly(|found| self.any(part, writer.inner(written), path, found)));
            if !fits {
                changed("PRODUCT_TYPE_EXTENDED", "asks for more in allOf", &format!("{path}/allOf"), found);
            }
        }
        if let Some(not) = own.get("not") {
            let path = format!("{path}/not");
            let fits = other.get("not").is_some_and(|written| {
                // What must not fit may only shrink.
                found.quietly(|found| self.any(writer.inner(written), reader.inner(not), &path, found))
            });
            if !fits {
                changed("NOT_TYPE_EXTENDED", "excludes more", &path, found);
            }
        }
        let is_sum = |of: &Object| ["oneOf", "anyOf", "allOf"].iter().any(|key| of.get(key).is_some());
        let is_bare = |of: &Object| {
            of.iter().all(|(key, _)| NOTES.contains(&key) || ["oneOf", "anyOf", "allOf"].contains(&key))
        };
        // The writer's keywords beside a sum are in each of its branches only by being in all; compared alone they are
        // enough where both sides have them.
        if is_bare(own) || (is_sum(other) && is_bare(other)) {
            return;
        }
        self.plain(reader, own, writer, other, path, found);
    }

    /// `oneOf` and `anyOf`: each branch that a writer may have taken is taken by the reader.
    fn sums(
        &mut self,
        reader: Place<'_>,
        own: &Object,
        writer: Place<'_>,
        other: &Object,
        path: &str,
        found: &mut Found,
    ) {
        for key in ["oneOf", "anyOf"] {
            let branches: Vec<&Value> = list(own, key).collect();
            let written: Vec<&Value> = list(other, "oneOf").chain(list(other, "anyOf")).collect();
            let path = format!("{path}/{key}");
            match (branches.is_empty(), written.is_empty()) {
                (true, true) => {}
                (true, false) => {
                    // The reader has no such sum: as a whole it takes each branch.
                    let own_sum = list(own, "oneOf").chain(list(own, "anyOf")).next().is_some();
                    let mut fits = |branch: &&Value| {
                        found.quietly(|found| self.any(reader, writer.inner(branch), &path, found))
                    };
                    if !own_sum && key == "oneOf" && !written.iter().all(&mut fits) {
                        changed("COMBINED_TYPE_CHANGED", "does not take every branch", &path, found);
                    }
                }
                (false, _) => {
                    let whole = [writer.value];
                    let written: &[&Value] = if written.is_empty() { &whole } else { &written };
                    let missing = written.iter().any(|written| {
                        !branches.iter().any(|branch| {
                            let (branch, written) = (reader.inner(branch), writer.inner(written));
                            found.go_on(&path)
                                && found.quietly(|found| self.any(branch, written, &path, found))
                        })
                    });
                    if missing && branches.len() < written.len() {
                        changed("SUM_TYPE_NARROWED", "has fewer branches", &path, found);
                    } else if missing {
                        changed("COMBINED_TYPE_SUBSCHEMAS_CHANGED", "has other branches", &path, found);
                    }
                }
            }
        }
    }

    fn plain(
        &mut self,
        reader: Place<'_>,
        own: &Object,
        writer: Place<'_>,
        other: &Object,
        path: &str,
        found: &mut Found,
    ) {
        let (types, written) = (types(own), types(other));
        let known = |name: &&str| types.contains(name) || (*name == "integer" && types.contains(&"number"));
        if !types.is_empty() && (written.is_empty() || !written.iter().all(known)) {
            let error = match types.len() == 1 && written.len() == 1 && written != ["number"] {
                true => "TYPE_CHANGED",
                false => "TYPE_NARROWED",
            };
            return changed(error, "has another type", path, found);
        }
        choices(own, other, path, found);
        bounds(own, other, path, found);
        if types.is_empty() || types.contains(&"object") {
            self.objects(reader, own, writer, other, path, found);
        }
        if types.is_empty() || types.contains(&"array") {
            self.arrays(reader, own, writer, other, path, found);
        }
    }
}

/// Adds a difference that narrows what the reader takes.
pub(super) fn changed(error: &'static str, what: &str, path: &str, found: &mut Found) {
    let description = format!("The {{reader}} schema {what} at path '{path}', unlike the {{writer}} schema");
    found.add(error, path, description, "");
}

fn list<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = &'a Value> {
    object.get(key).and_then(Value::as_array).unwrap_or_default().iter()
}

fn types(object: &Object) -> Vec<&str> {
    match object.get("type") {
        Some(Value::Str(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// `enum` and `const`.
fn choices(own: &Object, other: &Object, path: &str, found: &mut Found) {
    let values = |of: &Object| -> Option<HashSet<String>> {
        match (of.get("enum"), of.get("const")) {
            (Some(Value::Array(values)), _) => Some(values.iter().map(to_string).collect()),
            (_, Some(value)) => Some(HashSet::from([to_string(value)])),
            _ => None,
        }
    };
    let path = format!("{path}/enum");
    let count = |of: &Object| of.get("enum").and_then(Value::as_array).map_or(0, <[Value]>::len);
    if !found.spend(count(own) + count(other), &path) {
        return;
    }
    let Some(own) = values(own) else { return };
    match values(other) {
        None => changed("ENUM_ARRAY_NARROWED", "takes chosen values alone", &path, found),
        Some(other) if other.is_subset(&own) => {}
        Some(other) if own.is_subset(&other) => {
            changed("ENUM_ARRAY_NARROWED", "takes fewer values", &path, found);
        }
        Some(_) => changed("ENUM_ARRAY_CHANGED", "takes other values", &path, found),
    }
}

/// A keyword that bounds from above, or from below, and how its change is called where it was absent before or tighter.
const BOUNDS: [(&str, bool, &str, &str); 10] = [
    ("maxLength", true, "MAX_LENGTH_ADDED", "MAX_LENGTH_DECREASED"),
    ("minLength", false, "MIN_LENGTH_ADDED", "MIN_LENGTH_INCREASED"),
    ("maximum", true, "MAXIMUM_ADDED", "MAXIMUM_DECREASED"),
    ("minimum", false, "MINIMUM_ADDED", "MINIMUM_INCREASED"),
    ("exclusiveMaximum", true, "EXCLUSIVE_MAXIMUM_ADDED", "EXCLUSIVE_MAXIMUM_DECREASED"),
    ("exclusiveMinimum", false, "EXCLUSIVE_MINIMUM_ADDED", "EXCLUSIVE_MINIMUM_INCREASED"),
    ("maxItems", true, "MAX_ITEMS_ADDED", "MAX_ITEMS_DECREASED"),
    ("minItems", false, "MIN_ITEMS_ADDED", "MIN_ITEMS_INCREASED"),
    ("maxProperties", true, "MAX_PROPERTIES_ADDED", "MAX_PROPERTIES_DECREASED"),
    ("minProperties", false, "MIN_PROPERTIES_ADDED", "MIN_PROPERTIES_INCREASED"),
];

fn bounds(own: &Object, other: &Object, path: &str, found: &mut Found) {
    let number = |of: &Object, key: &str| of.get(key).and_then(Value::as_f64);
    for (key, is_above, added, tightened) in BOUNDS {
        let path = format!("{path}/{key}");
        match (number(own, key), number(other, key)) {
            (Some(_), None) => changed(added, &format!("has {key}"), &path, found),
            (Some(own), Some(other)) if (is_above && own < other) || (!is_above && own > other) => {
                changed(tightened, &format!("has a tighter {key}"), &path, found);
            }
            _ => {}
        }
        // Draft 4 has them as flags beside the bound.
        let flag = |of: &Object| matches!(of.get(key), Some(Value::Bool(true)));
        if flag(own) && !flag(other) {
            changed(added, &format!("has {key}"), &path, found);
        }
    }
    let multiple = "multipleOf";
    match (number(own, multiple), number(other, multiple)) {
        (Some(_), None) => {
            changed("MULTIPLE_OF_ADDED", "has multipleOf", &format!("{path}/{multiple}"), found)
        }
        (Some(own), Some(other)) if own != other && other % own != 0.0 => {
            let error = if own % other == 0.0 { "MULTIPLE_OF_EXPANDED" } else { "MULTIPLE_OF_CHANGED" };
            changed(error, "has another multipleOf", &format!("{path}/{multiple}"), found);
        }
        _ => {}
    }
    match (own.get("pattern"), other.get("pattern")) {
        (Some(_), None) => changed("PATTERN_ADDED", "has a pattern", &format!("{path}/pattern"), found),
        (Some(own), Some(other)) if own != other => {
            changed("PATTERN_CHANGED", "has another pattern", &format!("{path}/pattern"), found);
        }
        _ => {}
    }
    let unique = |of: &Object| matches!(of.get("uniqueItems"), Some(Value::Bool(true)));
    if unique(own) && !unique(other) {
        changed("UNIQUE_ITEMS_ADDED", "asks for unique items", &format!("{path}/uniqueItems"), found);
    }
}
