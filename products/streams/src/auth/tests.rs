//! Users and log ins on both engines.

use std::sync::Arc;

use bytes::Bytes;
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{ProjectId, Timestamp};
use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::credentials::{ITERATIONS, ScramChange};
use super::mechanism::Hash;
use super::sasl::{Terms, USE_TLS};
use super::scram::tests::client_final;
use super::*;
use crate::testing::{Bed, on_both_engines};

const SHOP: ProjectId = ProjectId(1);
const OTHER: ProjectId = ProjectId(2);

struct Open {
    credentials: Credentials,
    clock: Arc<ManualClock>,
}

async fn open(bed: &Bed, seed: u64) -> Open {
    let clock = Arc::new(ManualClock::new(Timestamp(0)));
    let shown: Arc<dyn candor_model::Clock> = Arc::clone(&clock) as _;
    let random = Arc::new(Seeded::new(seed));
    let credentials = Credentials::open(bed.database.clone(), shown, random).await.unwrap();
    Open { credentials, clock }
}

fn identity(project: ProjectId, user: &str) -> Identity {
    Identity { project, user: Arc::from(user) }
}

fn terms(lifetime_ms: Option<u32>) -> Terms {
    Terms { is_private: true, lifetime_ms, tokens: None }
}

fn shake(sasl: &mut Sasl, mechanism: &str, version: i16) -> i16 {
    let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_string(mechanism.to_owned()));
    let response = sasl.handshake(&request, version);
    assert_eq!(
        response.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>(),
        ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
    );
    response.error_code
}

async fn send(sasl: &mut Sasl, message: &str) -> (i16, String) {
    let bytes = Bytes::copy_from_slice(message.as_bytes());
    let response = sasl.authenticate(&SaslAuthenticateRequest::default().with_auth_bytes(bytes)).await;
    assert_eq!(response.error_code != 0, response.error_message.is_some());
    (response.error_code, String::from_utf8(response.auth_bytes.to_vec()).unwrap())
}

async fn scram(sasl: &mut Sasl, hash: Hash, user: &str, password: &str) -> i16 {
    let bare = format!("n={user},r=abc");
    let (code, challenge) = send(sasl, &format!("n,,{bare}")).await;
    assert_eq!(code, 0);
    assert!(sasl.identity().is_none_or(|_| !sasl.is_over()));
    let (code, last) = send(sasl, &client_final(hash, password, &bare, &challenge)).await;
    assert_eq!(code == 0, last.starts_with("v="));
    code
}

on_both_engines!(
    names_are_unique_and_passwords_work_until_they_change,
    plain_logs_in,
    scram_logs_in_by_both_hashes,
    what_comes_out_of_turn_ends_the_connection,
    where_others_read_along_no_mechanism_is_offered,
    a_live_connection_logs_in_again,
    old_clients_send_without_framing,
    who_was_right_is_known_for_a_while,
    keys_that_clients_made_work,
    nothing_of_a_password_is_stored,
);

async fn names_are_unique_and_passwords_work_until_they_change(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let first = credentials.create(SHOP, "shop").await.unwrap();
    let second = credentials.create(OTHER, "shop").await.unwrap();
    let third = credentials.create(OTHER, "shop").await.unwrap();
    let names = [&first.username, &second.username, &third.username];
    assert_eq!(names, ["shop", "shop-2", "shop-3"]);
    assert!(first.password.len() >= 32 && first.password != second.password);
    assert!(!format!("{first:?}").contains(&first.password));
    assert!(credentials.is_owner(SHOP, "shop") && !credentials.is_owner(OTHER, "shop"));

    let Open { credentials, .. } = open(&bed, 2).await;
    let right = credentials.verify("shop-2", second.password.as_bytes()).await.unwrap();
    assert_eq!(right, Some(identity(OTHER, "shop-2")));
    assert_eq!(credentials.verify("shop", second.password.as_bytes()).await.unwrap(), None);
    assert_eq!(credentials.verify("nobody", b"x").await.unwrap(), None);
    let foreign = credentials.rotate(SHOP, "shop-2").await;
    assert!(matches!(foreign, Err(CredentialError::Unknown)), "another project's");
    let new = credentials.rotate(OTHER, "shop-2").await.unwrap();
    assert_eq!(credentials.verify("shop-2", second.password.as_bytes()).await.unwrap(), None);
    assert_eq!(credentials.verify("shop-2", new.password.as_bytes()).await.unwrap(), right);
    assert!(matches!(credentials.delete(SHOP, "shop-2").await, Err(CredentialError::Unknown)));
    credentials.delete(OTHER, "shop-2").await.unwrap();
    assert_eq!(credentials.verify("shop-2", new.password.as_bytes()).await.unwrap(), None);
    credentials.forget(OTHER).await.unwrap();
    let Open { credentials, .. } = open(&bed, 3).await;
    assert!(credentials.list(OTHER).is_empty());
    let left: Vec<String> = credentials.list(SHOP).into_iter().map(|(name, _)| name).collect();
    assert_eq!(left, ["shop"]);
    for bad in ["", "a\0b", "ANONYMOUS", &"x".repeat(201)] {
        assert!(matches!(credentials.create(SHOP, bad).await, Err(CredentialError::BadName)));
    }
}

async fn plain_logs_in(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let user = credentials.create(SHOP, "shop").await.unwrap();
    let password = &user.password;
    for good in [format!("\0shop\0{password}"), format!("shop\0shop\0{password}")] {
        let mut sasl = Sasl::new(credentials.clone(), terms(None));
        assert_eq!(shake(&mut sasl, "PLAIN", 1), 0);
        assert_eq!(sasl.identity(), None);
        assert_eq!(send(&mut sasl, &good).await, (0, String::new()));
        assert_eq!(sasl.identity(), Some(&identity(SHOP, "shop")));
        assert!(!sasl.is_over() && !sasl.is_expired());
    }
    for bad in [
        format!("\0shop\0{password}x"),
        format!("\0shopp\0{password}"),
        format!("other\0shop\0{password}"),
        format!("\0shop\0{password}\0"),
        "\0shop\0".to_owned(),
        "\0\0x".to_owned(),
        "shop".to_owned(),
        String::new(),
    ] {
        let mut sasl = Sasl::new(credentials.clone(), terms(None));
        assert_eq!(shake(&mut sasl, "PLAIN", 1), 0);
        assert_eq!(send(&mut sasl, &bad).await.0, 58, "{bad:?}");
        assert!(sasl.identity().is_none() && sasl.is_over());
    }
}

async fn scram_logs_in_by_both_hashes(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let user = credentials.create(SHOP, "shop").await.unwrap();
    for (name, hash) in [("SCRAM-SHA-256", Hash::Sha256), ("SCRAM-SHA-512", Hash::Sha512)] {
        let mut sasl = Sasl::new(credentials.clone(), terms(Some(5000)));
        assert_eq!(shake(&mut sasl, name, 1), 0);
        assert_eq!(scram(&mut sasl, hash, "shop", &user.password).await, 0);
        assert_eq!(sasl.identity(), Some(&identity(SHOP, "shop")));
        for (user, password) in [("shop", "wrong"), ("nobody", &*user.password)] {
            let mut sasl = Sasl::new(credentials.clone(), terms(None));
            assert_eq!(shake(&mut sasl, name, 1), 0);
            assert_eq!(scram(&mut sasl, hash, user, password).await, 58);
            assert!(sasl.identity().is_none() && sasl.is_over());
        }
    }
    // A name that does not exist looks the same at every try and after a restart, and no two look alike.
    let (one, _) = credentials.scram_key(Hash::Sha256, "nobody");
    let (two, _) = open(&bed, 9).await.credentials.scram_key(Hash::Sha256, "nobody");
    let (other, _) = credentials.scram_key(Hash::Sha256, "somebody");
    assert_eq!(one.salt, two.salt);
    assert_ne!(one.salt, other.salt);
    assert_eq!(
        (one.iterations, one.salt.len()),
        (ITERATIONS, credentials.scram_key(Hash::Sha256, "shop").0.salt.len())
    );
}

async fn what_comes_out_of_turn_ends_the_connection(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let mut early = Sasl::new(credentials.clone(), terms(None));
    assert_eq!(send(&mut early, "x").await.0, 34);
    assert!(early.is_over());
    assert_eq!(shake(&mut early, "PLAIN", 1), 34, "it stays over");
    let mut unknown = Sasl::new(credentials.clone(), terms(None));
    assert_eq!(shake(&mut unknown, "GSSAPI", 1), 33);
    assert!(unknown.is_over());
    let mut twice = Sasl::new(credentials.clone(), terms(None));
    assert_eq!(shake(&mut twice, "PLAIN", 1), 0);
    assert_eq!(shake(&mut twice, "PLAIN", 1), 34);
    assert!(twice.is_over());
    let mut garbage = Sasl::new(credentials.clone(), terms(None));
    assert_eq!(shake(&mut garbage, "SCRAM-SHA-256", 1), 0);
    assert_eq!(send(&mut garbage, "n,,garbage").await.0, 58);
    assert_eq!(send(&mut garbage, "n,,n=a,r=b").await.0, 34);
}

async fn where_others_read_along_no_mechanism_is_offered(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let user = credentials.create(SHOP, "shop").await.unwrap();
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", USE_TLS] {
        for version in [0, 1] {
            let mut sasl = Sasl::new(credentials.clone(), Terms { is_private: false, ..terms(None) });
            let name = StrBytes::from_string(mechanism.to_owned());
            let response = sasl.handshake(&SaslHandshakeRequest::default().with_mechanism(name), version);
            assert_eq!(response.error_code, 33);
            assert_eq!(response.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>(), [USE_TLS]);
            assert!(sasl.is_over() && !sasl.expects_raw());
            // Whoever sends the password all the same is not let in by it.
            let right = format!("\0shop\0{}", user.password);
            assert_ne!(send(&mut sasl, &right).await.0, 0);
            assert_eq!(sasl.raw(right.as_bytes()).await, None);
            assert_eq!(sasl.identity(), None);
        }
    }
}

async fn a_live_connection_logs_in_again(bed: Bed) {
    let Open { credentials, clock } = open(&bed, 1).await;
    let shop = credentials.create(SHOP, "shop").await.unwrap();
    let other = credentials.create(OTHER, "other").await.unwrap();
    let plain = |user: &NewUser| format!("\0{}\0{}", user.username, user.password);
    let log_in = async || {
        let mut sasl = Sasl::new(credentials.clone(), terms(Some(1000)));
        shake(&mut sasl, "PLAIN", 1);
        let bytes = Bytes::from(plain(&shop));
        let response = sasl.authenticate(&SaslAuthenticateRequest::default().with_auth_bytes(bytes)).await;
        assert_eq!(response.session_lifetime_ms, 1000);
        sasl
    };
    let mut sasl = log_in().await;
    clock.advance(999_000);
    assert!(!sasl.is_expired());
    clock.advance(1000);
    assert!(sasl.is_expired());
    assert_eq!(shake(&mut sasl, "PLAIN", 1), 0);
    assert!(sasl.identity().is_some(), "it is who it was meanwhile");
    assert_eq!(send(&mut sasl, &plain(&shop)).await.0, 0);
    assert!(!sasl.is_expired());
    shake(&mut sasl, "PLAIN", 1);
    assert_eq!(send(&mut sasl, &plain(&other)).await.0, 58, "as another user");
    assert!(sasl.is_over());
    let mut sasl = log_in().await;
    shake(&mut sasl, "SCRAM-SHA-256", 1);
    let bare = "n=shop,r=abc";
    let (_, challenge) = send(&mut sasl, &format!("n,,{bare}")).await;
    let last = client_final(Hash::Sha256, &shop.password, bare, &challenge);
    assert_eq!(send(&mut sasl, &last).await.0, 58, "by another mechanism");
}

async fn old_clients_send_without_framing(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let user = credentials.create(SHOP, "shop").await.unwrap();
    let mut sasl = Sasl::new(credentials.clone(), terms(None));
    assert!(!sasl.expects_raw());
    shake(&mut sasl, "SCRAM-SHA-512", 0);
    assert!(sasl.expects_raw());
    let challenge = sasl.raw(b"n,,n=shop,r=abc").await.unwrap();
    let challenge = std::str::from_utf8(&challenge).unwrap();
    let last = client_final(Hash::Sha512, &user.password, "n=shop,r=abc", challenge);
    assert!(sasl.expects_raw() && sasl.raw(last.as_bytes()).await.is_some());
    assert!(!sasl.expects_raw() && sasl.identity().is_some());
    let mut wrong = Sasl::new(credentials.clone(), terms(None));
    shake(&mut wrong, "PLAIN", 0);
    assert_eq!(wrong.raw(b"\0shop\0no").await, None);
    assert!(wrong.is_over());
    let mut framed = Sasl::new(credentials, terms(None));
    shake(&mut framed, "PLAIN", 0);
    assert_eq!(send(&mut framed, "x").await.0, 34);
}

async fn who_was_right_is_known_for_a_while(bed: Bed) {
    let Open { credentials, clock } = open(&bed, 1).await;
    let user = credentials.create(SHOP, "shop").await.unwrap();
    let verify = async || credentials.verify("shop", user.password.as_bytes()).await.unwrap().is_some();
    let hashes = async || {
        let began = std::time::Instant::now();
        for _ in 0..50 {
            assert!(verify().await);
        }
        began.elapsed()
    };
    assert!(verify().await);
    let known = hashes().await;
    let began = std::time::Instant::now();
    clock.advance(61 * Timestamp::SECOND);
    assert!(verify().await);
    let fresh = began.elapsed();
    assert!(known / 50 < fresh, "50 known ones took {known:?}, one that is not {fresh:?}");
    // A known password of a user that goes is not one any more.
    credentials.delete(SHOP, "shop").await.unwrap();
    credentials.create(SHOP, "shop").await.unwrap();
    assert!(!verify().await);
}

async fn keys_that_clients_made_work(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    credentials.create(OTHER, "theirs").await.unwrap();
    let put = |hash: Hash, iterations: u32, password: &str| {
        let salt = b"salty".to_vec();
        let salted = hash.salted(password.as_bytes(), &salt, iterations.try_into().unwrap());
        ScramChange::Put { hash, iterations, salt, salted }
    };
    credentials.change_scram(SHOP, "app", vec![put(Hash::Sha512, 5000, "secret")]).await.unwrap();
    assert!(!credentials.is_owner(SHOP, "app"));
    let Open { credentials, .. } = open(&bed, 2).await;
    assert_eq!(
        credentials.get(SHOP, "app").unwrap().mechanisms().collect::<Vec<_>>(),
        [(Hash::Sha512, 5000)]
    );
    assert_eq!(credentials.verify("app", b"secret").await.unwrap(), Some(identity(SHOP, "app")));
    let mut sasl = Sasl::new(credentials.clone(), terms(None));
    shake(&mut sasl, "SCRAM-SHA-512", 1);
    assert_eq!(scram(&mut sasl, Hash::Sha512, "app", "secret").await, 0);
    let mut sasl = Sasl::new(credentials.clone(), terms(None));
    shake(&mut sasl, "SCRAM-SHA-256", 1);
    assert_eq!(scram(&mut sasl, Hash::Sha256, "app", "secret").await, 58, "no key for that hash");
    let few = credentials.change_scram(SHOP, "app", vec![put(Hash::Sha256, 4095, "x")]).await;
    assert!(matches!(few, Err(CredentialError::Iterations)));
    let taken = credentials.change_scram(SHOP, "theirs", vec![put(Hash::Sha256, 4096, "x")]).await;
    assert!(matches!(taken, Err(CredentialError::Taken)));
    let short = ScramChange::Put { hash: Hash::Sha256, iterations: 4096, salt: vec![1], salted: vec![0; 31] };
    assert!(matches!(credentials.change_scram(SHOP, "app", vec![short]).await, Err(CredentialError::Salted)));
    let none = credentials.change_scram(SHOP, "app", vec![ScramChange::Remove(Hash::Sha256)]).await;
    assert!(matches!(none, Err(CredentialError::Unknown)));
    credentials.change_scram(SHOP, "app", vec![ScramChange::Remove(Hash::Sha512)]).await.unwrap();
    assert!(credentials.get(SHOP, "app").is_none());
    assert!(open(&bed, 3).await.credentials.get(SHOP, "app").is_none());
}

async fn nothing_of_a_password_is_stored(bed: Bed) {
    let Open { credentials, .. } = open(&bed, 1).await;
    let user = credentials.create(SHOP, "shop").await.unwrap();
    let sql = "SELECT salt, stored_key, server_key FROM stream_user_key ORDER BY mechanism";
    let rows = bed.database.query(sql, &[]).await.unwrap();
    assert_eq!(rows.len(), 2);
    for (row, hash) in rows.iter().zip(Hash::ALL) {
        let salted = hash.salted(user.password.as_bytes(), row.blob(0).unwrap(), ITERATIONS);
        let client_key = hash.hmac(&salted, b"Client Key");
        for column in 0..3 {
            let stored = row.blob(column).unwrap();
            assert_ne!(stored, user.password.as_bytes());
            assert_ne!(stored, salted);
            assert_ne!(stored, client_key, "it would open a session by itself");
        }
        assert_eq!(row.blob(1).unwrap(), hash.digest(&client_key));
    }
}
