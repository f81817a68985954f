//! Users of Kafka clients: whose project a name opens, and whether a password is its.
//!
//! All users are in memory. What is kept of a password is a SCRAM key for each hash; a password sent in the clear (PLAIN)
//! is hashed and held against the same key. That costs thousands of HMACs, so it runs on blocking threads, few at a time,
//! and who was right a moment ago is known by a keyed digest, so that a hundred connections of one client cost one.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;

use candor_meta::{Database, SqlError, Tx};
use candor_model::{Clock, ProjectId, Random, Timestamp};
use data_encoding::BASE32_NOPAD;
use parking_lot::{Mutex, RwLock};
use ring::hmac;
use tokio::sync::Semaphore;

use super::mechanism::{Hash, ScramKey};
use super::store;

/// Iterations of keys made here, the least that RFC 7677 allows: passwords made here have 160 random bits, which more
/// iterations would not make harder to guess.
pub const ITERATIONS: NonZeroU32 = NonZeroU32::new(4096).expect("not zero");

/// Iterations that a client may ask for, as Kafka: more would be a way to keep the server busy.
pub const ITERATIONS_MAX: u32 = 16_384;

/// Longest name of a user, bytes.
pub const USER_BYTES_MAX: usize = 200;

/// Who a client is that need not say: one on the loopback, where the server was started so. No user has that name.
pub const ANONYMOUS: &str = "ANONYMOUS";

/// Longest password that is looked at, bytes.
const PASSWORD_BYTES_MAX: usize = 1024;

/// Users that a project may have: each costs some 500 bytes of memory at all times.
const USERS_PER_PROJECT_MAX: usize = 1000;

/// How long who was right is known without hashing again, microseconds.
const KNOWN_MICROS: i64 = 60 * Timestamp::SECOND;

/// How many are known; a flood empties the cache at worst.
const KNOWN_MAX: usize = 10_000;

/// Passwords waiting to be hashed. At a few milliseconds each, the last has its answer after some seconds.
const WAITING_MAX: usize = 2000;

/// Why something about users was refused.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// The name cannot be one.
    #[error("a user's name has 1 to {USER_BYTES_MAX} bytes, no control characters, and is not {ANONYMOUS}")]
    BadName,
    /// The name is that of a user of another project.
    #[error("the name is taken on this server, choose another")]
    Taken,
    /// There is no such user in the project.
    #[error("the project has no such user")]
    Unknown,
    /// The project is full.
    #[error("the project has {USERS_PER_PROJECT_MAX} users already")]
    TooMany,
    /// Too few or too many iterations.
    #[error("a key has {ITERATIONS} to {ITERATIONS_MAX} iterations")]
    Iterations,
    /// The salt or the salted password has the wrong length.
    #[error("the salt is empty or too long, or the salted password has not the length of a digest")]
    Salted,
    /// More passwords wait to be checked than may.
    #[error("too many clients log in at once, try again")]
    Busy,
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// A user's name and password, shown once.
#[derive(Clone)]
pub struct NewUser {
    /// The name.
    pub username: String,
    /// The password. It is stored nowhere.
    pub password: String,
}

impl std::fmt::Debug for NewUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NewUser").field("username", &self.username).finish_non_exhaustive()
    }
}

/// A user.
#[derive(Debug, Clone)]
pub struct User {
    /// The project that the credential opens.
    pub project: ProjectId,
    /// True for one made with the project, which may do everything in it.
    pub is_owner: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// What is kept of the password.
    pub(super) keys: BTreeMap<Hash, ScramKey>,
    /// Told apart from what the name was before: a changed password makes another.
    pub(super) generation: u64,
}

impl User {
    /// The mechanisms that it has keys for, with their iterations.
    pub fn mechanisms(&self) -> impl Iterator<Item = (Hash, u32)> {
        self.keys.iter().map(|(hash, key)| (*hash, key.iterations.get()))
    }
}

/// Who somebody has proved to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The project.
    pub project: ProjectId,
    /// The user's name.
    pub user: Arc<str>,
}

/// A change of one user's SCRAM keys.
#[derive(Debug, Clone)]
pub enum ScramChange {
    /// Puts in a key of a password that the client has salted.
    Put {
        /// The mechanism.
        hash: Hash,
        /// How often it was hashed.
        iterations: u32,
        /// The salt.
        salt: Vec<u8>,
        /// `SaltedPassword` of RFC 5802.
        salted: Vec<u8>,
    },
    /// Takes the key out; with the last one the user goes.
    Remove(Hash),
}

/// The users of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Credentials {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    secret: hmac::Key,
    users: RwLock<BTreeMap<String, User>>,
    /// Who was right lately: until when, and with which generation, by a digest of name and password.
    known: Mutex<HashMap<[u8; 32], (Timestamp, u64)>>,
    known_key: hmac::Key,
    hashing: Semaphore,
    waiting: Semaphore,
    /// The one writer; true where memory may differ from the database.
    writer: tokio::sync::Mutex<bool>,
}

impl Credentials {
    /// Opens the tables and reads all users.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Credentials, SqlError> {
        database.migrate(store::MIGRATIONS).await?;
        let users = RwLock::new(store::load(database.begin_read().await?).await?);
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &store::secret(&database, &*random).await?);
        let mut known_key = [0; 32];
        random.fill(&mut known_key);
        // Half of the cores: a flood of logins leaves the other half to those who are in.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let inner = Inner {
            database,
            clock,
            random,
            secret,
            users,
            known: Mutex::default(),
            known_key: hmac::Key::new(hmac::HMAC_SHA256, &known_key),
            hashing: Semaphore::new((cores / 2).max(1)),
            waiting: Semaphore::new(WAITING_MAX),
            writer: tokio::sync::Mutex::new(false),
        };
        Ok(Credentials { inner: Arc::new(inner) })
    }

    /// Makes a user that may do everything in the project, named as wished, or with `-2` and so on where that is taken.
    pub async fn create(&self, project: ProjectId, wish: &str) -> Result<NewUser, CredentialError> {
        self.create_one(project, wish, true).await
    }

    /// Makes a user that may do what rules allow it, named in the same way.
    pub async fn create_guest(&self, project: ProjectId, wish: &str) -> Result<NewUser, CredentialError> {
        self.create_one(project, wish, false).await
    }

    async fn create_one(
        &self,
        project: ProjectId,
        wish: &str,
        is_owner: bool,
    ) -> Result<NewUser, CredentialError> {
        check_name(wish)?;
        let (password, keys) = self.fresh_password().await?;
        let mut writer = self.writer().await?;
        self.check_room(project)?;
        let username = {
            let users = self.inner.users.read();
            let names = (2_u64..).map(|number| format!("{wish}-{number}"));
            std::iter::once(wish.to_owned()).chain(names).find(|name| !users.contains_key(name))
        };
        let username =
            username.filter(|name| name.len() <= USER_BYTES_MAX).ok_or(CredentialError::BadName)?;
        let user = self.new_user(project, is_owner, keys);
        *writer = true;
        let mut tx = self.change().await?;
        store::insert(&mut tx, &username, &user).await?;
        store::set_keys(&mut tx, &username, &user.keys).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.users.write().insert(username.clone(), user);
        Ok(NewUser { username, password })
    }

    /// Gives a user a new password. Connections that are open stay so; the old password opens none.
    pub async fn rotate(&self, project: ProjectId, username: &str) -> Result<NewUser, CredentialError> {
        let (password, keys) = self.fresh_password().await?;
        let mut writer = self.writer().await?;
        let mut user = self.get(project, username).ok_or(CredentialError::Unknown)?;
        user.keys = keys;
        user.generation = self.inner.random.next_u64();
        *writer = true;
        let mut tx = self.change().await?;
        store::set_keys(&mut tx, username, &user.keys).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.users.write().insert(username.to_owned(), user);
        Ok(NewUser { username: username.to_owned(), password })
    }

    /// Removes a user.
    pub async fn delete(&self, project: ProjectId, username: &str) -> Result<(), CredentialError> {
        let mut writer = self.writer().await?;
        self.get(project, username).ok_or(CredentialError::Unknown)?;
        *writer = true;
        let mut tx = self.change().await?;
        store::delete(&mut tx, username).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.users.write().remove(username);
        Ok(())
    }

    /// Removes all users of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), CredentialError> {
        let mut writer = self.writer().await?;
        let names: Vec<String> = self.list(project).into_iter().map(|(name, _)| name).collect();
        *writer = true;
        let mut tx = self.change().await?;
        for name in &names {
            store::delete(&mut tx, name).await?;
        }
        tx.commit().await?;
        *writer = false;
        self.inner.users.write().retain(|_, user| user.project != project);
        Ok(())
    }

    /// Changes a user's SCRAM keys; a user that there is none of is made, and may do what ACLs allow it.
    pub async fn change_scram(
        &self,
        project: ProjectId,
        username: &str,
        changes: Vec<ScramChange>,
    ) -> Result<(), CredentialError> {
        check_name(username)?;
        let mut writer = self.writer().await?;
        let found = self.inner.users.read().get(username).cloned();
        let is_new = found.is_none();
        let mut user = match found {
            Some(user) if user.project != project => return Err(CredentialError::Taken),
            Some(user) => user,
            None => {
                self.check_room(project)?;
                self.new_user(project, false, BTreeMap::new())
            }
        };
        user.generation = self.inner.random.next_u64();
        for change in changes {
            match change {
                ScramChange::Remove(hash) => {
                    user.keys.remove(&hash).ok_or(CredentialError::Unknown)?;
                }
                ScramChange::Put { hash, iterations, salt, salted } => {
                    let within = (ITERATIONS.get()..=ITERATIONS_MAX).contains(&iterations);
                    let iterations = NonZeroU32::new(iterations).filter(|_| within);
                    let iterations = iterations.ok_or(CredentialError::Iterations)?;
                    if salt.is_empty() || salt.len() > PASSWORD_BYTES_MAX || salted.len() != hash.bytes() {
                        return Err(CredentialError::Salted);
                    }
                    user.keys.insert(hash, ScramKey::of_salted(hash, &salted, salt, iterations));
                }
            }
        }
        *writer = true;
        let mut tx = self.change().await?;
        if user.keys.is_empty() {
            store::delete(&mut tx, username).await?;
        } else {
            if is_new {
                store::insert(&mut tx, username, &user).await?;
            }
            store::set_keys(&mut tx, username, &user.keys).await?;
        }
        tx.commit().await?;
        *writer = false;
        let mut users = self.inner.users.write();
        if user.keys.is_empty() {
            users.remove(username)
        } else {
            users.insert(username.to_owned(), user)
        };
        Ok(())
    }

    /// A project's user.
    pub fn get(&self, project: ProjectId, username: &str) -> Option<User> {
        self.inner.users.read().get(username).filter(|user| user.project == project).cloned()
    }

    /// A project's users, by name.
    pub fn list(&self, project: ProjectId) -> Vec<(String, User)> {
        let users = self.inner.users.read();
        let own = users.iter().filter(|(_, user)| user.project == project);
        own.map(|(name, user)| (name.clone(), user.clone())).collect()
    }

    /// True for a user that may do everything in the project.
    pub fn is_owner(&self, project: ProjectId, username: &str) -> bool {
        let users = self.inner.users.read();
        users.get(username).is_some_and(|user| user.project == project && user.is_owner)
    }

    /// Whose project the name and password open; none where they open none. A name that does not exist takes as long
    /// as a wrong password.
    pub async fn verify(&self, username: &str, password: &[u8]) -> Result<Option<Identity>, CredentialError> {
        if username.len() > USER_BYTES_MAX || password.len() > PASSWORD_BYTES_MAX {
            return Ok(None);
        }
        let user = self.inner.users.read().get(username).cloned();
        let digest = self.known_digest(username, password);
        let now = self.inner.clock.now();
        if let Some(user) = &user {
            let known = self.inner.known.lock().get(&digest).copied();
            if known.is_some_and(|(until, generation)| now < until && generation == user.generation) {
                return Ok(Some(Identity { project: user.project, user: Arc::from(username) }));
            }
        }
        let (hash, key) = match user.as_ref().and_then(|user| user.keys.first_key_value()) {
            Some((hash, key)) => (*hash, key.clone()),
            None => (Hash::Sha256, self.nobodys_key(Hash::Sha256, username)),
        };
        let password = password.to_vec();
        let is_right = self.aside(move || key.is_of(hash, &password)).await?;
        let Some(user) = user.filter(|_| is_right) else { return Ok(None) };
        let mut known = self.inner.known.lock();
        if known.len() >= KNOWN_MAX {
            known.clear();
        }
        known.insert(digest, (Timestamp(now.0.saturating_add(KNOWN_MICROS)), user.generation));
        Ok(Some(Identity { project: user.project, user: Arc::from(username) }))
    }

    /// The key that a SCRAM exchange is held against, and whose project it opens; none for a name that opens nothing,
    /// whose key fits no password and is the same at every try.
    pub(super) fn scram_key(&self, hash: Hash, username: &str) -> (ScramKey, Option<Identity>) {
        let users = self.inner.users.read();
        let found = users.get(username).and_then(|user| Some((user, user.keys.get(&hash)?)));
        match found {
            Some((user, key)) => {
                (key.clone(), Some(Identity { project: user.project, user: Arc::from(username) }))
            }
            None => (self.nobodys_key(hash, username), None),
        }
    }

    /// A nonce of a server: printable, without commas.
    pub(super) fn nonce(&self) -> String {
        let mut bytes = [0; 20];
        self.inner.random.fill(&mut bytes);
        BASE32_NOPAD.encode(&bytes)
    }

    /// The time, as the store sees it.
    pub(crate) fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    fn nobodys_key(&self, hash: Hash, username: &str) -> ScramKey {
        let derive = |what: &str| {
            let mut context = hmac::Context::with_key(&self.inner.secret);
            context.update(what.as_bytes());
            context.update(&[hash.wire().unsigned_abs()]);
            context.update(username.as_bytes());
            context.sign().as_ref().to_vec()
        };
        let mut salt = derive("salt");
        salt.truncate(SALT_BYTES);
        let stored_key = hash.digest(&derive("stored key"));
        ScramKey { salt, iterations: ITERATIONS, stored_key, server_key: hash.digest(&derive("server key")) }
    }

    fn known_digest(&self, username: &str, password: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.inner.known_key);
        // The length keeps "a" + "bc" apart from "ab" + "c".
        context.update(&(username.len() as u64).to_be_bytes());
        context.update(username.as_bytes());
        context.update(password);
        let mut digest = [0; 32];
        digest.copy_from_slice(context.sign().as_ref());
        digest
    }

    fn new_user(&self, project: ProjectId, is_owner: bool, keys: BTreeMap<Hash, ScramKey>) -> User {
        let generation = self.inner.random.next_u64();
        User { project, is_owner, created_at: self.inner.clock.now(), keys, generation }
    }

    fn check_room(&self, project: ProjectId) -> Result<(), CredentialError> {
        let users = self.inner.users.read();
        let count = users.values().filter(|user| user.project == project).count();
        if count >= USERS_PER_PROJECT_MAX { Err(CredentialError::TooMany) } else { Ok(()) }
    }

    async fn fresh_password(&self) -> Result<(String, BTreeMap<Hash, ScramKey>), CredentialError> {
        let mut bytes = [0; 20];
        self.inner.random.fill(&mut bytes);
        let password = BASE32_NOPAD.encode(&bytes).to_ascii_lowercase();
        let salts = Hash::ALL.map(|hash| {
            let mut salt = vec![0; SALT_BYTES];
            self.inner.random.fill(&mut salt);
            (hash, salt)
        });
        let secret = password.clone();
        let keys = self
            .aside(move || {
                let key =
                    |(hash, salt)| (hash, ScramKey::of_password(hash, secret.as_bytes(), salt, ITERATIONS));
                salts.map(key).into()
            })
            .await?;
        Ok((password, keys))
    }

    /// Runs hashing on a blocking thread, when it is its turn.
    async fn aside<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, CredentialError> {
        let _waits = self.inner.waiting.try_acquire().map_err(|_| CredentialError::Busy)?;
        let _turn = self.inner.hashing.acquire().await.map_err(|_| CredentialError::Busy)?;
        tokio::task::spawn_blocking(work).await.map_err(|_| CredentialError::Busy)
    }

    /// A transaction of a change. The lock makes it wait for the end of one that was left in the middle, whose commit may
    /// still be on its way.
    async fn change(&self) -> Result<Tx, SqlError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock("stream_user").await?;
        Ok(tx)
    }

    /// Takes the writer's place, and reads the database anew where a change before it was left in doubt.
    async fn writer(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, SqlError> {
        let mut doubt = self.inner.writer.lock().await;
        if *doubt {
            let mut users = store::load(self.change().await?).await?;
            for user in users.values_mut() {
                user.generation = self.inner.random.next_u64();
            }
            *self.inner.users.write() = users;
            *doubt = false;
        }
        Ok(doubt)
    }
}

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

fn check_name(name: &str) -> Result<(), CredentialError> {
    let fits = !name.is_empty() && name.len() <= USER_BYTES_MAX && !name.chars().any(char::is_control);
    if fits && name != ANONYMOUS { Ok(()) } else { Err(CredentialError::BadName) }
}
