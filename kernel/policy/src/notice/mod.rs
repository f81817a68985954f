//! What people read: the page that a policy stands behind, sentence by sentence, and the records of it that machines
//! read.
//!
//! A sentence is made from values of keys and from nothing else, so it is true of the policy that it is made from. It
//! says who vouches for it: the server, a figure, or a person.

mod compare;
mod evidence;
mod feed;
mod find;
mod html;
mod markdown;
mod page;
mod record;
mod say;
mod storage;
#[cfg(test)]
mod tests;
mod words;

use serde::Serialize;
use serde_json::{Value as Json, json};

use crate::keys::{self, Class};
use crate::model::Policy;
use say::Said;
use words::Words;

pub use compare::{SentenceChange, SentenceChangeKind, compare};
pub use evidence::{Evidence, Figure};
pub use feed::{VersionEntry, feed};
pub use page::{PageContext, STYLE, style_hash};
pub use record::{gpc, record_of_processing, subprocessors};
pub use storage::{Kept, STORED};
pub use words::Language;

/// The sections, each with the beginnings of the keys that it tells of.
const SECTIONS: &[(&str, &[&str])] = &[
    ("who", &["candor_policy", "controller", "data_ownership", "site", "notice.contact"]),
    ("collect", &["activity", "collect"]),
    ("person", &["identity"]),
    ("secrets", &["scrub"]),
    ("signals", &["consent.mode", "consent.no_cookie", "consent.signals"]),
    ("children", &["consent.children"]),
    ("others", &["recipient", "sharing", "governance.telemetry", "governance.legal_requests"]),
    ("place", &["residency"]),
    ("time", &["activity.[id].retention"]),
    ("rights", &["rights", "notice.authority"]),
    (
        "changes",
        &[
            "notice.version",
            "notice.effective",
            "notice.languages",
            "governance.changes",
            "governance.transfer_of_control",
        ],
    ),
    ("staff", &["governance.reads"]),
    ("security", &["governance.security", "governance.breach"]),
];

/// Lists of which it is said that nothing stands in them.
const LISTS: &[(&str, &str, Class)] = &[
    ("recipient", "/recipient", Class::Attested),
    ("scrub.rule", "/scrub/rule", Class::Enforced),
    ("scrub.allow", "/scrub/allow", Class::Enforced),
];

/// A page in one language.
#[derive(Debug, Clone, Serialize)]
pub struct Notice {
    /// Its language.
    pub language: Language,
    /// What it says.
    pub sections: Vec<Section>,
    #[serde(skip)]
    policy: Policy,
}

/// A part of a page.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// Its name in links.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// What it says.
    pub sentences: Vec<Sentence>,
}

/// A sentence.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sentence {
    /// The key that it is of, and its name in every version.
    pub id: String,
    /// What it says: plain text.
    pub text: String,
    /// The keys whose values it is made from.
    pub keys: Vec<String>,
    /// Who vouches for it: of several keys the weakest.
    pub class: Class,
    /// What enforces or measures those keys.
    pub by: Vec<&'static str>,
    /// Clauses of published policies that those keys carry.
    pub clauses: Vec<&'static str>,
    /// Keys of it that the program does not apply yet.
    pub not_in_force: Vec<String>,
}

/// The page of a policy.
pub fn compile(policy: &Policy, language: Language) -> Notice {
    let json = serde_json::to_value(policy).unwrap_or_default();
    let words = language.words();
    let mut sections: Vec<(Section, Vec<(Order, Sentence)>)> = SECTIONS
        .iter()
        .map(|(id, _)| {
            let title = words.title(id).to_owned();
            (Section { id, title, sentences: Vec::new() }, Vec::new())
        })
        .collect();
    let mut add = |path: &str, order: Order, sentence: Sentence| {
        let id = section_of(path);
        if let Some((_, sentences)) = sections.iter_mut().find(|(section, _)| section.id == id) {
            sentences.push((order, sentence));
        }
    };
    for (place, key) in keys::all().iter().enumerate() {
        for instance in find::instances(&json, key) {
            if let Some(said) = say::say(&json, words, &instance) {
                let order = (group_of(key.path), instance.index, place);
                add(key.path, order, sentence(&json, &instance.path, said));
            }
        }
    }
    for (path, pointer, class) in LISTS {
        let is_empty = json.pointer(pointer).and_then(Json::as_array).is_none_or(Vec::is_empty);
        if let (true, Some(sentence)) = (is_empty, nothing(words, path, *class)) {
            add(path, (group_of(&format!("{path}.[id]")), 0, 0), sentence);
        }
    }
    let sections = sections.into_iter().map(|(section, mut sentences)| {
        sentences.sort_by_key(|(order, _)| *order);
        Section { sentences: sentences.into_iter().map(|(_, sentence)| sentence).collect(), ..section }
    });
    Notice { language, sections: sections.collect(), policy: policy.clone() }
}

/// Where a sentence stands: its list of items, its item, its key.
type Order = (usize, usize, usize);

/// What is said of one item stands together.
fn group_of(path: &str) -> usize {
    let list = path.split_inclusive('.').take_while(|segment| !find::is_name(segment)).collect::<String>();
    let has_items = list.len() < path.len();
    let is_first = |key: &keys::Key| match has_items {
        true => key.path.strip_prefix(list.as_str()).is_some_and(find::is_name),
        false => key.path == path,
    };
    keys::all().iter().position(is_first).unwrap_or(usize::MAX)
}

/// The section with the longest beginning of a key.
fn section_of(path: &str) -> &'static str {
    let is_below =
        |prefix: &str| path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    let fits = SECTIONS.iter().flat_map(|(id, prefixes)| prefixes.iter().map(move |prefix| (*id, *prefix)));
    let best = fits.filter(|(_, prefix)| is_below(prefix)).max_by_key(|(_, prefix)| prefix.len());
    best.map_or("who", |(id, _)| id)
}

fn sentence(policy: &Json, path: &[String], said: Said) -> Sentence {
    let found: Vec<_> = said.paths.iter().filter_map(|path| Some((path, keys::of(path)?))).collect();
    let mut clauses: Vec<_> = found.iter().flat_map(|(_, key)| key.clauses).copied().collect();
    clauses.sort_unstable();
    clauses.dedup();
    let mut by: Vec<_> = found.iter().map(|(_, key)| key.by).filter(|by| !by.is_empty()).collect();
    by.dedup();
    // A name is no promise: `activity.errors.title` makes no sentence weaker than what it says.
    let own = keys::of(path);
    let promises =
        found.iter().filter(|(_, key)| is_promise(key.path) || Some(key.path) == own.map(|own| own.path));
    Sentence {
        id: path.join("."),
        text: said.text,
        keys: found.iter().map(|(path, _)| path.join(".")).collect(),
        class: promises
            .map(|(_, key)| key.class)
            .max_by_key(|class| weakness(*class))
            .unwrap_or(Class::Attested),
        by,
        clauses,
        not_in_force: found
            .iter()
            .filter(|(path, key)| !key.in_force || !is_value_in_force(policy, path, key.path))
            .map(|(path, _)| path.join("."))
            .collect(),
    }
}

fn is_value_in_force(policy: &Json, path: &[String], key: &str) -> bool {
    let value = path.iter().try_fold(policy, |at, name| at.get(name)).and_then(Json::as_str);
    !keys::VALUES_NOT_IN_FORCE.iter().any(|(of, open)| *of == key && Some(*open) == value)
}

/// False for names: of an activity, of a recipient.
fn is_promise(path: &str) -> bool {
    !matches!(path, "activity.[id].title" | "recipient.[id].name" | "scrub.allow.[at].reason")
}

fn weakness(class: Class) -> u8 {
    match class {
        Class::Enforced => 0,
        Class::Measured => 1,
        Class::Attested => 2,
    }
}

/// That a list has nothing in it.
fn nothing(words: &Words, path: &str, class: Class) -> Option<Sentence> {
    Some(Sentence {
        id: path.to_owned(),
        text: words.text(&format!("{path}#none"))?.to_owned(),
        keys: vec![path.to_owned()],
        class,
        by: Vec::new(),
        clauses: Vec::new(),
        not_in_force: Vec::new(),
    })
}

impl Notice {
    /// Every sentence.
    pub fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.sections.iter().flat_map(|section| &section.sentences)
    }

    /// Those that the program does not apply yet.
    pub fn not_in_force(&self) -> impl Iterator<Item = &Sentence> {
        self.sentences().filter(|sentence| !sentence.not_in_force.is_empty())
    }

    /// As JSON, with the figures.
    pub fn to_json(&self, evidence: &Evidence) -> Json {
        let sections = self.sections.iter().map(|section| {
            let sentences = section.sentences.iter().map(|sentence| {
                let mut json = serde_json::to_value(sentence).unwrap_or_default();
                if let Some(members) = json.as_object_mut() {
                    members.insert("anchor".to_owned(), json!(anchor(&sentence.id)));
                    members.insert("evidence".to_owned(), json!(evidence.of(sentence)));
                }
                json
            });
            json!({ "id": section.id, "title": section.title, "sentences": sentences.collect::<Vec<_>>() })
        });
        json!({
            "language": self.language,
            "sections": sections.collect::<Vec<_>>(),
            "storage": storage::table(self.language.words()),
        })
    }
}

/// A sentence's name in links: what could not stand there is written as its number.
pub fn anchor(id: &str) -> String {
    let mut found = "s-".to_owned();
    for letter in id.chars() {
        match letter {
            letter if letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-') => found.push(letter),
            letter => found.push_str(&format!("_{:x}_", u32::from(letter))),
        }
    }
    found
}
