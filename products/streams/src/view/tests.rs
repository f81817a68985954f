//! The screen's questions over a real log, gate and groups.

use std::collections::HashSet;

use candor_records::{BatchBuilder, Codec, Headers, Producer};
use kafka_protocol::messages::offset_commit_request::{
    OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use kafka_protocol::messages::produce_request::{PartitionProduceData, TopicProduceData};
use kafka_protocol::messages::*;

use super::*;
use crate::registry::Reference;
use crate::testing::{House, NOW, text};

struct Bed {
    house: House,
    read: ReadScope,
    write: WriteScope,
}

impl Bed {
    async fn new() -> Bed {
        let house = House::new().await;
        let read = house.streams.parts.tenancy.admin_read(house.project()).await.unwrap().unwrap();
        let write = house.streams.parts.tenancy.user_write(house.project()).await.unwrap().unwrap();
        Bed { house, read, write }
    }

    fn view(&self) -> &View {
        self.house.streams.view()
    }

    fn inner(&self) -> &Inner {
        &self.view().inner
    }

    fn caller(&self) -> Caller {
        self.inner().caller(self.read.project())
    }

    async fn topic(&self, name: &str, partitions: u32, values: Option<&str>) {
        let configs =
            values.map(|values| Change { name: "candor.values".to_owned(), value: Some(values.to_owned()) });
        let new = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            configs: configs.into_iter().collect(),
        };
        self.view().create_topic(&self.write, new).await.unwrap();
    }

    async fn send(&self, topic: &str, partition: u32, key: &str, value: &str) -> Produced {
        let new = NewMessage {
            key: Some(key.to_owned()),
            value: Some(value.to_owned()),
            headers: Vec::new(),
            partition: Some(partition),
            base64: false,
        };
        self.view().produce(&self.write, topic, new).await.unwrap()
    }

    async fn page(&self, topic: &str, from: Begin, key: Option<&str>, limit: usize) -> Page {
        let ask = Ask { partition: None, from, key: key.map(str::to_owned), text: None, limit };
        self.view().messages(&self.read, topic, ask).await.unwrap()
    }

    /// Pages until there are no more.
    async fn all(&self, topic: &str, from: Begin, key: Option<&str>, limit: usize) -> Vec<Message> {
        let mut page = self.page(topic, from, key, limit).await;
        let mut all = std::mem::take(&mut page.messages);
        while let Some(next) = page.next.take() {
            page = self.page(topic, Begin::Cursor(Cursor::parse(&next).unwrap()), key, limit).await;
            all.append(&mut page.messages);
        }
        all
    }

    /// Commits an offset as a member would that left.
    async fn commit(&self, group: &str, topic: &str, partition: i32, offset: i64) {
        let partition = OffsetCommitRequestPartition::default()
            .with_partition_index(partition)
            .with_committed_offset(offset);
        let topic =
            OffsetCommitRequestTopic::default().with_name(name(topic)).with_partitions(vec![partition]);
        let request = OffsetCommitRequest::default()
            .with_group_id(GroupId(text(group)))
            .with_generation_id_or_member_epoch(-1)
            .with_topics(vec![topic]);
        let answer = self.inner().parts.groups.offset_commit(&self.caller(), request, 9).await;
        assert_eq!(answer.topics[0].partitions[0].error_code, 0);
    }
}

fn name(name: &str) -> TopicName {
    TopicName(text(name))
}

fn offsets(messages: &[Message], partition: u32) -> Vec<u64> {
    messages.iter().filter(|one| one.partition == partition).map(|one| one.offset).collect()
}

fn said(message: &Message) -> &str {
    message.value.as_ref().and_then(|value| value.text.as_deref()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_go_back_and_on_through_every_message_once() {
    let bed = Bed::new().await;
    bed.topic("orders", 2, None).await;
    for number in 0..60_u32 {
        bed.house.clock.advance(1_000_000);
        bed.send("orders", number % 2, &format!("k{}", number % 5), &format!("v{number}")).await;
    }
    let newest = bed.all("orders", Begin::Newest, None, 7).await;
    assert_eq!(said(&newest[0]), "v59");
    assert_eq!(
        (offsets(&newest, 0), offsets(&newest, 1)),
        ((0..30).rev().collect(), (0..30).rev().collect())
    );
    let oldest = bed.all("orders", Begin::Oldest, None, 7).await;
    assert_eq!(said(&oldest[0]), "v0");
    assert_eq!((offsets(&oldest, 0), offsets(&oldest, 1)), ((0..30).collect(), (0..30).collect()));
    for from in [Begin::Newest, Begin::Oldest] {
        let of_key = bed.all("orders", from, Some("k3"), 5).await;
        let places: HashSet<_> = of_key.iter().map(|one| (one.partition, one.offset)).collect();
        assert_eq!((of_key.len(), places.len()), (12, 12));
    }
    assert_eq!(bed.all("orders", Begin::Newest, Some("k*"), 200).await.len(), 60);
    assert_eq!(bed.all("orders", Begin::Newest, Some("none"), 5).await.len(), 0);

    let at_time = bed.page("orders", Begin::Time((NOW.0 + 51_000_000) / 1000), None, 100).await;
    assert_eq!((at_time.messages.len(), said(&at_time.messages[0])), (10, "v50"));
    let ask = Ask { partition: Some(1), from: Begin::Offset(29), key: None, text: None, limit: 5 };
    let at_offset = bed.view().messages(&bed.read, "orders", ask.clone()).await.unwrap();
    assert_eq!((offsets(&at_offset.messages, 1), at_offset.next), (vec![29], None));
    let beyond = Ask { partition: Some(2), ..ask };
    assert!(matches!(bed.view().messages(&bed.read, "orders", beyond).await, Err(ViewError::Missing(_))));
    assert!(Cursor::parse("b0:1,x").is_none() && Cursor::parse("").is_none() && Cursor::parse("ü").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_passes_the_gate_and_is_shown_as_stored() {
    let bed = Bed::new().await;
    bed.topic("payments", 1, None).await;
    bed.topic("raw", 1, Some("opaque")).await;
    let value = r#"{"card": "4111 1111 1111 1111", "total": 12345678901234567890}"#;
    let stored = bed.send("payments", 0, "k", value).await;
    let part = stored.message.unwrap().value.unwrap();
    assert_eq!(part.kind, PartKind::Json);
    assert_eq!(part.text.unwrap(), r#"{"card": "[card]", "total": 12345678901234567890}"#);
    let opaque = bed.send("raw", 0, "k", value).await.message.unwrap();
    assert_eq!(said(&opaque), value);

    let binary = NewMessage {
        key: None,
        value: Some(data_encoding::BASE64.encode(b"\0\0\0\0\x07payload")),
        headers: vec![produce::NewHeader { name: "trace".into(), value: None }],
        partition: None,
        base64: true,
    };
    let stored = bed.view().produce(&bed.write, "raw", binary.clone()).await.unwrap().message.unwrap();
    let part = stored.value.clone().unwrap();
    assert_eq!((part.kind, part.schema_id, part.size), (PartKind::Binary, Some(7), 12));
    assert_eq!((stored.key, stored.headers[0].value.clone()), (None, None));

    let new = NewSchema { schema: "\"string\"".into(), kind: None, references: Vec::new() };
    let made = bed.view().register_schema(&bed.write, "raw-value", new).await.unwrap();
    let framed = [&b"\0"[..], &made.id.to_be_bytes(), b"\x06abc"].concat();
    let framed = NewMessage { value: Some(data_encoding::BASE64.encode(&framed)), ..binary.clone() };
    let shown = async |topic: &str, new: NewMessage| {
        bed.view().produce(&bed.write, topic, new).await.unwrap().message.unwrap().value.unwrap()
    };
    let part = shown("payments", framed.clone()).await;
    assert_eq!((part.text.as_deref(), part.schema), (Some("\"abc\""), Some("AVRO")));
    // Not opened at all means here, too.
    let part = shown("raw", framed).await;
    assert_eq!((part.kind, part.schema_id, part.schema), (PartKind::Binary, Some(made.id), None));

    // What came before its schema was stored as it was sent, and is shown as the rules have it.
    let early = [&b"\0"[..], &(made.id + 1).to_be_bytes(), b"\x204111111111111111"].concat();
    let early = NewMessage { value: Some(data_encoding::BASE64.encode(&early)), ..binary.clone() };
    assert_eq!(shown("payments", early).await.schema, None);
    let schema = r#"{"type":"record","name":"R","fields":[{"name":"note","type":"string"}]}"#.to_owned();
    let new = NewSchema { schema, kind: None, references: Vec::new() };
    assert_eq!(bed.view().register_schema(&bed.write, "payments-value", new).await.unwrap().id, made.id + 1);
    let page = bed.page("payments", Begin::Newest, None, 1).await;
    assert_eq!(said(&page.messages[0]), r#"{"note":"[card]"}"#);
    let used = bed.view().schema_topics(&bed.read, "raw-value").await.unwrap();
    let of = |topic: &SchemaTopic| (topic.topic.clone(), topic.by_name, topic.values.clone());
    assert_eq!(
        used.topics.iter().map(of).collect::<Vec<_>>(),
        [("payments".to_owned(), false, [1].into()), ("raw".to_owned(), true, [1].into())]
    );

    let holds = async |text: &str| {
        let from = Begin::Newest;
        let ask = Ask { partition: None, from, key: None, text: Some(text.to_owned()), limit: 10 };
        bed.view().messages(&bed.read, "raw", ask).await.map(|page| page.messages.len())
    };
    assert_eq!((holds("PAYLOAD").await.unwrap(), holds("pay.oad").await.unwrap()), (1, 0));
    assert!(matches!(holds(&"x".repeat(300)).await, Err(ViewError::Refused(_))));

    let wrong = NewMessage { value: Some("no base64!".into()), ..binary };
    assert!(matches!(bed.view().produce(&bed.write, "raw", wrong).await, Err(ViewError::Refused(_))));
    let signal = bed.view().topic(&bed.read, "candor.logs").await.unwrap();
    assert!(signal.summary.read_only);
    let ask = Ask { partition: None, from: Begin::Newest, key: None, text: None, limit: 1 };
    let refused = bed.view().messages(&bed.read, "candor.logs", ask).await;
    assert!(matches!(refused, Err(ViewError::Refused(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotas_are_set_and_go() {
    let bed = Bed::new().await;
    let of = |user: &str, produce| ClientQuota {
        user: Some(user.into()),
        client_id: None,
        produce,
        consume: None,
    };
    for quota in [of("ann", Some(1000.0)), of("*", Some(50.0))] {
        bed.view().set_quota(&bed.write, &quota).await.unwrap();
    }
    let mut all = bed.view().quotas(&bed.read);
    all.sort_by(|one, other| one.user.cmp(&other.user));
    assert_eq!(all, [of("*", Some(50.0)), of("ann", Some(1000.0))]);
    let nobody = ClientQuota { user: None, ..of("", Some(1.0)) };
    let wrong = [of("ann", Some(-1.0)), nobody];
    for quota in wrong {
        assert!(matches!(bed.view().set_quota(&bed.write, &quota).await, Err(ViewError::Refused(_))));
    }
    bed.view().set_quota(&bed.write, &of("ann", None)).await.unwrap();
    assert_eq!(bed.view().quotas(&bed.read), [of("*", Some(50.0))]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_is_tested_before_it_is_registered() {
    let bed = Bed::new().await;
    let record = |fields: &str| NewSchema {
        schema: format!(r#"{{"type":"record","name":"Order","fields":[{fields}]}}"#),
        kind: Some("avro".into()),
        references: Vec::new(),
    };
    let view = bed.view();
    view.register_schema(&bed.write, "orders-value", record(r#"{"name":"a","type":"int"}"#)).await.unwrap();
    let worse = record(r#"{"name":"a","type":"int"},{"name":"b","type":"string"}"#);
    let ask = |new: &NewSchema, level: Option<&str>| SchemaTest {
        schema: new.schema.clone(),
        kind: new.kind.clone(),
        references: Vec::new(),
        version: None,
        level: level.map(str::to_owned),
    };
    let told = view.test_schema(&bed.read, "orders-value", ask(&worse, None)).await.unwrap();
    assert!(!told.compatible && told.level == "BACKWARD");
    let found = &told.versions[0].found[0];
    assert_eq!((found.error, found.reader), ("READER_FIELD_MISSING_DEFAULT_VALUE", "new"));
    assert!(found.text.contains("is missing in version 1's schema"), "{}", found.text);
    assert!(
        view.test_schema(&bed.read, "orders-value", ask(&worse, Some("forward"))).await.unwrap().compatible
    );
    let refused = view.register_schema(&bed.write, "orders-value", worse.clone()).await;
    assert!(matches!(refused, Err(ViewError::Conflict(_))));
    let change = SettingsChange { level: Some("FORWARD".into()), mode: None };
    let set = view.set_subject(&bed.write, "orders-value", change).await.unwrap();
    assert_eq!((set.settings.level.now, set.settings.level.own), ("FORWARD", Some("FORWARD")));
    let made = view.register_schema(&bed.write, "orders-value", worse.clone()).await.unwrap();
    assert_eq!(made.version, 2);
    let same = view.test_schema(&bed.read, "orders-value", ask(&worse, None)).await.unwrap();
    assert_eq!(same.same_as, Some(2));
    let reference = Reference { name: "Order".into(), subject: "orders-value".into(), version: 2 };
    let using = NewSchema { references: vec![reference], ..record(r#"{"name":"o","type":"Order"}"#) };
    let using =
        NewSchema { schema: using.schema.replace(r#""name":"Order""#, r#""name":"Basket""#), ..using };
    view.register_schema(&bed.write, "baskets-value", using).await.unwrap();
    let shown = view.subject_version(&bed.read, "orders-value", 2).unwrap();
    assert_eq!(shown.referenced_by, [Place { subject: "baskets-value".into(), version: 1 }]);
    assert!(view.delete_schemas(&bed.write, "orders-value", Some(2), false).await.is_err());
    view.delete_schemas(&bed.write, "orders-value", Some(1), false).await.unwrap();
    let subject = view.subject(&bed.read, "orders-value").unwrap();
    assert_eq!(
        subject.all.iter().map(|of| (of.version, of.deleted)).collect::<Vec<_>>(),
        [(2, false), (1, true)]
    );
    view.delete_schemas(&bed.write, "baskets-value", None, false).await.unwrap();
    let names = |hidden_too| view.subjects(&bed.read, "", hidden_too).subjects.len();
    assert_eq!((names(false), names(true)), (1, 2));
    assert!(matches!(view.subject(&bed.read, "none"), Err(ViewError::Missing(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_transactions_say_how_they_stand() {
    let bed = Bed::new().await;
    bed.topic("orders", 1, None).await;
    let (caller, parts) = (bed.caller(), &bed.inner().parts);
    for (id, value) in [("a", "aborted"), ("b", "committed"), ("c", "open")] {
        let id = TransactionalId(text(id));
        let init = InitProducerIdRequest::default()
            .with_transactional_id(Some(id.clone()))
            .with_transaction_timeout_ms(60_000)
            .with_producer_id(ProducerId(-1))
            .with_producer_epoch(-1);
        let made = parts.transactions.init_producer_id(&caller, init, 5).await;
        assert_eq!(made.error_code, 0);
        let producer = Producer { id: made.producer_id.0, epoch: made.producer_epoch, sequence: 0 };
        let mut batch = BatchBuilder::new(Codec::None).transactional(producer);
        batch.push(NOW.0 / 1000, None, Some(value.as_bytes()), Headers::default());
        let data = PartitionProduceData::default().with_records(Some(batch.finish().unwrap()));
        let topic = TopicProduceData::default().with_name(name("orders")).with_partition_data(vec![data]);
        let request = ProduceRequest::default()
            .with_acks(-1)
            .with_transactional_id(Some(id.clone()))
            .with_topic_data(vec![topic]);
        let sent = parts.produce.take(&bed.write, &parts.rights(&caller), request, 12).answer.await.unwrap();
        assert_eq!(sent.responses[0].partition_responses[0].error_code, 0);
        if value == "open" {
            continue;
        }
        let end = EndTxnRequest::default()
            .with_transactional_id(id)
            .with_producer_id(made.producer_id)
            .with_producer_epoch(made.producer_epoch)
            .with_committed(value == "committed");
        assert_eq!(parts.transactions.end_txn(&caller, end, 5).await.error_code, 0);
    }
    for from in [Begin::Oldest, Begin::Newest] {
        let mut found = bed.all("orders", from, None, 1).await;
        found.sort_by_key(|message| message.offset);
        let states: Vec<_> = found.iter().map(|one| (said(one), one.transaction)).collect();
        assert_eq!(states, [("aborted", Some("aborted")), ("committed", None), ("open", Some("open"))]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_are_behind_and_are_moved_while_nobody_reads() {
    let bed = Bed::new().await;
    bed.topic("orders", 2, None).await;
    for number in 0..10 {
        bed.house.clock.advance(1_000_000);
        bed.send("orders", number % 2, "k", "v").await;
    }
    bed.commit("billing", "orders", 0, 2).await;
    let listed = bed.view().groups(&bed.read, "BILL").await.unwrap();
    assert_eq!((listed.total, listed.groups[0].lag, listed.groups[0].members), (1, 3, 0));
    let reset = Reset {
        topic: "orders".into(),
        partitions: None,
        to: ResetTo::Earliest,
        offset: None,
        timestamp_ms: None,
        dry_run: true,
    };
    let moved = bed.view().reset(&bed.write, "billing", reset.clone()).await.unwrap();
    let moves = |moved: &[Moved]| moved.iter().map(|one| (one.before, one.after)).collect::<Vec<_>>();
    assert_eq!(moves(&moved), [(Some(2), 0), (None, 0)]);
    let detail = bed.view().group(&bed.read, "billing").await.unwrap();
    assert_eq!((detail.offsets.len(), detail.offsets[0].committed, detail.idle), (1, Some(2), true));
    for (to, offset, timestamp_ms, after) in [
        (ResetTo::Latest, None, None, [5, 5]),
        (ResetTo::Offset, Some(99), None, [5, 5]),
        (ResetTo::Offset, Some(3), None, [3, 3]),
        (ResetTo::Timestamp, None, Some((NOW.0 + 4_000_000) / 1000), [2, 1]),
        (ResetTo::Earliest, None, None, [0, 0]),
    ] {
        let reset = Reset { to, offset, timestamp_ms, dry_run: false, ..reset.clone() };
        let moved = bed.view().reset(&bed.write, "billing", reset).await.unwrap();
        assert_eq!(moved.iter().map(|one| one.after).collect::<Vec<_>>(), after, "{to:?} {offset:?}");
        let detail = bed.view().group(&bed.read, "billing").await.unwrap();
        assert_eq!(detail.offsets.iter().map(|one| one.committed).collect::<Vec<_>>(), after.map(Some));
    }
    bed.inner().note_lags(&[bed.read.project()]).await;
    assert_eq!(bed.view().lag(&bed.read, "billing", None).sum.last(), Some(&Some(10)));

    let beat = ConsumerGroupHeartbeatRequest::default()
        .with_group_id(GroupId(text("billing")))
        .with_member_id(text("m-1"))
        .with_member_epoch(0)
        .with_rebalance_timeout_ms(60_000)
        .with_subscribed_topic_names(Some(vec![name("orders")]))
        .with_topic_partitions(Some(Vec::new()));
    let joined = crate::rights::groups::consumer_heartbeat(&bed.inner().parts, &bed.caller(), beat, 1).await;
    assert_eq!(joined.error_code, 0, "{:?}", joined.error_message);
    let detail = bed.view().group(&bed.read, "billing").await.unwrap();
    assert_eq!((detail.who.len(), detail.idle, &*detail.who[0].assigned[0].topic), (1, false, "orders"));
    assert!(detail.offsets.iter().all(|one| one.member.as_deref() == Some("m-1")));
    assert_eq!(bed.view().topic(&bed.read, "orders").await.unwrap().groups[0].lag, 10);
    let refused = bed.view().reset(&bed.write, "billing", Reset { dry_run: false, ..reset.clone() }).await;
    assert!(matches!(refused, Err(ViewError::Conflict(_))), "{refused:?}");
    let refused = bed.view().delete_group(&bed.write, "billing").await;
    assert!(matches!(refused, Err(ViewError::Conflict(_))));

    bed.commit("idle", "orders", 0, 1).await;
    bed.view().delete_group(&bed.write, "idle").await.unwrap();
    assert!(matches!(bed.view().group(&bed.read, "idle").await, Err(ViewError::Missing(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn users_and_rules_come_and_go() {
    let bed = Bed::new().await;
    let (view, credentials) = (bed.view(), bed.house.streams.credentials());
    let made = view.create_user(&bed.write, "reader", false).await.unwrap();
    let known = credentials.verify("reader", made.password.as_bytes()).await.unwrap();
    assert_eq!(known.map(|identity| identity.project), Some(bed.read.project()));
    assert!(!credentials.is_owner(bed.read.project(), "reader"));
    assert!(view.create_user(&bed.write, "boss", true).await.is_ok());
    assert!(credentials.is_owner(bed.read.project(), "boss"));
    assert!(matches!(view.create_user(&bed.write, "reader", false).await, Err(ViewError::Conflict(_))));
    let renewed = view.renew_user(&bed.write, "reader").await.unwrap();
    assert!(credentials.verify("reader", made.password.as_bytes()).await.unwrap().is_none());
    assert!(credentials.verify("reader", renewed.password.as_bytes()).await.unwrap().is_some());
    view.delete_user(&bed.write, "reader").await.unwrap();
    assert!(matches!(view.delete_user(&bed.write, "reader").await, Err(ViewError::Missing(_))));
    assert_eq!(view.users(&bed.read).len(), 2);

    let rule = AccessRule {
        resource: "topic".into(),
        name: "tmp-".into(),
        prefixed: true,
        principal: "User:reader".into(),
        host: "*".into(),
        operation: "read".into(),
        allow: true,
    };
    assert_eq!(view.add_rule(&bed.write, &rule).await.unwrap(), rule);
    assert_eq!(view.rules(&bed.read), std::slice::from_ref(&rule));
    for wrong in [
        AccessRule { resource: "planet".into(), ..rule.clone() },
        AccessRule { operation: "idempotent_write".into(), ..rule.clone() },
        AccessRule { principal: "reader".into(), ..rule.clone() },
        AccessRule { host: "example.org".into(), ..rule.clone() },
        AccessRule { name: String::new(), ..rule.clone() },
    ] {
        assert!(matches!(view.add_rule(&bed.write, &wrong).await, Err(ViewError::Refused(_))), "{wrong:?}");
    }
    view.remove_rule(&bed.write, &rule).await.unwrap();
    assert!(matches!(view.remove_rule(&bed.write, &rule).await, Err(ViewError::Missing(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_resumes_where_it_stood_and_ends_with_the_topic() {
    let bed = Bed::new().await;
    bed.topic("orders", 2, None).await;
    bed.send("orders", 0, "k", "before").await;
    let wait = std::time::Duration::from_millis(20);
    let mut follow = bed.view().follow(&bed.read, "orders", None, (None, None), None).unwrap();
    assert!(follow.next(wait).await.unwrap().messages.is_empty());
    bed.send("orders", 0, "k", "one").await;
    bed.send("orders", 1, "other", "two").await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        seen.extend(follow.next(wait).await.unwrap().messages);
    }
    let words: HashSet<&str> = seen.iter().map(|(_, message)| said(message)).collect();
    assert_eq!(words, HashSet::from(["one", "two"]));
    let resumed = Cursor::parse(&seen[0].0);
    let mut again = bed.view().follow(&bed.read, "orders", None, (None, None), resumed).unwrap();
    let rest = again.next(wait).await.unwrap().messages;
    assert_eq!(rest.iter().map(|(_, message)| said(message)).collect::<Vec<_>>(), [said(&seen[1].1)]);

    let change = Change { name: "retention.ms".into(), value: Some("1000".into()) };
    let changed = bed.view().change_topic(&bed.write, "orders", vec![change], Some(3)).await.unwrap();
    assert_eq!((changed.summary.retention_ms, changed.parts.len()), (Some(1000), 3));
    bed.view().delete_topic(&bed.write, "orders").await.unwrap();
    assert!(follow.next(wait).await.unwrap().ended);
    assert!(matches!(bed.view().topic(&bed.read, "orders").await, Err(ViewError::Missing(_))));
    assert!(matches!(bed.view().delete_topic(&bed.write, "candor.logs").await, Err(ViewError::Refused(_))));
}
