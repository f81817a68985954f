//! What differs between two policies, and in which direction.

mod context;
mod rules;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value as Json;

use crate::duration::Span;
use crate::flat::{self, Path};
use crate::keys::{self, Key, Order, Takes};
use crate::model::Policy;
use context::Side;

/// Which way a change goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeClass {
    /// Less is done with data: it holds at once.
    Tightening,
    /// More is done with data: it is announced first.
    Loosening,
    /// It cannot be told, or goes both ways: it is announced first.
    Mixed,
    /// What is done with data is the same: it holds at once.
    Neutral,
}

impl ChangeClass {
    /// True for what is announced before it holds.
    pub fn waits(self) -> bool {
        matches!(self, ChangeClass::Loosening | ChangeClass::Mixed)
    }
}

/// A key that has another value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// The key, or the item that came or went.
    pub key: String,
    /// Which way.
    pub class: ChangeClass,
    /// Before; null where it was not there.
    pub old: Json,
    /// After; null where it is not there any more.
    pub new: Json,
    #[serde(skip)]
    path: Path,
}

/// What differs, by key.
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let policies = (old, new);
    let (old, new) = (json(old), json(new));
    let (old_leaves, new_leaves) = (flat::leaves(&old), flat::leaves(&new));
    let paths: BTreeSet<&Path> = old_leaves.keys().chain(new_leaves.keys()).collect();
    let mut changes: Vec<Change> = Vec::new();
    for path in paths {
        let (before, after) = (old_leaves.get(path), new_leaves.get(path));
        if before == after {
            continue;
        }
        // An item that came or went is one change, not one for each of its members.
        let of_item = |change: &Change| {
            path.len() > change.path.len()
                && path.starts_with(&change.path)
                && (change.old.is_null() != change.new.is_null())
        };
        if changes.last().is_some_and(of_item) {
            continue;
        }
        let Some(key) = keys::of(path) else { continue };
        let sides = (Side::new(policies.0, &old_leaves), Side::new(policies.1, &new_leaves));
        let class = match key.takes {
            None => {
                let item = |leaf: Option<&Json>, whole: &Json| {
                    leaf.map_or(Json::Null, |_| at(whole, path).unwrap_or(Json::Bool(true)))
                };
                let change = Change {
                    key: path.join("."),
                    class: match context::item(path, sides, before.is_some()) {
                        Some(class) => class,
                        None => item_class(key, before.is_some()),
                    },
                    old: item(before, &old),
                    new: item(after, &new),
                    path: path.clone(),
                };
                changes.push(change);
                continue;
            }
            Some(takes) => context::leaf(path, key, takes, sides),
        };
        changes.push(Change {
            key: path.join("."),
            class,
            old: before.cloned().unwrap_or_default(),
            new: after.cloned().unwrap_or_default(),
            path: path.clone(),
        });
    }
    changes.extend(rules::order(policies.0, policies.1).map(|(class, old, new)| Change {
        key: "scrub.rule".to_owned(),
        class,
        old: Json::from(old),
        new: Json::from(new),
        path: vec!["scrub".to_owned(), "rule".to_owned()],
    }));
    changes
}

/// The old policy with what the changes make stricter, and with what they change of no matter.
pub fn stricter(old: &Policy, new: &Policy, changes: &[Change]) -> Policy {
    let (mut out, new) = (json(old), json(new));
    for change in changes.iter().filter(|change| !change.class.waits()) {
        let value = at(&new, &change.path);
        put(&mut out, &new, keys::root(), &change.path, value);
    }
    serde_json::from_value(out).unwrap_or_else(|_| old.clone())
}

fn json(policy: &Policy) -> Json {
    serde_json::to_value(policy).unwrap_or_default()
}

/// What stands at a path.
fn at(policy: &Json, path: &[String]) -> Option<Json> {
    let mut shape = keys::root();
    let mut value = policy;
    for name in path {
        value = match (value, &shape.items) {
            (Json::Array(items), Some((id, _))) => {
                items.iter().find(|item| item.get(*id).and_then(Json::as_str) == Some(name))?
            }
            (value, _) => value.get(name)?,
        };
        shape = shape.child(name)?;
    }
    Some(value.clone())
}

/// Puts a value at a path, or takes away what stands there. `like` is the policy that the value is from: a new item
/// stands before those that it stands before there.
fn put(into: &mut Json, like: &Json, shape: &keys::Shape, path: &[String], value: Option<Json>) {
    let Some((name, rest)) = path.split_first() else { return };
    let Some(inner) = shape.child(name) else { return };
    match (into, &shape.items) {
        (Json::Array(items), Some((id, _))) => {
            let is = |item: &Json, name: &str| item.get(*id).and_then(Json::as_str) == Some(name);
            let place = items.iter().position(|item| is(item, name));
            let others = like.as_array().map(Vec::as_slice).unwrap_or_default();
            let other = others.iter().position(|item| is(item, name));
            match (place, rest.is_empty(), value) {
                (Some(place), true, None) => drop(items.remove(place)),
                (Some(place), true, Some(value)) => {
                    if let Some(item) = items.get_mut(place) {
                        *item = value;
                    }
                }
                (None, true, Some(value)) => {
                    let behind = other.and_then(|other| others.get(other + 1..)).unwrap_or_default();
                    let mut names = behind.iter().filter_map(|item| item.get(*id).and_then(Json::as_str));
                    let before = names.find_map(|name| items.iter().position(|item| is(item, name)));
                    items.insert(before.unwrap_or(items.len()), value);
                }
                (Some(place), false, value) => {
                    let like = other.and_then(|other| others.get(other)).unwrap_or(&Json::Null);
                    if let Some(item) = items.get_mut(place) {
                        put(item, like, inner, rest, value);
                    }
                }
                (None, _, _) => {}
            }
        }
        (Json::Object(members), _) => match (rest.is_empty(), value) {
            (true, Some(value)) => drop(members.insert(name.clone(), value)),
            (true, None) => drop(members.remove(name)),
            (false, value) => {
                if let Some(member) = members.get_mut(name) {
                    put(member, like.get(name).unwrap_or(&Json::Null), inner, rest, value);
                }
            }
        },
        _ => {}
    }
}

/// An item that went (`was`) or came.
fn item_class(key: &Key, was: bool) -> ChangeClass {
    match key.order {
        Order::Neutral => ChangeClass::Neutral,
        Order::MoreIsStricter if was => ChangeClass::Loosening,
        Order::MoreIsStricter => ChangeClass::Tightening,
        Order::LessIsStricter if was => ChangeClass::Tightening,
        Order::LessIsStricter => ChangeClass::Loosening,
        _ => ChangeClass::Mixed,
    }
}

/// Which way a value goes.
fn class(key: &Key, takes: Takes, old: Option<&Json>, new: Option<&Json>) -> ChangeClass {
    if key.order == Order::Neutral || old == new {
        return ChangeClass::Neutral;
    }
    // A value that was not there, or is not any more, leaves open what holds.
    let (Some(old), Some(new)) = (old, new) else { return ChangeClass::Mixed };
    let by_size = |old: f64, new: f64| match key.order {
        Order::LessIsStricter if new < old => ChangeClass::Tightening,
        Order::LessIsStricter => ChangeClass::Loosening,
        Order::MoreIsStricter if new > old => ChangeClass::Tightening,
        Order::MoreIsStricter => ChangeClass::Loosening,
        _ => ChangeClass::Mixed,
    };
    match (takes, key.order) {
        (Takes::Word(words), Order::FirstIsStrictest) => {
            let rank = |value: &Json| words.iter().position(|word| Some(*word) == value.as_str());
            match rank(new) < rank(old) {
                true => ChangeClass::Tightening,
                false => ChangeClass::Loosening,
            }
        }
        (Takes::Bool, Order::TrueIsStricter | Order::FalseIsStricter) => {
            match (new == &Json::Bool(true)) == (key.order == Order::TrueIsStricter) {
                true => ChangeClass::Tightening,
                false => ChangeClass::Loosening,
            }
        }
        (Takes::Int(..) | Takes::Number(_), _) => {
            by_size(old.as_f64().unwrap_or_default(), new.as_f64().unwrap_or_default())
        }
        (Takes::Span, _) => {
            let seconds = |value: &Json| {
                value.as_str().and_then(|text| text.parse::<Span>().ok()).map_or(0, |span| span.seconds())
            };
            match seconds(old) == seconds(new) {
                true => ChangeClass::Neutral,
                false => by_size(seconds(old) as f64, seconds(new) as f64),
            }
        }
        (Takes::Words(_) | Takes::Texts | Takes::Terms(_), Order::LessIsStricter | Order::MoreIsStricter) => {
            let set = |value: &Json| -> BTreeSet<String> {
                value.as_array().into_iter().flatten().filter_map(Json::as_str).map(str::to_owned).collect()
            };
            let (old, new) = (set(old), set(new));
            match (new.is_subset(&old), old.is_subset(&new), key.order) {
                (true, true, _) => ChangeClass::Neutral,
                (true, false, Order::LessIsStricter) | (false, true, Order::MoreIsStricter) => {
                    ChangeClass::Tightening
                }
                (false, true, Order::LessIsStricter) | (true, false, Order::MoreIsStricter) => {
                    ChangeClass::Loosening
                }
                _ => ChangeClass::Mixed,
            }
        }
        _ => ChangeClass::Mixed,
    }
}
