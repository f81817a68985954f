//! Messages of a topic in pages: the newest, from an offset, from a time, of a key.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use candor_meta::ReadScope;
use candor_model::{Partition, ProjectId};
use serde::Serialize;
use tokio::time::Instant;

use super::records::{Budget, Filter, Message, Raw, Stretch, find};
use super::{Inner, View, ViewError, read};
use crate::topics::Topic;

/// Messages of a page at most.
const PAGE_MAX: usize = 200;

/// Partitions of which one page shows messages, unless one is named.
pub(super) const PARTITIONS_MAX: usize = 64;

/// What one page opens at most, bytes; a batch more at the most.
const OPENED_MAX: usize = 48 << 20;

/// How long one page looks for messages. What was found by then is shown, with where to go on.
const LOOK_MAX: Duration = Duration::from_secs(2);

/// What of a key or value is shown in a page, bytes.
pub(super) const SHOWN_IN_PAGE: usize = 4 << 10;

/// What of a key or value is shown of one message alone, bytes.
const SHOWN_ALONE: usize = 2 << 20;

/// How many offsets a look for a key goes back at once, at the most.
const BACK_MAX: u64 = 50_000;

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Begin {
    /// With the newest, going back.
    Newest,
    /// With the oldest.
    Oldest,
    /// At an offset of the partition asked for.
    Offset(u64),
    /// At the first message of that time or later, milliseconds since 1970.
    Time(i64),
    /// Where another page ended.
    Cursor(Cursor),
}

/// Where a page ended, as a text that its reader gives back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(super) back: bool,
    /// The next offset of each partition; going back the one before which to go on.
    pub(super) at: BTreeMap<u32, u64>,
}

impl Cursor {
    /// Reads what [`Cursor::text`] wrote.
    pub fn parse(text: &str) -> Option<Cursor> {
        let back = match text.as_bytes().first()? {
            b'b' => true,
            b'f' => false,
            _ => return None,
        };
        let mut at = BTreeMap::new();
        for pair in text.get(1..)?.split(',').filter(|pair| !pair.is_empty()) {
            let (partition, offset) = pair.split_once(':')?;
            at.insert(partition.parse().ok()?, offset.parse().ok()?);
        }
        Some(Cursor { back, at })
    }

    /// As a text.
    pub fn text(&self) -> String {
        let pairs: Vec<String> =
            self.at.iter().map(|(partition, offset)| format!("{partition}:{offset}")).collect();
        format!("{}{}", if self.back { 'b' } else { 'f' }, pairs.join(","))
    }
}

/// What a page is asked for by.
#[derive(Debug, Clone)]
pub struct Ask {
    /// One partition, or all.
    pub partition: Option<u32>,
    /// Where it begins.
    pub from: Begin,
    /// Only messages of this key; with a `*` at its end of keys that begin so.
    pub key: Option<String>,
    /// Only messages that hold this text.
    pub text: Option<String>,
    /// How many messages.
    pub limit: usize,
}

/// Messages of a topic.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// The messages: from the newest back, or on from where was asked.
    pub messages: Vec<Message>,
    /// Where the next page begins; none at the end.
    pub next: Option<String>,
    /// Messages that were looked at.
    pub looked_at: u64,
    /// False where the look ended before there were as many as asked for, and goes on at `next`.
    pub complete: bool,
    /// Partitions that are left out: name one to see it.
    pub partitions_left: u32,
}

/// A partition's part of a page.
struct Lane {
    partition: u32,
    records: VecDeque<Raw>,
    /// Where the page ends in it when all of its records are shown.
    end: u64,
    /// There is nothing beyond that.
    is_done: bool,
}

/// The newest records of a partition.
pub(super) struct Newest<'a> {
    pub project: ProjectId,
    pub topic: &'a Topic,
    pub partition: u32,
    /// How many.
    pub wanted: usize,
}

/// What is looked for in one partition.
struct Look<'a> {
    project: ProjectId,
    topic: &'a Topic,
    partition: u32,
    filter: &'a Filter,
    wanted: usize,
}

impl Look<'_> {
    fn stretch(&self, (from, to): (u64, u64), wanted: usize, last: bool) -> Stretch {
        let topic = Inner::in_log(self.project, self.topic);
        Stretch { topic, partition: self.partition, from, to, filter: self.filter.clone(), wanted, last }
    }
}

impl View {
    /// A page of a topic's messages.
    pub async fn messages(&self, scope: &ReadScope, name: &str, ask: Ask) -> Result<Page, ViewError> {
        self.inner.page(read(scope), name, ask).await
    }
}

impl Inner {
    pub(super) async fn page(&self, project: ProjectId, name: &str, ask: Ask) -> Result<Page, ViewError> {
        let topic = self.stream(project, name)?;
        let all = topic.view.partitions;
        if let Some(asked) = ask.partition
            && asked >= all
        {
            return Err(ViewError::Missing(format!("{name} has {all} partitions, numbered from 0 on")));
        }
        let limit = ask.limit.clamp(1, PAGE_MAX);
        let partitions: Vec<u32> = match ask.partition {
            Some(partition) => vec![partition],
            None => (0..all).take(PARTITIONS_MAX).collect(),
        };
        let partitions_left = if ask.partition.is_some() { 0 } else { all - partitions.len() as u32 };
        let back = match &ask.from {
            Begin::Newest => true,
            Begin::Cursor(cursor) => cursor.back,
            Begin::Oldest | Begin::Offset(_) | Begin::Time(_) => false,
        };
        let filter = Filter::parse(ask.key.as_deref(), ask.text.as_deref())?;
        let _turn = self.reading.turn(project).await?;
        let mut budget = Budget::new(OPENED_MAX, LOOK_MAX);
        let mut lanes = Vec::with_capacity(partitions.len());
        for (nth, partition) in partitions.iter().enumerate() {
            let (start, end) = self.ends(project, &topic, *partition);
            let at = self.begins(project, &topic, *partition, &ask.from, (start, end)).await?;
            // Each partition may use its share, and what those before it left.
            let share = budget.bytes / (partitions.len() - nth);
            let mut own = Budget { bytes: share, deadline: budget.deadline, spent: 0, looked_at: 0 };
            let look = Look { project, topic: &topic, partition: *partition, filter: &filter, wanted: limit };
            let lane = match back {
                true => self.back(&look, (start, at), &mut own).await?,
                false => self.on(&look, (at, end), &mut own).await?,
            };
            budget.bytes = budget.bytes.saturating_sub(own.spent);
            budget.looked_at += own.looked_at;
            lanes.push(lane);
        }
        let (raw, cursor, is_end) = merge(lanes, limit, back);
        let is_full = raw.len() >= limit;
        let shown_max = if limit == 1 { SHOWN_ALONE } else { SHOWN_IN_PAGE };
        let mut messages = Vec::with_capacity(raw.len());
        for raw in raw {
            messages.push(self.shown(project, &topic, raw, shown_max));
        }
        Ok(Page {
            messages,
            next: (!is_end).then(|| cursor.text()),
            looked_at: budget.looked_at,
            complete: is_full || is_end,
            partitions_left,
        })
    }

    /// The newest records of a partition, as far as the budget goes.
    pub(super) async fn newest(
        &self,
        newest: Newest<'_>,
        budget: &mut Budget,
    ) -> Result<VecDeque<Raw>, ViewError> {
        let Newest { project, topic, partition, wanted } = newest;
        let look = Look { project, topic, partition, filter: &Filter::all(), wanted };
        let ends = self.ends(project, topic, partition);
        Ok(self.back(&look, ends, budget).await?.records)
    }

    /// Where a partition begins and ends.
    pub(super) fn ends(&self, project: ProjectId, topic: &Topic, partition: u32) -> (u64, u64) {
        let in_log = Inner::in_log(project, topic);
        let start = self.log.log_start(&in_log, Partition(partition)).0;
        let end = self.log.high_watermark(&in_log, Partition(partition)).0;
        (start.min(end), end)
    }

    async fn begins(
        &self,
        project: ProjectId,
        topic: &Topic,
        partition: u32,
        from: &Begin,
        (start, end): (u64, u64),
    ) -> Result<u64, ViewError> {
        let at = match from {
            Begin::Newest => end,
            Begin::Oldest => start,
            Begin::Offset(offset) => *offset,
            Begin::Time(ms) => {
                let in_log = Inner::in_log(project, topic);
                let found = self.log.offset_for_timestamp(&in_log, Partition(partition), *ms).await?;
                found.map_or(end, |(offset, _)| offset.0)
            }
            Begin::Cursor(cursor) => {
                cursor.at.get(&partition).copied().unwrap_or(if cursor.back { end } else { start })
            }
        };
        Ok(at.clamp(start, end))
    }

    /// The first ones from an offset on.
    async fn on(
        &self,
        look: &Look<'_>,
        (from, to): (u64, u64),
        budget: &mut Budget,
    ) -> Result<Lane, ViewError> {
        let found = find(&self.log, look.stretch((from, to), look.wanted, false), budget).await?;
        let (records, end) = (found.records, found.until);
        Ok(Lane { partition: look.partition, records, end, is_done: end >= to })
    }

    /// The last ones before an offset: one stretch after the other back from there, each longer than the one before.
    async fn back(
        &self,
        look: &Look<'_>,
        (start, before): (u64, u64),
        budget: &mut Budget,
    ) -> Result<Lane, ViewError> {
        let mut length = self.first_stretch(look, budget.bytes);
        let mut records: VecDeque<Raw> = VecDeque::new();
        let mut at = before;
        while at > start && records.len() < look.wanted && !budget.is_spent() {
            let from = at.saturating_sub(length).max(start);
            let stretch = look.stretch((from, at), look.wanted - records.len(), true);
            let mut found = find(&self.log, stretch, budget).await?;
            if found.until < at {
                // More than may be opened. The last record by itself is always shown: a page that gives nothing would
                // be asked for again for ever.
                if at == before && length > 1 {
                    if budget.is_spent() {
                        length = 1;
                        *budget = Budget { bytes: 1, deadline: Instant::now() + LOOK_MAX, ..*budget };
                    } else {
                        length = (length / 4).max(1);
                    }
                    continue;
                }
                break;
            }
            found.records.append(&mut records);
            records = found.records;
            at = from;
            length = (length * 4).min(BACK_MAX);
        }
        // Of a stretch that held more than were wanted the rest was not kept.
        if records.len() >= look.wanted {
            at = records.front().map_or(at, |record| record.offset);
        }
        Ok(Lane { partition: look.partition, records, end: at, is_done: at <= start })
    }

    /// How far back the first look goes: as far as there are as many as wanted, and what may be opened allows.
    fn first_stretch(&self, look: &Look<'_>, room: usize) -> u64 {
        let (start, end) = self.ends(look.project, look.topic, look.partition);
        let in_log = Inner::in_log(look.project, look.topic);
        let bytes = self.log.partition_bytes(&in_log, Partition(look.partition)).unwrap_or(0);
        let mean = bytes / (end - start).max(1);
        // Compressed records unfold to several times what they take.
        let fit = room as u64 / 8 / mean.max(1);
        (look.wanted as u64).min(fit).max(1)
    }
}

/// Puts the partitions' messages into one order of time that keeps each partition's own, and says where it ended.
fn merge(mut lanes: Vec<Lane>, limit: usize, back: bool) -> (Vec<Raw>, Cursor, bool) {
    let mut merged = Vec::with_capacity(limit);
    while merged.len() < limit {
        let head = |lane: &Lane| {
            let record = if back { lane.records.back() } else { lane.records.front() };
            record.map(|record| (record.timestamp, record.partition))
        };
        let heads = lanes.iter().enumerate().filter_map(|(at, lane)| Some((head(lane)?, at)));
        let next =
            if back { heads.max_by_key(|(head, _)| *head) } else { heads.min_by_key(|(head, _)| *head) };
        let Some(lane) = next.and_then(|(_, at)| lanes.get_mut(at)) else { break };
        merged.extend(if back { lane.records.pop_back() } else { lane.records.pop_front() });
    }
    let is_end = lanes.iter().all(|lane| lane.records.is_empty() && lane.is_done);
    let at = lanes.iter().map(|lane| {
        let left = if back { lane.records.back() } else { lane.records.front() };
        let next = left.map(|record| if back { record.offset + 1 } else { record.offset });
        (lane.partition, next.unwrap_or(lane.end))
    });
    let cursor = Cursor { back, at: at.collect() };
    (merged, cursor, is_end)
}
