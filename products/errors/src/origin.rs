//! Where an envelope came from, as far as a policy asks.

use candor_model::{Consent, Origin};

use crate::protocol::auth::Presented;
use crate::protocol::envelope::Envelope;
use crate::routes::Call;

/// From the request and the envelope's own headers.
pub(crate) fn origin(call: &Call, presented: &Presented, envelope: &Envelope) -> Origin {
    let sdk = envelope.headers.get("sdk").and_then(|sdk| crate::event::member(sdk, "name"));
    let says_one = |name: &str| call.header(name).is_some_and(|value| value.trim() == "1");
    Origin {
        ip: call.peer,
        site: call.header("origin").filter(|site| *site != "null").map(str::to_owned),
        // `sentry.python/2.75.0` names the SDK before the slash.
        sdk: sdk
            .map(std::borrow::Cow::into_owned)
            .or_else(|| presented.client.as_ref()?.split('/').next().map(str::to_owned)),
        key: Some(presented.key.clone()),
        country: call.country.clone(),
        consent: call.header("candor-consent").and_then(Consent::from_word),
        global_privacy_control: says_one("sec-gpc"),
        do_not_track: says_one("dnt"),
    }
}
