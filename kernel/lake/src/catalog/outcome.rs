//! What became of a change: whether a commit whose answer was lost is there, and which rows are no more.

use std::collections::HashMap;
use std::time::Duration;

use candor_model::ProjectId;

use super::Catalog;
use super::commit::{Done, WRITER, head};
use crate::LakeError;
use crate::name::TableName;

/// The pause after the first question that was not answered, and the longest.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(5);

impl Catalog {
    /// Whether a snapshot that was being made is there. The lock waits for a transaction that still runs on a
    /// server whose answer was lost.
    pub(super) async fn outcome(&self, done: &Done) -> bool {
        let mut pause = PAUSE;
        loop {
            match self.try_outcome(done).await {
                Ok(there) => return there,
                Err(error) => {
                    tracing::warn!(error = %candor_model::chain(&error), "cannot learn what became of a commit");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }

    async fn try_outcome(&self, done: &Done) -> Result<bool, LakeError> {
        let mut tx = self.database.begin().await?;
        tx.lock(WRITER).await?;
        Ok(head(&mut tx).await?.snapshot >= done.snapshot)
    }

    /// Counts rows that are no more.
    pub(super) fn note_gone(&self, rows: &[(ProjectId, TableName, u64)]) {
        if rows.is_empty() {
            return;
        }
        let mut gone = self.gone.lock();
        for (project, name, rows) in rows {
            *gone.entry((*project, name.clone())).or_default() += rows;
        }
    }

    /// Rows that are no more since this was asked last, by project and table.
    pub(crate) fn take_gone(&self) -> HashMap<(ProjectId, TableName), u64> {
        std::mem::take(&mut *self.gone.lock())
    }
}
