//! What clients may move a second (KIP-546).

use candor_meta::{ReadScope, WriteScope};
use kafka_protocol::messages::AlterClientQuotasRequest;
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::protocol::StrBytes;
use serde::{Deserialize, Serialize};

use super::{View, ViewError, read, write};

/// The version of AlterClientQuotas that is asked.
const ALTER: i16 = 1;

/// What stands for all that have no quota of their own.
const ALL: &str = "*";

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const PRODUCE: &str = "producer_byte_rate";
const CONSUME: &str = "consumer_byte_rate";

/// A quota: of a user, of clients by what they call themselves, or of both together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientQuota {
    /// The user's name, or `*` for each that has none of its own; none where users do not count.
    #[serde(default)]
    pub user: Option<String>,
    /// The client id, likewise.
    #[serde(default)]
    pub client_id: Option<String>,
    /// Bytes a second that it may send; none for no bound.
    pub produce: Option<f64>,
    /// Bytes a second that it may read; none for no bound.
    pub consume: Option<f64>,
}

impl View {
    /// A project's quotas of bytes.
    pub fn quotas(&self, scope: &ReadScope) -> Vec<ClientQuota> {
        let all = self.inner.parts.admin.quotas().list(read(scope));
        let shown = all.into_iter().filter_map(|(entity, values)| {
            let named =
                |kind: &str| entity.get(kind).map(|name| name.clone().unwrap_or_else(|| ALL.to_owned()));
            let value = |name: &str| values.get(name).copied();
            let (user, client_id) = (named(USER), named(CLIENT_ID));
            let (produce, consume) = (value(PRODUCE), value(CONSUME));
            let is_shown = user.is_some() || client_id.is_some();
            (is_shown && (produce.is_some() || consume.is_some())).then_some(ClientQuota {
                user,
                client_id,
                produce,
                consume,
            })
        });
        shown.collect()
    }

    /// Sets a quota; without bounds it goes.
    pub async fn set_quota(&self, scope: &WriteScope, quota: &ClientQuota) -> Result<(), ViewError> {
        let text = |text: &str| StrBytes::from_string(text.to_owned());
        let of = [(USER, &quota.user), (CLIENT_ID, &quota.client_id)];
        let entity = of.into_iter().filter_map(|(kind, name)| {
            let name = name.as_deref()?;
            let named = (name != ALL).then(|| text(name));
            Some(EntityData::default().with_entity_type(text(kind)).with_entity_name(named))
        });
        let bounds = [(PRODUCE, quota.produce), (CONSUME, quota.consume)];
        let ops = bounds.into_iter().map(|(key, bound)| {
            let op = OpData::default().with_key(text(key));
            op.with_value(bound.unwrap_or_default()).with_remove(bound.is_none())
        });
        let entry = EntryData::default().with_entity(entity.collect()).with_ops(ops.collect());
        let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
        let caller = self.inner.caller(write(scope));
        let answer = self.inner.parts.admin.alter_client_quotas(&caller, request, ALTER).await;
        match answer.entries.into_iter().find(|entry| entry.error_code != 0) {
            None => Ok(()),
            Some(failed) => {
                let why = failed.error_message.map(|why| why.to_string());
                Err(ViewError::Refused(why.unwrap_or_else(|| "the quota was not taken".to_owned())))
            }
        }
    }
}
