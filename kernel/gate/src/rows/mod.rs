//! Cleared records become Arrow rows.

mod build;
mod measure;

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Builder};
use arrow::record_batch::RecordBatch;
use candor_model::{ErrorColumns, LogRecord, Signal, SpanRecord, Timestamp, Value, json};

use crate::identity::Found;
use crate::schema::schema;
use build::{Ints, Lists, Maps, Texts, Times};
pub(crate) use measure::{Oversize, measure_error, measure_log, measure_span};

/// Builds the rows of `logs`.
pub(crate) struct LogRows {
    times: Times,
    observed: Times,
    severity_text: Texts,
    severity_number: Ints,
    body: Texts,
    service_name: Texts,
    host_name: Texts,
    trace_id: Texts,
    span_id: Texts,
    source: Texts,
    attributes: Maps,
    people: People,
}

/// The two columns that say whom a row is about.
struct People {
    subject: Texts,
    subjects: Lists,
}

impl People {
    fn new(rows: usize) -> People {
        People { subject: Texts::new(rows), subjects: Lists::new(rows) }
    }

    fn push(&mut self, found: &Found) {
        self.subject.push(found.subject().unwrap_or(""));
        self.subjects.push(found.subjects());
    }

    fn finish(self) -> [ArrayRef; 2] {
        [self.subject.finish(), self.subjects.finish()]
    }
}

impl LogRows {
    pub(crate) fn new(rows: usize) -> LogRows {
        LogRows {
            times: Times::new(rows),
            observed: Times::new(rows),
            severity_text: Texts::new(rows),
            severity_number: Ints::new(rows),
            body: Texts::new(rows),
            service_name: Texts::new(rows),
            host_name: Texts::new(rows),
            trace_id: Texts::new(rows),
            span_id: Texts::new(rows),
            source: Texts::new(rows),
            attributes: Maps::new(rows),
            people: People::new(rows),
        }
    }

    pub(crate) fn push(&mut self, record: &LogRecord, found: &Found, now: Timestamp) {
        self.times.push(record.timestamp, now);
        self.observed.push(record.observed, now);
        self.severity_text.push(&record.severity_text);
        self.severity_number.push(record.severity_number);
        self.body.push_value(&record.body);
        self.service_name.push(&record.service_name);
        self.host_name.push(&record.host_name);
        self.trace_id.push(&record.trace_id);
        self.span_id.push(&record.span_id);
        self.source.push(&record.source);
        self.attributes.push(record.attributes.iter());
        self.people.push(found);
    }

    pub(crate) fn finish(self) -> Option<RecordBatch> {
        let [timestamp, timestamp_ns] = self.times.finish();
        let [observed, _] = self.observed.finish();
        let [subject, subjects] = self.people.finish();
        let columns = vec![
            timestamp,
            timestamp_ns,
            observed,
            self.severity_text.finish(),
            self.severity_number.finish(),
            self.body.finish(),
            self.service_name.finish(),
            self.host_name.finish(),
            self.trace_id.finish(),
            self.span_id.finish(),
            self.source.finish(),
            self.attributes.finish()?,
            subject,
            subjects,
        ];
        RecordBatch::try_new(schema(Signal::Logs), columns).ok()
    }
}

/// The texts of a span, in the order of their columns.
fn texts_of_span(record: &SpanRecord) -> [&String; 8] {
    [
        &record.trace_id,
        &record.span_id,
        &record.parent_span_id,
        &record.name,
        &record.op,
        &record.status,
        &record.service_name,
        &record.release,
    ]
}

/// Builds the rows of `spans`.
pub(crate) struct SpanRows {
    times: Times,
    duration_ns: Int64Builder,
    /// Trace, span and parent id, name, op, status, service, release.
    texts: [Texts; 8],
    attributes: Maps,
    people: People,
}

impl SpanRows {
    pub(crate) fn new(rows: usize) -> SpanRows {
        SpanRows {
            times: Times::new(rows),
            duration_ns: Int64Builder::with_capacity(rows),
            texts: std::array::from_fn(|_| Texts::new(rows)),
            attributes: Maps::new(rows),
            people: People::new(rows),
        }
    }

    pub(crate) fn push(&mut self, record: &SpanRecord, found: &Found, now: Timestamp) {
        self.times.push(record.timestamp, now);
        self.duration_ns.append_value(record.duration_ns);
        let texts = texts_of_span(record);
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
        self.attributes.push(record.attributes.iter());
        self.people.push(found);
    }

    pub(crate) fn finish(mut self) -> Option<RecordBatch> {
        let mut columns = self.times.finish().to_vec();
        columns.push(Arc::new(self.duration_ns.finish()));
        columns.extend(self.texts.into_iter().map(Texts::finish));
        columns.push(self.attributes.finish()?);
        columns.extend(self.people.finish());
        RecordBatch::try_new(schema(Signal::Spans), columns).ok()
    }
}

/// Builds the rows of `errors`.
pub(crate) struct ErrorRows {
    times: Times,
    /// Event id, level, type, value, culprit, platform, release, environment, transaction, trace and span id.
    texts: [Texts; 11],
    people: People,
    tags: Maps,
    contexts: Texts,
    event: Texts,
    group_hashes: Lists,
    scratch: String,
}

impl ErrorRows {
    pub(crate) fn new(rows: usize) -> ErrorRows {
        ErrorRows {
            times: Times::new(rows),
            texts: std::array::from_fn(|_| Texts::new(rows)),
            people: People::new(rows),
            tags: Maps::new(rows),
            contexts: Texts::new(rows),
            event: Texts::new(rows),
            group_hashes: Lists::new(rows),
            scratch: String::new(),
        }
    }

    pub(crate) fn push(&mut self, event: &Value, columns: &ErrorColumns, found: &Found, now: Timestamp) {
        self.times.push(columns.timestamp, now);
        let texts = [
            &columns.event_id,
            &columns.level,
            &columns.error_type,
            &columns.value,
            &columns.culprit,
            &columns.platform,
            &columns.release,
            &columns.environment,
            &columns.transaction,
            &columns.trace_id,
            &columns.span_id,
        ];
        self.texts.iter_mut().zip(texts).for_each(|(column, text)| column.push(text));
        self.people.push(found);
        self.tags.push_texts(columns.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        self.scratch.clear();
        if let Some(contexts) = event.get("contexts").filter(|contexts| !contexts.is_null()) {
            json::write(contexts, &mut self.scratch);
        }
        self.contexts.push(&self.scratch);
        self.scratch.clear();
        json::write(event, &mut self.scratch);
        self.event.push(&self.scratch);
        self.group_hashes.push(columns.group_hashes.iter().map(String::as_str));
    }

    pub(crate) fn finish(self) -> Option<RecordBatch> {
        let mut columns = self.times.finish().to_vec();
        columns.extend(self.texts.into_iter().map(Texts::finish));
        columns.extend(self.people.finish());
        columns.push(self.tags.finish()?);
        columns.push(self.contexts.finish());
        columns.push(self.event.finish());
        columns.push(self.group_hashes.finish());
        RecordBatch::try_new(schema(Signal::Errors), columns).ok()
    }
}
