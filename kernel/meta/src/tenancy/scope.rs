//! The scopes: proofs of what a caller may do, which only [`crate::Tenancy`] makes.
//!
//! Their fields are private to `tenancy`, so no other crate, and no careless helper in this one, forges one.

use candor_model::{OrgId, ProjectId};

/// What a key may use. Without limits by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyLimits {
    /// Requests a second, on average.
    pub requests_per_second: Option<u32>,
    /// Decompressed bytes a second, on average.
    pub bytes_per_second: Option<u64>,
    /// Decompressed bytes a day (UTC).
    pub bytes_per_day: Option<u64>,
}

impl KeyLimits {
    /// These limits, and the other's where these have none.
    pub fn or(self, other: KeyLimits) -> KeyLimits {
        KeyLimits {
            requests_per_second: self.requests_per_second.or(other.requests_per_second),
            bytes_per_second: self.bytes_per_second.or(other.bytes_per_second),
            bytes_per_day: self.bytes_per_day.or(other.bytes_per_day),
        }
    }
}

/// The right to write records into one project, proven by a key or by a user of Kafka. Only
/// [`crate::Tenancy::authorize_write`] and [`crate::Tenancy::user_write`] make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteScope {
    pub(super) org: OrgId,
    pub(super) project: ProjectId,
    pub(super) key: i64,
    pub(super) limits: KeyLimits,
}

impl WriteScope {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }
    /// The project.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// The key's row number, for quotas and counts.
    pub fn key(&self) -> i64 {
        self.key
    }
    /// What the key may use.
    pub fn limits(&self) -> KeyLimits {
        self.limits
    }
}

/// The right to read one project. Only [`crate::Tenancy`] makes one, for a principal that it has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadScope {
    pub(super) org: OrgId,
    pub(super) project: ProjectId,
    pub(super) actor: String,
}

impl ReadScope {
    /// The organisation.
    pub fn org(&self) -> OrgId {
        self.org
    }
    /// The project.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// Who reads, for the ledger: `user:3`, `token:7`, `admin`.
    pub fn actor(&self) -> &str {
        &self.actor
    }
}
