//! What the crate's own tests are made of: batches without a gate, keys without a keyring, a stop that can be seen.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use candor_gate::StreamSubjects;
use candor_keyring::VaultEntry;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Offset, Partition, PolicyEpoch, ProjectId, RequestId, Timestamp, TopicName};
use candor_records::{BatchBuilder, Codec, Headers, Marker, MarkerKind, Producer};
use candor_store::{Disk, DiskObjects, Files, KeyWrap};
use parking_lot::Mutex;

use crate::batch::Batch;
use crate::{Committed, FailStop, Follower, Limits, Log, LogOptions, Topic};

/// Wraps by exclusive or: enough to see that keys are wrapped and are the right ones.
pub struct TestKeys(pub u8);

impl KeyWrap for TestKeys {
    fn wrap(&self, key: &[u8; 32]) -> Vec<u8> {
        [self.0].into_iter().chain(key.iter().map(|byte| byte ^ self.0)).collect()
    }
    fn unwrap(&self, wrapped: &[u8]) -> Option<[u8; 32]> {
        let (by, key) = wrapped.split_first().filter(|(by, _)| **by == self.0)?;
        let key: Vec<u8> = key.iter().map(|byte| byte ^ by).collect();
        key.try_into().ok()
    }
}

/// Remembers that it was told to stop.
#[derive(Default)]
pub struct SeenStop(pub AtomicBool);

impl SeenStop {
    pub fn stopped(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

impl FailStop for SeenStop {
    fn stop(&self, _why: &str) {
        self.0.store(true, Ordering::SeqCst);
    }
}

pub fn topic(project: i64) -> Topic {
    Topic { project: ProjectId(project), name: TopicName("candor.logs".to_owned()) }
}

pub fn request(n: u64) -> RequestId {
    let mut id = [7; 16];
    id[8..].copy_from_slice(&n.to_le_bytes());
    RequestId(id)
}

pub fn batch(project: i64, content: &[u8], count: u32) -> Batch {
    Batch {
        topic: topic(project),
        partition: Partition(0),
        batch: Bytes::copy_from_slice(content),
        count,
        rows: None,
        vault: Vec::new(),
        subjects: StreamSubjects::default(),
        epoch: PolicyEpoch(1),
        request: None,
    }
}

/// A topic of streams.
pub fn stream(project: i64) -> Topic {
    Topic { project: ProjectId(project), name: TopicName("orders.1".to_owned()) }
}

/// A record batch of Kafka's.
#[derive(Debug, Clone)]
pub struct Kafka<'a> {
    pub is_transactional: bool,
    pub producer: Producer,
    pub timestamps: &'a [i64],
    pub value: &'a [u8],
}

impl Default for Kafka<'_> {
    fn default() -> Self {
        let producer = Producer { id: -1, epoch: -1, sequence: -1 };
        Kafka { is_transactional: false, producer, timestamps: &[0], value: b"v" }
    }
}

impl Kafka<'_> {
    /// A batch of it for a topic.
    pub fn batch(&self, topic: &Topic) -> Batch {
        let builder = BatchBuilder::new(Codec::None);
        let mut builder = match self.is_transactional {
            true => builder.transactional(self.producer),
            false => builder.producer(self.producer),
        };
        for timestamp in self.timestamps {
            builder.push(*timestamp, None, Some(self.value), Headers::default());
        }
        let count = self.timestamps.len() as u32;
        Batch { topic: topic.clone(), batch: builder.finish().expect("is small"), count, ..batch(1, b"", 1) }
    }
}

/// A record batch of records with keys; one without a value is a tombstone.
pub fn keyed(
    topic: &Topic,
    is_transactional: bool,
    producer: Producer,
    records: &[(&str, Option<&[u8]>)],
) -> Batch {
    let builder = BatchBuilder::new(Codec::Lz4);
    let mut builder = match is_transactional {
        true => builder.transactional(producer),
        false => builder.producer(producer),
    };
    for (key, value) in records {
        builder.push(1000, Some(key.as_bytes()), *value, Headers::default());
    }
    let (count, content) = (records.len() as u32, builder.finish().expect("is small"));
    Batch { topic: topic.clone(), batch: content, count, ..batch(1, b"", 1) }
}

/// What a producer sends, of so many records.
pub fn numbered(id: i64, epoch: i16, sequence: i32, count: usize) -> Batch {
    let producer = Producer { id, epoch, sequence };
    Kafka { producer, timestamps: &vec![0; count], ..Kafka::default() }.batch(&stream(1))
}

/// The same as a part of a transaction.
pub fn transactional(id: i64, epoch: i16, sequence: i32, count: usize) -> Batch {
    let producer = Producer { id, epoch, sequence };
    Kafka { is_transactional: true, producer, timestamps: &vec![0; count], ..Kafka::default() }
        .batch(&stream(1))
}

/// What ends a transaction.
pub fn marker(topic: &Topic, producer: i64, epoch: i16, commits: bool) -> Batch {
    let kind = if commits { MarkerKind::Commit } else { MarkerKind::Abort };
    let marker = Marker { kind, coordinator_epoch: 0 }.batch(producer, epoch, 0);
    Batch { topic: topic.clone(), batch: marker, ..batch(1, b"", 1) }
}

pub fn vault_entry(n: u8) -> VaultEntry {
    VaultEntry {
        code: format!("email:{n}"),
        subject: format!("user:{n}"),
        key_id: [n; 8],
        wrapped_key: vec![n; 60],
        sealed: vec![n; 30],
    }
}

pub fn options(disk: Arc<dyn Disk>, stop: Arc<SeenStop>, limits: Limits) -> LogOptions {
    let keys: Option<Arc<dyn KeyWrap>> = Some(Arc::new(TestKeys(3)));
    let random = Arc::new(Seeded::new(11));
    let objects = Arc::new(DiskObjects::inline(Arc::clone(&disk), "objects"));
    LogOptions {
        files: Arc::new(Files::new(objects, keys.clone(), Arc::<Seeded>::clone(&random))),
        disk,
        keys,
        clock: Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000))),
        random,
        stop,
        consumers: Vec::new(),
        limits,
    }
}

/// Remembers what it was shown.
#[derive(Default)]
pub struct Recorder(pub Mutex<Vec<Committed>>);

impl Follower for Recorder {
    fn committed(&self, batches: &[Committed]) {
        self.0.lock().extend_from_slice(batches);
    }
}

/// All that a project's topic holds.
pub async fn read_all(log: &Log, project: i64) -> Vec<Committed> {
    let topic = topic(project);
    let mut from = log.log_start(&topic, Partition(0));
    let mut all = Vec::new();
    while from < log.high_watermark(&topic, Partition(0)) {
        let batches = log.read(&topic, Partition(0), from, 10_000).await.expect("reads");
        let last = batches.last().expect("at least one");
        from = Offset(last.base.0 + u64::from(last.count));
        all.extend(batches);
    }
    all
}
