//! A tree held against the register: every fault at once.

use std::collections::BTreeSet;

use crate::duration::Span;
use crate::fault::Fault;
use crate::keys::{Shape, Takes, shape};
use crate::terms;
use crate::tree::{Node, Value};

/// Items of a list of tables, and entries of a list of texts.
const ITEMS_MAX: usize = 1000;

/// Longest text: a paragraph.
const TEXT_MAX: usize = 4096;

/// Faults of a whole policy.
pub(crate) fn faults(root: &Node) -> Vec<Fault> {
    let mut found = Faults { is_whole: true, found: Vec::new() };
    walk(root, shape(), &mut Vec::new(), &mut found);
    found.found
}

/// Faults of a file that is laid over another: what is missing in it may be there.
pub(crate) fn faults_of_part(root: &Node) -> Vec<Fault> {
    let mut found = Faults { is_whole: false, found: Vec::new() };
    walk(root, shape(), &mut Vec::new(), &mut found);
    found.found
}

struct Faults {
    is_whole: bool,
    found: Vec<Fault>,
}

impl Faults {
    fn push(&mut self, fault: Fault) {
        self.found.push(fault);
    }
}

fn walk(node: &Node, shape: &Shape, path: &mut Vec<String>, found: &mut Faults) {
    if let Some(takes) = shape.key.and_then(|key| key.takes) {
        if let Err((why, write)) = value(node, takes) {
            found.push(fault(node, path, why, write));
        }
        return;
    }
    match (&node.value, &shape.items) {
        (Value::List(items), Some((id, inner))) => walk_items(node, items, (id, inner), path, found),
        (_, Some((id, _))) => {
            let write = format!("write [[{}]] with `{id} = \"…\"`", path.join("."));
            found.push(fault(node, path, format!("this is {}, not a list of tables", node.kind()), write));
        }
        (Value::Table(members), None) => {
            for (name, member) in members {
                path.push(name.clone());
                match shape.child(name) {
                    Some(inner) => walk(member, inner, path, found),
                    None => {
                        let known: Vec<&str> = shape.members.keys().copied().collect();
                        found.push(fault(
                            member,
                            path,
                            "there is no such key".to_owned(),
                            nearest(name, &known),
                        ));
                    }
                }
                path.pop();
            }
        }
        (_, None) => {
            let known: Vec<&str> = shape.members.keys().copied().collect();
            let write = format!("write a table with {}", known.join(", "));
            found.push(fault(node, path, format!("this is {}, not a table", node.kind()), write));
        }
    }
}

fn walk_items(
    list: &Node,
    items: &[Node],
    (id, inner): (&str, &Shape),
    path: &mut Vec<String>,
    found: &mut Faults,
) {
    if items.len() > ITEMS_MAX {
        found.push(fault(list, path, format!("there are more than {ITEMS_MAX}"), "write fewer".to_owned()));
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let name = item.table().and_then(|members| members.get(id)).and_then(Node::text);
        path.push(name.map_or_else(|| (index + 1).to_string(), str::to_owned));
        if let Some(name) = name
            && !seen.insert(name.to_owned())
        {
            found.push(fault(
                item,
                path,
                format!("two have the same `{id}`"),
                "give each its own".to_owned(),
            ));
        }
        walk(item, inner, path, found);
        if let (true, Some(members)) = (found.is_whole, item.table()) {
            for (member, key) in required(inner, "") {
                if lookup(members, &member).is_none() {
                    let why = format!("`{member}` is missing: {}", key.what);
                    found.push(fault(
                        item,
                        path,
                        why,
                        format!("write `{member} = …`, {}", expected(key.takes)),
                    ));
                }
            }
        }
        path.pop();
    }
}

/// The required leaves of an item, by their dotted names.
fn required(shape: &Shape, before: &str) -> Vec<(String, &'static crate::keys::Key)> {
    let mut found = Vec::new();
    for (name, inner) in &shape.members {
        let path = if before.is_empty() { (*name).to_owned() } else { format!("{before}.{name}") };
        found.extend(inner.key.filter(|key| key.required).map(|key| (path.clone(), key)));
        found.extend(required(inner, &path));
    }
    found
}

fn lookup<'a>(members: &'a std::collections::BTreeMap<String, Node>, dotted: &str) -> Option<&'a Node> {
    match dotted.split_once('.') {
        None => members.get(dotted),
        Some((first, rest)) => lookup(members.get(first)?.table()?, rest),
    }
}

fn fault(node: &Node, path: &[String], why: String, write: String) -> Fault {
    Fault { place: node.place(), key: path.join("."), why, write }
}

/// Why a value is none that the key takes, and what is.
fn value(node: &Node, takes: Takes) -> Result<(), (String, String)> {
    let other = || (format!("this is {}", node.kind()), format!("write {}", expected(Some(takes))));
    match (takes, &node.value) {
        (Takes::Text, Value::Text(text)) => check_text(text),
        (Takes::Word(words), Value::Text(text)) => word(text, words),
        (Takes::Words(words), Value::List(items)) => each(items, |text| word(text, words)),
        (Takes::Texts, Value::List(items)) => each(items, check_text),
        (Takes::Int(least, most), Value::Int(number)) => match (least..=most).contains(number) {
            true => Ok(()),
            false => Err((format!("{number} is out of range"), format!("write {}", expected(Some(takes))))),
        },
        (Takes::Number(least), Value::Number(number)) if *number >= least && number.is_finite() => Ok(()),
        (Takes::Number(least), Value::Int(number)) if *number as f64 >= least => Ok(()),
        (Takes::Bool, Value::Bool(_)) => Ok(()),
        (Takes::Span, Value::Text(text)) => match text.parse::<Span>() {
            Ok(_) => Ok(()),
            Err(why) => Err((format!("{text:?} is no span of time"), why.to_owned())),
        },
        (Takes::Date, Value::Date(text) | Value::Text(text)) => match text.parse::<jiff::civil::Date>() {
            Ok(_) => Ok(()),
            Err(_) => {
                Err((format!("{text:?} is no day"), "write year, month and day: 2026-12-01".to_owned()))
            }
        },
        (Takes::Term(vocabulary), Value::Text(text)) => terms::check(vocabulary, text),
        (Takes::Terms(vocabulary), Value::List(items)) => each(items, |text| terms::check(vocabulary, text)),
        _ => Err(other()),
    }
}

fn each(
    items: &[Node],
    check: impl Fn(&str) -> Result<(), (String, String)>,
) -> Result<(), (String, String)> {
    if items.len() > ITEMS_MAX {
        return Err((format!("there are more than {ITEMS_MAX}"), "write fewer".to_owned()));
    }
    for item in items {
        match &item.value {
            Value::Text(text) => check(text)?,
            _ => {
                return Err((
                    format!("{} stands in a list of texts", item.kind()),
                    "write texts in quotes".to_owned(),
                ));
            }
        }
    }
    Ok(())
}

fn check_text(text: &str) -> Result<(), (String, String)> {
    if text.trim().is_empty() {
        return Err(("the text is empty".to_owned(), "write something, or leave the key out".to_owned()));
    }
    if text.len() > TEXT_MAX {
        return Err((format!("the text is longer than {TEXT_MAX} bytes"), "shorten it".to_owned()));
    }
    Ok(())
}

fn word(text: &str, words: &[&str]) -> Result<(), (String, String)> {
    if words.contains(&text) {
        Ok(())
    } else {
        Err((format!("{text:?} is not taken here"), nearest(text, words)))
    }
}

/// What a key takes, for people.
fn expected(takes: Option<Takes>) -> String {
    match takes {
        None => "a table".to_owned(),
        Some(Takes::Text) => "a text".to_owned(),
        Some(Takes::Word(words)) => format!("one of {}", words.join(", ")),
        Some(Takes::Words(words)) => format!("a list of {}", words.join(", ")),
        Some(Takes::Texts) => "a list of texts".to_owned(),
        Some(Takes::Int(least, most)) if least == most => least.to_string(),
        Some(Takes::Int(least, most)) => format!("a whole number from {least} to {most}"),
        Some(Takes::Number(least)) => format!("a number of at least {least}"),
        Some(Takes::Bool) => "true or false".to_owned(),
        Some(Takes::Span) => "a span of time, as in \"30d\"".to_owned(),
        Some(Takes::Date) => "a day, as in 2026-12-01".to_owned(),
        Some(Takes::Term(vocabulary)) => format!("a term, as in {:?}", terms::example(vocabulary)),
        Some(Takes::Terms(vocabulary)) => {
            format!("a list of terms, as in [{:?}]", terms::example(vocabulary))
        }
    }
}

/// What was perhaps meant, else all that there is.
pub(crate) fn nearest(word: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|one| (distance(word, one), *one))
        .min()
        .filter(|(far, _)| *far <= 1 + word.len() / 4);
    match near {
        Some((_, one)) => format!("did you mean `{one}`?"),
        None => format!("there are: {}", known.join(", ")),
    }
}

/// How many letters differ (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, letter) in one.chars().take(64).enumerate() {
        let mut before = index;
        let mut last = index + 1;
        for (at, theirs) in other.iter().enumerate() {
            let here = row.get(at + 1).copied().unwrap_or_default();
            let best = (before + usize::from(letter != *theirs)).min(last + 1).min(here + 1);
            before = here;
            if let Some(cell) = row.get_mut(at) {
                *cell = last;
            }
            last = best;
        }
        if let Some(cell) = row.last_mut() {
            *cell = last;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_meant_is_near() {
        assert_eq!(distance("retntion", "retention"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", "abc"), 0);
        assert_eq!(nearest("acton", &["action", "at"]), "did you mean `action`?");
        assert_eq!(nearest("zzz", &["action", "at"]), "there are: action, at");
    }
}
