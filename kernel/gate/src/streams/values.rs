//! What a key, a value or a header is, and what is left of it.

use std::sync::Arc;

use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{ProjectId, Value, json};
use candor_records::{Headers, HeadersBuf};
use candor_schemas::{FRAME_BYTES, Kind, decode_framed, schema_id};
use candor_scrub::{Counts, RecordKind, Run, Scrubber};

use super::modes::{Schemas, ValuesMode};
use super::reading::{Narrow, Reading, Wide, as_text, blank_runs, blank_wide_runs};
use super::refusal::RecordRefusal;
use crate::identity::{Finder, Found};
use crate::policy::TopicRules;

/// What schemas may make of one batch, bytes. A message whose fields are mostly absent is a few bytes, and some thousand
/// opened: this is beyond what batches of real ones come to, and bounds the work that one may cause. The Java client
/// splits a batch that is refused so.
const OPENED_BYTES_MAX: usize = 128 << 20;

/// What a value takes beside names and text, bytes.
const NODE_BYTES: usize = 16;

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

    /// Of text: in its own encoding.
    fn encoded(self, encode: impl FnOnce(&str) -> Vec<u8>) -> Cleaned {
        match self {
            Cleaned::Same => Cleaned::Same,
            Cleaned::Changed(bytes) => Cleaned::Changed(encode(&String::from_utf8_lossy(&bytes))),
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
    rules: &'a TopicRules,
    /// A value is looked at: what the policy says of values holds.
    is_value: bool,
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
        (scrubber, rules): (&'a Scrubber, &'a TopicRules),
        mode: ValuesMode,
        schemas: Option<(&'a dyn Schemas, ProjectId)>,
        finder: Finder<'a>,
    ) -> Cleaner<'a> {
        Cleaner {
            scrubber,
            rules,
            is_value: false,
            mode,
            schemas,
            counts: Counts::new(),
            finder,
            found: Found::default(),
            opened: 0,
        }
    }

    /// True where records are to be looked into.
    pub fn opens(&self) -> bool {
        self.mode.opens() || !self.rules.takes_opaque
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
        self.is_value = true;
        let cleaned = match self.mode {
            ValuesMode::Auto => self.anything(bytes),
            ValuesMode::Json => self.declared_json(bytes),
            ValuesMode::Text => self.declared_text(bytes),
            ValuesMode::Schema => self.by_schema(bytes),
            ValuesMode::Opaque => Ok(None),
        };
        self.is_value = false;
        match cleaned? {
            Some(cleaned) => Ok(cleaned),
            None if bytes.is_empty() => Ok(Cleaned::Same),
            None if self.mode == ValuesMode::Json => Err(RecordRefusal::Json),
            None if self.rules.takes_opaque => Ok(Cleaned::Same),
            None => Err(RecordRefusal::Opaque),
        }
    }

    /// A key, whatever the mode.
    pub fn key(&mut self, bytes: &[u8]) -> Result<Cleaned, RecordRefusal> {
        Ok(self.anything(bytes)?.unwrap_or(Cleaned::Same))
    }

    /// What may be anything; none where it cannot be opened.
    fn anything(&mut self, bytes: &[u8]) -> Result<Option<Cleaned>, RecordRefusal> {
        if let Some(cleaned) = self.by_schema(bytes)? {
            return Ok(Some(cleaned));
        }
        if let Some(cleaned) = self.framed_json(bytes)? {
            return Ok(Some(cleaned));
        }
        self.beside(bytes, None)
    }

    /// A schema may become known later. What is JSON behind its frame says what it says without one.
    fn framed_json(&mut self, bytes: &[u8]) -> Result<Option<Cleaned>, RecordRefusal> {
        let Some((frame, payload)) = framed(bytes).filter(|(_, payload)| begins_as_json(payload)) else {
            return Ok(None);
        };
        Ok(self.json(payload, None)?.map(|cleaned| cleaned.behind(frame)))
    }

    /// A value of a topic that says that its values are JSON; none where it is neither that nor text.
    fn declared_json(&mut self, bytes: &[u8]) -> Result<Option<Cleaned>, RecordRefusal> {
        if let Some(cleaned) = self.json(bytes, None)? {
            return Ok(Some(cleaned));
        }
        if let Some(cleaned) = self.framed_json(bytes)? {
            return Ok(Some(cleaned));
        }
        match Reading::of(bytes) {
            Reading::Mixed | Reading::Binary => Ok(None),
            // The policy takes nothing here but what the topic says.
            Reading::Text(_) | Reading::Narrow if !self.rules.takes_opaque => Ok(None),
            reading => self.read(reading, bytes, None),
        }
    }

    /// A value of a topic that says that its values are text.
    fn declared_text(&mut self, bytes: &[u8]) -> Result<Option<Cleaned>, RecordRefusal> {
        if let Some(wide) = Wide::of(bytes) {
            return self.wide(&wide, None);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => self.text(text, None).map(Some),
            Err(_) => self.read(Reading::Narrow, bytes, None),
        }
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
            let cleaned = text.map(|text| self.text(text, None)).transpose()?;
            return Ok(cleaned.map(|cleaned| cleaned.behind(frame)));
        };
        if self.is_value && self.leaves_out(&mut value.clone()) {
            return Err(RecordRefusal::Fields);
        }
        self.opened = self.opened.saturating_add(weight(&value));
        let before = self.counts.total();
        self.scrub(&mut value, None)?;
        if self.counts.total() == before {
            self.note(None, value);
            return Ok(Some(Cleaned::Same));
        }
        let original = schema.decode(payload).map_err(|_| RecordRefusal::Type)?;
        if !keeps_types(&original, &value) {
            return Err(RecordRefusal::Type);
        }
        // A number, an enum's symbol or bytes, which a rule strikes, cannot become a text.
        let patched = schema.patched(payload, &original, &value).map_err(|_| RecordRefusal::Type)?;
        self.note(None, original);
        Ok(Some(Cleaned::Changed(patched).behind(frame)))
    }

    /// What a header of that name says, whatever the mode: its name is about values. None where it cannot be opened.
    fn beside(&mut self, bytes: &[u8], name: Option<&str>) -> Result<Option<Cleaned>, RecordRefusal> {
        if begins_as_json(bytes)
            && let Some(cleaned) = self.json(bytes, name)?
        {
            return Ok(Some(cleaned));
        }
        self.read(Reading::of(bytes), bytes, name)
    }

    /// Cleans what is no JSON, by what it reads as; none where it is not opened.
    fn read(
        &mut self,
        reading: Reading<'_>,
        bytes: &[u8],
        name: Option<&str>,
    ) -> Result<Option<Cleaned>, RecordRefusal> {
        if let Reading::Wide(wide) = &reading {
            return self.wide(wide, name);
        }
        if self.is_value && self.rules.fields.is_some() && !bytes.is_empty() {
            return Err(RecordRefusal::Fields);
        }
        // Where the policy takes nothing that cannot be opened, guesses open nothing.
        let may_guess = !self.is_value || self.rules.takes_opaque;
        let blanked = match reading {
            Reading::Text(text) => return self.text(text, name).map(Some),
            _ if !may_guess => return Ok(None),
            Reading::Narrow => {
                let narrow = Narrow::of(bytes);
                let cleaned = self.text(&narrow.text, name)?;
                return Ok(Some(cleaned.encoded(|text| narrow.encode(text))));
            }
            Reading::Mixed => blank_runs(bytes, |run| self.blank(run, name))?,
            Reading::Wide(_) | Reading::Binary => blank_wide_runs(bytes, |run| self.blank(run, name))?,
        };
        Ok(blanked.map(Cleaned::Changed))
    }

    /// Cleans UTF-16, which may be JSON.
    fn wide(&mut self, wide: &Wide<'_>, name: Option<&str>) -> Result<Option<Cleaned>, RecordRefusal> {
        let text = wide.text.as_str();
        let json = begins_as_json(text.as_bytes()).then(|| self.json(text.as_bytes(), name)).transpose()?;
        let cleaned = match json.flatten() {
            Some(cleaned) => cleaned,
            None if self.is_value && self.rules.fields.is_some() => return Err(RecordRefusal::Fields),
            None => self.text(text, name)?,
        };
        Ok(Some(cleaned.encoded(|text| wide.encode(text))))
    }

    /// Blanks what rules find in a run of text within something else.
    fn blank(&mut self, run: &str, name: Option<&str>) -> Result<Option<String>, RecordRefusal> {
        self.finder.note_text(name, run, &mut self.found);
        let mut counting = Run::new(&mut self.counts).of(RecordKind::Stream);
        let blanked = self.scrubber.blank_at(name.as_slice(), run, &mut counting);
        counting.dropped_by().map_or(Ok(blanked), |_| Err(RecordRefusal::Rule))
    }

    /// Strikes what the rules find in a value of a name.
    fn scrub(&mut self, value: &mut Value, name: Option<&str>) -> Result<(), RecordRefusal> {
        let mut codes = self.finder.codes(&mut self.found);
        let mut run = Run::new(&mut self.counts).of(RecordKind::Stream).with_pseudonyms(&mut codes);
        self.scrubber.value_at(name.as_slice(), value, &mut run);
        run.dropped_by().map_or(Ok(()), |_| Err(RecordRefusal::Rule))
    }

    /// Notes whom a part names.
    fn note(&mut self, name: Option<&str>, value: Value) {
        if let Some(key) = self.rules.subject_key.as_deref().filter(|_| self.is_value)
            && let Some(subject) = key.split('.').try_fold(&value, |value, part| value.get(part))
        {
            self.finder.take(subject, &mut self.found);
        }
        self.finder.note(name, value, &mut self.found);
    }

    /// Takes out what the policy does not name of a value; true where there was something.
    fn leaves_out(&self, value: &mut Value) -> bool {
        self.rules.fields.as_ref().is_some_and(|fields| leave_out(fields, "", value))
    }

    /// Headers; none where they stay.
    pub fn headers(&mut self, headers: Headers<'_>) -> Result<Option<HeadersBuf>, RecordRefusal> {
        let mut is_changed = false;
        let mut all = HeadersBuf::new();
        for (name, value) in headers.iter() {
            // A name that is no UTF-8 is read one byte a character.
            let narrow = std::str::from_utf8(name).is_err().then(|| Narrow::of(name));
            let text =
                narrow.as_ref().map_or_else(|| std::str::from_utf8(name).ok(), |name| Some(&name.text));
            let renamed = text.and_then(|name| self.scrubber.scrub_key(name, &mut self.counts));
            let mut cleaned = match value {
                Some(value) => self.beside(value, text)?.and_then(Cleaned::changed),
                None => None,
            };
            // Under its new name, too: that is the one by which it would be scrubbed again.
            if let (Some(renamed), Some(value)) = (&renamed, cleaned.as_deref().or(value)) {
                cleaned = self.beside(value, Some(renamed))?.and_then(Cleaned::changed).or(cleaned);
            }
            is_changed |= renamed.is_some() || cleaned.is_some();
            let renamed = renamed.map(|renamed| match &narrow {
                Some(narrow) => narrow.encode(&renamed),
                None => renamed.into_bytes(),
            });
            all.push(renamed.as_deref().unwrap_or(name), cleaned.as_deref().or(value));
        }
        Ok(is_changed.then_some(all))
    }

    fn text(&mut self, text: &str, name: Option<&str>) -> Result<Cleaned, RecordRefusal> {
        self.finder.note_text(name, text, &mut self.found);
        let mut codes = self.finder.codes(&mut self.found);
        let mut run = Run::new(&mut self.counts).of(RecordKind::Stream).with_pseudonyms(&mut codes);
        let cleaned = self.scrubber.text_at(name.as_slice(), text, &mut run);
        match run.dropped_by() {
            Some(_) => Err(RecordRefusal::Rule),
            None => Ok(cleaned.map_or(Cleaned::Same, |text| Cleaned::Changed(text.into_bytes()))),
        }
    }

    /// Cleans JSON; none where it is none, or larger than one record is parsed at.
    fn json(&mut self, bytes: &[u8], name: Option<&str>) -> Result<Option<Cleaned>, RecordRefusal> {
        let parse = || json::parse(bytes, json::Leniency::LENIENT).ok();
        let Some(mut value) = (bytes.len() <= RECORD_BYTES_MAX).then(parse).flatten() else {
            return Ok(None);
        };
        let before = self.counts.total();
        self.scrub(&mut value, name)?;
        let is_struck = self.counts.total() > before;
        let fields = self.is_value && self.rules.fields.is_some();
        if !is_struck && !fields {
            self.note(name, value);
            return Ok(Some(Cleaned::Same));
        }
        // The rest of it stays as it was written.
        let Some(original) = parse() else { return Ok(None) };
        if !keeps_types(&original, &value) {
            return Err(RecordRefusal::Type);
        }
        let cleaned = match fields {
            true if value.as_object().is_none() => return Err(RecordRefusal::Fields),
            true if self.leaves_out(&mut value) => Cleaned::Changed(json::to_string(&value).into_bytes()),
            _ if !is_struck => Cleaned::Same,
            _ => {
                let text = std::str::from_utf8(bytes).map_err(|_| RecordRefusal::Encoding)?;
                Cleaned::Changed(json::patched(text, &original, &value).into_bytes())
            }
        };
        // Whom a field names that is left out is not in the record any more.
        self.note(name, if fields { value } else { original });
        Ok(Some(cleaned))
    }
}

/// Takes members out that no name covers; true where there were some. An item of a list stands where the list does.
fn leave_out(fields: &[String], place: &str, value: &mut Value) -> bool {
    let mut is_changed = false;
    match value {
        Value::Object(object) => object.0.retain_mut(|(name, member)| {
            let path = if place.is_empty() { name.clone() } else { format!("{place}.{name}") };
            let is_within = |one: &str, other: &str| {
                one.strip_prefix(other).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            if fields.iter().any(|field| is_within(&path, field)) {
                return true;
            }
            let holds_some = fields.iter().any(|field| is_within(field, &path))
                && matches!(member, Value::Object(_) | Value::Array(_));
            is_changed |= !holds_some || leave_out(fields, &path, member);
            holds_some
        }),
        Value::Array(items) => {
            for item in items {
                is_changed |= leave_out(fields, place, item);
            }
        }
        _ => {}
    }
    is_changed
}

/// True for what begins as an object or a list of JSON does.
fn begins_as_json(bytes: &[u8]) -> bool {
    matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'['))
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
