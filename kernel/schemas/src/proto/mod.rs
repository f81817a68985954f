//! Protocol Buffers: what a `.proto` file declares (Protocol Buffers Language Specification, proto2 and proto3), in the
//! order in which it declares it.

mod compare;
mod decode;
mod describe;
mod descriptor;
mod encode;
mod known;
mod lex;
mod link;
mod parse;
mod patch;
mod print;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use link::Schema;
pub(crate) use wire::{put_varint, varint};

/// One file.
#[derive(Debug, Clone, Default, PartialEq)]
struct File {
    /// `proto2`, `proto3`, or an edition.
    syntax: String,
    package: String,
    imports: Vec<Import>,
    options: Vec<Opt>,
    messages: Vec<Message>,
    enums: Vec<Enum>,
    extends: Vec<Extend>,
    services: Vec<Service>,
}

impl File {
    fn is_proto3(&self) -> bool {
        self.syntax == "proto3"
    }

    fn is_edition(&self) -> bool {
        !self.syntax.starts_with("proto")
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Import {
    path: String,
    /// `public`, `weak` or nothing.
    how: &'static str,
}

/// An option: its name as written, and its value as it stands in the text.
#[derive(Debug, Clone, PartialEq)]
struct Opt {
    name: String,
    value: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Message {
    name: String,
    fields: Vec<Field>,
    oneofs: Vec<Oneof>,
    messages: Vec<Message>,
    enums: Vec<Enum>,
    extends: Vec<Extend>,
    options: Vec<Opt>,
    /// Numbers, both ends included.
    reserved: Vec<(i32, i32)>,
    reserved_names: Vec<String>,
    extensions: Vec<(i32, i32)>,
    /// Made by a field that is a group.
    is_group: bool,
}

#[derive(Debug, Clone, PartialEq)]
struct Oneof {
    name: String,
    options: Vec<Opt>,
}

#[derive(Debug, Clone, PartialEq)]
struct Field {
    name: String,
    number: i32,
    label: Label,
    of: Type,
    options: Vec<Opt>,
    /// Its place among the message's oneofs.
    oneof: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Label {
    Implicit,
    Optional,
    Required,
    Repeated,
}

#[derive(Debug, Clone, PartialEq)]
enum Type {
    Scalar(Scalar),
    /// A message or an enum, as written.
    Named(String),
    Group(String),
    Map(Scalar, Box<Type>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scalar {
    Double,
    Float,
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Fixed32,
    Fixed64,
    Sfixed32,
    Sfixed64,
    Bool,
    String,
    Bytes,
}

impl Scalar {
    /// Each with its name and its number in descriptors.
    const ALL: [(Scalar, &'static str, u64); 15] = [
        (Scalar::Double, "double", 1),
        (Scalar::Float, "float", 2),
        (Scalar::Int64, "int64", 3),
        (Scalar::Uint64, "uint64", 4),
        (Scalar::Int32, "int32", 5),
        (Scalar::Fixed64, "fixed64", 6),
        (Scalar::Fixed32, "fixed32", 7),
        (Scalar::Bool, "bool", 8),
        (Scalar::String, "string", 9),
        (Scalar::Bytes, "bytes", 12),
        (Scalar::Uint32, "uint32", 13),
        (Scalar::Sfixed32, "sfixed32", 15),
        (Scalar::Sfixed64, "sfixed64", 16),
        (Scalar::Sint32, "sint32", 17),
        (Scalar::Sint64, "sint64", 18),
    ];

    fn from_name(name: &str) -> Option<Scalar> {
        Scalar::ALL.iter().find(|(_, own, _)| *own == name).map(|(scalar, ..)| *scalar)
    }

    fn from_number(number: u64) -> Option<Scalar> {
        Scalar::ALL.iter().find(|(.., own)| *own == number).map(|(scalar, ..)| *scalar)
    }

    fn name(self) -> &'static str {
        Scalar::ALL.iter().find(|(own, ..)| *own == self).map_or("", |(_, name, _)| name)
    }

    fn number(self) -> u64 {
        Scalar::ALL.iter().find(|(own, ..)| *own == self).map_or(0, |(.., number)| *number)
    }
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Enum {
    name: String,
    values: Vec<EnumValue>,
    options: Vec<Opt>,
    reserved: Vec<(i32, i32)>,
    reserved_names: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct EnumValue {
    name: String,
    number: i32,
    options: Vec<Opt>,
}

#[derive(Debug, Clone, PartialEq)]
struct Extend {
    of: String,
    fields: Vec<Field>,
}

#[derive(Debug, Clone, PartialEq)]
struct Service {
    name: String,
    methods: Vec<Method>,
    options: Vec<Opt>,
}

#[derive(Debug, Clone, PartialEq)]
struct Method {
    name: String,
    input: String,
    is_client_streaming: bool,
    output: String,
    is_server_streaming: bool,
    options: Vec<Opt>,
}

/// The greatest number of a field.
const FIELD_NUMBER_MAX: i32 = (1 << 29) - 1;

/// Deepest nesting of messages within messages in a file.
const MESSAGE_DEPTH_MAX: usize = 32;
