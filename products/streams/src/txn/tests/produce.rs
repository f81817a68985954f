//! What batches may come, and that none comes behind the end of its transaction.

use std::sync::Arc;

use candor_model::Partition;
use kafka_protocol::ResponseError;

use super::bed::{Bed, ID, OK};
use crate::txn::produce::{Batch, MayProduce};
use crate::txn::state::Phase;

#[tokio::test]
async fn a_batch_is_of_a_transaction_that_its_producer_has_open() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    let told = |error: ResponseError| error.code();
    // Not added, by version: refused, refused so that it may be aborted, added.
    assert_eq!(bed.send(who, 0, 0, "v", 3).await, told(ResponseError::InvalidTxnState));
    assert_eq!(bed.send(who, 0, 0, "v", 10).await, told(ResponseError::InvalidTxnState));
    assert_eq!(bed.send(who, 0, 0, "v", 11).await, told(ResponseError::TransactionAbortable));
    assert_eq!((bed.phase(), bed.ends(0)), (Some(Phase::Empty), (0, 0)));
    assert_eq!(bed.send(who, 0, 0, "v", 12).await, OK);
    assert_eq!((bed.phase(), bed.ends(0)), (Some(Phase::Ongoing), (1, 0)));
    // From then on older ones may come there, and nowhere else.
    assert_eq!(bed.send(who, 1, 0, "v", 3).await, OK);
    assert_eq!(bed.send(who, 0, 1, "v", 3).await, told(ResponseError::InvalidTxnState));
    // Of nobody, of another, of another epoch.
    let unauthorized = told(ResponseError::TransactionalIdAuthorizationFailed);
    assert_eq!(bed.send_as(None, true, who, 2, 0, "v", 12).await, unauthorized);
    let mapping = told(ResponseError::InvalidProducerIdMapping);
    assert_eq!(bed.send_as(Some("nobody"), true, who, 2, 0, "v", 12).await, mapping);
    assert_eq!(bed.send((who.0 + 500, 0), 2, 0, "v", 12).await, mapping);
    let epoch = told(ResponseError::InvalidProducerEpoch);
    assert_eq!(bed.send((who.0, 1), 2, 0, "v", 12).await, epoch);
    // What is not of the transaction does not come between.
    assert_eq!(bed.send_as(Some(ID), false, who, 2, 0, "v", 12).await, told(ResponseError::InvalidTxnState));
    assert_eq!(bed.send_as(None, false, (-1, -1), -1, 0, "other", 12).await, OK);
    // A retry is told what it was told before.
    assert_eq!(bed.send(who, 1, 0, "v", 12).await, OK);
    assert_eq!(bed.ends(0), (3, 0));
    assert_eq!(bed.end(who, true, 5).await.0, OK);
    assert_eq!(bed.committed(0).await, ["v", "v", "other"]);
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_added() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    bed.faults.fail_after(0, false);
    assert_eq!(bed.send(who, 0, 0, "v", 12).await, ResponseError::NotEnoughReplicas.code());
    assert_eq!(bed.ends(0), (0, 0));
    bed.faults.heal();
    assert_eq!(bed.send(who, 0, 0, "v", 12).await, OK);
    assert_eq!(bed.end(who, true, 5).await.0, OK);
    assert_eq!(bed.committed(0).await, ["v"]);
}

#[tokio::test]
async fn an_end_waits_for_what_was_let_in() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    let topic = bed.topics.get(bed.project, super::bed::ORDERS).unwrap();
    let batch = Batch { producer: who.0, epoch: who.1, topic: &topic.view, partition: Partition(0) };
    let may = bed.transactions.may_produce(bed.project, Some(ID), batch, 9).unwrap();
    let MayProduce::Now(pass) = may else { panic!("it is added") };
    let bed = Arc::new(bed);
    let ending = tokio::spawn({
        let bed = Arc::clone(&bed);
        async move { bed.end(who, true, 3).await.0 }
    });
    while bed.phase() != Some(Phase::PrepareCommit) {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert_eq!((ending.is_finished(), bed.ends(0)), (false, (0, 0)));
    // Nothing more is let in.
    assert!(bed.transactions.may_produce(bed.project, Some(ID), batch, 9).is_err());
    drop(pass);
    assert_eq!(ending.await.unwrap(), OK);
    assert_eq!(bed.ends(0), (1, 1));
}

/// Batches race with the end of their transaction: each is told whether it is part of it, and none opens it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_batch_opens_a_transaction_that_has_ended() {
    let bed = Arc::new(Bed::new().await);
    let who = bed.init().await;
    let mut sequence = 0;
    let mut expected = Vec::new();
    for round in 0..40_u64 {
        assert_eq!(bed.add(who, &[0]).await, [OK]);
        assert_eq!(bed.send(who, sequence, 0, &format!("{round}"), 9).await, OK);
        expected.push(format!("{round}"));
        sequence += 1;
        let sending = tokio::spawn({
            let bed = Arc::clone(&bed);
            async move {
                tokio::time::sleep(std::time::Duration::from_micros(round * 50)).await;
                bed.send(who, sequence, 0, &format!("{round} raced"), 9).await
            }
        });
        assert_eq!(bed.end(who, true, 3).await.0, OK);
        if sending.await.unwrap() == OK {
            expected.push(format!("{round} raced"));
            sequence += 1;
        }
        assert!(bed.is_settled(), "{round}: {:?}", bed.ends(0));
    }
    assert_eq!(bed.committed(0).await, expected);
}
