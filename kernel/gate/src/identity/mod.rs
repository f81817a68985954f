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

pub(crate) use found::{Codes, Found, Removed};
pub(crate) use repeats::{IDENTIFIERS_MAX, Repeats};

use std::net::IpAddr;

use candor_keyring::Keyring;
use candor_model::{ErrorRecord, LogRecord, Object, ProjectId, SpanRecord, SubjectKind, Value};
use candor_scrub::Counts;

use crate::policy::Compiled;
use found::Coder;
use names::Class;
use walk::{Keep, Walker};

/// What stands where an address was.
pub(crate) const ADDRESS_PLACEHOLDER: &str = "[ip]";

/// Finds the identifiers of the records of one batch.
pub(crate) struct Finder<'a> {
    coder: Coder<'a>,
}

impl<'a> Finder<'a> {
    /// `ip` is where the request came from.
    pub(crate) fn new(
        keyring: &'a Keyring,
        policy: &'a Compiled,
        project: ProjectId,
        site: Option<&'a str>,
        ip: Option<IpAddr>,
    ) -> Finder<'a> {
        Finder { coder: Coder::new(keyring, policy, project, site, ip) }
    }

    /// True for a name that tells of a person.
    pub(crate) fn tells_of_person(&mut self, name: &str) -> bool {
        self.coder.may_say(name) && self.coder.class(name) != Class::Plain
    }

    /// The key of the policy that says what becomes of what stands at a place.
    pub(crate) fn clause(&mut self, place: &str) -> &'static str {
        match self.coder.class(place) {
            Class::Identifier(SubjectKind::Device) => "collect.device_ids",
            Class::Address => "collect.ip",
            Class::Trait => "collect.unknown_fields.user_traits",
            Class::Agent(_) => "collect.user_agent",
            Class::Place(_) => "collect.location",
            Class::Identifier(_) | Class::Person | Class::Plain => "identity.keys",
        }
    }

    /// Gives codes for what rules pseudonymise in a record.
    pub(crate) fn codes<'f>(&'f mut self, found: &'f mut Found) -> Codes<'f, 'a> {
        Codes { coder: &mut self.coder, found }
    }

    /// Notes a person whom a policy's own key names.
    pub(crate) fn take(&mut self, value: &Value, found: &mut Found) {
        if let Some(text) = scalar_text(value) {
            let _ = self.coder.take(SubjectKind::User, &text, &mut Counts::new(), found);
        }
    }

    pub(crate) fn log(&mut self, record: &mut LogRecord, found: &mut Found, counts: &mut Counts) {
        self.walk(found, counts, |walker| {
            walker.members(&mut record.attributes, "", Keep::Row);
            walker.value(&mut record.body, "", Keep::Event);
        })
    }

    pub(crate) fn span(&mut self, record: &mut SpanRecord, found: &mut Found, counts: &mut Counts) {
        self.walk(found, counts, |walker| {
            walker.members(&mut record.attributes, "", Keep::Row);
            walker.text(&mut record.name, "");
        })
    }

    pub(crate) fn error(&mut self, record: &mut ErrorRecord, found: &mut Found, counts: &mut Counts) {
        self.walk(found, counts, |walker| {
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
        let mut walker = Walker::new(&mut self.coder, &mut counts, found);
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
        if name.is_some_and(|name| self.coder.may_say(name)) {
            return self.note(name, Value::from(text), found);
        }
        let mut counts = Counts::new();
        let mut walker = Walker::new(&mut self.coder, &mut counts, found);
        walker.embedded(text, "", false);
    }

    fn walk(&mut self, found: &mut Found, counts: &mut Counts, walk: impl FnOnce(&mut Walker<'_, 'a>)) {
        walk(&mut Walker::new(&mut self.coder, counts, found));
        found.order();
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
