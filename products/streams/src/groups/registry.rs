//! All groups, each under its lock.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Weak};

use candor_gate::may_name;
use candor_meta::{Database, SqlError};
use candor_model::{Clock, ProjectId, Random};
use data_encoding::HEXLOWER;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::classic::{self, Classic};
use super::committer::{self, Queue, What, Work};
use super::consumer::{self, Consumer};
use super::keeper::{self, Timers};
use super::offsets::Offsets;
use super::settings::{GroupConfigs, Settings};
use super::share::{self, Share};
use super::state::{Body, Head, State};
use super::storage::{GroupKey, Step, Storage, StoredGroup};
use super::tables::Tables;
use crate::by_project::ByProject;
use crate::directory::TopicDirectory;

/// How long the database may take, with somebody waiting.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Consumer groups of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Groups {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub storage: Arc<dyn Storage>,
    pub directory: Arc<dyn TopicDirectory>,
    pub changes: watch::Receiver<u64>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub settings: Settings,
    pub configs: Arc<dyn GroupConfigs>,
    pub queue: Arc<Queue>,
    /// Offsets in memory, of all groups.
    pub cached: Arc<AtomicUsize>,
    timers: Arc<Timers>,
    groups: Mutex<ByProject<Group>>,
    _closed: DropGuard,
}

/// A group: its state is touched under its lock alone, and never across an await.
pub(super) struct Group {
    pub key: GroupKey,
    pub state: Mutex<State>,
}

impl Groups {
    /// Opens the groups of the metadata database and keeps them from then on, with tasks of their own that end with
    /// the last clone. To be called within a Tokio runtime.
    pub async fn open(
        database: Database,
        directory: Arc<dyn TopicDirectory>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
        configs: Arc<dyn GroupConfigs>,
    ) -> Result<Groups, SqlError> {
        // Opening waits as long as it takes; nobody else does.
        let tables = Tables::open(database.clone()).await?;
        let loaded = tables.load().await?;
        let storage = Arc::new(Tables::open(database.with_patience(PATIENCE)).await?);
        Ok(Groups::start(storage, loaded, directory, clock, random, settings, configs))
    }

    #[allow(clippy::too_many_arguments, reason = "what groups are made of, named once")]
    pub(super) fn start(
        storage: Arc<dyn Storage>,
        loaded: Vec<(GroupKey, StoredGroup)>,
        directory: Arc<dyn TopicDirectory>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
        configs: Arc<dyn GroupConfigs>,
    ) -> Groups {
        let closed = CancellationToken::new();
        let queue = Arc::new(Queue::new(settings.max_offsets_waiting));
        let timers = Arc::new(Timers::default());
        tokio::spawn(committer::run(Arc::clone(&queue), Arc::clone(&storage), closed.clone()));
        let groups = Groups {
            inner: Arc::new(Inner {
                storage,
                changes: directory.changes(),
                directory,
                clock,
                random,
                queue,
                cached: Arc::default(),
                timers: Arc::clone(&timers),
                groups: Mutex::default(),
                settings,
                configs,
                _closed: closed.clone().drop_guard(),
            }),
        };
        for (key, stored) in loaded {
            groups.restore(key, stored);
        }
        let weak = Arc::downgrade(&groups.inner);
        tokio::spawn(keeper::run(timers, Weak::clone(&weak), closed.clone()));
        tokio::spawn(keeper::sweep(weak, groups.inner.settings.retention_check_interval, closed));
        groups
    }

    fn restore(&self, key: GroupKey, stored: StoredGroup) {
        let now = Instant::now();
        let head = stored.body.as_deref().map(serde_json::from_str::<Head>);
        let body = match head {
            Some(Ok(Head::Classic(head))) => {
                Body::Classic(Classic::restore(self.bounds(), head, &stored.members, now))
            }
            Some(Ok(Head::Consumer(head))) => {
                let session = self.consumer_pace(key.project, &key.name).session;
                let bounds = consumer::Bounds { session, ..self.consumer_bounds() };
                Body::Consumer(Consumer::restore(bounds, head, &stored.members, now))
            }
            Some(Ok(Head::Share(head))) => {
                let session = self.share_pace(key.project, &key.name).session;
                let bounds = share::Bounds { session, ..self.share_bounds() };
                Body::Share(Box::new(Share::restore(bounds, head, &stored, now)))
            }
            Some(Err(error)) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "a stored group is not readable: its members join anew"
                );
                Body::Classic(Classic::new(self.bounds()))
            }
            None => Body::Classic(Classic::new(self.bounds())),
        };
        let state = State::new(body, Offsets::unread(&self.inner.cached, stored.pending));
        let group = Arc::new(Group { key: key.clone(), state: Mutex::new(state) });
        self.after(&group, &mut group.state.lock(), now);
        self.inner.groups.lock().insert(key.project, &key.name, &group);
    }

    fn bounds(&self) -> classic::Bounds {
        let settings = &self.inner.settings;
        classic::Bounds {
            members: settings.max_size,
            bytes: settings.max_group_bytes,
            first_delay: settings.initial_rebalance_delay,
        }
    }

    fn consumer_bounds(&self) -> consumer::Bounds {
        let settings = &self.inner.settings;
        consumer::Bounds {
            members: settings.max_size,
            bytes: settings.max_group_bytes,
            session: settings.consumer_session_timeout,
        }
    }

    fn share_bounds(&self) -> share::Bounds {
        let settings = &self.inner.settings;
        share::Bounds {
            members: settings.share_max_size,
            bytes: settings.max_group_bytes,
            partitions: settings.share_max_partitions,
            records: settings.share_max_record_locks,
            deliveries: settings.share_delivery_limit,
            session: settings.share_session_timeout,
        }
    }

    pub(super) fn new_share(&self) -> Body {
        Body::Share(Box::new(Share::new(self.share_bounds())))
    }

    pub(super) fn new_classic(&self) -> Body {
        Body::Classic(Classic::new(self.bounds()))
    }

    pub(super) fn new_consumer(&self) -> Body {
        Body::Consumer(Consumer::new(self.consumer_bounds()))
    }

    pub(super) fn find(&self, project: ProjectId, name: &str) -> Option<Arc<Group>> {
        self.inner.groups.lock().get(project, name)
    }

    /// All groups of a project, by name.
    pub(super) fn of_project(&self, project: ProjectId) -> Vec<Arc<Group>> {
        self.inner.groups.lock().of(project)
    }

    /// All groups.
    pub(super) fn all(&self) -> Vec<Arc<Group>> {
        self.inner.groups.lock().all()
    }

    /// The group, made if there is none.
    fn find_or_make(&self, project: ProjectId, name: &str) -> Result<Arc<Group>, ResponseError> {
        for tries in 0..2 {
            if tries > 0 {
                self.make_room(project);
            }
            let mut groups = self.inner.groups.lock();
            if let Some(group) = groups.get(project, name) {
                return Ok(group);
            }
            // Names are stored as they are.
            if !may_name(name) {
                return Err(ResponseError::InvalidGroupId);
            }
            if groups.count(project) < self.inner.settings.max_groups {
                let key = GroupKey { project, name: Arc::from(name) };
                let state = State::new(self.new_classic(), Offsets::none(&self.inner.cached));
                let group = Arc::new(Group { key, state: Mutex::new(state) });
                groups.insert(project, &group.key.name, &group);
                return Ok(group);
            }
        }
        Err(ResponseError::GroupMaxSizeReached)
    }

    /// Does something to a group that there is; none where there is none.
    pub(super) fn with<R>(
        &self,
        project: ProjectId,
        name: &str,
        mut act: impl FnMut(&Arc<Group>, &mut State, Instant) -> R,
    ) -> Option<R> {
        loop {
            let group = self.find(project, name)?;
            if let Some(done) = self.act(&group, |state, now| act(&group, state, now)) {
                return Some(done);
            }
        }
    }

    /// Does something to a group, made if there is none.
    pub(super) fn with_made<R>(
        &self,
        project: ProjectId,
        name: &str,
        mut act: impl FnMut(&Arc<Group>, &mut State, Instant) -> R,
    ) -> Result<R, ResponseError> {
        loop {
            let group = self.find_or_make(project, name)?;
            let done = self.act(&group, |state, now| {
                let done = act(&group, state, now);
                if state.is_untouched() {
                    // What was refused leaves no group behind.
                    state.gone = true;
                    self.inner.groups.lock().remove(project, name);
                }
                done
            });
            if let Some(done) = done {
                return Ok(done);
            }
        }
    }

    /// Looks at a group; none where there is none.
    pub(super) fn see<R>(
        &self,
        project: ProjectId,
        name: &str,
        see: impl FnOnce(&State) -> Option<R>,
    ) -> Option<R> {
        let group = self.find(project, name)?;
        let state = group.state.lock();
        if state.gone { None } else { see(&state) }
    }

    /// Does something to a group and sees to what follows of it; none where the group was deleted meanwhile.
    pub(super) fn act<R>(&self, group: &Arc<Group>, act: impl FnOnce(&mut State, Instant) -> R) -> Option<R> {
        let now = Instant::now();
        let mut state = group.state.lock();
        if state.gone {
            return None;
        }
        state.offsets.touch(now);
        let done = act(&mut state, now);
        self.after(group, &mut state, now);
        Some(done)
    }

    fn after(&self, group: &Arc<Group>, state: &mut State, now: Instant) {
        let mut save = false;
        let mut assigned = None;
        match &mut state.body {
            Body::Classic(classic) => {
                if !classic.members.is_empty() {
                    classic.empty_since = None;
                } else if classic.phase == classic::Phase::Empty && classic.generation > 0 {
                    classic.empty_since.get_or_insert_with(|| self.inner.clock.now());
                }
                assigned = classic.save_assignment.take();
                save = std::mem::take(&mut classic.save);
            }
            Body::Consumer(consumer) => {
                match consumer.members.is_empty() {
                    true => {
                        consumer.empty_since.get_or_insert_with(|| self.inner.clock.now());
                    }
                    false => consumer.empty_since = None,
                }
                save |= std::mem::take(&mut consumer.save);
            }
            Body::Share(share) => save |= std::mem::take(&mut share.save),
        }
        if let Some(generation) = assigned {
            let (groups, of) = (self.clone(), Arc::clone(group));
            let done = Box::new(move |stored| groups.assignment_stored(&of, generation, stored));
            self.inner.queue.push(Work { group: Arc::clone(group), what: What::Group, done, permit: None });
        } else if save {
            let done = Box::new(|_| {});
            self.inner.queue.push(Work { group: Arc::clone(group), what: What::Group, done, permit: None });
        }
        self.set_timer(group, state, now);
    }

    fn set_timer(&self, group: &Arc<Group>, state: &mut State, now: Instant) {
        if std::mem::take(&mut state.quiet) && state.timer.is_some() {
            return;
        }
        let Some(next) = state.next_deadline() else { return };
        // Never at once again: a state that is due now and does nothing about it would spin.
        let next = next.max(now + std::time::Duration::from_millis(1));
        if state.timer.is_none_or(|set| next < set) {
            state.timer = Some(next);
            self.inner.timers.set(group, next);
        }
    }

    /// A group's time has come.
    pub(super) fn wake(&self, group: &Arc<Group>, at: Instant) {
        self.act(group, |state, now| {
            // Alarms that a nearer one has replaced are dropped.
            if state.timer != Some(at) {
                return;
            }
            state.timer = None;
            match &mut state.body {
                Body::Classic(group) => group.tick(now),
                Body::Consumer(group) => group.tick(now),
                Body::Share(group) => group.tick(now),
            }
        });
    }

    fn assignment_stored(&self, group: &Arc<Group>, generation: i32, stored: bool) {
        self.act(group, |state, now| {
            if let Body::Classic(classic) = &mut state.body {
                classic.saved(generation, stored, now);
            }
        });
    }

    /// Stores a group as it is when its turn comes; false where that failed.
    pub(super) async fn save(&self, group: &Arc<Group>) -> bool {
        self.store(group, What::Group, None).await
    }

    /// Stores something of a group and waits for it. It is stored even if nobody waits any more.
    pub(super) async fn store(
        &self,
        group: &Arc<Group>,
        what: What,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> bool {
        let stored = self.enqueue(group, what, permit);
        stored.await.unwrap_or(false)
    }

    /// The same without waiting; to be called under the group's lock where order matters.
    pub(super) fn enqueue(
        &self,
        group: &Arc<Group>,
        what: What,
        permit: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> oneshot::Receiver<bool> {
        let (tell, stored) = oneshot::channel();
        let done = Box::new(move |outcome| {
            tell.send(outcome).ok();
        });
        self.inner.queue.push(Work { group: Arc::clone(group), what, done, permit });
        stored
    }

    /// Takes a group out, to be dropped from storage; where storage fails it is put back.
    pub(super) fn take_out(&self, group: &Arc<Group>, state: &mut State) -> oneshot::Receiver<bool> {
        state.gone = true;
        self.inner.groups.lock().remove(group.key.project, &group.key.name);
        let (tell, stored) = oneshot::channel();
        let (groups, back) = (self.clone(), Arc::clone(group));
        let done = Box::new(move |outcome: bool| {
            if !outcome {
                groups.put_back(&back);
            }
            tell.send(outcome).ok();
        });
        let what = What::Steps(vec![Step::DropGroup { key: group.key.clone() }]);
        state.offsets.begin();
        self.inner.queue.push(Work { group: Arc::clone(group), what, done, permit: None });
        stored
    }

    fn put_back(&self, group: &Arc<Group>) {
        let mut groups = self.inner.groups.lock();
        let key = &group.key;
        if groups.get(key.project, &key.name).is_none() {
            groups.insert(key.project, &key.name, group);
            drop(groups);
            group.state.lock().gone = false;
        }
    }

    /// Forgets a deleted project's groups.
    pub async fn forget_project(&self, project: ProjectId) -> Result<(), SqlError> {
        for group in self.of_project(project) {
            let mut state = group.state.lock();
            state.gone = true;
            drop(state);
            self.inner.groups.lock().remove(project, &group.key.name);
        }
        self.inner.storage.apply(&[Step::DropProject(project)]).await
    }

    /// A new id: a name to know it by, and a random UUID (RFC 9562, version 4).
    pub(super) fn fresh_id(&self, prefix: &str) -> String {
        let mut bytes = [0_u8; 16];
        self.inner.random.fill(&mut bytes);
        let bits = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc << 60) | (0x4000 << 64) | (0x8 << 60);
        let digits = HEXLOWER.encode(&bits.to_be_bytes());
        let part = |from, to| digits.get(from..to).unwrap_or_default();
        let dash = if prefix.is_empty() { "" } else { "-" };
        format!(
            "{prefix}{dash}{}-{}-{}-{}-{}",
            part(0, 8),
            part(8, 12),
            part(12, 16),
            part(16, 20),
            part(20, 32)
        )
    }
}
