//! What the tests stand on: a real log, gate, topics and groups.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use candor_gate::Gate;
use candor_keyring::{Keyring, RootKey};
use candor_log::{FailStop, Log, LogOptions, Topic};
use candor_meta::{Tenancy, WriteScope};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Offset, Partition, ProjectId, Random, Timestamp};
use candor_records::{BatchBuilder, Bounds, Codec, Header, Headers, Producer, open};
use candor_store::sim::SimDisk;
use candor_store::{Disk, DiskObjects, Files};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;
use kafka_protocol::protocol::{Encodable, StrBytes};

use crate::admin::acl::Acls;
use crate::admin::resources::ResourceConfigs;
use crate::auth::credentials::{ANONYMOUS, Credentials};
use crate::caller::Caller;
use crate::data::produce::Produce;
use crate::data::producer_ids::ProducerIds;
use crate::directory::TopicDirectory;
use crate::groups::Groups;
use crate::rights::Rights;
use crate::topics::{NewTopic, Topics};
use crate::txn::coordinator::Transactions;
use crate::txn::outside::House;
use crate::txn::settings::Settings;
use crate::txn::state::{Phase, Transaction};
use crate::txn::storage::Storage;
use crate::txn::tables::Tables;

use super::faults::{Faults, FaultyOutside, FaultyStorage};

/// When tests play.
pub const NOW: Timestamp = Timestamp(1_790_000_000_000_000);
pub const OK: i16 = 0;
pub const TIMEOUT_MS: i32 = 60_000;
/// The topic of most tests, with two partitions.
pub const ORDERS: &str = "orders";
pub const GROUP: &str = "readers";
pub const ID: &str = "mover";

struct Panic;

impl FailStop for Panic {
    fn stop(&self, why: &str) {
        panic!("{why}");
    }
}

fn caller(project: ProjectId, user: &str) -> Caller {
    Caller { project, user: Arc::from(user), client_id: None, host: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

pub struct Bed {
    pub meta: crate::testing::Bed,
    disk: SimDisk,
    pub clock: Arc<ManualClock>,
    pub faults: Arc<Faults>,
    pub settings: Settings,
    pub project: ProjectId,
    scope: WriteScope,
    pub acls: Acls,
    /// Of one who may do everything.
    rights: Rights,
    pub log: Log,
    pub topics: Topics,
    pub groups: Groups,
    pub produce: Produce,
    pub transactions: Transactions,
}

impl Bed {
    pub async fn new() -> Bed {
        Bed::on(crate::testing::Bed::sqlite().await).await
    }

    pub async fn on(meta: crate::testing::Bed) -> Bed {
        let clock = Arc::new(ManualClock::new(NOW));
        Bed::over(meta, SimDisk::new(1), clock, Settings::default()).await
    }

    /// The process ends and another begins over what was stored.
    pub async fn restart(self) -> Bed {
        let Bed { meta, disk, clock, log, settings, produce, transactions, groups, topics, .. } = self;
        drop((produce, transactions, groups, topics));
        log.close().await;
        Bed::over(meta, disk, clock, settings).await
    }

    /// The same with other bounds.
    pub async fn with(mut self, settings: Settings) -> Bed {
        self.settings = settings;
        self.restart().await
    }

    async fn over(
        meta: crate::testing::Bed,
        disk: SimDisk,
        clock: Arc<ManualClock>,
        settings: Settings,
    ) -> Bed {
        let database = meta.database.clone();
        let random: Arc<dyn Random> = Arc::new(Seeded::new(clock.now().0 as u64 ^ disk.used()));
        let ticking: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::clone(&random)));
        let tenancy =
            Tenancy::open(database.clone(), Arc::clone(&ticking), Arc::clone(&random)).await.unwrap();
        let project = match tenancy.resolve("shop").await.unwrap() {
            Some(project) => project.id,
            None => tenancy.create_project("shop").await.unwrap().0.id,
        };
        let scope = tenancy.user_write(project).await.unwrap().unwrap();
        let data: Arc<dyn Disk> = Arc::new(disk.clone());
        let objects = Arc::new(DiskObjects::inline(Arc::clone(&data), "objects"));
        let options = LogOptions {
            disk: data,
            files: Arc::new(Files::new(objects, None, Arc::clone(&random))),
            keys: None,
            clock: Arc::clone(&ticking),
            random: Arc::clone(&random),
            stop: Arc::new(Panic),
            consumers: Vec::new(),
            limits: candor_log::Limits { journal_file_bytes: 1 << 20, ..Default::default() },
        };
        let log = Log::open(options).await.unwrap();
        let gate = Arc::new(Gate::new(keyring, Arc::clone(&ticking), Arc::clone(&random)));
        let topics =
            Topics::open(database.clone(), Arc::clone(&ticking), Arc::clone(&random), Default::default())
                .await
                .unwrap();
        if topics.get(project, ORDERS).is_none() {
            let new = NewTopic { name: ORDERS.to_owned(), partitions: Some(2), configs: Vec::new() };
            topics.create(project, new).await.unwrap();
        }
        let directory: Arc<dyn TopicDirectory> = Arc::new(topics.clone());
        let groups = Groups::open(
            database.clone(),
            Arc::clone(&directory),
            Arc::clone(&ticking),
            random,
            Default::default(),
            Arc::new(ResourceConfigs::open(database.clone()).await.unwrap()),
        )
        .await
        .unwrap();
        let faults = Faults::new();
        let tables = Tables::open(database.clone()).await.unwrap();
        let loaded = tables.load().await.unwrap();
        let house = House { tenancy, gate: Arc::clone(&gate), log: log.clone(), groups: groups.clone() };
        let transactions = Transactions::new(
            Arc::new(FaultyStorage { tables, faults: Arc::clone(&faults) }),
            loaded,
            Arc::new(FaultyOutside { house, faults: Arc::clone(&faults) }),
            groups.clone(),
            log.clone(),
            directory,
            ProducerIds::open(database).await.unwrap(),
            ticking,
            settings.clone(),
        );
        let credentials = Credentials::open(
            meta.database.clone(),
            Arc::<ManualClock>::clone(&clock),
            Arc::new(Seeded::new(2)),
        )
        .await
        .unwrap();
        let acls = Acls::open(meta.database.clone(), credentials).await.unwrap();
        let rights = Rights::of(&acls, &caller(project, ANONYMOUS));
        let produce = Produce::new(log.clone(), gate, topics.clone(), transactions.clone());
        Bed {
            meta,
            disk,
            clock,
            faults,
            settings,
            project,
            scope,
            acls,
            rights,
            log,
            topics,
            groups,
            produce,
            transactions,
        }
    }

    pub fn caller(&self) -> Caller {
        caller(self.project, ANONYMOUS)
    }

    /// Gives error, producer id and epoch.
    pub async fn init_as(&self, id: &str, asked: (i64, i16), timeout_ms: i32) -> (i16, i64, i16) {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(id))))
            .with_transaction_timeout_ms(timeout_ms)
            .with_producer_id(asked.0.into())
            .with_producer_epoch(asked.1);
        let response = self.transactions.init_producer_id(&self.caller(), request, 5).await;
        fits(&response, 0..=5);
        (response.error_code, response.producer_id.0, response.producer_epoch)
    }

    /// A producer that begins; waits as a client does while another's transaction is ended.
    pub async fn init(&self) -> (i64, i16) {
        loop {
            match self.init_as(ID, (-1, -1), TIMEOUT_MS).await {
                (OK, producer, epoch) => return (producer, epoch),
                (error, ..) => assert_eq!(error, ResponseError::ConcurrentTransactions.code()),
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    /// Adds partitions of the topic; gives each one's error.
    pub async fn add(&self, who: (i64, i16), partitions: &[i32]) -> Vec<i16> {
        self.add_to(ID, who, &[(ORDERS, partitions)]).await
    }

    pub async fn add_to(&self, id: &str, who: (i64, i16), topics: &[(&str, &[i32])]) -> Vec<i16> {
        let topics = topics.iter().map(|(name, partitions)| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(name))
                .with_partitions(partitions.to_vec())
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(id)))
            .with_v3_and_below_producer_id(who.0.into())
            .with_v3_and_below_producer_epoch(who.1)
            .with_v3_and_below_topics(topics.collect());
        let response = self.transactions.add_partitions(&self.caller(), request, 3).await;
        fits(&response, 0..=3);
        let topics = response.results_by_topic_v3_and_below.iter();
        topics
            .flat_map(|topic| &topic.results_by_partition)
            .map(|partition| partition.partition_error_code)
            .collect()
    }

    pub async fn add_group(&self, who: (i64, i16), group: &str) -> i16 {
        let request = AddOffsetsToTxnRequest::default()
            .with_transactional_id(TransactionalId(text(ID)))
            .with_producer_id(who.0.into())
            .with_producer_epoch(who.1)
            .with_group_id(GroupId(text(group)));
        self.transactions.add_offsets(&self.caller(), request, 3).await.error_code
    }

    /// Commits an offset of the first partition within the transaction.
    pub async fn commit_offset(&self, who: (i64, i16), offset: i64, version: i16) -> i16 {
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(offset)
            .with_committed_metadata(Some(text("mark")));
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(ID)))
            .with_group_id(GroupId(text(GROUP)))
            .with_producer_id(who.0.into())
            .with_producer_epoch(who.1)
            .with_generation_id(-1)
            .with_topics(vec![
                TxnOffsetCommitRequestTopic::default()
                    .with_name(topic_name(ORDERS))
                    .with_partitions(vec![partition]),
            ]);
        let response = self.transactions.txn_offset_commit(&self.caller(), request, version).await;
        response.topics[0].partitions[0].error_code
    }

    /// What a new member of the group would begin at; -1 without an offset.
    pub async fn committed_offset(&self) -> Result<i64, i16> {
        let topic = offset_fetch_request::OffsetFetchRequestTopic::default()
            .with_name(topic_name(ORDERS))
            .with_partition_indexes(vec![0]);
        let request = OffsetFetchRequest::default()
            .with_group_id(GroupId(text(GROUP)))
            .with_require_stable(true)
            .with_topics(Some(vec![topic]));
        let response = self.groups.offset_fetch(&self.caller(), request, 7).await;
        let found = &response.topics[0].partitions[0];
        if found.error_code == 0 { Ok(found.committed_offset) } else { Err(found.error_code) }
    }

    /// Gives error, producer id and epoch; the latter of version 5 alone.
    pub async fn end(&self, who: (i64, i16), commit: bool, version: i16) -> (i16, i64, i16) {
        self.end_of(ID, who, commit, version).await
    }

    pub async fn end_of(&self, id: &str, who: (i64, i16), commit: bool, version: i16) -> (i16, i64, i16) {
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_producer_id(who.0.into())
            .with_producer_epoch(who.1)
            .with_committed(commit);
        let response = self.transactions.end_txn(&self.caller(), request, version).await;
        fits(&response, version..=version);
        (response.error_code, response.producer_id.0, response.producer_epoch)
    }

    /// Produces one record of that value; gives the error.
    pub async fn send(
        &self,
        who: (i64, i16),
        sequence: i32,
        partition: i32,
        value: &str,
        version: i16,
    ) -> i16 {
        self.send_as(Some(ID), true, who, sequence, partition, value, version).await
    }

    #[allow(clippy::too_many_arguments)]
    pub async fn send_as(
        &self,
        id: Option<&str>,
        is_transactional: bool,
        (producer, epoch): (i64, i16),
        sequence: i32,
        partition: i32,
        value: &str,
        version: i16,
    ) -> i16 {
        let producer = Producer { id: producer, epoch, sequence };
        let builder = BatchBuilder::new(Codec::None);
        let mut builder = match is_transactional {
            true => builder.transactional(producer),
            false => builder.producer(producer),
        };
        builder.push(self.clock.now().0 / 1000, None, Some(value.as_bytes()), Headers::default());
        let data = PartitionProduceData::default()
            .with_index(partition)
            .with_records(Some(builder.finish().unwrap()));
        let topic = match version >= 13 {
            true => {
                let topic = self.topics.get(self.project, ORDERS).unwrap();
                TopicProduceData::default().with_topic_id(uuid::Uuid::from_bytes(topic.view.id))
            }
            false => TopicProduceData::default().with_name(topic_name(ORDERS)),
        };
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_transactional_id(id.map(|id| TransactionalId(text(id))))
            .with_topic_data(vec![topic.with_partition_data(vec![data])]);
        let taken = self.produce.take(&self.scope, &self.rights, request, version);
        let response = taken.answer.await.unwrap();
        fits(&response, version..=version);
        response.responses[0].partition_responses[0].error_code
    }

    pub fn topic(&self) -> Topic {
        let in_log = self.topics.get(self.project, ORDERS).unwrap().view.in_log.clone();
        Topic { project: self.project, name: in_log }
    }

    /// High watermark and last stable offset.
    pub fn ends(&self, partition: u32) -> (u64, u64) {
        let (topic, partition) = (self.topic(), Partition(partition));
        (self.log.high_watermark(&topic, partition).0, self.log.last_stable_offset(&topic, partition).0)
    }

    /// True where no transaction is open in any partition.
    pub fn is_settled(&self) -> bool {
        (0..2).all(|partition| {
            let (end, stable) = self.ends(partition);
            end == stable
        })
    }

    /// The values that a consumer of committed records is given, as it works them out of what a Fetch answers.
    pub async fn committed(&self, partition: u32) -> Vec<String> {
        let (topic, partition) = (self.topic(), Partition(partition));
        let stable = self.log.last_stable_offset(&topic, partition);
        let aborted = self.log.aborted(&topic, partition, Offset(0), stable);
        let mut aborted = aborted.into_iter().peekable();
        let mut skipping = std::collections::HashSet::new();
        let mut values = Vec::new();
        let mut from = Offset(0);
        while from < stable {
            let batches = self.log.read(&topic, partition, from, 1 << 20).await.unwrap();
            for batch in batches.iter().filter(|batch| batch.base < stable) {
                from = Offset(batch.base.0 + u64::from(batch.count));
                while let Some(one) = aborted.next_if(|one| one.first_offset <= batch.base) {
                    skipping.insert(one.producer_id);
                }
                let header = Header::parse(&batch.batch).unwrap();
                if header.is_control() {
                    skipping.remove(&header.producer_id);
                    continue;
                }
                if header.is_transactional() && skipping.contains(&header.producer_id) {
                    continue;
                }
                let opened = open(&batch.batch, Bounds { bytes: 1 << 20, records: 1000 }).unwrap();
                for record in opened.records() {
                    values.push(String::from_utf8(record.unwrap().value.unwrap().to_vec()).unwrap());
                }
            }
        }
        values
    }

    pub(in crate::txn) fn phase(&self) -> Option<Phase> {
        let entry = self.transactions.find(self.project, ID)?;
        entry.transaction().map(|transaction| transaction.phase)
    }

    /// What is stored of the transaction.
    pub(in crate::txn) async fn stored(&self) -> Option<Transaction> {
        let tables = Tables::open(self.meta.database.clone()).await.unwrap();
        let all = tables.load().await.unwrap();
        all.into_iter().find(|(key, _)| &*key.id == ID).map(|(_, transaction)| transaction)
    }

    pub fn advance_ms(&self, ms: i32) {
        self.clock.advance(i64::from(ms) * 1000);
    }
}

pub fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

pub fn topic_name(name: &str) -> kafka_protocol::messages::TopicName {
    kafka_protocol::messages::TopicName(text(name))
}

/// That a response can be written in these versions: fields that they lack must not be set.
pub fn fits<T: Encodable>(response: &T, versions: std::ops::RangeInclusive<i16>) {
    for version in versions {
        let written = response.encode(&mut bytes::BytesMut::new(), version);
        written.unwrap_or_else(|error| panic!("version {version}: {error}"));
    }
}
