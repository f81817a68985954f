//! Transactional producers of both versions, two of each id: who begins fences the other, which does not know it and goes
//! on.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::pin::Pin;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::add_partitions_to_txn_request::AddPartitionsToTxnTopic;
use kafka_protocol::messages::txn_offset_commit_request::{
    TxnOffsetCommitRequestPartition, TxnOffsetCommitRequestTopic,
};
use kafka_protocol::messages::*;

use super::checks::offset;
use super::model::{End, Transaction};
use super::node::{Node, PLAIN, Place, TOPICS, places};
use super::producers::{Batch, is_done};
use super::readers::read;
use super::world::{Client, World};
use crate::testing::text;
use crate::txn::tests::bed::topic_name;

/// Transactional ids, each with the group whose offsets its transactions commit.
pub const IDS: [(&str, &str); 2] = [("mover-0", "moved-0"), ("mover-1", "moved-1")];

/// How long a transaction may be open, milliseconds.
const TIMEOUT_MS: i64 = 150;

pub struct Mover {
    name: u64,
    id: usize,
    who: Option<(i64, i16)>,
    /// It speaks as clients of KIP-890 do.
    second: bool,
    next: BTreeMap<Place, i32>,
    writer: u64,
    /// Its transaction, and how it asked to end it.
    open: Option<(usize, Option<Asked>)>,
    /// In the calm: it has done its last.
    is_over: bool,
}

/// A wish to end a transaction.
#[derive(Debug, Clone, Copy)]
struct Asked {
    commit: bool,
    /// It may have been heard.
    was_unknown: bool,
}

impl Client for Mover {
    fn live<'a>(&'a mut self, world: &'a World, node: &'a Node) -> Pin<Box<dyn Future<Output = ()> + 'a>> {
        Box::pin(async move {
            let name = format!("mover {}", self.name);
            // Clients crash as well.
            if world.below(2) == 0 {
                self.who = None;
            }
            // In the calm those of one id never come back: time ends what they left open.
            if world.calm.get() && self.id == 1 {
                self.give_up(world);
                world.model.borrow_mut().waiting.remove(&name);
                return;
            }
            while !self.is_over {
                let about = format!("{:?}", self.who);
                world.model.borrow_mut().waiting.insert(name.clone(), about);
                world.think(15).await;
                match self.who {
                    None => {
                        self.give_up(world);
                        self.init(world, node, None).await;
                    }
                    Some(_) if self.open.is_some() => self.end(world, node).await,
                    Some(who) if world.happens(12) => self.init(world, node, Some(who)).await,
                    Some(_) => self.transact(world, node).await,
                }
            }
            world.model.borrow_mut().waiting.remove(&name);
        })
    }
}

impl Mover {
    pub fn new(name: u64) -> Mover {
        let id = (name / 2) as usize;
        Mover {
            name,
            id,
            who: None,
            second: false,
            next: BTreeMap::new(),
            writer: 0,
            open: None,
            is_over: false,
        }
    }

    /// Who has begun since: a producer that did so before this one asks fences it.
    fn newest(&self, world: &World) -> (i64, i16) {
        world.model.borrow().newest.get(&self.id).copied().unwrap_or((-1, -1))
    }

    /// That was done by one that another had fenced before it asked.
    fn check_fence(&self, world: &World, who: (i64, i16), newest: (i64, i16), what: &str) {
        world.check(who >= newest, || format!("{what} of {who:?} was taken, {newest:?} had begun"));
    }

    async fn init(&mut self, world: &World, node: &Node, was: Option<(i64, i16)>) {
        let (id, epoch) = was.unwrap_or((-1, -1));
        let request = InitProducerIdRequest::default()
            .with_transactional_id(Some(TransactionalId(text(IDS[self.id].0))))
            .with_transaction_timeout_ms(TIMEOUT_MS as i32)
            .with_producer_id(id.into())
            .with_producer_epoch(epoch);
        {
            let mut model = world.model.borrow_mut();
            let own =
                model.transactions.iter_mut().filter(|open| open.id == self.id && open.end == End::Open);
            own.for_each(|open| open.may_end = true);
            *model.inits.entry(self.id).or_default() += 1;
        }
        let newest = self.newest(world);
        let answer = world.ask(node.transactions.init_producer_id(&node.caller, request, 5)).await;
        let Some(response) = answer else { return };
        *world.model.borrow_mut().inits.entry(self.id).or_default() -= 1;
        world.say(|| {
            let told = (response.error_code, response.producer_id.0, response.producer_epoch);
            format!("mover {} as {was:?} is told {told:?}", self.name)
        });
        match is_done(response.error_code) {
            Some(true) => {
                let who = (response.producer_id.0, response.producer_epoch);
                self.check_fence(world, who, newest, "an init");
                {
                    let mut model = world.model.borrow_mut();
                    let held = model.newest.entry(self.id).or_insert(who);
                    *held = who.max(*held);
                    model.count("inits");
                }
                self.becomes(who);
                self.second = world.below(2) == 0;
                self.check_last(world, node).await;
            }
            Some(false) => self.who = None,
            None => {}
        }
    }

    /// What its transactions before this moment came to, records and offset alike. Nothing of them is under way.
    async fn check_last(&self, world: &World, node: &Node) {
        let last = {
            let model = world.model.borrow();
            let mut own = model.transactions.iter().enumerate().filter(|(_, of)| of.id == self.id);
            let last = own.rfind(|(_, of)| of.offset == Some(true));
            last.map(|(number, of)| (number, of.end, of.firsts.iter().find(|(place, _)| place.0 == PLAIN)))
                .map(|(number, end, first)| (number, end, first.map(|(place, first)| (*place, *first))))
        };
        let Some((number, end, first)) = last else { return };
        // Another's open transaction hides it from who reads what is committed.
        if first.is_some_and(|(place, first)| node.ends(place).1 <= first) {
            return;
        }
        let Some(Ok(found)) = world.ask(offset(node, IDS[self.id].1, 0)).await else { return };
        let counts = match (end, first) {
            (End::Committed, _) => true,
            (End::Aborted, _) => false,
            (End::Unknown, Some((place, first))) => match read(node, place, first, true, 1).await {
                Ok((_, records, _)) => records.first().is_some_and(|(_, sent)| {
                    world.model.borrow().sent[*sent as usize].transaction == Some(number)
                }),
                Err(_) => return,
            },
            (End::Open, _) | (End::Unknown, None) => return,
        };
        world.say(|| format!("{} has {found}, {number} counts: {counts}", IDS[self.id].1));
        // Another may have committed more meanwhile.
        let fits = if counts { found >= number as i64 } else { found != number as i64 };
        world.check(fits, || format!("the group has {found}, and transaction {number} counts: {counts}"));
    }

    fn becomes(&mut self, who: (i64, i16)) {
        self.who = Some(who);
        self.writer += 1;
        self.next.clear();
    }

    /// It forgets its transaction.
    fn give_up(&mut self, world: &World) {
        if let Some((number, asked)) = self.open.take() {
            let may_count = asked.is_some_and(|asked| asked.commit && asked.was_unknown);
            let ends = if may_count { End::Unknown } else { End::Aborted };
            world.model.borrow_mut().transactions[number].end = ends;
        }
    }

    async fn transact(&mut self, world: &World, node: &Node) {
        let number = {
            let mut model = world.model.borrow_mut();
            let may_end = model.inits.get(&self.id).is_some_and(|count| *count > 0);
            model.transactions.push(Transaction {
                id: self.id,
                end: End::Open,
                may_end,
                began: world.now(),
                timeout: TIMEOUT_MS,
                offset: None,
                firsts: BTreeMap::new(),
            });
            model.transactions.len() - 1
        };
        self.open = Some((number, None));
        // Its client never asks to commit what failed.
        let whole = self.fill(world, node, number).await;
        let wants = world.below(10);
        if wants == 9 && !world.calm.get() {
            // It falls silent, and may come back when it is too late.
            world.think(TIMEOUT_MS as u64 * 2).await;
            if world.below(2) == 0 {
                self.who = None;
                return;
            }
        }
        let commit = whole && (wants != 8 || world.calm.get());
        self.open = Some((number, Some(Asked { commit, was_unknown: false })));
        self.end(world, node).await;
    }

    /// Writes some; false where not all of it arrived.
    async fn fill(&mut self, world: &World, node: &Node, number: usize) -> bool {
        let all: Vec<Place> = places().filter(|place| place.0 != PLAIN || world.below(3) > 0).collect();
        let chosen: BTreeSet<Place> = all.into_iter().filter(|_| world.below(3) > 0).collect();
        if !self.second && !chosen.is_empty() && !self.add(world, node, &chosen).await {
            return false;
        }
        let mut whole = true;
        for place in chosen {
            for _ in 0..1 + world.below(2) {
                whole &= self.write(world, node, number, place).await;
                if !whole && world.below(3) > 0 {
                    return false;
                }
            }
            let is_open = world.model.borrow().check_open(node, world.now());
            is_open.unwrap_or_else(|wrong| world.broken(wrong));
            if world.happens(6) {
                world.think(30).await;
            }
        }
        if world.below(3) > 0 {
            whole &= self.commit_offset(world, node, number).await;
        }
        whole
    }

    async fn add(&mut self, world: &World, node: &Node, chosen: &BTreeSet<Place>) -> bool {
        let (Some(who), newest) = (self.who, self.newest(world)) else { return false };
        let topics = chosen.iter().map(|place| {
            AddPartitionsToTxnTopic::default()
                .with_name(topic_name(TOPICS[place.0].0))
                .with_partitions(vec![place.1 as i32])
        });
        let request = AddPartitionsToTxnRequest::default()
            .with_v3_and_below_transactional_id(TransactionalId(text(IDS[self.id].0)))
            .with_v3_and_below_producer_id(who.0.into())
            .with_v3_and_below_producer_epoch(who.1)
            .with_v3_and_below_topics(topics.collect());
        let answer = world.ask(node.transactions.add_partitions(&node.caller, request, 3)).await;
        let Some(response) = answer else { return false };
        let code = response.results_by_topic_v3_and_below[0].results_by_partition[0].partition_error_code;
        world.say(|| format!("mover {} {who:?} adds {chosen:?}: {code}", self.name));
        if code == 0 {
            self.check_fence(world, who, newest, "what was added");
        }
        self.lose_heart(world, code);
        code == 0
    }

    /// A producer that is fenced gives up, but not always at once.
    fn lose_heart(&mut self, world: &World, code: i16) {
        if is_done(code) == Some(false) && (world.calm.get() || world.below(3) > 0) {
            self.who = None;
        }
    }

    async fn write(&mut self, world: &World, node: &Node, number: usize, place: Place) -> bool {
        let (Some(who), newest) = (self.who, self.newest(world)) else { return false };
        let version = if self.second { 12 } else { 9 };
        let next = self.next.entry(place).or_default();
        let writer = (1 + self.name) * 1_000_000_000 + self.writer;
        let batch = Batch::new(world, place, *next, writer, Some(number));
        *next += batch.numbers.len() as i32;
        let mut was_unknown = false;
        for _ in 0..3 {
            let answer = world.ask(batch.send(world, node, who, Some(IDS[self.id].0), version)).await;
            let (code, base) = answer.unwrap_or((ResponseError::RequestTimedOut.code(), -1));
            world
                .say(|| format!("mover {} {who:?} in {number} sends {batch:?}: {code} at {base}", self.name));
            match is_done(code) {
                Some(true) => {
                    self.check_fence(world, who, newest, "a batch");
                    let mut model = world.model.borrow_mut();
                    let told = model.acknowledged(&batch.numbers, base);
                    drop(model);
                    told.unwrap_or_else(|wrong| world.broken(wrong));
                    return true;
                }
                Some(false) => {
                    if !was_unknown {
                        batch.must_be_refused(world);
                    }
                    self.lose_heart(world, code);
                    return false;
                }
                None => was_unknown = true,
            }
            world.think(5).await;
        }
        false
    }

    async fn commit_offset(&mut self, world: &World, node: &Node, number: usize) -> bool {
        let (Some(who), newest) = (self.who, self.newest(world)) else { return false };
        let (id, group) = IDS[self.id];
        if !self.second {
            let request = AddOffsetsToTxnRequest::default()
                .with_transactional_id(TransactionalId(text(id)))
                .with_producer_id(who.0.into())
                .with_producer_epoch(who.1)
                .with_group_id(GroupId(text(group)));
            let answer = world.ask(node.transactions.add_offsets(&node.caller, request, 3)).await;
            if answer.is_none_or(|response| response.error_code != 0) {
                return false;
            }
        }
        let partition = TxnOffsetCommitRequestPartition::default()
            .with_partition_index(0)
            .with_committed_offset(number as i64);
        let topic = TxnOffsetCommitRequestTopic::default()
            .with_name(topic_name(TOPICS[PLAIN].0))
            .with_partitions(vec![partition]);
        let request = TxnOffsetCommitRequest::default()
            .with_transactional_id(TransactionalId(text(id)))
            .with_group_id(GroupId(text(group)))
            .with_producer_id(who.0.into())
            .with_producer_epoch(who.1)
            .with_generation_id(-1)
            .with_topics(vec![topic]);
        let version = if self.second { 5 } else { 3 };
        world.model.borrow_mut().transactions[number].offset = Some(false);
        let answer = world.ask(node.transactions.txn_offset_commit(&node.caller, request, version)).await;
        let code = answer.map(|response| response.topics[0].partitions[0].error_code);
        world.say(|| format!("mover {} {who:?} commits the offset of {number}: {code:?}", self.name));
        if code == Some(0) {
            self.check_fence(world, who, newest, "an offset");
            world.model.borrow_mut().transactions[number].offset = Some(true);
        }
        code == Some(0)
    }

    /// Ends the transaction that is open, as was asked before or with an abort.
    async fn end(&mut self, world: &World, node: &Node) {
        let (Some(who), Some((number, asked))) = (self.who, self.open) else { return };
        let newest = self.newest(world);
        let mut asked = asked.unwrap_or(Asked { commit: false, was_unknown: false });
        let was_unknown = std::mem::replace(&mut asked.was_unknown, true);
        self.open = Some((number, Some(asked)));
        let commit = asked.commit;
        world.model.borrow_mut().transactions[number].end = if commit { End::Unknown } else { End::Aborted };
        let request = EndTxnRequest::default()
            .with_transactional_id(TransactionalId(text(IDS[self.id].0)))
            .with_producer_id(who.0.into())
            .with_producer_epoch(who.1)
            .with_committed(commit);
        let version = if self.second { 5 } else { 3 };
        if world.happens(6) {
            // Between the steps of an end a loss of power tells most.
            let calls = 1 + world.below(6);
            world.say(|| format!("the power goes in {calls} calls, while mover {} ends {number}", self.name));
            world.kept.disk.cut_power_after(calls);
        }
        let answer = world.ask(node.transactions.end_txn(&node.caller, request, version)).await;
        let code = answer.as_ref().map_or(ResponseError::RequestTimedOut.code(), |one| one.error_code);
        world.say(|| format!("mover {} {who:?} ends {number}, commit {commit}: {code}", self.name));
        match (is_done(code), answer) {
            (Some(true), Some(response)) => {
                self.check_fence(world, who, newest, "an end");
                self.open = None;
                {
                    let mut model = world.model.borrow_mut();
                    model.count(if commit { "commits" } else { "aborts" });
                    model.transactions[number].end = if commit { End::Committed } else { End::Aborted };
                }
                self.check_last(world, node).await;
                // Who comes last goes on with what it has; the other has lost its place.
                self.is_over = world.calm.get();
                if self.second {
                    self.becomes((response.producer_id.0, response.producer_epoch));
                } else if !commit {
                    // What it sent and was not told of may count in its numbers or not: it begins anew.
                    self.init(world, node, Some(who)).await;
                }
            }
            (Some(false), _) => {
                asked.was_unknown = was_unknown;
                self.open = Some((number, Some(asked)));
                self.give_up(world);
                self.lose_heart(world, code);
            }
            _ if world.happens(6) => self.who = None,
            _ => {}
        }
    }
}
