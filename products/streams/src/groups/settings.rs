//! Bounds and times of groups.

use std::time::Duration;

use crate::admin::BrokerConfig;

/// Bounds and times, named as Kafka's settings are where it has them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `group.initial.rebalance.delay.ms`: how long the first rebalance of a group waits for more members.
    pub initial_rebalance_delay: Duration,
    /// `group.min.session.timeout.ms`.
    pub min_session_timeout: Duration,
    /// `group.max.session.timeout.ms`.
    pub max_session_timeout: Duration,
    /// `group.max.size`: members of a group, those counted that were given an id and have not joined yet.
    pub max_size: usize,
    /// Bytes of all members' metadata and assignments, a group. The leader gets all of it in one answer.
    pub max_group_bytes: usize,
    /// Groups of a project.
    pub max_groups: usize,
    /// `offset.metadata.max.bytes`.
    pub max_offset_metadata: usize,
    /// `offsets.retention.minutes`: how long an empty group's offsets are kept.
    pub offsets_retention: Duration,
    /// `offsets.retention.check.interval.ms`: how often is looked for offsets that are kept no longer.
    pub retention_check_interval: Duration,
    /// `group.consumer.session.timeout.ms`.
    pub consumer_session_timeout: Duration,
    /// `group.consumer.heartbeat.interval.ms`.
    pub consumer_heartbeat_interval: Duration,
    /// `group.share.max.size`: members of a share group.
    pub share_max_size: usize,
    /// Partitions that a share group may have begun to read.
    pub share_max_partitions: usize,
    /// `group.share.session.timeout.ms`: how long a member may be silent that has not said otherwise since a restart.
    pub share_session_timeout: Duration,
    /// `group.share.delivery.count.limit`: how often a record is given to somebody before it is given up.
    pub share_delivery_limit: i16,
    /// `group.share.partition.max.record.locks`: records of a partition between the first that is not done with and the
    /// last that was given to somebody.
    pub share_max_record_locks: i64,
    /// Offsets of all groups that are kept in memory for reads.
    pub max_offsets_cached: usize,
    /// Offsets that may wait to be stored; who brings more waits.
    pub max_offsets_waiting: usize,
}

impl Settings {
    /// Those of share groups, as the broker tells them of itself. Nobody changes them while it runs.
    pub(crate) fn told(&self) -> Vec<BrokerConfig> {
        let told = [
            (
                "group.share.delivery.count.limit",
                self.share_delivery_limit.to_string(),
                "How often a record is given to a member of a share group before it is given up.",
            ),
            (
                "group.share.partition.max.record.locks",
                self.share_max_record_locks.to_string(),
                "How many records of a partition members of one share group may have at a time.",
            ),
            ("group.share.max.size", self.share_max_size.to_string(), "Members of one share group."),
        ];
        let config = |(name, value, text): (&str, String, &str)| BrokerConfig {
            name: name.to_owned(),
            value,
            text: text.to_owned(),
        };
        told.into_iter().map(config).collect()
    }
}

impl Default for Settings {
    fn default() -> Settings {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Settings {
            // Members that start together join one generation; a first one alone waits no longer than this.
            initial_rebalance_delay: Duration::from_millis(100),
            min_session_timeout: Duration::from_secs(6),
            max_session_timeout: Duration::from_secs(30 * 60),
            max_size: 5_000,
            max_group_bytes: 32 * 1024 * 1024,
            max_groups: 10_000,
            max_offset_metadata: 4096,
            offsets_retention: 7 * DAY,
            retention_check_interval: Duration::from_secs(10 * 60),
            consumer_session_timeout: Duration::from_secs(45),
            consumer_heartbeat_interval: Duration::from_secs(5),
            share_max_size: 200,
            share_max_partitions: 10_000,
            share_session_timeout: Duration::from_secs(45),
            share_delivery_limit: 5,
            share_max_record_locks: 2_000,
            max_offsets_cached: 500_000,
            max_offsets_waiting: 50_000,
        }
    }
}
