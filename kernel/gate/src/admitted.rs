//! What the log accepts, and nobody but the gate can make.

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_keyring::VaultEntry;
use candor_model::{Partition, PolicyEpoch, ProjectId, RequestId, Signal, Timestamp, TopicName};

use crate::codec;
use crate::streams::StreamSubjects;

/// A cleared batch of one topic: its encoded form, of a signal the same rows parsed, and what goes to the vault with
/// it.
#[derive(Debug)]
pub struct Admitted {
    project: ProjectId,
    topic: TopicName,
    partition: Partition,
    batch: Bytes,
    count: usize,
    rows: Option<RecordBatch>,
    vault: Vec<VaultEntry>,
    subjects: StreamSubjects,
    epoch: PolicyEpoch,
    request: Option<RequestId>,
}

impl Admitted {
    /// Only the gate calls this, for a signal.
    pub(crate) fn new(
        project: ProjectId,
        signal: Signal,
        rows: RecordBatch,
        vault: Vec<VaultEntry>,
        epoch: PolicyEpoch,
        request: Option<RequestId>,
    ) -> Admitted {
        let batch = codec::encode(signal, &rows);
        let count = rows.num_rows();
        Admitted {
            project,
            topic: signal.topic(),
            partition: Partition(0),
            batch,
            count,
            rows: Some(rows),
            vault,
            subjects: StreamSubjects::default(),
            epoch,
            request,
        }
    }

    /// Only the gate calls this, for a topic of streams: `batch` is one record batch of Kafka's format 2 that takes
    /// `offsets` offsets.
    pub(crate) fn stream(
        project: ProjectId,
        topic: TopicName,
        partition: Partition,
        batch: Bytes,
        offsets: u32,
        epoch: PolicyEpoch,
    ) -> Admitted {
        // A u32 always fits where this runs.
        let count = offsets as usize;
        Admitted {
            project,
            topic,
            partition,
            batch,
            count,
            rows: None,
            vault: Vec::new(),
            subjects: StreamSubjects::default(),
            epoch,
            request: None,
        }
    }

    /// With whom the records of a stream's batch are about.
    pub(crate) fn about(self, subjects: StreamSubjects) -> Admitted {
        Admitted { subjects, ..self }
    }

    /// The project it belongs to.
    pub fn project(&self) -> ProjectId {
        self.project
    }
    /// The topic.
    pub fn topic(&self) -> &TopicName {
        &self.topic
    }
    /// The partition. A signal has one a project.
    pub fn partition(&self) -> Partition {
        self.partition
    }
    /// The encoded batch, as the log stores it: of a signal see [`crate::codec`], of a stream a record batch of Kafka's.
    pub fn batch(&self) -> &Bytes {
        &self.batch
    }
    /// The same rows, parsed; none of a stream, whose records are opened only where somebody asks for them.
    pub fn rows(&self) -> Option<&RecordBatch> {
        self.rows.as_ref()
    }
    /// How many offsets it takes: its records, and of a stream's batch the gaps between them.
    pub fn count(&self) -> usize {
        self.count
    }
    /// What goes to the vault.
    pub fn vault(&self) -> &[VaultEntry] {
        &self.vault
    }
    /// Whom the records of a stream's batch are about. Of a signal the rows tell it.
    pub fn subjects(&self) -> &StreamSubjects {
        &self.subjects
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
