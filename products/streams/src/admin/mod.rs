//! What is asked about the cluster, its topics, their configurations, users and rules, rather than about records.
//!
//! One method a request. A method takes who asks, the request and its version, and gives the response that the version
//! writes; it fails only within the response, as Kafka does. There is one broker, which leads every partition.

pub mod acl;
mod cluster;
mod configs;
mod metadata;
mod partitions;
mod quotas;
pub mod resources;
mod scram;
mod telemetry;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::Arc;

use async_trait::async_trait;
use candor_meta::SqlError;
use candor_model::{ProjectId, Random};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::BrokerId;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::auth::Credentials;
use crate::caller::Caller;
use crate::directory::TopicView;
use crate::topics::{Gone, TopicError, Topics};
use acl::{Acls, Operation, Resource, ResourceType};
pub use quotas::{Limit, Quotas};
use resources::ResourceConfigs;

/// The broker as clients are told of it.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Its id.
    pub node_id: i32,
    /// The host that clients connect to.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The id of the cluster, which is the instance.
    pub cluster_id: String,
}

/// A configuration of the broker that it tells and nobody changes.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What it means.
    pub text: String,
}

/// What the log does for topics.
#[async_trait]
pub trait TopicLog: Send + Sync {
    /// Bytes that a topic's partitions take, in their order.
    async fn sizes(&self, project: ProjectId, topic: &TopicView) -> Vec<i64>;

    /// Bytes of the device, and how many of them are free; none where that is unknown.
    async fn space(&self) -> Option<(i64, i64)>;

    /// Gets rid of a deleted topic's records, and of what else is kept for it: committed offsets, a table. May be called
    /// again for one that is gone. An error says why it is to be tried again later.
    async fn remove(&self, gone: &Gone) -> Result<(), String>;
}

/// What the administration is made of.
pub struct Parts {
    /// Topics.
    pub topics: Topics,
    /// Users.
    pub credentials: Credentials,
    /// Rules.
    pub acls: Acls,
    /// Quotas.
    pub quotas: Quotas,
    /// Configurations of things that are no topics.
    pub resources: ResourceConfigs,
    /// The log.
    pub log: Arc<dyn TopicLog>,
    /// Randomness for ids of clients.
    pub random: Arc<dyn Random>,
    /// What the broker tells of itself, beside the defaults of topics.
    pub broker_configs: Vec<BrokerConfig>,
}

/// The administration. Cheap to clone.
#[derive(Clone)]
pub struct Admin {
    topics: Topics,
    credentials: Credentials,
    acls: Acls,
    quotas: Quotas,
    resources: ResourceConfigs,
    log: Arc<dyn TopicLog>,
    random: Arc<dyn Random>,
    broker_configs: Arc<[BrokerConfig]>,
}

impl Admin {
    /// Of its parts.
    pub fn new(parts: Parts) -> Admin {
        let Parts { topics, credentials, acls, quotas, resources, log, random, broker_configs } = parts;
        Admin {
            topics,
            credentials,
            acls,
            quotas,
            resources,
            log,
            random,
            broker_configs: broker_configs.into(),
        }
    }

    /// The rules.
    pub fn acls(&self) -> &Acls {
        &self.acls
    }

    /// The quotas.
    pub fn quotas(&self) -> &Quotas {
        &self.quotas
    }

    /// Whether a client may do that, or the refusal.
    fn check(&self, caller: &Caller, operation: Operation, resource: Resource<'_>) -> Result<(), Refusal> {
        if self.acls.allowed(caller, operation, resource) {
            return Ok(());
        }
        let code = match resource.resource {
            ResourceType::Topic => ResponseError::TopicAuthorizationFailed,
            ResourceType::Group => ResponseError::GroupAuthorizationFailed,
            ResourceType::TransactionalId => ResponseError::TransactionalIdAuthorizationFailed,
            _ => ResponseError::ClusterAuthorizationFailed,
        };
        Err(Refusal::new(code, format!("{} may not do that: no rule allows {operation:?}", caller.user)))
    }

    /// Whether a client may make a topic.
    fn may_create(&self, caller: &Caller, topic: &str) -> bool {
        self.acls.allowed(caller, Operation::Create, Resource::cluster())
            || self.acls.allowed(caller, Operation::Create, Resource::topic(topic))
    }

    /// Removes everything of a deleted project but its records.
    pub async fn forget(&self, project: ProjectId) -> Result<(), TopicError> {
        self.topics.forget(project).await?;
        self.credentials.forget(project).await.map_err(|error| match error {
            crate::auth::CredentialError::Sql(error) => TopicError::from(error),
            _ => TopicError::Unknown,
        })?;
        self.acls.forget(project).await.map_err(|error| match error {
            acl::AclError::Sql(error) => TopicError::from(error),
            acl::AclError::TooMany => TopicError::Unknown,
        })?;
        self.quotas.forget(project).await?;
        self.resources.forget(project).await?;
        Ok(())
    }
}

/// Why one thing of a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    error: ResponseError,
    message: String,
}

impl Refusal {
    fn new(error: ResponseError, message: impl Into<String>) -> Refusal {
        Refusal { error, message: message.into() }
    }

    /// Of a database that failed.
    fn of_sql(error: &SqlError) -> Refusal {
        let code = match error.is_transient() {
            true => ResponseError::KafkaStorageError,
            false => ResponseError::UnknownServerError,
        };
        Refusal::new(code, format!("this cannot be stored now: {error}"))
    }

    fn code(&self) -> i16 {
        self.error.code()
    }

    fn message(&self) -> Option<StrBytes> {
        Some(StrBytes::from_string(self.message.clone()))
    }
}

impl From<TopicError> for Refusal {
    fn from(error: TopicError) -> Refusal {
        Refusal::new(error.code(), error.to_string())
    }
}

fn bytes(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn text(bytes: &StrBytes) -> String {
    bytes.as_str().to_owned()
}

fn topic_name(name: &str) -> kafka_protocol::messages::TopicName {
    kafka_protocol::messages::TopicName(bytes(name))
}

fn uuid(id: crate::directory::TopicId) -> Uuid {
    Uuid::from_bytes(id)
}

fn nodes(broker: &Broker) -> Vec<BrokerId> {
    vec![BrokerId(broker.node_id)]
}

/// The names that stand in a request more than once: each is refused, for it is not clear which is meant.
fn twice<T: Ord + Clone>(names: impl IntoIterator<Item = T>) -> std::collections::BTreeSet<T> {
    let mut seen = std::collections::BTreeSet::new();
    names.into_iter().filter(|name| !seen.insert(name.clone())).collect()
}
