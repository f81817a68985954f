//! What deleted projects stored goes: tables, log, attachments, issues, sources, persons.
//!
//! A project's keys die with the answer to its deletion; the rest is removed behind it, again at every start and every
//! hour, because the process may end in between and because what was on its way may still arrive.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use candor_ledger::Ledger;
use candor_model::ProjectId;

use crate::app::App;

/// How often deleted projects are looked through.
const EVERY: Duration = Duration::from_secs(3_600);

/// Pauses before each try behind the answer; then it is done with the rest, every hour.
const TRIED_AFTER: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(120),
    Duration::from_secs(600),
];

/// Removes all that a deleted project stored. Doing it again changes nothing.
pub async fn remove(app: &App, project: ProjectId) -> Result<()> {
    // Whom it knows goes first, whatever else takes its time or is lost.
    let persons = forget_persons(app, project).await;
    // The tables before the log: their positions let go of it.
    let tables = match app.lake.drop_project(project).await.context("its tables stay for now") {
        Ok(()) => app.log.forget(project).await.context("its batches stay for now"),
        failed => failed,
    };
    // What fails keeps nothing else from going.
    let rest = [
        app.log.blobs().forget(project).await.context("its attachments stay for now"),
        app.issues.forget(project).await.context("its issues stay for now"),
        app.sources.forget(project).await.context("its sources stay for now"),
        app.policies.forget(project).await.context("its policy stays for now"),
        match &app.streams {
            Some(streams) => streams.forget(project).await.context("its topics stay for now"),
            None => Ok(()),
        },
        forget_in_ledger(app, project).await.context("whom its ledger names stays for now"),
        // Again, for whom the log brought meanwhile.
        forget_persons(app, project).await,
    ];
    rest.into_iter().fold(persons.and(tables), Result::and)
}

async fn forget_persons(app: &App, project: ProjectId) -> Result<()> {
    app.vault.forget(project).await.context("what identifies its persons stays for now")
}

/// Whom entries of the ledger concerned, and why, goes; the entries stay, so that it can still be verified. What is only
/// counted so far becomes entries before, for it names persons too.
async fn forget_in_ledger(app: &App, project: ProjectId) -> Result<()> {
    app.books.ledger.settle(Some(project)).await?;
    let mut tx = app.meta.begin().await?;
    Ledger::erase_details(&mut tx, project).await?;
    Ok(tx.commit().await?)
}

/// Removes a project that was just deleted, behind the answer.
pub fn remove_soon(app: &Arc<App>, project: ProjectId) {
    let app = Arc::downgrade(app);
    tokio::spawn(async move {
        for pause in TRIED_AFTER {
            tokio::time::sleep(pause).await;
            let Some(app) = app.upgrade() else { return };
            if remove_or_warn(&app, project).await {
                return;
            }
        }
    });
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

/// True once nothing is left.
async fn remove_or_warn(app: &App, project: ProjectId) -> bool {
    let removed = remove(app, project).await;
    if let Err(error) = &removed {
        tracing::warn!(error = format!("{error:#}"), %project, "a deleted project is not gone yet");
    }
    removed.is_ok()
}
