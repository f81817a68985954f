//! Transactions (KIP-98): a producer writes to many partitions and commits offsets of groups, and all of it counts or
//! nothing.
//!
//! A transactional id has one producer at a time, by epochs. What is open and how it ends is settled here, stored in the
//! metadata database, and then told: markers through the gate into each partition, offsets in each group, and a last
//! word in the database. A crash between any two of these is made good at the next start, for each may be done twice.
//!
//! ```text
//! EndTxn ─ store Prepare ─ what was let in arrives ─ markers, one sync ─ groups ─ store Complete ─ answer
//! ```
//!
//! The trade-off refused: an answer before the markers are written, as Apache Kafka gives it. A client that begins
//! another transaction at once would be told to wait, and one that reads what it committed would not see it.

mod committer;
mod coordinator;
mod keeper;
mod outside;
mod produce;
mod serve;
mod settings;
mod state;
mod storage;
mod tables;
#[cfg(test)]
pub(crate) mod tests;

pub use coordinator::{Pass, Transactions, TransactionsOptions};
pub use produce::{Adding, Batch, MayProduce};
pub use settings::Settings;
