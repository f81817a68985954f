//! Reading what the sequencer says lies in segments.

use candor_model::{Offset, Partition};
use candor_store::Files;

use super::sequencer::Run;
use crate::segment::{Part, SegmentError, read_part};
use crate::shared::Shared;
use crate::{Committed, Topic};

/// What is read at once to catch up with other nodes.
pub(super) const CATCH_UP_BYTES: usize = 4 << 20;

/// Reads batches of a run, from the one that holds `from` on, with their offsets.
pub(super) async fn read_run(
    shared: &Shared,
    files: &Files,
    topic: &Topic,
    partition: Partition,
    run: &Run,
    from: u64,
) -> Result<Vec<Committed>, SegmentError> {
    let parts = shared.footer(files, &run.segment).await?;
    let ours = |part: &&Part| part.topic == *topic && part.partition == partition;
    let missing = || SegmentError::Missing { key: run.segment.to_string(), offset: from };
    // A compacted segment may hold a partition in several parts, with gaps between.
    let within = from.max(run.base) - run.base + run.relative;
    let part = parts.iter().filter(ours).find(|part| part.end > within).ok_or_else(missing)?;
    let batches = read_part(files, &run.segment, part, within, CATCH_UP_BYTES as u64).await?;
    let end = run.relative + (run.next - run.base);
    let ours = batches.into_iter().filter(|batch| batch.base.0 >= run.relative && batch.base.0 < end);
    Ok(ours
        .map(|batch| Committed { base: Offset(batch.base.0 - run.relative + run.base), ..batch })
        .collect())
}
