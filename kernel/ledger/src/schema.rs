//! The tables of the ledger in `meta.db`.

use candor_meta::Migration;

/// The steps of the schema. Entries, tiles and checkpoints are only ever added to; details may be erased; what is open
/// counts reads until it becomes an entry.
pub const MIGRATIONS: &[Migration] = &[Migration {
    owner: "ledger",
    version: 1,
    sql: "
CREATE TABLE ledger_entry (
    id BIGINT PRIMARY KEY,
    project BIGINT NOT NULL,
    leaf TEXT NOT NULL
);
CREATE INDEX ledger_entry_project ON ledger_entry (project, id);
CREATE TABLE ledger_detail (
    id BIGINT PRIMARY KEY,
    project BIGINT NOT NULL,
    sealed BLOB NOT NULL
);
CREATE INDEX ledger_detail_project ON ledger_detail (project);
CREATE TABLE ledger_tile (
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    hashes BLOB NOT NULL,
    PRIMARY KEY (level, number)
);
CREATE TABLE ledger_checkpoint (
    size BIGINT PRIMARY KEY,
    note TEXT NOT NULL,
    made_at BIGINT NOT NULL,
    hourly BIGINT NOT NULL
);
CREATE INDEX ledger_checkpoint_made_at ON ledger_checkpoint (hourly, made_at);
CREATE TABLE ledger_open (
    key TEXT NOT NULL PRIMARY KEY,
    sealed BLOB NOT NULL
);
",
}];
