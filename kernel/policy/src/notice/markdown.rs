//! The page as Markdown.

use super::words::Words;
use super::{Evidence, Notice, STORED, Sentence};
use crate::keys::Class;

impl Notice {
    /// As Markdown.
    pub fn to_markdown(&self, evidence: &Evidence) -> String {
        let words = self.language.words();
        let mut text = format!("# {}\n", words.title("page"));
        for section in self.sections.iter().filter(|section| !section.sentences.is_empty()) {
            text.push_str(&format!("\n## {}\n\n", escape(&section.title)));
            for sentence in &section.sentences {
                let badges = badges(words, sentence, evidence);
                text.push_str(&format!("- {} *\\[{}\\]*\n", escape(&sentence.text), escape(&badges)));
            }
        }
        text.push_str(&format!("\n## {}\n\n{}\n\n", words.title("storage"), words.page("storage_intro")));
        let head =
            ["storage_name", "storage_kind", "storage_why", "storage_time"].map(|name| words.page(name));
        text.push_str(&format!("| {} |\n|---|---|---|---|\n", head.join(" | ")));
        for kept in STORED {
            text.push_str(&format!("| {} |\n", kept.cells(words).map(escape).join(" | ")));
        }
        text
    }
}

/// What stands beside a sentence: who vouches for it, what of it is not in force, and its figures.
pub(super) fn badges(words: &Words, sentence: &Sentence, evidence: &Evidence) -> String {
    let mut parts = vec![words.page(class_word(sentence.class)).to_owned()];
    if !sentence.not_in_force.is_empty() {
        parts.push(words.page("not_in_force").to_owned());
    }
    parts.extend(figures(words, sentence, evidence));
    parts.join("; ")
}

/// The figures of a sentence, in words.
pub(super) fn figures(words: &Words, sentence: &Sentence, evidence: &Evidence) -> Vec<String> {
    let figures = evidence.of(sentence);
    if figures.is_empty() && sentence.class == Class::Measured {
        return vec![words.page("unmeasured").to_owned()];
    }
    let in_words = figures.into_iter().map(|figure| {
        let ledger = figure.ledger.map(|index| format!(", {} {index}", words.page("ledger")));
        format!("{} ({}{})", figure.text, figure.at, ledger.unwrap_or_default())
    });
    in_words.collect()
}

pub(super) fn class_word(class: Class) -> &'static str {
    match class {
        Class::Enforced => "enforced",
        Class::Measured => "measured",
        Class::Attested => "attested",
    }
}

/// Text as Markdown shows it.
fn escape(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '|' | '~' | '!' | '&' => {
                found.push('\\');
                found.push(letter);
            }
            letter if letter.is_control() => found.push(' '),
            letter => found.push(letter),
        }
    }
    found
}
