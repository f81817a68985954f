//! Lists and paths without a server.

use std::sync::Arc;

use candor_schemas::Kind;

use super::super::edit::Edit;
use super::super::{Book, Context, Extra, RegistryError, Stored, check_empty};
use super::answer::{LIST_BYTES_MAX, list};
use super::body::{Begins, Part};
use super::schemas::Wanted;
use super::settings::Named;

/// One schema under some subjects.
fn book(text: &str, subjects: usize) -> Book {
    let mut book = Book::default();
    let stored = Stored::new(1, Kind::Json, text, Vec::new(), Extra::default());
    book.apply(&Edit::AddSchema(Arc::new(stored)));
    for number in 0..subjects {
        book.apply(&Edit::PutVersion { subject: format!("s{number:03}"), version: 1, id: 1 });
    }
    book
}

fn wanted(offset: usize, limit: usize) -> Wanted {
    Wanted {
        subjects: Begins { prefix: String::new(), context: Context::default_one() },
        hidden_too: false,
        latest_only: false,
        part: Part { offset, limit },
        descriptors: false,
    }
}

#[test]
fn a_list_of_schemas_is_never_longer_than_an_answer_may_be() {
    let book = book(&"x".repeat(1 << 20), 100);
    let refused = wanted(0, usize::MAX).listed(&book);
    let Err(RegistryError::Refused { code: 422, message }) = refused else { panic!("{:?}", refused.is_ok()) };
    assert!(message.contains("offset") && message.contains("limit"), "{message}");
    let part = wanted(98, 10).listed(&book).unwrap();
    let part: Vec<serde_json::Value> = serde_json::from_str(&part).unwrap();
    let subjects: Vec<&str> = part.iter().filter_map(|one| one["subject"].as_str()).collect();
    assert_eq!(subjects, ["s098", "s099"]);
    assert_eq!(wanted(100, 10).listed(&book).unwrap(), "[]");
}

#[test]
fn a_list_ends_where_it_does_not_fit() {
    let mut made = 0;
    let items = std::iter::repeat_with(|| {
        made += 1;
        "x".repeat(1 << 20)
    });
    assert!(list(items.take(1000)).is_err());
    assert!(made <= LIST_BYTES_MAX >> 20, "{made}");
    assert_eq!(list([1, 2].iter()).unwrap(), "[1,2]");
}

#[test]
fn the_latest_versions_alone() {
    let mut book = book("{}", 2);
    book.apply(&Edit::PutVersion { subject: "s000".to_owned(), version: 2, id: 1 });
    book.apply(&Edit::MarkVersion { subject: "s001".to_owned(), version: 1, is_deleted: true });
    let listed = Wanted { latest_only: true, ..wanted(0, 10) }.listed(&book).unwrap();
    let listed: Vec<serde_json::Value> = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["subject"], &listed[0]["version"]), (&"s000".into(), &2.into()));
}

#[test]
fn an_empty_context_may_import_where_others_have_subjects() {
    let book = book("{}", 1);
    let check = |name: Option<&str>| {
        let named = Named::parse(name, &Context::default_one()).unwrap();
        check_empty(&book, named.subject.as_ref(), &named.context)
    };
    assert!(check(Some(":.other:")).is_ok());
    assert!(check(Some("s001")).is_ok());
    assert!(check(Some("s000")).is_err() && check(None).is_err() && check(Some(":.:")).is_err());
}
