//! The figures beside the sentences.

use std::collections::HashMap;
use std::sync::Arc;

use candor_lake::DAY_US;
use candor_model::{ProjectId, Timestamp};
use candor_notices::{Held, Owner};
use candor_policy::notice::{Evidence, Figure};
use tokio::sync::Mutex;

use crate::app::App;

/// Whoever asks for the page makes us look at most so often, µs.
const LOOK_EVERY_US: i64 = 60_000_000;

/// When the oldest row of each table came, and when that was looked up. Cheap to clone.
#[derive(Clone, Default)]
pub struct Measured(Arc<Mutex<Option<(Timestamp, Oldest)>>>);

/// By project and table, as the catalog calls it: `logs`, `stream:…`.
type Oldest = Arc<HashMap<(ProjectId, String), i64>>;

impl Measured {
    /// What is in files; none where the catalog does not answer.
    async fn oldest(&self, app: &App) -> Option<(Timestamp, Oldest)> {
        let mut held = self.0.lock().await;
        let now = app.clock.now();
        if let Some((at, oldest)) = &*held
            && (0..LOOK_EVERY_US).contains(&(now.0 - at.0))
        {
            return Some((*at, Arc::clone(oldest)));
        }
        match app.lake.oldest().await {
            Ok(oldest) => {
                let oldest: Oldest = Arc::new(oldest);
                *held = Some((now, Arc::clone(&oldest)));
                Some((now, oldest))
            }
            Err(error) => {
                tracing::warn!(error = crate::logging::chain(&error), "the oldest rows are not known");
                None
            }
        }
    }
}

/// The figures of a policy that holds.
pub(super) async fn gather(app: &App, held: &Held) -> Evidence {
    let mut evidence = Evidence::new();
    let Some((at, oldest)) = app.measured.oldest(app).await else { return evidence };
    let is_ours = |project: ProjectId| match held.version.owner {
        Owner::Project(own) => own == project,
        Owner::Instance => app.policies.own(Owner::Project(project)).is_none(),
    };
    for activity in &held.resolved.policy.activities {
        let of_activity = |table: &str| {
            // A topic's table is called as the log calls it: `#` and a number follow where it was made again.
            let signal = table.split('#').next().unwrap_or_default();
            held.resolved.policy.activity(signal).is_some_and(|one| one.id == activity.id)
        };
        let first = oldest
            .iter()
            .filter(|((project, table), _)| is_ours(*project) && of_activity(table))
            .map(|(_, came)| *came)
            .min();
        let (text, number) = match first {
            Some(came) => {
                let age = (at.0 - came).max(0);
                (format!("{} d {} h", age / DAY_US, age % DAY_US / 3_600_000_000), age as f64 / 1e6)
            }
            None => ("0 d".to_owned(), 0.0),
        };
        let figure = Figure { text, number: Some(number), at: at.to_string(), ledger: None };
        evidence.insert(format!("activity.{}.retention.live", activity.id), figure);
    }
    evidence
}
