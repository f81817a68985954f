//! How long rows are kept: by signal, for each project as the policy that holds there says.

use std::collections::HashMap;
use std::sync::Arc;

use candor_model::{ProjectId, Signal};

use crate::Retention;
use crate::config::DAY_US;

/// How long the rows of one policy are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// After this they are shown to nobody.
    pub live: Retention,
    /// So long after that their bytes may still be on the disk.
    pub lag: Retention,
    /// The same for topics of streams, by name; what a topic says itself may be shorter. Without an entry, as `rest`.
    pub topics: HashMap<Arc<str>, TopicKept>,
    /// For all other topics.
    pub rest: TopicKept,
}

/// How long rows of a topic are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicKept {
    /// µs; none as long as the topic itself says.
    pub live_us: Option<i64>,
    /// µs.
    pub lag_us: i64,
}

impl Default for TopicKept {
    fn default() -> TopicKept {
        TopicKept { live_us: None, lag_us: 2 * DAY_US }
    }
}

impl From<Retention> for Kept {
    /// As an operator's flags say it, without a word on when bytes are gone.
    fn from(live: Retention) -> Kept {
        let lag = Retention { logs_us: 2 * DAY_US, errors_us: 2 * DAY_US, spans_us: 2 * DAY_US };
        Kept { live, lag, topics: HashMap::new(), rest: TopicKept::default() }
    }
}

impl Kept {
    /// For a topic.
    pub fn topic(&self, name: &str) -> TopicKept {
        self.topics.get(name).copied().unwrap_or(self.rest)
    }
}

/// How long everything is kept. Projects without a policy of their own follow the instance's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keeping {
    /// The instance's.
    pub instance: Kept,
    /// Of projects that have their own.
    pub projects: HashMap<ProjectId, Kept>,
}

impl From<Retention> for Keeping {
    fn from(live: Retention) -> Keeping {
        Keeping { instance: live.into(), projects: HashMap::new() }
    }
}

/// What history and grace take after a file ended, and the time between two looks: bytes are gone so much later.
const FILE_END_US: i64 = 90 * 60 * 1_000_000;

impl Keeping {
    /// For a project.
    pub fn of(&self, project: ProjectId) -> &Kept {
        self.projects.get(&project).unwrap_or(&self.instance)
    }

    /// The shortest time that any project's rows of a signal are kept, µs.
    pub(crate) fn shortest(&self, signal: Signal) -> i64 {
        let all = std::iter::once(&self.instance).chain(self.projects.values());
        all.map(|kept| kept.live.of(signal)).min().unwrap_or(i64::MAX)
    }

    /// True where a file of such rows has to end: none of its rows is to be kept, or, where it holds older ones beside,
    /// their bytes would outlive what the policy promises.
    pub(crate) fn is_over(live_us: i64, lag_us: i64, (oldest, newest): (i64, i64), now: i64) -> bool {
        let end = now.saturating_sub(live_us);
        newest < end || oldest < end.saturating_sub(lag_us.saturating_sub(FILE_END_US).max(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3600 * 1_000_000;

    #[test]
    fn a_file_ends_with_its_newest_row_or_when_its_oldest_must_be_gone() {
        let now = 100 * DAY_US;
        let over = |lag, oldest, newest| Keeping::is_over(30 * DAY_US, lag, (oldest, newest), now);
        assert!(over(DAY_US, 69 * DAY_US, 70 * DAY_US - 1));
        assert!(!over(DAY_US, 70 * DAY_US - 20 * HOUR_US, 70 * DAY_US));
        // 23 hours past its time: it could not be gone within a day.
        assert!(over(DAY_US, 70 * DAY_US - 23 * HOUR_US, 70 * DAY_US));
        assert!(!over(2 * DAY_US, 70 * DAY_US - 23 * HOUR_US, 70 * DAY_US));
        // No lag at all: as soon as one row is past its time.
        assert!(over(0, 70 * DAY_US - 1, 71 * DAY_US));
    }

    #[test]
    fn a_project_follows_its_own_policy() {
        let short = Retention { logs_us: 5, errors_us: 6, spans_us: 7 };
        let mut keeping = Keeping::from(Retention::default());
        keeping.projects.insert(ProjectId(3), short.into());
        assert_eq!(keeping.of(ProjectId(3)).live, short);
        assert_eq!(keeping.of(ProjectId(4)).live, Retention::default());
        assert_eq!(keeping.shortest(Signal::Errors), 6);
    }
}
