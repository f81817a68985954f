//! The lake's bounds, each with its reason.

use candor_model::Signal;

/// Microseconds in a day.
pub const DAY_US: i64 = 86_400 * 1_000_000;

/// Times by signal, on the arrival clock (`_ingested_at`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Log records, µs.
    pub logs_us: i64,
    /// Error events, µs.
    pub errors_us: i64,
    /// Spans, µs.
    pub spans_us: i64,
}

impl Default for Retention {
    fn default() -> Retention {
        Retention { logs_us: 90 * DAY_US, errors_us: 30 * DAY_US, spans_us: 30 * DAY_US }
    }
}

impl Retention {
    /// Of a signal, µs.
    pub fn of(&self, signal: Signal) -> i64 {
        match signal {
            Signal::Logs => self.logs_us,
            Signal::Errors => self.errors_us,
            Signal::Spans => self.spans_us,
        }
    }

    /// Of each signal the shorter time of the two.
    pub fn shorter(self, other: Retention) -> Retention {
        Retention {
            logs_us: self.logs_us.min(other.logs_us),
            errors_us: self.errors_us.min(other.errors_us),
            spans_us: self.spans_us.min(other.spans_us),
        }
    }
}

/// The lake's bounds.
#[derive(Debug, Clone)]
pub struct LakeConfig {
    /// What the operator's own catalog names as the place of the files: `/…/objects/lake/` or `s3://…/lake/`.
    pub data_path: String,
    /// A tail of this size is published: about 8 MB of Parquet, the least that compresses well.
    pub table_bytes: usize,
    /// All tails together; past it the largest are published until half of it is free.
    pub total_bytes: usize,
    /// Age of its oldest row at which a tail is published.
    pub publish_age_us: i64,
    /// The same for a tail below [`LakeConfig::tiny_bytes`]: thousands of quiet projects must not make thousands of
    /// files of thirty rows.
    pub tiny_age_us: i64,
    /// What a tiny tail is.
    pub tiny_bytes: usize,
    /// Files a second that publishing by age may write over all tables; what is due beyond waits its turn, oldest
    /// first. Memory pressure and `flush` are not bound by it.
    pub files_per_second: u32,
    /// A merge makes files up to about this size, bytes of Parquet.
    pub file_bytes: u64,
    /// How long old snapshots stay readable. Erasure completes when history does, so never more than an hour.
    pub history_us: i64,
    /// How long a file outlives the last snapshot that names it: longer than a query or a download of a range.
    pub grace_us: i64,
    /// How long rows are kept until [`crate::Lake::keep`] says otherwise.
    pub retention: Retention,
    /// Runs publishing by age and by pressure, compaction and retention by itself. Tests turn it off and call.
    pub upkeep: bool,
}

impl Default for LakeConfig {
    fn default() -> LakeConfig {
        LakeConfig {
            data_path: String::new(),
            table_bytes: 64 << 20,
            total_bytes: 256 << 20,
            publish_age_us: 300 * 1_000_000,
            tiny_age_us: 900 * 1_000_000,
            tiny_bytes: 256 << 10,
            files_per_second: 8,
            file_bytes: 32 << 20,
            history_us: 3600 * 1_000_000,
            grace_us: 600 * 1_000_000,
            retention: Retention::default(),
            upkeep: true,
        }
    }
}
