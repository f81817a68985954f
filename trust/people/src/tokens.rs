//! Personal tokens: what scripts use instead of a password. They act as their owner.

use candor_meta::params;
use candor_model::Timestamp;

use crate::{People, PeopleError, User, secret};

/// What every personal token begins with, so that a leaked one is recognised for what it is.
pub const TOKEN_PREFIX: &str = "candor_pat_";

/// Longest lifetime, seconds: ten years.
const LIFETIME_SECONDS_MAX: i64 = 10 * 366 * 86_400;

/// The last use is noted at most this often.
const NOTE_EVERY_SECONDS: i64 = 3_600;

/// A token as its owner sees it again: never the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonalToken {
    /// Its number.
    pub id: i64,
    /// What its owner called it.
    pub name: String,
    /// The last four characters.
    pub hint: String,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends.
    pub expires: Option<Timestamp>,
    /// When it was last used, to the hour.
    pub used: Option<Timestamp>,
}

impl People {
    /// Makes a token; the second value is the secret, shown once.
    pub async fn create_token(
        &self,
        user: &User,
        name: &str,
        lifetime_seconds: Option<i64>,
    ) -> Result<(PersonalToken, String), PeopleError> {
        let name = name.trim();
        let fits = (1..=100).contains(&name.chars().count());
        let ends_in_range = lifetime_seconds.is_none_or(|s| (1..=LIFETIME_SECONDS_MAX).contains(&s));
        if !fits || !ends_in_range {
            return Err(PeopleError::Token);
        }
        let secret = format!("{TOKEN_PREFIX}{}", secret::generate(&*self.inner.random));
        let digest = secret::digest(&secret).ok_or(PeopleError::Token)?;
        let hint: String = secret.chars().skip(secret.chars().count().saturating_sub(4)).collect();
        let created = self.inner.clock.now();
        let expires = lifetime_seconds.map(|seconds| created.plus_seconds(seconds));
        let mut tx = self.inner.database.begin().await?;
        let rows = tx
            .query(
                "INSERT INTO people_tokens (digest, user_id, name, hint, created_at, expires_at)
                 VALUES (?, ?, ?, ?, ?, ?) RETURNING id",
                params![digest, user.id, name, hint.as_str(), created.0, expires.map(|end| end.0)],
            )
            .await?;
        let id = rows.first().map(|row| row.int(0)).transpose()?.ok_or(PeopleError::Token)?;
        tx.execute(
            "INSERT INTO people_audit (at, actor, action, target) VALUES (?, ?, ?, ?)",
            params![created.0, user.actor(), "token.create", format!("token:{id}")],
        )
        .await?;
        tx.commit().await?;
        let token = PersonalToken { id, name: name.to_owned(), hint, created, expires, used: None };
        Ok((token, secret))
    }

    /// The tokens of a person, newest first.
    pub async fn tokens(&self, user: &User) -> Result<Vec<PersonalToken>, PeopleError> {
        let rows = self
            .inner
            .database
            .query(
                "SELECT id, name, hint, created_at, expires_at, used_at FROM people_tokens
                 WHERE user_id = ? ORDER BY id DESC",
                params![user.id],
            )
            .await?;
        rows.iter()
            .map(|row| {
                Ok(PersonalToken {
                    id: row.int(0)?,
                    name: row.text(1)?.to_owned(),
                    hint: row.text(2)?.to_owned(),
                    created: Timestamp(row.int(3)?),
                    expires: row.opt_int(4)?.map(Timestamp),
                    used: row.opt_int(5)?.map(Timestamp),
                })
            })
            .collect()
    }

    /// Revokes a token of that person; false where they have none of that number.
    pub async fn revoke_token(&self, user: &User, id: i64) -> Result<bool, PeopleError> {
        let removed = self
            .inner
            .database
            .execute("DELETE FROM people_tokens WHERE id = ? AND user_id = ?", params![id, user.id])
            .await?;
        if removed > 0 {
            self.audit(&user.actor(), "token.revoke", &format!("token:{id}")).await?;
        }
        Ok(removed > 0)
    }

    /// Who owns the presented token, and its number.
    pub async fn bearer(&self, presented: &str) -> Result<Option<(User, i64)>, PeopleError> {
        if !presented.starts_with(TOKEN_PREFIX) {
            return Ok(None);
        }
        let Some(digest) = secret::digest(presented) else { return Ok(None) };
        let now = self.inner.clock.now();
        let rows = self
            .inner
            .database
            .query(
                "SELECT u.id, u.email, t.id, t.used_at FROM people_tokens t JOIN people_users u ON u.id = t.user_id
                 WHERE t.digest = ? AND (t.expires_at IS NULL OR t.expires_at > ?)",
                params![digest, now.0],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let id = row.int(2)?;
        if row.opt_int(3)?.is_none_or(|used| now >= Timestamp(used).plus_seconds(NOTE_EVERY_SECONDS)) {
            let sql = "UPDATE people_tokens SET used_at = ? WHERE id = ?";
            self.inner.note(sql, params![now.0, id]).await?;
        }
        Ok(Some((User::from_row(row)?, id)))
    }
}
