//! People: accounts, the first-account link, sessions in the browser, personal tokens, throttling of sign-ins and
//! the audit table of what people did with accounts and keys.
//!
//! Secrets are shown once and stored as digests only: a copy of `meta.db` opens no session. Who belongs to which
//! organisation is not kept here but in [`candor_meta::Tenancy`], which alone makes read scopes. What is refused:
//! default passwords (nobody ever has one), JWTs (a session must end the moment it is revoked), and naming in an
//! answer whether an e-mail address has an account.

mod access;
mod accounts;
mod audit;
mod password;
mod schema;
mod secret;
mod sessions;
mod setup;
mod throttle;
mod tokens;

pub use access::{Member, ReadRole, Sees};
pub use accounts::User;
pub use password::{PASSWORD_BYTES_MAX, PASSWORD_CHARS_MIN};
pub use schema::MIGRATIONS;
pub use sessions::{SESSION_IDLE_SECONDS, SESSION_SECONDS_MAX, SignedIn};
pub use setup::FirstAccount;
pub use tokens::{PersonalToken, TOKEN_PREFIX};

use std::sync::Arc;
use std::time::Duration;

use candor_meta::tenancy::TenancyError;
use candor_meta::{Database, Param, SqlError};
use candor_model::{Clock, Random};

/// Why something about an account was refused. The texts are fit for the person who asked.
#[derive(Debug, thiserror::Error)]
pub enum PeopleError {
    /// The database failed.
    #[error("the accounts cannot be reached")]
    Sql(#[from] SqlError),
    /// The organisation could not be named or joined.
    #[error(transparent)]
    Tenancy(#[from] TenancyError),
    /// Not an e-mail address.
    #[error("that is no e-mail address: it needs one @ with text on both sides and at most 254 characters")]
    Email,
    /// Too short or too long.
    #[error("a password has at least {PASSWORD_CHARS_MIN} characters and at most {PASSWORD_BYTES_MAX} bytes")]
    Password,
    /// The setup link is used up, replaced by a newer one, or wrong.
    #[error("the setup link is not valid: a restart of the server prints a new one while no account exists")]
    SetupToken,
    /// Someone has an account already.
    #[error("an account exists already: sign in instead")]
    SetupDone,
    /// The e-mail address is taken.
    #[error("that e-mail address has an account already")]
    EmailTaken,
    /// Wrong e-mail address or password; which of the two is not said.
    #[error("e-mail address or password is wrong")]
    Credentials,
    /// Too many failed attempts.
    #[error("too many failed attempts: wait {retry_after_seconds} s")]
    Throttled {
        /// How long to wait.
        retry_after_seconds: u64,
    },
    /// Too many passwords wait to be checked.
    #[error("too many sign in at once: try again in a second")]
    Busy,
    /// A token's name is empty or too long, or its lifetime is out of range.
    #[error("a token has a name of 1 to 100 characters and, where it ends, ends within ten years")]
    Token,
    /// The hash could not be computed: out of memory, or the stored one is damaged.
    #[error("the password could not be checked")]
    Hash(String),
}

/// Accounts, sessions and tokens. Cheap to clone.
#[derive(Clone)]
pub struct People {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    throttle: throttle::Throttle,
    hasher: password::Hasher,
}

/// How long noting the use of a secret may take: whoever shows it is waiting for something else.
const NOTE_WAIT_MAX: Duration = Duration::from_millis(300);

impl Inner {
    /// Notes the use of a secret. Reading goes on where nothing can be written, on a full device or beside another
    /// process's lock: the note waits for the next use.
    async fn note(&self, sql: &str, values: &[Param]) -> Result<(), SqlError> {
        match self.database.with_patience(NOTE_WAIT_MAX).execute(sql, values).await {
            Err(error) if !error.is_transient() => Err(error),
            _ => Ok(()),
        }
    }
}

impl People {
    /// Opens the tables of this crate in `meta.db`.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<People, SqlError> {
        database.migrate(MIGRATIONS).await?;
        let hasher = password::Hasher::new(Arc::clone(&random));
        let throttle = throttle::Throttle::default();
        Ok(People { inner: Arc::new(Inner { database, clock, random, throttle, hasher }) })
    }
}
