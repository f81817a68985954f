//! Faults that the simulation plants, to show that it would notice: each leaves out one step that durability or
//! exactly-once rests on. Outside this crate's tests nothing is ever planted and the checks compile to nothing.

/// A step left out, or done too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "planted by tests alone"))]
pub(crate) enum Mutant {
    /// A group is shown and acknowledged when it is written; its sync comes with the next group.
    AckBeforeSync,
    /// The last group that a restart found is shown where it is, without a sync.
    SkipRecoverySync,
    /// Names that a restart found are taken for durable.
    TrustFoundNames,
    /// The last group that a restart found is synced but not written again, though its last sync may have failed.
    SkipRecommit,
    /// Files go before the checkpoint that no longer names them is durable.
    RemoveBeforeCheckpoint,
    /// The checkpoint leaves out the request ids.
    ForgetRequests,
    /// Retries within one group are not compared.
    SkipGroupRequests,
    /// The checkpoint leaves out producers.
    ForgetProducers,
    /// Batches of a producer within one group are not compared.
    SkipGroupProducers,
    /// Retention does not ask consumers.
    IgnoreConsumers,
    /// Compaction by key does not stop at the last stable offset.
    CompactPastStable,
    /// Compaction by key takes records of aborted transactions for the last of their keys.
    CountAborted,
    /// Compaction by key drops tombstones before their time.
    DropTombstonesEarly,
    /// Compaction by key drops the last batch of a producer.
    DropLastOfProducer,
    /// Compaction by key forgets producers.
    LoseProducers,
    /// What could not be written takes the place of what it was made of.
    SwapUnwritten,
    /// What was cleared under a policy that holds no more is taken.
    TakeOutdated,
    /// A file's end after a failed write is not cut off.
    KeepFailedWrite,
}

#[cfg(test)]
thread_local! {
    static PLANTED: std::cell::Cell<Option<Mutant>> = const { std::cell::Cell::new(None) };
}

/// True where the simulation planted this.
#[inline]
pub(crate) fn planted(_mutant: Mutant) -> bool {
    #[cfg(test)]
    return PLANTED.get() == Some(_mutant);
    #[cfg(not(test))]
    false
}

/// Plants a mutant for the code that this thread runs.
#[cfg(test)]
pub(crate) fn plant(mutant: Option<Mutant>) {
    PLANTED.set(mutant);
}
