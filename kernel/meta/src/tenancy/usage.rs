//! What keys may use, and what they used today.

use super::{KeyLimits, Tenancy, TenancyError};
use crate::{Row, SqlError, Tx, params};

impl Tenancy {
    /// Gives a key limits of its own. Those of none take what holds for all keys.
    pub async fn set_key_limits(&self, key: i64, limits: KeyLimits) -> Result<(), TenancyError> {
        let mut tx = self.inner.database.begin().await?;
        set_limits_in(&mut tx, key, limits).await?;
        tx.commit().await?;
        self.inner.cache.invalidate();
        Ok(())
    }

    /// Adds to what keys used: key, day, bytes. A new day replaces the one before.
    pub async fn add_usage(&self, used: &[(i64, i64, u64)]) -> Result<(), SqlError> {
        if used.is_empty() {
            return Ok(());
        }
        let mut tx = self.inner.database.begin().await?;
        for (key, day, bytes) in used {
            tx.execute(
                "INSERT INTO key_usage (key_id, day, bytes) VALUES (?, ?, ?) \
                 ON CONFLICT (key_id) DO UPDATE SET day = excluded.day, \
                 bytes = CASE WHEN key_usage.day = excluded.day THEN key_usage.bytes ELSE 0 END + excluded.bytes \
                 WHERE key_usage.day <= excluded.day",
                params![*key, *day, i64::try_from(*bytes).unwrap_or(i64::MAX)],
            )
            .await?;
        }
        tx.commit().await
    }

    /// What keys used on a day: key, bytes.
    pub async fn usage(&self, day: i64) -> Result<Vec<(i64, u64)>, SqlError> {
        let rows = self
            .inner
            .database
            .query("SELECT key_id, bytes FROM key_usage WHERE day = ?", params![day])
            .await?;
        rows.iter().map(|row| Ok((row.int(0)?, u64::try_from(row.int(1)?).unwrap_or(0)))).collect()
    }
}

/// Writes a key's limits in a transaction of the caller's.
pub(super) async fn set_limits_in(tx: &mut Tx, key: i64, limits: KeyLimits) -> Result<(), SqlError> {
    let number = |limit: Option<u64>| limit.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    tx.execute(
        "INSERT INTO key_limit (key_id, requests_per_second, bytes_per_second, bytes_per_day) \
         VALUES (?, ?, ?, ?) ON CONFLICT (key_id) DO UPDATE SET \
         requests_per_second = excluded.requests_per_second, \
         bytes_per_second = excluded.bytes_per_second, bytes_per_day = excluded.bytes_per_day",
        params![
            key,
            number(limits.requests_per_second.map(u64::from)),
            number(limits.bytes_per_second),
            number(limits.bytes_per_day)
        ],
    )
    .await?;
    Ok(())
}

/// The limits in three columns of a row.
pub(super) fn limits(row: &Row, from: usize) -> Result<KeyLimits, SqlError> {
    let number = |column: usize| -> Result<Option<u64>, SqlError> {
        Ok(row.opt_int(column)?.map(|n| u64::try_from(n).unwrap_or(0)))
    };
    Ok(KeyLimits {
        requests_per_second: number(from)?.map(|n| u32::try_from(n).unwrap_or(u32::MAX)),
        bytes_per_second: number(from + 1)?,
        bytes_per_day: number(from + 2)?,
    })
}
