//! How far groups were behind over the last hour: noted every few seconds, in bounded memory, gone with the process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Weak};
use std::time::Duration;

use candor_meta::ReadScope;
use candor_model::{ProjectId, Timestamp};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::{Inner, View, read};

/// How often it is noted, seconds.
const EVERY_S: u32 = 5;

/// Notes that are kept: an hour.
const NOTES_MAX: usize = (3600 / EVERY_S) as usize;

/// Partitions whose lag is noted, of all groups: at 8 bytes a note some 12 MB. Of the groups beyond only the sum is.
const SERIES_MAX: usize = 2_000;

/// Partitions of one group, so that one alone cannot take all the room.
const SERIES_OF_GROUP_MAX: usize = 256;

/// Groups that are noted, at 6 KB each for their sums.
const GROUPS_MAX: usize = 1_000;

/// A lag at a note; what is larger counts as the largest.
type Notes = VecDeque<(u32, u32)>;

/// What was noted.
#[derive(Default)]
pub(super) struct Lags {
    now: u32,
    /// When the last notes were made, the newest last.
    times: VecDeque<Timestamp>,
    groups: HashMap<(ProjectId, Arc<str>), OfGroup>,
    series: usize,
}

#[derive(Default)]
struct OfGroup {
    sum: Notes,
    places: BTreeMap<(Arc<str>, i32), Notes>,
    /// It reads more partitions than are noted.
    partial: bool,
}

/// A group's lag over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LagHistory {
    /// Seconds between notes.
    pub every_s: u32,
    /// When it was noted, RFC 3339.
    pub times: Vec<String>,
    /// Messages that it had not read in all.
    pub sum: Vec<Option<u32>>,
    /// The same for each partition.
    pub series: Vec<LagSeries>,
    /// Not every partition is there.
    pub partial: bool,
}

/// The lag of a partition over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LagSeries {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// Messages at each time; none where nothing was committed then.
    pub lags: Vec<Option<u32>>,
}

impl Lags {
    /// Begins another note.
    fn begin(&mut self, now: Timestamp) {
        if self.groups.is_empty() {
            self.now = 0;
            self.times.clear();
        }
        self.now = self.now.saturating_add(1);
        self.times.push_back(now);
        if self.times.len() > NOTES_MAX {
            self.times.pop_front();
        }
        let oldest = self.now.saturating_sub(NOTES_MAX as u32);
        let drop_old = |notes: &mut Notes| {
            while notes.front().is_some_and(|(at, _)| *at <= oldest) {
                notes.pop_front();
            }
        };
        for group in self.groups.values_mut() {
            drop_old(&mut group.sum);
            group.places.values_mut().for_each(drop_old);
            group.places.retain(|_, notes| !notes.is_empty());
        }
        self.groups.retain(|_, group| !group.sum.is_empty());
        self.series = self.groups.values().map(|group| group.places.len()).sum();
    }

    /// Notes how far a group is behind.
    fn note(&mut self, project: ProjectId, group: &str, lags: &BTreeMap<(String, i32), i64>) {
        let key = (project, Arc::from(group));
        if !self.groups.contains_key(&key) && self.groups.len() >= GROUPS_MAX {
            return;
        }
        let (now, of_group) = (self.now, self.groups.entry(key).or_default());
        let short = |lag: i64| u32::try_from(lag.max(0)).unwrap_or(u32::MAX);
        let sum = lags.values().fold(0_i64, |sum, lag| sum.saturating_add(*lag));
        of_group.sum.push_back((now, short(sum)));
        of_group.partial = false;
        for ((topic, partition), lag) in lags {
            let place = (Arc::from(topic.as_str()), *partition);
            if !of_group.places.contains_key(&place) {
                if self.series >= SERIES_MAX || of_group.places.len() >= SERIES_OF_GROUP_MAX {
                    of_group.partial = true;
                    continue;
                }
                self.series += 1;
            }
            of_group.places.entry(place).or_default().push_back((now, short(*lag)));
        }
    }

    /// A group's lag over time, of one topic or all.
    fn history(&self, project: ProjectId, group: &str, topic: Option<&str>) -> LagHistory {
        let mut history = LagHistory { every_s: EVERY_S, ..LagHistory::default() };
        let Some(of_group) = self.groups.get(&(project, Arc::from(group))) else { return history };
        let Some((first, _)) = of_group.sum.front() else { return history };
        let all = *first..=self.now;
        let skipped = self.times.len().saturating_sub(all.clone().count());
        history.times = self.times.iter().skip(skipped).map(Timestamp::to_string).collect();
        let row = |notes: &Notes| {
            let mut notes = notes.iter().peekable();
            let each = all.clone().map(|at| notes.next_if(|(noted, _)| *noted == at).map(|(_, lag)| *lag));
            each.collect::<Vec<Option<u32>>>()
        };
        history.sum = row(&of_group.sum);
        let wanted = of_group.places.iter().filter(|((of, _), _)| topic.is_none_or(|topic| **of == *topic));
        let series = wanted.map(|((topic, partition), notes)| LagSeries {
            topic: topic.to_string(),
            partition: *partition,
            lags: row(notes),
        });
        history.series = series.collect();
        history.partial = of_group.partial;
        history
    }
}

impl View {
    /// How far a group was behind over the last hour, in one topic or in all.
    pub fn lag(&self, scope: &ReadScope, group: &str, topic: Option<&str>) -> LagHistory {
        self.inner.lags.lock().history(read(scope), group, topic)
    }
}

impl Inner {
    pub(super) async fn note_lags(&self, projects: &[ProjectId]) {
        self.lags.lock().begin(self.clock.now());
        for project in projects {
            let mut listed = self.listed(*project).await;
            listed.truncate(GROUPS_MAX);
            let names: Vec<&str> = listed.iter().map(|one| one.group.as_str()).collect();
            // What cannot be read now is a gap.
            let Ok(commits) = self.commits(*project, &names, None).await else { continue };
            for (group, commits) in commits.iter().filter(|(_, commits)| !commits.is_empty()) {
                let lags = self.lags(*project, commits);
                self.lags.lock().note(*project, group, &lags);
            }
        }
    }
}

/// Notes how far groups are behind until `stop`.
pub(super) async fn run(inner: Weak<Inner>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(Duration::from_secs(EVERY_S.into()));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut projects = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        let Some(inner) = inner.upgrade() else { return };
        // Where that cannot be asked now, those that there were.
        if let Ok(found) = inner.parts.tenancy.projects(None).await {
            projects = found.into_iter().map(|project| project.id).collect();
        }
        inner.note_lags(&projects).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lags(pairs: &[(&str, i32, i64)]) -> BTreeMap<(String, i32), i64> {
        pairs.iter().map(|(topic, partition, lag)| (((*topic).to_owned(), *partition), *lag)).collect()
    }

    #[test]
    fn notes_have_their_times_and_gaps() {
        let mut noted = Lags::default();
        let shop = ProjectId(1);
        noted.begin(Timestamp(0));
        noted.note(shop, "billing", &lags(&[("orders", 0, 7), ("orders", 1, 1)]));
        noted.begin(Timestamp(5 * Timestamp::SECOND));
        noted.begin(Timestamp(10 * Timestamp::SECOND));
        noted.note(shop, "billing", &lags(&[("orders", 0, 3), ("payments", 0, i64::MAX)]));
        let history = noted.history(shop, "billing", Some("orders"));
        assert_eq!(history.times[2], "1970-01-01T00:00:10.000000Z");
        assert_eq!(history.sum, [Some(8), None, Some(u32::MAX)]);
        let rows: Vec<_> = history.series.iter().map(|one| (one.partition, one.lags.clone())).collect();
        assert_eq!(rows, [(0, vec![Some(7), None, Some(3)]), (1, vec![Some(1), None, None])]);
        assert_eq!(noted.history(shop, "billing", None).series.len(), 3);
        assert_eq!(noted.history(ProjectId(2), "billing", None).times.len(), 0);
    }

    #[test]
    fn an_hour_is_kept_and_many_partitions_are_bounded() {
        let mut noted = Lags::default();
        let many: BTreeMap<(String, i32), i64> = (0..3000).map(|one| (("t".to_owned(), one), 1)).collect();
        for at in 0..NOTES_MAX as i64 + 10 {
            noted.begin(Timestamp(at * 5 * Timestamp::SECOND));
            noted.note(ProjectId(1), "one", &lags(&[("orders", 0, at)]));
        }
        let history = noted.history(ProjectId(1), "one", None);
        assert_eq!((history.sum.len(), history.sum[0]), (NOTES_MAX, Some(10)));
        for group in 0..20 {
            noted.note(ProjectId(1), &format!("g{group}"), &many);
        }
        assert!(noted.series <= SERIES_MAX, "{}", noted.series);
        assert!(noted.history(ProjectId(1), "g0", None).partial);
        assert_eq!(noted.history(ProjectId(1), "g19", None).sum, [Some(3000)]);
        // Who is gone is forgotten.
        for at in 0..NOTES_MAX as i64 + 1 {
            noted.begin(Timestamp(at));
        }
        assert!(noted.groups.is_empty() && noted.series == 0);
    }
}
