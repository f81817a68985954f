//! The tables of this crate. Digests are SHA-256 of secrets with 256 random bits, so they need no salt.

use candor_meta::Migration;

/// The steps of the schema.
pub const MIGRATIONS: &[Migration] = &[
    Migration {
        owner: "candor-people",
        version: 1,
        sql: "
CREATE TABLE people_users (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    email TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE people_setup (
    id BIGINT NOT NULL PRIMARY KEY,
    digest BLOB NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE TABLE people_sessions (
    digest BLOB NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX people_sessions_by_expiry ON people_sessions (expires_at);
CREATE INDEX people_sessions_by_user ON people_sessions (user_id);
CREATE TABLE people_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    digest BLOB NOT NULL UNIQUE,
    user_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    used_at BIGINT
);
CREATE INDEX people_tokens_by_user ON people_tokens (user_id);
CREATE TABLE people_audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL
);
",
    },
    Migration {
        owner: "candor-people",
        version: 2,
        sql: "
CREATE TABLE people_read_roles (
    user_id BIGINT NOT NULL,
    org_id BIGINT NOT NULL,
    role TEXT NOT NULL,
    PRIMARY KEY (user_id, org_id)
);
",
    },
];
