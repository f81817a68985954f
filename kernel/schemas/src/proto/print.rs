//! A file as text, in one form.

use std::fmt::Write;

use super::lex::quoted;
use super::link::{Schema, joined};
use super::{Enum, Extend, Field, File, Import, Label, Message, Opt, Service, Type};

impl Schema {
    /// The text; where `is_normalized`, with options, imports and fields sorted and types by their full names.
    pub(crate) fn printed(&self, is_normalized: bool) -> String {
        let mut printer = Printer { of: self, is_normalized, out: String::new(), depth: 0 };
        printer.file(&self.file);
        printer.out
    }
}

struct Printer<'a> {
    of: &'a Schema,
    is_normalized: bool,
    out: String,
    depth: usize,
}

impl Printer<'_> {
    fn line(&mut self, text: impl AsRef<str>) {
        for _ in 0..self.depth {
            self.out.push_str("  ");
        }
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    fn gap(&mut self) {
        if !(self.out.ends_with("\n\n") || self.out.ends_with("{\n")) {
            self.out.push('\n');
        }
    }

    fn open(&mut self, what: &str) {
        self.line(format!("{what} {{"));
        self.depth += 1;
    }

    fn close(&mut self) {
        self.depth -= 1;
        self.line("}");
    }

    fn file(&mut self, file: &File) {
        let word = if file.is_edition() { "edition" } else { "syntax" };
        self.line(format!("{word} = {};", quoted(&file.syntax)));
        if !file.package.is_empty() {
            self.line(format!("package {};", file.package));
        }
        let mut imports: Vec<&Import> = file.imports.iter().collect();
        if self.is_normalized {
            imports.sort_by(|one, other| one.path.cmp(&other.path));
        }
        if !imports.is_empty() {
            self.gap();
        }
        for import in imports {
            let how = if import.how.is_empty() { String::new() } else { format!("{} ", import.how) };
            self.line(format!("import {how}{};", quoted(&import.path)));
        }
        if !file.options.is_empty() {
            self.gap();
        }
        self.options(&file.options);
        for message in file.messages.iter().filter(|message| !message.is_group) {
            self.gap();
            self.message(message, &file.package);
        }
        for of in &file.enums {
            self.gap();
            self.enumeration(of);
        }
        self.extends(&file.extends, &file.messages, &file.package);
        for service in &file.services {
            self.gap();
            self.service(service, &file.package);
        }
    }

    fn sorted<'o>(&self, options: &'o [Opt]) -> Vec<&'o Opt> {
        let mut options: Vec<&Opt> = options.iter().collect();
        if self.is_normalized {
            options.sort_by(|one, other| one.name.cmp(&other.name));
        }
        options
    }

    fn options(&mut self, options: &[Opt]) {
        for option in self.sorted(options) {
            self.line(format!("option {} = {};", option.name, option.value));
        }
    }

    fn bracketed(&self, options: &[Opt]) -> String {
        if options.is_empty() {
            return String::new();
        }
        let options = self.sorted(options);
        let options: Vec<String> =
            options.iter().map(|one| format!("{} = {}", one.name, one.value)).collect();
        format!(" [{}]", options.join(", "))
    }

    /// The name of a type as it is to be written.
    fn named(&self, name: &str, scope: &str) -> String {
        match self.of.names.full(name, scope).filter(|_| self.is_normalized) {
            Some(full) => format!(".{full}"),
            None => name.to_owned(),
        }
    }

    fn reserved(&mut self, ranges: &[(i32, i32)], names: &[String], max: i32) {
        if !ranges.is_empty() {
            self.line(format!("reserved {};", shown(ranges, max)));
        }
        if !names.is_empty() {
            let names: Vec<String> = names.iter().map(|name| quoted(name)).collect();
            self.line(format!("reserved {};", names.join(", ")));
        }
    }

    fn message(&mut self, message: &Message, scope: &str) {
        self.open(&format!("message {}", message.name));
        self.body(message, scope);
        self.close();
    }

    fn body(&mut self, message: &Message, scope: &str) {
        let full = joined(scope, &message.name);
        self.options(&message.options);
        self.reserved(&message.reserved, &message.reserved_names, super::FIELD_NUMBER_MAX);
        if !message.extensions.is_empty() {
            self.line(format!("extensions {};", shown(&message.extensions, super::FIELD_NUMBER_MAX)));
        }
        let mut fields: Vec<&Field> = message.fields.iter().collect();
        if self.is_normalized {
            fields.sort_by_key(|field| field.number);
        }
        let mut told = vec![false; message.oneofs.len()];
        for field in &fields {
            let Some(place) = field.oneof else {
                self.field(field, &message.messages, &full);
                continue;
            };
            // A oneof stands where its first field does.
            if told.get(place).copied().unwrap_or(true) {
                continue;
            }
            if let Some(told) = told.get_mut(place) {
                *told = true;
            }
            let Some(oneof) = message.oneofs.get(place) else { continue };
            self.open(&format!("oneof {}", oneof.name));
            self.options(&oneof.options);
            for field in fields.iter().filter(|field| field.oneof == Some(place)) {
                self.field(field, &message.messages, &full);
            }
            self.close();
        }
        for inner in message.messages.iter().filter(|message| !message.is_group) {
            self.gap();
            self.message(inner, &full);
        }
        for of in &message.enums {
            self.gap();
            self.enumeration(of);
        }
        self.extends(&message.extends, &message.messages, &full);
    }

    fn field(&mut self, field: &Field, siblings: &[Message], scope: &str) {
        let label = match field.label {
            Label::Implicit => "",
            Label::Optional => "optional ",
            Label::Required => "required ",
            Label::Repeated => "repeated ",
        };
        let single = |of: &Type| match of {
            Type::Scalar(scalar) => scalar.name().to_owned(),
            Type::Named(name) => self.named(name, scope),
            Type::Group(name) => name.clone(),
            Type::Map(..) => String::new(),
        };
        let options = self.bracketed(&field.options);
        let (name, number) = (&field.name, field.number);
        match &field.of {
            Type::Map(key, of) => {
                let line = format!("map<{}, {}> {name} = {number}{options};", key.name(), single(of));
                self.line(line);
            }
            Type::Group(group) => {
                self.open(&format!("{label}group {group} = {number}{options}"));
                if let Some(body) = siblings.iter().find(|message| message.name == *group) {
                    self.body(body, scope);
                }
                self.close();
            }
            of => {
                let line = format!("{label}{} {name} = {number}{options};", single(of));
                self.line(line);
            }
        }
    }

    fn extends(&mut self, extends: &[Extend], siblings: &[Message], scope: &str) {
        for extend in extends {
            self.gap();
            let of = self.named(&extend.of, scope);
            self.open(&format!("extend {of}"));
            for field in &extend.fields {
                self.field(field, siblings, scope);
            }
            self.close();
        }
    }

    fn enumeration(&mut self, of: &Enum) {
        self.open(&format!("enum {}", of.name));
        self.options(&of.options);
        self.reserved(&of.reserved, &of.reserved_names, i32::MAX);
        for value in &of.values {
            let options = self.bracketed(&value.options);
            self.line(format!("{} = {}{options};", value.name, value.number));
        }
        self.close();
    }

    fn service(&mut self, service: &Service, scope: &str) {
        let scope = joined(scope, &service.name);
        self.open(&format!("service {}", service.name));
        self.options(&service.options);
        for method in &service.methods {
            let stream = |is_stream: bool| if is_stream { "stream " } else { "" };
            let mut line = String::new();
            let _ = write!(
                line,
                "rpc {} ({}{}) returns ({}{})",
                method.name,
                stream(method.is_client_streaming),
                self.named(&method.input, &scope),
                stream(method.is_server_streaming),
                self.named(&method.output, &scope)
            );
            if method.options.is_empty() {
                self.line(format!("{line};"));
            } else {
                self.open(&line);
                self.options(&method.options);
                self.close();
            }
        }
        self.close();
    }
}

fn shown(ranges: &[(i32, i32)], max: i32) -> String {
    let range = |(start, end): &(i32, i32)| match (start == end, *end == max) {
        (true, _) => start.to_string(),
        (false, true) => format!("{start} to max"),
        (false, false) => format!("{start} to {end}"),
    };
    ranges.iter().map(range).collect::<Vec<_>>().join(", ")
}
