//! Answers as text: the JSON of the HTTP API, NDJSON, CSV and an aligned table.

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use futures::stream::BoxStream;

use crate::{Answer, QueryError, Stats};

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One document: `{"columns":[…],"rows":[[…]],"truncated":…,"stats":{…}}`.
    Json,
    /// One JSON object a line and row.
    Ndjson,
    /// RFC 4180 with a head line.
    Csv,
    /// Aligned columns for a terminal.
    Table,
}

impl Format {
    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Some(match name {
            "json" => Format::Json,
            "ndjson" => Format::Ndjson,
            "csv" => Format::Csv,
            "table" => Format::Table,
            _ => return None,
        })
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Table => "text/plain; charset=utf-8",
        }
    }
}

/// An answer as a stream of text. A table is aligned over everything, so it is held whole.
pub fn stream(_answer: Answer, _format: Format) -> BoxStream<'static, Result<Bytes, QueryError>> {
    todo!()
}

/// An answer as one text, within the answer's own limit of bytes.
pub async fn collect(_answer: Answer, _format: Format) -> Result<Bytes, QueryError> {
    todo!()
}

/// Stats as the JSON of the API.
pub fn stats_json(_stats: &Stats) -> String {
    todo!()
}

/// Writes rows of one schema as JSON, as [`Format::Json`] does.
pub struct JsonRows {}

impl JsonRows {
    /// For batches of this schema.
    pub fn new(_schema: &SchemaRef) -> JsonRows {
        todo!()
    }
    /// Appends row `row` of `batch` as an object with every column.
    pub fn object(&self, _batch: &RecordBatch, _row: usize, _out: &mut Vec<u8>) {
        todo!()
    }
    /// Appends row `row` of `batch` as an array.
    pub fn array(&self, _batch: &RecordBatch, _row: usize, _out: &mut Vec<u8>) {
        todo!()
    }
}
