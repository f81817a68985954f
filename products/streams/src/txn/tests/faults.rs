//! Storage and an outside world that fail where they are told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use async_trait::async_trait;
use candor_gate::TransactionEnd;
use candor_meta::SqlError;
use candor_model::{Partition, ProjectId, TopicName};
use kafka_protocol::ResponseError;

use crate::txn::outside::{House, Outside};
use crate::txn::state::Transaction;
use crate::txn::storage::{Key, Step, Storage};
use crate::txn::tables::Tables;

/// What is stored and told fails from some effect on.
pub struct Faults {
    /// Effects that come off before.
    pub left: AtomicI64,
    /// The one that fails takes effect all the same: its answer is lost.
    pub answer_is_lost: AtomicBool,
    /// Effects that came off since the last reset.
    pub done: AtomicI64,
}

impl Faults {
    pub fn new() -> Arc<Faults> {
        let (left, done) = (AtomicI64::new(i64::MAX), AtomicI64::new(0));
        Arc::new(Faults { left, answer_is_lost: AtomicBool::new(false), done })
    }

    pub fn fail_after(&self, effects: i64, answer_is_lost: bool) {
        self.left.store(effects, Ordering::SeqCst);
        self.done.store(0, Ordering::SeqCst);
        self.answer_is_lost.store(answer_is_lost, Ordering::SeqCst);
    }

    pub fn heal(&self) {
        self.fail_after(i64::MAX, false);
    }

    /// Whether the next effect comes off, and whether its caller is told so.
    fn next(&self) -> (bool, bool) {
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left > 0 {
            self.done.fetch_add(1, Ordering::SeqCst);
            return (true, true);
        }
        (left == 0 && self.answer_is_lost.load(Ordering::SeqCst), false)
    }
}

pub struct FaultyStorage {
    pub tables: Tables,
    pub faults: Arc<Faults>,
}

#[async_trait]
impl Storage for FaultyStorage {
    async fn apply(&self, steps: &[Step]) -> Result<(), SqlError> {
        let (happens, is_told) = self.faults.next();
        if happens {
            self.tables.apply(steps).await?;
        }
        if is_told { Ok(()) } else { Err(SqlError::Transient("told to fail".into())) }
    }

    async fn load(&self) -> Result<Vec<(Key, Transaction)>, SqlError> {
        self.tables.load().await
    }
}

pub struct FaultyOutside {
    pub house: House,
    pub faults: Arc<Faults>,
}

#[async_trait]
impl Outside for FaultyOutside {
    async fn mark(
        &self,
        project: ProjectId,
        mut places: Vec<(TopicName, Partition)>,
        end: TransactionEnd,
    ) -> Result<Vec<Result<(), ResponseError>>, ResponseError> {
        let (happens, is_told) = self.faults.next();
        if !happens {
            // The worst that there is: some are written and others are not.
            places.truncate(places.len() / 2);
        }
        let marked = self.house.mark(project, places, end).await?;
        if is_told { Ok(marked) } else { Err(ResponseError::KafkaStorageError) }
    }

    async fn end_offsets(
        &self,
        project: ProjectId,
        group: &str,
        producer: i64,
        commit: bool,
    ) -> Result<(), ResponseError> {
        let (happens, is_told) = self.faults.next();
        if happens {
            self.house.end_offsets(project, group, producer, commit).await?;
        }
        if is_told { Ok(()) } else { Err(ResponseError::CoordinatorNotAvailable) }
    }
}
