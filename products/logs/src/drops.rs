//! Records that cannot be taken: counted by reason, described, never kept.

use std::fmt;

/// Why one record was dropped while its neighbours were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum DropReason {
    /// It is not what its protocol defines.
    #[error("malformed")]
    Malformed,
    /// It nests deeper than [`candor_model::limits::NESTING_DEPTH_MAX`].
    #[error("nested too deep")]
    Nesting,
    /// It has more members than [`candor_model::limits::RECORD_NODES_MAX`].
    #[error("too many members")]
    Members,
    /// It is larger than [`candor_model::limits::RECORD_BYTES_MAX`].
    #[error("too large")]
    Size,
    /// The request holds more records, or unfolds to more bytes, than one request may.
    #[error("beyond the limit of one request")]
    Batch,
    /// The gate dropped it.
    #[error("refused by policy")]
    Policy,
}

/// Counts of dropped records by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Drops(Vec<(DropReason, u64)>);

impl Drops {
    /// Counts one record.
    pub fn add(&mut self, reason: DropReason) {
        self.add_many(reason, 1);
    }

    /// Counts `count` records.
    pub fn add_many(&mut self, reason: DropReason, count: u64) {
        if count == 0 {
            return;
        }
        match self.0.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, total)) => *total += count,
            None => {
                self.0.push((reason, count));
                self.0.sort_unstable();
            }
        }
    }

    /// How many records in all.
    pub fn total(&self) -> u64 {
        self.0.iter().map(|(_, count)| count).sum()
    }

    /// How many the parser could not take; what the gate drops is no fault of the sender's form.
    pub(crate) fn unreadable(&self) -> u64 {
        self.iter().filter(|(reason, _)| *reason != DropReason::Policy).map(|(_, count)| count).sum()
    }

    /// True when nothing was dropped.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The counts, by reason.
    pub fn iter(&self) -> impl Iterator<Item = (DropReason, u64)> {
        self.0.iter().copied()
    }
}

impl fmt::Display for Drops {
    /// `3 records dropped: 2 malformed, 1 nested too deep`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        write!(f, "{total} record{} dropped", if total == 1 { "" } else { "s" })?;
        for (nth, (reason, count)) in self.iter().enumerate() {
            write!(f, "{} {count} {reason}", if nth == 0 { ":" } else { "," })?;
        }
        Ok(())
    }
}

/// What a parser made of a body: the records it could read, and a count of those it could not.
#[derive(Debug, Clone, PartialEq)]
pub struct Parsed<R> {
    /// The records, in the order they came.
    pub records: Vec<R>,
    /// The others.
    pub drops: Drops,
}

impl<R> Default for Parsed<R> {
    fn default() -> Parsed<R> {
        Parsed { records: Vec::new(), drops: Drops::default() }
    }
}

impl<R> Parsed<R> {
    /// Everything that a parser gives.
    pub fn collect(outcomes: impl Iterator<Item = Result<R, DropReason>>) -> Parsed<R> {
        let mut parsed = Parsed::default();
        for outcome in outcomes {
            match outcome {
                Ok(record) => parsed.records.push(record),
                Err(reason) => parsed.drops.add(reason),
            }
        }
        parsed
    }
}

/// The members that one record may still have: bounds the work and the memory that it can cause.
#[derive(Debug)]
pub(crate) struct Budget(usize);

impl Budget {
    pub(crate) fn new() -> Budget {
        Budget(candor_model::limits::RECORD_NODES_MAX)
    }

    pub(crate) fn spend(&mut self) -> Result<(), DropReason> {
        self.0 = self.0.checked_sub(1).ok_or(DropReason::Members)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_describe_themselves() {
        let mut drops = Drops::default();
        assert!(drops.is_empty());
        drops.add(DropReason::Nesting);
        assert_eq!(drops.to_string(), "1 record dropped: 1 nested too deep");
        drops.add_many(DropReason::Malformed, 2);
        drops.add_many(DropReason::Size, 0);
        assert_eq!(drops.to_string(), "3 records dropped: 2 malformed, 1 nested too deep");
        assert_eq!(drops.total(), 3);
    }
}
