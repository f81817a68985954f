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
    /// What earlier policies said, and until when they held, µs: what came until then is kept no longer than that, for
    /// what is loosened later holds for what comes later.
    pub earlier: Vec<(i64, Kept)>,
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
        Kept { live, lag, topics: HashMap::new(), rest: TopicKept::default(), earlier: Vec::new() }
    }
}

impl Kept {
    /// For a topic.
    pub fn topic(&self, name: &str) -> TopicKept {
        self.topics.get(name).copied().unwrap_or(self.rest)
    }

    /// Which rows of a signal are past their time: those that came before this moment.
    pub(crate) fn end_of(&self, signal: Signal, now: i64) -> i64 {
        self.end(now, |kept| Some(kept.live.of(signal)))
    }

    /// Which rows of a topic are, as far as policies say.
    pub(crate) fn end_of_topic(&self, name: &str, now: i64) -> i64 {
        self.end(now, |kept| kept.topic(name).live_us)
    }

    fn end(&self, now: i64, live: impl Fn(&Kept) -> Option<i64>) -> i64 {
        let before = |kept: &Kept| live(kept).map_or(i64::MIN, |live| now.saturating_sub(live));
        let earlier = self.earlier.iter().map(|(until, kept)| before(kept).min(*until));
        earlier.fold(before(self), i64::max)
    }

    /// True where rows of any kind are kept shorter than another says.
    pub fn is_stricter_than(&self, other: &Kept) -> bool {
        let names = || self.topics.keys().chain(other.topics.keys());
        let forever = |live: Option<i64>| live.unwrap_or(i64::MAX);
        let topic = |name: &str| forever(self.topic(name).live_us) < forever(other.topic(name).live_us);
        Signal::ALL.into_iter().any(|signal| self.live.of(signal) < other.live.of(signal))
            || forever(self.rest.live_us) < forever(other.rest.live_us)
            || names().any(|name| topic(name))
    }

    /// This, and what was said before.
    fn and_earlier(&self) -> impl Iterator<Item = &Kept> {
        std::iter::once(self).chain(self.earlier.iter().map(|(_, kept)| kept))
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
        all.flat_map(Kept::and_earlier).map(|kept| kept.live.of(signal)).min().unwrap_or(i64::MAX)
    }

    /// What becomes of a file of which rows from before `end` are past their time, and whose oldest and newest came at
    /// these moments.
    pub(crate) fn fate(end: i64, lag_us: i64, (oldest, newest): (i64, i64)) -> Fate {
        if newest < end {
            Fate::Ends
        } else if oldest < end.saturating_sub(lag_us.saturating_sub(FILE_END_US).max(0)) {
            Fate::LosesBefore(end)
        } else {
            Fate::Stays
        }
    }
}

/// What becomes of a file when time passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays as it is.
    Stays,
    /// None of its rows is to be kept.
    Ends,
    /// The bytes of its rows from before this moment would outlive what the policy promises, µs.
    LosesBefore(i64),
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_US: i64 = 3600 * 1_000_000;

    #[test]
    fn a_file_ends_with_its_newest_row_and_loses_its_oldest_when_they_must_be_gone() {
        let end = 70 * DAY_US;
        let fate = |lag, oldest, newest| Keeping::fate(end, lag, (oldest, newest));
        assert_eq!(fate(DAY_US, 69 * DAY_US, end - 1), Fate::Ends);
        assert_eq!(fate(DAY_US, end - 20 * HOUR_US, end), Fate::Stays);
        // 23 hours past its time: it could not be gone within a day.
        assert_eq!(fate(DAY_US, end - 23 * HOUR_US, end), Fate::LosesBefore(end));
        assert_eq!(fate(2 * DAY_US, end - 23 * HOUR_US, end), Fate::Stays);
        // No lag at all: as soon as one row is past its time.
        assert_eq!(fate(0, end - 1, end + DAY_US), Fate::LosesBefore(end));
    }

    #[test]
    fn what_is_loosened_holds_for_what_comes_later() {
        let live = |days: i64| Retention { logs_us: days * DAY_US, errors_us: DAY_US, spans_us: DAY_US };
        let kept = Kept { earlier: vec![(100 * DAY_US, Kept::from(live(30)))], ..Kept::from(live(90)) };
        let end = |day: i64| kept.end_of(Signal::Logs, day * DAY_US) / DAY_US;
        // What came before day 100 goes after 30 days, what came later after 90.
        assert_eq!(
            [end(100), end(120), end(130), end(150), end(189), end(200)],
            [70, 90, 100, 100, 100, 110]
        );
        // What was made stricter holds for all.
        let kept = Kept { earlier: vec![(100 * DAY_US, Kept::from(live(30)))], ..Kept::from(live(7)) };
        assert_eq!(kept.end_of(Signal::Logs, 100 * DAY_US), 93 * DAY_US);
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
