//! The columns of the table `errors`, read from an event that the gate has cleared.

use std::borrow::Cow;

use candor_model::{ErrorColumns, Value};

use super::exceptions::{Exception, exceptions, telling};
use super::frames::Frame;
use super::{cut, hex_id, member, member_or_empty, message, tags, time};

/// Longest text of a searchable column, bytes; the event itself keeps it whole.
const COLUMN_BYTES_MAX: usize = 1_000;
/// Longest `value`, bytes: messages carry bodies and statements.
const VALUE_BYTES_MAX: usize = 8 << 10;
/// Where the SDK names none. Sentry's default, so that filters by environment behave alike.
const DEFAULT_ENVIRONMENT: &str = "production";

/// Reads the columns. Total: there is no event that it fails on.
pub fn columns(event: &Value) -> ErrorColumns {
    let all = exceptions(event);
    let main = telling(&all).last().copied();
    // An NSError without words says its domain and code.
    let ns_error = main.and_then(Exception::ns_error);
    let value = main
        .and_then(|exception| exception.value.as_deref().map(Cow::Borrowed))
        .or_else(|| message::formatted(event))
        .or_else(|| ns_error.as_ref().map(|(_, code)| Cow::Owned(format!("code {code}"))));
    let kind = main.and_then(|exception| exception.kind.as_deref());
    let kind = kind.or(ns_error.as_ref().map(|(domain, _)| domain.as_str())).unwrap_or_default();
    let platform = member_or_empty(event, "platform");
    let platform = if platform.is_empty() { "other".to_owned() } else { platform };
    ErrorColumns {
        timestamp: event.get("timestamp").and_then(time),
        event_id: hex_id(&member_or_empty(event, "event_id"), 32),
        level: level(event).to_owned(),
        error_type: short(kind),
        value: cut(&value.unwrap_or_default(), VALUE_BYTES_MAX).to_owned(),
        culprit: culprit(event, main, &platform),
        release: short(&member_or_empty(event, "release")),
        environment: match member(event, "environment") {
            Some(name) => short(&name),
            None => tags::tag(event, "environment").unwrap_or_else(|| DEFAULT_ENVIRONMENT.to_owned()),
        },
        transaction: short(&member_or_empty(event, "transaction")),
        trace_id: trace_field(event, "trace_id", 32),
        span_id: trace_field(event, "span_id", 16),
        tags: tags::tags(event),
        group_hashes: crate::grouping::group_hashes(event, &all, &platform),
        platform: short(&platform),
    }
}

fn short(text: &str) -> String {
    cut(text, COLUMN_BYTES_MAX).to_owned()
}

fn trace_field(event: &Value, name: &str, digits: usize) -> String {
    let trace = event.path(&["contexts", "trace"]);
    trace.map(|trace| hex_id(&member_or_empty(trace, name), digits)).unwrap_or_default()
}

/// One of five words. Other SDKs' words and Python's numbers are translated; what is unknown is an error.
pub(crate) fn level(event: &Value) -> &'static str {
    let Some(level) = event.get("level") else { return "error" };
    if let Some(number) = level.as_f64() {
        return match number {
            n if n >= 50.0 => "fatal",
            n if n >= 40.0 => "error",
            n if n >= 30.0 => "warning",
            n if n >= 20.0 => "info",
            _ => "debug",
        };
    }
    match level.as_str().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "fatal" | "critical" | "crash" | "panic" | "emergency" | "alert" => "fatal",
        "warning" | "warn" => "warning",
        "info" | "log" | "notice" | "sample" | "information" => "info",
        "debug" | "trace" | "verbose" => "debug",
        _ => "error",
    }
}

/// Where it happened: the application's newest frame, or the newest of all, else the transaction.
fn culprit(event: &Value, main: Option<&Exception<'_>>, platform: &str) -> String {
    if let Some(sent) = member(event, "culprit") {
        return short(&sent);
    }
    let event_frames;
    let frames: &[Frame<'_>] = match main {
        Some(exception) if !exception.frames.is_empty() => &exception.frames,
        _ => {
            event_frames = crate::grouping::event_frames(event);
            &event_frames
        }
    };
    let named =
        |frame: &&Frame<'_>| frame.function.is_some() || frame.module.is_some() || frame.filename.is_some();
    let newest = frames.iter().rev().filter(named);
    let frame = newest.clone().find(|frame| frame.is_in_app(platform)).or_else(|| newest.clone().next());
    let Some(frame) = frame else { return short(&member_or_empty(event, "transaction")) };
    let place = frame.module.as_deref().or(frame.filename.as_deref());
    short(&match (place, frame.function.as_deref()) {
        (Some(place), Some(function)) => format!("{place} in {function}"),
        (Some(place), None) => place.to_owned(),
        (None, function) => function.unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse};
    use expect_test::{Expect, expect};

    fn check(event: &str, expected: Expect) {
        let event = parse(event.as_bytes(), Leniency::LENIENT).unwrap();
        let mut read = columns(&event);
        read.group_hashes.clear();
        expected.assert_debug_eq(&read);
    }

    #[test]
    fn a_python_event_with_a_chain() {
        check(
            r#"{"event_id":"9EC79C33-ec99-42ab-8353-589fcb2e04dc","timestamp":"2025-03-06T10:19:51.132514327Z","platform":"python",
            "level":"critical","release":"shop@1.0","transaction":"/checkout","server_name":"web-1",
            "contexts":{"trace":{"trace_id":"0123456789abcdef0123456789abcdef","span_id":"0123456789abcdef"}},
            "exception":{"values":[{"type":"KeyError","value":"'x'"},
              {"type":"ValueError","value":"no x","stacktrace":{"frames":[
                {"module":"shop.views","function":"checkout","in_app":true},
                {"module":"requests","function":"get","in_app":false}]}}]}}"#,
            expect![[r#"
                ErrorColumns {
                    timestamp: Some(
                        EventTime {
                            micros: 1741256391132514,
                            nanos: 327,
                        },
                    ),
                    event_id: "9ec79c33ec9942ab8353589fcb2e04dc",
                    level: "fatal",
                    error_type: "ValueError",
                    value: "no x",
                    culprit: "shop.views in checkout",
                    platform: "python",
                    release: "shop@1.0",
                    environment: "production",
                    transaction: "/checkout",
                    trace_id: "0123456789abcdef0123456789abcdef",
                    span_id: "0123456789abcdef",
                    tags: [
                        (
                            "server_name",
                            "web-1",
                        ),
                    ],
                    group_hashes: [],
                }
            "#]],
        );
    }

    #[test]
    fn what_is_missing_or_crooked_has_a_default() {
        check(
            "{}",
            expect![[r#"
            ErrorColumns {
                timestamp: None,
                event_id: "",
                level: "error",
                error_type: "",
                value: "",
                culprit: "",
                platform: "other",
                release: "",
                environment: "production",
                transaction: "",
                trace_id: "",
                span_id: "",
                tags: [],
                group_hashes: [],
            }
        "#]],
        );
        check(
            r#"{"event_id":7,"timestamp":NaN,"platform":null,"level":["x"],"release":{"a":1},"environment":" ",
            "tags":[["environment","staging"]],"contexts":{"trace":[1]},"exception":{"values":"x"},"message":{"message":"m"}}"#,
            expect![[r#"
                ErrorColumns {
                    timestamp: None,
                    event_id: "",
                    level: "error",
                    error_type: "",
                    value: "m",
                    culprit: "",
                    platform: "other",
                    release: "",
                    environment: "staging",
                    transaction: "",
                    trace_id: "",
                    span_id: "",
                    tags: [
                        (
                            "environment",
                            "staging",
                        ),
                    ],
                    group_hashes: [],
                }
            "#]],
        );
    }
}
