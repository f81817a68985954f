//! Configurations of topics, groups and the broker.

use kafka_protocol::messages::describe_configs_request::DescribeConfigsResource;
use kafka_protocol::messages::describe_configs_response::DescribeConfigsResult;
use kafka_protocol::messages::*;

use super::*;
use crate::testing::on_both_engines;
use crate::topics::NewTopic;
use crate::topics::definitions::ALL;

on_both_engines!(
    every_configuration_is_told,
    configurations_are_read_changed_and_written_back,
    configurations_are_changed_one_by_one,
    groups_and_the_broker_have_configurations,
    what_has_configurations_is_listed,
);

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;

async fn describe(house: &House, caller: &Caller, kind: i8, name: &str) -> DescribeConfigsResult {
    let resource = DescribeConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(bytes(name))
        .with_configuration_keys(None);
    let request = DescribeConfigsRequest::default()
        .with_resources(vec![resource.clone(), resource])
        .with_include_synonyms(true)
        .with_include_documentation(true);
    let response = house.admin.describe_configs(caller, &house.broker, request, 4).await;
    versions::<DescribeConfigsResponse>().for_each(|version| fits(&response, version));
    assert_eq!(response.results.len(), 1, "the same twice is told once");
    response.results[0].clone()
}

fn value(result: &DescribeConfigsResult, name: &str) -> Option<(String, i8)> {
    let config = result.configs.iter().find(|config| &*config.name == name)?;
    Some((config.value.as_ref()?.to_string(), config.config_source))
}

async fn alter(
    house: &House,
    caller: &Caller,
    kind: i8,
    name: &str,
    configs: &[(&str, Option<&str>)],
) -> i16 {
    use alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let configs = configs
        .iter()
        .map(|(name, value)| AlterableConfig::default().with_name(bytes(name)).with_value(value.map(bytes)));
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(bytes(name))
        .with_configs(configs.collect());
    let request = AlterConfigsRequest::default().with_resources(vec![resource]);
    let response = house.admin.alter_configs(caller, &house.broker, request, 2).await;
    versions::<AlterConfigsResponse>().for_each(|version| fits(&response, version));
    response.responses[0].error_code
}

async fn change(house: &House, kind: i8, name: &str, changes: &[(&str, i8, Option<&str>)]) -> (i16, String) {
    use incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
    let configs = changes.iter().map(|(name, operation, value)| {
        let config = AlterableConfig::default().with_name(bytes(name)).with_config_operation(*operation);
        config.with_value(value.map(bytes))
    });
    let resource = AlterConfigsResource::default()
        .with_resource_type(kind)
        .with_resource_name(bytes(name))
        .with_configs(configs.collect());
    let request = IncrementalAlterConfigsRequest::default().with_resources(vec![resource]);
    let response = house.admin.incremental_alter_configs(&house.owner, &house.broker, request, 1).await;
    versions::<IncrementalAlterConfigsResponse>().for_each(|version| fits(&response, version));
    let response = &response.responses[0];
    let message = response.error_message.as_ref().map_or(String::new(), ToString::to_string);
    (response.error_code, message)
}

async fn make(house: &House, name: &str) {
    let new = NewTopic { name: name.to_owned(), ..NewTopic::default() };
    house.admin.topics.create(SHOP, new).await.unwrap();
}

async fn every_configuration_is_told(bed: Bed) {
    let house = house(&bed).await;
    make(&house, "a").await;
    let told = describe(&house, &house.owner, TOPIC, "a").await;
    assert_eq!(told.configs.len(), ALL.len());
    for config in &told.configs {
        assert!(config.documentation.is_some() && !config.synonyms.is_empty(), "{config:?}");
        assert_eq!((config.config_source, config.read_only), (5, false));
        assert_ne!(config.config_type, 0);
    }
    assert_eq!(value(&told, "retention.ms"), Some(("604800000".into(), 5)));
    let signal = describe(&house, &house.owner, TOPIC, "candor.logs").await;
    assert!(signal.configs.len() == ALL.len() && signal.configs.iter().all(|config| config.read_only));
    assert_eq!(describe(&house, &house.owner, TOPIC, "no").await.error_code, 3);
    assert_eq!(describe(&house, &house.owner, TOPIC, "n o").await.error_code, 17);
    assert_eq!(describe(&house, &house.owner, 8, "1").await.error_code, 42);
    assert_eq!(describe(&house, &house.app, TOPIC, "a").await.error_code, 29);
    let broker = describe(&house, &house.owner, BROKER, "1").await;
    assert_eq!(value(&broker, "num.partitions"), Some(("4".into(), 4)));
    assert_eq!(value(&broker, "test.enable"), Some(("true".into(), 4)));
    assert_eq!(value(&broker, "group.consumer.migration.policy"), Some(("disabled".into(), 4)));
    assert_eq!(value(&broker, "log.retention.ms"), Some(("604800000".into(), 5)));
    assert_eq!(describe(&house, &house.owner, BROKER, "2").await.error_code, 42);
    assert_eq!(describe(&house, &house.app, BROKER, "1").await.error_code, 31);
    let keys = ["retention.ms", "no.such"].map(Into::into).to_vec();
    let resource = DescribeConfigsResource::default()
        .with_resource_type(TOPIC)
        .with_resource_name("a".into())
        .with_configuration_keys(Some(keys));
    let request = DescribeConfigsRequest::default().with_resources(vec![resource]);
    let few = house.admin.describe_configs(&house.owner, &house.broker, request, 1).await;
    assert_eq!(few.results[0].configs.len(), 1);
    assert!(
        few.results[0].configs[0].synonyms.is_empty() && few.results[0].configs[0].documentation.is_none()
    );
}

async fn configurations_are_read_changed_and_written_back(bed: Bed) {
    let house = house(&bed).await;
    make(&house, "a").await;
    let owner = &house.owner;
    assert_eq!(
        alter(&house, owner, TOPIC, "a", &[("segment.ms", Some("5")), ("flush.ms", Some("6"))]).await,
        0
    );
    // As tools do: read all that is set, change one, write all.
    let told = describe(&house, owner, TOPIC, "a").await;
    let all: Vec<(&str, Option<&str>)> =
        told.configs.iter().map(|config| (&*config.name, config.value.as_deref())).collect();
    let changed: Vec<(&str, Option<&str>)> = all
        .iter()
        .map(|(name, value)| (*name, if *name == "flush.ms" { Some("7") } else { *value }))
        .collect();
    assert_eq!(alter(&house, owner, TOPIC, "a", &changed).await, 0);
    let told = describe(&house, owner, TOPIC, "a").await;
    assert_eq!(value(&told, "flush.ms"), Some(("7".into(), 1)));
    assert_eq!(value(&told, "segment.ms"), Some(("5".into(), 1)));
    let set = told.configs.iter().find(|config| &*config.name == "flush.ms").unwrap();
    let synonyms: Vec<(&str, i8)> = set.synonyms.iter().map(|one| (&*one.name, one.source)).collect();
    assert_eq!(synonyms, [("flush.ms", 1), ("log.flush.interval.ms", 5)]);
    assert_eq!(alter(&house, owner, TOPIC, "a", &[]).await, 0);
    assert_eq!(
        value(&describe(&house, owner, TOPIC, "a").await, "flush.ms").unwrap().1,
        5,
        "back to its default"
    );
    assert_eq!(alter(&house, owner, TOPIC, "a", &[("flush.ms", None)]).await, 42);
    assert_eq!(alter(&house, owner, TOPIC, "a", &[("no.such", Some("1"))]).await, 40);
    assert_eq!(
        alter(&house, owner, TOPIC, "a", &[("flush.ms", Some("1")), ("flush.ms", Some("2"))]).await,
        42
    );
    assert_eq!(alter(&house, owner, TOPIC, "no", &[]).await, 3);
    assert_eq!(alter(&house, owner, TOPIC, "candor.logs", &[("flush.ms", Some("1"))]).await, 29);
    assert_eq!(alter(&house, &house.app, TOPIC, "a", &[]).await, 29);
}

async fn configurations_are_changed_one_by_one(bed: Bed) {
    const SET: i8 = 0;
    const DELETE: i8 = 1;
    const APPEND: i8 = 2;
    const SUBTRACT: i8 = 3;
    let house = house(&bed).await;
    make(&house, "a").await;
    let both = [("cleanup.policy", APPEND, Some("compact")), ("segment.ms", SET, Some("5"))];
    assert_eq!(change(&house, TOPIC, "a", &both).await.0, 0);
    let told = describe(&house, &house.owner, TOPIC, "a").await;
    assert_eq!(value(&told, "cleanup.policy"), Some(("delete,compact".into(), 1)));
    assert_eq!(change(&house, TOPIC, "a", &[("cleanup.policy", SUBTRACT, Some("delete"))]).await.0, 0);
    assert_eq!(change(&house, TOPIC, "a", &[("segment.ms", DELETE, None)]).await.0, 0);
    let told = describe(&house, &house.owner, TOPIC, "a").await;
    assert_eq!(value(&told, "cleanup.policy"), Some(("compact".into(), 1)));
    assert_eq!(value(&told, "segment.ms").unwrap().1, 5);
    let (code, message) = change(&house, TOPIC, "a", &[("segment.ms", SET, Some("soon"))]).await;
    assert_eq!(code, 40);
    assert!(message.contains("segment.ms") && message.contains("soon"), "{message}");
    assert_eq!(change(&house, TOPIC, "a", &[("segment.ms", APPEND, Some("1"))]).await.0, 40);
    assert_eq!(change(&house, TOPIC, "a", &[("segment.ms", SET, None)]).await.0, 42);
    assert_eq!(change(&house, TOPIC, "a", &[("segment.ms", 9, Some("1"))]).await.0, 42);
    assert_eq!(change(&house, TOPIC, "no", &[("segment.ms", SET, Some("1"))]).await.0, 3);
    assert_eq!(change(&house, 16, "m", &[("interval.ms", SET, Some("1"))]).await.0, 42);
}

async fn groups_and_the_broker_have_configurations(bed: Bed) {
    let house = house(&bed).await;
    assert_eq!(change(&house, GROUP, "g", &[("consumer.session.timeout.ms", 0, Some("50000"))]).await.0, 0);
    assert_eq!(change(&house, GROUP, "g", &[("segment.ms", 0, Some("50000"))]).await.0, 40);
    for kind in ["consumer", "share"] {
        let (session, beat) = (format!("{kind}.session.timeout.ms"), format!("{kind}.heartbeat.interval.ms"));
        for (name, value) in [(&session, "5999"), (&session, "1800001"), (&beat, "999"), (&beat, "60001")] {
            assert_eq!(change(&house, GROUP, "h", &[(name, 0, Some(value))]).await.0, 40, "{name} {value}");
        }
        let (code, message) =
            change(&house, GROUP, "h", &[(&session, 0, Some("6000")), (&beat, 0, Some("6000"))]).await;
        assert_eq!(code, 40, "{message}");
        assert!(message.contains(&session) && message.contains(&beat), "{message}");
    }
    assert_eq!(change(&house, GROUP, "", &[("consumer.session.timeout.ms", 0, Some("1"))]).await.0, 42);
    assert_eq!(change(&house, BROKER, "1", &[("background.threads", 0, Some("9"))]).await.0, 0);
    assert_eq!(change(&house, BROKER, "", &[("background.threads", 0, Some("8"))]).await.0, 0);
    assert_eq!(change(&house, BROKER, "7", &[("background.threads", 0, Some("9"))]).await.0, 42);
    assert_eq!(change(&house, BROKER, "1", &[("num.partitions", 0, Some("9"))]).await.0, 40);
    let relogin = [("sasl.kerberos.min.time.before.relogin", Some("58000"))];
    assert_eq!(alter(&house, &house.app, BROKER, "1", &relogin).await, 31);
    let house = super::house(&bed).await;
    let group = describe(&house, &house.owner, GROUP, "g").await;
    assert_eq!(value(&group, "consumer.session.timeout.ms"), Some(("50000".into(), 8)));
    assert_eq!(value(&group, "consumer.heartbeat.interval.ms"), Some(("5000".into(), 5)));
    let resources = &house.admin.resources;
    assert_eq!(resources.of_group(SHOP, "g", "consumer.session.timeout.ms").as_deref(), Some("50000"));
    assert_eq!(resources.of_group(SHOP, "h", "consumer.session.timeout.ms").as_deref(), Some("45000"));
    assert_eq!(resources.of_group(SHOP, "g", "no.such"), None);
    let broker = describe(&house, &house.owner, BROKER, "1").await;
    assert_eq!(value(&broker, "background.threads"), Some(("9".into(), 2)));
    let all = describe(&house, &house.owner, BROKER, "").await;
    assert_eq!(all.configs.len(), 1);
    assert_eq!(value(&all, "background.threads"), Some(("8".into(), 3)));
    assert_eq!(alter(&house, &house.owner, BROKER, "1", &relogin).await, 0);
    let broker = describe(&house, &house.owner, BROKER, "1").await;
    assert_eq!(value(&broker, "background.threads"), Some(("10".into(), 5)), "put back");
    house.admin.forget(SHOP).await.unwrap();
    assert!(super::house(&bed).await.admin.resources.list(SHOP, resources::ResourceKind::Group).is_empty());
}

async fn what_has_configurations_is_listed(bed: Bed) {
    let house = house(&bed).await;
    make(&house, "a").await;
    change(&house, GROUP, "g", &[("consumer.session.timeout.ms", 0, Some("50000"))]).await;
    let list = async |caller: &Caller, kinds: &[i8], version: i16| {
        let request = ListConfigResourcesRequest::default().with_resource_types(kinds.to_vec());
        let response = house.admin.list_config_resources(caller, &house.broker, request, version).await;
        fits(&response, version);
        let told =
            response.config_resources.iter().map(|one| (one.resource_type, one.resource_name.to_string()));
        (response.error_code, told.collect::<Vec<_>>())
    };
    let (code, all) = list(&house.owner, &[], 1).await;
    assert_eq!(code, 0);
    let expected =
        [(2, "a"), (2, "candor.errors"), (2, "candor.logs"), (2, "candor.spans"), (4, "1"), (32, "g")];
    assert_eq!(all, expected.map(|(kind, name)| (kind, name.to_owned())));
    assert_eq!(list(&house.owner, &[GROUP], 1).await.1.len(), 1);
    assert_eq!(list(&house.owner, &[77], 1).await.0, 35);
    assert_eq!(list(&house.owner, &[], 0).await, (0, vec![]));
    assert_eq!(list(&house.app, &[], 1).await.0, 31);
}
