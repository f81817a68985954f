//! Whether what is said is lawful to say, and said whole.

use super::Look;
use crate::egress::Endpoint;
use crate::model::Policy;
use crate::terms::{ADEQUATE, EEA, is_obsolete};

/// Regions whose law asks for consent before.
const OPT_IN: &[&str] = &["EEA", "EU", "UK", "GB", "CH"];

pub(super) fn look(look: &mut Look<'_>) {
    let policy = &look.resolved.policy;
    consent(look, policy);
    children(look, policy);
    recipients(look, policy);
    sharing(look, policy);
    house(look, policy);
}

fn is_european(region: &str) -> bool {
    region == "EU" || region == "EEA" || EEA.contains(&region)
}

fn consent(look: &mut Look<'_>, policy: &Policy) {
    let strict = |region: &str| OPT_IN.contains(&region) || is_european(region);
    for (region, mode) in &policy.consent.mode {
        let key = format!("consent.mode.{region}");
        // Of whom nobody tells where they are counts as the strictest region that is named.
        let is_named = |regions: &[&str]| regions.iter().any(|one| policy.consent.mode.contains_key(*one));
        let covers =
            region == "default" && !(is_named(&["EEA"]) && is_named(&["UK", "GB"]) && is_named(&["CH"]));
        if mode == "implied" && (covers || strict(region)) {
            look.error(
                &key,
                "consent by use alone is none in Europe",
                "write \"opt_in\", or \"opt_out\" where activities rest on another basis; of the default also by naming EEA, UK and CH",
            );
        }
    }
    if !policy.consent.mode.contains_key("default") {
        look.error("consent.mode.default", "it is missing", "write `default = \"opt_in\"`");
    }
    for (name, switches) in [("gpc", &policy.consent.signals.gpc), ("dnt", &policy.consent.signals.dnt)] {
        if switches.is_empty() {
            look.warn(
                &format!("consent.signals.{name}"),
                "this signal of browsers is ignored, and the page says so",
                "list what it switches off: \"no_share\", \"no_replay\", \"no_id\"",
            );
        }
    }
    let shares = [&policy.sharing.ads, &policy.sharing.partners, &policy.sharing.sale]
        .iter()
        .any(|word| *word != "never");
    if shares && !policy.consent.signals.gpc.iter().any(|switch| switch == "no_share") {
        look.error(
            "consent.signals.gpc",
            "data is shared, and Global Privacy Control is an objection to that",
            "write `gpc = [\"no_share\"]`",
        );
    }
}

fn children(look: &mut Look<'_>, policy: &Policy) {
    let children = &policy.consent.children;
    if (1..13).contains(&children.min_age) {
        look.error(
            "consent.children.min_age",
            "no law sets an age below 13",
            "write 13 to 18, or 0 where none is kept out",
        );
    }
    if children.min_age == 0 {
        look.warn(
            "consent.children.min_age",
            "records of children are kept like any other",
            "write 16, or the age of your country (GDPR Art. 8)",
        );
    }
    if children.min_age > 0 && children.below == "keep" {
        look.error(
            "consent.children.below",
            "an age is named and nothing follows from it",
            "write \"drop\" or \"erase\", or `min_age = 0`",
        );
    }
}

fn recipients(look: &mut Look<'_>, policy: &Policy) {
    let home: Vec<&str> =
        policy.residency.countries.iter().chain(&policy.controller.country).map(String::as_str).collect();
    let europe = home.iter().any(|country| is_european(country)) || home.is_empty();
    for recipient in &policy.recipients {
        let key = |leaf: &str| format!("recipient.{}.{leaf}", recipient.id);
        match &recipient.transfer {
            Some(transfer) if is_obsolete(transfer) => look.error(
                &key("transfer"),
                format!("{transfer} has been void since 2020 or longer"),
                "write \"eu-gdpr:A46-2-c\" where standard clauses were agreed, or what holds",
            ),
            Some(_) => {}
            None if europe && !is_european(&recipient.country) && !ADEQUATE.contains(&recipient.country.as_str()) => look.error(
                &key("transfer"),
                format!("nothing is named that allows data to go to {}", recipient.country),
                "write \"eu-gdpr:A46-2-c\" where standard clauses were agreed, \"eu-gdpr:A45-3\" for an adequacy decision",
            ),
            None => {}
        }
        if recipient.endpoints.is_empty() {
            look.warn(
                &key("endpoints"),
                "no address is named: nothing can be sent there",
                "list the addresses",
            );
        }
        for endpoint in &recipient.endpoints {
            if Endpoint::parse(endpoint).is_none() {
                look.error(
                    &key("endpoints"),
                    format!("{endpoint:?} is no address: nothing can be sent there"),
                    "write https://HOST, or HOST:PORT of a broker",
                );
            } else if endpoint.starts_with("http://") && !endpoint.starts_with("http://127.0.0.1") {
                look.error(
                    &key("endpoints"),
                    format!("{endpoint} is not encrypted"),
                    "write an https address",
                );
            }
        }
    }
}

fn sharing(look: &mut Look<'_>, policy: &Policy) {
    let aggregates = &policy.sharing.aggregates;
    if !aggregates.to.is_empty() && aggregates.k < 2 {
        look.error(
            "sharing.aggregates.k",
            "a sum over one person is that person",
            "write at least 2; 20 is usual",
        );
    }
    if policy.identity.ip_is_identity {
        look.error(
            "identity.ip_is_identity",
            "an address is of a household or a company, not of a person",
            "write false; `collect.ip` says what becomes of it",
        );
    }
    if policy.identity.pseudonym.vault == "none" {
        look.error(
            "identity.pseudonym.vault",
            "values of identifiers go to the vault under a key of their person; they cannot be left out yet",
            "write \"per_subject_key\"",
        );
    }
    if !policy.collect.enrichment.is_empty() {
        look.error("collect.enrichment", "Candor completes records from nowhere", "write `enrichment = []`");
    }
    if policy.collect.ip.action == "generalise" && policy.collect.ip.v4 > 24 {
        look.warn(
            "collect.ip.v4",
            "more than 24 bits of an address tell households apart: never call that anonymous",
            "write 24 or less",
        );
    }
}

fn house(look: &mut Look<'_>, policy: &Policy) {
    let governance = &policy.governance;
    if governance.changes.prior_days == 0 {
        look.warn(
            "governance.changes.prior_days",
            "people learn of a change when it holds already",
            "write 30",
        );
    }
    if governance.telemetry.email_open_tracking {
        look.error(
            "governance.telemetry.email_open_tracking",
            "Candor's mails carry nothing that could tell",
            "write false",
        );
    }
    if !governance.telemetry.third_party_embeds.is_empty() {
        look.error(
            "governance.telemetry.third_party_embeds",
            "Candor's pages load nothing of others",
            "write []",
        );
    }
    if governance.security.at_rest == "off" {
        look.error(
            "governance.security.at_rest",
            "Candor writes no file that is not encrypted",
            "write \"per_file_keys\"",
        );
    }
    if governance.breach.authority_hours > 72 {
        look.error(
            "governance.breach.authority_hours",
            "the authority is to be told within 72 hours (GDPR Art. 33)",
            "write 72 or less",
        );
    }
    if policy.rights.deadline.get("default").is_none_or(|span| span.seconds() > 31 * 86_400) {
        look.error(
            "rights.deadline.default",
            "a request is to be answered within a month (GDPR Art. 12)",
            "write at most \"31d\"",
        );
    }
    if policy.controller.name.is_none() || policy.notice.contact.is_none() {
        look.warn(
            "controller.name",
            "the page does not say who is responsible and where to write to",
            "write `controller.name` and `notice.contact`",
        );
    }
}
