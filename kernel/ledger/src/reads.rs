//! Reads that are alike within an hour are one entry with their number: a screen that asks every five seconds is not
//! 720 entries. So are records that were not taken, and rows whose time was over. What is counted lies in a table of its own until it becomes an entry, so that a crash forgets none.

use std::collections::HashMap;

use candor_keyring::Keyring;
use candor_meta::{Row, SqlError, Tx, params};
use candor_model::{OrgId, ProjectId, Timestamp};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::leaf::{Action, Event};
use crate::scan::{CODES_MAX, Code, Subjects};

/// What reads are counted within, µs.
const HOUR_US: i64 = 3_600 * Timestamp::SECOND;

/// Different reads that are counted at once; beyond them, all become entries.
const OPEN_MAX: usize = 10_000;

/// Rows of persons' codes in memory over all that is counted; beyond them, all become entries.
const OPEN_CODES_MAX: usize = 400_000;

/// Somebody read something, or something else happened that is counted by the hour.
#[derive(Debug, Clone)]
pub struct Read {
    /// [`Action::Read`], [`Action::Export`], [`Action::Drop`] or [`Action::Retention`].
    pub action: Action,
    /// The project's organisation.
    pub org: OrgId,
    /// The project.
    pub project: ProjectId,
    /// Who.
    pub actor: String,
    /// For what.
    pub purpose: String,
    /// Which signals, or topics as `stream:NAME`.
    pub signal: String,
    /// The query in the clear: only a keyed digest of its form without values is kept.
    pub query: Option<String>,
    /// The hash of the policy in force.
    pub policy: Option<String>,
    /// The clause of the policy that asked or allowed.
    pub clause: Option<String>,
    /// Rows that were given, or are no more.
    pub rows: u64,
    /// Whom they named.
    pub subjects: Subjects,
}

impl Read {
    fn event(self, keyring: &Keyring, now: Timestamp) -> Event {
        let query = self.query.map(|query| keyring.keyed_digest("ledger query", form(&query).as_bytes()));
        let mut event = Event::new(self.action, self.actor, self.purpose).of_project(self.org, self.project);
        event.signal = Some(self.signal).filter(|signal| !signal.is_empty());
        event.query = query;
        event.policy = self.policy;
        event.clause = self.clause;
        event.rows = self.rows;
        event.since = Some(now.0);
        event.subjects = self.subjects;
        event
    }
}

/// The form of a query: without its strings and numbers, and with single spaces. So a query that asks for other times is
/// the same, and nothing of a value is left that could be found by trying.
fn form(query: &str) -> String {
    let mut out = String::with_capacity(query.len());
    let mut rest = query.chars().peekable();
    let mut in_word = false;
    while let Some(c) = rest.next() {
        if c == '\'' {
            // A doubled quote reads as two strings in a row, which is one value as well.
            while rest.next_if(|next| *next != '\'').is_some() {}
            rest.next();
            if !out.ends_with('?') {
                out.push('?');
            }
        } else if c.is_ascii_digit() && !in_word {
            while rest.next_if(|next| next.is_ascii_alphanumeric() || *next == '.').is_some() {}
            out.push('?');
        } else if c.is_whitespace() {
            in_word = false;
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else {
            in_word = c.is_alphanumeric() || c == '_';
            out.push(c);
        }
    }
    out.trim().to_owned()
}

/// What makes reads alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Alike(String);

impl Alike {
    fn of(event: &Event) -> Alike {
        let project = event.project.map_or(0, |(_, project)| project.0).to_string();
        let parts = [
            event.action.name(),
            &project,
            &event.actor,
            &event.purpose,
            event.signal.as_deref().unwrap_or_default(),
            event.query.as_deref().unwrap_or_default(),
            event.policy.as_deref().unwrap_or_default(),
        ];
        // Lengths before the parts, so that no two lists read the same. What has no clause is known as it was before there
        // were clauses.
        let parts = parts.into_iter().chain(event.clause.as_deref());
        Alike(parts.map(|part| format!("{}:{part}", part.len())).collect())
    }
}

struct Open {
    event: Event,
    dirty: bool,
}

/// What is counted and no entry yet.
#[derive(Default)]
pub(crate) struct Reads {
    open: Mutex<HashMap<Alike, Open>>,
}

/// What a read led to.
pub(crate) enum Noted {
    /// The same was read before in this hour.
    Counted,
    /// It is the first of its hour, and is to be stored.
    First,
    /// It is the first, and there is no room for more.
    Full,
}

impl Reads {
    /// Counts a read. What an earlier hour counted of the same is given out, to become an entry.
    pub(crate) fn note(
        &self,
        read: Read,
        keyring: &Keyring,
        now: Timestamp,
    ) -> (Noted, Option<(Alike, Event)>) {
        let event = read.event(keyring, now);
        let alike = Alike::of(&event);
        let mut open = self.open.lock();
        let ended = match open.get_mut(&alike) {
            Some(known) if !is_over(&known.event, now) && fits(&known.event, &event) => {
                merge(&mut known.event, &event);
                known.dirty = true;
                return (Noted::Counted, None);
            }
            Some(known) => {
                known.dirty = true;
                Some((alike, std::mem::replace(&mut known.event, event)))
            }
            None => {
                open.insert(alike, Open { event, dirty: true });
                None
            }
        };
        let codes: usize = open.values().map(|open| open.event.subjects.len()).sum();
        let full = open.len() > OPEN_MAX || codes > OPEN_CODES_MAX;
        (if full { Noted::Full } else { Noted::First }, ended)
    }

    /// Takes out what is to become entries: of hours that are over, or everything (of one project, where one is named).
    pub(crate) fn take(
        &self,
        now: Timestamp,
        everything: bool,
        project: Option<ProjectId>,
    ) -> Vec<(Alike, Event)> {
        let of = |event: &Event| {
            project.is_none_or(|project| event.project.is_some_and(|(_, own)| own == project))
        };
        let mut open = self.open.lock();
        let taken = open.extract_if(|_, open| of(&open.event) && (everything || is_over(&open.event, now)));
        taken.map(|(alike, open)| (alike, open.event)).collect()
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, events: Vec<(Alike, Event)>) {
        let mut open = self.open.lock();
        for (alike, event) in events {
            match open.get_mut(&alike) {
                Some(known) => {
                    known.event.since = known.event.since.min(event.since);
                    merge(&mut known.event, &event);
                }
                None => {
                    open.insert(alike, Open { event, dirty: true });
                }
            }
        }
    }

    /// What changed since it was stored, ready to be.
    pub(crate) fn changed(&self, keyring: &Keyring) -> Vec<(String, Vec<u8>)> {
        let mut open = self.open.lock();
        open.iter_mut()
            .filter(|(_, open)| open.dirty)
            .map(|(alike, open)| {
                open.dirty = false;
                let key = stored_key(keyring, alike);
                let content = serde_json::to_vec(&Stored::of(&open.event)).unwrap_or_default();
                let sealed = keyring.seal_secret(&owner(&key), &content);
                (key, sealed)
            })
            .collect()
    }

    /// What `changed` gave was not stored.
    pub(crate) fn not_stored(&self) {
        self.open.lock().values_mut().for_each(|open| open.dirty = true);
    }

    /// Reads what an earlier run counted.
    pub(crate) fn restore(&self, keyring: &Keyring, rows: &[Row]) -> Result<(), SqlError> {
        let mut open = self.open.lock();
        for row in rows {
            let content = keyring.open_secret(&owner(row.text(0)?), row.blob(1)?);
            // What was sealed under another root key is nobody's to count.
            let stored = content.and_then(|content| serde_json::from_slice::<Stored>(&content).ok());
            if let Some(event) = stored.and_then(Stored::event) {
                open.insert(Alike::of(&event), Open { event, dirty: false });
            }
        }
        Ok(())
    }
}

pub(crate) async fn store(tx: &mut Tx, rows: &[(String, Vec<u8>)]) -> Result<(), SqlError> {
    for (key, sealed) in rows {
        tx.execute(
            "INSERT INTO ledger_open (key, sealed) VALUES (?, ?) \
             ON CONFLICT (key) DO UPDATE SET sealed = excluded.sealed",
            params![key, &sealed[..]],
        )
        .await?;
    }
    Ok(())
}

pub(crate) async fn forget(tx: &mut Tx, keyring: &Keyring, alike: &[Alike]) -> Result<(), SqlError> {
    for alike in alike {
        tx.execute("DELETE FROM ledger_open WHERE key = ?", params![stored_key(keyring, alike)]).await?;
    }
    Ok(())
}

fn stored_key(keyring: &Keyring, alike: &Alike) -> String {
    keyring.keyed_digest("ledger open", alike.0.as_bytes())
}

fn owner(key: &str) -> [Vec<u8>; 2] {
    [b"ledger open".to_vec(), key.as_bytes().to_vec()]
}

fn is_over(event: &Event, now: Timestamp) -> bool {
    event.since.is_none_or(|since| since.div_euclid(HOUR_US) != now.0.div_euclid(HOUR_US))
}

/// True where the codes of both are counted whole. An entry ends early rather than say that there were more.
fn fits(known: &Event, new: &Event) -> bool {
    known.subjects.len() + new.subjects.len() <= CODES_MAX || known.subjects.is_empty()
}

fn merge(known: &mut Event, new: &Event) {
    known.count = known.count.saturating_add(new.count);
    known.rows = known.rows.saturating_add(new.rows);
    known.subjects.join(&new.subjects);
}

#[derive(Serialize, Deserialize)]
struct Stored {
    action: Action,
    org: i64,
    project: i64,
    actor: String,
    purpose: String,
    signal: Option<String>,
    query: Option<String>,
    policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    clause: Option<String>,
    rows: u64,
    count: u64,
    since: Option<i64>,
    subjects: Vec<String>,
}

impl Stored {
    fn of(event: &Event) -> Stored {
        let (org, project) = event.project.map_or((0, 0), |(org, project)| (org.0, project.0));
        Stored {
            action: event.action,
            org,
            project,
            actor: event.actor.clone(),
            purpose: event.purpose.clone(),
            signal: event.signal.clone(),
            query: event.query.clone(),
            policy: event.policy.clone(),
            clause: event.clause.clone(),
            rows: event.rows,
            count: event.count,
            since: event.since,
            subjects: event.subjects.codes().map(ToString::to_string).collect(),
        }
    }

    fn event(self) -> Option<Event> {
        let mut event = Event::new(self.action, self.actor, self.purpose);
        event.project = Some((OrgId(self.org), ProjectId(self.project)));
        event.signal = self.signal;
        event.query = self.query;
        event.policy = self.policy;
        event.clause = self.clause;
        event.rows = self.rows;
        event.count = self.count;
        event.since = self.since;
        event.subjects = self.subjects.iter().map(|code| Code::parse(code)).collect::<Option<_>>()?;
        Some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::form;

    #[test]
    fn queries_that_differ_in_values_have_one_form() {
        let one = form("SELECT count(*)  FROM errors\nWHERE user_id = 'it''s' AND n1 > 4.5e3");
        assert_eq!(one, "SELECT count(*) FROM errors WHERE user_id = ? AND n1 > ?");
        assert_eq!(one, form("SELECT count(*) FROM errors WHERE user_id = 'bob' AND n1 > 7 "));
        assert_ne!(one, form("SELECT count(*) FROM logs WHERE user_id = 'bob' AND n1 > 7"));
        assert_eq!(form("a = 'open"), "a = ?");
    }
}
