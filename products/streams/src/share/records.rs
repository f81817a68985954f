//! Batches of the log, as share groups see them.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use candor_log::{Aborted, Committed};
use candor_records::{BadBatch, Bounds, Header, Marker, MarkerKind, open, place};

use crate::data::LEADER_EPOCH;
use crate::groups::{Given, Span};

/// What a control batch may unfold to: it holds one record of a few bytes.
const CONTROL_MAX: Bounds = Bounds { bytes: 4096, records: 1 };

/// The last offset that a batch takes.
fn last(batch: &Committed) -> i64 {
    batch.base.0 as i64 + i64::from(batch.count) - 1
}

/// Where batches lie and which of them are for readers. `aborted` are the transactions that are to be left out.
pub(super) fn spans(batches: &[Committed], aborted: &[Aborted]) -> Result<Vec<Span>, BadBatch> {
    let mut coming = aborted.iter().peekable();
    // Producers whose transaction was aborted, from its first batch to its marker.
    let mut left_out: BTreeSet<i64> = BTreeSet::new();
    let each = batches.iter().map(|batch| {
        let header = Header::parse(&batch.batch)?;
        while let Some(begun) = coming.next_if(|aborted| aborted.first_offset <= batch.base) {
            left_out.insert(begun.producer_id);
        }
        let is_left_out = header.is_transactional() && left_out.contains(&header.producer_id);
        if header.is_control() && is_abort(&batch.batch) {
            left_out.remove(&header.producer_id);
        }
        let is_for_readers = !header.is_control() && !is_left_out;
        Ok(Span { first: batch.base.0 as i64, last: last(batch), is_for_readers })
    });
    each.collect()
}

fn is_abort(batch: &Bytes) -> bool {
    let Ok(opened) = open(batch, CONTROL_MAX) else { return false };
    let record = opened.records().next().and_then(Result::ok);
    record.and_then(|record| Marker::read(&record)).is_some_and(|marker| marker.kind == MarkerKind::Abort)
}

/// The batches that hold something of what was given, one behind the other, each with its place written into it.
pub(super) fn joined(batches: &[Committed], given: &[Given], into: &mut BytesMut) -> Result<(), BadBatch> {
    for batch in batches {
        let (from, to) = (batch.base.0 as i64, last(batch));
        if !given.iter().any(|given| given.first <= to && given.last >= from) {
            continue;
        }
        let at = into.len();
        into.extend_from_slice(&batch.batch);
        if let Some(copy) = into.get_mut(at..) {
            place(copy, from, LEADER_EPOCH)?;
        }
    }
    Ok(())
}
