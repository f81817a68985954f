//! Fields that nobody documents go where a policy says so.
//!
//! Known are a signal's own columns, what OpenTelemetry and Sentry document, what names a person (identity deals with
//! that), and what the policy names. Of OpenTelemetry's attributes the namespace is known, of Sentry's event each place:
//! what an application names itself (`extra`, tags, variables of frames, data of breadcrumbs, contexts of its own) is
//! not, unless the policy names it. A name of the policy covers what lies within it.
//!
//! <https://opentelemetry.io/docs/specs/semconv/registry/attributes/>,
//! <https://develop.sentry.dev/sdk/data-model/event-payloads/>

use candor_model::{Object, Value};

/// Namespaces of OpenTelemetry's attributes, and the first words that loggers and Sentry's SDKs use for the same.
const NAMESPACES: [&str; 96] = [
    "android",
    "app",
    "artifact",
    "aspnetcore",
    "aws",
    "azure",
    "browser",
    "cassandra",
    "cicd",
    "client",
    "cloud",
    "cloudevents",
    "cloudfoundry",
    "code",
    "container",
    "cpu",
    "culture",
    "db",
    "deployment",
    "destination",
    "device",
    "disk",
    "dns",
    "dotnet",
    "elasticsearch",
    "enduser",
    "environment",
    "error",
    "event",
    "exception",
    "faas",
    "feature_flag",
    "file",
    "gcp",
    "gen_ai",
    "geo",
    "go",
    "graphql",
    "heroku",
    "host",
    "http",
    "hw",
    "ios",
    "jvm",
    "k8s",
    "level",
    "linux",
    "log",
    "logger",
    "mainframe",
    "mcp",
    "messaging",
    "net",
    "network",
    "nfs",
    "nodejs",
    "oci",
    "openai",
    "opentracing",
    "oracle",
    "oracle_cloud",
    "os",
    "otel",
    "peer",
    "pid",
    "pprof",
    "process",
    "profile",
    "release",
    "resource",
    "rpc",
    "scope",
    "security_rule",
    "sentry",
    "server",
    "service",
    "session",
    "signalr",
    "source",
    "span",
    "span_id",
    "status",
    "system",
    "telemetry",
    "test",
    "thread",
    "tls",
    "trace_flags",
    "trace_id",
    "transaction",
    "url",
    "user",
    "user_agent",
    "v8js",
    "vcs",
    "webengine",
];

/// Members of an event.
const EVENT: [&str; 32] = [
    "_meta",
    "_metrics",
    "breadcrumbs",
    "contexts",
    "culprit",
    "debug_meta",
    "dist",
    "environment",
    "errors",
    "event_id",
    "exception",
    "extra",
    "fingerprint",
    "key_id",
    "level",
    "location",
    "logentry",
    "logger",
    "message",
    "modules",
    "platform",
    "project",
    "received",
    "release",
    "request",
    "sdk",
    "server_name",
    "start_timestamp",
    "tags",
    "threads",
    "timestamp",
    "type",
];

/// Members of an event beyond those.
const EVENT_TOO: [&str; 12] = [
    "attachments",
    "csp",
    "ecs",
    "expectct",
    "hpkp",
    "measurements",
    "received_at",
    "sentry.interfaces.Http",
    "spans",
    "transaction",
    "transaction_info",
    "user",
];

/// Contexts.
const CONTEXTS: [&str; 24] = [
    "app",
    "art",
    "browser",
    "cloud_resource",
    "consent",
    "culture",
    "device",
    "feedback",
    "flags",
    "gpu",
    "memory_info",
    "missing_instrumentation",
    "monitor",
    "os",
    "otel",
    "profile",
    "react",
    "replay",
    "response",
    "runtime",
    "state",
    "threadpool_info",
    "trace",
    "unity",
];

/// Tags that Sentry's SDKs set themselves.
const TAGS: [&str; 16] = [
    "consent",
    "dist",
    "environment",
    "handled",
    "level",
    "logger",
    "mechanism",
    "release",
    "replayId",
    "runtime",
    "server_name",
    "site",
    "subject",
    "transaction",
    "url",
    "user",
];

/// Members of `request`.
const REQUEST: [&str; 11] = [
    "api_target",
    "body_size",
    "cookies",
    "data",
    "env",
    "fragment",
    "headers",
    "inferred_content_type",
    "method",
    "query_string",
    "url",
];

/// Data of breadcrumbs that SDKs write.
const BREADCRUMB_DATA: [&str; 10] =
    ["arguments", "from", "level", "logger", "method", "reason", "state", "status_code", "to", "url"];

/// What is known.
pub(crate) struct Known<'p> {
    /// Names of the policy, in lower case.
    named: &'p [String],
    dropped: u64,
}

impl<'p> Known<'p> {
    pub fn new(named: &'p [String]) -> Known<'p> {
        Known { named, dropped: 0 }
    }

    /// How many fields went.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Drops attributes that nobody documents. `is_person` tells names that say who it is.
    pub fn attributes(&mut self, attributes: &mut Object, mut is_person: impl FnMut(&str) -> bool) {
        self.keep(attributes, "", |name| is_documented(name) || is_person(name));
    }

    /// Drops what nobody documents of an event.
    pub fn event(&mut self, event: &mut Value, mut is_person: impl FnMut(&str) -> bool) {
        let Some(event) = event.as_object_mut() else { return };
        self.keep(event, "", |name| EVENT.contains(&name) || EVENT_TOO.contains(&name));
        for (place, member) in &mut event.0 {
            match (place.as_str(), member) {
                ("contexts", Value::Object(contexts)) => {
                    self.keep(contexts, "contexts", |name| CONTEXTS.contains(&name));
                }
                ("tags", Value::Object(tags)) => {
                    self.keep(tags, "tags", |name| is_tag(name) || is_person(name));
                }
                ("tags", Value::Array(pairs)) => {
                    let before = pairs.len();
                    pairs.retain(|pair| match name_of(pair) {
                        Some(name) => is_tag(name) || is_person(name) || self.is_named("tags", name),
                        None => false,
                    });
                    self.dropped += (before - pairs.len()) as u64;
                }
                ("extra", Value::Object(extra)) => self.keep(extra, "extra", &mut is_person),
                ("request", Value::Object(request)) => {
                    self.keep(request, "request", |name| REQUEST.contains(&name));
                }
                ("breadcrumbs", crumbs) => each(crumbs, &mut |crumb| {
                    if let Some(Value::Object(data)) = crumb.get_mut("data") {
                        let is_known = |name: &str| BREADCRUMB_DATA.contains(&name) || is_documented(name);
                        self.keep(data, "breadcrumbs.data", |name| is_known(name) || is_person(name));
                    }
                }),
                ("exception" | "threads" | "stacktrace", thrown) => each(thrown, &mut |thrown| {
                    let frames = match thrown.get_mut("stacktrace") {
                        Some(Value::Object(trace)) => trace.get_mut("frames"),
                        _ => thrown.get_mut("frames"),
                    };
                    let Some(Value::Array(frames)) = frames else { return };
                    for frame in frames.iter_mut().filter_map(Value::as_object_mut) {
                        if let Some(Value::Object(vars)) = frame.get_mut("vars") {
                            self.keep(vars, "vars", &mut is_person);
                        }
                    }
                }),
                _ => {}
            }
        }
    }

    fn keep(&mut self, object: &mut Object, place: &str, mut is_known: impl FnMut(&str) -> bool) {
        let before = object.len();
        object.0.retain(|(name, _)| is_known(name) || self.is_named(place, name));
        self.dropped += (before - object.len()) as u64;
    }

    /// True where the policy names the member, what it lies in, or something within it.
    fn is_named(&self, place: &str, name: &str) -> bool {
        let within = |known: &str, path: &str| {
            let covers = |one: &str, other: &str| {
                let start = other.get(..one.len()).filter(|start| start.eq_ignore_ascii_case(one));
                start.is_some() && matches!(other.as_bytes().get(one.len()), None | Some(b'.'))
            };
            covers(known, path) || covers(path, known)
        };
        self.named.iter().any(|known| {
            within(known, name)
                || !place.is_empty()
                    && known.get(..place.len()).is_some_and(|start| start.eq_ignore_ascii_case(place))
                    && match known.get(place.len()..) {
                        Some("") => true,
                        Some(rest) => rest.strip_prefix('.').is_some_and(|rest| within(rest, name)),
                        None => false,
                    }
        })
    }
}

/// Calls for each object of a list, of the list under `values`, or for the object itself.
fn each(value: &mut Value, of_each: &mut impl FnMut(&mut Object)) {
    match value {
        Value::Array(items) => items.iter_mut().filter_map(Value::as_object_mut).for_each(of_each),
        Value::Object(object) => match object.get_mut("values") {
            Some(Value::Array(items)) => items.iter_mut().filter_map(Value::as_object_mut).for_each(of_each),
            _ => of_each(object),
        },
        _ => {}
    }
}

/// `["name", "value"]` or `{"key": "name", "value": …}`.
fn name_of(pair: &Value) -> Option<&str> {
    match pair {
        Value::Array(pair) => pair.first()?.as_str(),
        Value::Object(pair) => pair.get("key")?.as_str(),
        _ => None,
    }
}

fn is_tag(name: &str) -> bool {
    TAGS.contains(&name) || is_documented(name)
}

fn is_documented(name: &str) -> bool {
    NAMESPACES.binary_search(&name.split_once('.').map_or(name, |(namespace, _)| namespace)).is_ok()
}

#[cfg(test)]
mod tests {
    use candor_model::json;

    use super::*;

    fn value(text: &str) -> Value {
        json::parse(text.as_bytes(), json::Leniency::LENIENT).expect("JSON")
    }

    #[test]
    fn the_namespaces_are_in_order() {
        assert!(NAMESPACES.is_sorted());
    }

    #[test]
    fn attributes_that_nobody_documents_go() {
        let Value::Object(mut attributes) = value(
            r#"{"http.route": "/", "level": "info", "cart": 3, "order.id": 4, "order.note": 5, "orders": 6, "userId": 7}"#,
        ) else {
            panic!()
        };
        let named = ["order.id".to_owned()];
        let mut known = Known::new(&named);
        known.attributes(&mut attributes, |name| name == "userId");
        let left: Vec<&str> = attributes.iter().map(|(name, _)| name).collect();
        assert_eq!(left, ["http.route", "level", "order.id", "userId"]);
        assert_eq!(known.dropped(), 3);
    }

    #[test]
    fn what_an_application_names_itself_goes_from_events() {
        let mut event = value(
            r#"{"event_id": "1", "own": 1, "message": "m", "extra": {"a": 1, "cart": {"b": 1}},
                "contexts": {"os": {"name": "x"}, "own": {}}, "tags": [["url", "u"], ["tenant", "t"]],
                "request": {"url": "u", "own": 1},
                "breadcrumbs": {"values": [{"message": "m", "data": {"url": "u", "own": 1}}]},
                "exception": {"values": [{"type": "T", "stacktrace": {"frames": [{"function": "f", "vars": {"x": 1}}]}}]}}"#,
        );
        let named = ["extra.cart".to_owned(), "tags".to_owned()];
        let mut known = Known::new(&named);
        known.event(&mut event, |_| false);
        assert_eq!(
            event.to_text(),
            r#"{"event_id":"1","message":"m","extra":{"cart":{"b":1}},"contexts":{"os":{"name":"x"}},"tags":[["url","u"],["tenant","t"]],"request":{"url":"u"},"breadcrumbs":{"values":[{"message":"m","data":{"url":"u"}}]},"exception":{"values":[{"type":"T","stacktrace":{"frames":[{"function":"f","vars":{}}]}}]}}"#
        );
        assert_eq!(known.dropped(), 6);
    }
}
