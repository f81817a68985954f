//! A file laid over the preset that it extends.
//!
//! Tables merge member by member, lists of tables item by item; any other list takes the place of the preset's. A signal
//! that an activity of the file names leaves the preset's activities, and one that has none left goes.

use std::collections::{BTreeMap, BTreeSet};

use crate::keys::{Shape, shape};
use crate::tree::{Node, Value};

/// Lays a file over a preset.
pub(crate) fn over(preset: Node, file: Node) -> Node {
    let (without, named) = (without(&file), signals(&file));
    let own = activities(&file);
    let mut merged = merge(preset, file, shape());
    if let Value::Table(members) = &mut merged.value {
        for path in &without {
            remove(members, path, shape());
        }
        if let Some(Node { value: Value::List(items), .. }) = members.get_mut("activity") {
            for item in items.iter_mut() {
                let inherited = name_of(item, "id").is_none_or(|id| !own.contains(id));
                if let (true, Value::Table(activity)) = (inherited, &mut item.value)
                    && let Some(Node { value: Value::List(list), .. }) = activity.get_mut("signals")
                {
                    list.retain(|signal| signal.text().is_none_or(|signal| !named.contains(signal)));
                }
            }
            items.retain(|item| {
                let signals = item.table().and_then(|activity| activity.get("signals")?.list());
                signals.is_none_or(|signals| !signals.is_empty())
            });
        }
    }
    merged
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
    for item in above {
        let place = below
            .iter()
            .position(|under| name_of(under, id).is_some() && name_of(under, id) == name_of(&item, id));
        match place {
            Some(place) => {
                let under = below.remove(place);
                below.insert(place, merge(under, item, inner));
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

fn without(file: &Node) -> Vec<String> {
    texts(file.table().and_then(|members| members.get("without"))).map(str::to_owned).collect()
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
