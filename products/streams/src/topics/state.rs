//! The registry in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, LazyLock};

use candor_model::{ProjectId, Signal, Timestamp};
use ring::digest::{Context, SHA256};

use super::config::{ConfigError, Overrides, TopicConfig};
use super::name;
use super::store::Stored;
use super::{Topic, TopicError};
use crate::directory::{TopicId, TopicView};

/// All projects' topics.
#[derive(Default)]
pub(super) struct State {
    projects: HashMap<ProjectId, Project>,
}

#[derive(Default)]
struct Project {
    by_name: BTreeMap<Arc<str>, Arc<Topic>>,
    by_id: HashMap<TopicId, Arc<Topic>>,
    by_likeness: HashMap<String, Arc<str>>,
    partitions: u64,
    /// Names that were ever used.
    names: usize,
}

/// Most topics have no configuration of their own and share this one.
static DEFAULTS: LazyLock<Arc<TopicConfig>> = LazyLock::new(Arc::default);

/// The topic of its rows.
pub(super) fn topic(stored: Stored) -> Result<Arc<Topic>, ConfigError> {
    let config = match stored.overrides.is_empty() {
        true => Arc::clone(&DEFAULTS),
        false => Arc::new(TopicConfig::of(&stored.overrides)?),
    };
    let view = TopicView {
        name: Arc::from(stored.name),
        id: stored.id,
        partitions: stored.partitions,
        in_log: stored.in_log,
    };
    Ok(Arc::new(Topic {
        view: Arc::new(view),
        overrides: stored.overrides,
        config,
        created_at: stored.created_at,
        read_only: false,
    }))
}

/// The topic of a signal: the same id on every start, without a row.
fn signal_topic(project: ProjectId, signal: Signal) -> Arc<Topic> {
    let in_log = signal.topic();
    let mut context = Context::new(&SHA256);
    context.update(b"candor topic of a signal\0");
    context.update(&project.0.to_be_bytes());
    context.update(in_log.0.as_bytes());
    let mut id = [0; 16];
    id.copy_from_slice(context.finish().as_ref().get(..16).unwrap_or(&[0; 16]));
    let view = TopicView { name: Arc::from(&*in_log.0), id: super::version_4(id), partitions: 1, in_log };
    Arc::new(Topic {
        view: Arc::new(view),
        overrides: Overrides::new(),
        config: Arc::clone(&DEFAULTS),
        created_at: Timestamp(0),
        read_only: true,
    })
}

impl State {
    /// What the rows say.
    pub fn of(stored: Vec<Stored>, names: HashMap<ProjectId, usize>) -> Result<State, TopicError> {
        let mut state = State::default();
        for row in stored {
            let project = row.project;
            let topic = topic(row)?;
            state.insert(project, &[topic], 0);
        }
        for (project, count) in names {
            state.projects.entry(project).or_default().names = count;
        }
        Ok(state)
    }

    pub fn topic(&self, project: ProjectId, name: &str) -> Option<Arc<Topic>> {
        if let Some(signal) = name::signal(name) {
            return Some(signal_topic(project, signal));
        }
        self.projects.get(&project)?.by_name.get(name).map(Arc::clone)
    }

    pub fn topic_by_id(&self, project: ProjectId, id: TopicId) -> Option<Arc<Topic>> {
        let own = self.projects.get(&project).and_then(|project| project.by_id.get(&id));
        own.map(Arc::clone).or_else(|| {
            let mut signals = Signal::ALL.into_iter().map(|signal| signal_topic(project, signal));
            signals.find(|topic| topic.view.id == id)
        })
    }

    /// The topics of all projects.
    pub fn all(&self) -> Vec<(ProjectId, Arc<Topic>)> {
        let own = |(project, of): (&ProjectId, &Project)| {
            of.by_name.values().map(|topic| (*project, Arc::clone(topic))).collect::<Vec<_>>()
        };
        self.projects.iter().flat_map(own).collect()
    }

    /// All of a project, sorted by name.
    pub fn topics(&self, project: ProjectId) -> Vec<Arc<Topic>> {
        let signals = Signal::ALL.into_iter().map(|signal| signal_topic(project, signal));
        let own = self.projects.get(&project).into_iter().flat_map(|project| project.by_name.values());
        let mut all: Vec<Arc<Topic>> = own.map(Arc::clone).chain(signals).collect();
        all.sort_by(|a, b| a.view.name.cmp(&b.view.name));
        all
    }

    /// The topic that a name of that likeness would be taken for.
    pub fn alike(&self, project: ProjectId, likeness: &str) -> Option<Arc<str>> {
        self.projects.get(&project)?.by_likeness.get(likeness).map(Arc::clone)
    }

    /// A project's topics, partitions, and names ever used. Signals do not count.
    pub fn counts(&self, project: ProjectId) -> (usize, u64, usize) {
        let count = |project: &Project| (project.by_name.len(), project.partitions, project.names);
        self.projects.get(&project).map_or((0, 0, 0), count)
    }

    /// Adds topics, or puts them in the place of those of the same name. `first_uses` of the names were never used
    /// before.
    pub fn insert(&mut self, project: ProjectId, topics: &[Arc<Topic>], first_uses: usize) {
        let project = self.projects.entry(project).or_default();
        project.names += first_uses;
        for topic in topics {
            let view = &topic.view;
            project.remove(&view.name);
            project.partitions += u64::from(view.partitions);
            project.by_likeness.insert(name::likeness(&view.name), Arc::clone(&view.name));
            project.by_id.insert(view.id, Arc::clone(topic));
            project.by_name.insert(Arc::clone(&view.name), Arc::clone(topic));
        }
    }

    pub fn remove(&mut self, project: ProjectId, name: &str) {
        if let Some(project) = self.projects.get_mut(&project) {
            project.remove(name);
        }
    }

    pub fn forget(&mut self, project: ProjectId) {
        self.projects.remove(&project);
    }
}

impl Project {
    fn remove(&mut self, name: &str) {
        let Some(topic) = self.by_name.remove(name) else { return };
        self.by_id.remove(&topic.view.id);
        self.by_likeness.remove(&name::likeness(name));
        self.partitions = self.partitions.saturating_sub(u64::from(topic.view.partitions));
    }
}
