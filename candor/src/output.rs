//! Results on standard output, and nothing else there.

use std::io::{self, BufWriter, StdoutLock, Write};

use anyhow::{Context, Result};
use serde_json::Value;

/// Standard output, buffered.
pub fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}

/// Prints one JSON document.
pub fn json(value: &Value) -> Result<()> {
    line(&value.to_string())
}

/// Prints a line.
pub fn line(text: &str) -> Result<()> {
    let mut out = stdout();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("cannot write to standard output")
}

/// True for the error of writing to a reader that left.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
