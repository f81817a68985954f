//! What deleted projects stored goes: tables, log, attachments, issues, sources, persons.
//!
//! A project's keys die with the answer to its deletion; the rest is removed behind it, again at every start and every
//! hour, because the process may end in between and because what was on its way may still arrive.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use candor_model::ProjectId;

use crate::app::App;

/// How often deleted projects are looked through.
const EVERY: Duration = Duration::from_secs(3_600);

/// Removes all that a deleted project stored. Doing it again changes nothing.
pub async fn remove(app: &App, project: ProjectId) -> Result<()> {
    // The tables first: their positions let go of the log.
    app.lake.drop_project(project).await.context("its tables stay for now")?;
    app.log.forget(project);
    app.log.blobs().forget(project).await.context("its attachments stay for now")?;
    app.issues.forget(project).await.context("its issues stay for now")?;
    app.sources.forget(project).await.context("its sources stay for now")?;
    app.vault.forget(project).await.context("what identifies its persons stays for now")
}

/// Removes a project that was just deleted, behind the answer.
pub fn remove_soon(app: &Arc<App>, project: ProjectId) {
    let app = Arc::clone(app);
    tokio::spawn(async move { remove_or_warn(&app, project).await });
}

/// Removes what earlier deletions left, at the start and from then on.
pub fn start(app: &Arc<App>) {
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        while let Some(app) = app.upgrade() {
            match app.tenancy.deleted_projects().await {
                Ok(projects) => {
                    for project in projects {
                        remove_or_warn(&app, project).await;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = crate::logging::chain(&error),
                        "deleted projects cannot be listed"
                    );
                }
            }
            drop(app);
            tokio::time::sleep(EVERY).await;
        }
    });
}

async fn remove_or_warn(app: &App, project: ProjectId) {
    if let Err(error) = remove(app, project).await {
        tracing::warn!(error = format!("{error:#}"), %project, "a deleted project is not gone yet");
    }
}
