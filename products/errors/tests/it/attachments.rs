//! Attachments: stored before their event, named by it, found again, and collected when nothing names them.

use candor_errors::attachments;
use candor_gate::codec;
use candor_model::{Offset, Partition, Signal, Timestamp};

use crate::house::House;

const ID: &str = "9ec79c33ec9942ab8353589fcb2e04dc";
const HEADERS: &str = r#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}"#;
const EVENT: &[u8] = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","message":"x"}"#;
const MONTH_US: i64 = 30 * 86_400 * Timestamp::SECOND;

/// The names that the stored event gives its attachments.
async fn named(house: &House) -> Vec<serde_json::Value> {
    let events = house.column(Signal::Errors, "event").await;
    let event: serde_json::Value = serde_json::from_str(&events[0]).unwrap();
    event["attachments"].as_array().cloned().unwrap_or_default()
}

async fn read(house: &House, event: &str, name: &str) -> Option<Vec<u8>> {
    let blobs = house.log.blobs();
    let file = attachments::open(&house.issues, &blobs, &house.read, event, name).await.unwrap()?;
    Some(file.read(0..file.length()).await.unwrap().to_vec())
}

#[tokio::test]
async fn what_came_with_an_event_is_read_back_scrubbed() {
    let house = House::new().await;
    let items: &[(&str, &[u8])] = &[
        ("event", EVENT),
        ("attachment", b"paid with 4111111111111111, thanks"),
        ("attachment", b"\xff\xfe\x00 password=hunter2 \x00\x01"),
    ];
    assert_eq!(house.post_items(HEADERS, items).await.header("x-sentry-rate-limits"), "");
    assert_eq!(house.counted(), ["attachment accepted  2", "error accepted  1"]);
    let named = named(&house).await;
    let id = |at: usize| named[at]["id"].as_str().unwrap();
    assert_eq!(read(&house, ID, id(0)).await.unwrap(), b"paid with [card], thanks");
    let dump = read(&house, ID, id(1)).await.unwrap();
    assert!(dump.starts_with(b"\xff\xfe\x00") && dump.ends_with(b"\x00\x01") && dump.len() == 23, "{dump:?}");
    assert!(!dump.windows(7).any(|seven| seven == b"hunter2"));
    assert_eq!((&named[0]["size"], &named[0]["type"]), (&24.into(), &"event.attachment".into()));
    // Of another event, by another name, by a path: nothing.
    assert_eq!(read(&house, "00000000000000000000000000000000", id(0)).await, None);
    assert_eq!(read(&house, ID, "0193e4a1b2c3000102030405060708ff").await, None);
    assert_eq!(read(&house, ID, "../1/x").await, None);
    // Another project's reader finds nothing under the same name.
    let (other, _) = house.tenancy.create_project("other").await.unwrap();
    let scope = house.tenancy.admin_read(other.id).await.unwrap().unwrap();
    let found = attachments::open(&house.issues, &house.log.blobs(), &scope, ID, id(0)).await.unwrap();
    assert!(found.is_none());
}

#[tokio::test]
async fn what_no_event_names_is_collected_and_what_one_names_stays_for_its_time() {
    let house = House::new().await;
    let items: &[(&str, &[u8])] = &[("event", EVENT), ("attachment", b"a log")];
    house.post_items(HEADERS, items).await;
    // The retry's event is known; its attachment is written again, and nothing names that one.
    house.post_items(HEADERS, items).await;
    assert_eq!(house.count(Signal::Errors).await, 1);
    let blobs = house.log.blobs();
    let collect = || attachments::collect(&house.issues, &blobs, MONTH_US);
    assert_eq!((blobs.stored().await.unwrap().len(), collect().await.unwrap()), (2, 0));
    house.clock.advance(7 * 3_600 * Timestamp::SECOND);
    assert_eq!((collect().await.unwrap(), collect().await.unwrap()), (1, 0));
    let name = named(&house).await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(read(&house, ID, &name).await.unwrap(), b"a log");
    let house = house.restart().await;
    house.clock.advance(MONTH_US);
    let blobs = house.log.blobs();
    assert_eq!(attachments::collect(&house.issues, &blobs, MONTH_US).await.unwrap(), 1);
    assert_eq!(read(&house, ID, &name).await, None);
}

#[tokio::test]
async fn an_event_names_no_attachments_that_did_not_come_with_it() {
    let house = House::new().await;
    let event = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc","attachments":[{"id":"0193e4a1b2c3000102030405060708ff"}]}"#;
    house.post_items(HEADERS, &[("event", event)]).await;
    assert_eq!(named(&house).await, Vec::<serde_json::Value>::new());
    let topic = candor_log::Topic { project: house.project, name: Signal::Errors.topic() };
    let batches = house.log.read(&topic, Partition(0), Offset(0), 1 << 20).await.unwrap();
    assert_eq!(codec::decode(Signal::Errors, &batches[0].batch).unwrap().num_rows(), 1);
}

#[tokio::test]
async fn what_comes_without_its_event_is_tied_to_it_by_the_envelopes_id() {
    let house = House::new().await;
    house.post_items(HEADERS, &[("event", EVENT)]).await;
    let answer = house.post_items(HEADERS, &[("attachment", b"paid with 4111111111111111, later")]).await;
    assert_eq!(answer.line(), format!(r#"200 {{"id":"{ID}"}}"#));
    assert_eq!(answer.header("x-sentry-rate-limits"), "");
    let blobs = house.log.blobs();
    let late = async |house: &House| -> Vec<serde_json::Value> {
        let late = attachments::late(&house.issues, &house.read, ID).await.unwrap();
        late.iter().map(|about| serde_json::from_str(about).unwrap()).collect()
    };
    let about = late(&house).await;
    assert_eq!((about.len(), &about[0]["size"]), (1, &23.into()));
    let name = about[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(read(&house, ID, &name).await.unwrap(), b"paid with [card], later");
    // It stays as long as one that its event names, and goes with it.
    house.clock.advance(7 * 3_600 * Timestamp::SECOND);
    assert_eq!(attachments::collect(&house.issues, &blobs, MONTH_US).await.unwrap(), 0);
    house.clock.advance(MONTH_US);
    assert_eq!(attachments::collect(&house.issues, &blobs, MONTH_US).await.unwrap(), 1);
    assert_eq!(late(&house).await, Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn attachments_that_belong_to_nothing_and_too_many_are_counted() {
    let house = House::new().await;
    // What is said about it is cleared too.
    let item = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dc"}
{"type":"attachment","length":1,"filename":"card 4111111111111111.txt"}
x
"#;
    house.post(&house.envelope_path(), item.to_vec()).await;
    let late = attachments::late(&house.issues, &house.read, ID).await.unwrap();
    assert!(late.len() == 1 && late[0].contains("card [card].txt"), "{late:?}");
    let many: Vec<(&str, &[u8])> = vec![("attachment", b"x"); 30];
    house.post_items(HEADERS, &many).await;
    assert_eq!(house.counted(), ["attachment accepted  30", "attachment invalid too_many_attachments 1"]);
    let lone = house.post_items("{}", &[("attachment", b"whose?")]).await;
    assert_eq!(lone.header("x-sentry-rate-limits"), "1:attachment:project:not_supported");
    let dump = br#"{"event_id":"9ec79c33ec9942ab8353589fcb2e04dd"}
{"type":"attachment","length":4,"attachment_type":"event.minidump"}
MDMP
"#;
    house.post(&house.envelope_path(), dump.to_vec()).await;
    assert!(
        house.counted().contains(&"attachment not_supported no_event 2".to_owned()),
        "{:?}",
        house.counted()
    );
}
