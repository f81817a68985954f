//! The process ends, or storage fails, between any two steps of a transaction; what was told holds, and all of it
//! counts or nothing.

use std::sync::atomic::Ordering;

use kafka_protocol::ResponseError;

use super::bed::{Bed, GROUP, OK, TIMEOUT_MS};
use crate::txn::state::Phase;

/// How a client works with its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    /// It adds what it writes to.
    One,
    /// Batches and offsets add it, and each end gives another epoch.
    Two,
}

/// What a client was told of its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Something failed before it asked for the end.
    NotEnded,
    /// The end failed: it may be either.
    Unknown,
    Ended,
}

/// Writes to two partitions, commits an offset, and ends it so, until something fails.
async fn transaction(bed: &Bed, protocol: Protocol, who: (i64, i16), commit: bool, value: &str) -> Told {
    let (produce, offsets, end) = match protocol {
        Protocol::One => (9, 3, 3),
        Protocol::Two => (12, 5, 5),
    };
    if protocol == Protocol::One
        && (bed.add(who, &[0, 1]).await != [OK, OK] || bed.add_group(who, GROUP).await != OK)
    {
        return Told::NotEnded;
    }
    for partition in [0, 1] {
        if bed.send(who, 0, partition, value, produce).await != OK {
            return Told::NotEnded;
        }
    }
    if bed.commit_offset(who, 7, offsets).await != OK {
        return Told::NotEnded;
    }
    match bed.end(who, commit, end).await.0 {
        OK => Told::Ended,
        _ => Told::Unknown,
    }
}

/// Whether the transaction counts; fails where it does in part.
async fn counts(bed: &Bed, value: &str) -> bool {
    let parts = [
        bed.committed(0).await.iter().any(|found| found == value),
        bed.committed(1).await.iter().any(|found| found == value),
        bed.committed_offset().await == Ok(7),
    ];
    assert!(parts.iter().all(|counts| *counts == parts[0]), "in part: {parts:?}");
    parts[0]
}

/// Fails each effect in turn; gives how many there are.
async fn each_step(protocol: Protocol, commit: bool, answer_is_lost: bool, restarts: bool) -> i64 {
    for effects in 0.. {
        let mut bed = Bed::new().await;
        bed.settings.end_patience = std::time::Duration::from_millis(500);
        let mut bed = bed.restart().await;
        let who = bed.init().await;
        bed.faults.fail_after(effects, answer_is_lost);
        let told = transaction(&bed, protocol, who, commit, "v").await;
        let case = format!("{protocol:?} {commit} {answer_is_lost} {restarts} {effects} {told:?}");
        let is_whole = bed.faults.done.load(Ordering::SeqCst) < effects;
        if restarts {
            bed = bed.restart().await;
        }
        bed.faults.heal();
        // Ends what was settled; then what is open is overdue.
        bed.transactions.look().await;
        let phase = bed.phase();
        assert!(!phase.is_some_and(Phase::is_ending), "{case}: {phase:?}");
        bed.advance_ms(TIMEOUT_MS);
        bed.transactions.look().await;
        assert_ne!(bed.phase(), Some(Phase::Ongoing), "{case}");
        assert!(bed.is_settled(), "{case}: {:?} {:?}", bed.ends(0), bed.ends(1));
        let counts = counts(&bed, "v").await;
        match told {
            Told::Ended => assert_eq!(counts, commit, "{case}"),
            Told::Unknown => assert!(commit || !counts, "{case}"),
            Told::NotEnded => assert!(!counts, "{case}"),
        }
        let stored = bed.stored().await.unwrap();
        assert!(stored.places.is_empty() && stored.groups.is_empty(), "{case}: {stored:?}");
        assert_eq!(Some(stored.phase), bed.phase(), "{case}");
        // Looking again changes nothing, not even in the log.
        let ends = (bed.ends(0), bed.ends(1));
        bed.transactions.look().await;
        assert_eq!((bed.ends(0), bed.ends(1)), ends, "{case}");
        // Another producer goes on.
        let next = bed.init().await;
        assert!(next.1 > who.1, "{case}");
        assert_eq!(transaction(&bed, protocol, next, true, "next").await, Told::Ended, "{case}");
        assert!(bed.committed(0).await.contains(&"next".to_owned()), "{case}");
        if is_whole {
            assert_eq!(told, Told::Ended, "{case}");
            return effects;
        }
    }
    unreachable!("a transaction has an end")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_step_leaves_all_or_nothing() {
    for commit in [true, false] {
        for answer_is_lost in [false, true] {
            // Two are added, the end is prepared, markers, offsets, the last word; then one more that never comes.
            assert_eq!(each_step(Protocol::One, commit, answer_is_lost, true).await, 2 + 4 + 1);
            assert_eq!(each_step(Protocol::Two, commit, answer_is_lost, true).await, 3 + 4 + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_storage_at_any_step_leaves_all_or_nothing() {
    for commit in [true, false] {
        for answer_is_lost in [false, true] {
            assert_eq!(each_step(Protocol::One, commit, answer_is_lost, false).await, 2 + 4 + 1);
            assert_eq!(each_step(Protocol::Two, commit, answer_is_lost, false).await, 3 + 4 + 1);
        }
    }
}

#[tokio::test]
async fn an_end_that_was_answered_with_an_error_may_be_asked_for_again() {
    for (protocol, version) in [(Protocol::One, 3), (Protocol::Two, 5)] {
        for answer_is_lost in [false, true] {
            let bed = Bed::new().await;
            let who = bed.init().await;
            let adds = if protocol == Protocol::One { 2 } else { 3 };
            bed.faults.fail_after(adds, answer_is_lost);
            assert_eq!(transaction(&bed, protocol, who, true, "v").await, Told::Unknown);
            bed.faults.heal();
            let (error, ..) = bed.end(who, true, version).await;
            assert_eq!(error, OK, "{protocol:?} {answer_is_lost}");
            assert!(counts(&bed, "v").await);
        }
    }
}

#[tokio::test]
async fn an_end_that_is_settled_is_answered_though_it_is_not_everywhere() {
    let mut bed = Bed::new().await;
    bed.settings.end_patience = std::time::Duration::from_millis(50);
    let bed = bed.restart().await;
    let who = bed.init().await;
    // The two that are added and the settling come off.
    bed.faults.fail_after(3, false);
    assert_eq!(transaction(&bed, Protocol::One, who, true, "v").await, Told::Ended);
    assert_eq!(bed.phase(), Some(Phase::PrepareCommit));
    let busy = ResponseError::ConcurrentTransactions.code();
    assert_eq!(bed.add(who, &[0]).await, [busy]);
    assert_eq!(bed.end(who, true, 3).await.0, busy);
    assert_eq!(bed.end(who, false, 3).await.0, ResponseError::InvalidTxnState.code());
    assert_eq!(bed.init_as(super::bed::ID, (-1, -1), TIMEOUT_MS).await.0, busy);
    assert_eq!(bed.send(who, 1, 0, "w", 9).await, ResponseError::InvalidTxnState.code());
    assert_eq!(bed.send(who, 1, 0, "w", 12).await, busy);
    assert_eq!(bed.commit_offset(who, 9, 5).await, busy);
    bed.faults.heal();
    bed.transactions.look().await;
    assert!(counts(&bed, "v").await);
    assert_eq!(bed.phase(), Some(Phase::CompleteCommit));
}

#[tokio::test]
async fn what_is_open_survives_a_restart() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.add(who, &[0, 1]).await, [OK, OK]);
    assert_eq!(bed.add_group(who, GROUP).await, OK);
    assert_eq!(bed.send(who, 0, 0, "v", 9).await, OK);
    assert_eq!(bed.commit_offset(who, 7, 3).await, OK);
    let bed = bed.restart().await;
    bed.transactions.look().await;
    assert_eq!(bed.phase(), Some(Phase::Ongoing));
    assert_eq!(bed.send(who, 0, 1, "v", 9).await, OK);
    assert_eq!(bed.end(who, true, 3).await.0, OK);
    assert!(counts(&bed, "v").await);
    // And who it is.
    let bed = bed.restart().await;
    assert_eq!(bed.end(who, true, 3).await.0, OK);
    assert_eq!(bed.init().await, (who.0, who.1 + 1));
}
