//! What published policies promise of changes.

use super::*;

fn recipients(policies: &Policies) -> usize {
    policies.own(Owner::Instance).expect("holds").resolved.policy.recipients.len()
}

fn uses(policies: &Policies) -> Vec<String> {
    let held = policies.own(Owner::Instance).expect("holds");
    held.resolved.policy.activity("errors").expect("is there").data_uses.clone()
}

/// A file that brings this, and only after the notice period.
async fn waits(text: &str, holds: impl Fn(&Policies) -> bool) {
    let house = House::new();
    let policies = house.policies(SEED).await.expect("opens");
    let announced = apply(&policies, Owner::Instance, text).await.announced.expect("waits");
    assert_eq!(announced.effective_at, Timestamp(house.clock.now().0 + 30 * DAY_US));
    assert!(!holds(&policies));
    house.clock.advance(30 * DAY_US - 1);
    policies.begin_due().await.expect("looks");
    assert!(!holds(&policies), "a moment before its day");
    house.clock.advance(1);
    policies.begin_due().await.expect("looks");
    assert!(holds(&policies));
}

#[tokio::test]
async fn somebody_else_who_gets_data_waits_for_the_day() {
    let text = file(
        "[[recipient]]\nid = \"pager\"\nname = \"PagerCo\"\ncountry = \"DE\"\nrole = \"dpv:DataSubProcessor\"\n\
         uses = [\"essential.service.notifications\"]\nendpoints = [\"https://api.pager.example\"]",
    );
    waits(&text, |policies| recipients(policies) == 1).await;
}

#[tokio::test]
async fn another_use_of_data_waits_for_the_day() {
    let text = file(
        "[[activity]]\nid = \"errors\"\n\
         data_uses = [\"essential.service.operations.improve\", \"personalize.content\"]",
    );
    waits(&text, |policies| uses(policies).contains(&"personalize.content".to_owned())).await;
}

fn responsible(policies: &Policies) -> String {
    let held = policies.own(Owner::Instance).expect("holds");
    held.resolved.policy.controller.name.clone().unwrap_or_default()
}

/// Who is named for the first time is named at once; another one after the days that are promised of that.
#[tokio::test]
async fn another_one_who_is_responsible_waits_for_the_days_of_a_transfer() {
    for days in [45, 0] {
        let house = House::new();
        let policies = house.policies(SEED).await.expect("opens");
        let named = |name: &str| {
            file(&format!(
                "[controller]\nname = \"{name}\"\n[governance.transfer_of_control]\nnotice_days = {days}"
            ))
        };
        apply(&policies, Owner::Instance, &named("First")).await;
        house.clock.advance(30 * DAY_US);
        policies.begin_due().await.expect("looks");
        assert_eq!(responsible(&policies), "First");
        let announced = apply(&policies, Owner::Instance, &named("Second")).await.announced.expect("waits");
        assert_eq!(announced.effective_at, Timestamp(house.clock.now().0 + days * DAY_US));
        assert_eq!(responsible(&policies), "First");
        house.clock.advance(days * DAY_US);
        policies.begin_due().await.expect("looks");
        assert_eq!(responsible(&policies), "Second");
    }
}

/// Where no notice is promised a change holds at once, and whoever looks at the page finds that there was one.
#[tokio::test]
async fn without_a_notice_period_a_change_holds_at_once_and_is_listed() {
    let house = House::new();
    let without = "[governance.changes]\nprior_days = 0";
    let seed = file(without);
    let policies = house.policies(("policy.toml", &seed)).await.expect("opens");
    apply(&policies, Owner::Instance, &(kept("60d") + without + "\n")).await;
    policies.begin_due().await.expect("looks");
    assert_eq!(live(&policies, Owner::Instance), "60d");
    let versions = policies.versions(Owner::Instance).await.expect("lists");
    let states: Vec<State> = versions.iter().map(|version| version.state()).collect();
    assert_eq!(states, [State::InForce, State::Ended]);
    assert_eq!(versions[0].activated_at, Some(house.clock.now()));
}
