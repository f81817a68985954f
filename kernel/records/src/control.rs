//! Control batches: the markers that end a transaction in a partition.
//!
//! ```text
//! key:    2  version: 0      2  type: 0 abort, 1 commit
//! value:  2  version: 0      4  coordinator epoch
//! ```

use bytes::Bytes;

use crate::build::{BatchBuilder, Producer};
use crate::codec::Codec;
use crate::header::CONTROL;
use crate::record::{Headers, Record};

/// How a transaction ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarkerKind {
    /// What it wrote is not to be read.
    Abort,
    /// What it wrote counts.
    Commit,
}

/// The end of a producer's transaction in a partition (`EndTransactionMarker` of Apache Kafka, version 0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// How it ends.
    pub kind: MarkerKind,
    /// The epoch of the coordinator that ended it; of two, the older one's word does not count.
    pub coordinator_epoch: i32,
}

impl Marker {
    /// The control batch that holds the marker, for the producer of that id and epoch. `timestamp` is when it is made,
    /// milliseconds since 1970.
    pub fn batch(self, producer_id: i64, producer_epoch: i16, timestamp: i64) -> Bytes {
        let producer = Producer { id: producer_id, epoch: producer_epoch, sequence: -1 };
        let mut builder = BatchBuilder::new(Codec::None).transactional(producer).with_attributes(CONTROL);
        let [a, b] = (self.kind as i16).to_be_bytes();
        let mut value = vec![0, 0];
        value.extend_from_slice(&self.coordinator_epoch.to_be_bytes());
        builder.push(timestamp, Some(&[0, 0, a, b]), Some(&value), Headers::default());
        builder.finish_small()
    }

    /// The marker in a control batch's record; none where it is one of another type, which readers skip.
    pub fn read(record: &Record<'_>) -> Option<Marker> {
        let key = record.key?.first_chunk::<4>()?;
        let value = record.value?.first_chunk::<6>()?;
        let number = |pair: &[u8]| pair.first_chunk::<2>().map(|pair| i16::from_be_bytes(*pair));
        // Later versions add fields behind these.
        let is_known = number(key)? >= 0 && number(value)? >= 0;
        let kind = match number(key.get(2..)?)? {
            0 => MarkerKind::Abort,
            1 => MarkerKind::Commit,
            _ => return None,
        };
        let coordinator_epoch = i32::from_be_bytes(*value.get(2..)?.first_chunk::<4>()?);
        is_known.then_some(Marker { kind, coordinator_epoch })
    }
}
