//! Whether the parts of a policy say the same, and nothing that could not be true.

use super::Look;
use crate::model::{Activity, Policy};
use crate::presets;
use crate::terms::is_obsolete;

/// The category of addresses: they are personal data (GDPR, recital 30).
const ADDRESS: &str = "user.device.ip_address";

pub(super) fn look(look: &mut Look<'_>) {
    let policy = &look.resolved.policy;
    left_open(look, policy);
    addresses(look, policy);
    partners(look, policy);
    advertising(look, policy);
    page(look, policy);
}

/// What the policy that a preset is modelled on does not say, a file has to say.
fn left_open(look: &mut Look<'_>, policy: &Policy) {
    let base = look.resolved.extends.as_deref().unwrap_or(&look.resolved.file);
    let is_preset = presets::named(&look.resolved.file).is_some();
    let Some(preset) = presets::named(if is_preset { &look.resolved.file } else { base }) else { return };
    if !preset.leaves_retention_open {
        return;
    }
    for activity in &policy.activities {
        let key = format!("activity.{}.retention.live", activity.id);
        if is_preset || !look.resolved.is_of_file(&key) {
            look.error(
                &key,
                format!("the policy that {} is modelled on does not say how long", preset.name),
                "write `retention = { live = \"30d\" }`, or for how long it is",
            );
        }
    }
}

/// An address is never anonymous, and is named where it is kept.
fn addresses(look: &mut Look<'_>, policy: &Policy) {
    let covers = |activity: &Activity| {
        activity.data_categories.iter().any(|own| own == ADDRESS || ADDRESS.starts_with(&format!("{own}.")))
    };
    if policy.collect.ip.action != "drop" && !policy.activities.iter().any(covers) {
        look.error(
            "collect.ip.action",
            "something of addresses is kept, and no activity names them",
            "add \"user.device.ip_address\" to the `data_categories` of one, or write \"drop\"",
        );
    }
    for activity in policy.activities.iter().filter(|activity| covers(activity)) {
        let is_anonymous = |text: &str| text.to_ascii_lowercase().contains("anonym");
        if !activity.subjects.is_empty()
            && activity.subjects.iter().all(|subject| subject == "anonymous_user")
        {
            look.error(
                &format!("activity.{}.subjects", activity.id),
                "who has an address is not anonymous",
                "add \"customer\" or \"visitor\"",
            );
        }
        if activity.title.as_deref().is_some_and(is_anonymous) {
            look.error(
                &format!("activity.{}.title", activity.id),
                "data with an address is not anonymous",
                "call it pseudonymous, or otherwise",
            );
        }
    }
}

/// Who gets data for ends of their own.
fn partners(look: &mut Look<'_>, policy: &Policy) {
    // What the law asks for is nobody's offer.
    let is_partner = |data_use: &String| data_use == "third_party_sharing";
    for recipient in policy.recipients.iter().filter(|recipient| recipient.uses.iter().any(is_partner)) {
        if policy.sharing.partners == "never" {
            look.error(
                &format!("recipient.{}.uses", recipient.id),
                "it gets data for ends of its own, and `sharing.partners` says that nobody does",
                "leave that use out, or say in `sharing.partners` what holds",
            );
        }
    }
}

/// Who gets data for advertisements.
fn advertising(look: &mut Look<'_>, policy: &Policy) {
    let is_ad = |data_use: &String| data_use == "marketing" || data_use.starts_with("marketing.advertising");
    let honours = policy.consent.signals.gpc.iter().any(|switch| switch == "no_share");
    for recipient in policy.recipients.iter().filter(|recipient| recipient.uses.iter().any(is_ad)) {
        let key = format!("recipient.{}.uses", recipient.id);
        if policy.sharing.ads == "never" {
            look.error(
                &key,
                "it gets data for advertisements, and `sharing.ads` says that nobody does",
                "leave that use out, or say in `sharing.ads` what holds",
            );
        }
        if !honours {
            look.error(
                &key,
                "it gets data for advertisements, and Global Privacy Control is an objection to that",
                "write `gpc = [\"no_share\"]`",
            );
        }
    }
}

/// What the page could not say.
fn page(look: &mut Look<'_>, policy: &Policy) {
    if policy.notice.languages.is_empty() {
        look.error("notice.languages", "the page is in no language", "write `languages = [\"en\"]`");
    }
    for (key, text) in
        [("notice.authority", &policy.notice.authority), ("notice.contact", &policy.notice.contact)]
    {
        if let Some(text) = text.as_deref().filter(|text| is_obsolete(text)) {
            look.error(
                key,
                format!("{text:?} names a framework that is void: nobody answers there"),
                "name the supervisory authority of the country",
            );
        }
    }
    if policy.governance.legal_requests.approvers == 0 {
        look.warn(
            "governance.legal_requests.approvers",
            "data goes to authorities without anybody's approval",
            "write 2",
        );
    }
}
