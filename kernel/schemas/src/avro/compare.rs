//! Whether a reader's schema reads what a writer's wrote (Avro 1.12 specification, "Schema Resolution").

use std::collections::HashMap;

use super::{Field, Id, Primitive, Schema, Type};
use crate::change::{Fitting, Found};

/// One comparison.
struct Comparison<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    fitting: Fitting<(Id, Id)>,
}

impl Schema {
    /// What keeps this schema from reading what `writer` wrote.
    pub(crate) fn compare(&self, writer: &Schema, found: &mut Found) {
        let mut comparison = Comparison { reader: self, writer, fitting: Fitting::new() };
        comparison.any(self.root, writer.root, "", found);
    }
}

impl Comparison<'_> {
    fn any(&mut self, reader: Id, writer: Id, path: &str, found: &mut Found) {
        let is_record = |of: &Type| matches!(of, Type::Record { .. });
        if !(is_record(self.reader.get(reader)) && is_record(self.writer.get(writer))) {
            return found.deeper(path, |found| self.pair(reader, writer, path, found));
        }
        let Some(begun) = self.fitting.begin((reader, writer)) else { return };
        let before = found.all.len();
        found.deeper(path, |found| self.pair(reader, writer, path, found));
        self.fitting.end(begun, found.all.len() == before);
    }

    fn pair(&mut self, reader: Id, writer: Id, path: &str, found: &mut Found) {
        let (own, other) = (self.reader, self.writer);
        match (own.get(reader), other.get(writer)) {
            (Type::Union(_), Type::Union(branches)) => {
                for (index, branch) in branches.iter().enumerate() {
                    self.branch(reader, *branch, index, &format!("{path}/{index}"), found);
                }
            }
            (Type::Union(_), _) => self.branch(reader, writer, 0, path, found),
            (_, Type::Union(branches)) => {
                for branch in branches {
                    self.any(reader, *branch, path, found);
                }
            }
            (Type::Array(own), Type::Array(other)) => self.any(*own, *other, &format!("{path}/items"), found),
            (Type::Map(own), Type::Map(other)) => self.any(*own, *other, &format!("{path}/values"), found),
            (Type::Fixed { name, size, .. }, Type::Fixed { name: other, size: written, .. }) => {
                if !name.takes(other) {
                    renamed(&name.full, &other.full, path, found);
                }
                if size != written {
                    found.add(
                        "FIXED_SIZE_MISMATCH",
                        path,
                        format!(
                            "The size of FIXED type field at path '{path}/size' in the {{reader}} schema does not \
                             match with the {{writer}} schema"
                        ),
                        format!("expected: {written}, found: {size}"),
                    );
                }
            }
            (Type::Enum { name, symbols, default }, Type::Enum { name: other, symbols: written, .. }) => {
                if !name.takes(other) {
                    renamed(&name.full, &other.full, path, found);
                }
                if !found.spend(symbols.len() + written.len(), path) {
                    return;
                }
                let known: std::collections::HashSet<&String> = symbols.iter().collect();
                let missing: Vec<&str> =
                    written.iter().filter(|symbol| !known.contains(symbol)).map(String::as_str).collect();
                if !missing.is_empty() && default.is_none() {
                    let missing = format!("[{}]", missing.join(", "));
                    found.add(
                        "MISSING_ENUM_SYMBOLS",
                        path,
                        format!(
                            "The {{reader}} schema is missing enum symbols '{missing}' at path '{path}/symbols' in \
                             the {{writer}} schema"
                        ),
                        missing,
                    );
                }
            }
            (Type::Record { name, fields }, Type::Record { name: other, fields: written }) => {
                if !name.takes(other) {
                    renamed(&name.full, &other.full, path, found);
                }
                self.fields(fields, written, path, found);
            }
            (Type::Primitive(own, _), Type::Primitive(other, _)) if promotes(*other, *own) => {}
            (own, other) => mismatch(own, other, path, found),
        }
    }

    fn fields(&mut self, fields: &[Field], written: &[Field], path: &str, found: &mut Found) {
        if !found.spend(fields.len() + written.len(), path) {
            return;
        }
        let by_name: HashMap<&str, &Field> =
            written.iter().map(|field| (field.name.as_str(), field)).collect();
        for (index, field) in fields.iter().enumerate() {
            let names = std::iter::once(&field.name).chain(&field.aliases);
            let wrote = names.filter_map(|name| by_name.get(name.as_str())).next();
            match wrote {
                Some(wrote) => self.any(field.of, wrote.of, &format!("{path}/fields/{index}/type"), found),
                None if field.has_default => {}
                None => found.add(
                    "READER_FIELD_MISSING_DEFAULT_VALUE",
                    path,
                    format!(
                        "The field '{}' at path '{path}/fields/{index}' in the {{reader}} schema has no default value \
                         and is missing in the {{writer}} schema",
                        field.name
                    ),
                    field.name.clone(),
                ),
            }
        }
    }

    /// A written branch, or a written type, that some branch of the reader's union has to take. `place` is the written
    /// one's, where the reader's of the same kind mostly is.
    fn branch(&mut self, reader: Id, branch: Id, place: usize, path: &str, found: &mut Found) {
        let Type::Union(own) = self.reader.get(reader) else { return };
        let (reading, writing) = (self.reader, self.writer);
        let takes = own.get(place).into_iter().chain(own).any(|candidate| {
            let is_other = match (reading.get(*candidate).name(), writing.get(branch).name()) {
                (Some(own), Some(other)) => !own.takes(other),
                _ => false,
            };
            found.go_on(path) && !is_other && found.quietly(|found| self.any(*candidate, branch, path, found))
        });
        if !takes {
            let info = format!("reader union lacking writer type: {}", kind(self.writer.get(branch)));
            found.add(
                "MISSING_UNION_BRANCH",
                path,
                format!(
                    "The {{reader}} schema is missing a type inside a union field at path '{path}' in the {{writer}} \
                     schema"
                ),
                info,
            );
        }
    }
}

/// What a writer's number or text may be read as.
fn promotes(from: Primitive, to: Primitive) -> bool {
    use Primitive::*;
    from == to
        || matches!(
            (from, to),
            (Int, Long | Float | Double)
                | (Long, Float | Double)
                | (Float, Double)
                | (String, Bytes)
                | (Bytes, String)
        )
}

fn renamed(reader: &str, writer: &str, path: &str, found: &mut Found) {
    found.add(
        "NAME_MISMATCH",
        path,
        format!("The name of the schema has changed (path '{path}/name')"),
        format!("expected: {writer}, found: {reader}"),
    );
}

fn mismatch(reader: &Type, writer: &Type, path: &str, found: &mut Found) {
    found.add(
        "TYPE_MISMATCH",
        path,
        format!(
            "The type (path '{}') of a field in the {{reader}} schema does not match with the {{writer}} schema",
            if path.is_empty() { "/" } else { path }
        ),
        format!("reader type: {} not compatible with writer type: {}", kind(reader), kind(writer)),
    );
}

fn kind(of: &Type) -> String {
    match of {
        Type::Primitive(primitive, _) => format!("{primitive:?}").to_uppercase(),
        Type::Array(_) => "ARRAY".to_owned(),
        Type::Map(_) => "MAP".to_owned(),
        Type::Union(_) => "UNION".to_owned(),
        Type::Record { .. } => "RECORD".to_owned(),
        Type::Enum { .. } => "ENUM".to_owned(),
        Type::Fixed { .. } => "FIXED".to_owned(),
        Type::Open => "UNKNOWN".to_owned(),
    }
}
