//! PostgreSQL: a pool over one schema.
//!
//! The server, not the value, decides a parameter's type: statements are prepared with no types declared and values
//! are encoded for what the server inferred. So NULL, an integer for a BOOLEAN column or text for a UUID column
//! need no casts, and a cached statement never meets a value encoded for another type.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgTypeInfo,
};
use sqlx::{
    Arguments, AssertSqlSafe, ConnectOptions, Either, Executor, Postgres, SqlSafeStr, Statement, Transaction,
    Type, TypeInfo,
};

use super::{Param, Row, SqlError, sql};

mod types;

/// Connections of one node. PostgreSQL allows 100 by default; a few nodes must fit.
const CONNECTIONS_MAX: u32 = 16;

/// How long a caller waits for a connection before it is told that the database is unreachable.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Statements whose rewritten text and parameter types are remembered; beyond it the memory starts anew.
const STATEMENTS_KEPT: usize = 2000;

pub(super) struct PostgresPool {
    pool: PgPool,
    statements: Arc<Statements>,
}

/// What is known of statements: their text with numbered placeholders and their parameters' types.
#[derive(Default)]
struct Statements(Mutex<HashMap<String, Known>>);

#[derive(Clone)]
struct Known {
    sql: Arc<str>,
    types: Option<Arc<[PgTypeInfo]>>,
}

impl PostgresPool {
    pub(super) async fn open(url: &str, schema: &str) -> Result<PostgresPool, SqlError> {
        let at = without_credentials(url);
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| SqlError::Open {
            at: at.clone(),
            source: error,
        };
        let plain = schema.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if schema.is_empty() || schema.len() > 63 || !plain {
            return Err(failed("a schema's name is made of lower-case letters, digits and _".into()));
        }
        let connect: PgConnectOptions = url.parse().map_err(|error: sqlx::Error| failed(Box::new(error)))?;
        let connect =
            connect.application_name("candor").options([("search_path", schema)]).disable_statement_logging();
        // Alone first: a pool tries again and again, and at last says nothing but that time is up.
        let first = tokio::time::timeout(ACQUIRE_TIMEOUT, connect.connect()).await;
        let first =
            first.unwrap_or(Err(sqlx::Error::PoolTimedOut)).map_err(|error| failed(Box::new(error)))?;
        drop(first);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(connect)
            .await
            .map_err(|error| failed(Box::new(error)))?;
        let opened = PostgresPool { pool, statements: Arc::default() };
        let mut tx = opened.begin(false).await?;
        // Two nodes that create the schema at once would collide in the system catalog.
        tx.lock("candor_schema").await?;
        tx.execute(&format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\""), &[]).await?;
        tx.commit().await?;
        Ok(opened)
    }

    pub(super) async fn query(&self, sql: &str, params: &[Param]) -> Result<Vec<Row>, SqlError> {
        let mut connection = self.pool.acquire().await?;
        query_on(&mut connection, &self.statements, sql, params).await
    }

    pub(super) async fn execute(&self, sql: &str, params: &[Param]) -> Result<u64, SqlError> {
        let mut connection = self.pool.acquire().await?;
        execute_on(&mut connection, &self.statements, sql, params).await
    }

    pub(super) async fn begin(&self, reading: bool) -> Result<PostgresTx, SqlError> {
        let statement = if reading {
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
        } else {
            "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
        };
        let tx = self.pool.begin_with(statement).await?;
        let mut tx = PostgresTx { tx, statements: Arc::clone(&self.statements) };
        if reading {
            // The snapshot is taken at the first query, not at BEGIN: take it now.
            tx.query("SELECT 1", &[]).await?;
        }
        Ok(tx)
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

pub(super) struct PostgresTx {
    tx: Transaction<'static, Postgres>,
    statements: Arc<Statements>,
}

impl PostgresTx {
    pub(super) async fn query(&mut self, sql: &str, params: &[Param]) -> Result<Vec<Row>, SqlError> {
        query_on(&mut self.tx, &self.statements, sql, params).await
    }

    pub(super) async fn execute(&mut self, sql: &str, params: &[Param]) -> Result<u64, SqlError> {
        execute_on(&mut self.tx, &self.statements, sql, params).await
    }

    pub(super) async fn lock(&mut self, name: &str) -> Result<(), SqlError> {
        // Names are scoped to the schema: two instances in one server do not wait for each other.
        self.query(
            "SELECT pg_advisory_xact_lock(hashtextextended(current_setting('search_path') || ?, 0))",
            &[Param::from(name)],
        )
        .await
        .map(drop)
    }

    pub(super) async fn try_lock(&mut self, name: &str) -> Result<bool, SqlError> {
        let rows = self
            .query(
                "SELECT pg_try_advisory_xact_lock(hashtextextended(current_setting('search_path') || ?, 0))",
                &[Param::from(name)],
            )
            .await?;
        rows.first().map_or(Ok(false), |row| Ok(row.int(0)? != 0))
    }

    pub(super) async fn commit(self) -> Result<(), SqlError> {
        self.tx.commit().await.map_err(SqlError::from)
    }
}

impl Statements {
    fn get(&self, sql: &str) -> Known {
        let mut known = self.0.lock();
        if let Some(found) = known.get(sql) {
            return found.clone();
        }
        if known.len() >= STATEMENTS_KEPT {
            known.clear();
        }
        let fresh = Known { sql: sql::number_placeholders(sql).into(), types: None };
        known.insert(sql.to_owned(), fresh.clone());
        fresh
    }

    fn learn(&self, sql: &str, types: &Arc<[PgTypeInfo]>) {
        if let Some(known) = self.0.lock().get_mut(sql) {
            known.types = Some(Arc::clone(types));
        }
    }
}

async fn prepared(
    connection: &mut PgConnection,
    statements: &Statements,
    sql: &str,
    params: &[Param],
) -> Result<(Arc<str>, PgArguments), SqlError> {
    let known = statements.get(sql);
    let types = match known.types {
        Some(types) => types,
        None => {
            let text = AssertSqlSafe(Arc::clone(&known.sql)).into_sql_str();
            let statement = connection.prepare(text).await?;
            let types: Arc<[PgTypeInfo]> = match statement.parameters() {
                Some(Either::Left(types)) => types.into(),
                _ => Arc::from([]),
            };
            statements.learn(sql, &types);
            types
        }
    };
    if types.len() != params.len() {
        return Err(SqlError::Statement(
            format!("the statement has {} placeholders, {} values were given", types.len(), params.len())
                .into(),
        ));
    }
    let mut arguments = PgArguments::default();
    for (param, type_info) in params.iter().zip(types.iter()) {
        let encoded = Encoded(types::encode(param, type_info.name())?);
        arguments.add(encoded).map_err(SqlError::Statement)?;
    }
    Ok((known.sql, arguments))
}

async fn query_on(
    connection: &mut PgConnection,
    statements: &Statements,
    sql: &str,
    params: &[Param],
) -> Result<Vec<Row>, SqlError> {
    let (text, arguments) = prepared(connection, statements, sql, params).await?;
    let rows = sqlx::query_with(AssertSqlSafe(text), arguments).fetch_all(connection).await?;
    rows.iter().map(types::read).collect()
}

async fn execute_on(
    connection: &mut PgConnection,
    statements: &Statements,
    sql: &str,
    params: &[Param],
) -> Result<u64, SqlError> {
    let (text, arguments) = prepared(connection, statements, sql, params).await?;
    Ok(sqlx::query_with(AssertSqlSafe(text), arguments).execute(connection).await?.rows_affected())
}

/// A value in the server's binary form, of the type that the server inferred.
struct Encoded(Option<Vec<u8>>);

impl Type<Postgres> for Encoded {
    fn type_info() -> PgTypeInfo {
        // Zero leaves the type to the server (PostgreSQL documentation, 54.7, Parse).
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Encoded {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        match &self.0 {
            None => Ok(IsNull::Yes),
            Some(bytes) => {
                buffer.extend_from_slice(bytes);
                Ok(IsNull::No)
            }
        }
    }
}

/// A connection address fit for messages: no user, no password, no parameters.
fn without_credentials(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = rest.split(['?', '#']).next().unwrap_or("");
    let host = rest.rsplit_once('@').map_or(rest, |(_, host)| host);
    format!("{scheme}://{host}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_server_without_credentials() {
        let shown = without_credentials("postgres://u:p@ss@db.example:5432/candor?password=x");
        assert_eq!(shown, "postgres://db.example:5432/candor");
    }
}
