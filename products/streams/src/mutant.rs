//! Faults that the simulation plants, to show that it would notice: each leaves out one step that transactions, groups
//! or producers rest on. Outside this crate's tests nothing is ever planted and the checks compile to nothing.

/// A step left out, or done too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "planted by tests alone"))]
pub(crate) enum Mutant {
    /// A batch of a transaction is taken whatever its producer's epoch.
    SkipProduceFence,
    /// A transaction is ended whatever the epoch of who asks.
    SkipEndFence,
    /// The numbers of idempotent producers are not looked at.
    SkipSequence,
    /// A retry of what is stored is answered with another offset.
    AnswerRetryAsNew,
    /// One partition of a transaction gets no marker.
    LoseMarker,
    /// Offsets count before their transaction is committed.
    CommitAtOnce,
    /// The last word is stored before groups are told.
    CompleteBeforeOffsets,
    /// Markers are written before the outcome is stored.
    SkipPrepare,
    /// Offsets of an aborted transaction are committed.
    CommitAborted,
    /// A new producer does not end what the one before left open.
    SkipInitAbort,
    /// What is open for too long stays open.
    SkipTimeout,
    /// A classic member commits whatever its generation.
    SkipGeneration,
    /// A member commits whatever its epoch.
    SkipMemberEpoch,
    /// A partition is given to its next owner before the last one let go.
    HandOverEarly,
    /// A static member's double takes its place while it lives.
    TakeOverLiving,
    /// The one whose place a static member's double took goes on.
    KeepReplaced,
    /// Members that fell silent keep what they had.
    SkipSessionTimeout,
    /// Commits of offsets are acknowledged though they could not be stored.
    AcknowledgeUnstored,
    /// Records may be accepted by who does not have them.
    AcceptTwice,
    /// What was said of shared records is acknowledged before it is stored.
    ForgetAcceptance,
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
