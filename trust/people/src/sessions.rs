//! Sessions of the browser: 256 random bits in a cookie, a digest in the table, an end that slides with use.

use std::net::IpAddr;

use candor_meta::params;
use candor_model::Timestamp;

use crate::accounts::normalise_email;
use crate::{People, PeopleError, User, secret};

/// A session unused for this long ends: two weeks, so that a weekly look does not ask for the password each time.
pub const SESSION_IDLE_SECONDS: i64 = 14 * 86_400;

/// No session lives longer than this, used or not.
pub const SESSION_SECONDS_MAX: i64 = 90 * 86_400;

/// The end slides at most this often: a write a request would make every page a write.
const SLIDE_EVERY_SECONDS: i64 = 3_600;

/// A session that just began.
#[derive(Debug)]
pub struct SignedIn {
    /// Who.
    pub user: User,
    /// The cookie's value, shown once.
    pub secret: String,
    /// When it ends if it is not used.
    pub expires: Timestamp,
}

impl People {
    /// Checks a password and begins a session. `peer` is for throttling alone and is not stored.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &str,
        peer: Option<IpAddr>,
    ) -> Result<SignedIn, PeopleError> {
        // What is no address has no account: the same answer, at the same price.
        let email = normalise_email(email).unwrap_or_default();
        let attempt = self
            .inner
            .throttle
            .begin(&email, peer, self.inner.clock.now())
            .map_err(|retry_after_seconds| PeopleError::Throttled { retry_after_seconds })?;
        match self.check(&email, password).await {
            Ok(Some(user)) => {
                self.inner.throttle.succeeded(attempt);
                self.begin_session(user).await
            }
            Ok(None) => Err(PeopleError::Credentials),
            // Nothing was learnt, so nothing was guessed.
            Err(error) => {
                self.inner.throttle.refund(attempt);
                Err(error)
            }
        }
    }

    /// Whose address and password these are.
    async fn check(&self, email: &str, password: &str) -> Result<Option<User>, PeopleError> {
        let rows = self
            .inner
            .database
            .query("SELECT id, email, password FROM people_users WHERE email = ?", params![email])
            .await?;
        let hash = rows.first().map(|row| row.text(2).map(str::to_owned)).transpose()?;
        let right = self.inner.hasher.verify(password, hash).await?;
        let user = rows.first().map(User::from_row).transpose()?;
        Ok(user.filter(|_| right))
    }

    /// Begins a session for a person whose identity is proven already.
    pub async fn begin_session(&self, user: User) -> Result<SignedIn, PeopleError> {
        let secret = secret::generate(&*self.inner.random);
        let digest = secret::digest(&secret).ok_or(PeopleError::Credentials)?;
        let now = self.inner.clock.now();
        let expires = now.plus_seconds(SESSION_IDLE_SECONDS);
        let mut tx = self.inner.database.begin().await?;
        // Ended sessions of anyone go now: no timer for it.
        tx.execute("DELETE FROM people_sessions WHERE expires_at < ?", params![now.0]).await?;
        tx.execute(
            "INSERT INTO people_sessions (digest, user_id, created_at, seen_at, expires_at) VALUES (?, ?, ?, ?, ?)",
            params![digest, user.id, now.0, now.0, expires.0],
        )
        .await?;
        tx.execute(
            "INSERT INTO people_audit (at, actor, action, target) VALUES (?, ?, ?, ?)",
            params![now.0, user.actor(), "session.begin", user.actor()],
        )
        .await?;
        tx.commit().await?;
        Ok(SignedIn { user, secret, expires })
    }

    /// Whose session the cookie names; its end slides.
    pub async fn session(&self, presented: &str) -> Result<Option<User>, PeopleError> {
        let Some(digest) = secret::digest(presented) else { return Ok(None) };
        let now = self.inner.clock.now();
        let rows = self
            .inner
            .database
            .query(
                "SELECT u.id, u.email, s.created_at, s.seen_at FROM people_sessions s
                 JOIN people_users u ON u.id = s.user_id WHERE s.digest = ? AND s.expires_at > ?",
                params![digest.clone(), now.0],
            )
            .await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (created, seen) = (Timestamp(row.int(2)?), Timestamp(row.int(3)?));
        if now >= seen.plus_seconds(SLIDE_EVERY_SECONDS) {
            let end = now.plus_seconds(SESSION_IDLE_SECONDS).min(created.plus_seconds(SESSION_SECONDS_MAX));
            let sql = "UPDATE people_sessions SET seen_at = ?, expires_at = ? WHERE digest = ?";
            self.inner.note(sql, params![now.0, end.0, digest]).await?;
        }
        Ok(Some(User::from_row(row)?))
    }

    /// Ends a session.
    pub async fn sign_out(&self, presented: &str) -> Result<(), PeopleError> {
        if let Some(digest) = secret::digest(presented) {
            self.inner
                .database
                .execute("DELETE FROM people_sessions WHERE digest = ?", params![digest])
                .await?;
        }
        Ok(())
    }
}
