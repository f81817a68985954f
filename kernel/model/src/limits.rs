//! A limit on everything, each with its reason. Protocol limits stand with their protocols.

/// Deepest nesting of a value. Real events reach about 20; a parser or walker that recurses this deep needs less
/// than 100 KiB of stack, and what is deeper is an attack or a bug.
pub const NESTING_DEPTH_MAX: usize = 64;

/// Members in one record, over all levels. Bounds the work that one record can cause.
pub const RECORD_NODES_MAX: usize = 200_000;

/// Members in one request's body that is parsed as a whole. At about 80 bytes each in memory this is 320 MB at the
/// very worst; a real body of that many is over 60 MB of text.
pub const BODY_NODES_MAX: usize = 4_000_000;

/// Attributes kept of one record. OpenTelemetry's default limit is 128; what is beyond is dropped and counted.
pub const ATTRIBUTES_MAX: usize = 10_000;

/// Longest key of an attribute, bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// One record, bytes, after decompression: what Better Stack takes, and ten times what Sentry takes.
pub const RECORD_BYTES_MAX: usize = 10 << 20;

/// One request's body as it comes over the wire, bytes.
pub const BODY_BYTES_MAX: usize = 20 << 20;

/// One request's body decompressed, bytes.
pub const BODY_DECODED_BYTES_MAX: usize = 100 << 20;

/// Records in one request.
pub const BATCH_RECORDS_MAX: usize = 500_000;

/// Sources of logs in a project.
pub const SOURCES_MAX: usize = 1000;

/// Promoted attribute columns of a table.
pub const PROMOTED_COLUMNS_MAX: usize = 64;
