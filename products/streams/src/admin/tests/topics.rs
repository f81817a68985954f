//! Metadata, and topics made, grown and deleted.

use kafka_protocol::messages::create_partitions_request::{
    CreatePartitionsAssignment, CreatePartitionsTopic,
};
use kafka_protocol::messages::create_topics_request::{
    CreatableReplicaAssignment, CreatableTopic, CreatableTopicConfig,
};
use kafka_protocol::messages::delete_topics_request::DeleteTopicState;
use kafka_protocol::messages::describe_log_dirs_request::DescribableLogDirTopic;
use kafka_protocol::messages::describe_topic_partitions_request::{Cursor, TopicRequest};
use kafka_protocol::messages::elect_leaders_request::TopicPartitions;
use kafka_protocol::messages::metadata_request::MetadataRequestTopic;
use kafka_protocol::messages::*;

use super::*;
use crate::testing::on_both_engines;

on_both_engines!(
    metadata_tells_and_makes_topics,
    metadata_tells_who_may_see,
    one_request_makes_so_many_topics,
    topics_are_made_as_asked,
    topics_are_deleted_by_name_and_id,
    partitions_are_added,
    partitions_are_described_page_by_page,
    nothing_moves,
    the_cluster_is_one_broker,
);

fn creatable(name: &str) -> CreatableTopic {
    CreatableTopic::default().with_name(topic_name(name)).with_num_partitions(-1).with_replication_factor(-1)
}

async fn create(house: &House, topics: Vec<CreatableTopic>) -> Vec<i16> {
    let request = CreateTopicsRequest::default().with_topics(topics);
    let response = house.admin.create_topics(&house.owner, &house.broker, request, 7).await;
    for version in versions::<CreateTopicsResponse>() {
        fits(&response, version);
    }
    for topic in &response.topics {
        assert_eq!(topic.error_code != 0, topic.error_message.is_some(), "{topic:?}");
    }
    response.topics.iter().map(|topic| topic.error_code).collect()
}

fn by_name(name: &str) -> MetadataRequestTopic {
    MetadataRequestTopic::default().with_name(Some(topic_name(name)))
}

fn asks(names: &[&str]) -> MetadataRequest {
    let topics = names.iter().map(|name| by_name(name)).collect();
    MetadataRequest::default().with_topics(Some(topics)).with_allow_auto_topic_creation(true)
}

async fn metadata_tells_and_makes_topics(bed: Bed) {
    let house = house(&bed).await;
    let metadata = async |request: MetadataRequest, version: i16| {
        let response = house.admin.metadata(&house.owner, &house.broker, request, version).await;
        fits(&response, version);
        assert_eq!(response.brokers.len(), 1);
        assert_eq!(response.cluster_id.as_deref(), Some("a-cluster"));
        response
    };
    let mut quiet = asks(&["a"]);
    quiet.allow_auto_topic_creation = false;
    assert_eq!(metadata(quiet, 12).await.topics[0].error_code, 3);
    let made = metadata(asks(&["a", "a", "b c", "candor.logs", "candor.x", "x.y", "x_y"]), 12).await;
    let told: Vec<(&str, i16, usize)> = made
        .topics
        .iter()
        .map(|topic| (topic.name.as_ref().unwrap().as_str(), topic.error_code, topic.partitions.len()))
        .collect();
    let expected = [
        ("a", 0, 4),
        ("b c", 17, 0),
        ("candor.logs", 0, 1),
        ("candor.x", 17, 0),
        ("x.y", 0, 4),
        ("x_y", 17, 0),
    ];
    assert_eq!(told, expected);
    let partition = &made.topics[0].partitions[3];
    assert_eq!((partition.partition_index, partition.leader_id.0, partition.leader_epoch), (3, 1, 0));
    assert_eq!((partition.replica_nodes.len(), partition.isr_nodes.len()), (1, 1));
    let id = made.topics[0].topic_id;
    assert!(!id.is_nil());
    for version in versions::<MetadataRequest>() {
        let all = MetadataRequest::default().with_topics(None);
        let all = metadata(all, version).await;
        assert_eq!(all.topics.len(), 5, "two made and three signals");
        let none = metadata(MetadataRequest::default().with_topics(Some(Vec::new())), version).await;
        assert_eq!(none.topics.len(), if version == 0 { 5 } else { 0 });
        let old = metadata(asks(&[&format!("made{version}"), "no/pe"]), version).await;
        assert_eq!((old.topics[0].error_code, old.topics[1].error_code), (0, 17));
        house.admin.topics.delete(SHOP, &format!("made{version}")).await.unwrap();
        let by_id = |id: uuid::Uuid| MetadataRequestTopic::default().with_name(None).with_topic_id(id);
        let wanted = vec![by_id(id), by_id(uuid::Uuid::from_u128(5)), by_id(uuid::Uuid::nil())];
        let found = metadata(MetadataRequest::default().with_topics(Some(wanted)), version).await;
        let codes: Vec<i16> = found.topics.iter().map(|topic| topic.error_code).collect();
        assert_eq!(codes, if version < 12 { [42, 42, 42] } else { [0, 100, 42] });
    }
    let mut operations = asks(&["a"]);
    operations.include_topic_authorized_operations = true;
    operations.include_cluster_authorized_operations = true;
    let told = metadata(operations, 8).await;
    assert!(told.topics[0].topic_authorized_operations > 0 && told.cluster_authorized_operations > 0);
}

async fn metadata_tells_who_may_see(bed: Bed) {
    let house = house(&bed).await;
    assert_eq!(create(&house, vec![creatable("a"), creatable("b")]).await, [0, 0]);
    let metadata =
        async |request: MetadataRequest| house.admin.metadata(&house.app, &house.broker, request, 13).await;
    let all = MetadataRequest::default().with_topics(None);
    assert!(metadata(all.clone()).await.topics.is_empty());
    assert_eq!(metadata(asks(&["a"])).await.topics[0].error_code, 29);
    allow(&house, Operation::Read, ResourceType::Topic, "a").await;
    assert_eq!(metadata(all).await.topics.len(), 1);
    let codes: Vec<i16> =
        metadata(asks(&["a", "b", "new"])).await.topics.iter().map(|t| t.error_code).collect();
    assert_eq!(codes, [0, 29, 29]);
    let b = uuid(house.admin.topics.get(SHOP, "b").unwrap().view.id);
    let hidden = MetadataRequestTopic::default().with_name(None).with_topic_id(b);
    let hidden = metadata(MetadataRequest::default().with_topics(Some(vec![hidden]))).await;
    assert_eq!((hidden.topics[0].error_code, &hidden.topics[0].name), (100, &None));
    allow(&house, Operation::Describe, ResourceType::Topic, "new").await;
    assert_eq!(metadata(asks(&["new"])).await.topics[0].error_code, 3, "it may not be made");
    allow(&house, Operation::Create, ResourceType::Topic, "new").await;
    assert_eq!(metadata(asks(&["new"])).await.topics[0].error_code, 0);
}

async fn one_request_makes_so_many_topics(bed: Bed) {
    let house = house(&bed).await;
    let names: Vec<String> = (0..=crate::topics::NAMES_PER_REQUEST_MAX).map(|n| format!("t{n}")).collect();
    let refused = create(&house, names.iter().map(|name| creatable(name)).collect()).await;
    assert!(refused.len() == names.len() && refused.iter().all(|code| *code == 44));
    assert_eq!(create(&house, vec![creatable("there")]).await, [0]);
    let mut asked: Vec<&str> = names.iter().map(String::as_str).collect();
    asked.push("there");
    let told = house.admin.metadata(&house.owner, &house.broker, asks(&asked), 12).await;
    let Some((there, missing)) = told.topics.split_last() else { panic!("nothing is told") };
    assert_eq!((there.error_code, missing.len()), (0, names.len()));
    assert!(missing.iter().all(|topic| topic.error_code == 44));
    assert_eq!(house.admin.topics.all().len(), 1);
}

async fn topics_are_made_as_asked(bed: Bed) {
    let house = house(&bed).await;
    let config = |name: &'static str, value: Option<&'static str>| {
        let config = CreatableTopicConfig::default().with_name(name.into());
        config.with_value(value.map(Into::into))
    };
    let on = |partition: i32, brokers: &[i32]| {
        CreatableReplicaAssignment::default()
            .with_partition_index(partition)
            .with_broker_ids(brokers.iter().map(|id| BrokerId(*id)).collect())
    };
    let placed = |assignments: Vec<CreatableReplicaAssignment>| creatable("p").with_assignments(assignments);
    for (topic, code) in [
        (creatable("a b"), 17),
        (creatable("candor.mine"), 17),
        (creatable("candor.logs"), 36),
        (creatable("a").with_num_partitions(0), 37),
        (creatable("a").with_num_partitions(-2), 37),
        (creatable("a").with_num_partitions(1_000_000), 37),
        (creatable("replicated").with_replication_factor(3), 0),
        (creatable("a").with_replication_factor(0), 38),
        (creatable("a").with_replication_factor(-2), 38),
        (creatable("a").with_configs(vec![config("no.such", Some("1"))]), 40),
        (creatable("a").with_configs(vec![config("retention.ms", Some("x"))]), 40),
        (creatable("a").with_configs(vec![config("retention.ms", None)]), 40),
        (placed(vec![on(0, &[1]), on(1, &[2])]), 39),
        (placed(vec![on(0, &[1, 1])]), 39),
        (placed(vec![on(0, &[1]), on(2, &[1])]), 39),
        (placed(vec![on(0, &[1]), on(0, &[1])]), 39),
        (placed(vec![on(0, &[1])]).with_num_partitions(1), 42),
        (placed(vec![on(1, &[1]), on(0, &[1])]), 0),
    ] {
        assert_eq!(create(&house, vec![topic.clone()]).await, [code], "{topic:?}");
    }
    assert_eq!(house.admin.topics.get(SHOP, "p").unwrap().view.partitions, 2);
    assert_eq!(create(&house, vec![creatable("d"), creatable("d"), creatable("e")]).await, [42, 42, 0]);

    let wanted = creatable("full")
        .with_num_partitions(3)
        .with_configs(vec![config("cleanup.policy", Some("compact"))]);
    let request = CreateTopicsRequest::default().with_topics(vec![wanted]).with_validate_only(true);
    let dry = house.admin.create_topics(&house.owner, &house.broker, request.clone(), 7).await;
    assert!(dry.topics[0].error_code == 0 && dry.topics[0].topic_id.is_nil());
    assert!(house.admin.topics.get(SHOP, "full").is_none());
    let request = request.with_validate_only(false);
    let made = house.admin.create_topics(&house.owner, &house.broker, request.clone(), 7).await;
    let topic = &made.topics[0];
    assert_eq!((topic.num_partitions, topic.replication_factor), (3, 1));
    assert_eq!(topic.topic_id, uuid(house.admin.topics.get(SHOP, "full").unwrap().view.id));
    let configs = topic.configs.as_ref().unwrap();
    assert_eq!(configs.len(), crate::topics::definitions::ALL.len());
    let policy = configs.iter().find(|config| &*config.name == "cleanup.policy").unwrap();
    assert_eq!((policy.value.as_deref(), policy.config_source), (Some("compact"), 1));

    let refused = house.admin.create_topics(&house.app, &house.broker, request.clone(), 7).await;
    assert_eq!(refused.topics[0].error_code, 29);
    house.admin.topics.delete(SHOP, "full").await.unwrap();
    allow(&house, Operation::Create, ResourceType::Topic, "full").await;
    let made = house.admin.create_topics(&house.app, &house.broker, request, 7).await;
    assert_eq!((made.topics[0].error_code, made.topics[0].topic_config_error_code), (0, 29));
    assert_eq!((made.topics[0].num_partitions, &made.topics[0].configs), (-1, &None));
    for version in versions::<CreateTopicsResponse>() {
        fits(&made, version);
    }
}

async fn topics_are_deleted_by_name_and_id(bed: Bed) {
    let house = house(&bed).await;
    create(&house, vec![creatable("a"), creatable("b"), creatable("c")]).await;
    let delete = async |caller: &Caller, topics: Vec<DeleteTopicState>| {
        let request = DeleteTopicsRequest::default().with_topics(topics);
        let response = house.admin.delete_topics(caller, request, 6).await;
        fits(&response, 6);
        response.responses.iter().map(|one| one.error_code).collect::<Vec<i16>>()
    };
    let name = |name: &str| DeleteTopicState::default().with_name(Some(topic_name(name)));
    let id = |name: &str| {
        let id = house.admin.topics.get(SHOP, name).map_or([9; 16], |topic| topic.view.id);
        DeleteTopicState::default().with_name(None).with_topic_id(uuid(id))
    };
    let both = id("a").with_name(Some(topic_name("a")));
    let neither = DeleteTopicState::default().with_name(None);
    assert_eq!(delete(&house.owner, vec![both, neither, name("no"), id("no")]).await, [42, 42, 3, 100]);
    assert_eq!(delete(&house.owner, vec![name("a"), id("a"), name("candor.logs")]).await, [42, 42, 29]);
    assert_eq!(delete(&house.app, vec![name("a"), id("a"), name("no")]).await, [29, 100, 29]);
    allow(&house, Operation::Describe, ResourceType::Topic, "a").await;
    assert_eq!(delete(&house.app, vec![id("a")]).await, [29]);
    assert!(house.log.removed.lock().is_empty());
    let before = house.admin.topics.get(SHOP, "a").unwrap().view.in_log.clone();
    assert_eq!(delete(&house.owner, vec![id("a")]).await, [0]);
    assert_eq!(house.log.removed.lock()[0].in_log, before);
    assert!(house.admin.topics.gone().await.unwrap().is_empty(), "it is ticked off");
    *house.log.fails.lock() = true;
    assert_eq!(delete(&house.owner, vec![name("b")]).await, [0]);
    assert_eq!(house.admin.topics.gone().await.unwrap().len(), 1, "it is tried again");
    *house.log.fails.lock() = false;
    for version in 1..=5 {
        create(&house, vec![creatable("c")]).await;
        let request =
            DeleteTopicsRequest::default().with_topic_names(vec![topic_name("c"), topic_name("no")]);
        let response = house.admin.delete_topics(&house.owner, request, version).await;
        fits(&response, version);
        assert_eq!((response.responses[0].error_code, response.responses[1].error_code), (0, 3));
    }
}

async fn partitions_are_added(bed: Bed) {
    let house = house(&bed).await;
    create(&house, vec![creatable("a")]).await;
    let grow = async |caller: &Caller, topics: Vec<CreatePartitionsTopic>, dry: bool| {
        let request = CreatePartitionsRequest::default().with_topics(topics).with_validate_only(dry);
        let response = house.admin.create_partitions(caller, &house.broker, request, 3).await;
        versions::<CreatePartitionsResponse>().for_each(|version| fits(&response, version));
        response.results.iter().map(|one| one.error_code).collect::<Vec<i16>>()
    };
    let to = |name: &str, count: i32| {
        CreatePartitionsTopic::default().with_name(topic_name(name)).with_count(count).with_assignments(None)
    };
    let on = |broker: i32| CreatePartitionsAssignment::default().with_broker_ids(vec![BrokerId(broker)]);
    let wrong = vec![to("a", 4), to("no", 9), to("candor.logs", 2)];
    assert_eq!(grow(&house.owner, wrong, false).await, [37, 3, 29]);
    for (topic, code) in [
        (to("a", 3), 37),
        (to("a", -1), 37),
        (to("a", i32::MAX), 37),
        (to("a", 6).with_assignments(Some(vec![on(1)])), 39),
        (to("a", 5).with_assignments(Some(vec![on(2)])), 39),
        (to("a", 5).with_assignments(Some(vec![on(1)])), 0),
    ] {
        assert_eq!(grow(&house.owner, vec![topic.clone()], true).await, [code], "{topic:?}");
    }
    assert_eq!(grow(&house.app, vec![to("a", 9)], false).await, [29]);
    assert_eq!(grow(&house.owner, vec![to("a", 9), to("a", 9)], false).await, [42, 42]);
    assert_eq!(house.admin.topics.get(SHOP, "a").unwrap().view.partitions, 4);
    assert_eq!(grow(&house.owner, vec![to("a", 9)], false).await, [0]);
    assert_eq!(house.admin.topics.get(SHOP, "a").unwrap().view.partitions, 9);
}

async fn partitions_are_described_page_by_page(bed: Bed) {
    let house = house(&bed).await;
    create(&house, vec![creatable("a").with_num_partitions(5), creatable("z").with_num_partitions(3)]).await;
    let mut cursor: Option<Cursor> = None;
    let mut seen = Vec::new();
    for _ in 0..20 {
        let request =
            DescribeTopicPartitionsRequest::default().with_response_partition_limit(2).with_cursor(cursor);
        let page = house.admin.describe_topic_partitions(&house.owner, &house.broker, request, 0).await;
        fits(&page, 0);
        assert!(page.topics.iter().map(|topic| topic.partitions.len()).sum::<usize>() <= 2);
        for topic in &page.topics {
            let name = topic.name.as_ref().unwrap().to_string();
            seen.extend(topic.partitions.iter().map(|one| (name.clone(), one.partition_index)));
        }
        let Some(next) = page.next_cursor else { break };
        cursor = Some(
            Cursor::default().with_topic_name(next.topic_name).with_partition_index(next.partition_index),
        );
    }
    let of = |name: &str, count: i32| (0..count).map(|index| (name.to_owned(), index)).collect::<Vec<_>>();
    let expected =
        [of("a", 5), of("candor.errors", 1), of("candor.logs", 1), of("candor.spans", 1), of("z", 3)]
            .concat();
    assert_eq!(seen, expected);
    let named = ["z", "no", "b c"].map(|name| TopicRequest::default().with_name(topic_name(name)));
    let request = DescribeTopicPartitionsRequest::default()
        .with_topics(named.to_vec())
        .with_response_partition_limit(100)
        .with_cursor(None);
    let page = house.admin.describe_topic_partitions(&house.owner, &house.broker, request.clone(), 0).await;
    let codes: Vec<i16> = page.topics.iter().map(|topic| topic.error_code).collect();
    assert_eq!(codes, [17, 3, 0]);
    assert_eq!(page.next_cursor, None);
    let page = house.admin.describe_topic_partitions(&house.app, &house.broker, request, 0).await;
    assert!(page.topics.iter().all(|topic| topic.error_code == 29));
}

async fn nothing_moves(bed: Bed) {
    use alter_partition_reassignments_request::{ReassignablePartition, ReassignableTopic};
    let house = house(&bed).await;
    create(&house, vec![creatable("a")]).await;
    for version in versions::<ElectLeadersRequest>() {
        let topic = TopicPartitions::default().with_topic(topic_name("a")).with_partitions(vec![0, 4]);
        let request = ElectLeadersRequest::default().with_topic_partitions(Some(vec![topic]));
        for (caller, codes, all) in [(&house.owner, [84, 3], 0), (&house.app, [31, 31], 31)] {
            let response = house.admin.elect_leaders(caller, request.clone(), version).await;
            fits(&response, version);
            let results = &response.replica_election_results[0].partition_result;
            assert_eq!(results.iter().map(|one| one.error_code).collect::<Vec<_>>(), codes);
            assert_eq!(response.error_code, if version == 0 { 0 } else { all });
        }
        let all = house.admin.elect_leaders(&house.owner, request.with_topic_partitions(None), version).await;
        assert!(all.replica_election_results.is_empty());
    }
    let to = |index: i32, replicas: Option<&[i32]>| {
        let replicas = replicas.map(|ids| ids.iter().map(|id| BrokerId(*id)).collect());
        ReassignablePartition::default().with_partition_index(index).with_replicas(replicas)
    };
    let partitions =
        vec![to(0, Some(&[1])), to(1, Some(&[2])), to(2, Some(&[1, 2])), to(3, None), to(9, None)];
    let topic = ReassignableTopic::default().with_name(topic_name("a")).with_partitions(partitions);
    let request = AlterPartitionReassignmentsRequest::default().with_topics(vec![topic]);
    let response =
        house.admin.alter_partition_reassignments(&house.owner, &house.broker, request.clone(), 0).await;
    let codes: Vec<i16> = response.responses[0].partitions.iter().map(|one| one.error_code).collect();
    assert_eq!(codes, [0, 39, 39, 85, 3]);
    let refused = house.admin.alter_partition_reassignments(&house.app, &house.broker, request, 0).await;
    assert_eq!(refused.error_code, 31);
    for version in versions::<AlterPartitionReassignmentsResponse>() {
        fits(&response, version);
        fits(&refused, version);
    }
    let list = ListPartitionReassignmentsRequest::default();
    let response = house.admin.list_partition_reassignments(&house.owner, list.clone(), 0).await;
    fits(&response, 0);
    assert!(response.error_code == 0 && response.topics.is_empty());
    assert_eq!(house.admin.list_partition_reassignments(&house.app, list, 0).await.error_code, 31);

    for version in versions::<DescribeLogDirsRequest>() {
        let all = DescribeLogDirsRequest::default().with_topics(None);
        let response = house.admin.describe_log_dirs(&house.owner, all.clone(), version).await;
        fits(&response, version);
        assert_eq!((response.results[0].total_bytes, response.results[0].usable_bytes), (1000, 300));
        assert_eq!(response.results[0].topics.len(), 4);
        let some = DescribableLogDirTopic::default().with_topic(topic_name("a")).with_partitions(vec![2, 9]);
        let some = all.clone().with_topics(Some(vec![some.clone(), some]));
        let response = house.admin.describe_log_dirs(&house.owner, some, version).await;
        let topics = &response.results[0].topics;
        assert_eq!((topics.len(), topics[0].partitions.len()), (1, 1));
        assert_eq!(
            (topics[0].partitions[0].partition_index, topics[0].partitions[0].partition_size),
            (2, 102)
        );
        let refused = house.admin.describe_log_dirs(&house.app, all, version).await;
        fits(&refused, version);
        assert_eq!((refused.results.len(), refused.error_code), (0, if version < 3 { 0 } else { 31 }));
    }
}

async fn the_cluster_is_one_broker(bed: Bed) {
    let house = house(&bed).await;
    for version in versions::<DescribeClusterRequest>() {
        let request = DescribeClusterRequest::default().with_include_cluster_authorized_operations(true);
        let response = house.admin.describe_cluster(&house.owner, &house.broker, request, version).await;
        fits(&response, version);
        assert_eq!((&*response.cluster_id, response.brokers.len()), ("a-cluster", 1));
        assert!(response.cluster_authorized_operations > 0);
    }
    let request = DescribeClusterRequest::default().with_endpoint_type(2);
    let response = house.admin.describe_cluster(&house.owner, &house.broker, request, 2).await;
    assert_eq!((response.error_code, response.brokers.len()), (114, 0));
}
