//! Quotas of clients (KIP-546): stored, told, and looked up for those whose bytes are counted. `request_percentage`,
//! `controller_mutation_rate` and `connection_creation_rate` are kept for clients that set them and slow nothing down.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use candor_meta::{Database, Migration, SqlError, Tx, params};
use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_client_quotas_response::{
    EntityData as AlteredEntity, EntryData as AlteredEntry,
};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_protocol::messages::{
    AlterClientQuotasRequest, AlterClientQuotasResponse, DescribeClientQuotasRequest,
    DescribeClientQuotasResponse, alter_client_quotas_request,
};
use kafka_protocol::protocol::StrBytes;
use parking_lot::RwLock;

use super::acl::{Operation, Resource};
use super::{Admin, Refusal, bytes, text};
use crate::caller::Caller;

/// Entities with quotas that a project may have.
const ENTITIES_PER_PROJECT_MAX: usize = 10_000;

/// Longest name of an entity, bytes.
const NAME_BYTES_MAX: usize = 1024;

const MIGRATIONS: &[Migration] = &[Migration {
    owner: "streams_quotas",
    version: 1,
    sql: "
CREATE TABLE stream_quota (
    project BIGINT NOT NULL,
    entity TEXT NOT NULL,
    name TEXT NOT NULL,
    value REAL NOT NULL,
    PRIMARY KEY (project, entity, name)
);
",
}];

/// Whom a quota is for: names by type; a type without a name is the default of all that have no quota of their own.
pub type Entity = BTreeMap<String, Option<String>>;

/// What a quota bounds, by its name.
pub type Values = BTreeMap<String, f64>;

type All = HashMap<ProjectId, BTreeMap<Entity, Values>>;

/// The quotas of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Quotas {
    inner: Arc<Inner>,
}

struct Inner {
    database: Database,
    set: RwLock<All>,
    /// The one writer; true where memory may differ from the database.
    writer: tokio::sync::Mutex<bool>,
}

impl Quotas {
    /// Opens the table and reads it.
    pub async fn open(database: Database) -> Result<Quotas, SqlError> {
        database.migrate(MIGRATIONS).await?;
        let set = RwLock::new(load(database.begin_read().await?).await?);
        let writer = tokio::sync::Mutex::new(false);
        Ok(Quotas { inner: Arc::new(Inner { database, set, writer }) })
    }

    /// All of a project.
    pub fn list(&self, project: ProjectId) -> Vec<(Entity, Values)> {
        let set = self.inner.set.read();
        let all = set.get(&project).into_iter().flatten();
        all.map(|(entity, values)| (entity.clone(), values.clone())).collect()
    }

    /// Sets and removes values of one entity; with `dry_run` it is only checked.
    async fn change(
        &self,
        project: ProjectId,
        entity: &Entity,
        changes: &[(String, Option<f64>)],
        dry_run: bool,
    ) -> Result<(), Refusal> {
        let mut writer = self.writer().await.map_err(|error| Refusal::of_sql(&error))?;
        let (mut values, count) = {
            let set = self.inner.set.read();
            let own = set.get(&project);
            let found = own.and_then(|own| own.get(entity)).cloned();
            (found.unwrap_or_default(), own.map_or(0, BTreeMap::len))
        };
        let is_new = values.is_empty();
        for (name, value) in changes {
            match value {
                Some(value) => drop(values.insert(name.clone(), *value)),
                None => drop(values.remove(name)),
            }
        }
        if is_new && !values.is_empty() && count >= ENTITIES_PER_PROJECT_MAX {
            let message = format!("the project has quotas of {ENTITIES_PER_PROJECT_MAX} entities already");
            return Err(Refusal::new(ResponseError::PolicyViolation, message));
        }
        if dry_run {
            return Ok(());
        }
        *writer = true;
        self.write(project, entity, &values).await.map_err(|error| Refusal::of_sql(&error))?;
        *writer = false;
        let mut set = self.inner.set.write();
        let own = set.entry(project).or_default();
        if values.is_empty() {
            own.remove(entity)
        } else {
            own.insert(entity.clone(), values)
        };
        Ok(())
    }

    async fn write(&self, project: ProjectId, entity: &Entity, values: &Values) -> Result<(), SqlError> {
        let entity = stored_entity(entity);
        let mut tx = self.begin().await?;
        tx.execute("DELETE FROM stream_quota WHERE project = ? AND entity = ?", params![project.0, &entity])
            .await?;
        for (name, value) in values {
            tx.execute(
                "INSERT INTO stream_quota (project, entity, name, value) VALUES (?, ?, ?, ?)",
                params![project.0, &entity, name, *value],
            )
            .await?;
        }
        tx.commit().await
    }

    /// Removes everything of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), SqlError> {
        let mut writer = self.writer().await?;
        *writer = true;
        let mut tx = self.begin().await?;
        tx.execute("DELETE FROM stream_quota WHERE project = ?", params![project.0]).await?;
        tx.commit().await?;
        *writer = false;
        self.inner.set.write().remove(&project);
        Ok(())
    }

    /// A transaction of a change. The lock makes it wait for the end of one that was left in the middle.
    async fn begin(&self) -> Result<Tx, SqlError> {
        let mut tx = self.inner.database.begin().await?;
        tx.lock("stream_quota").await?;
        Ok(tx)
    }

    /// Takes the writer's place, and reads the database anew where a change before it was left in doubt.
    async fn writer(&self) -> Result<tokio::sync::MutexGuard<'_, bool>, SqlError> {
        let mut doubt = self.inner.writer.lock().await;
        if *doubt {
            let set = load(self.begin().await?).await?;
            *self.inner.set.write() = set;
            *doubt = false;
        }
        Ok(doubt)
    }
}

async fn load(mut tx: Tx) -> Result<All, SqlError> {
    let mut all = All::new();
    for row in tx.query("SELECT project, entity, name, value FROM stream_quota", &[]).await? {
        let entity: Entity = serde_json::from_str(row.text(1)?).map_err(|_| SqlError::Column(1))?;
        let values = all.entry(ProjectId(row.int(0)?)).or_default().entry(entity).or_default();
        values.insert(row.text(2)?.to_owned(), row.real(3)?);
    }
    Ok(all)
}

/// The quota that is about a client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// How much, as the quota's name says.
    pub rate: f64,
    /// It bounds each user by itself.
    pub by_user: bool,
    /// It bounds each client id by itself.
    pub by_client: bool,
}

impl Quotas {
    /// What bounds a client: the first quota of that name in Kafka's order, from user and client id down to the default
    /// of all client ids.
    pub fn limit(&self, project: ProjectId, user: &str, client_id: &str, name: &str) -> Option<Limit> {
        let set = self.inner.set.read();
        let own = set.get(&project).filter(|own| !own.is_empty())?;
        // A name, the default, or not part of the entity.
        let named = |name: &str| Some(Some(name.to_owned()));
        let order = [
            (named(user), named(client_id)),
            (named(user), Some(None)),
            (named(user), None),
            (Some(None), named(client_id)),
            (Some(None), Some(None)),
            (Some(None), None),
            (None, named(client_id)),
            (None, Some(None)),
        ];
        order.into_iter().find_map(|(user, client)| {
            let (by_user, by_client) = (user.is_some(), client.is_some());
            let members = [(USER, user), (CLIENT_ID, client)].into_iter();
            let entity: Entity = members.filter_map(|(kind, name)| Some((kind.to_owned(), name?))).collect();
            let rate = *own.get(&entity)?.get(name)?;
            Some(Limit { rate, by_user, by_client })
        })
    }
}

/// A JSON object with sorted keys: the same text for the same entity.
fn stored_entity(entity: &Entity) -> String {
    let members = entity.iter().map(|(kind, name)| {
        let name = name.as_ref().map_or(serde_json::Value::Null, |name| name.as_str().into());
        (kind.clone(), name)
    });
    serde_json::Value::Object(members.collect()).to_string()
}

const USER: &str = "user";
const CLIENT_ID: &str = "client-id";
const IP: &str = "ip";

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ResponseError::InvalidRequest, message)
}

/// The entity of a request: users and clients, alone or together, or addresses.
fn entity_of(entry: &alter_client_quotas_request::EntryData) -> Result<Entity, Refusal> {
    let mut entity = Entity::new();
    for part in &entry.entity {
        let (kind, name) = (text(&part.entity_type), part.entity_name.as_ref().map(text));
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err(invalid(format!(
                "there are no entities of type {kind:?}: {USER}, {CLIENT_ID} and {IP} are"
            )));
        }
        if name.as_ref().is_some_and(|name| name.is_empty() || name.len() > NAME_BYTES_MAX) {
            return Err(invalid(format!("the name of an entity has 1 to {NAME_BYTES_MAX} bytes")));
        }
        if kind == IP
            && let Some(name) = &name
            && name.parse::<std::net::IpAddr>().is_err()
        {
            return Err(invalid("an address is one of IPv4 or IPv6"));
        }
        if entity.insert(kind, name).is_some() {
            return Err(invalid("a type of entity stands in an entity once"));
        }
    }
    if entity.is_empty() || (entity.contains_key(IP) && entity.len() > 1) {
        return Err(invalid("a quota is for a user, a client, both, or an address"));
    }
    Ok(entity)
}

/// The changes of a request: values that are set, names that are removed.
fn changes_of(
    entry: &alter_client_quotas_request::EntryData,
    entity: &Entity,
) -> Result<Vec<(String, Option<f64>)>, Refusal> {
    let known: &[&str] = match entity.contains_key(IP) {
        true => &["connection_creation_rate"],
        false => {
            &["consumer_byte_rate", "controller_mutation_rate", "producer_byte_rate", "request_percentage"]
        }
    };
    let mut changes: Vec<(String, Option<f64>)> = Vec::new();
    for operation in &entry.ops {
        let key = text(&operation.key);
        if !known.contains(&key.as_str()) {
            return Err(invalid(format!("there is no quota {key:?} of it; there are {}", known.join(", "))));
        }
        if changes.iter().any(|(other, _)| *other == key) {
            return Err(invalid(format!("the quota {key} stands in the request more than once")));
        }
        let value = match operation.remove {
            true => None,
            false if operation.value.is_finite() && operation.value > 0.0 => Some(operation.value),
            false => return Err(invalid(format!("the quota {key} is a number above zero"))),
        };
        changes.push((key, value));
    }
    Ok(changes)
}

/// How a component meets the names of its type.
fn meets(component: &ComponentData, entity: &Entity) -> Result<bool, Refusal> {
    let found = entity.get(component.entity_type.as_str());
    match (component.match_type, &component._match) {
        (0, Some(name)) => Ok(found.is_some_and(|found| found.as_deref() == Some(name.as_str()))),
        (1, _) => Ok(found.is_some_and(Option::is_none)),
        (2, _) => Ok(found.is_some()),
        _ => Err(invalid("a component matches a name (0), the default (1) or any (2)")),
    }
}

impl Admin {
    /// DescribeClientQuotas (48), versions 0 and 1.
    pub async fn describe_client_quotas(
        &self,
        caller: &Caller,
        request: DescribeClientQuotasRequest,
        _version: i16,
    ) -> DescribeClientQuotasResponse {
        let response = DescribeClientQuotasResponse::default();
        match self.describe_quotas(caller, &request) {
            Ok(entries) => response.with_error_message(None).with_entries(Some(entries)),
            Err(refusal) => response
                .with_error_code(refusal.code())
                .with_error_message(refusal.message())
                .with_entries(None),
        }
    }

    fn describe_quotas(
        &self,
        caller: &Caller,
        request: &DescribeClientQuotasRequest,
    ) -> Result<Vec<EntryData>, Refusal> {
        self.check(caller, Operation::DescribeConfigs, Resource::cluster())?;
        let mut kinds = Vec::new();
        for component in &request.components {
            let kind = component.entity_type.as_str();
            if ![USER, CLIENT_ID, IP].contains(&kind) || kinds.contains(&kind) {
                return Err(invalid(format!("components are of {USER}, {CLIENT_ID} and {IP}, once each")));
            }
            kinds.push(kind);
        }
        let mut entries = Vec::new();
        for (entity, values) in self.quotas.list(caller.project) {
            let mut is_met = !request.strict || entity.len() == kinds.len();
            for component in &request.components {
                is_met &= meets(component, &entity)?;
            }
            if !is_met {
                continue;
            }
            let entity = entity.into_iter().map(|(kind, name)| {
                EntityData::default()
                    .with_entity_type(StrBytes::from_string(kind))
                    .with_entity_name(name.map(StrBytes::from_string))
            });
            let values = values.into_iter().map(|(key, value)| {
                ValueData::default().with_key(StrBytes::from_string(key)).with_value(value)
            });
            entries.push(EntryData::default().with_entity(entity.collect()).with_values(values.collect()));
        }
        Ok(entries)
    }

    /// AlterClientQuotas (49), versions 0 and 1.
    pub async fn alter_client_quotas(
        &self,
        caller: &Caller,
        request: AlterClientQuotasRequest,
        _version: i16,
    ) -> AlterClientQuotasResponse {
        let may = self.check(caller, Operation::AlterConfigs, Resource::cluster());
        let mut entries = Vec::with_capacity(request.entries.len());
        for entry in &request.entries {
            let read = may.clone().and_then(|()| {
                let entity = entity_of(entry)?;
                let changes = changes_of(entry, &entity)?;
                Ok((entity, changes))
            });
            let done = match read {
                Ok((entity, changes)) => {
                    self.quotas.change(caller.project, &entity, &changes, request.validate_only).await
                }
                Err(refusal) => Err(refusal),
            };
            let entity = entry.entity.iter().map(|part| {
                AlteredEntity::default()
                    .with_entity_type(bytes(&part.entity_type))
                    .with_entity_name(part.entity_name.clone())
            });
            let result = AlteredEntry::default().with_entity(entity.collect());
            entries.push(match done {
                Ok(()) => result.with_error_message(None),
                Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
            });
        }
        AlterClientQuotasResponse::default().with_entries(entries)
    }
}
