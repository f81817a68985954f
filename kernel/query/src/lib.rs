//! Queries: SQL over the tables of the project a caller may read, and the search language.
//!
//! A query plans against a catalog that holds the caller's tables and nothing else: there is no `WHERE project =`
//! to forget. It runs on threads of its own, apart from ingest, within limits of time, memory, rows and bytes, and
//! never spills: nothing a query holds reaches a disk in the clear.

// Optimised builds lay out futures of the catalog's database calls, which nest deeper than the default.
#![recursion_limit = "256"]

pub mod answer;
mod dialect;
pub mod encode;
pub mod engine;
pub mod error;
mod functions;
pub mod language;
pub mod limits;
mod memory;
mod meter;
mod repeated;
mod run;
pub mod search;
mod session;
pub mod source;
mod statement;
mod tables;
pub mod tail;
#[cfg(test)]
mod tests;
mod yielding;

pub use answer::{Answer, Column, Given, Stats};
pub use candor_model::{IssueMap, NoIssues};
pub use encode::{Format, JsonRows};
pub use engine::{ColumnInfo, FunctionInfo, Options, Query, TableInfo};
pub use error::QueryError;
pub use limits::Limits;
pub use search::{Bucket, Facet, Histogram, SearchPage, SearchRequest};
pub use source::{Content, LedgerRow, LedgerRows, SourceError, Tables};
pub use tail::TailFilter;
