//! The message of an event: formatted for people, its template for grouping.

use std::borrow::Cow;

use candor_model::Value;

use super::{member, text};

/// The interface that carries a message: `logentry`, or the older `message`, each text or an object.
fn interfaces(event: &Value) -> impl Iterator<Item = &Value> {
    ["logentry", "message"].into_iter().filter_map(|name| event.get(name))
}

/// The message as people read it.
pub(crate) fn formatted(event: &Value) -> Option<Cow<'_, str>> {
    interfaces(event).find_map(|interface| {
        text(interface)
            .filter(|text| !text.trim().is_empty())
            .or_else(|| member(interface, "formatted"))
            .or_else(|| Some(interpolate(member(interface, "message")?, interface.get("params"))))
    })
}

/// The message before its parameters went in, which is what its occurrences have in common.
pub(crate) fn template(event: &Value) -> Option<Cow<'_, str>> {
    interfaces(event).find_map(|interface| {
        text(interface)
            .filter(|text| !text.trim().is_empty())
            .or_else(|| member(interface, "message"))
            .or_else(|| member(interface, "formatted"))
    })
}

/// Puts `params` into a template: `%s` and its like, `%(name)s`, `{}`, `{0}`, `{name}`. What does not fit is left.
fn interpolate<'a>(template: Cow<'a, str>, params: Option<&Value>) -> Cow<'a, str> {
    let Some(params @ (Value::Array(_) | Value::Object(_))) = params else {
        return template;
    };
    let mut out = String::with_capacity(template.len() + 32);
    let mut rest: &str = &template;
    let mut next = 0;
    while let Some(at) = rest.find(['%', '{']) {
        let (before, tail) = rest.split_at(at);
        out.push_str(before);
        match placeholder(tail) {
            Some((length, name)) => {
                let value = match name {
                    "" => {
                        next += 1;
                        params.as_array().and_then(|items| items.get(next - 1))
                    }
                    name => match name.parse::<usize>() {
                        Ok(index) => params.as_array().and_then(|items| items.get(index)),
                        Err(_) => params.get(name),
                    },
                };
                let (mark, after) = tail.split_at(length);
                match value {
                    Some(value) => out.push_str(&value.to_text()),
                    None => out.push_str(mark),
                }
                rest = after;
            }
            None => {
                let (mark, after) = tail.split_at(1);
                out.push_str(mark);
                // `%%` is a literal per cent.
                rest = if mark == "%" { after.strip_prefix('%').unwrap_or(after) } else { after };
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The placeholder that `text` starts with: its length and its name, empty for the next one in order.
fn placeholder(text: &str) -> Option<(usize, &str)> {
    const NAME: fn(char) -> bool = |c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '@');
    if let Some(inner) = text.strip_prefix('{') {
        let end = inner.find('}')?;
        let (name, _) = inner.split_at(end);
        let (name, _format) = name.split_once(':').unwrap_or((name, ""));
        return name.chars().all(NAME).then_some((end + 2, name));
    }
    let inner = text.strip_prefix('%')?;
    let (name, after) = match inner.strip_prefix('(') {
        Some(named) => named.split_once(')')?,
        None => ("", inner),
    };
    let flags = after.find(|c: char| !matches!(c, '0'..='9' | '.' | '-' | '+' | '#')).unwrap_or(after.len());
    let conversion = after.get(flags..)?.chars().next()?;
    "sdifrxXeEgGcvqtp".contains(conversion).then(|| (text.len() - after.len() + flags + 1, name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse};

    #[test]
    fn every_form_has_its_message() {
        for (event, message, template_text) in [
            (r#"{"message":"plain"}"#, "plain", "plain"),
            (r#"{"message":{"message":"plain"}}"#, "plain", "plain"),
            (r#"{"logentry":"plain"}"#, "plain", "plain"),
            (r#"{"logentry":{"message":"a %s of %d","params":["cup",3]}}"#, "a cup of 3", "a %s of %d"),
            (r#"{"logentry":{"message":"a %(x)s, 5%%","params":{"x":"cup"}}}"#, "a cup, 5%", "a %(x)s, 5%%"),
            (
                r#"{"logentry":{"message":"{0} {b:N} {} {c}","params":["p"]}}"#,
                "p {b:N} p {c}",
                "{0} {b:N} {} {c}",
            ),
            (r#"{"logentry":{"message":"hi %s","formatted":"hi you"},"message":"other"}"#, "hi you", "hi %s"),
            (r#"{"logentry":{"message":"100% {json","params":[1]}}"#, "100% {json", "100% {json"),
            (r#"{"logentry":{"message":null},"message":"fall back"}"#, "fall back", "fall back"),
        ] {
            let event = parse(event.as_bytes(), Leniency::default()).unwrap();
            assert_eq!(formatted(&event).as_deref(), Some(message));
            assert_eq!(template(&event).as_deref(), Some(template_text));
        }
        assert_eq!(formatted(&Value::Null), None);
    }
}
