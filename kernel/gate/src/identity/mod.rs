//! Direct identifiers leave the record: codes stay, values go to the vault.
//!
//! Two passes over a batch. The first finds identifiers by the names that they stand under (see [`names`]). The
//! second looks for the same values in every text of the batch, because what is called `user.email` in one field is
//! written into the message in the next. What stands under no telling name and is repeated nowhere is left to the
//! detectors of `scrub` and the rules of a policy: names cannot be told from words by looking.

mod embedded;
mod found;
mod names;
mod repeats;
mod walk;

pub(crate) use found::{Found, Removed};
pub(crate) use repeats::{IDENTIFIERS_MAX, Repeats};

use candor_keyring::Keyring;
use candor_model::{ErrorRecord, LogRecord, Object, ProjectId, SpanRecord, Value};
use candor_scrub::{Counts, Scrubber};

use crate::policy::{Compiled, UnknownFields};
use found::Coder;
use walk::{Keep, Walker};

/// What stands where an address was.
pub(crate) const ADDRESS_PLACEHOLDER: &str = "[ip]";

/// Finds the identifiers of the records of one batch.
pub(crate) struct Finder<'a> {
    coder: Coder<'a>,
    user_traits: UnknownFields,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(
        keyring: &'a Keyring,
        policy: &'a Compiled,
        project: ProjectId,
        site: Option<&'a str>,
    ) -> Finder<'a> {
        let scrubber: &Scrubber = &policy.scrubber;
        Finder { coder: Coder::new(keyring, scrubber, project, site), user_traits: policy.user_traits }
    }

    pub(crate) fn log(&mut self, record: &mut LogRecord, counts: &mut Counts) -> Found {
        self.walk(counts, |walker| {
            walker.members(&mut record.attributes, "", Keep::Row);
            walker.value(&mut record.body, "", Keep::Event);
        })
    }

    pub(crate) fn span(&mut self, record: &mut SpanRecord, counts: &mut Counts) -> Found {
        self.walk(counts, |walker| {
            walker.members(&mut record.attributes, "", Keep::Row);
            walker.text(&mut record.name, "");
        })
    }

    pub(crate) fn error(&mut self, record: &mut ErrorRecord, counts: &mut Counts) -> Found {
        self.walk(counts, |walker| {
            // Who the event is about is named before anybody else in it. It is set aside for the rest of the walk,
            // which would take the codes for identifiers.
            let user = |event: &mut Value| event.as_object_mut()?.get_mut("user").map(std::mem::take);
            let mut named = user(&mut record.event);
            if let Some(named) = &mut named {
                let mut event = Object::from_iter([("user".to_owned(), std::mem::take(named))]);
                walker.members(&mut event, "", Keep::Event);
                *named = event.remove("user").unwrap_or_default();
            }
            walker.value(&mut record.event, "", Keep::Event);
            if let (Some(event), Some(named)) = (record.event.as_object_mut(), named) {
                event.insert("user", named);
            }
        })
    }

    /// Notes whom a part of a stream's record names, where it stands under a name or under none. What is left of the
    /// value is nothing to keep: streams keep their values as they are.
    pub(crate) fn note(&mut self, name: Option<&str>, value: Value, found: &mut Found) {
        // What a rule strikes has been counted where it is replaced.
        let mut counts = Counts::new();
        let mut walker = Walker::new(&mut self.coder, self.user_traits, &mut counts, found);
        match (name, value) {
            (Some(name), value) => {
                let mut object = Object::from_iter([(name.to_owned(), value)]);
                walker.members(&mut object, "", Keep::Event);
            }
            (None, mut value) => walker.value(&mut value, "", Keep::Event),
        }
    }

    /// The same of text; it is copied only where something may be in it.
    pub(crate) fn note_text(&mut self, name: Option<&str>, text: &str, found: &mut Found) {
        if name.is_some_and(names::may_identify) {
            return self.note(name, Value::from(text), found);
        }
        let mut counts = Counts::new();
        let mut walker = Walker::new(&mut self.coder, self.user_traits, &mut counts, found);
        walker.embedded(text, "", false);
    }

    fn walk(&mut self, counts: &mut Counts, walk: impl FnOnce(&mut Walker<'_, 'a>)) -> Found {
        let mut found = Found::default();
        let mut walker = Walker::new(&mut self.coder, self.user_traits, counts, &mut found);
        walk(&mut walker);
        found.order();
        found
    }
}

/// True for a member of an event that identifies nobody and must stay as it is, whatever else equals it.
pub(crate) fn is_structural(member: &str) -> bool {
    matches!(
        member,
        "event_id"
            | "timestamp"
            | "start_timestamp"
            | "level"
            | "platform"
            | "type"
            | "release"
            | "dist"
            | "environment"
            | "sdk"
            | "modules"
            | "debug_meta"
            | "fingerprint"
    )
}

/// The text of a scalar that can be an identifier; none for what is empty or no scalar.
fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) if text.trim().is_empty() => None,
        Value::Str(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) | Value::BigInt(_) => {
            Some(value.to_text())
        }
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
