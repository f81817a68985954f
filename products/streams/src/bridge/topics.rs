//! Which topics are mirrored, and that they are at the target as they are at the source: as many partitions, the
//! settings that say what is kept.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_partitions_request::{CreatePartitionsRequest, CreatePartitionsTopic};
use kafka_protocol::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use kafka_protocol::messages::describe_configs_request::{DescribeConfigsRequest, DescribeConfigsResource};
use kafka_protocol::messages::incremental_alter_configs_request::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use kafka_protocol::messages::metadata_response::{MetadataResponse, MetadataResponseTopic};
use kafka_protocol::protocol::StrBytes;

use super::client::{Cluster, Node};
use super::position::is_same;
use super::spec::Spec;
use super::trouble::{Trouble, code_name};

/// Settings that say what is kept and how. The rest is each cluster's own.
const COPIED: [&str; 9] = [
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "compression.type",
    "max.message.bytes",
    "delete.retention.ms",
    "min.compaction.lag.ms",
    "max.compaction.lag.ms",
    "min.cleanable.dirty.ratio",
];

/// Topics of one bridge. Each partition costs some hundred bytes in every request.
const TOPICS_MAX: usize = 5_000;

/// Partitions of one bridge.
const PARTITIONS_MAX: usize = 20_000;

/// Time for a cluster to create what it was asked for.
const CREATE_WAIT: Duration = Duration::from_secs(20);

/// A topic as a resource of settings, and a setting that was set for one.
const TOPIC_RESOURCE: i8 = 2;
const SET_FOR_TOPIC: i8 = 1;

/// A partition on both sides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    pub partition: i32,
    /// Who leads it at the source.
    pub source: Node,
    /// And at the target.
    pub target: Node,
}

/// A topic on both sides.
#[derive(Debug, Clone)]
pub(crate) struct Topic {
    pub source: String,
    pub target: String,
    /// Its id at the source; empty where that gives none.
    pub id: String,
    /// Its id at the target, in the same way.
    pub target_id: String,
    /// Those that have a leader on both sides.
    pub parts: Vec<Part>,
}

/// What there is to mirror.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// The clusters' ids.
    pub source_cluster: String,
    pub target_cluster: String,
    pub topics: Vec<Topic>,
    /// All that the source has.
    pub topics_there: usize,
    /// Topics that cannot be mirrored, and why.
    pub troubles: Vec<(String, String)>,
    /// Those of them whose topic at the target is gone, or is another one.
    pub gone: Vec<String>,
}

fn text(text: &str) -> StrBytes {
    StrBytes::from_string(text.to_owned())
}

fn cluster_id(told: &MetadataResponse) -> String {
    told.cluster_id.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn name_of(topic: &MetadataResponseTopic) -> &str {
    topic.name.as_ref().map(|name| name.as_str()).unwrap_or_default()
}

/// Leaders of a topic's partitions, those that have one.
fn leaders(topic: &MetadataResponseTopic) -> BTreeMap<i32, Node> {
    let led = topic.partitions.iter().filter(|part| part.leader_id.0 >= 0);
    led.map(|part| (part.partition_index, part.leader_id.0)).collect()
}

/// A topic's id, empty where it has none.
fn id(topic: &MetadataResponseTopic) -> String {
    if topic.topic_id.is_nil() { String::new() } else { topic.topic_id.to_string() }
}

/// Looks at both sides, and creates at the target what is missing there. `known` are the topics of the target that were
/// mirrored before, with their ids: one of them that is gone was deleted, and is not made again by itself.
pub(crate) async fn look(
    source: &mut Cluster,
    target: &mut Cluster,
    spec: &Spec,
    known: &HashMap<String, String>,
) -> Result<Look, Trouble> {
    let told = source.metadata(None).await?;
    let mut look =
        Look { source_cluster: cluster_id(&told), topics_there: told.topics.len(), ..Look::default() };
    let mut wanted: Vec<(&MetadataResponseTopic, String)> = Vec::new();
    for topic in told.topics.iter().filter(|topic| spec.takes(name_of(topic))) {
        let name = name_of(topic).to_owned();
        match (ResponseError::try_from_code(topic.error_code), spec.target(&name)) {
            (Some(error), _) => look.troubles.push((name, format!("the source says {error:?} of it"))),
            (None, Err(why)) => look.troubles.push((name, why)),
            (None, Ok(target)) => wanted.push((topic, target)),
        }
    }
    for name in spec.topics.iter().filter(|name| !name.contains('*')) {
        if !told.topics.iter().any(|topic| name_of(topic) == name) {
            look.troubles.push((name.clone(), "it is not at the source, or may not be read".to_owned()));
        }
    }
    let partitions: usize = wanted.iter().map(|(topic, _)| topic.partitions.len()).sum();
    if wanted.len() > TOPICS_MAX || partitions > PARTITIONS_MAX {
        return Err(Trouble::Other(format!(
            "{} topics with {partitions} partitions are more than one bridge takes ({TOPICS_MAX} and \
             {PARTITIONS_MAX}): make several with fewer topics each",
            wanted.len()
        )));
    }
    let names = || wanted.iter().map(|(_, target)| target.clone()).collect::<Vec<_>>();
    let mut there = target.metadata(Some(names())).await?;
    look.target_cluster = cluster_id(&there);
    if create(source, target, &wanted, &there, known, &mut look).await? {
        there = target.metadata(Some(names())).await?;
    }
    let there: HashMap<&str, &MetadataResponseTopic> =
        there.topics.iter().map(|topic| (name_of(topic), topic)).collect();
    for (topic, target) in &wanted {
        let Some(found) = there.get(target.as_str()).filter(|found| found.error_code == 0) else { continue };
        let target_id = id(found);
        if known.get(target).is_some_and(|known| !is_same(known, &target_id)) {
            let why = format!(
                "{target} was deleted at the target and made anew; resume the bridge to begin it anew"
            );
            look.troubles.push((name_of(topic).to_owned(), why));
            look.gone.push(name_of(topic).to_owned());
            continue;
        }
        let targets = leaders(found);
        let parts = leaders(topic).into_iter().filter_map(|(partition, source)| {
            Some(Part { partition, source, target: *targets.get(&partition)? })
        });
        let (source, target, parts) = (name_of(topic).to_owned(), target.clone(), parts.collect());
        look.topics.push(Topic { source, target, id: id(topic), target_id, parts });
    }
    let named: HashSet<String> = look.troubles.iter().map(|(name, _)| name.clone()).collect();
    look.topics.retain(|topic| !named.contains(&topic.source));
    Ok(look)
}

/// Creates topics and partitions that the target lacks; true where something was.
async fn create(
    source: &mut Cluster,
    target: &mut Cluster,
    wanted: &[(&MetadataResponseTopic, String)],
    there: &MetadataResponse,
    known: &HashMap<String, String>,
    look: &mut Look,
) -> Result<bool, Trouble> {
    let troubles = &mut look.troubles;
    let found: HashMap<&str, &MetadataResponseTopic> =
        there.topics.iter().map(|topic| (name_of(topic), topic)).collect();
    let (mut missing, mut grown) = (Vec::new(), Vec::new());
    for (topic, name) in wanted {
        let count = i32::try_from(topic.partitions.len()).unwrap_or(i32::MAX);
        let own = name_of(topic).to_owned();
        match found.get(name.as_str()).map(|found| (found.error_code, found.partitions.len())) {
            Some((0, there)) if there < topic.partitions.len() => grown.push((own, name.clone(), count)),
            Some((0, _)) => {}
            Some((code, _)) if code != ResponseError::UnknownTopicOrPartition.code() => {
                troubles.push((own, format!("the target says {} of {name}", code_name(code))));
            }
            _ if known.contains_key(name) => {
                let why = format!("{name} was deleted at the target; resume the bridge to begin it anew");
                troubles.push((own.clone(), why));
                look.gone.push(own);
            }
            _ => missing.push((own, name.clone(), count)),
        }
    }
    let controller = there.controller_id.0;
    let timeout_ms = i32::try_from(CREATE_WAIT.as_millis()).unwrap_or(i32::MAX);
    if !missing.is_empty() {
        let names: Vec<&str> = missing.iter().map(|(source, _, _)| source.as_str()).collect();
        let configs = configs(source, &names).await?;
        let none = BTreeMap::new();
        let mut again = Vec::new();
        for plain in [false, true] {
            let asked = if plain { std::mem::take(&mut again) } else { std::mem::take(&mut missing) };
            if asked.is_empty() {
                continue;
            }
            let topics = asked.iter().map(|(own, name, count)| {
                let configs = configs.get(own).filter(|_| !plain).unwrap_or(&none);
                let set = |(name, value): (&String, &String)| {
                    CreatableTopicConfig::default().with_name(text(name)).with_value(Some(text(value)))
                };
                CreatableTopic::default()
                    .with_name(text(name).into())
                    .with_num_partitions(*count)
                    .with_replication_factor(-1)
                    .with_configs(configs.iter().map(set).collect())
            });
            let request =
                CreateTopicsRequest::default().with_topics(topics.collect()).with_timeout_ms(timeout_ms);
            let told = target.ask(controller, &request).await?;
            for topic in told.topics {
                let Some(asked) = asked.iter().find(|(_, name, _)| *name == *topic.name.as_str()) else {
                    continue;
                };
                match ResponseError::try_from_code(topic.error_code) {
                    None | Some(ResponseError::TopicAlreadyExists) => {}
                    // A setting that the target does not have in that form: the records matter more.
                    Some(ResponseError::InvalidConfig) if !plain => again.push(asked.clone()),
                    Some(error) => {
                        let why = format!("the target does not create {}: {error:?}", asked.1);
                        troubles.push((asked.0.clone(), why));
                    }
                }
            }
        }
        return Ok(true);
    }
    if grown.is_empty() {
        return Ok(false);
    }
    let topics = grown.iter().map(|(_, name, count)| {
        CreatePartitionsTopic::default()
            .with_name(text(name).into())
            .with_count(*count)
            .with_assignments(None)
    });
    let request =
        CreatePartitionsRequest::default().with_topics(topics.collect()).with_timeout_ms(timeout_ms);
    let told = target.ask(controller, &request).await?;
    for topic in told.results.iter().filter(|topic| topic.error_code != 0) {
        if let Some((own, name, _)) = grown.iter().find(|(_, name, _)| *name == *topic.name.as_str()) {
            let why = format!("the target adds no partitions to {name}: {}", code_name(topic.error_code));
            troubles.push((own.clone(), why));
        }
    }
    Ok(true)
}

/// What was set for topics, of what is copied.
async fn configs(
    cluster: &mut Cluster,
    topics: &[&str],
) -> Result<HashMap<String, BTreeMap<String, String>>, Trouble> {
    let keys: Vec<StrBytes> = COPIED.into_iter().map(StrBytes::from_static_str).collect();
    let resource = |topic: &&str| {
        DescribeConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(topic))
            .with_configuration_keys(Some(keys.clone()))
    };
    let request = DescribeConfigsRequest::default().with_resources(topics.iter().map(resource).collect());
    let told = cluster.ask_any(&request).await?;
    // One that may not be asked of has none to copy.
    let found = told.results.into_iter().filter(|result| result.error_code == 0).map(|result| {
        let set = result
            .configs
            .into_iter()
            .filter(|config| config.config_source == SET_FOR_TOPIC && COPIED.contains(&config.name.as_str()));
        let set = set.filter_map(|config| Some((config.name.to_string(), config.value?.to_string())));
        (result.resource_name.to_string(), set.collect())
    });
    Ok(found.collect())
}

/// Sets at the target what was set at the source since. What is set at the target alone stays, so what is set at the
/// source no more does too: nothing tells the two apart.
pub(crate) async fn copy_configs(
    source: &mut Cluster,
    target: &mut Cluster,
    topics: &[Topic],
) -> Result<(), Trouble> {
    if topics.is_empty() {
        return Ok(());
    }
    let sources: Vec<&str> = topics.iter().map(|topic| topic.source.as_str()).collect();
    let targets: Vec<&str> = topics.iter().map(|topic| topic.target.as_str()).collect();
    let wanted = configs(source, &sources).await?;
    let there = configs(target, &targets).await?;
    let changes = topics.iter().filter_map(|topic| {
        let has = |name: &str| there.get(&topic.target).and_then(|set| set.get(name));
        let differing = wanted.get(&topic.source)?.iter().filter(|(name, value)| has(name) != Some(*value));
        let changes: Vec<_> = differing
            .map(|(name, value)| {
                AlterableConfig::default().with_name(text(name)).with_value(Some(text(value)))
            })
            .collect();
        let resource = AlterConfigsResource::default()
            .with_resource_type(TOPIC_RESOURCE)
            .with_resource_name(text(&topic.target))
            .with_configs(changes);
        (!resource.configs.is_empty()).then_some(resource)
    });
    let changes: Vec<_> = changes.collect();
    if !changes.is_empty() {
        // What the target does not take stays as it is there: records go on.
        target.ask_any(&IncrementalAlterConfigsRequest::default().with_resources(changes)).await?;
    }
    Ok(())
}
