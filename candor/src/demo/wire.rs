//! The protocols of the demo, in the forms that their SDKs send.

use anyhow::{Result, bail};
use candor_model::Timestamp;
use http::StatusCode;
use reqwest::Method;
use serde_json::{Value, json};

use super::Sent;
use crate::client::Client;

/// Records that make a request.
const BATCH_RECORDS: usize = 400;

/// Attempts at a request that is refused for now.
const ATTEMPTS_MAX: u32 = 20;

/// What writes into the project.
pub(crate) struct Keys {
    pub(crate) number: i64,
    pub(crate) public: String,
    pub(crate) ingest: String,
}

/// Who made a record, in OpenTelemetry's resource terms.
#[derive(Clone, Copy)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    pub(crate) hosts: &'static [&'static str],
    pub(crate) sdk: &'static str,
}

/// What waits to be sent, by protocol.
pub(crate) struct Wire<'a> {
    client: &'a Client,
    keys: Keys,
    otlp_logs: Vec<(Service, String, Value)>,
    otlp_spans: Vec<(Service, String, Value)>,
    logflare: Vec<Value>,
    better_stack: Vec<Value>,
    envelopes: Vec<String>,
    pub(crate) sent: Sent,
}

impl<'a> Wire<'a> {
    pub(crate) fn new(client: &'a Client, keys: Keys) -> Wire<'a> {
        Wire {
            client,
            keys,
            otlp_logs: Vec::new(),
            otlp_spans: Vec::new(),
            logflare: Vec::new(),
            better_stack: Vec::new(),
            envelopes: Vec::new(),
            sent: Sent::default(),
        }
    }

    /// A log record over OTLP.
    pub(crate) fn log(&mut self, service: Service, host: &str, record: Value) {
        self.otlp_logs.push((service, host.to_owned(), record));
        self.sent.logs += 1;
    }

    /// A span over OTLP.
    pub(crate) fn span(&mut self, service: Service, host: &str, span: Value) {
        self.otlp_spans.push((service, host.to_owned(), span));
        self.sent.spans += 1;
    }

    /// A log event of Logflare.
    pub(crate) fn logflare(&mut self, event: Value) {
        self.logflare.push(event);
        self.sent.logs += 1;
    }

    /// A log event of Better Stack.
    pub(crate) fn better_stack(&mut self, event: Value) {
        self.better_stack.push(event);
        self.sent.logs += 1;
    }

    /// An error event of Sentry, in an envelope of its own as SDKs send it.
    pub(crate) fn event(&mut self, event: &Value) {
        let id = event.get("event_id").cloned().unwrap_or_default();
        let payload = event.to_string();
        let head = json!({ "event_id": id, "sdk": event.get("sdk") });
        let item = json!({ "type": "event", "length": payload.len(), "content_type": "application/json" });
        self.envelopes.push(format!("{head}\n{item}\n{payload}\n"));
        self.sent.errors += 1;
    }

    /// Sends what has become a request's worth.
    pub(crate) async fn send_when_full(&mut self) -> Result<()> {
        let waiting = self.otlp_logs.len().max(self.otlp_spans.len()).max(self.logflare.len());
        if waiting.max(self.better_stack.len()) >= BATCH_RECORDS || self.envelopes.len() >= 20 {
            self.send_all().await?;
        }
        Ok(())
    }

    /// Sends the rest.
    pub(crate) async fn finish(mut self) -> Result<Sent> {
        self.send_all().await?;
        Ok(self.sent)
    }

    async fn send_all(&mut self) -> Result<()> {
        if !self.otlp_logs.is_empty() {
            let groups = by_resource(std::mem::take(&mut self.otlp_logs), "scopeLogs", "logRecords");
            self.otlp("/v1/logs", &json!({ "resourceLogs": groups })).await?;
        }
        if !self.otlp_spans.is_empty() {
            let groups = by_resource(std::mem::take(&mut self.otlp_spans), "scopeSpans", "spans");
            self.otlp("/v1/traces", &json!({ "resourceSpans": groups })).await?;
        }
        if !self.logflare.is_empty() {
            let body = json!({ "batch": std::mem::take(&mut self.logflare) }).to_string();
            let headers =
                [("X-API-KEY", self.keys.ingest.clone()), ("Content-Type", "application/json".to_owned())];
            self.post("/api/logs?source_name=storefront", &headers, body).await?;
        }
        if !self.better_stack.is_empty() {
            let body = Value::Array(std::mem::take(&mut self.better_stack)).to_string();
            let headers = [
                ("Authorization", format!("Bearer {}", self.keys.ingest)),
                ("Content-Type", "application/json".to_owned()),
            ];
            self.post("/", &headers, body).await?;
        }
        let path = format!("/api/{}/envelope/", self.keys.number);
        for envelope in std::mem::take(&mut self.envelopes) {
            let auth = format!(
                "Sentry sentry_version=7, sentry_key={}, sentry_client=candor-demo/1.0",
                self.keys.public
            );
            let headers =
                [("X-Sentry-Auth", auth), ("Content-Type", "application/x-sentry-envelope".to_owned())];
            self.post(&path, &headers, envelope).await?;
        }
        Ok(())
    }

    async fn otlp(&self, path: &str, body: &Value) -> Result<()> {
        let headers = [
            ("Authorization", format!("Bearer {}", self.keys.ingest)),
            ("Content-Type", "application/json".to_owned()),
        ];
        self.post(path, &headers, body.to_string()).await
    }

    async fn post(&self, path: &str, headers: &[(&'static str, String)], body: String) -> Result<()> {
        for attempt in 0..ATTEMPTS_MAX {
            let mut request = self.client.plain(Method::POST, path).body(body.clone());
            for (name, value) in headers {
                request = request.header(*name, value);
            }
            let response = request.send().await.map_err(reqwest::Error::without_url)?;
            let status = response.status();
            if status.is_success() {
                return Ok(());
            }
            let busy = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
            if !busy {
                let text = response.text().await.unwrap_or_default();
                bail!(
                    "the server refused the demo at {}: {status} {text}",
                    path.split('?').next().unwrap_or(path)
                );
            }
            // As real clients do: wait a little longer each time.
            tokio::time::sleep(std::time::Duration::from_millis(100 * u64::from(attempt + 1))).await;
        }
        bail!("the server refuses everything for now: look at its log");
    }
}

/// Groups records under their resource, as exporters do.
fn by_resource(records: Vec<(Service, String, Value)>, scope_key: &str, records_key: &str) -> Vec<Value> {
    let mut groups: Vec<((&'static str, String), Service, Vec<Value>)> = Vec::new();
    for (service, host, record) in records {
        let key = (service.name, host);
        match groups.iter_mut().find(|(known, _, _)| *known == key) {
            Some((_, _, members)) => members.push(record),
            None => groups.push((key, service, vec![record])),
        }
    }
    groups
        .into_iter()
        .map(|((_, host), service, members)| {
            json!({
                "resource": { "attributes": attributes(&[
                    ("service.name", service.name.into()),
                    ("service.version", service.version.into()),
                    ("host.name", host.into()),
                    ("telemetry.sdk.language", service.sdk.into()),
                    ("deployment.environment.name", "production".into()),
                ]) },
                scope_key: [{ "scope": { "name": service.name }, records_key: members }],
            })
        })
        .collect()
}

/// Attributes in OTLP's JSON form.
pub(crate) fn attributes(pairs: &[(&str, Value)]) -> Value {
    Value::Array(pairs.iter().map(|(key, value)| json!({ "key": key, "value": any_value(value) })).collect())
}

fn any_value(value: &Value) -> Value {
    match value {
        Value::Bool(flag) => json!({ "boolValue": flag }),
        Value::Number(number) if number.is_i64() => json!({ "intValue": number.to_string() }),
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::String(text) => json!({ "stringValue": text }),
        other => json!({ "stringValue": other.to_string() }),
    }
}

/// Nanoseconds since the epoch, as OTLP's JSON has them.
pub(crate) fn nanos(at: Timestamp) -> String {
    format!("{}000", at.0)
}
