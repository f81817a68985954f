//! The table of policies in `meta.db`.

use candor_meta::Migration;

/// Owner 0 is the instance, another number a project. A row is never changed but for when it began and ended.
pub const MIGRATIONS: &[Migration] = &[Migration {
    owner: "notices",
    version: 1,
    sql: "
CREATE TABLE policy_version (
    epoch INTEGER PRIMARY KEY AUTOINCREMENT,
    owner BIGINT NOT NULL,
    source TEXT NOT NULL,
    hash TEXT NOT NULL,
    is_interim SMALLINT NOT NULL,
    applied_by TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    effective_at BIGINT NOT NULL,
    activated_at BIGINT,
    ended_at BIGINT
);
CREATE INDEX policy_version_owner ON policy_version (owner, epoch);
",
}];
