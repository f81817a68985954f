//! Why something about topics was refused, and what Kafka's clients know it by.

use std::sync::Arc;

use candor_meta::SqlError;
use kafka_protocol::ResponseError;

use super::NAMES_PER_REQUEST_MAX;
use super::config::ConfigError;
use super::name::{self, NameError};

/// Why something about topics was refused.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TopicError {
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Names of that beginning are Candor's.
    #[error("names that begin with '{}' are Candor's own", name::RESERVED)]
    Reserved,
    /// The signals' topics are not changed by clients.
    #[error("{0} carries a signal and is read only")]
    ReadOnly(Arc<str>),
    /// It differs from a topic only in `.` and `_`.
    #[error("the name differs from that of the topic {0} only in '.' and '_'")]
    Collides(Arc<str>),
    /// There is such a topic.
    #[error("there is a topic {0} already")]
    Exists(Arc<str>),
    /// There is none.
    #[error("there is no such topic")]
    Unknown,
    /// A number of partitions that a topic cannot have.
    #[error("a topic has 1 to {max} partitions")]
    Partitions {
        /// The largest number.
        max: u32,
    },
    /// Partitions are added, never taken.
    #[error("the topic has {has} partitions already; a new number must be larger")]
    NotMore {
        /// How many it has.
        has: u32,
    },
    /// The project is full.
    #[error("the project may have {max} {what}")]
    TooMany {
        /// How many.
        max: u64,
        /// Of what.
        what: &'static str,
    },
    /// One request names too many.
    #[error("a request makes at most {NAMES_PER_REQUEST_MAX} topics: make the others with further requests")]
    TooManyNames,
    /// A configuration is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database failed.
    #[error("topics cannot be changed now")]
    Sql(#[source] Arc<SqlError>),
}

impl From<SqlError> for TopicError {
    fn from(error: SqlError) -> TopicError {
        TopicError::Sql(Arc::new(error))
    }
}

impl TopicError {
    /// The error that Kafka's clients know it by.
    pub fn code(&self) -> ResponseError {
        match self {
            TopicError::Name(_) | TopicError::Reserved | TopicError::Collides(_) => {
                ResponseError::InvalidTopicException
            }
            TopicError::Exists(_) => ResponseError::TopicAlreadyExists,
            TopicError::Unknown => ResponseError::UnknownTopicOrPartition,
            TopicError::Partitions { .. } | TopicError::NotMore { .. } => ResponseError::InvalidPartitions,
            TopicError::ReadOnly(_) => ResponseError::TopicAuthorizationFailed,
            TopicError::TooMany { .. } | TopicError::TooManyNames => ResponseError::PolicyViolation,
            TopicError::Config(ConfigError::Twice(_)) => ResponseError::InvalidRequest,
            TopicError::Config(_) => ResponseError::InvalidConfig,
            TopicError::Sql(error) if error.is_transient() => ResponseError::KafkaStorageError,
            TopicError::Sql(_) => ResponseError::UnknownServerError,
        }
    }
}
