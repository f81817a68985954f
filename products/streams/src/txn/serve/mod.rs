//! Requests about transactions, each answered whole.

mod add;
mod describe;
mod end;
mod init;
mod markers;
mod offsets;

use std::future::Future;
use std::sync::Arc;

use candor_model::{Partition, ProjectId, TopicName};
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;

use super::coordinator::Transactions;
use crate::directory::TopicView;

/// Longest transactional id, bytes. Kafka has no bound but that of its strings; ids stand in the metadata database's
/// indexes.
const ID_BYTES_MAX: usize = 1_024;

/// From this version on a client of AddPartitionsToTxn, AddOffsetsToTxn and EndTxn knows that it was fenced (KIP-588).
const FENCED_FROM: i16 = 2;

/// Who speaks of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Producing {
    pub project: ProjectId,
    pub id: Arc<str>,
    pub producer: i64,
    pub epoch: i16,
}

impl Producing {
    fn new(project: ProjectId, id: &str, producer: i64, epoch: i16) -> Result<Producing, ResponseError> {
        check_id(id)?;
        Ok(Producing { project, id: Arc::from(id), producer, epoch })
    }
}

fn check_id(id: &str) -> Result<(), ResponseError> {
    let is_bad = id.is_empty() || id.len() > ID_BYTES_MAX || id.contains('\0');
    if is_bad { Err(ResponseError::InvalidRequest) } else { Ok(()) }
}

/// Does it to its end, whoever waits for it.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ResponseError>> + Send + 'static,
) -> Result<T, ResponseError> {
    tokio::spawn(work).await.unwrap_or(Err(ResponseError::UnknownServerError))
}

/// The error as a client that knows of fencing from some version on is told.
fn told(error: ResponseError, knows_fencing: bool) -> ResponseError {
    match error {
        ResponseError::ProducerFenced if !knows_fencing => ResponseError::InvalidProducerEpoch,
        error => error,
    }
}

fn code(outcome: Result<(), ResponseError>) -> i16 {
    outcome.err().map_or(0, |error| error.code())
}

fn wire(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

/// A partition that clients may write to.
fn writable(topic: Option<&TopicView>, index: i32) -> Result<(TopicName, Partition), ResponseError> {
    let topic = topic.ok_or(ResponseError::UnknownTopicOrPartition)?;
    if topic.in_log.signal().is_some() {
        return Err(ResponseError::TopicAuthorizationFailed);
    }
    Ok((topic.in_log.clone(), crate::data::partition(topic, index)?))
}

impl Transactions {
    fn topic(&self, project: ProjectId, name: &str) -> Option<Arc<TopicView>> {
        self.inner.directory.topic(project, name)
    }
}
