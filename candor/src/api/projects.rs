//! Projects and their keys.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_meta::tenancy::{KeyInfo, KeyKind, KeyLimits, Project, ProjectKeys};
use candor_model::Signal;
use candor_query::Limits;
use http::StatusCode;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::Body;
use crate::app::App;
use crate::deleted;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Grace of rotated keys where the caller names none, seconds: a day to roll a fleet.
const GRACE_SECONDS: u64 = 86_400;

fn listed(project: &Project) -> Value {
    json!({
        "name": project.name,
        "org": project.org_name,
        "number": project.id.0,
        "created_at": project.created_at.to_string(),
    })
}

fn shown(key: &KeyInfo) -> Value {
    json!({
        "id": key.id,
        "kind": key.kind.name(),
        "hint": key.hint,
        "created_at": key.created_at.to_string(),
        "expires_at": key.expires_at.map(|at| at.to_string()),
        "limits": {
            "requests_per_second": key.limits.requests_per_second,
            "bytes_per_second": key.limits.bytes_per_second,
            "bytes_per_day": key.limits.bytes_per_day,
        },
    })
}

/// The user of Kafka clients of a new project; null where Kafka does not listen.
async fn kafka_user(app: &App, project: &Project) -> Answer<Value> {
    let Some(streams) = &app.streams else { return Ok(Value::Null) };
    let user = streams.credentials().create(project.id, &project.name).await;
    let user = user.map_err(|error| Problem::internal(&error))?;
    Ok(json!({
        "bootstrap": streams.bootstrap(),
        "username": user.username,
        "password": user.password,
    }))
}

fn with_secrets(app: &App, project: &Project, keys: &ProjectKeys, kafka: Value) -> Value {
    json!({
        "name": project.name,
        "number": project.id.0,
        "dsn": app.dsn(&keys.dsn_key, project.id),
        "ingest_token": keys.ingest_token,
        "kafka": kafka,
    })
}

/// `GET /api/v1/projects`: those that the caller may read.
pub async fn list(caller: Caller, State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    let projects = match caller.user() {
        None => app.tenancy.projects(None).await?,
        Some(user) => {
            let mut all = Vec::new();
            for (org, _) in app.tenancy.orgs_of(user.id).await? {
                all.extend(app.tenancy.projects(Some(org.id)).await?);
            }
            all
        }
    };
    Ok(Json(Value::Array(projects.iter().map(listed).collect())))
}

/// The body of `POST /api/v1/projects`.
#[derive(Deserialize)]
pub struct Create {
    name: String,
    org: Option<String>,
}

/// `POST /api/v1/projects`: the answer holds the secrets, once.
pub async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(body): Body<Create>,
) -> Answer<(StatusCode, Json<Value>)> {
    let path = match &body.org {
        Some(org) if !body.name.contains('/') => format!("{org}/{}", body.name),
        _ => body.name.clone(),
    };
    let org = match path.split_once('/') {
        Some((org, _)) => app.tenancy.org_named(org).await?.ok_or_else(|| {
            Problem::not_found(format!("there is no organisation {org:?} that you belong to"))
        })?,
        None => app.tenancy.default_org().await?,
    };
    caller.must_manage(&app, org.id).await?;
    let (project, keys) = app.tenancy.create_project(&path).await?;
    app.people.audit(&caller.actor(), "project.create", &format!("project:{}", project.id)).await?;
    let kafka = kafka_user(&app, &project).await?;
    Ok((StatusCode::CREATED, Json(with_secrets(&app, &project, &keys, kafka))))
}

/// `GET /api/v1/projects/{project}`.
pub async fn show(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
) -> Answer<Json<Value>> {
    let (project, scope) = caller.read(&app, &path).await?;
    let keys = app.tenancy.keys(project.id).await?;
    let now = app.clock.now();
    let dsn = keys
        .iter()
        .filter(|key| key.kind == KeyKind::Dsn && key.expires_at.is_none_or(|end| now < end))
        .find_map(|key| key.public.as_ref())
        .map(|key| app.dsn(key, project.id));
    let shown: Vec<Value> = keys.iter().map(shown).collect();
    let sources: Vec<Value> = app
        .sources
        .list(project.id)
        .await?
        .into_iter()
        .map(|source| json!({ "id": source.id, "name": source.name, "created_at": source.created_at.to_string() }))
        .collect();
    let mut signals = Map::new();
    for signal in Signal::ALL {
        // Counted by the engine: metadata of files and the tail, no scan of rows.
        let sql = format!("SELECT count(*) AS n, max(_ingested_at) AS last FROM {}", signal.name());
        let row = app.first_row(&scope, &sql, Limits::default()).await?;
        let rows = row.get("n").cloned().unwrap_or(json!(0));
        let rows = rows.as_str().and_then(|text| text.parse::<i64>().ok()).map_or(rows, Value::from);
        signals.insert(
            signal.name().to_owned(),
            json!({ "rows": rows, "last": row.get("last").cloned().unwrap_or(Value::Null) }),
        );
    }
    let mut out = listed(&project);
    if let Some(object) = out.as_object_mut() {
        object.insert("dsn".to_owned(), json!(dsn));
        object.insert("keys".to_owned(), Value::Array(shown));
        object.insert("signals".to_owned(), Value::Object(signals));
        object.insert("sources".to_owned(), Value::Array(sources));
    }
    Ok(Json(out))
}

/// `DELETE /api/v1/projects/{project}`.
pub async fn remove(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
) -> Answer<StatusCode> {
    let project = caller.manage(&app, &path).await?;
    app.tenancy.delete_project(project.id).await?;
    deleted::remove_soon(&app, project.id);
    app.people.audit(&caller.actor(), "project.delete", &format!("project:{}", project.id)).await?;
    // The rest goes on behind the answer; by then nobody may read.
    app.lake.revoke_tokens(project.id).await.map_err(|error| Problem::internal(&error))?;
    Ok(StatusCode::NO_CONTENT)
}

/// The body of `POST /api/v1/projects/{project}/rotate-keys`.
#[derive(Deserialize)]
pub struct Rotate {
    grace_seconds: Option<u64>,
}

/// `POST /api/v1/projects/{project}/rotate-keys`: the answer holds the secrets, once.
pub async fn rotate_keys(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    Body(body): Body<Rotate>,
) -> Answer<Json<Value>> {
    let project = caller.manage(&app, &path).await?;
    let keys = app.tenancy.rotate_keys(project.id, body.grace_seconds.unwrap_or(GRACE_SECONDS)).await?;
    app.people.audit(&caller.actor(), "project.rotate-keys", &format!("project:{}", project.id)).await?;
    // Its Kafka user's password is another matter.
    Ok(Json(with_secrets(&app, &project, &keys, Value::Null)))
}

/// The body of `PUT /api/v1/projects/{project}/limits`: null lifts a limit, what is absent stays.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    kind: Option<String>,
    #[serde(default, deserialize_with = "given")]
    requests_per_second: Option<Option<u32>>,
    #[serde(default, deserialize_with = "given")]
    bytes_per_second: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    bytes_per_day: Option<Option<u64>>,
}

/// Null is a value too.
fn given<'d, T: Deserialize<'d>, D: Deserializer<'d>>(from: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(from).map(Some)
}

/// `PUT /api/v1/projects/{project}/limits`: what the current keys may use. Those that work out their grace keep what
/// they have.
pub async fn limit(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(path): Path<String>,
    Body(body): Body<Limit>,
) -> Answer<Json<Value>> {
    let project = caller.manage(&app, &path).await?;
    let kind = match &body.kind {
        Some(name) => {
            Some(KeyKind::from_name(name).ok_or_else(|| Problem::bad_request("kind is dsn or ingest"))?)
        }
        None => None,
    };
    let change = |old: KeyLimits| KeyLimits {
        requests_per_second: body.requests_per_second.unwrap_or(old.requests_per_second),
        bytes_per_second: body.bytes_per_second.unwrap_or(old.bytes_per_second),
        bytes_per_day: body.bytes_per_day.unwrap_or(old.bytes_per_day),
    };
    app.tenancy.change_limits(project.id, kind, change).await?;
    app.people.audit(&caller.actor(), "project.limits", &format!("project:{}", project.id)).await?;
    let keys = app.tenancy.keys(project.id).await?;
    Ok(Json(json!({ "keys": keys.iter().map(shown).collect::<Vec<_>>() })))
}
