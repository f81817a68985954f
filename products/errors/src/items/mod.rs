//! What envelopes carry, sorted and read into the kernel's records.
//!
//! An item that cannot be read does not take its neighbours with it: it is counted, and only where nothing else is
//! left does the request fail.

pub(crate) mod attributes;
pub(crate) mod log;
pub(crate) mod span;
pub(crate) mod transaction;

use bytes::Bytes;
use candor_gate::spells_card;
use candor_model::json::{self, Leniency};
use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{LogRecord, Object, ProjectId, SpanRecord, Timestamp, Value};
use data_encoding::HEXLOWER;
use ring::digest;

use crate::event::{hex_id, member, normalize};
use crate::outcomes::{Outcome, Outcomes, category, discard_reason};
use crate::protocol::envelope::Item;

/// For how long SDKs are asked to hold back what is not stored yet, seconds. An hour after an upgrade they send again.
const HOLD_BACK_SECONDS: u32 = 3_600;
/// For attachments without their event only as long as it takes to say so: attachments of errors are stored.
const HOLD_BACK_ATTACHMENTS_SECONDS: u32 = 1;
/// Attachments of one event, as in Relay.
pub(crate) const ATTACHMENTS_MAX: usize = 30;

/// An error event on its way.
#[derive(Debug)]
pub(crate) struct Event {
    /// 32 hex digits.
    pub id: String,
    /// It carried an id, so a retry of it will too.
    pub has_id: bool,
    pub event: Object,
}

/// The spans of one transaction.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub id: String,
    pub has_id: bool,
    pub spans: Vec<SpanRecord>,
}

/// An attachment on its way.
#[derive(Debug, Clone)]
pub(crate) struct Attachment {
    pub filename: String,
    pub content_type: String,
    /// Sentry's kind: `event.attachment`, `event.minidump`, `event.view_hierarchy`, …
    pub kind: String,
    pub bytes: Bytes,
}

/// What an envelope carried.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub events: Vec<Event>,
    pub transactions: Vec<Transaction>,
    pub spans: Vec<SpanRecord>,
    pub logs: Vec<LogRecord>,
    pub attachments: Vec<Attachment>,
    /// What is accepted but not stored yet.
    pub hold_back: Vec<(u32, &'static str)>,
    /// Why items could not be read.
    pub broken: Vec<Broken>,
    /// Items that were understood, stored or not.
    pub understood: usize,
}

/// Why an item could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Broken {
    /// Not JSON.
    #[error("invalid JSON in item {0}")]
    Json(&'static str),
    /// JSON, but no object where there must be one.
    #[error("item {0} is not an object")]
    Shape(&'static str),
    /// Larger than a record may be.
    #[error("item {0} is too large")]
    TooLarge(&'static str),
}

impl Broken {
    fn reason(self) -> &'static str {
        match self {
            Broken::Json(_) => "invalid_json",
            Broken::Shape(_) => "invalid_shape",
            Broken::TooLarge(_) => "too_large",
        }
    }

    fn category(self) -> &'static str {
        let (Broken::Json(category) | Broken::Shape(category) | Broken::TooLarge(category)) = self;
        category
    }
}

/// What reading items needs to know of the request.
pub(crate) struct Context<'a> {
    pub project: ProjectId,
    /// The envelope's `event_id`: it beats the payload's.
    pub event_id: Option<String>,
    /// By how much the sender's clock is wrong, µs; none where it is right or did not say.
    pub drift: Option<i64>,
    pub received: Timestamp,
    pub peer: Option<std::net::IpAddr>,
    /// Makes an id for an event that has none.
    pub new_id: &'a dyn Fn() -> String,
    pub outcomes: &'a Outcomes,
}

impl Gathered {
    /// Reads an item.
    pub fn add(&mut self, item: &Item, context: &Context<'_>) {
        let payload = &item.payload;
        match item.kind() {
            "event" => self.json("error", payload, context, |gathered, value, context| {
                // The older path and some clients send transactions as events.
                if value.get("type").and_then(Value::as_str) == Some("transaction") {
                    return gathered.transaction(value, context);
                }
                gathered.event(value, context)
            }),
            "transaction" => self.json("transaction", payload, context, Gathered::transaction),
            "span" => self.json("span", payload, context, Gathered::span_item),
            "log" => self.json("log_item", payload, context, Gathered::log_item),
            "attachment" => self.attachment(item),
            "client_report" => self.json("internal", payload, context, Gathered::client_report),
            kind => self.unstored(kind, context),
        }
    }

    fn json(
        &mut self,
        name: &'static str,
        payload: &[u8],
        context: &Context<'_>,
        read: fn(&mut Gathered, Value, &Context<'_>) -> Result<(), Broken>,
    ) {
        // Containers hold many records, each of which the gate bounds; events and transactions are one.
        let result = if matches!(name, "error" | "transaction") && payload.len() > RECORD_BYTES_MAX {
            Err(Broken::TooLarge(name))
        } else {
            let parse = if matches!(name, "span" | "log_item") { json::parse_body } else { json::parse };
            match parse(payload, Leniency::LENIENT) {
                Ok(value) => read(self, value, context),
                Err(_) => Err(Broken::Json(name)),
            }
        };
        match result {
            Ok(()) => self.understood += 1,
            Err(broken) => self.broken(broken, context),
        }
    }

    fn broken(&mut self, broken: Broken, context: &Context<'_>) {
        context.outcomes.count(context.project, broken.category(), Outcome::Invalid, broken.reason(), 1);
        self.broken.push(broken);
    }

    fn event(&mut self, value: Value, context: &Context<'_>) -> Result<(), Broken> {
        let Value::Object(mut event) = value else { return Err(Broken::Shape("error")) };
        let (id, has_id) = event_id(&event, context, !self.events.is_empty());
        event.insert("event_id", id.as_str());
        normalize::rename_old_members(&mut event);
        normalize::resolve_auto_address(&mut event, context.peer);
        if let Some(drift) = context.drift {
            normalize::correct_clock(&mut event, drift, context.received);
        }
        self.events.push(Event { id, has_id, event });
        Ok(())
    }

    fn transaction(&mut self, value: Value, context: &Context<'_>) -> Result<(), Broken> {
        let Value::Object(mut event) = value else { return Err(Broken::Shape("transaction")) };
        let (id, has_id) = event_id(&event, context, !self.transactions.is_empty());
        event.insert("event_id", id.as_str());
        normalize::rename_old_members(&mut event);
        normalize::resolve_auto_address(&mut event, context.peer);
        let mut spans = transaction::spans(&Value::Object(event)).ok_or(Broken::Shape("transaction"))?;
        spans.iter_mut().for_each(|span| correct_span(span, context.drift));
        self.transactions.push(Transaction { id, has_id, spans });
        Ok(())
    }

    /// A container of spans (v2), or one span of the older form.
    fn span_item(&mut self, value: Value, context: &Context<'_>) -> Result<(), Broken> {
        let before = self.spans.len();
        match value.get("items").and_then(Value::as_array) {
            Some(items) => {
                self.spans.extend(items.iter().filter_map(span::span_v2).filter(span::has_place));
                let lost = items.len() - (self.spans.len() - before);
                context.outcomes.count(
                    context.project,
                    "span",
                    Outcome::Invalid,
                    "invalid_shape",
                    lost as u64,
                );
            }
            None => {
                let span = span::span_v1(&value, &span::Common::default()).filter(span::has_place);
                self.spans.push(span.ok_or(Broken::Shape("span"))?);
            }
        }
        self.spans.iter_mut().skip(before).for_each(|span| correct_span(span, context.drift));
        Ok(())
    }

    fn log_item(&mut self, value: Value, context: &Context<'_>) -> Result<(), Broken> {
        let single = std::slice::from_ref(&value);
        let items = value.get("items").and_then(Value::as_array).unwrap_or(single);
        let before = self.logs.len();
        self.logs.extend(items.iter().filter_map(log::log));
        let lost = items.len() - (self.logs.len() - before);
        if lost == items.len() && lost > 0 {
            return Err(Broken::Shape("log_item"));
        }
        context.outcomes.count(context.project, "log_item", Outcome::Invalid, "invalid_shape", lost as u64);
        if let Some(drift) = context.drift {
            for record in self.logs.iter_mut().skip(before) {
                if let Some(time) = &mut record.timestamp {
                    time.micros = time.micros.saturating_add(drift);
                    attributes::add(&mut record.attributes, DRIFT_ATTRIBUTE, drift);
                }
            }
        }
        Ok(())
    }

    fn attachment(&mut self, item: &Item) {
        self.understood += 1;
        let text = |name: &str| crate::event::cut(item.header(name).unwrap_or_default(), 1_000).to_owned();
        let kind = text("attachment_type");
        self.attachments.push(Attachment {
            filename: text("filename"),
            content_type: text("content_type"),
            kind: if kind.is_empty() { "event.attachment".to_owned() } else { kind },
            bytes: item.payload.clone(),
        });
    }

    /// `{"timestamp": …, "discarded_events": [{"reason", "category", "quantity"}]}`.
    fn client_report(&mut self, value: Value, context: &Context<'_>) -> Result<(), Broken> {
        value.as_object().ok_or(Broken::Shape("internal"))?;
        const LISTS: [&str; 3] = ["discarded_events", "rate_limited_events", "filtered_events"];
        for list in LISTS.into_iter().filter_map(|name| value.get(name)?.as_array()) {
            for discarded in list {
                let quantity = discarded.get("quantity").and_then(Value::as_i64).unwrap_or(0);
                context.outcomes.count(
                    context.project,
                    category(&member(discarded, "category").unwrap_or_default()),
                    Outcome::ClientDiscard,
                    discard_reason(&member(discarded, "reason").unwrap_or_default()),
                    u64::try_from(quantity).unwrap_or_default(),
                );
            }
        }
        Ok(())
    }

    /// Items that are understood but not stored yet, and those that are not even understood, which Sentry drops with
    /// 200 as well, so that newer SDKs keep working.
    fn unstored(&mut self, kind: &str, context: &Context<'_>) {
        self.understood += 1;
        let categories: &[&'static str] = match kind {
            "session" | "sessions" => &["session"],
            "profile" | "profile_chunk" => &["profile", "profile_chunk", "profile_chunk_ui"],
            "replay_event" | "replay_recording" | "replay_video" => &["replay"],
            "check_in" => &["monitor"],
            "feedback" => &["feedback"],
            "user_report" => &["user_report_v2", "feedback"],
            "security" | "raw_security" | "nel" => &["security"],
            "statsd" | "metric_buckets" | "metric_meta" => &["metric_bucket"],
            "trace_metric" => &["trace_metric", "metric"],
            _ => &[],
        };
        let counted = categories.first().copied().unwrap_or("other");
        let reason = if categories.is_empty() { "unknown_item" } else { "" };
        context.outcomes.count(context.project, counted, Outcome::NotSupported, reason, 1);
        self.hold_back.extend(categories.iter().map(|category| (HOLD_BACK_SECONDS, *category)));
    }

    /// Attachments belong to an event: the one beside them, or the one whose id the envelope names, which came before
    /// or comes later. What has neither is not stored, nor what is beyond the most that one event may have, and it is
    /// said. Nor is a crash's dump without its event: it would have to become one.
    pub fn drop_lone_attachments(&mut self, context: &Context<'_>) {
        let excess = self.attachments.len().saturating_sub(ATTACHMENTS_MAX);
        if excess > 0 {
            self.attachments.truncate(ATTACHMENTS_MAX);
            let reason = "too_many_attachments";
            context.outcomes.count(context.project, "attachment", Outcome::Invalid, reason, excess as u64);
        }
        if !self.events.is_empty() {
            return;
        }
        let is_tied = context.event_id.is_some() && self.transactions.is_empty();
        let before = self.attachments.len();
        self.attachments.retain(|one| {
            is_tied && !matches!(one.kind.as_str(), "event.minidump" | "event.applecrashreport")
        });
        let lone = before - self.attachments.len();
        if lone > 0 {
            let reason = "no_event";
            context.outcomes.count(context.project, "attachment", Outcome::NotSupported, reason, lone as u64);
            self.hold_back.push((HOLD_BACK_ATTACHMENTS_SECONDS, "attachment"));
        }
    }
}

/// The name under which a corrected span or log record says by how much its times were moved, µs.
const DRIFT_ATTRIBUTE: &str = "sentry.clock_drift_us";

fn correct_span(span: &mut SpanRecord, drift: Option<i64>) {
    if let (Some(drift), Some(time)) = (drift, &mut span.timestamp) {
        time.micros = time.micros.saturating_add(drift);
        attributes::add(&mut span.attributes, DRIFT_ATTRIBUTE, drift);
    }
}

/// The id of an event, and whether it came with one. The envelope names its first event only. An id of another form
/// than 32 hex digits is digested, so that a retry of it has the same.
fn event_id(event: &Object, context: &Context<'_>, is_further: bool) -> (String, bool) {
    if let Some(id) = context.event_id.as_ref().filter(|_| !is_further) {
        return (id.clone(), true);
    }
    let sent = event.get("event_id").and_then(crate::event::text);
    match sent.as_deref().map(str::trim).filter(|id| !id.is_empty()) {
        Some(id) => (normal_id(id), true),
        None => ((context.new_id)(), false),
    }
}

/// An id as 32 hex digits. One that spells a card is none, as it would be stored and answered as it is.
pub(crate) fn normal_id(id: &str) -> String {
    let normal = hex_id(id, 32);
    let id = if normal.is_empty() { id } else { &normal };
    match normal.is_empty() || spells_card(id) {
        false => normal,
        true => {
            let digest = digest::digest(&digest::SHA256, id.as_bytes());
            HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_hex_digits_and_spells_no_card() {
        assert_eq!(normal_id("9EC79C33-ec99-42ab-8353-589fcb2e04dc"), "9ec79c33ec9942ab8353589fcb2e04dc");
        let counted = "00000000000000000000000000000017";
        assert_eq!(normal_id(counted), counted);
        let card = "41111111111111110000000000000001";
        let digest = normal_id(card);
        assert_eq!(digest, normal_id("41111111-1111-1111-0000-000000000001"), "a retry has the same");
        assert!(digest.len() == 32 && !digest.contains("4111"), "{digest}");
        assert_ne!(digest, normal_id("41111111111111110000000000000002"));
    }
}
