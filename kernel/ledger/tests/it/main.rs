//! The ledger on both engines: what is written is proven, and every way of tampering is found and named.
#![allow(clippy::unwrap_used, missing_docs)]

mod reads;
mod tampering;

use std::sync::Arc;

use candor_keyring::{Keyring, RootKey};
use candor_ledger::{Action, Event, Ledger};
use candor_meta::Database;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, OrgId, ProjectId, Random, Timestamp};

pub const SHOP: ProjectId = ProjectId(4);
pub const ACME: OrgId = OrgId(1);

/// A ledger over a database, and what tests move of it.
pub struct House {
    pub ledger: Ledger,
    pub database: Database,
    pub keyring: Arc<Keyring>,
    pub clock: Arc<ManualClock>,
    _folder: Option<tempfile::TempDir>,
}

impl House {
    pub async fn over(database: Database) -> House {
        let random: Arc<dyn Random> = Arc::new(Seeded::new(5));
        let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::clone(&random)));
        let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
        let as_clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&clock);
        let ledger = Ledger::open(database.clone(), Arc::clone(&keyring), as_clock, random).await.unwrap();
        House { ledger, database, keyring, clock, _folder: None }
    }

    pub async fn sqlite() -> House {
        let folder = tempfile::tempdir().unwrap();
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        House { _folder: Some(folder), ..House::over(database).await }
    }

    pub async fn postgres(test: &str) -> Option<House> {
        let server = candor_testbed::postgres::server(test)?;
        let database = Database::open_postgres(&server.url(), &server.fresh_schema(), &[]).await.unwrap();
        Some(House::over(database).await)
    }

    /// Writes so many entries, one batch each.
    pub async fn fill(&self, count: u64) {
        for n in 0..count {
            let mut event =
                Event::new(Action::Reveal, format!("user:{n}"), "incident").of_project(ACME, SHOP);
            event.reason = Some(format!("call {n}"));
            event.rows = 1;
            self.ledger.append(event).await.unwrap();
            self.clock.advance(Timestamp::SECOND);
        }
    }
}

async fn entries_are_proven_and_the_ledger_only_grows(house: House) {
    let House { ledger, clock, .. } = &house;
    assert_eq!(ledger.checkpoint().await.unwrap(), None);
    assert!(ledger.proof(0).await.is_err());
    assert!(ledger.verify(&[]).await.unwrap().is_whole());
    house.fill(3).await;
    let (early, early_note) = ledger.checkpoint().await.unwrap().unwrap();
    assert_eq!(early.size, 3);
    // At once: one batch, or several, and each is told its own number.
    let mut writing = tokio::task::JoinSet::new();
    for n in 0..600 {
        let ledger = ledger.clone();
        writing.spawn(async move {
            let actor = format!("token:{n}");
            let event = Event::new(Action::Export, actor.clone(), "export").of_project(ACME, SHOP);
            (ledger.append(event).await.unwrap(), actor)
        });
    }
    let mut numbers = Vec::new();
    while let Some(written) = writing.join_next().await {
        let (number, actor) = written.unwrap();
        assert_eq!(ledger.entry(number).await.unwrap().unwrap().leaf.actor, actor);
        numbers.push(number);
    }
    numbers.sort_unstable();
    assert_eq!(numbers, (3..603).collect::<Vec<u64>>());
    clock.advance(Timestamp::SECOND);
    let (late, late_note) = ledger.checkpoint().await.unwrap().unwrap();
    assert_eq!(late.size, 603);
    assert_eq!(ledger.notary().read(&late_note).unwrap(), late);
    for index in [0, 1, 2, 255, 256, 511, 512, 600, 602] {
        let entry = ledger.entry(index).await.unwrap().unwrap();
        let proof = ledger.proof(index).await.unwrap();
        let again = candor_ledger::Proof::parse(&proof.to_text()).unwrap();
        assert_eq!(again, proof);
        assert!(again.holds(ledger.notary(), &entry.text), "{index}");
        assert!(
            !again.holds(ledger.notary(), &entry.text.replace("token", "admin").replace("user", "admin"))
        );
    }
    assert!(ledger.proof(603).await.is_err());
    let (growth, _) = ledger.growth(3).await.unwrap();
    let holds = |old: &candor_ledger::tree::Hash| {
        candor_ledger::tree::is_consistent(3, old, late.size, &late.root, &growth)
    };
    assert!(holds(&early.root));
    assert!(!holds(&[0; 32]));
    let verified = ledger.verify(&[early_note, late_note]).await.unwrap();
    assert!(verified.is_whole(), "{:?}", verified.faults);
    assert_eq!((verified.size, verified.root, verified.details), (603, Some(late.root), 3));

    let page = ledger.entries(SHOP, None, 5).await.unwrap();
    let indexes: Vec<u64> = page.iter().map(|entry| entry.leaf.index).collect();
    assert_eq!(indexes, [602, 601, 600, 599, 598]);
    let below = ledger.entries(SHOP, Some(2), 5).await.unwrap();
    assert_eq!(below.iter().map(|entry| entry.leaf.index).collect::<Vec<_>>(), [1, 0]);
    assert!(ledger.entries(ProjectId(5), None, 5).await.unwrap().is_empty());

    // A detail is whole until it is erased, and the tree stays as it was.
    let first = ledger.entry(0).await.unwrap().unwrap();
    assert!(!first.text.contains("call"));
    let detail = ledger.detail(&first.leaf).await.unwrap().unwrap();
    assert_eq!(detail.reason.as_deref(), Some("call 0"));
    let mut tx = house.database.begin().await.unwrap();
    assert_eq!(Ledger::erase_details(&mut tx, SHOP).await.unwrap(), 3);
    tx.commit().await.unwrap();
    assert_eq!(ledger.detail(&first.leaf).await.unwrap(), None);
    let verified = ledger.verify(&[]).await.unwrap();
    assert!(verified.is_whole());
    assert_eq!((verified.details, verified.erased, verified.root), (0, 3, Some(late.root)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_on_sqlite() {
    entries_are_proven_and_the_ledger_only_grows(House::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proofs_on_postgres() {
    let Some(house) = House::postgres("proofs_on_postgres").await else { return };
    entries_are_proven_and_the_ledger_only_grows(house).await;
}
