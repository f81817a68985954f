//! What the gate did since the start, in counts: what leaves no trace in a row must leave one here.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::GateReport;

/// Counts over all batches. Names come from the gate's own lists, so there are few.
#[derive(Debug, Default)]
pub struct Totals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    dropped: BTreeMap<&'static str, u64>,
    replaced: BTreeMap<&'static str, u64>,
    attributes_dropped: u64,
}

impl Totals {
    pub(crate) fn add(&self, report: &GateReport) {
        let mut counts = self.0.lock();
        for (reason, count) in &report.dropped {
            *counts.dropped.entry(reason).or_default() += count;
        }
        for (kind, count) in &report.replaced {
            *counts.replaced.entry(kind).or_default() += count;
        }
        counts.attributes_dropped += report.attributes_dropped;
    }

    /// The same as the report of one batch, over all of them, sorted by name.
    pub fn report(&self) -> GateReport {
        let counts = self.0.lock();
        let list =
            |map: &BTreeMap<&'static str, u64>| map.iter().map(|(name, count)| (*name, *count)).collect();
        GateReport {
            dropped: list(&counts.dropped),
            replaced: list(&counts.replaced),
            attributes_dropped: counts.attributes_dropped,
        }
    }
}
