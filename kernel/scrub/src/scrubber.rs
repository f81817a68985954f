//! The compiled rules, and what they do to text.

use candor_model::{Object, Value};

use crate::detect::value;
use crate::hit::{self, Hit};
use crate::names::{self, Meaning, Secrecy};
use crate::rules::{Action, Detector, Kind, RuleError, Rules};
use crate::scan::{self, Detectors, Scan};
use crate::{Counts, walk};

/// How often text is scrubbed again until nothing changes. A replacement can bring two harmless neighbours together
/// at most a few times.
const ROUNDS_MAX: usize = 4;

/// Shortest name that can hold anything the detectors strike: `a://b:c@d`.
const KEY_BYTES_MIN: usize = 9;

/// Compiled rules. Cheap to share, safe to use from many threads.
#[derive(Debug)]
pub struct Scrubber {
    rules: Rules,
    /// The rule that decides over each detector's hits.
    deciding: [Option<usize>; Detector::ALL.len()],
    detectors: Detectors,
    /// Replacements of the rules' own.
    stand_ins: Vec<String>,
}

impl Default for Scrubber {
    /// The default rules.
    fn default() -> Scrubber {
        Scrubber::compile(Rules::default())
    }
}

impl Scrubber {
    /// Compiles rules.
    pub fn new(rules: Rules) -> Result<Scrubber, RuleError> {
        for (index, rule) in rules.0.iter().enumerate() {
            if rules.0.iter().take(index).any(|earlier| earlier.id == rule.id) {
                return Err(RuleError::Duplicate(rule.id.clone()));
            }
        }
        let scrubber = Scrubber::compile(rules);
        for rule in &scrubber.rules.0 {
            let Action::Replace(replacement) = &rule.action else { continue };
            let strikes = [
                replacement.clone(),
                format!("password={replacement}"),
                format!("password: {replacement} x"),
            ]
            .iter()
            .any(|text| !scrubber.hits(text, None, Meaning::Ordinary).is_empty());
            if strikes {
                return Err(RuleError::ReplacementStrikes(rule.id.clone()));
            }
        }
        Ok(scrubber)
    }

    fn compile(rules: Rules) -> Scrubber {
        let mut deciding = [None; Detector::ALL.len()];
        let mut detectors = Detectors::default();
        for (index, rule) in rules.0.iter().enumerate() {
            for detector in &rule.detectors {
                detectors = detectors.with(*detector);
                if let Some(slot) = deciding.get_mut(*detector as usize) {
                    slot.get_or_insert(index);
                }
            }
        }
        let replacement = |rule: &crate::Rule| match &rule.action {
            Action::Replace(text) => Some(text.clone()),
            _ => None,
        };
        let stand_ins = rules.0.iter().filter_map(replacement).collect();
        Scrubber { rules, deciding, detectors, stand_ins }
    }

    /// The rules, in the order that [`Counts::by_rule`] counts by.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Scrubs free text (a message, a URL, a header's value). None means that nothing was found; nothing is
    /// allocated then.
    pub fn scrub_str(&self, text: &str, counts: &mut Counts) -> Option<String> {
        self.scrub_text(text, None, Meaning::Ordinary, counts)
    }

    /// Scrubs text that stands under a name (an attribute, a tag, a header, a form field): a name like `password`
    /// takes all of it.
    pub fn scrub_field(&self, key: &str, text: &str, counts: &mut Counts) -> Option<String> {
        self.scrub_named(text, Some(key), names::meaning(key.as_bytes()), counts)
    }

    /// Scrubs text under a name of that meaning; `key` is the nearest name there is.
    pub(crate) fn scrub_named(
        &self,
        text: &str,
        key: Option<&str>,
        meaning: Meaning,
        counts: &mut Counts,
    ) -> Option<String> {
        let Meaning::Secret(secrecy) = meaning else { return self.scrub_text(text, key, meaning, counts) };
        if self.takes(text, key, secrecy) {
            return self.replaced(text, Detector::SecretName, counts);
        }
        let scrubbed = self.scrub_text(text, key, Meaning::Ordinary, counts)?;
        // What is left of a word about a secret may be none.
        match self.takes(&scrubbed, key, secrecy) {
            true => self.replaced(&scrubbed, Detector::SecretName, counts).or(Some(scrubbed)),
            false => Some(scrubbed),
        }
    }

    /// Scrubs a name. Names in one map have to stay distinct: [`Scrubber::scrub_object`] sees to that.
    pub fn scrub_key(&self, key: &str, counts: &mut Counts) -> Option<String> {
        (key.len() >= KEY_BYTES_MIN).then(|| self.scrub_text(key, None, Meaning::Ordinary, counts))?
    }

    /// Scrubs a value, all its members and their names. `key` is the name that it stands under, if any.
    pub fn scrub_value(&self, value: &mut Value, key: Option<&str>, counts: &mut Counts) {
        walk::value(self, value, key, counts);
    }

    /// Scrubs members and their names. A name that is replaced stays distinct from its neighbours.
    pub fn scrub_object(&self, object: &mut Object, counts: &mut Counts) {
        walk::object(self, object, counts);
    }

    pub(crate) fn detects(&self, detector: Detector) -> bool {
        self.detectors.has(detector)
    }

    /// True where text under a name of that secrecy is a secret. Numbers are taken as the text that they are stored
    /// as.
    pub(crate) fn takes(&self, text: &str, key: Option<&str>, secrecy: Secrecy) -> bool {
        let scan = Scan::new(text.as_bytes(), &self.stand_ins, self.detectors);
        self.detects(Detector::SecretName)
            && value::is_secret(&scan, text.as_bytes(), secrecy, false)
            && !(secrecy == Secrecy::Token && names::is_amount(key, text))
    }

    /// Scrubs text under a name that is no secret's.
    pub(crate) fn scrub_text(
        &self,
        text: &str,
        key: Option<&str>,
        meaning: Meaning,
        counts: &mut Counts,
    ) -> Option<String> {
        if scan::is_plain(text.as_bytes()) && !self.detectors.has(Detector::Whole) {
            return None;
        }
        let hits = self.hits(text, key, meaning);
        if hits.is_empty() {
            return None;
        }
        self.settle(text, hits, key, meaning, counts)
    }

    /// What the detectors find.
    fn hits(&self, text: &str, key: Option<&str>, meaning: Meaning) -> Vec<Hit> {
        let mut scan = Scan::new(text.as_bytes(), &self.stand_ins, self.detectors);
        scan.key = key;
        if meaning != Meaning::Ordinary {
            scan.named(meaning);
        }
        let mut hits = scan.run();
        if self.detectors.has(Detector::Whole) && !text.is_empty() {
            hits.push(Hit { start: 0, end: text.len(), detector: Detector::Whole });
        }
        hits
    }

    /// Applies the rules until nothing changes, so that scrubbing the result finds nothing to do.
    #[cold]
    fn settle(
        &self,
        text: &str,
        mut hits: Vec<Hit>,
        key: Option<&str>,
        meaning: Meaning,
        counts: &mut Counts,
    ) -> Option<String> {
        let mut current: Option<String> = None;
        for _ in 0..ROUNDS_MAX {
            let before = current.as_deref().unwrap_or(text);
            let after = self.apply(before, &mut hits, counts);
            if after == before {
                return current;
            }
            hits = self.hits(&after, key, meaning);
            current = Some(after);
            if hits.is_empty() {
                return current;
            }
        }
        // It keeps changing: nothing of it can be trusted.
        Some(Kind::Secret.placeholder().to_owned())
    }

    /// Replaces what was hit.
    fn apply(&self, text: &str, hits: &mut Vec<Hit>, counts: &mut Counts) -> String {
        let whole = hits.iter().any(|hit| hit.detector == Detector::Whole);
        hits.retain(|hit| hit.detector != Detector::Whole);
        hit::merge(hits);
        let mut out = String::with_capacity(text.len());
        let mut done = 0;
        for hit in hits.iter() {
            // Detectors end at ASCII, but a limit may have cut within a character.
            let start = text.floor_char_boundary(hit.start).max(done);
            let end = text.ceil_char_boundary(hit.end);
            out.push_str(text.get(done..start).unwrap_or_default());
            let found = text.get(start..end).unwrap_or_default();
            self.act(found, hit.detector, &mut out, counts);
            done = end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        if whole {
            let found = std::mem::take(&mut out);
            self.act(&found, Detector::Whole, &mut out, counts);
        }
        out
    }

    /// What takes the place of a whole text; none where it stays the same.
    pub(crate) fn replaced(&self, text: &str, detector: Detector, counts: &mut Counts) -> Option<String> {
        let mut out = String::new();
        self.act(text, detector, &mut out, counts);
        (out != text).then_some(out)
    }

    /// Appends what takes the place of `found`.
    fn act(&self, found: &str, detector: Detector, out: &mut String, counts: &mut Counts) {
        let kind = detector.kind();
        let from = out.len();
        let rule = self.deciding.get(detector as usize).copied().flatten();
        let action = rule.and_then(|rule| self.rules.0.get(rule)).map(|rule| &rule.action);
        match action {
            Some(Action::Replace(replacement)) => out.push_str(replacement),
            Some(Action::Mask { keep_last }) => {
                let masked = found.chars().count().saturating_sub(*keep_last);
                out.extend(found.chars().enumerate().map(|(index, character)| {
                    if index < masked && character.is_alphanumeric() { '*' } else { character }
                }));
            }
            Some(Action::Truncate { characters }) => out.extend(found.chars().take(*characters)),
            Some(Action::Remove) | None => out.push_str(kind.placeholder()),
        }
        if out.get(from..) != Some(found) {
            counts.add(rule.unwrap_or_default(), kind);
        }
    }
}

#[cfg(test)]
mod tests {
    use candor_model::Random;
    use candor_model::random::Seeded;

    use super::*;
    use crate::names::Secrecy;
    use crate::{Rule, Scope};

    /// What is let go unread has nothing in it that the pass would find.
    #[test]
    fn plain_text_has_no_hits() {
        let detectors = Detector::ALL.into_iter().filter(|detector| *detector != Detector::Whole).collect();
        let rule = Rule { id: "all".into(), detectors, action: Action::Remove, scope: Scope::Everywhere };
        let scrubber = Scrubber::new(Rules(vec![rule])).expect("the rule is taken");
        let pieces: &[&str] = &[
            "4",
            "1",
            "536904399",
            "378282246310005",
            "NO93",
            "86011117947",
            "eyJ",
            "sk-",
            "xoxb-",
            "AKIA",
            "Bearer",
            "Basic",
            "password",
            "pw",
            "token",
            "ssn",
            "card",
            "--",
            "-",
            "_",
            ".",
            "/",
            "+",
            "\n",
            "\"",
            "'",
            "<",
            "(",
            "[",
            "]",
            "#",
            "?",
            "é",
            "SG",
            "=",
            ":",
            ",",
            ">",
            "@",
            "&",
            "%41",
            "\\",
            " ",
            "\u{a0}",
            "４",
            "A",
        ];
        let random = Seeded::new(3);
        let mut plain = 0;
        for _ in 0..200_000 {
            let mut text = String::new();
            for _ in 0..random.next_u64() % 7 {
                text.push_str(pieces[random.next_u64() as usize % pieces.len()]);
            }
            if !scan::is_plain(text.as_bytes()) {
                continue;
            }
            plain += 1;
            let meanings = [Meaning::Ordinary, Meaning::Card, Meaning::Ssn, Meaning::Secret(Secrecy::Cookie)];
            for meaning in meanings {
                assert_eq!(scrubber.hits(&text, Some("card"), meaning), [], "{text:?} under {meaning:?}");
            }
        }
        assert!(plain > 10_000, "{plain}");
    }
}
