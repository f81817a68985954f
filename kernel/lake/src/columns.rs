//! The columns of a table: the gate's, the four that the lake adds, and the promoted copies of attributes; what the
//! catalog calls their types; which of them have bounds in the catalog, which a dictionary in Parquet.
//!
//! Columns are found by name and carry the ids that the catalog gave them, so a later release may add columns to a
//! signal: the catalog gets them at the next publish, and older files read as null there.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use candor_model::Signal;

use crate::name::TableName;
use crate::streams::columns::{FIELD_PREFIX, StreamTypes, field_type, stream_schema};

/// When the log took the row.
pub const INGESTED_AT: &str = "_ingested_at";
/// The partition of the topic.
pub const PARTITION: &str = "_partition";
/// The offset in the partition.
pub const OFFSET: &str = "_offset";
/// The policy epoch that the row was admitted under.
pub const EPOCH: &str = "_epoch";

/// The column that serves sorting and pruning by time.
pub(crate) const TIMESTAMP: &str = "timestamp";
/// The column that clusters rows of one origin.
pub(crate) const SERVICE: &str = "service_name";
/// The map whose frequent keys are promoted.
pub(crate) const ATTRIBUTES: &str = "attributes";
/// What the name of a promoted column begins with.
pub(crate) const PROMOTED_PREFIX: &str = "a_";

/// Columns whose bounds stand in the catalog, which is in the clear: numbers, times, and text that names no person.
/// Ids of traces, spans and events may stand there too but are random: their bounds prune nothing.
pub(crate) const BOUNDED: [&str; 13] = [
    TIMESTAMP,
    INGESTED_AT,
    OFFSET,
    EPOCH,
    "partition",
    "offset",
    "severity_number",
    "duration_ns",
    SERVICE,
    "severity_text",
    "level",
    "host_name",
    "source",
];

/// What a map's key is called, as Arrow names it.
pub(crate) const MAP_KEY: &str = "key";

/// Texts with so many values that a dictionary costs more than it saves (measured: 6% of size, 8% of time).
const HIGH_CARDINALITY: [&str; 12] = [
    "body",
    "trace_id",
    "span_id",
    "parent_span_id",
    "event_id",
    "value",
    "contexts",
    "event",
    ATTRIBUTES,
    "tags",
    "key",
    "headers",
];

/// Columns whose least and greatest values help no query, and are long.
const NO_STATISTICS: [&str; 8] =
    ["body", "value", "contexts", "event", ATTRIBUTES, "tags", "subjects", "headers"];

/// How the values of a column's leaf are laid out before compression. A map's keys repeat, whatever its values do; times
/// and offsets are near their neighbours; the lengths of texts apart from their bytes compress better than between them
/// (measured: a quarter of the times, 4% of a file, and faster to read).
pub(crate) fn layout(column: &str, leaf: &str) -> Layout {
    match column {
        TIMESTAMP | "observed_timestamp" | OFFSET | "offset" => Layout::Deltas,
        ATTRIBUTES | "tags" | "headers" if leaf == MAP_KEY => Layout::Dictionary,
        "timestamp_ns" | "duration_ns" | INGESTED_AT => Layout::Plain,
        _ if HIGH_CARDINALITY.contains(&column) => Layout::Texts,
        _ => Layout::Dictionary,
    }
}

/// A layout of values, as Parquet names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// RLE_DICTIONARY, plain where it grows too large.
    Dictionary,
    /// PLAIN.
    Plain,
    /// DELTA_BINARY_PACKED.
    Deltas,
    /// DELTA_LENGTH_BYTE_ARRAY.
    Texts,
}

/// True where a column's bounds help.
pub(crate) fn has_statistics(column: &str) -> bool {
    !NO_STATISTICS.contains(&column)
}

/// The type of all times.
pub(crate) fn time_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The schema of a signal's table without promoted columns: the gate's columns, then the lake's.
pub fn base_schema(signal: Signal) -> SchemaRef {
    static SCHEMAS: [OnceLock<SchemaRef>; 3] = [const { OnceLock::new() }; 3];
    let cell = match signal {
        Signal::Logs => &SCHEMAS[0],
        Signal::Errors => &SCHEMAS[1],
        Signal::Spans => &SCHEMAS[2],
    };
    Arc::clone(cell.get_or_init(|| {
        let fields = candor_gate::schema::schema(signal).fields().iter().cloned().collect();
        Arc::new(Schema::new(with_system_columns(fields)))
    }))
}

/// These columns and the four that the lake adds.
pub(crate) fn with_system_columns(mut fields: Vec<FieldRef>) -> Vec<FieldRef> {
    fields.push(Arc::new(Field::new(INGESTED_AT, time_type(), false)));
    fields.push(Arc::new(Field::new(PARTITION, DataType::Int32, false)));
    fields.push(Arc::new(Field::new(OFFSET, DataType::Int64, false)));
    fields.push(Arc::new(Field::new(EPOCH, DataType::Int32, false)));
    fields
}

/// The type of a promoted column. It never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PromotedType {
    Int,
    Float,
    Bool,
    Text,
}

impl PromotedType {
    pub(crate) fn arrow(self) -> DataType {
        match self {
            PromotedType::Int => DataType::Int64,
            PromotedType::Float => DataType::Float64,
            PromotedType::Bool => DataType::Boolean,
            PromotedType::Text => DataType::Utf8,
        }
    }

    fn from_catalog(name: &str) -> Option<PromotedType> {
        match name {
            "int64" => Some(PromotedType::Int),
            "float64" => Some(PromotedType::Float),
            "boolean" => Some(PromotedType::Bool),
            "varchar" => Some(PromotedType::Text),
            _ => None,
        }
    }
}

/// A key of the attributes that has a column of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Promoted {
    pub(crate) key: String,
    pub(crate) kind: PromotedType,
}

impl Promoted {
    pub(crate) fn column(&self) -> String {
        format!("{PROMOTED_PREFIX}{}", self.key)
    }
}

/// The ids that the catalog gave a column and its children (a list's element; a map's key and value).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnIds {
    pub(crate) id: i64,
    pub(crate) children: Vec<i64>,
    /// Its place among the columns.
    order: i64,
    /// Its type there, by the catalog's name.
    kind: String,
}

/// A row of `ducklake_column`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CatalogColumn {
    pub(crate) id: i64,
    pub(crate) order: i64,
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) parent: Option<i64>,
}

/// What is known of a table's columns.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    /// All columns in the order of the table.
    pub(crate) schema: SchemaRef,
    /// The promoted ones, in the order of the schema's end. A stream has none: what its schema ends with are fields.
    pub(crate) promoted: Vec<Promoted>,
    /// Those of a topic that is no signal's.
    pub(crate) is_stream: bool,
    /// The catalog's ids by column name; without those that are not in the catalog yet.
    pub(crate) ids: BTreeMap<String, ColumnIds>,
    next_id: i64,
    next_order: i64,
}

impl Columns {
    /// A table that the catalog does not have yet.
    pub(crate) fn new(name: &TableName) -> Columns {
        let schema = match name {
            TableName::Signal(signal) => base_schema(*signal),
            TableName::Stream(_) => stream_schema(StreamTypes::default()),
        };
        Columns {
            schema,
            promoted: Vec::new(),
            is_stream: name.is_stream(),
            ids: BTreeMap::new(),
            next_id: 1,
            next_order: 1,
        }
    }

    /// From the rows of the catalog.
    pub(crate) fn from_catalog(name: &TableName, rows: &[CatalogColumn]) -> Columns {
        let mut columns = Columns::new(name);
        let mut promoted = Vec::new();
        if columns.is_stream {
            let top = rows.iter().filter(|row| row.parent.is_none());
            let kinds = top.clone().map(|row| (row.name.as_str(), row.kind.as_str()));
            let base = stream_schema(StreamTypes::from_catalog(kinds));
            let mut found: Vec<&CatalogColumn> =
                top.filter(|row| row.name.starts_with(FIELD_PREFIX)).collect();
            found.sort_by_key(|row| row.order);
            let fields = found.into_iter().map(|row| Field::new(&row.name, field_type(&row.kind), true));
            let all: Vec<FieldRef> = base.fields().iter().cloned().chain(fields.map(Arc::new)).collect();
            columns.schema = Arc::new(Schema::new(all));
        }
        for row in rows {
            columns.next_id = columns.next_id.max(row.id + 1);
            columns.next_order = columns.next_order.max(row.order + 1);
            if row.parent.is_none() {
                let mut children: Vec<_> = rows.iter().filter(|child| child.parent == Some(row.id)).collect();
                children.sort_by_key(|child| child.order);
                let children = children.into_iter().map(|child| child.id).collect();
                let ids = ColumnIds { id: row.id, children, order: row.order, kind: row.kind.clone() };
                columns.ids.insert(row.name.clone(), ids);
                if !name.is_stream()
                    && let Some(key) = row.name.strip_prefix(PROMOTED_PREFIX)
                    && let Some(kind) = PromotedType::from_catalog(&row.kind)
                {
                    promoted.push((row.order, Promoted { key: key.to_owned(), kind }));
                }
            }
        }
        promoted.sort_by_key(|(order, _)| *order);
        columns.promote(promoted.into_iter().map(|(_, promoted)| promoted));
        columns
    }

    /// Adds promoted columns to the schema.
    pub(crate) fn promote(&mut self, more: impl IntoIterator<Item = Promoted>) {
        let mut fields: Vec<_> = self.schema.fields().iter().cloned().collect();
        for promoted in more {
            fields.push(Arc::new(Field::new(promoted.column(), promoted.kind.arrow(), true)));
            self.promoted.push(promoted);
        }
        self.schema = Arc::new(Schema::new(fields));
    }

    /// Gives ids to the columns that have none yet; gives the rows to add to the catalog: those, and fields of a stream
    /// whose type there is another, under the ids that they have.
    pub(crate) fn assign_ids(&mut self) -> Vec<CatalogColumn> {
        let mut rows = Vec::new();
        for field in self.schema.fields().iter() {
            if let Some(ids) = self.ids.get_mut(field.name()) {
                let kind = catalog_type(field.data_type());
                if self.is_stream && field.name().starts_with(FIELD_PREFIX) && ids.kind != kind {
                    kind.clone_into(&mut ids.kind);
                    rows.push(CatalogColumn {
                        id: ids.id,
                        order: ids.order,
                        name: field.name().clone(),
                        kind: kind.to_owned(),
                        parent: None,
                    });
                }
                continue;
            }
            let order = self.next_order;
            let mut take = |name: &str, kind: &str, parent: Option<i64>| {
                let (id, order) = (self.next_id, self.next_order);
                self.next_id += 1;
                self.next_order += 1;
                rows.push(CatalogColumn { id, order, name: name.to_owned(), kind: kind.to_owned(), parent });
                id
            };
            let kind = catalog_type(field.data_type());
            let id = take(field.name(), kind, None);
            let children = match field.data_type() {
                DataType::List(element) => {
                    vec![take("element", catalog_type(element.data_type()), Some(id))]
                }
                DataType::Map(entries, _) => match entries.data_type() {
                    DataType::Struct(pair) => ["key", "value"]
                        .into_iter()
                        .zip(pair.iter())
                        .map(|(name, field)| take(name, catalog_type(field.data_type()), Some(id)))
                        .collect(),
                    _ => Vec::new(),
                },
                _ => Vec::new(),
            };
            let ids = ColumnIds { id, children, order, kind: kind.to_owned() };
            self.ids.insert(field.name().clone(), ids);
        }
        rows
    }

    /// Takes over the ids that a commit gave to columns like these, as they were before.
    pub(crate) fn adopt_ids(&mut self, committed: &Columns) {
        self.ids.clone_from(&committed.ids);
        (self.next_id, self.next_order) = (committed.next_id, committed.next_order);
    }

    /// The schema with the catalog's ids as Parquet field ids, by which DuckLake finds columns.
    pub(crate) fn schema_with_ids(&self) -> Schema {
        let tag = |field: &Field, id: Option<&i64>| match id {
            Some(id) => field
                .clone()
                .with_metadata([("PARQUET:field_id".to_owned(), id.to_string())].into_iter().collect()),
            None => field.clone(),
        };
        let fields = self.schema.fields().iter().map(|field| {
            let Some(ids) = self.ids.get(field.name()) else { return Arc::clone(field) };
            let kind = match field.data_type() {
                DataType::List(element) => DataType::List(Arc::new(tag(element, ids.children.first()))),
                DataType::Map(entries, sorted) => match entries.data_type() {
                    DataType::Struct(pair) => {
                        let pair: Fields = pair
                            .iter()
                            .enumerate()
                            .map(|(n, field)| Arc::new(tag(field, ids.children.get(n))))
                            .collect();
                        let entries = entries.as_ref().clone().with_data_type(DataType::Struct(pair));
                        DataType::Map(Arc::new(entries), *sorted)
                    }
                    _ => field.data_type().clone(),
                },
                other => other.clone(),
            };
            Arc::new(tag(&field.as_ref().clone().with_data_type(kind), Some(&ids.id)))
        });
        Schema::new(fields.collect::<Vec<_>>())
    }
}

/// DuckLake's name of a type (https://ducklake.select/docs/stable/specification/data_types).
pub(crate) fn catalog_type(kind: &DataType) -> &'static str {
    match kind {
        DataType::Boolean => "boolean",
        DataType::Int32 => "int32",
        DataType::Int64 => "int64",
        DataType::Float64 => "float64",
        DataType::Timestamp(_, Some(_)) => "timestamptz",
        DataType::Timestamp(_, None) => "timestamp",
        DataType::List(_) => "list",
        DataType::Map(_, _) => "map",
        DataType::Binary => "blob",
        _ => "varchar",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_go_to_columns_and_their_children_and_come_back_from_the_catalog() {
        let mut columns = Columns::new(&Signal::Logs.into());
        let rows = columns.assign_ids();
        assert!(rows.iter().any(|row| row.name == "key" && row.parent == Some(columns.ids[ATTRIBUTES].id)));
        assert_eq!(columns.ids[ATTRIBUTES].children.len(), 2);
        columns.promote([Promoted { key: "http.status".into(), kind: PromotedType::Int }]);
        let more = columns.assign_ids();
        assert_eq!(more.len(), 1);
        assert_eq!(more[0].id, rows.len() as i64 + 1);

        let all: Vec<_> = rows.into_iter().chain(more).collect();
        let read = Columns::from_catalog(&Signal::Logs.into(), &all);
        assert_eq!(read.ids, columns.ids);
        assert_eq!(read.promoted, columns.promoted);
        assert_eq!(read.schema, columns.schema);
        assert_eq!(read.next_id, columns.next_id);
    }
}
