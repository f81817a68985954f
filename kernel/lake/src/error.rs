//! Why the lake failed.

/// Why the lake failed.
#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    /// The catalog failed.
    #[error("the catalog failed")]
    Sql(#[from] candor_meta::SqlError),
    /// A file failed.
    #[error("a file failed")]
    Store(#[from] candor_store::StoreError),
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] candor_log::ReadError),
    /// A batch of the log could not be decoded.
    #[error("a batch of the log is unreadable")]
    Codec(#[from] candor_gate::codec::CodecError),
    /// Arrow failed.
    #[error("rows could not be shaped")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Parquet failed.
    #[error("a table file failed")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// No such snapshot (expired, or never was).
    #[error("no snapshot {0}: it expired or never was")]
    NoSnapshot(i64),
    /// The catalog contradicts what was written.
    #[error("the catalog is inconsistent: {0}")]
    Inconsistent(String),
    /// The lake was closed.
    #[error("the lake is closed")]
    Closed,
}
