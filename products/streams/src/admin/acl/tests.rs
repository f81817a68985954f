//! What rules say, and that they stay.

use std::net::IpAddr;

use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use kafka_protocol::messages::create_acls_request::AclCreation;

use super::*;
use crate::testing::{Bed, on_both_engines};

const SHOP: ProjectId = ProjectId(1);
const OTHER: ProjectId = ProjectId(2);

async fn open(bed: &Bed) -> (Acls, Credentials) {
    let clock = Arc::new(ManualClock::default());
    let random = Arc::new(Seeded::new(1));
    let credentials = Credentials::open(bed.database.clone(), clock, random).await.unwrap();
    let acls = Acls::open(bed.database.clone(), credentials.clone()).await.unwrap();
    (acls, credentials)
}

fn caller(project: ProjectId, user: &str, host: &str) -> Caller {
    let host: IpAddr = host.parse().unwrap();
    Caller { project, user: Arc::from(user), client_id: None, host }
}

fn rule(name: &str, operation: Operation) -> Rule {
    Rule {
        resource: ResourceType::Topic,
        pattern: Pattern::Literal,
        name: name.to_owned(),
        principal: "User:app".to_owned(),
        host: ALL.to_owned(),
        operation,
        permission: Permission::Allow,
    }
}

fn any() -> Filter {
    Filter {
        resource: None,
        pattern: PatternFilter::Any,
        name: None,
        principal: None,
        host: None,
        operation: None,
        permission: None,
    }
}

on_both_engines!(rules_let_in_and_keep_out, filters_find_rules, rules_stay, a_project_has_so_many_rules);

async fn rules_let_in_and_keep_out(bed: Bed) {
    use Operation::*;
    let (acls, credentials) = open(&bed).await;
    let owner = credentials.create(SHOP, "shop").await.unwrap();
    let app = caller(SHOP, "app", "10.0.0.1");
    let may =
        |caller: &Caller, operation, topic: &str| acls.allowed(caller, operation, Resource::topic(topic));
    assert!(!may(&app, Read, "a"), "nothing is said, so the answer is no");
    assert!(may(&caller(SHOP, &owner.username, "::1"), Alter, "a"));
    assert!(!may(&caller(OTHER, &owner.username, "::1"), Alter, "a"), "in another project");
    assert!(may(&caller(SHOP, ANONYMOUS, "127.0.0.1"), Alter, "a"));

    acls.add(SHOP, &[rule("a", Read)]).await.unwrap();
    assert!(may(&app, Read, "a") && may(&app, Describe, "a"), "who reads sees");
    assert!(!may(&app, Write, "a") && !may(&app, Read, "ab") && !may(&app, DescribeConfigs, "a"));
    assert!(!may(&caller(SHOP, "app2", "10.0.0.1"), Read, "a"));
    assert!(!may(&caller(OTHER, "app", "10.0.0.1"), Read, "a"));
    assert!(!acls.allowed(&app, Read, Resource::group("a")), "a group of that name");

    let prefixed = Rule { pattern: Pattern::Prefixed, ..rule("logs-", AlterConfigs) };
    acls.add(SHOP, &[prefixed]).await.unwrap();
    assert!(may(&app, AlterConfigs, "logs-1") && may(&app, DescribeConfigs, "logs-"));
    assert!(!may(&app, AlterConfigs, "logs") && !may(&app, AlterConfigs, "xlogs-"));

    let everything = Rule { principal: EVERYBODY.to_owned(), ..rule(ALL, Operation::All) };
    acls.add(SHOP, std::slice::from_ref(&everything)).await.unwrap();
    assert!(may(&caller(SHOP, "anybody", "10.0.0.1"), Delete, "z"));
    let denied = Rule { permission: Permission::Deny, pattern: Pattern::Prefixed, ..rule("z", Write) };
    acls.add(SHOP, &[denied]).await.unwrap();
    assert!(!may(&app, Write, "zz"), "a denial wins");
    assert!(may(&app, Describe, "zz") && may(&app, Read, "zz"), "it forbids only what it says");
    assert!(may(&caller(SHOP, "anybody", "10.0.0.1"), Write, "zz"));
    let nobody = caller(SHOP, ANONYMOUS, "127.0.0.1");
    let to_all = Rule { permission: Permission::Deny, principal: EVERYBODY.to_owned(), ..rule("q", Read) };
    acls.add(SHOP, &[to_all]).await.unwrap();
    assert!(!may(&nobody, Read, "q") && may(&nobody, Write, "q"), "a denial binds who need not log in");
    assert!(may(&caller(SHOP, &owner.username, "::1"), Read, "q"));
    let from_there =
        Rule { permission: Permission::Deny, host: "10.0.0.9".to_owned(), ..rule("a", Operation::All) };
    acls.add(SHOP, &[from_there]).await.unwrap();
    assert!(may(&app, Read, "a") && !may(&caller(SHOP, "app", "10.0.0.9"), Read, "a"));
    assert!(!may(&caller(SHOP, "app", "::ffff:10.0.0.9"), Read, "a"), "the same address, written otherwise");

    let bits = acls.operations(&app, Resource::topic("zz"));
    let all = ResourceType::Topic.operations().iter().fold(0, |bits, one| bits | 1 << one.wire());
    assert_eq!(bits, all & !(1 << Write.wire()));
    assert_eq!(acls.operations(&app, Resource::cluster()), 0);
    assert!(acls.allowed_some(&app, Write, ResourceType::Topic));
    assert!(!acls.allowed_some(&app, Write, ResourceType::TransactionalId));
}

async fn filters_find_rules(bed: Bed) {
    let (acls, _) = open(&bed).await;
    let prefixed = Rule { pattern: Pattern::Prefixed, ..rule("ab", Operation::Read) };
    let wild = rule(ALL, Operation::Write);
    let exact = rule("abc", Operation::Read);
    acls.add(SHOP, &[prefixed.clone(), wild.clone(), exact.clone()]).await.unwrap();
    let names =
        |filter: Filter| acls.list(SHOP, &filter).into_iter().map(|rule| rule.name).collect::<Vec<_>>();
    let by_name = |pattern| Filter { pattern, name: Some("abc".to_owned()), ..any() };
    assert_eq!(names(any()).len(), 3);
    assert_eq!(names(by_name(PatternFilter::Any)), ["abc"]);
    assert_eq!(names(by_name(PatternFilter::Only(Pattern::Literal))), ["abc"]);
    assert!(names(by_name(PatternFilter::Only(Pattern::Prefixed))).is_empty());
    assert_eq!(names(by_name(PatternFilter::Match)), ["*", "abc", "ab"]);
    assert_eq!(names(Filter { operation: Some(Operation::Write), ..any() }), ["*"]);
    assert_eq!(names(Filter { principal: Some("User:other".to_owned()), ..any() }), [""; 0]);
    assert_eq!(names(Filter { permission: Some(Permission::Deny), ..any() }), [""; 0]);
    assert!(acls.list(OTHER, &any()).is_empty());
    let filters = [by_name(PatternFilter::Match), any()];
    let removed = acls.remove(SHOP, &filters).await.unwrap();
    assert_eq!(removed, [vec![wild, exact, prefixed], vec![]], "the first took them");
    assert!(acls.list(SHOP, &any()).is_empty());
}

async fn rules_stay(bed: Bed) {
    let (acls, _) = open(&bed).await;
    let rules =
        [rule("a", Operation::Read), Rule { permission: Permission::Deny, ..rule("a", Operation::Write) }];
    acls.add(SHOP, &rules).await.unwrap();
    acls.add(SHOP, &rules).await.unwrap();
    acls.add(OTHER, &rules[..1]).await.unwrap();
    let (again, _) = open(&bed).await;
    assert_eq!(again.list(SHOP, &any()), acls.list(SHOP, &any()));
    assert_eq!(again.list(SHOP, &any()).len(), 2);
    again.remove(SHOP, &[Filter { operation: Some(Operation::Read), ..any() }]).await.unwrap();
    again.forget(OTHER).await.unwrap();
    let (last, _) = open(&bed).await;
    assert_eq!(last.list(SHOP, &any()), [rules[1].clone()]);
    assert!(last.list(OTHER, &any()).is_empty());
}

async fn a_project_has_so_many_rules(bed: Bed) {
    let (acls, _) = open(&bed).await;
    let many: Vec<Rule> =
        (0..=RULES_PER_PROJECT_MAX).map(|n| rule(&format!("t{n}"), Operation::Read)).collect();
    assert!(matches!(acls.add(SHOP, &many).await, Err(AclError::TooMany)));
    assert!(acls.list(SHOP, &any()).is_empty(), "all or none");
}

#[test]
fn what_is_no_rule_is_refused() {
    let good = AclCreation::default()
        .with_resource_type(2)
        .with_resource_name("a".into())
        .with_resource_pattern_type(3)
        .with_principal("User:app".into())
        .with_host("*".into())
        .with_operation(3)
        .with_permission_type(3);
    assert_eq!(api::rule(&good).unwrap(), rule("a", Operation::Read));
    for bad in [
        good.clone().with_resource_type(1),
        good.clone().with_resource_type(0),
        good.clone().with_resource_type(99),
        good.clone().with_resource_pattern_type(1),
        good.clone().with_resource_pattern_type(2),
        good.clone().with_resource_name("".into()),
        good.clone().with_principal("app".into()),
        good.clone().with_principal("Group:app".into()),
        good.clone().with_principal("User:".into()),
        good.clone().with_host("".into()),
        good.clone().with_operation(1),
        good.clone().with_operation(9),
        good.clone().with_permission_type(1),
        good.clone().with_resource_type(4),
        good.clone().with_resource_name("x".repeat(2000).into()),
    ] {
        assert_eq!(api::rule(&bad).unwrap_err().code(), 42, "{bad:?}");
    }
}
