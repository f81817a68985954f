//! Quotas at work (KIP-13, KIP-219): who moves more bytes than a quota allows is told how long it is to wait, and not
//! read from for as long.
//!
//! Each client has a bucket that fills at the quota's rate and holds one second of it. What goes beyond is a debt, and
//! the wait is what it takes to pay it back; an answer is never held back for it, so a client that obeys loses nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use candor_model::ProjectId;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::admin::{Limit, Quotas};
use crate::caller::Caller;

/// The longest wait at once: a debt beyond it is forgiven, so that one large answer does not shut a client out.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(30);

/// Buckets at once. Those that are full are forgotten, for a new one is full, too.
const BUCKETS_MAX: usize = 10_000;

/// What is bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Flow {
    /// Bytes of produce requests.
    Produced,
    /// Bytes of fetched records.
    Consumed,
}

impl Flow {
    /// The quota's name.
    fn quota(self) -> &'static str {
        match self {
            Flow::Produced => "producer_byte_rate",
            Flow::Consumed => "consumer_byte_rate",
        }
    }
}

/// Whose bytes are counted together: those of a user, a client id, or both, as the quota says.
type Counted = (ProjectId, Flow, Option<Arc<str>>, Option<Arc<str>>);

/// Counts bytes. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Throttle {
    quotas: Quotas,
    buckets: Arc<Mutex<HashMap<Counted, Bucket>>>,
}

struct Bucket {
    /// Bytes that may still go; below zero a debt.
    balance: f64,
    at: Instant,
}

impl Bucket {
    fn fill(&mut self, rate: f64, now: Instant) {
        let more = now.saturating_duration_since(self.at).as_secs_f64() * rate;
        self.balance = (self.balance + more).min(rate);
        self.at = now;
    }
}

impl Throttle {
    /// By these quotas.
    pub fn new(quotas: Quotas) -> Throttle {
        Throttle { quotas, buckets: Arc::default() }
    }

    /// How long a client is to wait for what it has moved before.
    pub fn debt(&self, caller: &Caller, flow: Flow) -> Duration {
        self.count(caller, flow, 0)
    }

    /// Counts bytes of a client, and tells how long it is to wait.
    pub fn count(&self, caller: &Caller, flow: Flow, bytes: usize) -> Duration {
        let client_id = caller.client_id.as_deref().unwrap_or_default();
        let limit = self.quotas.limit(caller.project, &caller.user, client_id, flow.quota());
        let Some(Limit { rate, by_user, by_client }) = limit else { return Duration::ZERO };
        let user = by_user.then(|| Arc::clone(&caller.user));
        let client = by_client.then(|| Arc::from(client_id));
        let now = Instant::now();
        let mut buckets = self.buckets.lock();
        if buckets.len() >= BUCKETS_MAX {
            // A second makes every bucket full that has no debt.
            let second = Duration::from_secs(1);
            buckets.retain(|_, bucket| bucket.balance < 0.0 || now.duration_since(bucket.at) < second);
            if buckets.len() >= BUCKETS_MAX {
                buckets.clear();
            }
        }
        let counted = (caller.project, flow, user, client);
        let bucket = buckets.entry(counted).or_insert(Bucket { balance: rate, at: now });
        bucket.fill(rate, now);
        let debt_max = rate * WAIT_MAX.as_secs_f64();
        bucket.balance = (bucket.balance - bytes as f64).max(-debt_max);
        match bucket.balance < 0.0 {
            true => Duration::try_from_secs_f64(-bucket.balance / rate).unwrap_or(WAIT_MAX).min(WAIT_MAX),
            false => Duration::ZERO,
        }
    }
}

/// A wait as an answer tells it.
pub(super) fn told(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use candor_records::{BatchBuilder, Codec, Headers};
    use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
    use kafka_protocol::messages::create_topics_request::CreatableTopic;
    use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
    use kafka_protocol::messages::share_fetch_request::{FetchPartition, FetchTopic};
    use kafka_protocol::messages::{
        AlterClientQuotasRequest, ApiKey, CreateTopicsRequest, GroupId, ProduceRequest, ShareFetchRequest,
        ShareGroupHeartbeatRequest, TopicName,
    };
    use kafka_protocol::protocol::Encodable;
    use uuid::Uuid;

    use super::*;
    use crate::broker::{Broker, Session};
    use crate::caller::Peer;
    use crate::testing::{House, NOW, text};
    use crate::wire::{Answer, Request, Service};

    async fn set(house: &House, entity: &[(&str, Option<&str>)], name: &str, value: f64) {
        let entity = entity.iter().map(|(kind, name)| {
            EntityData::default().with_entity_type(text(kind)).with_entity_name(name.map(text))
        });
        let op = OpData::default().with_key(text(name)).with_value(value);
        let entry = EntryData::default().with_entity(entity.collect()).with_ops(vec![op]);
        let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
        let done = house.streams.parts.admin.alter_client_quotas(&house.owner, request, 1).await;
        assert_eq!(done.entries[0].error_code, 0);
    }

    #[tokio::test]
    async fn a_client_waits_until_its_debt_is_paid() {
        let house = House::new().await;
        let throttle = Throttle::new(house.streams.parts.admin.quotas().clone());
        let mut guest = house.guest.clone();
        guest.client_id = Some("till".into());
        let count = |caller: &Caller, flow, bytes| throttle.count(caller, flow, bytes).as_millis();
        assert_eq!(count(&guest, Flow::Produced, 1 << 30), 0, "without a quota nothing is bounded");
        set(&house, &[("user", Some("guest"))], "producer_byte_rate", 1000.0).await;
        tokio::time::pause();
        assert_eq!(count(&guest, Flow::Produced, 1000), 0, "a second's worth may come at once");
        assert_eq!(count(&guest, Flow::Produced, 500), 500);
        assert_eq!(count(&house.owner, Flow::Produced, 1 << 20), 0, "another's");
        assert_eq!(count(&guest, Flow::Consumed, 1 << 20), 0, "another quota's");
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(count(&guest, Flow::Produced, 100), 100);
        assert_eq!(count(&guest, Flow::Produced, 1 << 30), WAIT_MAX.as_millis());
        tokio::time::advance(WAIT_MAX).await;
        assert_eq!(count(&guest, Flow::Produced, 0), 0);
    }

    #[tokio::test]
    async fn records_that_are_shared_count_as_those_that_are_fetched() {
        let house = House::new().await;
        let parts = house.streams.parts.clone();
        let topic = TopicName(text("orders"));
        let made = CreatableTopic::default().with_name(topic.clone()).with_num_partitions(1);
        let made = CreateTopicsRequest::default().with_topics(vec![made.with_replication_factor(1)]);
        parts.admin.create_topics(&house.owner, &parts.node.broker(), made, 7).await;
        let id = Uuid::from_bytes(parts.topics.get(house.project(), "orders").unwrap().view.id);
        let mut batch = BatchBuilder::new(Codec::None);
        batch.push(NOW.0 / 1000, None, Some(&[7; 3000]), Headers::default());
        let records = batch.finish().unwrap();
        let broker = Arc::new(Broker::new(parts.clone(), None, None));
        let peer = Peer { address: ([127, 0, 0, 1], 9).into(), is_private: true };
        let session = Arc::new(broker.session(peer, Some(house.project())).await);
        set(&house, &[("user", None)], "consumer_byte_rate", 100.0).await;

        let group = || GroupId(text("readers"));
        let beat = ShareGroupHeartbeatRequest::default()
            .with_group_id(group())
            .with_member_id(text("m"))
            .with_subscribed_topic_names(Some(vec![topic.clone()]));
        let fetch = |epoch: i32| {
            let partition = FetchPartition::default().with_partition_max_bytes(1 << 20);
            let topic = FetchTopic::default().with_topic_id(id).with_partitions(vec![partition]);
            ShareFetchRequest::default()
                .with_group_id(Some(group()))
                .with_member_id(Some(text("m")))
                .with_share_session_epoch(epoch)
                .with_max_bytes(1 << 20)
                .with_max_records(10)
                .with_topics(vec![topic])
        };
        assert!(mute(&broker, &session, ApiKey::ShareGroupHeartbeat, &beat).await.is_zero());
        assert!(mute(&broker, &session, ApiKey::ShareFetch, &fetch(0)).await.is_zero(), "nothing is there");
        let data = PartitionProduceData::default().with_records(Some(records));
        let data = TopicProduceData::default().with_name(topic.clone()).with_partition_data(vec![data]);
        let request =
            ProduceRequest::default().with_acks(-1).with_timeout_ms(1000).with_topic_data(vec![data]);
        parts.produce.take(&house.scope, &house.rights(&house.owner), request, 12).answer.await;
        let wait = mute(&broker, &session, ApiKey::ShareFetch, &fetch(1)).await;
        assert!(
            (Duration::from_secs(20)..=WAIT_MAX).contains(&wait),
            "3,000 bytes at 100 a second: {wait:?}"
        );
    }

    /// For how long a connection is muted by the answer to a request.
    async fn mute<T: Encodable>(
        broker: &Arc<Broker>,
        session: &Arc<Session>,
        key: ApiKey,
        message: &T,
    ) -> Duration {
        let mut body = BytesMut::new();
        message.encode(&mut body, 1).unwrap();
        match broker.call(session, Request::for_test(key, 1, body.freeze())).answer.await {
            Answer::Body { mute, .. } => mute,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_nearest_quota_counts() {
        let house = House::new().await;
        let quotas = house.streams.parts.admin.quotas();
        let rate = |user: &str, client: &str| {
            let limit = quotas.limit(house.project(), user, client, "consumer_byte_rate");
            limit.map(|limit| (limit.rate, limit.by_user, limit.by_client))
        };
        assert_eq!(rate("a", "x"), None);
        // From the last in Kafka's order to the first.
        let (user, client) = ("user", "client-id");
        for (number, (entity, by_user, by_client)) in [
            (&[(client, None)][..], false, true),
            (&[(client, Some("x"))], false, true),
            (&[(user, None)], true, false),
            (&[(user, None), (client, None)], true, true),
            (&[(user, None), (client, Some("x"))], true, true),
            (&[(user, Some("a"))], true, false),
            (&[(user, Some("a")), (client, None)], true, true),
            (&[(user, Some("a")), (client, Some("x"))], true, true),
        ]
        .into_iter()
        .enumerate()
        {
            let value = 10.0 + number as f64;
            set(&house, entity, "consumer_byte_rate", value).await;
            assert_eq!(rate("a", "x"), Some((value, by_user, by_client)), "{entity:?}");
        }
        assert_eq!(rate("b", "y"), Some((13.0, true, true)));
    }
}
