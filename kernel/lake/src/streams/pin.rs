//! What a query holds of a stream's table.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::datatypes::SchemaRef;
use candor_model::ProjectId;

use super::StreamTopic;
use super::columns::{StreamTypes, stream_schema};
use crate::inner::{Inner, detached};
use crate::name::TableName;
use crate::{LakeError, Pinned};

impl Inner {
    /// A project's topic of that name.
    pub(crate) fn stream_topic(&self, project: ProjectId, name: &str) -> Option<StreamTopic> {
        self.streams()?.topics.topic(project, name)
    }

    /// A project's topics.
    pub(crate) fn stream_topics(&self, project: ProjectId) -> Vec<StreamTopic> {
        self.streams().map(|streams| streams.topics.topics(project)).unwrap_or_default()
    }

    /// Reads a table on to what is stable now, and pins it.
    pub(crate) async fn pin_stream(
        self: &Arc<Inner>,
        project: ProjectId,
        topic: &StreamTopic,
    ) -> Result<Pinned, LakeError> {
        let name = TableName::Stream(topic.topic.clone());
        let Some(table) = self.tables.get(&(project, name.clone())) else {
            return Ok(self.empty(project, &name, self.head()));
        };
        table.asked.store(self.clock.now().0, Ordering::Relaxed);
        let inner = Arc::clone(self);
        // The reading goes on where the caller goes away: it may publish.
        detached(async move {
            let _filling = table.filling.lock().await;
            inner.fill(&table, usize::MAX).await?;
            inner.pin_table(&table).await
        })
        .await
    }

    /// The columns of a topic's table as far as they are known without reading on.
    pub(crate) async fn stream_columns(
        &self,
        project: ProjectId,
        topic: &StreamTopic,
    ) -> Result<SchemaRef, LakeError> {
        let name = TableName::Stream(topic.topic.clone());
        let Some(table) = self.tables.get(&(project, name)) else {
            return Ok(stream_schema(StreamTypes::default()));
        };
        let seen = table.state.lock().seen.clone();
        match seen {
            Some(seen) => Ok(Arc::clone(&seen.schema)),
            None => Ok(Arc::clone(&self.table_columns(&table).await?.schema)),
        }
    }
}
