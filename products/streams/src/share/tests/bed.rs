//! What the tests stand on: the bed of transactions, and members that ask.

use std::sync::Arc;

use kafka_protocol::messages::share_acknowledge_request as acked;
use kafka_protocol::messages::share_fetch_request as asked;
use kafka_protocol::messages::*;
use kafka_protocol::protocol::Encodable;
use uuid::Uuid;

use crate::admin::resources::{ResourceConfigs, ResourceKind};
use crate::share::Shares;
use crate::share::fetch::Newer;
use crate::topics::config::Change;
use crate::txn::tests::bed::{Bed as Base, ORDERS, fits, text, topic_name};

pub const OK: i16 = 0;
pub const READERS: &str = "sharers";

pub struct Bed {
    pub base: Base,
    pub shares: Shares,
    pub configs: ResourceConfigs,
}

/// What is said of records: first, last, verdict.
pub type Said<'a> = &'a [(i64, i64, i8)];

impl Bed {
    pub async fn new() -> Bed {
        Bed::over(Base::new().await).await
    }

    pub async fn over(base: Base) -> Bed {
        let configs = ResourceConfigs::open(base.meta.database.clone()).await.unwrap();
        let directory = Arc::new(base.topics.clone());
        let shares =
            Shares::new(base.log.clone(), base.groups.clone(), directory, configs.clone(), base.acls.clone());
        Bed { base, shares, configs }
    }

    /// The process ends and another begins over what was stored.
    pub async fn restart(self) -> Bed {
        let Bed { base, shares, .. } = self;
        drop(shares);
        Bed::over(base.restart().await).await
    }

    pub async fn configure(&self, name: &str, value: &str) {
        let change = [(name.to_owned(), Change::Set(value.to_owned()))];
        let project = self.base.project;
        self.configs.configure(project, ResourceKind::Group, READERS, false, &change, false).await.unwrap();
    }

    /// Joins or goes on; gives the error, the epoch and how many partitions it is assigned.
    pub async fn beat(&self, group: &str, member: &str, epoch: i32) -> (i16, i32, Option<usize>) {
        let request = ShareGroupHeartbeatRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_member_id(text(member))
            .with_member_epoch(epoch)
            .with_subscribed_topic_names((epoch == 0).then(|| vec![topic_name(ORDERS)]));
        let response = self.shares.heartbeat(&self.base.caller(), request).await;
        fits(&response, 1..=1);
        let assigned = response
            .assignment
            .map(|assigned| assigned.topic_partitions.iter().map(|topic| topic.partitions.len()).sum());
        (response.error_code, response.member_epoch, assigned)
    }

    pub async fn join(&self, member: &str) {
        assert_eq!(self.beat(READERS, member, 0).await.0, OK);
    }

    pub fn topic_id(&self) -> Uuid {
        Uuid::from_bytes(self.base.topics.get(self.base.project, ORDERS).unwrap().view.id)
    }

    pub fn asking(&self, member: &str, epoch: i32, partitions: &[i32], said: Said<'_>) -> ShareFetchRequest {
        let batches = said.iter().map(|(first, last, verdict)| {
            asked::AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(vec![*verdict])
        });
        let batches: Vec<_> = batches.collect();
        let partitions = partitions.iter().map(|index| {
            asked::FetchPartition::default()
                .with_partition_index(*index)
                .with_acknowledgement_batches(batches.clone())
        });
        let topic =
            asked::FetchTopic::default().with_topic_id(self.topic_id()).with_partitions(partitions.collect());
        ShareFetchRequest::default()
            .with_group_id(Some(GroupId(text(READERS))))
            .with_member_id(Some(text(member)))
            .with_share_session_epoch(epoch)
            .with_max_bytes(1 << 20)
            .with_max_records(500)
            .with_batch_size(500)
            .with_topics(vec![topic])
    }

    pub async fn fetch_with(&self, request: ShareFetchRequest, newer: Newer) -> ShareFetchResponse {
        let (response, _) = self.shares.fetch(&self.base.caller(), request, newer).await;
        fits(&response, 1..=1);
        response
    }

    /// Fetches of the first partition; gives the error and what was given: first, last, deliveries.
    pub async fn fetch(&self, member: &str, epoch: i32, said: Said<'_>) -> Result<Vec<(i64, i64, i16)>, i16> {
        let response = self.fetch_with(self.asking(member, epoch, &[0], said), Newer::default()).await;
        given(&response)
    }

    /// Gives the answer's error, or the partition's.
    pub async fn acknowledge(&self, member: &str, epoch: i32, said: Said<'_>) -> i16 {
        self.acknowledge_with(member, epoch, said, false).await
    }

    pub async fn acknowledge_with(&self, member: &str, epoch: i32, said: Said<'_>, may_renew: bool) -> i16 {
        let batches = said.iter().map(|(first, last, verdict)| {
            acked::AcknowledgementBatch::default()
                .with_first_offset(*first)
                .with_last_offset(*last)
                .with_acknowledge_types(vec![*verdict])
        });
        let partition = acked::AcknowledgePartition::default()
            .with_partition_index(0)
            .with_acknowledgement_batches(batches.collect());
        let topic = acked::AcknowledgeTopic::default()
            .with_topic_id(self.topic_id())
            .with_partitions(vec![partition]);
        let request = ShareAcknowledgeRequest::default()
            .with_group_id(Some(GroupId(text(READERS))))
            .with_member_id(Some(text(member)))
            .with_share_session_epoch(epoch)
            .with_topics(vec![topic]);
        let (response, _) = self.shares.acknowledge(&self.base.caller(), request, may_renew).await;
        written(&response);
        match response.error_code {
            OK => response.responses[0].partitions[0].error_code,
            error => error,
        }
    }

    /// Sends records of one batch each, outside of transactions.
    pub async fn send(&self, values: &[&str]) {
        for value in values {
            assert_eq!(self.base.send_as(None, false, (-1, -1), -1, 0, value, 9).await, OK);
        }
    }
}

fn written<T: Encodable>(response: &T) {
    fits(response, 1..=1);
}

/// What an answer gives of its first partition, or its error.
pub fn given(response: &ShareFetchResponse) -> Result<Vec<(i64, i64, i16)>, i16> {
    if response.error_code != OK {
        return Err(response.error_code);
    }
    let Some(topic) = response.responses.first() else { return Ok(Vec::new()) };
    let partition = &topic.partitions[0];
    match (partition.error_code, partition.acknowledge_error_code) {
        (OK, OK) => {
            let given = partition.acquired_records.iter();
            Ok(given.map(|given| (given.first_offset, given.last_offset, given.delivery_count)).collect())
        }
        (OK, error) | (error, _) => Err(error),
    }
}
