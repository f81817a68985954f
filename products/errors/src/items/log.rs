//! Log items: a container of records in Sentry's own form (develop-docs, "Logs").

use candor_model::{LogRecord, Value};

use super::attributes::{text, typed};
use crate::event::{hex_id, member, member_or_empty, time};

/// The name of the source under which Sentry's logs stand in the table.
pub(crate) const SOURCE: &str = "sentry";

/// Reads one record; none where it is no object.
pub(crate) fn log(item: &Value) -> Option<LogRecord> {
    item.as_object()?;
    let attributes = typed(item.get("attributes"));
    let level = member_or_empty(item, "level");
    let sent_number = item.get("severity_number").and_then(Value::as_i64).and_then(|n| i32::try_from(n).ok());
    Some(LogRecord {
        timestamp: item.get("timestamp").and_then(time),
        observed: None,
        severity_number: sent_number.filter(|n| (1..=24).contains(n)).unwrap_or_else(|| severity(&level)),
        severity_text: level,
        body: item.get("body").cloned().unwrap_or_default(),
        service_name: text(&attributes, "service.name"),
        host_name: [text(&attributes, "host.name"), text(&attributes, "server.address")]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default(),
        trace_id: hex_id(&member_or_empty(item, "trace_id"), 32),
        span_id: match member(item, "span_id") {
            Some(id) => hex_id(&id, 16),
            None => hex_id(&text(&attributes, "sentry.trace.parent_span_id"), 16),
        },
        source: SOURCE.to_owned(),
        attributes,
    })
}

/// OpenTelemetry's number of a level; 0 where it is unknown.
fn severity(level: &str) -> i32 {
    match level.to_ascii_lowercase().as_str() {
        "trace" => 1,
        "debug" => 5,
        "info" => 9,
        "warn" | "warning" => 13,
        "error" => 17,
        "fatal" | "critical" => 21,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse};
    use expect_test::expect;

    #[test]
    fn a_record_of_the_python_sdk() {
        let item = parse(
            br#"{"timestamp":1741256391.132514,"trace_id":"0123456789abcdef0123456789abcdef","level":"warn","severity_number":13,
            "body":"cart 7 is empty","attributes":{"sentry.message.template":{"value":"cart {id} is empty","type":"string"},
            "id":{"value":7,"type":"integer"},"server.address":{"value":"web-1","type":"string"},"x":null,"raw":"as is"}}"#,
            Leniency::default(),
        );
        expect![[r#"
            Some(
                LogRecord {
                    timestamp: Some(
                        EventTime {
                            micros: 1741256391132514,
                            nanos: 0,
                        },
                    ),
                    observed: None,
                    severity_text: "warn",
                    severity_number: 13,
                    body: Str(
                        "cart 7 is empty",
                    ),
                    service_name: "",
                    host_name: "web-1",
                    trace_id: "0123456789abcdef0123456789abcdef",
                    span_id: "",
                    source: "sentry",
                    attributes: Object(
                        [
                            (
                                "sentry.message.template",
                                Str(
                                    "cart {id} is empty",
                                ),
                            ),
                            (
                                "id",
                                Int(
                                    7,
                                ),
                            ),
                            (
                                "server.address",
                                Str(
                                    "web-1",
                                ),
                            ),
                            (
                                "raw",
                                Str(
                                    "as is",
                                ),
                            ),
                        ],
                    ),
                },
            )
        "#]]
        .assert_debug_eq(&log(&item.unwrap()));
        assert!(log(&Value::from("x")).is_none());
        assert_eq!(severity("Fatal"), 21);
    }
}
