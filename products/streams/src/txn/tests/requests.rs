//! What clients are told, on both engines.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::{InitProducerIdRequest, TransactionalId};

use super::bed::{Bed, GROUP, ID, OK, ORDERS, TIMEOUT_MS, text};
use crate::testing::on_both_engines;
use crate::txn::settings::Settings;
use crate::txn::state::Phase;

on_both_engines!(
    a_transaction_is_read_once_it_is_committed,
    a_transaction_of_version_two_goes_by_epochs,
    another_producer_fences_the_first,
);

/// Versions 1: what librdkafka and older clients do.
async fn a_transaction_is_read_once_it_is_committed(meta: crate::testing::Bed) {
    let bed = Bed::on(meta).await;
    let who = bed.init().await;
    assert_eq!(who.1, 0);
    let not_added = ResponseError::InvalidTxnState.code();
    assert_eq!(bed.send(who, 0, 0, "early", 9).await, not_added);
    assert_eq!(bed.add(who, &[0, 1]).await, [OK, OK]);
    assert_eq!(bed.send(who, 0, 0, "a", 9).await, OK);
    assert_eq!(bed.send(who, 0, 1, "b", 9).await, OK);
    assert_eq!(bed.commit_offset(who, 5, 3).await, not_added);
    assert_eq!(bed.add_group(who, GROUP).await, OK);
    assert_eq!(bed.commit_offset(who, 5, 3).await, OK);
    assert_eq!(bed.committed_offset().await, Err(ResponseError::UnstableOffsetCommit.code()));
    assert_eq!((bed.ends(0), bed.ends(1)), ((1, 0), (1, 0)));
    assert_eq!(bed.end(who, true, 1).await.0, OK);
    assert_eq!((bed.ends(0), bed.ends(1)), ((2, 2), (2, 2)));
    assert_eq!(
        (bed.committed(0).await, bed.committed(1).await),
        (vec!["a".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(bed.committed_offset().await, Ok(5));
    // Once more, for its answer was lost; and the other end is no retry.
    assert_eq!(bed.end(who, true, 1).await.0, OK);
    assert_eq!(bed.end(who, false, 1).await.0, not_added);

    // The next one is aborted, and its numbers go on.
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    assert_eq!(bed.send(who, 1, 0, "c", 9).await, OK);
    assert_eq!(bed.send(who, 1, 1, "of the last one", 9).await, not_added);
    assert_eq!(bed.add_group(who, GROUP).await, OK);
    assert_eq!(bed.commit_offset(who, 9, 3).await, OK);
    assert_eq!(bed.end(who, false, 1).await.0, OK);
    assert_eq!((bed.ends(0), bed.committed(0).await), ((4, 4), vec!["a".to_owned()]));
    assert_eq!(bed.committed_offset().await, Ok(5));
    assert_eq!(
        bed.log
            .aborted(
                &bed.topic(),
                candor_model::Partition(0),
                candor_model::Offset(0),
                candor_model::Offset(4)
            )
            .len(),
        1
    );

    assert_eq!(bed.add(who, &[0]).await, [OK]);
    assert_eq!(bed.send(who, 2, 0, "d", 9).await, OK);
    assert_eq!(bed.end(who, true, 1).await.0, OK);
    assert_eq!(bed.committed(0).await, ["a", "d"]);
}

async fn a_transaction_of_version_two_goes_by_epochs(meta: crate::testing::Bed) {
    let bed = Bed::on(meta).await;
    let mut who = bed.init().await;
    for round in 0..3_i64 {
        let value = format!("{round}");
        // Nothing is added by anybody but the batches and offsets themselves.
        assert_eq!(bed.send(who, 0, 0, &value, 12).await, OK);
        assert_eq!(bed.send(who, 1, 0, &value, 13).await, OK);
        assert_eq!(bed.send(who, 0, 1, &value, 13).await, OK);
        assert_eq!(bed.commit_offset(who, round, 5).await, OK);
        let commits = round != 1;
        let (error, producer, epoch) = bed.end(who, commits, 5).await;
        assert_eq!((error, producer, epoch), (OK, who.0, who.1 + 1));
        // The same again is told the same.
        assert_eq!(bed.end(who, commits, 5).await, (OK, producer, epoch));
        // What comes late of the old epoch is refused by coordinator and partition.
        assert_eq!(bed.send(who, 2, 0, "late", 12).await, ResponseError::InvalidProducerEpoch.code());
        assert_eq!(bed.end(who, !commits, 5).await.0, ResponseError::InvalidTxnState.code());
        who = (producer, epoch);
        assert!(bed.is_settled());
    }
    assert_eq!(bed.committed(0).await, ["0", "0", "2", "2"]);
    assert_eq!(bed.committed(1).await, ["0", "2"]);
    assert_eq!(bed.committed_offset().await, Ok(2));
    // Nothing is open: a commit is a mistake, an abort gives another epoch.
    assert_eq!(bed.end(who, true, 5).await.0, ResponseError::InvalidTxnState.code());
    assert_eq!(bed.end(who, false, 5).await, (OK, who.0, who.1 + 1));
}

async fn another_producer_fences_the_first(meta: crate::testing::Bed) {
    let bed = Bed::on(meta).await;
    let first = bed.init().await;
    assert_eq!(bed.add(first, &[0]).await, [OK]);
    assert_eq!(bed.send(first, 0, 0, "lost", 9).await, OK);
    let told = bed.init_as(ID, (-1, -1), TIMEOUT_MS).await;
    assert_eq!(told, (ResponseError::ConcurrentTransactions.code(), -1, -1));
    let second = bed.init().await;
    // One epoch aborted the transaction, the next is the producer's.
    assert_eq!(second, (first.0, first.1 + 2));
    assert!(bed.is_settled());
    assert_eq!(bed.send(first, 1, 0, "zombie", 9).await, ResponseError::InvalidProducerEpoch.code());
    assert_eq!(bed.send(first, 1, 0, "zombie", 12).await, ResponseError::InvalidProducerEpoch.code());
    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(bed.add(first, &[0]).await, [fenced]);
    assert_eq!(bed.add_group(first, GROUP).await, fenced);
    assert_eq!(bed.end(first, true, 3).await.0, fenced);
    assert_eq!(bed.end(first, true, 1).await.0, ResponseError::InvalidProducerEpoch.code());
    assert_eq!(bed.init_as(ID, first, TIMEOUT_MS).await.0, fenced);
    assert_eq!(bed.add(second, &[0]).await, [OK]);
    assert_eq!(bed.send(second, 0, 0, "kept", 9).await, OK);
    assert_eq!(bed.end(second, true, 3).await.0, OK);
    assert_eq!(bed.committed(0).await, ["kept"]);
}

#[tokio::test]
async fn what_nobody_knows_is_refused() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    let unknown = ResponseError::InvalidProducerIdMapping.code();
    let other = (who.0 + 1000, 0);
    assert_eq!(bed.add(other, &[0]).await, [unknown]);
    assert_eq!(bed.add_to("nobody", who, &[(ORDERS, &[0])]).await, [unknown]);
    assert_eq!(bed.end(other, true, 3).await.0, unknown);
    assert_eq!(bed.end_of("nobody", who, true, 3).await.0, unknown);
    assert_eq!(bed.commit_offset(other, 1, 5).await, unknown);
    let topic = ResponseError::UnknownTopicOrPartition.code();
    let not_tried = ResponseError::OperationNotAttempted.code();
    assert_eq!(bed.add(who, &[0, 2, -1]).await, [not_tried, topic, topic]);
    let signal = ResponseError::TopicAuthorizationFailed.code();
    let with_signal = bed.add_to(ID, who, &[("candor.logs", &[0]), (ORDERS, &[1]), ("none", &[0])]).await;
    assert_eq!(with_signal, [signal, not_tried, topic]);
    assert_eq!(bed.phase(), Some(Phase::Empty));
    let bad = ResponseError::InvalidRequest.code();
    assert_eq!(
        bed.init_as("pay-4111111111111111", (-1, -1), TIMEOUT_MS).await.0,
        bad,
        "it is stored as it is"
    );
    for id in ["", "nul\0", &"x".repeat(2000)] {
        assert_eq!(bed.init_as(id, (-1, -1), TIMEOUT_MS).await.0, bad);
        assert_eq!(bed.end_of(id, who, true, 3).await.0, bad);
        assert_eq!(bed.add_to(id, who, &[(ORDERS, &[0])]).await, [bad]);
    }
    assert_eq!(bed.init_as(ID, (who.0, -1), TIMEOUT_MS).await.0, bad);
    assert_eq!(bed.init_as(ID, (-1, 0), TIMEOUT_MS).await.0, bad);
    let timeout = ResponseError::InvalidTransactionTimeout.code();
    for (timeout_ms, told) in [(0, timeout), (-1, timeout), (900_001, timeout), (900_000, OK), (1, OK)] {
        assert_eq!(bed.init_as("timed", (-1, -1), timeout_ms).await.0, told, "{timeout_ms}");
    }
    // Old versions do not know fencing.
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(ID))))
        .with_transaction_timeout_ms(1000)
        .with_producer_id(other.0.into())
        .with_producer_epoch(0);
    let told = bed.transactions.init_producer_id(&bed.caller(), request.clone(), 3).await.error_code;
    assert_eq!(told, ResponseError::InvalidProducerEpoch.code());
    let told = bed.transactions.init_producer_id(&bed.caller(), request, 4).await.error_code;
    assert_eq!(told, ResponseError::ProducerFenced.code());
    // Another project has the same id for itself.
    let mut caller = bed.caller();
    caller.project = candor_model::ProjectId(caller.project.0 + 1);
    let request = InitProducerIdRequest::default()
        .with_transactional_id(Some(TransactionalId(text(ID))))
        .with_transaction_timeout_ms(1000);
    let told = bed.transactions.init_producer_id(&caller, request, 5).await;
    assert_eq!((told.error_code, told.producer_epoch), (OK, 0));
    assert_ne!(told.producer_id.0, who.0);
}

#[tokio::test]
async fn a_producer_without_transactions_gets_an_id_as_before() {
    let bed = Bed::new().await;
    let ask = async |producer: i64, epoch: i16| {
        let request = InitProducerIdRequest::default()
            .with_transactional_id(None)
            .with_producer_id(producer.into())
            .with_producer_epoch(epoch);
        let told = bed.transactions.init_producer_id(&bed.caller(), request, 5).await;
        (told.error_code, told.producer_id.0, told.producer_epoch)
    };
    let (error, producer, epoch) = ask(-1, -1).await;
    assert_eq!((error, epoch), (OK, 0));
    assert_eq!(ask(producer, 0).await, (OK, producer, 1));
    assert_ne!(ask(-1, -1).await.1, producer);
}

#[tokio::test]
async fn a_new_id_takes_the_place_of_the_one_that_was_used_longest_ago() {
    let bed = Bed::new().await.with(Settings { max_ids: 3, ..Settings::default() }).await;
    let full = ResponseError::PolicyViolation.code();
    // The oldest is open: it stays.
    let open = bed.init().await;
    assert_eq!(bed.add(open, &[0]).await, [OK]);
    for id in ["first", "second"] {
        bed.advance_ms(1);
        assert_eq!(bed.init_as(id, (-1, -1), TIMEOUT_MS).await.0, OK);
    }
    bed.advance_ms(15 * 60_000 - 2);
    assert_eq!(bed.init_as("third", (-1, -1), TIMEOUT_MS).await.0, full, "all were used lately");
    bed.advance_ms(1);
    assert_eq!(bed.init_as("third", (-1, -1), TIMEOUT_MS).await.0, OK);
    assert_eq!(bed.init_as("fourth", (-1, -1), TIMEOUT_MS).await.0, full);
    let bed = bed.restart().await;
    let mut left: Vec<_> = bed.transactions.all().iter().map(|entry| entry.key.id.to_string()).collect();
    left.sort();
    assert_eq!(left.len(), 3);
    assert!(!left.contains(&"first".to_owned()), "{left:?}");
    assert_eq!(bed.end(open, true, 3).await.0, OK);
    // What cannot be removed from storage keeps its place.
    bed.advance_ms(15 * 60_000);
    bed.faults.fail_after(0, false);
    let told = bed.init_as("fourth", (-1, -1), TIMEOUT_MS).await.0;
    assert_eq!(told, ResponseError::CoordinatorNotAvailable.code());
    assert_eq!(bed.transactions.all().len(), 3);
}

#[tokio::test]
async fn a_project_has_bounds() {
    let settings = Settings {
        max_ids: 2,
        max_partitions: 1,
        max_partitions_open: 2,
        max_groups: 1,
        ..Settings::default()
    };
    let bed = Bed::new().await.with(settings).await;
    let who = bed.init().await;
    assert_eq!(bed.init_as("second", (-1, -1), TIMEOUT_MS).await.0, OK);
    let full = ResponseError::PolicyViolation.code();
    assert_eq!(bed.init_as("third", (-1, -1), TIMEOUT_MS).await.0, full);
    assert_eq!(bed.init_as("second", (-1, -1), TIMEOUT_MS).await.0, OK);
    assert_eq!(bed.add(who, &[0, 1]).await, [full, full]);
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    assert_eq!(bed.add(who, &[1]).await, [full]);
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    assert_eq!(bed.add_group(who, "one").await, OK);
    assert_eq!(bed.add_group(who, "one").await, OK);
    assert_eq!(bed.add_group(who, "two").await, full);
    // What is over makes room, for this project and the others.
    for _ in 0..5 {
        assert_eq!(bed.end(who, true, 3).await.0, OK);
        assert_eq!(bed.add(who, &[1]).await, [OK]);
    }
}
