//! The columns of a stream's table: those that every record has, and the fields of its values.
//!
//! A field is a member of a value that is an object. Its column is `v_` and its name, of the type that holds all that
//! was seen of it: BOOLEAN, BIGINT, DOUBLE (of whole numbers and others), else VARCHAR, where what is no text stands as
//! JSON. A type only ever widens, under the column's own id: older files keep the narrower one and are cast when read.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use candor_model::Signal;

use crate::columns::{ATTRIBUTES, Columns, TIMESTAMP, time_type, with_system_columns};

/// What the name of a field's column begins with.
pub(crate) const FIELD_PREFIX: &str = "v_";

/// Fields that have a column; what is beyond is in `value` alone. A producer that makes fields of ids must not make a
/// table that nobody can read.
pub(crate) const FIELDS_MAX: usize = 512;

/// Longest name of a field that has a column, bytes: it stands in a catalog that is in the clear.
const FIELD_NAME_BYTES_MAX: usize = 128;

/// What bytes are shown as, for a table's whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Shown {
    /// VARCHAR. What is not UTF-8 stands as PostgreSQL writes bytes: `\x` and hexadecimal digits.
    #[default]
    Text,
    /// BLOB.
    Bytes,
}

impl Shown {
    fn arrow(self) -> DataType {
        match self {
            Shown::Text => DataType::Utf8,
            Shown::Bytes => DataType::Binary,
        }
    }
}

/// What keys and values are shown as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct StreamTypes {
    pub(crate) key: Shown,
    pub(crate) value: Shown,
}

impl StreamTypes {
    /// What the catalog's columns say, as names and types.
    pub(crate) fn from_catalog<'a>(columns: impl Iterator<Item = (&'a str, &'a str)>) -> StreamTypes {
        let mut types = StreamTypes::default();
        for (name, kind) in columns.filter(|(_, kind)| *kind == "blob") {
            match name {
                "key" => types.key = Shown::Bytes,
                "value" => types.value = Shown::Bytes,
                _ => debug_assert!(false, "{name} is a {kind}"),
            }
        }
        types
    }

    /// What a table of these columns shows.
    pub(crate) fn of(schema: &Schema) -> StreamTypes {
        let shown = |name: &str| match schema.field_with_name(name).map(Field::data_type) {
            Ok(DataType::Binary) => Shown::Bytes,
            _ => Shown::Text,
        };
        StreamTypes { key: shown("key"), value: shown("value") }
    }
}

/// The columns of every stream's table, in order; fields come behind them.
pub(crate) fn stream_schema(types: StreamTypes) -> SchemaRef {
    // As the gate makes them for signals, so that files of all tables are alike.
    let logs = candor_gate::schema::schema(Signal::Logs);
    let as_in_logs = |name: &str, of: &str| {
        let kind = logs.field_with_name(of).map_or(DataType::Utf8, |field| field.data_type().clone());
        Field::new(name, kind, false)
    };
    let fields = [
        Field::new("partition", DataType::Int32, false),
        Field::new("offset", DataType::Int64, false),
        Field::new(TIMESTAMP, time_type(), false),
        Field::new("key", types.key.arrow(), true),
        Field::new("value", types.value.arrow(), true),
        as_in_logs("headers", ATTRIBUTES),
        Field::new("subject", DataType::Utf8, true),
        as_in_logs("subjects", "subjects"),
    ];
    Arc::new(Schema::new(with_system_columns(fields.into_iter().map(Arc::new).collect())))
}

/// The type of a field that the catalog calls so.
pub(crate) fn field_type(kind: &str) -> DataType {
    match kind {
        "boolean" => DataType::Boolean,
        "int64" => DataType::Int64,
        "float64" => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// The type that holds what either holds.
pub(crate) fn wider(a: &DataType, b: &DataType) -> DataType {
    match (a, b) {
        (a, b) if a == b => a.clone(),
        (DataType::Int64, DataType::Float64) | (DataType::Float64, DataType::Int64) => DataType::Float64,
        _ => DataType::Utf8,
    }
}

/// True where a field of that name may have a column.
pub(crate) fn is_column(name: &str) -> bool {
    (1..=FIELD_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// Adds the fields of rows to a table's columns, and widens those that there are. Engines compare names without case: of
/// fields that differ in it alone, the first has the column.
pub(crate) fn observe(columns: &mut Columns, rows: &Schema) {
    let mut fields: Option<Vec<FieldRef>> = None;
    let mut count =
        columns.schema.fields().iter().filter(|field| field.name().starts_with(FIELD_PREFIX)).count();
    for field in rows.fields().iter().filter(|field| field.name().starts_with(FIELD_PREFIX)) {
        let current = fields.as_deref().unwrap_or(columns.schema.fields());
        let same = current.iter().position(|known| known.name() == field.name());
        let changed = match same.and_then(|at| Some((at, current.get(at)?))) {
            Some((at, known)) => {
                let kind = wider(known.data_type(), field.data_type());
                (kind != *known.data_type()).then_some((Some(at), kind))
            }
            None => {
                let name = field.name().to_lowercase();
                let is_taken = current.iter().any(|known| known.name().to_lowercase() == name);
                (!is_taken && count < FIELDS_MAX).then(|| (None, field.data_type().clone()))
            }
        };
        let Some((at, kind)) = changed else { continue };
        let all = fields.get_or_insert_with(|| columns.schema.fields().iter().cloned().collect());
        let field = Arc::new(Field::new(field.name(), kind, true));
        match at.and_then(|at| all.get_mut(at)) {
            Some(known) => *known = field,
            None => {
                all.push(field);
                count += 1;
            }
        }
    }
    if let Some(fields) = fields {
        columns.schema = Arc::new(Schema::new(fields));
    }
}

/// The fields of values that a table has columns of.
pub(crate) fn fields_of(columns: &Columns) -> HashSet<String> {
    let names = columns.schema.fields().iter().filter_map(|field| field.name().strip_prefix(FIELD_PREFIX));
    names.map(str::to_owned).collect()
}

/// Brings rows into the table's columns: what they lack is null, what is narrower is cast. That a column is narrower than
/// the rows is a mistake, not a loss.
pub(crate) fn fit(columns: &Columns, rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    if rows.schema_ref().fields() == columns.schema.fields() {
        return Ok(rows.clone());
    }
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let arrays = columns.schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(array) if array.data_type() == field.data_type() => Ok(Arc::clone(array)),
        Some(array) if wider(array.data_type(), field.data_type()) == *field.data_type() => {
            cast_with_options(array, field.data_type(), &options)
        }
        Some(array) => Err(ArrowError::CastError(format!(
            "{} of a column is wider than the table's {}",
            array.data_type(),
            field.data_type()
        ))),
        None => Ok(arrow::array::new_null_array(field.data_type(), rows.num_rows())),
    });
    RecordBatch::try_new(Arc::clone(&columns.schema), arrays.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::TableName;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use candor_model::TopicName;

    fn schema(fields: &[(&str, DataType)]) -> Schema {
        Schema::new(
            fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>(),
        )
    }

    fn fields(columns: &Columns) -> Vec<String> {
        let fields = columns.schema.fields().iter().filter(|field| field.name().starts_with(FIELD_PREFIX));
        fields.map(|field| format!("{} {}", field.name(), field.data_type())).collect()
    }

    #[test]
    fn fields_are_added_in_the_order_they_come_and_only_widen() {
        use DataType::{Boolean, Float64, Int64, Utf8};
        let mut columns = Columns::new(&TableName::Stream(TopicName("t".into())));
        observe(&mut columns, &schema(&[("v_b", Int64), ("v_a", Boolean), ("v_B", Utf8), ("x", Utf8)]));
        assert_eq!(fields(&columns), ["v_b Int64", "v_a Boolean"]);
        observe(&mut columns, &schema(&[("v_a", Boolean), ("v_b", Float64), ("v_c", Utf8)]));
        assert_eq!(fields(&columns), ["v_b Float64", "v_a Boolean", "v_c Utf8"]);
        observe(&mut columns, &schema(&[("v_a", Int64), ("v_b", Int64)]));
        assert_eq!(fields(&columns), ["v_b Float64", "v_a Utf8", "v_c Utf8"]);

        let rows = columns.assign_ids();
        let read = Columns::from_catalog(&TableName::Stream(TopicName("t".into())), &rows);
        assert_eq!((read.schema, read.ids), (Arc::clone(&columns.schema), columns.ids.clone()));
        observe(&mut columns, &schema(&[("v_b", Utf8)]));
        let changed = columns.assign_ids();
        assert_eq!(changed.len(), 1, "{changed:?}");
        assert_eq!((changed[0].id, changed[0].kind.as_str()), (columns.ids["v_b"].id, "varchar"));
        assert!(columns.assign_ids().is_empty());
    }

    #[test]
    fn a_table_has_so_many_fields_and_no_more() {
        let mut columns = Columns::new(&TableName::Stream(TopicName("t".into())));
        let many: Vec<(String, DataType)> =
            (0..FIELDS_MAX + 9).map(|n| (format!("v_f{n}"), DataType::Int64)).collect();
        let many: Vec<(&str, DataType)> =
            many.iter().map(|(name, kind)| (name.as_str(), kind.clone())).collect();
        observe(&mut columns, &schema(&many));
        assert_eq!(fields(&columns).len(), FIELDS_MAX);
        assert!(is_column("@timestamp") && is_column("größe") && !is_column("") && !is_column("a\nb"));
        assert!(!is_column(&"x".repeat(129)));
    }

    #[test]
    fn rows_are_cast_up_and_never_down() {
        let mut columns = Columns::new(&TableName::Stream(TopicName("t".into())));
        columns.schema = Arc::new(schema(&[("v_a", DataType::Utf8), ("v_b", DataType::Float64)]));
        let rows = |array: ArrayRef| RecordBatch::try_from_iter([("v_a", array)]).expect("rows");
        let fitted = fit(&columns, &rows(Arc::new(Int64Array::from(vec![5])))).expect("fits");
        assert_eq!(fitted.column(0).as_ref(), &StringArray::from(vec!["5"]) as &dyn arrow::array::Array);
        assert_eq!(fitted.column(1).null_count(), 1);
        columns.schema = Arc::new(schema(&[("v_a", DataType::Int64)]));
        assert!(fit(&columns, &rows(Arc::new(StringArray::from(vec!["5"])))).is_err());
    }
}
