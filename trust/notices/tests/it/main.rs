//! Policies over a real SQLite file with a clock that the test moves.

mod promises;

use std::sync::Arc;

use candor_meta::Database;
use candor_model::time::ManualClock;
use candor_model::{Clock, PolicyEpoch, ProjectId, Timestamp};
use candor_notices::{NoticesError, Owner, Policies, Refused, State};
use candor_policy::ChangeClass;

const DAY_US: i64 = 86_400_000_000;
const SEED: (&str, &str) = ("preset:default", "candor_policy = 1\nextends = \"preset:default\"\n");

struct House {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl House {
    fn new() -> House {
        let clock = Arc::new(ManualClock::new(Timestamp(1_700_000_000_000_000)));
        House { folder: tempfile::tempdir().expect("a folder"), clock }
    }

    async fn policies(&self, seed: (&str, &str)) -> Result<Policies, NoticesError> {
        let database = Database::open_sqlite(&self.folder.path().join("meta.db"), &[]).await.expect("opens");
        let clock: Arc<dyn Clock> = Arc::<ManualClock>::clone(&self.clock);
        Policies::open(database, clock, seed).await
    }
}

/// A file that says something beside the default.
fn file(rest: &str) -> String {
    format!("candor_policy = 1\nextends = \"preset:default\"\n{rest}\n")
}

fn live(policies: &Policies, owner: Owner) -> String {
    let held = policies.own(owner).expect("holds");
    held.resolved.policy.activity("errors").expect("is there").retention.live.text().to_owned()
}

fn kept(live: &str) -> String {
    file(&format!("[[activity]]\nid = \"errors\"\nretention = {{ live = \"{live}\" }}"))
}

async fn apply(policies: &Policies, owner: Owner, text: &str) -> candor_notices::Applied {
    policies
        .apply(owner, "policy.toml", text, "admin")
        .await
        .expect("asks")
        .unwrap_or_else(|refused| panic!("{refused}"))
}

#[tokio::test]
async fn the_first_start_writes_a_policy_and_a_later_one_keeps_it() {
    let house = House::new();
    let first = house.policies(SEED).await.expect("opens");
    assert_eq!(first.own(Owner::Instance).expect("holds").version.epoch, PolicyEpoch(1));
    drop(first);
    let text = kept("3d");
    let again = house.policies(("other", &text)).await.expect("opens");
    assert_eq!(live(&again, Owner::Instance), "30d", "a file seeds the first start alone");
}

#[tokio::test]
async fn a_first_start_is_refused_with_a_policy_that_may_not_hold() {
    for text in ["candor_policy = 1\nretention = 3", "candor_policy = 1\nextends = \"preset:logrocket-2018\""]
    {
        let refused = House::new().policies(("policy.toml", text)).await;
        assert!(matches!(refused, Err(NoticesError::Seed(_))), "{text}");
    }
}

#[tokio::test]
async fn what_is_refused_changes_nothing() {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    for text in ["nonsense", "candor_policy = 1\n[collect]\nenrichment = [\"x\"]\n"] {
        let refused = policies.apply(Owner::Instance, "policy.toml", text, "admin").await.expect("asks");
        assert!(matches!(refused, Err(Refused::Faults(_) | Refused::Findings(_))));
    }
    assert_eq!(policies.versions(Owner::Instance).await.expect("lists").len(), 1);
}

#[tokio::test]
async fn what_tightens_holds_at_once() {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    let applied = apply(&policies, Owner::Instance, &kept("3d")).await;
    assert!(applied.announced.is_none());
    assert_eq!(
        applied.changes.iter().map(|change| change.class).collect::<Vec<_>>(),
        [ChangeClass::Tightening]
    );
    assert_eq!(live(&policies, Owner::Instance), "3d");
    assert!(applied.in_force.epoch > PolicyEpoch(1));
    let states: Vec<State> = policies
        .versions(Owner::Instance)
        .await
        .expect("lists")
        .iter()
        .map(|version| version.state())
        .collect();
    assert_eq!(states, [State::InForce, State::Ended]);
    // And still does after a start.
    drop(policies);
    assert_eq!(live(&house.policies(SEED).await.expect("opens"), Owner::Instance), "3d");
}

#[tokio::test]
async fn what_loosens_waits_for_the_notice_period_of_what_holds() {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    // That the period itself gets shorter is part of what waits.
    let text = kept("60d") + "[governance.changes]\nprior_days = 0\n";
    let applied = apply(&policies, Owner::Instance, &text).await;
    let announced = applied.announced.expect("waits");
    assert_eq!(announced.effective_at, Timestamp(house.clock.now().0 + 30 * DAY_US));
    assert_eq!(live(&policies, Owner::Instance), "30d");
    assert!(policies.begin_due().await.expect("looks").is_empty());
    house.clock.advance(30 * DAY_US - 1);
    assert!(policies.begin_due().await.expect("looks").is_empty());
    house.clock.advance(1);
    let begun = policies.begin_due().await.expect("looks");
    assert_eq!(begun.iter().map(|version| version.epoch).collect::<Vec<_>>(), [announced.epoch]);
    assert_eq!(live(&policies, Owner::Instance), "60d");
    assert!(policies.announced(Owner::Instance).await.expect("asks").is_none());
}

/// A file with these periods, and with these recipients.
fn shared(periods: &str, ids: &[&str], rest: &str) -> String {
    let recipient = |id: &&str| {
        format!(
            "[[recipient]]\nid = \"{id}\"\nname = \"{id} Co\"\ncountry = \"DE\"\nrole = \"dpv:DataSubProcessor\"\n\
             endpoints = [\"https://{id}.example\"]\n"
        )
    };
    let recipients: String = ids.iter().map(recipient).collect();
    file(&format!("[governance.changes]\n{periods}\n{recipients}\n{rest}"))
}

#[tokio::test]
async fn somebody_else_who_gets_data_is_announced_for_their_own_time() {
    let days = |house: &House, applied: &candor_notices::Applied| {
        let announced = applied.announced.as_ref().expect("waits");
        (announced.effective_at.0 - house.clock.now().0) / DAY_US
    };
    // What holds is what counts: each begins anew with a house of these periods.
    let longer = "[[activity]]\nid = \"errors\"\nretention = { live = \"60d\" }\n";
    for (periods, ids, rest, expected) in [
        ("prior_days = 7\nsubprocessor_days = 45", &["pager"][..], "", 45),
        ("prior_days = 7\nsubprocessor_days = 2", &["pager"], "", 2),
        ("prior_days = 7\nsubprocessor_days = 2", &["pager"], longer, 7),
        ("prior_days = 7\nsubprocessor_days = 45", &[], longer, 7),
    ] {
        let house = House::new();
        let policies = house.policies(("policy.toml", &shared(periods, &[], ""))).await.expect("opens");
        let applied = apply(&policies, Owner::Instance, &shared(periods, ids, rest)).await;
        assert_eq!(days(&house, &applied), expected, "{periods} {ids:?} {rest}");
        assert_eq!(applied.in_force.epoch, PolicyEpoch(1));
    }
    // One that is there and gets more is a change like any other; and nobody gets anything before their day.
    let house = House::new();
    let periods = "prior_days = 7\nsubprocessor_days = 45";
    let policies = house.policies(("policy.toml", &shared(periods, &["pager"], ""))).await.expect("opens");
    let wider = shared(periods, &["pager"], "")
        .replace("https://pager.example\"", "https://pager.example\", \"https://b.example\"");
    assert_eq!(days(&house, &apply(&policies, Owner::Instance, &wider).await), 7);
    let both = shared(periods, &["pager", "mailer"], "");
    assert_eq!(days(&house, &apply(&policies, Owner::Instance, &both).await), 45);
    let named =
        |policies: &Policies| policies.own(Owner::Instance).expect("holds").resolved.policy.recipients.len();
    house.clock.advance(45 * DAY_US - 1);
    assert!(policies.begin_due().await.expect("looks").is_empty());
    assert_eq!(named(&policies), 1);
    house.clock.advance(1);
    assert_eq!(policies.begin_due().await.expect("looks").len(), 1);
    assert_eq!(named(&policies), 2);
    // Who goes, goes at once.
    assert!(apply(&policies, Owner::Instance, &shared(periods, &[], "")).await.announced.is_none());
    assert_eq!(named(&policies), 0);
}

#[tokio::test]
async fn of_a_change_both_ways_the_stricter_part_holds_until_the_whole_does() {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    let text = kept("3d") + "[collect]\ndevice_ids = \"keep\"\n";
    let applied = apply(&policies, Owner::Instance, &text).await;
    assert!(applied.in_force.is_interim);
    let devices = |policies: &Policies| {
        policies.own(Owner::Instance).expect("holds").resolved.policy.collect.device_ids.clone()
    };
    assert_eq!((live(&policies, Owner::Instance).as_str(), devices(&policies).as_str()), ("3d", "pseudonym"));
    house.clock.advance(30 * DAY_US);
    policies.begin_due().await.expect("looks");
    assert_eq!((live(&policies, Owner::Instance).as_str(), devices(&policies).as_str()), ("3d", "keep"));
    let epochs: Vec<u32> = policies
        .versions(Owner::Instance)
        .await
        .expect("lists")
        .iter()
        .map(|version| version.epoch.0)
        .collect();
    assert_eq!(epochs, [3, 2, 1]);
}

#[tokio::test]
async fn what_was_announced_can_be_taken_back_and_is_replaced_by_what_comes_after() {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    apply(&policies, Owner::Instance, &kept("60d")).await;
    let later = apply(&policies, Owner::Instance, &kept("70d")).await.announced.expect("waits");
    assert_eq!(policies.announced(Owner::Instance).await.expect("asks").expect("waits").version, later);
    assert!(policies.withdraw(Owner::Instance).await.expect("withdraws"));
    assert!(!policies.withdraw(Owner::Instance).await.expect("withdraws"));
    house.clock.advance(40 * DAY_US);
    assert!(policies.begin_due().await.expect("looks").is_empty());
    assert_eq!(live(&policies, Owner::Instance), "30d");
}

#[tokio::test]
async fn a_project_has_its_own_or_the_instances() {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    let project = ProjectId(7);
    assert_eq!(policies.of(project).expect("holds").version.owner, Owner::Instance);
    // Its first policy is compared with what held there before.
    let applied = apply(&policies, Owner::Project(project), &kept("9d")).await;
    assert_eq!(applied.changes.len(), 1);
    assert_eq!(policies.of(project).expect("holds").version.owner, Owner::Project(project));
    assert_eq!(live(&policies, Owner::Instance), "30d");
    policies.forget(project).await.expect("forgets");
    assert_eq!(policies.of(project).expect("holds").version.owner, Owner::Instance);
    assert_eq!(
        policies.versions(Owner::Project(project)).await.expect("lists").len(),
        1,
        "what was published stays"
    );
}
