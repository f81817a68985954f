//! What the log accepts, and nobody but the gate can make.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_keyring::VaultEntry;
use candor_model::{PolicyEpoch, ProjectId, RequestId, Signal, Timestamp, TopicName};

use crate::codec;

/// A cleared batch of one topic: its encoded form, the same rows parsed, and what goes to the vault with it.
#[derive(Debug)]
pub struct Admitted {
    project: ProjectId,
    topic: TopicName,
    batch: Bytes,
    rows: RecordBatch,
    vault: Vec<VaultEntry>,
    epoch: PolicyEpoch,
    request: Option<RequestId>,
}

impl Admitted {
    /// Only the gate calls this.
    pub(crate) fn new(
        project: ProjectId,
        signal: Signal,
        rows: RecordBatch,
        vault: Vec<VaultEntry>,
        epoch: PolicyEpoch,
        request: Option<RequestId>,
    ) -> Admitted {
        let batch = codec::encode(signal, &rows);
        Admitted { project, topic: signal.topic(), batch, rows, vault, epoch, request }
    }

    /// The project it belongs to.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// The topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }
    /// The encoded batch, as the log stores it (see [`crate::codec`]).
    pub fn batch(&self) -> &Bytes {
        &self.batch
    }
    /// The same rows, parsed.
    pub fn rows(&self) -> &RecordBatch {
        &self.rows
    }
    /// How many records.
    pub fn count(&self) -> usize {
        self.rows.num_rows()
    }
    /// What goes to the vault.
    pub fn vault(&self) -> &[VaultEntry] {
        &self.vault
    }
    /// The policy it was cleared under.
    pub fn epoch(&self) -> PolicyEpoch {
        self.epoch
    }
    /// The id under which a retry is recognised.
    pub fn request(&self) -> Option<RequestId> {
        self.request
    }
}

/// A cleared attachment: its own object, named by a record.
#[derive(Debug)]
pub struct AdmittedBlob {
    project: ProjectId,
    id: [u8; 16],
    bytes: Bytes,
    epoch: PolicyEpoch,
}

impl AdmittedBlob {
    /// Only the gate calls this.
    pub(crate) fn new(project: ProjectId, id: [u8; 16], bytes: Bytes, epoch: PolicyEpoch) -> AdmittedBlob {
        AdmittedBlob { project, id, bytes, epoch }
    }

    /// The project it belongs to.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// The name under which a record refers to it: 32 hex digits, of which the first 12 are the milliseconds since
    /// 1970 and the rest is random, as in a UUID of version 7 (RFC 9562).
    pub fn name(&self) -> String {
        data_encoding::HEXLOWER.encode(&self.id)
    }
    /// When a blob of that name was cleared; none where it is no blob's name.
    pub fn time_of(name: &str) -> Option<Timestamp> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let milliseconds = name.get(..12).filter(|_| name.len() == 32 && name.bytes().all(is_hex))?;
        Some(Timestamp(i64::from_str_radix(milliseconds, 16).ok()? * 1000))
    }
    /// The content.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }
    /// The policy it was cleared under.
    pub fn epoch(&self) -> PolicyEpoch {
        self.epoch
    }
}
