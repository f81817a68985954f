//! The tables do what memory does, on both engines.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use candor_meta::Database;
use candor_model::random::Seeded;
use candor_model::{ProjectId, Random, Timestamp};

use super::bed::Memory;
use crate::groups::storage::{Committed, GroupKey, Place, Step, Storage, StoredGroup, StoredPending};
use crate::groups::tables::Tables;

/// Steps in which everything meets everything: few groups, few places.
fn any_step(random: &Seeded) -> Step {
    let pick = |count: u64| random.next_u64() % count;
    let key = GroupKey { project: ProjectId(1 + pick(2) as i64), name: Arc::from(format!("g{}", pick(3))) };
    let place: Place = (Arc::from(["orders", "öl 'n\" so"][pick(2) as usize]), pick(3) as i32);
    let committed = Committed {
        topic_id: (pick(5) as u128).to_be_bytes(),
        offset: random.next_u64() as i64,
        leader_epoch: pick(9) as i32 - 1,
        metadata: Bytes::from(vec![pick(256) as u8; pick(4) as usize]),
        at: Timestamp(pick(1_000_000) as i64),
    };
    let member = Arc::from(format!("m{}", pick(3)));
    let body = format!("{{\"number\":{}}}", pick(1000));
    let (producer, epoch) = (pick(2) as i64, pick(3) as i16);
    match pick(100) {
        0..40 => Step::Offset { key, place, committed },
        40..50 => Step::ForgetOffset { key, place },
        50..58 => Step::Group { key, body },
        58..66 => Step::Member { key, member, body },
        66..70 => Step::ForgetMember { key, member },
        70..73 => Step::ForgetMembers { key },
        73..78 => Step::Share { key, topic: committed.topic_id, partition: place.1, body },
        78..80 => Step::ForgetShares { key, topic: (pick(3) > 0).then_some(committed.topic_id) },
        80..87 => Step::Pending { key, producer, epoch, place, committed },
        87..95 => Step::EndPending { key, producer, commit: pick(2) == 0 },
        95..99 => Step::DropGroup { key },
        _ => Step::DropProject(key.project),
    }
}

/// A group's own row, members, pending offsets and places in share-partitions, offsets.
type Rows = (Option<String>, BTreeMap<Arc<str>, String>, Vec<String>, BTreeMap<Place, Committed>);
type Seen = BTreeMap<GroupKey, Rows>;

async fn see(storage: &dyn Storage) -> Seen {
    let mut seen = Seen::new();
    for (key, StoredGroup { body, members, pending, shares }) in storage.load().await.unwrap() {
        let mut pending: Vec<String> = pending.iter().map(|one: &StoredPending| format!("{one:?}")).collect();
        pending.extend(shares.iter().map(|one| format!("{one:?}")));
        pending.sort();
        let offsets = storage.offsets(&key).await.unwrap().into_iter().collect();
        seen.insert(key, (body, members.into_iter().collect(), pending, offsets));
    }
    seen
}

async fn compare(database: Database) {
    let tables = Tables::open(database.clone()).await.unwrap();
    let memory = Memory::default();
    let random = Seeded::new(20);
    for _ in 0..60 {
        let steps: Vec<Step> = (0..random.next_u64() % 30).map(|_| any_step(&random)).collect();
        tables.apply(&steps).await.unwrap();
        memory.apply(&steps).await.unwrap();
        assert_eq!(see(&tables).await, see(&memory).await, "after {steps:?}");
    }
    let many: Vec<Step> = (0..1_000)
        .map(|part| Step::Offset {
            key: GroupKey { project: ProjectId(1), name: Arc::from("many") },
            place: (Arc::from("orders"), part % 700),
            committed: Committed {
                topic_id: [7; 16],
                offset: i64::from(part),
                leader_epoch: -1,
                metadata: Bytes::from_static(b"\0"),
                at: Timestamp(1),
            },
        })
        .collect();
    tables.apply(&many).await.unwrap();
    memory.apply(&many).await.unwrap();
    // Opened again it is the same.
    let again = Tables::open(database).await.unwrap();
    assert_eq!(see(&again).await, see(&memory).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_as_memory_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    compare(Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_as_memory_on_postgres() {
    let Some(server) = candor_testbed::postgres::server("tables_are_as_memory_on_postgres") else { return };
    let database = Database::open_postgres(&server.url(), &server.fresh_schema(), &[]).await.unwrap();
    compare(database).await;
}

/// The whole way, over a real file: what one process acknowledged the next one knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_is_in_the_database() {
    use super::bed::{Set, Topics, commit, fetch, heartbeat, join, sync};
    use crate::groups::{Groups, Settings};
    use candor_model::time::ManualClock;
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
    let topics = Topics::new();
    topics.make("orders", 4);
    let open = async || {
        let clock = Arc::new(ManualClock::new(Timestamp(1)));
        let random = Arc::new(Seeded::new(3));
        let (topics, configs) = (Arc::<Topics>::clone(&topics), Arc::new(Set::default()));
        Groups::open(database.clone(), topics, clock, random, Settings::default(), configs).await.unwrap()
    };
    let groups = open().await;
    let joined = join(&groups, "g").await;
    sync(&groups, "g", &joined).await;
    assert_eq!(commit(&groups, "g", &joined.member_id, 1, 5).await, 0);
    drop(groups);
    let groups = open().await;
    assert_eq!(fetch(&groups, "g", true).await, Ok(5));
    assert_eq!(heartbeat(&groups, "g", &joined.member_id, 1).await, 0);
    groups.forget_project(super::bed::PROJECT).await.unwrap();
    drop(groups);
    let groups = open().await;
    assert_eq!(fetch(&groups, "g", true).await, Ok(-1));
    assert_eq!(heartbeat(&groups, "g", &joined.member_id, 1).await, 25);
}
