//! Striking at the same length: for text within something else, in which nothing may move. Zeros stay, too: they end
//! texts there, or stand between the characters of a wider encoding.

use crate::Run;
use crate::hit::{self, Hit};
use crate::names::Meaning;
use crate::plan::Tools;
use crate::rules::{Action, Detector};

/// What takes the place of each byte that was found.
const BLANK: char = '*';

/// How often text is looked through again until nothing changes.
const ROUNDS_MAX: usize = 4;

impl Tools<'_> {
    /// Blanks what the detectors find in text under a name of that meaning. None where it stays.
    pub(crate) fn blanked(
        self,
        text: &str,
        key: Option<&str>,
        meaning: Meaning,
        run: &mut Run<'_>,
    ) -> Option<String> {
        let (meaning, is_secret) = match meaning {
            Meaning::Secret(secrecy) => (Meaning::Ordinary, self.takes(text, key, secrecy)),
            other => (other, false),
        };
        let mut hits = match is_secret {
            true => vec![Hit { start: 0, end: text.len(), detector: Detector::SecretName }],
            false => self.hits(text, key, meaning),
        };
        let mut current: Option<String> = None;
        for round in 0..ROUNDS_MAX {
            if round > 0 {
                // It was counted at first sight.
                hits.retain(|hit| *self.decision(hit.detector).1 != Action::Alert);
            }
            let before = current.as_deref().unwrap_or(text);
            let Some(after) = self.blank(before, &mut hits, run) else { return current };
            hits = self.hits(&after, key, meaning);
            current = Some(after);
        }
        // It keeps changing: nothing of it can be trusted.
        Some(blanks(text).collect())
    }

    /// Blanks hits; none where nothing changes.
    fn blank(self, text: &str, hits: &mut Vec<Hit>, run: &mut Run<'_>) -> Option<String> {
        hits.retain(|hit| {
            let (rule, action) = self.decision(hit.detector);
            let alerts = *action == Action::Alert;
            if alerts {
                run.counts.add(rule, hit.detector.kind());
            }
            !alerts
        });
        hit::merge(hits);
        let mut out = String::with_capacity(text.len());
        for hit in hits.iter() {
            // Detectors end at ASCII, but a limit may have cut within a character.
            let start = text.floor_char_boundary(hit.start).max(out.len());
            let end = text.ceil_char_boundary(hit.end);
            let found = text.get(start..end).unwrap_or_default();
            if blanks(found).eq(found.chars()) {
                continue;
            }
            let (rule, action) = self.decision(hit.detector);
            if *action == Action::DropEvent {
                run.dropped_by.get_or_insert(rule);
            }
            run.counts.add(rule, hit.detector.kind());
            out.push_str(text.get(out.len()..start).unwrap_or_default());
            out.extend(blanks(found));
        }
        if out.is_empty() {
            return None;
        }
        out.push_str(text.get(out.len()..).unwrap_or_default());
        Some(out)
    }
}

/// What takes the place of a text, byte for byte.
fn blanks(found: &str) -> impl Iterator<Item = char> {
    found.bytes().map(|byte| if byte == 0 { '\0' } else { BLANK })
}

#[cfg(test)]
mod tests {
    use crate::{Counts, Run, Scrubber};

    fn blanked(place: &[&str], text: &str) -> Option<String> {
        let scrubber = Scrubber::default();
        let mut counts = Counts::new();
        let out = scrubber.blank_at(place, text, &mut Run::new(&mut counts));
        assert_eq!(out.is_some(), counts.total() > 0, "{text}");
        if let Some(out) = &out {
            assert_eq!(out.len(), text.len());
            assert_eq!(scrubber.blank_at(place, out, &mut Run::new(&mut counts)), None, "{out}");
        }
        out
    }

    #[test]
    fn what_is_found_is_blanked_at_its_own_length() {
        for (text, expected) in [
            (
                "card 4111 1111 1111 1111 of 4111111111111111.",
                "card ******************* of ****************.",
            ),
            ("é password=hunter2 x", "é password=******* x"),
            ("https://u:hunter2@x.example/", "https://*********@x.example/"),
        ] {
            assert_eq!(blanked(&[], text).as_deref(), Some(expected));
        }
        let wide = |text: &str| text.bytes().flat_map(|byte| [char::from(byte), '\0']).collect::<String>();
        assert_eq!(blanked(&[], &wide("a 4111111111111111 b")), Some(wide("a **************** b")));
        assert_eq!(blanked(&[], "password=hunter2\0x").as_deref(), Some("password=*******\0*"));
        assert_eq!(blanked(&[], "nothing to see"), None);
        assert_eq!(blanked(&[], ""), None);
    }

    #[test]
    fn a_name_says_what_stands_under_it() {
        assert_eq!(blanked(&["password"], "hunter2").as_deref(), Some("*******"));
        assert_eq!(blanked(&["note"], "hunter2"), None);
    }
}
