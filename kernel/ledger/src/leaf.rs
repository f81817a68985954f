//! What an entry says: canonical JSON (RFC 8785) without personal data.

use candor_model::{OrgId, ProjectId};
use serde::{Deserialize, Serialize};

use crate::scan::Subjects;

/// Longest of the short texts in a leaf, bytes: names, numbers, references.
const TEXT_BYTES_MAX: usize = 500;

/// Longest reason, bytes: some sentences.
pub const REASON_BYTES_MAX: usize = 4_000;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Action {
    /// A policy began to hold.
    #[serde(rename = "policy.activate")]
    PolicyActivate,
    /// A policy was announced and does not hold yet.
    #[serde(rename = "policy.announce")]
    PolicyAnnounce,
    /// Rows were read.
    #[serde(rename = "read")]
    Read,
    /// A value was opened.
    #[serde(rename = "reveal")]
    Reveal,
    /// Rows or files left for other tools.
    #[serde(rename = "export")]
    Export,
    /// Something was given to a recipient.
    #[serde(rename = "disclosure")]
    Disclosure,
    /// Records were not taken, by a clause.
    #[serde(rename = "drop")]
    Drop,
    /// What was older than its time was removed.
    #[serde(rename = "retention")]
    Retention,
    /// What belongs to a person was removed.
    #[serde(rename = "erase")]
    Erase,
    /// Somebody's role changed.
    #[serde(rename = "role.change")]
    RoleChange,
}

impl Action {
    const ALL: [Action; 10] = [
        Action::PolicyActivate,
        Action::PolicyAnnounce,
        Action::Read,
        Action::Reveal,
        Action::Export,
        Action::Disclosure,
        Action::Drop,
        Action::Retention,
        Action::Erase,
        Action::RoleChange,
    ];

    /// The word that is stored and shown.
    pub fn name(self) -> &'static str {
        match self {
            Action::PolicyActivate => "policy.activate",
            Action::PolicyAnnounce => "policy.announce",
            Action::Read => "read",
            Action::Reveal => "reveal",
            Action::Export => "export",
            Action::Disclosure => "disclosure",
            Action::Drop => "drop",
            Action::Retention => "retention",
            Action::Erase => "erase",
            Action::RoleChange => "role.change",
        }
    }

    /// The action of that name.
    pub fn from_name(name: &str) -> Option<Action> {
        Action::ALL.into_iter().find(|action| action.name() == name)
    }
}

/// Something that was done, on its way into the ledger.
#[derive(Debug, Clone)]
pub struct Event {
    /// What.
    pub action: Action,
    /// With the data of which project; none where it is the instance's.
    pub project: Option<(OrgId, ProjectId)>,
    /// Who: an account, a token, a user of Kafka by number. Never a name or an address.
    pub actor: String,
    /// For what.
    pub purpose: String,
    /// Which signals, or topics as `stream:NAME`.
    pub signal: Option<String>,
    /// Rows that were given or touched.
    pub rows: u64,
    /// The clause of the policy that asked or allowed.
    pub clause: Option<String>,
    /// The hash of the policy in force.
    pub policy: Option<String>,
    /// Tells queries apart without saying what they ask.
    pub query: Option<String>,
    /// How often.
    pub count: u64,
    /// When it was first done, where the entry counts several, µs.
    pub since: Option<i64>,
    /// Whom it concerned: goes into the detail.
    pub subjects: Subjects,
    /// The reason that was given: goes into the detail.
    pub reason: Option<String>,
}

impl Event {
    /// Something that was done once.
    pub fn new(action: Action, actor: impl Into<String>, purpose: impl Into<String>) -> Event {
        Event {
            action,
            project: None,
            actor: actor.into(),
            purpose: purpose.into(),
            signal: None,
            rows: 0,
            clause: None,
            policy: None,
            query: None,
            count: 1,
            since: None,
            subjects: Subjects::default(),
            reason: None,
        }
    }

    /// With a project's data.
    pub fn of_project(mut self, org: OrgId, project: ProjectId) -> Event {
        self.project = Some((org, project));
        self
    }

    /// The leaf of this event. Its members stand in the order of their names, which is RFC 8785's.
    pub(crate) fn leaf(&self, index: u64, time: i64, detail: Option<String>) -> Leaf {
        Leaf {
            action: self.action,
            actor: cut(&self.actor, TEXT_BYTES_MAX),
            clause: self.clause.as_deref().map(|text| cut(text, TEXT_BYTES_MAX)),
            count: self.count,
            detail,
            index,
            org: self.project.map(|(org, _)| org.0),
            policy: self.policy.as_deref().map(|text| cut(text, TEXT_BYTES_MAX)),
            project: self.project.map(|(_, project)| project.0),
            purpose: cut(&self.purpose, TEXT_BYTES_MAX),
            query: self.query.as_deref().map(|text| cut(text, TEXT_BYTES_MAX)),
            rows: self.rows,
            signal: self.signal.as_deref().map(|text| cut(text, TEXT_BYTES_MAX)),
            since: self.since,
            subjects: self.subjects.len() as u64,
            subjects_cut: self.subjects.is_cut().then_some(true),
            time,
        }
    }
}

/// The beginning of a text, to a whole character.
pub(crate) fn cut(text: &str, bytes: usize) -> String {
    let mut end = bytes.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

/// An entry as it is hashed. Its fields stand in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// What was done.
    pub action: Action,
    /// Who did it.
    pub actor: String,
    /// The clause that asked or allowed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub clause: Option<String>,
    /// How often.
    pub count: u64,
    /// The commitment to the detail: `sha256:` and hexadecimal digits over salt and content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Its own number.
    pub index: u64,
    /// The organisation's number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub org: Option<i64>,
    /// The hash of the policy in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub policy: Option<String>,
    /// The project's number.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub project: Option<i64>,
    /// For what.
    pub purpose: String,
    /// Tells queries apart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub query: Option<String>,
    /// Rows that were given or touched.
    pub rows: u64,
    /// Which signals.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub signal: Option<String>,
    /// When it was first done, where the entry counts several, µs.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub since: Option<i64>,
    /// How many persons it concerned.
    pub subjects: u64,
    /// True where they were more than are counted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub subjects_cut: Option<bool>,
    /// When it was written, µs since 1970.
    pub time: i64,
}

impl Leaf {
    /// The bytes that are hashed.
    pub fn canonical(&self) -> String {
        // A struct of texts and numbers always has a form in JSON.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Reads a leaf. None where it is none, or not in the one form.
    pub fn parse(text: &str) -> Option<Leaf> {
        let leaf: Leaf = serde_json::from_str(text).ok()?;
        (leaf.canonical() == text).then_some(leaf)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_have_one_form_and_no_personal_data() {
        let mut event = Event::new(Action::Reveal, "user:3", "incident").of_project(OrgId(1), ProjectId(2));
        event.reason = Some("Alice called".to_owned());
        event.signal = Some("errors".to_owned());
        let leaf = event.leaf(7, 1_790_000_000_000_000, Some("sha256:00".to_owned()));
        // A golden: what is hashed never changes.
        let text = r#"{"action":"reveal","actor":"user:3","count":1,"detail":"sha256:00","index":7,"org":1,"project":2,"purpose":"incident","rows":0,"signal":"errors","subjects":0,"time":1790000000000000}"#;
        assert_eq!(leaf.canonical(), text);
        assert_eq!(Leaf::parse(text), Some(leaf));
        assert_eq!(Leaf::parse(&text.replace("{\"action\"", "{ \"action\"")), None, "not the one form");
        assert_eq!(Leaf::parse(&text.replace("reveal", "peek")), None);
        for action in Action::ALL {
            assert_eq!(serde_json::to_string(&action).unwrap(), format!("{:?}", action.name()));
            assert_eq!(Action::from_name(action.name()), Some(action));
        }
        assert_eq!(cut("aä", 2), "a");
    }

    #[test]
    fn members_stand_in_the_order_of_their_names() {
        let mut event = Event::new(Action::Read, "user:3", "query").of_project(OrgId(1), ProjectId(2));
        for text in [&mut event.signal, &mut event.clause, &mut event.policy, &mut event.query] {
            *text = Some("x".to_owned());
        }
        event.since = Some(1);
        let mut leaf = event.leaf(0, 2, Some("d".to_owned()));
        leaf.subjects_cut = Some(true);
        let sorted: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&leaf.canonical()).unwrap();
        let mut names: Vec<&String> = sorted.keys().collect();
        names.sort();
        let mut at = 0;
        for name in names {
            let found = leaf.canonical().find(&format!("\"{name}\":")).unwrap();
            assert!(found >= at, "{name}");
            at = found;
        }
    }
}
