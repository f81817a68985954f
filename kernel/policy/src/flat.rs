//! A policy as pairs of path and value, items of lists by their names: what two policies are compared by.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::keys::{Shape, shape};
use crate::tree::{Node, Value};

/// A path.
pub(crate) type Path = Vec<String>;

/// The leaves of a policy's JSON, and its items (with null).
pub(crate) fn leaves(policy: &Json) -> BTreeMap<Path, Json> {
    let mut found = BTreeMap::new();
    walk(policy, shape(), &mut Vec::new(), &mut found);
    found
}

fn walk(value: &Json, shape: &Shape, path: &mut Path, found: &mut BTreeMap<Path, Json>) {
    match (value, &shape.items) {
        (Json::Null, _) => {}
        (Json::Array(items), Some((id, inner))) => {
            for item in items {
                let name = item.get(*id).and_then(Json::as_str).unwrap_or_default();
                path.push(name.to_owned());
                found.insert(path.clone(), Json::Null);
                walk(item, inner, path, found);
                path.pop();
            }
        }
        (Json::Object(members), None) if shape.key.is_none_or(|key| key.takes.is_none()) => {
            if shape.key.is_some() {
                found.insert(path.clone(), Json::Null);
            }
            for (name, member) in members {
                if let Some(inner) = shape.child(name) {
                    path.push(name.clone());
                    walk(member, inner, path, found);
                    path.pop();
                }
            }
        }
        _ => {
            found.insert(path.clone(), value.clone());
        }
    }
}

/// The leaves of a tree with the nodes that they are.
pub(crate) fn nodes(root: &Node) -> BTreeMap<Path, &Node> {
    let mut found = BTreeMap::new();
    walk_nodes(root, shape(), &mut Vec::new(), &mut found);
    found
}

fn walk_nodes<'a>(node: &'a Node, shape: &Shape, path: &mut Path, found: &mut BTreeMap<Path, &'a Node>) {
    match (&node.value, &shape.items) {
        (Value::List(items), Some((id, inner))) => {
            for item in items {
                let name = item.table().and_then(|members| members.get(*id)?.text()).unwrap_or_default();
                path.push(name.to_owned());
                found.insert(path.clone(), item);
                walk_nodes(item, inner, path, found);
                path.pop();
            }
        }
        (Value::Table(members), None) if shape.key.is_none_or(|key| key.takes.is_none()) => {
            for (name, member) in members {
                if let Some(inner) = shape.child(name) {
                    path.push(name.clone());
                    walk_nodes(member, inner, path, found);
                    path.pop();
                }
            }
        }
        _ => {
            found.insert(path.clone(), node);
        }
    }
}
