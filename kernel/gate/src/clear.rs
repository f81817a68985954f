//! One batch through the gate.

use bytes::Bytes;
use candor_keyring::{Keyring, Sealing};
use candor_model::limits::{BATCH_RECORDS_MAX, RECORD_BYTES_MAX};
use candor_model::{ErrorRecord, Incoming, LogRecord, ProjectId, Records, SpanRecord, Timestamp, json};
use candor_scrub::{Counts, Scrubber};

use crate::admitted::{Admitted, AdmittedBlob};
use crate::binary;
use crate::identity::{Finder, Found, IDENTIFIERS_MAX, Removed, Repeats};
use crate::policy::Compiled;
use crate::rows::{ErrorRows, LogRows, Oversize, SpanRows, measure_error, measure_log, measure_span};
use crate::{Cleared, ClearedBlob, GateReport};

/// Bytes of records in one batch. Replacing can make text some seven times longer, and Arrow's offsets end at 2 GiB;
/// a request's body is at most 100 MiB, and only values that a protocol states once for many records exceed it.
const BATCH_BYTES_MAX: usize = 128 << 20;

/// Records cleared together: their identifiers are looked for in each other's text. Bounds what waits between the
/// passes.
const WINDOW_RECORDS: usize = 4096;

/// Clears a batch.
pub(crate) fn batch(
    keyring: &Keyring,
    policy: &Compiled,
    now: Timestamp,
    project: ProjectId,
    incoming: Incoming,
) -> Cleared {
    // A site is a property that a policy names by Origin; without one the project is the site.
    let site = None;
    let mut clearing = Clearing {
        finder: Finder::new(keyring, policy, project, site),
        scrubber: &policy.scrubber,
        sealing: keyring.sealing(project),
        now,
        bytes: 0,
        counts: Counts::new(),
        report: GateReport::default(),
        removed: Removed::default(),
    };
    let signal = incoming.records.signal();
    let rows = match incoming.records {
        Records::Logs(records) => clearing.all(records, LogRows::new).and_then(LogRows::finish),
        Records::Spans(records) => clearing.all(records, SpanRows::new).and_then(SpanRows::finish),
        Records::Errors(records) => clearing.all(records, ErrorRows::new).and_then(ErrorRows::finish),
    };
    let (vault, report) = clearing.finish();
    let admitted = rows
        .filter(|rows| rows.num_rows() > 0)
        .map(|rows| Admitted::new(project, signal, rows, vault, policy.epoch, incoming.request));
    Cleared { admitted, report }
}

/// Clears an attachment: text as text, and in what is no text the runs that read as text.
pub(crate) fn blob(policy: &Compiled, project: ProjectId, id: [u8; 16], content: Bytes) -> ClearedBlob {
    let mut counts = Counts::new();
    let clean = match std::str::from_utf8(&content) {
        Ok(text) => scrub_text(&policy.scrubber, text, &mut counts).map(Bytes::from),
        Err(_) => binary::blank(&policy.scrubber, &content, &mut counts).map(Bytes::from),
    };
    let content = clean.unwrap_or(content);
    let admitted = AdmittedBlob::new(project, id, content, policy.epoch);
    ClearedBlob { admitted: Some(admitted), report: GateReport::of(&counts) }
}

/// JSON is scrubbed by member, everything else as one text; none where nothing was found.
fn scrub_text(scrubber: &Scrubber, text: &str, counts: &mut Counts) -> Option<String> {
    let is_json = text.trim_start().starts_with(['{', '[']) && text.len() <= RECORD_BYTES_MAX;
    if is_json && let Ok(mut value) = json::parse(text.as_bytes(), json::Leniency::LENIENT) {
        let before = counts.total();
        scrubber.scrub_value(&mut value, None, counts);
        if counts.total() == before {
            return None;
        }
        // The rest of the file stays as it was written.
        let original = json::parse(text.as_bytes(), json::Leniency::LENIENT).ok()?;
        return Some(json::patched(text, &original, &value));
    }
    scrubber.scrub_str(text, counts)
}

struct Clearing<'a> {
    finder: Finder<'a>,
    scrubber: &'a Scrubber,
    sealing: Sealing<'a>,
    now: Timestamp,
    bytes: usize,
    counts: Counts,
    report: GateReport,
    removed: Removed,
}

/// A kind of record, as far as clearing it differs.
trait Record: Sized {
    type Rows;
    fn measure(&mut self) -> Result<(usize, u64), Oversize>;
    fn identify(&mut self, finder: &mut Finder<'_>, counts: &mut Counts) -> Found;
    fn scrub(&mut self, scrubber: &Scrubber, counts: &mut Counts);
    fn replace(&mut self, repeats: &Repeats, found: &mut Found);
    fn push(self, rows: &mut Self::Rows, found: &Found, now: Timestamp);
}

impl<'a> Clearing<'a> {
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
            if !self.admit(&mut record) {
                continue;
            }
            let found = record.identify(&mut self.finder, &mut self.counts);
            record.scrub(self.scrubber, &mut self.counts);
            repeats.add(&found);
            window.push((record, found));
            if window.len() >= WINDOW_RECORDS || repeats.len() >= IDENTIFIERS_MAX {
                self.close_window(&mut window, &repeats, &mut rows);
                repeats = Repeats::default();
            }
        }
        self.close_window(&mut window, &repeats, &mut rows);
        Some(rows)
    }

    /// False for a record that is over a limit.
    fn admit<R: Record>(&mut self, record: &mut R) -> bool {
        let reason = match record.measure() {
            Ok((size, dropped)) if self.bytes + size <= BATCH_BYTES_MAX => {
                self.bytes += size;
                self.report.attributes_dropped += dropped;
                return true;
            }
            Ok(_) => Oversize::Size,
            Err(reason) => reason,
        };
        self.drop_records(reason.name(), 1);
        false
    }

    fn close_window<R: Record>(
        &mut self,
        window: &mut Vec<(R, Found)>,
        repeats: &Repeats,
        rows: &mut R::Rows,
    ) {
        for (mut record, mut found) in window.drain(..) {
            if !repeats.is_empty() {
                record.replace(repeats, &mut found);
                if found.is_repeated() {
                    // With codes in it a text may read as another: what is stored must not change when it is
                    // scrubbed again.
                    record.scrub(self.scrubber, &mut self.counts);
                }
            }
            self.sealing.add(found.identities());
            self.removed.identifiers += found.removed.identifiers;
            self.removed.addresses += found.removed.addresses;
            self.removed.traits += found.removed.traits;
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

    fn finish(self) -> (Vec<candor_keyring::VaultEntry>, GateReport) {
        let mut report = self.report;
        report.replaced.extend(self.counts.by_kind().map(|(kind, count)| (kind.name(), count)));
        let removed = [
            ("identifier", self.removed.identifiers),
            ("ip", self.removed.addresses),
            ("user_trait", self.removed.traits),
        ];
        report.replaced.extend(removed.into_iter().filter(|(_, count)| *count > 0));
        (self.sealing.finish(), report)
    }
}

impl Record for LogRecord {
    type Rows = LogRows;

    fn measure(&mut self) -> Result<(usize, u64), Oversize> {
        measure_log(self)
    }

    fn identify(&mut self, finder: &mut Finder<'_>, counts: &mut Counts) -> Found {
        finder.log(self, counts)
    }

    fn scrub(&mut self, scrubber: &Scrubber, counts: &mut Counts) {
        scrub_id(&mut self.trace_id, scrubber, counts);
        scrub_id(&mut self.span_id, scrubber, counts);
        scrub_all(
            [&mut self.severity_text, &mut self.service_name, &mut self.host_name, &mut self.source],
            scrubber,
            counts,
        );
        scrubber.scrub_value(&mut self.body, None, counts);
        scrubber.scrub_object(&mut self.attributes, counts);
    }

    fn replace(&mut self, repeats: &Repeats, found: &mut Found) {
        repeats.value(&mut self.body, found);
        repeats.object(&mut self.attributes, found);
        repeats.text(&mut self.host_name, found);
        repeats.text(&mut self.source, found);
    }

    fn push(self, rows: &mut LogRows, found: &Found, now: Timestamp) {
        rows.push(&self, found, now);
    }
}

impl Record for SpanRecord {
    type Rows = SpanRows;

    fn measure(&mut self) -> Result<(usize, u64), Oversize> {
        measure_span(self)
    }

    fn identify(&mut self, finder: &mut Finder<'_>, counts: &mut Counts) -> Found {
        finder.span(self, counts)
    }

    fn scrub(&mut self, scrubber: &Scrubber, counts: &mut Counts) {
        scrub_id(&mut self.trace_id, scrubber, counts);
        scrub_id(&mut self.span_id, scrubber, counts);
        scrub_id(&mut self.parent_span_id, scrubber, counts);
        scrub_all(
            [&mut self.name, &mut self.op, &mut self.status, &mut self.service_name, &mut self.release],
            scrubber,
            counts,
        );
        scrubber.scrub_object(&mut self.attributes, counts);
    }

    fn replace(&mut self, repeats: &Repeats, found: &mut Found) {
        repeats.text(&mut self.name, found);
        repeats.object(&mut self.attributes, found);
    }

    fn push(self, rows: &mut SpanRows, found: &Found, now: Timestamp) {
        rows.push(&self, found, now);
    }
}

impl Record for ErrorRecord {
    type Rows = ErrorRows;

    fn measure(&mut self) -> Result<(usize, u64), Oversize> {
        measure_error(self)
    }

    fn identify(&mut self, finder: &mut Finder<'_>, counts: &mut Counts) -> Found {
        finder.error(self, counts)
    }

    fn scrub(&mut self, scrubber: &Scrubber, counts: &mut Counts) {
        scrubber.scrub_value(&mut self.event, None, counts);
    }

    fn replace(&mut self, repeats: &Repeats, found: &mut Found) {
        repeats.event(&mut self.event, found);
    }

    fn push(self, rows: &mut ErrorRows, found: &Found, now: Timestamp) {
        let columns = (self.columns)(&self.event);
        rows.push(&self.event, &columns, found, now);
    }
}

/// An id in its protocol's own form holds nothing; anything else is text like all text.
fn scrub_id(id: &mut String, scrubber: &Scrubber, counts: &mut Counts) {
    let well_formed = matches!(id.len(), 0 | 16 | 32) && id.bytes().all(|b| b.is_ascii_hexdigit());
    let all_digits = !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit());
    if !well_formed || all_digits {
        scrub_all([id], scrubber, counts);
    }
}

fn scrub_all<const N: usize>(texts: [&mut String; N], scrubber: &Scrubber, counts: &mut Counts) {
    for text in texts {
        if let Some(clean) = scrubber.scrub_str(text, counts) {
            *text = clean;
        }
    }
}
