//! Why bytes are no batch, and what Apache Kafka calls that.

/// Why bytes are no batch, or none that a producer may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadBatch {
    /// They end early, or go on behind the batch.
    #[error("the batch is not as long as it says")]
    Length,
    /// Of a format before Kafka 0.11, or one that is not known.
    #[error("magic {0} is not supported, only 2")]
    Magic(i8),
    /// The checksum is another.
    #[error("the checksum is wrong")]
    Crc,
    /// A field says what cannot be.
    #[error("{0}")]
    Field(&'static str),
    /// A timestamp, or what it means, is not as it must be.
    #[error("{0}")]
    Timestamp(&'static str),
    /// The codec is not one of gzip, snappy, lz4 and zstd.
    #[error("compression codec {0} is not known")]
    Codec(u8),
    /// What is compressed cannot be decompressed.
    #[error("the records cannot be decompressed")]
    Compressed,
    /// Longer than a batch may be.
    #[error("the batch has {bytes} bytes, and at most {max} are taken")]
    Size {
        /// Its length.
        bytes: usize,
        /// What is allowed.
        max: usize,
    },
    /// More bytes than allowed once decompressed.
    #[error("the decompressed records are larger than allowed")]
    TooLarge,
    /// More records than allowed.
    #[error("the batch has {0} records, more than allowed")]
    TooMany(u32),
    /// A record cannot be read.
    #[error("record {0} is malformed")]
    Record(u32),
}

impl BadBatch {
    /// The number by which the protocol names the error, as Apache Kafka answers it at produce: `CORRUPT_MESSAGE` 2,
    /// `MESSAGE_TOO_LARGE` 10, `INVALID_TIMESTAMP` 32, `UNSUPPORTED_COMPRESSION_TYPE` 76, `INVALID_RECORD` 87.
    ///
    /// Bounds that Kafka does not have (decompressed bytes, number of records) are 10, on which the Java client splits
    /// a batch and sends the parts.
    pub fn code(&self) -> i16 {
        match self {
            BadBatch::Length | BadBatch::Crc | BadBatch::Compressed => 2,
            // Formats that there once were are refused as such; others are damage.
            BadBatch::Magic(0 | 1) => 87,
            BadBatch::Magic(_) => 2,
            BadBatch::Size { .. } | BadBatch::TooLarge | BadBatch::TooMany(_) => 10,
            BadBatch::Timestamp(_) => 32,
            BadBatch::Codec(_) => 76,
            BadBatch::Field(_) | BadBatch::Record(_) => 87,
        }
    }
}
