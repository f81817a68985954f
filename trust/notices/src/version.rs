//! One policy that holds, held or is to hold.

use candor_meta::{Row, SqlError};
use candor_model::{PolicyEpoch, ProjectId, Timestamp};

/// Whose policy it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Owner {
    /// The instance: every project without one of its own.
    Instance,
    /// One project.
    Project(ProjectId),
}

impl Owner {
    pub(crate) fn number(self) -> i64 {
        match self {
            Owner::Instance => 0,
            Owner::Project(project) => project.0,
        }
    }

    pub(crate) fn of(number: i64) -> Owner {
        match number {
            0 => Owner::Instance,
            project => Owner::Project(ProjectId(project)),
        }
    }
}

/// Where a version stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It was announced and does not hold yet.
    Announced,
    /// It holds.
    InForce,
    /// Another took its place, or it was withdrawn before it began.
    Ended,
}

/// A version of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Records that it admits carry this number. It only grows, over all owners.
    pub epoch: PolicyEpoch,
    /// Whose it is.
    pub owner: Owner,
    /// The file, as it was given; of an interim version what was made of two.
    pub source: String,
    /// SHA-256 of what the file resolves to, in hexadecimal digits.
    pub hash: String,
    /// It holds what a later version makes stricter, until that whole version begins.
    pub is_interim: bool,
    /// Who applied it, as in the ledger.
    pub applied_by: String,
    /// When.
    pub applied_at: Timestamp,
    /// From when on it is to hold.
    pub effective_at: Timestamp,
    /// From when on it held.
    pub activated_at: Option<Timestamp>,
    /// Until when it held, or when it was withdrawn.
    pub ended_at: Option<Timestamp>,
}

/// The columns of [`Version::from_row`].
pub(crate) const COLUMNS: &str =
    "epoch, owner, source, hash, is_interim, applied_by, applied_at, effective_at, activated_at, ended_at";

impl Version {
    pub(crate) fn from_row(row: &Row) -> Result<Version, SqlError> {
        Ok(Version {
            epoch: PolicyEpoch(u32::try_from(row.int(0)?).map_err(|_| SqlError::Column(0))?),
            owner: Owner::of(row.int(1)?),
            source: row.text(2)?.to_owned(),
            hash: row.text(3)?.to_owned(),
            is_interim: row.flag(4)?,
            applied_by: row.text(5)?.to_owned(),
            applied_at: Timestamp(row.int(6)?),
            effective_at: Timestamp(row.int(7)?),
            activated_at: row.opt_int(8)?.map(Timestamp),
            ended_at: row.opt_int(9)?.map(Timestamp),
        })
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        match (self.activated_at, self.ended_at) {
            (_, Some(_)) => State::Ended,
            (Some(_), None) => State::InForce,
            (None, None) => State::Announced,
        }
    }
}
