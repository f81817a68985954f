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
mod encode;
mod error;
mod framed;
mod json;
mod level;
mod proto;
mod schema;

use candor_model::Value;

pub use change::Incompatibility;
pub use encode::EncodeError;
pub use error::{DecodeError, SchemaError};
pub use framed::{FRAME_BYTES, decode_framed, schema_id};
pub use level::{Level, Reader};
pub use schema::{Dependency, Kind, Schema};

/// Longest schema, bytes. Real ones have some kilobytes; generated ones reach some hundred.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;

/// Deepest nesting of a schema's own text: a level of records takes three of JSON.
const SCHEMA_DEPTH_MAX: usize = 192;

/// Pairs of types that one comparison looks at. A schema of the greatest length against another of its kind may have
/// more; then the two count as incompatible.
const COMPARED_MAX: usize = 500_000;

/// Names and symbols of a schema in one opened value, bytes: at the most, of a value without any bytes, and more for each
/// that it has. A field that is absent takes none on the wire, or one, and its name stands in the value all the same.
const NAMES_BYTES_MAX: usize = 4 * candor_model::limits::RECORD_BYTES_MAX;
const NAMES_BYTES_FREE: usize = 256 << 10;
const NAMES_BYTES_A_BYTE: usize = 128;

/// Nodes of a value without any bytes, and more for each that it has, up to what a record may have.
const NODES_FREE: usize = 16 << 10;
const NODES_A_BYTE: usize = 64;

/// Fields on the wire for each node that a value may have.
const FIELDS_A_NODE: usize = 8;

/// Values held against each other in one change of a value: each at most once for each level above it.
const COMPARED_VALUES_MAX: usize =
    candor_model::limits::RECORD_NODES_MAX * (candor_model::limits::NESTING_DEPTH_MAX + 1);

/// What a decoder may still make of a value.
struct Budget {
    nodes: usize,
    /// Bytes of names: a schema's may be long, and a value of no bytes repeats them.
    names: usize,
    /// Fields on the wire, those that are skipped or replaced by later ones too.
    fields: usize,
    /// Values that were held against each other to see what changes.
    compared: usize,
}

impl Budget {
    /// For a value of so many bytes: items that take none, in a list that says it has many of them, must not make
    /// megabytes of ten bytes.
    fn new(bytes: usize) -> Budget {
        let scaled =
            |free: usize, each: usize, most: usize| most.min(free + bytes.saturating_mul(each).min(most));
        let nodes_max = candor_model::limits::RECORD_NODES_MAX;
        Budget {
            nodes: scaled(NODES_FREE, NODES_A_BYTE, nodes_max),
            names: scaled(NAMES_BYTES_FREE, NAMES_BYTES_A_BYTE, NAMES_BYTES_MAX),
            fields: nodes_max.saturating_mul(FIELDS_A_NODE),
            compared: 0,
        }
    }

    /// True where two values are the same, looked at up to the first difference. Whoever asks does so once for each
    /// value at each depth: what is looked at beyond that is an error.
    fn same(&mut self, before: &Value, after: &Value) -> Result<bool, DecodeError> {
        self.compared += 1;
        if self.compared > COMPARED_VALUES_MAX {
            return Err(DecodeError::TooMany);
        }
        match (before, after) {
            (Value::Array(before), Value::Array(after)) => {
                if before.len() != after.len() {
                    return Ok(false);
                }
                for (before, after) in before.iter().zip(after) {
                    if !self.same(before, after)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (Value::Object(before), Value::Object(after)) => {
                if before.len() != after.len() {
                    return Ok(false);
                }
                for ((name, before), (other, after)) in before.0.iter().zip(&after.0) {
                    if name != other || !self.same(before, after)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            (before, after) => Ok(before == after),
        }
    }

    /// A name or a symbol of the schema, for the value.
    fn name(&mut self, name: &str) -> Result<String, DecodeError> {
        self.names = self.names.checked_sub(name.len()).ok_or(DecodeError::TooMany)?;
        Ok(name.to_owned())
    }

    /// Takes a field of the wire.
    fn field(&mut self) -> Result<(), DecodeError> {
        self.fields = self.fields.checked_sub(1).ok_or(DecodeError::TooMany)?;
        Ok(())
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
