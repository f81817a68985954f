//! What became of what SDKs sent, and of what they say they did not send: counted by project, category, outcome and
//! reason, never with a value. The names are Sentry's, so that its users know them.

use std::collections::HashMap;
use std::sync::Arc;

use candor_model::ProjectId;
use parking_lot::Mutex;

/// Different counters kept. Names are from closed lists, so only projects can make many; beyond it they share one.
const COUNTERS_MAX: usize = 200_000;

/// The project under which counts stand that find no room of their own.
const EVERYONE: ProjectId = ProjectId(0);

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// Stored.
    Accepted,
    /// It had been stored before under its id.
    Duplicate,
    /// Refused because it could not be read.
    Invalid,
    /// Dropped by the gate.
    Filtered,
    /// Accepted, and not stored: Candor does not build it yet.
    NotSupported,
    /// Refused by quota, rate or pressure.
    RateLimited,
    /// The SDK says that it dropped it.
    ClientDiscard,
}

impl Outcome {
    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Duplicate => "duplicate",
            Outcome::Invalid => "invalid",
            Outcome::Filtered => "filtered",
            Outcome::NotSupported => "not_supported",
            Outcome::RateLimited => "rate_limited",
            Outcome::ClientDiscard => "client_discard",
        }
    }
}

/// One counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Counted {
    /// Of which project.
    pub project: ProjectId,
    /// Sentry's data category.
    pub category: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// Why; empty where there is no why.
    pub reason: &'static str,
}

/// The counters. Cheap to clone; they count from the start of the process.
#[derive(Debug, Clone, Default)]
pub struct Outcomes(Arc<Mutex<HashMap<Counted, u64>>>);

impl Outcomes {
    /// Counts.
    pub fn count(
        &self,
        project: ProjectId,
        category: &'static str,
        outcome: Outcome,
        reason: &'static str,
        quantity: u64,
    ) {
        if quantity == 0 {
            return;
        }
        let mut counters = self.0.lock();
        let mut counted = Counted { project, category, outcome, reason };
        if counters.len() >= COUNTERS_MAX && !counters.contains_key(&counted) {
            counted.project = EVERYONE;
        }
        let counter = counters.entry(counted).or_default();
        *counter = counter.saturating_add(quantity);
    }

    /// Every counter, sorted.
    pub fn counters(&self) -> Vec<(Counted, u64)> {
        let mut counters: Vec<(Counted, u64)> =
            self.0.lock().iter().map(|(counted, quantity)| (*counted, *quantity)).collect();
        counters.sort_unstable();
        counters
    }

    /// The counters of all projects together, for `/metrics`.
    pub fn totals(&self) -> Vec<(Counted, u64)> {
        let mut totals: HashMap<Counted, u64> = HashMap::new();
        for (counted, quantity) in self.0.lock().iter() {
            let total = totals.entry(Counted { project: EVERYONE, ..*counted }).or_default();
            *total = total.saturating_add(*quantity);
        }
        let mut totals: Vec<(Counted, u64)> = totals.into_iter().collect();
        totals.sort_unstable();
        totals
    }
}

/// The category of that name, `other` for an unknown one: what clients write must not make counters.
pub(crate) fn category(name: &str) -> &'static str {
    const KNOWN: [&str; 22] = [
        "default",
        "error",
        "transaction",
        "span",
        "security",
        "attachment",
        "session",
        "profile",
        "profile_chunk",
        "profile_chunk_ui",
        "replay",
        "replay_video",
        "monitor",
        "feedback",
        "user_report_v2",
        "log_item",
        "log_byte",
        "trace_metric",
        "trace_metric_byte",
        "metric_bucket",
        "metric",
        "internal",
    ];
    KNOWN.into_iter().find(|known| *known == name).unwrap_or("other")
}

/// The reason of that name in a client report, `other` for an unknown one.
pub(crate) fn discard_reason(name: &str) -> &'static str {
    const KNOWN: [&str; 18] = [
        "queue_overflow",
        "cache_overflow",
        "buffer_overflow",
        "ratelimit_backoff",
        "network_error",
        "sample_rate",
        "before_send",
        "event_processor",
        "send_error",
        "internal_sdk_error",
        "insufficient_data",
        "backpressure",
        "no_parent_span",
        "invalid",
        "ignored",
        "missing_profile",
        "too_many",
        "disabled_client",
    ];
    KNOWN.into_iter().find(|known| *known == name).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_add_up_by_project_and_over_all() {
        let outcomes = Outcomes::default();
        outcomes.count(ProjectId(1), "error", Outcome::Accepted, "", 2);
        outcomes.count(ProjectId(1), "error", Outcome::Accepted, "", 1);
        outcomes.count(ProjectId(2), "error", Outcome::Accepted, "", 4);
        outcomes.count(ProjectId(2), category("zorks"), Outcome::ClientDiscard, discard_reason("zorks"), 0);
        assert_eq!(outcomes.counters().iter().map(|(_, n)| *n).collect::<Vec<_>>(), [3, 4]);
        assert_eq!(outcomes.totals().iter().map(|(_, n)| *n).collect::<Vec<_>>(), [7]);
        assert_eq!((category("error"), category("zorks")), ("error", "other"));
    }
}
