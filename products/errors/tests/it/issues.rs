//! Issues over the real log and database: visible at once, counted once, kept over restarts.

use candor_errors::{IssueQuery, Order, Status, issues};
use candor_model::{IssueMap, Signal, Timestamp};

use crate::house::House;

const MONTH_US: i64 = 30 * 86_400 * Timestamp::SECOND;

fn event(id: u32, kind: &str, extra: &str) -> (String, Vec<u8>) {
    let headers = format!(r#"{{"event_id":"{id:032x}"}}"#);
    let event = format!(
        r#"{{"platform":"python","release":"shop@{id}","exception":{{"values":[{{"type":"{kind}","value":"order {id} failed","stacktrace":{{"frames":[{{"module":"shop.{kind}","function":"run","in_app":true}}]}}}}]}}{extra}}}"#
    );
    (headers, event.into_bytes())
}

async fn send(house: &House, id: u32, kind: &str, extra: &str) {
    let (headers, event) = event(id, kind, extra);
    let answer = house.post_items(&headers, &[("event", &event)]).await;
    assert_eq!(answer.status.as_u16(), 200, "{}", answer.body);
}

async fn listed(house: &House, query: IssueQuery) -> Vec<String> {
    let issues = house.issues.list(&house.read, &query).await.unwrap();
    issues
        .iter()
        .map(|issue| format!("{} {} {}x{} {}", issue.id, issue.title, issue.count, issue.users, issue.status))
        .collect()
}

#[tokio::test]
async fn the_map_knows_an_issue_when_its_event_is_acknowledged() {
    let house = House::new().await;
    assert!(house.issues.issues(house.project).is_empty());
    send(&house, 1, "KeyError", "").await;
    let map = house.issues.issues(house.project);
    for hashes in house.rows(Signal::Errors).await {
        use arrow::array::AsArray;
        let hashes = hashes.column_by_name("group_hashes").unwrap().as_list::<i32>().value(0);
        for hash in hashes.as_string::<i32>().iter().flatten() {
            assert_eq!(map.get(hash), Some(&1));
        }
    }
    assert!(house.issues.issues(candor_model::ProjectId(999)).is_empty());
}

#[tokio::test]
async fn counts_people_search_and_order() {
    let house = House::new().await;
    for id in 0..5 {
        let user = format!(r#","user":{{"id":"{}"}}"#, id % 2);
        send(&house, id, "KeyError", &user).await;
        house.clock.advance(1_000_000);
    }
    send(&house, 9, "ValueError", r#","level":"warning","environment":"staging""#).await;
    assert_eq!(
        listed(&house, IssueQuery::default()).await,
        ["2 ValueError: order 9 failed 1x0 unresolved", "1 KeyError: order 4 failed 5x2 unresolved"]
    );
    let by_events = IssueQuery { order: Order::Events, limit: 1, ..IssueQuery::default() };
    assert_eq!(listed(&house, by_events).await, ["1 KeyError: order 4 failed 5x2 unresolved"]);
    for (search, expected) in [
        ("keyerror", 1),
        ("ORDER", 2),
        ("level:warning", 1),
        ("-level:warning", 1),
        ("type:Value* is:unresolved", 1),
        ("release:shop@4", 1),
        ("env:staging keyerror", 0),
        ("\"order 9\"", 1),
        ("100%", 0),
    ] {
        let query = IssueQuery { search: search.to_owned(), ..IssueQuery::default() };
        assert_eq!(listed(&house, query).await.len(), expected, "{search}");
    }
    let issue = house.issues.get(&house.read, 1).await.unwrap().unwrap();
    assert_eq!((issue.trend.len(), issue.trend.iter().sum::<i64>(), issue.trend[23]), (24, 5, 5));
    assert_eq!((issue.first_release.as_str(), issue.release.as_str()), ("shop@0", "shop@4"));
    assert_eq!(issue.culprit, "shop.KeyError in run");
    assert!(!house.issues.hashes(&house.read, 1).await.unwrap().is_empty());
    assert!(house.issues.get(&house.read, 77).await.unwrap().is_none());

    let (other, _) = house.tenancy.create_project("other").await.unwrap();
    let other = house.tenancy.admin_read(other.id).await.unwrap().unwrap();
    assert!(house.issues.list(&other, &IssueQuery::default()).await.unwrap().is_empty());
    assert!(house.issues.get(&other, 1).await.unwrap().is_none());
    assert!(!house.issues.set_status(&other, 1, Status::Resolved).await.unwrap());
}

#[tokio::test]
async fn a_resolved_issue_opens_again_and_an_archived_one_does_not() {
    let house = House::new().await;
    send(&house, 1, "KeyError", "").await;
    send(&house, 2, "ValueError", "").await;
    house.clock.advance(1);
    assert!(house.issues.set_status(&house.read, 1, Status::Resolved).await.unwrap());
    assert!(house.issues.set_status(&house.read, 2, Status::Archived).await.unwrap());
    let status = async |id| house.issues.get(&house.read, id).await.unwrap().unwrap().status;
    assert_eq!((status(1).await, status(2).await), ("resolved".to_owned(), "archived".to_owned()));
    house.clock.advance(1_000_000);
    send(&house, 3, "KeyError", "").await;
    send(&house, 4, "ValueError", "").await;
    assert_eq!((status(1).await, status(2).await), ("unresolved".to_owned(), "archived".to_owned()));
    let issue = house.issues.get(&house.read, 1).await.unwrap().unwrap();
    assert!(issue.regressed_at.is_some());
    let unresolved = IssueQuery { status: Some(Status::Unresolved), ..IssueQuery::default() };
    assert_eq!(listed(&house, unresolved).await.len(), 1);
    assert_eq!(house.issues.counts(&house.read).await.unwrap().len(), 2);
}

#[tokio::test]
async fn restarts_lose_and_double_nothing() {
    let mut house = House::new().await;
    let mut expected = 0;
    for round in 0..4 {
        for id in 0..3 {
            send(&house, round * 10 + id, if id == 2 { "ValueError" } else { "KeyError" }, "").await;
            expected += 1;
        }
        if round % 2 == 0 {
            // Written before the stop; in other rounds what memory held is read from the log again.
            house.issues.settle().await.unwrap();
        }
        house = house.restart().await;
        let issues = house.issues.list(&house.read, &IssueQuery::default()).await.unwrap();
        assert_eq!(issues.iter().map(|issue| issue.count).sum::<i64>(), expected, "round {round}");
        let mut ids: Vec<i64> = issues.iter().map(|issue| issue.id).collect();
        ids.sort_unstable();
        assert_eq!(ids, [1, 2]);
        assert_eq!(house.issues.issues(house.project).values().max(), Some(&2));
    }
}

#[tokio::test]
async fn an_issue_goes_when_its_newest_event_is_no_longer_kept() {
    let house = House::new().await;
    send(&house, 1, "KeyError", "").await;
    send(&house, 2, "ValueError", "").await;
    house.clock.advance(MONTH_US);
    send(&house, 3, "ValueError", "").await;
    send(&house, 4, "TypeError", "").await;
    let kept_since = Timestamp(crate::house::NOW.0 + 1);
    house.issues.retire(kept_since).await.unwrap();
    let expected =
        ["3 TypeError: order 4 failed 1x0 unresolved", "2 ValueError: order 3 failed 2x0 unresolved"];
    assert_eq!(listed(&house, IssueQuery::default()).await, expected);
    assert!(!house.issues.issues(house.project).values().any(|issue| *issue == 1));
    // The newest stays however old, so that no number is given twice.
    house.clock.advance(2 * MONTH_US);
    house.issues.retire(Timestamp(i64::MAX)).await.unwrap();
    let house = house.restart().await;
    send(&house, 5, "KeyError", "").await;
    let expected =
        ["4 KeyError: order 5 failed 1x0 unresolved", "3 TypeError: order 4 failed 1x0 unresolved"];
    assert_eq!(listed(&house, IssueQuery::default()).await, expected);
}

#[tokio::test]
async fn two_that_follow_one_log_count_once() {
    let house = House::new().await;
    send(&house, 1, "KeyError", "").await;
    let clock: std::sync::Arc<dyn candor_model::Clock> =
        std::sync::Arc::<candor_model::time::ManualClock>::clone(&house.clock);
    let second = issues::Issues::open(house.database.clone(), house.log.clone(), clock).await.unwrap();
    for id in 2..6 {
        send(&house, id, "KeyError", "").await;
    }
    // Both took all of it in; the one that writes second finds the position moved and reads anew.
    house.issues.settle().await.unwrap();
    second.settle().await.unwrap();
    send(&house, 6, "KeyError", "").await;
    second.settle().await.unwrap();
    assert_eq!(listed(&house, IssueQuery::default()).await, ["1 KeyError: order 6 failed 6x0 unresolved"]);
    assert_eq!(second.issues(house.project).len(), house.issues.issues(house.project).len());
}

#[tokio::test]
async fn the_task_writes_by_itself() {
    let house = House::new().await;
    let task = house.issues.start(MONTH_US);
    send(&house, 1, "KeyError", "").await;
    let mut written = 0;
    for _ in 0..100 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let rows = house.database.query("SELECT COUNT(*) FROM issue", &[]).await.unwrap();
        written = rows[0].int(0).unwrap();
        if written > 0 {
            break;
        }
    }
    assert_eq!(written, 1);
    task.abort();
}
