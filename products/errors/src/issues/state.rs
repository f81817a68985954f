//! The part of issues that lives in memory: which hash belongs to which issue, how far each partition was followed,
//! and what is not in the database yet.
//!
//! Everything here follows from the log alone and in its order, issue numbers too: where the process dies before the
//! database knows, the same events make the same issues again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candor_model::{EVERY_OTHER, Partition, ProjectId, Timestamp};

use super::rows::ErrorRow;
use super::sketch::{Sketch, digest};

/// Microseconds in an hour.
pub(crate) const HOUR_US: i64 = 3_600 * Timestamp::SECOND;

/// A sender's time is believed for first and last seen and for the trend within these bounds of the arrival; beyond
/// them the arrival counts. Phones send after weeks; clocks run ahead by minutes.
const BELIEVED_PAST_US: i64 = 30 * 24 * HOUR_US;
const BELIEVED_FUTURE_US: i64 = 300 * Timestamp::SECOND;

/// Hashes of one project: some 12 MB in memory. A sender that puts a number or an id into types or fingerprints makes
/// a new one with every event; beyond the limit such events share one issue.
const HASHES_MAX: usize = 100_000;

/// Issues and other rows that wait to be written from which on the follower takes in nothing more: it is read from the
/// log again. At some 2 KiB each this is 40 MB, unless the senders' values are long.
const PENDING_MAX: usize = 20_000;

/// What the issue is called that takes the events beyond [`HASHES_MAX`].
const EVERY_OTHER_TITLE: &str = "(errors beyond the limit of different ones in a project)";

/// Longest title, bytes.
const TITLE_BYTES_MAX: usize = 256;
/// Longest value in the list of issues, bytes; events keep it whole.
const VALUE_BYTES_MAX: usize = 1_000;

/// Issues of one project.
#[derive(Debug, Default)]
pub(crate) struct ProjectIssues {
    /// Which issue a hash belongs to. Shared with queries; copied only where one holds it while a hash is new.
    pub map: Arc<HashMap<String, i64>>,
    /// The greatest issue number given.
    pub last: i64,
}

/// How far a partition was followed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The first offset that was not taken in yet.
    pub next: u64,
    /// The first offset that the log had not committed, as far as we were told.
    pub end: u64,
}

impl Progress {
    /// True where everything that was committed has been taken in.
    pub fn is_live(self) -> bool {
        self.next >= self.end
    }
}

/// What is known of an issue's newest event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Face {
    pub title: String,
    pub kind: String,
    pub value: String,
    pub culprit: String,
    pub level: String,
    pub platform: String,
    pub release: String,
    pub environment: String,
    pub event_id: String,
}

/// What happened to an issue since the database last knew.
#[derive(Debug, Clone, Default)]
pub(crate) struct Delta {
    pub count: i64,
    pub first_seen: i64,
    pub last_seen: i64,
    /// The newest arrival: what came after an issue was resolved opens it again.
    pub last_arrival: i64,
    pub first_release: String,
    pub face: Face,
    pub users: Sketch,
    /// Events by hour since the epoch.
    pub hours: HashMap<i64, i64>,
}

/// What is not in the database yet.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    pub issues: HashMap<(ProjectId, i64), Delta>,
    pub hashes: Vec<(ProjectId, String, i64)>,
    /// What was attached to which event.
    pub attachments: Vec<(ProjectId, String, String)>,
    /// From which offset to which each partition was taken in.
    pub positions: HashMap<(ProjectId, Partition), (u64, u64)>,
}

impl Pending {
    pub fn is_empty(&self) -> bool {
        self.positions.is_empty()
    }

    /// True where so much waits that what comes next is left to the log.
    pub fn is_full(&self) -> bool {
        self.issues.len() + self.hashes.len() + self.attachments.len() >= PENDING_MAX
    }

    /// Puts back what could not be written, before what came since.
    pub fn put_back(&mut self, older: Pending) {
        let newer = std::mem::replace(self, older);
        for (key, delta) in newer.issues {
            self.issues.entry(key).or_default().merge(delta);
        }
        self.hashes.extend(newer.hashes);
        self.attachments.extend(newer.attachments);
        for (key, (from, next)) in newer.positions {
            self.positions.entry(key).or_insert((from, next)).1 = next;
        }
    }
}

impl Delta {
    fn merge(&mut self, newer: Delta) {
        if self.count == 0 {
            *self = newer;
            return;
        }
        self.count += newer.count;
        self.first_seen = self.first_seen.min(newer.first_seen);
        self.last_arrival = self.last_arrival.max(newer.last_arrival);
        if newer.last_seen >= self.last_seen {
            self.last_seen = newer.last_seen;
            self.face = newer.face;
        }
        if self.first_release.is_empty() {
            self.first_release = newer.first_release;
        }
        self.users.merge(&newer.users);
        for (hour, count) in newer.hours {
            *self.hours.entry(hour).or_default() += count;
        }
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct State {
    pub projects: HashMap<ProjectId, ProjectIssues>,
    pub progress: HashMap<(ProjectId, Partition), Progress>,
    pub pending: Pending,
    /// Events that went into the issue of every other one because their project had no room for more hashes.
    pub folded: u64,
    /// Hashes of one project.
    hashes_max: usize,
}

impl Default for State {
    fn default() -> State {
        State {
            projects: HashMap::new(),
            progress: HashMap::new(),
            pending: Pending::default(),
            folded: 0,
            hashes_max: HASHES_MAX,
        }
    }
}

impl State {
    /// Takes in the rows of a batch that starts at `base`. Rows that were taken in before are skipped. False where
    /// rows before it are missing: they must be read from the log first.
    pub fn take_in(
        &mut self,
        project: ProjectId,
        partition: Partition,
        base: u64,
        arrival: Timestamp,
        count: u64,
        rows: impl Fn(usize) -> ErrorRow,
    ) -> bool {
        let progress = self.progress.entry((project, partition)).or_default();
        let end = base.saturating_add(count);
        progress.end = progress.end.max(end);
        let from = progress.next;
        if base > from {
            return false;
        }
        if end <= from {
            return true;
        }
        progress.next = end;
        for offset in from..end {
            let mut row = rows((offset - base) as usize);
            let attached = std::mem::take(&mut row.attachments);
            let named = attached.into_iter().map(|name| (project, name, row.event_id.clone()));
            self.pending.attachments.extend(named);
            if !row.hashes.is_empty() {
                self.count(project, row, arrival);
            }
        }
        self.pending.positions.entry((project, partition)).or_insert((from, end)).1 = end;
        true
    }

    /// Notes that a batch was committed, without taking it in: it will be read from the log.
    pub fn leave_to_log(&mut self, project: ProjectId, partition: Partition, end: u64) {
        let progress = self.progress.entry((project, partition)).or_default();
        progress.end = progress.end.max(end);
    }

    /// Lets go of issues that were removed from the database, but for those of which something came since: they are
    /// written anew.
    pub fn retire(&mut self, project: ProjectId, retired: &HashSet<i64>) {
        let Some(issues) = self.projects.get_mut(&project) else { return };
        let pending = &mut self.pending;
        Arc::make_mut(&mut issues.map).retain(|hash, issue| {
            if !retired.contains(issue) {
                return true;
            }
            let came_since = pending.issues.contains_key(&(project, *issue));
            if came_since {
                pending.hashes.push((project, hash.clone(), *issue));
            }
            came_since
        });
    }

    /// Lets go of a deleted project. Its positions go with the rest: what still comes of it is counted anew, and
    /// let go of again.
    pub fn forget(&mut self, project: ProjectId) {
        self.projects.remove(&project);
        self.progress.retain(|(of, _), _| *of != project);
        let pending = &mut self.pending;
        pending.issues.retain(|(of, _), _| *of != project);
        pending.hashes.retain(|(of, ..)| *of != project);
        pending.attachments.retain(|(of, ..)| *of != project);
        pending.positions.retain(|(of, _), _| *of != project);
    }

    /// Skips to an offset because the log no longer holds what was before it.
    pub fn skip_to(&mut self, project: ProjectId, partition: Partition, next: u64) {
        let progress = self.progress.entry((project, partition)).or_default();
        if next > progress.next {
            self.pending.positions.entry((project, partition)).or_insert((progress.next, next)).1 = next;
            progress.next = next;
        }
    }

    fn count(&mut self, project: ProjectId, row: ErrorRow, arrival: Timestamp) {
        let (issue, is_folded) = self.issue_of(project, &row.hashes);
        self.folded += u64::from(is_folded);
        let title = match is_folded {
            true => EVERY_OTHER_TITLE.to_owned(),
            false => title(&row.kind, &row.value),
        };
        let believed = (arrival.0 - BELIEVED_PAST_US)..=(arrival.0 + BELIEVED_FUTURE_US);
        let seen = if believed.contains(&row.timestamp.0) { row.timestamp.0 } else { arrival.0 };
        let mut users = Sketch::default();
        if !row.subject.is_empty() {
            users.add(digest(&row.subject));
        }
        let delta = Delta {
            count: 1,
            first_seen: seen,
            last_seen: seen,
            last_arrival: arrival.0,
            first_release: row.release.clone(),
            users,
            hours: HashMap::from([(seen.div_euclid(HOUR_US), 1)]),
            face: Face {
                title,
                kind: row.kind,
                value: crate::event::cut(&row.value, VALUE_BYTES_MAX).to_owned(),
                culprit: row.culprit,
                level: row.level,
                platform: row.platform,
                release: row.release,
                environment: row.environment,
                event_id: row.event_id,
            },
        };
        self.pending.issues.entry((project, issue)).or_default().merge(delta);
    }

    /// The issue that owns the first known hash, or a new one; hashes that nobody owned become its own. Where there is
    /// no room for more hashes, the issue of every other event, and true.
    fn issue_of(&mut self, project: ProjectId, hashes: &[String]) -> (i64, bool) {
        let issues = self.projects.entry(project).or_default();
        let known = hashes.iter().find_map(|hash| issues.map.get(hash).copied());
        let is_full = issues.map.len() >= self.hashes_max;
        let every_other = [EVERY_OTHER.to_owned()];
        let (known, hashes) = match known {
            None if is_full => (issues.map.get(EVERY_OTHER).copied(), every_other.as_slice()),
            known => (known, hashes),
        };
        let is_folded = hashes == every_other;
        let issue = known.unwrap_or_else(|| {
            issues.last += 1;
            issues.last
        });
        for hash in hashes {
            if (!is_full || is_folded) && !issues.map.contains_key(hash) {
                Arc::make_mut(&mut issues.map).insert(hash.clone(), issue);
                self.pending.hashes.push((project, hash.clone(), issue));
            }
        }
        (issue, is_folded)
    }
}

/// What an issue is called: the type and the first line of the value.
fn title(kind: &str, value: &str) -> String {
    let line = value.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let title = match (kind, line) {
        ("", "") => "(no message)".to_owned(),
        (kind, "") => kind.to_owned(),
        ("", line) => line.to_owned(),
        (kind, line) => format!("{kind}: {line}"),
    };
    crate::event::cut(&title, TITLE_BYTES_MAX).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROJECT: ProjectId = ProjectId(1);
    const PARTITION: Partition = Partition(0);
    const NOW: Timestamp = Timestamp(1_741_256_391_000_000);

    fn row(hashes: &[&str], value: &str) -> ErrorRow {
        ErrorRow {
            timestamp: NOW,
            kind: "E".to_owned(),
            value: value.to_owned(),
            hashes: hashes.iter().map(|hash| (*hash).to_owned()).collect(),
            ..ErrorRow::default()
        }
    }

    fn take(state: &mut State, base: u64, rows: &[ErrorRow]) -> bool {
        state.take_in(PROJECT, PARTITION, base, NOW, rows.len() as u64, |at| rows[at].clone())
    }

    fn counts(state: &State) -> Vec<(i64, i64)> {
        let mut counts: Vec<(i64, i64)> =
            state.pending.issues.iter().map(|((_, issue), delta)| (*issue, delta.count)).collect();
        counts.sort_unstable();
        counts
    }

    #[test]
    fn an_event_joins_whoever_owns_any_of_its_hashes() {
        let mut state = State::default();
        assert!(take(
            &mut state,
            0,
            &[row(&["a"], "1"), row(&["b"], "2"), row(&["new", "a"], "3"), row(&["new"], "4")]
        ));
        assert_eq!(counts(&state), [(1, 3), (2, 1)]);
        assert_eq!(state.projects[&PROJECT].map["new"], 1);
        // Owned by two: the stronger hash decides, and nobody loses one.
        assert!(take(&mut state, 4, &[row(&["b", "a"], "5")]));
        assert_eq!(counts(&state), [(1, 3), (2, 2)]);
        assert_eq!(state.pending.positions[&(PROJECT, PARTITION)], (0, 5));
    }

    #[test]
    fn what_was_taken_in_is_not_taken_in_again_and_gaps_are_seen() {
        let mut state = State::default();
        let rows = [row(&["a"], "1"), row(&["a"], "2")];
        assert!(take(&mut state, 0, &rows));
        assert!(take(&mut state, 0, &rows));
        assert!(take(&mut state, 1, &rows));
        assert_eq!(counts(&state), [(1, 3)]);
        assert!(!take(&mut state, 7, &rows));
        let progress = state.progress[&(PROJECT, PARTITION)];
        assert_eq!(progress, Progress { next: 3, end: 9 });
        assert!(!progress.is_live());
        state.skip_to(PROJECT, PARTITION, 7);
        assert!(take(&mut state, 7, &rows));
        assert!(state.progress[&(PROJECT, PARTITION)].is_live());
        assert_eq!(state.pending.positions[&(PROJECT, PARTITION)], (0, 9));
    }

    #[test]
    fn senders_clocks_are_believed_within_bounds() {
        let mut state = State::default();
        let at = |micros: i64| ErrorRow { timestamp: Timestamp(micros), ..row(&["a"], "x") };
        take(&mut state, 0, &[at(NOW.0 - 2 * HOUR_US), at(0), at(NOW.0 + 500 * 365 * 24 * HOUR_US)]);
        let delta = &state.pending.issues[&(PROJECT, 1)];
        assert_eq!((delta.first_seen, delta.last_seen), (NOW.0 - 2 * HOUR_US, NOW.0));
        assert_eq!(delta.hours.len(), 2);
    }

    #[test]
    fn what_could_not_be_written_is_put_back_before_what_came_since() {
        let mut state = State::default();
        take(&mut state, 0, &[row(&["a"], "old")]);
        let older = std::mem::take(&mut state.pending);
        take(&mut state, 1, &[row(&["a"], "new"), row(&["b"], "other")]);
        state.pending.put_back(older);
        assert_eq!(counts(&state), [(1, 2), (2, 1)]);
        assert_eq!(state.pending.issues[&(PROJECT, 1)].face.value, "new");
        assert_eq!(state.pending.positions[&(PROJECT, PARTITION)], (0, 3));
        assert_eq!(state.pending.hashes.len(), 2);
    }

    #[test]
    fn events_beyond_the_limit_of_hashes_share_one_issue() {
        let mut state = State { hashes_max: 3, ..State::default() };
        let rows: Vec<ErrorRow> = (0..1000).map(|n| row(&[&format!("hash {n}")], &n.to_string())).collect();
        assert!(take(&mut state, 0, &rows));
        assert_eq!(counts(&state), [(1, 1), (2, 1), (3, 1), (4, 997)]);
        assert_eq!((state.projects[&PROJECT].map.len(), state.folded), (4, 997));
        assert_eq!(state.projects[&PROJECT].map[EVERY_OTHER], 4);
        let folded = &state.pending.issues[&(PROJECT, 4)].face;
        assert_eq!((folded.title.as_str(), folded.value.as_str()), (EVERY_OTHER_TITLE, "999"));
        // A known one goes on as before, and brings no new hash in.
        assert!(take(&mut state, 1000, &[row(&["more", "hash 1"], "x")]));
        assert_eq!((counts(&state)[1], state.projects[&PROJECT].map.len()), ((2, 2), 4));
        // Other projects have their own room.
        let other = ProjectId(2);
        assert!(state.take_in(other, PARTITION, 0, NOW, 1, |_| row(&["its own"], "x")));
        assert_eq!(state.projects[&other].map["its own"], 1);
    }

    #[test]
    fn retired_issues_make_room_unless_something_came_since() {
        let mut state = State { hashes_max: 2, ..State::default() };
        assert!(take(&mut state, 0, &[row(&["a"], "1"), row(&["b"], "2")]));
        state.pending = Pending::default();
        assert!(take(&mut state, 2, &[row(&["b"], "3")]));
        state.retire(PROJECT, &HashSet::from([1, 2]));
        assert_eq!(state.pending.hashes, [(PROJECT, "b".to_owned(), 2)]);
        assert!(take(&mut state, 3, &[row(&["a"], "4"), row(&["c"], "5")]));
        assert_eq!(counts(&state), [(2, 1), (3, 1), (4, 1)]);
        assert_eq!(state.folded, 1);
    }

    #[test]
    fn titles() {
        assert_eq!(title("KeyError", "\n 'x'\nmore"), "KeyError: 'x'");
        assert_eq!(title("", ""), "(no message)");
    }
}
