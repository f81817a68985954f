//! What is removed from records, as the policy says it, and as the scrubber takes it.

use candor_scrub::{Detector, RuleError, Rules, Scope, Selector};
use serde::{Deserialize, Serialize};

use super::action::Action;
use super::words::words;

/// `[scrub]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scrub {
    /// What happens to a record that a detector fails on.
    pub on_error: OnError,
    /// Names of members are looked at, too.
    pub keys_too: bool,
    /// Encodings that are looked into.
    pub decode: Vec<Decode>,
    /// The rules: the first that holds at a place decides.
    pub rule: Vec<Rule>,
    /// Exceptions.
    #[serde(default)]
    pub allow: Vec<Allow>,
}

words! {
    /// What happens to a record that a detector fails on.
    OnError {
        /// It is dropped, and counted.
        DropEvent = "drop_event",
    }
}

words! {
    /// An encoding that text is looked into for.
    Decode {
        /// Escapes of JSON.
        Json = "json",
        /// Percent-encoding.
        Url = "url",
        /// Base64.
        Base64 = "base64",
    }
}

/// One of `scrub.rule`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name in reports.
    pub id: String,
    /// Where it holds: a selector.
    pub at: String,
    /// Names of detectors and of groups of them. None and no pattern is the whole text.
    #[serde(default)]
    pub detect: Vec<String>,
    /// A pattern of the policy's own, as one more detector.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What happens to what is found.
    pub action: Action,
}

/// One of `scrub.allow`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// Where: a selector.
    pub at: String,
    /// What is left alone there.
    pub detect: Vec<String>,
    /// Why.
    pub reason: String,
}

/// Why rules cannot be compiled. [`crate::read`] finds all of it first, with its place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScrubError {
    /// A selector.
    #[error("`{at}` is no selector: {why}")]
    Selector {
        /// It.
        at: String,
        /// Why not.
        why: String,
    },
    /// A detector that there is not.
    #[error("there is no detector `{0}`")]
    Detector(String),
    /// More patterns than rules can name.
    #[error("more than 255 patterns")]
    Patterns,
    /// What the scrubber refuses.
    #[error(transparent)]
    Rule(#[from] RuleError),
}

impl Scrub {
    /// The rules as the scrubber takes them.
    pub fn rules(&self) -> Result<Rules, ScrubError> {
        let mut patterns = Vec::new();
        let mut rules = Vec::with_capacity(self.rule.len());
        for rule in &self.rule {
            let mut found = detectors(&rule.detect)?;
            if let Some(expression) = &rule.pattern {
                let place = u8::try_from(patterns.len()).map_err(|_| ScrubError::Patterns)?;
                patterns.push(candor_scrub::Pattern { id: rule.id.clone(), expression: expression.clone() });
                found.push(Detector::Pattern(place));
            }
            if found.is_empty() {
                found.push(Detector::Whole);
            }
            let scope = match rule.at.trim() {
                "**" => Scope::Everywhere,
                at => Scope::At(selector(at)?),
            };
            rules.push(candor_scrub::Rule {
                id: rule.id.clone(),
                detectors: found,
                action: rule.action.compiled(),
                scope,
            });
        }
        let allow = self.allow.iter().map(|allow| {
            Ok(candor_scrub::Allow { at: selector(&allow.at)?, detectors: detectors(&allow.detect)? })
        });
        Ok(Rules {
            rules,
            allow: allow.collect::<Result<_, ScrubError>>()?,
            patterns,
            keys_too: self.keys_too,
            decode: self
                .decode
                .iter()
                .filter_map(|one| candor_scrub::Encoding::by_name(one.word()))
                .collect(),
        })
    }
}

fn selector(at: &str) -> Result<Selector, ScrubError> {
    Selector::parse(at).map_err(|error| ScrubError::Selector { at: at.to_owned(), why: error.to_string() })
}

/// The detectors of names, groups opened, each once.
fn detectors(names: &[String]) -> Result<Vec<Detector>, ScrubError> {
    let mut found: Vec<Detector> = Vec::new();
    for name in names {
        let own = Detector::by_name(name).map(|one| vec![one]);
        let several = own.or_else(|| Detector::group(name).map(<[Detector]>::to_vec));
        let Some(several) = several else { return Err(ScrubError::Detector(name.clone())) };
        for one in several {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_those_of_the_scrubber() {
        let known: Vec<&str> = candor_scrub::Encoding::ALL.iter().map(|one| one.name()).collect();
        assert_eq!(known, Decode::WORDS);
    }
}
