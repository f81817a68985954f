//! Each request by one who may not, and by one whom a rule allows it.

mod data;
mod groups;
mod repeated;
mod shares;
mod transactions;

use bytes::BytesMut;
use candor_records::{BatchBuilder, Codec, Headers, Producer};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::create_topics_request::CreatableTopic;
use kafka_protocol::messages::{CreateTopicsRequest, GroupId, TopicName, TransactionalId};
use kafka_protocol::protocol::Encodable;

use crate::admin::acl::{Operation, Pattern, Permission, ResourceType, Rule};
use crate::parts::Parts;
use crate::testing::{House, text};

const ORDERS: &str = "orders";
const SECRETS: &str = "secrets";
const READERS: &str = "readers";
const MOVER: &str = "mover";

/// Kafka's numbers of what is told.
const OK: i16 = 0;
const TOPIC: i16 = 29;
const GROUP: i16 = 30;
const CLUSTER: i16 = 31;
const TRANSACTIONAL_ID: i16 = 53;

/// A house with two topics of one partition.
async fn house() -> House {
    let house = House::new().await;
    let topics = [ORDERS, SECRETS].map(|name| {
        CreatableTopic::default().with_name(topic(name)).with_num_partitions(1).with_replication_factor(1)
    });
    let request = CreateTopicsRequest::default().with_topics(topics.to_vec());
    let (admin, node) = (&parts(&house).admin, parts(&house).node.broker());
    let made = admin.create_topics(&house.owner, &node, request, 7).await;
    assert!(made.topics.iter().all(|topic| topic.error_code == OK), "{made:?}");
    house
}

fn parts(house: &House) -> &Parts {
    &house.streams.parts
}

/// Lets the guest do something.
async fn allow(house: &House, operation: Operation, resource: ResourceType, name: &str) {
    let rule = Rule {
        resource,
        pattern: Pattern::Literal,
        name: name.to_owned(),
        principal: format!("User:{}", house.guest.user),
        host: "*".to_owned(),
        operation,
        permission: Permission::Allow,
    };
    parts(house).admin.acls().add(house.project(), &[rule]).await.unwrap();
}

fn topic(name: &str) -> TopicName {
    TopicName(text(name))
}

fn group(name: &str) -> GroupId {
    GroupId(text(name))
}

fn id(name: &str) -> TransactionalId {
    TransactionalId(text(name))
}

/// Encodes an answer as each version writes it: a field that a version does not have would end the connection.
fn fits<R: Encodable>(response: &R, versions: std::ops::RangeInclusive<i16>) {
    for version in versions {
        let encoded = response.encode(&mut BytesMut::new(), version);
        assert!(encoded.is_ok(), "version {version}: {encoded:?}");
    }
}

/// A batch of one record.
fn batch(producer: Option<Producer>) -> bytes::Bytes {
    let builder = BatchBuilder::new(Codec::None);
    let mut builder = match producer {
        Some(producer) => builder.transactional(producer),
        None => builder,
    };
    builder.push(1_790_000_000_000, None, Some(b"value"), Headers::default());
    builder.finish().unwrap()
}
