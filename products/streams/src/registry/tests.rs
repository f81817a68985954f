//! The registry without HTTP, on both engines.

use candor_model::ProjectId;
use candor_schemas::Kind;

use super::{Context, Deleted, Extra, Given, Mode, Reference, Registry, RegistryError, Scope, Subject};
use crate::testing::{Bed, on_both_engines};

const P: ProjectId = ProjectId(7);

on_both_engines!(
    schemas_are_there_again,
    at_once_one_schema_has_one_id,
    a_schema_that_is_referred_to_stays,
    a_forgotten_project_has_nothing,
    what_is_kept_with_schemas_counts,
    what_is_referred_to_is_bounded,
    anything_follows_the_latest_of_nothing,
    a_new_subject_is_not_called_by_a_card
);

fn subject(name: &str) -> Subject {
    Subject::parse(name, &Context::default_one()).unwrap()
}

fn avro(text: &str) -> Given {
    Given {
        kind: Kind::Avro,
        text: text.to_owned(),
        references: Vec::new(),
        extra: Extra::default(),
        normalize: false,
        id: None,
        version: None,
    }
}

fn record(name: &str) -> Given {
    avro(&format!(r#"{{"type":"record","name":"{name}","fields":[{{"name":"a","type":"int"}}]}}"#))
}

fn code(result: Result<impl std::fmt::Debug, RegistryError>) -> i32 {
    match result {
        Err(RegistryError::Refused { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

async fn a_new_subject_is_not_called_by_a_card(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    let card = "pay-4111111111111111-value";
    let told = registry.register(P, subject(card), record("A")).await.unwrap_err();
    assert!(!told.to_string().contains("4111"), "{told}");
    assert_eq!(code(Err::<(), _>(told)), 42208);
    let in_context = Subject::parse(":.DE89370400440532013000:s", &Context::default_one()).unwrap();
    assert_eq!(code(registry.register(P, in_context.clone(), record("A")).await), 42208);
    for scope in [Scope::subject(&subject(card)), Scope::context(in_context.context())] {
        let set = |_: &super::Book, settings: &mut super::Settings| {
            settings.normalize = Some(true);
            Ok(())
        };
        assert_eq!(code(registry.set(P, scope, set).await), 42208);
    }
    assert!(registry.book(P).subjects().next().is_none());
    registry.register(P, subject("pay-value"), record("A")).await.unwrap();
}

async fn schemas_are_there_again(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    let first = registry.register(P, subject("s"), record("A")).await.unwrap();
    assert_eq!((first.version, first.stored.id), (1, 1));
    registry.register(P, subject(":.c:s"), avro("\"int\"")).await.unwrap();
    registry
        .set(P, Scope::subject(&subject("s")), |_, settings| {
            (settings.mode, settings.normalize) = (Some(Mode::Readonly), Some(true));
            Ok(())
        })
        .await
        .unwrap();
    registry.register(P, subject("t"), record("B")).await.unwrap();
    registry.delete_subject(P, subject("t"), Deleted::Softly).await.unwrap();
    registry.delete_subject(P, subject("t"), Deleted::ForGood).await.unwrap();
    let again = Registry::open(bed.database.clone()).await.unwrap();
    for registry in [registry, again] {
        let book = registry.book(P);
        assert_eq!(book.subjects().map(|(name, _)| name).collect::<Vec<_>>(), [":.c:s", "s"]);
        assert_eq!(book.next_id(), 4, "an id is never given twice");
        assert_eq!(book.version("s", -1, false).unwrap().1.guid(), first.stored.guid());
        assert_eq!(book.mode(&Scope::subject(&subject("s"))), Mode::Readonly);
        assert!(book.normalizes(&Scope::subject(&subject("s"))));
        assert_eq!(registry.schema(P, 2).unwrap().canonical(), "\"int\"");
        assert!(registry.schema(P, 3).is_none() && registry.schema(ProjectId(8), 1).is_none());
        assert_eq!(code(registry.register(P, subject("s"), record("C")).await), 42205);
    }
}

async fn at_once_one_schema_has_one_id(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    let mut tasks = Vec::new();
    for number in 0..40 {
        let registry = registry.clone();
        let (name, given) = (format!("s{}", number % 2), record(&format!("R{}", number % 4)));
        tasks.push(tokio::spawn(async move {
            registry
                .set(P, Scope::whole(), |_, settings| {
                    settings.compatibility = Some("NONE".to_owned());
                    Ok(())
                })
                .await
                .unwrap();
            let registered = registry.register(P, subject(&name), given).await.unwrap();
            (number % 4, registered.stored.id)
        }));
    }
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 4, "{ids:?}");
    let again = Registry::open(bed.database.clone()).await.unwrap();
    let versions = again.book(P).subjects().map(|(_, all)| all.len()).sum::<usize>();
    assert_eq!(versions, 4);
}

async fn a_schema_that_is_referred_to_stays(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    registry.register(P, subject("part"), record("Part")).await.unwrap();
    let reference = Reference { name: "Part".to_owned(), subject: "part".to_owned(), version: -1 };
    let text = r#"{"type":"array","items":"Part"}"#;
    assert_eq!(code(registry.register(P, subject("whole"), avro(text)).await), 42201);
    let given = Given { references: vec![reference], ..avro(text) };
    let whole = registry.register(P, subject("whole"), given.clone()).await.unwrap();
    assert_eq!(whole.stored.references[0].version, 1);
    let found = registry.find(P, subject("whole"), given, false).await.unwrap();
    assert_eq!(found.stored.id, whole.stored.id);
    assert_eq!(registry.book(P).referenced_by("part", 1, false), [whole.stored.id]);
    assert_eq!(code(registry.delete_version(P, subject("part"), 1, Deleted::Softly).await), 42206);
    registry.delete_subject(P, subject("whole"), Deleted::Softly).await.unwrap();
    registry.delete_subject(P, subject("part"), Deleted::Softly).await.unwrap();
    // What is hidden still opens values, so what it needs stays too.
    assert_eq!(code(registry.delete_subject(P, subject("part"), Deleted::ForGood).await), 42206);
    let again = Registry::open(bed.database.clone()).await.unwrap();
    assert!(again.schema(P, whole.stored.id).is_some());
    registry.delete_subject(P, subject("whole"), Deleted::ForGood).await.unwrap();
    registry.delete_subject(P, subject("part"), Deleted::ForGood).await.unwrap();
    assert_eq!(registry.book(P).subjects().count(), 0);
}

async fn a_forgotten_project_has_nothing(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    registry.register(P, subject("s"), record("A")).await.unwrap();
    registry.register(ProjectId(8), subject("s"), record("A")).await.unwrap();
    registry.forget(P).await.unwrap();
    registry.forget(P).await.unwrap();
    let again = Registry::open(bed.database.clone()).await.unwrap();
    for registry in [registry, again] {
        assert!(registry.book(P).is_empty());
        assert_eq!(registry.book(ProjectId(8)).subjects().count(), 1);
    }
}

async fn what_is_kept_with_schemas_counts(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    let large = |number: usize| {
        let metadata = serde_json::json!({ "properties": { "note": "x".repeat(8 << 20), "number": number } });
        Given { extra: Extra { metadata: Some(metadata), rule_set: None }, ..avro("\"int\"") }
    };
    for number in 0..3 {
        registry.register(P, subject(&format!("s{number}")), large(number)).await.unwrap();
    }
    assert_eq!(code(registry.register(P, subject("s3"), large(3)).await), 42205, "32 MiB are full");
    registry.register(P, subject("small"), record("A")).await.unwrap();
    registry.delete_subject(P, subject("s0"), Deleted::Softly).await.unwrap();
    registry.delete_subject(P, subject("s0"), Deleted::ForGood).await.unwrap();
    registry.register(P, subject("s3"), large(3)).await.unwrap();
}

async fn what_is_referred_to_is_bounded(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    let json = |text: String| Given { kind: Kind::Json, ..avro(&text) };
    let refer = |name: String, to: usize| Reference { name, subject: format!("large{to}"), version: 1 };
    for number in 0..5 {
        let text = format!(r#"{{"description":"{}","title":"{number}"}}"#, "x".repeat(900 << 10));
        registry.register(P, subject(&format!("large{number}")), json(text)).await.unwrap();
    }
    // Many names of one: its text is there once.
    let names = (0..200).map(|number| refer(format!("n{number}"), 0)).collect();
    let given = Given { references: names, ..json(r#"{"$ref":"n199"}"#.to_owned()) };
    let many = registry.register(P, subject("many"), given).await.unwrap();
    let book = registry.book(P);
    let (dependencies, bytes) = book.dependencies(&many.stored.references).unwrap();
    assert_eq!(dependencies.len(), 200);
    assert!(dependencies.iter().all(|one| std::sync::Arc::ptr_eq(&one.text, &dependencies[0].text)));
    assert!(bytes < 1 << 20, "{bytes}");
    assert!(many.stored.parsed(&book).is_some());
    // Each of its own counts.
    let each = (0..5).map(|number| refer(format!("n{number}"), number)).collect();
    let given = Given { references: each, ..json("{}".to_owned()) };
    assert_eq!(code(registry.register(P, subject("each"), given).await), 42201);
}

async fn anything_follows_the_latest_of_nothing(bed: Bed) {
    let registry = Registry::open(bed.database.clone()).await.unwrap();
    let ask = |version| registry.compare(P, subject("new"), record("A"), version);
    assert!(ask(Some(-1)).await.unwrap().is_empty() && ask(None).await.unwrap().is_empty());
    assert_eq!(code(ask(Some(1)).await), 40401);
    registry.register(P, subject("new"), avro("\"int\"")).await.unwrap();
    assert!(!ask(Some(-1)).await.unwrap().is_empty());
    assert_eq!(code(ask(Some(2)).await), 40402);
}

#[test]
fn names_of_subjects() {
    let context = Context::parse("staging");
    for (text, full, topic) in [
        ("orders-value", "orders-value", "orders"),
        ("orders-key", "orders-key", "orders"),
        ("orders", "orders", "orders"),
        (":.:orders-value", "orders-value", "orders"),
        (":.a:b-value", ":.a:b-value", "b"),
    ] {
        let subject = subject(text);
        assert_eq!((subject.full(), subject.topic()), (full, topic));
    }
    assert_eq!(Subject::parse("s", &context).unwrap().full(), ":.staging:s");
    assert_eq!(Subject::parse(":.a:s", &context).unwrap().full(), ":.a:s");
    for bad in ["", ":.a:", "a\nb", "__GLOBAL", &"x".repeat(600)] {
        assert_eq!(code(Subject::parse(bad, &context)), 42208, "{bad:?}");
    }
}
