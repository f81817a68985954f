//! What the rules of a place do to text.

use crate::Run;
use crate::detect::{personal, value};
use crate::generalise::generalised;
use crate::hit::{self, Hit};
use crate::names::{self, Meaning, Secrecy};
use crate::plan::Tools;
use crate::remark::Note;
use crate::rules::{Action, Detector, Kind};
use crate::scan::{self, Scan};

/// How often text is scrubbed again until nothing changes. A replacement can bring two harmless neighbours together
/// at most a few times.
const ROUNDS_MAX: usize = 4;

/// Shortest name that can hold anything the detectors strike: `a://b:c@d`. What tells of persons is shorter.
const KEY_BYTES_MIN: usize = 9;

/// Text in the course of being scrubbed.
struct Settling<'a, 'r, 'c> {
    run: &'a mut Run<'r>,
    /// What is to be said about it; only filled where somebody asked.
    notes: Vec<Note>,
    is_first: bool,
    key: Option<&'c str>,
    meaning: Meaning,
}

impl Tools<'_> {
    /// Scrubs text under a name of that meaning; `key` is the nearest name there is.
    pub(crate) fn scrub_named(
        self,
        text: &str,
        key: Option<&str>,
        meaning: Meaning,
        run: &mut Run<'_>,
    ) -> Option<String> {
        let Meaning::Secret(secrecy) = meaning else { return self.scrub_text(text, key, meaning, run) };
        if self.takes(text, key, secrecy) {
            return self.replaced(text, Detector::SecretName, run);
        }
        let first_note = run.remarks.as_ref().map_or(0, |remarks| remarks.len());
        let scrubbed = self.scrub_text(text, key, Meaning::Ordinary, run)?;
        // What is left of a word about a secret may be none.
        match self.takes(&scrubbed, key, secrecy) {
            true => {
                if let Some(remarks) = run.remarks.as_deref_mut() {
                    remarks.gone(first_note);
                }
                self.replaced(&scrubbed, Detector::SecretName, run).or(Some(scrubbed))
            }
            false => Some(scrubbed),
        }
    }

    /// Scrubs a name. A rule that takes whole texts takes values, not names.
    pub(crate) fn scrub_key(self, key: &str, run: &mut Run<'_>) -> Option<String> {
        if key.len() < KEY_BYTES_MIN && self.plan.skips_plain {
            return None;
        }
        if !self.detects(Detector::Whole) {
            return self.scrub_text(key, None, Meaning::Ordinary, run);
        }
        let plan = self.plan.without(crate::plan::Detectors::NONE.with(Detector::Whole));
        Tools { plan: &plan, ..self }.scrub_text(key, None, Meaning::Ordinary, run)
    }

    /// True where text under a name of that secrecy is a secret. Numbers are taken as the text that they are stored
    /// as.
    pub(crate) fn takes(self, text: &str, key: Option<&str>, secrecy: Secrecy) -> bool {
        let scan = Scan::new(text.as_bytes(), self);
        self.detects(Detector::SecretName)
            && value::is_secret(&scan, text.as_bytes(), secrecy, false)
            && !(secrecy == Secrecy::Token && names::is_amount(key, text))
    }

    /// Scrubs text under a name that is no secret's.
    pub(crate) fn scrub_text(
        self,
        text: &str,
        key: Option<&str>,
        meaning: Meaning,
        run: &mut Run<'_>,
    ) -> Option<String> {
        if self.plan.skips_plain && scan::is_plain(text.as_bytes()) {
            return None;
        }
        let hits = self.hits(text, key, meaning);
        if hits.is_empty() {
            return None;
        }
        self.settle(text, hits, Settling { run, notes: Vec::new(), is_first: true, key, meaning })
    }

    /// True where the detectors find anything in the text.
    pub(crate) fn strikes(self, text: &str) -> bool {
        let hits = self.hits(text, None, Meaning::Ordinary);
        hits.iter().any(|hit| hit.detector != Detector::Whole)
    }

    /// What the detectors find.
    pub(crate) fn hits(self, text: &str, key: Option<&str>, meaning: Meaning) -> Vec<Hit> {
        let mut scan = Scan::new(text.as_bytes(), self);
        scan.key = key;
        if meaning != Meaning::Ordinary {
            scan.named(meaning);
        }
        if let Some(key) = key.filter(|_| self.plan.detectors.has_any(personal::PERSONAL)) {
            personal::named(&mut scan, key);
        }
        let mut hits = scan.run();
        if self.detects(Detector::Whole) && !text.is_empty() {
            hits.push(Hit { start: 0, end: text.len(), detector: Detector::Whole });
        }
        hits
    }

    /// Applies the rules until nothing changes, so that scrubbing the result finds nothing to do.
    #[cold]
    fn settle(self, text: &str, mut hits: Vec<Hit>, mut settling: Settling<'_, '_, '_>) -> Option<String> {
        let mut current: Option<String> = None;
        let mut is_settled = false;
        for _ in 0..ROUNDS_MAX {
            let before = current.as_deref().unwrap_or(text);
            let after = self.apply(before, &mut hits, &mut settling);
            settling.is_first = false;
            if after == before {
                is_settled = true;
                break;
            }
            hits = self.hits(&after, settling.key, settling.meaning);
            current = Some(after);
            if hits.is_empty() {
                is_settled = true;
                break;
            }
        }
        let Settling { run, mut notes, .. } = settling;
        if !is_settled {
            // It keeps changing: nothing of it can be trusted.
            let placeholder = Kind::Secret.placeholder().to_owned();
            for note in &mut notes {
                (note.start, note.end) = (0, placeholder.len());
            }
            current = Some(placeholder);
        }
        if let Some(remarks) = run.remarks.as_deref_mut() {
            notes.into_iter().for_each(|note| remarks.add(note));
        }
        current
    }

    /// Replaces what was hit.
    fn apply(self, text: &str, hits: &mut Vec<Hit>, settling: &mut Settling<'_, '_, '_>) -> String {
        self.alert(hits, settling);
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
            self.act_noting(found, hit.detector, &mut out, settling);
            done = end;
        }
        out.push_str(text.get(done..).unwrap_or_default());
        if whole {
            let found = std::mem::take(&mut out);
            self.act_noting(&found, Detector::Whole, &mut out, settling);
        }
        out
    }

    /// Counts what is only counted, once, and takes it out, so that it does not join what is removed beside it.
    fn alert(self, hits: &mut Vec<Hit>, settling: &mut Settling<'_, '_, '_>) {
        hits.retain(|hit| {
            let (rule, action) = self.decision(hit.detector);
            let alerts = *action == Action::Alert;
            if alerts && settling.is_first {
                let kind = hit.detector.kind();
                settling.run.counts.add(rule, kind);
                if settling.run.remarks.is_some() {
                    settling.notes.push(Note::new(rule, kind, action.name(), hit.start, hit.end));
                }
            }
            !alerts
        });
    }

    /// Appends what takes the place of `found`, and notes it where somebody asked.
    fn act_noting(
        self,
        found: &str,
        detector: Detector,
        out: &mut String,
        settling: &mut Settling<'_, '_, '_>,
    ) {
        let start = out.len();
        let Some(rule) = self.act(found, detector, out, settling.run) else { return };
        if settling.run.remarks.is_none() {
            return;
        }
        // Earlier notes stand in the text up to here already as it comes out.
        let length = out.len() - start;
        settling.notes.retain_mut(|note| note.moves(start, start + found.len(), length));
        let (_, action) = self.decision(detector);
        settling.notes.push(Note::new(rule, detector.kind(), action.name(), start, out.len()));
    }

    /// What takes the place of a whole text; none where it stays the same.
    pub(crate) fn replaced(self, text: &str, detector: Detector, run: &mut Run<'_>) -> Option<String> {
        let mut out = String::new();
        let rule = self.act(text, detector, &mut out, run);
        if let (Some(rule), Some(remarks)) = (rule, run.remarks.as_deref_mut()) {
            let (_, action) = self.decision(detector);
            remarks.add(Note::new(rule, detector.kind(), action.name(), 0, out.len()));
        }
        (out != text).then_some(out)
    }

    /// Appends what takes the place of `found`; gives the rule where something does.
    fn act(self, found: &str, detector: Detector, out: &mut String, run: &mut Run<'_>) -> Option<usize> {
        let kind = detector.kind();
        let from = out.len();
        let (rule, action) = self.decision(detector);
        match action {
            Action::Replace(replacement) => out.push_str(replacement),
            Action::Mask { keep_last } => {
                let masked = found.chars().count().saturating_sub(*keep_last);
                out.extend(found.chars().enumerate().map(|(index, character)| {
                    if index < masked && character.is_alphanumeric() { '*' } else { character }
                }));
            }
            Action::Truncate { characters } => out.extend(found.chars().take(*characters)),
            Action::Generalise { v4, v6 } => match generalised(found, *v4, *v6) {
                Some(less) => out.push_str(&less),
                None => out.push_str(kind.placeholder()),
            },
            Action::Pseudonym => self.pseudonymise(found, kind, out, run),
            Action::Alert => out.push_str(found),
            Action::DropField => {
                run.drops_field = true;
                out.push_str(kind.placeholder());
            }
            Action::DropEvent => {
                run.dropped_by.get_or_insert(rule);
                out.push_str(kind.placeholder());
            }
            Action::Remove => out.push_str(kind.placeholder()),
        }
        let changed = out.get(from..) != Some(found);
        // What a drop is about may be a placeholder already.
        let counts = changed || matches!(action, Action::Alert);
        if counts {
            run.counts.add(rule, kind);
        }
        counts.then_some(rule)
    }

    /// Appends the code for `found`. What is a code already, or stands in for something, stays.
    fn pseudonymise(self, found: &str, kind: Kind, out: &mut String, run: &mut Run<'_>) {
        let scan = Scan::new(found.as_bytes(), self);
        if value::is_stand_in(&scan, found.as_bytes()) {
            return out.push_str(found);
        }
        let code = run.pseudonyms.as_deref_mut().and_then(|pseudonyms| pseudonyms.code(kind, found));
        match code.filter(|code| !self.strikes(code)) {
            Some(code) => out.push_str(&code),
            None => out.push_str(kind.placeholder()),
        }
    }
}

#[cfg(test)]
mod tests;
