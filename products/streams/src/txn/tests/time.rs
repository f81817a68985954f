//! What time does: transactions that are open for too long, ids that nobody uses.

use std::time::Duration;

use kafka_protocol::ResponseError;

use super::bed::{Bed, GROUP, ID, OK, TIMEOUT_MS};
use crate::txn::state::Phase;

#[tokio::test]
async fn a_transaction_that_is_open_for_too_long_is_aborted() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.add(who, &[0, 1]).await, [OK, OK]);
    assert_eq!(bed.add_group(who, GROUP).await, OK);
    assert_eq!(bed.send(who, 0, 0, "late", 9).await, OK);
    assert_eq!(bed.commit_offset(who, 3, 3).await, OK);
    bed.advance_ms(TIMEOUT_MS - 1);
    bed.transactions.look().await;
    assert_eq!((bed.phase(), bed.ends(0)), (Some(Phase::Ongoing), (1, 0)));
    bed.advance_ms(1);
    bed.transactions.look().await;
    assert_eq!((bed.phase(), bed.ends(0)), (Some(Phase::CompleteAbort), (2, 2)));
    assert_eq!((bed.committed(0).await.len(), bed.committed_offset().await), (0, Ok(-1)));
    // Its producer is fenced, by the partitions too.
    let fenced = ResponseError::ProducerFenced.code();
    assert_eq!(bed.end(who, true, 3).await.0, fenced);
    assert_eq!(bed.end(who, false, 5).await.0, fenced);
    assert_eq!(bed.add(who, &[0]).await, [fenced]);
    assert_eq!(bed.send(who, 1, 0, "later", 9).await, ResponseError::InvalidProducerEpoch.code());
    assert_eq!(
        bed.send_as(None, false, who, 1, 0, "later", 9).await,
        ResponseError::InvalidProducerEpoch.code()
    );
    // The clock of the next one begins with its own transaction.
    let next = bed.init().await;
    assert_eq!(next, (who.0, who.1 + 2));
    bed.advance_ms(TIMEOUT_MS);
    assert_eq!(bed.add(next, &[0]).await, [OK]);
    bed.transactions.look().await;
    assert_eq!(bed.phase(), Some(Phase::Ongoing));
    assert_eq!(bed.end(next, true, 3).await.0, OK);
}

#[tokio::test]
async fn an_id_that_nobody_uses_is_forgotten_after_a_week() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    let day = 24 * 3600 * 1000;
    for _ in 0..7 {
        bed.transactions.look().await;
        assert_eq!(bed.phase(), Some(Phase::Empty));
        bed.advance_ms(day);
    }
    // One that is open is not forgotten, whatever its age.
    assert_eq!(bed.init_as("other", (-1, -1), TIMEOUT_MS).await.0, OK);
    bed.transactions.look().await;
    assert_eq!((bed.phase(), bed.stored().await), (None, None));
    assert_eq!(bed.transactions.all().len(), 1);
    assert_eq!(bed.add(who, &[0]).await, [ResponseError::InvalidProducerIdMapping.code()]);
    let anew = bed.init().await;
    assert_eq!(anew.1, 0);
    assert_ne!(anew.0, who.0);
    let bed = bed.restart().await;
    assert_eq!(bed.transactions.all().len(), 2);
}

#[tokio::test]
async fn an_id_whose_first_producer_cannot_be_stored_takes_no_room() {
    let bed = Bed::new().await;
    bed.faults.fail_after(0, false);
    let told = bed.init_as(ID, (-1, -1), TIMEOUT_MS).await;
    assert_eq!(told, (ResponseError::CoordinatorNotAvailable.code(), -1, -1));
    assert_eq!(bed.transactions.all().len(), 1);
    bed.transactions.look().await;
    assert_eq!(bed.transactions.all().len(), 0);
    // Where the answer was lost it is there, and unknown to its client.
    bed.faults.fail_after(0, true);
    assert_eq!(bed.init_as(ID, (-1, -1), TIMEOUT_MS).await.0, told.0);
    bed.faults.heal();
    assert_eq!(bed.init_as(ID, (-1, -1), TIMEOUT_MS).await.0, OK);
    assert_eq!(bed.stored().await.map(|stored| stored.epoch), Some(0));
}

#[tokio::test]
async fn it_looks_by_itself() {
    let mut bed = Bed::new().await;
    bed.settings.look_every = Duration::from_millis(10);
    let bed = bed.restart().await;
    let who = bed.init().await;
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    assert_eq!(bed.send(who, 0, 0, "late", 9).await, OK);
    bed.transactions.keep();
    bed.advance_ms(TIMEOUT_MS);
    for _ in 0..500 {
        if bed.phase() == Some(Phase::CompleteAbort) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{:?}", bed.phase());
}

#[tokio::test]
async fn a_deleted_project_leaves_nothing() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.add(who, &[0]).await, [OK]);
    bed.faults.fail_after(0, false);
    bed.transactions.forget_project(bed.project).await.unwrap_err();
    bed.faults.heal();
    bed.transactions.forget_project(bed.project).await.unwrap();
    assert_eq!((bed.transactions.all().len(), bed.stored().await), (0, None));
    assert_eq!(bed.end(who, true, 3).await.0, ResponseError::InvalidProducerIdMapping.code());
}

#[tokio::test]
async fn a_topic_that_is_deleted_needs_no_marker() {
    let bed = Bed::new().await;
    let who = bed.init().await;
    assert_eq!(bed.add(who, &[0, 1]).await, [OK, OK]);
    assert_eq!(bed.send(who, 0, 0, "v", 9).await, OK);
    let topic = bed.topic();
    bed.topics.delete(bed.project, super::bed::ORDERS).await.unwrap();
    bed.log.delete_topic(&topic).await.unwrap();
    assert_eq!(bed.end(who, true, 3).await.0, OK);
    assert_eq!(bed.phase(), Some(Phase::CompleteCommit));
    assert_eq!(bed.log.high_watermark(&topic, candor_model::Partition(1)).0, 0);
}
