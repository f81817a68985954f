//! Organisations, projects, keys, scopes.

use std::sync::Arc;

use candor_meta::{KeyKind, KeyLimits, Role, Tenancy, TenancyError};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{ProjectId, Timestamp};

use crate::{Bed, on_both_engines};

on_both_engines!(&[];
    a_key_writes_into_its_project_and_nowhere_else,
    rotated_keys_work_until_their_grace_ends,
    a_deleted_project_is_shut,
    names_are_unique_in_an_organisation,
    only_members_read,
    tables_hold_no_ingest_token,
    other_nodes_changes_arrive,
    keys_carry_their_limits_and_usage,
    limits_are_changed_and_survive_a_rotation,
);

async fn tenancy(bed: &Bed) -> (Tenancy, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new(Timestamp(1_790_000_000_000_000)));
    let shared: Arc<ManualClock> = Arc::clone(&clock);
    (Tenancy::open(bed.database.clone(), shared, Arc::new(Seeded::new(7))).await.unwrap(), clock)
}

async fn a_key_writes_into_its_project_and_nowhere_else(bed: Bed) {
    let (tenancy, _) = tenancy(&bed).await;
    let (shop, shop_keys) = tenancy.create_project("shop").await.unwrap();
    let (blog, blog_keys) = tenancy.create_project("blog").await.unwrap();
    assert_ne!(shop.id, blog.id);
    assert_eq!(shop_keys.dsn_key.len(), 32);
    assert!(shop_keys.dsn_key.bytes().all(|b| b.is_ascii_hexdigit()));
    for _ in 0..2 {
        for (keys, project) in [(&shop_keys, &shop), (&blog_keys, &blog)] {
            for (kind, secret) in [(KeyKind::Dsn, &keys.dsn_key), (KeyKind::Ingest, &keys.ingest_token)] {
                let scope = tenancy.authorize_write(kind, secret).await.unwrap().unwrap();
                assert_eq!((scope.project(), scope.org()), (project.id, project.org));
            }
        }
    }
    // A DSN key is no ingest token, and the other way round; nor is nothing a key.
    for (kind, secret) in [
        (KeyKind::Ingest, &shop_keys.dsn_key),
        (KeyKind::Dsn, &shop_keys.ingest_token),
        (KeyKind::Dsn, &String::new()),
    ] {
        assert_eq!(tenancy.authorize_write(kind, secret).await.unwrap(), None);
    }
    assert_eq!(tenancy.dsn_key(shop.id).await.unwrap(), Some(shop_keys.dsn_key));
}

async fn rotated_keys_work_until_their_grace_ends(bed: Bed) {
    let (tenancy, clock) = tenancy(&bed).await;
    let (shop, old) = tenancy.create_project("shop").await.unwrap();
    assert!(tenancy.authorize_write(KeyKind::Dsn, &old.dsn_key).await.unwrap().is_some());
    let new = tenancy.rotate_keys(shop.id, 60).await.unwrap();
    assert_ne!(old, new);
    for keys in [&old, &new] {
        assert!(tenancy.authorize_write(KeyKind::Dsn, &keys.dsn_key).await.unwrap().is_some());
        assert!(tenancy.authorize_write(KeyKind::Ingest, &keys.ingest_token).await.unwrap().is_some());
    }
    clock.advance(60 * Timestamp::SECOND);
    assert!(tenancy.authorize_write(KeyKind::Dsn, &old.dsn_key).await.unwrap().is_none());
    assert!(tenancy.authorize_write(KeyKind::Ingest, &old.ingest_token).await.unwrap().is_none());
    assert!(tenancy.authorize_write(KeyKind::Dsn, &new.dsn_key).await.unwrap().is_some());
    // Without grace: at once. A long grace later does not wake the first pair.
    let newest = tenancy.rotate_keys(shop.id, 0).await.unwrap();
    assert!(tenancy.authorize_write(KeyKind::Dsn, &new.dsn_key).await.unwrap().is_none());
    tenancy.rotate_keys(shop.id, 86_400).await.unwrap();
    assert!(tenancy.authorize_write(KeyKind::Dsn, &old.dsn_key).await.unwrap().is_none());
    assert!(tenancy.authorize_write(KeyKind::Dsn, &newest.dsn_key).await.unwrap().is_some());
    let keys = tenancy.keys(shop.id).await.unwrap();
    assert_eq!(keys.len(), 8);
    assert_eq!(keys.iter().filter(|key| key.expires_at.is_none()).count(), 2);
    assert!(keys.iter().all(|key| (key.kind == KeyKind::Dsn) == key.public.is_some()));
    let missing = tenancy.rotate_keys(ProjectId(99), 0).await;
    assert!(matches!(missing, Err(TenancyError::NoSuchProject)));
}

async fn a_deleted_project_is_shut(bed: Bed) {
    let (tenancy, _) = tenancy(&bed).await;
    let (shop, keys) = tenancy.create_project("shop").await.unwrap();
    assert!(tenancy.authorize_write(KeyKind::Ingest, &keys.ingest_token).await.unwrap().is_some());
    assert!(tenancy.admin_read(shop.id).await.unwrap().is_some());
    tenancy.delete_project(shop.id).await.unwrap();
    assert!(tenancy.authorize_write(KeyKind::Ingest, &keys.ingest_token).await.unwrap().is_none());
    assert!(tenancy.admin_read(shop.id).await.unwrap().is_none());
    assert_eq!(tenancy.resolve("shop").await.unwrap(), None);
    assert!(matches!(tenancy.delete_project(shop.id).await, Err(TenancyError::NoSuchProject)));
    assert!(matches!(tenancy.rotate_keys(shop.id, 0).await, Err(TenancyError::NoSuchProject)));
    let (again, _) = tenancy.create_project("shop").await.unwrap();
    assert_ne!(again.id, shop.id, "numbers are never given twice");
    assert_eq!(tenancy.deleted_projects().await.unwrap(), [shop.id]);
    assert_eq!(tenancy.projects(None).await.unwrap(), [again]);
}

async fn names_are_unique_in_an_organisation(bed: Bed) {
    let (tenancy, _) = tenancy(&bed).await;
    let (mine, _) = tenancy.create_project("shop").await.unwrap();
    assert!(matches!(tenancy.create_project("shop").await, Err(TenancyError::Taken)));
    assert!(matches!(tenancy.create_project("acme/shop").await, Err(TenancyError::NoSuchOrg)));
    assert!(matches!(tenancy.create_project("a b").await, Err(TenancyError::BadName)));
    assert!(matches!(tenancy.create_project("default/a/b").await, Err(TenancyError::BadName)));
    let acme = tenancy.create_org("acme").await.unwrap();
    assert!(matches!(tenancy.create_org("acme").await, Err(TenancyError::Taken)));
    let (theirs, _) = tenancy.create_project("acme/shop").await.unwrap();
    assert_eq!(tenancy.resolve("shop").await.unwrap().as_ref(), Some(&mine));
    assert_eq!(tenancy.resolve("default/shop").await.unwrap().as_ref(), Some(&mine));
    assert_eq!(tenancy.resolve("acme/shop").await.unwrap().as_ref(), Some(&theirs));
    assert_eq!(tenancy.projects(Some(acme.id)).await.unwrap(), [theirs]);
    let default = tenancy.default_org().await.unwrap();
    tenancy.rename_org(default.id, "home").await.unwrap();
    assert!(matches!(tenancy.rename_org(default.id, "acme").await, Err(TenancyError::Taken)));
    assert_eq!(tenancy.resolve("home/shop").await.unwrap().map(|p| p.id), Some(mine.id));
    // Opening again makes no second default organisation.
    let (again, _) = self::tenancy(&bed).await;
    assert_eq!(again.orgs().await.unwrap().len(), 2);
}

async fn only_members_read(bed: Bed) {
    let (tenancy, _) = tenancy(&bed).await;
    let (shop, _) = tenancy.create_project("shop").await.unwrap();
    assert_eq!(tenancy.user_read(3, shop.id).await.unwrap(), None);
    assert_eq!(tenancy.token_read(9, 3, shop.id).await.unwrap(), None);
    let mut tx = tenancy.begin().await.unwrap();
    Tenancy::set_member_in(&mut tx, shop.org, 3, Role::Member).await.unwrap();
    Tenancy::set_member_in(&mut tx, shop.org, 3, Role::Owner).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(tenancy.role_of(3, shop.org).await.unwrap(), Some(Role::Owner));
    assert_eq!(tenancy.orgs_of(3).await.unwrap()[0].0.id, shop.org);
    assert_eq!(tenancy.user_read(3, shop.id).await.unwrap().unwrap().actor(), "user:3");
    assert_eq!(tenancy.token_read(9, 3, shop.id).await.unwrap().unwrap().actor(), "token:9");
    assert_eq!(tenancy.user_read(4, shop.id).await.unwrap(), None);
    let mut tx = tenancy.begin().await.unwrap();
    assert!(Tenancy::remove_member_in(&mut tx, shop.org, 3).await.unwrap());
    tx.commit().await.unwrap();
    assert_eq!(tenancy.user_read(3, shop.id).await.unwrap(), None);
    assert_eq!(tenancy.admin_read(shop.id).await.unwrap().unwrap().project(), shop.id);
}

async fn tables_hold_no_ingest_token(bed: Bed) {
    let (tenancy, _) = tenancy(&bed).await;
    let (_, keys) = tenancy.create_project("shop").await.unwrap();
    let rows = bed.database.query("SELECT * FROM project_key", &[]).await.unwrap();
    let text = format!("{rows:?}");
    assert!(text.contains(&keys.dsn_key));
    assert!(!text.contains(&keys.ingest_token));
    assert!(text.contains(&keys.ingest_token[..8]), "the hint is there");
}

/// Two nodes on one database: what one changes, the other sees after a while (SQLite has one process).
async fn other_nodes_changes_arrive(bed: Bed) {
    let (here, clock) = tenancy(&bed).await;
    let there =
        Tenancy::open(bed.database.clone(), Arc::new(ManualClock::default()), Arc::new(Seeded::new(8)))
            .await
            .unwrap();
    if bed.database.engine() == candor_meta::Engine::Sqlite {
        return;
    }
    let (shop, keys) = here.create_project("shop").await.unwrap();
    assert!(here.authorize_write(KeyKind::Dsn, &keys.dsn_key).await.unwrap().is_some());
    there.delete_project(shop.id).await.unwrap();
    clock.advance(31 * Timestamp::SECOND);
    assert!(here.authorize_write(KeyKind::Dsn, &keys.dsn_key).await.unwrap().is_none());
}

async fn keys_carry_their_limits_and_usage(bed: Bed) {
    let (tenancy, _) = tenancy(&bed).await;
    let (shop, keys) = tenancy.create_project("shop").await.unwrap();
    let scope = tenancy.authorize_write(KeyKind::Ingest, &keys.ingest_token).await.unwrap().unwrap();
    assert_eq!(scope.limits(), KeyLimits::default());
    let limits =
        KeyLimits { requests_per_second: Some(5), bytes_per_second: None, bytes_per_day: Some(u64::MAX) };
    tenancy.set_key_limits(scope.key(), KeyLimits::default()).await.unwrap();
    tenancy.set_key_limits(scope.key(), limits).await.unwrap();
    let scope = tenancy.authorize_write(KeyKind::Ingest, &keys.ingest_token).await.unwrap().unwrap();
    assert_eq!(scope.limits(), KeyLimits { bytes_per_day: Some(i64::MAX as u64), ..limits });
    assert_eq!(
        scope.limits().or(KeyLimits { bytes_per_second: Some(7), ..limits }).bytes_per_second,
        Some(7)
    );
    let other = tenancy.keys(shop.id).await.unwrap()[1].id;
    for used in [[(scope.key(), 10, 5), (other, 10, 1)], [(scope.key(), 10, 7), (other, 11, 2)]] {
        tenancy.add_usage(&used).await.unwrap();
    }
    tenancy.add_usage(&[(other, 10, 100)]).await.unwrap();
    assert_eq!(tenancy.usage(10).await.unwrap(), [(scope.key(), 12)]);
    assert_eq!(tenancy.usage(11).await.unwrap(), [(other, 2)]);
}

async fn limits_are_changed_and_survive_a_rotation(bed: Bed) {
    let (tenancy, clock) = tenancy(&bed).await;
    let (shop, first) = tenancy.create_project("shop").await.unwrap();
    let (other, _) = tenancy.create_project("other").await.unwrap();
    let slow = |old: KeyLimits| KeyLimits { requests_per_second: Some(5), ..old };
    let small = |old: KeyLimits| KeyLimits { bytes_per_day: Some(1000), ..old };
    assert_eq!(tenancy.change_limits(shop.id, None, slow).await.unwrap(), 2);
    assert_eq!(tenancy.change_limits(shop.id, Some(KeyKind::Ingest), small).await.unwrap(), 1);
    let of =
        async |kind, secret: &str| tenancy.authorize_write(kind, secret).await.unwrap().unwrap().limits();
    let dsn = slow(KeyLimits::default());
    let ingest = small(dsn);
    assert_eq!(of(KeyKind::Dsn, &first.dsn_key).await, dsn);
    assert_eq!(of(KeyKind::Ingest, &first.ingest_token).await, ingest);
    clock.advance(60 * Timestamp::SECOND);
    let second = tenancy.rotate_keys(shop.id, 60).await.unwrap();
    assert_eq!(of(KeyKind::Dsn, &second.dsn_key).await, dsn);
    assert_eq!(of(KeyKind::Ingest, &second.ingest_token).await, ingest);
    // Lifting them is for the current keys; those that end soon keep what they had.
    assert_eq!(tenancy.change_limits(shop.id, None, |_| KeyLimits::default()).await.unwrap(), 2);
    assert_eq!(of(KeyKind::Dsn, &second.dsn_key).await, KeyLimits::default());
    assert_eq!(of(KeyKind::Dsn, &first.dsn_key).await, dsn);
    for key in tenancy.keys(other.id).await.unwrap() {
        assert_eq!(key.limits, KeyLimits::default());
    }
    let shown: Vec<_> = tenancy.keys(shop.id).await.unwrap().iter().map(|key| key.limits).collect();
    assert_eq!(shown.iter().filter(|limits| **limits == KeyLimits::default()).count(), 2, "{shown:?}");
}
