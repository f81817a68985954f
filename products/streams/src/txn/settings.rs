//! Bounds and times of transactions.

use std::time::Duration;

/// Bounds and times, named as Kafka's settings are where it has them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `transaction.max.timeout.ms`: the longest that a producer may keep a transaction open.
    pub max_timeout: Duration,
    /// `transactional.id.expiration.ms`: how long an unused transactional id is remembered.
    pub id_expiration: Duration,
    /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`: how often is looked for what has to be ended.
    pub look_every: Duration,
    /// How long the end of a transaction is waited for before it is answered: it is settled by then, and goes on.
    pub end_patience: Duration,
    /// How long a change waits for the one before it.
    pub turn_patience: Duration,
    /// Transactional ids of a project.
    pub max_ids: usize,
    /// Partitions of one transaction.
    pub max_partitions: usize,
    /// Partitions of all open transactions of all projects: each takes some 100 bytes of memory.
    pub max_partitions_open: usize,
    /// Consumer groups of one transaction.
    pub max_groups: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Settings {
            max_timeout: Duration::from_secs(15 * 60),
            id_expiration: 7 * DAY,
            look_every: Duration::from_secs(1),
            end_patience: Duration::from_secs(10),
            turn_patience: Duration::from_secs(10),
            max_ids: 10_000,
            max_partitions: 50_000,
            max_partitions_open: 1_000_000,
            max_groups: 1_000,
        }
    }
}
