//! The catalog of one query: the tables of one project, pinned when they are first named, and a description of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use candor_model::{IssueMap, Signal};
use datafusion::arrow::array::{ArrayRef, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::view::ViewTable;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, MemTable, SchemaProvider, TableProvider};
use datafusion::common::{DataFusionError, Result};
use datafusion::datasource::provider_as_source;
use datafusion::logical_expr::{Expr, LogicalPlanBuilder, cast, col};
use datafusion::prelude::lit;
use parking_lot::Mutex;
use tokio::sync::OnceCell;

use super::cache::FileCache;
use super::ledger::{self, LEDGER};
use super::scan::{PinnedTable, ScanCounts};
use crate::QueryError;
use crate::functions::issue;
use crate::source::{Scoped, View};

/// The catalog's name. A query never needs it.
pub(crate) const CATALOG: &str = "candor";

/// The schema of the project's tables, as in the catalog that `candor lake catalog` writes.
pub(crate) const SCHEMA: &str = "main";

/// The schema of topics that are no signal's.
pub(crate) const STREAM: &str = "stream";

/// Topics whose columns `information_schema.columns` lists; the columns of every other can be asked for by DESCRIBE.
const DESCRIBED_MAX: usize = 200;

/// The schema that describes the tables.
pub(crate) const INFORMATION: &str = "information_schema";

/// The column of `errors` that is resolved at read, and the one it stands behind.
const ISSUE: &str = "issue";
const ISSUE_AFTER: &str = "event_id";
const GROUP_HASHES: &str = "group_hashes";

/// The tables of one project as one query sees them. A table is pinned once: a query that names it twice reads the
/// same rows twice.
pub(crate) struct Project {
    tables: Arc<dyn Scoped>,
    issues: Arc<dyn IssueMap>,
    cache: Arc<FileCache>,
    counts: Arc<ScanCounts>,
    snapshot: Option<i64>,
    pinned: [OnceCell<View>; Signal::ALL.len()],
    /// Where the ledger ended when it was first read.
    ledger_end: Arc<OnceCell<u64>>,
    /// By name; none in a cell where no topic has that name.
    streams: Mutex<HashMap<String, Arc<OnceCell<Option<View>>>>>,
}

/// A table as people name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// A signal's.
    Main(String),
    /// A topic's.
    Stream(String),
}

impl Named {
    /// As it is written in SQL.
    pub(crate) fn written(&self) -> String {
        match self {
            Named::Main(name) => name.clone(),
            Named::Stream(name) => format!("{STREAM}.\"{}\"", name.replace('"', "\"\"")),
        }
    }
}

impl Project {
    /// Over the tables of a scope.
    pub(crate) fn new(
        tables: Arc<dyn Scoped>,
        issues: Arc<dyn IssueMap>,
        cache: Arc<FileCache>,
        counts: Arc<ScanCounts>,
        snapshot: Option<i64>,
    ) -> Arc<Project> {
        let (pinned, ledger_end, streams) = Default::default();
        Arc::new(Project { tables, issues, cache, counts, snapshot, pinned, ledger_end, streams })
    }

    /// A topic's table as SQL sees it. None where no topic has that name.
    pub(crate) async fn stream(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let cell = Arc::clone(self.streams.lock().entry(name.to_owned()).or_default());
        let pinned = cell.get_or_try_init(|| self.tables.pin_stream(name, self.snapshot)).await;
        let pinned = pinned.map_err(|error| QueryError::from_lake(error).into_datafusion())?;
        Ok(pinned.as_ref().map(|pinned| self.scanned(pinned) as Arc<dyn TableProvider>))
    }

    fn scanned(&self, pinned: &View) -> Arc<PinnedTable> {
        Arc::new(PinnedTable::new(
            pinned.clone(),
            Arc::clone(&self.tables),
            Arc::clone(&self.cache),
            Arc::clone(&self.counts),
        ))
    }

    /// The names of the topics, sorted.
    pub(crate) fn streams(&self) -> Vec<Arc<str>> {
        self.tables.streams()
    }

    /// The first topics, and those that this query pinned, with their columns as far as these are known.
    pub(crate) async fn stream_schemas(&self) -> Result<Vec<(Arc<str>, SchemaRef)>, QueryError> {
        let mut schemas = Vec::new();
        for (at, name) in self.streams().into_iter().enumerate() {
            let cell = self.streams.lock().get(&*name).map(Arc::clone);
            let view = cell.as_ref().and_then(|cell| cell.get()?.as_ref());
            let schema = match view {
                Some(view) => Some(Arc::clone(&view.schema)),
                None if at < DESCRIBED_MAX => {
                    self.tables.stream_columns(&name).await.map_err(QueryError::from_lake)?
                }
                None => None,
            };
            schemas.extend(schema.map(|schema| (name, schema)));
        }
        Ok(schemas)
    }

    /// A table, pinned.
    pub(crate) async fn pin(&self, signal: Signal) -> Result<&View, QueryError> {
        let at = Signal::ALL.iter().position(|of| *of == signal).unwrap_or_default();
        self.pinned[at]
            .get_or_try_init(|| self.tables.pin(signal, self.snapshot))
            .await
            .map_err(QueryError::from_lake)
    }

    /// A table as SQL sees it.
    pub(crate) async fn table(&self, signal: Signal) -> Result<Arc<dyn TableProvider>> {
        let pinned = self.pin(signal).await.map_err(QueryError::into_datafusion)?;
        let stored = self.scanned(pinned);
        if signal != Signal::Errors || pinned.schema.field_with_name(GROUP_HASHES).is_err() {
            return Ok(stored);
        }
        let issues = self.issues.issues(pinned.project);
        let mut columns: Vec<Expr> = Vec::with_capacity(pinned.schema.fields().len() + 1);
        for field in pinned.schema.fields() {
            columns.push(col(datafusion::common::Column::from_name(field.name())));
            if field.name() == ISSUE_AFTER {
                columns.push(issue_column(&issues));
            }
        }
        if pinned.schema.field_with_name(ISSUE_AFTER).is_err() {
            columns.push(issue_column(&issues));
        }
        let plan = LogicalPlanBuilder::scan(signal.name(), provider_as_source(stored), None)?
            .project(columns)?
            .build()?;
        Ok(Arc::new(ViewTable::new(plan, None)))
    }

    /// The ledger as SQL sees it. It is in no file, and so in no snapshot.
    pub(crate) fn ledger(&self) -> Result<Arc<dyn TableProvider>> {
        if self.snapshot.is_some() {
            let what = "the table ledger is in no snapshot: ask without one".to_owned();
            return Err(QueryError::Plan(what).into_datafusion());
        }
        ledger::table(&self.tables, &self.ledger_end, &self.counts)
    }

    /// The columns of a table as SQL sees it.
    pub(crate) async fn schema(&self, signal: Signal) -> Result<SchemaRef, QueryError> {
        Ok(self.table(signal).await.map_err(QueryError::from_datafusion)?.schema())
    }

    async fn information(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let batch = match name {
            "tables" => tables_batch(&self.streams())?,
            "columns" => {
                let mut columns = Columns::default();
                for signal in Signal::ALL {
                    let schema = self.schema(signal).await.map_err(QueryError::into_datafusion)?;
                    columns.push(SCHEMA, signal.name(), &schema);
                }
                columns.push(SCHEMA, LEDGER, &ledger::schema());
                let streams = self.stream_schemas().await.map_err(QueryError::into_datafusion)?;
                for (name, schema) in streams {
                    columns.push(STREAM, &name, &schema);
                }
                columns.batch()?
            }
            _ => return Ok(None),
        };
        Ok(Some(Arc::new(MemTable::try_new(batch.schema(), vec![vec![batch]])?)))
    }
}

/// `issue`: null where no issue owns a hash of the event yet.
fn issue_column(issues: &Arc<std::collections::HashMap<String, i64>>) -> Expr {
    if issues.is_empty() {
        return cast(lit(datafusion::common::ScalarValue::Null), DataType::Int64).alias(ISSUE);
    }
    issue::call(col(GROUP_HASHES), Arc::clone(issues)).alias(ISSUE)
}

/// The names of the tables that are no topic's.
fn main_names() -> impl Iterator<Item = &'static str> {
    Signal::ALL.into_iter().map(Signal::name).chain([LEDGER])
}

/// A table that is no topic's, by its name.
pub(crate) fn is_main(name: &str) -> bool {
    main_names().any(|known| known == name)
}

fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn tables_batch(streams: &[Arc<str>]) -> Result<RecordBatch> {
    let main = main_names().map(|name| (SCHEMA, name));
    let all = main.chain(streams.iter().map(|name| (STREAM, &**name)));
    let (schemas, names): (Vec<&str>, Vec<&str>) = all.unzip();
    let repeated = |text: &str| Arc::new(StringArray::from(vec![text; names.len()])) as ArrayRef;
    let schema = Schema::new(vec![
        text_field("table_catalog"),
        text_field("table_schema"),
        text_field("table_name"),
        text_field("table_type"),
    ]);
    let columns = vec![
        repeated(CATALOG),
        Arc::new(StringArray::from(schemas)) as ArrayRef,
        Arc::new(StringArray::from(names.clone())) as ArrayRef,
        repeated("BASE TABLE"),
    ];
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

#[derive(Default)]
struct Columns {
    schemas: Vec<&'static str>,
    tables: Vec<String>,
    names: Vec<String>,
    positions: Vec<i64>,
    nullable: Vec<&'static str>,
    types: Vec<String>,
}

impl Columns {
    fn push(&mut self, of: &'static str, table: &str, schema: &Schema) {
        for (at, field) in schema.fields().iter().enumerate() {
            self.schemas.push(of);
            self.tables.push(table.to_owned());
            self.names.push(field.name().clone());
            self.positions.push(at as i64 + 1);
            self.nullable.push(if field.is_nullable() { "YES" } else { "NO" });
            self.types.push(crate::encode::types::name(field.data_type()));
        }
    }

    fn batch(self) -> Result<RecordBatch> {
        let repeated = |text: &str| Arc::new(StringArray::from(vec![text; self.names.len()])) as ArrayRef;
        let schema = Schema::new(vec![
            text_field("table_catalog"),
            text_field("table_schema"),
            text_field("table_name"),
            text_field("column_name"),
            Field::new("ordinal_position", DataType::Int64, false),
            text_field("is_nullable"),
            text_field("data_type"),
        ]);
        let columns = vec![
            repeated(CATALOG),
            Arc::new(StringArray::from(self.schemas)) as ArrayRef,
            Arc::new(StringArray::from(self.tables)) as ArrayRef,
            Arc::new(StringArray::from(self.names)) as ArrayRef,
            Arc::new(Int64Array::from(self.positions)) as ArrayRef,
            Arc::new(StringArray::from(self.nullable)) as ArrayRef,
            Arc::new(StringArray::from(self.types)) as ArrayRef,
        ];
        Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
    }
}

/// [`Project`] in the shapes that the engine asks for.
pub(crate) struct Catalog(pub(crate) Arc<Project>);

impl fmt::Debug for Catalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Catalog")
    }
}

impl CatalogProviderList for Catalog {
    fn register_catalog(
        &self,
        _name: String,
        _catalog: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        vec![CATALOG.to_owned()]
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        (name == CATALOG).then(|| Arc::new(Catalog(Arc::clone(&self.0))) as Arc<dyn CatalogProvider>)
    }
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        vec![SCHEMA.to_owned(), STREAM.to_owned(), INFORMATION.to_owned()]
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        match name {
            SCHEMA => Some(Arc::new(Main(Arc::clone(&self.0)))),
            STREAM => Some(Arc::new(Streams(Arc::clone(&self.0)))),
            INFORMATION => Some(Arc::new(Information(Arc::clone(&self.0)))),
            _ => None,
        }
    }
}

struct Main(Arc<Project>);

impl fmt::Debug for Main {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Main")
    }
}

#[async_trait]
impl SchemaProvider for Main {
    fn table_names(&self) -> Vec<String> {
        main_names().map(str::to_owned).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        match Signal::from_name(name) {
            Some(signal) => Ok(Some(self.0.table(signal).await?)),
            None if name == LEDGER => Ok(Some(self.0.ledger()?)),
            None => Ok(None),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        is_main(name)
    }
}

struct Streams(Arc<Project>);

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Streams")
    }
}

#[async_trait]
impl SchemaProvider for Streams {
    fn table_names(&self) -> Vec<String> {
        self.0.streams().iter().map(|name| name.to_string()).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.0.stream(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        self.0.streams().iter().any(|known| **known == *name)
    }
}

struct Information(Arc<Project>);

impl fmt::Debug for Information {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Information")
    }
}

#[async_trait]
impl SchemaProvider for Information {
    fn table_names(&self) -> Vec<String> {
        vec!["tables".to_owned(), "columns".to_owned()]
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        self.0.information(name).await
    }

    fn table_exist(&self, name: &str) -> bool {
        matches!(name, "tables" | "columns")
    }
}
