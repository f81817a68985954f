//! The ledger: what was done with personal data, append-only and tamper-evident.
//!
//! Each entry is a leaf of one Merkle tree over the whole instance (RFC 6962's hashing, [`tree`]), and every batch of
//! entries ends with a signed checkpoint ([`note`], C2SP tlog-checkpoint). A leaf ([`Leaf`]) is canonical JSON and
//! holds no personal data: who it was about and the reason that was given are in a detail beside it, of which the
//! leaf has a salted commitment alone, so that the detail can be erased and the tree stays as it was.
//!
//! Hashes lie in tiles of 256 as in C2SP tlog-tiles: they give proofs without reading the leaves, and they tell
//! which entry is not what it was, where a checkpoint alone says only that one is. What is not claimed: who holds the
//! root key can sign another history, and a database that was put back to an earlier state whole is only noticed
//! beside a checkpoint that was kept outside ([`verify`]).

mod detail;
mod leaf;
pub mod note;
mod proof;
mod reads;
pub mod scan;
mod schema;
mod store;
pub mod tree;
pub mod verify;
mod writer;

pub use detail::Detail;
pub use leaf::{Action, Event, Leaf};
pub use proof::Proof;
pub use reads::Read;
pub use schema::MIGRATIONS;
pub use store::Entry;
pub use writer::Ledger;

/// Why the ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed.
    #[error("the ledger cannot be reached")]
    Sql(#[from] candor_meta::SqlError),
    /// What is stored does not fit the last checkpoint.
    #[error("the ledger does not fit its last checkpoint, and takes nothing more: run candor verify ledger")]
    Damaged,
    /// Too much waits to be written.
    #[error("too much waits to be written to the ledger: try again in a second")]
    Busy,
    /// The write was given up: the server stops.
    #[error("the ledger was not written: the server stops")]
    Stopped,
    /// A text that is no checkpoint.
    #[error("that is no checkpoint: {0}")]
    NoCheckpoint(&'static str),
    /// No entry has that number.
    #[error("the ledger has no entry {0}")]
    NoEntry(u64),
}
