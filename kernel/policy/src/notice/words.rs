//! The tables of words, one file for a language, with the same entries.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// A language that the page is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    En,
    /// German.
    De,
}

impl Language {
    /// Every language.
    pub const ALL: [Language; 2] = [Language::En, Language::De];

    /// `en`, `de`.
    pub fn code(self) -> &'static str {
        match self {
            Language::En => "en",
            Language::De => "de",
        }
    }

    /// The language of a code.
    pub fn by_code(code: &str) -> Option<Language> {
        Language::ALL.into_iter().find(|language| language.code() == code)
    }

    pub(super) fn words(self) -> &'static Words {
        static TABLES: OnceLock<[Words; 2]> = OnceLock::new();
        let read = |text| toml::from_str(text).unwrap_or_default();
        let [en, de] =
            TABLES.get_or_init(|| [read(include_str!("words/en.toml")), read(include_str!("words/de.toml"))]);
        match self {
            Language::En => en,
            Language::De => de,
        }
    }
}

/// A table.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    title: BTreeMap<String, String>,
    page: BTreeMap<String, String>,
    storage: BTreeMap<String, String>,
    unit: BTreeMap<String, String>,
    text: BTreeMap<String, String>,
    name: BTreeMap<String, String>,
    word: BTreeMap<String, String>,
}

impl Words {
    pub(super) fn title(&self, of: &str) -> &str {
        self.title.get(of).map_or("", String::as_str)
    }

    /// A word of the page around the sentences.
    pub(super) fn page(&self, of: &str) -> &str {
        self.page.get(of).map_or("", String::as_str)
    }

    pub(super) fn storage(&self, of: &str) -> &str {
        self.storage.get(of).map_or("", String::as_str)
    }

    /// A sentence's template.
    pub(super) fn text(&self, id: &str) -> Option<&str> {
        self.text.get(id).map(String::as_str)
    }

    pub(super) fn name<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.name.get(name).map(String::as_str)
    }

    pub(super) fn word(&self, word: &str) -> Option<&str> {
        self.word.get(word).map(String::as_str)
    }

    /// A text of the writer's in quotes.
    pub(super) fn quoted(&self, text: &str) -> String {
        let (open, close) = self.page("quotes").split_once('|').unwrap_or(("\"", "\""));
        format!("{open}{text}{close}")
    }

    /// One, two and three; `between` is `and` or `or`.
    pub(super) fn list(&self, items: &[String], between: &str) -> String {
        match items {
            [] => String::new(),
            [one] => one.clone(),
            [first @ .., last] => format!("{} {} {last}", first.join(", "), self.page(between)),
        }
    }

    /// `30d` in words.
    pub(super) fn span(&self, text: &str, is_dative: bool) -> String {
        let cut = text.len().saturating_sub(1);
        let (Some(number), Some(unit)) = (text.get(..cut), text.get(cut..)) else { return text.to_owned() };
        let Some(names) = self.unit.get(unit) else { return text.to_owned() };
        let place = match (number, is_dative) {
            ("1", _) => 0,
            (_, false) => 1,
            (_, true) => 2,
        };
        format!("{number} {}", names.split('|').nth(place).unwrap_or(unit))
    }

    /// What it has an entry for, with the keys that each template names.
    #[cfg(test)]
    pub(super) fn entries(&self) -> Vec<(String, Vec<String>)> {
        let plain = [
            ("title", &self.title),
            ("page", &self.page),
            ("storage", &self.storage),
            ("unit", &self.unit),
            ("name", &self.name),
            ("word", &self.word),
            ("text", &self.text),
        ];
        let mut found = Vec::new();
        for (table, entries) in plain {
            for (id, text) in entries {
                let mut named = super::say::named(text);
                named.sort();
                found.push((format!("{table} {id}"), named));
            }
        }
        found
    }

    #[cfg(test)]
    pub(super) fn texts(&self) -> &BTreeMap<String, String> {
        &self.text
    }
}
