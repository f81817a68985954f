//! What a producer may send.

use crate::bad::BadBatch;
use crate::header::{Header, TimestampType};
use crate::opened::Opened;

/// Limits of what is taken from producers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProducedLimits {
    /// Bytes of the whole batch as sent: `max.message.bytes` of the topic.
    pub batch_bytes: usize,
    /// Records.
    pub records: u32,
}

/// Checks the bytes that a producer sent for one partition: exactly one batch and nothing behind it, and all that
/// Apache Kafka asks of a batch before it opens it (`ProduceRequest.validateRecords`, `UnifiedLog.append` and
/// `LogValidator.validateBatch`). The records are for [`Opened::check_produced`].
pub fn validate_produced(sent: &[u8], limits: ProducedLimits) -> Result<Header, BadBatch> {
    let header = Header::parse(sent)?;
    if header.bytes != sent.len() {
        let behind = sent.get(header.bytes..).unwrap_or_default();
        let is_another = Header::parse(behind).is_ok();
        return Err(if is_another {
            BadBatch::Field("more than one batch for a partition")
        } else {
            BadBatch::Length
        });
    }
    if sent.len() > limits.batch_bytes {
        return Err(BadBatch::Size { bytes: sent.len(), max: limits.batch_bytes });
    }
    header.check(sent)?;
    header.compression()?;
    fields(&header)?;
    match u32::try_from(header.records) {
        Ok(count) if count > limits.records => Err(BadBatch::TooMany(count)),
        _ => Ok(header),
    }
}

fn fields(header: &Header) -> Result<(), BadBatch> {
    let faults = [
        (header.base_offset != 0, "the base offset of what is produced is not 0"),
        (header.records <= 0, "the batch holds no records"),
        (
            header.records.checked_sub(1) != Some(header.last_offset_delta),
            "the offsets are not as many as the records",
        ),
        (header.is_control(), "only the broker writes control batches"),
        (header.delete_horizon().is_some(), "only the broker sets a delete horizon"),
        (header.has_producer() && header.base_sequence < 0, "a producer id comes with a sequence number"),
        (header.has_producer() && header.producer_epoch < 0, "a producer id comes with a producer epoch"),
        (header.is_transactional() && !header.has_producer(), "a transaction needs a producer id"),
    ];
    if let Some((_, fault)) = faults.into_iter().find(|(is_fault, _)| *is_fault) {
        return Err(BadBatch::Field(fault));
    }
    if header.timestamp_type() == TimestampType::LogAppendTime {
        return Err(BadBatch::Timestamp("a producer cannot set the time at which the log took a record"));
    }
    Ok(())
}

/// What the records of a produced batch are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// The greatest timestamp, milliseconds since 1970, -1 where no record has one. A careless producer may have
    /// stated another in the header.
    pub greatest: i64,
    /// The least timestamp, milliseconds since 1970, of those that have one.
    pub least: Option<i64>,
    /// Each record has a key, as compaction needs it.
    pub all_have_keys: bool,
}

impl Opened {
    /// Checks the records of a produced batch (`LogValidator.validateRecord`): each can be read, nothing stands behind
    /// them, and each one's offset is one more than that of the one before.
    pub fn check_produced(&self) -> Result<Checked, BadBatch> {
        let mut checked = Checked { greatest: -1, least: None, all_have_keys: true };
        for (index, record) in self.records().enumerate() {
            let record = record?;
            if usize::try_from(record.offset_delta) != Ok(index) {
                return Err(BadBatch::Field("the offsets of the records do not follow on one another"));
            }
            let timestamp = record.timestamp(self.header());
            checked.greatest = checked.greatest.max(timestamp);
            if timestamp != -1 {
                checked.least = Some(checked.least.map_or(timestamp, |least| least.min(timestamp)));
            }
            checked.all_have_keys &= record.key.is_some();
        }
        Ok(checked)
    }
}
