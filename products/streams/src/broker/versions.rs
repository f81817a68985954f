//! What is served, in which versions.
//!
//! Ranges are Kafka's where all of it is served. Produce says 0 though batches before format 2 are refused: a client
//! that sees a greater least version sends uncompressed (KAFKA-18659); JoinGroup says 0 for clients that ask for it
//! (KAFKA-19444). InitProducerId ends at 5: version 6 is unstable in Kafka 4.2, whose brokers do not tell of it.

use kafka_protocol::ResponseError;
use kafka_protocol::messages::api_versions_response::{
    ApiVersion, ApiVersionsResponse, FinalizedFeatureKey, SupportedFeatureKey,
};
use kafka_protocol::messages::{ApiKey, ApiVersionsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::wire::{Answer, Request};

/// From this version on a client names its software.
const NAMES_FROM: i16 = 3;

/// From this version on features are told (KIP-584).
const FEATURES_FROM: i16 = 3;

/// From this version on a feature's least level may be told to be 0; clients before take that for a fault
/// (KAFKA-17011).
const LEVEL_ZERO_FROM: i16 = 4;

/// Features and their levels: transactions of version 2 (KIP-890), groups of the consumer protocol (KIP-848), share
/// groups (KIP-932). Whether a client uses one goes by this.
const FEATURES: &[(&str, i16)] = &[("transaction.version", 2), ("group.version", 1), ("share.version", 1)];

/// An API and its versions.
pub(super) type Served = (ApiKey, i16, i16);

#[rustfmt::skip]
pub(super) const SERVED: &[Served] = &[
    (ApiKey::Produce, 0, 13),
    (ApiKey::Fetch, 4, 18),
    (ApiKey::ListOffsets, 1, 11),
    (ApiKey::Metadata, 0, 13),
    (ApiKey::OffsetCommit, 2, 10),
    (ApiKey::OffsetFetch, 1, 10),
    (ApiKey::FindCoordinator, 0, 6),
    (ApiKey::JoinGroup, 0, 9),
    (ApiKey::Heartbeat, 0, 4),
    (ApiKey::LeaveGroup, 0, 5),
    (ApiKey::SyncGroup, 0, 5),
    (ApiKey::DescribeGroups, 0, 6),
    (ApiKey::ListGroups, 0, 5),
    (ApiKey::SaslHandshake, 0, 1),
    (ApiKey::ApiVersions, 0, 4),
    (ApiKey::CreateTopics, 2, 7),
    (ApiKey::DeleteTopics, 1, 6),
    (ApiKey::DeleteRecords, 0, 2),
    (ApiKey::InitProducerId, 0, 5),
    (ApiKey::OffsetForLeaderEpoch, 2, 4),
    (ApiKey::AddPartitionsToTxn, 0, 5),
    (ApiKey::AddOffsetsToTxn, 0, 4),
    (ApiKey::EndTxn, 0, 5),
    (ApiKey::WriteTxnMarkers, 1, 1),
    (ApiKey::TxnOffsetCommit, 0, 5),
    (ApiKey::DescribeAcls, 1, 3),
    (ApiKey::CreateAcls, 1, 3),
    (ApiKey::DeleteAcls, 1, 3),
    (ApiKey::DescribeConfigs, 1, 4),
    (ApiKey::AlterConfigs, 0, 2),
    (ApiKey::DescribeLogDirs, 1, 4),
    (ApiKey::SaslAuthenticate, 0, 2),
    (ApiKey::CreatePartitions, 0, 3),
    (ApiKey::DeleteGroups, 0, 2),
    (ApiKey::ElectLeaders, 0, 2),
    (ApiKey::IncrementalAlterConfigs, 0, 1),
    (ApiKey::AlterPartitionReassignments, 0, 1),
    (ApiKey::ListPartitionReassignments, 0, 0),
    (ApiKey::OffsetDelete, 0, 0),
    (ApiKey::DescribeClientQuotas, 0, 1),
    (ApiKey::AlterClientQuotas, 0, 1),
    (ApiKey::DescribeUserScramCredentials, 0, 0),
    (ApiKey::AlterUserScramCredentials, 0, 0),
    (ApiKey::DescribeCluster, 0, 2),
    (ApiKey::DescribeProducers, 0, 0),
    (ApiKey::DescribeTransactions, 0, 0),
    (ApiKey::ListTransactions, 0, 2),
    (ApiKey::ConsumerGroupHeartbeat, 0, 1),
    (ApiKey::ConsumerGroupDescribe, 0, 1),
    (ApiKey::GetTelemetrySubscriptions, 0, 0),
    (ApiKey::PushTelemetry, 0, 0),
    (ApiKey::ListConfigResources, 0, 1),
    (ApiKey::DescribeTopicPartitions, 0, 0),
    (ApiKey::ShareGroupHeartbeat, 1, 1),
    (ApiKey::ShareGroupDescribe, 1, 1),
    (ApiKey::ShareFetch, 1, 2),
    (ApiKey::ShareAcknowledge, 1, 2),
    (ApiKey::DescribeShareGroupOffsets, 0, 1),
    (ApiKey::AlterShareGroupOffsets, 0, 0),
    (ApiKey::DeleteShareGroupOffsets, 0, 0),
];

/// True where a version of an API is served.
pub(super) fn is_served(key: ApiKey, version: i16) -> bool {
    SERVED.iter().any(|(served, from, to)| *served == key && (*from..=*to).contains(&version))
}

/// The answer to ApiVersions. A version that is not served is answered as version 0, with what is (KIP-511).
pub(super) fn answer(request: &Request) -> Answer {
    let keys = SERVED.iter().map(|(key, from, to)| {
        ApiVersion::default().with_api_key(*key as i16).with_min_version(*from).with_max_version(*to)
    });
    let mut message = ApiVersionsResponse::default().with_api_keys(keys.collect());
    if !is_served(ApiKey::ApiVersions, request.version) {
        let unsupported = ResponseError::UnsupportedVersion.code();
        return request.of_version(0).answer(&message.with_error_code(unsupported));
    }
    let asked: ApiVersionsRequest = match request.decode() {
        Ok(asked) => asked,
        Err(why) => return Answer::Close(why),
    };
    let names = [&asked.client_software_name, &asked.client_software_version];
    if request.version >= NAMES_FROM && !names.into_iter().all(|name| is_software(name)) {
        return request
            .answer(&ApiVersionsResponse::default().with_error_code(ResponseError::InvalidRequest.code()));
    }
    if request.version >= FEATURES_FROM {
        let least = i16::from(request.version < LEVEL_ZERO_FROM);
        let supported = FEATURES.iter().map(|(name, level)| {
            SupportedFeatureKey::default()
                .with_name(StrBytes::from_static_str(name))
                .with_min_version(least)
                .with_max_version(*level)
        });
        let finalized = FEATURES.iter().map(|(name, level)| {
            FinalizedFeatureKey::default()
                .with_name(StrBytes::from_static_str(name))
                .with_min_version_level(*level)
                .with_max_version_level(*level)
        });
        message = message
            .with_supported_features(supported.collect())
            .with_finalized_features_epoch(0)
            .with_finalized_features(finalized.collect());
    }
    request.answer(&message)
}

/// A name or version of a client: letters, digits, dots and hyphens, the first and last a letter or digit (KIP-511).
fn is_software(name: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    let ends = [name.bytes().next(), name.bytes().last()];
    ends.iter().all(|end| end.is_some_and(|byte| byte.is_ascii_alphanumeric())) && name.bytes().all(is_inner)
}
