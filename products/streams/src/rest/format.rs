//! Keys and values within JSON: bytes as base64, JSON as it stands, text.

use bytes::Bytes;
use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::error::{Answer, RestError};

/// How bytes stand in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Binary,
    Json,
    Text,
}

impl Format {
    /// The type of that name in v3.
    pub fn of_v3(name: &str) -> Answer<Format> {
        match name {
            "BINARY" => Ok(Format::Binary),
            "JSON" => Ok(Format::Json),
            "STRING" => Ok(Format::Text),
            "AVRO" | "JSONSCHEMA" | "PROTOBUF" => Err(with_schema()),
            _ => Err(RestError::bad_request("Bad Request: type is BINARY, JSON or STRING")),
        }
    }

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

/// Values with a schema need the registry.
pub(super) fn with_schema() -> RestError {
    RestError::payload(
        "Values with a schema cannot be sent this way: give the type BINARY, JSON or STRING, \
         or serialise them and send BINARY",
    )
}

/// A key or a value of a record in v3.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Data {
    #[serde(rename = "type")]
    kind: Option<String>,
    subject: Option<Value>,
    schema_id: Option<Value>,
    schema_version: Option<Value>,
    schema: Option<Value>,
    data: Option<Box<RawValue>>,
}

/// What a key or a value came to.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub bytes: Option<Bytes>,
    /// None where nothing was said.
    pub format: Option<Format>,
}

impl Part {
    pub fn of(data: Option<Data>) -> Answer<Part> {
        let Some(data) = data else { return Ok(Part::default()) };
        let schema = [&data.subject, &data.schema_id, &data.schema_version, &data.schema];
        let format = match &data.kind {
            Some(kind) => Format::of_v3(kind)?,
            None => return Err(with_schema()),
        };
        if schema.iter().any(|said| said.is_some()) {
            return Err(with_schema());
        }
        Ok(Part { bytes: format.read(data.data.as_deref())?, format: Some(format) })
    }

    /// As an answer to its record says it: its type, and its bytes.
    pub fn told(&self) -> Value {
        match self.format {
            Some(format) => {
                json!({ "type": format.name(), "size": self.bytes.as_ref().map_or(0, Bytes::len) })
            }
            None => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(text: &str) -> Result<Part, u32> {
        let data: Option<Data> = serde_json::from_str(text).expect("the shape");
        Part::of(data).map_err(|error| error.code)
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
            assert_eq!(part(text).map(|part| part.bytes), Ok(found), "{text}");
        }
    }

    #[test]
    fn data_that_is_refused() {
        for (text, code) in [
            (r#"{"data":"x"}"#, 42206),
            (r#"{"type":"AVRO","data":{}}"#, 42206),
            (r#"{"type":"JSONSCHEMA","schema_id":1,"data":{}}"#, 42206),
            (r#"{"type":"JSON","schema_id":1,"data":{}}"#, 42206),
            (r#"{"type":"XML","data":"x"}"#, 400),
            (r#"{"type":"BINARY","data":"%"}"#, 400),
            (r#"{"type":"BINARY","data":1}"#, 400),
            (r#"{"type":"STRING","data":1}"#, 400),
        ] {
            assert_eq!(part(text), Err(code), "{text}");
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
