//! What the language says, and that it says it in time.

use expect_test::{Expect, expect};

use super::*;

fn parse(text: &str) -> Selector {
    Selector::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Whether each selector holds at a text at that path of an error.
fn holds(selector: &str, path: &str) -> bool {
    let path: Vec<&str> = path.split('/').filter(|key| !key.is_empty()).collect();
    parse(selector).holds_at(Some(RecordKind::Error), &path, Leaf::String)
}

#[test]
fn paths() {
    for (selector, path) in [
        ("user.email", "user/email"),
        ("USER.Email", "user/email"),
        ("email", "user/email"),
        ("**", "user/email"),
        ("*", "user/email"),
        ("user.*", "user/email"),
        ("user.**", "user/data/email"),
        ("user.**.email", "user/email"),
        ("user.**.email", "user/data/more/email"),
        ("$error.user.email", "user/email"),
        ("$error.**.email", "user/email"),
        ("$string", "user/email"),
        ("user.$string", "user/email"),
        ("$object.email", "user/email"),
        ("tags.0.1", "tags/0/1"),
        ("tags.*.1", "tags/0/1"),
        ("$array.1", "tags/0/1"),
        ("extra.'my key'", "extra/my key"),
        ("extra.'it''s'", "extra/it's"),
        ("attributes.http.request.method", "attributes/http.request.method"),
        ("attributes.'http.request.method'", "attributes/http.request.method"),
        ("attributes.*", "attributes/http.request.method"),
        ("attributes.http.*.method", "attributes/http.request.method"),
        ("user.email", "attributes/user.email"),
        ("a.**.a.b", "a/a/a/a/b"),
        ("foo && !extra.foo", "contexts/foo"),
        ("extra.'free_text' || logentry.params.*", "logentry/params/0"),
        ("!(foo || bar)", "baz"),
        ("!!foo", "foo"),
        ("příjmení", "user/příjmení"),
    ] {
        assert!(holds(selector, path), "{selector} at {path}");
    }
    for (selector, path) in [
        ("user.email", "user/data/email"),
        ("user", "user/email"),
        ("user.*", "user/data/email"),
        ("user.**", "user"),
        ("$log.**", "user/email"),
        ("$error.email", "user/email"),
        ("$number", "user/email"),
        ("$array.email", "user/email"),
        ("tags.1", "tags/10"),
        ("attributes.http", "attributes/http.request.method"),
        ("attributes.'request.method'", "attributes/http.request.method"),
        ("** && !user.email", "user/email"),
        ("foo && !extra.foo", "extra/foo"),
        ("!(foo || bar)", "bar"),
        ("a && b", "b"),
    ] {
        assert!(!holds(selector, path), "{selector} at {path}");
    }
}

#[test]
fn parts_of_an_event() {
    for (selector, path) in [
        ("$frame.vars.**", "exception/values/0/stacktrace/frames/3/vars/a/b"),
        ("$exception.value", "exception/values/0/value"),
        ("$stacktrace.**", "threads/values/0/stacktrace/frames/3/function"),
        ("$thread.name", "threads/values/0/name"),
        ("$http.url", "request/url"),
        ("$request.headers.*.1", "request/headers/0/1"),
        ("$user.*", "user/id"),
        ("$message.params.*", "logentry/params/0"),
        ("$message", "message"),
        ("$breadcrumb.data.**", "breadcrumbs/values/4/data/url"),
        ("$breadcrumb.message", "breadcrumbs/4/message"),
        ("$sdk.name", "sdk/name"),
        ("$datetime", "breadcrumbs/values/4/timestamp"),
        ("$span.description", "spans/0/description"),
    ] {
        assert!(holds(selector, path), "{selector} at {path}");
    }
    for (selector, path) in [
        ("$frame.vars.**", "extra/frames/3/vars/a"),
        ("$user.id", "contexts/user/id"),
        ("$exception", "exception/values"),
        ("$http.url", "extra/request/url"),
    ] {
        assert!(!holds(selector, path), "{selector} at {path}");
    }
    let span = |kind| parse("$span.name").holds_at(Some(kind), &["name"], Leaf::String);
    assert!(span(RecordKind::Span) && !span(RecordKind::Log));
    assert!(!parse("$error.a").holds_at(None, &["a"], Leaf::String), "what no one said is no error");
    assert!(parse("$exception").holds_at(Some(RecordKind::Error), &["exception", "0"], Leaf::Object));
}

#[test]
fn printed_form() {
    for (text, printed) in [
        (" a.b ", "a.b"),
        ("a||b&&c", "a || b && c"),
        ("(a||b)&&c", "(a || b) && c"),
        ("(a && b) && (c && d)", "a && b && c && d"),
        ("((a))", "a"),
        ("!(a.b)", "!a.b"),
        ("! (a && b)", "!(a && b)"),
        ("*", "**"),
        ("**.**", "**"),
        ("a.**.**.b", "a.**.b"),
        ("'a'.'b c'.'it''s'.''", "a.'b c'.'it''s'.''"),
        ("$http.$databag", "$request.$object"),
    ] {
        let selector = parse(text);
        assert_eq!(selector.to_string(), printed);
        assert_eq!(parse(printed), selector, "{printed}");
    }
}

#[test]
fn what_is_no_selector() {
    let check = |text: &str, expected: Expect| {
        let error = Selector::parse(text).expect_err(text);
        expected.assert_eq(&format!("{error}"));
    };
    check("", expect!["a path is missing at the end at byte 0"]);
    check("a.", expect!["a path is missing at the end at byte 2"]);
    check("a..b", expect!["a path has a key, `*` or `**` between its dots at byte 2"]);
    check(
        "a b",
        expect![
            "unexpected text; keys with other signs than letters, digits, `_` and `-` are written in single quotes at byte 2"
        ],
    );
    check("a & b", expect!["paths are joined with `&&` or `||` at byte 2"]);
    check("(a", expect!["this parenthesis is not closed at byte 0"]);
    check("(a b)", expect!["`)`, `&&` or `||` is expected here at byte 3"]);
    check("a)", expect!["this parenthesis closes none at byte 1"]);
    check("a.'b", expect!["this quote is not closed at byte 2"]);
    check("\"a\"", expect!["keys are quoted with single quotes at byte 0"]);
    check(
        "a.b/c",
        expect![
            "unexpected text; keys with other signs than letters, digits, `_` and `-` are written in single quotes at byte 3"
        ],
    );
    check(
        "$strng",
        expect![
            "there is no such type; there are $string, $number, $boolean, $null, $object, $array and $datetime, the records $error, $log, $span, $stream, $metric, $replay and $check, and of an error $exception, $stacktrace, $frame, $request, $user, $message, $thread, $breadcrumb and $sdk at byte 0"
        ],
    );
    check(&"(".repeat(100), expect!["too many parentheses and `!` within each other at byte 17"]);
    check(&"a.".repeat(100), expect!["more than 64 steps in one selector; write several rules at byte 128"]);
    check(&"a".repeat(3000), expect!["a selector has 2048 bytes at most; write several rules at byte 2048"]);
    check(
        "***",
        expect![
            "unexpected text; keys with other signs than letters, digits, `_` and `-` are written in single quotes at byte 2"
        ],
    );
}

/// Random text parses or does not, without panic, and what parses is printed and parsed again.
#[test]
fn any_text() {
    use candor_model::Random;
    use candor_model::random::Seeded;
    let pieces = [
        "a", "b", ".", ".", "*", "**", "!", "(", ")", "&&", "||", " ", "'x y'", "''", "$string", "$", "é",
        "0",
    ];
    let random = Seeded::new(4);
    let mut parsed = 0;
    for _ in 0..100_000 {
        let length = random.next_u64() % 12;
        let text: String = (0..length).map(|_| pieces[random.next_u64() as usize % pieces.len()]).collect();
        let Ok(selector) = Selector::parse(&text) else { continue };
        parsed += 1;
        let printed = selector.to_string();
        assert_eq!(parse(&printed), selector, "{text:?} as {printed:?}");
        let holds = |selector: &Selector| selector.holds_at(None, &["a", "b", "0"], Leaf::String);
        assert_eq!(holds(&selector), holds(&parse(&printed)));
        assert_eq!(holds(&selector), slow::holds(&selector.expression, &["", "a", "b", "0"]), "{text:?}");
    }
    assert!(parsed > 5_000, "{parsed}");
}

/// The same question answered by trying everything.
mod slow {
    use super::super::{Expression, Item, types::Type};

    pub(super) fn holds(expression: &Expression, path: &[&str]) -> bool {
        match expression {
            Expression::Not(inner) => !holds(inner, path),
            Expression::All(parts) => parts.iter().all(|part| holds(part, path)),
            Expression::Any(parts) => parts.iter().any(|part| holds(part, path)),
            Expression::Path(items) => (0..path.len()).any(|start| whole(items, path, start)),
        }
    }

    fn whole(items: &[Item], path: &[&str], at: usize) -> bool {
        let rest = path.len() - at.min(path.len());
        match items {
            [] => rest == 0,
            [Item::Deep] => rest > 0,
            [Item::Deep, tail @ ..] => (at..=path.len()).any(|next| whole(tail, path, next)),
            [item, tail @ ..] => {
                let meets = match item {
                    Item::Key(key) => at > 0 && path.get(at) == Some(&key.as_str()),
                    Item::Type(Type::String) => at + 1 == path.len(),
                    Item::Type(_) => false,
                    Item::Any | Item::Deep => true,
                };
                rest > 0 && meets && whole(tail, path, at + 1)
            }
        }
    }
}

/// Deep wildcards over a long path take as long as the path, not as it to some power.
#[test]
fn long_paths() {
    let selector = parse("**.a.**.a.**.a.**.a.**.a.**.a.**.a.**.a.**.a.**.b");
    let path = vec!["a"; 200_000];
    let time = |path: &[&str]| {
        let started = std::time::Instant::now();
        assert!(!selector.holds_at(None, path, Leaf::String));
        started.elapsed().as_secs_f64()
    };
    let (short, long) = (time(&path[..20_000]).max(1e-4), time(&path));
    assert!(long / short < 60.0, "ten times the path took {:.0} times as long", long / short);
}
