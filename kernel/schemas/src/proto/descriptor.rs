//! A file from its descriptor (`google/protobuf/descriptor.proto`), as clients that have no text send it. Options of one's
//! own are left out: a descriptor says what they mean only beside the files that define them.

use super::lex::quoted;
use super::parse::type_of;
use super::wire::{Raw, field};
use super::{
    Enum, EnumValue, Extend, FIELD_NUMBER_MAX, Field, File, Import, Label, MESSAGE_DEPTH_MAX, Message,
    Method, Oneof, Opt, Scalar, Service, Type,
};
use crate::SchemaError;

type Read<T> = Result<T, SchemaError>;

fn broken(what: impl ToString) -> SchemaError {
    SchemaError::at("the descriptor", what.to_string())
}

/// Calls `take` for each field.
fn each<'a>(mut input: &'a [u8], mut take: impl FnMut(i32, Raw<'a>) -> Read<()>) -> Read<()> {
    while !input.is_empty() {
        let (number, raw) = field(&mut input).map_err(broken)?;
        take(number, raw)?;
    }
    Ok(())
}

fn bytes<'a>(raw: Raw<'a>) -> Read<&'a [u8]> {
    match raw {
        Raw::Bytes(bytes) => Ok(bytes),
        _ => Err(broken("a field has another type than descriptors have")),
    }
}

fn text(raw: Raw<'_>) -> Read<String> {
    let text = std::str::from_utf8(bytes(raw)?).map_err(|_| broken("a text is not UTF-8"))?;
    Ok(text.to_owned())
}

/// A word of a `.proto` file: what is none would print as something else.
fn word(raw: Raw<'_>) -> Read<String> {
    let text = text(raw)?;
    let is_name = !text.is_empty()
        && !text.starts_with(|first: char| first.is_ascii_digit())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { Ok(text) } else { Err(broken("a name is no word of letters, digits and _")) }
}

/// Words with dots between and perhaps before them.
fn path(raw: Raw<'_>) -> Read<String> {
    let path = text(raw)?;
    for part in path.strip_prefix('.').unwrap_or(&path).split('.') {
        word(Raw::Bytes(part.as_bytes()))?;
    }
    Ok(path)
}

fn int(raw: Raw<'_>) -> Read<i32> {
    match raw {
        Raw::Varint(number) => Ok(number as i32),
        _ => Err(broken("a field has another type than descriptors have")),
    }
}

pub(super) fn read(input: &[u8]) -> Read<File> {
    let mut file = File { syntax: "proto2".to_owned(), ..File::default() };
    let mut imports: Vec<Import> = Vec::new();
    let mut how: Vec<(i32, &'static str)> = Vec::new();
    each(input, |number, raw| {
        match number {
            2 => file.package = path(raw)?,
            3 => imports.push(Import { path: text(raw)?, how: "" }),
            4 => file.messages.push(message(bytes(raw)?, 0)?.0),
            5 => file.enums.push(enumeration(bytes(raw)?)?),
            6 => file.services.push(service(bytes(raw)?)?),
            7 => extension(bytes(raw)?, &mut file.extends)?,
            8 => file.options = options(bytes(raw)?, FILE_OPTIONS)?,
            10 => how.push((int(raw)?, "public")),
            11 => how.push((int(raw)?, "weak")),
            12 => file.syntax = text(raw)?,
            14 => file.syntax = int(raw)?.to_string(),
            _ => {}
        }
        Ok(())
    })?;
    for (at, how) in how {
        if let Some(import) = usize::try_from(at).ok().and_then(|at| imports.get_mut(at)) {
            import.how = how;
        }
    }
    file.imports = imports;
    // Editions are numbers: 1000 is 2023, 1001 is 2024.
    file.syntax = match file.syntax.as_str() {
        "1000" => "2023".to_owned(),
        "1001" => "2024".to_owned(),
        "proto2" | "proto3" => file.syntax,
        _ => return Err(broken("an unknown syntax")),
    };
    if file.is_proto3() {
        file.messages.iter_mut().for_each(implicit);
        file.extends.iter_mut().for_each(|extend| extend.fields.iter_mut().for_each(implicit_field));
    }
    Ok(file)
}

/// In proto3 a descriptor says `optional` of what has no label in the text; what has one says so elsewhere.
fn implicit(message: &mut Message) {
    message.fields.iter_mut().for_each(implicit_field);
    message.messages.iter_mut().for_each(implicit);
}

fn implicit_field(field: &mut Field) {
    let is_marked = field.options.iter().any(|option| option.name == PROTO3_OPTIONAL);
    field.options.retain(|option| option.name != PROTO3_OPTIONAL);
    if field.label == Label::Optional && !is_marked {
        field.label = Label::Implicit;
    }
}

/// Stands among a field's options while a descriptor is read: it is no name of an option.
const PROTO3_OPTIONAL: &str = "";

/// A message, and whether it is the entry of a map.
fn message(input: &[u8], depth: usize) -> Read<(Message, bool)> {
    if depth > MESSAGE_DEPTH_MAX {
        return Err(broken("messages nest too deep"));
    }
    let mut out = Message::default();
    let mut entries: Vec<Message> = Vec::new();
    let mut is_entry = false;
    each(input, |number, raw| {
        match number {
            1 => out.name = word(raw)?,
            2 => out.fields.push(member(bytes(raw)?)?.0),
            3 => match message(bytes(raw)?, depth + 1)? {
                (inner, true) => entries.push(inner),
                (inner, false) => out.messages.push(inner),
            },
            4 => out.enums.push(enumeration(bytes(raw)?)?),
            5 => out.extensions.push(range(bytes(raw)?, 1)?),
            6 => extension(bytes(raw)?, &mut out.extends)?,
            7 => {
                each(bytes(raw)?, |number, raw| {
                    is_entry |= number == 7 && raw == Raw::Varint(1);
                    Ok(())
                })?;
                out.options = options(bytes(raw)?, MESSAGE_OPTIONS)?;
            }
            8 => each(bytes(raw)?, |number, raw| {
                if number == 1 {
                    out.oneofs.push(Oneof { name: word(raw)?, options: Vec::new() });
                }
                Ok(())
            })?,
            9 => out.reserved.push(range(bytes(raw)?, 1)?),
            10 => out.reserved_names.push(text(raw)?),
            _ => {}
        }
        Ok(())
    })?;
    for member in &mut out.fields {
        let Type::Named(name) = &member.of else { continue };
        let simple = name.rsplit('.').next().unwrap_or_default();
        let entry = entries.iter().find(|entry| entry.name == simple && member.label == Label::Repeated);
        if let Some(entry) = entry {
            let of = |number| {
                entry.fields.iter().find(|field| field.number == number).map(|field| field.of.clone())
            };
            match (of(1), of(2)) {
                (Some(Type::Scalar(key)), Some(value)) => {
                    (member.of, member.label) = (Type::Map(key, Box::new(value)), Label::Implicit);
                }
                _ => return Err(broken("the entry of a map has no key or value")),
            }
        }
    }
    for member in &out.fields {
        let Type::Group(name) = &member.of else { continue };
        if let Some(group) = out.messages.iter_mut().find(|message| message.name == *name) {
            group.is_group = true;
        }
    }
    settle_oneofs(&mut out)?;
    Ok((out, is_entry))
}

/// A field with `optional` of proto3 has a oneof for itself in a descriptor and none in the text; fields of a real one
/// have no label in the text.
fn settle_oneofs(message: &mut Message) -> Read<()> {
    let is_marked = |field: &Field| field.options.iter().any(|option| option.name == PROTO3_OPTIONAL);
    let mut places = vec![None; message.oneofs.len()];
    let mut kept = Vec::new();
    for (at, oneof) in message.oneofs.iter().enumerate() {
        let is_real = message.fields.iter().any(|field| field.oneof == Some(at) && !is_marked(field));
        if let Some(place) = places.get_mut(at).filter(|_| is_real) {
            *place = Some(kept.len());
            kept.push(oneof.clone());
        }
    }
    for field in &mut message.fields {
        let Some(at) = field.oneof else { continue };
        field.oneof = *places.get(at).ok_or_else(|| broken("a field is in a oneof that there is not"))?;
        if field.oneof.is_some() {
            field.label = Label::Implicit;
        }
    }
    message.oneofs = kept;
    Ok(())
}

fn member(input: &[u8]) -> Read<(Field, String)> {
    let (mut kind, mut named, mut extendee) = (0, String::new(), String::new());
    let (mut default, mut json_name, mut options_of) = (None, None, Vec::new());
    let mut out = Field {
        name: String::new(),
        number: 0,
        label: Label::Optional,
        of: Type::Scalar(Scalar::Bool),
        options: Vec::new(),
        oneof: None,
    };
    each(input, |number, raw| {
        match number {
            1 => out.name = word(raw)?,
            2 => extendee = path(raw)?,
            3 => out.number = int(raw)?,
            4 => {
                out.label = match int(raw)? {
                    2 => Label::Required,
                    3 => Label::Repeated,
                    _ => Label::Optional,
                }
            }
            5 => kind = int(raw)?,
            6 => named = path(raw)?,
            7 => default = Some(text(raw)?),
            8 => options_of = options(bytes(raw)?, FIELD_OPTIONS)?,
            10 => json_name = Some(text(raw)?),
            9 => out.oneof = usize::try_from(int(raw)?).ok(),
            17 if int(raw)? != 0 => {
                out.options.push(Opt { name: PROTO3_OPTIONAL.to_owned(), value: String::new() });
            }
            _ => {}
        }
        Ok(())
    })?;
    if !(1..=FIELD_NUMBER_MAX).contains(&out.number) || out.name.is_empty() {
        return Err(broken("a field has no name or no number"));
    }
    let scalar = u64::try_from(kind).ok().and_then(Scalar::from_number);
    out.of = match (kind, scalar) {
        (_, Some(scalar)) => Type::Scalar(scalar),
        (10, _) => Type::Group(named.rsplit('.').next().unwrap_or_default().to_owned()),
        _ if named.is_empty() => return Err(broken("a field has no type")),
        _ => type_of(named),
    };
    if let Some(default) = default {
        let value = match out.of {
            Type::Scalar(Scalar::String | Scalar::Bytes) => quoted(&default),
            _ if default.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte)) => {
                default
            }
            _ => return Err(broken("a default is no value")),
        };
        out.options.push(Opt { name: "default".to_owned(), value });
    }
    // One that follows from the name was never written.
    if let Some(json_name) = json_name.filter(|given| *given != camel(&out.name)) {
        out.options.push(Opt { name: "json_name".to_owned(), value: quoted(&json_name) });
    }
    out.options.extend(options_of);
    Ok((out, extendee))
}

/// `by_name` as `byName`.
fn camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut is_after = false;
    for c in name.chars() {
        match c {
            '_' => is_after = true,
            c if is_after => {
                out.push(c.to_ascii_uppercase());
                is_after = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn extension(input: &[u8], extends: &mut Vec<Extend>) -> Read<()> {
    let (field, of) = member(input)?;
    match extends.last_mut().filter(|last| last.of == of) {
        Some(last) => last.fields.push(field),
        None => extends.push(Extend { of, fields: vec![field] }),
    }
    Ok(())
}

/// A range; of messages its end is past the last number.
fn range(input: &[u8], past: i32) -> Read<(i32, i32)> {
    let (mut start, mut end) = (0, 0);
    each(input, |number, raw| {
        match number {
            1 => start = int(raw)?,
            2 => end = int(raw)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok((start, end.saturating_sub(past)))
}

fn enumeration(input: &[u8]) -> Read<Enum> {
    let mut out = Enum::default();
    each(input, |number, raw| {
        match number {
            1 => out.name = word(raw)?,
            2 => {
                let mut value = EnumValue { name: String::new(), number: 0, options: Vec::new() };
                each(bytes(raw)?, |number, raw| {
                    match number {
                        1 => value.name = word(raw)?,
                        2 => value.number = int(raw)?,
                        3 => value.options = options(bytes(raw)?, VALUE_OPTIONS)?,
                        _ => {}
                    }
                    Ok(())
                })?;
                out.values.push(value);
            }
            3 => out.options = options(bytes(raw)?, ENUM_OPTIONS)?,
            4 => out.reserved.push(range(bytes(raw)?, 0)?),
            5 => out.reserved_names.push(text(raw)?),
            _ => {}
        }
        Ok(())
    })?;
    Ok(out)
}

fn service(input: &[u8]) -> Read<Service> {
    let mut out = Service { name: String::new(), methods: Vec::new(), options: Vec::new() };
    each(input, |number, raw| {
        match number {
            1 => out.name = word(raw)?,
            2 => {
                let mut method = Method {
                    name: String::new(),
                    input: String::new(),
                    is_client_streaming: false,
                    output: String::new(),
                    is_server_streaming: false,
                    options: Vec::new(),
                };
                each(bytes(raw)?, |number, raw| {
                    match number {
                        1 => method.name = word(raw)?,
                        2 => method.input = path(raw)?,
                        3 => method.output = path(raw)?,
                        5 => method.is_client_streaming = int(raw)? != 0,
                        6 => method.is_server_streaming = int(raw)? != 0,
                        _ => {}
                    }
                    Ok(())
                })?;
                out.methods.push(method);
            }
            _ => {}
        }
        Ok(())
    })?;
    Ok(out)
}

/// How the value of an option is written.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Written {
    Flag,
    Text,
    /// One of these words, by its number.
    Word(&'static [(&'static str, u64)]),
}

/// Options of a kind of declaration: number, name, form.
pub(super) type Known = &'static [(i32, &'static str, Written)];

pub(super) const FILE_OPTIONS: Known = &[
    (1, "java_package", Written::Text),
    (8, "java_outer_classname", Written::Text),
    (9, "optimize_for", Written::Word(&[("SPEED", 1), ("CODE_SIZE", 2), ("LITE_RUNTIME", 3)])),
    (10, "java_multiple_files", Written::Flag),
    (11, "go_package", Written::Text),
    (16, "cc_generic_services", Written::Flag),
    (17, "java_generic_services", Written::Flag),
    (18, "py_generic_services", Written::Flag),
    (20, "java_generate_equals_and_hash", Written::Flag),
    (23, "deprecated", Written::Flag),
    (27, "java_string_check_utf8", Written::Flag),
    (31, "cc_enable_arenas", Written::Flag),
    (36, "objc_class_prefix", Written::Text),
    (37, "csharp_namespace", Written::Text),
    (39, "swift_prefix", Written::Text),
    (40, "php_class_prefix", Written::Text),
    (41, "php_namespace", Written::Text),
    (44, "php_metadata_namespace", Written::Text),
    (45, "ruby_package", Written::Text),
];
pub(super) const MESSAGE_OPTIONS: Known = &[
    (1, "message_set_wire_format", Written::Flag),
    (2, "no_standard_descriptor_accessor", Written::Flag),
    (3, "deprecated", Written::Flag),
];
pub(super) const FIELD_OPTIONS: Known = &[
    (1, "ctype", Written::Word(&[("STRING", 0), ("CORD", 1), ("STRING_PIECE", 2)])),
    (2, "packed", Written::Flag),
    (3, "deprecated", Written::Flag),
    (5, "lazy", Written::Flag),
    (6, "jstype", Written::Word(&[("JS_NORMAL", 0), ("JS_STRING", 1), ("JS_NUMBER", 2)])),
    (10, "weak", Written::Flag),
];
pub(super) const ENUM_OPTIONS: Known = &[(2, "allow_alias", Written::Flag), (3, "deprecated", Written::Flag)];
pub(super) const VALUE_OPTIONS: Known = &[(1, "deprecated", Written::Flag)];

fn options(input: &[u8], known: Known) -> Read<Vec<Opt>> {
    let mut out = Vec::new();
    each(input, |number, raw| {
        let Some((_, name, written)) = known.iter().find(|(own, ..)| *own == number) else { return Ok(()) };
        let value = match (written, raw) {
            (Written::Flag, Raw::Varint(flag)) => (flag != 0).to_string(),
            (Written::Text, raw) => quoted(&text(raw)?),
            (Written::Word(words), Raw::Varint(number)) => match words.iter().find(|(_, own)| *own == number)
            {
                Some((word, _)) => (*word).to_owned(),
                None => return Ok(()),
            },
            _ => return Err(broken("an option has another type than descriptors have")),
        };
        out.push(Opt { name: (*name).to_owned(), value });
        Ok(())
    })?;
    Ok(out)
}
