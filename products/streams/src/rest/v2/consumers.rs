//! Consumers: made, told what to read, asked for records, ended.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use candor_gate::Part;
use http::{HeaderMap, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::V2;
use crate::rest::RestState;
use crate::rest::consumers::{Committed, Consumers, Options, Place, Slot, Wants};
use crate::rest::door::{Ask, Asked, Names, Whole};
use crate::rest::error::{Answer, RestError};
use crate::rest::format::Embedded;
use crate::rest::links::encoded;
use crate::rest::read::{EARLIEST, LATEST, ReadRecord};

/// How long a read waits where nobody says (`consumer.request.timeout.ms`), and at the most.
const WAIT: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// JSON of the records of one answer, bytes, but for the last, and what one takes beside key and value.
const SHOWN_BYTES: usize = 8 << 20;
const RECORD_BYTES: usize = 128;

/// Names of topics, partitions and offsets that one request may hold.
const NAMED_MAX: usize = 10_000;

#[derive(Debug, Default, Deserialize)]
struct NewConsumer {
    name: Option<String>,
    id: Option<String>,
    format: Option<String>,
    #[serde(rename = "auto.offset.reset")]
    reset: Option<String>,
    #[serde(rename = "auto.commit.enable")]
    commits: Option<Value>,
    #[serde(rename = "consumer.request.timeout.ms")]
    wait_ms: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Subscription {
    topics: Option<Vec<String>>,
    topic_pattern: Option<String>,
}

#[derive(Debug, Clone, Deserialize, Serialize)]
struct Partition {
    topic: String,
    partition: i32,
}

#[derive(Debug, Deserialize)]
struct Partitions {
    partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
struct OffsetOf {
    topic: String,
    partition: i32,
    offset: i64,
    metadata: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Offsets {
    offsets: Vec<OffsetOf>,
}

/// A body of any of version 2's media types, or of none; nothing where it is empty.
async fn body<T: serde::de::DeserializeOwned>(
    state: &RestState,
    headers: &HeaderMap,
    body: Body,
) -> Answer<Option<T>> {
    super::must_be_v2(headers)?;
    let whole = Whole::read(state, headers, body).await?;
    if whole.bytes.iter().all(u8::is_ascii_whitespace) { Ok(None) } else { whole.json().map(Some) }
}

async fn needed<T: serde::de::DeserializeOwned>(
    state: &RestState,
    headers: &HeaderMap,
    from: Body,
) -> Answer<T> {
    body(state, headers, from)
        .await?
        .ok_or_else(|| RestError::payload("Null input provided. Data is required."))
}

fn few<T>(all: &[T]) -> Answer<()> {
    if all.len() <= NAMED_MAX {
        Ok(())
    } else {
        Err(RestError::payload(format!("a request names at most {NAMED_MAX}")))
    }
}

fn setting(message: &str) -> RestError {
    RestError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        42204,
        format!("Invalid consumer configuration: {message}"),
    )
}

/// What a setting says, which clients send as text or as what it is.
fn said<T: std::str::FromStr>(value: Option<&Value>, message: &str) -> Answer<Option<T>> {
    let text = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    text.parse().map(Some).map_err(|_| setting(message))
}

pub(super) async fn make(
    State(state): State<RestState>,
    ask: Ask,
    Names(group): Names<String>,
    headers: HeaderMap,
    from: Body,
) -> Answer<V2> {
    let new: NewConsumer = body(&state, &headers, from).await?.unwrap_or_default();
    let format = match new.format.as_deref() {
        None => Embedded::Binary,
        Some(name) => Embedded::of(name).ok_or_else(|| {
            RestError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                42204,
                "Invalid format type: format is binary, json, avro, jsonschema or protobuf",
            )
        })?,
    };
    let from_oldest = match new.reset.as_deref() {
        None | Some("latest") => false,
        Some("earliest") => true,
        Some(_) => return Err(setting("auto.offset.reset is earliest or latest")),
    };
    let commits = said(new.commits.as_ref(), "auto.commit.enable is true or false")?.unwrap_or(true);
    let wait = said(new.wait_ms.as_ref(), "consumer.request.timeout.ms is a number")?;
    let wait = wait.map_or(WAIT, Duration::from_millis).min(WAIT_MAX);
    let options = Options { from_oldest, commits, wait, format };
    let base = format!("{}/consumers/{}", ask.base, encoded(&group));
    let name = state.consumers.make(ask.client, &group, new.name.or(new.id), options)?;
    let base_uri = format!("{base}/instances/{}", encoded(&name));
    Ok(V2(json!({ "instance_id": name, "base_uri": base_uri })))
}

pub(super) async fn end(
    State(state): State<RestState>,
    ask: Ask,
    Names((group, name)): Names<(String, String)>,
) -> Answer<StatusCode> {
    state.consumers.end(&ask.client, &group, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

type Named = Names<(String, String)>;

fn find(all: &Consumers, ask: &Ask, Names((group, name)): &Named) -> Answer<std::sync::Arc<Slot>> {
    all.find(&ask.client, group, name)
}

pub(super) async fn subscribe(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<StatusCode> {
    let slot = find(&state.consumers, &ask, &named)?;
    let wanted: Subscription = needed(&state, &headers, from).await?;
    let wants = match (wanted.topics.filter(|topics| !topics.is_empty()), wanted.topic_pattern) {
        (Some(topics), None) => Wants::Topics(topics),
        (None, Some(pattern)) if !pattern.is_empty() => Wants::Pattern(pattern),
        (Some(_), Some(_)) => {
            let message = "Subscription to topics, partitions and pattern are mutually exclusive.";
            return Err(RestError::new(StatusCode::CONFLICT, 40903, message));
        }
        _ => return Err(RestError::payload("name topics, or a topic_pattern")),
    };
    if let Wants::Topics(topics) = &wants {
        few(topics)?;
    }
    slot.consumer.lock().await.want(wants).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn subscription(State(state): State<RestState>, ask: Ask, named: Named) -> Answer<V2> {
    let slot = find(&state.consumers, &ask, &named)?;
    let consumer = slot.consumer.lock().await;
    let topics: Vec<String> = match consumer.wants() {
        Wants::Topics(topics) => topics.clone(),
        Wants::Pattern(_) => {
            let given: std::collections::BTreeSet<&String> =
                consumer.owned().map(|(topic, _)| topic).collect();
            given.into_iter().cloned().collect()
        }
        Wants::Nothing | Wants::Places(_) => Vec::new(),
    };
    Ok(V2(json!({ "topics": topics })))
}

pub(super) async fn unsubscribe(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
) -> Answer<StatusCode> {
    let slot = find(&state.consumers, &ask, &named)?;
    slot.consumer.lock().await.want(Wants::Nothing).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn assign(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<StatusCode> {
    let slot = find(&state.consumers, &ask, &named)?;
    let places = places(needed(&state, &headers, from).await?)?;
    slot.consumer.lock().await.want(Wants::Places(places)).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn assignment(State(state): State<RestState>, ask: Ask, named: Named) -> Answer<V2> {
    let slot = find(&state.consumers, &ask, &named)?;
    let consumer = slot.consumer.lock().await;
    let partitions: Vec<Value> = consumer
        .owned()
        .map(|(topic, partition)| json!({ "topic": topic, "partition": partition }))
        .collect();
    Ok(V2(json!({ "partitions": partitions })))
}

fn places(partitions: Partitions) -> Answer<Vec<Place>> {
    few(&partitions.partitions)?;
    Ok(partitions.partitions.into_iter().map(|one| (one.topic, one.partition)).collect())
}

fn committed(offsets: Offsets) -> Answer<Vec<(Place, Committed)>> {
    few(&offsets.offsets)?;
    let each = offsets.offsets.into_iter().map(|one| {
        let metadata = one.metadata.unwrap_or_default();
        ((one.topic, one.partition), Committed { offset: one.offset, metadata })
    });
    Ok(each.collect())
}

pub(super) async fn commit(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<V2> {
    let slot = find(&state.consumers, &ask, &named)?;
    let mut given = body::<Offsets>(&state, &headers, from).await?.map(committed).transpose()?;
    for (_, committed) in given.iter_mut().flatten() {
        if committed.offset < 0 {
            return Err(RestError::payload("an offset is 0 or more"));
        }
        // What is named was read; it goes on behind it.
        committed.offset = committed.offset.saturating_add(1);
    }
    slot.consumer.lock().await.commit(given).await?;
    Ok(V2(json!([])))
}

pub(super) async fn offsets(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<V2> {
    let slot = find(&state.consumers, &ask, &named)?;
    let asked: Partitions = body(&state, &headers, from).await?.ok_or_else(RestError::partition_not_found)?;
    let found = slot.consumer.lock().await.committed(&places(asked)?).await?;
    let offsets: Vec<Value> = found
        .into_iter()
        .map(|((topic, partition), committed)| {
            let Committed { offset, metadata } = committed;
            json!({ "topic": topic, "partition": partition, "offset": offset, "metadata": metadata })
        })
        .collect();
    Ok(V2(json!({ "offsets": offsets })))
}

pub(super) async fn seek(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<StatusCode> {
    let slot = find(&state.consumers, &ask, &named)?;
    let to = committed(needed(&state, &headers, from).await?)?;
    let mut consumer = slot.consumer.lock().await;
    for (place, to) in to {
        consumer.seek(place, to.offset)?;
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn seek_to(
    state: &RestState,
    ask: &Ask,
    named: &Named,
    asked: Partitions,
    time: i64,
) -> Answer<StatusCode> {
    let slot = find(&state.consumers, ask, named)?;
    let mut consumer = slot.consumer.lock().await;
    for place in places(asked)? {
        consumer.seek_to(place, time).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn seek_to_beginning(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<StatusCode> {
    let asked = needed(&state, &headers, from).await?;
    seek_to(&state, &ask, &named, asked, EARLIEST).await
}

pub(super) async fn seek_to_end(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    headers: HeaderMap,
    from: Body,
) -> Answer<StatusCode> {
    let asked = needed(&state, &headers, from).await?;
    seek_to(&state, &ask, &named, asked, LATEST).await
}

/// A record as it is given out.
#[derive(Serialize)]
struct Shown {
    topic: String,
    key: Option<Box<RawValue>>,
    value: Option<Box<RawValue>>,
    partition: i32,
    offset: i64,
}

pub(super) async fn records(
    State(state): State<RestState>,
    ask: Ask,
    named: Named,
    asked: Asked,
    headers: HeaderMap,
) -> Answer<Response> {
    let slot = find(&state.consumers, &ask, &named)?;
    let wait = asked.number::<i64>("timeout")?.and_then(|ms| u64::try_from(ms).ok());
    let wait = wait.map(|ms| Duration::from_millis(ms).min(WAIT_MAX));
    let bytes_max = asked.number::<i64>("max_bytes")?.filter(|bytes| *bytes > 0);
    let bytes_max = bytes_max.map(|bytes| i32::try_from(bytes).unwrap_or(i32::MAX));
    let mut consumer = slot.consumer.lock().await;
    let format = consumer.options().format;
    accepts(&headers, format)?;
    let mut read = consumer.read(&state, wait, bytes_max).await?;
    let mut shown = Vec::with_capacity(read.records.len());
    let (mut bytes, mut full) = (0, None);
    for (at, (place, record)) in read.records.iter().enumerate() {
        // A few bytes may say much by their schema: the rest is for the next read.
        if bytes >= SHOWN_BYTES {
            full = Some(at);
            break;
        }
        let (topic, partition) = place;
        let values = ask.client.values_of(topic);
        let mut part = |own: &Option<Bytes>, part: Part| -> Answer<Option<Box<RawValue>>> {
            let Some(own) = own else { return Ok(None) };
            let wrong = || unreadable(format, place, record, part);
            let shown = format.show(&ask.client, (values, part), own).ok_or_else(wrong)?;
            bytes += shown.get().len();
            Ok(Some(shown))
        };
        let both = part(&record.key, Part::Key).and_then(|key| Ok((key, part(&record.value, Part::Value)?)));
        let (key, value) = match both {
            Ok(both) => both,
            Err(error) if at == 0 => return Err(error),
            // What came before it is given out first.
            Err(_) => {
                full = Some(at);
                break;
            }
        };
        let topic = topic.clone();
        shown.push(Shown { topic, key, value, partition: *partition, offset: record.offset });
        bytes += RECORD_BYTES;
    }
    if let Some(at) = full {
        read.cut(at);
    }
    // What could not be shown is read again.
    consumer.given_out(&read);
    let kind = [(header::CONTENT_TYPE, format.media_type())];
    let text = serde_json::to_string(&shown)
        .map_err(|error| RestError::plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    Ok((kind, text).into_response())
}

/// Refuses a request that asks for another format than its consumer's.
fn accepts(headers: &HeaderMap, format: Embedded) -> Answer<()> {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*");
    let fits = |one: &str| {
        let kind = one.split(';').next().unwrap_or_default().trim();
        matches!(kind, "" | "*/*" | "application/*" | "application/json" | super::MEDIA_TYPE)
            || kind.eq_ignore_ascii_case(format.media_type())
    };
    if accept.split(',').any(fits) {
        return Ok(());
    }
    let message =
        "The requested embedded data format does not match the deserializer for this consumer instance";
    Err(RestError::new(StatusCode::NOT_ACCEPTABLE, 40601, message))
}

fn unreadable(format: Embedded, (topic, partition): &Place, record: &ReadRecord, part: Part) -> RestError {
    let part = if part == Part::Key { "key" } else { "value" };
    let message = format!(
        "the {part} of the record at offset {} of {topic}-{partition} is nothing of the format {}: read it with the \
         format binary, or go on behind it (POST positions)",
        record.offset,
        format.name()
    );
    RestError::new(StatusCode::INTERNAL_SERVER_ERROR, 50002, message)
}
