//! Regular expressions of members that may not see every topic.

use std::sync::Arc;

use candor_model::random::Seeded;
use kafka_protocol::messages::ConsumerGroupHeartbeatRequest;

use super::bed::*;
use super::consumer::{Client, client};
use crate::admin::acl::{Acls, Filter, Operation, Pattern, PatternFilter, Permission, ResourceType};
use crate::admin::acl::{Rule, Sights};
use crate::auth::Credentials;
use crate::caller::Caller;
use crate::directory::TopicId;

struct House {
    /// Where the rules are, as long as the test needs them.
    _files: crate::testing::Bed,
    bed: Bed,
    acls: Acls,
    /// May see everything.
    owner: Caller,
    /// May see what rules say.
    app: Caller,
    orders: TopicId,
    secrets: TopicId,
}

impl House {
    async fn new() -> House {
        let bed = Bed::new().await;
        let files = crate::testing::Bed::sqlite().await;
        let database = files.database.clone();
        let clock = Arc::clone(&bed.clock) as Arc<dyn candor_model::Clock>;
        let random = Arc::new(Seeded::new(1));
        let credentials = Credentials::open(database.clone(), clock, random).await.unwrap();
        credentials.create(PROJECT, "shop").await.unwrap();
        let acls = Acls::open(database, credentials).await.unwrap();
        let (orders, secrets) = (bed.topics.make("orders", 4), bed.topics.make("secrets", 4));
        let (owner, app) = (caller(), Caller { user: Arc::from("app"), ..caller() });
        let house = House { _files: files, bed, acls, owner, app, orders, secrets };
        house.allow("orders").await;
        house
    }

    async fn allow(&self, topic: &str) {
        let rule = Rule {
            resource: ResourceType::Topic,
            pattern: Pattern::Literal,
            name: topic.to_owned(),
            principal: "User:app".to_owned(),
            host: "*".to_owned(),
            operation: Operation::Read,
            permission: Permission::Allow,
        };
        self.acls.add(PROJECT, &[rule]).await.unwrap();
    }

    async fn forbid(&self, topic: &str) {
        let filter = Filter {
            resource: None,
            pattern: PatternFilter::Any,
            name: Some(topic.to_owned()),
            principal: None,
            host: None,
            operation: None,
            permission: None,
        };
        assert_eq!(self.acls.remove(PROJECT, &[filter]).await.unwrap().concat().len(), 1);
    }

    async fn beat(&self, who: &Caller, member: &mut Client) {
        let request: ConsumerGroupHeartbeatRequest = match member.epoch {
            0 => member
                .request("g")
                .with_subscribed_topic_names(None)
                .with_subscribed_topic_regex(Some(text(".*"))),
            _ => member.request("g"),
        };
        let sights = Sights::new(&self.acls, PROJECT);
        let response = self.bed.groups.consumer_heartbeat(who, request, 1, &sights).await;
        fits(&response, 1);
        assert_eq!(response.error_code, 0, "{response:?}");
        member.take(&response);
    }

    /// Lets all that is to move do so.
    async fn rounds(&self, boss: &mut Client, clerk: &mut Client) {
        for _ in 0..6 {
            self.beat(&self.owner, boss).await;
            self.beat(&self.app, clerk).await;
        }
    }
}

/// How many partitions of a topic it has.
fn count(member: &Client, topic: TopicId) -> usize {
    member.owned.iter().filter(|(of, _)| *of == topic).count()
}

#[tokio::test]
async fn an_expression_means_topics_that_its_member_may_see() {
    let house = House::new().await;
    let (mut boss, mut clerk) = (client("boss"), client("clerk"));
    house.beat(&house.app, &mut clerk).await;
    assert_eq!((count(&clerk, house.orders), clerk.owned.len()), (4, 4), "alone, and of one topic");
    house.rounds(&mut boss, &mut clerk).await;
    assert_eq!((count(&boss, house.secrets), count(&clerk, house.secrets)), (4, 0));
    assert_eq!(boss.owned.len() + clerk.owned.len(), 8);
    // Another's heartbeat finds the topic first.
    let other = house.bed.topics.make("others", 3);
    house.rounds(&mut boss, &mut clerk).await;
    assert_eq!((count(&boss, other), count(&clerk, other)), (3, 0));
    // Rules change, and topics do not.
    house.allow("secrets").await;
    house.rounds(&mut boss, &mut clerk).await;
    assert!(count(&clerk, house.secrets) > 0);
    house.forbid("secrets").await;
    house.rounds(&mut boss, &mut clerk).await;
    assert_eq!((count(&boss, house.secrets), count(&clerk, house.secrets)), (4, 0));
    house.forbid("orders").await;
    house.rounds(&mut boss, &mut clerk).await;
    assert_eq!((boss.owned.len(), clerk.owned.len()), (11, 0));
}

#[tokio::test]
async fn a_member_that_is_heard_of_late_after_a_start_is_told_of_no_more_than_it_may_see() {
    let mut house = House::new().await;
    let (mut boss, mut clerk, mut second) = (client("boss"), client("clerk"), client("second"));
    house.rounds(&mut boss, &mut clerk).await;
    let epoch = boss.epoch;
    house.bed.restart().await;
    house.beat(&house.owner, &mut boss).await;
    assert_eq!(boss.epoch, epoch, "a start moves nobody");
    // Assigned anew while nobody knows who the clerk is.
    house.beat(&house.owner, &mut second).await;
    for _ in 0..6 {
        house.beat(&house.app, &mut clerk).await;
        assert_eq!(count(&clerk, house.secrets), 0);
        house.beat(&house.owner, &mut boss).await;
        house.beat(&house.owner, &mut second).await;
    }
    assert_eq!(boss.owned.len() + clerk.owned.len() + second.owned.len(), 8);
    // What it was given before the start is taken back where it may not see it any more.
    let had = count(&clerk, house.orders);
    assert!(had > 0);
    house.bed.restart().await;
    house.forbid("orders").await;
    house.rounds(&mut boss, &mut clerk).await;
    assert_eq!(clerk.owned.len(), 0);
}
