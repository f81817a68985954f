//! Producer ids (KIP-98): numbers, each given once, in blocks that the metadata remembers.

use std::sync::Arc;

use candor_meta::{Database, Migration, SqlError, params};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, InitProducerIdResponse, ProducerId};
use tokio::sync::Mutex;

/// Ids taken at once: what is left of a block is lost with the process, and there are 2^63.
const BLOCK: i64 = 1000;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "candor-streams-producers",
    version: 1,
    sql: "CREATE TABLE stream_producer_ids (only_row BIGINT PRIMARY KEY, next BIGINT NOT NULL)",
}];

/// Gives out producer ids. Cheap to clone.
#[derive(Clone)]
pub struct ProducerIds {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    /// The next, and the first of the block after it.
    block: Mutex<(i64, i64)>,
}

impl ProducerIds {
    /// From the metadata.
    pub async fn open(database: Database) -> Result<ProducerIds, SqlError> {
        database.migrate(MIGRATIONS).await?;
        Ok(ProducerIds { inner: Arc::new(Inner { database, block: Mutex::new((0, 0)) }) })
    }

    /// Of ids from `first` on, without the metadata.
    #[cfg(test)]
    pub(crate) fn from(database: Database, first: i64) -> ProducerIds {
        ProducerIds { inner: Arc::new(Inner { database, block: Mutex::new((first, i64::MAX)) }) }
    }

    /// InitProducerId of a producer that takes part in no transactions. Its epoch is 0 for a new id; who brings an id
    /// gets the next epoch of it (KIP-360), or another id where there is none left.
    pub async fn init(&self, request: InitProducerIdRequest) -> InitProducerIdResponse {
        let answer = InitProducerIdResponse::default().with_producer_id((-1).into()).with_producer_epoch(-1);
        let (ProducerId(id), epoch) = (request.producer_id, request.producer_epoch);
        if id >= 0 && (0..i16::MAX - 1).contains(&epoch) {
            return answer.with_producer_id(id.into()).with_producer_epoch(epoch + 1);
        }
        match self.next().await {
            Ok(id) => answer.with_producer_id(id.into()).with_producer_epoch(0),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "no producer id could be given");
                answer.with_error_code(ResponseError::CoordinatorNotAvailable.code())
            }
        }
    }

    /// An id that nobody has.
    pub async fn next(&self) -> Result<i64, SqlError> {
        let mut block = self.inner.block.lock().await;
        if block.0 == block.1 {
            let rows = self
                .inner
                .database
                .query(
                    "INSERT INTO stream_producer_ids (only_row, next) VALUES (1, ?) \
                     ON CONFLICT (only_row) DO UPDATE SET next = stream_producer_ids.next + ? RETURNING next",
                    params![BLOCK, BLOCK],
                )
                .await?;
            let end = rows.first().map_or(Ok(0), |row| row.int(0))?;
            *block = (end - BLOCK, end);
        }
        let id = block.0;
        block.0 += 1;
        Ok(id)
    }
}
