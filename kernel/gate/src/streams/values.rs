//! What a key, a value or a header is, and what is left of it.

use std::sync::Arc;

use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{ProjectId, Value, json};
use candor_records::{Headers, HeadersBuf};
use candor_schemas::{FRAME_BYTES, Kind, Schema, decode_framed, schema_id};
use candor_scrub::{Counts, Scrubber};

use super::refusal::RecordRefusal;
use crate::identity::{Finder, Found};

/// What schemas may make of one batch, bytes. A message whose fields are mostly absent is a few bytes, and some thousand
/// opened: this is beyond what batches of real ones come to, and bounds the work that one may cause. The Java client
/// splits a batch that is refused so.
const OPENED_BYTES_MAX: usize = 128 << 20;

/// What a value takes beside names and text, bytes.
const NODE_BYTES: usize = 16;

/// How the values of a topic may be opened (`candor.values`). Keys and headers, too, are left alone where values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ValuesMode {
    /// By the schema that a value names, where it is known; else objects and lists of JSON as JSON, other text as text,
    /// everything else not.
    #[default]
    Auto,
    /// What is JSON as JSON, everything else not.
    Json,
    /// What is UTF-8 as text, everything else not.
    Text,
    /// By the schema that a value names. What names none that is known, or does not fit it, is not opened.
    Schema,
    /// Not at all.
    Opaque,
}

impl ValuesMode {
    /// Every mode.
    pub const ALL: [ValuesMode; 5] =
        [ValuesMode::Auto, ValuesMode::Json, ValuesMode::Text, ValuesMode::Schema, ValuesMode::Opaque];

    /// Its name in the topic's configuration.
    pub fn name(self) -> &'static str {
        match self {
            ValuesMode::Auto => "auto",
            ValuesMode::Json => "json",
            ValuesMode::Text => "text",
            ValuesMode::Schema => "schema",
            ValuesMode::Opaque => "opaque",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<ValuesMode> {
        ValuesMode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// True where anything is opened.
    pub fn opens(self) -> bool {
        self != ValuesMode::Opaque
    }

    /// True where a part that names a schema is opened by it: keys wherever anything is.
    pub fn opens_by_schema(self, part: Part) -> bool {
        match part {
            Part::Key => self.opens(),
            Part::Value => matches!(self, ValuesMode::Auto | ValuesMode::Schema),
        }
    }
}

/// What of a record names a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

/// What knows schemas by their ids.
pub trait Schemas: Send + Sync {
    /// A project's schema, without waiting.
    fn schema(&self, project: ProjectId, id: i32) -> Option<Arc<Schema>>;
}

/// What became of bytes.
pub(super) enum Cleaned {
    Same,
    Changed(Vec<u8>),
}

impl Cleaned {
    pub fn changed(self) -> Option<Vec<u8>> {
        match self {
            Cleaned::Same => None,
            Cleaned::Changed(bytes) => Some(bytes),
        }
    }

    /// Of what stands behind a frame: with the frame.
    fn behind(self, frame: &[u8]) -> Cleaned {
        match self {
            Cleaned::Same => Cleaned::Same,
            Cleaned::Changed(bytes) => Cleaned::Changed([frame, bytes.as_slice()].concat()),
        }
    }
}

/// Cleans the parts of records.
pub(super) struct Cleaner<'a> {
    scrubber: &'a Scrubber,
    mode: ValuesMode,
    schemas: Option<(&'a dyn Schemas, ProjectId)>,
    counts: Counts,
    finder: Finder<'a>,
    found: Found,
    /// What values that were opened by schemas took, about, bytes.
    opened: usize,
}

impl<'a> Cleaner<'a> {
    /// `schemas` are those of the batch's project, for which `finder` makes codes.
    pub fn new(
        scrubber: &'a Scrubber,
        mode: ValuesMode,
        schemas: Option<(&'a dyn Schemas, ProjectId)>,
        finder: Finder<'a>,
    ) -> Cleaner<'a> {
        Cleaner { scrubber, mode, schemas, counts: Counts::new(), finder, found: Found::default(), opened: 0 }
    }

    /// Whom the parts name that were cleaned since this was asked last; none where they name nobody.
    pub fn found(&mut self) -> Option<Found> {
        if self.found.is_empty() {
            return None;
        }
        let mut found = std::mem::take(&mut self.found);
        found.order();
        Some(found)
    }

    /// True once schemas have made more of the batch than one may be.
    pub fn is_spent(&self) -> bool {
        self.opened > OPENED_BYTES_MAX
    }

    /// What was replaced so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// A value.
    pub fn value(&mut self, bytes: &[u8]) -> Result<Cleaned, RecordRefusal> {
        match self.mode {
            ValuesMode::Auto => self.key(bytes),
            ValuesMode::Json => Ok(self.json(bytes, None)?.unwrap_or(Cleaned::Same)),
            ValuesMode::Text => Ok(match std::str::from_utf8(bytes) {
                Ok(text) => self.text(text, None),
                Err(_) => Cleaned::Same,
            }),
            ValuesMode::Schema => Ok(self.by_schema(bytes)?.unwrap_or(Cleaned::Same)),
            ValuesMode::Opaque => Ok(Cleaned::Same),
        }
    }

    /// A key, whatever the mode, or a value that may be anything.
    pub fn key(&mut self, bytes: &[u8]) -> Result<Cleaned, RecordRefusal> {
        if let Some(cleaned) = self.by_schema(bytes)? {
            return Ok(cleaned);
        }
        // A schema may become known later. What is JSON behind its frame says what it says without one.
        if let Some((frame, payload)) = framed(bytes)
            && matches!(payload.trim_ascii_start().first(), Some(b'{' | b'['))
            && let Some(cleaned) = self.json(payload, None)?
        {
            return Ok(cleaned.behind(frame));
        }
        self.beside(bytes, None)
    }

    /// Cleans what names a schema that is known; none where it does not, or does not fit it.
    fn by_schema(&mut self, bytes: &[u8]) -> Result<Option<Cleaned>, RecordRefusal> {
        let known =
            |(schemas, project): (&dyn Schemas, ProjectId)| schemas.schema(project, schema_id(bytes)?);
        let Some(schema) = self.schemas.and_then(known) else { return Ok(None) };
        let Some((frame, payload)) = framed(bytes) else { return Ok(None) };
        let Some(mut value) = decode_framed(|_| Some(Arc::clone(&schema)), bytes) else {
            // JSON that is too large, too deep or broken is a text still.
            let text = as_text(payload).filter(|_| schema.kind() == Kind::Json);
            return Ok(text.map(|text| self.text(text, None).behind(frame)));
        };
        self.opened = self.opened.saturating_add(weight(&value));
        let before = self.counts.total();
        self.scrubber.scrub_value(&mut value, None, &mut self.counts);
        if self.counts.total() == before {
            self.finder.note(None, value, &mut self.found);
            return Ok(Some(Cleaned::Same));
        }
        let original = schema.decode(payload).map_err(|_| RecordRefusal::Type)?;
        if !keeps_types(&original, &value) {
            return Err(RecordRefusal::Type);
        }
        // A number, an enum's symbol or bytes, which a rule strikes, cannot become a text.
        let patched = schema.patched(payload, &original, &value).map_err(|_| RecordRefusal::Type)?;
        self.finder.note(None, original, &mut self.found);
        Ok(Some(Cleaned::Changed(patched).behind(frame)))
    }

    /// What a header of that name says, whatever the mode: its name is about values.
    pub fn beside(&mut self, bytes: &[u8], name: Option<&str>) -> Result<Cleaned, RecordRefusal> {
        if matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
            && let Some(cleaned) = self.json(bytes, name)?
        {
            return Ok(cleaned);
        }
        Ok(match as_text(bytes) {
            Some(text) => self.text(text, name),
            None => Cleaned::Same,
        })
    }

    /// Headers; none where they stay.
    pub fn headers(&mut self, headers: Headers<'_>) -> Result<Option<HeadersBuf>, RecordRefusal> {
        let mut is_changed = false;
        let mut all = HeadersBuf::new();
        for (name, value) in headers.iter() {
            let text = std::str::from_utf8(name).ok();
            let renamed = text.and_then(|name| self.scrubber.scrub_key(name, &mut self.counts));
            let mut cleaned = match value {
                Some(value) => self.beside(value, text)?.changed(),
                None => None,
            };
            // Under its new name, too: that is the one by which it would be scrubbed again.
            if let (Some(renamed), Some(value)) = (&renamed, cleaned.as_deref().or(value)) {
                cleaned = self.beside(value, Some(renamed))?.changed().or(cleaned);
            }
            is_changed |= renamed.is_some() || cleaned.is_some();
            all.push(renamed.as_deref().map_or(name, str::as_bytes), cleaned.as_deref().or(value));
        }
        Ok(is_changed.then_some(all))
    }

    fn text(&mut self, text: &str, name: Option<&str>) -> Cleaned {
        self.finder.note_text(name, text, &mut self.found);
        let cleaned = match name {
            Some(name) => self.scrubber.scrub_field(name, text, &mut self.counts),
            None => self.scrubber.scrub_str(text, &mut self.counts),
        };
        cleaned.map_or(Cleaned::Same, |text| Cleaned::Changed(text.into_bytes()))
    }

    /// Cleans JSON; none where it is none, or larger than one record is parsed at.
    fn json(&mut self, bytes: &[u8], name: Option<&str>) -> Result<Option<Cleaned>, RecordRefusal> {
        let parse = || json::parse(bytes, json::Leniency::LENIENT).ok();
        let Some(mut value) = (bytes.len() <= RECORD_BYTES_MAX).then(parse).flatten() else {
            return Ok(None);
        };
        let before = self.counts.total();
        self.scrubber.scrub_value(&mut value, name, &mut self.counts);
        if self.counts.total() == before {
            self.finder.note(name, value, &mut self.found);
            return Ok(Some(Cleaned::Same));
        }
        // The rest of it stays as it was written.
        let Some(original) = parse() else { return Ok(None) };
        if !keeps_types(&original, &value) {
            return Err(RecordRefusal::Type);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| RecordRefusal::Encoding)?;
        let patched = json::patched(text, &original, &value).into_bytes();
        self.finder.note(name, original, &mut self.found);
        Ok(Some(Cleaned::Changed(patched)))
    }
}

/// The frame that names a schema, and what stands behind it.
fn framed(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    schema_id(bytes).and_then(|_| bytes.split_at_checked(FRAME_BYTES))
}

/// About what an opened value takes, bytes.
fn weight(value: &Value) -> usize {
    let within = match value {
        Value::Str(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(object) => object.0.iter().map(|(name, value)| name.len() + weight(value)).sum(),
        _ => 0,
    };
    NODE_BYTES + within
}

/// The bytes as text, if that is what they are: UTF-8 without control characters but those that text has (tab, line
/// feed, carriage return, escape, and the separator of FIX messages). Avro, Protocol Buffers and numbers in binary are
/// hardly ever without others; a topic of such values that are should be `opaque`.
fn as_text(bytes: &[u8]) -> Option<&str> {
    let is_control = |byte: u8| byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r' | 0x1b | 0x01);
    // Without an early end: this is fast because it is done many bytes at a time.
    let has_control = bytes.iter().fold(false, |any, byte| any | is_control(*byte));
    if has_control { None } else { std::str::from_utf8(bytes).ok() }
}

/// True where every value has the type that it had.
fn keeps_types(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let members = before.0.iter().zip(&after.0);
            before.len() == after.len()
                && members.map(|((_, a), (_, b))| (a, b)).all(|(a, b)| keeps_types(a, b))
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len() && before.iter().zip(after).all(|(a, b)| keeps_types(a, b))
        }
        (Value::Str(_), Value::Str(_)) | (Value::Bool(_), Value::Bool(_)) | (Value::Null, Value::Null) => {
            true
        }
        (before, after) => is_number(before) && is_number(after),
    }
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::BigInt(_))
}
