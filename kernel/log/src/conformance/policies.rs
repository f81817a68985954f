//! What was cleared under a policy that holds no more is not stored.

use candor_model::{Offset, PolicyEpoch, ProjectId};

use super::{Bed, P};
use crate::batch::Batch;
use crate::testing::{Kafka, batch, request, stream, topic};
use crate::{AppendError, Appended, Log, Rejected};

on_every_log!(what_is_below_the_floor_of_policies_is_refused, a_floor_holds_back_no_retry_of_another_project);

fn under(epoch: u32, project: i64) -> Batch {
    Batch { epoch: PolicyEpoch(epoch), ..batch(project, &epoch.to_le_bytes(), 1) }
}

async fn bases(log: &Log, batches: Vec<Batch>) -> Result<Vec<u64>, Rejected> {
    match log.append_batches(batches).await {
        Ok(appended) => Ok(appended.iter().map(|appended| appended.base.0).collect()),
        Err(AppendError::Rejected(rejected)) => Err(rejected),
        Err(error) => panic!("{error}"),
    }
}

const OUTDATED: Result<Vec<u64>, Rejected> = Err(Rejected::Outdated);

async fn what_is_below_the_floor_of_policies_is_refused(bed: Bed) {
    let log = bed.open().await;
    assert_eq!(bases(&log, vec![under(1, 1)]).await, Ok(vec![0]));
    log.set_policy_floor(None, PolicyEpoch(2)).await.expect("rises");
    assert_eq!(bases(&log, vec![under(1, 1)]).await, OUTDATED);
    assert_eq!(bases(&log, vec![under(2, 1), under(2, 2)]).await, Ok(vec![1, 0]));

    log.set_policy_floor(Some(ProjectId(1)), PolicyEpoch(3)).await.expect("rises");
    assert_eq!(bases(&log, vec![under(2, 1)]).await, OUTDATED);
    assert_eq!(bases(&log, vec![under(2, 2)]).await, Ok(vec![1]), "of another project");
    assert_eq!(bases(&log, vec![under(3, 1), under(2, 1), under(3, 1)]).await, OUTDATED, "all or none");
    assert_eq!(log.high_watermark(&topic(1), P), Offset(2), "nothing of what was refused is there");

    // Neither floor falls.
    log.set_policy_floor(Some(ProjectId(1)), PolicyEpoch(1)).await.expect("is taken");
    assert_eq!(bases(&log, vec![under(2, 1)]).await, OUTDATED);
    assert_eq!(bases(&log, vec![under(3, 1)]).await, Ok(vec![2]));

    // Of batches that stand by themselves each is looked at by itself.
    let of = |epoch| Batch { epoch: PolicyEpoch(epoch), ..Kafka::default().batch(&stream(1)) };
    let answers = log.append_each_batch(vec![of(2), of(3)]).await;
    assert!(matches!(answers[0], Err(AppendError::Rejected(Rejected::Outdated))), "{answers:?}");
    assert!(matches!(answers[1], Ok(Appended { base: Offset(0), .. })), "{answers:?}");
    log.close().await;

    let log = bed.open().await;
    if bed.is_local() {
        log.set_policy_floor(Some(ProjectId(1)), PolicyEpoch(3)).await.expect("rises");
    }
    assert_eq!(bases(&log, vec![under(2, 1)]).await, OUTDATED, "after a restart");
    log.close().await;
}

async fn a_floor_holds_back_no_retry_of_another_project(bed: Bed) {
    let log = bed.open().await;
    let with_id = |project| Batch { request: Some(request(1)), ..under(1, project) };
    assert_eq!(bases(&log, vec![with_id(1)]).await, Ok(vec![0]));
    log.set_policy_floor(Some(ProjectId(2)), PolicyEpoch(2)).await.expect("rises");
    assert_eq!(bases(&log, vec![with_id(1)]).await, Ok(vec![0]), "the retry");
    assert_eq!(bases(&log, vec![with_id(2)]).await, OUTDATED);
    let cleared_again = Batch { epoch: PolicyEpoch(2), ..with_id(2) };
    assert_eq!(bases(&log, vec![cleared_again]).await, Ok(vec![0]), "what was refused has left no id");
    log.close().await;
}
