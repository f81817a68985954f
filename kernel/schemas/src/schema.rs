//! A schema of any kind.

use std::sync::Arc;

use candor_model::Value;

use crate::change::Found;
use crate::{DecodeError, EncodeError, Incompatibility, SCHEMA_BYTES_MAX, SchemaError, avro, json, proto};

/// A language of schemas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Apache Avro 1.12.
    Avro,
    /// JSON Schema, draft 4 to 2020-12.
    Json,
    /// Protocol Buffers: proto2, proto3.
    Protobuf,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Avro, Kind::Json, Kind::Protobuf];

    /// Its name in a registry.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Avro => "AVRO",
            Kind::Json => "JSON",
            Kind::Protobuf => "PROTOBUF",
        }
    }

    /// The kind of a name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// A schema that another one refers to.
#[derive(Debug, Clone)]
pub struct Dependency {
    /// What the other calls it: a full name in Avro, a `$ref` in JSON Schema, a file's path in Protobuf.
    pub name: String,
    /// Its text. One that several names lead to is shared among them, and parsed once.
    pub text: Arc<str>,
}

/// A schema that was parsed.
#[derive(Debug)]
pub struct Schema {
    canonical: String,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Avro(Box<avro::Schema>),
    Json(Box<json::Schema>),
    Protobuf(Box<proto::Schema>),
}

impl Schema {
    /// Parses a schema. `dependencies` holds what it refers to, and what that refers to, each before what uses it.
    pub fn parse(kind: Kind, text: &str, dependencies: &[Dependency]) -> Result<Schema, SchemaError> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(SchemaError::TooLong);
        }
        let (canonical, body) = match kind {
            Kind::Avro => {
                let schema = avro::Schema::parse(text, dependencies)?;
                (avro::canonical(text, false)?, Body::Avro(Box::new(schema)))
            }
            Kind::Json => {
                let schema = json::Schema::parse(text, dependencies)?;
                (json::canonical(text, false)?, Body::Json(Box::new(schema)))
            }
            Kind::Protobuf => {
                let schema = proto::Schema::parse(text, dependencies)?;
                (schema.printed(false), Body::Protobuf(Box::new(schema)))
            }
        };
        Ok(Schema { canonical, body })
    }

    /// Which language it is in.
    pub fn kind(&self) -> Kind {
        match &self.body {
            Body::Avro(_) => Kind::Avro,
            Body::Json(_) => Kind::Json,
            Body::Protobuf(_) => Kind::Protobuf,
        }
    }

    /// Its text in one form: without what means nothing (space, comments, redundant namespaces), in the order of the one
    /// who wrote it. Two schemas are the same where this text is.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// Its text without what depends on who wrote it: properties, options and imports sorted, types by their full names.
    pub fn normalized(&self) -> Result<String, SchemaError> {
        match &self.body {
            Body::Avro(_) => avro::canonical(&self.canonical, true),
            Body::Json(_) => json::canonical(&self.canonical, true),
            Body::Protobuf(schema) => Ok(schema.printed(true)),
        }
    }

    /// A Protobuf schema as a `FileDescriptorProto`; none of other kinds.
    pub fn descriptor(&self) -> Option<Vec<u8>> {
        match &self.body {
            Body::Protobuf(schema) => Some(schema.descriptor()),
            _ => None,
        }
    }

    /// Opens what follows the schema's id in a value: of Protobuf the message's indexes come first.
    pub fn decode(&self, payload: &[u8]) -> Result<Value, DecodeError> {
        match &self.body {
            Body::Avro(schema) => schema.decode(payload),
            Body::Json(schema) => schema.decode(payload),
            Body::Protobuf(schema) => schema.decode(payload),
        }
    }

    /// What follows the schema's id in a value: [`Schema::decode`] the other way round, from the JSON that each language
    /// has of its own (Avro's JSON encoding, ProtoJSON). Of Protobuf it is the file's first message. Values are not held
    /// against a JSON Schema.
    pub fn encode(&self, value: &Value) -> Result<Vec<u8>, EncodeError> {
        match &self.body {
            Body::Avro(schema) => schema.encode(value),
            Body::Json(_) => Ok(candor_model::json::to_string(value).into_bytes()),
            Body::Protobuf(schema) => schema.encode(value),
        }
    }

    /// What follows the schema's id with the texts of `after` where they differ from those of `before`, which is what
    /// [`Schema::decode`] gave. Everything else stays as it was written; where more than texts differs it fails.
    pub fn patched(&self, payload: &[u8], before: &Value, after: &Value) -> Result<Vec<u8>, DecodeError> {
        match &self.body {
            Body::Avro(schema) => schema.patched(payload, before, after),
            Body::Json(schema) => schema.patched(payload, before, after),
            Body::Protobuf(schema) => schema.patched(payload, before, after),
        }
    }

    /// What keeps this schema from reading what was written with another.
    pub fn incompatibilities(&self, writer: &Schema) -> Vec<Incompatibility> {
        let mut found = Found::new();
        match (&self.body, &writer.body) {
            (Body::Avro(reader), Body::Avro(writer)) => reader.compare(writer, &mut found),
            (Body::Json(reader), Body::Json(writer)) => reader.compare(writer, &mut found),
            (Body::Protobuf(reader), Body::Protobuf(writer)) => reader.compare(writer, &mut found),
            _ => found.add(
                "SCHEMA_TYPE_CHANGED",
                "/",
                "The {reader} schema is of another kind than the {writer} schema",
                format!("{} and {}", self.kind().name(), writer.kind().name()),
            ),
        }
        found.all
    }
}
