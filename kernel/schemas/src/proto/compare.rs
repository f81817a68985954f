//! Whether a reader's file reads what a writer's wrote: by the numbers of fields, as the wire has them (Protocol Buffers
//! Language Guide, "Updating A Message Type").

use std::collections::{HashMap, HashSet};

use super::link::{Fld, Kind, Msg, Schema, Single};
use super::{Label, Scalar};
use crate::change::Found;

struct Comparison<'a> {
    reader: &'a Schema,
    writer: &'a Schema,
    seen: HashSet<(usize, usize)>,
}

impl Schema {
    /// What keeps this file from reading what `writer` wrote.
    pub(crate) fn compare(&self, writer: &Schema, found: &mut Found) {
        let mut comparison = Comparison { reader: self, writer, seen: HashSet::new() };
        comparison.all(&self.roots, &writer.roots, found);
    }
}

impl Comparison<'_> {
    /// Messages of a file or of a message, by name.
    fn all(&mut self, reader: &[usize], writer: &[usize], found: &mut Found) {
        let named: HashMap<&str, usize> = reader
            .iter()
            .filter_map(|id| Some((self.reader.messages.get(*id)?.local.as_str(), *id)))
            .collect();
        for id in writer {
            let Some(written) = self.writer.messages.get(*id) else { continue };
            let path = format!("#/{}", written.local.replace('.', "/"));
            if !found.go_on(&path) {
                return;
            }
            match named.get(written.local.as_str()) {
                Some(own) => self.message(*own, *id, &path, found),
                None => found.add(
                    "MESSAGE_REMOVED",
                    &path,
                    format!(
                        "The {{reader}} schema is missing a field or a message at path '{path}' in the {{writer}} schema"
                    ),
                    "",
                ),
            }
        }
    }

    fn message(&mut self, reader: usize, writer: usize, path: &str, found: &mut Found) {
        if self.seen.insert((reader, writer)) {
            found.deeper(path, |found| self.members(reader, writer, path, found));
        }
    }

    fn members(&mut self, reader: usize, writer: usize, path: &str, found: &mut Found) {
        let (reading, writing) = (self.reader, self.writer);
        let (Some(own), Some(other)) = (reading.messages.get(reader), writing.messages.get(writer)) else {
            return;
        };
        for field in &other.fields {
            let at = format!("{path}/{}", field.number);
            if !found.go_on(&at) {
                return;
            }
            match by_number(own, field.number) {
                Some(reads) => self.field(own, reads, other, field, &at, found),
                None if field.label == Label::Required => {
                    change("REQUIRED_FIELD_REMOVED", "is missing a required field", &at, found);
                }
                None => {
                    let oneof = field.oneof.and_then(|oneof| other.oneofs.get(oneof));
                    if oneof.is_some_and(|oneof| own.oneofs.contains(oneof)) {
                        change("ONEOF_FIELD_REMOVED", "is missing a field of a oneof", &at, found);
                    }
                }
            }
        }
        for field in own.fields.iter().filter(|field| by_number(other, field.number).is_none()) {
            if field.label == Label::Required {
                let at = format!("{path}/{}", field.number);
                change("REQUIRED_FIELD_ADDED", "has a required field that is new", &at, found);
            }
        }
        self.moved(own, other, path, found);
        self.all(&own.nested, &other.nested, found);
    }

    /// Fields that were on their own and are in a oneof now: of several a reader sees only the last that was written.
    fn moved(&self, own: &Msg, other: &Msg, path: &str, found: &mut Found) {
        for (place, oneof) in own.oneofs.iter().enumerate() {
            if !found.spend(own.fields.len() + other.oneofs.len(), path) {
                return;
            }
            let moved = own.fields.iter().filter(|field| field.oneof == Some(place));
            let moved =
                moved.filter_map(|field| by_number(other, field.number)).filter(|was| was.oneof.is_none());
            let (count, path) = (moved.count(), format!("{path}/{oneof}"));
            let was_there = other.oneofs.contains(oneof);
            if count > 1 {
                change("MULTIPLE_FIELDS_MOVED_TO_ONEOF", "moved several fields into a oneof", &path, found);
            } else if count == 1 && was_there {
                change("FIELD_MOVED_TO_EXISTING_ONEOF", "moved a field into a oneof", &path, found);
            }
        }
    }

    fn field(&mut self, own: &Msg, reads: &Fld, other: &Msg, wrote: &Fld, path: &str, found: &mut Found) {
        if let Some(oneof) = wrote.oneof.and_then(|oneof| other.oneofs.get(oneof))
            && own.oneofs.contains(oneof)
            && reads.oneof.is_none()
        {
            change("ONEOF_FIELD_REMOVED", "took a field out of a oneof", path, found);
        }
        match (reads.kind, wrote.kind) {
            (Kind::Map(key, of), Kind::Map(other, written)) => {
                if group(key) != group(other) {
                    change("FIELD_SCALAR_KIND_CHANGED", "has another key of a map", path, found);
                }
                self.kind(plain(of), plain(written), path, found);
            }
            (reads, wrote) => self.kind(reads, wrote, path, found),
        }
        let repeats = |field: &Fld| field.label == Label::Repeated;
        let is_number = match wrote.kind {
            Kind::Scalar(of) => !matches!(of, Scalar::String | Scalar::Bytes),
            Kind::Enum(_) => true,
            Kind::Message(_) | Kind::Map(..) => false,
        };
        if repeats(reads) != repeats(wrote) && is_number {
            change("FIELD_NUMERIC_LABEL_CHANGED", "has another label of a number", path, found);
        }
        if reads.label == Label::Required && wrote.label != Label::Required {
            change("REQUIRED_FIELD_ADDED", "requires a field", path, found);
        }
    }

    fn kind(&mut self, reads: Kind, wrote: Kind, path: &str, found: &mut Found) {
        let (reading, writing) = (self.reader, self.writer);
        match (reads, wrote) {
            (Kind::Scalar(own), Kind::Scalar(other)) => {
                if group(own) != group(other) {
                    found.add(
                        "FIELD_SCALAR_KIND_CHANGED",
                        path,
                        format!(
                            "The kind of a SCALAR field at path '{path}' in the {{reader}} schema does not match its \
                             kind in the {{writer}} schema"
                        ),
                        format!("reader: {}, writer: {}", own.name(), other.name()),
                    );
                }
            }
            (Kind::Enum(_), Kind::Scalar(of)) | (Kind::Scalar(of), Kind::Enum(_)) if group(of) == 0 => {}
            (Kind::Enum(own), Kind::Enum(other)) => {
                let name = |of: &Schema, id: usize| of.enums.get(id).map(|of| of.local.clone());
                if name(reading, own) != name(writing, other) {
                    change("FIELD_NAMED_TYPE_CHANGED", "has a type of another name", path, found);
                }
            }
            (Kind::Message(own), Kind::Message(other)) => {
                let local = |of: &Schema, id: usize| of.messages.get(id).map(|of| of.local.clone());
                let name = local(reading, own);
                match name == local(writing, other) {
                    true => {
                        let at = format!("#/{}", name.unwrap_or_default().replace('.', "/"));
                        self.message(own, other, &at, found);
                    }
                    false => change("FIELD_NAMED_TYPE_CHANGED", "has a type of another name", path, found),
                }
            }
            _ => found.add(
                "FIELD_KIND_CHANGED",
                path,
                format!(
                    "The type of a field at path '{path}' in the {{reader}} schema does not match the {{writer}} schema"
                ),
                "",
            ),
        }
    }
}

fn by_number(of: &Msg, number: i32) -> Option<&Fld> {
    of.fields.get(*of.by_number.get(&number)?)
}

fn plain(of: Single) -> Kind {
    match of {
        Single::Scalar(scalar) => Kind::Scalar(scalar),
        Single::Enum(id) => Kind::Enum(id),
        Single::Message(id) => Kind::Message(id),
    }
}

/// Scalars of one group are read for each other.
fn group(of: Scalar) -> u8 {
    match of {
        Scalar::Int32 | Scalar::Uint32 | Scalar::Int64 | Scalar::Uint64 | Scalar::Bool => 0,
        Scalar::Sint32 | Scalar::Sint64 => 1,
        Scalar::String | Scalar::Bytes => 2,
        Scalar::Fixed32 | Scalar::Sfixed32 => 3,
        Scalar::Fixed64 | Scalar::Sfixed64 => 4,
        Scalar::Double => 5,
        Scalar::Float => 6,
    }
}

fn change(error: &'static str, what: &str, path: &str, found: &mut Found) {
    let description = format!("The {{reader}} schema {what} at path '{path}', unlike the {{writer}} schema");
    found.add(error, path, description, "");
}
