//! The administration on both engines. Every answer is also encoded in every version of its API: a field that a version
//! does not have, but is set, would end the connection.

mod configs;
mod topics;
mod users;

use std::net::{IpAddr, Ipv4Addr};

use bytes::BytesMut;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use kafka_protocol::protocol::{Encodable, Message};
use parking_lot::Mutex;

use super::*;
use crate::testing::Bed;
use crate::topics::Settings;

pub(super) const SHOP: ProjectId = ProjectId(1);

/// A log that notes what it is asked.
#[derive(Default)]
pub(super) struct Log {
    pub removed: Mutex<Vec<Gone>>,
    pub fails: Mutex<bool>,
}

#[async_trait]
impl TopicLog for Log {
    async fn sizes(&self, _: ProjectId, topic: &TopicView) -> Vec<i64> {
        (0..i64::from(topic.partitions)).map(|partition| 100 + partition).collect()
    }

    async fn space(&self) -> Option<(i64, i64)> {
        Some((1000, 300))
    }

    async fn remove(&self, gone: &Gone) -> Result<(), String> {
        if *self.fails.lock() {
            return Err("the disk is asleep".to_owned());
        }
        self.removed.lock().push(gone.clone());
        Ok(())
    }
}

pub(super) struct House {
    pub admin: Admin,
    pub log: Arc<Log>,
    pub broker: Broker,
    /// May everything.
    pub owner: Caller,
    /// May what rules allow.
    pub app: Caller,
}

pub(super) async fn house(bed: &Bed) -> House {
    let clock = Arc::new(ManualClock::default());
    let shown: Arc<dyn candor_model::Clock> = Arc::clone(&clock) as _;
    let random: Arc<dyn Random> = Arc::new(Seeded::new(7));
    let database = bed.database.clone();
    let credentials =
        Credentials::open(database.clone(), Arc::clone(&shown), Arc::clone(&random)).await.unwrap();
    if credentials.list(SHOP).is_empty() {
        credentials.create(SHOP, "shop").await.unwrap();
    }
    let log = Arc::new(Log::default());
    let text = "Whether it is a test.".to_owned();
    let parts = Parts {
        topics: Topics::open(database.clone(), shown, Arc::clone(&random), Settings::default())
            .await
            .unwrap(),
        acls: Acls::open(database.clone(), credentials.clone()).await.unwrap(),
        credentials,
        quotas: Quotas::open(database.clone()).await.unwrap(),
        resources: ResourceConfigs::open(database).await.unwrap(),
        log: Arc::clone(&log) as _,
        random,
        broker_configs: vec![BrokerConfig { name: "test.enable".into(), value: "true".into(), text }],
    };
    let broker = Broker { node_id: 1, host: "localhost".into(), port: 9092, cluster_id: "a-cluster".into() };
    let caller = |user: &str| Caller {
        project: SHOP,
        user: Arc::from(user),
        client_id: None,
        host: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    House { admin: Admin::new(parts), log, broker, owner: caller("shop"), app: caller("app") }
}

/// Encodes an answer as the version writes it.
pub(super) fn fits<R: Encodable + std::fmt::Debug>(response: &R, version: i16) {
    let mut buffer = BytesMut::new();
    let encoded = response.encode(&mut buffer, version);
    assert!(encoded.is_ok(), "version {version}: {encoded:?}: {response:?}");
}

/// The versions of a message.
pub(super) fn versions<M: Message>() -> std::ops::RangeInclusive<i16> {
    M::VERSIONS.min..=M::VERSIONS.max
}

pub(super) async fn allow(house: &House, operation: Operation, resource: ResourceType, name: &str) {
    let rule = acl::Rule {
        resource,
        pattern: acl::Pattern::Literal,
        name: name.to_owned(),
        principal: "User:app".to_owned(),
        host: acl::ALL.to_owned(),
        operation,
        permission: acl::Permission::Allow,
    };
    house.admin.acls().add(SHOP, &[rule]).await.unwrap();
}
