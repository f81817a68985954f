//! An attachment through the gate.

use bytes::Bytes;
use candor_model::limits::RECORD_BYTES_MAX;
use candor_model::{PolicyEpoch, ProjectId, json};
use candor_scrub::{Counts, Scrubber};

use crate::admitted::AdmittedBlob;
use crate::policy::Compiled;
use crate::{ClearedBlob, GateReport, binary};

/// Clears an attachment: text as text, and in what is no text the runs that read as text.
pub(crate) fn blob(
    (policy, epoch): (&Compiled, PolicyEpoch),
    project: ProjectId,
    id: [u8; 16],
    content: Bytes,
) -> ClearedBlob {
    // Attachments are parts of error events.
    if policy.activities().errors.is_none() {
        let report = GateReport { dropped: vec![(super::NO_ACTIVITY, 1)], ..GateReport::default() };
        return ClearedBlob { admitted: None, report };
    }
    let mut counts = Counts::new();
    let clean = match std::str::from_utf8(&content) {
        Ok(text) => scrub_text(&policy.scrubber, text, &mut counts).map(Bytes::from),
        Err(_) => binary::blank(&policy.scrubber, &content, &mut counts).map(Bytes::from),
    };
    let content = clean.unwrap_or(content);
    let admitted = AdmittedBlob::new(project, id, content, epoch);
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
