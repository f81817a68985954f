//! `/`, `/healthz`, `/readyz`, `/metrics`.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use candor_lake::Pressure;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::assets;
use crate::app::App;

/// What Elasticsearch's clients look for before they send anything, here and as a header.
const ELASTICSEARCH_VERSION: &str = "8.15.0";

/// `GET /`: browsers go to the screen, Elasticsearch's clients get the banner that they check.
pub async fn root(headers: HeaderMap) -> Response {
    let wants_page = headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"));
    if wants_page {
        return assets::to_screen().await.into_response();
    }
    let banner = json!({
        "name": "candor",
        "cluster_name": "candor",
        "cluster_uuid": "candor",
        "version": {
            "number": ELASTICSEARCH_VERSION,
            "build_flavor": "default",
            "build_type": "candor",
            "lucene_version": "9.11.1",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        },
        "tagline": "You Know, for Search",
    });
    let mut response = Json(banner).into_response();
    response.headers_mut().insert("x-elastic-product", HeaderValue::from_static("Elasticsearch"));
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// `GET /healthz`: the process lives.
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: accepts and stores.
pub async fn readyz(State(app): State<Arc<App>>) -> Response {
    let mut wrong: Vec<String> = Vec::new();
    if app.stop.is_cancelled() {
        wrong.push("stopping".to_owned());
    }
    if let Some(cause) = app.admission.pressure().cause() {
        wrong.push(cause.refusal().to_string());
    }
    let (status, state) = if wrong.is_empty() {
        (StatusCode::OK, "ready")
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready")
    };
    (status, Json(json!({ "state": state, "wrong": wrong }))).into_response()
}

/// `GET /metrics`: Prometheus text. Numbers of the instance only: no names, no addresses, nothing of a project.
pub async fn metrics(State(app): State<Arc<App>>) -> Response {
    let mut text = String::new();
    let mut gauge = |name: &str, kind: &str, help: &str, value: f64| {
        // Writing to a String does not fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}");
    };
    let count = |value: &std::sync::atomic::AtomicU64| value.load(Ordering::Relaxed) as f64;
    let http = &app.connections;
    gauge("candor_up_seconds", "gauge", "Time since the start.", app.started.elapsed().as_secs_f64());
    gauge("candor_http_connections_total", "counter", "Connections accepted.", count(&http.accepted));
    gauge("candor_http_connections", "gauge", "Connections open.", count(&http.open));
    gauge("candor_panics_total", "counter", "Requests whose handler panicked.", count(&http.panics));
    gauge("candor_tail_readers", "gauge", "Live tails open.", count(&app.tail_counts.readers));
    gauge(
        "candor_tail_dropped_total",
        "counter",
        "Records that slow tails missed.",
        count(&app.tail_counts.dropped),
    );
    let pressure = match app.lake.pressure() {
        Pressure::None => 0.0,
        Pressure::Slow { .. } => 1.0,
        Pressure::Refuse => 2.0,
    };
    gauge("candor_lake_pressure", "gauge", "0 keeps up, 1 answers later, 2 refuses ingest.", pressure);
    gauge(
        "candor_slowed_seconds_total",
        "counter",
        "Time by which answers to ingest were delayed because the lake is behind.",
        app.pace.delayed().as_secs_f64(),
    );
    let lake = app.lake.stats();
    for (name, kind, help, value) in [
        ("candor_lake_tables", "gauge", "Tables with rows.", lake.tables),
        ("candor_lake_tail_bytes", "gauge", "Rows in memory that no file has yet.", lake.tail_bytes),
        (
            "candor_lake_stream_lag_bytes",
            "gauge",
            "About what of streams is in the log and in no file yet, since the start.",
            usize::try_from(lake.stream_lag_bytes).unwrap_or(usize::MAX),
        ),
        ("candor_lake_rows_published_total", "counter", "Rows written to files.", lake.rows_published),
        ("candor_lake_files_published_total", "counter", "Files written of them.", lake.files_published),
        ("candor_lake_files_merged_total", "counter", "Files that merges replaced.", lake.files_merged),
    ] {
        gauge(name, kind, help, value as f64);
    }
    let failures = f64::from(lake.failures);
    gauge("candor_lake_failures", "gauge", "Writes of files that failed since one did not.", failures);
    let behind = app.log.behind() as f64;
    gauge(
        "candor_log_behind",
        "gauge",
        "Partitions with committed rows that cannot be read back yet.",
        behind,
    );
    let refusing = f64::from(u8::from(app.admission.pressure().cause().is_some()));
    gauge("candor_refusing", "gauge", "1 while ingest is refused.", refusing);
    let in_flight = app.admission.in_flight_bytes() as f64;
    gauge("candor_in_flight_bytes", "gauge", "Bodies in memory.", in_flight);
    if let Some(bytes) = app.free.bytes() {
        gauge("candor_disk_free_bytes", "gauge", "Free on the data dir's file system.", bytes as f64);
    }
    let name = "candor_refused_total";
    let _ = writeln!(text, "# HELP {name} Requests that were not let in.\n# TYPE {name} counter");
    for (reason, count) in app.admission.refusals().by_reason() {
        let _ = writeln!(text, "{name}{{reason=\"{reason}\"}} {count}");
    }
    let help = "Error events in the issue of a project that has as many different ones as it may.";
    let name = "candor_issues_folded_total";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}", app.issues.folded());
    let report = app.gate.totals().report();
    let help = "Attributes left out because a record had too many, or their names were too long.";
    let name = "candor_gate_attributes_dropped_total";
    let _ =
        writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {}", report.attributes_dropped);
    for (name, label, help, counts) in [
        ("candor_gate_dropped_total", "reason", "Records that the gate dropped.", report.dropped),
        ("candor_gate_replaced_total", "kind", "Values that the gate replaced or took out.", report.replaced),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
        for (what, count) in counts {
            let _ = writeln!(text, "{name}{{{label}=\"{what}\"}} {count}");
        }
    }
    let name = "candor_sentry_outcomes_total";
    let help = "What became of what Sentry's SDKs sent, or say that they did not send.";
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} counter");
    for (counted, quantity) in app.outcomes.totals() {
        let (category, outcome, reason) = (counted.category, counted.outcome.name(), counted.reason);
        let labels = format!("category=\"{category}\",outcome=\"{outcome}\",reason=\"{reason}\"");
        let _ = writeln!(text, "{name}{{{labels}}} {quantity}");
    }
    let headers = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    (headers, text).into_response()
}
