//! Steps that the tests of the cluster's log leave out, to show that they would notice. Outside them nothing is ever
//! left out and the checks compile to nothing.

/// A step left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), allow(dead_code, reason = "left out by tests alone"))]
pub(super) enum Step {
    /// The put of a segment before its commit.
    Put,
    /// The look at what a commit came to before it is acknowledged.
    CommitCheck,
    /// Telling a repeated commit by its segment.
    SegmentId,
    /// Comparing retries with the ids remembered.
    RequestIds,
    /// Comparing batches with what is known of their producers.
    Producers,
    /// Showing what other nodes committed before one's own that follows it.
    CatchUp,
}

#[cfg(test)]
thread_local! {
    static LEFT_OUT: std::cell::Cell<Option<Step>> = const { std::cell::Cell::new(None) };
}

/// True where a test left this out.
#[inline]
pub(super) fn left_out(_step: Step) -> bool {
    #[cfg(test)]
    return LEFT_OUT.get() == Some(_step);
    #[cfg(not(test))]
    false
}

/// Leaves a step out of what this thread runs.
#[cfg(test)]
pub(super) fn leave_out(step: Option<Step>) {
    LEFT_OUT.set(step);
}
