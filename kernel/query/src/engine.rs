//! The query engine.

use std::sync::Arc;

use candor_meta::ReadScope;
use candor_model::Clock;

use crate::{Answer, IssueMap, Limits, QueryError, SearchPage, SearchRequest, Tables};

/// How large the engine is.
#[derive(Debug, Clone)]
pub struct Options {
    /// Threads that queries run on. They start with the first query.
    pub threads: usize,
    /// Queries that run at once; others wait.
    pub running_max: usize,
    /// Queries that wait at most; beyond they are refused.
    pub waiting_max: usize,
    /// Memory of all queries together, bytes.
    pub memory_bytes: usize,
    /// Memory for the metadata of files, bytes.
    pub cache_bytes: usize,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            running_max: 16,
            waiting_max: 256,
            memory_bytes: 1 << 30,
            cache_bytes: 32 << 20,
        }
    }
}

/// A table of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<ColumnInfo>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    /// Its name.
    pub name: String,
    /// Its type in SQL's words.
    pub r#type: String,
}

/// A function of SQL, for completion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionInfo {
    /// Its name.
    pub name: String,
    /// `scalar`, `aggregate`, `window` or `table`.
    pub kind: &'static str,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Query {}

impl Query {
    /// An engine over tables. Starts nothing until the first query.
    pub fn new(
        _tables: Arc<dyn Tables>,
        _issues: Arc<dyn IssueMap>,
        _clock: Arc<dyn Clock>,
        _options: Options,
    ) -> Query {
        todo!()
    }

    /// Runs one SELECT (or WITH, EXPLAIN, DESCRIBE, SHOW TABLES, SHOW COLUMNS) over the tables of the scope's
    /// project. Returns with the first rows, so that nearly every error is an error of this call.
    pub async fn sql(&self, _scope: &ReadScope, _sql: &str, _limits: Limits) -> Result<Answer, QueryError> {
        todo!()
    }

    /// Searches a table: newest rows, their number over time, and the commonest values.
    pub async fn search(
        &self,
        _scope: &ReadScope,
        _request: SearchRequest,
        _limits: Limits,
    ) -> Result<SearchPage, QueryError> {
        todo!()
    }

    /// The tables that a query of this scope sees.
    pub async fn schema(&self, _scope: &ReadScope) -> Result<Vec<TableInfo>, QueryError> {
        todo!()
    }

    /// The functions of SQL, sorted by name.
    pub fn functions(&self) -> Vec<FunctionInfo> {
        todo!()
    }
}
