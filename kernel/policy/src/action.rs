//! `[scrub]` as the scrubber takes it.

use candor_scrub::{Action, Allow, Detector, Encoding, Pattern, Rule, Rules, Scope, Selector};

use crate::model::{Policy, Scrub};

/// What actions there are, for faults.
pub(crate) const EXPECTED: &str = "there are: remove, replace:TEXT, mask:KEEP_LAST, truncate:CHARACTERS, generalise, \
    pseudonym, drop_field, drop_event, alert";

/// Reads an action: `mask:4`.
pub(crate) fn parse(text: &str) -> Result<Action, String> {
    let (name, argument) =
        text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
    let number = || {
        let number = argument.and_then(|argument| argument.parse::<usize>().ok());
        number.ok_or_else(|| format!("`{name}` takes a number, as in `{name}:4`"))
    };
    match (name, argument) {
        ("remove", None) => Ok(Action::Remove),
        ("replace", Some(text)) => Ok(Action::Replace(text.to_owned())),
        ("mask", None) => Ok(Action::Mask { keep_last: 0 }),
        ("mask", Some(_)) => Ok(Action::Mask { keep_last: number()? }),
        ("truncate", _) => Ok(Action::Truncate { characters: number()? }),
        ("generalise", None) => Ok(Action::GENERALISE),
        ("pseudonym", None) => Ok(Action::Pseudonym),
        ("drop_field", None) => Ok(Action::DropField),
        ("drop_event", None) => Ok(Action::DropEvent),
        ("alert", None) => Ok(Action::Alert),
        ("hash" | "sha256" | "sha1" | "md5", _) => {
            Err(format!("{text:?}: a hash without a key is undone by guessing; `pseudonym` has one"))
        }
        _ => Err(format!("there is no action {text:?}")),
    }
}

/// The detectors of a name, of one or of several.
pub(crate) fn detectors(name: &str) -> Option<Vec<Detector>> {
    let group = Detector::group(name).map(<[Detector]>::to_vec);
    group.or_else(|| Detector::by_name(name).map(|detector| vec![detector]))
}

fn all(names: &[String]) -> Result<Vec<Detector>, String> {
    let mut found = Vec::new();
    for name in names {
        found.extend(detectors(name).ok_or_else(|| format!("there is no detector {name:?}"))?);
    }
    Ok(found)
}

fn scope(at: &str) -> Result<Scope, String> {
    // The whole record is what the scrubber does fastest.
    if at.trim() == "**" {
        return Ok(Scope::Everywhere);
    }
    Selector::parse(at).map(Scope::At).map_err(|error| error.to_string())
}

impl Scrub {
    /// The rules as the scrubber takes them; else what the lint would have refused.
    pub fn rules(&self) -> Result<Rules, String> {
        let (mut rules, mut patterns) = (Vec::new(), Vec::new());
        for rule in &self.rules {
            let detectors = match &rule.pattern {
                Some(expression) => {
                    let place =
                        u8::try_from(patterns.len()).map_err(|_| "there are too many patterns".to_owned())?;
                    patterns.push(Pattern { id: rule.id.clone(), expression: expression.clone() });
                    vec![Detector::Pattern(place)]
                }
                // A rule that only cuts or blanks looks for nothing.
                None if rule.detect.is_empty() => vec![Detector::Whole],
                None => all(&rule.detect)?,
            };
            rules.push(Rule {
                id: rule.id.clone(),
                detectors,
                action: parse(&rule.action)?,
                scope: scope(&rule.at)?,
            });
        }
        let mut allow = Vec::new();
        for exception in &self.allow {
            let at = Selector::parse(&exception.at).map_err(|error| error.to_string())?;
            allow.push(Allow { at, detectors: all(&exception.detect)? });
        }
        let decode = self.decode.iter().filter_map(|name| Encoding::by_name(name)).collect();
        Ok(Rules { rules, allow, patterns, keys_too: self.keys_too, decode })
    }
}

impl Policy {
    /// The rules of `[scrub]`.
    pub fn scrub_rules(&self) -> Result<Rules, String> {
        self.scrub.rules()
    }
}
