//! What can be wrong with schemas and values.

use candor_model::json::JsonError;

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// It is longer than [`crate::SCHEMA_BYTES_MAX`].
    #[error("a schema has at most {} bytes", crate::SCHEMA_BYTES_MAX)]
    TooLong,
    /// Avro and JSON schemas are JSON.
    #[error("the schema is not JSON: {0}")]
    Json(#[from] JsonError),
    /// Something in it does not fit.
    #[error("{what} at {at}")]
    Invalid {
        /// Where: a path, or line and column.
        at: String,
        /// What.
        what: String,
    },
    /// It names a type or file that is neither in it nor among its references.
    #[error("{0:?} is neither defined in the schema nor among its references")]
    Unknown(String),
}

impl SchemaError {
    pub(crate) fn at(at: impl Into<String>, what: impl Into<String>) -> SchemaError {
        SchemaError::Invalid { at: at.into(), what: what.into() }
    }
}

/// Why a value cannot be opened with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// It ends too early.
    #[error("the value ends too early")]
    Short,
    /// It goes on after its end.
    #[error("the value has more bytes than its schema describes")]
    Long,
    /// It nests deeper than records do.
    #[error("the value nests too deep")]
    TooDeep,
    /// It has more members than records have, or than its length is good for.
    #[error("the value has too many members")]
    TooMany,
    /// It is not what the schema says.
    #[error("the value does not fit its schema: {0}")]
    Mismatch(&'static str),
    /// The schema has no such message.
    #[error("the schema has no message at the index that the value names")]
    NoMessage,
}
