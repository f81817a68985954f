//! The rule tester: what a policy makes of a record. Nothing of it is stored or noted.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use candor_gate::Tested;
use candor_model::{ErrorRecord, Incoming, LogRecord, Origin, Records, Value as Record, json as text};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// The body of `POST /api/v1/policy/test`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    project: String,
    /// A policy file; the one in force where it is absent.
    source: Option<String>,
    signal: Signal,
    /// An error event as Sentry's SDKs write it, or a log record: `body` or `message`, and attributes.
    record: Box<serde_json::value::RawValue>,
    /// As if a browser had sent it.
    #[serde(default)]
    browser: bool,
    #[serde(default)]
    global_privacy_control: bool,
    #[serde(default)]
    do_not_track: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Signal {
    Logs,
    Errors,
}

/// `POST /api/v1/policy/test`.
pub async fn test(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(asked): Body<Test>,
) -> Answer<Json<Value>> {
    let (project, _) = caller.read(&app, &asked.project).await?;
    let policy = match &asked.source {
        Some(source) => {
            let read = candor_policy::read("policy.toml", source);
            let first = |faults: Vec<candor_policy::Fault>| {
                faults.first().map(ToString::to_string).unwrap_or_default()
            };
            read.map_err(|faults| Problem::bad_request(first(faults)))?.policy
        }
        None => match app.policies.of(project.id) {
            Some(held) => held.resolved.policy.clone(),
            None => return Err(Problem::not_found("no policy holds there")),
        },
    };
    let compiled = app.compiled(&policy)?;
    let record = text::parse(asked.record.get().as_bytes(), text::Leniency::LENIENT)
        .map_err(|_| Problem::bad_request("the record is no JSON that can be read"))?;
    let Record::Object(mut object) = record else {
        return Err(Problem::bad_request("a record is an object: paste an event, or a log record"));
    };
    let records = match asked.signal {
        Signal::Errors => {
            let columns = candor_errors::event::columns;
            Records::Errors(vec![ErrorRecord { event: Record::Object(object), columns }])
        }
        Signal::Logs => {
            let body = object.remove("body").or_else(|| object.remove("message")).unwrap_or_default();
            let attributes = match object.remove("attributes") {
                Some(Record::Object(attributes)) => attributes,
                _ => object,
            };
            Records::Logs(vec![LogRecord { body, attributes, ..LogRecord::default() }])
        }
    };
    let origin = Origin {
        sdk: asked.browser.then(|| "sentry.javascript.browser".to_owned()),
        global_privacy_control: asked.global_privacy_control,
        do_not_track: asked.do_not_track,
        ..Origin::default()
    };
    let tested = app.gate.test(&compiled, project.id, Incoming { records, origin, request: None });
    match tested.first() {
        Some(tested) => Ok(Json(shown(tested))),
        None => Err(Problem::bad_request("there is nothing in the record")),
    }
}

fn shown(tested: &Tested) -> Value {
    let value = |record: &Record| serde_json::from_str::<Value>(&text::to_string(record)).unwrap_or_default();
    let changes: Vec<Value> = tested
        .changes
        .iter()
        .map(|change| json!({ "place": change.place, "clause": change.clause, "is_removed": change.is_removed }))
        .collect();
    json!({
        "before": value(&tested.before),
        "after": tested.after.as_ref().map(value),
        "dropped": tested.dropped,
        "changes": changes,
        "subjects": tested.subjects,
    })
}
