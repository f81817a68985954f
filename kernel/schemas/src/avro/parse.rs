//! From JSON to types.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candor_model::json::{Bounds, Leniency, parse_bounded};
use candor_model::limits::RECORD_NODES_MAX;
use candor_model::{Object, Value};

use super::{Field, Id, Logical, Name, Primitive, Schema, Type};
use crate::{Dependency, SCHEMA_DEPTH_MAX, SchemaError};

/// Digits after the point that a decimal may have. More are padding.
const SCALE_MAX: i64 = 1000;

/// The JSON of a schema. A bare name of a type, without quotes, is taken as registries take it.
pub(super) fn read(text: &str) -> Result<Value, SchemaError> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._".contains(&byte)) {
        return Ok(Value::from(text));
    }
    let bounds = Bounds { depth: SCHEMA_DEPTH_MAX, nodes: RECORD_NODES_MAX };
    Ok(parse_bounded(text.as_bytes(), Leniency::STRICT, bounds)?)
}

/// The full name of a name that stands in a namespace.
pub(super) fn full_name(name: &str, namespace: &str) -> String {
    match name.contains('.') || namespace.is_empty() {
        true => name.trim_start_matches('.').to_owned(),
        false => format!("{namespace}.{name}"),
    }
}

/// The namespace of a full name.
pub(super) fn namespace_of(full: &str) -> &str {
    full.rsplit_once('.').map_or("", |(namespace, _)| namespace)
}

/// The full name of a named type's declaration.
pub(super) fn declared(object: &Object, namespace: &str) -> Option<String> {
    let name = object.get("name")?.as_str()?;
    let own = object.get("namespace").and_then(Value::as_str);
    Some(full_name(name, own.unwrap_or(namespace)))
}

struct Parser {
    types: Vec<Type>,
    names: HashMap<String, Id>,
}

impl Schema {
    /// Parses a schema; names of `dependencies` are known in it.
    pub(crate) fn parse(text: &str, dependencies: &[Dependency]) -> Result<Schema, SchemaError> {
        let mut parser = Parser { types: Vec::new(), names: HashMap::new() };
        // Two names may lead to one schema; its types are defined once.
        let mut seen = HashSet::new();
        for dependency in dependencies {
            if !seen.insert(Arc::as_ptr(&dependency.text).cast::<u8>()) {
                continue;
            }
            let json = read(&dependency.text)?;
            parser.any(&json, "", &dependency.name, 0)?;
        }
        let root = parser.any(&read(text)?, "", "", 0)?;
        Ok(Schema { types: parser.types, root })
    }
}

impl Parser {
    fn push(&mut self, of: Type) -> Id {
        self.types.push(of);
        self.types.len() - 1
    }

    fn any(&mut self, json: &Value, namespace: &str, at: &str, depth: usize) -> Result<Id, SchemaError> {
        if depth > SCHEMA_DEPTH_MAX {
            return Err(wrong(at, "the schema nests too deep"));
        }
        match json {
            Value::Str(name) => self.named(name, namespace),
            Value::Array(branches) => self.union(branches, namespace, at, depth),
            Value::Object(object) => self.object(object, namespace, at, depth),
            _ => Err(wrong(at, "a type is a name, an object or a list of types")),
        }
    }

    fn named(&mut self, name: &str, namespace: &str) -> Result<Id, SchemaError> {
        if let Some(primitive) = Primitive::from_name(name) {
            return Ok(self.push(Type::Primitive(primitive, Logical::None)));
        }
        let full = full_name(name, namespace);
        let found = self.names.get(&full).or_else(|| self.names.get(name));
        found.copied().ok_or(SchemaError::Unknown(full))
    }

    fn union(
        &mut self,
        branches: &[Value],
        namespace: &str,
        at: &str,
        depth: usize,
    ) -> Result<Id, SchemaError> {
        let mut ids = Vec::with_capacity(branches.len());
        let mut seen = HashSet::new();
        for (index, branch) in branches.iter().enumerate() {
            let id = self.any(branch, namespace, &format!("{at}/{index}"), depth + 1)?;
            let what = match self.types.get(id) {
                Some(Type::Primitive(primitive, _)) => format!("{primitive:?}"),
                Some(Type::Array(_)) => "Array".to_owned(),
                Some(Type::Map(_)) => "Map".to_owned(),
                Some(Type::Union(_)) => return Err(wrong(at, "a union must not hold a union")),
                _ => format!("#{id}"),
            };
            if !seen.insert(what) {
                return Err(wrong(&format!("{at}/{index}"), "a union holds this type twice"));
            }
            ids.push(id);
        }
        Ok(self.push(Type::Union(ids)))
    }

    fn object(
        &mut self,
        object: &Object,
        namespace: &str,
        at: &str,
        depth: usize,
    ) -> Result<Id, SchemaError> {
        let kind = match object.get("type") {
            Some(Value::Str(kind)) => kind.as_str(),
            Some(inner) => return self.any(inner, namespace, at, depth + 1),
            None => return Err(wrong(at, "a type has no member \"type\"")),
        };
        match kind {
            "record" | "error" => self.record(object, namespace, at, depth),
            "enum" => self.enumeration(object, namespace, at),
            "fixed" => {
                let name = self.name(object, namespace, at)?;
                let size =
                    object.get("size").and_then(Value::as_i64).and_then(|size| usize::try_from(size).ok());
                let size = size.ok_or_else(|| wrong(at, "a fixed type has no size"))?;
                let (full, logical) = (name.full.clone(), logical(object));
                let id = self.push(Type::Fixed { name, size, logical });
                self.names.insert(full, id);
                Ok(id)
            }
            "array" => {
                let items = object.get("items").ok_or_else(|| wrong(at, "an array has no \"items\""))?;
                let of = self.any(items, namespace, &format!("{at}/items"), depth + 1)?;
                Ok(self.push(Type::Array(of)))
            }
            "map" => {
                let values = object.get("values").ok_or_else(|| wrong(at, "a map has no \"values\""))?;
                let of = self.any(values, namespace, &format!("{at}/values"), depth + 1)?;
                Ok(self.push(Type::Map(of)))
            }
            other => match Primitive::from_name(other) {
                Some(primitive) => Ok(self.push(Type::Primitive(primitive, logical(object)))),
                None => self.named(other, namespace),
            },
        }
    }

    fn record(
        &mut self,
        object: &Object,
        namespace: &str,
        at: &str,
        depth: usize,
    ) -> Result<Id, SchemaError> {
        let name = self.name(object, namespace, at)?;
        let id = self.push(Type::Open);
        self.names.insert(name.full.clone(), id);
        let inner = namespace_of(&name.full).to_owned();
        let declared = object.get("fields").and_then(Value::as_array);
        let declared = declared.ok_or_else(|| wrong(at, "a record has no list \"fields\""))?;
        let mut fields = Vec::with_capacity(declared.len());
        let mut seen = HashSet::new();
        for (index, field) in declared.iter().enumerate() {
            let at = format!("{at}/fields/{index}");
            let name = field.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| wrong(&at, "a field has no name"))?;
            check_name(name, &at)?;
            if !seen.insert(name) {
                return Err(wrong(&at, format!("there are two fields {name:?}")));
            }
            let of = field.get("type").ok_or_else(|| wrong(&at, "a field has no type"))?;
            let of = self.any(of, &inner, &format!("{at}/type"), depth + 1)?;
            let has_default = field.get("default").is_some();
            fields.push(Field {
                name: name.to_owned(),
                aliases: strings(field.get("aliases")),
                has_default,
                of,
            });
        }
        if let Some(slot) = self.types.get_mut(id) {
            *slot = Type::Record { name, fields };
        }
        Ok(id)
    }

    fn enumeration(&mut self, object: &Object, namespace: &str, at: &str) -> Result<Id, SchemaError> {
        let name = self.name(object, namespace, at)?;
        let symbols = object.get("symbols").and_then(Value::as_array);
        let symbols = symbols.ok_or_else(|| wrong(at, "an enum has no list \"symbols\""))?;
        let mut seen = HashSet::new();
        let mut all = Vec::with_capacity(symbols.len());
        for symbol in symbols {
            let symbol = symbol.as_str().ok_or_else(|| wrong(at, "a symbol of an enum is no string"))?;
            check_name(symbol, at)?;
            if !seen.insert(symbol) {
                return Err(wrong(at, format!("an enum has the symbol {symbol:?} twice")));
            }
            all.push(symbol.to_owned());
        }
        let default = object.get("default").and_then(Value::as_str).map(str::to_owned);
        if default.as_ref().is_some_and(|default| !all.contains(default)) {
            return Err(wrong(at, "the default of an enum is none of its symbols"));
        }
        let full = name.full.clone();
        let id = self.push(Type::Enum { name, symbols: all, default });
        self.names.insert(full, id);
        Ok(id)
    }

    fn name(&self, object: &Object, namespace: &str, at: &str) -> Result<Name, SchemaError> {
        let full = declared(object, namespace).ok_or_else(|| wrong(at, "a named type has no name"))?;
        for part in full.split('.') {
            check_name(part, at)?;
        }
        if Primitive::from_name(&full).is_some() {
            return Err(wrong(at, format!("{full:?} is the name of a primitive type")));
        }
        if self.names.contains_key(&full) {
            return Err(wrong(at, format!("{full:?} is defined twice")));
        }
        let own = namespace_of(&full);
        let aliases = strings(object.get("aliases"));
        let aliases = aliases.iter().map(|alias| full_name(alias, own)).collect();
        Ok(Name { full, aliases })
    }
}

fn check_name(name: &str, at: &str) -> Result<(), SchemaError> {
    let fits = !name.is_empty()
        && !name.starts_with(|first: char| first.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let what = || format!("{name:?} is no name: letters, digits and _, no digit first");
    if fits { Ok(()) } else { Err(wrong(at, what())) }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// One that does not fit its type is ignored, as the specification says.
fn logical(object: &Object) -> Logical {
    let base = object.get("type").and_then(Value::as_str).unwrap_or_default();
    let Some(logical) = object.get("logicalType").and_then(Value::as_str) else { return Logical::None };
    match (base, logical) {
        ("bytes" | "fixed", "decimal") => match object.get("scale").map_or(Some(0), Value::as_i64) {
            Some(scale @ 0..=SCALE_MAX) => Logical::Decimal { scale: scale as u32 },
            _ => Logical::None,
        },
        ("int", "date") => Logical::Date,
        ("long", "timestamp-millis") => Logical::TimestampMillis,
        ("long", "timestamp-micros") => Logical::TimestampMicros,
        ("long", "timestamp-nanos") => Logical::TimestampNanos,
        _ => Logical::None,
    }
}

fn wrong(at: &str, what: impl Into<String>) -> SchemaError {
    SchemaError::at(if at.is_empty() { "/" } else { at }, what)
}
