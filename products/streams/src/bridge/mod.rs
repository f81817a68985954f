//! Bridges: topics, offsets and groups mirrored between a project and another Kafka cluster, either way.
//!
//! A bridge is a client of both sides ([`client`]): of the other cluster over TCP or TLS, of this one through a pipe
//! within the process, acting as the project's owner. So one code serves both directions, and what comes in passes the
//! gate and its policy. Each step is one transaction at the target that holds the records, how far the source was read,
//! and which offsets are which ([`position`]): after a crash on either side the bridge goes on from there, and nothing is
//! lost or doubled. One process serves at a time, by its lock in PostgreSQL; should two run the same bridge for a moment,
//! its transactional id fences the older.

mod batches;
mod client;
mod copying;
mod echo;
mod egress;
mod groups;
mod position;
mod progress;
mod run;
mod source;
mod spec;
mod store;
mod target;
mod topics;
mod trouble;

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use candor_keyring::Keyring;
use candor_meta::{Database, ReadScope, SqlError, Tenancy, WriteScope};
use candor_model::{Clock, ProjectId, Random};
use futures::FutureExt;
use kafka_protocol::messages::DeleteGroupsRequest;
use kafka_protocol::protocol::StrBytes;
use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::OwnedMutexGuard;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use echo::GROUP_PREFIX;
pub use egress::{Egress, Forbidden};
pub use progress::{BridgeState, MirroredGroup, MirroredPartition, MirroredTopic};
pub use spec::{Direction, Login, Mechanism, Secret, Spec, Start};

use self::client::{Cluster, Credential, LocalSide, RemoteSide, Side};
use self::progress::Progress;
use self::run::Job;
use self::store::Stored;
use self::target::Writer;
use self::trouble::Trouble;
use crate::broker::Broker;
use crate::wire::Room;

/// Bridges of a project: each reads ahead and holds connections.
const BRIDGES_MAX: usize = 16;

/// What all bridges read ahead together, bytes.
const ROOM_BYTES: usize = 128 << 20;

/// How long is waited for a bridge to end, and for what it leaves at the other side to be tidied.
const TIDY_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why something was not done with a bridge.
#[derive(Debug, thiserror::Error)]
pub enum BridgeError {
    /// There is none of that name.
    #[error("the project has no bridge {0:?}")]
    Missing(String),
    /// There is one already.
    #[error("the project has a bridge {0:?} already: delete it first, or take another name")]
    Exists(String),
    /// It cannot be meant.
    #[error("{0}")]
    Refused(String),
    /// The policy of the project does not let records go there.
    #[error("{}", .0.why)]
    Forbidden(Forbidden),
    /// Metadata failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// A bridge as it is shown. It has no password.
#[derive(Debug, Clone, Serialize)]
pub struct Bridge {
    /// What it was told.
    #[serde(flatten)]
    pub spec: Spec,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Its consumer group at the target, which is its transactional id too.
    pub group: String,
    /// What it does.
    pub state: BridgeState,
    /// Why it does not run.
    pub error: Option<String>,
    /// When it tries again, seconds from now.
    pub retry_in_s: Option<u64>,
    /// Records that went over since it began to run.
    pub records: u64,
    /// And their bytes, as they are stored.
    pub bytes: u64,
    /// Records a second, lately.
    pub records_per_second: f64,
    /// Offsets that are not mirrored yet, over all topics.
    pub lag: i64,
    /// Its topics.
    pub mirrored: Vec<MirroredTopic>,
    /// Its groups.
    pub mirrored_groups: Vec<MirroredGroup>,
    /// Why groups are not carried over now.
    pub groups_error: Option<String>,
}

/// What bridges are made of.
pub(crate) struct Parts {
    pub database: Database,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// This cluster.
    pub broker: Arc<Broker>,
    /// Room for large requests to it.
    pub room: Room,
    /// The project that clients of this machine are who prove nothing.
    pub anonymous: Option<Arc<str>>,
    pub tenancy: Tenancy,
    /// Where records may go.
    pub egress: Egress,
    pub stop: CancellationToken,
}

/// The bridges of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Bridges {
    inner: Arc<Inner>,
}

type Key = (ProjectId, String);

struct Inner {
    parts: Parts,
    /// What is read ahead.
    reading: Room,
    all: Mutex<BTreeMap<Key, Running>>,
    /// One change of a project at a time: a bridge ends before it is begun again.
    changing: Mutex<HashMap<ProjectId, Arc<tokio::sync::Mutex<()>>>>,
}

struct Running {
    stored: Stored,
    progress: Arc<Progress>,
    task: Option<(CancellationToken, JoinHandle<()>)>,
}

impl Bridges {
    /// Begins all that are not paused.
    pub(crate) async fn open(parts: Parts) -> Result<Bridges, SqlError> {
        parts.database.migrate(store::MIGRATIONS).await?;
        let stored = store::load(&parts.database).await?;
        let inner = Inner {
            parts,
            reading: Room::new(ROOM_BYTES),
            all: Mutex::default(),
            changing: Mutex::default(),
        };
        let bridges = Bridges { inner: Arc::new(inner) };
        for bridge in stored {
            bridges.begin(bridge);
        }
        bridges.keep_reviewing();
        Ok(bridges)
    }

    /// A project's bridges.
    pub fn list(&self, scope: &ReadScope) -> Vec<Bridge> {
        let all = self.inner.all.lock();
        let own = all.iter().filter(|((project, _), _)| *project == scope.project());
        own.map(|(_, running)| running.shown()).collect()
    }

    /// One of them.
    pub fn get(&self, scope: &ReadScope, name: &str) -> Result<Bridge, BridgeError> {
        let all = self.inner.all.lock();
        let found = all.get(&(scope.project(), name.to_owned())).map(Running::shown);
        found.ok_or_else(|| BridgeError::Missing(name.to_owned()))
    }

    /// Makes one and begins it.
    pub async fn create(&self, scope: &WriteScope, spec: Spec) -> Result<Bridge, BridgeError> {
        spec.check()?;
        let (bridges, project) = (self.clone(), scope.project());
        to_its_end(async move { bridges.make(project, spec).await }).await
    }

    /// Waits for other changes of the project.
    async fn alone(&self, project: ProjectId) -> OwnedMutexGuard<()> {
        let lock = Arc::clone(self.inner.changing.lock().entry(project).or_default());
        lock.lock_owned().await
    }

    async fn make(&self, project: ProjectId, mut spec: Spec) -> Result<Bridge, BridgeError> {
        let _alone = self.alone(project).await;
        self.must_be_allowed(project, &spec)?;
        let parts = &self.inner.parts;
        let count = {
            let all = self.inner.all.lock();
            if all.contains_key(&(project, spec.name.clone())) {
                return Err(BridgeError::Exists(spec.name));
            }
            all.keys().filter(|(of, _)| *of == project).count()
        };
        if count >= BRIDGES_MAX {
            return Err(BridgeError::Refused(format!("a project has at most {BRIDGES_MAX} bridges")));
        }
        let mut unique = [0; 8];
        parts.random.fill(&mut unique);
        let unique = data_encoding::HEXLOWER.encode(&unique);
        let id = format!("{}{}.{unique}", echo::GROUP_PREFIX, spec.name);
        let secret = self.seal(project, &id, &mut spec);
        let stored = Stored { project, spec, id, secret, is_paused: false, created_at: parts.clock.now() };
        store::insert(&parts.database, &stored).await?;
        Ok(self.begin(stored))
    }

    /// Tells one otherwise. It goes on where it stands. Where no password is given the one that it has stays, if it goes
    /// to the same servers in the same way.
    pub async fn change(&self, scope: &WriteScope, spec: Spec) -> Result<Bridge, BridgeError> {
        spec.check_but_password()?;
        let (bridges, project) = (self.clone(), scope.project());
        to_its_end(async move { bridges.tell(project, spec).await }).await
    }

    async fn tell(&self, project: ProjectId, mut spec: Spec) -> Result<Bridge, BridgeError> {
        let _alone = self.alone(project).await;
        self.must_be_allowed(project, &spec)?;
        let before = {
            let all = self.inner.all.lock();
            let found = all.get(&(project, spec.name.clone())).map(|running| running.stored.clone());
            found.ok_or_else(|| BridgeError::Missing(spec.name.clone()))?
        };
        if before.spec.direction != spec.direction {
            return Err(BridgeError::Refused("a bridge keeps its direction: make another one".to_owned()));
        }
        let is_given = spec.sasl.as_ref().is_some_and(|login| login.password.is_some());
        let secret = match &spec.sasl {
            Some(_) if !is_given && !spec.is_logged_in_as(&before.spec) => {
                return Err(BridgeError::Refused(
                    "the servers, TLS, the certificates or the log in are others than before: give the password again"
                        .to_owned(),
                ));
            }
            Some(_) if !is_given => before.secret.clone(),
            _ => self.seal(project, &before.id, &mut spec),
        };
        let stored = Stored { spec, secret, ..before };
        store::change(&self.inner.parts.database, &stored).await?;
        self.end(project, &stored.spec.name, false).await?;
        Ok(self.begin(stored))
    }

    /// Takes the password out of what was told, and seals it.
    fn seal(&self, project: ProjectId, id: &str, spec: &mut Spec) -> Vec<u8> {
        let password = spec.sasl.as_mut().and_then(|login| login.password.take());
        let seal = |password: Secret| {
            self.inner.parts.keyring.seal_secret(&context(project, id), password.0.as_bytes())
        };
        password.map(seal).unwrap_or_default()
    }

    /// Holds one, or lets it go on. One that runs is begun anew by being let go on.
    pub async fn pause(&self, scope: &WriteScope, name: &str, paused: bool) -> Result<Bridge, BridgeError> {
        let (bridges, project, name) = (self.clone(), scope.project(), name.to_owned());
        to_its_end(async move { bridges.hold(project, &name, paused).await }).await
    }

    async fn hold(&self, project: ProjectId, name: &str, paused: bool) -> Result<Bridge, BridgeError> {
        let _alone = self.alone(project).await;
        if !paused {
            let found =
                self.inner.all.lock().get(&(project, name.to_owned())).map(|one| one.stored.spec.clone());
            self.must_be_allowed(project, &found.ok_or_else(|| BridgeError::Missing(name.to_owned()))?)?;
        }
        let mut stored = self.end(project, name, false).await?;
        if let Err(error) = store::pause(&self.inner.parts.database, stored.project, name, paused).await {
            self.begin(stored);
            return Err(error.into());
        }
        stored.is_paused = paused;
        Ok(self.begin(stored))
    }

    /// Removes one. What it mirrored stays. Gives the name of its group where that could not be removed at the target.
    pub async fn delete(&self, scope: &WriteScope, name: &str) -> Result<Option<String>, BridgeError> {
        let (bridges, project, name) = (self.clone(), scope.project(), name.to_owned());
        to_its_end(async move { bridges.remove(project, &name).await }).await
    }

    async fn remove(&self, project: ProjectId, name: &str) -> Result<Option<String>, BridgeError> {
        let _alone = self.alone(project).await;
        let stored = self.end(project, name, true).await?;
        if let Err(error) = store::delete(&self.inner.parts.database, stored.project, name).await {
            self.begin(stored);
            return Err(error.into());
        }
        let removing = async {
            let (_, target) = self.sides(&stored)?;
            let mut target = Cluster::new(&target);
            let group = StrBytes::from_string(stored.id.clone());
            let request = DeleteGroupsRequest::default().with_groups_names(vec![group.into()]);
            let told = target.ask_group(&stored.id, &request).await?;
            let codes = told.results.iter().map(|result| result.error_code);
            // One that never committed has no group.
            let missing = kafka_protocol::ResponseError::GroupIdNotFound.code();
            Ok::<bool, Trouble>(codes.into_iter().all(|code| code == 0 || code == missing))
        };
        let is_removed = matches!(timeout(TIDY_WAIT_MAX, removing).await, Ok(Ok(true)));
        Ok((!is_removed).then_some(stored.id))
    }

    /// Lets go of a deleted project. Doing it again changes nothing.
    pub(crate) async fn forget(&self, project: ProjectId) -> Result<(), SqlError> {
        let _alone = self.alone(project).await;
        let names: Vec<String> = {
            let all = self.inner.all.lock();
            all.keys().filter(|(of, _)| *of == project).map(|(_, name)| name.clone()).collect()
        };
        for name in names {
            let _ = self.end(project, &name, true).await;
        }
        store::forget(&self.inner.parts.database, project).await?;
        self.inner.changing.lock().remove(&project);
        Ok(())
    }

    fn begin(&self, stored: Stored) -> Bridge {
        let progress = Arc::new(Progress::default());
        let key = (stored.project, stored.spec.name.clone());
        let forbidden = egress::check(&self.inner.parts.egress, stored.project, &stored.spec).err();
        let task = if stored.is_paused || forbidden.is_some() {
            progress.paused(forbidden.map(|forbidden| forbidden.why));
            None
        } else {
            let stop = self.inner.parts.stop.child_token();
            let work = self.clone().work(stored.clone(), Arc::clone(&progress), stop.clone());
            let failing = Arc::clone(&progress);
            let work = async move {
                if AssertUnwindSafe(work).catch_unwind().await.is_err() {
                    let why = "it ended by an error of its own, which the server's log has: resume it, and report it";
                    failing.failed(why.to_owned(), None);
                }
            };
            Some((stop, tokio::spawn(work)))
        };
        let running = Running { stored, progress, task };
        let shown = running.shown();
        self.inner.all.lock().insert(key, running);
        shown
    }

    /// Ends one and takes it out; what it had begun at the target is ended too. `for_good` where nobody waits for that.
    async fn end(&self, project: ProjectId, name: &str, for_good: bool) -> Result<Stored, BridgeError> {
        let running = self.inner.all.lock().remove(&(project, name.to_owned()));
        let running = running.ok_or_else(|| BridgeError::Missing(name.to_owned()))?;
        if let Some((stop, task)) = running.task {
            stop.cancel();
            let wait = if for_good { TIDY_WAIT_MAX } else { TIDY_WAIT_MAX * 2 };
            let abort = task.abort_handle();
            if timeout(wait, task).await.is_err() {
                abort.abort();
            }
        }
        Ok(running.stored)
    }

    async fn work(self, stored: Stored, progress: Arc<Progress>, stop: CancellationToken) {
        let (source, target) = match self.sides(&stored) {
            Ok(sides) => sides,
            Err(trouble) => {
                progress.failed(trouble.to_string(), None);
                return;
            }
        };
        let job = Job {
            spec: stored.spec.clone(),
            id: stored.id.clone(),
            since: stored.created_at.0,
            source,
            target: target.clone(),
            progress,
            room: self.inner.reading.clone(),
            random: Arc::clone(&self.inner.parts.random),
        };
        job.run(stop).await;
        // A transaction that was open would hold readers of the target up until it times out.
        let _ = timeout(TIDY_WAIT_MAX, Writer::open(&target, &stored.id)).await;
    }

    /// Source and target.
    fn sides(&self, stored: &Stored) -> Result<(Side, Side), Trouble> {
        let (parts, spec) = (&self.inner.parts, &stored.spec);
        let local = Side::Local(Arc::new(LocalSide {
            broker: Arc::clone(&parts.broker),
            project: stored.project,
            room: parts.room.clone(),
        }));
        let credential = match &spec.sasl {
            None => None,
            Some(login) => {
                let opened = parts.keyring.open_secret(&context(stored.project, &stored.id), &stored.secret);
                let password = opened.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(|| {
                    Trouble::Other(
                        "its password cannot be opened with this root key: make it anew".to_owned(),
                    )
                })?;
                Some(Credential { mechanism: login.mechanism, username: login.username.clone(), password })
            }
        };
        let tls = spec.tls.then(|| RemoteSide::connector(spec.ca.as_deref())).transpose()?;
        let remote = Side::Remote(Arc::new(RemoteSide {
            bootstrap: spec.bootstrap.iter().filter_map(|text| spec::server(text)).collect(),
            tls,
            credential,
            random: Arc::clone(&parts.random),
            project: stored.project,
            anonymous: parts.anonymous.clone(),
            tenancy: parts.tenancy.clone(),
            egress: (spec.direction == Direction::Push).then(|| Arc::clone(&parts.egress)),
        }));
        Ok(match spec.direction {
            Direction::Pull => (remote, local),
            Direction::Push => (local, remote),
        })
    }
}

/// Does a change to its end even if who asked for it does not wait: a bridge that was taken out is put back.
async fn to_its_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, BridgeError>> + Send + 'static,
) -> Result<T, BridgeError> {
    let broken = |_| Err(BridgeError::Refused("the change broke off: see the server's log".to_owned()));
    tokio::spawn(change).await.unwrap_or_else(broken)
}

/// What a sealed password belongs to.
fn context(project: ProjectId, id: &str) -> [Vec<u8>; 3] {
    [b"bridge".to_vec(), project.0.to_be_bytes().to_vec(), id.as_bytes().to_vec()]
}

impl Running {
    fn shown(&self) -> Bridge {
        let shown = self.progress.shown();
        Bridge {
            spec: self.stored.spec.clone(),
            created_at: self.stored.created_at.to_string(),
            group: self.stored.id.clone(),
            state: shown.state,
            error: shown.error,
            retry_in_s: shown.retry_in_s,
            records: shown.records,
            bytes: shown.bytes,
            records_per_second: shown.records_per_second,
            lag: shown.lag,
            mirrored: shown.topics,
            mirrored_groups: shown.groups,
            groups_error: shown.groups_error,
        }
    }
}
