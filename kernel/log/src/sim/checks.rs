//! What a run reads back, and compares with what it knows.

use candor_model::Offset;
use futures::executor::block_on;

use super::producers::keyed;
use super::world::{Outcome, P, PROJECTS, World};
use crate::reader::Reader;
use crate::testing::topic;
use crate::{Committed, Topic};

impl World {
    fn read(&self, topic: &Topic, from: u64, max_bytes: usize) -> Result<Vec<Committed>, crate::ReadError> {
        let Some(log) = &self.log else { return Ok(Vec::new()) };
        let reader =
            Reader { shared: &log.committer.shared, files: &self.options.files, blocking_threads: false };
        block_on(reader.read(topic, P, from, max_bytes))
    }

    pub fn bounds(&self, topic: &Topic) -> (u64, u64) {
        let Some(log) = &self.log else { return (0, 0) };
        let state = log.committer.shared.state.read();
        state.find_named(topic, P).map_or((0, 0), |partition| (partition.start, partition.end))
    }

    /// Reads from anywhere in one topic.
    pub fn check_some(&mut self) -> Outcome {
        let topic = if self.below(4) == 0 { keyed() } else { topic(1 + self.below(PROJECTS) as i64) };
        let (start, end) = self.bounds(&topic);
        if start == end || self.disk.is_off() {
            return Ok(());
        }
        let from = start + self.below(end - start);
        let read = match self.read(&topic, from, 1 + self.below(10_000) as usize) {
            Ok(read) => read,
            Err(_) if self.disk.is_off() => return Ok(()),
            Err(error) => return Err(format!("cannot read {from} of {topic:?}: {error:?}")),
        };
        let Some(first) = read.first() else { return Err(format!("nothing at {from} of {topic:?}")) };
        let holds = (first.base.0..first.base.0 + u64::from(first.count)).contains(&from);
        // What was compacted away leaves gaps.
        let is_gap = topic == keyed() && first.base.0 > from;
        if !holds && !is_gap {
            return Err(format!("asked {topic:?} for {from}, got {}", first.base.0));
        }
        if read.iter().any(|batch| batch.base >= Offset(end)) {
            return Err(format!("a reader of {topic:?} passed the high watermark {end}"));
        }
        read.iter().try_for_each(|batch| self.model.saw(batch, false))
    }

    /// Reads everything.
    pub fn check_all(&mut self) -> Outcome {
        for topic in self.model.topics() {
            let (start, end) = self.bounds(&topic);
            let mut batches: Vec<Committed> = Vec::new();
            let mut next = start;
            while next < end {
                let read = match self.read(&topic, next, 1 + self.below(20_000) as usize) {
                    Ok(read) => read,
                    Err(_) if self.disk.is_off() => return Ok(()),
                    Err(error) => return Err(format!("cannot read {next} of {topic:?}: {error:?}")),
                };
                let Some(last) = read.last() else { return Err(format!("nothing at {next} of {topic:?}")) };
                next = last.base.0 + u64::from(last.count);
                batches.extend(read);
            }
            if topic == keyed() {
                let now = self.options.clock.now();
                self.model.read_keyed(&topic, start, end, &batches, &self.compaction, now)?;
            } else {
                self.model.read_whole(&topic, start, end, &batches)?;
            }
            self.check_transactions(&topic, start, end)?;
        }
        Ok(())
    }
}
