//! Terms of vocabularies that are not ours. Names are facts; the vocabularies' words about them stay theirs.
//!
//! fideslang (<https://ethyca.github.io/fideslang/>, CC BY 4.0, Ethyca): a key is taken where it begins with one of the
//! listed ones, as taxonomies are extended below. DPV 2.3 and its `eu-gdpr` extension (<https://w3id.org/dpv>).

use crate::check::nearest;
use crate::keys::Vocabulary;

const DATA_CATEGORIES: &[&str] = &[
    "system",
    "system.authentication",
    "system.operations",
    "user",
    "user.account",
    "user.account.settings",
    "user.account.username",
    "user.authorization",
    "user.authorization.biometric",
    "user.authorization.credentials",
    "user.authorization.password",
    "user.behavior",
    "user.behavior.browsing_history",
    "user.behavior.media_consumption",
    "user.behavior.purchase_history",
    "user.behavior.search_history",
    "user.biometric",
    "user.biometric.fingerprint",
    "user.biometric.health",
    "user.biometric.retinal",
    "user.biometric.voice",
    "user.childrens",
    "user.contact",
    "user.contact.address",
    "user.contact.address.city",
    "user.contact.address.country",
    "user.contact.address.postal_code",
    "user.contact.address.state",
    "user.contact.address.street",
    "user.contact.email",
    "user.contact.fax_number",
    "user.contact.organization",
    "user.contact.phone_number",
    "user.contact.url",
    "user.content",
    "user.content.private",
    "user.content.public",
    "user.content.self_image",
    "user.criminal_history",
    "user.demographic",
    "user.demographic.age_range",
    "user.demographic.date_of_birth",
    "user.demographic.gender",
    "user.demographic.language",
    "user.demographic.marital_status",
    "user.demographic.political_opinion",
    "user.demographic.profile",
    "user.demographic.race_ethnicity",
    "user.demographic.religious_belief",
    "user.demographic.sexual_orientation",
    "user.device",
    "user.device.cookie",
    "user.device.cookie_id",
    "user.device.device_id",
    "user.device.ip_address",
    "user.financial",
    "user.financial.bank_account",
    "user.financial.credit_card",
    "user.government_id",
    "user.government_id.birth_certificate",
    "user.government_id.drivers_license_number",
    "user.government_id.immigration",
    "user.government_id.national_identification_number",
    "user.government_id.passport_number",
    "user.government_id.vehicle_registration",
    "user.health_and_medical",
    "user.health_and_medical.genetic",
    "user.health_and_medical.insurance_beneficiary_id",
    "user.health_and_medical.record_id",
    "user.job_title",
    "user.location",
    "user.location.imprecise",
    "user.location.precise",
    "user.name",
    "user.name.first",
    "user.name.last",
    "user.payment",
    "user.privacy_preferences",
    "user.sensor",
    "user.social",
    "user.telemetry",
    "user.unique_id",
    "user.unique_id.pseudonymous",
    "user.user_sensor",
    "user.workplace",
];

const DATA_USES: &[&str] = &[
    "analytics",
    "analytics.reporting",
    "analytics.reporting.ad_performance",
    "analytics.reporting.campaign_insights",
    "analytics.reporting.content_performance",
    "analytics.reporting.system",
    "analytics.reporting.system.performance",
    "collect",
    "employment",
    "employment.recruitment",
    "essential",
    "essential.fraud_detection",
    "essential.legal_obligation",
    "essential.service",
    "essential.service.authentication",
    "essential.service.notifications",
    "essential.service.notifications.email",
    "essential.service.notifications.sms",
    "essential.service.operations",
    "essential.service.operations.improve",
    "essential.service.operations.support",
    "essential.service.payment_processing",
    "essential.service.security",
    "essential.service.upgrades",
    "finance",
    "functional",
    "functional.service",
    "functional.service.improve",
    "functional.storage",
    "functional.storage.privacy_preferences",
    "marketing",
    "marketing.advertising",
    "marketing.advertising.first_party",
    "marketing.advertising.first_party.contextual",
    "marketing.advertising.first_party.targeted",
    "marketing.advertising.frequency_capping",
    "marketing.advertising.negative_targeting",
    "marketing.advertising.profiling",
    "marketing.advertising.serving",
    "marketing.advertising.third_party",
    "marketing.advertising.third_party.targeted",
    "marketing.communications",
    "marketing.communications.email",
    "marketing.communications.sms",
    "personalize",
    "personalize.content",
    "personalize.content.limited",
    "personalize.content.profiled",
    "personalize.content.profiling",
    "personalize.profiling",
    "personalize.system",
    "sales",
    "third_party_sharing",
    "third_party_sharing.legal_obligation",
    "train_ai_system",
];

const DATA_SUBJECTS: &[&str] = &[
    "anonymous_user",
    "citizen_voter",
    "commuter",
    "consultant",
    "customer",
    "employee",
    "job_applicant",
    "next_of_kin",
    "passenger",
    "patient",
    "prospect",
    "shareholder",
    "supplier_vendor",
    "trainee",
    "visitor",
];

const PURPOSES: &[&str] = &[
    "dpv:Advertising",
    "dpv:CommunicationManagement",
    "dpv:CustomerCare",
    "dpv:CustomerManagement",
    "dpv:DirectMarketing",
    "dpv:EnforceSecurity",
    "dpv:FraudPreventionAndDetection",
    "dpv:FulfilmentOfObligation",
    "dpv:HumanResourceManagement",
    "dpv:LegalCompliance",
    "dpv:Marketing",
    "dpv:OptimiseUserInterface",
    "dpv:Personalisation",
    "dpv:PersonnelHiring",
    "dpv:RecordManagement",
    "dpv:ResearchAndDevelopment",
    "dpv:ServiceOptimisation",
    "dpv:ServicePersonalisation",
    "dpv:ServiceProvision",
    "dpv:ServiceUsageAnalytics",
    "dpv:TechnicalServiceProvision",
];

const ROLES: &[&str] = &[
    "dpv:Authority",
    "dpv:DataController",
    "dpv:DataImporter",
    "dpv:DataProcessor",
    "dpv:DataRecipient",
    "dpv:DataSubProcessor",
    "dpv:JointDataControllers",
    "dpv:ThirdParty",
];

const LEGAL_BASES: &[&str] = &[
    "eu-gdpr:A6-1-a",
    "eu-gdpr:A6-1-b",
    "eu-gdpr:A6-1-c",
    "eu-gdpr:A6-1-d",
    "eu-gdpr:A6-1-e",
    "eu-gdpr:A6-1-f",
];

const TRANSFERS: &[&str] = &[
    "eu-gdpr:A45-3",
    "eu-gdpr:A46-2-a",
    "eu-gdpr:A46-2-b",
    "eu-gdpr:A46-2-c",
    "eu-gdpr:A46-2-d",
    "eu-gdpr:A46-2-e",
    "eu-gdpr:A46-2-f",
    "eu-gdpr:A46-3-a",
    "eu-gdpr:A46-3-b",
    "eu-gdpr:A49-1-a",
];

/// Terms for what no longer allows a transfer: read, so that the lint can say why.
const OBSOLETE_TRANSFERS: &[&str] = &["privacy-shield", "safe-harbor"];

/// Groups of countries beside those of ISO 3166-1.
const REGIONS: &[&str] = &["EEA", "EU", "UK", "CA-QC", "US-CA"];

/// Countries of the European Economic Area (ISO 3166-1).
pub(crate) const EEA: &[&str] = &[
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT",
    "LI", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// Countries that the Commission found adequate (GDPR Art. 45), as of 2026.
pub(crate) const ADEQUATE: &[&str] =
    &["AD", "AR", "CA", "CH", "FO", "GB", "GG", "IL", "IM", "JE", "JP", "KR", "NZ", "UK", "UY"];

/// Countries of the European Economic Area that are not of the Union.
const NOT_OF_THE_UNION: &[&str] = &["IS", "LI", "NO"];

/// The regions that one lies in, other than itself.
pub(crate) fn regions_around(region: &str) -> Vec<&'static str> {
    match region {
        "EU" => vec!["EEA"],
        "GB" => vec!["UK"],
        country if EEA.contains(&country) && !NOT_OF_THE_UNION.contains(&country) => vec!["EU", "EEA"],
        country if EEA.contains(&country) => vec!["EEA"],
        _ => Vec::new(),
    }
}

/// True for what no longer allows a transfer: `privacy-shield`, and as people write it.
pub(crate) fn is_obsolete(transfer: &str) -> bool {
    let plain = transfer.to_ascii_lowercase().replace([' ', '_'], "-").replace("harbour", "harbor");
    OBSOLETE_TRANSFERS.iter().any(|obsolete| plain.contains(obsolete))
}

/// Whether a term is one, else why not and what is.
pub(crate) fn check(vocabulary: Vocabulary, term: &str) -> Result<(), (String, String)> {
    let of = |known: &[&str]| match known.contains(&term) {
        true => Ok(()),
        false => Err((format!("{term:?} is no term of it"), nearest(term, known))),
    };
    match vocabulary {
        Vocabulary::DataCategory => below(term, DATA_CATEGORIES),
        Vocabulary::DataUse => below(term, DATA_USES),
        Vocabulary::DataSubject => of(DATA_SUBJECTS),
        Vocabulary::Purpose => match term.strip_prefix("dpv:") {
            Some(name) if !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric()) => Ok(()),
            _ => of(PURPOSES),
        },
        Vocabulary::RecipientRole => of(ROLES),
        Vocabulary::LegalBasis => of(LEGAL_BASES),
        Vocabulary::Transfer if is_obsolete(term) => Ok(()),
        Vocabulary::Transfer => of(TRANSFERS),
        Vocabulary::Region => match term.len() == 2 && term.bytes().all(|byte| byte.is_ascii_uppercase()) {
            true => Ok(()),
            false => of(REGIONS).map_err(|(why, _)| {
                (why, format!("write a country, as in \"DE\", or one of {}", REGIONS.join(", ")))
            }),
        },
    }
}

/// A term, or one below it.
fn below(term: &str, known: &[&str]) -> Result<(), (String, String)> {
    let is_below = |one: &&str| {
        let rest = term.strip_prefix(*one).and_then(|rest| rest.strip_prefix('.'));
        rest.is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'_' || b == b'.')
        })
    };
    // The tops alone are extended: what is below a known one by a slip of the pen is a slip.
    if known.contains(&term) || known.iter().filter(|one| one.contains('.')).any(is_below) {
        return Ok(());
    }
    Err((format!("{term:?} is no term of it"), nearest(term, known)))
}

/// A term, for people.
pub(crate) fn example(vocabulary: Vocabulary) -> &'static str {
    match vocabulary {
        Vocabulary::DataCategory => "user.behavior",
        Vocabulary::DataUse => "essential.service.operations",
        Vocabulary::DataSubject => "customer",
        Vocabulary::Purpose => "dpv:ServiceProvision",
        Vocabulary::RecipientRole => "dpv:DataSubProcessor",
        Vocabulary::LegalBasis => "eu-gdpr:A6-1-f",
        Vocabulary::Transfer => "eu-gdpr:A46-2-c",
        Vocabulary::Region => "DE",
    }
}

/// The terms of a vocabulary that is closed; none where it can be extended.
pub(crate) fn closed(vocabulary: Vocabulary) -> Option<&'static [&'static str]> {
    match vocabulary {
        Vocabulary::DataSubject => Some(DATA_SUBJECTS),
        Vocabulary::RecipientRole => Some(ROLES),
        Vocabulary::LegalBasis => Some(LEGAL_BASES),
        _ => None,
    }
}
