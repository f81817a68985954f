//! DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, ListConfigResources.

use std::collections::BTreeSet;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::alter_configs_response::AlterConfigsResourceResponse;
use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use kafka_protocol::messages::incremental_alter_configs_response::AlterConfigsResourceResponse as IncrementalResponse;
use kafka_protocol::messages::list_config_resources_response::ConfigResource;
use kafka_protocol::messages::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse, ListConfigResourcesRequest,
    ListConfigResourcesResponse,
};
use kafka_protocol::protocol::StrBytes;

use super::acl::{Operation, Resource};
use super::resources::{ResourceError, ResourceKind};
use super::{Admin, Broker, Refusal, bytes, text, twice};
use crate::caller::Caller;
use crate::topics::config::{Change, ConfigError, Overrides, Source, value_of};
use crate::topics::definitions::{self, Definition, Kind};
use crate::topics::{TopicError, name};

/// Kafka's numbers of resources with configurations.
mod kind {
    pub const TOPIC: i8 = 2;
    pub const BROKER: i8 = 4;
    pub const CLIENT_METRICS: i8 = 16;
    pub const GROUP: i8 = 32;
}

/// Kafka's numbers of where a value comes from.
mod source {
    pub const DYNAMIC_BROKER: i8 = 2;
    pub const DYNAMIC_DEFAULT_BROKER: i8 = 3;
    pub const STATIC_BROKER: i8 = 4;
    pub const DEFAULT: i8 = 5;
    pub const GROUP: i8 = 8;
}

/// Kafka's number of a text.
const STRING: i8 = 2;

/// A change of one resource, as both requests make it.
struct Alteration {
    kind: i8,
    name: String,
    changes: Result<Vec<(String, Change)>, Refusal>,
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(ResponseError::InvalidRequest, message)
}

impl From<ResourceError> for Refusal {
    fn from(error: ResourceError) -> Refusal {
        match error {
            ResourceError::Config(error) => Refusal::from(TopicError::Config(error)),
            ResourceError::Name => invalid(error.to_string()),
            ResourceError::TooMany => Refusal::new(ResponseError::PolicyViolation, error.to_string()),
            ResourceError::Sql(error) => Refusal::of_sql(&error),
        }
    }
}

/// What of a resource's configurations is asked for.
struct Wanted<'a> {
    keys: Option<&'a [StrBytes]>,
    synonyms: bool,
    documentation: bool,
}

impl Wanted<'_> {
    fn wants(&self, name: &str) -> bool {
        self.keys.is_none_or(|keys| keys.iter().any(|key| key.as_str() == name))
    }

    fn text(&self, text: &str) -> Option<StrBytes> {
        self.documentation.then(|| bytes(text))
    }

    /// A configuration of a table; `set` is where a value that is set comes from, with the synonym for the default.
    fn of_table(
        &self,
        definition: &Definition,
        overrides: &Overrides,
        set: i8,
        read_only: bool,
    ) -> DescribeConfigsResourceResult {
        let (value, from) = value_of(overrides, definition);
        let synonym = |name: &str, value: &str, source: i8| {
            DescribeConfigsSynonym::default()
                .with_name(bytes(name))
                .with_value(Some(bytes(value)))
                .with_source(source)
        };
        let mut synonyms = Vec::new();
        if self.synonyms {
            if from == Source::Topic {
                synonyms.push(synonym(definition.name, value, set));
            }
            let default = definition.broker.unwrap_or(definition.name);
            synonyms.push(synonym(default, definition.default, source::DEFAULT));
        }
        DescribeConfigsResourceResult::default()
            .with_name(bytes(definition.name))
            .with_value(Some(bytes(value)))
            .with_read_only(read_only)
            .with_config_source(if from == Source::Topic { set } else { source::DEFAULT })
            .with_synonyms(synonyms)
            .with_config_type(definition.kind.wire())
            .with_documentation(self.text(definition.text))
    }

    /// A configuration that nobody changes.
    fn fixed(
        &self,
        name: &str,
        value: &str,
        kind: i8,
        source: i8,
        text: &str,
    ) -> DescribeConfigsResourceResult {
        let mut synonyms = Vec::new();
        if self.synonyms {
            let synonym = DescribeConfigsSynonym::default().with_name(bytes(name)).with_source(source);
            synonyms.push(synonym.with_value(Some(bytes(value))));
        }
        DescribeConfigsResourceResult::default()
            .with_name(bytes(name))
            .with_value(Some(bytes(value)))
            .with_read_only(true)
            .with_config_source(source)
            .with_synonyms(synonyms)
            .with_config_type(kind)
            .with_documentation(self.text(text))
    }
}

impl Admin {
    /// DescribeConfigs (32), versions 1 to 4.
    pub async fn describe_configs(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: DescribeConfigsRequest,
        _version: i16,
    ) -> DescribeConfigsResponse {
        let mut seen = BTreeSet::new();
        let mut results = Vec::new();
        for resource in &request.resources {
            // Once each, however often they are named: an answer is many times as long as a question.
            if !seen.insert((resource.resource_type, resource.resource_name.as_str())) {
                continue;
            }
            let wanted = Wanted {
                keys: resource.configuration_keys.as_deref(),
                synonyms: request.include_synonyms,
                documentation: request.include_documentation,
            };
            let result = DescribeConfigsResult::default()
                .with_resource_type(resource.resource_type)
                .with_resource_name(resource.resource_name.clone());
            results.push(match self.describe(caller, broker, resource, &wanted) {
                Ok(configs) => result.with_error_message(None).with_configs(configs),
                Err(refusal) => result.with_error_code(refusal.code()).with_error_message(refusal.message()),
            });
        }
        DescribeConfigsResponse::default().with_results(results)
    }

    fn describe(
        &self,
        caller: &Caller,
        broker: &Broker,
        resource: &DescribeConfigsResource,
        wanted: &Wanted<'_>,
    ) -> Result<Vec<DescribeConfigsResourceResult>, Refusal> {
        let name = &resource.resource_name;
        let of_table = |table: &'static [Definition], overrides: &Overrides, set: i8, read_only: bool| {
            let asked = table.iter().filter(|definition| wanted.wants(definition.name));
            asked.map(|definition| wanted.of_table(definition, overrides, set, read_only)).collect::<Vec<_>>()
        };
        match resource.resource_type {
            kind::TOPIC => {
                self.check(caller, Operation::DescribeConfigs, Resource::topic(name))?;
                name::check(name).map_err(TopicError::from)?;
                let topic = self.topics.get(caller.project, name).ok_or(TopicError::Unknown)?;
                Ok(of_table(definitions::ALL, &topic.overrides, Source::Topic.wire(), topic.read_only))
            }
            kind::GROUP => {
                self.check(caller, Operation::DescribeConfigs, Resource::group(name))?;
                let overrides = self.resources.get(caller.project, ResourceKind::Group, name);
                Ok(of_table(ResourceKind::Group.definitions(), &overrides, source::GROUP, false))
            }
            kind::BROKER => {
                self.check(caller, Operation::DescribeConfigs, Resource::cluster())?;
                let table = ResourceKind::Broker.definitions();
                let overrides = self.resources.get(caller.project, ResourceKind::Broker, name);
                if name.is_empty() {
                    // What is set for all brokers, and nothing else.
                    let mut all = of_table(table, &overrides, source::DYNAMIC_DEFAULT_BROKER, false);
                    all.retain(|config| config.config_source == source::DYNAMIC_DEFAULT_BROKER);
                    return Ok(all);
                }
                is_broker(name, broker)?;
                let mut all = of_table(table, &overrides, source::DYNAMIC_BROKER, false);
                all.extend(self.fixed_configs(broker, wanted));
                all.sort_by(|a, b| a.name.cmp(&b.name));
                all.dedup_by(|a, b| a.name == b.name);
                Ok(all)
            }
            // Metrics of clients are not collected, so nothing is set of it.
            kind::CLIENT_METRICS => {
                self.check(caller, Operation::DescribeConfigs, Resource::cluster())?;
                Ok(Vec::new())
            }
            other => Err(invalid(format!("resources of type {other} have no configurations here"))),
        }
    }

    /// What the broker tells and nobody changes.
    fn fixed_configs(&self, broker: &Broker, wanted: &Wanted<'_>) -> Vec<DescribeConfigsResourceResult> {
        let settings = self.topics.settings();
        let number = Kind::Int(0, 0).wire();
        let told = [
            ("node.id", broker.node_id.to_string(), number, "The broker's id."),
            ("broker.id", broker.node_id.to_string(), number, "The broker's id."),
            (
                "auto.create.topics.enable",
                settings.auto_create.to_string(),
                Kind::Flag.wire(),
                "Whether a name that a client asks for and that is no topic yet becomes one.",
            ),
            (
                "num.partitions",
                settings.partitions.to_string(),
                number,
                "Partitions of a topic that nobody gave a number of.",
            ),
            (
                "default.replication.factor",
                "1".to_owned(),
                number,
                "Replicas of a topic that nobody gave a number of.",
            ),
            ("delete.topic.enable", "true".to_owned(), Kind::Flag.wire(), "Whether topics can be deleted."),
            (
                "group.consumer.migration.policy",
                "disabled".to_owned(),
                STRING,
                "Whether members of the classic and the consumer protocol may be in one group: they may not. While a \
                 group has members of one, the other is refused; a group without members takes either.",
            ),
        ];
        let told = told
            .iter()
            .filter(|(name, ..)| wanted.wants(name))
            .map(|(name, value, kind, text)| wanted.fixed(name, value, *kind, source::STATIC_BROKER, text));
        let given = self.broker_configs.iter().filter(|config| wanted.wants(&config.name)).map(|config| {
            wanted.fixed(&config.name, &config.value, STRING, source::STATIC_BROKER, &config.text)
        });
        let defaults = definitions::ALL.iter().filter_map(|definition| {
            let name = definition.broker.filter(|name| wanted.wants(name))?;
            let kind = definition.kind.wire();
            Some(wanted.fixed(name, definition.default, kind, source::DEFAULT, definition.text))
        });
        told.chain(given).chain(defaults).collect()
    }

    /// AlterConfigs (33), versions 0 to 2: what is not named goes back to its default.
    pub async fn alter_configs(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: AlterConfigsRequest,
        _version: i16,
    ) -> AlterConfigsResponse {
        let alterations: Vec<Alteration> = request
            .resources
            .iter()
            .map(|resource| {
                let change = |config: &kafka_protocol::messages::alter_configs_request::AlterableConfig| {
                    set(&config.name, config.value.as_ref())
                };
                Alteration {
                    kind: resource.resource_type,
                    name: text(&resource.resource_name),
                    changes: resource.configs.iter().map(change).collect(),
                }
            })
            .collect();
        let done = self.alter(caller, broker, &alterations, true, request.validate_only).await;
        let responses = alterations.iter().zip(done).map(|(alteration, done)| {
            let response = AlterConfigsResourceResponse::default()
                .with_resource_type(alteration.kind)
                .with_resource_name(bytes(&alteration.name));
            match done {
                Ok(()) => response.with_error_message(None),
                Err(refusal) => {
                    response.with_error_code(refusal.code()).with_error_message(refusal.message())
                }
            }
        });
        AlterConfigsResponse::default().with_responses(responses.collect())
    }

    /// IncrementalAlterConfigs (44), versions 0 and 1.
    pub async fn incremental_alter_configs(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: IncrementalAlterConfigsRequest,
        _version: i16,
    ) -> IncrementalAlterConfigsResponse {
        let alterations: Vec<Alteration> = request
            .resources
            .iter()
            .map(|resource| {
                let changes = resource.configs.iter().map(|config| {
                    const DELETE: i8 = 1;
                    let (name, value) = match config.config_operation {
                        DELETE => return Ok((text(&config.name), Change::Delete)),
                        _ => (text(&config.name), config.value.as_ref().map(text)),
                    };
                    let value = value.ok_or_else(|| invalid(format!("{name} needs a value")))?;
                    match config.config_operation {
                        0 => Ok((name, Change::Set(value))),
                        2 => Ok((name, Change::Append(value))),
                        3 => Ok((name, Change::Subtract(value))),
                        other => Err(invalid(format!("there is no operation {other} on configurations"))),
                    }
                });
                Alteration {
                    kind: resource.resource_type,
                    name: text(&resource.resource_name),
                    changes: changes.collect(),
                }
            })
            .collect();
        let done = self.alter(caller, broker, &alterations, false, request.validate_only).await;
        let responses = alterations.iter().zip(done).map(|(alteration, done)| {
            let response = IncrementalResponse::default()
                .with_resource_type(alteration.kind)
                .with_resource_name(bytes(&alteration.name));
            match done {
                Ok(()) => response.with_error_message(None),
                Err(refusal) => {
                    response.with_error_code(refusal.code()).with_error_message(refusal.message())
                }
            }
        });
        IncrementalAlterConfigsResponse::default().with_responses(responses.collect())
    }

    async fn alter(
        &self,
        caller: &Caller,
        broker: &Broker,
        alterations: &[Alteration],
        replace: bool,
        dry_run: bool,
    ) -> Vec<Result<(), Refusal>> {
        let twice = twice(alterations.iter().map(|one| (one.kind, one.name.as_str())));
        let mut done = Vec::with_capacity(alterations.len());
        for one in alterations {
            done.push(match twice.contains(&(one.kind, one.name.as_str())) {
                true => Err(invalid("the resource stands in the request more than once")),
                false => self.alter_one(caller, broker, one, replace, dry_run).await,
            });
        }
        done
    }

    async fn alter_one(
        &self,
        caller: &Caller,
        broker: &Broker,
        one: &Alteration,
        replace: bool,
        dry_run: bool,
    ) -> Result<(), Refusal> {
        let (project, name) = (caller.project, one.name.as_str());
        let (kind, resource) = match one.kind {
            kind::TOPIC => (None, Resource::topic(name)),
            kind::GROUP => (Some(ResourceKind::Group), Resource::group(name)),
            kind::BROKER => (Some(ResourceKind::Broker), Resource::cluster()),
            kind::CLIENT_METRICS => {
                self.check(caller, Operation::AlterConfigs, Resource::cluster())?;
                return Err(invalid("metrics of clients are not collected, so nothing can be set of them"));
            }
            other => return Err(invalid(format!("resources of type {other} have no configurations here"))),
        };
        self.check(caller, Operation::AlterConfigs, resource)?;
        let changes = one.changes.clone()?;
        match kind {
            None => {
                self.topics.configure(project, name, replace, &changes, dry_run).await?;
            }
            Some(kind) => {
                if kind == ResourceKind::Broker && !name.is_empty() {
                    is_broker(name, broker)?;
                }
                self.resources.configure(project, kind, name, replace, &changes, dry_run).await?;
            }
        }
        Ok(())
    }

    /// ListConfigResources (74), versions 0 and 1: what has or may have configurations.
    pub async fn list_config_resources(
        &self,
        caller: &Caller,
        broker: &Broker,
        request: ListConfigResourcesRequest,
        version: i16,
    ) -> ListConfigResourcesResponse {
        let response = ListConfigResourcesResponse::default();
        if let Err(refusal) = self.check(caller, Operation::DescribeConfigs, Resource::cluster()) {
            return response.with_error_code(refusal.code());
        }
        let known = [kind::TOPIC, kind::BROKER, kind::CLIENT_METRICS, kind::GROUP];
        // Version 0 lists metrics of clients, of which there are none.
        let asked: BTreeSet<i8> = match version {
            0 => BTreeSet::from([kind::CLIENT_METRICS]),
            _ if request.resource_types.is_empty() => BTreeSet::from(known),
            _ => request.resource_types.iter().copied().collect(),
        };
        if !asked.iter().all(|kind| known.contains(kind)) {
            return response.with_error_code(ResponseError::UnsupportedVersion.code());
        }
        let mut all = Vec::new();
        for of in asked {
            let names: Vec<String> = match of {
                kind::TOPIC => {
                    self.topics.list(caller.project).iter().map(|topic| topic.view.name.to_string()).collect()
                }
                kind::BROKER => vec![broker.node_id.to_string()],
                kind::GROUP => self.resources.list(caller.project, ResourceKind::Group),
                _ => Vec::new(),
            };
            all.extend(names.into_iter().map(|name| {
                ConfigResource::default()
                    .with_resource_name(StrBytes::from_string(name))
                    .with_resource_type(of)
            }));
        }
        response.with_config_resources(all)
    }
}

fn set(name: &StrBytes, value: Option<&StrBytes>) -> Result<(String, Change), Refusal> {
    match value {
        Some(value) => Ok((text(name), Change::Set(text(value)))),
        None => Err(invalid(ConfigError::Null(text(name)).to_string())),
    }
}

fn is_broker(name: &str, broker: &Broker) -> Result<(), Refusal> {
    if name.parse() == Ok(broker.node_id) {
        return Ok(());
    }
    Err(invalid(format!("there is no broker {name:?}; the one broker is {}", broker.node_id)))
}
