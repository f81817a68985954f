//! What the screen asks of streams: topics, messages, groups, users and rules, as plain structs.
//!
//! The broker's own parts answer, as whoever owns the project; nothing here knows the protocol's bytes but where it asks
//! those parts. Reading takes a [`ReadScope`], changing a [`WriteScope`]: who has one was checked where it was given.

mod access;
mod decode;
mod describe;
mod follow;
mod groups;
mod lag;
mod pages;
pub(crate) mod partitioner;
mod produce;
mod quotas;
mod rates;
mod reading;
mod records;
mod schema_use;
mod schemas;
#[cfg(test)]
mod tests;
mod topics;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use candor_log::{Log, ReadError, Topic as LogTopic};
use candor_meta::{ReadScope, SqlError, WriteScope};
use candor_model::{Clock, ProjectId, Random};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

pub use access::{AccessRule, KafkaUser, NewKafkaUser};
pub use decode::{Part, PartKind};
pub use describe::{Assigned, Member};
pub use follow::{Follow, Followed};
pub use groups::{GroupDetail, GroupList, GroupOffset, GroupSummary, Moved, Reset, ResetTo};
pub use lag::{LagHistory, LagSeries};
pub use pages::{Ask, Begin, Cursor, Page};
pub use produce::{NewHeader, NewMessage, Produced};
pub use quotas::ClientQuota;
pub use records::{Message, MessageHeader};
pub use schema_use::{SchemaTopic, SchemaTopics};
pub use schemas::{
    NewSchema, Place, SchemaTest, Setting, SettingsChange, SubjectDetail, SubjectList, SubjectSettings,
    SubjectSummary, SubjectVersion, Tested, TestedVersion, Unfit, VersionDetail,
};
pub use topics::{
    Change, ConfigShown, NewTopic, PartitionShown, TopicDetail, TopicGroup, TopicList, TopicSummary,
};

use crate::admin::acl::AclError;
use crate::auth::CredentialError;
use crate::auth::credentials::ANONYMOUS;
use crate::caller::Caller;
use crate::registry::{Registry, RegistryError};
use crate::topics::{Topic, TopicError, Topics};
use reading::Reading;

/// Why something was not shown or done.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
    /// It cannot be asked or done so.
    #[error("{0}")]
    Refused(String),
    /// It contradicts what is there.
    #[error("{0}")]
    Conflict(String),
    /// Not now.
    #[error("{0}")]
    Later(String),
    /// The log cannot be read.
    #[error("the log cannot be read")]
    Read(#[from] ReadError),
    /// Metadata failed.
    #[error(transparent)]
    Sql(Arc<SqlError>),
}

impl From<TopicError> for ViewError {
    fn from(error: TopicError) -> ViewError {
        let text = error.to_string();
        match error {
            TopicError::Unknown => ViewError::Missing(text),
            TopicError::Exists(_) | TopicError::Collides(_) => ViewError::Conflict(text),
            TopicError::Sql(error) => ViewError::Sql(error),
            _ => ViewError::Refused(text),
        }
    }
}

impl From<CredentialError> for ViewError {
    fn from(error: CredentialError) -> ViewError {
        let text = error.to_string();
        match error {
            CredentialError::Unknown => ViewError::Missing(text),
            CredentialError::Taken => ViewError::Conflict(text),
            CredentialError::Busy => ViewError::Later(text),
            CredentialError::Sql(error) => ViewError::Sql(Arc::new(error)),
            _ => ViewError::Refused(text),
        }
    }
}

impl From<RegistryError> for ViewError {
    fn from(error: RegistryError) -> ViewError {
        match error {
            RegistryError::Refused { code: 409, .. } => ViewError::Conflict(
                "the schema does not fit the subject's earlier versions at its level of compatibility: test it to see why"
                    .to_owned(),
            ),
            RegistryError::Refused { code, message } => match code / 100 {
                404 => ViewError::Missing(message),
                503 => ViewError::Later(message),
                _ => ViewError::Refused(message),
            },
            RegistryError::Sql(error) => ViewError::Sql(Arc::new(error)),
        }
    }
}

impl From<AclError> for ViewError {
    fn from(error: AclError) -> ViewError {
        match error {
            AclError::TooMany => ViewError::Refused(error.to_string()),
            AclError::Sql(error) => ViewError::Sql(Arc::new(error)),
        }
    }
}

/// Answers the screen. Cheap to clone.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
}

/// What the screen is answered by.
pub(crate) struct Parts {
    /// The broker's.
    pub parts: crate::parts::Parts,
    /// The registry of topics.
    pub topics: Topics,
    /// The log.
    pub log: Log,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// The schemas of values.
    pub registry: Registry,
}

struct Inner {
    parts: crate::parts::Parts,
    topics: Topics,
    log: Log,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    rates: Mutex<rates::Rates>,
    lags: Mutex<lag::Lags>,
    registry: Registry,
    reading: Reading,
    /// A user is made in two steps: by one request at a time.
    making_user: tokio::sync::Mutex<()>,
}

impl View {
    /// Over its parts. How far groups are behind is noted from now on, until `stop`.
    pub(crate) fn start(parts: Parts, stop: CancellationToken) -> View {
        let Parts { parts, topics, log, clock, random, registry } = parts;
        let inner = Arc::new(Inner {
            parts,
            topics,
            log,
            clock,
            random,
            rates: Mutex::default(),
            lags: Mutex::default(),
            registry,
            reading: Reading::default(),
            making_user: tokio::sync::Mutex::default(),
        });
        tokio::spawn(lag::run(Arc::downgrade(&inner), stop));
        View { inner }
    }
}

impl Inner {
    /// Who asks the broker's parts: rules bind clients, not whoever may manage the project.
    fn caller(&self, project: ProjectId) -> Caller {
        let users = self.parts.credentials.list(project);
        let owner = users.iter().find(|(_, user)| user.is_owner).map(|(name, _)| name.as_str());
        let user = Arc::from(owner.unwrap_or(ANONYMOUS));
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Caller { project, user, client_id: Some(Arc::from("candor-screen")), host }
    }

    fn topic(&self, project: ProjectId, name: &str) -> Result<Arc<Topic>, ViewError> {
        let missing = || ViewError::Missing(format!("the project has no topic {name:?}"));
        self.topics.get(project, name).ok_or_else(missing)
    }

    /// A topic whose records are of the user's own.
    fn stream(&self, project: ProjectId, name: &str) -> Result<Arc<Topic>, ViewError> {
        let topic = self.topic(project, name)?;
        if topic.read_only {
            return Err(ViewError::Refused(format!(
                "{name} carries a signal, whose records are rows of its table: search or query them there"
            )));
        }
        Ok(topic)
    }

    fn in_log(project: ProjectId, topic: &Topic) -> LogTopic {
        LogTopic { project, name: topic.view.in_log.clone() }
    }
}

/// The project of a right to read.
fn read(scope: &ReadScope) -> ProjectId {
    scope.project()
}

/// The project of a right to change.
fn write(scope: &WriteScope) -> ProjectId {
    scope.project()
}
