//! Reads that are counted together.

use std::sync::Arc;

use candor_keyring::{Keyring, RootKey};
use candor_ledger::scan::{Code, Subjects};
use candor_ledger::{Action, Ledger, Read};
use candor_model::Timestamp;
use candor_model::random::Seeded;

use super::{ACME, House, SHOP};

const ALICE: &str = "email:atmwmcrn6lb6kwipu3u3i2ywra";
const BOB: &str = "user:aaaabbbbccccddddeeeeffffga";

fn read(actor: &str, code: &str, sql: &str) -> Read {
    Read {
        action: Action::Read,
        org: ACME,
        project: SHOP,
        actor: actor.to_owned(),
        purpose: "query".to_owned(),
        signal: "errors".to_owned(),
        query: Some(sql.to_owned()),
        policy: None,
        clause: None,
        rows: 2,
        subjects: [Code::parse(code).unwrap()].into_iter().collect::<Subjects>(),
    }
}

async fn alike_within_an_hour_are_one_entry(house: House) {
    let House { ledger, clock, .. } = &house;
    for _ in 0..100 {
        ledger.note(read("user:1", ALICE, "SELECT * FROM errors WHERE n > 1")).await.unwrap();
    }
    ledger.note(read("user:1", BOB, "SELECT * FROM errors WHERE n > 200")).await.unwrap();
    ledger.note(read("user:2", BOB, "SELECT * FROM errors WHERE n > 1")).await.unwrap();
    assert!(ledger.entries(SHOP, None, 10).await.unwrap().is_empty(), "the hour is not over");
    // A crash forgets none: what was not stored with the first is at most some seconds old.
    ledger.tend().await.unwrap();
    let random: Arc<dyn candor_model::Random> = Arc::new(Seeded::new(7));
    let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::clone(&random)));
    let as_clock: Arc<dyn candor_model::Clock> = Arc::clone(clock) as _;
    let ledger = &Ledger::open(house.database.clone(), keyring, as_clock, random).await.unwrap();
    ledger.note(read("user:1", ALICE, "SELECT * FROM errors WHERE n > 9")).await.unwrap();
    clock.advance(3_600 * Timestamp::SECOND);
    ledger.tend().await.unwrap();
    let entries = ledger.entries(SHOP, None, 10).await.unwrap();
    let mut said: Vec<_> =
        entries.iter().map(|e| (e.leaf.actor.as_str(), e.leaf.count, e.leaf.rows, e.leaf.subjects)).collect();
    said.sort_unstable();
    assert_eq!(said, [("user:1", 102, 204, 2), ("user:2", 1, 2, 1)]);
    let first = entries.iter().find(|entry| entry.leaf.actor == "user:1").unwrap();
    assert!(!first.text.contains("SELECT") && first.leaf.query.is_some());
    let detail = ledger.detail(&first.leaf).await.unwrap().unwrap();
    let codes: Vec<String> = detail.subjects.iter().map(ToString::to_string).collect();
    assert_eq!(codes, [BOB, ALICE]);

    // Entries once, and counted anew after it. When asked, they are entries before the hour ends.
    ledger.tend().await.unwrap();
    ledger.note(read("user:1", ALICE, "SELECT * FROM errors WHERE n > 9")).await.unwrap();
    ledger.settle(Some(candor_model::ProjectId(77))).await.unwrap();
    assert_eq!(ledger.entries(SHOP, None, 10).await.unwrap().len(), 2);
    ledger.settle(Some(SHOP)).await.unwrap();
    ledger.settle(Some(SHOP)).await.unwrap();
    let entries = ledger.entries(SHOP, None, 10).await.unwrap();
    assert_eq!((entries.len(), entries[0].leaf.count), (3, 1));
    let open = house.database.query("SELECT key FROM ledger_open", &[]).await.unwrap();
    assert!(open.is_empty());
    assert!(ledger.verify(&[]).await.unwrap().is_whole());
}

/// What the gate does not take is counted by clause, without waiting for anything.
async fn drops_are_one_entry_by_clause(house: House) {
    let House { ledger, .. } = &house;
    for (clause, rows) in [("consent", 5), ("scrub.rule", 1), ("consent", 7)] {
        let drop = Read {
            action: Action::Drop,
            clause: Some(clause.to_owned()),
            query: None,
            rows,
            subjects: Subjects::default(),
            ..read("gate", ALICE, "")
        };
        ledger.count(drop, |error| panic!("{error}"));
    }
    // A restart counts on.
    ledger.tend().await.unwrap();
    ledger.settle(Some(SHOP)).await.unwrap();
    let entries = ledger.entries(SHOP, None, 10).await.unwrap();
    let mut said: Vec<_> = entries
        .iter()
        .map(|e| (e.leaf.action.name(), e.leaf.clause.as_deref().unwrap_or(""), e.leaf.count, e.leaf.rows))
        .collect();
    said.sort_unstable();
    assert_eq!(said, [("drop", "consent", 2, 12), ("drop", "scrub.rule", 1, 1)]);
    assert!(ledger.verify(&[]).await.unwrap().is_whole());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drops_on_sqlite() {
    drops_are_one_entry_by_clause(House::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_on_sqlite() {
    alike_within_an_hour_are_one_entry(House::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_on_postgres() {
    let Some(house) = House::postgres("reads_on_postgres").await else { return };
    alike_within_an_hour_are_one_entry(house).await;
}
