//! Passwords: argon2id, one at a time a core, off the async threads.

use std::sync::Arc;

use argon2::password_hash::{PasswordHash, SaltString};
use argon2::{Argon2, PasswordHasher, PasswordVerifier};
use candor_model::Random;
use tokio::sync::Semaphore;

use crate::PeopleError;

/// Fewest characters: NIST SP 800-63B asks for eight at the least, and more where a password stands alone, as here.
/// The screen asks for the same.
pub const PASSWORD_CHARS_MIN: usize = 12;

/// Most bytes: bounds the work of hashing; passphrases fit.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// Hashes computed at once. Each takes 19 MiB (OWASP's first choice of parameters, argon2's default), so this
/// bounds what a flood of sign-ins costs.
const CONCURRENT_MAX: usize = 2;

/// Hashes that may wait for their turn. Each takes some 30 ms, so the last of them waits about a second.
const WAITING_MAX: usize = 64;

/// A hash of no one's password, so that an unknown e-mail address costs the same time as a known one.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$Y2FuZG9yLW5vYm9keQ$\
                      5wNIhjOGx2g2AUVtKYNmLCXqHY1FhALBlHBr2rk1Zas";

pub(crate) struct Hasher {
    random: Arc<dyn Random>,
    permits: Arc<Semaphore>,
    /// Places of those at work and those that wait.
    places: Arc<Semaphore>,
}

impl Hasher {
    pub(crate) fn new(random: Arc<dyn Random>) -> Hasher {
        let permits = Arc::new(Semaphore::new(CONCURRENT_MAX));
        let places = Arc::new(Semaphore::new(CONCURRENT_MAX + WAITING_MAX));
        Hasher { random, permits, places }
    }

    /// The hash of a new password, after checking its length.
    pub(crate) async fn hash(&self, password: &str) -> Result<String, PeopleError> {
        if password.chars().count() < PASSWORD_CHARS_MIN || password.len() > PASSWORD_BYTES_MAX {
            return Err(PeopleError::Password);
        }
        let mut salt = [0; 16];
        self.random.fill(&mut salt);
        let password = password.to_owned();
        self.blocking(move || {
            let salt = SaltString::encode_b64(&salt).map_err(|error| PeopleError::Hash(error.to_string()))?;
            Argon2::default()
                .hash_password(password.as_bytes(), &salt)
                .map(|hash| hash.to_string())
                .map_err(|error| PeopleError::Hash(error.to_string()))
        })
        .await
    }

    /// True where the password made the hash; with no hash the same work is done for nothing.
    pub(crate) async fn verify(&self, password: &str, hash: Option<String>) -> Result<bool, PeopleError> {
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let password = password.to_owned();
        self.blocking(move || {
            let known = hash.is_some();
            let hash = hash.unwrap_or_else(|| NOBODY.to_owned());
            let parsed = PasswordHash::new(&hash).map_err(|error| PeopleError::Hash(error.to_string()))?;
            let matches = Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok();
            Ok(matches && known)
        })
        .await
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PeopleError> + Send + 'static,
    ) -> Result<T, PeopleError> {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| PeopleError::Busy)?;
        let permit = Arc::clone(&self.permits)
            .acquire_owned()
            .await
            .map_err(|error| PeopleError::Hash(error.to_string()))?;
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop((permit, place));
            result
        })
        .await
        .map_err(|error| PeopleError::Hash(error.to_string()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::random::Seeded;

    #[tokio::test]
    async fn a_hash_verifies_its_password_alone() {
        let hasher = Hasher::new(Arc::new(Seeded::new(7)));
        let hash = hasher.hash("correct horse").await.expect("hashes");
        assert!(hash.starts_with("$argon2id$"));
        assert!(hasher.verify("correct horse", Some(hash.clone())).await.expect("verifies"));
        assert!(!hasher.verify("correct house", Some(hash)).await.expect("verifies"));
        assert!(!hasher.verify("anything", None).await.expect("does the work for nothing"));
    }

    #[tokio::test]
    async fn more_at_once_than_may_wait_are_refused() {
        let hasher = Arc::new(Hasher::new(Arc::new(Seeded::new(7))));
        let held =
            Arc::clone(&hasher.permits).acquire_many_owned(CONCURRENT_MAX as u32).await.expect("is open");
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..CONCURRENT_MAX + WAITING_MAX + 10 {
            let hasher = Arc::clone(&hasher);
            all.spawn(async move { hasher.verify("anything", None).await });
        }
        for _ in 0..10 {
            let answer = all.join_next().await.expect("is there").expect("ends");
            assert!(matches!(answer, Err(PeopleError::Busy)), "{answer:?}");
        }
        drop(held);
        while let Some(answer) = all.join_next().await {
            assert!(!answer.expect("ends").expect("is checked"));
        }
        assert!(!hasher.verify("anything", None).await.expect("there is room again"));
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        let hasher = Hasher::new(Arc::new(Seeded::new(7)));
        assert!(matches!(hasher.hash("eleven char").await, Err(PeopleError::Password)));
        assert!(matches!(hasher.hash(&"x".repeat(1025)).await, Err(PeopleError::Password)));
    }
}
