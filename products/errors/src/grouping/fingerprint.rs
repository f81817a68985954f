//! The fingerprint that a sender chose: its own words, the default hash, or both.

use candor_model::Value;

use crate::event::{columns, exceptions, member_or_empty, message, tags, text};

/// Parts of a fingerprint that count.
const PARTS_MAX: usize = 50;

/// One part of a fingerprint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// `{{ default }}`: what grouping would have been without.
    Default,
    /// Words, with variables filled in.
    Text(String),
}

/// The parts; none where the event has no fingerprint of its own.
pub(crate) fn parts(event: &Value, platform: &str) -> Option<Vec<Part>> {
    let sent = match event.get("fingerprint")? {
        Value::Array(items) => items.as_slice(),
        single => std::slice::from_ref(single),
    };
    let parts: Vec<Part> = sent
        .iter()
        .take(PARTS_MAX)
        .filter_map(|part| match part {
            Value::Array(_) | Value::Object(_) => Some(part.to_text()),
            scalar => text(scalar).map(std::borrow::Cow::into_owned),
        })
        .filter(|part| !part.is_empty())
        .map(|part| match variable(&part) {
            Some("default") => Part::Default,
            Some(name) => Part::Text(resolve(event, name, platform).unwrap_or(part.clone())),
            None => Part::Text(part),
        })
        .collect();
    let own = parts.iter().any(|part| *part != Part::Default);
    own.then_some(parts)
}

/// The name in `{{ name }}`.
fn variable(part: &str) -> Option<&str> {
    Some(part.trim().strip_prefix("{{")?.strip_suffix("}}")?.trim())
}

fn resolve(event: &Value, name: &str, platform: &str) -> Option<String> {
    let all = exceptions::exceptions(event);
    let main = exceptions::telling(&all).last().copied();
    let frame = || main?.frames.iter().rev().find(|frame| frame.is_in_app(platform)).or(main?.frames.last());
    Some(match name {
        "error.type" | "type" => main?.kind.as_deref()?.to_owned(),
        "error.value" | "value" => main?.value.as_deref()?.to_owned(),
        "message" => match main.and_then(|exception| exception.value.as_deref()) {
            Some(value) => value.to_owned(),
            None => message::formatted(event)?.into_owned(),
        },
        "stack.function" | "function" => frame()?.function.as_deref()?.to_owned(),
        "stack.module" | "module" => frame()?.module.as_deref()?.to_owned(),
        "stack.abs_path" | "path" => frame()?.path()?.to_owned(),
        "stack.package" | "package" => frame()?.package.as_deref()?.to_owned(),
        "level" => columns::level(event).to_owned(),
        "logger" | "transaction" | "release" | "environment" | "platform" => member_or_empty(event, name),
        name => tags::tag(event, name.strip_prefix("tags.")?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse};

    fn shown(event: &str) -> String {
        format!("{:?}", parts(&parse(event.as_bytes(), Leniency::default()).unwrap(), "python"))
    }

    #[test]
    fn own_words_variables_and_the_default() {
        assert_eq!(shown("{}"), "None");
        assert_eq!(shown(r#"{"fingerprint":["{{ default }}"]}"#), "None");
        assert_eq!(shown(r#"{"fingerprint":["{{default}}", 7]}"#), r#"Some([Default, Text("7")])"#);
        assert_eq!(
            shown(
                r#"{"fingerprint":["{{ error.type }}","{{ tags.shop }}","{{ transaction }}","{{ nope }}",null],"tags":{"shop":"eu"},
                "transaction":"/a","exception":[{"type":"E"}]}"#
            ),
            r#"Some([Text("E"), Text("eu"), Text("/a"), Text("{{ nope }}")])"#
        );
        assert_eq!(shown(r#"{"fingerprint":"one"}"#), r#"Some([Text("one")])"#);
    }
}
