//! Records that machines read: of processing activities (GDPR Art. 30), of others who get data, of Global Privacy Control.

use serde_json::{Map, Value as Json, json};

use crate::model::{Activity, Policy, Recipient};
use crate::terms::EEA;

/// The record of processing activities, in JSON-LD by DPV 2.3.
pub fn record_of_processing(policy: &Policy) -> Json {
    let controller = &policy.controller;
    let mut who = Map::from_iter([
        ("@id".to_owned(), json!("#controller")),
        ("@type".to_owned(), json!("dpv:DataController")),
    ]);
    optional(&mut who, "dpv:hasName", controller.name.as_ref());
    optional(&mut who, "dpv:hasCountry", controller.country.as_ref());
    optional(&mut who, "dpv:hasContact", policy.notice.contact.as_ref());
    if let Some(officer) = &controller.dpo {
        let officer = json!({ "@type": "dpv:DataProtectionOfficer", "dpv:hasContact": officer });
        who.insert("dpv:hasDataProtectionOfficer".to_owned(), officer);
    }
    let activities: Vec<Json> = policy.activities.iter().map(|one| activity(policy, one)).collect();
    let recipients: Vec<Json> = policy.recipients.iter().map(recipient).collect();
    json!({
        "@context": {
            "dpv": "https://w3id.org/dpv#",
            "eu-gdpr": "https://w3id.org/dpv/legal/eu/gdpr#",
            "dct": "http://purl.org/dc/terms/",
            "candor": "urn:candor:policy:",
        },
        "@type": "dpv:RecordOfProcessingActivities",
        "dct:hasVersion": policy.notice.version,
        "dct:valid": policy.notice.effective,
        "dpv:hasDataController": who,
        "dpv:hasProcess": activities,
        "dpv:hasRecipient": recipients,
        "dpv:hasTechnicalOrganisationalMeasure": measures(policy),
    })
}

fn optional(members: &mut Map<String, Json>, name: &str, value: Option<&String>) {
    if let Some(value) = value {
        members.insert(name.to_owned(), json!(value));
    }
}

fn activity(policy: &Policy, activity: &Activity) -> Json {
    let terms =
        |terms: &[String]| -> Vec<String> { terms.iter().map(|term| format!("candor:{term}")).collect() };
    let recipients: Vec<Json> =
        policy.recipients.iter().map(|one| json!({ "@id": format!("#recipient-{}", one.id) })).collect();
    let mut members = Map::from_iter([
        ("@id".to_owned(), json!(format!("#activity-{}", activity.id))),
        ("@type".to_owned(), json!("dpv:Process")),
        ("dct:title".to_owned(), json!(activity.title.as_ref().unwrap_or(&activity.id))),
        ("dpv:hasDataSubject".to_owned(), json!(terms(&activity.subjects))),
        ("dpv:hasPersonalData".to_owned(), json!(terms(&activity.data_categories))),
        ("candor:signals".to_owned(), json!(activity.signals)),
        ("candor:dataUses".to_owned(), json!(terms(&activity.data_uses))),
        ("dpv:hasLegalBasis".to_owned(), json!({ "@id": activity.legal_basis })),
        (
            "dpv:hasStorageCondition".to_owned(),
            json!({
                "@type": "dpv:StorageDuration",
                "dpv:hasDuration": activity.retention.live.text(),
                "candor:maxLag": activity.retention.max_lag.text(),
                "candor:backups": activity.retention.backups.text(),
                "candor:basis": activity.retention.basis,
            }),
        ),
        (
            "dpv:hasLocation".to_owned(),
            json!(policy.residency.regions.iter().chain(&policy.residency.replicas).collect::<Vec<_>>()),
        ),
        ("dpv:hasRecipient".to_owned(), json!(recipients)),
    ]);
    if let Some(purpose) = &activity.purpose {
        members.insert("dpv:hasPurpose".to_owned(), json!({ "@id": purpose }));
    }
    Json::Object(members)
}

fn recipient(recipient: &Recipient) -> Json {
    let mut members = Map::from_iter([
        ("@id".to_owned(), json!(format!("#recipient-{}", recipient.id))),
        ("@type".to_owned(), json!(recipient.role)),
        ("dpv:hasName".to_owned(), json!(recipient.name)),
        ("dpv:hasCountry".to_owned(), json!(recipient.country)),
        ("candor:dataUses".to_owned(), json!(recipient.uses)),
        ("candor:fields".to_owned(), json!(recipient.fields)),
    ]);
    if let Some(ground) = &recipient.transfer {
        members.insert("dpv:hasLegalBasis".to_owned(), json!({ "@id": ground }));
    }
    Json::Object(members)
}

/// What of security and of rights a policy says, by DPV's terms: those alone that it asks for.
fn measures(policy: &Policy) -> Vec<Json> {
    let security = &policy.governance.security;
    let rules = !policy.scrub.rules.is_empty();
    let said = [
        (security.at_rest == "per_file_keys", "dpv:EncryptionAtRest", "governance.security.at_rest"),
        (security.tls == "required", "dpv:EncryptionInTransfer", "governance.security.tls"),
        (
            security.second_factor == "required",
            "dpv:MultiFactorAuthentication",
            "governance.security.second_factor",
        ),
        (!policy.identity.keys.is_empty(), "dpv:Pseudonymisation", "identity.keys"),
        (rules, "dpv:DataRedaction", "scrub.rule"),
        (policy.governance.reads.ledger, "dpv:ActivityMonitoring", "governance.reads.ledger"),
    ];
    let held = said.into_iter().filter(|(is_so, ..)| *is_so);
    held.map(|(_, term, key)| {
        let in_force = crate::keys::all().iter().all(|entry| entry.path != key || entry.in_force);
        json!({ "@id": term, "candor:key": key, "candor:inForce": in_force })
    })
    .collect()
}

/// The others who get data.
pub fn subprocessors(policy: &Policy) -> Json {
    let rows = policy.recipients.iter().map(|recipient| {
        json!({
            "id": recipient.id,
            "name": recipient.name,
            "country": recipient.country,
            "inEea": EEA.contains(&recipient.country.as_str()),
            "role": recipient.role,
            "uses": recipient.uses,
            "fields": recipient.fields,
            "transfer": recipient.transfer,
        })
    });
    json!({
        "version": policy.notice.version,
        "noticeDays": policy.governance.changes.subprocessor_days,
        "subprocessors": rows.collect::<Vec<_>>(),
    })
}

/// `/.well-known/gpc.json`: whether Global Privacy Control is abided by; `last_update` is a day: `2026-12-01`.
pub fn gpc(policy: &Policy, last_update: &str) -> Json {
    json!({ "gpc": !policy.consent.signals.gpc.is_empty(), "lastUpdate": last_update })
}
