//! The catalog's tables: DuckLake 1.0's own (https://ducklake.select/docs/stable/specification/tables/overview), as
//! its DuckDB extension makes them on SQLite and on PostgreSQL, and ours beside them. Readers of DuckLake tolerate
//! other tables and indexes in the same database.

use candor_meta::{Engine, Migration};

/// DuckLake's tables, in the types of an engine: a flag, a moment, a UUID.
macro_rules! ducklake {
    ($flag:literal, $moment:literal, $uuid:literal) => {
        concat!(
            "CREATE TABLE ducklake_metadata(\"key\" VARCHAR NOT NULL, \"value\" VARCHAR NOT NULL,
                \"scope\" VARCHAR, scope_id BIGINT);
            CREATE TABLE ducklake_snapshot(snapshot_id BIGINT PRIMARY KEY, snapshot_time ", $moment, ",
                schema_version BIGINT, next_catalog_id BIGINT, next_file_id BIGINT);
            CREATE TABLE ducklake_snapshot_changes(snapshot_id BIGINT PRIMARY KEY, changes_made VARCHAR,
                author VARCHAR, commit_message VARCHAR, commit_extra_info VARCHAR);
            CREATE TABLE ducklake_schema(schema_id BIGINT PRIMARY KEY, schema_uuid ", $uuid, ",
                begin_snapshot BIGINT, end_snapshot BIGINT, schema_name VARCHAR, path VARCHAR,
                path_is_relative ", $flag, ");
            CREATE TABLE ducklake_table(table_id BIGINT, table_uuid ", $uuid, ", begin_snapshot BIGINT,
                end_snapshot BIGINT, schema_id BIGINT, table_name VARCHAR, path VARCHAR,
                path_is_relative ", $flag, ");
            CREATE TABLE ducklake_view(view_id BIGINT, view_uuid ", $uuid, ", begin_snapshot BIGINT,
                end_snapshot BIGINT, schema_id BIGINT, view_name VARCHAR, dialect VARCHAR, \"sql\" VARCHAR,
                column_aliases VARCHAR);
            CREATE TABLE ducklake_tag(object_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT,
                \"key\" VARCHAR, \"value\" VARCHAR);
            CREATE TABLE ducklake_column_tag(table_id BIGINT, column_id BIGINT, begin_snapshot BIGINT,
                end_snapshot BIGINT, \"key\" VARCHAR, \"value\" VARCHAR);
            CREATE TABLE ducklake_data_file(data_file_id BIGINT PRIMARY KEY, table_id BIGINT,
                begin_snapshot BIGINT, end_snapshot BIGINT, file_order BIGINT, path VARCHAR,
                path_is_relative ", $flag, ", file_format VARCHAR, record_count BIGINT, file_size_bytes BIGINT,
                footer_size BIGINT, row_id_start BIGINT, partition_id BIGINT, encryption_key VARCHAR,
                mapping_id BIGINT, partial_max BIGINT);
            CREATE TABLE ducklake_file_column_stats(data_file_id BIGINT, table_id BIGINT, column_id BIGINT,
                column_size_bytes BIGINT, value_count BIGINT, null_count BIGINT, min_value VARCHAR,
                max_value VARCHAR, contains_nan ", $flag, ", extra_stats VARCHAR);
            CREATE TABLE ducklake_file_variant_stats(data_file_id BIGINT, table_id BIGINT, column_id BIGINT,
                variant_path VARCHAR, shredded_type VARCHAR, column_size_bytes BIGINT, value_count BIGINT,
                null_count BIGINT, min_value VARCHAR, max_value VARCHAR, contains_nan ", $flag, ",
                extra_stats VARCHAR);
            CREATE TABLE ducklake_delete_file(delete_file_id BIGINT PRIMARY KEY, table_id BIGINT,
                begin_snapshot BIGINT, end_snapshot BIGINT, data_file_id BIGINT, path VARCHAR,
                path_is_relative ", $flag, ", format VARCHAR, delete_count BIGINT, file_size_bytes BIGINT,
                footer_size BIGINT, encryption_key VARCHAR, partial_max BIGINT);
            CREATE TABLE ducklake_column(column_id BIGINT, begin_snapshot BIGINT, end_snapshot BIGINT,
                table_id BIGINT, column_order BIGINT, column_name VARCHAR, column_type VARCHAR,
                initial_default VARCHAR, default_value VARCHAR, nulls_allowed ", $flag, ",
                parent_column BIGINT, default_value_type VARCHAR, default_value_dialect VARCHAR);
            CREATE TABLE ducklake_table_stats(table_id BIGINT, record_count BIGINT, next_row_id BIGINT,
                file_size_bytes BIGINT);
            CREATE TABLE ducklake_table_column_stats(table_id BIGINT, column_id BIGINT,
                contains_null ", $flag, ", contains_nan ", $flag, ", min_value VARCHAR, max_value VARCHAR,
                extra_stats VARCHAR);
            CREATE TABLE ducklake_partition_info(partition_id BIGINT, table_id BIGINT, begin_snapshot BIGINT,
                end_snapshot BIGINT);
            CREATE TABLE ducklake_partition_column(partition_id BIGINT, table_id BIGINT,
                partition_key_index BIGINT, column_id BIGINT, \"transform\" VARCHAR);
            CREATE TABLE ducklake_file_partition_value(data_file_id BIGINT, table_id BIGINT,
                partition_key_index BIGINT, partition_value VARCHAR);
            CREATE TABLE ducklake_files_scheduled_for_deletion(data_file_id BIGINT, path VARCHAR,
                path_is_relative ", $flag, ", schedule_start ", $moment, ");
            CREATE TABLE ducklake_inlined_data_tables(table_id BIGINT, table_name VARCHAR,
                schema_version BIGINT);
            CREATE TABLE ducklake_column_mapping(mapping_id BIGINT, table_id BIGINT, \"type\" VARCHAR);
            CREATE TABLE ducklake_name_mapping(mapping_id BIGINT, column_id BIGINT, source_name VARCHAR,
                target_field_id BIGINT, parent_column BIGINT, is_partition ", $flag, ");
            CREATE TABLE ducklake_schema_versions(begin_snapshot BIGINT, schema_version BIGINT,
                table_id BIGINT);
            CREATE TABLE ducklake_macro(schema_id BIGINT, macro_id BIGINT, macro_name VARCHAR,
                begin_snapshot BIGINT, end_snapshot BIGINT);
            CREATE TABLE ducklake_macro_impl(macro_id BIGINT, impl_id BIGINT, dialect VARCHAR,
                \"sql\" VARCHAR, \"type\" VARCHAR);
            CREATE TABLE ducklake_macro_parameters(macro_id BIGINT, impl_id BIGINT, column_id BIGINT,
                parameter_name VARCHAR, parameter_type VARCHAR, default_value VARCHAR,
                default_value_type VARCHAR);
            CREATE TABLE ducklake_sort_info(sort_id BIGINT, table_id BIGINT, begin_snapshot BIGINT,
                end_snapshot BIGINT);
            CREATE TABLE ducklake_sort_expression(sort_id BIGINT, table_id BIGINT, sort_key_index BIGINT,
                expression VARCHAR, dialect VARCHAR, sort_direction VARCHAR, null_order VARCHAR);"
        )
    };
}

const DUCKLAKE_SQLITE: &str = ducklake!("BIGINT", "VARCHAR", "VARCHAR");
const DUCKLAKE_POSTGRES: &str = ducklake!("BOOLEAN", "TIMESTAMPTZ", "UUID");

/// Our side tables and the indexes that our statements need.
///
/// `candor_lake_table`: which table is which project's. `candor_lake_position`: how far the table has come in the
/// log, in the same transaction as the files that brought it there. `candor_lake_file`: what pruning, retention and
/// merging ask of a file, as numbers. `candor_lake_intent`: objects about to be written; what stands here without a
/// catalog row is the garbage of a crash. `candor_lake_sidecar`: the search indexes of a file. `candor_lake_denied`:
/// files with erased rows. `candor_lake_dropped`: deleted projects, whose log is not made into tables again.
const SIDE: &str = "
    CREATE TABLE candor_lake_table(table_id BIGINT PRIMARY KEY, project BIGINT NOT NULL, signal TEXT NOT NULL,
        UNIQUE(project, signal));
    CREATE TABLE candor_lake_position(project BIGINT NOT NULL, signal TEXT NOT NULL, part BIGINT NOT NULL,
        next_offset BIGINT NOT NULL, PRIMARY KEY(project, signal, part));
    CREATE TABLE candor_lake_file(data_file_id BIGINT PRIMARY KEY, table_id BIGINT NOT NULL,
        signal TEXT NOT NULL, ingest_day BIGINT NOT NULL, time_min BIGINT NOT NULL, time_max BIGINT NOT NULL,
        ingested_min BIGINT NOT NULL, ingested_max BIGINT NOT NULL, raw_bytes BIGINT NOT NULL);
    CREATE TABLE candor_lake_intent(path TEXT PRIMARY KEY);
    CREATE TABLE candor_lake_sidecar(data_file_id BIGINT NOT NULL, kind TEXT NOT NULL, path TEXT NOT NULL,
        bytes BIGINT NOT NULL, PRIMARY KEY(data_file_id, kind));
    CREATE TABLE candor_lake_denied(path TEXT PRIMARY KEY);
    CREATE TABLE candor_lake_dropped(project BIGINT PRIMARY KEY);
    CREATE INDEX candor_lake_file_age ON candor_lake_file(signal, ingested_max);
    CREATE INDEX candor_data_file_table ON ducklake_data_file(table_id);
    CREATE INDEX candor_data_file_path ON ducklake_data_file(path);
    CREATE INDEX candor_data_file_ended ON ducklake_data_file(end_snapshot) WHERE end_snapshot IS NOT NULL;
    CREATE INDEX candor_file_stats ON ducklake_file_column_stats(data_file_id);
    CREATE INDEX candor_column_table ON ducklake_column(table_id);
    CREATE INDEX candor_table_id ON ducklake_table(table_id);
    CREATE INDEX candor_table_stats ON ducklake_table_stats(table_id);";

/// Read tokens, in `meta.db`.
const TOKENS: &str = "
    CREATE TABLE candor_lake_token(token_hash BLOB PRIMARY KEY, project BIGINT NOT NULL, actor TEXT NOT NULL,
        expires_at BIGINT NOT NULL);
    CREATE INDEX candor_lake_token_expiry ON candor_lake_token(expires_at);";

/// The catalog's steps on an engine.
pub(crate) fn catalog(engine: Engine) -> Vec<Migration> {
    let ducklake = match engine {
        Engine::Sqlite => DUCKLAKE_SQLITE,
        Engine::Postgres => DUCKLAKE_POSTGRES,
    };
    vec![
        Migration { owner: "ducklake", version: 1, sql: ducklake },
        Migration { owner: "lake", version: 1, sql: SIDE },
    ]
}

/// DuckLake's tables alone, for an exported catalog.
pub(crate) fn exported() -> [Migration; 1] {
    [Migration { owner: "ducklake", version: 1, sql: DUCKLAKE_SQLITE }]
}

/// The steps in `meta.db`.
pub(crate) fn tokens() -> [Migration; 1] {
    [Migration { owner: "lake_token", version: 1, sql: TOKENS }]
}
