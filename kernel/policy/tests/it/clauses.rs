//! The clauses of the published policies that presets are modelled on: each has its keys, and its sentence on the page.

use std::collections::{BTreeMap, BTreeSet};

use candor_policy::notice::{
    Evidence, Language, PageContext, VersionEntry, compile, record_of_processing, subprocessors,
};
use candor_policy::{PRESETS, Policy, Severity, keys, lint, read};

use crate::files::SHOP;

/// The table of clauses, by the prefix of a policy's.
const TABLES: [(&str, &str); 5] = [
    ("LF", include_str!("../../../../checks/clauses/logflare.toml")),
    ("LR", include_str!("../../../../checks/clauses/logrocket.toml")),
    ("BS", include_str!("../../../../checks/clauses/better-stack.toml")),
    ("SE", include_str!("../../../../checks/clauses/sentry.toml")),
    ("CF", include_str!("../../../../checks/clauses/confluent.toml")),
];

/// What the table says of a clause, as far as a policy goes.
struct Clause {
    keys: BTreeSet<String>,
    is_said: bool,
}

fn table(prefix: &str) -> BTreeMap<String, Clause> {
    let text = TABLES.iter().find(|(of, _)| *of == prefix).expect("has a table").1;
    let table: toml::Table = text.parse().expect("is TOML");
    let clauses = table.into_iter().map(|(id, entry)| {
        let keys = entry["keys"].as_array().expect("is a list").iter();
        let keys = keys.map(|key| key.as_str().expect("is text").to_owned()).collect();
        (id, Clause { keys, is_said: entry.get("unsaid").is_none() })
    });
    clauses.collect()
}

fn policy(text: &str) -> Policy {
    read("policy.toml", text).unwrap_or_else(|faults| panic!("{faults:?}")).policy
}

fn errors(text: &str) -> Vec<String> {
    let found = lint(&read("policy.toml", text).unwrap_or_else(|faults| panic!("{faults:?}")));
    found.into_iter().filter(|one| one.severity == Severity::Error).map(|one| one.key).collect()
}

#[test]
fn the_register_and_the_table_name_each_other() {
    let mut by_register: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for key in keys::all() {
        for clause in key.clauses {
            by_register.entry(clause).or_default().insert(key.path.to_owned());
        }
    }
    for (prefix, _) in TABLES {
        for (id, clause) in table(prefix) {
            let keys = by_register.remove(id.as_str()).unwrap_or_default();
            assert_eq!(clause.keys, keys, "{id}: the table, and then the register");
        }
    }
    assert!(by_register.is_empty(), "the register names clauses that there are not: {by_register:?}");
}

/// For each preset every clause of the policy that it is modelled on, but those that the table says it does not cover.
#[test]
fn every_clause_that_a_preset_covers_stands_on_its_page() {
    let mut wrong = Vec::new();
    for preset in PRESETS {
        let Some(prefix) = preset.clauses else { continue };
        let policy = policy(&format!("candor_policy = 1\nextends = \"{}\"\n", preset.name));
        for language in Language::ALL {
            let notice = compile(&policy, language);
            for (id, clause) in table(prefix) {
                let of_key = |path: &String| {
                    let path: Vec<String> = path.split('.').map(str::to_owned).collect();
                    keys::of(&path).is_some_and(|key| clause.keys.contains(key.path))
                };
                let mut sentences = notice.sentences().filter(|sentence| {
                    sentence.clauses.contains(&id.as_str())
                        && sentence.keys.iter().any(of_key)
                        && !sentence.text.is_empty()
                });
                let first = sentences.next();
                if language == Language::En {
                    let text = first.map_or("(not covered)", |sentence| &sentence.text);
                    let key = first.map_or("", |sentence| &sentence.id);
                    println!("{}  {id}  {key}: {text} (and {} more)", preset.name, sentences.count());
                }
                if first.is_some() != clause.is_said {
                    wrong.push(format!("{id} on the page of {}, {language:?}", preset.name));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new(), "said where the table says that it is not, or the other way");
}

/// What is collected, for what, why and for how long stands in the record of processing, whatever it is.
#[test]
fn what_is_collected_stands_in_the_record_of_processing() {
    let text = "candor_policy = 1\n[[activity]]\nid = \"accounts\"\nsignals = [\"stream:accounts\"]\n\
        subjects = [\"customer\"]\n\
        data_categories = [\"user.name\", \"user.contact.email\", \"user.location\", \"user.job_title\"]\n\
        data_uses = [\"essential.service\", \"marketing.communications\"]\n\
        purpose = \"dpv:ServiceProvision\"\nlegal_basis = \"eu-gdpr:A6-1-b\"\n\
        retention = { live = \"400d\", max_lag = \"24h\", backups = \"0d\", basis = \"fixed\" }\n";
    let record = record_of_processing(&policy(text));
    let rows = record["dpv:hasProcess"].as_array().expect("is a list");
    let row = rows.iter().find(|row| row["@id"] == "#activity-accounts").expect("has a row");
    assert_eq!(
        row["dpv:hasPersonalData"],
        serde_json::json!([
            "candor:user.name",
            "candor:user.contact.email",
            "candor:user.location",
            "candor:user.job_title"
        ])
    );
    assert_eq!(
        row["candor:dataUses"],
        serde_json::json!(["candor:essential.service", "candor:marketing.communications"])
    );
    assert_eq!(row["dpv:hasPurpose"]["@id"], "dpv:ServiceProvision");
    assert_eq!(row["dpv:hasStorageCondition"]["dpv:hasDuration"], "400d");
    // A kind of data that no vocabulary has is none that the record could name.
    let unknown = text.replace("user.job_title", "user.star_sign_of_dog");
    assert!(read("policy.toml", &unknown).is_err());
}

/// What the program does not do cannot be switched on by a policy that says so.
#[test]
fn a_policy_cannot_ask_for_what_the_program_never_does() {
    for key in [
        "governance.telemetry.email_open_tracking = true",
        "governance.telemetry.third_party_embeds = [\"https://stats.example\"]",
        "collect.enrichment = [\"social\"]",
        "identity.ip_is_identity = true",
        "governance.security.at_rest = \"off\"",
    ] {
        let name = key.split(' ').next().expect("has a name");
        assert_eq!(errors(&format!("candor_policy = 1\n{key}\n")), [name], "{key}");
    }
    assert_eq!(errors("candor_policy = 1\n"), Vec::<String>::new());
    let reports = read("policy.toml", "candor_policy = 1\ngovernance.telemetry.self = \"usage\"\n");
    assert!(reports.is_err(), "there is no word for it but off");
    assert!(read("policy.toml", "candor_policy = 1\nidentity.cross_domain = \"allow\"\n").is_err());
}

/// Who gets data as a partner is none whom the page says there is not, and a browser's objection counts.
#[test]
fn partners_are_who_the_policy_says_there_are() {
    let with = |sharing: &str, gpc: &str| {
        errors(&format!(
            "candor_policy = 1\nsharing.partners = \"{sharing}\"\nconsent.signals.gpc = [{gpc}]\n\
             [[recipient]]\nid = \"friend\"\nname = \"Friend\"\ncountry = \"DE\"\nrole = \"dpv:ThirdParty\"\n\
             uses = [\"third_party_sharing\"]\nendpoints = [\"https://friend.example\"]\n"
        ))
    };
    assert_eq!(with("never", "\"no_share\""), ["recipient.friend.uses"]);
    assert_eq!(with("with_consent", "\"no_share\""), Vec::<String>::new());
    assert_eq!(with("allowed", ""), ["consent.signals.gpc"]);
}

#[test]
fn a_page_says_which_version_it_is_from_when_and_what_there_was() {
    let older = VersionEntry {
        version: "6".to_owned(),
        hash: "6f".to_owned(),
        published: "2026-11-20T09:00:00Z".to_owned(),
        effective: Some("2026-11-25".to_owned()),
        summary: String::new(),
        path: "/privacy/versions/6".to_owned(),
    };
    let context = PageContext { versions: vec![older], ..PageContext::default() };
    for language in Language::ALL {
        let page = compile(&policy(SHOP), language).to_page(&context, &Evidence::new());
        assert!(page.contains("<dd>7</dd>"), "its version");
        assert!(page.contains("<dd>2026-12-01</dd>"), "its day");
        assert!(page.contains("<a href=\"/privacy/versions/6\">6</a> (2026-11-25)"), "what there was");
    }
}

#[test]
fn whoever_gets_data_stands_on_the_page_and_on_the_list() {
    let policy = policy("candor_policy = 1\nextends = \"preset:logrocket-2018\"\n");
    let listed = subprocessors(&policy);
    let listed: Vec<_> = listed["subprocessors"].as_array().expect("is a list").iter().collect();
    let names: Vec<_> = policy.recipients.iter().map(|recipient| recipient.name.as_str()).collect();
    assert_eq!(names, ["Amazon Web Services", "Google Cloud", "Redis Labs"]);
    assert_eq!(listed.len(), names.len());
    let notice = compile(&policy, Language::En);
    for (row, name) in listed.iter().zip(names) {
        assert_eq!((row["name"].as_str(), row["country"].as_str()), (Some(name), Some("US")));
        let says = |what: &str| {
            notice.sentences().any(|one| {
                one.id.starts_with("recipient.") && one.text.contains(name) && one.text.contains(what)
            })
        };
        assert!(says("(US)"), "{name}");
    }
}
