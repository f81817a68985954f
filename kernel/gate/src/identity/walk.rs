//! The walk through a record that takes identifiers out by the names they stand under.

use candor_model::json::{self, Leniency};
use candor_model::{Object, SubjectKind, Value};
use candor_scrub::Counts;

use super::found::{Coder, Found, placeholder};
use super::names::{Agent, Class};
use super::scalar_text;
use crate::collect::{agent, place};
use crate::policy::{AgentRule, DeviceRule, UnknownFields};

/// What Sentry's SDKs send for "the address that the request came from".
const AUTOMATIC_ADDRESS: &str = "{{auto}}";

/// What happens at the place of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keep {
    /// An attribute of a row: it leaves; `subjects` tells of it.
    Row,
    /// A member of an event, which people look at: the code takes its place.
    Event,
}

pub(super) struct Walker<'w, 'a> {
    coder: &'w mut Coder<'a>,
    counts: &'w mut Counts,
    found: &'w mut Found,
    /// How many texts are around what is walked.
    pub(super) depth: u8,
}

impl<'w, 'a> Walker<'w, 'a> {
    pub(super) fn new(
        coder: &'w mut Coder<'a>,
        counts: &'w mut Counts,
        found: &'w mut Found,
    ) -> Walker<'w, 'a> {
        Walker { coder, counts, found, depth: 0 }
    }

    /// A number that grows with everything that is changed.
    pub(super) fn work(&self) -> u64 {
        self.found.removed.total() + self.counts.total()
    }

    /// Scrubs what was read out of a text by the names that are plain there alone.
    pub(super) fn scrub(&mut self, value: &mut Value) {
        self.coder.scrubber().scrub_value(value, None, self.counts);
    }

    /// Walks the members of an object that stands at `path`.
    pub(super) fn members(&mut self, object: &mut Object, path: &str, keep: Keep) {
        // Most names say nothing, alone or with what is above them: no path is put together for those.
        let telling_parent = self.coder.may_say(path.rsplit('.').next().unwrap_or(""));
        object.0.retain_mut(|(key, value)| {
            let class = if telling_parent || self.coder.may_say(key) {
                self.coder.class(&join(path, key))
            } else {
                Class::Plain
            };
            match value {
                Value::Array(_) | Value::Object(_) => {}
                Value::Str(text) if class == Class::Plain => {
                    self.text(text, key);
                    return true;
                }
                _ if class == Class::Plain => return true,
                _ => {}
            }
            self.member(class, key, value, path, keep)
        });
    }

    /// Handles one member; false where it leaves.
    fn member(&mut self, class: Class, key: &str, value: &mut Value, path: &str, keep: Keep) -> bool {
        match class {
            Class::Identifier(SubjectKind::Device)
                if self.coder.collect().device_ids != DeviceRule::Pseudonym && is_scalar(value) =>
            {
                self.device_id(value, keep)
            }
            Class::Identifier(kind) => self.identifier(kind, value, path, key, keep),
            Class::Agent(part) => self.agent(part, value, path, key, keep),
            Class::Place(how_fine) if is_scalar(value) => {
                let before = value.clone();
                let stays = place::coarsen(self.coder.collect().location, how_fine, value);
                self.found.removed.coarse += u64::from(!stays || *value != before);
                stays
            }
            Class::Place(_) => {
                self.value(value, &join(path, key), keep);
                true
            }
            Class::Address => self.address(value, path, key, keep),
            Class::Person => self.person(value, path, key, keep),
            Class::Trait => match (self.coder.collect().user_traits, &value) {
                (UnknownFields::Drop, _) => {
                    self.found.removed.traits += 1;
                    false
                }
                (UnknownFields::Scrub, Value::Array(_) | Value::Object(_)) => {
                    self.value(value, &join(path, key), keep);
                    true
                }
                (UnknownFields::Scrub, _) => true,
            },
            Class::Plain => {
                let had_members = !is_empty(value);
                self.value(value, &join(path, key), keep);
                keep == Keep::Event || !had_members || !is_empty(value)
            }
        }
    }

    /// Walks whatever stands at `path`.
    pub(super) fn value(&mut self, value: &mut Value, path: &str, keep: Keep) {
        match value {
            Value::Object(object) => self.object(object, path, keep),
            Value::Array(items) => items.retain_mut(|item| self.item(item, path, keep)),
            Value::Str(text) => self.text(text, path),
            _ => {}
        }
    }

    fn object(&mut self, object: &mut Object, path: &str, keep: Keep) {
        if !self.named_pair(object, path, keep) {
            self.members(object, path, keep);
        }
    }

    /// An item of a list; false where it leaves. Headers and tags come as `["name", "value"]` too.
    fn item(&mut self, item: &mut Value, path: &str, keep: Keep) -> bool {
        if let Value::Array(pair) = item
            && let [Value::Str(key), value] = pair.as_mut_slice()
        {
            let class = self.coder.class(&join(path, key));
            let key = key.clone();
            return self.member(class, &key, value, path, keep);
        }
        self.value(item, path, keep);
        true
    }

    /// `{"key": "user.id", "value": "7"}`, as tags and OTLP's JSON attributes come. False where it is no such pair.
    fn named_pair(&mut self, object: &mut Object, path: &str, keep: Keep) -> bool {
        if object.len() != 2 {
            return false;
        }
        let Some(key) = object.get("key").and_then(Value::as_str).map(str::to_owned) else { return false };
        let Some(value) = object.get_mut("value") else { return false };
        let class = self.coder.class(&join(path, &key));
        if !self.member(class, &key, value, path, keep) {
            *value = Value::Null;
        }
        true
    }

    fn identifier(
        &mut self,
        kind: SubjectKind,
        value: &mut Value,
        path: &str,
        key: &str,
        keep: Keep,
    ) -> bool {
        match value {
            // `session: {id: {…}}`: not an identifier itself, but it may hold some.
            Value::Object(_) => {
                self.value(value, &join(path, key), keep);
                true
            }
            // `http.request.header.x-user-id: ["7"]`, as OpenTelemetry writes headers.
            Value::Array(items) => {
                items.retain_mut(|item| self.identifier(kind, item, path, key, keep));
                !items.is_empty()
            }
            scalar => {
                let Some(text) = scalar_text(scalar) else { return true };
                if kind == SubjectKind::Email && !text.contains('@') && !is_of_user(path, key) {
                    // `notifications.email: "enabled"` names a channel, not a person.
                    return true;
                }
                let replacement = self.coder.take(kind, &text, self.counts, self.found);
                let stays = keep == Keep::Event || matches!(replacement, super::found::Replacement::Text(_));
                *scalar = Value::Str(replacement.into_text());
                stays
            }
        }
    }

    fn address(&mut self, value: &mut Value, path: &str, key: &str, keep: Keep) -> bool {
        match value {
            Value::Object(_) => {
                self.value(value, &join(path, key), keep);
                true
            }
            // `forwarded: 3` counts something.
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::UInt(_) | Value::Float(_) => true,
            Value::Str(text) if text.is_empty() => true,
            other => {
                let text = match &*other {
                    Value::Array(items) => items.iter().map(Value::to_text).collect::<Vec<_>>().join(", "),
                    other => other.to_text(),
                };
                let sent = Some(text.as_str()).filter(|text| text.trim() != AUTOMATIC_ADDRESS);
                match self.coder.address(sent, self.found) {
                    Some(instead) => {
                        *other = Value::Str(instead);
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// An id of a device that makes no code.
    fn device_id(&mut self, value: &mut Value, keep: Keep) -> bool {
        if self.coder.collect().device_ids == DeviceRule::Keep && !self.found.is_anonymous() {
            return true;
        }
        if scalar_text(value).is_none() {
            return true;
        }
        self.found.removed.identifiers += 1;
        *value = Value::Str(placeholder(SubjectKind::Device));
        keep == Keep::Event
    }

    /// What a browser or client calls itself; false where it leaves.
    fn agent(&mut self, part: Agent, value: &mut Value, path: &str, key: &str, keep: Keep) -> bool {
        let drops = self.coder.collect().agent == AgentRule::Drop || part == Agent::Detail;
        match value {
            Value::Object(_) => {
                self.value(value, &join(path, key), keep);
                true
            }
            // `http.request.header.user-agent: ["…"]`, as OpenTelemetry writes headers.
            Value::Array(items) => {
                items.retain_mut(|item| self.agent(part, item, path, key, keep));
                !items.is_empty()
            }
            Value::Null => true,
            _ if drops => {
                self.found.removed.coarse += 1;
                false
            }
            _ if part == Agent::Family => true,
            scalar => {
                let text = scalar.to_text();
                let coarse = match part {
                    Agent::Version => agent::major(&text).unwrap_or_default().to_owned(),
                    _ => agent::family(&text),
                };
                if coarse == text {
                    return true;
                }
                self.found.removed.coarse += 1;
                let stays = !coarse.is_empty();
                *scalar = Value::Str(coarse);
                stays
            }
        }
    }

    /// `user: {…}`, or `user: "alice"`, or Sentry's tag `user: "id:7"`.
    fn person(&mut self, value: &mut Value, path: &str, key: &str, keep: Keep) -> bool {
        match value {
            Value::Object(object) => {
                let had_members = !object.is_empty();
                self.members(object, &join(path, key), keep);
                keep == Keep::Event || !had_members || !object.is_empty()
            }
            Value::Array(_) => {
                self.value(value, &join(path, key), keep);
                true
            }
            Value::Str(text) if text.trim_start().starts_with('{') => {
                // Of JSON that was cut, what was not read would stay.
                let is_whole = json::parse(text.as_bytes(), Leniency::LENIENT).is_ok();
                let clean = if is_whole { self.embedded(text, &join(path, key), false) } else { None };
                match clean {
                    Some(clean) => {
                        *text = clean;
                        true
                    }
                    None => self.identifier(SubjectKind::Name, value, path, key, keep),
                }
            }
            Value::Str(text) => match tagged(text) {
                Some(Tagged::Address(address)) => {
                    let instead = self.coder.address(Some(&address), self.found);
                    *value = instead.map_or(Value::Null, Value::Str);
                    true
                }
                Some(Tagged::Identifier(kind, id)) => {
                    let mut id = Value::from(id);
                    let stays = self.identifier(kind, &mut id, path, key, keep);
                    *value = id;
                    stays
                }
                None => {
                    let kind = if text.contains('@') { SubjectKind::Email } else { SubjectKind::Name };
                    self.identifier(kind, value, path, key, keep)
                }
            },
            Value::Int(_) | Value::UInt(_) | Value::BigInt(_) => {
                self.identifier(SubjectKind::User, value, path, key, keep)
            }
            Value::Null | Value::Bool(_) | Value::Float(_) => true,
        }
    }
}

/// True where a name says that it is a user's.
fn is_of_user(path: &str, key: &str) -> bool {
    let path = join(path, key).to_ascii_lowercase();
    path.contains("user") || path.contains("usr")
}

fn is_scalar(value: &Value) -> bool {
    !matches!(value, Value::Object(_) | Value::Array(_))
}

/// True for an object or a list without members.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(object) => object.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

enum Tagged {
    Identifier(SubjectKind, String),
    Address(String),
}

/// Sentry's tag `user` names its kind before a colon.
fn tagged(text: &str) -> Option<Tagged> {
    let (kind, id) = text.split_once(':')?;
    let kind = match kind {
        "id" => SubjectKind::User,
        "email" => SubjectKind::Email,
        "username" => SubjectKind::Name,
        "ip" => return Some(Tagged::Address(id.to_owned())),
        _ => return None,
    };
    Some(Tagged::Identifier(kind, id.to_owned()))
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
