//! What a record and its request say of the person who sent it: whether one did, and what the person wants.
//!
//! A record is of a person's browser or device where its request has an `Origin`, its SDK is a browser's or a mobile
//! device's by name, its platform is one that only those have, or it has attributes of a browser.
//!
//! Consent is read from the header `Candor-Consent`, from `contexts.consent`, `tags.consent` and `user.data.consent` of an
//! event, and from the attribute `consent` of a log record or span: `granted` or `denied` (also `true`, `yes`, `false`,
//! `no`), as text, boolean, or the member `status` of an object. Where two disagree it is denied. That cookies are off is
//! said by `contexts.consent.cookies`, `tags.'consent.cookies'` or the attribute `consent.cookies`: `off` or `false`.
//! A country is stated by a trusted proxy, by `user.geo.country_code`, or by `geo.country.iso_code`.

use candor_model::{Consent, ErrorRecord, LogRecord, Object, Origin, SpanRecord, Value};

use crate::policy::{Will, country};

/// SDKs of mobile devices, by how their names begin.
const MOBILE_SDKS: [&str; 12] = [
    "sentry.java.android",
    "sentry.cocoa",
    "sentry.dart",
    "sentry.javascript.react-native",
    "sentry.javascript.capacitor",
    "sentry.javascript.cordova",
    "sentry.dotnet.maui",
    "sentry.dotnet.android",
    "sentry.dotnet.cocoa",
    "sentry.native.android",
    "sentry.unity",
    "sentry.kotlin.multiplatform",
];

/// SDKs of browsers, by how their names begin. Those that also run on servers are told by their platform.
const BROWSER_SDKS: [&str; 9] = [
    "sentry.javascript.browser",
    "sentry.javascript.react",
    "sentry.javascript.vue",
    "sentry.javascript.angular",
    "sentry.javascript.svelte",
    "sentry.javascript.ember",
    "sentry.javascript.gatsby",
    "sentry.javascript.wasm",
    "raven-js",
];

/// Platforms of events that only browsers and devices have.
const PLATFORMS: [&str; 6] = ["javascript", "cocoa", "objc", "swift", "dart", "android"];

/// OpenTelemetry's `telemetry.sdk.language` of browsers and devices.
const LANGUAGES: [&str; 2] = ["webjs", "swift"];

/// A kind of record that may say what its person wants.
pub(crate) trait Says {
    /// What it says, where its request says nothing.
    fn said(&self, will: &mut Will);
}

/// What the request alone says.
pub(crate) fn of_request(origin: &Origin) -> Will {
    Will {
        is_of_device: origin.site.is_some() || origin.sdk.as_deref().is_some_and(is_of_device),
        country: origin.country.as_deref().and_then(country),
        consent: origin.consent,
        global_privacy_control: origin.global_privacy_control,
        do_not_track: origin.do_not_track,
        has_no_cookies: false,
    }
}

/// True for the name of an SDK, or a user agent, of browsers or devices.
fn is_of_device(sdk: &str) -> bool {
    let begins = |names: &[&str]| names.iter().any(|name| sdk.starts_with(name));
    begins(&MOBILE_SDKS) || begins(&BROWSER_SDKS) || sdk.starts_with("Mozilla/")
}

/// Takes in what a field says; a denial stays.
fn note(will: &mut Will, said: Option<&Value>) {
    let said = match said {
        Some(Value::Str(word)) => Consent::from_word(word),
        Some(Value::Bool(true)) => Some(Consent::Granted),
        Some(Value::Bool(false)) => Some(Consent::Denied),
        Some(Value::Object(object)) => {
            return note(will, object.get("status").filter(|v| v.as_object().is_none()));
        }
        _ => None,
    };
    if said == Some(Consent::Denied) || will.consent.is_none() {
        will.consent = said.or(will.consent);
    }
}

fn note_cookies(will: &mut Will, said: Option<&Value>) {
    will.has_no_cookies |= match said {
        Some(Value::Str(word)) => ["off", "false"].iter().any(|off| off.eq_ignore_ascii_case(word)),
        Some(Value::Bool(on)) => !on,
        _ => false,
    };
}

fn note_country(will: &mut Will, said: Option<&Value>) {
    if will.country.is_none() {
        will.country = said.and_then(Value::as_str).and_then(country);
    }
}

fn of_attributes(attributes: &Object, will: &mut Will) {
    for (key, value) in attributes.iter() {
        // One look at the first byte spares most names the rest.
        match key.as_bytes().first() {
            Some(b'c') if key == "consent" => note(will, Some(value)),
            Some(b'c') if key == "consent.cookies" => note_cookies(will, Some(value)),
            Some(b'g') if key == "geo.country.iso_code" => note_country(will, Some(value)),
            Some(b'u') if key == "user.geo.country_code" => note_country(will, Some(value)),
            Some(b'b') if key.starts_with("browser.") => will.is_of_device = true,
            Some(b't') if key == "telemetry.sdk.language" => {
                will.is_of_device |= value.as_str().is_some_and(|language| LANGUAGES.contains(&language));
            }
            Some(b's') if key == "sentry.sdk.name" => {
                will.is_of_device |= value.as_str().is_some_and(is_of_device);
            }
            _ => {}
        }
    }
}

impl Says for LogRecord {
    fn said(&self, will: &mut Will) {
        of_attributes(&self.attributes, will);
    }
}

impl Says for SpanRecord {
    fn said(&self, will: &mut Will) {
        of_attributes(&self.attributes, will);
    }
}

impl Says for ErrorRecord {
    fn said(&self, will: &mut Will) {
        let event = &self.event;
        let text = |path: &[&str]| event.path(path).and_then(Value::as_str);
        let sdk = text(&["sdk", "name"]);
        let platform = text(&["platform"]);
        // One name is of browsers and of servers; what runs on a server says so.
        let is_of_server = platform == Some("node");
        will.is_of_device |= !is_of_server
            && (platform.is_some_and(|platform| PLATFORMS.contains(&platform))
                || sdk.is_some_and(is_of_device));
        note(will, event.path(&["contexts", "consent"]));
        note(will, event.path(&["user", "data", "consent"]));
        note_cookies(will, event.path(&["contexts", "consent", "cookies"]));
        note_country(will, event.path(&["user", "geo", "country_code"]));
        note(will, tag(event, "consent"));
        note_cookies(will, tag(event, "consent.cookies"));
    }
}

/// A tag of an event, whose tags are an object or a list of pairs.
fn tag<'e>(event: &'e Value, name: &str) -> Option<&'e Value> {
    match event.get("tags")? {
        Value::Object(tags) => tags.get(name),
        Value::Array(pairs) => pairs.iter().find_map(|pair| match pair.as_array()? {
            [key, value] if key.as_str() == Some(name) => Some(value),
            _ => None,
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use candor_model::json;

    use super::*;

    fn event(text: &str) -> Will {
        let event = json::parse(text.as_bytes(), json::Leniency::LENIENT).expect("JSON");
        let mut will = of_request(&Origin::default());
        ErrorRecord { event, columns: |_| Default::default() }.said(&mut will);
        will
    }

    fn log(text: &str) -> Will {
        let Ok(Value::Object(attributes)) = json::parse(text.as_bytes(), json::Leniency::LENIENT) else {
            panic!("{text}")
        };
        let mut will = of_request(&Origin::default());
        LogRecord { attributes, ..LogRecord::default() }.said(&mut will);
        will
    }

    #[test]
    fn browsers_and_devices_are_known() {
        for text in [
            r#"{"platform": "javascript"}"#,
            r#"{"platform": "java", "sdk": {"name": "sentry.java.android.timber"}}"#,
            r#"{"platform": "other", "sdk": {"name": "sentry.javascript.react-native"}}"#,
            r#"{"sdk": {"name": "sentry.cocoa"}}"#,
        ] {
            assert!(event(text).is_of_device, "{text}");
        }
        for text in [
            r#"{"platform": "python", "sdk": {"name": "sentry.python"}}"#,
            r#"{"platform": "node", "sdk": {"name": "sentry.javascript.react"}}"#,
            r#"{"platform": "java", "sdk": {"name": "sentry.java.spring-boot"}}"#,
            "{}",
        ] {
            assert!(!event(text).is_of_device, "{text}");
        }
        assert!(log(r#"{"telemetry.sdk.language": "webjs"}"#).is_of_device);
        assert!(log(r#"{"browser.language": "de"}"#).is_of_device);
        assert!(log(r#"{"sentry.sdk.name": "sentry.javascript.browser"}"#).is_of_device);
        assert!(!log(r#"{"telemetry.sdk.language": "go", "service.name": "x"}"#).is_of_device);
        let site = Origin { site: Some("https://shop.example".to_owned()), ..Origin::default() };
        let browser = Origin { sdk: Some("Mozilla/5.0 (X11)".to_owned()), ..Origin::default() };
        assert!(of_request(&site).is_of_device && of_request(&browser).is_of_device);
        assert!(!of_request(&Origin { sdk: Some("curl/8.5".to_owned()), ..Origin::default() }).is_of_device);
    }

    #[test]
    fn consent_is_read_where_it_is_documented() {
        const GRANTED: Option<Consent> = Some(Consent::Granted);
        const DENIED: Option<Consent> = Some(Consent::Denied);
        for (text, expected) in [
            (r#"{"contexts": {"consent": "granted"}}"#, GRANTED),
            (r#"{"contexts": {"consent": {"status": "denied"}}}"#, DENIED),
            (r#"{"contexts": {"consent": {"status": {"status": true}}}}"#, None),
            (r#"{"tags": {"consent": "yes"}}"#, GRANTED),
            (r#"{"tags": [["consent", "denied"]]}"#, DENIED),
            (r#"{"user": {"data": {"consent": false}}}"#, DENIED),
            (r#"{"user": {"data": {"consent": true}}, "tags": {"consent": "denied"}}"#, DENIED),
            (r#"{"tags": {"consent": "maybe"}, "extra": {"consent": "granted"}}"#, None),
        ] {
            assert_eq!(event(text).consent, expected, "{text}");
        }
        assert_eq!(log(r#"{"consent": "Granted"}"#).consent, GRANTED);
        assert_eq!(log(r#"{"app.consent": "granted"}"#).consent, None);
        assert!(event(r#"{"contexts": {"consent": {"cookies": false}}}"#).has_no_cookies);
        assert!(log(r#"{"consent.cookies": "off"}"#).has_no_cookies);
        assert!(!log(r#"{"consent.cookies": "on"}"#).has_no_cookies);
        assert_eq!(log(r#"{"geo.country.iso_code": "cz"}"#).country.as_deref(), Some("CZ"));
        assert_eq!(event(r#"{"user": {"geo": {"country_code": "CH"}}}"#).country.as_deref(), Some("CH"));
    }

    #[test]
    fn a_denial_beats_what_the_request_says() {
        let mut will = of_request(&Origin { consent: Some(Consent::Granted), ..Origin::default() });
        note(&mut will, Some(&Value::from("denied")));
        assert_eq!(will.consent, Some(Consent::Denied));
        note(&mut will, Some(&Value::from("granted")));
        assert_eq!(will.consent, Some(Consent::Denied));
    }
}
