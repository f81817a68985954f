//! Direct SQL against the tables, as whoever holds the database could.

use candor_ledger::verify::{FaultKind, Verified};
use candor_ledger::{Action, Event, LedgerError};
use candor_meta::params;

use super::{ACME, House, SHOP};

/// Entries in a tampered ledger: more than a tile, so that upper tiles are there too.
const ENTRIES: u64 = 300;

/// A ledger of 300 entries: 290 in one batch each would be slow, so that most come at once.
async fn filled(house: House) -> House {
    house.fill(5).await;
    let mut writing = tokio::task::JoinSet::new();
    for n in 5..290 {
        let ledger = house.ledger.clone();
        writing.spawn(async move {
            let event = Event::new(Action::Read, format!("user:{n}"), "query").of_project(ACME, SHOP);
            ledger.append(event).await.unwrap()
        });
    }
    while let Some(done) = writing.join_next().await {
        done.unwrap();
    }
    house.fill(10).await;
    assert_eq!(house.ledger.checkpoint().await.unwrap().unwrap().0.size, ENTRIES);
    house
}

async fn sql(house: &House, statement: &str) -> u64 {
    house.database.execute(statement, &[]).await.unwrap()
}

/// The first fault: what it is, and of which entries.
fn named(verified: &Verified) -> Vec<(FaultKind, u64, u64)> {
    verified.faults.iter().map(|fault| (fault.kind, fault.index, fault.until)).collect()
}

async fn found(house: &House) -> Vec<(FaultKind, u64, u64)> {
    named(&house.ledger.verify(&[]).await.unwrap())
}

async fn hash_of(house: &House, index: i64) -> Vec<u8> {
    let rows =
        house.database.query("SELECT leaf FROM ledger_entry WHERE id = ?", params![index]).await.unwrap();
    candor_ledger::tree::leaf_hash(rows[0].text(0).unwrap().as_bytes()).to_vec()
}

/// Makes the stored hash of an entry that of what now stands there.
async fn forge_tile(house: &House, index: i64) {
    let number = index / 256;
    let sql = "SELECT hashes FROM ledger_tile WHERE level = 0 AND number = ?";
    let rows = house.database.query(sql, params![number]).await.unwrap();
    let mut hashes = rows[0].blob(0).unwrap().to_vec();
    let at = usize::try_from(index % 256).unwrap() * 32;
    hashes[at..at + 32].copy_from_slice(&hash_of(house, index).await);
    let sql = "UPDATE ledger_tile SET hashes = ? WHERE level = 0 AND number = ?";
    house.database.execute(sql, params![hashes, number]).await.unwrap();
}

const FLIP: &str =
    "UPDATE ledger_entry SET leaf = replace(leaf, '\"actor\":\"user:', '\"actor\":\"user:9') WHERE id = ";

/// Each way of tampering on a ledger of its own, undone after it was found.
async fn every_way_is_found_and_named(house: House) {
    let house = filled(house).await;
    assert_eq!(found(&house).await, []);
    let whole = house.ledger.checkpoint().await.unwrap().unwrap().1;
    use FaultKind as K;
    let copy = |table: &str| format!("CREATE TABLE kept_{table} AS SELECT * FROM {table}");
    let tables = ["ledger_entry", "ledger_tile", "ledger_checkpoint", "ledger_detail"];
    for table in tables {
        sql(&house, &copy(table)).await;
    }
    let restore = || async {
        for table in tables {
            sql(&house, &format!("DELETE FROM {table}")).await;
            sql(&house, &format!("INSERT INTO {table} SELECT * FROM kept_{table}")).await;
        }
        assert_eq!(found(&house).await, []);
    };

    // A flipped byte.
    for index in [0, 137, 255, 256, 299] {
        assert_eq!(sql(&house, &format!("{FLIP}{index}")).await, 1);
        assert_eq!(found(&house).await, [(K::Changed, index, index + 1)]);
        restore().await;
    }

    // Dropped, with a gap, and with later entries moved up.
    sql(&house, "DELETE FROM ledger_entry WHERE id = 137").await;
    assert_eq!(found(&house).await, [(K::Dropped, 137, 138)]);
    sql(&house, "UPDATE ledger_entry SET id = -id WHERE id > 137").await;
    sql(&house, "UPDATE ledger_entry SET id = -id - 1 WHERE id < 0").await;
    assert_eq!(found(&house).await, [(K::Dropped, 137, 138)]);
    restore().await;

    // Two changed places.
    sql(&house, "UPDATE ledger_entry SET id = -1 WHERE id = 20").await;
    sql(&house, "UPDATE ledger_entry SET id = 20 WHERE id = 21").await;
    sql(&house, "UPDATE ledger_entry SET id = 21 WHERE id = -1").await;
    assert_eq!(found(&house).await, [(K::Reordered, 20, 21), (K::Reordered, 21, 22)]);
    restore().await;

    // Put in, with later entries moved down.
    sql(&house, "UPDATE ledger_entry SET id = -id - 1 WHERE id >= 200").await;
    sql(&house, "UPDATE ledger_entry SET id = -id WHERE id < 0").await;
    sql(&house, "INSERT INTO ledger_entry SELECT 200, project, replace(leaf, '\"index\":199,', '\"index\":200,') FROM ledger_entry WHERE id = 199").await;
    let faults = found(&house).await;
    assert!(faults.contains(&(K::Changed, 200, 201)), "{faults:?}");
    assert!(faults.contains(&(K::Unsigned, 300, 301)), "{faults:?}");
    restore().await;

    // Cut.
    sql(&house, "DELETE FROM ledger_entry WHERE id >= 280").await;
    assert_eq!(found(&house).await, [(K::Truncated, 280, 300)]);
    restore().await;

    // Cut whole, as an older copy of the database: only a checkpoint from outside tells.
    sql(&house, "DELETE FROM ledger_entry WHERE id >= 295").await;
    sql(&house, "DELETE FROM ledger_detail WHERE id >= 295").await;
    sql(&house, "DELETE FROM ledger_checkpoint WHERE size > 295").await;
    assert_eq!(found(&house).await, []);
    let verified = house.ledger.verify(std::slice::from_ref(&whole)).await.unwrap();
    assert_eq!(named(&verified), [(K::Truncated, 295, 300)]);
    // It goes on from there, as if nothing had been: another history under the same key.
    house.fill(8).await;
    assert_eq!(found(&house).await, []);
    let verified = house.ledger.verify(std::slice::from_ref(&whole)).await.unwrap();
    assert_eq!(named(&verified), [(K::Forked, 0, 300)]);
    let sql_note = "SELECT note FROM kept_ledger_checkpoint WHERE size = 295";
    let before = house.database.query(sql_note, &[]).await.unwrap()[0].text(0).unwrap().to_owned();
    let verified = house.ledger.verify(&[whole.clone(), before]).await.unwrap();
    assert_eq!(named(&verified), [(K::Forked, 295, 300)], "the earlier one says what both share");
    restore().await;

    // Beyond what was signed.
    sql(&house, "INSERT INTO ledger_entry SELECT 300, project, leaf FROM ledger_entry WHERE id = 3").await;
    assert_eq!(found(&house).await, [(K::Unsigned, 300, 301)]);
    let refused = house.ledger.append(Event::new(Action::Drop, "gate", "x")).await;
    assert!(matches!(refused, Err(LedgerError::Damaged)), "{refused:?}");
    restore().await;

    // A byte and the hash beside it: the checkpoints around it tell. Nothing more is signed over it.
    assert_eq!(sql(&house, &format!("{FLIP}295")).await, 1);
    forge_tile(&house, 295).await;
    assert_eq!(found(&house).await, [(K::Changed, 295, 296)]);
    let refused = house.ledger.append(Event::new(Action::Drop, "gate", "x")).await;
    assert!(matches!(refused, Err(LedgerError::Damaged)), "{refused:?}");
    // And every checkpoint but the last removed: it is one of these.
    sql(&house, "DELETE FROM ledger_checkpoint WHERE size < 300").await;
    assert_eq!(found(&house).await, [(K::Changed, 0, 300)]);
    restore().await;

    // A hash alone, of an entry and above.
    sql(&house, &format!("{FLIP}7")).await;
    forge_tile(&house, 7).await;
    sql(&house, "DELETE FROM ledger_entry WHERE id = 7").await;
    sql(&house, "INSERT INTO ledger_entry SELECT * FROM kept_ledger_entry WHERE id = 7").await;
    assert_eq!(found(&house).await, [(K::Tile, 7, 8)]);
    restore().await;
    let zeros = vec![0_u8; 32];
    let upper = "UPDATE ledger_tile SET hashes = ? WHERE level = 1 AND number = 0";
    house.database.execute(upper, params![zeros]).await.unwrap();
    assert_eq!(found(&house).await, [(K::Tile, 0, 256)]);
    restore().await;

    // Checkpoints, details, and the column that entries are found by.
    sql(&house, "UPDATE ledger_checkpoint SET note = replace(note, 'candor', 'cand0r') WHERE size = 3").await;
    assert_eq!(found(&house).await, [(K::Checkpoint, 2, 3)]);
    restore().await;
    sql(&house, "UPDATE ledger_checkpoint SET note = (SELECT note FROM kept_ledger_checkpoint WHERE size = 3) WHERE size = 4").await;
    assert_eq!(found(&house).await, [(K::Checkpoint, 3, 4)]);
    restore().await;
    sql(
        &house,
        "UPDATE ledger_detail SET sealed = (SELECT sealed FROM kept_ledger_detail WHERE id = 1) WHERE id = 2",
    )
    .await;
    assert_eq!(found(&house).await, [(K::Detail, 2, 3)]);
    restore().await;
    sql(&house, "UPDATE ledger_entry SET project = 9 WHERE id = 3").await;
    assert_eq!(found(&house).await, [(K::Changed, 3, 4)]);
    restore().await;

    // Another instance's checkpoint, and what is none.
    let verified = house.ledger.verify(&["nonsense".to_owned()]).await.unwrap();
    assert_eq!(verified.faults[0].kind, K::Checkpoint);
    house.fill(1).await;
    assert_eq!(named(&house.ledger.verify(&[whole]).await.unwrap()), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampering_on_sqlite() {
    every_way_is_found_and_named(House::sqlite().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tampering_on_postgres() {
    let Some(house) = House::postgres("tampering_on_postgres").await else { return };
    every_way_is_found_and_named(house).await;
}
