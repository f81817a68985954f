//! The log of a cluster: segments in object storage, order from PostgreSQL. Nodes hold caches and nothing else.
//!
//! ```text
//! appends wait (linger) -> sealed into a segment -> put under a unique key -> committed: offsets in SQL
//!     -> shown to followers and readers of this node -> acknowledged
//! ```
//!
//! A few puts are in flight at once; commits follow the order of sealing. Data is durable before its offsets are
//! visible, as a segment is put before it is committed. A segment that was put and not committed is garbage, and is
//! collected after a grace. A commit is told apart by the segment's key, so that repeating one whose answer was lost
//! is harmless; where even repeating brings no answer, the node learns from the database what became of it.
//!
//! What other nodes commit is read from the store and shown in offset order, before anything of one's own that
//! follows it.

mod broken;
mod cleaner;
mod cleaner_sql;
mod driver;
mod floor_sql;
mod node;
mod read;
mod requests_sql;
mod seal;
mod sequencer;
mod sql;
mod streams_sql;
#[cfg(test)]
mod tests;
mod upkeep;
mod upkeep_sql;

pub(crate) use driver::{Cluster, open};
pub(crate) use sequencer::SequencerError;

/// Where segments lie in the store.
pub(crate) const SEGMENTS: &str = "log/";
