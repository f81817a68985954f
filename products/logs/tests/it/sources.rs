//! Sources on a real database.

use std::sync::Arc;

use candor_logs::sources::{SourceError, Sources};
use candor_meta::Database;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{ProjectId, Timestamp};

const SHOP: ProjectId = ProjectId(1);
const OTHER: ProjectId = ProjectId(2);

struct Bed {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    random: Arc<Seeded>,
}

impl Bed {
    fn new() -> Bed {
        let clock = Arc::new(ManualClock::new(Timestamp(1_767_225_600_000_000)));
        Bed { folder: tempfile::tempdir().unwrap(), clock, random: Arc::new(Seeded::new(7)) }
    }

    async fn open(&self) -> Sources {
        let database = Database::open_sqlite(&self.folder.path().join("meta.db"), &[]).await.unwrap();
        Sources::open(database, Arc::clone(&self.clock) as _, Arc::clone(&self.random) as _).await.unwrap()
    }
}

#[tokio::test]
async fn a_new_name_makes_a_source_that_its_id_also_names() {
    let bed = Bed::new();
    let sources = bed.open().await;
    assert_eq!(&*sources.resolve(SHOP, " web ").await.unwrap(), "web");
    assert_eq!(&*sources.resolve(SHOP, "web").await.unwrap(), "web");
    assert_eq!(&*sources.resolve(SHOP, "api").await.unwrap(), "api");
    let list = sources.list(SHOP).await.unwrap();
    assert_eq!(list.iter().map(|source| source.name.as_str()).collect::<Vec<_>>(), ["api", "web"]);
    assert!(sources.list(OTHER).await.unwrap().is_empty());

    let id = &list[1].id;
    assert_eq!((id.len(), id.as_bytes()[8], id.as_bytes()[14]), (36, b'-', b'4'));
    let again = bed.open().await;
    assert_eq!(&*again.resolve(SHOP, id).await.unwrap(), "web");
    assert_eq!(again.list(SHOP).await.unwrap().len(), 2);
    // Another project's id is just a name.
    assert_eq!(&*again.resolve(OTHER, id).await.unwrap(), id.as_str());
}

#[tokio::test]
async fn a_project_has_at_most_a_thousand_sources() {
    let bed = Bed::new();
    let sources = bed.open().await;
    for n in 0..1000 {
        sources.resolve(SHOP, &format!("source {n}")).await.unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(sources.resolve(SHOP, "one more").await, Err(SourceError::TooMany)));
        bed.clock.advance(20 * Timestamp::SECOND);
    }
    assert_eq!(&*sources.resolve(SHOP, "source 5").await.unwrap(), "source 5");
    assert_eq!(&*sources.resolve(OTHER, "one more").await.unwrap(), "one more");
    assert_eq!(sources.list(SHOP).await.unwrap().len(), 1000);
}

#[tokio::test]
async fn a_full_project_keeps_the_sources_it_has_after_a_restart() {
    let bed = Bed::new();
    let sources = bed.open().await;
    for n in 0..1000 {
        sources.resolve(SHOP, &format!("source {n}")).await.unwrap();
    }
    let again = bed.open().await;
    assert!(matches!(again.resolve(SHOP, "one more").await, Err(SourceError::TooMany)));
    // Believed to be full now, and nothing of it is in memory.
    let id = &again.list(SHOP).await.unwrap()[0].id;
    assert_eq!(&*again.resolve(SHOP, "source 5").await.unwrap(), "source 5");
    assert_eq!(&*again.resolve(SHOP, id).await.unwrap(), "source 0");
    assert!(matches!(again.resolve(SHOP, "two more").await, Err(SourceError::TooMany)));
}

#[tokio::test]
async fn names_that_cannot_be_are_refused() {
    let bed = Bed::new();
    let sources = bed.open().await;
    for name in ["", "  ", "a\0b", "a\nb", &"x".repeat(201)] {
        assert!(matches!(sources.resolve(SHOP, name).await, Err(SourceError::BadName)), "{name:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_first_uses_at_once_make_one_source() {
    let bed = Bed::new();
    let sources = bed.open().await;
    let uses = (0..20).map(|_| {
        let sources = sources.clone();
        tokio::spawn(async move { sources.resolve(SHOP, "burst").await.unwrap() })
    });
    for used in uses.collect::<Vec<_>>() {
        assert_eq!(&*used.await.unwrap(), "burst");
    }
    assert_eq!(sources.list(SHOP).await.unwrap().len(), 1);
}
