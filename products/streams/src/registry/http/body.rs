//! What requests carry, and how schemas are shown.

use std::borrow::Cow;
use std::sync::Arc;

use candor_schemas::{Kind, SCHEMA_BYTES_MAX};
use data_encoding::BASE64;
use futures::StreamExt;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::super::{Book, Context, Extra, Given, Reference, RegistryError, Stored};
use super::Call;
use super::answer::{Answer, Refusal, json, list};
use crate::wire::{Held, Room};

/// Longest body, bytes: the longest schema, escaped as text of JSON, and what comes with it.
const BODY_BYTES_MAX: usize = 4 * SCHEMA_BYTES_MAX;

/// A body, and the room that it holds.
pub(super) struct Body {
    pub bytes: Vec<u8>,
    _held: Held,
}

impl Body {
    /// Reads a body whole. It takes room as it comes.
    pub async fn read(room: &Room, body: axum::body::Body) -> Result<Body, Refusal> {
        let (mut bytes, mut held) = (Vec::new(), Held::default());
        let mut pieces = body.into_data_stream();
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| Refusal::new(400, 400, "the body ended before it was whole"))?;
            let whole = bytes.len() + piece.len();
            if whole > BODY_BYTES_MAX {
                return Err(Refusal::new(413, 413, format!("a body has at most {BODY_BYTES_MAX} bytes")));
            }
            let covered = held.cover(room, whole).await;
            covered.map_err(|_| Refusal::new(503, 503, "the server stops: try again"))?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Body { bytes, _held: held })
    }
}

/// A schema that is sent. What else clients send is not looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SchemaBody {
    schema: Option<String>,
    schema_type: Option<String>,
    references: Option<Vec<Reference>>,
    metadata: Option<serde_json::Value>,
    rule_set: Option<serde_json::Value>,
    id: Option<i32>,
    version: Option<i32>,
}

/// A schema as it is shown: with its place where it has one.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<i32>,
    guid: String,
    /// Absent, it is Avro.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_type: Option<&'static str>,
    #[serde(skip_serializing_if = "<[Reference]>::is_empty")]
    references: &'a [Reference],
    #[serde(flatten)]
    extra: &'a Extra,
    schema: Cow<'a, str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl<'a> Shown<'a> {
    /// A schema without a place.
    pub(super) fn schema(stored: &'a Stored, text: Cow<'a, str>) -> Shown<'a> {
        Shown {
            subject: None,
            version: None,
            id: None,
            guid: stored.guid(),
            schema_type: Some(stored.kind).filter(|kind| *kind != Kind::Avro).map(Kind::name),
            references: &stored.references,
            extra: &stored.extra,
            schema: text,
            deleted: false,
        }
    }

    /// One of a subject's.
    pub(super) fn version(
        subject: &'a str,
        version: i32,
        stored: &'a Stored,
        text: Cow<'a, str>,
        deleted: bool,
    ) -> Shown<'a> {
        let plain = Shown::schema(stored, text);
        Shown { subject: Some(subject), version: Some(version), id: Some(stored.id), deleted, ..plain }
    }
}

impl Call<'_> {
    /// The body, as JSON.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        // Serde names fields and types; of what was sent it may quote a piece, to the one who sent it.
        serde_json::from_slice(self.body).map_err(|error| {
            Refusal::new(422, 422, format!("the body is not what is expected here: {error}"))
        })
    }

    /// The schema of the body.
    pub(super) fn given(&self) -> Result<Given, Refusal> {
        let body: SchemaBody = self.read()?;
        let kind = match body.schema_type.as_deref() {
            None | Some("") => Kind::Avro,
            Some(name) => Kind::from_name(name)
                .ok_or_else(|| RegistryError::invalid_schema(format!("Invalid schema type {name}")))?,
        };
        let text = body.schema.ok_or_else(|| RegistryError::invalid_schema("Empty schema"))?;
        Ok(Given {
            kind,
            text,
            references: body.references.unwrap_or_default(),
            extra: Extra { metadata: body.metadata, rule_set: body.rule_set },
            normalize: self.is("normalize"),
            id: body.id.filter(|id| *id > 0),
            version: body.version.filter(|version| *version > 0),
        })
    }

    /// True for a request that wants a Protobuf schema as a descriptor.
    pub(super) fn wants_descriptors(&self) -> bool {
        self.query.get("format").is_some_and(|format| format == "serialized")
    }

    /// A schema's text as the request wants it.
    pub(super) async fn text(
        &self,
        book: &Arc<Book>,
        stored: &Arc<Stored>,
    ) -> Result<Arc<str>, RegistryError> {
        if !self.wants_descriptors() {
            return Ok(Arc::clone(&stored.text));
        }
        let stored = Arc::clone(stored);
        let made = move |book: &Book| Ok(Arc::from(text_of(book, &stored, true)));
        self.parts.registry.aside(book, made).await
    }

    /// The part of a list that the request wants.
    pub(super) fn part(&self) -> Part {
        let number = |key: &str| self.query.get(key).and_then(|text| text.parse::<i64>().ok());
        let number = |key: &str| number(key).and_then(|number| usize::try_from(number).ok());
        // Below zero there is no limit.
        Part { offset: number("offset").unwrap_or(0), limit: number("limit").unwrap_or(usize::MAX) }
    }

    /// The part of a list that the request wants, as an answer.
    pub(super) fn paged<T: Serialize>(&self, all: impl Iterator<Item = T>) -> Answer {
        Ok(json(list(self.part().of(all))?))
    }

    /// The subjects that the request asks for.
    pub(super) fn begins(&self, absent: &str) -> Begins {
        let prefix = self.query.get("subjectPrefix").map_or(absent, String::as_str).to_owned();
        Begins { prefix, context: self.context.clone() }
    }
}

/// A schema's text; of a Protobuf one its descriptor in base64, where that is wanted.
pub(super) fn text_of<'a>(book: &Book, stored: &'a Stored, is_descriptor: bool) -> Cow<'a, str> {
    let is_descriptor = is_descriptor && stored.kind == Kind::Protobuf;
    let schema = if is_descriptor { stored.parsed(book) } else { None };
    match schema.and_then(|schema| schema.descriptor()) {
        Some(bytes) => Cow::Owned(BASE64.encode(&bytes)),
        None => Cow::Borrowed(&stored.text),
    }
}

/// A part of a list.
pub(super) struct Part {
    pub offset: usize,
    pub limit: usize,
}

impl Part {
    pub(super) fn of<T>(&self, all: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        all.skip(self.offset).take(self.limit)
    }
}

/// Subjects by how their names begin: `:*:` stands for every context.
pub(super) struct Begins {
    pub prefix: String,
    pub context: Context,
}

impl Begins {
    pub(super) fn fits(&self, subject: &str) -> bool {
        match self.prefix.strip_prefix(":*:") {
            Some(prefix) => {
                super::super::names::split(subject).map_or(subject, |(_, name)| name).starts_with(prefix)
            }
            None if self.context.is_default() => subject.starts_with(&self.prefix),
            None => subject
                .strip_prefix(&self.context.prefix())
                .is_some_and(|name| name.starts_with(&self.prefix)),
        }
    }
}
