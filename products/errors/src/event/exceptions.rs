//! Exceptions, threads and which of them an event is about.

use std::borrow::Cow;

use candor_model::Value;

use super::frames::{Frame, frames};
use super::{member, values};

/// Exceptions of one event that are looked at; a chain is rarely longer than five, a group rarely than fifty.
const EXCEPTIONS_MAX: usize = 100;

/// One exception.
#[derive(Debug, Clone)]
pub(crate) struct Exception<'a> {
    pub kind: Option<Cow<'a, str>>,
    pub value: Option<Cow<'a, str>>,
    pub mechanism: Option<&'a Value>,
    pub frames: Vec<Frame<'a>>,
}

impl Exception<'_> {
    /// The type says only how it was caught (a signal, a minidump), so it tells nothing about what went wrong.
    pub fn synthetic(&self) -> bool {
        self.mechanism_field("synthetic").is_some_and(|flag| *flag == Value::Bool(true))
    }

    fn mechanism_field(&self, key: &str) -> Option<&Value> {
        self.mechanism?.get(key)
    }

    fn mechanism_number(&self, key: &str) -> Option<i64> {
        self.mechanism_field(key)?.as_i64()
    }

    fn is_group(&self) -> bool {
        self.mechanism_field("is_exception_group").is_some_and(|flag| *flag == Value::Bool(true))
    }

    /// `domain` and `code` of an NSError, which tell apart what has one type and no words of its own.
    pub fn ns_error(&self) -> Option<(String, String)> {
        let error = self.mechanism_field("meta")?.get("ns_error")?;
        Some((super::member_or_empty(error, "domain"), super::member_or_empty(error, "code")))
    }
}

/// The exceptions, innermost cause first, as SDKs send them.
pub(crate) fn exceptions(event: &Value) -> Vec<Exception<'_>> {
    values(event.get("exception"))
        .iter()
        .filter(|value| value.as_object().is_some())
        .take(EXCEPTIONS_MAX)
        .map(|value| Exception {
            kind: member(value, "type"),
            value: member(value, "value").or_else(|| structured_value(value)),
            mechanism: value.get("mechanism").filter(|mechanism| mechanism.as_object().is_some()),
            frames: frames(value.get("stacktrace")),
        })
        .filter(|exception| {
            exception.kind.is_some() || exception.value.is_some() || !exception.frames.is_empty()
        })
        .collect()
}

/// Some SDKs send an object as the value; its JSON is better than nothing.
fn structured_value(exception: &Value) -> Option<Cow<'_, str>> {
    match exception.get("value")? {
        value @ (Value::Array(_) | Value::Object(_)) => Some(Cow::Owned(value.to_text())),
        _ => None,
    }
}

/// The exceptions that tell what happened, in order, the main one last.
///
/// A plain chain tells itself. A group (Python's `ExceptionGroup`, JavaScript's `AggregateError`) is a tree by
/// `exception_id` and `parent_id` (RFC 0079): where all of its leaves are alike, the group is mere wrapping and one
/// leaf tells it all; otherwise the distinct leaves and the root do. A tree that does not add up is taken as a chain.
pub(crate) fn telling<'e, 'a>(exceptions: &'e [Exception<'a>]) -> Vec<&'e Exception<'a>> {
    let chain = || exceptions.iter().collect();
    if !exceptions.iter().any(Exception::is_group) {
        return chain();
    }
    let id = |exception: &Exception<'_>| exception.mechanism_number("exception_id");
    let parent = |exception: &Exception<'_>| exception.mechanism_number("parent_id");
    let ids: Vec<Option<i64>> = exceptions.iter().map(id).collect();
    let mut seen = ids.clone();
    seen.sort_unstable();
    seen.dedup();
    let sound = ids.iter().all(Option::is_some)
        && seen.len() == ids.len()
        && exceptions.iter().filter(|exception| parent(exception).is_none()).count() == 1
        && exceptions
            .iter()
            .all(|exception| parent(exception).is_none_or(|parent| ids.contains(&Some(parent))));
    let Some(root) = exceptions.iter().find(|exception| parent(exception).is_none()).filter(|_| sound) else {
        return chain();
    };

    // What hangs below a group directly is a branch; an exception below that which is no group is its own cause.
    let groups: Vec<Option<i64>> =
        exceptions.iter().filter(|exception| exception.is_group()).map(id).collect();
    let mut leaves: Vec<&Exception<'_>> = Vec::new();
    for leaf in exceptions {
        let below_a_group = parent(leaf).is_some_and(|parent| groups.contains(&Some(parent)));
        if leaf.is_group() || !below_a_group {
            continue;
        }
        let alike = |other: &&Exception<'_>| {
            other.kind == leaf.kind
                && match leaf.frames.is_empty() && other.frames.is_empty() {
                    true => other.value == leaf.value,
                    false => crate::grouping::same_frames(&other.frames, &leaf.frames),
                }
        };
        if !leaves.iter().any(alike) {
            leaves.push(leaf);
        }
    }
    match leaves.len() {
        0 => chain(),
        1 => leaves,
        _ => {
            leaves.push(root);
            leaves
        }
    }
}

/// The frames of the thread that an event without exceptions is about: the one that crashed, else the current one,
/// else the only one. Two candidates are none.
pub(crate) fn thread_frames(event: &Value) -> Vec<Frame<'_>> {
    let threads = values(event.get("threads"));
    let flagged = |flag: &str| -> Vec<&Value> {
        threads.iter().filter(|thread| thread.get(flag) == Some(&Value::Bool(true))).collect()
    };
    let candidates = [flagged("crashed"), flagged("current"), threads.iter().collect()]
        .into_iter()
        .find(|set| !set.is_empty());
    match candidates.as_deref() {
        Some([thread]) => frames(thread.get("stacktrace")),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse};

    fn kinds(event: &str) -> Vec<String> {
        let event = parse(event.as_bytes(), Leniency::default()).unwrap();
        let all = exceptions(&event);
        telling(&all).into_iter().map(|e| e.kind.as_deref().unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn lists_objects_and_values_are_one() {
        for event in [
            r#"{"exception":{"values":[{"type":"A"},null,{"type":"B","value":1}]}}"#,
            r#"{"exception":[{"type":"A"},{"type":"B","value":{"x":1}}]}"#,
        ] {
            assert_eq!(kinds(event), ["A", "B"]);
        }
        assert_eq!(kinds(r#"{"exception":{"type":"A"}}"#), ["A"]);
        for event in
            [r#"{"exception":"A"}"#, r#"{"exception":{"values":null}}"#, r#"{"exception":[3]}"#, "{}"]
        {
            assert!(kinds(event).is_empty(), "{event}");
        }
    }

    #[test]
    fn a_group_of_like_leaves_is_its_leaf() {
        let event = |other: &str| {
            format!(
                r#"{{"exception":{{"values":[
                {{"type":"{other}","value":"x","mechanism":{{"type":"chained","exception_id":2,"parent_id":0}}}},
                {{"type":"ValueError","value":"x","mechanism":{{"type":"chained","exception_id":1,"parent_id":0}}}},
                {{"type":"ExceptionGroup","value":"g","mechanism":{{"exception_id":0,"is_exception_group":true}}}}
                ]}}}}"#
            )
        };
        assert_eq!(kinds(&event("ValueError")), ["ValueError"]);
        assert_eq!(kinds(&event("KeyError")), ["KeyError", "ValueError", "ExceptionGroup"]);
    }

    #[test]
    fn a_broken_tree_is_a_chain() {
        let event = r#"{"exception":{"values":[
            {"type":"A","mechanism":{"exception_id":1,"parent_id":7}},
            {"type":"G","mechanism":{"exception_id":0,"is_exception_group":true}}]}}"#;
        assert_eq!(kinds(event), ["A", "G"]);
    }
}
