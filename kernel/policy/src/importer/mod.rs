//! Rules of others as rules of ours.

mod config;
mod rules;
mod selectors;

use std::fmt::Write;

use candor_scrub::Scrubber;

use crate::fault::{Fault, Place};
use crate::model::{Rule, Scrub};
use config::Config;

/// Larger than any such file.
const BYTES_MAX: usize = 1 << 20;
/// Fewer rules than a policy may have: it has some of its own.
const RULES_MAX: usize = 150;
/// Longest name of a rule that its id is made of, characters.
const NAME_MAX: usize = 60;
/// Longest text that a policy takes.
const TEXT_MAX: usize = 4096;

/// What was made of a file of another's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Tables to put into a policy.
    pub toml: String,
    /// What our rules cannot express, or express otherwise.
    pub faults: Vec<Fault>,
}

/// Reads Sentry's configuration of data scrubbing (`rules` and `applications`), and writes what it says as
/// `[[scrub.rule]]`. The file may be that alone or a project's with it as `piiConfig`.
///
/// Each application becomes one rule for each thing that it finds. There the rules of one selector all strike, one
/// after the other; here the first decides, which for different finds is the same.
pub fn import_sentry(name: &str, text: &str) -> Imported {
    let mut import = Import { name, text, faults: Vec::new(), rules: Vec::new() };
    if text.len() > BYTES_MAX {
        import.fault("", format!("the file is larger than {BYTES_MAX} bytes"), "shorten it");
    } else {
        match Config::read(text) {
            Ok(config) => import.applications(&config),
            Err(why) => import.fault("", why, "see Sentry's documentation of Advanced Data Scrubbing"),
        }
    }
    Imported { toml: import.written(), faults: import.faults }
}

/// One rule of ours.
struct Made {
    id: String,
    at: String,
    find: rules::Find,
    action: String,
}

impl Made {
    /// Whether the scrubber takes it.
    fn check(&self) -> Result<(), String> {
        let (detect, pattern) = match &self.find {
            rules::Find::Whole => (Vec::new(), None),
            rules::Find::Detector(names) => (names.iter().map(|name| (*name).to_owned()).collect(), None),
            rules::Find::Pattern(pattern) => (Vec::new(), Some(pattern.clone())),
        };
        let texts = [Some(&self.at), Some(&self.action), pattern.as_ref()];
        if texts.into_iter().flatten().any(|text| text.trim().is_empty() || text.len() > TEXT_MAX) {
            return Err(format!("a text of it is empty, or longer than {TEXT_MAX} bytes"));
        }
        let (id, at, action) = (self.id.clone(), self.at.clone(), self.action.clone());
        let scrub = Scrub {
            on_error: "drop_event".to_owned(),
            keys_too: true,
            decode: Vec::new(),
            rules: vec![Rule { id, at, detect, pattern, action }],
            allow: Vec::new(),
        };
        Scrubber::new(scrub.rules()?).map(drop).map_err(|error| error.to_string())
    }
}

struct Import<'a> {
    name: &'a str,
    text: &'a str,
    faults: Vec<Fault>,
    rules: Vec<Made>,
}

impl Import<'_> {
    fn fault(&mut self, key: &str, why: String, write: &str) {
        // The last part of a key is the name as it stands in the file.
        let named = key.rsplit('.').next().filter(|name| !name.is_empty());
        let at = named.and_then(|name| self.text.find(&format!("\"{name}\""))).unwrap_or(0);
        let before = self.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        let place = Place { file: self.name.to_owned(), line, column };
        self.faults.push(Fault { place, key: key.to_owned(), why, write: write.to_owned() });
    }

    fn applications(&mut self, config: &Config) {
        for (selector, names) in &config.applications {
            let at = match selectors::ours(selector) {
                Ok(at) => at,
                Err(why) => {
                    let why = format!("{selector:?} is no selector here: {why}");
                    self.fault(&format!("applications.{selector}"), why, "write the rule by hand");
                    continue;
                }
            };
            for name in names {
                for found in rules::resolve(config, name) {
                    match found {
                        Ok(found) if self.rules.len() < RULES_MAX => self.push(&at, found),
                        Ok(_) => {
                            self.fault(
                                &format!("applications.{selector}"),
                                format!("there are more than {RULES_MAX} rules"),
                                "join some of them",
                            );
                            return;
                        }
                        Err((why, write)) => self.fault(&format!("rules.{name}"), why, write),
                    }
                }
            }
        }
    }

    fn push(&mut self, at: &str, found: rules::Found) {
        if let Some(note) = found.note {
            self.fault(&format!("rules.{}", found.name), note.to_owned(), "look whether that will do");
        }
        let at = match &found.below {
            None => at.to_owned(),
            Some(names) => selectors::below(at, names),
        };
        let is_same = |made: &&mut Made| {
            let joins =
                matches!((&made.find, &found.find), (rules::Find::Detector(_), rules::Find::Detector(_)));
            joins && made.at == at && made.action == found.action
        };
        if let Some(made) = self.rules.iter_mut().find(is_same)
            && let (rules::Find::Detector(own), rules::Find::Detector(more)) = (&mut made.find, &found.find)
        {
            own.extend(more.iter().filter(|one| !own.contains(one)).copied().collect::<Vec<_>>());
            return;
        }
        let made = Made { id: self.free_id(&found.name), at, find: found.find, action: found.action };
        match made.check() {
            Ok(()) => self.rules.push(made),
            Err(why) => self.fault(&format!("rules.{}", found.name), why, "write the rule by hand"),
        }
    }

    /// An id that no rule has yet.
    fn free_id(&self, name: &str) -> String {
        let plain: String = name
            .trim_start_matches('@')
            .chars()
            .take(NAME_MAX)
            .map(|c| if c.is_alphanumeric() { c } else { '_' })
            .collect();
        let base = format!("sentry_{plain}");
        let is_free = |id: &String| self.rules.iter().all(|rule| rule.id != *id);
        let numbered = (2..=RULES_MAX + 1).map(|number| format!("{base}_{number}"));
        std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base)
    }

    fn written(&self) -> String {
        let text = |text: &str| toml::Value::from(text).to_string();
        let mut out = String::new();
        for rule in &self.rules {
            let find = match &rule.find {
                rules::Find::Whole => String::new(),
                rules::Find::Detector(names) => {
                    let names: Vec<String> = names.iter().map(|name| text(name)).collect();
                    format!("detect = [{}]\n", names.join(", "))
                }
                rules::Find::Pattern(pattern) => format!("pattern = {}\n", text(pattern)),
            };
            let (id, at, action) = (text(&rule.id), text(&rule.at), text(&rule.action));
            // Writing to a text does not fail.
            let _ = write!(out, "[[scrub.rule]]\nid = {id}\nat = {at}\n{find}action = {action}\n\n");
        }
        out
    }
}
