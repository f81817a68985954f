//! Messages with some of their texts replaced, and everything else as it was written.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use candor_model::Value;

use super::link::{Fld, Kind, Schema, Single};
use super::wire::{Raw, Writer, field};
use super::{Label, Scalar};
use crate::{Budget, DecodeError};

/// A value as it was, and as it shall be.
type Pair<'a> = (&'a Value, &'a Value);

/// What becomes of a member of a message, which may stand in it many times.
enum Member<'a> {
    /// All of it goes.
    Gone,
    /// All of it stays.
    Same,
    /// Some of it changes; so many pieces of it came by.
    Changed { pair: Pair<'a>, seen: usize },
}

/// What differs is no text.
const CHANGED: DecodeError = DecodeError::Mismatch("what changes is no text");

impl Schema {
    /// The value with the texts of `after` where they differ from those of `before`, which is what it was opened as.
    pub(crate) fn patched(
        &self,
        payload: &[u8],
        before: &Value,
        after: &Value,
    ) -> Result<Vec<u8>, DecodeError> {
        self.patched_within(payload, (before, after), &mut Budget::new(payload.len()))
    }

    pub(super) fn patched_within(
        &self,
        payload: &[u8],
        pair: Pair<'_>,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, DecodeError> {
        let (id, message) = self.named_message(payload)?;
        let indexes = payload.get(..payload.len() - message.len()).ok_or(DecodeError::Short)?;
        let mut out = Writer(indexes.to_vec());
        self.patch_message(id, message, pair, &mut out, (budget, 0))?;
        Ok(out.0)
    }

    fn patch_message(
        &self,
        id: usize,
        mut input: &[u8],
        (before, after): Pair<'_>,
        out: &mut Writer,
        (budget, depth): (&mut Budget, usize),
    ) -> Result<(), DecodeError> {
        budget.take(depth)?;
        if budget.same(before, after)? {
            out.0.extend_from_slice(input);
            return Ok(());
        }
        let message = self.messages.get(id).ok_or(DecodeError::NoMessage)?;
        let name = message.full.strip_prefix("google.protobuf.").unwrap_or_default();
        // These are shown as what their one field holds.
        let is_bare = matches!(name, "StringValue" | "Struct" | "ListValue" | "Value");
        if !is_bare && (before.as_object().is_none() || after.as_object().is_none()) {
            return Err(CHANGED);
        }
        let mut members: HashMap<i32, Member<'_>> = HashMap::new();
        while !input.is_empty() {
            let whole = input;
            let (number, raw) = field(&mut input)?;
            let span = whole.get(..whole.len() - input.len()).ok_or(DecodeError::Short)?;
            let Some(own) = message.by_number.get(&number).and_then(|at| message.fields.get(*at)) else {
                out.0.extend_from_slice(span);
                continue;
            };
            // Once a member, not once an item of it: lists are long.
            let member = match members.entry(number) {
                Entry::Occupied(member) => member.into_mut(),
                Entry::Vacant(place) => {
                    let pair = match is_bare {
                        true => Some((before, after)),
                        false => before.get(&own.name).zip(after.get(&own.name)),
                    };
                    place.insert(match pair {
                        // A member of a oneof that a later one took the place of.
                        None => Member::Gone,
                        Some((before, after)) if budget.same(before, after)? => Member::Same,
                        Some(pair) => Member::Changed { pair, seen: 0 },
                    })
                }
            };
            match member {
                Member::Gone => {}
                Member::Same => out.0.extend_from_slice(span),
                Member::Changed { pair, seen } => {
                    let at = *seen;
                    *seen += 1;
                    self.patch_field(own, raw, at, *pair, out, (&mut *budget, depth))?;
                }
            }
        }
        Ok(())
    }

    fn patch_field(
        &self,
        own: &Fld,
        raw: Raw<'_>,
        at: usize,
        (before, after): Pair<'_>,
        out: &mut Writer,
        (budget, depth): (&mut Budget, usize),
    ) -> Result<(), DecodeError> {
        let number = u64::from(own.number.unsigned_abs());
        let of = match own.kind {
            Kind::Map(key, of) => {
                let (_, before) = before.as_object().and_then(|all| all.0.get(at)).ok_or(CHANGED)?;
                let (name, after) = after.as_object().and_then(|all| all.0.get(at)).ok_or(CHANGED)?;
                let Raw::Bytes(entry) = raw else { return Err(CHANGED) };
                let mut inner = Writer::default();
                let name = (key == Scalar::String).then_some(name.as_str());
                self.patch_entry(name, of, entry, (before, after), &mut inner, (budget, depth + 1))?;
                out.bytes(number, &inner.0);
                return Ok(());
            }
            Kind::Scalar(scalar) => Single::Scalar(scalar),
            Kind::Enum(id) => Single::Enum(id),
            Kind::Message(id) => Single::Message(id),
        };
        let (before, after) = match own.label {
            Label::Repeated => {
                let before = before.as_array().and_then(|items| items.get(at)).ok_or(CHANGED)?;
                (before, after.as_array().and_then(|items| items.get(at)).ok_or(CHANGED)?)
            }
            // Pieces of one message cannot be told apart in what it was opened as.
            _ if at > 0 && matches!(of, Single::Message(_)) => return Err(CHANGED),
            _ => (before, after),
        };
        self.patch_single(number, of, raw, (before, after), out, (budget, depth))
    }

    fn patch_single(
        &self,
        number: u64,
        of: Single,
        raw: Raw<'_>,
        (before, after): Pair<'_>,
        out: &mut Writer,
        (budget, depth): (&mut Budget, usize),
    ) -> Result<(), DecodeError> {
        match (of, raw, before, after) {
            (Single::Scalar(Scalar::String), Raw::Bytes(_), Value::Str(_), Value::Str(after)) => {
                out.text(number, after);
                Ok(())
            }
            (Single::Message(id), Raw::Bytes(bytes), ..) => {
                let mut inner = Writer::default();
                self.patch_message(id, bytes, (before, after), &mut inner, (budget, depth + 1))?;
                out.bytes(number, &inner.0);
                Ok(())
            }
            (_, Raw::Bytes(bytes), ..) if budget.same(before, after)? => {
                out.bytes(number, bytes);
                Ok(())
            }
            (_, Raw::Varint(raw), ..) if budget.same(before, after)? => {
                out.number(number, raw as i64);
                Ok(())
            }
            _ => Err(CHANGED),
        }
    }

    /// The entry of a map; its key's new text, where keys are texts.
    fn patch_entry(
        &self,
        name: Option<&str>,
        of: Single,
        mut entry: &[u8],
        pair: Pair<'_>,
        out: &mut Writer,
        (budget, depth): (&mut Budget, usize),
    ) -> Result<(), DecodeError> {
        let (mut values, is_same) = (0, budget.same(pair.0, pair.1)?);
        while !entry.is_empty() {
            let whole = entry;
            let (number, raw) = field(&mut entry)?;
            let span = whole.get(..whole.len() - entry.len()).ok_or(DecodeError::Short)?;
            match (number, name) {
                (1, Some(name)) => out.text(1, name),
                (2, _) if !is_same => {
                    values += 1;
                    if values > 1 {
                        return Err(CHANGED);
                    }
                    self.patch_single(2, of, raw, pair, out, (&mut *budget, depth))?;
                }
                _ => out.0.extend_from_slice(span),
            }
        }
        Ok(())
    }
}
