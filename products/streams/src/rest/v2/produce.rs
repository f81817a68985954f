//! Records in: a body of some, answered when all of them are stored or refused.

use axum::body::Body;
use axum::extract::State;
use bytes::Bytes;
use candor_records::HeadersBuf;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::V2;
use crate::rest::RestState;
use crate::rest::door::{self, Ask, Names, Whole};
use crate::rest::error::{Answer, RestError};
use crate::rest::format::{Embedded, Format};
use crate::rest::schemas::{Chosen, Said, Schemas};
use crate::rest::send::{NewRecord, Sender, Stored};

/// Records of one request.
const RECORDS_MAX: usize = 100_000;

/// What an answer's record says where it was not stored: whether it may be sent again.
const NOT_AGAIN: u8 = 1;
const AGAIN: u8 = 2;

/// `ProduceRequest` of version 2.
#[derive(Debug, Deserialize)]
struct Wire {
    records: Option<Vec<WireRecord>>,
    key_schema: Option<String>,
    key_schema_id: Option<i32>,
    value_schema: Option<String>,
    value_schema_id: Option<i32>,
}

#[derive(Debug, Deserialize)]
struct WireRecord {
    key: Option<Box<RawValue>>,
    value: Option<Box<RawValue>>,
    partition: Option<i32>,
}

/// The embedded format that a media type names.
fn format_of(media_type: &str) -> Answer<Embedded> {
    let embedded =
        media_type.strip_prefix("application/vnd.kafka.").and_then(|rest| rest.strip_suffix(".v2+json"));
    match (embedded, media_type) {
        (None, "application/vnd.kafka.v2+json" | "application/json") => Some(Embedded::Binary),
        (Some(name), _) => Embedded::of(name),
        _ => None,
    }
    .ok_or_else(|| {
        door::unsupported("application/vnd.kafka.json.v2+json, or binary, avro, jsonschema, protobuf")
    })
}

/// How keys or values of a request are written.
enum Way {
    Plain(Format),
    Schema(Chosen),
    /// A schema is needed, and the request says none: this is what it has to say.
    Unsaid(&'static str),
}

impl Way {
    async fn of(format: Embedded, said: Said, is_key: bool, schemas: &mut Schemas<'_>) -> Answer<Way> {
        let kind = match format {
            Embedded::Binary => return Ok(Way::Plain(Format::Binary)),
            Embedded::Json => return Ok(Way::Plain(Format::Json)),
            Embedded::Schema(kind) => kind,
        };
        if said.id.is_none() && said.text.is_none() {
            return Ok(Way::Unsaid(if is_key { "key_schema" } else { "value_schema" }));
        }
        Ok(Way::Schema(schemas.choose(&Said { kind: Some(kind), ..said }, is_key).await?))
    }

    fn write(&self, data: Option<&RawValue>) -> Answer<Option<Bytes>> {
        match self {
            Way::Plain(format) => format.read(data),
            Way::Schema(schema) => schema.write(data),
            Way::Unsaid(_) if data.is_none_or(|data| data.get() == "null") => Ok(None),
            Way::Unsaid(what) => Err(RestError::payload(format!("give {what} or {what}_id"))),
        }
    }

    fn id(&self) -> Option<i32> {
        match self {
            Way::Schema(schema) => Some(schema.id),
            Way::Plain(_) | Way::Unsaid(_) => None,
        }
    }
}

pub(super) async fn to_topic(
    State(state): State<RestState>,
    ask: Ask,
    Names(topic): Names<String>,
    headers: HeaderMap,
    body: Body,
) -> Answer<V2> {
    produce(&state, ask, &topic, None, (headers, body)).await
}

pub(super) async fn to_partition(
    State(state): State<RestState>,
    ask: Ask,
    Names((topic, partition)): Names<(String, i32)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<V2> {
    produce(&state, ask, &topic, Some(partition), (headers, body)).await
}

async fn produce(
    state: &RestState,
    ask: Ask,
    topic: &str,
    partition: Option<i32>,
    (headers, body): (HeaderMap, Body),
) -> Answer<V2> {
    let format = format_of(&door::media_type(&headers))?;
    let whole = Whole::read(state, &headers, body).await?;
    let wire: Wire = whole.json()?;
    let records = wire.records.filter(|records| !records.is_empty());
    let records = records.ok_or_else(|| RestError::payload("records is empty. Data is required."))?;
    if records.len() > RECORDS_MAX {
        return Err(RestError::payload(format!("a request has at most {RECORDS_MAX} records")));
    }
    let now_ms = state.now_ms();
    let mut schemas = Schemas::new(state, &ask.client, topic);
    let said = |id, text| Said { id, text, ..Said::default() };
    let keys = Way::of(format, said(wire.key_schema_id, wire.key_schema), true, &mut schemas).await?;
    let values = Way::of(format, said(wire.value_schema_id, wire.value_schema), false, &mut schemas).await?;
    // One that cannot be read refuses all: a request of version 2 is checked as a whole.
    let read = records.into_iter().map(|record| -> Answer<NewRecord> {
        Ok(NewRecord {
            partition: partition.or(record.partition),
            timestamp: now_ms,
            key: keys.write(record.key.as_deref())?,
            value: values.write(record.value.as_deref())?,
            headers: HeadersBuf::new(),
        })
    });
    let read: Vec<NewRecord> = read
        .collect::<Answer<_>>()
        .map_err(|error| RestError { code: 42203, ..RestError::payload(error.message) })?;
    let sender = Sender::open(ask.client, topic).await?;
    let outcomes = sender.send(state.next_turn(), &read).await;
    // What refuses every record alike refuses the request.
    if let Some(Err(error)) = outcomes.first()
        && matches!(error.status.as_u16(), 401 | 403 | 404)
        && outcomes.iter().all(|outcome| outcome.as_ref().is_err_and(|other| other == error))
    {
        return Err(error.clone());
    }
    let offsets: Vec<Value> = outcomes.into_iter().map(told).collect();
    Ok(V2(json!({ "offsets": offsets, "key_schema_id": keys.id(), "value_schema_id": values.id() })))
}

fn told(outcome: Answer<Stored>) -> Value {
    match outcome {
        Ok(Stored { partition, offset, .. }) => {
            json!({ "partition": partition, "offset": offset, "error_code": null, "error": null })
        }
        Err(error) => {
            let code = if error.code == 50003 { AGAIN } else { NOT_AGAIN };
            json!({ "partition": null, "offset": null, "error_code": code, "error": error.message })
        }
    }
}
