//! Queries: SQL over the tables of the project a caller may read, and the search language.
//!
//! A query plans against a catalog that holds the caller's tables and nothing else: there is no `WHERE project =`
//! to forget. It runs on threads of its own, apart from ingest, within limits of time, memory, rows and bytes, and
//! never spills: nothing a query holds reaches a disk in the clear.

pub mod answer;
pub mod encode;
pub mod engine;
pub mod error;
pub mod language;
pub mod limits;
pub mod search;
pub mod source;
pub mod tail;

pub use answer::{Answer, Column, Stats};
pub use encode::Format;
pub use engine::{ColumnInfo, FunctionInfo, Options, Query, TableInfo};
pub use error::QueryError;
pub use limits::Limits;
pub use search::{Bucket, Facet, Histogram, SearchPage, SearchRequest};
pub use source::{IssueMap, NoIssues, Tables};
pub use tail::TailFilter;
