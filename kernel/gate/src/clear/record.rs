//! The kinds of records, as far as clearing them differs.

use candor_model::{ErrorRecord, LogRecord, Object, Signal, SpanRecord, Timestamp, Value};
use candor_scrub::{Counts, RecordKind, Run, Scrubber};

use crate::collect::age::{self, Today};
use crate::collect::device::Says;
use crate::collect::fields::Known;
use crate::identity::{Finder, Found, Repeats};
use crate::names::spells_card;
use crate::rows::{ErrorRows, LogRows, Oversize, SpanRows, measure_error, measure_log, measure_span};

/// What an attribute calls a country.
const COUNTRY: &str = "geo.country.iso_code";

/// A kind of record.
pub(crate) trait Record: Says + Sized {
    /// What it becomes.
    type Rows;
    /// Trims it to the limits, and gives its size and how many attributes went.
    fn measure(&mut self) -> Result<(usize, u64), Oversize>;
    /// The least age that it states.
    fn age(&self, today: Today) -> Option<i64>;
    /// True where it states that a parent consents.
    fn has_parents_consent(&self) -> bool;
    /// Drops fields that are not known.
    fn drop_unknown(&mut self, known: &mut Known<'_>, finder: &mut Finder<'_>);
    /// Takes identifiers out.
    fn identify(&mut self, finder: &mut Finder<'_>, found: &mut Found, counts: &mut Counts);
    /// Notes the country that somebody states.
    fn note_country(&mut self, country: &str);
    /// Strikes what the rules find.
    fn scrub(&mut self, scrubber: &Scrubber, run: &mut Run<'_>);
    /// Replaces identifiers where they are repeated.
    fn replace(&mut self, repeats: &Repeats, found: &mut Found);
    /// Becomes a row.
    fn push(self, rows: &mut Self::Rows, found: &Found, now: Timestamp);
    /// As it is shown to whoever tries a policy out.
    fn shown(&self) -> Value;
    /// Its signal.
    const SIGNAL: Signal;
    /// What rules call it.
    const KIND: RecordKind;
}

impl Record for LogRecord {
    const SIGNAL: Signal = Signal::Logs;
    const KIND: RecordKind = RecordKind::Log;
    type Rows = LogRows;

    fn measure(&mut self) -> Result<(usize, u64), Oversize> {
        measure_log(self)
    }

    fn age(&self, today: Today) -> Option<i64> {
        let body = self.body.as_object().and_then(|body| age::stated(body, today));
        age::stated(&self.attributes, today).into_iter().chain(body).min()
    }

    fn has_parents_consent(&self) -> bool {
        age::has_parents_consent(&self.attributes)
    }

    fn drop_unknown(&mut self, known: &mut Known<'_>, finder: &mut Finder<'_>) {
        known.attributes(&mut self.attributes, |name| finder.tells_of_person(name));
        if let Value::Object(body) = &mut self.body {
            known.attributes(body, |name| finder.tells_of_person(name));
        }
    }

    fn identify(&mut self, finder: &mut Finder<'_>, found: &mut Found, counts: &mut Counts) {
        finder.log(self, found, counts);
    }

    fn note_country(&mut self, country: &str) {
        self.attributes.insert(COUNTRY, country);
    }

    fn scrub(&mut self, scrubber: &Scrubber, run: &mut Run<'_>) {
        scrub_id("trace_id", &mut self.trace_id, scrubber, run);
        scrub_id("span_id", &mut self.span_id, scrubber, run);
        let texts = [
            ("severity_text", &mut self.severity_text),
            ("service_name", &mut self.service_name),
            ("host_name", &mut self.host_name),
            ("source", &mut self.source),
        ];
        scrub_all(texts, scrubber, run);
        scrubber.value_at(&["body"], &mut self.body, run);
        scrubber.object_at(&["attributes"], &mut self.attributes, run);
    }

    fn replace(&mut self, repeats: &Repeats, found: &mut Found) {
        repeats.value(&mut self.body, found);
        repeats.object(&mut self.attributes, found);
        repeats.text(&mut self.host_name, found);
        repeats.text(&mut self.source, found);
    }

    fn push(self, rows: &mut LogRows, found: &Found, now: Timestamp) {
        rows.push(&self, found, now);
    }

    fn shown(&self) -> Value {
        let texts = [
            ("severity_text", &self.severity_text),
            ("service_name", &self.service_name),
            ("host_name", &self.host_name),
            ("trace_id", &self.trace_id),
            ("span_id", &self.span_id),
            ("source", &self.source),
        ];
        shown(&texts, [("body", self.body.clone()), ("attributes", Value::Object(self.attributes.clone()))])
    }
}

impl Record for SpanRecord {
    const SIGNAL: Signal = Signal::Spans;
    const KIND: RecordKind = RecordKind::Span;
    type Rows = SpanRows;

    fn measure(&mut self) -> Result<(usize, u64), Oversize> {
        measure_span(self)
    }

    fn age(&self, today: Today) -> Option<i64> {
        age::stated(&self.attributes, today)
    }

    fn has_parents_consent(&self) -> bool {
        age::has_parents_consent(&self.attributes)
    }

    fn drop_unknown(&mut self, known: &mut Known<'_>, finder: &mut Finder<'_>) {
        known.attributes(&mut self.attributes, |name| finder.tells_of_person(name));
    }

    fn identify(&mut self, finder: &mut Finder<'_>, found: &mut Found, counts: &mut Counts) {
        finder.span(self, found, counts);
    }

    fn note_country(&mut self, country: &str) {
        self.attributes.insert(COUNTRY, country);
    }

    fn scrub(&mut self, scrubber: &Scrubber, run: &mut Run<'_>) {
        scrub_id("trace_id", &mut self.trace_id, scrubber, run);
        scrub_id("span_id", &mut self.span_id, scrubber, run);
        scrub_id("parent_span_id", &mut self.parent_span_id, scrubber, run);
        let texts = [
            ("name", &mut self.name),
            ("op", &mut self.op),
            ("status", &mut self.status),
            ("service_name", &mut self.service_name),
            ("release", &mut self.release),
        ];
        scrub_all(texts, scrubber, run);
        scrubber.object_at(&["attributes"], &mut self.attributes, run);
    }

    fn replace(&mut self, repeats: &Repeats, found: &mut Found) {
        repeats.text(&mut self.name, found);
        repeats.object(&mut self.attributes, found);
    }

    fn push(self, rows: &mut SpanRows, found: &Found, now: Timestamp) {
        rows.push(&self, found, now);
    }

    fn shown(&self) -> Value {
        let texts = [
            ("name", &self.name),
            ("op", &self.op),
            ("status", &self.status),
            ("service_name", &self.service_name),
            ("release", &self.release),
            ("trace_id", &self.trace_id),
            ("span_id", &self.span_id),
            ("parent_span_id", &self.parent_span_id),
        ];
        shown(&texts, [("attributes", Value::Object(self.attributes.clone()))])
    }
}

impl Record for ErrorRecord {
    const SIGNAL: Signal = Signal::Errors;
    const KIND: RecordKind = RecordKind::Error;
    type Rows = ErrorRows;

    fn measure(&mut self) -> Result<(usize, u64), Oversize> {
        measure_error(self)
    }

    fn age(&self, today: Today) -> Option<i64> {
        self.event.as_object().and_then(|event| age::stated(event, today))
    }

    fn has_parents_consent(&self) -> bool {
        self.event.as_object().is_some_and(age::has_parents_consent)
    }

    fn drop_unknown(&mut self, known: &mut Known<'_>, finder: &mut Finder<'_>) {
        known.event(&mut self.event, |name| finder.tells_of_person(name));
    }

    fn identify(&mut self, finder: &mut Finder<'_>, found: &mut Found, counts: &mut Counts) {
        finder.error(self, found, counts);
    }

    fn note_country(&mut self, country: &str) {
        let Some(event) = self.event.as_object_mut() else { return };
        if let Some(user) = member(event, "user")
            && let Some(geo) = member(user, "geo")
        {
            geo.insert("country_code", country);
        }
    }

    fn scrub(&mut self, scrubber: &Scrubber, run: &mut Run<'_>) {
        // The event's own id is its product's, which digests one that is none.
        let mut at = ["contexts", "trace"].into_iter();
        let trace = at.try_fold(&mut self.event, |value, name| value.as_object_mut()?.get_mut(name));
        let members = trace.and_then(Value::as_object_mut).into_iter().flat_map(|trace| trace.0.iter_mut());
        for (name, value) in members {
            if let Value::Str(id) = value
                && matches!(name.as_str(), "trace_id" | "span_id" | "parent_span_id")
                && spells_card(id)
            {
                scrub_id(name, id, scrubber, run);
            }
        }
        scrubber.value_at(&[], &mut self.event, run);
    }

    fn replace(&mut self, repeats: &Repeats, found: &mut Found) {
        repeats.event(&mut self.event, found);
    }

    fn push(self, rows: &mut ErrorRows, found: &Found, now: Timestamp) {
        let columns = (self.columns)(&self.event);
        rows.push(&self.event, &columns, found, now);
    }

    fn shown(&self) -> Value {
        self.event.clone()
    }
}

/// The object under a name, made where there is none; none where something else stands there.
fn member<'o>(object: &'o mut Object, name: &str) -> Option<&'o mut Object> {
    if object.get(name).is_none_or(Value::is_null) {
        object.insert(name, Object::new());
    }
    object.get_mut(name)?.as_object_mut()
}

/// The texts that are there, and the values.
fn shown<const N: usize>(texts: &[(&str, &String)], values: [(&str, Value); N]) -> Value {
    let texts = texts.iter().filter(|(_, text)| !text.is_empty());
    let texts = texts.map(|(name, text)| ((*name).to_owned(), Value::from(text.as_str())));
    let values = values.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(texts.chain(values.map(|(name, value)| (name.to_owned(), value))).collect())
}

/// An id in its protocol's own form holds nothing; anything else is text like all text. So is one that spells a card, of
/// which the half that does tells what becomes of it all.
fn scrub_id(name: &str, id: &mut String, scrubber: &Scrubber, run: &mut Run<'_>) {
    if spells_card(id) {
        let (first, last) = id.split_at(id.len() / 2);
        let clean = [first, last].into_iter().find_map(|half| scrubber.text_at(&[name], half, run));
        if let Some(clean) = clean {
            *id = clean;
        }
        return;
    }
    let well_formed = matches!(id.len(), 0 | 16 | 32) && id.bytes().all(|b| b.is_ascii_hexdigit());
    let all_digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if !well_formed || all_digits {
        scrub_all([(name, id)], scrubber, run);
    }
}

fn scrub_all<const N: usize>(texts: [(&str, &mut String); N], scrubber: &Scrubber, run: &mut Run<'_>) {
    for (name, text) in texts {
        if let Some(clean) = scrubber.text_at(&[name], text, run) {
            *text = clean;
        }
    }
}
