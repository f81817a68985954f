//! What goes wrong while a bridge runs, in words for people: no payloads, no passwords.

use std::io;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::ApiKey;

/// Why a bridge does not run now. Each is tried again.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// No server can be reached.
    #[error("{server} cannot be reached: {why}; check the address, and that it is open to this machine")]
    Unreachable {
        /// `host:port`.
        server: String,
        /// Why.
        why: String,
    },
    /// The connection broke.
    #[error("the connection to {server} broke: {source}")]
    Broken {
        /// Which.
        server: String,
        /// Why.
        source: io::Error,
    },
    /// It did not answer in time.
    #[error("{server} did not answer {api} in time")]
    Late {
        /// Which.
        server: String,
        /// What it was asked.
        api: &'static str,
    },
    /// The log in failed.
    #[error("{server} refused the log in: {why}")]
    LogIn {
        /// Which.
        server: String,
        /// What it said.
        why: String,
    },
    /// It speaks no version of an API that is spoken here.
    #[error(
        "{server} is too old or no Kafka broker: it does not serve {api} in a version that is known here"
    )]
    Version {
        /// Which.
        server: String,
        /// What was to be asked.
        api: &'static str,
    },
    /// Its answer is not as the protocol says.
    #[error("{server} gave an answer to {api} that is none: {why}")]
    Malformed {
        /// Which.
        server: String,
        /// What it was asked.
        api: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// It answered with an error.
    #[error("{at} answered {api} with {}{}", code_name(*code), hint(*code))]
    Answered {
        /// Which side, and what about.
        at: String,
        /// What it was asked.
        api: &'static str,
        /// Kafka's error code.
        code: i16,
    },
    /// One topic cannot go on; the others can.
    #[error("{topic}: {why}")]
    Topic {
        /// Its name at the source.
        topic: String,
        /// Why.
        why: String,
        /// Whether smaller batches may help.
        is_size: bool,
    },
    /// The bridge cannot be used as it is.
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    /// An error code in an answer; nothing where there is none.
    pub fn check(at: impl FnOnce() -> String, api: ApiKey, code: i16) -> Result<(), Trouble> {
        if code == 0 { Ok(()) } else { Err(Trouble::Answered { at: at(), api: name(api), code }) }
    }
}

/// What an API is called.
pub(crate) fn name(api: ApiKey) -> &'static str {
    match api {
        ApiKey::Produce => "Produce",
        ApiKey::Fetch => "Fetch",
        ApiKey::ListOffsets => "ListOffsets",
        ApiKey::Metadata => "Metadata",
        ApiKey::OffsetCommit => "OffsetCommit",
        ApiKey::OffsetFetch => "OffsetFetch",
        ApiKey::FindCoordinator => "FindCoordinator",
        ApiKey::ListGroups => "ListGroups",
        ApiKey::SaslHandshake => "SaslHandshake",
        ApiKey::SaslAuthenticate => "SaslAuthenticate",
        ApiKey::ApiVersions => "ApiVersions",
        ApiKey::CreateTopics => "CreateTopics",
        ApiKey::CreatePartitions => "CreatePartitions",
        ApiKey::DescribeConfigs => "DescribeConfigs",
        ApiKey::IncrementalAlterConfigs => "IncrementalAlterConfigs",
        ApiKey::InitProducerId => "InitProducerId",
        ApiKey::AddPartitionsToTxn => "AddPartitionsToTxn",
        ApiKey::AddOffsetsToTxn => "AddOffsetsToTxn",
        ApiKey::TxnOffsetCommit => "TxnOffsetCommit",
        ApiKey::EndTxn => "EndTxn",
        ApiKey::DeleteGroups => "DeleteGroups",
        _ => "a request",
    }
}

/// What Kafka calls an error code.
pub(crate) fn code_name(code: i16) -> String {
    match ResponseError::try_from_code(code) {
        Some(error) => format!("{error:?}"),
        None => format!("error {code}"),
    }
}

/// What to do, where a person has to.
fn hint(code: i16) -> &'static str {
    use ResponseError as E;
    match ResponseError::try_from_code(code) {
        Some(E::TopicAuthorizationFailed) => ": let the user read, write, create and describe these topics",
        Some(E::GroupAuthorizationFailed) => ": let the user read and describe groups, candor-bridge.* too",
        Some(E::TransactionalIdAuthorizationFailed) => {
            ": let the user write with transactional ids that begin with candor-bridge."
        }
        Some(E::ClusterAuthorizationFailed) => ": let the user describe the cluster and create topics",
        _ => "",
    }
}
