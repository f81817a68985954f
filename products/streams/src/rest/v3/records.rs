//! Reading a partition's records, from an offset or a time on.
//!
//! The REST Proxy's v3 has no such path of its own; this one has the shape of its lists, and keys and values as they
//! are sent, so that what was read can be sent again. `metadata.next` reads on.

use axum::Json;
use axum::extract::State;
use candor_gate::{Part, ValuesMode};
use candor_model::EventTime;
use candor_schemas::schema_id;
use data_encoding::BASE64;
use serde::Serialize;
use serde_json::value::RawValue;

use super::partitions::partition_at;
use super::topics::find;
use crate::rest::client::Client;
use crate::rest::door::{Ask, Asked, Names};
use crate::rest::error::{Answer, RestError};
use crate::rest::format::{Form, Format, said, schema_name};
use crate::rest::read::{self, EARLIEST, LATEST, ReadRecord, Wanted};
use crate::rest::{RestState, shown_time};

/// Bytes of batches in one answer, where nothing is said, and at most.
const BYTES: i32 = 1 << 20;
const BYTES_MAX: i32 = 8 << 20;

/// Records in one answer, where nothing is said, and at most.
const RECORDS: usize = 500;
const RECORDS_MAX: usize = 10_000;

/// JSON of records in one answer, bytes, but for the last.
const SHOWN_BYTES: usize = 8 << 20;

/// What a record takes beside key, value and headers.
const RECORD_BYTES: usize = 256;

/// What a header takes beside name and value.
const HEADER_BYTES: usize = 64;

/// The longest wait for the first record, ms.
const WAIT_MS_MAX: i32 = 30_000;

#[derive(Serialize)]
pub(super) struct List {
    kind: &'static str,
    metadata: Metadata,
    data: Vec<Shown>,
}

#[derive(Serialize)]
struct Metadata {
    #[serde(rename = "self")]
    own: String,
    next: String,
}

#[derive(Serialize)]
struct Shown {
    topic_name: String,
    partition_id: i32,
    offset: i64,
    timestamp: Option<String>,
    timestamp_type: &'static str,
    headers: Vec<Header>,
    /// How many more it has.
    #[serde(skip_serializing_if = "is_none")]
    headers_left: usize,
    key: Option<Data>,
    value: Option<Data>,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Shown {
    /// How much it is, about.
    fn bytes(&self) -> usize {
        let part = |part: &Option<Data>| part.as_ref().map_or(0, |part| part.data.get().len());
        let header =
            |header: &Header| HEADER_BYTES + header.name.len() + header.value.as_ref().map_or(0, String::len);
        RECORD_BYTES + part(&self.key) + part(&self.value) + self.headers.iter().map(header).sum::<usize>()
    }
}

#[derive(Serialize)]
struct Header {
    name: String,
    value: Option<String>,
}

#[derive(Serialize)]
struct Data {
    #[serde(rename = "type")]
    kind: &'static str,
    /// The schema that it names, where it was asked for as what that says.
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_id: Option<i32>,
    data: Box<RawValue>,
}

pub(super) async fn read(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, topic, partition)): Names<(String, String, i32)>,
    asked: Asked,
) -> Answer<Json<List>> {
    let cluster = ask.cluster(&named)?;
    find(&ask.client, &topic, false).await?;
    let format = asked.text("type").map(Form::of_v3).transpose()?;
    let wanted = Wanted {
        from: from(&ask, &topic, partition, &asked).await?,
        bytes_max: asked.number("max_bytes")?.unwrap_or(BYTES).clamp(1, BYTES_MAX),
        records_max: asked.number("max_records")?.unwrap_or(RECORDS).clamp(1, RECORDS_MAX),
        wait_ms: asked.number::<i32>("wait_ms")?.unwrap_or(0).clamp(0, WAIT_MS_MAX),
    };
    let (page, _room) = read::page(&state, &ask.client, &topic, partition, wanted).await?;
    let at = partition_at(&cluster, &topic, partition).only("records");
    let (mut data, mut bytes, mut next) = (Vec::new(), 0, page.next);
    let values = ask.client.values_of(&topic);
    for record in &page.records {
        // A few bytes may say much by their schema: the rest is for the next page.
        if bytes >= SHOWN_BYTES {
            next = record.offset;
            break;
        }
        let shown = shown(&ask.client, (&topic, partition), record, (format, values));
        bytes += shown.bytes();
        data.push(shown);
    }
    let number = |number: i64| at.asked(&[("offset", &number.to_string())]).url().to_owned();
    let list = List {
        kind: "KafkaRecordList",
        metadata: Metadata { own: number(wanted.from), next: number(next) },
        data,
    };
    Ok(Json(list))
}

/// Where to read from: a number, `earliest` (which it is where nothing is said) or `latest`; or a time's first record.
async fn from(ask: &Ask, topic: &str, partition: i32, asked: &Asked) -> Answer<i64> {
    let time = match (asked.text("offset"), asked.text("timestamp")) {
        (Some(_), Some(_)) => return Err(RestError::bad_request("give offset or timestamp, not both")),
        (None | Some("earliest"), None) => EARLIEST,
        (Some("latest"), None) => LATEST,
        (Some(_), None) => {
            let offset = asked.number::<i64>("offset")?.filter(|offset| *offset >= 0);
            return offset
                .ok_or_else(|| RestError::bad_request("offset is a number from 0 on, earliest or latest"));
        }
        (None, Some(time)) => time_ms(time)?,
    };
    match read::offset(&ask.client, topic, partition, time).await? {
        // Nothing is as late as that: what comes next is.
        -1 => read::offset(&ask.client, topic, partition, LATEST).await,
        offset => Ok(offset),
    }
}

/// A time of a query, milliseconds since 1970 or RFC 3339.
fn time_ms(text: &str) -> Answer<i64> {
    let ms = match text.parse::<i64>() {
        Ok(ms) => Some(ms),
        Err(_) => EventTime::parse(text).map(|time| time.micros.div_euclid(1000)),
    };
    let bad = || RestError::bad_request("timestamp is RFC 3339 or milliseconds since 1970");
    ms.filter(|ms| *ms >= 0).ok_or_else(bad)
}

fn shown(
    client: &Client,
    (topic, partition): (&str, i32),
    record: &ReadRecord,
    (format, values): (Option<Form>, ValuesMode),
) -> Shown {
    let data = |bytes: &Option<bytes::Bytes>, part: Part| {
        let bytes = bytes.as_deref()?;
        let wanted = match format {
            Some(Form::Plain(format)) => format,
            Some(Form::Schema(kind)) => match said(client, (values, part), kind, bytes) {
                Some(data) => {
                    return Some(Data { kind: schema_name(kind), schema_id: schema_id(bytes), data });
                }
                None => Format::guess(bytes),
            },
            None => Format::guess(bytes),
        };
        let (format, data) = match wanted.show(bytes) {
            Some(data) => (wanted, data),
            // What is not what was asked for is shown as what it is.
            None => (Format::Binary, Format::Binary.show(bytes)?),
        };
        Some(Data { kind: format.name(), schema_id: None, data })
    };
    let headers = record.headers.iter().map(|(name, value)| Header {
        name: String::from_utf8_lossy(name).into_owned(),
        value: value.as_deref().map(|value| BASE64.encode(value)),
    });
    Shown {
        topic_name: topic.to_owned(),
        partition_id: partition,
        offset: record.offset,
        timestamp: (record.timestamp >= 0).then(|| shown_time(record.timestamp)),
        timestamp_type: record.timestamp_type,
        headers: headers.collect(),
        headers_left: record.headers_left,
        key: data(&record.key, Part::Key),
        value: data(&record.value, Part::Value),
    }
}
