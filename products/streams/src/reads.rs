//! Who read how many records of which topics, for the ledger: counted where they are answered, in memory, and taken from
//! here by whoever writes it down.
//!
//! Only reads about persons are counted: of signals, and of batches beside which the codes of persons stand. Nothing is
//! opened for it. A signal's records hold their codes themselves, and are not looked through again.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use candor_gate::StreamSubjects;
use candor_log::Topic;
use candor_model::ProjectId;
use parking_lot::Mutex;

use crate::caller::Caller;

/// Different reads that are counted apart until they are taken; beyond them, clients and topics of a user are one.
const READS_MAX: usize = 10_000;

/// Codes of persons that are kept until they are taken; beyond them, records alone are counted.
const CODES_MAX: usize = 100_000;

/// Who read what.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reader {
    /// The project.
    pub project: ProjectId,
    /// The user's name within it.
    pub user: Arc<str>,
    /// What the client calls itself.
    pub client: Option<Arc<str>>,
    /// The topic, `candor.logs` for a signal's; none where there were too many to tell apart.
    pub topic: Option<Arc<str>>,
}

/// What was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadCount {
    /// Records in batches that were given.
    pub records: u64,
    /// The codes of persons that stand beside them.
    pub subjects: BTreeSet<Box<str>>,
}

/// Counts of what was read. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct ReadCounts(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    by_reader: HashMap<Reader, ReadCount>,
    codes: usize,
}

impl ReadCounts {
    /// Takes what was counted since this was asked last.
    pub fn take(&self) -> Vec<(Reader, ReadCount)> {
        let counts = std::mem::take(&mut *self.0.lock());
        counts.by_reader.into_iter().collect()
    }

    /// Counts records of a topic that somebody is given, and whom they are about.
    pub(crate) fn add(&self, caller: &Caller, topic: &Topic, records: u64, subjects: &[StreamSubjects]) {
        if records == 0 {
            return;
        }
        let mut reader = Reader {
            project: caller.project,
            user: Arc::clone(&caller.user),
            client: caller.client_id.clone(),
            topic: Some(Arc::from(plain(&topic.name.0))),
        };
        let mut counts = self.0.lock();
        let Counts { by_reader, codes } = &mut *counts;
        if by_reader.len() >= READS_MAX && !by_reader.contains_key(&reader) {
            reader = Reader { client: None, topic: None, ..reader };
        }
        let count = by_reader.entry(reader).or_default();
        count.records = count.records.saturating_add(records);
        for code in subjects.iter().flat_map(StreamSubjects::codes) {
            if *codes < CODES_MAX && !count.subjects.contains(code) {
                count.subjects.insert(Box::from(code));
                *codes += 1;
            }
        }
    }
}

/// A topic's name without what the log adds to tell it from one of the same name that was deleted.
fn plain(in_log: &str) -> &str {
    in_log.split_once('#').map_or(in_log, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use candor_model::TopicName;

    use super::*;

    fn caller(client: &str) -> Caller {
        Caller {
            project: ProjectId(1),
            user: Arc::from("shop"),
            client_id: Some(Arc::from(client)),
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
        }
    }

    fn topic(name: &str) -> Topic {
        Topic { project: ProjectId(1), name: TopicName(name.to_owned()) }
    }

    #[test]
    fn reads_are_counted_by_client_and_topic_until_they_are_taken() {
        let counts = ReadCounts::default();
        let beside = StreamSubjects::of([(0, vec!["email:a", "user:b"]), (1, vec!["email:a"])]);
        counts.add(&caller("one"), &topic("orders#2"), 2, std::slice::from_ref(&beside));
        counts.add(&caller("one"), &topic("orders#2"), 3, &[beside.clone(), beside]);
        counts.add(&caller("two"), &topic("candor.logs"), 7, &[]);
        counts.add(&caller("two"), &topic("orders"), 0, &[]);
        let mut taken = counts.take();
        taken.sort_by(|(a, _), (b, _)| a.cmp(b));
        let said: Vec<_> = taken
            .iter()
            .map(|(reader, count)| {
                (reader.client.as_deref(), reader.topic.as_deref(), count.records, count.subjects.len())
            })
            .collect();
        assert_eq!(said, [(Some("one"), Some("orders"), 5, 2), (Some("two"), Some("candor.logs"), 7, 0)]);
        assert!(counts.take().is_empty());
    }

    #[test]
    fn many_readers_are_counted_and_take_no_more_room() {
        let counts = ReadCounts::default();
        for n in 0..READS_MAX + 50 {
            counts.add(&caller(&n.to_string()), &topic("candor.logs"), 1, &[]);
        }
        let taken = counts.take();
        assert_eq!(taken.len(), READS_MAX + 1);
        assert_eq!(taken.iter().map(|(_, count)| count.records).sum::<u64>(), READS_MAX as u64 + 50);
        assert!(taken.iter().any(|(reader, count)| reader.topic.is_none() && count.records == 50));
    }
}
