//! The keyring and the vault on both engines.
#![allow(clippy::unwrap_used, missing_docs)]

use std::sync::Arc;

use candor_keyring::{Identity, Keyring, KeyringError, RootKey, Vault, VaultEntry};
use candor_meta::Database;
use candor_model::random::Seeded;
use candor_model::{ProjectId, Subject, SubjectKind, Timestamp};
use candor_store::files::KeyWrap;

const SHOP: ProjectId = ProjectId(1);
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn keyring(seed: u64) -> Keyring {
    Keyring::new(&RootKey::generate(&Seeded::new(seed)), Arc::new(Seeded::new(seed + 1000)))
}

fn subject(kind: SubjectKind, value: &str) -> Subject {
    Subject { kind, value: value.to_owned() }
}

fn identity(keyring: &Keyring, kind: SubjectKind, value: &str) -> Identity {
    let subject = subject(kind, value);
    Identity { code: keyring.code(SHOP, None, &subject), subject }
}

fn alice(keyring: &Keyring) -> [Identity; 2] {
    [
        identity(keyring, SubjectKind::User, "u-4711"),
        identity(keyring, SubjectKind::Email, "alice@example.com"),
    ]
}

fn seal(keyring: &Keyring, identities: &[Identity]) -> Vec<VaultEntry> {
    let mut sealing = keyring.sealing(SHOP);
    sealing.add(identities);
    sealing.finish()
}

#[test]
fn codes_are_stable_typed_and_scoped() {
    let ring = keyring(1);
    let email = |value: &str| subject(SubjectKind::Email, value);
    let code = ring.code(SHOP, None, &email("Alice@Example.com "));
    // A golden: codes in storage never change.
    assert_eq!(code, "email:atmwmcrn6lb6kwipu3u3i2ywra");
    assert_eq!(code, ring.code(SHOP, None, &email("alice@example.com")));
    let (kind, body) = code.split_once(':').unwrap();
    assert_eq!((kind, body.len()), ("email", 26));
    assert!(body.bytes().all(|b| b.is_ascii_lowercase() || (b'2'..=b'7').contains(&b)));
    let others = [
        ring.code(ProjectId(2), None, &email("alice@example.com")),
        ring.code(SHOP, Some("shop"), &email("alice@example.com")),
        ring.code(SHOP, None, &email("alice@example.org")),
        keyring(2).code(SHOP, None, &email("alice@example.com")),
    ];
    for other in others {
        assert_ne!(code, other);
    }
    let as_user = ring.code(SHOP, None, &subject(SubjectKind::User, "alice@example.com"));
    assert_ne!(code.split_once(':').unwrap().1, as_user.split_once(':').unwrap().1);
}

#[test]
fn file_keys_are_wrapped_and_opened_only_here() {
    let ring = keyring(1);
    let key = [7; 32];
    let wrapped = ring.wrap(&key);
    assert_ne!(wrapped, ring.wrap(&key), "each wrapping has a nonce of its own");
    assert_eq!(ring.unwrap(&wrapped), Some(key));
    assert_eq!(keyring(2).unwrap(&wrapped), None);
    for at in 0..wrapped.len() {
        let mut bad = wrapped.clone();
        bad[at] ^= 1;
        assert_eq!(ring.unwrap(&bad), None, "byte {at}");
        assert_eq!(ring.unwrap(&wrapped[..at]), None, "cut at {at}");
    }
}

#[test]
fn entries_open_under_their_subject_alone() {
    let ring = keyring(1);
    let entries = seal(&ring, &alice(&ring));
    assert_eq!(entries.len(), 2);
    assert_eq!(entries[0].key_id, entries[1].key_id, "one key a subject");
    assert!(entries.iter().all(|entry| entry.subject.starts_with("user:")));
    let opened: Vec<_> = entries.iter().filter_map(|entry| ring.open_entry(SHOP, entry)).collect();
    assert_eq!(opened, ["u-4711", "alice@example.com"]);
    let text = format!("{entries:?}");
    assert!(!text.contains("alice") && !text.contains("4711"));
    // Not in another project, not under another's name, not with another root key.
    let mut moved = entries[1].clone();
    moved.subject = entries[1].code.clone();
    assert_eq!(ring.open_entry(SHOP, &moved), None);
    assert_eq!(ring.open_entry(ProjectId(2), &entries[1]), None);
    assert_eq!(keyring(2).open_entry(SHOP, &entries[1]), None);
}

#[test]
fn steady_traffic_emits_each_entry_once_it_is_committed() {
    let ring = keyring(1);
    let people = alice(&ring);
    let first = seal(&ring, &people);
    assert_eq!(seal(&ring, &people).len(), 2, "not committed yet: it may still be lost");
    ring.committed(SHOP, &first);
    assert_eq!(seal(&ring, &people), []);
    // Twice in one batch is once.
    let bob = [identity(&ring, SubjectKind::User, "bob")];
    let mut sealing = ring.sealing(SHOP);
    sealing.add(&bob);
    sealing.add(&bob);
    assert_eq!(sealing.finish().len(), 1);
    // After the key is destroyed, a new one.
    ring.forget_subject(SHOP, &people[0].code);
    let again = seal(&ring, &people);
    assert_eq!(again.len(), 2);
    assert_ne!(again[0].key_id, first[0].key_id);
}

async fn storing_is_idempotent_and_the_root_key_is_on_record(database: Database) {
    let ring = keyring(1);
    let vault = Vault::open(database.clone(), &ring).await.unwrap();
    let people = alice(&ring);
    let entries = seal(&ring, &people);
    for _ in 0..2 {
        let mut tx = database.begin().await.unwrap();
        Vault::store(&mut tx, SHOP, &entries, NOW).await.unwrap();
        tx.commit().await.unwrap();
    }
    // Emitted again under another key, as after a restart: the first stays, and no key without a value.
    ring.forget_subject(SHOP, &people[0].code);
    let mut tx = database.begin().await.unwrap();
    Vault::store(&mut tx, SHOP, &seal(&ring, &people), NOW).await.unwrap();
    tx.commit().await.unwrap();
    let count = |rows: Vec<candor_meta::Row>| rows[0].int(0).unwrap();
    assert_eq!(count(database.query("SELECT count(*) FROM vault", &[]).await.unwrap()), 2);
    assert_eq!(count(database.query("SELECT count(*) FROM subject_key", &[]).await.unwrap()), 1);
    let mut stored = vault.entries(SHOP, &people[0].code).await.unwrap();
    stored.sort_by_key(|entry| entries.iter().position(|e| e.code == entry.code));
    assert_eq!(stored, entries);
    assert_eq!(ring.open_entry(SHOP, &stored[1]).as_deref(), Some("alice@example.com"));
    assert_eq!(vault.entries(ProjectId(2), &people[0].code).await.unwrap(), []);
    let reveal = |ring: Keyring, project, code: String| {
        let vault = vault.clone();
        async move { vault.reveal(&ring, project, &code).await.unwrap() }
    };
    assert_eq!(reveal(keyring(1), SHOP, people[1].code.clone()).await, ["alice@example.com"]);
    assert_eq!(reveal(keyring(1), SHOP, people[0].code.clone()).await, ["u-4711"], "its own value alone");
    assert!(reveal(keyring(1), ProjectId(2), people[1].code.clone()).await.is_empty());
    assert!(reveal(keyring(2), SHOP, people[1].code.clone()).await.is_empty());

    // A new start knows what is stored; another root key is refused.
    let same = keyring(1);
    Vault::open(database.clone(), &same).await.unwrap();
    assert_eq!(seal(&same, &people), []);
    let other = Vault::open(database, &keyring(2)).await;
    assert!(matches!(other.err(), Some(KeyringError::AnotherRootKey { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_on_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
    storing_is_idempotent_and_the_root_key_is_on_record(database).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn vault_on_postgres() {
    let Some(server) = candor_testbed::postgres::server("vault_on_postgres") else { return };
    let database = Database::open_postgres(&server.url(), &server.fresh_schema(), &[]).await.unwrap();
    storing_is_idempotent_and_the_root_key_is_on_record(database).await;
}
