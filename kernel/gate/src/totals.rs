//! What the gate did since the start, in counts: what leaves no trace in a row must leave one here.

use std::collections::{BTreeMap, HashMap};

use candor_model::ProjectId;
use parking_lot::Mutex;

use crate::GateReport;

/// What reasons begin with that are a key of the policy.
const POLICY: &str = "policy:";

/// Counts over all batches. Names come from the gate's own lists, so there are few.
#[derive(Debug, Default)]
pub struct Totals(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    dropped: BTreeMap<&'static str, u64>,
    replaced: BTreeMap<&'static str, u64>,
    attributes_dropped: u64,
    /// Records of projects that a policy did not take since somebody asked, by reason.
    refused: HashMap<(ProjectId, &'static str), u64>,
}

impl Totals {
    /// Counts what was done to a batch of a project.
    pub(crate) fn add_of(&self, project: ProjectId, report: &GateReport) {
        self.add(report);
        // Nearly every batch is taken whole.
        let by_policy =
            report.dropped.iter().filter(|(reason, count)| reason.starts_with(POLICY) && *count > 0);
        for (reason, count) in by_policy {
            *self.0.lock().refused.entry((project, *reason)).or_default() += count;
        }
    }

    /// Which records of projects the policies did not take since this was asked last, by key of the policy.
    pub fn take_refused(&self) -> Vec<(ProjectId, &'static str, u64)> {
        let refused = std::mem::take(&mut self.0.lock().refused);
        let mut refused: Vec<_> = refused
            .into_iter()
            .map(|((project, reason), count)| (project, reason.strip_prefix(POLICY).unwrap_or(reason), count))
            .collect();
        refused.sort_unstable();
        refused
    }

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
