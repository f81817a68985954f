//! What upkeep does for streams: publishing, retention, tables of deleted topics.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use candor_model::{ProjectId, Timestamp};

use super::StreamTopic;
use crate::LakeError;
use crate::inner::Inner;
use crate::name::TableName;
use crate::table::Table;
use crate::upkeep::Due;

/// Rows that were read for a query are kept so long for the next one, µs.
const CACHED_US: i64 = 60 * 1_000_000;

/// A table that could not be published is tried again after so long, µs: the places of a round are for those that can.
const FAILED_REST_US: i64 = 30 * 1_000_000;

/// The log compacts nothing sooner, milliseconds: it ends its open file for that no more often.
const COMPACT_AFTER_MIN_MS: u64 = 10_000;

fn warn_of(table: &Table, error: &LakeError) {
    let (project, name) = (table.project, &table.name);
    tracing::warn!(%project, ?name, error = %candor_model::chain(error), "a table of a stream cannot be published");
}

impl Inner {
    /// Publishes what is due of streams, as many tables as are published in a second by age, each up to what a tail
    /// holds.
    pub(crate) async fn tend_streams(self: &Arc<Inner>) -> Result<(), LakeError> {
        let Some(streams) = self.streams() else { return Ok(()) };
        let now = self.clock.now();
        let is_idle = |table: &Table| now.0 - table.asked.load(Ordering::Relaxed) >= CACHED_US;
        self.let_go(is_idle);
        let mut due: Vec<(Timestamp, Arc<Table>)> = Vec::new();
        for table in self.tables.list(None) {
            let Some((since, bytes)) = table.lag.get().filter(|_| table.name.is_stream()) else { continue };
            if now.0 < table.lag.rests_until() {
                continue;
            }
            let Some(topic) = streams.topics.in_log(table.project, &table.name.topic()) else { continue };
            if self.is_due(&topic, now.0 - since.0, bytes) {
                due.push((since, table));
            }
        }
        due.sort_by_key(|(since, _)| *since);
        due.truncate(self.config.files_per_second.max(1) as usize);
        let due: Vec<Arc<Table>> = due.into_iter().map(|(_, table)| table).collect();
        self.publish_streams(&due, self.config.table_bytes).await
    }

    /// As for signals, and before the log's own retention or its compaction by key wants it gone: what is in no file is
    /// not touched there.
    fn is_due(&self, topic: &StreamTopic, age_us: i64, bytes: u64) -> bool {
        let usual = match bytes < self.config.tiny_bytes as u64 {
            true => self.config.tiny_age_us,
            false => self.config.publish_age_us,
        };
        let compacted_ms = topic.compact_after_ms.map(|ms| ms.max(COMPACT_AFTER_MIN_MS));
        let wanted_ms = [topic.retention_ms, compacted_ms].into_iter().flatten().min();
        let half_us = wanted_ms.map(|ms| i64::try_from(ms.saturating_mul(500)).unwrap_or(i64::MAX));
        bytes >= self.config.table_bytes as u64
            || topic.retention_bytes.is_some_and(|most| bytes >= most)
            || age_us >= usual.min(half_us.unwrap_or(i64::MAX))
    }

    /// Reads tables on, each for at most so many bytes of rows, and publishes them.
    pub(crate) async fn publish_streams(
        self: &Arc<Inner>,
        tables: &[Arc<Table>],
        bytes_max: usize,
    ) -> Result<(), LakeError> {
        if tables.is_empty() {
            return Ok(());
        }
        let mut held = Vec::with_capacity(tables.len());
        let mut first_error = Ok(());
        for table in tables {
            let filling = Arc::clone(&table.filling).lock_owned().await;
            let lag = table.lag.take();
            let filled = self.fill(table, bytes_max).await;
            held.push((table, lag, filling, matches!(filled, Ok(true)), filled.is_err()));
            first_error = first_error.and(filled.map(drop));
        }
        // What could be read goes, whatever else could not; together where it can be, as that is one commit.
        if let Err(joint_error) = self.publish(tables.to_vec(), None).await {
            let mut all_went = true;
            for (table, _, _, is_whole, has_failed) in &mut held {
                if let Err(error) = self.publish(vec![Arc::clone(table)], None).await {
                    (*is_whole, *has_failed, all_went) = (false, true, false);
                    warn_of(table, &error);
                }
            }
            if !all_went {
                first_error = first_error.and(Err(joint_error));
            }
        }
        let now = self.clock.now();
        for (table, lag, _, is_whole, has_failed) in &held {
            if !is_whole {
                table.lag.put_back(*lag);
            }
            table.lag.rest_until(if *has_failed { now.0 + FAILED_REST_US } else { 0 });
        }
        first_error
    }

    /// Tables of streams that have something in the log, or in memory, that is in no file.
    pub(crate) fn unpublished_streams(&self, project: Option<ProjectId>) -> Vec<Arc<Table>> {
        let mut tables = self.tables.list(project);
        tables.retain(|table| {
            let waits = table.lag.get().is_some() || table.tail_bytes.load(Ordering::Relaxed) > 0;
            waits && table.name.is_stream()
        });
        tables
    }

    /// About how many bytes of the log are in no file yet, over all streams.
    pub(crate) fn stream_lag_bytes(&self) -> u64 {
        self.tables.list(None).iter().map(|table| table.lag.bytes()).sum()
    }

    /// Ends files of streams whose newest row is older than its topic keeps any.
    pub(crate) async fn retain_streams(self: &Arc<Inner>, now: Timestamp) -> Result<usize, LakeError> {
        let Some(streams) = self.streams() else { return Ok(0) };
        let keeping = self.keeping();
        // Of what the topic says and what policies say the stricter, and by when bytes are gone.
        let ended = |project, name: &TableName| {
            let topic = streams.topics.in_log(project, &name.topic())?;
            let own = topic.retention_ms.map(|ms| i64::try_from(ms.saturating_mul(1000)).unwrap_or(i64::MAX));
            let kept = keeping.of(project);
            let end = own.map_or(i64::MIN, |live| now.0.saturating_sub(live));
            Some((end.max(kept.end_of_topic(&topic.name, now.0)), kept.topic(&topic.name).lag_us))
        };
        let tables = self.tables.list(None);
        let of_streams = tables.iter().filter(|table| table.name.is_stream());
        let latest =
            of_streams.filter_map(|table| ended(table.project, &table.name)).map(|(end, _)| end).max();
        let Some(latest) = latest else { return Ok(0) };
        let mut due = Due::default();
        for aged in self.catalog.aged_streams(latest).await? {
            if let Some((end, lag)) = ended(aged.project, &aged.name) {
                due.note(&aged, end, lag);
            }
        }
        self.end_due(due, now).await
    }

    /// Ends the tables of topics that were deleted.
    pub(crate) async fn drop_deleted(self: &Arc<Inner>) -> Result<(), LakeError> {
        let Some(streams) = self.streams() else { return Ok(()) };
        for table in self.tables.list(None) {
            let is_gone =
                table.name.is_stream() && streams.topics.in_log(table.project, &table.name.topic()).is_none();
            if !is_gone {
                continue;
            }
            let _filling = table.filling.lock().await;
            let _merging = self.merging.lock().await;
            let _publishing = self.publishing.lock().await;
            table.is_dropped.store(true, Ordering::Relaxed);
            let committing = self.committing.lock().await;
            let snapshot = self.catalog.drop_table(table.project, &table.name, self.clock.now()).await?;
            self.tables.remove(table.project, Some(&table.name));
            self.clear(&table);
            self.advance_head(snapshot);
            drop(committing);
        }
        Ok(())
    }
}
