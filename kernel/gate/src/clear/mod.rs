//! One batch through the gate.

mod blob;
mod record;

pub(crate) use blob::blob;
pub(crate) use record::Record;

use std::panic::{AssertUnwindSafe, catch_unwind};

use candor_keyring::{Keyring, Sealing};
use candor_model::limits::BATCH_RECORDS_MAX;
use candor_model::{Incoming, Origin, PolicyEpoch, ProjectId, Records, Signal, Timestamp};
use candor_scrub::{Counts, Remarks, Run};

use crate::admitted::Admitted;
use crate::collect::age::Today;
use crate::collect::device;
use crate::collect::fields::Known;
use crate::identity::{Finder, Found, IDENTIFIERS_MAX, Removed, Repeats};
use crate::policy::{Activity, Compiled, LocationRule, Stance, TooYoung, UnknownFields, Will};
use crate::rows::{ErrorRows, LogRows, Oversize, SpanRows};
use crate::{Cleared, GateReport};

/// Why a record is dropped: it is of no activity,
pub(crate) const NO_ACTIVITY: &str = "policy:activity";
/// its person's consent is missing,
const NO_CONSENT: &str = "policy:consent";
/// its person is too young,
const TOO_YOUNG: &str = "policy:consent.children";
/// a rule takes no such record,
const STRUCK: &str = "policy:scrub.rule";
/// it could not be cleared.
const ERRED: &str = "policy:scrub.on_error";

/// Bytes of records in one batch. Replacing can make text some seven times longer, and Arrow's offsets end at 2 GiB;
/// a request's body is at most 100 MiB, and only values that a protocol states once for many records exceed it.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// Records cleared together: their identifiers are looked for in each other's text. Bounds what waits between the
/// passes.
const WINDOW_RECORDS: usize = 4096;

/// What was learned of persons in a batch, by their codes: others act upon it.
#[derive(Debug, Default)]
pub(crate) struct Learned {
    /// They say that they are younger than the policy takes.
    pub too_young: Vec<String>,
    /// They are not to be shared.
    pub unshared: Vec<String>,
}

/// What becomes of a record that rules have looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Kept,
    /// A rule wants it dropped.
    Struck,
}

/// By what a batch is cleared.
#[derive(Clone, Copy)]
pub(crate) struct By<'a> {
    pub keyring: &'a Keyring,
    pub policy: &'a Compiled,
    pub epoch: PolicyEpoch,
    pub now: Timestamp,
    pub project: ProjectId,
}

/// Clears a batch.
pub(crate) fn batch(by: By<'_>, incoming: Incoming) -> (Cleared, Learned) {
    let signal = incoming.records.signal();
    let Some(activity) = by.policy.activities().of(signal) else {
        let dropped = vec![(NO_ACTIVITY, incoming.records.len() as u64)];
        let report = GateReport { dropped, ..GateReport::default() };
        return (Cleared { admitted: None, report }, Learned::default());
    };
    let mut clearing = Clearing::new(by, signal, activity, &incoming.origin);
    let rows = match incoming.records {
        Records::Logs(records) => clearing.all(records, LogRows::new).and_then(LogRows::finish),
        Records::Spans(records) => clearing.all(records, SpanRows::new).and_then(SpanRows::finish),
        Records::Errors(records) => clearing.all(records, ErrorRows::new).and_then(ErrorRows::finish),
    };
    let (vault, report, learned) = clearing.finish();
    let admitted = rows
        .filter(|rows| rows.num_rows() > 0)
        .map(|rows| Admitted::new(by.project, signal, rows, vault, by.epoch, incoming.request));
    (Cleared { admitted, report }, learned)
}

/// A batch that is being cleared.
pub(crate) struct Clearing<'a> {
    policy: &'a Compiled,
    activity: Activity,
    finder: Finder<'a>,
    known: Known<'a>,
    /// What the request alone says.
    will: Will,
    /// Where it is the same for all records, whatever they say.
    stance: Option<Stance>,
    sealing: Sealing<'a>,
    now: Timestamp,
    today: Today,
    bytes: usize,
    counts: Counts,
    report: GateReport,
    removed: Removed,
    learned: Learned,
}

impl<'a> Clearing<'a> {
    pub(crate) fn new(by: By<'a>, signal: Signal, activity: Activity, origin: &Origin) -> Clearing<'a> {
        let policy = &by.policy.policy;
        let is_indifferent = policy.consent.is_indifferent() && !activity.rests_on_consent;
        let site = by.policy.site(origin);
        Clearing {
            policy: by.policy,
            activity,
            finder: Finder::new(by.keyring, by.policy, by.project, site, origin.ip),
            known: Known::new(policy.collect.fields.of(signal)),
            will: device::of_request(origin),
            stance: is_indifferent.then_some(Stance::WHOLE),
            sealing: by.keyring.sealing(by.project),
            now: by.now,
            today: Today::of(by.now),
            bytes: 0,
            counts: Counts::new(),
            report: GateReport::default(),
            removed: Removed::default(),
            learned: Learned::default(),
        }
    }

    /// Clears all records; none where there were none.
    fn all<R: Record>(&mut self, records: Vec<R>, rows: fn(usize) -> R::Rows) -> Option<R::Rows> {
        if records.is_empty() {
            return None;
        }
        let excess = records.len().saturating_sub(BATCH_RECORDS_MAX);
        self.drop_records("batch", excess as u64);
        let mut rows = rows(records.len() - excess);
        let mut window = Vec::new();
        let mut repeats = Repeats::default();
        for mut record in records.into_iter().take(BATCH_RECORDS_MAX) {
            let Some(stance) = self.admit(&mut record) else { continue };
            let mut found = Found::new(stance.identifies);
            if !self.attempt(|clearing| clearing.clear(&mut record, stance, &mut found)) {
                continue;
            }
            found.order();
            repeats.add(&found);
            window.push((record, found, stance));
            if window.len() >= WINDOW_RECORDS || repeats.len() >= IDENTIFIERS_MAX {
                self.close_window(&mut window, &repeats, &mut rows);
                repeats = Repeats::default();
            }
        }
        self.close_window(&mut window, &repeats, &mut rows);
        Some(rows)
    }

    /// Clears a record but for what is repeated.
    fn clear<R: Record>(&mut self, record: &mut R, stance: Stance, found: &mut Found) -> Fate {
        let country = self.stated_country(record, stance);
        self.drop_unknown(record);
        self.identify(record, found);
        if let Some(country) = country {
            record.note_country(&country);
        }
        self.scrub(record, found, None)
    }

    /// The country that the policy notes of a record.
    pub(crate) fn stated_country<R: Record>(&self, record: &R, stance: Stance) -> Option<String> {
        let collect = &self.policy.policy.collect;
        let is_noted = collect.derives_country && collect.location != LocationRule::Drop && stance.identifies;
        is_noted.then(|| self.will_of(record).country).flatten()
    }

    /// Drops what nobody documents, where the policy says so.
    pub(crate) fn drop_unknown<R: Record>(&mut self, record: &mut R) {
        if *self.policy.policy.collect.unknown.of(R::SIGNAL) == UnknownFields::Drop {
            record.drop_unknown(&mut self.known, &mut self.finder);
        }
    }

    /// Takes identifiers out.
    pub(crate) fn identify<R: Record>(&mut self, record: &mut R, found: &mut Found) {
        record.identify(&mut self.finder, found, &mut self.counts);
    }

    /// Strikes what the rules find.
    pub(crate) fn scrub<R: Record>(
        &mut self,
        record: &mut R,
        found: &mut Found,
        remarks: Option<&mut Remarks>,
    ) -> Fate {
        let mut codes = self.finder.codes(found);
        let mut run = Run::new(&mut self.counts).of(R::KIND).with_pseudonyms(&mut codes);
        if let Some(remarks) = remarks {
            run = run.with_remarks(remarks);
        }
        record.scrub(&self.policy.scrubber, &mut run);
        match run.dropped_by() {
            Some(_) => Fate::Struck,
            None => Fate::Kept,
        }
    }

    /// The key of the policy by which what stood at a place was changed with identifiers.
    pub(crate) fn clause(&mut self, place: &str, stance: Stance) -> &'static str {
        if !stance.identifies { "consent" } else { self.finder.clause(place) }
    }

    /// Why the first record was dropped.
    pub(crate) fn first_reason(&self) -> &'static str {
        self.report.dropped.first().map_or(ERRED, |(reason, _)| *reason)
    }

    /// Does something of a record; false where it is not kept. Where a detector errs nothing of the record is trusted.
    pub(crate) fn attempt(&mut self, work: impl FnOnce(&mut Self) -> Fate) -> bool {
        let reason = match catch_unwind(AssertUnwindSafe(|| work(self))) {
            Ok(Fate::Kept) => return true,
            Ok(Fate::Struck) => STRUCK,
            Err(_) => ERRED,
        };
        self.drop_records(reason, 1);
        false
    }

    /// What the request and the record say of the person's will.
    fn will_of<R: Record>(&self, record: &R) -> Will {
        let mut will = self.will.clone();
        record.said(&mut will);
        will
    }

    /// None for a record that is over a limit, or that the policy does not take.
    pub(crate) fn admit<R: Record>(&mut self, record: &mut R) -> Option<Stance> {
        match record.measure() {
            Ok((size, dropped)) if self.bytes + size <= BATCH_BYTES_MAX => {
                self.bytes += size;
                self.report.attributes_dropped += dropped;
            }
            Ok(_) => {
                self.drop_records(Oversize::Size.name(), 1);
                return None;
            }
            Err(reason) => {
                self.drop_records(reason.name(), 1);
                return None;
            }
        }
        let policy = &self.policy.policy;
        if policy.too_young != TooYoung::Kept
            && let Some(min_age) = policy.min_age
            && record.age(self.today).is_some_and(|age| age < i64::from(min_age))
            && !(policy.parents_may_consent && record.has_parents_consent())
        {
            self.drop_records(TOO_YOUNG, 1);
            if policy.too_young == TooYoung::Dropped {
                return None;
            }
            // Who it is, as far as codes tell: what is stored of them already is to go.
            let mut found = Found::new(true);
            let mut counts = Counts::new();
            let codes = AssertUnwindSafe(|| record.identify(&mut self.finder, &mut found, &mut counts));
            // Where that errs nobody is known, and nothing more is lost.
            let _ = catch_unwind(codes);
            self.learned.too_young.extend(found.subjects().map(str::to_owned));
            return None;
        }
        if let Some(stance) = self.stance {
            return Some(stance);
        }
        let stance = policy.consent.stance(self.activity.rests_on_consent, &self.will_of(record));
        if !stance.is_kept {
            self.drop_records(NO_CONSENT, 1);
        }
        stance.is_kept.then_some(stance)
    }

    fn close_window<R: Record>(
        &mut self,
        window: &mut Vec<(R, Found, Stance)>,
        repeats: &Repeats,
        rows: &mut R::Rows,
    ) {
        for (mut record, mut found, stance) in window.drain(..) {
            let is_done = repeats.is_empty()
                || self.attempt(|clearing| {
                    record.replace(repeats, &mut found);
                    // With codes in it a text may read as another: what is stored must not change when it is scrubbed
                    // again.
                    match found.is_repeated() {
                        true => clearing.scrub(&mut record, &mut found, None),
                        false => Fate::Kept,
                    }
                });
            if !is_done {
                continue;
            }
            if self.policy.policy.identity.keeps_values {
                self.sealing.add(&found.for_vault());
                // Each under a key of its own: they are not who the record is about.
                for mentioned in found.mentioned() {
                    self.sealing.add(std::slice::from_ref(mentioned));
                }
            }
            self.removed.add(found.removed);
            if !stance.shares {
                self.learned.unshared.extend(found.subjects().map(str::to_owned));
            }
            record.push(rows, &found, self.now);
        }
    }

    fn drop_records(&mut self, reason: &'static str, count: u64) {
        if count == 0 {
            return;
        }
        match self.report.dropped.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, sum)) => *sum += count,
            None => self.report.dropped.push((reason, count)),
        }
    }

    fn finish(self) -> (Vec<candor_keyring::VaultEntry>, GateReport, Learned) {
        let mut report = self.report;
        report.replaced.extend(self.counts.by_kind().map(|(kind, count)| (kind.name(), count)));
        let removed = [
            ("identifier", self.removed.identifiers),
            ("ip", self.removed.addresses),
            ("user_trait", self.removed.traits),
            ("generalised", self.removed.coarse),
            ("unknown_field", self.known.dropped()),
        ];
        report.replaced.extend(removed.into_iter().filter(|(_, count)| *count > 0));
        (self.sealing.finish(), report, self.learned)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_keyring::RootKey;
    use candor_model::random::Seeded;
    use candor_model::{LogRecord, Value};

    use super::*;

    /// What a detector that errs does: it panics.
    #[test]
    fn scrub_on_error_drop_event() {
        let random = Arc::new(Seeded::new(2));
        let keyring = Keyring::new(&RootKey::generate(&*random), random);
        let policy = Compiled::default();
        let project = ProjectId(1);
        let by = By { keyring: &keyring, policy: &policy, epoch: PolicyEpoch(1), now: Timestamp(0), project };
        let mut clearing = Clearing::new(by, Signal::Logs, Activity::default(), &Origin::default());
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(|_| {}));
        let kept = clearing.attempt(|_| panic!("a detector erred"));
        std::panic::set_hook(hook);
        assert!(!kept);
        // What comes behind it is cleared.
        let record = LogRecord { body: Value::from("fine"), ..LogRecord::default() };
        let rows = clearing.all(vec![record], LogRows::new).and_then(LogRows::finish).expect("a row");
        assert_eq!(rows.num_rows(), 1);
        assert_eq!(clearing.finish().1.dropped, [("policy:scrub.on_error", 1)]);
    }
}
