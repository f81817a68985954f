//! Metadata in SQL: pools, migrations, transactions, and the types that scope every read and write.
//!
//! The only crate that names `sqlx`. Each crate owns its own tables' SQL and hands it to [`Database`], written once
//! with `?` placeholders for both SQLite and PostgreSQL.

pub mod database;
pub mod secret;
pub mod tenancy;

pub use database::{Database, Engine, Held, Migration, Param, Row, SqlError, SqliteOptions, Synchronous, Tx};
pub use tenancy::{
    KeyInfo, KeyKind, KeyLimits, Org, Project, ProjectKeys, ReadScope, Role, Tenancy, TenancyError,
    WriteScope,
};
