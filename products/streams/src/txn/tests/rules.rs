//! The rules alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use candor_model::{Partition, Timestamp, TopicName};
use kafka_protocol::ResponseError;

use crate::txn::state::{End, Init, Parts, Phase, Places, Transaction, init};

const T: Timestamp = Timestamp(1_000_000);

fn places(partitions: &[u32]) -> Places {
    let partitions: BTreeSet<Partition> = partitions.iter().map(|partition| Partition(*partition)).collect();
    let parts = Parts { name: Arc::from("orders"), partitions };
    Places::from([(TopicName("orders.1".to_owned()), parts)])
}

fn of(producer: i64, epoch: i16, phase: Phase) -> Transaction {
    let base = Transaction { epoch, ..Transaction::new(producer, 1000, T) };
    match phase {
        Phase::Ongoing => base.grown(&places(&[0]), None, T),
        phase => Transaction { phase, ..base },
    }
}

fn begins(current: Option<&Transaction>, asked: Option<(i64, i16)>) -> Result<Init, ResponseError> {
    init(current, asked, 1000, T, Some(99))
}

fn becomes(outcome: Result<Init, ResponseError>) -> Transaction {
    match outcome {
        Ok(Init::Becomes(next)) => *next,
        other => panic!("{other:?}"),
    }
}

const FENCED: ResponseError = ResponseError::ProducerFenced;
const BUSY: ResponseError = ResponseError::ConcurrentTransactions;
const STATE: ResponseError = ResponseError::InvalidTxnState;

#[test]
fn a_producer_begins_with_the_next_epoch() {
    assert_eq!(init(None, None, 1000, T, None), Ok(Init::NeedsId));
    let first = becomes(begins(None, None));
    assert_eq!((first.producer, first.epoch, first.phase), (99, 0, Phase::Empty));
    for phase in [Phase::Empty, Phase::CompleteCommit, Phase::CompleteAbort] {
        let next = becomes(begins(Some(&of(7, 3, phase)), None));
        assert_eq!((next.producer, next.epoch, next.last_epoch, next.phase), (7, 4, -1, Phase::Empty));
        // Who brings what it has gets the next one too, and again where the answer was lost.
        let next = becomes(begins(Some(&of(7, 3, phase)), Some((7, 3))));
        assert_eq!((next.epoch, next.last_epoch), (4, 3));
        assert_eq!(begins(Some(&next), Some((7, 3))), Ok(Init::Given(7, 4)));
        // But not once another has taken over.
        let other = becomes(begins(Some(&next), None));
        assert_eq!(begins(Some(&other), Some((7, 3))), Err(FENCED));
        assert_eq!(begins(Some(&other), Some((7, 4))), Err(FENCED));
        assert_eq!(begins(Some(&other), Some((8, 5))), Err(FENCED));
    }
    for phase in [Phase::PrepareCommit, Phase::PrepareAbort] {
        assert_eq!(begins(Some(&of(7, 3, phase)), None), Err(BUSY));
    }
}

#[test]
fn an_open_transaction_is_aborted_first() {
    let open = of(7, 3, Phase::Ongoing);
    let Ok(Init::Aborts(aborting)) = begins(Some(&open), None) else { panic!("aborts") };
    assert_eq!((aborting.epoch, aborting.last_epoch, aborting.phase), (4, -1, Phase::PrepareAbort));
    assert_eq!(aborting.places, open.places);
    let over = aborting.completed(T);
    assert_eq!((over.phase, over.places.len()), (Phase::CompleteAbort, 0));
    assert_eq!(becomes(begins(Some(&over), None)).epoch, 5);
    assert_eq!(begins(Some(&over), Some((7, 3))), Err(FENCED));
    // The owner itself goes on under the epoch that aborted it.
    let Ok(Init::Aborts(aborting)) = begins(Some(&open), Some((7, 3))) else { panic!("aborts") };
    assert_eq!(begins(Some(&aborting.completed(T)), Some((7, 3))), Ok(Init::Given(7, 4)));
    // One from before does not abort what came later.
    assert_eq!(begins(Some(&open), Some((7, 2))), Err(FENCED));
    let later = Transaction { last_epoch: 2, ..open };
    assert_eq!(begins(Some(&later), Some((7, 2))), Err(FENCED));
}

#[test]
fn a_producer_whose_epochs_are_used_up_gets_another_id() {
    let last = of(7, i16::MAX - 1, Phase::CompleteCommit);
    assert_eq!(init(Some(&last), None, 1000, T, None), Ok(Init::NeedsId));
    let next = becomes(begins(Some(&last), Some((7, i16::MAX - 1))));
    assert_eq!((next.producer, next.epoch, next.last_producer), (99, 0, 7));
    assert_eq!(begins(Some(&next), Some((7, i16::MAX - 1))), Ok(Init::Given(99, 0)));
    let other = becomes(begins(Some(&last), None));
    assert_eq!(begins(Some(&other), Some((7, i16::MAX - 1))), Err(FENCED));
    // Aborting it still has an epoch, the very last.
    let Ok(Init::Aborts(aborting)) = begins(Some(&of(7, i16::MAX - 1, Phase::Ongoing)), None) else {
        panic!("aborts")
    };
    assert_eq!(aborting.epoch, i16::MAX);
    assert_eq!(becomes(begins(Some(&aborting.completed(T)), None)).producer, 99);
    // With the end of a transaction, too.
    let open = of(7, i16::MAX - 1, Phase::Ongoing);
    let asks = (7, i16::MAX - 1);
    assert_eq!(open.end(asks, true, true, T, None), Ok(End::NeedsId));
    let Ok(End::Prepares(ending)) = open.end(asks, true, true, T, Some(99)) else { panic!("prepares") };
    assert_eq!((ending.producer, ending.epoch, ending.goes_on_as()), (7, i16::MAX, (99, 0)));
    assert_eq!(ending.end(asks, true, true, T, None), Err(BUSY));
    let over = ending.completed(T);
    assert_eq!((over.producer, over.epoch, over.next_producer), (99, 0, -1));
    assert_eq!(over.end(asks, true, true, T, None), Ok(End::Given(99, 0)));
    assert_eq!(over.end(asks, false, true, T, None), Err(STATE));
    assert_eq!(begins(Some(&over), Some(asks)), Ok(Init::Given(99, 0)));
}

/// What version 1 is told at an end, by phase: a commit's outcome and an abort's.
#[test]
fn version_one_ends_what_is_open_and_nothing_else() {
    let given = Ok(End::Given(7, 3));
    let expected = [
        (Phase::Empty, Err(STATE), Err(STATE)),
        (Phase::PrepareCommit, Err(BUSY), Err(STATE)),
        (Phase::PrepareAbort, Err(STATE), Err(BUSY)),
        (Phase::CompleteCommit, given, Err(STATE)),
        (Phase::CompleteAbort, Err(STATE), Ok(End::Given(7, 3))),
    ];
    for (phase, commit, abort) in expected {
        let of = of(7, 3, phase);
        assert_eq!(of.end((7, 3), true, false, T, None), commit, "{phase:?}");
        assert_eq!(of.end((7, 3), false, false, T, None), abort, "{phase:?}");
    }
    let open = of(7, 3, Phase::Ongoing);
    for (commit, phase) in [(true, Phase::PrepareCommit), (false, Phase::PrepareAbort)] {
        let Ok(End::Prepares(next)) = open.end((7, 3), commit, false, T, None) else { panic!("prepares") };
        assert_eq!((next.phase, next.epoch, next.commits()), (phase, 3, commit));
    }
    assert_eq!(open.end((7, 2), true, false, T, None), Err(FENCED));
    assert_eq!(open.end((7, 4), true, false, T, None), Err(FENCED));
    assert_eq!(open.end((8, 3), true, false, T, None), Err(ResponseError::InvalidProducerIdMapping));
}

#[test]
fn version_two_gets_another_epoch_with_each_end() {
    let open = of(7, 3, Phase::Ongoing);
    let Ok(End::Prepares(ending)) = open.end((7, 3), true, true, T, None) else { panic!("prepares") };
    assert_eq!((ending.epoch, ending.goes_on_as()), (4, (7, 4)));
    assert_eq!(ending.end((7, 3), true, true, T, None), Err(BUSY));
    let over = ending.completed(T);
    // The same again, for its answer was lost; not the other end, and not once another transaction is open.
    assert_eq!(over.end((7, 3), true, true, T, None), Ok(End::Given(7, 4)));
    assert_eq!(over.end((7, 3), false, true, T, None), Err(STATE));
    assert_eq!(over.end((7, 4), true, true, T, None), Err(STATE));
    let next = over.grown(&places(&[1]), None, T);
    assert_eq!(next.end((7, 3), true, true, T, None), Err(FENCED));
    assert_eq!(next.holds(&TopicName("orders.1".to_owned()), Partition(0)), Ok(false));
    assert_eq!(next.holds(&TopicName("orders.1".to_owned()), Partition(1)), Ok(true));
    // It begins anew after its answer was lost.
    assert_eq!(begins(Some(&over), Some((7, 3))), Ok(Init::Given(7, 4)));
    // It may abort what it does not know to be open, and gets an epoch for it.
    for phase in [Phase::Empty, Phase::CompleteCommit, Phase::CompleteAbort] {
        let Ok(End::Becomes(next)) = of(7, 3, phase).end((7, 3), false, true, T, None) else {
            panic!("ends")
        };
        assert_eq!((next.phase, next.epoch), (Phase::CompleteAbort, 4));
        assert_eq!(next.end((7, 3), false, true, T, None), Ok(End::Given(7, 4)));
        assert_eq!(of(7, 3, phase).end((7, 3), true, true, T, None), Err(STATE));
    }
    // One that was aborted for it is not told that it did so itself.
    let aborted = open.fenced(None, T).completed(T);
    assert_eq!(aborted.end((7, 3), false, true, T, None), Err(FENCED));
}

#[test]
fn a_transaction_is_overdue_by_its_own_timeout() {
    let open = of(7, 3, Phase::Ongoing);
    assert!(!open.is_overdue(Timestamp(T.0 + 999_999)));
    assert!(open.is_overdue(Timestamp(T.0 + 1_000_000)));
    assert!(!of(7, 3, Phase::Empty).is_overdue(Timestamp(i64::MAX)));
    assert!(!open.is_idle_since(Timestamp(i64::MAX)));
    assert!(!of(7, 3, Phase::PrepareCommit).is_idle_since(Timestamp(i64::MAX)));
    assert!(of(7, 3, Phase::CompleteCommit).is_idle_since(T));
    assert!(!of(7, 3, Phase::CompleteCommit).is_idle_since(Timestamp(T.0 - 1)));
}
