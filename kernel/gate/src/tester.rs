//! What a policy makes of a record, step by step, for whoever tries it out.

use std::collections::HashMap;

use candor_model::{Incoming, Origin, Records, Value};
use candor_scrub::{Action, Remarks, Scrubber};

use crate::clear::{By, Clearing, NO_ACTIVITY, Record};
use crate::identity::{Found, Repeats};

/// Changes told of one record.
const CHANGES_MAX: usize = 1000;

/// What became of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// As it came.
    pub before: Value,
    /// As it would be stored; none where it would be dropped.
    pub after: Option<Value>,
    /// Why it would be dropped, as reports call it: `policy:consent`.
    pub dropped: Option<&'static str>,
    /// What changed, in the order of the clauses; the first 1000.
    pub changes: Vec<Change>,
    /// The codes of the persons that it is about, and that it names.
    pub subjects: Vec<String>,
}

/// What a clause did at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where: `user.email`, `exception.values.0.value`.
    pub place: String,
    /// The key of the policy: `collect.ip`, `scrub.rule.payment`.
    pub clause: String,
    /// It went; else something took its place.
    pub is_removed: bool,
}

/// Tries records out.
pub(crate) fn test(by: By<'_>, incoming: Incoming) -> Vec<Tested> {
    match incoming.records {
        Records::Logs(records) => each(by, records, &incoming.origin),
        Records::Spans(records) => each(by, records, &incoming.origin),
        Records::Errors(records) => each(by, records, &incoming.origin),
    }
}

fn each<R: Record>(by: By<'_>, records: Vec<R>, origin: &Origin) -> Vec<Tested> {
    records.into_iter().map(|record| one(by, record, origin)).collect()
}

fn one<R: Record>(by: By<'_>, mut record: R, origin: &Origin) -> Tested {
    let before = record.shown();
    let dropped = |before, reason| Tested {
        before,
        after: None,
        dropped: Some(reason),
        changes: Vec::new(),
        subjects: Vec::new(),
    };
    let Some(activity) = by.policy.activities().of(R::SIGNAL) else { return dropped(before, NO_ACTIVITY) };
    let mut clearing = Clearing::new(by, R::SIGNAL, activity, origin);
    let Some(stance) = clearing.admit(&mut record) else {
        return dropped(before, clearing.first_reason());
    };
    let mut found = Found::new(stance.identifies);
    let mut told = Told { was: before.clone(), changes: Vec::new() };
    let is_done = clearing.attempt(|clearing| {
        let country = clearing.stated_country(&record, stance);
        clearing.drop_unknown(&mut record);
        told.step(record.shown(), &mut |_| "collect.unknown_fields");
        clearing.identify(&mut record, &mut found);
        told.step(record.shown(), &mut |place| clearing.clause(place, stance));
        if let Some(country) = country {
            // Something new is no change of what came.
            record.note_country(&country);
            told.was = record.shown();
        }
        let mut remarks = Remarks::new();
        let fate = clearing.scrub(&mut record, &mut found, Some(&mut remarks));
        told.remark(&by.policy.scrubber, &remarks);
        told.was = record.shown();
        let mut repeats = Repeats::default();
        repeats.add(&found);
        if !repeats.is_empty() {
            record.replace(&repeats, &mut found);
            told.step(record.shown(), &mut |place| clearing.clause(place, stance));
        }
        fate
    });
    if !is_done {
        return dropped(before, clearing.first_reason());
    }
    let subjects = found.subjects().map(str::to_owned).collect();
    Tested { before, after: Some(told.was), dropped: None, changes: told.changes, subjects }
}

/// Names the clause of a change by its place.
type Clause<'c> = &'c mut dyn FnMut(&str) -> &'static str;

/// What is told of a record.
struct Told {
    /// The record after the last step.
    was: Value,
    changes: Vec<Change>,
}

impl Told {
    /// Tells what a step changed.
    fn step(&mut self, is: Value, clause: Clause<'_>) {
        let was = std::mem::replace(&mut self.was, Value::Null);
        self.compare(&was, &is, "", clause);
        self.was = is;
    }

    fn compare(&mut self, was: &Value, is: &Value, place: &str, clause: Clause<'_>) {
        if was == is || self.changes.len() >= CHANGES_MAX {
            return;
        }
        let within = |name: &str| match place {
            "" => name.to_owned(),
            place => format!("{place}.{name}"),
        };
        match (was, is) {
            // Names may have been scrubbed, too.
            (Value::Object(was), Value::Object(is)) if was.len() == is.len() => {
                for ((name, was), (_, is)) in was.iter().zip(is.iter()) {
                    self.compare(was, is, &within(name), clause);
                }
            }
            (Value::Object(was), Value::Object(is)) => {
                let is: HashMap<&str, &Value> = is.iter().collect();
                for (name, was) in was.iter() {
                    match is.get(name) {
                        Some(is) => self.compare(was, is, &within(name), clause),
                        None => self.note(&within(name), true, clause(&within(name)).to_owned()),
                    }
                }
            }
            (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
                for (at, (was, is)) in was.iter().zip(is).enumerate() {
                    self.compare(was, is, &within(&at.to_string()), clause);
                }
            }
            _ => self.note(place, false, clause(place).to_owned()),
        }
    }

    /// Tells what rules did.
    fn remark(&mut self, scrubber: &Scrubber, remarks: &Remarks) {
        for remark in remarks.iter() {
            let rule = scrubber.rules().rules.get(remark.rule).map_or("", |rule| rule.id.as_str());
            let is_removed = remark.action == Action::DropField.name();
            self.note(&remark.path, is_removed, format!("scrub.rule.{rule}"));
        }
    }

    fn note(&mut self, place: &str, is_removed: bool, clause: String) {
        if self.changes.len() < CHANGES_MAX {
            self.changes.push(Change { place: place.to_owned(), clause, is_removed });
        }
    }
}
