//! Attachments of events: each its own object in the log's store, named by the event that it came with, or, where it
//! came without one (before or after it), by a row of `meta.db` under the event's id.
//!
//! The event is the truth: what it names under `attachments` is kept, and the issues' follower notes those names in
//! `meta.db` in the transaction that takes the event in. What no event names after [`UNNAMED_KEPT_US`] came with a
//! retry, or with an event that was dropped or never stored; it is removed, as are those of events whose retention
//! is over.

use std::collections::HashSet;
use std::time::Duration;

use candor_log::{Blobs, Ingest, StoredBlob};
use candor_meta::{Database, ReadScope, SqlError, WriteScope, params};
use candor_model::{Object, ProjectId, Timestamp, Value, json};
use candor_store::{StoreError, StoredFile};

use crate::issues::{Issues, IssuesError};
use crate::items::{ATTACHMENTS_MAX, Attachment};

/// The member of an event that names its attachments, each an object with `id`, `name`, `content_type`, `type` and
/// `size` in bytes.
const MEMBER: &str = "attachments";

/// How long a blob is kept that no event names, µs: far beyond the time between writing it and its event.
const UNNAMED_KEPT_US: i64 = 6 * 3_600 * Timestamp::SECOND;

/// How often is collected.
const COLLECT_EVERY: Duration = Duration::from_secs(3_600);

/// Why attachments could not be collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// The object store failed.
    #[error("the attachments could not be listed or removed")]
    Store(#[from] StoreError),
    /// The issues could not be brought up to the log.
    #[error(transparent)]
    Issues(#[from] IssuesError),
    /// The database failed.
    #[error("the database of attachments failed")]
    Sql(#[from] SqlError),
}

/// Why attachments that came without their event were not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LateError {
    /// The object store or the gate did not take them.
    #[error(transparent)]
    Append(#[from] candor_log::AppendError),
    /// The database failed.
    #[error("the database of attachments failed")]
    Sql(#[from] SqlError),
}

/// Stores attachments and names them in their event.
pub(crate) async fn keep(
    ingest: &Ingest,
    scope: &WriteScope,
    event: &mut Object,
    attachments: Vec<Attachment>,
) -> Result<u64, candor_log::AppendError> {
    let mut named = Vec::with_capacity(attachments.len());
    for attachment in attachments {
        if let Some((_, entry)) = store(ingest, scope, attachment).await? {
            named.push(Value::Object(entry));
        }
    }
    let count = named.len() as u64;
    // Whatever the sender says stands there is no attachment of ours.
    match count {
        0 => drop(event.remove(MEMBER)),
        _ => event.insert(MEMBER, Value::Array(named)),
    }
    Ok(count)
}

/// Stores an attachment. Gives its name and what is said about it, which the gate has yet to clear; none where it was
/// dropped.
async fn store(
    ingest: &Ingest,
    scope: &WriteScope,
    attachment: Attachment,
) -> Result<Option<(String, Object)>, candor_log::AppendError> {
    let kept = ingest.keep(scope, attachment.bytes).await?;
    let Some(id) = kept.name else { return Ok(None) };
    let mut entry = Object::new();
    entry.insert("id", id.as_str());
    entry.insert("name", attachment.filename);
    entry.insert("content_type", attachment.content_type);
    entry.insert("type", attachment.kind);
    entry.insert("size", i64::try_from(kept.bytes).unwrap_or(i64::MAX));
    Ok(Some((id, entry)))
}

/// Stores attachments that came without their event, under its id. Gives how many; those beyond what one event may
/// have are left out.
pub(crate) async fn keep_late(
    issues: &Issues,
    ingest: &Ingest,
    scope: &WriteScope,
    event_id: &str,
    attachments: Vec<Attachment>,
) -> Result<u64, LateError> {
    let project = scope.project().0;
    let database = issues.database();
    let sql = "SELECT COUNT(*) FROM event_attachment WHERE project = ? AND event_id = ?";
    let rows = database.query(sql, params![project, event_id]).await?;
    let known = rows.first().map(|row| row.int(0)).transpose()?.unwrap_or(0);
    let room = ATTACHMENTS_MAX.saturating_sub(usize::try_from(known).unwrap_or(usize::MAX));
    let mut count = 0;
    for attachment in attachments.into_iter().take(room) {
        let Some((name, mut about)) = store(ingest, scope, attachment).await? else { continue };
        ingest.clear_about(scope, &mut about);
        let about = json::to_string(&Value::Object(about));
        let sql = "INSERT INTO event_attachment (project, name, event_id, about) VALUES (?, ?, ?, ?)";
        database.execute(sql, params![project, name, event_id, about]).await?;
        count += 1;
    }
    Ok(count)
}

/// What came for an event without it, as the event itself names its own, in JSON.
pub async fn late(issues: &Issues, scope: &ReadScope, event_id: &str) -> Result<Vec<String>, SqlError> {
    let sql = "SELECT about FROM event_attachment
               WHERE project = ? AND event_id = ? AND about IS NOT NULL ORDER BY name";
    let rows = issues.database().query(sql, params![scope.project().0, event_id]).await?;
    rows.iter().map(|row| row.text(0).map(str::to_owned)).collect()
}

/// The names in an event's JSON text.
pub(crate) fn names(event: &str) -> Vec<String> {
    if memchr::memmem::find(event.as_bytes(), b"\"attachments\":[").is_none() {
        return Vec::new();
    }
    let Ok(event) = json::parse(event.as_bytes(), json::Leniency::LENIENT) else { return Vec::new() };
    let listed = event.get(MEMBER).and_then(Value::as_array).unwrap_or_default();
    listed.iter().filter_map(|entry| Some(entry.get("id")?.as_str()?.to_owned())).collect()
}

/// Opens an attachment of an event; none where the event names none of that name.
pub async fn open(
    issues: &Issues,
    blobs: &Blobs,
    scope: &ReadScope,
    event_id: &str,
    name: &str,
) -> Result<Option<StoredFile>, CollectError> {
    issues.settle().await?;
    let sql = "SELECT 1 FROM event_attachment WHERE project = ? AND name = ? AND event_id = ?";
    let known = issues.database().query(sql, params![scope.project().0, name, event_id]).await?;
    match known.is_empty() {
        true => Ok(None),
        false => Ok(blobs.open(scope, name).await?),
    }
}

/// Collects every hour until the task is aborted. `kept_us` is how long error events are kept.
pub fn start(issues: Issues, blobs: Blobs, kept_us: i64) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(COLLECT_EVERY).await;
            if let Err(error) = collect(&issues, &blobs, kept_us).await {
                tracing::warn!(error = &error as &dyn std::error::Error, "attachments were not collected");
            }
        }
    })
}

/// Removes what no event names, and what has been kept for long enough. Gives how many were removed.
pub async fn collect(issues: &Issues, blobs: &Blobs, kept_us: i64) -> Result<u64, CollectError> {
    // Listed before the events are taken in: what was stored by then and is named is known to be.
    let stored = blobs.stored().await?;
    issues.settle().await?;
    let now = issues.now();
    let database = issues.database();
    let named = named(database).await?;
    let mut removed = 0;
    for blob in stored {
        let age = now.0 - blob.at.0;
        let is_named = named.contains(&(blob.project, blob.name.clone()));
        if age > kept_us || (!is_named && age > UNNAMED_KEPT_US) {
            blobs.delete(&blob).await?;
            forget(database, &blob).await?;
            removed += 1;
        }
    }
    Ok(removed)
}

async fn named(database: &Database) -> Result<HashSet<(ProjectId, String)>, SqlError> {
    let rows = database.query("SELECT project, name FROM event_attachment", &[]).await?;
    rows.iter().map(|row| Ok((ProjectId(row.int(0)?), row.text(1)?.to_owned()))).collect()
}

async fn forget(database: &Database, blob: &StoredBlob) -> Result<(), SqlError> {
    let sql = "DELETE FROM event_attachment WHERE project = ? AND name = ?";
    database.execute(sql, params![blob.project.0, blob.name.as_str()]).await?;
    Ok(())
}
