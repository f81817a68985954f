//! The registry on both engines.

use candor_model::Signal;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;

use kafka_protocol::ResponseError;

use super::*;
use crate::testing::{Bed, on_both_engines};

const SHOP: ProjectId = ProjectId(1);
const OTHER: ProjectId = ProjectId(2);

async fn open(bed: &Bed, seed: u64, settings: Settings) -> Topics {
    let clock = Arc::new(ManualClock::new(Timestamp(5)));
    Topics::open(bed.database.clone(), clock, Arc::new(Seeded::new(seed)), settings).await.unwrap()
}

fn new(name: &str) -> NewTopic {
    NewTopic { name: name.to_owned(), ..NewTopic::default() }
}

fn set(name: &str, value: &str) -> (String, Change) {
    (name.to_owned(), Change::Set(value.to_owned()))
}

on_both_engines!(
    topics_outlive_the_process,
    an_incarnation_has_an_id_and_a_log_of_its_own,
    signals_are_there_and_are_read_only,
    names_are_refused_and_tell_why,
    a_project_has_bounds,
    many_topics_at_once_take_no_long_look_at_each_other,
    asking_for_a_topic_makes_it_where_that_is_on,
    configurations_change_and_stay,
    a_change_in_doubt_is_read_again,
    a_project_is_forgotten,
);

async fn topics_outlive_the_process(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    let mut ticks = topics.changes();
    ticks.mark_unchanged();
    let wanted =
        NewTopic { partitions: Some(7), configs: vec![set("retention.ms", "60000")], ..new("orders") };
    let made = topics.create(SHOP, wanted).await.unwrap();
    assert!(ticks.has_changed().unwrap());
    assert_eq!(made.view.in_log.0, "orders");
    assert_eq!((made.view.partitions, made.created_at), (7, Timestamp(5)));
    assert_eq!(topics.grow(SHOP, "orders", 9, true).await.unwrap().view.partitions, 9);
    assert_eq!(topics.topic(SHOP, "orders").unwrap().partitions, 7, "a dry run changes nothing");
    topics.grow(SHOP, "orders", 9, false).await.unwrap();
    let fewer = topics.grow(SHOP, "orders", 9, false).await.unwrap_err();
    assert!(matches!(fewer, TopicError::NotMore { has: 9 }));
    assert!(topics.topic(OTHER, "orders").is_none(), "another project's");
    assert!(topics.topic_by_id(OTHER, made.view.id).is_none());

    let again = open(&bed, 2, Settings::default()).await;
    let found = again.get(SHOP, "orders").unwrap();
    assert_eq!(found.view.id, made.view.id);
    assert_eq!((found.view.partitions, found.created_at), (9, Timestamp(5)));
    assert_eq!(found.config.retention_ms, Some(60_000));
    assert_eq!(again.topic_by_id(SHOP, made.view.id), Some(Arc::clone(&found.view)));
}

async fn an_incarnation_has_an_id_and_a_log_of_its_own(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    let first = topics.create(SHOP, new("a")).await.unwrap();
    let (deleted, gone) = topics.delete(SHOP, "a").await.unwrap();
    assert_eq!(deleted.view, first.view);
    assert_eq!(gone, Gone { project: SHOP, in_log: first.view.in_log.clone(), partitions: 4 });
    assert!(topics.topic(SHOP, "a").is_none() && topics.topic_by_id(SHOP, first.view.id).is_none());
    assert!(matches!(topics.delete(SHOP, "a").await, Err(TopicError::Unknown)));
    let topics = open(&bed, 2, Settings::default()).await;
    let second = topics.create(SHOP, new("a")).await.unwrap();
    assert_ne!(second.view.id, first.view.id);
    assert_eq!(second.view.in_log.0, "a#2");
    assert!(second.overrides.is_empty());
    topics.delete(SHOP, "a").await.unwrap();
    assert_eq!(topics.create(SHOP, new("a")).await.unwrap().view.in_log.0, "a#3");
    let left: Vec<String> = topics.gone().await.unwrap().into_iter().map(|gone| gone.in_log.0).collect();
    assert_eq!(left, ["a", "a#2"]);
    assert!(topics.gone().await.unwrap().iter().all(|gone| gone.name() == "a"));
    topics.collected(&gone).await.unwrap();
    assert_eq!(topics.gone().await.unwrap().len(), 1);
}

async fn signals_are_there_and_are_read_only(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    topics.create(SHOP, new("aa")).await.unwrap();
    topics.create(SHOP, new("zz")).await.unwrap();
    let names: Vec<String> = topics.topics(SHOP).iter().map(|view| view.name.to_string()).collect();
    assert_eq!(names, ["aa", "candor.errors", "candor.logs", "candor.spans", "zz"]);
    let logs = topics.topic(SHOP, "candor.logs").unwrap();
    assert_eq!((logs.partitions, &logs.in_log), (1, &Signal::Logs.topic()));
    assert_eq!(topics.topic_by_id(SHOP, logs.id), Some(Arc::clone(&logs)));
    assert_ne!(topics.topic(OTHER, "candor.logs").unwrap().id, logs.id);
    let again = open(&bed, 99, Settings::default()).await;
    assert_eq!(again.topic(SHOP, "candor.logs"), Some(logs), "its id stays");
    for refused in [
        topics.delete(SHOP, "candor.logs").await.map(drop).unwrap_err(),
        topics.grow(SHOP, "candor.logs", 2, false).await.map(drop).unwrap_err(),
        topics
            .configure(SHOP, "candor.logs", false, &[set("retention.ms", "1")], false)
            .await
            .map(drop)
            .unwrap_err(),
    ] {
        assert!(matches!(refused, TopicError::ReadOnly(_)), "{refused}");
    }
    let exists = topics.create(SHOP, new("candor.logs")).await.unwrap_err();
    assert!(matches!(exists, TopicError::Exists(_)));
    assert!(matches!(topics.ensure(SHOP, "candor.logs").await, Ok(topic) if topic.read_only));
    assert!(matches!(topics.ensure(SHOP, "candor.mine").await, Err(TopicError::Reserved)));
}

async fn names_are_refused_and_tell_why(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    let wanted = ["a.b", "a_b", "a b", "candor.x", "a.b", "fine"].map(new);
    let made = topics.create_all(SHOP, &wanted, false).await.unwrap();
    let codes: Vec<i16> =
        made.iter().map(|one| one.as_ref().map_or_else(|e| e.code().code(), |_| 0)).collect();
    assert_eq!(codes, [0, 17, 17, 17, 36, 0]);
    let alike = topics.create(SHOP, new("a_b")).await.unwrap_err();
    assert!(matches!(&alike, TopicError::Collides(other) if &**other == "a.b"), "{alike}");
    topics.delete(SHOP, "a.b").await.unwrap();
    topics.create(SHOP, new("a_b")).await.unwrap();
    assert!(topics.create(OTHER, new("a.b")).await.is_ok(), "projects do not meet");
    let dry = topics.create_all(SHOP, &[new("dry")], true).await.unwrap();
    assert!(dry[0].is_ok() && topics.topic(SHOP, "dry").is_none());
    let bad = NewTopic { configs: vec![set("retention.ms", "soon")], ..new("bad") };
    let error = topics.create(SHOP, bad).await.unwrap_err();
    assert_eq!(error.code(), ResponseError::InvalidConfig);
    assert!(error.to_string().contains("retention.ms does not take \"soon\""), "{error}");
}

async fn a_project_has_bounds(bed: Bed) {
    let settings = Settings {
        topics_per_project_max: 3,
        partitions_per_topic_max: 10,
        partitions_per_project_max: 16,
        ..Settings::default()
    };
    let topics = open(&bed, 1, settings).await;
    for partitions in [0, 11] {
        let topic = NewTopic { partitions: Some(partitions), ..new("a") };
        assert!(matches!(topics.create(SHOP, topic).await, Err(TopicError::Partitions { max: 10 })));
    }
    let ten = NewTopic { partitions: Some(10), ..new("ten") };
    let made = topics.create_all(SHOP, &[ten, new("four"), new("more")], false).await.unwrap();
    assert!(made[0].is_ok() && made[1].is_ok());
    assert!(matches!(made[2], Err(TopicError::TooMany { max: 16, what: "partitions" })));
    assert!(matches!(topics.grow(SHOP, "four", 7, false).await, Err(TopicError::TooMany { .. })));
    assert!(matches!(topics.grow(SHOP, "four", 11, false).await, Err(TopicError::Partitions { .. })));
    topics.grow(SHOP, "four", 5, false).await.unwrap();
    topics.create(SHOP, NewTopic { partitions: Some(1), ..new("one") }).await.unwrap();
    let fourth = topics.create(SHOP, NewTopic { partitions: Some(1), ..new("two") }).await.unwrap_err();
    assert!(matches!(fourth, TopicError::TooMany { max: 3, what: "topics" }), "{fourth}");
    topics.delete(SHOP, "ten").await.unwrap();
    topics.create(SHOP, NewTopic { partitions: Some(10), ..new("two") }).await.unwrap();
    assert!(topics.create(OTHER, new("a")).await.is_ok());
}

async fn many_topics_at_once_take_no_long_look_at_each_other(bed: Bed) {
    let settings = Settings { partitions_per_project_max: 1_000_000, ..Settings::default() };
    let topics = open(&bed, 1, settings).await;
    let mut wanted: Vec<NewTopic> = (0..NAMES_PER_REQUEST_MAX - 2).map(|n| new(&format!("t.{n}"))).collect();
    wanted.extend([new("t_7"), new("t.8")]);
    let began = std::time::Instant::now();
    let told = topics.create_all(SHOP, &wanted, true).await.unwrap();
    assert!(began.elapsed() < std::time::Duration::from_secs(3), "{:?}", began.elapsed());
    let [good @ .., alike, same] = &told[..] else { panic!("{}", told.len()) };
    assert!(good.iter().all(Result::is_ok));
    assert!(matches!(alike, Err(TopicError::Collides(other)) if &**other == "t.7"));
    assert!(matches!(same, Err(TopicError::Exists(name)) if &**name == "t.8"));
    wanted.push(new("one-more"));
    let refused = topics.create_all(SHOP, &wanted, false).await.unwrap_err();
    assert!(matches!(refused, TopicError::TooManyNames), "{refused}");
    assert!(topics.get(SHOP, "one-more").is_none());
}

async fn asking_for_a_topic_makes_it_where_that_is_on(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    let names = ["a", "b c", "a", "candor.spans", ""];
    let found = topics.ensure_all(SHOP, &names).await.unwrap();
    let codes: Vec<i16> =
        found.iter().map(|one| one.as_ref().map_or_else(|e| e.code().code(), |_| 0)).collect();
    assert_eq!(codes, [0, 17, 0, 0, 17]);
    assert_eq!(found[0].as_ref().unwrap().view.partitions, 4);
    assert_eq!(found[0].as_ref().unwrap().view.id, found[2].as_ref().unwrap().view.id);
    let off = open(&bed, 2, Settings { auto_create: false, ..Settings::default() }).await;
    assert!(off.ensure(SHOP, "a").await.is_ok());
    assert!(matches!(off.ensure(SHOP, "b").await, Err(TopicError::Unknown)));
    assert!(matches!(off.ensure(SHOP, "b c").await, Err(TopicError::Name(_))));
    // Many who ask at once get the same.
    let many = futures::future::join_all((0..20).map(|_| topics.ensure(SHOP, "rush"))).await;
    let ids: HashSet<TopicId> = many.into_iter().map(|topic| topic.unwrap().view.id).collect();
    assert_eq!(ids.len(), 1);
}

async fn configurations_change_and_stay(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    topics.create(SHOP, new("a")).await.unwrap();
    let both = [set("cleanup.policy", "compact"), set("retention.bytes", "5")];
    topics.configure(SHOP, "a", false, &both, true).await.unwrap();
    assert!(topics.get(SHOP, "a").unwrap().overrides.is_empty(), "a dry run changes nothing");
    topics.configure(SHOP, "a", false, &both, false).await.unwrap();
    topics.configure(SHOP, "a", false, &[set("segment.ms", "9")], false).await.unwrap();
    let config = topics.config(SHOP, "a").unwrap();
    assert!(config.compact && !config.delete);
    assert_eq!((config.retention_bytes, config.segment_ms), (Some(5), 9));
    let wrong = topics.configure(SHOP, "a", false, &[set("segment.ms", "0")], false).await.unwrap_err();
    assert_eq!(wrong.code(), ResponseError::InvalidConfig);
    let topics = open(&bed, 2, Settings::default()).await;
    assert_eq!(*topics.config(SHOP, "a").unwrap(), *config);
    topics.configure(SHOP, "a", true, &[set("segment.ms", "8")], false).await.unwrap();
    let config = open(&bed, 3, Settings::default()).await.config(SHOP, "a").unwrap();
    assert!(config.delete && !config.compact && config.retention_bytes.is_none());
    assert_eq!(config.segment_ms, 8);
}

async fn a_change_in_doubt_is_read_again(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    topics.create(SHOP, new("before")).await.unwrap();
    // Another hand wrote, as a commit whose answer was lost would have.
    let twin = open(&bed, 2, Settings::default()).await;
    twin.create(SHOP, new("behind")).await.unwrap();
    assert!(topics.topic(SHOP, "behind").is_none());
    // The insert meets the row that memory does not know of.
    let failed = topics.create(SHOP, new("behind")).await.unwrap_err();
    assert!(matches!(failed, TopicError::Sql(_)), "{failed}");
    // The next change sees what is there.
    assert!(matches!(topics.create(SHOP, new("behind")).await, Err(TopicError::Exists(_))));
    assert!(topics.topic(SHOP, "behind").is_some() && topics.topic(SHOP, "before").is_some());
    // A caller who goes away in the middle leaves doubt as well.
    for round in 0..40_u64 {
        let name = format!("left{round}");
        let leaving = topics.create(SHOP, new(&name));
        let _ = tokio::time::timeout(std::time::Duration::from_micros(round * 50), leaving).await;
        topics.create(SHOP, new(&format!("after{round}"))).await.unwrap();
        assert_eq!(topics.topics(SHOP), open(&bed, 3, Settings::default()).await.topics(SHOP));
    }
}

async fn a_project_is_forgotten(bed: Bed) {
    let topics = open(&bed, 1, Settings::default()).await;
    topics.create(SHOP, NewTopic { configs: vec![set("segment.ms", "9")], ..new("a") }).await.unwrap();
    topics.create(SHOP, new("b")).await.unwrap();
    topics.delete(SHOP, "b").await.unwrap();
    topics.create(OTHER, new("a")).await.unwrap();
    topics.forget(SHOP).await.unwrap();
    assert_eq!(topics.topics(SHOP).len(), Signal::ALL.len());
    assert!(topics.gone().await.unwrap().is_empty());
    let again = open(&bed, 2, Settings::default()).await;
    assert!(again.topic(SHOP, "a").is_none() && again.topic(OTHER, "a").is_some());
}
