//! The tables of users: names, and what is kept of passwords.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use candor_meta::{Database, Migration, SqlError, Tx, params};
use candor_model::{ProjectId, Random, Timestamp};

use super::credentials::User;
use super::mechanism::{Hash, ScramKey};

pub(super) const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_users",
    version: 1,
    sql: "
CREATE TABLE stream_user (
    name TEXT PRIMARY KEY,
    project BIGINT NOT NULL,
    is_owner BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX stream_user_project ON stream_user (project);
CREATE TABLE stream_user_key (
    name TEXT NOT NULL,
    mechanism BIGINT NOT NULL,
    salt BLOB NOT NULL,
    iterations BIGINT NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL,
    PRIMARY KEY (name, mechanism)
);
CREATE TABLE stream_user_secret (
    id BIGINT PRIMARY KEY,
    secret BLOB NOT NULL
);
",
}];

/// All users by name.
pub(super) async fn load(mut tx: Tx) -> Result<BTreeMap<String, User>, SqlError> {
    let mut users = BTreeMap::new();
    for row in tx.query("SELECT name, project, is_owner, created_at FROM stream_user", &[]).await? {
        let user = User {
            project: ProjectId(row.int(1)?),
            is_owner: row.flag(2)?,
            created_at: Timestamp(row.int(3)?),
            keys: BTreeMap::new(),
            generation: 0,
        };
        users.insert(row.text(0)?.to_owned(), user);
    }
    let sql = "SELECT name, mechanism, salt, iterations, stored_key, server_key FROM stream_user_key";
    for row in tx.query(sql, &[]).await? {
        let hash = i8::try_from(row.int(1)?).ok().and_then(Hash::from_wire).ok_or(SqlError::Column(1))?;
        let iterations =
            u32::try_from(row.int(3)?).ok().and_then(NonZeroU32::new).ok_or(SqlError::Column(3))?;
        let key = ScramKey {
            salt: row.blob(2)?.to_vec(),
            iterations,
            stored_key: row.blob(4)?.to_vec(),
            server_key: row.blob(5)?.to_vec(),
        };
        if let Some(user) = users.get_mut(row.text(0)?) {
            user.keys.insert(hash, key);
        }
    }
    Ok(users)
}

/// A secret of the instance, made at the first start. The salts of users that do not exist follow from it.
pub(super) async fn secret(database: &Database, random: &dyn Random) -> Result<[u8; 32], SqlError> {
    let mut fresh = [0; 32];
    random.fill(&mut fresh);
    let mut tx = database.begin().await?;
    tx.execute(
        "INSERT INTO stream_user_secret (id, secret) VALUES (1, ?) ON CONFLICT (id) DO NOTHING",
        params![fresh.to_vec()],
    )
    .await?;
    let rows = tx.query("SELECT secret FROM stream_user_secret WHERE id = 1", &[]).await?;
    let secret = rows.first().ok_or(SqlError::Column(0))?.blob(0)?;
    let secret = secret.try_into().map_err(|_| SqlError::Column(0))?;
    tx.commit().await?;
    Ok(secret)
}

pub(super) async fn insert(tx: &mut Tx, name: &str, user: &User) -> Result<(), SqlError> {
    tx.execute(
        "INSERT INTO stream_user (name, project, is_owner, created_at) VALUES (?, ?, ?, ?)",
        params![name, user.project.0, user.is_owner, user.created_at.0],
    )
    .await?;
    Ok(())
}

/// Puts a user's keys in the place of those there were.
pub(super) async fn set_keys(
    tx: &mut Tx,
    name: &str,
    keys: &BTreeMap<Hash, ScramKey>,
) -> Result<(), SqlError> {
    tx.execute("DELETE FROM stream_user_key WHERE name = ?", params![name]).await?;
    for (hash, key) in keys {
        tx.execute(
            "INSERT INTO stream_user_key (name, mechanism, salt, iterations, stored_key, server_key) \
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                name,
                i64::from(hash.wire()),
                key.salt.clone(),
                i64::from(key.iterations.get()),
                key.stored_key.clone(),
                key.server_key.clone()
            ],
        )
        .await?;
    }
    Ok(())
}

pub(super) async fn delete(tx: &mut Tx, name: &str) -> Result<(), SqlError> {
    tx.execute("DELETE FROM stream_user_key WHERE name = ?", params![name]).await?;
    tx.execute("DELETE FROM stream_user WHERE name = ?", params![name]).await?;
    Ok(())
}
