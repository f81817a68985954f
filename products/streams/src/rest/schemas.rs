//! Keys and values with a schema: which one is meant, and what it makes of JSON.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use candor_model::json::{Leniency, parse};
use candor_schemas::{EncodeError, FRAME_BYTES, Kind, Schema};
use http::StatusCode;
use serde_json::value::RawValue;

use super::RestState;
use super::client::Client;
use super::error::{Answer, RestError};
use crate::registry::{Context, Extra, Given, RegistryError, Subject};

/// Schemas that one request may name by their text or otherwise.
const NAMED_MAX: usize = 100;

/// What a request says of a schema.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(super) struct Said {
    pub kind: Option<Kind>,
    pub subject: Option<String>,
    pub id: Option<i32>,
    pub version: Option<i32>,
    pub text: Option<String>,
}

/// A schema that was found, or made.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    pub id: i32,
    /// The subject and the version, where the request came to it by these.
    pub place: Option<(String, i32)>,
    schema: Arc<Schema>,
}

/// The schemas of one request, each looked up once.
pub(super) struct Schemas<'a> {
    state: &'a RestState,
    client: &'a Client,
    topic: &'a str,
    known: HashMap<(bool, Said), Answer<Chosen>>,
}

impl From<RegistryError> for RestError {
    fn from(error: RegistryError) -> RestError {
        match error {
            RegistryError::Refused { code, message } => {
                let status = match code / 100 {
                    404 => StatusCode::NOT_FOUND,
                    503 => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::UNPROCESSABLE_ENTITY,
                };
                // As kafka-rest says of what its registry refused.
                RestError::new(
                    status,
                    40801,
                    format!("Error when registering or looking up schema. {message}"),
                )
            }
            RegistryError::Sql(error) => {
                tracing::error!(error = candor_model::chain(&error), "the schema registry's store failed");
                RestError::plain(StatusCode::SERVICE_UNAVAILABLE, "the registry's store failed; try again")
            }
        }
    }
}

impl<'a> Schemas<'a> {
    /// For records of a topic.
    pub fn new(state: &'a RestState, client: &'a Client, topic: &'a str) -> Schemas<'a> {
        Schemas { state, client, topic, known: HashMap::new() }
    }

    /// The schema that is meant: by its id, by a version of its subject, by its text, which is registered, or else the
    /// subject's latest. The subject is named after the topic unless the request names one.
    pub async fn choose(&mut self, said: &Said, is_key: bool) -> Answer<Chosen> {
        let key = (is_key, said.clone());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        if self.known.len() >= NAMED_MAX {
            return Err(RestError::payload(format!("a request names at most {NAMED_MAX} schemas")));
        }
        let chosen = self.find(said, is_key).await;
        self.known.insert(key, chosen.clone());
        chosen
    }

    async fn find(&self, said: &Said, is_key: bool) -> Answer<Chosen> {
        let (registry, project) = (self.state.streams.registry(), self.client.project());
        let book = registry.book(project);
        let (stored, place) = if let Some(id) = said.id {
            let none = || RestError::from(RegistryError::no_schema_id(id));
            (Arc::clone(book.schema(id).ok_or_else(none)?), None)
        } else {
            let default = format!("{}-{}", self.topic, if is_key { "key" } else { "value" });
            let name = said.subject.as_ref().unwrap_or(&default);
            let subject = Subject::parse(name, &Context::default_one())?;
            let full = subject.full().to_owned();
            if let Some(text) = &said.text {
                self.client.may_write(subject.topic()).map_err(|error| RestError::of(error.code(), None))?;
                let given = Given {
                    kind: said.kind.unwrap_or(Kind::Avro),
                    text: text.clone(),
                    references: Vec::new(),
                    extra: Extra::default(),
                    normalize: false,
                    id: None,
                    version: None,
                };
                let made = registry.register(project, subject, given).await?;
                (made.stored, Some((full, made.version)))
            } else {
                let found = book.version(&full, said.version.unwrap_or(-1), false);
                let none = || match said.version {
                    Some(version) => RegistryError::no_version(version),
                    None => RegistryError::no_subject(&full),
                };
                let (version, stored) = found.ok_or_else(none)?;
                (Arc::clone(stored), Some((full.clone(), version)))
            }
        };
        if let Some(kind) = said.kind.filter(|kind| *kind != stored.kind) {
            let message = format!("schema {} is {}, not {}", stored.id, stored.kind.name(), kind.name());
            return Err(RestError::payload(message));
        }
        let schema = registry.schema(project, stored.id);
        let schema = schema.ok_or_else(|| RestError::from(RegistryError::no_schema_id(stored.id)))?;
        Ok(Chosen { id: stored.id, place, schema })
    }
}

impl Chosen {
    /// Its language.
    pub fn kind(&self) -> Kind {
        self.schema.kind()
    }

    /// The bytes of what stands there, behind the schema's id; none for null.
    pub fn write(&self, data: Option<&RawValue>) -> Answer<Option<Bytes>> {
        let Some(data) = data.map(RawValue::get).filter(|data| *data != "null") else { return Ok(None) };
        let mut out = Vec::with_capacity(FRAME_BYTES + data.len());
        out.push(0);
        out.extend_from_slice(&self.id.to_be_bytes());
        match self.kind() {
            // JSON keeps its bytes, so that no number loses digits.
            Kind::Json => out.extend_from_slice(data.as_bytes()),
            Kind::Avro | Kind::Protobuf => {
                let value = parse(data.as_bytes(), Leniency::STRICT);
                let value = value.map_err(|error| RestError::bad_request(format!("Bad Request: {error}")))?;
                let encoded = self.schema.encode(&value);
                let wrong = |error: EncodeError| {
                    let message = format!("Conversion of JSON to {} failed: {error}", self.kind().name());
                    RestError::new(StatusCode::UNPROCESSABLE_ENTITY, 42203, message)
                };
                out.extend_from_slice(&encoded.map_err(wrong)?);
            }
        }
        Ok(Some(Bytes::from(out)))
    }
}
