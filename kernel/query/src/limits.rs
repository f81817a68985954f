//! What a query may take. A limit on everything, each with its reason.

use std::time::Duration;

/// What one query may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Most rows in the answer; what is beyond is cut and said to be. None for all (the command line).
    pub rows: Option<usize>,
    /// Longest run, waiting for a place included.
    pub time: Duration,
    /// Most memory for sorting, grouping and joining, bytes.
    pub memory_bytes: usize,
    /// Most memory that the answer's rows take, bytes. None for no bound (a stream that the reader paces).
    pub answer_bytes: Option<usize>,
    /// Reads the published files of this snapshot, without the tail.
    pub snapshot: Option<i64>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            rows: Some(10_000),
            time: Duration::from_secs(30),
            memory_bytes: 256 << 20,
            answer_bytes: Some(64 << 20),
            snapshot: None,
        }
    }
}

impl Limits {
    /// For the command line: every row, as long as the reader takes them; memory stays bounded.
    pub fn unbounded_rows() -> Limits {
        Limits { rows: None, answer_bytes: None, time: Duration::from_secs(3600), ..Limits::default() }
    }
}
