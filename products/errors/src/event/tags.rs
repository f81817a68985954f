//! Tags: what the sender set, then what the event itself says in members that people search by.

use candor_model::Value;

use super::{cut, exceptions, member, text};

/// Tags of one event; Bugsink stops at 100, Sentry at none.
const TAGS_MAX: usize = 1_000;
/// Longest key, bytes. Sentry cuts at 200.
const KEY_BYTES_MAX: usize = 200;
/// Longest value, bytes.
const VALUE_BYTES_MAX: usize = 1_000;

/// The tags as they were sent, in order.
pub(crate) fn sent(event: &Value) -> Vec<(String, String)> {
    read(event).0
}

fn read(event: &Value) -> Tags {
    let mut tags = Tags::default();
    match event.get("tags") {
        Some(Value::Object(object)) => object.iter().for_each(|(key, value)| tags.add(key, value)),
        Some(Value::Array(items)) => {
            for item in items {
                match item {
                    Value::Array(pair) => {
                        if let [key, value] = pair.as_slice() {
                            tags.add(&text(key).unwrap_or_default(), value);
                        }
                    }
                    Value::Object(pair) => match (pair.get("key"), pair.get("value")) {
                        (Some(key), Some(value)) => tags.add(&text(key).unwrap_or_default(), value),
                        _ => pair.iter().for_each(|(key, value)| tags.add(key, value)),
                    },
                    _ => {}
                }
            }
        }
        _ => {}
    }
    tags
}

/// The tags in the order they came, then the derived ones that were not sent.
pub(crate) fn tags(event: &Value) -> Vec<(String, String)> {
    let mut tags = read(event);
    for name in ["server_name", "logger", "dist"] {
        if let Some(value) = event.get(name) {
            tags.add(name, value);
        }
    }
    if let Some(mechanism) = exceptions::exceptions(event).last().and_then(|exception| exception.mechanism) {
        for (tag, name) in [("handled", "handled"), ("mechanism", "type")] {
            if let Some(value) = mechanism.get(name) {
                tags.add(tag, value);
            }
        }
    }
    for context in ["browser", "os", "runtime", "device"] {
        if let Some(value) = event.path(&["contexts", context]) {
            let kind = if context == "device" { member(value, "model") } else { member(value, "name") };
            if let Some(name) = kind {
                let version =
                    member(value, "version").map(|version| format!(" {version}")).unwrap_or_default();
                tags.add(context, &Value::Str(format!("{name}{version}")));
            }
        }
    }
    tags.0
}

#[derive(Default)]
struct Tags(Vec<(String, String)>);

impl Tags {
    /// Adds a tag that is not there yet; the first of a name counts, as in Sentry.
    fn add(&mut self, key: &str, value: &Value) {
        let key = cut(key.trim(), KEY_BYTES_MAX);
        let value = match value {
            Value::Null => return,
            Value::Array(_) | Value::Object(_) => value.to_text(),
            scalar => text(scalar).unwrap_or_default().into_owned(),
        };
        let known = || self.0.iter().any(|(name, _)| name == key);
        if key.is_empty() || value.is_empty() || self.0.len() >= TAGS_MAX || known() {
            return;
        }
        self.0.push((key.to_owned(), cut(&value, VALUE_BYTES_MAX).to_owned()));
    }
}

/// The value of a tag as it was sent.
pub(crate) fn tag(event: &Value, name: &str) -> Option<String> {
    sent(event).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse};
    use expect_test::{Expect, expect};

    fn check(event: &str, expected: Expect) {
        let event = parse(event.as_bytes(), Leniency::default()).unwrap();
        let shown: Vec<String> =
            tags(&event).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        expected.assert_eq(&shown.join(" "));
    }

    #[test]
    fn objects_pairs_and_what_is_neither() {
        check(r#"{"tags":{"b":"1","a":true,"n":3,"z":null,"":"x"}}"#, expect!["b=1 a=true n=3"]);
        check(
            r#"{"tags":[["b",1],["a"],null,{"key":"k","value":"v"},["b",2]],"server_name":"web-1"}"#,
            expect!["b=1 k=v server_name=web-1"],
        );
        check(r#"{"tags":"no"}"#, expect![""]);
    }

    #[test]
    fn what_the_event_says_itself() {
        check(
            r#"{"tags":{"os":"mine"},"contexts":{"os":{"name":"Linux","version":"6"},"browser":{"name":"Firefox","version":"145.0"},"runtime":null},
                "exception":[{"type":"A","mechanism":{"type":"excepthook","handled":false}}],"logger":""}"#,
            expect!["os=mine handled=false mechanism=excepthook browser=Firefox 145.0"],
        );
    }
}
