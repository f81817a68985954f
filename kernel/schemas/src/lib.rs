//! Schemas of streams: Avro, JSON Schema and Protobuf, as registries keep them.
//!
//! A schema is parsed once ([`Schema::parse`]), written in one form ([`Schema::canonical`]), held against others
//! ([`Level::check`]), and opens values that name it by its id ([`decode_framed`]). Schemas and values come from outside:
//! nothing panics, depth and work are bounded, and what a length claims is not believed before it is there.
//!
//! The trade-off refused is a library for each format: together they would cost a minute of building for what of them
//! is needed here, and open values into types of their own first.

mod avro;
mod change;
mod error;
mod framed;
mod json;
mod level;
mod proto;
mod schema;

pub use change::Incompatibility;
pub use error::{DecodeError, SchemaError};
pub use framed::{FRAME_BYTES, decode_framed, schema_id};
pub use level::Level;
pub use schema::{Dependency, Kind, Schema};

/// Longest schema, bytes. Real ones have some kilobytes; generated ones reach some hundred.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of a schema's own text: a level of records takes three of JSON.
const SCHEMA_DEPTH_MAX: usize = 192;

/// Pairs of types that one comparison looks at. A schema of the greatest length against another of its kind may have
/// more; then the two count as incompatible.
const COMPARED_MAX: usize = 500_000;

/// What a decoder may still make of a value.
struct Budget {
    nodes: usize,
}

impl Budget {
    fn new() -> Budget {
        Budget { nodes: candor_model::limits::RECORD_NODES_MAX }
    }

    /// Takes one node, at a depth.
    fn take(&mut self, depth: usize) -> Result<(), DecodeError> {
        if depth > candor_model::limits::NESTING_DEPTH_MAX {
            return Err(DecodeError::TooDeep);
        }
        self.nodes = self.nodes.checked_sub(1).ok_or(DecodeError::TooMany)?;
        Ok(())
    }
}
