//! Request ids in the sequencer's database: where a retry's first try had gone.

use std::collections::HashMap;

use candor_meta::{Param, Tx};
use candor_model::RequestId;

use super::broken::{Step, left_out};
use super::sequencer::{Proposal, ProposedPart, SequencerError};
use super::sql::{ROWS_MAX, offset};

/// Where requests of locked partitions had gone before.
pub(super) async fn find_requests(
    tx: &mut Tx,
    wanted: &[(i64, RequestId)],
) -> Result<HashMap<(i64, RequestId), (u64, u32)>, SequencerError> {
    let mut found = HashMap::new();
    if left_out(Step::RequestIds) {
        return Ok(found);
    }
    for wanted in wanted.chunks(ROWS_MAX / 5) {
        let any = vec!["(partition_id = ? AND request = ?)"; wanted.len()].join(" OR ");
        let sql = format!("SELECT partition_id, request, base, records FROM log_request WHERE {any}");
        let params: Vec<Param> = wanted
            .iter()
            .flat_map(|(id, request)| [Param::from(*id), Param::from(request.0.as_slice())])
            .collect();
        for row in tx.query(&sql, &params).await? {
            let Ok(request) = <[u8; 16]>::try_from(row.blob(1)?) else { continue };
            let records = u32::try_from(row.int(3)?).unwrap_or(0);
            found.insert((row.int(0)?, RequestId(request)), (offset(&row, 2)?, records));
        }
    }
    Ok(found)
}

/// The requests of a segment's batches, by partition.
pub(super) fn wanted_requests(proposal: &Proposal, ids: &[i64]) -> Vec<(i64, RequestId)> {
    let of_part = |(part, id): (&ProposedPart, &i64)| {
        let id = *id;
        part.batches.iter().filter_map(move |batch| Some((id, batch.request?))).collect::<Vec<_>>()
    };
    proposal.parts.iter().zip(ids).flat_map(of_part).collect()
}
