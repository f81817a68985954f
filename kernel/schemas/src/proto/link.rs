//! Names that lead to declarations: what a file and those that it imports define, found by number.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use data_encoding::BASE64;

use super::known::known;
use super::{Enum, Extend, Field, File, Label, Message, Scalar, Type, descriptor, parse};
use crate::{Dependency, SchemaError};

/// A file whose names all lead somewhere.
#[derive(Debug)]
pub(crate) struct Schema {
    pub(super) file: File,
    pub(super) names: Names,
    pub(super) messages: Vec<Msg>,
    pub(super) enums: Vec<Enm>,
    /// The file's own messages, in order.
    pub(super) roots: Vec<usize>,
}

/// Full names, without a leading dot.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, Target>);

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Target {
    Message(usize),
    Enum(usize),
}

#[derive(Debug)]
pub(super) struct Msg {
    pub(super) full: String,
    /// Its name without the package.
    pub(super) local: String,
    pub(super) fields: Vec<Fld>,
    pub(super) by_number: HashMap<i32, usize>,
    pub(super) oneofs: Vec<String>,
    pub(super) nested: Vec<usize>,
    /// Made by a field that is a group.
    pub(super) is_group: bool,
}

#[derive(Debug)]
pub(super) struct Fld {
    pub(super) name: String,
    pub(super) number: i32,
    pub(super) label: Label,
    pub(super) kind: Kind,
    pub(super) oneof: Option<usize>,
    /// Absent means its default: a single scalar of proto3 without `optional`.
    pub(super) is_implicit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Scalar(Scalar),
    Enum(usize),
    Message(usize),
    Map(Scalar, Single),
}

/// What a map holds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Single {
    Scalar(Scalar),
    Enum(usize),
    Message(usize),
}

#[derive(Debug)]
pub(super) struct Enm {
    pub(super) local: String,
    pub(super) values: HashMap<i32, String>,
}

impl Names {
    /// The full name that a name stands for within a scope: the innermost that there is.
    pub(super) fn full(&self, name: &str, scope: &str) -> Option<String> {
        if let Some(full) = name.strip_prefix('.') {
            return self.0.contains_key(full).then(|| full.to_owned());
        }
        let mut scope = scope;
        loop {
            let full = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
            if self.0.contains_key(&full) {
                return Some(full);
            }
            if scope.is_empty() {
                return None;
            }
            scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
        }
    }

    pub(super) fn get(&self, full: &str) -> Option<Target> {
        self.0.get(full).copied()
    }
}

/// A file from its text, or from its descriptor in base64, as some clients send it.
fn read(text: &str) -> Result<File, SchemaError> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
    let trimmed = text.trim();
    match BASE64.decode(trimmed.as_bytes()) {
        Ok(bytes) if !trimmed.is_empty() && trimmed.bytes().all(is_base64) => descriptor::read(&bytes),
        _ => parse::parse(text),
    }
}

pub(super) fn joined(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

impl Schema {
    /// Parses a file. What it imports is among `dependencies`, or comes with every compiler.
    pub(crate) fn parse(text: &str, dependencies: &[Dependency]) -> Result<Schema, SchemaError> {
        let file = read(text)?;
        // A file that several paths lead to is read once: by the first that is imported.
        let given: HashMap<&str, &Arc<str>> =
            dependencies.iter().map(|one| (one.name.as_str(), &one.text)).collect();
        let mut texts = HashSet::new();
        let mut imported = Vec::new();
        let mut seen = HashSet::new();
        let mut wanted: Vec<String> = file.imports.iter().map(|import| import.path.clone()).collect();
        while let Some(path) = wanted.pop() {
            if !seen.insert(path.clone()) {
                continue;
            }
            let next = match (given.get(path.as_str()), known(&path)) {
                (Some(text), _) if !texts.insert(Arc::as_ptr(text).cast::<u8>()) => continue,
                (Some(text), _) => read(text)?,
                (None, Some(text)) => parse::parse(text)?,
                (None, None) => return Err(SchemaError::Unknown(path)),
            };
            wanted.extend(next.imports.iter().map(|import| import.path.clone()));
            imported.push(next);
        }
        let mut schema = Schema {
            file: File::default(),
            names: Names::default(),
            messages: Vec::new(),
            enums: Vec::new(),
            roots: Vec::new(),
        };
        for other in &imported {
            schema.declare_file(other)?;
        }
        schema.roots = schema.declare_file(&file)?;
        for other in imported.iter().chain([&file]) {
            schema.link_file(other)?;
        }
        schema.file = file;
        Ok(schema)
    }

    fn declare_file(&mut self, file: &File) -> Result<Vec<usize>, SchemaError> {
        for of in &file.enums {
            self.declare_enum(file, of, &file.package)?;
        }
        file.messages.iter().map(|message| self.declare(file, message, &file.package)).collect()
    }

    fn name(&mut self, full: String, target: Target) -> Result<(), SchemaError> {
        match self.names.0.insert(full.clone(), target) {
            Some(_) => Err(SchemaError::at(full, "this name is defined twice")),
            None => Ok(()),
        }
    }

    fn declare(&mut self, file: &File, message: &Message, scope: &str) -> Result<usize, SchemaError> {
        let full = joined(scope, &message.name);
        let id = self.messages.len();
        self.name(full.clone(), Target::Message(id))?;
        let local = full.get(file.package.len()..).unwrap_or_default().trim_start_matches('.').to_owned();
        self.messages.push(Msg {
            full: full.clone(),
            local,
            fields: Vec::new(),
            by_number: HashMap::new(),
            oneofs: message.oneofs.iter().map(|oneof| oneof.name.clone()).collect(),
            nested: Vec::new(),
            is_group: message.is_group,
        });
        for of in &message.enums {
            self.declare_enum(file, of, &full)?;
        }
        let mut nested = Vec::with_capacity(message.messages.len());
        for inner in &message.messages {
            nested.push(self.declare(file, inner, &full)?);
        }
        if let Some(own) = self.messages.get_mut(id) {
            own.nested = nested;
        }
        Ok(id)
    }

    fn declare_enum(&mut self, file: &File, of: &Enum, scope: &str) -> Result<(), SchemaError> {
        let full = joined(scope, &of.name);
        if file.is_proto3() && of.values.first().is_some_and(|first| first.number != 0) {
            return Err(SchemaError::at(full, "the first value of an enum of proto3 is 0"));
        }
        self.name(full.clone(), Target::Enum(self.enums.len()))?;
        let local = full.get(file.package.len()..).unwrap_or_default().trim_start_matches('.').to_owned();
        // Of several names of one number the first counts.
        let mut values = HashMap::new();
        for value in &of.values {
            values.entry(value.number).or_insert_with(|| value.name.clone());
        }
        self.enums.push(Enm { local, values });
        Ok(())
    }

    fn link_file(&mut self, file: &File) -> Result<(), SchemaError> {
        self.link_extends(file, &file.extends, &file.package)?;
        for message in &file.messages {
            self.link(file, message, &file.package)?;
        }
        for (service, method) in
            file.services.iter().flat_map(|one| one.methods.iter().map(move |of| (one, of)))
        {
            for of in [&method.input, &method.output] {
                self.target(of, &joined(&file.package, &service.name))?;
            }
        }
        Ok(())
    }

    fn link(&mut self, file: &File, message: &Message, scope: &str) -> Result<(), SchemaError> {
        let full = joined(scope, &message.name);
        let mut fields = Vec::with_capacity(message.fields.len());
        let mut by_number = HashMap::new();
        let mut names = HashSet::new();
        for field in &message.fields {
            let at = || format!("{full}.{}", field.name);
            if by_number.insert(field.number, fields.len()).is_some() {
                return Err(SchemaError::at(at(), format!("the number {} is taken", field.number)));
            }
            if !names.insert(&field.name) {
                return Err(SchemaError::at(at(), "the name is taken"));
            }
            fields.push(self.field(file, field, &full)?);
        }
        self.link_extends(file, &message.extends, &full)?;
        if let Some(Target::Message(id)) = self.names.get(&full)
            && let Some(own) = self.messages.get_mut(id)
        {
            (own.fields, own.by_number) = (fields, by_number);
        }
        message.messages.iter().try_for_each(|inner| self.link(file, inner, &full))
    }

    /// Fields from elsewhere are for what knows them; that their types exist is checked.
    fn link_extends(&self, file: &File, extends: &[Extend], scope: &str) -> Result<(), SchemaError> {
        for extend in extends {
            self.target(&extend.of, scope)?;
            for field in &extend.fields {
                self.field(file, field, scope)?;
            }
        }
        Ok(())
    }

    fn target(&self, name: &str, scope: &str) -> Result<Target, SchemaError> {
        let found = self.names.full(name, scope).and_then(|full| self.names.get(&full));
        found.ok_or_else(|| SchemaError::Unknown(name.to_owned()))
    }

    fn field(&self, file: &File, field: &Field, scope: &str) -> Result<Fld, SchemaError> {
        let single = |of: &Type| match of {
            Type::Scalar(scalar) => Ok(Single::Scalar(*scalar)),
            Type::Named(name) | Type::Group(name) => self.target(name, scope).map(|target| match target {
                Target::Message(id) => Single::Message(id),
                Target::Enum(id) => Single::Enum(id),
            }),
            Type::Map(..) => Err(SchemaError::at(field.name.as_str(), "a map holds no map")),
        };
        let kind = match &field.of {
            Type::Map(key, of) => Kind::Map(*key, single(of)?),
            other => match single(other)? {
                Single::Scalar(scalar) => Kind::Scalar(scalar),
                Single::Enum(id) => Kind::Enum(id),
                Single::Message(id) => Kind::Message(id),
            },
        };
        let is_single = matches!(kind, Kind::Scalar(_) | Kind::Enum(_));
        let is_implicit =
            is_single && file.is_proto3() && field.label == Label::Implicit && field.oneof.is_none();
        Ok(Fld {
            name: field.name.clone(),
            number: field.number,
            label: field.label,
            kind,
            oneof: field.oneof,
            is_implicit,
        })
    }
}
