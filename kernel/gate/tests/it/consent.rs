//! Consent, browsers' signals and children, key by key of `[consent]`.

use std::sync::{Arc, Mutex};

use candor_gate::{Cleared, Persons};
use candor_model::{Consent, LogRecord, Origin, ProjectId, Records};

use crate::{Bed, error, object, row};

/// Whether an event of a browser is kept, and whether it still says who it is of.
fn kept(bed: &Bed, event: &str, origin: Origin) -> (bool, bool) {
    let cleared = bed.clear_from(Records::Errors(vec![error(event)]), origin);
    match cleared.admitted {
        None => (false, false),
        Some(admitted) => {
            let row = row(admitted.rows().unwrap(), 0);
            assert!(!format!("{row:?}").contains("u-4711"), "an identifier is never in the clear");
            let has_subject = row.iter().any(|(name, _)| name == "subject");
            assert_eq!(has_subject, !admitted.vault().is_empty());
            (true, has_subject)
        }
    }
}

fn browser(country: Option<&str>, consent: Option<Consent>) -> Origin {
    Origin {
        site: Some("https://shop.example".to_owned()),
        country: country.map(str::to_owned),
        consent,
        ..Origin::default()
    }
}

const EVENT: &str = r#"{"message": "u-4711 left", "user": {"id": "u-4711"}}"#;
const GRANTED: Option<Consent> = Some(Consent::Granted);
const DENIED: Option<Consent> = Some(Consent::Denied);

#[test]
fn consent_mode_default() {
    for (mode, unsaid, denied) in
        [("opt_in", false, false), ("opt_out", true, false), ("implied", true, true)]
    {
        let bed = Bed::under(&format!("consent.mode = {{ default = \"{mode}\" }}"));
        let by = |consent| kept(&bed, EVENT, browser(None, consent));
        assert_eq!(
            (by(GRANTED), by(None), by(DENIED)),
            ((true, true), (true, unsaid), (true, denied)),
            "{mode}"
        );
        assert_eq!(kept(&bed, EVENT, Origin::default()), (true, true), "a server's record: {mode}");
    }
}

#[test]
fn without_consent_no_identifier_is_left_anywhere() {
    let bed = Bed::under(r#"consent.mode = { default = "opt_in" }"#);
    let sent = r#"{"message": "mail to alice@example.com of u-4711", "user": {"id": "u-4711", "email": "alice@example.com",
                   "ip_address": "203.0.113.9"}, "request": {"query_string": "email=alice@example.com"}}"#;
    let event = bed.event_from(sent, browser(None, None));
    assert_eq!(
        event.to_text(),
        r#"{"message":"mail to [email] of [user]","user":{"id":"[user]","email":"[email]","ip_address":"[ip]"},"request":{"query_string":"email=[email]"}}"#
    );
}

#[test]
fn who_consents_and_who_does_not_are_told_apart_in_one_batch() {
    let bed = Bed::under(r#"consent.mode = { default = "opt_in" }"#);
    let record = |consent: &str| LogRecord {
        body: "alice@example.com called".into(),
        attributes: object(&format!(
            r#"{{"user.email": "alice@example.com", "browser.language": "de", "consent": "{consent}"}}"#
        )),
        ..LogRecord::default()
    };
    let records = vec![record("denied"), record("granted"), record("denied")];
    let admitted = bed.clear(Records::Logs(records)).admitted.unwrap();
    let bodies: Vec<_> = (0..3)
        .map(|at| {
            let row = row(admitted.rows().unwrap(), at);
            let cell =
                |wanted: &str| row.iter().find(|(name, _)| name == wanted).map(|(_, cell)| cell.clone());
            (cell("body").unwrap(), cell("subjects").unwrap_or_default())
        })
        .collect();
    assert_eq!(bodies[0], ("[email] called".to_owned(), String::new()));
    assert_eq!(bodies[2], bodies[0]);
    assert!(bodies[1].0.starts_with("email:") && bodies[1].0.starts_with(&bodies[1].1), "{bodies:?}");
}

#[test]
fn consent_mode_of_a_region() {
    let bed = Bed::under(r#"consent.mode = { default = "opt_out", EEA = "opt_in", UK = "opt_in" }"#);
    for (country, identified) in [(Some("DE"), false), (Some("GB"), false), (Some("US"), true), (None, false)]
    {
        assert_eq!(kept(&bed, EVENT, browser(country, None)), (true, identified), "{country:?}");
    }
    let stated = r#"{"user": {"id": "u-4711", "geo": {"country_code": "US"}}}"#;
    assert_eq!(kept(&bed, stated, browser(None, None)), (true, true), "the SDK states it");
}

/// The same payload of somebody in Switzerland, where people choose first, and of somebody in the United States.
#[test]
fn who_chooses_first_is_not_shared_before() {
    let bed = Bed::under(r#"consent.mode = { default = "opt_out", EEA = "opt_in", CH = "opt_in" }"#);
    let told = told(&bed);
    let denied = |country| browser(Some(country), DENIED);
    assert_eq!(
        kept(&bed, EVENT, browser(Some("CH"), None)),
        (true, false),
        "nothing says who, so nobody is told"
    );
    assert_eq!(kept(&bed, EVENT, browser(Some("CH"), GRANTED)), (true, true));
    assert_eq!(kept(&bed, EVENT, browser(Some("US"), None)), (true, true));
    assert_eq!(kept(&bed, EVENT, denied("US")), (true, false), "who opts out afterwards");
    assert_eq!(kept(&bed, EVENT, denied("CH")), (true, false));
    assert!(told.0.lock().unwrap().is_empty());
}

#[test]
fn an_activity_that_rests_on_consent_takes_nothing_without() {
    let policy = r#"
consent.mode = { default = "opt_in" }
[[activity]]
id = "errors"
legal_basis = "eu-gdpr:A6-1-a"
"#;
    let bed = Bed::under(policy);
    assert_eq!(kept(&bed, EVENT, browser(None, None)), (false, false));
    assert_eq!(kept(&bed, EVENT, browser(None, GRANTED)), (true, true));
    assert_eq!(kept(&bed, EVENT, Origin::default()), (true, true), "a server's record");
    let cleared = bed.clear_from(Records::Errors(vec![error(EVENT)]), browser(None, DENIED));
    assert_eq!(cleared.report.dropped, [("policy:consent", 1)]);
}

#[test]
fn consent_is_said_by_header_and_by_sdk() {
    let bed = Bed::under(r#"consent.mode = { default = "opt_in" }"#);
    for said in [
        r#""contexts": {"consent": {"status": "granted"}}"#,
        r#""tags": {"consent": "granted"}"#,
        r#""tags": [["consent", "granted"]]"#,
    ] {
        let event = format!(r#"{{"platform": "javascript", "user": {{"id": "u-4711"}}, {said}}}"#);
        assert_eq!(kept(&bed, &event, Origin::default()), (true, true), "{said}");
        assert_eq!(kept(&bed, &event, browser(None, DENIED)), (true, false), "denied by the request: {said}");
    }
}

#[test]
fn consent_no_cookie_anonymous() {
    let event =
        r#"{"user": {"id": "u-4711"}, "contexts": {"device": {"id": "d-1"}, "consent": {"cookies": "off"}}}"#;
    for (rule, identified) in [("anonymous", false), ("identified", true)] {
        let bed = Bed::under(&format!("consent.no_cookie = \"{rule}\""));
        assert_eq!(kept(&bed, event, browser(None, GRANTED)), (true, identified), "{rule}");
    }
}

#[derive(Default)]
struct Told(Mutex<Vec<(&'static str, Vec<String>)>>);

impl Persons for Told {
    fn too_young(&self, _: ProjectId, codes: &[String]) {
        self.0.lock().unwrap().push(("too young", codes.to_vec()));
    }
    fn not_shared(&self, _: ProjectId, codes: &[String]) {
        self.0.lock().unwrap().push(("not shared", codes.to_vec()));
    }
}

fn told(bed: &Bed) -> Arc<Told> {
    let told = Arc::new(Told::default());
    bed.gate.set_persons(Arc::<Told>::clone(&told));
    told
}

#[test]
fn consent_signals_gpc_no_share() {
    let gpc = || Origin { global_privacy_control: true, ..browser(None, None) };
    for (switches, expected) in [(r#"["no_share"]"#, 1), ("[]", 0)] {
        let bed = Bed::under(&format!("consent.signals = {{ gpc = {switches} }}"));
        let told = told(&bed);
        assert_eq!(kept(&bed, EVENT, gpc()), (true, true));
        assert_eq!(kept(&bed, EVENT, browser(None, None)), (true, true));
        let told = told.0.lock().unwrap();
        assert_eq!(told.len(), expected, "{switches}");
        assert!(told.iter().all(|(what, codes)| *what == "not shared" && codes.len() == 1), "{told:?}");
    }
}

#[test]
fn consent_signals_dnt_no_id() {
    let dnt = || Origin { do_not_track: true, ..browser(None, None) };
    let by = |switches: &str| {
        kept(&Bed::under(&format!("consent.signals = {{ dnt = {switches} }}")), EVENT, dnt())
    };
    assert_eq!(by(r#"["no_id"]"#), (true, false));
    assert_eq!(by("[]"), (true, true));
    assert_eq!(by(r#"["no_replay"]"#), (true, true));
}

#[test]
fn consent_signals_beats_stored_consent() {
    let dnt = || Origin { do_not_track: true, ..browser(None, GRANTED) };
    let by = |beats: bool| {
        let policy = format!("consent.signals = {{ dnt = [\"no_id\"], beats_stored_consent = {beats} }}");
        kept(&Bed::under(&policy), EVENT, dnt())
    };
    assert_eq!((by(true), by(false)), ((true, false), (true, true)));
}

fn young(policy: &str, event: &str) -> (Cleared, Vec<(&'static str, Vec<String>)>) {
    let bed = Bed::under(policy);
    let told = told(&bed);
    let cleared = bed.clear(Records::Errors(vec![error(event)]));
    let told = told.0.lock().unwrap().clone();
    (cleared, told)
}

const CHILD: &str = r#"{"user": {"id": "u-4711", "data": {"age": 15}}}"#;

#[test]
fn consent_children_min_age() {
    let (cleared, told) = young("consent.children = { min_age = 16, below = \"erase\" }", CHILD);
    assert_eq!(cleared.report.dropped, [("policy:consent.children", 1)]);
    assert!(cleared.admitted.is_none());
    assert!(
        matches!(&told[..], [("too young", codes)] if codes.len() == 1 && codes[0].starts_with("user:")),
        "{told:?}"
    );
    for policy in
        ["consent.children = { min_age = 15, below = \"erase\" }", "consent.children = { min_age = 0 }"]
    {
        let (cleared, told) = young(policy, CHILD);
        assert!(cleared.admitted.is_some() && told.is_empty(), "{policy}");
    }
}

#[test]
fn consent_children_below() {
    let (cleared, told) = young("consent.children = { min_age = 16, below = \"drop\" }", CHILD);
    assert!(cleared.admitted.is_none() && told.is_empty(), "nobody is told");
    let (cleared, _) = young("consent.children = { min_age = 16, below = \"keep\" }", CHILD);
    assert!(cleared.admitted.is_some());
}

#[test]
fn consent_children_parental_consent() {
    let event = r#"{"user": {"id": "u-4711", "age": 15, "parental_consent": true}}"#;
    for lifts in [true, false] {
        let policy = format!("consent.children = {{ min_age = 16, parental_consent = {lifts} }}");
        assert_eq!(young(&policy, event).0.admitted.is_some(), lifts);
        assert!(young(&policy, CHILD).0.admitted.is_none(), "no parent says so");
    }
}
