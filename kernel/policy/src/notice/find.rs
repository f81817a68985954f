//! Where keys of the register stand in a policy.

use serde_json::Value as Json;

use crate::flat::Path;
use crate::keys::{self, Key};

/// A place of a policy that a key of the register is for.
#[derive(Debug, Clone)]
pub(super) struct Instance<'a> {
    pub(super) key: &'static Key,
    pub(super) path: Path,
    /// Its value; none where it is not there.
    pub(super) value: Option<&'a Json>,
    /// The place of its item in its list.
    pub(super) index: usize,
}

impl Instance<'_> {
    /// The name of the item, or the free name, that it stands under.
    pub(super) fn name(&self) -> Option<&str> {
        let segments = self.key.path.split('.').zip(&self.path);
        segments.filter(|(segment, _)| is_name(segment)).last().map(|(_, name)| name.as_str())
    }
}

/// True for `[id]` and `{topic}`.
pub(super) fn is_name(segment: &str) -> bool {
    segment.starts_with(['[', '{'])
}

/// The places of a key.
pub(super) fn instances<'a>(policy: &'a Json, key: &'static Key) -> Vec<Instance<'a>> {
    let segments: Vec<&str> = key.path.split('.').collect();
    let mut found = Vec::new();
    walk(policy, &segments, key, (&mut Vec::new(), 0), &mut found);
    // `rights.deadline.default` is a key of its own.
    found.retain(|instance| keys::of(&instance.path).map(|found| found.path) == Some(key.path));
    found
}

fn walk<'a>(
    value: &'a Json,
    segments: &[&str],
    key: &'static Key,
    (path, index): (&mut Path, usize),
    found: &mut Vec<Instance<'a>>,
) {
    let Some((first, rest)) = segments.split_first() else {
        found.push(Instance { key, path: path.clone(), value: Some(value), index });
        return;
    };
    if let Some(id) = first.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        for (place, item) in value.as_array().into_iter().flatten().enumerate() {
            path.push(item.get(id).and_then(Json::as_str).unwrap_or_default().to_owned());
            walk(item, rest, key, (path, place), found);
            path.pop();
        }
    } else if is_name(first) {
        for (place, (name, member)) in value.as_object().into_iter().flatten().enumerate() {
            path.push(name.clone());
            walk(member, rest, key, (path, place), found);
            path.pop();
        }
    } else {
        path.push((*first).to_owned());
        match value.get(*first) {
            Some(member) => walk(member, rest, key, (path, index), found),
            None if rest.is_empty() => {
                found.push(Instance { key, path: path.clone(), value: None, index });
            }
            None => {}
        }
        path.pop();
    }
}

/// What a sentence about one place says of another key: the same items, its own member.
pub(super) fn beside<'a>(policy: &'a Json, of: &Path, pattern: &str) -> Option<(Path, Option<&'a Json>)> {
    let mut path = Path::new();
    let mut at = Some(policy);
    for (index, segment) in pattern.split('.').enumerate() {
        if let Some(id) = segment.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
            let name = of.get(index)?;
            path.push(name.clone());
            at = at.and_then(|list| {
                list.as_array()?.iter().find(|item| item.get(id).and_then(Json::as_str) == Some(name))
            });
        } else {
            let name = if is_name(segment) { of.get(index)?.as_str() } else { segment };
            path.push(name.to_owned());
            at = at.and_then(|table| table.get(name));
        }
    }
    Some((path, at))
}
