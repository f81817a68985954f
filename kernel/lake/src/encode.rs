//! Rows to the bytes of a Parquet file, and what the catalog keeps of it.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{max, max_string, min, min_string};
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowWriter, ArrowWriterOptions};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

use crate::LakeError;
use crate::columns::{BOUNDED, Columns, INGESTED_AT, Layout, Promoted, TIMESTAMP, has_statistics, layout};
use crate::order::CHUNK_ROWS;
use crate::pin::{Bound, ColumnStats};
use crate::promote::{EXACT_COPIES, Exact};

/// The level of zstd: higher ones cost more time than they save bytes (measured).
const ZSTD_LEVEL: i32 = 3;

/// One page a column chunk where it fits: a row group is small enough to be the unit of pruning.
const PAGE_BYTES: usize = 4 << 20;

/// Longest text that is a bound in the catalog, bytes: what is longer has none.
const BOUND_BYTES_MAX: usize = 100;

/// The magic and the length that end a Parquet file, bytes.
const TRAILER_BYTES: usize = 8;

/// A file ready to be stored.
pub(crate) struct Encoded {
    pub(crate) bytes: Bytes,
    pub(crate) footer: u64,
    /// Size of the columns before compression: what a merge needs in memory at worst.
    pub(crate) raw_bytes: u64,
    pub(crate) summary: Summary,
}

/// What a file holds.
#[derive(Clone)]
pub(crate) struct Summary {
    pub(crate) rows: u64,
    pub(crate) timestamps: (i64, i64),
    pub(crate) ingested: (i64, i64),
    pub(crate) columns: Arc<[ColumnStats]>,
}

/// Writes sorted pieces into one file.
pub(crate) struct Encoder {
    writer: ArrowWriter<Vec<u8>>,
    stats: Vec<Option<ColumnStats>>,
    promoted: Vec<Promoted>,
    exact: Exact,
    rows: u64,
}

impl Encoder {
    /// A file of these columns, whose ids must all be assigned.
    pub(crate) fn new(columns: &Columns) -> Result<Encoder, LakeError> {
        let schema = ArrowSchemaConverter::new().convert(&columns.schema_with_ids())?;
        let options =
            ArrowWriterOptions::new().with_properties(properties(columns)?).with_parquet_schema(schema);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), Arc::clone(&columns.schema), options)?;
        let (promoted, exact) = (columns.promoted.clone(), Exact::new(&columns.promoted));
        Ok(Encoder { writer, stats: vec![None; BOUNDED.len()], promoted, exact, rows: 0 })
    }

    /// Adds a piece: a row group.
    pub(crate) fn write(&mut self, chunk: &RecordBatch) -> Result<(), LakeError> {
        self.rows += chunk.num_rows() as u64;
        for (column, stats) in BOUNDED.into_iter().zip(&mut self.stats) {
            if let Some(array) = chunk.column_by_name(column) {
                let found = stats_of(column, array);
                *stats = Some(match stats.take() {
                    Some(so_far) => join(so_far, found),
                    None => found,
                });
            }
        }
        self.exact.add(&self.promoted, chunk);
        self.writer.write(chunk)?;
        self.writer.flush()?;
        Ok(())
    }

    /// Ends the file.
    pub(crate) fn finish(mut self) -> Result<Encoded, LakeError> {
        let exact = self.exact.columns(&self.promoted);
        if !exact.is_empty() {
            self.writer.append_key_value_metadata(KeyValue::new(EXACT_COPIES.to_owned(), exact));
        }
        let footer = self.writer.finish()?;
        let bytes = Bytes::from(std::mem::take(self.writer.inner_mut()));
        // The pair of the count in the catalog: what the file itself says.
        let counted = footer.file_metadata().num_rows();
        if counted != self.rows as i64 {
            return Err(LakeError::Inconsistent(format!(
                "wrote {} rows, the file says {counted}",
                self.rows
            )));
        }
        let raw_bytes = footer.row_groups().iter().map(|group| group.total_byte_size().max(0) as u64).sum();
        let columns: Vec<ColumnStats> = self.stats.into_iter().flatten().collect();
        let range = |name: &str| {
            let stats = columns.iter().find(|stats| stats.column == name);
            match stats.map(|stats| (&stats.min, &stats.max)) {
                Some((Some(Bound::Int(min)), Some(Bound::Int(max)))) => (*min, *max),
                _ => (i64::MIN, i64::MAX),
            }
        };
        let (timestamps, ingested) = (range(TIMESTAMP), range(INGESTED_AT));
        let footer = footer_bytes(&bytes)?;
        let summary = Summary { rows: self.rows, timestamps, ingested, columns: columns.into() };
        Ok(Encoded { bytes, footer, raw_bytes, summary })
    }
}

/// The length of the footer's metadata, as the file's last eight bytes state it.
fn footer_bytes(file: &Bytes) -> Result<u64, LakeError> {
    let trailer = file.len().checked_sub(TRAILER_BYTES).and_then(|from| file.get(from..from + 4));
    let length: [u8; 4] = trailer
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or_else(|| LakeError::Inconsistent("a file without a footer".into()))?;
    Ok(u64::from(u32::from_le_bytes(length)))
}

fn properties(columns: &Columns) -> Result<WriterProperties, LakeError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(CHUNK_ROWS))
        .set_data_page_size_limit(PAGE_BYTES)
        .set_data_page_row_count_limit(CHUNK_ROWS)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_created_by(format!("candor {}", env!("CARGO_PKG_VERSION")));
    for field in columns.schema.fields() {
        let mut paths = Vec::new();
        leaves(field.data_type(), vec![field.name().clone()], &mut paths);
        for path in paths {
            let layout = layout(field.name(), path.last().map_or("", String::as_str));
            let path = ColumnPath::new(path);
            let encoding = match layout {
                Layout::Dictionary => None,
                Layout::Plain => Some(Encoding::PLAIN),
                Layout::Deltas => Some(Encoding::DELTA_BINARY_PACKED),
                Layout::Texts => Some(Encoding::DELTA_LENGTH_BYTE_ARRAY),
            };
            if let Some(encoding) = encoding {
                properties = properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path.clone(), encoding);
            }
            if !has_statistics(field.name()) {
                properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
            }
        }
    }
    Ok(properties.build())
}

/// The paths of a column's leaves. Lists and maps keep Arrow's names for their parts, so that what is read back is of
/// the table's own type; readers go by structure and by field id.
fn leaves(kind: &DataType, path: Vec<String>, found: &mut Vec<Vec<String>>) {
    let below = |names: &[&str]| path.iter().cloned().chain(names.iter().map(|n| (*n).to_owned())).collect();
    match kind {
        DataType::List(element) => found.push(below(&["list", element.name()])),
        DataType::Map(entries, _) => {
            if let DataType::Struct(pair) = entries.data_type() {
                found.extend(pair.iter().map(|part| below(&[entries.name(), part.name()])));
            }
        }
        _ => found.push(path),
    }
}

fn stats_of(column: &'static str, array: &ArrayRef) -> ColumnStats {
    let ints = |min: Option<i64>, max: Option<i64>| (min.map(Bound::Int), max.map(Bound::Int));
    let text = |value: Option<&str>| {
        value
            .filter(|text| text.len() <= BOUND_BYTES_MAX && !text.contains('\0'))
            .map(|v| Bound::Text(v.into()))
    };
    let (min, max) = match array.data_type() {
        DataType::Timestamp(_, _) => {
            let array = array.as_primitive::<TimestampMicrosecondType>();
            ints(min(array), max(array))
        }
        DataType::Int64 => {
            let array = array.as_primitive::<Int64Type>();
            ints(min(array), max(array))
        }
        DataType::Int32 => {
            let array = array.as_primitive::<Int32Type>();
            ints(min(array).map(i64::from), max(array).map(i64::from))
        }
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            match (text(min_string(array)), text(max_string(array))) {
                (Some(min), Some(max)) => (Some(min), Some(max)),
                _ => (None, None),
            }
        }
        _ => (None, None),
    };
    ColumnStats { column, nulls: array.null_count() as u64, rows: array.len() as u64, min, max }
}

/// The stats of two pieces together. A piece without bounds has unknown ones, unless all of it is null.
fn join(a: ColumnStats, b: ColumnStats) -> ColumnStats {
    let (min, max) = match (a.nulls == a.rows, b.nulls == b.rows) {
        (true, _) => (b.min, b.max),
        (_, true) => (a.min, a.max),
        (false, false) => (a.min.zip(b.min).map(|(a, b)| a.min(b)), a.max.zip(b.max).map(|(a, b)| a.max(b))),
    };
    ColumnStats { column: a.column, nulls: a.nulls + b.nulls, rows: a.rows + b.rows, min, max }
}
