//! What a key, a value or a header says, for eyes: JSON and text as they stand, everything else as bytes.

use candor_model::{Value, json};
use candor_schemas::{Schema, schema_id};
use data_encoding::BASE64;
use serde::Serialize;

/// How a part is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PartKind {
    /// An object or a list of JSON.
    Json,
    /// UTF-8 without control characters.
    Text,
    /// Anything else.
    Binary,
}

/// A key, a value, or what a header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// How it is shown.
    pub kind: PartKind,
    /// What it says, byte for byte, where it is JSON or text; of a part with a schema what that says.
    pub text: Option<String>,
    /// Its bytes where it is neither.
    pub base64: Option<String>,
    /// How long it is, bytes.
    pub size: usize,
    /// Only its beginning is here.
    pub cut: bool,
    /// The schema that it names.
    pub schema_id: Option<i32>,
    /// That schema's language, where the registry has it and it fits.
    pub schema: Option<&'static str>,
}

impl Part {
    /// Of bytes, of which at most so many are shown.
    pub(super) fn of(bytes: &[u8], shown_max: usize) -> Part {
        let (size, cut) = (bytes.len(), bytes.len() > shown_max);
        let head = bytes.get(..shown_max).unwrap_or(bytes);
        let text = match std::str::from_utf8(head) {
            Ok(text) => Some(text),
            // A character that was cut through.
            Err(error) if cut && error.error_len().is_none() => {
                head.get(..error.valid_up_to()).and_then(|head| std::str::from_utf8(head).ok())
            }
            Err(_) => None,
        };
        let text =
            text.filter(|text| !text.chars().any(|c| c.is_control() && !matches!(c, '\t' | '\n' | '\r')));
        let Some(text) = text else {
            return Part {
                kind: PartKind::Binary,
                text: None,
                base64: Some(BASE64.encode(head)),
                size,
                cut,
                schema_id: schema_id(bytes),
                schema: None,
            };
        };
        let begins = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
        let is_json = begins && (cut || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok());
        let kind = if is_json { PartKind::Json } else { PartKind::Text };
        Part { kind, text: Some(text.to_owned()), base64: None, size, cut, schema_id: None, schema: None }
    }

    /// With what it says by its schema.
    pub(super) fn decoded(mut self, schema: &Schema, value: &Value, shown_max: usize) -> Part {
        let mut json = json::to_string(value);
        let end = (0..=shown_max.min(json.len())).rev().find(|at| json.is_char_boundary(*at)).unwrap_or(0);
        self.cut = end < json.len();
        json.truncate(end);
        self.kind = PartKind::Json;
        self.text = Some(json);
        self.schema = Some(schema.kind().name());
        self
    }
}
