//! Idempotent producers of a partition (KIP-98): each numbers what it sends, so that a retry is stored once and a gap
//! is noticed. The rules are those of Apache Kafka's `ProducerAppendInfo`.
//!
//! What is not known any more of a producer cannot be checked: its next batch is taken whatever its number, unless it
//! is part of a transaction, as Kafka does from transactions of version 2 on.

use candor_model::Timestamp;
use candor_records::Header;

use crate::wire::{Put, Take};

/// Batches of a producer that a retry is compared with: a client has at most five requests in flight.
const BATCHES_KEPT: usize = 5;

/// A producer that has not been heard of for so long is forgotten (`producer.id.expiration.ms`), microseconds.
pub(crate) const EXPIRY: i64 = 7 * 24 * 3600 * Timestamp::SECOND;

/// Why a batch was not taken, of a stream but for the last. Nothing of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A batch before it is missing, or it is a retry of one that is not remembered any more (Kafka's error 45).
    #[error("the sequence number does not follow the last one of its producer")]
    OutOfOrderSequence,
    /// A later instance of the producer took over (Kafka's error 47).
    #[error("the producer's epoch is older than the last one seen")]
    InvalidProducerEpoch,
    /// Not part of a transaction, while its producer has one open in the partition (Kafka's error 48).
    #[error("the producer has a transaction open in the partition, of which the batch is no part")]
    InvalidTransactionState,
    /// The topic was deleted.
    #[error("the topic was deleted")]
    Deleted,
    /// A cluster's log takes or refuses batches of streams each by itself.
    #[error("a cluster's log does not take several batches of streams all or none")]
    AllOrNone,
    /// It was cleared under a policy that holds no more (see [`crate::Log::set_policy_floor`]).
    #[error("the policy changed while it was on its way: send it again")]
    Outdated,
}

/// A batch as its producer numbered it, and where it went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbered {
    first: i32,
    last: i32,
    base: u64,
}

/// What is known of a producer in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Producer {
    epoch: i16,
    /// The last ones, newest first.
    batches: [Option<Numbered>; BATCHES_KEPT],
    /// The first offset of the transaction that it has open.
    open: Option<u64>,
    /// When something of it was taken last, microseconds.
    last: i64,
}

/// What a batch is, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    New,
    /// A retry of what is stored at this offset.
    Duplicate(u64),
}

/// The number of the last record of a batch: numbers go from 2^31 - 1 on to 0.
fn last_sequence(header: &Header) -> i32 {
    let last = i64::from(header.base_sequence) + i64::from(header.last_offset_delta);
    (last & i64::from(i32::MAX)) as i32
}

fn follows(last: Option<i32>, next: i32) -> bool {
    match last {
        None | Some(i32::MAX) => next == 0,
        Some(last) => next == last + 1,
    }
}

/// Checks a batch against what is known of its producer.
pub(crate) fn check(known: Option<&Producer>, header: &Header) -> Result<Verdict, Rejected> {
    if let Some(known) = known
        && !header.is_control()
        && let Some(stored) = known.stored(header)
    {
        return Ok(Verdict::Duplicate(stored));
    }
    if known.is_some_and(|known| header.producer_epoch < known.epoch) {
        return Err(Rejected::InvalidProducerEpoch);
    }
    if header.is_control() {
        return Ok(Verdict::New);
    }
    let next = header.base_sequence;
    let is_next = match known {
        _ if next < 0 => false,
        None => next == 0 || !header.is_transactional(),
        Some(known) if known.epoch == header.producer_epoch => follows(known.last_sequence(), next),
        Some(_) => next == 0,
    };
    if !is_next {
        return Err(Rejected::OutOfOrderSequence);
    }
    if known.is_some_and(|known| known.open.is_some()) && !header.is_transactional() {
        return Err(Rejected::InvalidTransactionState);
    }
    Ok(Verdict::New)
}

impl Producer {
    /// One of which a batch is the first that is known.
    pub fn new(header: &Header) -> Producer {
        Producer { epoch: header.producer_epoch, batches: [None; BATCHES_KEPT], open: None, last: 0 }
    }

    fn stored(&self, header: &Header) -> Option<u64> {
        let (first, last) = (header.base_sequence, last_sequence(header));
        let mut kept = self.batches.iter().flatten().filter(|_| self.epoch == header.producer_epoch);
        kept.find(|kept| kept.first == first && kept.last == last).map(|kept| kept.base)
    }

    /// Its epoch.
    pub fn epoch(&self) -> i16 {
        self.epoch
    }

    /// The number of its last record in this epoch.
    pub fn last_sequence(&self) -> Option<i32> {
        self.batches.first().copied().flatten().map(|newest| newest.last)
    }

    /// The base offset of its last batch in this epoch.
    pub fn newest(&self) -> Option<u64> {
        self.batches.first().copied().flatten().map(|newest| newest.base)
    }

    /// The first offset of the transaction that it has open.
    pub fn open(&self) -> Option<u64> {
        self.open
    }

    /// When something of it was taken last, microseconds.
    pub fn last(&self) -> i64 {
        self.last
    }

    /// True where it is not remembered any more. One that has a transaction open always is.
    pub fn has_expired(&self, now: i64) -> bool {
        self.open.is_none() && now.saturating_sub(self.last) >= EXPIRY
    }

    /// Takes in a batch that was checked, or that was before.
    pub fn take(&mut self, header: &Header, base: u64, at: i64) {
        if self.epoch != header.producer_epoch {
            self.epoch = header.producer_epoch;
            self.batches = [None; BATCHES_KEPT];
        }
        self.last = at.max(self.last);
        if header.is_control() {
            self.open = None;
            return;
        }
        self.batches.rotate_right(1);
        if let Some(newest) = self.batches.first_mut() {
            *newest = Some(Numbered { first: header.base_sequence, last: last_sequence(header), base });
        }
        if header.is_transactional() && self.open.is_none() {
            self.open = Some(base);
        }
    }

    /// 2 epoch, 8 last, 1 has a transaction open, [8 its first offset], 1 batches, each oldest first: 4 first and
    /// 4 last number, 8 base.
    pub fn encode(&self, to: &mut Vec<u8>) {
        to.put_u16(self.epoch.cast_unsigned());
        to.put_i64(self.last);
        to.put_u8(u8::from(self.open.is_some()));
        if let Some(open) = self.open {
            to.put_u64(open);
        }
        to.put_u8(self.batches.iter().flatten().count() as u8);
        for batch in self.batches.iter().rev().flatten() {
            to.put_u32(batch.first.cast_unsigned());
            to.put_u32(batch.last.cast_unsigned());
            to.put_u64(batch.base);
        }
    }

    pub fn decode(take: &mut Take) -> Option<Producer> {
        let epoch = take.u16()?.cast_signed();
        let last = take.i64()?;
        let open = match take.u8()? {
            0 => None,
            1 => Some(take.u64()?),
            _ => return None,
        };
        let mut producer = Producer { epoch, batches: [None; BATCHES_KEPT], open, last };
        for _ in 0..take.u8()? {
            let (first, last) = (take.u32()?.cast_signed(), take.u32()?.cast_signed());
            producer.batches.rotate_right(1);
            *producer.batches.first_mut()? = Some(Numbered { first, last, base: take.u64()? });
        }
        Some(producer)
    }
}
