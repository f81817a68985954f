//! Which files a predicate can be true in, by what the catalog knows of them; and that knowledge as the statistics
//! that the engine plans with.

use std::collections::HashSet;
use std::sync::Arc;

use candor_lake::{Bound, DataFile};
use datafusion::arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Schema, SchemaRef, TimeUnit};
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::stats::Precision;
use datafusion::common::{Column, ColumnStatistics, Result, ScalarValue, Statistics};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;

/// The files in which `predicate` can be true. Where nothing can be said, all.
pub(crate) fn candidates(
    files: &[DataFile],
    schema: &SchemaRef,
    predicate: &Arc<dyn PhysicalExpr>,
) -> Result<Vec<DataFile>> {
    let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(schema));
    let Some(pruning) = builder.build(Arc::clone(predicate)) else { return Ok(files.to_vec()) };
    let keep = pruning.prune(&Catalogued { files, schema })?;
    Ok(files.iter().zip(keep).filter(|(_, keep)| *keep).map(|(file, _)| file.clone()).collect())
}

/// Least and greatest value of a column of a file, and how many of its values are null.
struct Known {
    min: Option<ScalarValue>,
    max: Option<ScalarValue>,
    nulls: Option<u64>,
}

fn known(file: &DataFile, column: &str, data_type: &DataType) -> Option<Known> {
    let range = match column {
        "timestamp" => Some(file.timestamps),
        "_ingested_at" => Some(file.ingested),
        _ => None,
    };
    if let Some((min, max)) = range {
        let bound = |value| scalar(&Bound::Int(value), data_type);
        let some = is_known((min, max));
        return Some(Known {
            min: bound(min).filter(|_| some),
            max: bound(max).filter(|_| some),
            nulls: Some(0),
        });
    }
    let stats = file.columns.iter().find(|stats| stats.column == column)?;
    Some(Known {
        min: stats.min.as_ref().and_then(|bound| scalar(bound, data_type)),
        max: stats.max.as_ref().and_then(|bound| scalar(bound, data_type)),
        nulls: Some(stats.nulls),
    })
}

/// Whether the catalog knows a range of times; it spans everything where it does not.
pub(crate) fn is_known(range: (i64, i64)) -> bool {
    range.0 <= range.1 && range != (i64::MIN, i64::MAX)
}

fn scalar(bound: &Bound, data_type: &DataType) -> Option<ScalarValue> {
    match (bound, data_type) {
        (Bound::Int(value), DataType::Timestamp(TimeUnit::Microsecond, zone)) => {
            Some(ScalarValue::TimestampMicrosecond(Some(*value), zone.clone()))
        }
        (Bound::Int(value), DataType::Int64) => Some(ScalarValue::Int64(Some(*value))),
        (Bound::Int(value), DataType::Int32) => Some(ScalarValue::Int32(i32::try_from(*value).ok())),
        (Bound::Text(value), DataType::Utf8) => Some(ScalarValue::Utf8(Some(value.to_string()))),
        _ => None,
    }
}

/// What the engine may know of a file. `count(*)`, `min(timestamp)` and the order in which files are read for
/// `ORDER BY timestamp DESC LIMIT n` come from it.
pub(crate) fn statistics(file: &DataFile, schema: &Schema) -> Statistics {
    let columns = schema.fields().iter().map(|field| {
        let Some(known) = known(file, field.name(), field.data_type()) else {
            return ColumnStatistics::new_unknown();
        };
        let precise = |value: Option<ScalarValue>| match value {
            Some(value) => Precision::Exact(value),
            None => Precision::Absent,
        };
        let nulls = known.nulls.map_or(Precision::Absent, |nulls| Precision::Exact(nulls as usize));
        ColumnStatistics::new_unknown()
            .with_min_value(precise(known.min))
            .with_max_value(precise(known.max))
            .with_null_count(nulls)
    });
    Statistics {
        num_rows: Precision::Exact(file.rows as usize),
        total_byte_size: Precision::Inexact(file.length as usize * 8),
        column_statistics: columns.collect(),
    }
}

struct Catalogued<'a> {
    files: &'a [DataFile],
    schema: &'a SchemaRef,
}

impl Catalogued<'_> {
    fn array(&self, column: &Column, of: impl Fn(Known) -> Option<ScalarValue>) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        let null = ScalarValue::try_from(field.data_type()).ok()?;
        let mut some = false;
        let values: Vec<ScalarValue> = self
            .files
            .iter()
            .map(|file| {
                let value = known(file, &column.name, field.data_type()).and_then(&of);
                some |= value.is_some();
                value.unwrap_or_else(|| null.clone())
            })
            .collect();
        if some { ScalarValue::iter_to_array(values).ok() } else { None }
    }
}

impl PruningStatistics for Catalogued<'_> {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        self.array(column, |known| known.min)
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        self.array(column, |known| known.max)
    }

    fn num_containers(&self) -> usize {
        self.files.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        let field = self.schema.field_with_name(&column.name).ok()?;
        let counts = self.files.iter().map(|file| known(file, &column.name, field.data_type())?.nulls);
        Some(Arc::new(counts.collect::<UInt64Array>()))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::new(self.files.iter().map(|file| Some(file.rows)).collect::<UInt64Array>()))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
