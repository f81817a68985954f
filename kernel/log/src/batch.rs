//! A batch on its way through the log, and its stored form, which journal and segments share.
//!
//! ```text
//!  8  project        4+n  topic name     4  partition
//!  8  base offset    4    records        8  ingested at, µs   4  policy epoch
//!  1  flags (1: a request id follows, 2: subjects follow)    [16 request id]    [4+n subjects of a stream's batch]
//!  4  vault entries, each: 4+n code, 4+n subject, 8 key id, 4+n wrapped key, 4+n sealed value
//!  4+n the encoded batch
//! ```

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_gate::{Admitted, StreamSubjects};
use candor_keyring::VaultEntry;
use candor_model::{Offset, Partition, PolicyEpoch, ProjectId, RequestId, Timestamp, TopicName};

use crate::wire::{Put, Take};
use crate::{Committed, Topic};

/// The stored form without what varies in length.
const FIXED_BYTES: usize = 8 + 4 + 4 + 8 + 4 + 8 + 4 + 1 + 4 + 4;

/// Flags of the stored form.
const HAS_REQUEST: u8 = 1;
const HAS_SUBJECTS: u8 = 2;

/// What is to be appended.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub topic: Topic,
    pub partition: Partition,
    pub batch: Bytes,
    pub count: u32,
    pub rows: Option<RecordBatch>,
    pub vault: Vec<VaultEntry>,
    pub subjects: StreamSubjects,
    pub epoch: PolicyEpoch,
    pub request: Option<RequestId>,
}

impl Batch {
    pub fn new(admitted: &Admitted) -> Batch {
        Batch {
            topic: Topic { project: admitted.project(), name: admitted.topic().clone() },
            partition: admitted.partition(),
            batch: admitted.batch().clone(),
            // The gate bounds the records of a request to less than a million, and the offsets of a batch to 2^31.
            count: u32::try_from(admitted.count()).unwrap_or(u32::MAX),
            rows: admitted.rows().cloned(),
            vault: admitted.vault().to_vec(),
            subjects: admitted.subjects().clone(),
            epoch: admitted.epoch(),
            request: admitted.request(),
        }
    }

    pub fn committed(self, base: Offset, ingested_at: Timestamp) -> Committed {
        Committed {
            topic: self.topic,
            partition: self.partition,
            base,
            count: self.count,
            ingested_at,
            epoch: self.epoch,
            request: self.request,
            batch: self.batch,
            rows: self.rows,
            vault: self.vault,
            subjects: self.subjects,
        }
    }
}

pub(crate) fn vault_weight(vault: &[VaultEntry]) -> usize {
    let entry = |entry: &VaultEntry| {
        entry.code.len() + entry.subject.len() + entry.wrapped_key.len() + entry.sealed.len() + 24
    };
    vault.iter().map(entry).sum()
}

/// Where and when a batch was put: what its stored form holds beside itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Placed {
    pub base: Offset,
    pub ingested_at: Timestamp,
}

/// Writes the stored form.
pub(crate) fn encode(batch: &Batch, placed: Placed, to: &mut Vec<u8>) {
    to.put_i64(batch.topic.project.0);
    to.put_bytes(batch.topic.name.0.as_bytes());
    to.put_u32(batch.partition.0);
    to.put_u64(placed.base.0);
    to.put_u32(batch.count);
    to.put_i64(placed.ingested_at.0);
    to.put_u32(batch.epoch.0);
    let has_request = if batch.request.is_some() { HAS_REQUEST } else { 0 };
    let has_subjects = if batch.subjects.is_empty() { 0 } else { HAS_SUBJECTS };
    to.put_u8(has_request | has_subjects);
    if let Some(request) = batch.request {
        to.put(&request.0);
    }
    if !batch.subjects.is_empty() {
        to.put_bytes(batch.subjects.as_bytes());
    }
    to.put_u32(batch.vault.len() as u32);
    for entry in &batch.vault {
        to.put_bytes(entry.code.as_bytes());
        to.put_bytes(entry.subject.as_bytes());
        to.put(&entry.key_id);
        to.put_bytes(&entry.wrapped_key);
        to.put_bytes(&entry.sealed);
    }
    to.put_bytes(&batch.batch);
}

/// Writes the stored form of what was read.
pub(crate) fn encode_committed(committed: &Committed, keep_vault: bool, to: &mut Vec<u8>) {
    let batch = Batch {
        topic: committed.topic.clone(),
        partition: committed.partition,
        batch: committed.batch.clone(),
        count: committed.count,
        rows: None,
        vault: if keep_vault { committed.vault.clone() } else { Vec::new() },
        subjects: committed.subjects.clone(),
        epoch: committed.epoch,
        request: committed.request,
    };
    encode(&batch, Placed { base: committed.base, ingested_at: committed.ingested_at }, to);
}

/// Reads the stored form; `None` where it is not one.
pub(crate) fn decode(from: &mut Take) -> Option<Committed> {
    let project = ProjectId(from.i64()?);
    let name = TopicName(from.text()?);
    let partition = Partition(from.u32()?);
    let base = Offset(from.u64()?);
    let count = from.u32()?;
    let ingested_at = Timestamp(from.i64()?);
    let epoch = PolicyEpoch(from.u32()?);
    let flags = from.u8()?;
    if flags & !(HAS_REQUEST | HAS_SUBJECTS) != 0 {
        return None;
    }
    let request = if flags & HAS_REQUEST == 0 { None } else { Some(RequestId(from.id()?)) };
    let subjects = match flags & HAS_SUBJECTS {
        0 => Bytes::new(),
        // A batch alone is not to hold on to all that was read with it.
        _ => Bytes::copy_from_slice(&from.sized()?),
    };
    let entries = from.u32()?;
    let mut vault = Vec::new();
    for _ in 0..entries {
        vault.push(VaultEntry {
            code: from.text()?,
            subject: from.text()?,
            key_id: from.key_id()?,
            wrapped_key: from.sized()?.to_vec(),
            sealed: from.sized()?.to_vec(),
        });
    }
    let batch = from.sized()?;
    let topic = Topic { project, name };
    Some(Committed {
        topic,
        partition,
        base,
        count,
        ingested_at,
        epoch,
        request,
        batch,
        rows: None,
        vault,
        subjects: StreamSubjects::from_bytes(subjects),
    })
}

/// The length of a batch's stored form.
pub(crate) fn encoded_length(batch: &Batch) -> usize {
    length(&batch.topic, batch.request, (&batch.vault, &batch.subjects), &batch.batch)
}

/// The length of the stored form of what was read.
pub(crate) fn stored_length(batch: &Committed) -> usize {
    length(&batch.topic, batch.request, (&batch.vault, &batch.subjects), &batch.batch)
}

fn length(
    topic: &Topic,
    request: Option<RequestId>,
    (vault, subjects): (&[VaultEntry], &StreamSubjects),
    batch: &Bytes,
) -> usize {
    let request = if request.is_some() { 16 } else { 0 };
    let subjects = if subjects.is_empty() { 0 } else { 4 + subjects.as_bytes().len() };
    FIXED_BYTES + topic.name.0.len() + request + vault_weight(vault) + subjects + batch.len()
}
