//! Where share groups stand, for administrators.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::*;

use super::bed::{Bed, OK, READERS};
use crate::txn::tests::bed::{ORDERS, text, topic_name};

impl Bed {
    /// Start offsets by partition, of all partitions or of those.
    async fn starts(&self, partitions: Option<&[i32]>) -> Result<Vec<(i32, i64, i16)>, i16> {
        use describe_share_group_offsets_request as asked;
        let topics = partitions.map(|partitions| {
            let topic = asked::DescribeShareGroupOffsetsRequestTopic::default();
            vec![topic.with_topic_name(topic_name(ORDERS)).with_partitions(partitions.to_vec())]
        });
        let group = asked::DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text(READERS)))
            .with_topics(topics);
        let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![group]);
        let response = self.shares.describe_offsets(&self.base.caller(), request).await.0;
        crate::txn::tests::bed::fits(&response, 0..=0);
        let group = &response.groups[0];
        if group.error_code != OK {
            return Err(group.error_code);
        }
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        Ok(partitions.map(|one| (one.partition_index, one.start_offset, one.error_code)).collect())
    }

    /// How far the group is behind, by partition.
    async fn lags(&self) -> Vec<(i32, i64)> {
        use describe_share_group_offsets_request as asked;
        let group = asked::DescribeShareGroupOffsetsRequestGroup::default()
            .with_group_id(GroupId(text(READERS)))
            .with_topics(None);
        let request = DescribeShareGroupOffsetsRequest::default().with_groups(vec![group]);
        let (_, lags) = self.shares.describe_offsets(&self.base.caller(), request).await;
        lags.into_iter().map(|((_, (_, index)), lag)| (index, lag)).collect()
    }

    /// Gives the group's error, or the partition's.
    async fn alter(&self, partition: i32, start: i64) -> i16 {
        use alter_share_group_offsets_request as asked;
        let partition = asked::AlterShareGroupOffsetsRequestPartition::default()
            .with_partition_index(partition)
            .with_start_offset(start);
        let topic = asked::AlterShareGroupOffsetsRequestTopic::default()
            .with_topic_name(topic_name(ORDERS))
            .with_partitions(vec![partition]);
        let request = AlterShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(READERS)))
            .with_topics(vec![topic]);
        let response = self.shares.alter_offsets(&self.base.caller(), request).await;
        crate::txn::tests::bed::fits(&response, 0..=0);
        match response.error_code {
            OK => response.responses[0].partitions[0].error_code,
            error => error,
        }
    }

    async fn forget(&self, topic: &str) -> i16 {
        use delete_share_group_offsets_request as asked;
        let topic = asked::DeleteShareGroupOffsetsRequestTopic::default().with_topic_name(topic_name(topic));
        let request = DeleteShareGroupOffsetsRequest::default()
            .with_group_id(GroupId(text(READERS)))
            .with_topics(vec![topic]);
        let response = self.shares.delete_offsets(&self.base.caller(), request).await;
        crate::txn::tests::bed::fits(&response, 0..=0);
        match response.error_code {
            OK => response.responses[0].error_code,
            error => error,
        }
    }
}

#[tokio::test]
async fn a_lag_counts_what_is_not_done_with() {
    let bed = Bed::new().await;
    bed.configure("share.auto.offset.reset", "earliest").await;
    bed.join("one").await;
    bed.send(&["a", "b", "c", "d"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 3, 1)]));
    assert_eq!(bed.lags().await, [(0, 4)]);
    assert_eq!(bed.acknowledge("one", 1, &[(1, 1, 1)]).await, OK);
    assert_eq!(bed.starts(None).await, Ok(vec![(0, 0, OK)]));
    assert_eq!(bed.lags().await, [(0, 3)], "one in the midst is done with");
    assert_eq!(bed.acknowledge("one", 2, &[(0, 0, 1)]).await, OK);
    assert_eq!(bed.starts(None).await, Ok(vec![(0, 2, OK)]));
    assert_eq!(bed.lags().await, [(0, 2)]);
}

#[tokio::test]
async fn a_group_without_members_is_moved() {
    let mut bed = Bed::new().await;
    let unknown = ResponseError::GroupIdNotFound.code();
    assert_eq!((bed.starts(None).await, bed.alter(0, 0).await), (Err(unknown), unknown));
    bed.configure("share.auto.offset.reset", "earliest").await;
    bed.join("one").await;
    bed.send(&["a", "b", "c"]).await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(0, 2, 1)]));
    assert_eq!(bed.acknowledge("one", 1, &[(0, 1, 1)]).await, OK);
    assert_eq!(bed.starts(None).await, Ok(vec![(0, 2, OK)]));
    let nowhere = ResponseError::UnknownTopicOrPartition.code();
    assert_eq!(bed.starts(Some(&[1, 0, 7])).await, Ok(vec![(1, -1, OK), (0, 2, OK), (7, -1, nowhere)]));
    let busy = ResponseError::NonEmptyGroup.code();
    assert_eq!((bed.alter(0, 1).await, bed.forget(ORDERS).await), (busy, busy));
    assert_eq!(bed.beat(READERS, "one", -1).await.0, OK);
    assert_eq!(bed.alter(7, 0).await, nowhere);
    assert_eq!(bed.alter(0, 4).await, ResponseError::OffsetOutOfRange.code());
    assert_eq!(bed.alter(0, 1).await, OK);
    bed = bed.restart().await;
    assert_eq!(bed.starts(None).await, Ok(vec![(0, 1, OK)]));
    bed.join("one").await;
    assert_eq!(bed.fetch("one", 0, &[]).await, Ok(vec![(1, 2, 1)]));
    assert_eq!(bed.beat(READERS, "one", -1).await.0, OK);
    assert_eq!((bed.forget("none").await, bed.forget(ORDERS).await), (nowhere, OK));
    bed = bed.restart().await;
    assert_eq!(bed.starts(None).await, Ok(vec![]));
}
