//! What is collected, key by key of `[collect]`.

use candor_model::{LogRecord, Origin, Records, SpanRecord, SubjectKind, Value};

use crate::{Bed, error, object, row, value};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0";

fn text(event: &Value, path: &[&str]) -> String {
    event.path(path).map(Value::to_text).unwrap_or_default()
}

#[test]
fn collect_ip_drop() {
    let bed = Bed::under(r#"collect.ip = { action = "drop" }"#);
    assert_eq!(bed.attributes(r#"{"client.address": "203.0.113.9"}"#).0, "client.address=[ip]");
}

#[test]
fn collect_ip_generalise() {
    let bed = Bed::under(r#"collect.ip = { action = "generalise", v4 = 24, v6 = 48 }"#);
    let attributes = r#"{"client.address": "203.0.113.9", "http.request.header.x-forwarded-for": ["203.0.113.9", "198.51.100.7"],
                         "source.address": "2001:db8:1:2::3", "net.peer.ip": "unknown"}"#;
    let expected = "client.address=203.0.113.0\n  http.request.header.x-forwarded-for=203.0.113.0, 198.51.100.0\n  \
                    source.address=2001:db8:1::\n  net.peer.ip=[ip]";
    assert_eq!(bed.attributes(attributes).0, expected);
    let origin = Origin { ip: "203.0.113.77".parse().ok(), ..Origin::default() };
    let sent = r#"{"user": {"id": "u-1", "ip_address": "{{auto}}"}, "tags": {"user": "ip:203.0.113.9"},
                   "request": {"query_string": "ip=203.0.113.9&a=1"}}"#;
    let event = bed.event_from(sent, origin);
    assert_eq!(text(&event, &["user", "ip_address"]), "203.0.113.0");
    assert_eq!(text(&event, &["tags", "user"]), "203.0.113.0");
    assert_eq!(text(&event, &["request", "query_string"]), "ip=203.0.113.0&a=1");
}

#[test]
fn collect_ip_vault() {
    let policy = "collect.ip = { action = \"vault\" }\nidentity.technical_to_identity = ";
    let vault = |joins: &str, attributes: &str| {
        let bed = Bed::under(&format!("{policy}\"{joins}\""));
        let record = LogRecord { attributes: object(attributes), ..LogRecord::default() };
        let admitted = bed.clear(Records::Logs(vec![record])).admitted.unwrap();
        assert!(!format!("{:?}", row(admitted.rows().unwrap(), 0)).contains("203.0.113"), "{attributes}");
        let opened = |entry| bed.keyring.open_entry(bed.scope.project(), entry).unwrap();
        let entries = admitted.vault().iter();
        entries
            .map(|entry| (entry.code[..entry.code.find(':').unwrap()].to_owned(), opened(entry)))
            .collect::<Vec<_>>()
    };
    let both = r#"{"user.id": "u-1", "client.address": "203.0.113.9"}"#;
    let user = ("user".to_owned(), "u-1".to_owned());
    assert_eq!(vault("allow", both), [user.clone(), ("ip".to_owned(), "203.0.113.9".to_owned())]);
    assert_eq!(vault("forbid", both), [user], "an address under a person's key joins the two");
    assert_eq!(vault("allow", r#"{"client.address": "203.0.113.9"}"#), [], "nobody is known whose it is");
}

#[test]
fn collect_ip_derive_country() {
    let origin = || Origin { country: Some("DE".to_owned()), ..Origin::default() };
    let attributes = |policy: &str| {
        let record = LogRecord { attributes: object(r#"{"a": 1}"#), ..LogRecord::default() };
        let cleared = Bed::under(policy).clear_from(Records::Logs(vec![record]), origin());
        format!("{:?}", row(cleared.admitted.unwrap().rows().unwrap(), 0))
    };
    assert!(attributes(r#"collect.ip = { derive = ["country"] }"#).contains("geo.country.iso_code=DE"));
    assert!(!attributes("collect.ip = { derive = [] }").contains("DE"));
    let bed = Bed::under(r#"collect.ip = { derive = ["country"] }"#);
    let event = bed.event_from(r#"{"user": {"id": "u-1"}}"#, origin());
    assert_eq!(text(&event, &["user", "geo", "country_code"]), "DE");
    assert_eq!(bed.event(r#"{"message": "m"}"#), value(r#"{"message": "m"}"#), "nobody states one");
}

/// What the server sees of a request beside what was sent is not stored, unless the policy says that it is derived.
#[test]
fn nothing_is_stored_that_was_not_sent() {
    let origin = || Origin {
        ip: "203.0.113.77".parse().ok(),
        country: Some("DE".to_owned()),
        sdk: Some("sentry.javascript.browser/8.1".to_owned()),
        site: Some("https://shop.example".to_owned()),
        ..Origin::default()
    };
    let bed = Bed::under("");
    let sent = r#"{"message": "m", "user": {"id": "u-1"}}"#;
    let event = bed.event_from(sent, origin());
    let user = text(&event, &["user", "id"]);
    assert!(user.starts_with("user:"), "{user}");
    assert_eq!(event, value(&format!(r#"{{"message": "m", "user": {{"id": "{user}"}}}}"#)));
    let record = LogRecord { body: "m".into(), attributes: object(r#"{"a": 1}"#), ..LogRecord::default() };
    let cleared = bed.clear_from(Records::Logs(vec![record]), origin());
    let stored = row(cleared.admitted.unwrap().rows().unwrap(), 0);
    let attributes = stored.iter().find(|(name, _)| name == "attributes").map(|(_, cell)| cell.as_str());
    assert_eq!(attributes, Some("a=1"));
    let all = format!("{stored:?}");
    for unsent in ["203.0.113", "DE", "shop.example", "sentry"] {
        assert!(!all.contains(unsent), "{unsent}: {all}");
    }
}

#[test]
fn collect_user_agent() {
    let sent = format!(
        r#"{{"request": {{"headers": [["User-Agent", "{FIREFOX}"], ["Sec-CH-UA-Model", "Pixel 8"], ["Host", "h"]],
             "env": {{"HTTP_USER_AGENT": "{FIREFOX}"}}}},
             "contexts": {{"browser": {{"name": "Firefox", "version": "126.0.1"}}}},
             "extra": {{"body": "{{\"user_agent\":\"curl/8.5.0\"}}"}}}}"#
    );
    let by = |rule: &str| Bed::under(&format!("collect.user_agent = \"{rule}\"")).event(&sent);
    assert_eq!(by("keep"), value(&sent));
    assert_eq!(
        by("family_only"),
        value(
            r#"{"request": {"headers": [["User-Agent", "Firefox 126"], ["Host", "h"]],
                "env": {"HTTP_USER_AGENT": "Firefox 126"}},
                "contexts": {"browser": {"name": "Firefox", "version": "126"}},
                "extra": {"body": "{\"user_agent\":\"curl 8\"}"}}"#
        )
    );
    let dropped = by("drop").to_text();
    assert!(
        !dropped.contains("Firefox") && !dropped.contains("curl") && !dropped.contains("126"),
        "{dropped}"
    );
    let bed = Bed::under(r#"collect.user_agent = "family_only""#);
    let attributes = format!(r#"{{"user_agent.original": "{FIREFOX}", "user_agent.version": "126.0"}}"#);
    assert_eq!(bed.attributes(&attributes).0, "user_agent.original=Firefox 126\n  user_agent.version=126");
}

#[test]
fn collect_location() {
    let sent = r#"{"user": {"geo": {"country_code": "CZ", "city": "Brno", "postal_code": "60200", "lat": 49.1951, "lon": "16.6068"}},
                   "contexts": {"position": {"latitude": 49.1951}}, "extra": {"city": "Brno"}}"#;
    let by = |rule: &str| Bed::under(&format!("collect.location = \"{rule}\"")).event(sent);
    assert_eq!(by("keep"), value(sent));
    for (rule, geo, position) in [
        ("coarse", r#"{"country_code":"CZ","city":"Brno","lat":49.2,"lon":"16.6"}"#, r#"{"latitude":49.2}"#),
        ("country", r#"{"country_code":"CZ"}"#, "{}"),
        ("drop", "{}", "{}"),
    ] {
        let event = by(rule);
        assert_eq!(text(&event, &["user", "geo"]), geo, "{rule}");
        assert_eq!(text(&event, &["contexts", "position"]), position, "{rule}");
        assert_eq!(text(&event, &["extra", "city"]), "Brno", "no person's place: {rule}");
    }
}

#[test]
fn collect_device_ids() {
    let sent = r#"{"device.id": "d-4711", "device.model.name": "Pixel"}"#;
    let by = |rule: &str| Bed::under(&format!("collect.device_ids = \"{rule}\"")).attributes(sent);
    assert_eq!(by("keep"), ("device.id=d-4711\n  device.model.name=Pixel".to_owned(), String::new()));
    assert_eq!(by("drop"), ("device.model.name=Pixel".to_owned(), String::new()));
    let bed = Bed::under(r#"collect.device_ids = "pseudonym""#);
    let subject = candor_model::Subject { kind: SubjectKind::Device, value: "d-4711".to_owned() };
    let code = bed.keyring.code(bed.scope.project(), None, &subject);
    assert_eq!(bed.attributes(sent), ("device.model.name=Pixel".to_owned(), code));
    let event =
        Bed::under(r#"collect.device_ids = "drop""#).event(r#"{"contexts": {"device": {"id": "d-4711"}}}"#);
    assert_eq!(text(&event, &["contexts", "device", "id"]), "[device]");
}

#[test]
fn collect_unknown_fields_of_logs() {
    let sent = r#"{"http.route": "/cart", "cart": 3, "order.id": 5, "userId": "u-1"}"#;
    let (left, subjects) = Bed::under("collect.unknown_fields = { logs = \"drop\" }").attributes(sent);
    assert_eq!(left, "http.route=/cart");
    assert!(subjects.starts_with("user:"), "who it is is known: {subjects}");
    let named = "collect.unknown_fields = { logs = \"drop\" }\ncollect.fields = { logs = [\"order\"] }";
    assert_eq!(Bed::under(named).attributes(sent).0, "http.route=/cart\n  order.id=5");
    assert_eq!(Bed::under("").attributes(sent).0, "http.route=/cart\n  cart=3\n  order.id=5");
}

#[test]
fn collect_unknown_fields_of_errors() {
    let sent = r#"{"message": "m", "extra": {"cart": 3}, "tags": {"release": "1", "tenant": "t"}, "own": 1}"#;
    let event = Bed::under("collect.unknown_fields = { errors = \"drop\" }").event(sent);
    assert_eq!(event, value(r#"{"message": "m", "extra": {}, "tags": {"release": "1"}}"#));
    let bed = Bed::under("collect.unknown_fields = { errors = \"drop\" }");
    let cleared = bed.clear(Records::Errors(vec![error(sent)]));
    assert_eq!(cleared.report.replaced, [("unknown_field", 3)]);
}

#[test]
fn collect_unknown_fields_of_spans() {
    let span =
        || SpanRecord { attributes: object(r#"{"db.system": "x", "cart": 3}"#), ..SpanRecord::default() };
    let attributes = |policy: &str| {
        let admitted = Bed::under(policy).clear(Records::Spans(vec![span()])).admitted.unwrap();
        row(admitted.rows().unwrap(), 0).into_iter().find(|(name, _)| name == "attributes").unwrap().1
    };
    assert_eq!(attributes("collect.unknown_fields = { spans = \"drop\" }"), "db.system=x");
    assert_eq!(attributes("collect.unknown_fields = { logs = \"drop\" }"), "db.system=x\n  cart=3");
}

#[test]
fn collect_unknown_fields_of_user_traits() {
    let plan = |rule: &str| {
        let bed = Bed::under(&format!("collect.unknown_fields = {{ user_traits = \"{rule}\" }}"));
        text(&bed.event(r#"{"user": {"id": "u-1", "plan": "pro"}}"#), &["user", "plan"])
    };
    assert_eq!((plan("scrub").as_str(), plan("drop").as_str()), ("pro", ""));
}

/// What is stored is the same when it comes again.
#[test]
fn what_was_made_coarse_stays_as_it_is() {
    let bed = Bed::under(
        "collect.ip = { action = \"generalise\", v4 = 24, v6 = 48 }\ncollect.user_agent = \"family_only\"\n\
         collect.location = \"coarse\"\ncollect.device_ids = \"drop\"\ncollect.unknown_fields = { errors = \"drop\" }",
    );
    let sent = format!(
        r#"{{"message": "m", "user": {{"ip_address": "203.0.113.9", "geo": {{"lat": 49.1951, "city": "Brno"}}}},
             "contexts": {{"device": {{"id": "d-4711"}}, "browser": {{"version": "126.0"}}}},
             "request": {{"headers": {{"User-Agent": "{FIREFOX}", "X-Forwarded-For": "203.0.113.9, 198.51.100.7"}}}}}}"#
    );
    let once = bed.event(&sent);
    assert_eq!(bed.event(&once.to_text()), once);
}

/// Twice as much takes about twice as long: a generous bound, as machines are busy.
#[test]
fn hostile_names_and_texts_take_linear_time() {
    let bed = Bed::under(
        "collect.ip = { action = \"generalise\", v4 = 24, v6 = 48 }\ncollect.user_agent = \"family_only\"\n\
         collect.location = \"coarse\"\ncollect.unknown_fields = { logs = \"drop\" }\ncollect.fields = { logs = [\"own\"] }",
    );
    let time = |count: usize| {
        let agents = "rv:Edg/Chrome/".repeat(count);
        let lists = "203.0.113.9,".repeat(count);
        let members: Vec<String> =
            (0..count / 10).map(|n| format!(r#""own.{n}.geo.lat": 1.5, "geo.x{n}": "y""#)).collect();
        let attributes = object(&format!(
            r#"{{"user_agent.original": "{agents}", "client.address": "{lists}", {}}}"#,
            members.join(",")
        ));
        let fastest = (0..3).map(|_| {
            let record = LogRecord { attributes: attributes.clone(), ..LogRecord::default() };
            let began = std::time::Instant::now();
            assert_eq!(
                bed.clear(Records::Logs(vec![record])).admitted.map(|admitted| admitted.count()),
                Some(1)
            );
            began.elapsed()
        });
        fastest.min().unwrap()
    };
    let (short, long) = (time(1_000), time(16_000));
    assert!(long < short * 16 * 4, "{short:?} and sixteen times as much {long:?}");
}
