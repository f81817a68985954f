//! What the listener changes in an event before the gate sees it. The list is short and closed:
//!
//! - `event_id` is set, as 32 hex digits: the envelope's, else the event's own, else a new one;
//! - members of the protocol of 2012 (`sentry.interfaces.User`) get their names of today, so that the gate knows them;
//! - `{{auto}}` as an address becomes the peer's, or goes where there is none;
//! - where the sender's clock is grossly wrong (it says when it sent, and we know when that came), the times of the
//!   event and of its breadcrumbs are moved, and `_meta.timestamp` says by how much, in Relay's form. A drift of less
//!   than an hour is left alone: queues, retries and time zones of humans look like that.

use candor_model::{EventTime, Object, Timestamp, Value};

use super::time;

/// The least drift that is corrected, µs.
pub(crate) const DRIFT_MIN_US: i64 = 3_600 * Timestamp::SECOND;

/// The interfaces of the protocol of 2012, and what they are called now.
const OLD_NAMES: [(&str, &str); 9] = [
    ("sentry.interfaces.Exception", "exception"),
    ("sentry.interfaces.Message", "logentry"),
    ("sentry.interfaces.Stacktrace", "stacktrace"),
    ("sentry.interfaces.Template", "template"),
    ("sentry.interfaces.Http", "request"),
    ("sentry.interfaces.User", "user"),
    ("sentry.interfaces.Query", "query"),
    ("sentry.interfaces.Breadcrumbs", "breadcrumbs"),
    ("sentry.interfaces.Contexts", "contexts"),
];

/// By how much the sender's clock is wrong, µs to add; none where it did not say, or where it is not gross.
pub(crate) fn drift(sent_at: Option<&Value>, received: Timestamp) -> Option<i64> {
    let sent_at = time(sent_at?)?;
    let drift = received.0.saturating_sub(sent_at.micros);
    (drift.saturating_abs() >= DRIFT_MIN_US).then_some(drift)
}

/// Gives old members their names of today. A name of today that is there already wins.
pub(crate) fn rename_old_members(event: &mut Object) {
    for (name, _) in &mut event.0 {
        if name.starts_with("sentry.interfaces.")
            && let Some((_, now)) = OLD_NAMES.iter().find(|(old, _)| old == name)
        {
            *name = (*now).to_owned();
        }
    }
}

/// Replaces `{{auto}}` as an address by the peer's.
pub(crate) fn resolve_auto_address(event: &mut Object, peer: Option<std::net::IpAddr>) {
    let places: [(&[&str], &str); 2] = [(&["user"], "ip_address"), (&["request", "env"], "REMOTE_ADDR")];
    for (path, key) in places {
        let mut place = Some(&mut *event);
        for step in path {
            place = place.and_then(|object| object.get_mut(step)).and_then(Value::as_object_mut);
        }
        let Some(object) = place else { continue };
        if object.get(key).and_then(Value::as_str).is_some_and(|text| text.trim() == "{{auto}}") {
            match peer {
                Some(peer) => object.insert(key, peer.to_string()),
                None => drop(object.remove(key)),
            }
        }
    }
}

/// Moves the times of an event by `drift` µs and says so in `_meta`.
pub(crate) fn correct_clock(event: &mut Object, drift: i64, received: Timestamp) {
    let Some(sent) = event.get("timestamp").and_then(time) else { return };
    for key in ["timestamp", "start_timestamp"] {
        if let Some(value) = event.get_mut(key) {
            shift(value, drift);
        }
    }
    if let Some(breadcrumbs) = event.get_mut("breadcrumbs") {
        let items = match breadcrumbs {
            Value::Array(items) => items.as_mut_slice(),
            Value::Object(object) => match object.get_mut("values") {
                Some(Value::Array(items)) => items.as_mut_slice(),
                _ => &mut [],
            },
            _ => &mut [],
        };
        for breadcrumb in items {
            if let Some(at) = breadcrumb.as_object_mut().and_then(|object| object.get_mut("timestamp")) {
                shift(at, drift);
            }
        }
    }
    let mut data = Object::new();
    data.insert("sdk_time", sent.timestamp().to_string());
    data.insert("server_time", received.to_string());
    let error = Value::Array(vec![Value::from("clock_drift"), Value::Object(data)]);
    let mut entry = Object::new();
    entry.insert("err", Value::Array(vec![error]));
    let mut root = Object::new();
    root.insert("", entry);
    match event.get_mut("_meta").and_then(Value::as_object_mut) {
        Some(meta) => meta.insert("timestamp", root),
        None => {
            let mut meta = Object::new();
            meta.insert("timestamp", root);
            event.insert("_meta", meta);
        }
    }
}

/// Moves one time, keeping its form: a number stays seconds, text stays RFC 3339.
fn shift(value: &mut Value, drift: i64) {
    let Some(at) = time(value) else { return };
    let moved = EventTime { micros: at.micros.saturating_add(drift), nanos: at.nanos };
    *value = match value {
        Value::Str(_) => Value::Str(moved.timestamp().to_string()),
        _ => Value::Float(moved.micros as f64 / 1e6),
    };
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::json::{Leniency, parse, to_string};
    use expect_test::expect;

    fn object(text: &str) -> Object {
        match parse(text.as_bytes(), Leniency::default()).unwrap() {
            Value::Object(object) => object,
            _ => Object::new(),
        }
    }

    #[test]
    fn old_names_are_todays() {
        let mut event = object(r#"{"sentry.interfaces.User":{"id":1},"sentry.interfaces.Nope":2}"#);
        rename_old_members(&mut event);
        assert_eq!(to_string(&Value::Object(event)), r#"{"user":{"id":1},"sentry.interfaces.Nope":2}"#);
    }

    #[test]
    fn the_peer_stands_in_for_auto() {
        let auto = r#"{"user":{"ip_address":"{{auto}}"},"request":{"env":{"REMOTE_ADDR":"10.0.0.9"}}}"#;
        let mut event = object(auto);
        resolve_auto_address(&mut event, "2001:db8::7".parse().ok());
        expect![[r#"{"user":{"ip_address":"2001:db8::7"},"request":{"env":{"REMOTE_ADDR":"10.0.0.9"}}}"#]]
            .assert_eq(&to_string(&Value::Object(event)));
        let mut event = object(auto);
        resolve_auto_address(&mut event, None);
        expect![[r#"{"user":{},"request":{"env":{"REMOTE_ADDR":"10.0.0.9"}}}"#]]
            .assert_eq(&to_string(&Value::Object(event)));
    }

    #[test]
    fn only_a_gross_drift_is_corrected_and_it_is_said() {
        let received = Timestamp(1_741_256_391_000_000);
        let sent = |seconds: i64| Value::Int(received.0 / 1_000_000 + seconds);
        assert_eq!(drift(Some(&sent(-3599)), received), None);
        assert_eq!(drift(Some(&sent(3599)), received), None);
        assert_eq!(drift(None, received), None);
        assert_eq!(drift(Some(&Value::from("junk")), received), None);
        assert_eq!(drift(Some(&sent(-7200)), received), Some(7_200_000_000));

        let mut event = object(
            r#"{"timestamp":"2025-03-06T08:19:50Z","breadcrumbs":{"values":[{"timestamp":1741249189.5},{"timestamp":null},3]}}"#,
        );
        correct_clock(&mut event, 7_200_000_000, received);
        expect![[r#"{"timestamp":"2025-03-06T10:19:50.000000Z","breadcrumbs":{"values":[{"timestamp":1741256389.5},{"timestamp":null},3]},"_meta":{"timestamp":{"":{"err":[["clock_drift",{"sdk_time":"2025-03-06T08:19:50.000000Z","server_time":"2025-03-06T10:19:51.000000Z"}]]}}}}"#]]
            .assert_eq(&to_string(&Value::Object(event)));
    }
}
