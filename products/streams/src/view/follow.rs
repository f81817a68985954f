//! A topic as it grows: a reader is a place in each partition, not a queue. One that falls far behind is moved on.

use std::collections::BTreeMap;
use std::time::Duration;

use candor_log::Topic as LogTopic;
use candor_meta::ReadScope;
use candor_model::{Offset, Partition, ProjectId};

use super::pages::{Cursor, PARTITIONS_MAX, SHOWN_IN_PAGE};
use super::records::{Budget, Filter, Message, Stretch, find};
use super::{Inner, View, ViewError, read};
use crate::directory::TopicId;

/// A reader further behind than this in a partition is moved on: more than anyone reads live.
const LAG_RECORDS_MAX: u64 = 10_000;

/// Where it is moved to: this many before the present.
const LAG_RECORDS_AFTER: u64 = 200;

/// Messages that are given at once.
const WINDOW: usize = 100;

/// What is opened for them at the most, bytes; one batch at the least.
const WINDOW_BYTES: usize = 4 << 20;

/// How long is looked for them, where only some of the messages are wanted.
const WINDOW_TIME: Duration = Duration::from_secs(5);

/// A reader.
pub struct Follow {
    view: View,
    project: ProjectId,
    name: String,
    id: TopicId,
    in_log: LogTopic,
    filter: Filter,
    at: BTreeMap<u32, u64>,
    /// What came before this was asked for by resuming: it is read in full.
    whole_until: BTreeMap<u32, u64>,
    /// Partitions have their turns.
    turn: usize,
}

/// What a reader is given.
#[derive(Debug, Default)]
pub struct Followed {
    /// Messages, each with where a reader resumes behind it.
    pub messages: Vec<(String, Message)>,
    /// How many it missed.
    pub missed: u64,
    /// The topic is no more: nothing else will come.
    pub ended: bool,
}

impl View {
    /// Begins to follow a topic, or one partition of it: from now on, or from where it broke off. Of a key alone, and of
    /// what holds a text alone, where these are given.
    pub fn follow(
        &self,
        scope: &ReadScope,
        name: &str,
        partition: Option<u32>,
        (key, text): (Option<&str>, Option<&str>),
        resumed: Option<Cursor>,
    ) -> Result<Follow, ViewError> {
        let project = read(scope);
        let topic = self.inner.stream(project, name)?;
        let all = topic.view.partitions;
        let partitions = match partition {
            Some(partition) if partition < all => partition..partition + 1,
            Some(_) => {
                return Err(ViewError::Missing(format!("{name} has {all} partitions, numbered from 0 on")));
            }
            None if all as usize > PARTITIONS_MAX => {
                return Err(ViewError::Refused(format!(
                    "{name} has {all} partitions, and at most {PARTITIONS_MAX} are followed at once: name one"
                )));
            }
            None => 0..all,
        };
        let resumed = resumed.filter(|cursor| !cursor.back).map(|cursor| cursor.at).unwrap_or_default();
        let ends = partitions.map(|partition| (partition, self.inner.ends(project, &topic, partition)));
        let ends: Vec<(u32, (u64, u64))> = ends.collect();
        let at = |(partition, (start, end)): &(u32, (u64, u64))| {
            (*partition, resumed.get(partition).map_or(*end, |at| (*at).clamp(*start, *end)))
        };
        Ok(Follow {
            view: self.clone(),
            project,
            name: name.to_owned(),
            id: topic.view.id,
            in_log: Inner::in_log(project, &topic),
            filter: Filter::parse(key, text)?,
            at: ends.iter().map(at).collect(),
            whole_until: ends.iter().map(|(partition, (_, end))| (*partition, *end)).collect(),
            turn: 0,
        })
    }
}

impl Follow {
    /// Where a reader resumes that has seen nothing more.
    pub fn place(&self) -> String {
        Cursor { back: false, at: self.at.clone() }.text()
    }

    /// What came since; nothing after a wait in which nothing came.
    pub async fn next(&mut self, wait: Duration) -> Result<Followed, ViewError> {
        let inner = &self.view.inner;
        let mut given = Followed::default();
        let topic = inner.topics.get(self.project, &self.name).filter(|topic| topic.view.id == self.id);
        let Some(topic) = topic else {
            given.ended = true;
            return Ok(given);
        };
        let end = |partition: u32| inner.log.high_watermark(&self.in_log, Partition(partition)).0;
        let grown: Vec<u32> =
            self.at.iter().filter(|(one, at)| end(**one) > **at).map(|(one, _)| *one).collect();
        if grown.is_empty() {
            let places = self.at.iter().map(|(one, at)| (self.in_log.clone(), Partition(*one), Offset(*at)));
            let places: Vec<_> = places.collect();
            inner.log.wait_any(&places, wait).await;
            return Ok(given);
        }
        self.turn = self.turn.wrapping_add(1);
        let Some(partition) = grown.get(self.turn % grown.len()).copied() else { return Ok(given) };
        let to = end(partition);
        let from = self.at.get(&partition).copied().unwrap_or(to);
        let whole_until = self.whole_until.get(&partition).copied().unwrap_or(0);
        if from >= whole_until && to - from > LAG_RECORDS_MAX {
            let moved = to - LAG_RECORDS_AFTER;
            given.missed = moved - from;
            self.at.insert(partition, moved);
            return Ok(given);
        }
        let filter = self.filter.clone();
        let in_log = self.in_log.clone();
        let stretch = Stretch { topic: in_log, partition, from, to, filter, wanted: WINDOW, last: false };
        let mut budget = Budget::new(WINDOW_BYTES, WINDOW_TIME);
        let _turn = inner.reading.turn(self.project).await?;
        let found = find(&inner.log, stretch, &mut budget).await?;
        for raw in found.records {
            self.at.insert(partition, raw.offset + 1);
            let place = Cursor { back: false, at: self.at.clone() }.text();
            given.messages.push((place, inner.shown(self.project, &topic, raw, SHOWN_IN_PAGE)));
        }
        self.at.insert(partition, found.until);
        Ok(given)
    }
}
