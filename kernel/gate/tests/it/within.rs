//! Fields within text that is not all JSON and not quite a form.

use candor_model::{LogRecord, Object, Value};

use crate::Bed;

/// What the gate makes of a text under a name that says "form", and under one that says nothing.
fn cleared(key: &str, text: &str) -> String {
    let bed = Bed::new();
    let inner = Object::from_iter([(key.to_owned(), Value::from(text))]);
    let event = Value::from(Object::from_iter([("extra".to_owned(), Value::from(inner))]));
    let event = bed.event(&event.to_text());
    event.path(&["extra", key]).and_then(Value::as_str).unwrap().to_owned()
}

/// Text with `~` for each code and placeholder, so that all other bytes can be compared.
fn masked(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = ["user:", "email:", "name:", "session:", "device:", "[ip]", "[secret]"]
        .iter()
        .filter_map(|mark| rest.find(mark))
        .min()
    {
        let (before, code) = rest.split_at(at);
        out.push_str(before);
        out.push('~');
        let end = match code.find([':', ']']) {
            Some(end) if code.as_bytes()[end] == b':' => end + 1 + 26,
            Some(end) => end + 1,
            None => code.len(),
        };
        rest = code.get(end..).unwrap_or_default();
    }
    out + rest
}

fn check(key: &str, text: &str, expected: &str) {
    assert_eq!(masked(&cleared(key, text)), expected, "{key}: {text}");
}

#[test]
fn each_piece_of_json_in_a_text_is_read() {
    for (text, expected) in [
        (
            r#"request {"user_id":"4711","client_ip":"203.0.113.9"} response {"ok":true}"#,
            r#"request {"user_id":"~","client_ip":"~"} response {"ok":true}"#,
        ),
        (
            "{\"index\":{}}\n{\"user_id\":\"4711\", \"n\":1.50}\n{\"index\":{}}\n{\"user_id\": 4712}\n",
            "{\"index\":{}}\n{\"user_id\":\"~\", \"n\":1.50}\n{\"index\":{}}\n{\"user_id\": \"~\"}\n",
        ),
        (r#"{"user_id":"4711"} took 3ms {cached}"#, r#"{"user_id":"~"} took 3ms {cached}"#),
        (r#"[{"user_id":"1234"}] done [ok]"#, r#"[{"user_id":"~"}] done [ok]"#),
        (r#"[{"user_id":"1234"}] done [ok"#, r#"[{"user_id":"~"}] done [ok"#),
        (r#"{ {"a" {"user_id":"4711"} "b": }"#, r#"{ {"a" {"user_id":"~"} "b": }"#),
        (r#"{"a": None, "b": {"user_id":"4711"}}"#, r#"{"a": None, "b": {"user_id":"~"}}"#),
        (
            r#"in {\"user_id\":\"4711\"} out "x" {\"user_id\":\"4712\",\"e\":\"\u00e9\/\"} in C:\x"#,
            r#"in {\"user_id\":\"~\"} out "x" {\"user_id\":\"~\",\"e\":\"\u00e9\/\"} in C:\x"#,
        ),
        (
            r#"{\"user_id\":\"4711\"} and {"user_id":"4712"} [\w+] {\"ok\":1}"#,
            r#"{\"user_id\":\"~\"} and {"user_id":"~"} [\w+] {\"ok\":1}"#,
        ),
        (r#"[\n {"user_id":"4711"}"#, r#"[\n {"user_id":"~"}"#),
    ] {
        check("note", text, expected);
        check("message", text, expected);
    }
}

#[test]
fn json_that_was_cut_short_is_read_as_far_as_it_goes() {
    for (text, expected) in [
        (r#"{"user_id":"4711","data":{"a":"xx"#, r#"{"user_id":"~","data":{"a":"xx"#),
        (r#"{"user_id":"4711","data":{"a":"xx..."#, r#"{"user_id":"~","data":{"a":"xx..."#),
        (r#"{"a":[{"b":1},{"user_id":"4711","é"#, r#"{"a":[{"b":1},{"user_id":"~","é"#),
        (r#"{"ok":tru"#, r#"{"ok":tru"#),
        (r#"{"user_id":"4711","ok":tru"#, r#"{"user_id":"~","ok":tru"#),
        (r#"{"user_id":"47"#, r#"{"user_id":"~"#),
        (r#"{"user_id":4711"#, r#"{"user_id":"~""#),
        (r#"{"user_id":"4711","n":1."#, r#"{"user_id":"~","n":1."#),
        (r#"{"user_id":"4711","n":"\u00"#, r#"{"user_id":"~","n":"\u00"#),
        (r#"{"user_id":"4711","n":"\"#, r#"{"user_id":"~","n":"\"#),
        (r#"{"user_id":"4711" [cut]"#, r#"{"user_id":"~" [cut]"#),
        (
            "{\"user_id\":\"4711\",\"n\":\"a\n{\"user_id\":\"4712\"}",
            "{\"user_id\":\"~\",\"n\":\"a\n{\"user_id\":\"~\"}",
        ),
        (r#"body {\"user_id\":\"4711\",\"x\":\"ab"#, r#"body {\"user_id\":\"~\",\"x\":\"ab"#),
        (r#"{"body":"{\"user_id\":\"4711\",\"x\":\"ab"#, r#"{"body":"{\"user_id\":\"~\",\"x\":\"ab"#),
    ] {
        check("note", text, expected);
    }
}

#[test]
fn texts_of_many_brackets_cost_what_their_length_does() {
    let bed = Bed::new();
    for text in [
        "{\"a\" ".repeat(60_000),
        "[\"a\",".repeat(60_000),
        "{\\\"a\\\" ".repeat(40_000),
        "[\\n".repeat(100_000),
        "{\"a\":1}".repeat(40_000),
        "?a=b'".repeat(60_000),
        "#a=b&".repeat(60_000),
    ] {
        let started = std::time::Instant::now();
        bed.log(LogRecord { body: text.as_str().into(), ..LogRecord::default() });
        assert!(started.elapsed().as_secs() < 2, "{:?} of {}", started.elapsed(), text.get(..8).unwrap());
    }
}

#[test]
fn forms_are_read_to_their_end() {
    for (key, text, expected) in [
        ("query_string", "user_id=4711&q=it's", "user_id=~&q=it's"),
        ("query_string", "q=it's&user_id=4711", "q=it's&user_id=~"),
        ("query_string", "user_id=4711&next=/a?b=1", "user_id=~&next=/a?b=1"),
        ("query_string", "?user_id=4711", "?user_id=~"),
        ("query_string", "next=/a?b=1&user_id=4711#top", "next=/a?b=1&user_id=~"),
        ("QUERY_STRING", "user_id=4711", "user_id=~"),
        ("Data", "user_id=4711", "user_id=~"),
        ("data", "user_id=4711&name=Jane Doe", "user_id=~&name=Jane Doe"),
        ("data", "name=Jane Doe&user_id=4711", "name=Jane Doe&user_id=~"),
        ("data", "user_id=4711\n", "user_id=~\n"),
        ("data", "a=\\x&user_id=4711\r\n", "a=\\x&user_id=~\r\n"),
        ("note", "x=1&user_id=4711\n", "x=1&user_id=~\n"),
        ("note", "q=it's&user_id=4711", "q=it's&user_id=~"),
        // No forms, whatever they stand under.
        ("data", "SELECT x FROM t WHERE user_id=4711 AND a=1", "SELECT x FROM t WHERE user_id=4711 AND a=1"),
        ("data", "a=1 user_id=4711 status=200", "a=1 user_id=4711 status=200"),
        ("body", "GET /a?user_id=4711 HTTP/1.1", "GET /a?user_id=~ HTTP/1.1"),
    ] {
        check(key, text, expected);
    }
}

#[test]
fn queries_and_fragments_are_read_to_their_end() {
    for (text, expected) in [
        ("https://h/p?q=it's&user_id=4711", "https://h/p?q=it's&user_id=~"),
        ("https://h/p?q=what?&user_id=4711", "https://h/p?q=what?&user_id=~"),
        ("https://h/p?next=/a?b=1&user_id=4711 ok", "https://h/p?next=/a?b=1&user_id=~ ok"),
        ("https://h/#user_id=4711", "https://h/#user_id=~"),
        ("see https://h/?a=1#/r?user_id=4711&b=2, ok", "see https://h/?a=1#/r?user_id=~&b=2, ok"),
        ("url='https://h/?user_id=4711' x", "url='https://h/?user_id=~' x"),
        ("'https://h/?user_id=4711'&x", "'https://h/?user_id=~'&x"),
        ("'GET /?user_id=4711' 200", "'GET /?user_id=~' 200"),
        ("it's https://h/?a=b's&user_id=4711 x", "it's https://h/?a=b's&user_id=~ x"),
    ] {
        check("note", text, expected);
    }
}

#[test]
fn what_stands_in_json_and_in_a_query_is_coded_once() {
    for text in [
        r#"{"a":1,"url":"https://h/?user_id=4711&b=2"} ok"#,
        r#"see {\"url\":\"https://h/?user_id=4711&b=2\"} ok"#,
        r#"{"user_id":"4711","url":"https://h/?user_id=4711&b=2"#,
        "https://h/?b=%7B%22user_id%22:%224711%22%7D&user_id=4711#user_id=4711",
    ] {
        let bed = Bed::new();
        let row = bed.log(LogRecord { body: text.into(), ..LogRecord::default() });
        let subjects = row.iter().find(|(name, _)| name == "subjects").map(|(_, value)| value.as_str());
        let code = subjects.filter(|code| !code.contains(',')).unwrap_or_else(|| panic!("{row:?}"));
        let body = row.iter().find(|(name, _)| name == "body").map(|(_, value)| value.as_str()).unwrap();
        assert_eq!(body, text.replace("4711", code));
    }
}

#[test]
fn only_what_changed_within_a_value_is_written_anew() {
    for (text, expected) in [
        (
            "a=1&d=%7b%22user_id%22:%224711%22,%20%22k%22%3A1%7d&e=%c3%A9",
            "a=1&d=%7b%22user_id%22:%22~%22,%20%22k%22%3A1%7d&e=%c3%A9",
        ),
        ("a=1&next=https%3a//h/?user_id%3d4711&x=+", "a=1&next=https%3a//h/?user_id%3d~&x=+"),
    ] {
        check("note", text, expected);
    }
}
