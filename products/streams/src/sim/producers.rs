//! Idempotent producers: each sends what was not answered again, in its order, until it is. At times one does what it
//! must not.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use candor_records::{BatchBuilder, Codec, Headers, Producer};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::{InitProducerIdRequest, ProduceRequest, TransactionalId};

use super::model::Fate;
use super::node::{Node, Place, TOPICS, places};
use super::world::{Client, World};
use crate::testing::text;
use crate::txn::tests::bed::topic_name;

/// Batches in flight: what a log compares retries with.
const WAITING_MAX: usize = 5;

/// Keys of the topic that is compacted.
const KEYS: u64 = 4;

/// Records that are sent together.
#[derive(Debug, Clone)]
pub struct Batch {
    pub numbers: Vec<u64>,
    pub place: Place,
    pub sequence: i32,
}

impl Batch {
    /// New ones of a writer.
    pub fn new(world: &World, place: Place, sequence: i32, writer: u64, transaction: Option<usize>) -> Batch {
        let count = 1 + world.below(3);
        let mut model = world.model.borrow_mut();
        let numbers = (0..count).map(|_| model.send(place, world.below(KEYS), writer, transaction)).collect();
        Batch { numbers, place, sequence }
    }

    fn bytes(&self, world: &World, (id, epoch): (i64, i16), is_transactional: bool) -> Bytes {
        let producer = Producer { id, epoch, sequence: self.sequence };
        let builder = BatchBuilder::new(Codec::None);
        let mut builder = match is_transactional {
            true => builder.transactional(producer),
            false => builder.producer(producer),
        };
        for number in &self.numbers {
            let key = world.model.borrow().sent[*number as usize].key;
            let (key, value) = (key.to_string(), number.to_string());
            builder.push(world.now(), Some(key.as_bytes()), Some(value.as_bytes()), Headers::default());
        }
        builder.finish().expect("it is small")
    }

    /// Sends it; gives the error, and where it went.
    pub fn send<'a>(
        &self,
        world: &World,
        node: &'a Node,
        who: (i64, i16),
        id: Option<&str>,
        version: i16,
    ) -> impl Future<Output = (i16, i64)> + 'a {
        let data = PartitionProduceData::default()
            .with_index(self.place.1 as i32)
            .with_records(Some(self.bytes(world, who, id.is_some())));
        let topic = TopicProduceData::default()
            .with_name(topic_name(TOPICS[self.place.0].0))
            .with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_transactional_id(id.map(|id| TransactionalId(text(id))))
            .with_topic_data(vec![topic]);
        // Its turn is settled here.
        let taken = node.produce.take(&node.scope, &node.rights, request, version);
        async move {
            let response = taken.answer.await.expect("acks are asked for");
            let answer = &response.responses[0].partition_responses[0];
            (answer.error_code, answer.base_offset)
        }
    }

    /// Nobody may ever read it.
    pub fn must_be_refused(&self, world: &World) {
        for number in &self.numbers {
            world.model.borrow_mut().sent[*number as usize].fate = Fate::Refused;
        }
    }
}

/// What is said of a request: done, refused for good, or neither is known.
pub fn is_done(code: i16) -> Option<bool> {
    use ResponseError::*;
    let transient = [
        CoordinatorNotAvailable,
        ConcurrentTransactions,
        KafkaStorageError,
        RequestTimedOut,
        NotLeaderOrFollower,
        NotEnoughReplicas,
        UnknownServerError,
    ];
    match code {
        0 => Some(true),
        code if transient.iter().any(|error| error.code() == code) => None,
        _ => Some(false),
    }
}

#[derive(Default)]
pub struct Idempotent {
    name: u64,
    who: Option<(i64, i16)>,
    /// Rises with each epoch: order holds within one.
    writer: u64,
    next: BTreeMap<Place, i32>,
    waiting: BTreeMap<Place, Vec<Batch>>,
    /// The last one that was answered, with what it was sent as.
    answered: BTreeMap<Place, Batch>,
    /// What an earlier epoch would send next.
    former: BTreeMap<Place, ((i64, i16), i32)>,
}

impl Client for Idempotent {
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            while !self.is_over(world) {
                world.think(12).await;
                match self.who {
                    None => self.init(world, node).await,
                    Some(_) if world.happens(40) => self.init(world, node).await,
                    Some(who) => self.produce(world, node, who).await,
                }
            }
        })
    }
}

impl Idempotent {
    pub fn new(name: u64) -> Idempotent {
        Idempotent { name, ..Idempotent::default() }
    }

    fn is_over(&self, world: &World) -> bool {
        let waiting = self.waiting.values().flatten().count();
        let about = format!("{waiting} batches wait");
        world.model.borrow_mut().waiting.insert(format!("producer {}", self.name), about);
        let is_over = world.calm.get() && waiting == 0;
        if is_over {
            world.model.borrow_mut().waiting.remove(&format!("producer {}", self.name));
        }
        is_over
    }

    /// A producer id, or another epoch of it: what waits is given up.
    async fn init(&mut self, world: &World, node: &Node) {
        let (id, epoch) = self.who.unwrap_or((-1, -1));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(id.into())
            .with_producer_epoch(epoch);
        let asked = node.transactions.init_producer_id(&node.caller, request, 5);
        let Some(response) = world.ask(asked).await.filter(|response| response.error_code == 0) else {
            return;
        };
        self.former = match self.who {
            Some(who) => self.answered.keys().map(|place| (*place, (who, self.next[place]))).collect(),
            None => BTreeMap::new(),
        };
        self.who = Some((response.producer_id.0, response.producer_epoch));
        world.say(|| format!("producer {} is {:?}", self.name, self.who));
        self.writer += 1;
        self.next.clear();
        self.waiting.clear();
        self.answered.clear();
    }

    async fn produce(&mut self, world: &World, node: &Node, who: (i64, i16)) {
        let all: Vec<Place> = places().collect();
        let place = match world.calm.get() {
            true => *self.waiting.iter().find(|(_, waiting)| !waiting.is_empty()).expect("some wait").0,
            false => all[world.below(all.len() as u64) as usize],
        };
        if world.happens(8) && self.waiting.get(&place).is_none_or(Vec::is_empty) {
            return self.do_wrong(world, node, who, place).await;
        }
        let writer = self.name * 1_000_000 + self.writer;
        let waiting = self.waiting.entry(place).or_default();
        let next = self.next.entry(place).or_default();
        while !world.calm.get() && waiting.len() < WAITING_MAX && (waiting.is_empty() || world.below(2) == 0)
        {
            let batch = Batch::new(world, place, *next, writer, None);
            *next += batch.numbers.len() as i32;
            waiting.push(batch);
        }
        let again = self.answered.get(&place).filter(|_| world.happens(4) && waiting.len() < WAITING_MAX);
        let batches: Vec<Batch> = again.into_iter().chain(waiting.iter()).cloned().collect();
        world.say(|| format!("producer {} sends {batches:?}", self.name));
        let sent: Vec<_> = batches.iter().map(|batch| batch.send(world, node, who, None, 9)).collect();
        let Some(answers) = world.ask(futures::future::join_all(sent)).await else { return };
        let mut all_before = true;
        for (batch, (code, base)) in batches.iter().zip(answers) {
            world.say(|| format!("  {:?}: {code} at {base}", batch.numbers));
            if code == 0 {
                let told = world.model.borrow_mut().acknowledged(&batch.numbers, base);
                told.unwrap_or_else(|wrong| world.broken(wrong));
                let waiting = self.waiting.entry(place).or_default();
                waiting.retain(|one| one.sequence != batch.sequence);
                world.model.borrow_mut().count("batches");
                let last = self.answered.get(&place).is_none_or(|last| last.sequence < batch.sequence);
                if last {
                    self.answered.insert(place, batch.clone());
                }
            } else {
                world.check(is_done(code).is_none() || !all_before, || {
                    format!("{:?}, in order, was refused with {code}", batch.numbers)
                });
                all_before = false;
            }
        }
    }

    /// Leaves a gap in its numbers, or speaks as the one that it was.
    async fn do_wrong(&mut self, world: &World, node: &Node, who: (i64, i16), place: Place) {
        if !self.answered.contains_key(&place) {
            return;
        }
        let former = self.former.get(&place).copied().filter(|_| world.below(2) == 0);
        let (who, sequence) = former.unwrap_or((who, self.next[&place] + 3));
        let batch = Batch::new(world, place, sequence, u64::MAX, None);
        batch.must_be_refused(world);
        world.say(|| format!("producer {} sends wrongly as {who:?} {batch:?}", self.name));
        let answer = world.ask(batch.send(world, node, who, None, 9)).await;
        world.check(answer.is_none_or(|(code, _)| code != 0), || format!("{batch:?} of {who:?} was taken"));
    }
}
