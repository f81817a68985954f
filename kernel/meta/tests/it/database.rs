//! Statements, transactions, migrations.

use std::time::Duration;

use candor_meta::{Engine, Migration, Param, Row, SqlError, params};

use crate::{Bed, on_both_engines};

const SCHEMA: &[Migration] = &[Migration {
    owner: "test",
    version: 1,
    sql: "CREATE TABLE item (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, size INTEGER, share REAL, \
          data BLOB); -- a comment; with a semicolon
          CREATE TABLE part (item_id BIGINT NOT NULL REFERENCES item (id));",
}];

on_both_engines!(super::SCHEMA;
    values_come_back_as_they_went,
    a_cached_statement_takes_null_and_values_in_turn,
    a_dropped_transaction_leaves_nothing,
    writers_queue_and_none_is_lost,
    a_reading_transaction_sees_one_moment,
    constraints_are_told_apart,
    migrations_run_once_and_newer_ones_are_refused,
    a_failed_migration_leaves_nothing,
    sums_are_integers,
    types_of_other_schemas_are_served,
    locks_exclude,
    a_lock_is_held_by_one_process_as_long_as_its_connection_lives,
    a_closed_database_fails_as_transient,
    the_impatient_are_told_in_time,
);

async fn values_come_back_as_they_went(bed: Bed) {
    let values = params![i64::MIN, 1.5, "größe ? $1 ''", vec![0_u8, 255, 1]].to_vec();
    let sql =
        "INSERT INTO item (size, share, name, data) VALUES (?, ?, ?, ?) RETURNING size, share, name, data";
    let rows = bed.database.query(sql, &values).await.unwrap();
    assert_eq!(rows, [Row(values)]);
    let row = &bed.database.query("SELECT id, name, size, share, data FROM item", &[]).await.unwrap()[0];
    assert_eq!((row.int(0).unwrap(), row.text(1).unwrap()), (1, "größe ? $1 ''"));
    assert_eq!((row.opt_int(2).unwrap(), row.real(3).unwrap()), (Some(i64::MIN), 1.5));
    assert_eq!(row.blob(4).unwrap(), [0, 255, 1]);
    assert!(matches!(row.int(1), Err(SqlError::Column(1))));
    assert!(matches!(row.text(9), Err(SqlError::Column(9))));
}

async fn a_cached_statement_takes_null_and_values_in_turn(bed: Bed) {
    let sql = "INSERT INTO item (name, size, data) VALUES (?, ?, ?)";
    for values in [
        params![None::<i64>, None::<i64>, None::<i64>].to_vec(),
        params!["a", 7, vec![1_u8]].to_vec(),
        params![None::<&str>, 8, None::<Vec<u8>>].to_vec(),
    ] {
        assert_eq!(bed.database.execute(sql, &values).await.unwrap(), 1);
    }
    let rows = bed.database.query("SELECT name, size, data FROM item ORDER BY id", &[]).await.unwrap();
    assert_eq!(rows[0], Row(vec![Param::Null, Param::Null, Param::Null]));
    assert_eq!(rows[1], Row(params!["a", 7, vec![1_u8]].to_vec()));
    assert_eq!((rows[2].opt_text(0).unwrap(), rows[2].opt_blob(2).unwrap()), (None, None));
}

async fn a_dropped_transaction_leaves_nothing(bed: Bed) {
    let mut tx = bed.database.begin().await.unwrap();
    tx.execute("INSERT INTO item (name) VALUES (?)", params!["gone"]).await.unwrap();
    assert_eq!(tx.query("SELECT name FROM item", &[]).await.unwrap().len(), 1);
    drop(tx);
    let mut tx = bed.database.begin().await.unwrap();
    tx.execute("INSERT INTO item (name) VALUES (?)", params!["kept"]).await.unwrap();
    tx.commit().await.unwrap();
    let rows = bed.database.query("SELECT name FROM item", &[]).await.unwrap();
    assert_eq!(rows, [Row(params!["kept"].to_vec())]);
}

async fn writers_queue_and_none_is_lost(bed: Bed) {
    bed.database.execute("INSERT INTO item (name, size) VALUES ('n', 0)", &[]).await.unwrap();
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let database = bed.database.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let mut tx = database.begin().await.unwrap();
                    tx.execute("UPDATE item SET size = size + 1 WHERE name = 'n'", &[]).await.unwrap();
                    tx.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let rows = bed.database.query("SELECT size FROM item", &[]).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), 100);
}

async fn a_reading_transaction_sees_one_moment(bed: Bed) {
    let mut reading = bed.database.begin_read().await.unwrap();
    bed.database.execute("INSERT INTO item (name) VALUES ('later')", &[]).await.unwrap();
    assert!(reading.query("SELECT 1 FROM item", &[]).await.unwrap().is_empty());
    assert!(reading.execute("DELETE FROM item", &[]).await.is_err());
    drop(reading);
    assert_eq!(bed.database.query("SELECT 1 FROM item", &[]).await.unwrap().len(), 1);
}

async fn constraints_are_told_apart(bed: Bed) {
    let insert = "INSERT INTO item (name) VALUES ('same')";
    bed.database.execute(insert, &[]).await.unwrap();
    assert!(matches!(bed.database.execute(insert, &[]).await, Err(SqlError::Unique(_))));
    let orphan = bed.database.execute("INSERT INTO part (item_id) VALUES (77)", &[]).await;
    assert!(matches!(orphan, Err(SqlError::Statement(_))), "{orphan:?}");
    assert!(matches!(
        bed.database.query("SELECT nothing FROM nowhere", &[]).await,
        Err(SqlError::Statement(_))
    ));
    // Inside a transaction too.
    let mut tx = bed.database.begin().await.unwrap();
    assert!(matches!(tx.execute(insert, &[]).await, Err(SqlError::Unique(_))));
}

async fn migrations_run_once_and_newer_ones_are_refused(bed: Bed) {
    let second = Migration { owner: "test", version: 2, sql: "ALTER TABLE item ADD COLUMN color TEXT" };
    let both = [SCHEMA[0], second];
    bed.database.migrate(&both).await.unwrap();
    bed.database.migrate(&both).await.unwrap();
    let again = bed.engine.open(&both).await.unwrap();
    again.execute("INSERT INTO item (color) VALUES ('red')", &[]).await.unwrap();
    let older = bed.engine.open(SCHEMA).await;
    assert!(matches!(older.err(), Some(SqlError::Newer { found: 2, known: 1 })));
}

async fn a_failed_migration_leaves_nothing(bed: Bed) {
    let broken = Migration {
        owner: "other",
        version: 1,
        sql: "CREATE TABLE half (id BIGINT); CREATE TABLE half (id BIGINT);",
    };
    assert!(bed.database.migrate(&[broken]).await.is_err());
    let mended = Migration { owner: "other", version: 1, sql: "CREATE TABLE half (id BIGINT)" };
    bed.database.migrate(&[mended]).await.unwrap();
}

async fn sums_are_integers(bed: Bed) {
    for size in [1_i64 << 40, -3, 10] {
        bed.database.execute("INSERT INTO item (size) VALUES (?)", params![size]).await.unwrap();
    }
    let rows = bed.database.query("SELECT sum(size), count(*), max(size) > 5 FROM item", &[]).await.unwrap();
    assert_eq!(rows[0].int(0).unwrap(), (1 << 40) + 7);
    assert_eq!(rows[0].int(1).unwrap(), 3);
    assert!(rows[0].flag(2).unwrap());
}

/// DuckLake's tables have BOOLEAN, UUID and TIMESTAMPTZ columns.
async fn types_of_other_schemas_are_served(bed: Bed) {
    bed.database
        .execute("CREATE TABLE lake (at TIMESTAMPTZ, id UUID, active BOOLEAN, name VARCHAR, n INTEGER)", &[])
        .await
        .unwrap();
    let id = "0196f0b5-6a2c-7e11-8d00-00000000002a";
    let values = params!["2026-11-20T10:00:00.250000Z", id, true, "x", 3];
    bed.database.execute("INSERT INTO lake VALUES (?, ?, ?, ?, ?)", values).await.unwrap();
    let row = &bed.database.query("SELECT at, id, active, name, n FROM lake", &[]).await.unwrap()[0];
    assert_eq!(row.text(0).unwrap(), "2026-11-20T10:00:00.250000Z");
    assert_eq!((row.text(1).unwrap(), row.flag(2).unwrap(), row.int(4).unwrap()), (id, true, 3));
}

async fn locks_exclude(bed: Bed) {
    let mut first = bed.database.begin().await.unwrap();
    first.lock("it").await.unwrap();
    let other = bed.database.clone();
    let second = tokio::spawn(async move {
        let mut tx = other.begin().await.unwrap();
        tx.lock("it").await.unwrap();
        tx.query("SELECT count(*) FROM item", &[]).await.unwrap()[0].int(0).unwrap()
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.execute("INSERT INTO item (name) VALUES ('first')", &[]).await.unwrap();
    first.commit().await.unwrap();
    assert_eq!(second.await.unwrap(), 1);
}

async fn a_closed_database_fails_as_transient(bed: Bed) {
    bed.database.close().await;
    for result in [
        bed.database.query("SELECT 1", &[]).await.map(drop),
        bed.database.execute("DELETE FROM item", &[]).await.map(drop),
        bed.database.begin().await.map(drop),
    ] {
        assert!(matches!(&result, Err(error) if error.is_transient()), "{result:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_file_syncs_at_every_commit_and_overwrites_what_is_deleted() {
    let bed = Bed::sqlite(SCHEMA).await;
    let mut tx = bed.database.begin().await.unwrap();
    for (pragma, expected) in [
        ("synchronous", 2),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("temp_store", 2),
        ("busy_timeout", 2_000),
    ] {
        let rows = tx.query(&format!("PRAGMA {pragma}"), &[]).await.unwrap();
        assert_eq!(rows[0].int(0).unwrap(), expected, "{pragma}");
    }
    assert_eq!(tx.query("PRAGMA journal_mode", &[]).await.unwrap()[0].text(0).unwrap(), "wal");
    assert_eq!(bed.database.engine(), Engine::Sqlite);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sqlite_copy_is_whole_and_taken_beside_a_writer() {
    let bed = Bed::sqlite(SCHEMA).await;
    bed.database.execute("INSERT INTO item (name) VALUES ('copied')", &[]).await.unwrap();
    let mut writing = bed.database.begin().await.unwrap();
    writing.execute("INSERT INTO item (name) VALUES ('not yet')", &[]).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("copy.db");
    bed.database.copy_to(&path).await.unwrap();
    writing.commit().await.unwrap();
    let copy = candor_meta::Database::open_sqlite(&path, SCHEMA).await.unwrap();
    let rows = copy.query("SELECT name FROM item", &[]).await.unwrap();
    assert_eq!(rows, [Row(params!["copied"].to_vec())]);
    assert!(bed.database.copy_to(&path).await.is_err(), "an existing file is never overwritten");
    bed.database.checkpoint().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_reader_may_write_after_a_copy_that_was_given_up() {
    let bed = Bed::sqlite(SCHEMA).await;
    for n in 0..200 {
        bed.database
            .execute("INSERT INTO item (name) VALUES (?)", params![format!("item {n}")])
            .await
            .unwrap();
    }
    let folder = tempfile::tempdir().unwrap();
    for micros in (0..4000).step_by(100) {
        let path = folder.path().join(format!("{micros}.db"));
        let _ = tokio::time::timeout(Duration::from_micros(micros), bed.database.copy_to(&path)).await;
        let mut readers = Vec::new();
        for _ in 0..3 {
            readers.push(bed.database.begin_read().await.unwrap());
        }
        for reader in &mut readers {
            let rows = reader.query("PRAGMA query_only", &[]).await.unwrap();
            assert_eq!(rows[0].int(0).unwrap(), 1, "given up after {micros} microseconds");
        }
    }
}

async fn a_lock_is_held_by_one_process_as_long_as_its_connection_lives(bed: Bed) {
    let mut held = bed.database.hold("serve").await.unwrap().expect("it is free");
    held.check().await.unwrap();
    let other = bed.engine.open(&[]).await.unwrap();
    let second = other.hold("serve").await.unwrap();
    // On SQLite the folder's lock has kept other processes out already.
    assert_eq!(second.is_none(), bed.database.engine() == Engine::Postgres);
    assert_eq!(other.holder("serve").await.unwrap(), held.backend());
    assert_eq!(other.holder("nothing").await.unwrap(), None);
    assert!(other.hold("something else").await.unwrap().is_some());
    drop(second);
    if bed.database.engine() == Engine::Postgres {
        // The server ends the connection, as it does where a client vanished.
        // That of this lock alone: other tests lock in the same server.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'
                   AND ((classid::bigint << 32) | objid::bigint)
                       = hashtextextended(current_setting('search_path') || 'serve', 0)";
        other.query(end, &[]).await.unwrap();
        assert!(held.check().await.is_err_and(|error| error.is_transient()));
    }
    let mut tries = 0;
    while other.hold("serve").await.unwrap().is_none() {
        tries += 1;
        assert!(tries < 100, "a lost connection frees the lock");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn the_impatient_are_told_in_time(bed: Bed) {
    // Somebody else has the file: another program, as far as SQLite can tell.
    let other = bed.engine.open(SCHEMA).await.unwrap();
    let mut theirs = other.begin().await.unwrap();
    theirs.execute("INSERT INTO item (name) VALUES (?)", params!["theirs"]).await.unwrap();
    let hasty = bed.database.with_patience(Duration::from_millis(300));
    let began = std::time::Instant::now();
    let ours = async {
        let mut tx = hasty.begin().await?;
        tx.execute("INSERT INTO item (name) VALUES (?)", params!["ours"]).await?;
        tx.commit().await
    };
    match (ours.await, hasty.engine()) {
        (Err(error), Engine::Sqlite) => assert!(error.is_transient(), "{error:?}"),
        // Rows of their own do not meet there.
        (done, engine) => assert!(done.is_ok() && engine == Engine::Postgres, "{done:?}"),
    }
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // Reads go on.
    let sql = "SELECT count(*) FROM item WHERE name = 'theirs'";
    assert_eq!(hasty.query(sql, &[]).await.unwrap()[0].int(0).unwrap(), 0);
    theirs.commit().await.unwrap();
    // What gave up left nothing behind, and the next one passes.
    let patient = bed.database.execute("INSERT INTO item (name) VALUES (?)", params!["after"]).await;
    assert_eq!(patient.unwrap(), 1);
    assert_eq!(hasty.query(sql, &[]).await.unwrap()[0].int(0).unwrap(), 1);
}
