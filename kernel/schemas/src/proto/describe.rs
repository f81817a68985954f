//! A file as its descriptor, for clients that have no parser of their own.

use super::descriptor::{
    ENUM_OPTIONS, FIELD_OPTIONS, FILE_OPTIONS, Known, MESSAGE_OPTIONS, VALUE_OPTIONS, Written,
};
use super::lex::unquoted;
use super::link::{Schema, Target, joined};
use super::wire::Writer;
use super::{Enum, Extend, Field, Label, Message, Opt, Type};

impl Schema {
    /// A `FileDescriptorProto` without a name.
    pub(crate) fn descriptor(&self) -> Vec<u8> {
        let file = &self.file;
        let mut out = Writer::default();
        if !file.package.is_empty() {
            out.text(2, &file.package);
        }
        for import in &file.imports {
            out.text(3, &import.path);
        }
        for (at, import) in file.imports.iter().enumerate() {
            match import.how {
                "public" => out.number(10, at as i64),
                "weak" => out.number(11, at as i64),
                _ => {}
            }
        }
        for message in &file.messages {
            out.message(4, |out| self.describe(message, &file.package, out));
        }
        for of in &file.enums {
            out.message(5, |out| enumeration(of, out));
        }
        for service in &file.services {
            let scope = joined(&file.package, &service.name);
            out.message(6, |out| {
                out.text(1, &service.name);
                for method in &service.methods {
                    out.message(2, |out| {
                        out.text(1, &method.name);
                        out.text(2, &self.full(&method.input, &scope).0);
                        out.text(3, &self.full(&method.output, &scope).0);
                        if method.is_client_streaming {
                            out.number(5, 1);
                        }
                        if method.is_server_streaming {
                            out.number(6, 1);
                        }
                    });
                }
            });
        }
        self.describe_extends(&file.extends, 7, &file.package, &mut out);
        options(&file.options, FILE_OPTIONS, 8, &mut out);
        match file.syntax.as_str() {
            "proto3" => out.text(12, "proto3"),
            "2023" => {
                out.text(12, "editions");
                out.number(14, 1000);
            }
            "2024" => {
                out.text(12, "editions");
                out.number(14, 1001);
            }
            // What says nothing is proto2.
            _ => {}
        }
        out.0
    }

    /// A type's full name with its dot, and its number among the types of fields.
    fn full(&self, name: &str, scope: &str) -> (String, u64) {
        let full = self.names.full(name, scope).unwrap_or_else(|| name.trim_start_matches('.').to_owned());
        let number = match self.names.get(&full) {
            Some(Target::Enum(_)) => 14,
            Some(Target::Message(_)) | None => 11,
        };
        (format!(".{full}"), number)
    }

    fn describe(&self, message: &Message, scope: &str, out: &mut Writer) {
        let full = joined(scope, &message.name);
        out.text(1, &message.name);
        let mut own_oneofs = message.oneofs.len();
        let mut made = Vec::new();
        for field in &message.fields {
            let mut place = field.oneof;
            // What has `optional` in proto3 is alone in a oneof.
            let is_marked = self.file.is_proto3() && field.label == Label::Optional;
            if is_marked {
                place = Some(own_oneofs);
                own_oneofs += 1;
                made.push(format!("_{}", field.name));
            }
            out.message(2, |out| self.describe_field(field, &full, None, place, is_marked, out));
        }
        for inner in &message.messages {
            out.message(3, |out| self.describe(inner, &full, out));
        }
        for field in &message.fields {
            if let Type::Map(key, of) = &field.of {
                let member = |name: &str, number, of: Type| Field {
                    name: name.to_owned(),
                    number,
                    label: Label::Implicit,
                    of,
                    options: Vec::new(),
                    oneof: None,
                };
                let (key, value) = (member("key", 1, Type::Scalar(*key)), member("value", 2, (**of).clone()));
                out.message(3, |out| {
                    out.text(1, &entry_name(&field.name));
                    out.message(2, |out| self.describe_field(&key, &full, None, None, false, out));
                    out.message(2, |out| self.describe_field(&value, &full, None, None, false, out));
                    out.message(7, |out| out.number(7, 1));
                });
            }
        }
        for of in &message.enums {
            out.message(4, |out| enumeration(of, out));
        }
        for (start, end) in &message.extensions {
            out.message(5, |out| range(*start, end.saturating_add(1), out));
        }
        self.describe_extends(&message.extends, 6, &full, out);
        options(&message.options, MESSAGE_OPTIONS, 7, out);
        for name in message.oneofs.iter().map(|oneof| &oneof.name).chain(&made) {
            out.message(8, |out| out.text(1, name));
        }
        for (start, end) in &message.reserved {
            out.message(9, |out| range(*start, end.saturating_add(1), out));
        }
        for name in &message.reserved_names {
            out.text(10, name);
        }
    }

    fn describe_field(
        &self,
        field: &Field,
        scope: &str,
        extendee: Option<&str>,
        oneof: Option<usize>,
        is_marked: bool,
        out: &mut Writer,
    ) {
        out.text(1, &field.name);
        if let Some(extendee) = extendee {
            out.text(2, &self.full(extendee, scope).0);
        }
        out.number(3, i64::from(field.number));
        let is_map = matches!(field.of, Type::Map(..));
        out.number(
            4,
            match field.label {
                Label::Implicit | Label::Optional if !is_map => 1,
                Label::Required => 2,
                _ => 3,
            },
        );
        match &field.of {
            Type::Scalar(scalar) => out.number(5, scalar.number() as i64),
            Type::Named(name) => {
                let (full, number) = self.full(name, scope);
                out.number(5, number as i64);
                out.text(6, &full);
            }
            Type::Group(name) => {
                out.number(5, 10);
                out.text(6, &self.full(name, scope).0);
            }
            Type::Map(..) => {
                out.number(5, 11);
                out.text(6, &format!(".{}", joined(scope, &entry_name(&field.name))));
            }
        }
        if let Some(default) = field.options.iter().find(|option| option.name == "default") {
            out.text(7, &plain(&default.value));
        }
        options(&field.options, FIELD_OPTIONS, 8, out);
        if let Some(oneof) = oneof {
            out.number(9, oneof as i64);
        }
        if let Some(name) = field.options.iter().find(|option| option.name == "json_name") {
            out.text(10, &plain(&name.value));
        }
        if is_marked {
            out.number(17, 1);
        }
    }

    fn describe_extends(&self, extends: &[Extend], number: u64, scope: &str, out: &mut Writer) {
        for extend in extends {
            for field in &extend.fields {
                out.message(number, |out| {
                    self.describe_field(field, scope, Some(&extend.of), None, false, out)
                });
            }
        }
    }
}

/// The name of a map's entry, as compilers make it: `by_name` has `ByNameEntry`.
fn entry_name(field: &str) -> String {
    let mut out = String::with_capacity(field.len() + 5);
    let mut is_first = true;
    for c in field.chars() {
        match (c, is_first) {
            ('_', _) => is_first = true,
            (c, true) => {
                out.push(c.to_ascii_uppercase());
                is_first = false;
            }
            (c, false) => out.push(c),
        }
    }
    out + "Entry"
}

fn range(start: i32, end: i32, out: &mut Writer) {
    out.number(1, i64::from(start));
    out.number(2, i64::from(end));
}

fn enumeration(of: &Enum, out: &mut Writer) {
    out.text(1, &of.name);
    for value in &of.values {
        out.message(2, |out| {
            out.text(1, &value.name);
            out.number(2, i64::from(value.number));
            options(&value.options, VALUE_OPTIONS, 3, out);
        });
    }
    options(&of.options, ENUM_OPTIONS, 3, out);
    for (start, end) in &of.reserved {
        out.message(4, |out| range(*start, *end, out));
    }
    for name in &of.reserved_names {
        out.text(5, name);
    }
}

fn plain(value: &str) -> String {
    if value.starts_with('"') { unquoted(value) } else { value.to_owned() }
}

/// The options that are known, where there are some.
fn options(all: &[Opt], known: Known, number: u64, out: &mut Writer) {
    let mut inner = Writer::default();
    for option in all {
        let Some((number, _, written)) = known.iter().find(|(_, name, _)| *name == option.name) else {
            continue;
        };
        let number = u64::from(number.unsigned_abs());
        match written {
            Written::Flag => inner.number(number, i64::from(option.value == "true")),
            Written::Text => inner.text(number, &plain(&option.value)),
            Written::Word(words) => {
                if let Some((_, value)) = words.iter().find(|(word, _)| *word == option.value) {
                    inner.number(number, *value as i64);
                }
            }
        }
    }
    if !inner.0.is_empty() {
        out.bytes(number, &inner.0);
    }
}
