//! A file laid over the preset that it extends.
//!
//! Tables merge member by member, lists of tables item by item; any other list takes the place of the preset's. A signal
//! that an activity of the file names leaves the preset's activities, and one that has none left goes. Rules of the file
//! stand before those of the preset.

use std::collections::{BTreeMap, BTreeSet};

use crate::keys::{Shape, shape};
use crate::tree::{Node, Value};

/// Lays a file over a preset. What the file does without leaves the preset first, so that an item can be replaced whole.
pub(crate) fn over(mut preset: Node, file: Node) -> Node {
    if let Value::Table(members) = &mut preset.value {
        for node in without(&file) {
            remove(members, node.text().unwrap_or_default(), shape());
        }
        take_signals(members, &file);
    }
    merge(preset, file, shape())
}

/// What a file does without that its preset does not have.
pub(crate) fn missing<'a>(preset: &Node, file: &'a Node) -> Vec<&'a Node> {
    let Value::Table(mut members) = preset.value.clone() else { return Vec::new() };
    let is_missing = |node: &&Node| node.text().is_some_and(|path| !remove(&mut members, path, shape()));
    without(file).iter().filter(is_missing).collect()
}

/// Takes the signals that the file's activities name out of the preset's, and activities that have none left.
fn take_signals(preset: &mut BTreeMap<String, Node>, file: &Node) {
    let (named, own) = (signals(file), activities(file));
    let Some(Node { value: Value::List(items), .. }) = preset.get_mut("activity") else { return };
    items.retain_mut(|item| {
        let is_own = name_of(item, "id").is_some_and(|id| own.contains(id));
        let Value::Table(activity) = &mut item.value else { return true };
        let Some(Node { value: Value::List(list), .. }) = activity.get_mut("signals") else { return true };
        let before = list.len();
        list.retain(|signal| signal.text().is_none_or(|signal| !named.contains(signal)));
        // One that the file names, too, stays: whether it has signals left is for the lint to say.
        is_own || !list.is_empty() || before == 0
    });
}

fn merge(below: Node, above: Node, shape: &Shape) -> Node {
    let Node { value, span, file } = above;
    let value = match (below.value, value, &shape.items) {
        (Value::List(below), Value::List(above), Some((id, inner))) => {
            Value::List(merge_items(below, above, id, inner))
        }
        (Value::Table(mut below), Value::Table(above), _) => {
            for (name, node) in above {
                let node = match (below.remove(&name), shape.child(&name)) {
                    (Some(under), Some(inner)) => merge(under, node, inner),
                    _ => node,
                };
                below.insert(name, node);
            }
            Value::Table(below)
        }
        (_, value, _) => value,
    };
    Node { value, span, file }
}

fn merge_items(mut below: Vec<Node>, above: Vec<Node>, id: &str, inner: &Shape) -> Vec<Node> {
    // The first rule that holds decides: behind the preset's, a file's own would change nothing.
    let goes_first = inner.key.is_some_and(|key| key.path == "scrub.rule.[id]");
    let mut front = 0;
    for item in above {
        let place = below
            .iter()
            .position(|under| name_of(under, id).is_some() && name_of(under, id) == name_of(&item, id));
        match place {
            Some(place) => {
                let under = below.remove(place);
                below.insert(place, merge(under, item, inner));
            }
            None if goes_first => {
                below.insert(front, item);
                front += 1;
            }
            None => below.push(item),
        }
    }
    below
}

fn name_of<'a>(item: &'a Node, id: &str) -> Option<&'a str> {
    item.table()?.get(id)?.text()
}

fn texts(node: Option<&Node>) -> impl Iterator<Item = &str> {
    node.and_then(Node::list).unwrap_or_default().iter().filter_map(Node::text)
}

fn without(file: &Node) -> &[Node] {
    file.table().and_then(|members| members.get("without")?.list()).unwrap_or_default()
}

fn items<'a>(file: &'a Node, list: &str) -> &'a [Node] {
    file.table().and_then(|members| members.get(list)?.list()).unwrap_or_default()
}

fn activities(file: &Node) -> BTreeSet<String> {
    items(file, "activity").iter().filter_map(|item| name_of(item, "id")).map(str::to_owned).collect()
}

fn signals(file: &Node) -> BTreeSet<String> {
    items(file, "activity")
        .iter()
        .flat_map(|item| texts(item.table().and_then(|activity| activity.get("signals"))))
        .map(str::to_owned)
        .collect()
}

/// Takes out what a dotted path names: a member, or an item by its name, which may have dots itself.
fn remove(members: &mut BTreeMap<String, Node>, path: &str, shape: &Shape) -> bool {
    if members.remove(path).is_some() {
        return true;
    }
    let Some((first, rest)) = path.split_once('.') else { return false };
    let (Some(node), Some(inner)) = (members.get_mut(first), shape.child(first)) else { return false };
    match (&mut node.value, &inner.items) {
        (Value::Table(members), _) => remove(members, rest, inner),
        (Value::List(items), Some((id, _))) => {
            let before = items.len();
            items.retain(|item| name_of(item, id) != Some(rest));
            items.len() < before
        }
        _ => false,
    }
}
