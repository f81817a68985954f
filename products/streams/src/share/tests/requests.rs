//! ShareGroupHeartbeat, ShareFetch, ShareAcknowledge.

use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::*;

use super::bed::{Bed, OK, READERS, given};
use crate::share::fetch::Newer;
use crate::txn::tests::bed::{ORDERS, text};

const ACCEPT: i8 = 1;
const RELEASE: i8 = 2;
const REJECT: i8 = 3;
const RENEW: i8 = 4;

async fn reading() -> Bed {
    let bed = Bed::new().await;
    bed.configure("share.auto.offset.reset", "earliest").await;
    bed.join("one").await;
    bed.join("two").await;
    bed
}

#[tokio::test]
async fn records_are_given_once_until_they_are_released() {
    let bed = reading().await;
    bed.send(&["a", "b", "c"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 2, 1)]));
    assert_eq!(bed.fetch("two", 0, &[]).await, Ok(vec![]));
    assert_eq!(bed.acknowledge("one", 1, &[(0, 0, ACCEPT), (1, 1, RELEASE), (2, 2, REJECT)]).await, OK);
    assert_eq!(bed.fetch("two", 1, &[]).await, Ok(vec![(1, 1, 2)]));
    // Said with the next fetch, which gives what has come meanwhile.
    bed.send(&["d"]).await;
    assert_eq!(bed.fetch("two", 2, &[(1, 1, ACCEPT)]).await, Ok(vec![(3, 3, 1)]));
    assert_eq!(bed.fetch("one", 2, &[(1, 1, ACCEPT)]).await, Err(ResponseError::InvalidRecordState.code()));
}

#[tokio::test]
async fn who_takes_no_bytes_is_given_none() {
    let bed = reading().await;
    bed.send(&["a"]).await;
    let mut request = bed.asking("one", 0, &[0], &[]);
    request.max_bytes = 0;
    assert_eq!(given(&bed.fetch_with(request.clone(), Newer::default()).await), Ok(vec![]));
    // Of one byte as much as there is whole.
    (request.max_bytes, request.share_session_epoch) = (1, 1);
    assert_eq!(given(&bed.fetch_with(request, Newer::default()).await), Ok(vec![(0, 0, 1)]));
}

#[tokio::test]
async fn accepted_records_stay_accepted_over_a_restart_and_others_come_again() {
    let mut bed = reading().await;
    bed.send(&["a", "b", "c", "d"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 3, 1)]));
    assert_eq!(bed.acknowledge("one", 1, &[(0, 0, ACCEPT), (2, 2, ACCEPT)]).await, OK);
    bed = bed.restart().await;
    // Sessions and locks are over.
    assert_eq!(bed.fetch("one", 2, &[]).await, Err(ResponseError::ShareSessionNotFound.code()));
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(1, 1, 2), (3, 3, 2)]));
    let (error, epoch, assigned) = bed.beat(READERS, "one", 1).await;
    assert_eq!((error, assigned.is_some()), (OK, true), "its membership is not over: {epoch}");
}

#[tokio::test]
async fn a_group_begins_at_the_end_and_a_restart_does_not_move_that() {
    let mut bed = Bed::new().await;
    bed.join("one").await;
    bed.send(&["before"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![]));
    bed.send(&["after"]).await;
    bed = bed.restart().await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(1, 1, 1)]));
}

#[tokio::test]
async fn sessions_have_numbers() {
    let bed = reading().await;
    let code = |error: ResponseError| Err(error.code());
    assert_eq!(bed.fetch("one", 1, &[]).await, code(ResponseError::ShareSessionNotFound));
    assert_eq!(bed.fetch("one", 0, &[(0, 0, ACCEPT)]).await, code(ResponseError::InvalidRequest));
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![]));
    assert_eq!(bed.fetch("one", 2, &[]).await, code(ResponseError::InvalidShareSessionEpoch));
    assert_eq!(bed.fetch("one", 1, &[]).await, Ok(vec![]));
    assert_eq!(bed.acknowledge("one", 0, &[]).await, ResponseError::InvalidShareSessionEpoch.code());
    assert_eq!(bed.acknowledge("two", 1, &[]).await, ResponseError::ShareSessionNotFound.code());
    bed.send(&["a", "b"]).await;
    assert_eq!(bed.fetch("one", 2, &[]).await, Ok(vec![(0, 1, 1)]));
    // Its end gives back what was not spoken of, as if it had not been given.
    assert_eq!(bed.acknowledge("one", -1, &[(0, 0, ACCEPT)]).await, OK);
    assert_eq!(bed.acknowledge("one", -1, &[]).await, ResponseError::ShareSessionNotFound.code());
    assert_eq!(bed.fetch("two", 0, &[]).await, Ok(vec![(1, 1, 1)]));
    // A partition that is forgotten is not read any more.
    bed.send(&["c"]).await;
    let mut request = bed.asking("two", 1, &[], &[]);
    request.topics.clear();
    request.forgotten_topics_data = vec![
        share_fetch_request::ForgottenTopic::default().with_topic_id(bed.topic_id()).with_partitions(vec![0]),
    ];
    assert_eq!(given(&bed.fetch_with(request, Newer::default()).await), Ok(vec![]));
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused() {
    let bed = reading().await;
    let nowhere = Err(ResponseError::GroupIdNotFound.code());
    let mut request = bed.asking("one", 0, &[0], &[]);
    request.group_id = Some(GroupId(text("others")));
    assert_eq!(given(&bed.fetch_with(request.clone(), Newer::default()).await), nowhere);
    request.group_id = None;
    let invalid = Err(ResponseError::InvalidRequest.code());
    assert_eq!(given(&bed.fetch_with(request, Newer::default()).await), invalid);
    assert_eq!(bed.fetch("", 0, &[]).await, invalid);
    let elsewhere = bed.fetch_with(bed.asking("one", 0, &[9], &[]), Newer::default()).await;
    assert_eq!(given(&elsewhere), Err(ResponseError::UnknownTopicOrPartition.code()));
    bed.send(&["a"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 0, 1)]));
    let mut epoch = 0;
    for said in [(0, 0, 9), (0, 0, -1), (0, 0, RENEW), (3, 2, ACCEPT), (-1, 0, ACCEPT), (0, i64::MAX, ACCEPT)]
    {
        epoch += 1;
        let refused = bed.acknowledge("one", epoch, &[said]).await;
        assert_eq!(refused, ResponseError::InvalidRequest.code(), "{said:?}");
    }
    let twice = [(0, 0, ACCEPT), (0, 0, ACCEPT)];
    assert_eq!(bed.acknowledge("one", epoch + 1, &twice).await, ResponseError::InvalidRequest.code());
    assert_eq!(bed.acknowledge("one", epoch + 2, &[(0, 0, ACCEPT)]).await, OK);
}

#[tokio::test]
async fn who_waits_is_woken_by_what_is_produced_and_by_what_is_released() {
    let bed = reading().await;
    let waiting = |epoch| {
        let mut request = bed.asking("one", epoch, &[0], &[]);
        request.max_wait_ms = 30_000;
        request
    };
    let began = std::time::Instant::now();
    let (response, ()) = tokio::join!(bed.fetch_with(waiting(0), Newer::default()), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bed.send(&["a"]).await;
    });
    assert_eq!(given(&response), Ok(vec![(0, 0, 1)]));
    assert_eq!(bed.acknowledge("one", 1, &[(0, 0, RELEASE)]).await, OK);
    assert_eq!(bed.fetch("two", 0, &[]).await, Ok(vec![(0, 0, 2)]));
    let (response, ()) = tokio::join!(bed.fetch_with(waiting(2), Newer::default()), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(bed.acknowledge("two", 1, &[(0, 0, RELEASE)]).await, OK);
    });
    assert_eq!(given(&response), Ok(vec![(0, 0, 3)]));
    assert!(began.elapsed() < Duration::from_secs(20), "it did not sit out its wait");
}

#[tokio::test]
async fn a_lock_that_ends_wakes_who_waits_and_a_renewed_one_does_not_end() {
    let bed = reading().await;
    bed.configure("share.record.lock.duration.ms", "1000").await;
    bed.send(&["a", "b"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 1, 1)]));
    let mut request = bed.asking("two", 0, &[0], &[]);
    request.max_wait_ms = 30_000;
    let (response, renewed) = tokio::join!(bed.fetch_with(request, Newer::default()), async {
        tokio::time::sleep(Duration::from_millis(400)).await;
        bed.acknowledge_with("one", 1, &[(1, 1, RENEW)], true).await
    });
    assert_eq!((given(&response), renewed), (Ok(vec![(0, 0, 2)]), OK));
    assert_eq!(response.acquisition_lock_timeout_ms, 1000);
    assert_eq!(bed.acknowledge("one", 2, &[(1, 1, ACCEPT)]).await, OK);
}

#[tokio::test]
async fn a_renewal_fetches_nothing() {
    let bed = reading().await;
    bed.send(&["a", "b"]).await;
    let mut request = bed.asking("one", 0, &[0], &[]);
    request.max_records = 1;
    let exactly = Newer { exactly: true, renews: false };
    assert_eq!(given(&bed.fetch_with(request, exactly).await), Ok(vec![(0, 0, 1)]));
    let renews = Newer { exactly: false, renews: true };
    let mut request = bed.asking("one", 1, &[0], &[(0, 0, RENEW)]);
    let invalid = Err(ResponseError::InvalidRequest.code());
    assert_eq!(given(&bed.fetch_with(request.clone(), renews).await), invalid);
    (request.max_bytes, request.max_records) = (0, 0);
    assert_eq!(given(&bed.fetch_with(request, renews).await), Ok(vec![]));
    assert_eq!(bed.fetch("one", 2, &[(0, 0, ACCEPT)]).await, Ok(vec![(1, 1, 1)]));
}

#[tokio::test]
async fn of_transactions_only_what_was_committed_is_given_where_that_is_set() {
    let bed = reading().await;
    bed.configure("share.isolation.level", "read_committed").await;
    let who = bed.base.init().await;
    bed.send(&["plain"]).await;
    assert_eq!(bed.base.add(who, &[0]).await, [OK]);
    assert_eq!(bed.base.send(who, 0, 0, "aborted", 9).await, OK);
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 0, 1)]));
    assert_eq!(bed.fetch("one", 1, &[(0, 0, ACCEPT)]).await, Ok(vec![]));
    assert_eq!(bed.base.end(who, false, 1).await.0, OK);
    assert_eq!(bed.fetch("one", 2, &[]).await, Ok(vec![]));
    assert_eq!(bed.base.add(who, &[0]).await, [OK]);
    assert_eq!(bed.base.send(who, 1, 0, "committed", 9).await, OK);
    let mut request = bed.asking("one", 3, &[0], &[]);
    request.max_wait_ms = 30_000;
    let (response, ended) = tokio::join!(bed.fetch_with(request, Newer::default()), async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        bed.base.end(who, true, 1).await.0
    });
    // 0 plain, 1 aborted, 2 its marker, 3 committed.
    assert_eq!((given(&response), ended), (Ok(vec![(3, 3, 1)]), OK));
}

#[tokio::test]
async fn a_deleted_topic_and_a_deleted_group_leave_nothing() {
    let bed = reading().await;
    let rows =
        async || bed.base.meta.database.query("SELECT part FROM stream_share", &[]).await.unwrap().len();
    bed.send(&["a"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 0, 1)]));
    assert_eq!(rows().await, 1);
    let project = bed.base.project;
    let request = bed.asking("one", 1, &[0], &[(0, 0, ACCEPT)]);
    bed.base.topics.delete(project, ORDERS).await.unwrap();
    let response = bed.fetch_with(request, Newer::default()).await;
    assert_eq!(given(&response), Err(ResponseError::UnknownTopicId.code()));
    assert_eq!(bed.beat(READERS, "one", 1).await.0, OK);
    assert_eq!(rows().await, 0);
    let delete = || DeleteGroupsRequest::default().with_groups_names(vec![GroupId(text(READERS))]);
    let deleted = bed.base.groups.delete_groups(&bed.base.caller(), delete(), 2).await;
    assert_eq!(deleted.results[0].error_code, ResponseError::NonEmptyGroup.code());
    for member in ["one", "two"] {
        assert_eq!(bed.beat(READERS, member, -1).await.0, OK);
    }
    let deleted = bed.base.groups.delete_groups(&bed.base.caller(), delete(), 2).await;
    assert_eq!(deleted.results[0].error_code, OK);
    assert_eq!(bed.beat(READERS, "one", 1).await.0, ResponseError::GroupIdNotFound.code());
}

#[tokio::test]
async fn other_kinds_of_groups_are_told_apart() {
    let bed = reading().await;
    let caller = bed.base.caller();
    let request = ListGroupsRequest::default().with_types_filter(vec![text("share")]);
    let listed = bed.base.groups.list_groups(&caller, request, 5).await;
    let listed: Vec<_> = listed.groups.iter().map(|group| (&**group.group_id, &*group.group_state)).collect();
    assert_eq!(listed, [(READERS, "Stable")]);
    let join = JoinGroupRequest::default()
        .with_group_id(GroupId(text(READERS)))
        .with_protocol_type(text("consumer"))
        .with_session_timeout_ms(10_000)
        .with_protocols(vec![
            join_group_request::JoinGroupRequestProtocol::default().with_name(text("range")),
        ]);
    let joined = bed.base.groups.join(&caller, join, 3).await;
    assert_eq!(joined.error_code, ResponseError::InconsistentGroupProtocol.code());
    let commit = OffsetCommitRequest::default()
        .with_group_id(GroupId(text(READERS)))
        .with_generation_id_or_member_epoch(-1)
        .with_topics(vec![
            offset_commit_request::OffsetCommitRequestTopic::default()
                .with_name(crate::txn::tests::bed::topic_name(ORDERS))
                .with_partitions(vec![Default::default()]),
        ]);
    let committed = bed.base.groups.offset_commit(&caller, commit, 9).await;
    assert_eq!(committed.topics[0].partitions[0].error_code, ResponseError::GroupIdNotFound.code());
    let describe =
        |name: &str| ShareGroupDescribeRequest::default().with_group_ids(vec![GroupId(text(name))]);
    let described = bed.shares.describe(&caller, describe(READERS)).await;
    assert_eq!((described.groups[0].error_code, described.groups[0].members.len()), (OK, 2));
    let described = bed.shares.describe(&caller, describe("none")).await;
    assert_eq!(described.groups[0].error_code, ResponseError::GroupIdNotFound.code());
}
