//! Attempts to read files, other projects or settings, and to change anything: all refused, each with words that
//! say so, none with a path or a name that the caller did not write.

use super::sql;
use crate::QueryError;

/// What is tried, and what the refusal says.
const ATTEMPTS: &[(&str, &str)] = &[
    // Files.
    ("SELECT * FROM '/etc/passwd'", "not found"),
    ("SELECT * FROM 'file:///etc/passwd'", "not found"),
    ("SELECT * FROM \"/etc/passwd.csv\"", "not found"),
    ("SELECT * FROM '../lake.db'", "not found"),
    ("SELECT * FROM 's3://bucket/file.parquet'", "not found"),
    ("SELECT * FROM 'http://127.0.0.1/x.parquet'", "not found"),
    ("SELECT * FROM read_csv('/etc/passwd')", "not found"),
    ("SELECT * FROM read_parquet('/etc/passwd')", "not found"),
    ("SELECT * FROM parquet_metadata('x.parquet')", "not found"),
    ("SELECT * FROM read_text('/etc/passwd')", "not found"),
    ("SELECT * FROM glob('/*')", "not found"),
    ("SELECT pg_read_file('/etc/passwd')", "Invalid function"),
    ("SELECT input_file_name() FROM logs", "Invalid function"),
    ("CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'", "CREATE EXTERNAL TABLE is not allowed"),
    ("COPY logs TO '/tmp/out.csv'", "COPY is not allowed"),
    ("COPY (SELECT * FROM logs) TO 's3://bucket/out.parquet' STORED AS PARQUET", "COPY is not allowed"),
    ("EXPLAIN COPY logs TO '/tmp/out.csv'", "COPY is not allowed"),
    ("EXPLAIN ANALYZE COPY logs TO '/tmp/out.csv'", "COPY is not allowed"),
    ("LOAD 'extension'", "is not allowed"),
    ("INSTALL httpfs", "is not allowed"),
    ("ATTACH 'other.db' AS other", "is not allowed"),
    // Other projects and schemas.
    ("SELECT * FROM other.logs", "not found"),
    ("SELECT * FROM \"acme/other\".logs", "not found"),
    ("SELECT * FROM p2.logs", "not found"),
    ("SELECT * FROM p2.main.logs", "not found"),
    ("SELECT * FROM candor.p2.logs", "not found"),
    ("SELECT * FROM public.logs", "not found"),
    ("SELECT * FROM datafusion.public.logs", "not found"),
    ("SELECT * FROM a.b.c.logs", ""),
    ("SELECT * FROM logs, other.errors", "not found"),
    ("SELECT (SELECT count(*) FROM p2.logs)", "not found"),
    ("WITH x AS (SELECT * FROM p2.logs) SELECT * FROM x", "not found"),
    ("SHOW TABLES FROM p2", "is not allowed"),
    ("DESCRIBE p2.logs", "not found"),
    ("SHOW COLUMNS FROM p2.logs", "is not allowed"),
    // Settings and the engine's own tables.
    ("SHOW ALL", "is not allowed"),
    ("SHOW datafusion.execution.batch_size", "is not allowed"),
    ("SET datafusion.execution.batch_size = 1", "is not allowed"),
    ("RESET datafusion.execution.batch_size", "RESET is not allowed"),
    ("SELECT * FROM information_schema.df_settings", "not found"),
    ("SELECT * FROM information_schema.routines", "not found"),
    ("SELECT * FROM information_schema.schemata", "not found"),
    ("SELECT * FROM pg_catalog.pg_tables", "not found"),
    ("SELECT * FROM sqlite_master", "not found"),
    ("SELECT @@version", ""),
    ("SELECT current_setting('x')", "Invalid function"),
    // Changes.
    ("INSERT INTO logs (body) VALUES ('x')", "is not allowed"),
    ("UPDATE logs SET body = 'x'", "is not allowed"),
    ("DELETE FROM logs", "is not allowed"),
    ("TRUNCATE TABLE logs", "is not allowed"),
    ("MERGE INTO logs USING errors ON true WHEN MATCHED THEN DELETE", "is not allowed"),
    ("CREATE TABLE t (a INT)", "is not allowed"),
    ("CREATE TABLE t AS SELECT * FROM logs", "is not allowed"),
    ("CREATE VIEW v AS SELECT * FROM logs", "is not allowed"),
    ("CREATE FUNCTION f(x INT) RETURNS INT RETURN x", "is not allowed"),
    ("CREATE SCHEMA s", "is not allowed"),
    ("CREATE DATABASE d", "is not allowed"),
    ("DROP TABLE logs", "is not allowed"),
    ("DROP VIEW logs", "is not allowed"),
    ("ALTER TABLE logs ADD COLUMN x INT", "is not allowed"),
    ("SELECT * INTO t FROM logs", ""),
    ("EXPLAIN INSERT INTO logs (body) VALUES ('x')", "is not allowed"),
    ("EXPLAIN ANALYZE DELETE FROM logs", "is not allowed"),
    ("PREPARE p AS SELECT 1", "is not allowed"),
    ("EXECUTE p", "is not allowed"),
    ("DEALLOCATE p", "is not allowed"),
    ("BEGIN", "is not allowed"),
    ("COMMIT", "is not allowed"),
    ("SELECT 1; DROP TABLE logs", "one statement at a time"),
    ("WITH x AS (INSERT INTO logs (body) VALUES ('x') RETURNING *) SELECT * FROM x", ""),
    ("SELECT * FROM (DELETE FROM logs)", ""),
    ("WITH RECURSIVE n AS (SELECT 1 AS a UNION ALL SELECT a + 1 FROM n) SELECT * FROM n", ""),
    ("SELECT * FROM logs FOR UPDATE", ""),
    ("GRANT SELECT ON logs TO x", "is not allowed"),
    ("KILL 1", "is not allowed"),
    ("VACUUM", "is not allowed"),
    ("ANALYZE logs", "is not allowed"),
    ("USE other", "is not allowed"),
    ("CALL f()", "is not allowed"),
    ("", "the query is empty"),
    ("-- only a comment", "the query is empty"),
    ("SELECT array_repeat(1, 1000000000)", "Invalid function"),
    ("SELECT range(0, 10000000000)", "Invalid function"),
];

#[tokio::test]
async fn every_attempt_is_refused_in_words() {
    assert!(ATTEMPTS.len() > 30);
    for (attempt, says) in ATTEMPTS {
        let refusal = match sql(attempt).await {
            Ok(mut answer) => match answer.collect().await {
                Ok(rows) => panic!("{attempt:?} was answered: {rows:?}"),
                Err(e) => e,
            },
            Err(e) => e,
        };
        assert!(
            matches!(refusal, QueryError::Refused(_) | QueryError::Plan(_) | QueryError::Syntax(_)),
            "{attempt:?}: {refusal:?}"
        );
        let words = refusal.to_string();
        assert!(words.contains(says), "{attempt:?} says {words:?}");
        assert!(!words.contains("root:"), "{attempt:?} says {words:?}");
        assert!(
            !words.to_lowercase().contains("datafusion") || attempt.contains("datafusion"),
            "{attempt:?} says {words:?}"
        );
    }
}

/// Further attempts: other ways to the same places, and what other engines have.
const FURTHER: &[(&str, &str)] = &[
    ("SELECT * FROM read_csv_auto('/etc/passwd')", "not found"),
    ("SELECT * FROM read_text('/etc/passwd')", "not found"),
    ("SELECT * FROM \"p2\".\"logs\"", "not found"),
    ("SELECT * FROM \"MAIN\".logs", "not found"),
    ("SELECT * FROM \"LOGS\"", "not found"),
    ("SELECT * FROM candor.\"1\".logs", "not found"),
    ("SELECT * FROM candor.information_schema.df_settings", "not found"),
    ("SELECT * FROM information_schema.views", "not found"),
    ("SELECT * FROM information_schema.parameters", "not found"),
    ("SELECT * FROM lake_token", "not found"),
    ("SELECT * FROM ducklake_data_file", "not found"),
    ("SELECT * FROM duckdb_settings()", "not found"),
    ("SELECT * FROM pragma_table_info('logs')", "not found"),
    ("SELECT * FROM sniff_csv('/etc/passwd')", "not found"),
    ("EXPLAIN VERBOSE SELECT * FROM p2.logs", "not found"),
    ("EXPLAIN ANALYZE SELECT * FROM '/etc/passwd'", "not found"),
    ("TABLE p2.logs", ""),
    ("VALUES ((SELECT count(*) FROM p2.logs))", "not found"),
    ("SELECT * FROM generate_series(1, 2) g, LATERAL (SELECT * FROM p2.logs) x", "not found"),
    ("SELECT * FROM logs UNION ALL SELECT * FROM other.logs", "not found"),
    ("SELECT * FROM logs WHERE EXISTS (SELECT 1 FROM p2.errors)", "not found"),
    ("SHOW CREATE TABLE logs", "is not allowed"),
    ("SHOW FUNCTIONS", "is not allowed"),
    ("SHOW DATABASES", "is not allowed"),
    ("SHOW SCHEMAS", "is not allowed"),
    ("SET TIME ZONE 'Europe/Berlin'", "is not allowed"),
    ("SET datafusion.execution.parquet.pushdown_filters TO true", "is not allowed"),
    ("PRAGMA database_list", "is not allowed"),
    ("CREATE EXTENSION httpfs", ""),
    ("COPY logs FROM '/etc/passwd'", ""),
    ("EXPORT DATABASE '/tmp/x'", ""),
    ("CREATE TEMPORARY TABLE t AS SELECT 1", "is not allowed"),
    ("CREATE SECRET s (TYPE http)", ""),
    ("DETACH main", "is not allowed"),
    ("LISTEN c", ""),
    ("SELECT getenv('HOME')", "Invalid function"),
    ("SELECT load_extension('x')", "Invalid function"),
    ("SELECT current_user", ""),
    ("SELECT current_database()", "Invalid function"),
    ("SELECT version()", "Invalid function"),
    ("SELECT file_row_index() FROM logs", "Invalid function"),
];

#[tokio::test]
async fn further_attempts_are_refused_too() {
    for (attempt, says) in FURTHER {
        let refusal = match sql(attempt).await {
            Ok(mut answer) => match answer.collect().await {
                Ok(rows) => panic!("{attempt:?} was answered: {rows:?}"),
                Err(e) => e,
            },
            Err(e) => e,
        };
        assert!(
            matches!(refusal, QueryError::Refused(_) | QueryError::Plan(_) | QueryError::Syntax(_)),
            "{attempt:?}: {refusal:?}"
        );
        let words = refusal.to_string();
        assert!(words.contains(says), "{attempt:?} says {words:?}");
    }
}

#[tokio::test]
async fn plans_are_shown_without_the_names_of_files() {
    for explain in
        ["EXPLAIN", "EXPLAIN VERBOSE", "EXPLAIN ANALYZE", "EXPLAIN ANALYZE VERBOSE", "EXPLAIN FORMAT TREE"]
    {
        let query = format!("{explain} SELECT max(body) FROM logs WHERE attributes['http.status'] = '200'");
        let plan = match sql(&query).await {
            Ok(answer) => super::rendered(answer, crate::Format::Json).await.expect("a plan"),
            Err(e) => e.to_string(),
        };
        for leak in ["parquet\"", ".parquet", "p1/", "/logs", "/home", "/root", "/tmp"] {
            assert!(!plan.contains(leak), "{explain} shows {leak}: {plan}");
        }
    }
}
