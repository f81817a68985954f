//! The registry of topics: what there is, in memory for every request, in the metadata database for good.
//!
//! One process serves, so memory is what holds: a change is checked against memory by the one writer, written, and then
//! seen. When a commit's answer is lost, nobody knows what the database holds, and the next change reads it anew first.
//!
//! A project's signals are topics too. They are always there, are read only, and stand in no table.

mod batch;
pub mod config;
pub mod definitions;
mod error;
pub mod name;
mod state;
mod store;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use candor_meta::{Database, SqlError, Tx};
use candor_model::{Clock, ProjectId, Random, Timestamp};
use parking_lot::RwLock;
use tokio::sync::watch;

use crate::directory::{TopicDirectory, TopicId, TopicView};
use batch::Batch;
use config::{Change, Overrides, TopicConfig};
pub use error::TopicError;
use state::State;
pub use store::Gone;
use store::Stored;

/// Names that one request may make topics of.
pub const NAMES_PER_REQUEST_MAX: usize = 10_000;

/// Names that a project may ever use for topics: each is remembered, so that the log never sees one name twice.
const NAMES_PER_PROJECT_MAX: usize = 1_000_000;

/// How the registry behaves, for all projects.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `auto.create.topics.enable`: a name that a client asks for and that is no topic yet becomes one.
    pub auto_create: bool,
    /// `num.partitions`: partitions of a topic that nobody gave a number of.
    pub partitions: u32,
    /// Topics a project may have: each costs some 500 bytes of memory at all times.
    pub topics_per_project_max: usize,
    /// Partitions a topic may have.
    pub partitions_per_topic_max: u32,
    /// Partitions a project may have, over all its topics.
    pub partitions_per_project_max: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            auto_create: true,
            partitions: 4,
            topics_per_project_max: 10_000,
            partitions_per_topic_max: 10_000,
            partitions_per_project_max: 100_000,
        }
    }
}

/// A topic to be made.
#[derive(Debug, Clone, Default)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions; none for the default.
    pub partitions: Option<u32>,
    /// What is set.
    pub configs: Vec<(String, Change)>,
}

/// A topic with all that is known of it.
#[derive(Debug, Clone)]
pub struct Topic {
    /// What the directory tells.
    pub view: Arc<TopicView>,
    /// What is set.
    pub overrides: Overrides,
    /// What holds.
    pub config: Arc<TopicConfig>,
    /// When it was made; the epoch for a signal's.
    pub created_at: Timestamp,
    /// True for a signal's, which clients neither write nor change.
    pub read_only: bool,
}

/// The topics of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Topics {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    settings: Settings,
    state: RwLock<State>,
    changes: watch::Sender<u64>,
    /// The one writer; true where memory may differ from the database.
    writer: tokio::sync::Mutex<bool>,
}

impl Topics {
    /// Opens the tables and reads all topics.
    pub async fn open(
        database: Database,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        settings: Settings,
    ) -> Result<Topics, TopicError> {
        database.migrate(store::MIGRATIONS).await?;
        let (stored, names) = store::load(database.begin_read().await?).await?;
        let state = RwLock::new(State::of(stored, names)?);
        let changes = watch::Sender::new(0);
        let writer = tokio::sync::Mutex::new(false);
        let inner = Inner { database, clock, random, settings, state, changes, writer };
        Ok(Topics { inner: Arc::new(inner) })
    }

    /// How the registry behaves.
    pub fn settings(&self) -> &Settings {
        &self.inner.settings
    }

    /// A topic with its configuration.
    pub fn get(&self, project: ProjectId, name: &str) -> Option<Arc<Topic>> {
        self.inner.state.read().topic(project, name)
    }

    /// A topic with its configuration, by id.
    pub fn get_by_id(&self, project: ProjectId, id: TopicId) -> Option<Arc<Topic>> {
        self.inner.state.read().topic_by_id(project, id)
    }

    /// A project's topics with their configurations, sorted by name.
    pub fn list(&self, project: ProjectId) -> Vec<Arc<Topic>> {
        self.inner.state.read().topics(project)
    }

    /// The topics of all projects.
    pub fn all(&self) -> Vec<(ProjectId, Arc<Topic>)> {
        self.inner.state.read().all()
    }

    /// A topic's configuration in types.
    pub fn config(&self, project: ProjectId, name: &str) -> Option<Arc<TopicConfig>> {
        self.get(project, name).map(|topic| Arc::clone(&topic.config))
    }

    /// Makes one topic.
    pub async fn create(&self, project: ProjectId, new: NewTopic) -> Result<Arc<Topic>, TopicError> {
        let mut made = self.create_all(project, std::slice::from_ref(&new), false).await?;
        made.pop().unwrap_or(Err(TopicError::Unknown))
    }

    /// Makes topics in one transaction; those that are refused are told one by one and leave the others be. With
    /// `dry_run` nothing is made, and what would be is told.
    pub async fn create_all(
        &self,
        project: ProjectId,
        new: &[NewTopic],
        dry_run: bool,
    ) -> Result<Vec<Result<Arc<Topic>, TopicError>>, TopicError> {
        if new.len() > NAMES_PER_REQUEST_MAX {
            return Err(TopicError::TooManyNames);
        }
        let mut writer = self.writer().await?;
        let now = self.inner.clock.now();
        let mut batch = Batch::default();
        let mut results: Vec<Result<usize, TopicError>> = Vec::with_capacity(new.len());
        for topic in new {
            let checked = self.check_new(project, topic, &batch);
            results.push(checked.map(|(partitions, overrides)| {
                let mut id = [0; 16];
                self.inner.random.fill(&mut id);
                batch.accept(Stored {
                    project,
                    name: topic.name.clone(),
                    id: version_4(id),
                    in_log: name::in_log(&topic.name, 1),
                    partitions,
                    created_at: now,
                    overrides,
                })
            }));
        }
        let mut accepted = batch.topics;
        let mut first_uses = 0;
        if !dry_run && !accepted.is_empty() {
            *writer = true;
            let mut tx = self.change().await?;
            for topic in &mut accepted {
                let incarnation = store::incarnate(&mut tx, project, &topic.name).await?;
                first_uses += usize::from(incarnation == 1);
                topic.in_log = name::in_log(&topic.name, incarnation);
                store::insert(&mut tx, topic, incarnation).await?;
            }
            tx.commit().await?;
            *writer = false;
        }
        let made: Vec<Arc<Topic>> = accepted.into_iter().map(state::topic).collect::<Result<_, _>>()?;
        if !dry_run && !made.is_empty() {
            self.inner.state.write().insert(project, &made, first_uses);
            self.changed();
        }
        let pick = |at: usize| made.get(at).map(Arc::clone).ok_or(TopicError::Unknown);
        Ok(results.into_iter().map(|result| result.and_then(pick)).collect())
    }

    /// What a new topic gets, unless it may not be.
    fn check_new(
        &self,
        project: ProjectId,
        new: &NewTopic,
        batch: &Batch,
    ) -> Result<(u32, Overrides), TopicError> {
        let settings = &self.inner.settings;
        name::check_new(&new.name)?;
        if new.name.starts_with(name::RESERVED) {
            return Err(match name::signal(&new.name) {
                Some(_) => TopicError::Exists(Arc::from(&*new.name)),
                None => TopicError::Reserved,
            });
        }
        let state = self.inner.state.read();
        if state.topic(project, &new.name).is_some() {
            return Err(TopicError::Exists(Arc::from(&*new.name)));
        }
        let likeness = name::likeness(&new.name);
        match batch.alike(&likeness).or_else(|| state.alike(project, &likeness)) {
            Some(other) if *other == *new.name => return Err(TopicError::Exists(other)),
            Some(other) => return Err(TopicError::Collides(other)),
            None => {}
        }
        let max = settings.partitions_per_topic_max;
        let partitions = new.partitions.unwrap_or(settings.partitions);
        if partitions == 0 || partitions > max {
            return Err(TopicError::Partitions { max });
        }
        let (topics, in_all, names) = state.counts(project);
        if topics + batch.topics.len() >= settings.topics_per_project_max {
            let max = settings.topics_per_project_max as u64;
            return Err(TopicError::TooMany { max, what: "topics" });
        }
        if names + batch.topics.len() >= NAMES_PER_PROJECT_MAX {
            let max = NAMES_PER_PROJECT_MAX as u64;
            return Err(TopicError::TooMany { max, what: "names of topics over its life" });
        }
        if in_all + batch.partitions + u64::from(partitions) > settings.partitions_per_project_max {
            let max = settings.partitions_per_project_max;
            return Err(TopicError::TooMany { max, what: "partitions" });
        }
        Ok((partitions, config::apply(&Overrides::new(), false, &new.configs)?))
    }

    /// The topic of that name, made now where there is none and topics are made by asking for them.
    pub async fn ensure(&self, project: ProjectId, name: &str) -> Result<Arc<Topic>, TopicError> {
        let mut found = self.ensure_all(project, &[name]).await?;
        found.pop().unwrap_or(Err(TopicError::Unknown))
    }

    /// The same for many, in one transaction.
    pub async fn ensure_all(
        &self,
        project: ProjectId,
        names: &[&str],
    ) -> Result<Vec<Result<Arc<Topic>, TopicError>>, TopicError> {
        let mut seen = HashSet::new();
        let missing: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| seen.insert(*name) && self.get(project, name).is_none())
            .collect();
        let mut refused: BTreeMap<&str, TopicError> = BTreeMap::new();
        if !missing.is_empty() && self.inner.settings.auto_create {
            let new: Vec<NewTopic> = missing
                .iter()
                .map(|name| NewTopic { name: (*name).to_owned(), ..NewTopic::default() })
                .collect();
            for (name, result) in missing.iter().zip(self.create_all(project, &new, false).await?) {
                match result {
                    // Another request made it meanwhile.
                    Ok(_) | Err(TopicError::Exists(_)) => {}
                    Err(error) => drop(refused.insert(name, error)),
                }
            }
        }
        let find = |name: &&str| match self.get(project, name) {
            Some(topic) => Ok(topic),
            None => match refused.get(name) {
                Some(error) => Err(error.clone()),
                None => name::check(name).map_err(TopicError::from).and(Err(TopicError::Unknown)),
            },
        };
        Ok(names.iter().map(find).collect())
    }

    /// Removes a topic from the registry, at once for every reader. What it leaves in the log is [`Topics::gone`] until
    /// somebody says that it is collected.
    pub async fn delete(&self, project: ProjectId, name: &str) -> Result<(Arc<Topic>, Gone), TopicError> {
        let mut writer = self.writer().await?;
        let topic = self.changeable(project, name)?;
        let gone = Gone { project, in_log: topic.view.in_log.clone(), partitions: topic.view.partitions };
        *writer = true;
        let mut tx = self.change().await?;
        store::delete(&mut tx, name, &gone, self.inner.clock.now()).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.state.write().remove(project, name);
        self.changed();
        Ok((topic, gone))
    }

    /// What deleted topics left in the log, the oldest first.
    pub async fn gone(&self) -> Result<Vec<Gone>, TopicError> {
        Ok(store::gone(&self.inner.database).await?)
    }

    /// Notes that the log is rid of what a deleted topic left.
    pub async fn collected(&self, gone: &Gone) -> Result<(), TopicError> {
        Ok(store::collected(&self.inner.database, gone).await?)
    }

    /// Gives a topic more partitions, `count` in all. With `dry_run` it is only checked.
    pub async fn grow(
        &self,
        project: ProjectId,
        name: &str,
        count: u32,
        dry_run: bool,
    ) -> Result<Arc<Topic>, TopicError> {
        let mut writer = self.writer().await?;
        let topic = self.changeable(project, name)?;
        let settings = &self.inner.settings;
        let has = topic.view.partitions;
        if count <= has {
            return Err(TopicError::NotMore { has });
        }
        if count > settings.partitions_per_topic_max {
            return Err(TopicError::Partitions { max: settings.partitions_per_topic_max });
        }
        let (_, in_all, _) = self.inner.state.read().counts(project);
        if in_all + u64::from(count - has) > settings.partitions_per_project_max {
            let max = settings.partitions_per_project_max;
            return Err(TopicError::TooMany { max, what: "partitions" });
        }
        let mut grown = Topic::clone(&topic);
        grown.view = Arc::new(TopicView { partitions: count, ..TopicView::clone(&topic.view) });
        let grown = Arc::new(grown);
        if dry_run {
            return Ok(grown);
        }
        *writer = true;
        let mut tx = self.change().await?;
        store::set_partitions(&mut tx, project, name, count).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.state.write().insert(project, &[Arc::clone(&grown)], 0);
        self.changed();
        Ok(grown)
    }

    /// Changes a topic's configurations; `replace` puts what is not named back to its default. With `dry_run` it is
    /// only checked.
    pub async fn configure(
        &self,
        project: ProjectId,
        name: &str,
        replace: bool,
        changes: &[(String, Change)],
        dry_run: bool,
    ) -> Result<Arc<Topic>, TopicError> {
        let mut writer = self.writer().await?;
        let topic = self.changeable(project, name)?;
        let overrides = config::apply(&topic.overrides, replace, changes)?;
        let config = Arc::new(TopicConfig::of(&overrides)?);
        let changed = Arc::new(Topic { overrides, config, ..Topic::clone(&topic) });
        if dry_run || changed.overrides == topic.overrides {
            return Ok(changed);
        }
        *writer = true;
        let mut tx = self.change().await?;
        store::set_configs(&mut tx, project, name, &changed.overrides).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.state.write().insert(project, &[Arc::clone(&changed)], 0);
        self.changed();
        Ok(changed)
    }

    /// Removes everything of a deleted project. Its records in the log go with the project's.
    pub async fn forget(&self, project: ProjectId) -> Result<(), TopicError> {
        let mut writer = self.writer().await?;
        *writer = true;
        let mut tx = self.change().await?;
        store::forget(&mut tx, project).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.state.write().forget(project);
        self.changed();
        Ok(())
    }

    fn changeable(&self, project: ProjectId, name: &str) -> Result<Arc<Topic>, TopicError> {
        let topic = self.get(project, name).ok_or(TopicError::Unknown)?;
        if topic.read_only { Err(TopicError::ReadOnly(Arc::clone(&topic.view.name))) } else { Ok(topic) }
    }

    /// A transaction of a change. The lock makes it wait for the end of one that was left in the middle, whose commit may
    /// still be on its way.
    async fn change(&self) -> Result<Tx, SqlError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock("stream_topic").await?;
        Ok(tx)
    }

    /// Takes the writer's place, and reads the database anew where a change before it was left in doubt: it failed, or
    /// whoever asked for it went away in the middle of it.
    async fn writer(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, TopicError> {
        let mut doubt = self.inner.writer.lock().await;
        if *doubt {
            let (stored, names) = store::load(self.change().await?).await?;
            *self.inner.state.write() = State::of(stored, names)?;
            *doubt = false;
            self.changed();
        }
        Ok(doubt)
    }

    fn changed(&self) {
        self.inner.changes.send_modify(|tick| *tick = tick.wrapping_add(1));
    }
}

impl TopicDirectory for Topics {
    fn topic(&self, project: ProjectId, name: &str) -> Option<Arc<TopicView>> {
        self.get(project, name).map(|topic| Arc::clone(&topic.view))
    }

    fn topic_by_id(&self, project: ProjectId, id: TopicId) -> Option<Arc<TopicView>> {
        self.get_by_id(project, id).map(|topic| Arc::clone(&topic.view))
    }

    fn topics(&self, project: ProjectId) -> Vec<Arc<TopicView>> {
        self.list(project).iter().map(|topic| Arc::clone(&topic.view)).collect()
    }

    fn changes(&self) -> watch::Receiver<u64> {
        self.inner.changes.subscribe()
    }
}

/// A UUID of version 4 (RFC 9562, section 5.4) of random bytes.
fn version_4(bytes: [u8; 16]) -> TopicId {
    let bits = u128::from_be_bytes(bytes) & !(0xf000 << 64) & !(0xc << 60) | (0x4000 << 64) | (0x8 << 60);
    bits.to_be_bytes()
}
