//! Bounds and times of groups.

use std::time::Duration;

use candor_model::ProjectId;

use super::registry::Groups;
use crate::admin::BrokerConfig;
use crate::admin::resources::{BEAT_MS, SESSION_MS};

/// What is set of single groups.
pub trait GroupConfigs: Send + Sync {
    /// A time that is set of a group, by the name of its configuration; none where nothing is.
    fn time(&self, project: ProjectId, group: &str, name: &str) -> Option<Duration>;
}

/// How often members of a group are to be heard of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// After how long without a word one is taken for gone.
    pub session: Duration,
    /// How often one tells that it is there.
    pub heartbeat: Duration,
}

impl Groups {
    /// What is set of the group, or holds for all.
    pub(super) fn consumer_pace(&self, project: ProjectId, group: &str) -> Pace {
        let set = |name| self.inner.configs.time(project, group, name);
        let settings = &self.inner.settings;
        Pace {
            session: set("consumer.session.timeout.ms").unwrap_or(settings.consumer_session_timeout),
            heartbeat: set("consumer.heartbeat.interval.ms").unwrap_or(settings.consumer_heartbeat_interval),
        }
    }

    /// The same of a share group.
    pub(super) fn share_pace(&self, project: ProjectId, group: &str) -> Pace {
        let set = |name| self.inner.configs.time(project, group, name);
        let settings = &self.inner.settings;
        Pace {
            session: set("share.session.timeout.ms").unwrap_or(settings.share_session_timeout),
            heartbeat: set("share.heartbeat.interval.ms").unwrap_or(settings.share_heartbeat_interval),
        }
    }
}

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
    /// `group.share.session.timeout.ms`.
    pub share_session_timeout: Duration,
    /// `group.share.heartbeat.interval.ms`.
    pub share_heartbeat_interval: Duration,
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
    /// Those of consumer and share groups, as the broker tells them of itself. Nobody changes them while it runs.
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
            (
                "group.consumer.session.timeout.ms",
                self.consumer_session_timeout.as_millis().to_string(),
                "What consumer.session.timeout.ms is of a group of which it is not set.",
            ),
            (
                "group.consumer.min.session.timeout.ms",
                SESSION_MS.0.to_string(),
                "The least that consumer.session.timeout.ms of a group may be.",
            ),
            (
                "group.consumer.max.session.timeout.ms",
                SESSION_MS.1.to_string(),
                "The most that consumer.session.timeout.ms of a group may be.",
            ),
            (
                "group.consumer.heartbeat.interval.ms",
                self.consumer_heartbeat_interval.as_millis().to_string(),
                "What consumer.heartbeat.interval.ms is of a group of which it is not set.",
            ),
            (
                "group.consumer.min.heartbeat.interval.ms",
                BEAT_MS.0.to_string(),
                "The least that consumer.heartbeat.interval.ms of a group may be.",
            ),
            (
                "group.consumer.max.heartbeat.interval.ms",
                BEAT_MS.1.to_string(),
                "The most that consumer.heartbeat.interval.ms of a group may be.",
            ),
            (
                "group.share.session.timeout.ms",
                self.share_session_timeout.as_millis().to_string(),
                "What share.session.timeout.ms is of a group of which it is not set.",
            ),
            (
                "group.share.heartbeat.interval.ms",
                self.share_heartbeat_interval.as_millis().to_string(),
                "What share.heartbeat.interval.ms is of a group of which it is not set.",
            ),
            (
                "group.share.min.session.timeout.ms",
                SESSION_MS.0.to_string(),
                "The least that share.session.timeout.ms of a group may be.",
            ),
            (
                "group.share.max.session.timeout.ms",
                SESSION_MS.1.to_string(),
                "The most that share.session.timeout.ms of a group may be.",
            ),
            (
                "group.share.min.heartbeat.interval.ms",
                BEAT_MS.0.to_string(),
                "The least that share.heartbeat.interval.ms of a group may be.",
            ),
            (
                "group.share.max.heartbeat.interval.ms",
                BEAT_MS.1.to_string(),
                "The most that share.heartbeat.interval.ms of a group may be.",
            ),
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
            share_heartbeat_interval: Duration::from_secs(5),
            share_delivery_limit: 5,
            share_max_record_locks: 2_000,
            max_offsets_cached: 500_000,
            max_offsets_waiting: 50_000,
        }
    }
}
