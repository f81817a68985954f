//! What is read: the partitions of a request, or of a session. Topics are looked up once, and again when there is a
//! change in what topics there are or in who may read them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use candor_log::{Held, Log, Topic};
use candor_model::Partition;
use kafka_protocol::ResponseError;
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use super::super::{partition, topic};
use super::message::{AskedPartition, FetchRequest, ToldPartition, TopicKey};
use crate::admin::acl::Operation;
use crate::directory::{TopicDirectory, TopicView};
use crate::rights::{Rights, RightsMark};
use crate::topics::name::NAME_BYTES_MAX;

/// Partitions that are read.
#[derive(Default)]
pub(super) struct Asked {
    topics: Vec<AskedTopic>,
    partitions: Vec<Part>,
    /// Numbers of partitions, in the order in which they have their turn.
    order: Vec<u32>,
    /// Of a session: where a topic, and a partition of it, is.
    index: HashMap<TopicKey, u32>,
    index_of: HashMap<(u32, i32), u32>,
    /// As of when topics were looked up.
    looked_up: Option<(u64, RightsMark)>,
}

struct AskedTopic {
    key: TopicKey,
    /// As the log calls it, or why it cannot be read.
    found: Result<Topic, ResponseError>,
}

/// A partition that is read.
struct Part {
    asked: AskedPartition,
    place: Result<Held, ResponseError>,
    /// High watermark and start as the client was told them.
    told: Option<(i64, i64)>,
}

/// A partition whose turn it is.
pub(super) struct Next<'a> {
    pub asked: AskedPartition,
    pub place: Result<(Held, &'a Topic), ResponseError>,
}

/// Before it was looked up.
const NOT_YET: ResponseError = ResponseError::UnknownTopicOrPartition;

fn part(asked: AskedPartition) -> Part {
    Part { asked, place: Err(NOT_YET), told: None }
}

/// A topic, where there is one, and of each partition its place among all and its number.
type Wanted = (Option<Arc<TopicView>>, Vec<(u32, Partition)>);

impl Asked {
    /// What a request asks for.
    pub fn of(request: &FetchRequest) -> Asked {
        let topics = request.topics.iter().map(|key| AskedTopic { key: key.clone(), found: Err(NOT_YET) });
        Asked {
            topics: topics.collect(),
            partitions: request.partitions.iter().copied().map(part).collect(),
            order: (0..request.partitions.len() as u32).collect(),
            ..Asked::default()
        }
    }

    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// What topics are named by, by their numbers.
    pub fn keys(&self) -> Vec<TopicKey> {
        self.topics.iter().map(|topic| topic.key.clone()).collect()
    }

    /// A topic by its number, where it may be read.
    pub fn topic(&self, number: u32) -> Option<&Topic> {
        self.topics.get(number as usize)?.found.as_ref().ok()
    }

    /// Partitions in their order.
    pub fn each(&self) -> impl Iterator<Item = Next<'_>> {
        self.order.iter().filter_map(|nth| {
            let part = self.partitions.get(*nth as usize)?;
            let topic = self.topics.get(part.asked.topic as usize)?;
            let place = part.place.and_then(|held| match &topic.found {
                Ok(found) => Ok((held, found)),
                Err(error) => Err(*error),
            });
            Some(Next { asked: part.asked, place })
        })
    }

    /// Looks topics up, unless nothing changed since it was done.
    pub fn look_up(&mut self, directory: &dyn TopicDirectory, log: &Log, rights: &Rights, tick: u64) {
        let now = Some((tick, rights.mark()));
        if self.looked_up == now {
            return;
        }
        self.looked_up = now;
        let mut wanted: Vec<Wanted> = Vec::new();
        for asked in &mut self.topics {
            let operation = (rights, Operation::Read);
            let found = match &asked.key {
                TopicKey::Name(name) => topic(directory, operation, name, Uuid::nil(), false),
                TopicKey::Id(id) => topic(directory, operation, "", Uuid::from_bytes(*id), true),
            };
            let project = rights.project();
            asked.found = match &found {
                Ok(view) => Ok(Topic { project, name: view.in_log.clone() }),
                Err(error) => Err(*error),
            };
            wanted.push((found.ok(), Vec::new()));
        }
        for (nth, part) in self.partitions.iter_mut().enumerate() {
            let topic = part.asked.topic as usize;
            let error = self.topics.get(topic).and_then(|topic| topic.found.as_ref().err().copied());
            part.place = Err(error.unwrap_or(NOT_YET));
            if let Some((Some(view), places)) = wanted.get_mut(topic)
                && let Ok(partition) = partition(view, part.asked.index)
            {
                places.push((nth as u32, partition));
            }
        }
        for (asked, (_, places)) in self.topics.iter().zip(wanted) {
            let Ok(found) = &asked.found else { continue };
            let held = log.hold(found, places.iter().map(|(_, partition)| *partition));
            for ((nth, _), held) in places.into_iter().zip(held) {
                if let Some(part) = self.partitions.get_mut(nth as usize) {
                    part.place = Ok(held);
                }
            }
        }
    }

    /// Makes it a session's own: it holds on to nothing of the request, each partition is in it once, and can be found.
    /// False where a name is longer than a topic's can be.
    pub fn own(&mut self) -> bool {
        for topic in &mut self.topics {
            if let TopicKey::Name(name) = &topic.key {
                if name.len() > NAME_BYTES_MAX {
                    return false;
                }
                topic.key = TopicKey::Name(StrBytes::from_string(name.to_string()));
            }
        }
        self.keep(&HashSet::new());
        true
    }

    /// Keeps all but these, in their order, each once, and numbers them anew.
    fn keep(&mut self, without: &HashSet<u32>) {
        let topics = std::mem::take(&mut self.topics);
        let partitions = std::mem::take(&mut self.partitions);
        self.index.clear();
        self.index_of.clear();
        let mut topics: Vec<Option<AskedTopic>> = topics.into_iter().map(Some).collect();
        let mut partitions: Vec<Option<Part>> = partitions.into_iter().map(Some).collect();
        // The new number of each topic.
        let mut numbers: Vec<Option<u32>> = vec![None; topics.len()];
        for nth in std::mem::take(&mut self.order) {
            let part = partitions.get_mut(nth as usize).and_then(Option::take);
            let Some(mut part) = part.filter(|_| !without.contains(&nth)) else { continue };
            let old = part.asked.topic as usize;
            let number = match numbers.get(old).copied().flatten() {
                Some(number) => number,
                None => {
                    let Some(topic) = topics.get_mut(old).and_then(Option::take) else { continue };
                    // The same topic may have been named twice.
                    let number = match self.index.get(&topic.key) {
                        Some(number) => *number,
                        None => self.add_topic(topic),
                    };
                    if let Some(place) = numbers.get_mut(old) {
                        *place = Some(number);
                    }
                    number
                }
            };
            part.asked.topic = number;
            if !self.index_of.contains_key(&(number, part.asked.index)) {
                self.add(part);
            }
        }
    }

    fn add_topic(&mut self, topic: AskedTopic) -> u32 {
        let number = self.topics.len() as u32;
        self.index.insert(topic.key.clone(), number);
        self.topics.push(topic);
        number
    }

    fn add(&mut self, part: Part) {
        let nth = self.partitions.len() as u32;
        self.index_of.insert((part.asked.topic, part.asked.index), nth);
        self.partitions.push(part);
        self.order.push(nth);
    }

    /// Takes over what a request of a session changes. False where it names what no topic can be called.
    pub fn change(&mut self, request: &FetchRequest) -> bool {
        for asked in &request.partitions {
            // A topic is taken in for a partition of it alone, so that there are never more of them than partitions.
            let Some(key) = request.topics.get(asked.topic as usize) else { continue };
            let topic = match self.index.get(key) {
                Some(number) => *number,
                None => {
                    let key = match key {
                        TopicKey::Name(name) if name.len() > NAME_BYTES_MAX => return false,
                        TopicKey::Name(name) => TopicKey::Name(StrBytes::from_string(name.to_string())),
                        TopicKey::Id(id) => TopicKey::Id(*id),
                    };
                    self.add_topic(AskedTopic { key, found: Err(NOT_YET) })
                }
            };
            let asked = AskedPartition { topic, ..*asked };
            let known = self.index_of.get(&(topic, asked.index));
            match known.and_then(|nth| self.partitions.get_mut(*nth as usize)) {
                Some(part) => part.asked = asked,
                None => {
                    self.add(part(asked));
                    self.looked_up = None;
                }
            }
        }
        let forgotten = request.forgotten.iter().filter_map(|(key, index)| {
            let topic = self.index.get(key)?;
            self.index_of.get(&(*topic, *index)).copied()
        });
        let forgotten: HashSet<u32> = forgotten.collect();
        if !forgotten.is_empty() {
            self.keep(&forgotten);
        }
        true
    }

    /// Takes in what is told of all partitions, in their order, and puts those with records behind the rest. Says of
    /// each whether the client does not know it yet.
    pub fn settle(&mut self, told: &[ToldPartition]) -> Vec<bool> {
        let mut news = Vec::with_capacity(told.len());
        let (mut first, mut last) = (Vec::with_capacity(told.len()), Vec::new());
        for (nth, told) in self.order.iter().zip(told) {
            let has_records = told.records.bytes() > 0;
            if has_records {
                last.push(*nth)
            } else {
                first.push(*nth)
            }
            let is_error = told.error != 0;
            let now = (!is_error).then_some((told.high_watermark, told.log_start));
            let Some(part) = self.partitions.get_mut(*nth as usize) else { continue };
            news.push(has_records || is_error || part.told != now);
            part.told = now;
        }
        first.append(&mut last);
        self.order = first;
        news
    }
}
