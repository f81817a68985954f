//! Records in: a stream of JSON objects with an answer for each, and batches of them.
//!
//! What of a stream has come is stored together and then answered, so that it costs a sync for each piece that arrives,
//! not for each record. No more than one piece and one object that is not whole is held.

use std::collections::BTreeSet;

use axum::Json;
use axum::body::{Body, BodyDataStream};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use candor_model::EventTime;
use candor_records::HeadersBuf;
use data_encoding::BASE64;
use futures::{StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::rest::client::Client;
use crate::rest::door::{self, Ask, BODY_BYTES_MAX, Held, Names, Whole};
use crate::rest::error::{Answer, RestError};
use crate::rest::format::{Data, Given};
use crate::rest::objects::{BadStream, Objects};
use crate::rest::schemas::Schemas;
use crate::rest::send::{NewRecord, Sender, Stored};
use crate::rest::{RestState, shown_time};

/// Records that are stored together.
const TOGETHER_MAX: usize = 1000;

/// Behind each answer of a stream, as kafka-rest has it.
const BEHIND: &str = "\r\n";

/// Entries of a batch, and the length of their ids (`ProduceBatchRequestEntry`).
const ENTRIES_MAX: usize = 10;
const ID_BYTES_MAX: usize = 80;

/// Entries of a batch that was refused.
const BATCH_REFUSED: u32 = 42208;

/// `ProduceRequest`.
#[derive(Debug, Deserialize)]
struct Wire {
    partition_id: Option<i32>,
    headers: Option<Vec<WireHeader>>,
    key: Option<Data>,
    value: Option<Data>,
    timestamp: Option<String>,
}

#[derive(Debug, Deserialize)]
struct WireHeader {
    name: String,
    value: Option<String>,
}

/// A record, and what its key and value are to be.
#[derive(Debug)]
struct Read {
    record: NewRecord,
    key: Given,
    value: Given,
}

fn read(wire: Wire, now_ms: i64) -> Answer<Read> {
    let mut headers = HeadersBuf::new();
    for header in wire.headers.unwrap_or_default() {
        let bad = |_| RestError::bad_request("Bad Request: a header's value is not a valid base64 string");
        let value = header.value.map(|value| BASE64.decode(value.as_bytes())).transpose().map_err(bad)?;
        headers.push(header.name.as_bytes(), value.as_deref());
    }
    let time = |text: String| {
        let time = EventTime::parse(&text).map(|time| time.micros.div_euclid(1000));
        time.ok_or_else(|| RestError::bad_request("Bad Request: timestamp is a time of RFC 3339"))
    };
    let timestamp = wire.timestamp.map(time).transpose()?.unwrap_or(now_ms);
    let partition = wire.partition_id;
    Ok(Read {
        key: Given::of(wire.key)?,
        value: Given::of(wire.value)?,
        record: NewRecord { partition, timestamp, key: None, value: None, headers },
    })
}

fn parsed(object: &[u8], now_ms: i64) -> Answer<Read> {
    let wire: Wire = serde_json::from_slice(object).map_err(|error| door::malformed(&error))?;
    read(wire, now_ms)
}

/// What is answered for a record that was stored.
fn told(ask: &Ask, topic: &str, stored: &Stored, key: &Value, value: &Value) -> Value {
    json!({
        "cluster_id": ask.client.cluster_id(),
        "topic_name": topic,
        "partition_id": stored.partition,
        "offset": stored.offset,
        "timestamp": shown_time(stored.timestamp),
        "key": key,
        "value": value,
    })
}

/// A record with its key and value, and what its answer says of them.
async fn written(read: Read, schemas: &mut Schemas<'_>) -> Answer<(NewRecord, Value, Value)> {
    let (key, value) = (read.key.part(schemas, true).await?, read.value.part(schemas, false).await?);
    Ok((NewRecord { key: key.bytes, value: value.bytes, ..read.record }, key.told, value.told))
}

/// Stores what is good of these; an answer for each, in their order.
async fn store(
    state: &RestState,
    (client, topic): (&Client, &str),
    sender: &Sender,
    read: Vec<Answer<Read>>,
    mut answer: impl FnMut(Answer<(Stored, Value, Value)>),
) {
    let mut records = Vec::with_capacity(read.len());
    let mut waiting: Vec<Answer<(Value, Value)>> = Vec::with_capacity(read.len());
    let mut schemas = Schemas::new(state, client, topic);
    for one in read {
        let whole = match one {
            Ok(read) => written(read, &mut schemas).await,
            Err(error) => Err(error),
        };
        waiting.push(whole.map(|(record, key, value)| {
            records.push(record);
            (key, value)
        }));
    }
    let mut stored = sender.send(state.next_turn(), &records).await.into_iter();
    for one in waiting {
        answer(one.and_then(|(key, value)| {
            let stored = stored.next().unwrap_or_else(|| Err(RestError::of(-1, None)))?;
            Ok((stored, key, value))
        }));
    }
}

pub(super) async fn stream(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, topic)): Names<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    ask.cluster(&named)?;
    door::must_be_json(&headers)?;
    let sender = Sender::open(ask.client.clone(), &topic).await?;
    let room = Held::new(&state);
    let mut flow = Flow {
        state,
        ask,
        topic,
        sender,
        pieces: body.into_data_stream(),
        objects: Objects::new(BODY_BYTES_MAX),
        room,
        is_over: false,
    };
    // An empty body is told by the status, as nothing was answered yet.
    let Some(first) = flow.next().await else {
        return Err(RestError::payload("Request body is empty. Data is required."));
    };
    let rest =
        stream::unfold(flow, |mut flow| async move { flow.next().await.map(|answers| (answers, flow)) });
    let answers = stream::iter([first]).chain(rest).map(Ok::<_, std::convert::Infallible>);
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok((kind, Body::from_stream(answers)).into_response())
}

/// A stream of records that is being stored.
struct Flow {
    state: RestState,
    ask: Ask,
    topic: String,
    sender: Sender,
    pieces: BodyDataStream,
    objects: Objects,
    room: Held,
    is_over: bool,
}

impl Flow {
    /// The answers to what comes next; none at the end.
    async fn next(&mut self) -> Option<Bytes> {
        while !self.is_over {
            let (read, bad) = self.take();
            if !read.is_empty() || bad.is_some() {
                self.is_over = bad.is_some();
                let answers = self.answered(read, bad).await;
                // Less is held than before, for which nothing is waited.
                if let Err(error) = self.room.fit(self.objects.held()).await {
                    return Some(self.last(error));
                }
                return Some(answers);
            }
            match self.pieces.next().await {
                Some(Ok(piece)) => {
                    if let Err(error) = self.room.fit(self.objects.held() + piece.len()).await {
                        return Some(self.last(error));
                    }
                    self.objects.push(&piece);
                }
                Some(Err(_)) => return Some(self.last(door::cut())),
                None => {
                    self.is_over = true;
                    if let Err(bad) = self.objects.end() {
                        return Some(self.last(of(bad)));
                    }
                }
            }
        }
        None
    }

    /// What is whole of what has come, and what is wrong behind it.
    fn take(&mut self) -> (Vec<Answer<Read>>, Option<RestError>) {
        let now_ms = self.state.now_ms();
        let mut read = Vec::new();
        while read.len() < TOGETHER_MAX {
            match self.objects.next() {
                Ok(Some(object)) => read.push(parsed(&object, now_ms)),
                Ok(None) => break,
                Err(bad) => return (read, Some(of(bad))),
            }
        }
        (read, None)
    }

    async fn answered(&mut self, read: Vec<Answer<Read>>, bad: Option<RestError>) -> Bytes {
        let mut out = String::new();
        let (ask, topic) = (&self.ask, &self.topic);
        let answer = |outcome: Answer<(Stored, Value, Value)>| {
            let line = match outcome {
                Ok((stored, key, value)) => {
                    let mut line = told(ask, topic, &stored, &key, &value);
                    if let Value::Object(fields) = &mut line {
                        fields.insert("error_code".to_owned(), StatusCode::OK.as_u16().into());
                    }
                    line
                }
                Err(error) => error.body(),
            };
            out.push_str(&line.to_string());
            out.push_str(BEHIND);
        };
        store(&self.state, (&self.ask.client, &self.topic), &self.sender, read, answer).await;
        if let Some(bad) = bad {
            out.push_str(&line(&bad));
        }
        Bytes::from(out)
    }

    /// The answer to what cannot be read on.
    fn last(&mut self, error: RestError) -> Bytes {
        self.is_over = true;
        Bytes::from(line(&error))
    }
}

fn line(error: &RestError) -> String {
    format!("{}{BEHIND}", error.body())
}

fn of(bad: BadStream) -> RestError {
    match bad {
        BadStream::TooLong => door::too_large(),
        bad => RestError::bad_request(format!("Bad Request: {bad}")),
    }
}

/// `ProduceBatchRequest`, whose entries are records that have an id.
#[derive(Debug, Deserialize)]
struct Batch {
    entries: Vec<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Id {
    id: String,
}

pub(super) async fn batch(
    State(state): State<RestState>,
    ask: Ask,
    Names((named, topic)): Names<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Answer<Response> {
    ask.cluster(&named)?;
    door::must_be_json(&headers)?;
    let whole = Whole::read(&state, &headers, body).await?;
    let batch: Batch = whole.json()?;
    let ids = ids(&batch.entries)?;
    let sender = Sender::open(ask.client.clone(), &topic).await?;
    let now_ms = state.now_ms();
    let read = batch.entries.iter().map(|entry| parsed(entry.get().as_bytes(), now_ms)).collect();
    let mut ids = ids.into_iter();
    let (mut successes, mut failures) = (Vec::new(), Vec::new());
    let answer = |outcome: Answer<(Stored, Value, Value)>| {
        let id = ids.next().unwrap_or_default();
        let (list, mut entry) = match outcome {
            Ok((stored, key, value)) => (&mut successes, told(&ask, &topic, &stored, &key, &value)),
            Err(error) => (&mut failures, error.body()),
        };
        if let Value::Object(fields) = &mut entry {
            fields.insert("id".to_owned(), id.into());
        }
        list.push(entry);
    };
    store(&state, (&ask.client, &topic), &sender, read, answer).await;
    let answer = Json(json!({ "successes": successes, "failures": failures }));
    Ok((StatusCode::MULTI_STATUS, answer).into_response())
}

/// The ids of entries: what can be one, each once.
fn ids(entries: &[Box<RawValue>]) -> Answer<Vec<String>> {
    let refused = |message: &str| RestError::new(StatusCode::UNPROCESSABLE_ENTITY, BATCH_REFUSED, message);
    if entries.is_empty() {
        return Err(refused("Empty batch."));
    }
    if entries.len() > ENTRIES_MAX {
        return Err(refused("Too many entries in batch."));
    }
    let mut seen = BTreeSet::new();
    let mut ids = Vec::with_capacity(entries.len());
    for entry in entries {
        let Id { id } = serde_json::from_str(entry.get()).map_err(|error| door::malformed(&error))?;
        let is_id = id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        if !is_id || id.is_empty() || id.len() > ID_BYTES_MAX {
            return Err(refused("Batch entry identifier is not a valid string."));
        }
        if !seen.insert(id.clone()) {
            return Err(refused("Batch entry IDs are not distinct."));
        }
        ids.push(id);
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use candor_model::random::{Random, Seeded};
    use candor_testbed::fuzz::{Body, fuzz};

    use super::*;

    const STREAM: &str = concat!(
        r#"{"partition_id":1,"headers":[{"name":"h","value":"AQI="},{"name":"\u00fc","value":null}],"#,
        r#""key":{"type":"STRING","data":"}{\"\\"},"value":{"type":"JSON","data":{"a":[1,{"b":-1.5e3}]}},"#,
        r#""timestamp":"2021-02-05T19:14:42Z"} {"value":{"type":"BINARY","data":"/wA="}}"#,
        "\r\n\t{}{\"key\":{\"data\":1},\"value\":null}",
    );

    fn mutated(case: u64) -> Body {
        let random = Seeded::new(case);
        let mut bytes = STREAM.as_bytes().to_vec();
        for _ in 0..random.next_u64() % 5 {
            let (at, byte) = (random.next_u64() as usize % bytes.len(), random.next_u64());
            match random.next_u64() % 4 {
                0 => bytes[at] = byte as u8,
                1 => bytes.insert(at, b"{}[]\"\\ ,"[byte as usize % 8]),
                2 => drop(bytes.drain(at..(at + byte as usize % 9).min(bytes.len()))),
                _ => bytes.truncate(at.max(1)),
            }
            if bytes.is_empty() {
                return Body(bytes);
            }
        }
        Body(bytes)
    }

    #[test]
    fn streams_are_taken_apart_as_serde_json_would() {
        fuzz(mutated, |Body(bytes)| {
            let mut objects = Objects::new(1 << 20);
            let mut ours = Vec::new();
            'all: for piece in bytes.chunks(bytes.len() % 50 + 1) {
                objects.push(piece);
                loop {
                    match objects.next() {
                        Ok(Some(object)) => {
                            // Whatever it is, it is answered.
                            let _ = parsed(&object, 0);
                            ours.push(serde_json::from_slice::<Value>(&object).ok());
                        }
                        Ok(None) => break,
                        Err(_) => break 'all,
                    }
                }
            }
            let theirs = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
            let theirs = theirs.map_while(|value| value.ok().filter(Value::is_object).map(Some));
            let theirs: Vec<Option<Value>> = theirs.collect();
            assert_eq!(ours.get(..theirs.len()), Some(&theirs[..]));
        });
    }
}
