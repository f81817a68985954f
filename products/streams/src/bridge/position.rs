//! How far a partition was mirrored, as the target keeps it: a committed offset of the bridge's own group and, beside it,
//! where the records came from and which of its offsets are which here.
//!
//! It is committed in the transaction that writes the records, so that records, position and offsets of the two sides
//! never contradict one another, whoever crashes when. Nothing of it is kept anywhere else.

use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

/// Runs that are kept exactly: the newest.
const EXACT: usize = 64;

/// Runs that are kept at all. Older ones thin out.
const RUNS_MAX: usize = 128;

/// Longest form of the runs, characters: Kafka takes 4096 bytes beside an offset (`offset.metadata.max.bytes`).
const TEXT_MAX: usize = 2600;

/// Clusters that records may have come through.
const VIA_MAX: usize = 8;

/// A run of records that lie as close on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// The first one's offset at the source.
    source: i64,
    /// And at the target.
    target: i64,
    /// How many.
    count: i64,
}

impl Run {
    fn source_end(&self) -> i64 {
        self.source.saturating_add(self.count)
    }

    fn target_end(&self) -> i64 {
        self.target.saturating_add(self.count)
    }
}

/// Which offset of the source is which at the target. The newest are exact; of older ones only some are known, and what
/// lies between is told too low, never too high.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<Run>);

impl Runs {
    /// Adds what was written last. Offsets only ever grow on both sides: what goes back at the source is not noted, and
    /// where the target goes back its topic is another one, of which nothing is known but this.
    pub fn push(&mut self, source: i64, target: i64, count: i64) {
        let run = Run { source, target, count };
        match self.0.last_mut() {
            Some(last) if last.target_end() > target => self.0 = vec![run],
            Some(last) if last.source_end() > source => return,
            Some(last) if last.source_end() == source && last.target_end() == target => {
                last.count = last.count.saturating_add(count);
            }
            _ => self.0.push(run),
        }
        if self.0.len() > RUNS_MAX {
            self.thin();
        }
    }

    /// Drops every other one of those that need not be exact, but for the first.
    fn thin(&mut self) {
        let thinned = self.0.len().saturating_sub(EXACT);
        let mut index = 0;
        self.0.retain(|_| {
            index += 1;
            index > thinned || index % 2 == 1
        });
    }

    /// Where a group that has read up to `offset` at the source goes on at the target; none where nothing was mirrored.
    pub fn translate(&self, offset: i64) -> Option<i64> {
        let behind = self.0.partition_point(|run| run.source <= offset);
        match behind.checked_sub(1).and_then(|at| self.0.get(at)) {
            Some(run) if offset < run.source_end() => {
                Some(run.target.saturating_add(offset.saturating_sub(run.source)))
            }
            Some(run) => Some(run.target_end()),
            // The first is never dropped: what lies before it was not mirrored.
            None => self.0.first().map(|run| run.target),
        }
    }

    fn encode(&mut self) -> String {
        loop {
            let mut bytes = Vec::new();
            let (mut source, mut target) = (0, 0);
            for run in &self.0 {
                for number in
                    [run.source.saturating_sub(source), run.target.saturating_sub(target), run.count]
                {
                    put(&mut bytes, number.unsigned_abs());
                }
                (source, target) = (run.source_end(), run.target_end());
            }
            let text = BASE64URL_NOPAD.encode(&bytes);
            if text.len() <= TEXT_MAX || self.0.len() <= 2 {
                return text;
            }
            let half = self.0.len() / 2;
            let mut index = 0;
            self.0.retain(|_| {
                index += 1;
                index > half || index % 2 == 1
            });
        }
    }

    fn decode(text: &str) -> Option<Runs> {
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
        let mut rest = bytes.as_slice();
        let (mut runs, mut source, mut target) = (Vec::new(), 0_i64, 0_i64);
        while !rest.is_empty() && runs.len() < RUNS_MAX {
            let run = Run {
                source: source.checked_add(take(&mut rest)?)?,
                target: target.checked_add(take(&mut rest)?)?,
                count: take(&mut rest)?,
            };
            source = run.source.checked_add(run.count)?;
            target = run.target.checked_add(run.count)?;
            runs.push(run);
        }
        Some(Runs(runs))
    }
}

/// Seven bits a byte, the lowest first.
fn put(to: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        to.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

fn take(from: &mut &[u8]) -> Option<i64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return i64::try_from(number).ok();
        }
    }
    None
}

/// A topic in a cluster, and since when a bridge takes records from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The cluster's id.
    pub cluster: String,
    /// The topic's name there.
    pub topic: String,
    /// When the bridge was made, microseconds since 1970.
    pub since: i64,
}

/// Whether two ids are one topic's, as far as both are known.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    one.is_empty() || other.is_empty() || one == other
}

/// Where the records of a mirrored partition come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    /// The source.
    pub origin: Origin,
    /// The source topic's id, where its cluster gives ids: another one is another topic of the same name.
    pub topic_id: String,
    /// The target topic's id, in the same way.
    pub target_id: String,
    /// Where the source has them from itself.
    pub via: Vec<Origin>,
    /// Which offsets are which.
    pub runs: Runs,
}

#[derive(Serialize, Deserialize)]
struct Written {
    v: u8,
    from: Origin,
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    to: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    via: Vec<Origin>,
    runs: String,
}

impl Claim {
    /// The text that stands beside the committed offset.
    pub fn encode(&mut self) -> String {
        let written = Written {
            v: 1,
            from: self.origin.clone(),
            id: self.topic_id.clone(),
            to: self.target_id.clone(),
            via: self.via.iter().take(VIA_MAX).cloned().collect(),
            runs: self.runs.encode(),
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads it; none where it is no bridge's.
    pub fn decode(text: &str) -> Option<Claim> {
        let written: Written = serde_json::from_str(text).ok()?;
        (written.v == 1).then_some(())?;
        let runs = Runs::decode(&written.runs)?;
        let (topic_id, target_id) = (written.id, written.to);
        Some(Claim { origin: written.from, topic_id, target_id, via: written.via, runs })
    }

    /// Whether it is of these topics. A cluster that gives ids since it was upgraded has the same topics as before, and
    /// so has one of which not all brokers give any.
    pub fn is_of(&self, topic_id: &str, target_id: &str) -> bool {
        is_same(&self.topic_id, topic_id) && is_same(&self.target_id, target_id)
    }

    /// Notes ids that it lacks; true where there were such.
    pub fn learn(&mut self, topic_id: &str, target_id: &str) -> bool {
        let mut is_new = false;
        for (own, told) in [(&mut self.topic_id, topic_id), (&mut self.target_id, target_id)] {
            if own.is_empty() && !told.is_empty() {
                told.clone_into(own);
                is_new = true;
            }
        }
        is_new
    }

    /// All that its records have come from.
    pub fn origins(&self) -> impl Iterator<Item = &Origin> {
        std::iter::once(&self.origin).chain(&self.via)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_told_exactly_or_too_low() {
        let mut runs = Runs::default();
        assert_eq!(runs.translate(5), None);
        // Five records a transaction, whose marker takes an offset at the target; the source has a gap after each.
        let truth = |offset: i64| {
            let (run, at) = (offset / 7, offset % 7);
            run * 6 + at.min(5)
        };
        for run in 0..1000 {
            runs.push(run * 7, run * 6, 5);
        }
        assert!(runs.0.len() <= RUNS_MAX);
        let mut exact = 0;
        for offset in 0..7000 {
            let told = runs.translate(offset).unwrap();
            // A marker at the target is nobody's record: on it and behind it is the same.
            let right = truth(offset);
            assert!(told <= right, "{offset}: {told} is beyond {right}");
            exact += i64::from(told == right);
            if offset >= 7 * (1000 - EXACT as i64) {
                assert_eq!(told, right, "{offset}");
            }
        }
        assert!(exact > 500, "{exact}");
        assert_eq!(runs.translate(1 << 40), Some(999 * 6 + 5));
        // A later offset is never told lower.
        let told: Vec<_> = (0..7000).map(|offset| runs.translate(offset)).collect();
        assert!(told.is_sorted());
    }

    #[test]
    fn neighbours_are_one_run_and_what_goes_back_is_not_noted() {
        let mut runs = Runs::default();
        runs.push(10, 20, 5);
        runs.push(15, 25, 5);
        assert_eq!(runs.0.len(), 1);
        runs.push(12, 90, 5);
        assert_eq!(runs.0.len(), 1);
        assert_eq!(
            (runs.translate(3), runs.translate(19), runs.translate(20)),
            (Some(20), Some(29), Some(30))
        );
        // The target was made anew: nothing that was known of the one before is beyond its end.
        runs.push(90, 3, 5);
        assert_eq!(
            (runs.translate(19), runs.translate(92), runs.translate(200)),
            (Some(3), Some(5), Some(8))
        );
        runs.push(i64::MAX - 1, i64::MAX - 1, i64::MAX);
        assert_eq!(runs.translate(i64::MAX), Some(i64::MAX));
    }

    #[test]
    fn what_is_written_beside_an_offset_is_read_again_and_fits() {
        let origin = |n: i64| Origin { cluster: "c".repeat(22), topic: "t".repeat(60), since: n };
        let mut runs = Runs::default();
        for n in 0..500 {
            runs.push(n * (1 << 50) / 500 * 8, n * (1 << 50) / 500 * 8 + n, 1 << 20);
        }
        let mut claim = Claim {
            origin: origin(1),
            topic_id: "i".repeat(36),
            target_id: "o".repeat(36),
            via: vec![origin(2), origin(3)],
            runs,
        };
        let text = claim.encode();
        assert!(text.len() < 4096, "{}", text.len());
        assert_eq!(Claim::decode(&text).as_ref(), Some(&claim));
        // Ids that a cluster gives only since it was upgraded make no other topic.
        assert!(claim.is_of("", "") && !claim.is_of("another", "") && !claim.is_of("", "another"));
        claim.topic_id = String::new();
        assert!(claim.is_of("another", ""));
        assert!(claim.learn("another", "") && !claim.learn("third", "third"));
        assert!(claim.is_of("another", &"o".repeat(36)) && !claim.is_of("third", ""));
        for wrong in [
            "",
            "{}",
            "mirror",
            &text.replace("\"v\":1", "\"v\":2"),
            &text.replace("\"runs\":\"", "\"runs\":\"!"),
        ] {
            assert_eq!(Claim::decode(wrong), None, "{wrong}");
        }
    }
}
