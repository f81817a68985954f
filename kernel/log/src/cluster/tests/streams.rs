//! What upkeep and deletion do with topics of streams in a cluster.

use std::time::Duration;

use candor_meta::params;
use candor_model::{Partition, Timestamp, TopicName};

use super::{P, World, append};
use crate::cluster::sequencer::Sequencer;
use crate::testing::{Kafka, numbered, stream};
use crate::{AppendError, Consumer, Rejected, Retention};

const HOUR: i64 = 3600 * Timestamp::SECOND;

#[tokio::test]
async fn what_was_consumed_of_a_stream_goes_although_what_follows_was_not() {
    fn every(_: &TopicName) -> bool {
        true
    }
    let world = World::new(21).await;
    let member = world.member().await;
    for _ in 0..10 {
        append(&member, vec![Kafka::default().batch(&stream(1))]).await.expect("appends");
    }
    let upkeep = world.upkeep(&member, vec![Consumer { name: "test", topics: every }]);
    let (key, topic) = {
        let mut state = member.node.shared.state.write();
        state.retention.insert(stream(1), Retention { ms: Some(60_000), bytes: None });
        (state.intern(&stream(1), P), stream(1))
    };
    let start = async || {
        let all = member.sequencer.bounds(None).await.expect("asks");
        all.iter().find(|bounds| bounds.topic == topic).expect("the topic").start
    };
    world.clock.advance(HOUR);
    upkeep.run().await.expect("keeps");
    assert_eq!(start().await, 0, "nobody has consumed anything yet");
    for consumed in [4, 10] {
        member.node.shared.state.write().get_mut(key).expect("held").consumed = vec![("test", consumed)];
        upkeep.run().await.expect("keeps");
        assert_eq!(start().await, consumed);
    }
}

#[tokio::test]
async fn no_node_takes_anything_for_a_deleted_topic_and_its_rows_go() {
    let world = World::new(22).await;
    let (one, other) = (world.member().await, world.member().await);
    append(&one, vec![numbered(1, 0, 0, 1)]).await.expect("appends");
    append(&other, vec![numbered(1, 0, 1, 1)]).await.expect("appends");
    one.sequencer.delete_topic(&stream(1)).await.expect("deletes");
    let refused = |answer| matches!(answer, Err(AppendError::Rejected(Rejected::Deleted)));
    let elsewhere = || crate::batch::Batch { partition: Partition(7), ..numbered(1, 0, 0, 1) };
    let rows = async || {
        let sql = "SELECT COUNT(*) FROM log_partition WHERE topic = ?";
        let rows = world.database.query(sql, params![stream(1).name.0.as_str()]).await.expect("asks");
        let runs = world.database.query("SELECT COUNT(*) FROM log_run", &[]).await.expect("asks");
        (rows[0].int(0).expect("a number"), runs[0].int(0).expect("a number"))
    };
    for member in [&one, &other] {
        assert!(refused(append(member, vec![numbered(1, 0, 2, 1)]).await));
        assert!(refused(append(member, vec![elsewhere()]).await), "a partition that there was none of");
    }
    assert_eq!(rows().await, (2, 0));
    let upkeep = world.upkeep(&one, Vec::new());
    upkeep.run().await.expect("keeps");
    assert_eq!(rows().await, (2, 0), "a commit may still be under way");
    world.clock.advance(2 * HOUR);
    upkeep.run().await.expect("keeps");
    assert_eq!(rows().await, (0, 0));
    // Who knows the partition from before makes no row of it.
    assert!(refused(append(&other, vec![numbered(1, 0, 2, 1)]).await));
    assert_eq!(rows().await, (0, 0));
    tokio::time::timeout(Duration::from_secs(9), other.node.poll()).await.expect("in time").expect("asks");
}
