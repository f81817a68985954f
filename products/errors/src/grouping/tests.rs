//! What must be one issue and what must not: from every event twins are made that differ in what does not matter, or
//! in what does.

use candor_model::json::{Leniency, parse};

use super::*;

fn hashes(event: &str) -> Vec<String> {
    let event = parse(event.as_bytes(), Leniency::default()).unwrap();
    crate::event::columns(&event).group_hashes
}

/// Whether two events meet: an event joins the issue that owns any of its hashes.
fn together(one: &str, other: &str) -> bool {
    let others = hashes(other);
    hashes(one).iter().any(|hash| others.contains(hash))
}

fn python(kind: &str, value: &str, frames: &str) -> String {
    format!(
        r#"{{"platform":"python","exception":{{"values":[{{"type":"{kind}","value":"{value}","stacktrace":{{"frames":[{frames}]}}}}]}}}}"#
    )
}

const VIEW: &str = r#"{"module":"shop.views","function":"checkout","lineno":7,"abs_path":"/srv/a/shop/views.py","in_app":true,"context_line":"  total = cart.sum()"}"#;
const VIEW_MOVED: &str = r#"{"module":"shop.views","function":"checkout","lineno":91,"colno":3,"abs_path":"/opt/b/shop/views.py","in_app":true,"vars":{"x":1},"context_line":"      total =  cart.sum()"}"#;
const OTHER: &str = r#"{"module":"shop.views","function":"refund","lineno":7,"in_app":true}"#;
const LIBRARY: &str = r#"{"module":"flask.app","function":"dispatch","abs_path":"/x/site-packages/flask/app.py","in_app":false}"#;
const LIBRARY_2: &str = r#"{"module":"flask.app","function":"full_dispatch","abs_path":"/x/site-packages/flask/app.py","in_app":false}"#;

#[test]
fn lines_paths_values_and_libraries_do_not_split() {
    let event = python("KeyError", "'a'", &[LIBRARY, VIEW].join(","));
    assert!(together(&event, &python("KeyError", "'b'", &[LIBRARY_2, VIEW_MOVED].join(","))));
    let recursive =
        python("KeyError", "'a'", &[LIBRARY, VIEW, OTHER, VIEW, OTHER, VIEW, OTHER, VIEW].join(","));
    let deeper = python("KeyError", "'a'", &[LIBRARY, VIEW, OTHER, VIEW, OTHER, VIEW].join(","));
    assert!(together(&recursive, &deeper));
}

#[test]
fn another_type_or_place_splits() {
    let event = python("KeyError", "'a'", VIEW);
    assert!(!together(&event, &python("ValueError", "'a'", VIEW)));
    assert!(!together(&event, &python("KeyError", "'a'", OTHER)));
    assert!(!together(&event, &python("KeyError", "'a'", &[OTHER, VIEW].join(","))));
}

#[test]
fn without_the_applications_frames_all_frames_count() {
    let event = python("KeyError", "'a'", LIBRARY);
    assert!(!together(&event, &python("KeyError", "'a'", LIBRARY_2)));
    // An SDK that starts to mark what is the application's does not split.
    let marked = r#"{"module":"shop.jobs","function":"run","in_app":true}"#;
    let unmarked = r#"{"module":"shop.jobs","function":"run","in_app":false}"#;
    assert!(together(&python("E", "", marked), &python("E", "", unmarked)));
}

#[test]
fn without_frames_the_shape_of_the_value_counts() {
    let event = |value: &str| python("TimeoutError", value, "");
    assert!(together(&event("order 17 timed out after 30s"), &event("order 99182 timed out after 2s")));
    assert!(!together(&event("order 17 timed out"), &event("order 17 was refused")));
}

#[test]
fn messages_by_their_template() {
    let event = |text: &str| format!(r#"{{"logentry":{{"message":"user %s left","formatted":"{text}"}}}}"#);
    assert!(together(&event("user jane left"), &event("user john left")));
    assert!(together(r#"{"message":"cart 7 is empty"}"#, r#"{"logentry":"cart 12345 is empty"}"#));
    assert!(!together(r#"{"message":"cart is empty"}"#, r#"{"message":"cart is full"}"#));
}

#[test]
fn browsers_builds_and_hosts_do_not_split() {
    let event = |function: &str, file: &str| {
        format!(
            r#"{{"platform":"javascript","exception":{{"values":[{{"type":"TypeError","value":"x","stacktrace":{{"frames":[
            {{"function":"?","filename":"https://shop.example/checkout"}},{{"function":"{function}","filename":"{file}","abs_path":"{file}","lineno":1}}]}}}}]}}}}"#
        )
    };
    let chrome = event("Object.pay", "https://shop.example/static/app.3f2a9c1b.js");
    assert!(together(&chrome, &event("pay", "https://cdn.example/v2/app.99aa00ff.js?x=1")));
    assert!(!together(&chrome, &event("refund", "https://shop.example/static/app.3f2a9c1b.js")));
}

#[test]
fn the_senders_fingerprint_decides_or_adds() {
    let with = |fingerprint: &str, kind: &str| {
        python(kind, "x", VIEW).replacen('{', &format!(r#"{{"fingerprint":{fingerprint},"#), 1)
    };
    assert!(together(&with(r#"["mine"]"#, "A"), &with(r#"["mine"]"#, "B")));
    assert!(!together(&with(r#"["mine"]"#, "A"), &with(r#"["yours"]"#, "A")));
    assert!(together(&with(r#"["{{ default }}"]"#, "A"), &python("A", "x", VIEW)));
    let added = with(r#"["{{ default }}","eu"]"#, "A");
    assert!(together(&added, &with(r#"["{{default}}","eu"]"#, "A")));
    assert!(!together(&added, &with(r#"["{{ default }}","us"]"#, "A")));
    assert!(!together(&added, &with(r#"["{{ default }}","eu"]"#, "B")));
    assert!(!together(&added, &python("A", "x", VIEW)));
    assert_eq!(
        hashes(r#"{"checksum":"ABCDEFabcdef00112233445566778899"}"#),
        ["abcdefabcdef00112233445566778899"]
    );
}

#[test]
fn a_chain_counts_whole_and_a_group_by_its_leaf() {
    let cause = |kind: &str| {
        format!(
            r#"{{"platform":"python","exception":[{{"type":"{kind}","value":"1"}},{{"type":"E","stacktrace":{{"frames":[{VIEW}]}}}}]}}"#
        )
    };
    assert!(!together(&cause("A"), &cause("B")));
    let leaf = format!(
        r#"{{"type":"V","value":"x","stacktrace":{{"frames":[{VIEW}]}},"mechanism":{{"exception_id":1,"parent_id":0}}}}"#
    );
    let group = format!(
        r#"{{"platform":"python","exception":[{leaf},{{"type":"ExceptionGroup","mechanism":{{"exception_id":0,"is_exception_group":true}}}}]}}"#
    );
    assert!(together(&group, &format!(r#"{{"platform":"python","exception":[{leaf}]}}"#)));
}

#[test]
fn threads_and_events_without_anything() {
    let thread = |flags: &str| {
        format!(
            r#"{{"message":"x","threads":[{{"stacktrace":{{"frames":[{VIEW}]}}{flags}}},{{"stacktrace":{{"frames":[{OTHER}]}}}}]}}"#
        )
    };
    assert!(together(&thread(r#","crashed":true"#), &thread(r#","current":true"#)));
    assert!(together(&thread(""), r#"{"message":"x"}"#));
    assert!(together("{}", r#"{"exception":{"values":[{}]}}"#));
    assert_eq!(hashes("{}").len(), 1);
}

#[test]
fn hashes_are_stable() {
    // A change here splits every issue of every installation: raise VERSION and say so, or do not change it.
    expect_test::expect!["896d66cd85a9346e23b93f9de6e3dcad 55adb0e02b76ad75c0cd7160199fd63e"]
        .assert_eq(&hashes(&python("KeyError", "'a'", &[LIBRARY, VIEW].join(","))).join(" "));
}

#[test]
fn lists_of_parts_do_not_run_together() {
    assert_ne!(hash(&["a", "b"]), hash(&["ab"]));
    assert_ne!(hash(&["a", ""]), hash(&["a"]));
}
