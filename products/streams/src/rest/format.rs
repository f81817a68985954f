//! Keys and values within JSON: bytes as base64, JSON as it stands, text.

use bytes::Bytes;
use candor_gate::{Part as Which, ValuesMode};
use candor_schemas::Kind;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::client::Client;
use super::error::{Answer, RestError};
use super::schemas::{Said, Schemas};

/// How bytes stand in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Binary,
    Json,
    Text,
}

impl Format {
    /// Its name in v3.
    pub fn name(self) -> &'static str {
        match self {
            Format::Binary => "BINARY",
            Format::Json => "JSON",
            Format::Text => "STRING",
        }
    }

    /// The bytes of what stands there; none for null. JSON keeps its bytes, so that no number loses digits.
    pub fn read(self, data: Option<&RawValue>) -> Answer<Option<Bytes>> {
        let Some(data) = data.map(RawValue::get).filter(|data| *data != "null") else { return Ok(None) };
        let text = || serde_json::from_str::<String>(data);
        match self {
            Format::Json => Ok(Some(Bytes::copy_from_slice(data.as_bytes()))),
            Format::Text => {
                let text = text().map_err(|_| RestError::bad_request("Bad Request: data is no string"))?;
                Ok(Some(Bytes::from(text)))
            }
            Format::Binary => {
                let bytes = text().ok().and_then(|text| BASE64.decode(text.as_bytes()).ok());
                let bytes = bytes.ok_or_else(|| {
                    RestError::bad_request("Bad Request: data is not a valid base64 string")
                })?;
                Ok(Some(Bytes::from(bytes)))
            }
        }
    }

    /// What these bytes are, as closely as can be said of them.
    pub fn guess(bytes: &[u8]) -> Format {
        match std::str::from_utf8(bytes) {
            Err(_) => Format::Binary,
            // What would be read as nothing, or without the spaces around it, is text.
            Ok(text) if text == "null" || text.trim() != text => Format::Text,
            Ok(text) if serde_json::from_str::<&RawValue>(text).is_ok() => Format::Json,
            Ok(_) => Format::Text,
        }
    }

    /// How these bytes stand in JSON; none where they cannot.
    pub fn show(self, bytes: &[u8]) -> Option<Box<RawValue>> {
        match self {
            Format::Binary => serde_json::value::to_raw_value(&BASE64.encode(bytes)).ok(),
            Format::Json => RawValue::from_string(std::str::from_utf8(bytes).ok()?.to_owned()).ok(),
            Format::Text => serde_json::value::to_raw_value(std::str::from_utf8(bytes).ok()?).ok(),
        }
    }
}

/// How version 2 gives records out and takes them, by the middle of its media types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Embedded {
    /// Bytes as base64.
    Binary,
    /// JSON as it stands.
    Json,
    /// What a schema of that language says of them.
    Schema(Kind),
}

impl Embedded {
    /// The format of that name.
    pub fn of(name: &str) -> Option<Embedded> {
        Some(match name {
            "binary" => Embedded::Binary,
            "json" => Embedded::Json,
            "avro" => Embedded::Schema(Kind::Avro),
            "jsonschema" => Embedded::Schema(Kind::Json),
            "protobuf" => Embedded::Schema(Kind::Protobuf),
            _ => return None,
        })
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Embedded::Binary => "binary",
            Embedded::Json => "json",
            Embedded::Schema(Kind::Avro) => "avro",
            Embedded::Schema(Kind::Json) => "jsonschema",
            Embedded::Schema(Kind::Protobuf) => "protobuf",
        }
    }

    /// The media type of records in it.
    pub fn media_type(self) -> &'static str {
        match self {
            Embedded::Binary => "application/vnd.kafka.binary.v2+json",
            Embedded::Json => "application/vnd.kafka.json.v2+json",
            Embedded::Schema(Kind::Avro) => "application/vnd.kafka.avro.v2+json",
            Embedded::Schema(Kind::Json) => "application/vnd.kafka.jsonschema.v2+json",
            Embedded::Schema(Kind::Protobuf) => "application/vnd.kafka.protobuf.v2+json",
        }
    }

    /// How bytes of a topic whose values are opened so stand in JSON; none where they cannot. A key that names no schema is
    /// the text that it is: most producers give values a schema alone.
    pub fn show(
        self,
        client: &Client,
        (values, part): (ValuesMode, Which),
        bytes: &[u8],
    ) -> Option<Box<RawValue>> {
        let kind = match self {
            Embedded::Binary => return Format::Binary.show(bytes),
            Embedded::Json => return Format::Json.show(bytes),
            Embedded::Schema(kind) => kind,
        };
        match said(client, (values, part), kind, bytes) {
            None if part == Which::Key && candor_schemas::schema_id(bytes).is_none() => {
                Format::Text.show(bytes)
            }
            said => said,
        }
    }
}

/// What bytes say that name a schema of that language; none where they do not, do not fit it, or are of a topic whose
/// values are not opened.
pub(super) fn said(
    client: &Client,
    opened: (ValuesMode, Which),
    kind: Kind,
    bytes: &[u8],
) -> Option<Box<RawValue>> {
    let (schema, value) = client.shown(opened, bytes)?;
    let text = (schema.kind() == kind).then(|| candor_model::json::to_string(&value))?;
    RawValue::from_string(text).ok()
}

/// A key or a value of a record in v3.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Data {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject: Option<String>,
    subject_name_strategy: Option<String>,
    schema_id: Option<i32>,
    schema_version: Option<i32>,
    schema: Option<String>,
    data: Option<Box<RawValue>>,
}

/// How a key or a value is to be written.
#[derive(Debug)]
pub(super) enum Given {
    /// Nothing was said.
    Nothing,
    Plain(Format, Option<Bytes>),
    Schema(Said, Option<Box<RawValue>>),
}

/// What a key or a value came to.
#[derive(Debug)]
pub(super) struct Part {
    pub bytes: Option<Bytes>,
    /// As an answer to its record says it: its type, its bytes, its schema.
    pub told: Value,
}

impl Given {
    pub fn of(data: Option<Data>) -> Answer<Given> {
        let Some(data) = data else { return Ok(Given::Nothing) };
        let says = data.subject.is_some()
            || data.subject_name_strategy.is_some()
            || data.schema_id.is_some()
            || data.schema_version.is_some()
            || data.schema.is_some();
        let kind = match data.kind.as_deref().map(Form::of_v3).transpose()? {
            Some(Form::Plain(format)) if says => {
                return Err(RestError::payload(format!(
                    "a value of the type {} has no schema",
                    format.name()
                )));
            }
            Some(Form::Plain(format)) => return Ok(Given::Plain(format, format.read(data.data.as_deref())?)),
            Some(Form::Schema(kind)) => Some(kind),
            None => None,
        };
        if data.subject_name_strategy.as_deref().is_some_and(|strategy| strategy != "TOPIC_NAME") {
            return Err(RestError::payload(
                "subject_name_strategy is TOPIC_NAME, or give the subject itself",
            ));
        }
        let ways = [data.schema_id.is_some(), data.schema_version.is_some(), data.schema.is_some()];
        if ways.iter().filter(|is| **is).count() > 1 {
            return Err(RestError::payload("give one of schema_id, schema_version and schema"));
        }
        if data.schema.is_some() && kind.is_none() {
            return Err(RestError::payload("a schema comes with its type: AVRO, JSONSCHEMA or PROTOBUF"));
        }
        let Data { subject, schema_id: id, schema_version: version, schema: text, .. } = data;
        Ok(Given::Schema(Said { kind, subject, id, version, text }, data.data))
    }

    /// Its bytes.
    pub async fn part(self, schemas: &mut Schemas<'_>, is_key: bool) -> Answer<Part> {
        match self {
            Given::Nothing => Ok(Part { bytes: None, told: Value::Null }),
            Given::Plain(format, bytes) => {
                let size = bytes.as_ref().map_or(0, Bytes::len);
                Ok(Part { told: json!({ "type": format.name(), "size": size }), bytes })
            }
            Given::Schema(said, data) => {
                let chosen = schemas.choose(&said, is_key).await?;
                let bytes = chosen.write(data.as_deref())?;
                let mut told = json!({
                    "type": schema_name(chosen.kind()),
                    "schema_id": chosen.id,
                    "size": bytes.as_ref().map_or(0, Bytes::len),
                });
                if let (Some((subject, version)), Value::Object(fields)) = (&chosen.place, &mut told) {
                    fields.insert("subject".to_owned(), json!(subject));
                    fields.insert("schema_version".to_owned(), json!(version));
                }
                Ok(Part { bytes, told })
            }
        }
    }
}

/// What a type of v3 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain(Format),
    Schema(Kind),
}

impl Form {
    /// The type of that name.
    pub fn of_v3(name: &str) -> Answer<Form> {
        Ok(match name {
            "BINARY" => Form::Plain(Format::Binary),
            "JSON" => Form::Plain(Format::Json),
            "STRING" => Form::Plain(Format::Text),
            "AVRO" => Form::Schema(Kind::Avro),
            "JSONSCHEMA" => Form::Schema(Kind::Json),
            "PROTOBUF" => Form::Schema(Kind::Protobuf),
            _ => {
                let message = "Bad Request: type is BINARY, JSON, STRING, AVRO, JSONSCHEMA or PROTOBUF";
                return Err(RestError::bad_request(message));
            }
        })
    }
}

/// The name of a schema's language in v3.
pub(super) fn schema_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Avro => "AVRO",
        Kind::Json => "JSONSCHEMA",
        Kind::Protobuf => "PROTOBUF",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes_of(text: &str) -> Result<Option<Bytes>, u32> {
        let data: Option<Data> = serde_json::from_str(text).expect("the shape");
        match Given::of(data).map_err(|error| error.code)? {
            Given::Nothing => Ok(None),
            Given::Plain(_, bytes) => Ok(bytes),
            Given::Schema(said, _) => panic!("{said:?}"),
        }
    }

    #[test]
    fn data_becomes_bytes() {
        let bytes = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        for (text, found) in [
            ("null", None),
            (r#"{"type":"BINARY","data":"aGVsbG8="}"#, bytes("hello")),
            (r#"{"type":"BINARY","data":""}"#, bytes("")),
            (r#"{"type":"BINARY","data":null}"#, None),
            (r#"{"type":"BINARY"}"#, None),
            (r#"{"type":"STRING","data":"a\u00e9"}"#, bytes("a\u{e9}")),
            (
                r#"{"type":"JSON","data":{"n":12345678901234567890.10}}"#,
                bytes(r#"{"n":12345678901234567890.10}"#),
            ),
            (r#"{"type":"JSON","data":"null"}"#, bytes(r#""null""#)),
            (r#"{"type":"JSON","data":null}"#, None),
        ] {
            assert_eq!(bytes_of(text), Ok(found), "{text}");
        }
    }

    #[test]
    fn data_that_is_refused() {
        for (text, code) in [
            (r#"{"schema":"{}","data":"x"}"#, 42206),
            (r#"{"type":"AVRO","subject_name_strategy":"RECORD_NAME","data":{}}"#, 42206),
            (r#"{"type":"JSONSCHEMA","schema_id":1,"schema_version":1,"data":{}}"#, 42206),
            (r#"{"type":"JSON","schema_id":1,"data":{}}"#, 42206),
            (r#"{"type":"XML","data":"x"}"#, 400),
            (r#"{"type":"BINARY","data":"%"}"#, 400),
            (r#"{"type":"BINARY","data":1}"#, 400),
            (r#"{"type":"STRING","data":1}"#, 400),
        ] {
            assert_eq!(bytes_of(text), Err(code), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_sent_again() {
        for bytes in
            [&b"{\"a\": 1.50}"[..], b"12", b"text", b"", b"\xff\x00", b"\"x\"", b"{not json", b"null", b" 1 "]
        {
            let format = Format::guess(bytes);
            let shown = format.show(bytes).expect("it can be shown");
            assert_eq!(format.read(Some(&shown)).expect("it can be read").as_deref(), Some(bytes));
        }
    }
}
