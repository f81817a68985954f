//! How a bridge gets on, for people and for what carries groups over.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;
use serde::Serialize;
use tokio::time::Instant;

use super::position::Runs;

/// Over how long a rate is told.
const RATE_OVER: Duration = Duration::from_secs(10);

/// Longest text of what went wrong, characters.
const WHY_MAX: usize = 600;

/// What a bridge does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum BridgeState {
    /// It connects.
    #[default]
    Starting,
    /// Records go over.
    Running,
    /// Something is wrong; it tries again.
    Failing,
    /// Somebody paused it, or the policy did.
    Paused,
}

/// A mirrored partition.
#[derive(Debug, Clone, Serialize)]
pub struct MirroredPartition {
    /// Its number.
    pub partition: i32,
    /// The source's offset that comes next.
    pub position: i64,
    /// Where the source ends, for who sees only what was committed.
    pub end: i64,
    /// Offsets in between.
    pub lag: i64,
}

/// A mirrored topic.
#[derive(Debug, Clone, Serialize)]
pub struct MirroredTopic {
    /// Its name at the source.
    pub source: String,
    /// And at the target; none where it cannot have one.
    pub target: Option<String>,
    /// Why it is not mirrored now.
    pub error: Option<String>,
    /// Offsets that are not mirrored yet.
    pub lag: i64,
    /// Offsets that the source deleted before they were mirrored, since the bridge began.
    pub skipped: i64,
    /// Its partitions.
    pub partitions: Vec<MirroredPartition>,
}

/// A group that is carried over.
#[derive(Debug, Clone, Serialize)]
pub struct MirroredGroup {
    /// Its name, the same on both sides.
    pub group: String,
    /// Partitions with an offset.
    pub partitions: usize,
    /// Why it is not carried over now.
    pub error: Option<String>,
}

#[derive(Default)]
struct Part {
    position: i64,
    end: i64,
    runs: Runs,
}

#[derive(Default)]
struct Topic {
    target: Option<String>,
    error: Option<String>,
    skipped: i64,
    parts: BTreeMap<i32, Part>,
}

#[derive(Default)]
struct Inner {
    state: BridgeState,
    error: Option<String>,
    retry_at: Option<Instant>,
    topics: BTreeMap<String, Topic>,
    groups: BTreeMap<String, (usize, Option<String>)>,
    groups_error: Option<String>,
    records: u64,
    bytes: u64,
    /// When so many records had gone over, the oldest first.
    counted: Vec<(Instant, u64)>,
}

/// How a bridge gets on.
#[derive(Default)]
pub(crate) struct Progress {
    inner: Mutex<Inner>,
}

/// The same, as it is shown.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Shown {
    pub state: BridgeState,
    pub error: Option<String>,
    pub retry_in_s: Option<u64>,
    pub records: u64,
    pub bytes: u64,
    pub records_per_second: f64,
    pub lag: i64,
    pub topics: Vec<MirroredTopic>,
    pub groups: Vec<MirroredGroup>,
    pub groups_error: Option<String>,
}

fn cut(why: String) -> String {
    why.chars().filter(|c| !c.is_control()).take(WHY_MAX).collect()
}

impl Progress {
    /// A try that begins is no better than the one before until records go over.
    pub fn is_now(&self, state: BridgeState) {
        let mut inner = self.inner.lock();
        if state == BridgeState::Starting && inner.error.is_some() {
            return;
        }
        inner.state = state;
        inner.error = None;
        inner.retry_at = None;
    }

    /// It does nothing; why, where it may not.
    pub fn paused(&self, why: Option<String>) {
        self.is_now(BridgeState::Paused);
        self.inner.lock().error = why.map(cut);
    }

    /// Something is wrong; it tries again after so long, or only when somebody resumes it.
    pub fn failed(&self, why: String, retry_in: Option<Duration>) {
        let mut inner = self.inner.lock();
        inner.state = BridgeState::Failing;
        inner.error = Some(cut(why));
        inner.retry_at = retry_in.map(|wait| Instant::now() + wait);
    }

    /// Topics that are mirrored from now on, and those that cannot be.
    pub fn topics_are(&self, mirrored: &[(String, String)], troubled: &[(String, String)]) {
        let mut inner = self.inner.lock();
        let mut before = std::mem::take(&mut inner.topics);
        for (source, target) in mirrored {
            let mut topic = before.remove(source).unwrap_or_default();
            topic.target = Some(target.clone());
            topic.error = None;
            inner.topics.insert(source.clone(), topic);
        }
        for (source, why) in troubled {
            let mut topic = before.remove(source).or_else(|| inner.topics.remove(source)).unwrap_or_default();
            topic.error = Some(cut(why.clone()));
            inner.topics.insert(source.clone(), topic);
        }
    }

    /// What is known of a topic's offsets at the target is of one that is gone.
    pub fn is_gone(&self, topic: &str) {
        if let Some(topic) = self.inner.lock().topics.get_mut(topic) {
            topic.parts.values_mut().for_each(|part| part.runs = Runs::default());
        }
    }

    /// What is committed of a partition.
    pub fn position(&self, topic: &str, partition: i32, position: i64, runs: &Runs) {
        let mut inner = self.inner.lock();
        let Some(topic) = inner.topics.get_mut(topic) else { return };
        let part = topic.parts.entry(partition).or_default();
        part.position = position;
        part.end = part.end.max(position);
        part.runs = runs.clone();
    }

    /// Where a partition ends at the source.
    pub fn end(&self, topic: &str, partition: i32, end: i64) {
        if let Some(topic) = self.inner.lock().topics.get_mut(topic) {
            topic.parts.entry(partition).or_default().end = end;
        }
    }

    /// The source deleted so many offsets before they were mirrored.
    pub fn skipped(&self, topic: &str, offsets: i64) {
        if let Some(topic) = self.inner.lock().topics.get_mut(topic) {
            topic.skipped = topic.skipped.saturating_add(offsets);
        }
    }

    pub fn mirrored(&self, records: u64, bytes: u64) {
        let mut inner = self.inner.lock();
        inner.records = inner.records.saturating_add(records);
        inner.bytes = inner.bytes.saturating_add(bytes);
        let (now, records) = (Instant::now(), inner.records);
        if inner.counted.last().is_none_or(|(at, _)| now - *at >= Duration::from_secs(1)) {
            inner.counted.push((now, records));
            inner.counted.retain(|(at, _)| now - *at <= RATE_OVER);
        }
    }

    /// An offset of the source in the target's topic and offsets; none where that partition is not mirrored.
    pub fn translate(&self, topic: &str, partition: i32, offset: i64) -> Option<(String, i64)> {
        let inner = self.inner.lock();
        let topic = inner.topics.get(topic)?;
        let offset = topic.parts.get(&partition)?.runs.translate(offset)?;
        Some((topic.target.clone()?, offset))
    }

    /// The groups that there are, sorted.
    pub fn groups_are(&self, found: &[String]) {
        self.inner.lock().groups.retain(|group, _| found.binary_search(group).is_ok());
    }

    pub fn group(&self, group: &str, partitions: usize, error: Option<String>) {
        self.inner.lock().groups.insert(group.to_owned(), (partitions, error));
    }

    pub fn groups_looked_at(&self, error: Option<String>) {
        self.inner.lock().groups_error = error.map(cut);
    }

    pub fn shown(&self) -> Shown {
        let inner = self.inner.lock();
        let now = Instant::now();
        let topics: Vec<MirroredTopic> =
            inner.topics.iter().map(|(source, topic)| shown(source, topic)).collect();
        let begun = inner.counted.iter().find(|(at, _)| now - *at <= RATE_OVER);
        let rate = begun.map_or(0.0, |(at, records)| {
            let over = (now - *at).as_secs_f64().max(1.0);
            (inner.records - records) as f64 / over
        });
        let groups = inner.groups.iter().map(|(group, (partitions, error))| MirroredGroup {
            group: group.clone(),
            partitions: *partitions,
            error: error.clone(),
        });
        Shown {
            state: inner.state,
            error: inner.error.clone(),
            retry_in_s: inner.retry_at.map(|at| at.saturating_duration_since(now).as_secs()),
            records: inner.records,
            bytes: inner.bytes,
            records_per_second: rate,
            lag: sum(topics.iter().map(|topic| topic.lag)),
            topics,
            groups: groups.collect(),
            groups_error: inner.groups_error.clone(),
        }
    }
}

/// The other cluster says these numbers: they may be any.
fn sum(lags: impl Iterator<Item = i64>) -> i64 {
    lags.fold(0, i64::saturating_add)
}

fn shown(source: &str, topic: &Topic) -> MirroredTopic {
    let partitions = topic.parts.iter().map(|(partition, part)| MirroredPartition {
        partition: *partition,
        position: part.position,
        end: part.end,
        lag: part.end.saturating_sub(part.position).max(0),
    });
    let partitions: Vec<MirroredPartition> = partitions.collect();
    MirroredTopic {
        source: source.to_owned(),
        target: topic.target.clone(),
        error: topic.error.clone(),
        lag: sum(partitions.iter().map(|part| part.lag)),
        skipped: topic.skipped,
        partitions,
    }
}
