//! Consumer groups: who reads which partition, and how far they have read.
//!
//! One process serves (decision 0004), so a group lives in memory under a lock of its own, and what must outlive the
//! process goes to the metadata database: committed offsets, generations and epochs, members and assignments. All that
//! waits to be stored shares one transaction ([`committer`]); nothing is acknowledged before it. Three kinds of groups
//! have a state machine each, which know neither time nor storage: [`classic`], [`consumer`] (KIP-848) and [`share`]
//! (KIP-932). [`serve`] turns requests into calls of these. A group is of one kind while it has members; an empty
//! classic one becomes one of consumers at the first join, and the other way round. A share group stays one.

mod classic;
mod committer;
mod consumer;
mod embedded;
mod keeper;
mod offsets;
mod registry;
mod serve;
mod settings;
mod share;
mod state;
mod storage;
mod tables;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use embedded::{CONSUMER, assigned_partitions};
pub use registry::Groups;
pub use serve::Coordinator;
pub use settings::{GroupConfigs, Settings};
pub(crate) use share::{Acknowledgement, Given, Share, Span, Stands, Verdict, Wish};
