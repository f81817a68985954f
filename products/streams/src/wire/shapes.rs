//! What each request looks like: see [`super::shape`] for how to read a line.
//!
//! From the message definitions of Apache Kafka 4.2, in the order of the API keys.

use std::sync::LazyLock;

use kafka_protocol::messages::ApiKey;

use super::shape::Shape;

/// An API, the version from which on it is flexible, its request.
type Line = (ApiKey, Option<i16>, &'static str);

static SHAPES: LazyLock<Vec<(ApiKey, Shape)>> =
    LazyLock::new(|| LINES.iter().map(|(key, flexible, line)| (*key, Shape::new(*flexible, line))).collect());

/// The shape of an API's requests; none for those that are not served.
pub(super) fn of(key: ApiKey) -> Option<&'static Shape> {
    SHAPES.iter().find(|(of, _)| *of == key).map(|(_, shape)| shape)
}

#[rustfmt::skip]
const LINES: &[Line] = &[
    (ApiKey::Produce, Some(9), "s i2 i4 [0-12:s 13+:id [i4 b]]"),
    (ApiKey::Fetch, Some(12), "0-14:i4 i4 i4 i4 i1 7+:i4 7+:i4 [0-12:s 13+:id [i4 9+:i4 i8 12+:i4 5+:i8 i4]] 7+:[7-12:s 13+:id 7+:i4*] 11+:s"),
    (ApiKey::ListOffsets, Some(6), "i4 2+:i1 [s [i4 4+:i4 i8]] 10+:i4"),
    (ApiKey::Metadata, Some(9), "[10+:id s] 4+:i1 8-10:i1 8+:i1"),
    (ApiKey::OffsetCommit, Some(8), "s i4 s 7+:s 0-4:i8 [0-9:s 10+:id [i4 i8 6+:i4 s]]"),
    (ApiKey::OffsetFetch, Some(6), "0-7:s 0-7:[0-7:s 0-7:i4*] 8+:[8+:s 9+:s 9+:i4 8+:[8-9:s 10+:id 8+:i4*]] 7+:i1"),
    (ApiKey::FindCoordinator, Some(3), "0-3:s 1+:i1 4+:s*"),
    (ApiKey::JoinGroup, Some(6), "s i4 1+:i4 s 5+:s s [s b] 8+:s"),
    (ApiKey::Heartbeat, Some(4), "s i4 s 3+:s"),
    (ApiKey::LeaveGroup, Some(4), "s 0-2:s 3+:[3+:s 3+:s 5+:s]"),
    (ApiKey::SyncGroup, Some(4), "s i4 s 3+:s 5+:s 5+:s [s b]"),
    (ApiKey::DescribeGroups, Some(5), "s* 3+:i1"),
    (ApiKey::ListGroups, Some(3), "4+:s* 5+:s*"),
    (ApiKey::SaslHandshake, None, "s"),
    (ApiKey::ApiVersions, Some(3), "3+:s 3+:s"),
    (ApiKey::CreateTopics, Some(5), "[s i4 i2 [i4 i4*] [s s]] i4 i1"),
    (ApiKey::DeleteTopics, Some(4), "6+:[6+:s 6+:id] 0-5:s* i4"),
    (ApiKey::DeleteRecords, Some(2), "[s [i4 i8]] i4"),
    (ApiKey::InitProducerId, Some(2), "s i4 3+:i8 3+:i2"),
    (ApiKey::OffsetForLeaderEpoch, Some(4), "3+:i4 [s [i4 i4 i4]]"),
    (ApiKey::AddPartitionsToTxn, Some(3), "4+:[4+:s 4+:i8 4+:i2 4+:i1 4+:[s i4*]] 0-3:s 0-3:i8 0-3:i2 0-3:[s i4*]"),
    (ApiKey::AddOffsetsToTxn, Some(3), "s i8 i2 s"),
    (ApiKey::EndTxn, Some(3), "s i8 i2 i1"),
    (ApiKey::WriteTxnMarkers, Some(0), "[i8 i2 i1 [s i4*] i4]"),
    (ApiKey::TxnOffsetCommit, Some(3), "s s i8 i2 3+:i4 3+:s 3+:s [s [i4 i8 2+:i4 s]]"),
    (ApiKey::DescribeAcls, Some(2), "i1 s i1 s s i1 i1"),
    (ApiKey::CreateAcls, Some(2), "[i1 s i1 s s i1 i1]"),
    (ApiKey::DeleteAcls, Some(2), "[i1 s i1 s s i1 i1]"),
    (ApiKey::DescribeConfigs, Some(4), "[i1 s s*] i1 3+:i1"),
    (ApiKey::AlterConfigs, Some(2), "[i1 s [s s]] i1"),
    (ApiKey::AlterReplicaLogDirs, Some(2), "[s [s i4*]]"),
    (ApiKey::DescribeLogDirs, Some(2), "[s i4*]"),
    (ApiKey::SaslAuthenticate, Some(2), "b"),
    (ApiKey::CreatePartitions, Some(2), "[s i4 [i4*]] i4 i1"),
    (ApiKey::CreateDelegationToken, Some(2), "3+:s 3+:s [s s] i8"),
    (ApiKey::RenewDelegationToken, Some(2), "b i8"),
    (ApiKey::ExpireDelegationToken, Some(2), "b i8"),
    (ApiKey::DescribeDelegationToken, Some(2), "[s s]"),
    (ApiKey::DeleteGroups, Some(2), "s*"),
    (ApiKey::ElectLeaders, Some(2), "1+:i1 [s i4*] i4"),
    (ApiKey::IncrementalAlterConfigs, Some(1), "[i1 s [s i1 s]] i1"),
    (ApiKey::AlterPartitionReassignments, Some(0), "i4 1+:i1 [s [i4 i4*]]"),
    (ApiKey::ListPartitionReassignments, Some(0), "i4 [s i4*]"),
    (ApiKey::OffsetDelete, None, "s [s [i4]]"),
    (ApiKey::DescribeClientQuotas, Some(1), "[s i1 s] i1"),
    (ApiKey::AlterClientQuotas, Some(1), "[[s s] [s i8 i1]] i1"),
    (ApiKey::DescribeUserScramCredentials, Some(0), "[s]"),
    (ApiKey::AlterUserScramCredentials, Some(0), "[s i1] [s i1 i4 b b]"),
    (ApiKey::DescribeQuorum, Some(0), "[s [i4]]"),
    (ApiKey::UpdateFeatures, Some(0), "i4 [s i2 0-0:i1 1+:i1] 1+:i1"),
    (ApiKey::DescribeCluster, Some(0), "i1 1+:i1 2+:i1"),
    (ApiKey::DescribeProducers, Some(0), "[s i4*]"),
    (ApiKey::UnregisterBroker, Some(0), "i4"),
    (ApiKey::DescribeTransactions, Some(0), "s*"),
    (ApiKey::ListTransactions, Some(0), "s* i8* 1+:i8 2+:s"),
    (ApiKey::ConsumerGroupHeartbeat, Some(0), "s s i4 s s i4 s* 1+:s s [id i4*]"),
    (ApiKey::ConsumerGroupDescribe, Some(0), "s* i1"),
    (ApiKey::GetTelemetrySubscriptions, Some(0), "id"),
    (ApiKey::PushTelemetry, Some(0), "id i4 i1 i1 b"),
    (ApiKey::ListConfigResources, Some(0), "1+:i1*"),
    (ApiKey::DescribeTopicPartitions, Some(0), "[s] i4 {s i4}"),
    (ApiKey::ShareGroupHeartbeat, Some(0), "s s i4 s s*"),
    (ApiKey::ShareGroupDescribe, Some(0), "s* i1"),
    (ApiKey::ShareFetch, Some(0), "s s i4 i4 i4 i4 i4 i4 2+:i1 2+:i1 [id [i4 [i8 i8 i1*]]] [id i4*]"),
    (ApiKey::ShareAcknowledge, Some(0), "s s i4 2+:i1 [id [i4 [i8 i8 i1*]]]"),
    (ApiKey::DescribeShareGroupOffsets, Some(0), "[s [s i4*]]"),
    (ApiKey::AlterShareGroupOffsets, Some(0), "s [s [i4 i8]]"),
    (ApiKey::DeleteShareGroupOffsets, Some(0), "s [s]"),
];
