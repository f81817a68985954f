//! Kafka record batches, format 2 (magic 2, KIP-98; `DefaultRecordBatch` of Apache Kafka): what topics of streams hold.
//!
//! A batch is kept byte for byte as it was sent. What the log needs of it is read from its fixed header; records are
//! opened only where somebody asks for them ([`open`]), as slices of what was sent or of what was decompressed.
//! Parsers take bytes as they come from a network: nothing panics, and what a length claims is not believed before it
//! is there.
//!
//! The trade-off refused is owned records: a batch of a megabyte would become thousands of allocations to learn that
//! nothing in it has to change.

mod bad;
mod build;
mod codec;
mod control;
mod find;
mod header;
mod opened;
mod place;
mod produced;
mod record;
mod varint;

pub use bad::BadBatch;
pub use build::{BatchBuilder, Producer, Rebuild};
pub use codec::Codec;
pub use control::{Marker, MarkerKind};
pub use find::{Found, first_at_or_after, greatest_timestamp};
pub use header::{HEADER_BYTES, Header, TimestampType};
pub use opened::{Bounds, Opened, Records, open};
pub use place::{PLACE_BYTES, place, placed, set_max_timestamp, set_producer};
pub use produced::{Checked, ProducedLimits, validate_produced};
pub use record::{Headers, HeadersBuf, Record};
