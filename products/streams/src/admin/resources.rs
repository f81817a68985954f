//! Configurations of what is no topic: groups, and the broker as far as clients may set something of it. Kept for each
//! project by itself, as everything is: what one project sets of the broker no other sees.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use candor_meta::{Database, Migration, SqlError, Tx, params};
use candor_model::ProjectId;
use parking_lot::RwLock;

use crate::groups::GroupConfigs;
use crate::topics::config::{Change, ConfigError, Overrides, apply_to, stored, value_of};
use crate::topics::definitions::{Definition, Kind};

/// Things with configurations that a project may have.
const RESOURCES_PER_PROJECT_MAX: usize = 10_000;

/// Longest name of one, bytes.
const NAME_BYTES_MAX: usize = 1024;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_configs",
    version: 1,
    sql: "
CREATE TABLE stream_config (
    project BIGINT NOT NULL,
    kind BIGINT NOT NULL,
    resource TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (project, kind, resource, name)
);
",
}];

/// What has configurations. The numbers are Kafka's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// The broker.
    Broker = 4,
    /// A consumer or share group.
    Group = 32,
}

impl ResourceKind {
    /// What can be set of it.
    pub fn definitions(self) -> &'static [Definition] {
        match self {
            ResourceKind::Broker => BROKER,
            ResourceKind::Group => GROUP,
        }
    }

    fn from_stored(number: i64) -> Option<ResourceKind> {
        [ResourceKind::Broker, ResourceKind::Group].into_iter().find(|kind| *kind as i64 == number)
    }

    fn find(self, name: &str) -> Option<&'static Definition> {
        self.definitions().iter().find(|definition| definition.name == name)
    }
}

const fn of(name: &'static str, kind: Kind, default: &'static str, text: &'static str) -> Definition {
    Definition { name, kind, default, broker: None, text }
}

const MAX32: i64 = i32::MAX as i64;

/// The least and the most that a session timeout of a group may be, milliseconds: as of classic groups.
pub(crate) const SESSION_MS: (i64, i64) = (6_000, 1_800_000);

/// The least and the most that a heartbeat interval of a group may be, milliseconds.
pub(crate) const BEAT_MS: (i64, i64) = (1_000, 60_000);

/// Each group's heartbeat interval with its session timeout, and what is said where they do not fit.
const PACES: [[&str; 3]; 2] = [
    [
        "consumer.heartbeat.interval.ms",
        "consumer.session.timeout.ms",
        "consumer.session.timeout.ms has to be more than consumer.heartbeat.interval.ms, \
         or members would be taken for gone between two heartbeats",
    ],
    [
        "share.heartbeat.interval.ms",
        "share.session.timeout.ms",
        "share.session.timeout.ms has to be more than share.heartbeat.interval.ms, \
         or members would be taken for gone between two heartbeats",
    ],
];

/// What clients set of Kafka's brokers while they run, and what has no counterpart here.
const BROKER: &[Definition] = &[
    of(
        "background.threads",
        Kind::Int(1, MAX32),
        "10",
        "How many threads do background work. Kept for clients that set it; here their number follows the cores.",
    ),
    of(
        "sasl.kerberos.min.time.before.relogin",
        Kind::Long(0, i64::MAX),
        "60000",
        "How long a Kerberos login waits before it is renewed. Kept for clients that set it; Kerberos is not offered.",
    ),
];

/// Of groups, as Apache Kafka 4.
const GROUP: &[Definition] = &[
    of(
        "consumer.heartbeat.interval.ms",
        Kind::Int(BEAT_MS.0, BEAT_MS.1),
        "5000",
        "How often a member of a consumer group tells that it is there, in milliseconds.",
    ),
    of(
        "consumer.session.timeout.ms",
        Kind::Int(SESSION_MS.0, SESSION_MS.1),
        "45000",
        "After how long without a word a member of a consumer group is taken for gone, in milliseconds.",
    ),
    of(
        "share.auto.offset.reset",
        Kind::Choice(&["latest", "earliest"]),
        "latest",
        "Where a share group begins in a partition that it has not read.",
    ),
    of(
        "share.heartbeat.interval.ms",
        Kind::Int(BEAT_MS.0, BEAT_MS.1),
        "5000",
        "How often a member of a share group tells that it is there, in milliseconds.",
    ),
    of(
        "share.isolation.level",
        Kind::Choice(&["read_uncommitted", "read_committed"]),
        "read_uncommitted",
        "Whether a share group is given records of transactions that are open or were aborted.",
    ),
    of(
        "share.record.lock.duration.ms",
        Kind::Int(1000, 3_600_000),
        "30000",
        "How long a record that was given to a member of a share group is given to no other, in milliseconds.",
    ),
    of(
        "share.session.timeout.ms",
        Kind::Int(SESSION_MS.0, SESSION_MS.1),
        "45000",
        "After how long without a word a member of a share group is taken for gone, in milliseconds.",
    ),
];

/// Why a configuration was not changed.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// It is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A name that is empty or too long.
    #[error("the name of what is configured has 1 to {NAME_BYTES_MAX} bytes")]
    Name,
    /// The project is full.
    #[error("the project has configurations of {RESOURCES_PER_PROJECT_MAX} things already")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Sql(#[from] SqlError),
}

type Key = (ResourceKind, String);
type All = HashMap<ProjectId, BTreeMap<Key, Overrides>>;

/// The configurations. Cheap to clone.
#[derive(Clone)]
pub struct ResourceConfigs {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    set: RwLock<All>,
    /// The one writer; true where memory may differ from the database.
    writer: tokio::sync::Mutex<bool>,
}

impl ResourceConfigs {
    /// Opens the table and reads it.
    pub async fn open(database: Database) -> Result<ResourceConfigs, SqlError> {
        database.migrate(MIGRATIONS).await?;
        let set = RwLock::new(load(database.begin_read().await?).await?);
        let writer = tokio::sync::Mutex::new(false);
        Ok(ResourceConfigs { inner: Arc::new(Inner { database, set, writer }) })
    }

    /// What is set of a thing; empty where nothing is.
    pub fn get(&self, project: ProjectId, kind: ResourceKind, resource: &str) -> Overrides {
        let set = self.inner.set.read();
        let found = set.get(&project).and_then(|set| set.get(&(kind, resource.to_owned())));
        found.cloned().unwrap_or_default()
    }

    /// What holds for a group: `consumer.session.timeout.ms` and its like. None for a name that groups do not have.
    pub fn of_group(&self, project: ProjectId, group: &str, name: &str) -> Option<String> {
        let definition = ResourceKind::Group.find(name)?;
        let overrides = self.get(project, ResourceKind::Group, group);
        Some(value_of(&overrides, definition).0.to_owned())
    }

    /// The things of which something is set, by name.
    pub fn list(&self, project: ProjectId, kind: ResourceKind) -> Vec<String> {
        let set = self.inner.set.read();
        let keys = set.get(&project).into_iter().flat_map(|set| set.keys());
        keys.filter(|(of, _)| *of == kind).map(|(_, name)| name.clone()).collect()
    }

    /// Changes configurations; `replace` puts what is not named back to its default. With `dry_run` it is only checked.
    pub async fn configure(
        &self,
        project: ProjectId,
        kind: ResourceKind,
        resource: &str,
        replace: bool,
        changes: &[(String, Change)],
        dry_run: bool,
    ) -> Result<(), ResourceError> {
        // The broker by no name is what holds for all brokers.
        let may_be_empty = kind == ResourceKind::Broker;
        if (resource.is_empty() && !may_be_empty) || resource.len() > NAME_BYTES_MAX {
            return Err(ResourceError::Name);
        }
        let mut writer = self.writer().await?;
        let before = self.get(project, kind, resource);
        let after = apply_to(|name| kind.find(name), &before, replace, changes)?;
        check_paces(kind, &after)?;
        let count = self.inner.set.read().get(&project).map_or(0, BTreeMap::len);
        if before.is_empty() && !after.is_empty() && count >= RESOURCES_PER_PROJECT_MAX {
            return Err(ResourceError::TooMany);
        }
        if dry_run || after == before {
            return Ok(());
        }
        *writer = true;
        let mut tx = self.change().await?;
        tx.execute(
            "DELETE FROM stream_config WHERE project = ? AND kind = ? AND resource = ?",
            params![project.0, kind as i64, resource],
        )
        .await?;
        for (name, value) in &after {
            tx.execute(
                "INSERT INTO stream_config (project, kind, resource, name, value) VALUES (?, ?, ?, ?, ?)",
                params![project.0, kind as i64, resource, *name, value],
            )
            .await?;
        }
        tx.commit().await?;
        *writer = false;
        let mut set = self.inner.set.write();
        let set = set.entry(project).or_default();
        let key = (kind, resource.to_owned());
        if after.is_empty() {
            set.remove(&key)
        } else {
            set.insert(key, after)
        };
        Ok(())
    }

    /// Removes everything of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), SqlError> {
        let mut writer = self.writer().await?;
        *writer = true;
        let mut tx = self.change().await?;
        tx.execute("DELETE FROM stream_config WHERE project = ?", params![project.0]).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.set.write().remove(&project);
        Ok(())
    }

    /// A transaction of a change. The lock makes it wait for the end of one that was left in the middle.
    async fn change(&self) -> Result<Tx, SqlError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock("stream_config").await?;
        Ok(tx)
    }

    /// Takes the writer's place, and reads the database anew where a change before it was left in doubt.
    async fn writer(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, SqlError> {
        let mut doubt = self.inner.writer.lock().await;
        if *doubt {
            let set = load(self.change().await?).await?;
            *self.inner.set.write() = set;
            *doubt = false;
        }
        Ok(doubt)
    }
}

impl GroupConfigs for ResourceConfigs {
    fn time(&self, project: ProjectId, group: &str, name: &str) -> Option<Duration> {
        let set = self.inner.set.read();
        let value = set.get(&project)?.get(&(ResourceKind::Group, group.to_owned()))?.get(name)?;
        value.parse().ok().map(Duration::from_millis)
    }
}

/// Members have to be able to speak before they are taken for gone.
fn check_paces(kind: ResourceKind, overrides: &Overrides) -> Result<(), ConfigError> {
    let number = |name: &str| {
        let (value, _) = value_of(overrides, kind.find(name)?);
        value.parse::<i64>().ok()
    };
    for [beat, session, sentence] in PACES {
        if let (Some(beat), Some(session)) = (number(beat), number(session))
            && session <= beat
        {
            return Err(ConfigError::Together(sentence));
        }
    }
    Ok(())
}

async fn load(mut tx: Tx) -> Result<All, SqlError> {
    let mut rows: HashMap<ProjectId, BTreeMap<Key, Vec<(String, String)>>> = HashMap::new();
    for row in tx.query("SELECT project, kind, resource, name, value FROM stream_config", &[]).await? {
        // What a later version keeps here is left alone.
        let Some(kind) = ResourceKind::from_stored(row.int(1)?) else { continue };
        let of = rows.entry(ProjectId(row.int(0)?)).or_default();
        let pair = (row.text(3)?.to_owned(), row.text(4)?.to_owned());
        of.entry((kind, row.text(2)?.to_owned())).or_default().push(pair);
    }
    let typed = |((kind, resource), pairs): (Key, Vec<(String, String)>)| {
        ((kind, resource), stored(|name| kind.find(name), pairs))
    };
    Ok(rows.into_iter().map(|(project, of)| (project, of.into_iter().map(typed).collect())).collect())
}
