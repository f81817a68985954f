//! Publishing now, and backups: what an operator asks for.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::app::App;
use crate::backup;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// The body of `POST /api/v1/flush`.
#[derive(Deserialize)]
pub struct Flush {
    project: Option<String>,
}

/// `POST /api/v1/flush`: of one project by whoever may read it, of all by the local admin key.
pub async fn flush(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(ask): Body<Flush>,
) -> Answer<Json<Value>> {
    let project = match &ask.project {
        Some(path) => Some(caller.read(&app, path).await?.0.id),
        None => {
            caller.must_be_admin()?;
            None
        }
    };
    let snapshot = app.lake.flush(project).await.map_err(|error| Problem::internal(&error))?;
    Ok(Json(json!({ "snapshot": snapshot })))
}

/// The body of `POST /api/v1/backup`.
#[derive(Deserialize)]
pub struct Backup {
    dir: PathBuf,
}

/// `POST /api/v1/backup`: writes a consistent cut into a new folder on the server's machine.
pub async fn backup(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(ask): Body<Backup>,
) -> Answer<Json<Value>> {
    caller.must_be_admin()?;
    if !ask.dir.is_absolute() {
        return Err(Problem::bad_request("dir is an absolute path"));
    }
    // A task of its own: what was begun is brought to its end, and cleared away after it, also where the caller goes.
    let work = tokio::spawn(async move {
        let manifest = backup::create(&app, &ask.dir).await.map_err(|error| {
            Problem::new(http::StatusCode::CONFLICT, "No backup was made", crate::logging::chain(&error))
        })?;
        app.people.audit(&caller.actor(), "backup.create", "instance").await?;
        Ok(Json(serde_json::to_value(manifest).unwrap_or(Value::Null)))
    });
    work.await.map_err(|error| Problem::internal(&error))?
}
