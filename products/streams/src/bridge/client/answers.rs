//! The shapes of answers, so that a broker that lies about lengths cannot make us ask for gigabytes, and the newest
//! versions that are asked for.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use kafka_protocol::messages::ApiKey;

use crate::wire::Shape;

/// An API, the oldest and the newest version that is asked, the first flexible one, and the answer's shape. Newer
/// versions of Produce and of what ends transactions leave the second to the broker (KIP-890), which older ones cannot.
const ANSWERS: &[(ApiKey, i16, i16, i16, &str)] = &[
    (ApiKey::ApiVersions, 0, 0, 3, "i2 [i2 i2 i2]"),
    (ApiKey::SaslHandshake, 1, 1, 99, "i2 s*"),
    (ApiKey::SaslAuthenticate, 0, 2, 2, "i2 s b 1+:i8"),
    (
        ApiKey::Metadata,
        5,
        12,
        9,
        "i4 [i4 s i4 s] s i4 [i2 s 10+:id i1 [i2 i4 i4 7+:i4 i4* i4* i4*] 8+:i4] 8-10:i4",
    ),
    (ApiKey::Fetch, 5, 12, 12, "i4 7+:i2 7+:i4 [s [i4 i2 i8 i8 i8 [i8 i8] 11+:i4 b]]"),
    (ApiKey::ListOffsets, 2, 6, 6, "i4 [s [i4 i2 i8 i8 4+:i4]]"),
    (ApiKey::Produce, 3, 9, 9, "[s [i4 i2 i8 i8 5+:i8 8+:[i4 s] 8+:s]] i4"),
    (ApiKey::CreateTopics, 4, 6, 5, "i4 [s i2 s 5+:i4 5+:i2 5+:[s s i1 i1 i1]]"),
    (ApiKey::CreatePartitions, 0, 3, 2, "i4 [s i2 s]"),
    (ApiKey::DescribeConfigs, 1, 4, 4, "i4 [i2 s i1 s [s s i1 i1 i1 [s s i1] 3+:i1 3+:s]]"),
    (ApiKey::IncrementalAlterConfigs, 0, 1, 1, "i4 [i2 s i1 s]"),
    (ApiKey::FindCoordinator, 1, 3, 3, "i4 i2 s i4 s i4"),
    (ApiKey::InitProducerId, 0, 4, 2, "i4 i2 i8 i2"),
    (ApiKey::AddPartitionsToTxn, 0, 3, 3, "i4 [s [i4 i2]]"),
    (ApiKey::AddOffsetsToTxn, 0, 3, 3, "i4 i2"),
    (ApiKey::TxnOffsetCommit, 0, 3, 3, "i4 [s [i4 i2]]"),
    (ApiKey::EndTxn, 0, 3, 3, "i4 i2"),
    (ApiKey::OffsetFetch, 3, 7, 6, "i4 [s [i4 i8 5+:i4 s i2]] i2"),
    (ApiKey::OffsetCommit, 3, 8, 8, "i4 [s [i4 i2]]"),
    (ApiKey::ListGroups, 0, 5, 3, "1+:i4 i2 [s s 4+:s 5+:s]"),
    (ApiKey::DeleteGroups, 0, 2, 2, "i4 [s i2]"),
];

/// What is known of an API's answers.
pub(super) struct Answers {
    /// The versions that are asked.
    pub versions: (i16, i16),
    /// What its answers are like.
    pub shape: Shape,
}

/// What is known of an API's answers; none for one that is not asked.
pub(super) fn of(api: ApiKey) -> Option<&'static Answers> {
    static ALL: OnceLock<HashMap<i16, Answers>> = OnceLock::new();
    let all = ALL.get_or_init(|| {
        let made = ANSWERS.iter().map(|&(api, oldest, newest, flexible, line)| {
            let shape = Shape::new(Some(flexible), line);
            (api as i16, Answers { versions: (oldest, newest), shape })
        });
        made.collect()
    });
    all.get(&(api as i16))
}

/// Longest time that a broker is believed to be silent for.
const MUTE_MAX: Duration = Duration::from_secs(120);

/// How long the broker does not read from the connection after this answer, by its own word (KIP-219): it stands at the
/// front, but for Produce, where only tagged fields follow it.
pub(super) fn mute(api: ApiKey, version: i16, answer: &[u8]) -> Duration {
    let at = match api {
        ApiKey::ApiVersions | ApiKey::SaslHandshake | ApiKey::SaslAuthenticate => None,
        ApiKey::ListGroups if version < 1 => None,
        ApiKey::Produce if version < 9 => answer.len().checked_sub(4),
        ApiKey::Produce if answer.last() == Some(&0) => answer.len().checked_sub(5),
        ApiKey::Produce => None,
        _ => Some(0),
    };
    let bytes = at.and_then(|at| answer.get(at..)).and_then(|rest| rest.first_chunk::<4>());
    let told = bytes.and_then(|bytes| u64::try_from(i32::from_be_bytes(*bytes)).ok());
    Duration::from_millis(told.unwrap_or(0)).min(MUTE_MAX)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use kafka_protocol::messages::fetch_response::{
        AbortedTransaction, FetchResponse, FetchableTopicResponse, PartitionData,
    };
    use kafka_protocol::messages::metadata_response::{
        MetadataResponse, MetadataResponseBroker, MetadataResponsePartition, MetadataResponseTopic,
    };
    use kafka_protocol::messages::{ListGroupsResponse, OffsetFetchResponse, ProduceResponse};
    use kafka_protocol::messages::{
        list_groups_response::ListedGroup,
        offset_fetch_response::{OffsetFetchResponsePartition, OffsetFetchResponseTopic},
        produce_response::{PartitionProduceResponse, TopicProduceResponse},
    };
    use kafka_protocol::protocol::{Encodable, StrBytes};

    use super::*;

    /// An answer passes in each version that is asked, and no part of it does.
    fn passes<M: Encodable>(api: ApiKey, message: M) {
        let known = of(api).unwrap();
        for version in known.versions.0..=known.versions.1 {
            let mut bytes = BytesMut::new();
            message.encode(&mut bytes, version).unwrap();
            known.shape.walk(&bytes, version).unwrap_or_else(|why| panic!("{api:?} {version}: {why}"));
            assert!(known.shape.walk(&bytes[..bytes.len() - 1], version).is_err(), "{api:?} {version}");
        }
    }

    #[test]
    fn a_broker_says_how_long_it_is_silent() {
        let said = |api, version, message: &dyn Fn(&mut BytesMut)| {
            let mut bytes = BytesMut::new();
            message(&mut bytes);
            mute(api, version, &bytes).as_millis()
        };
        for version in 3..=9 {
            let told = ProduceResponse::default().with_throttle_time_ms(1234);
            assert_eq!(said(ApiKey::Produce, version, &|to| told.encode(to, version).unwrap()), 1234);
        }
        for version in [5, 12] {
            let told = FetchResponse::default().with_throttle_time_ms(567);
            assert_eq!(said(ApiKey::Fetch, version, &|to| told.encode(to, version).unwrap()), 567);
        }
        let none = ListGroupsResponse::default().with_error_code(9);
        assert_eq!(said(ApiKey::ListGroups, 0, &|to| none.encode(to, 0).unwrap()), 0);
        assert_eq!(said(ApiKey::Fetch, 12, &|to| to.extend_from_slice(&i32::MAX.to_be_bytes())), 120_000);
        assert_eq!(said(ApiKey::Fetch, 12, &|to| to.extend_from_slice(&[1])), 0);
    }

    #[test]
    fn answers_have_the_shapes_that_are_looked_for() {
        let text = StrBytes::from_static_str;
        let partition = MetadataResponsePartition::default().with_replica_nodes(vec![1.into(), 2.into()]);
        let topic = MetadataResponseTopic::default()
            .with_name(Some(text("t").into()))
            .with_partitions(vec![partition; 2]);
        passes(
            ApiKey::Metadata,
            MetadataResponse::default()
                .with_brokers(vec![MetadataResponseBroker::default().with_host(text("h"))])
                .with_topics(vec![topic]),
        );
        let partition = PartitionData::default()
            .with_aborted_transactions(Some(vec![AbortedTransaction::default()]))
            .with_records(Some(bytes::Bytes::from_static(b"abc")));
        let topic =
            FetchableTopicResponse::default().with_topic(text("t").into()).with_partitions(vec![partition]);
        passes(ApiKey::Fetch, FetchResponse::default().with_responses(vec![topic]));
        let topic = TopicProduceResponse::default()
            .with_name(text("t").into())
            .with_partition_responses(vec![PartitionProduceResponse::default()]);
        passes(ApiKey::Produce, ProduceResponse::default().with_responses(vec![topic]));
        let partition = OffsetFetchResponsePartition::default().with_metadata(Some(text("m")));
        let topic =
            OffsetFetchResponseTopic::default().with_name(text("t").into()).with_partitions(vec![partition]);
        passes(ApiKey::OffsetFetch, OffsetFetchResponse::default().with_topics(vec![topic]));
        let group = ListedGroup::default().with_group_id(text("g").into());
        passes(ApiKey::ListGroups, ListGroupsResponse::default().with_groups(vec![group]));
    }
}
