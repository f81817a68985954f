//! Writing out what was opened: each file as it is in the clear, tables and batches also as NDJSON.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use candor_gate::codec;
use candor_log::{Committed, inspect};
use candor_query::encode::JsonRows;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::files::{self, File};

/// A folder that takes everything in the clear.
pub(super) struct Writer {
    folder: PathBuf,
}

impl Writer {
    /// Into a new or empty folder: nobody's files are mixed with these.
    pub(super) fn new(folder: &Path) -> Result<Writer> {
        files::create_folders(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let names = files::names(folder).with_context(|| format!("cannot list {}", folder.display()))?;
        if !names.is_empty() {
            bail!("--decrypt-to {}: the folder is not empty\nname a new one", folder.display());
        }
        Ok(Writer { folder: folder.to_owned() })
    }

    fn create(&self, name: &str) -> Result<BufWriter<File>> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent() {
            files::create_folders(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        let file = files::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(BufWriter::new(file))
    }

    /// Writes a file's content.
    pub(super) fn content(&self, name: &str, content: &[u8]) -> Result<()> {
        let mut out = self.create(name)?;
        out.write_all(content).and_then(|()| out.flush()).with_context(|| format!("cannot write {name}"))
    }

    /// Writes batches as a file holds them, but without compression.
    pub(super) fn stored(&self, name: &str, batches: &[Committed]) -> Result<()> {
        let mut out = self.create(name)?;
        for batch in batches {
            out.write_all(&inspect::decompressed(batch)?).with_context(|| format!("cannot write {name}"))?;
        }
        out.flush().with_context(|| format!("cannot write {name}"))
    }

    /// Where the rows of a file go.
    pub(super) fn rows(&self, name: &str) -> Result<BufWriter<File>> {
        self.create(&format!("{name}.ndjson"))
    }

    /// Done.
    pub(super) fn finish(self) -> Result<()> {
        files::sync_folders(&self.folder).with_context(|| format!("cannot sync {}", self.folder.display()))
    }
}

/// Reads a Parquet file; its rows, which also go to `out`.
pub(super) fn parquet(content: Bytes, mut out: Option<&mut BufWriter<File>>) -> Result<u64> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(content)?.build()?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch?;
        rows += batch.num_rows() as u64;
        write_rows(&batch, out.as_deref_mut())?;
    }
    flush(out)?;
    Ok(rows)
}

/// Decodes batches of the log; their rows, which also go to `out`, each batch after a line on where it is.
pub(super) fn batches(batches: &[Committed], mut out: Option<&mut BufWriter<File>>) -> Result<u64> {
    let mut rows = 0;
    for batch in batches {
        let Some(signal) = batch.topic.name.signal() else { continue };
        let decoded = codec::decode(signal, &batch.batch)?;
        rows += decoded.num_rows() as u64;
        if let Some(out) = out.as_deref_mut() {
            let codes: Vec<&str> = batch.vault.iter().map(|entry| entry.code.as_str()).collect();
            let head = serde_json::json!({
                "_project": batch.topic.project.0,
                "_topic": batch.topic.name.0,
                "_offset": batch.base.0,
                "_count": batch.count,
                "_vault": codes,
            });
            writeln!(out, "{head}")?;
        }
        write_rows(&decoded, out.as_deref_mut())?;
    }
    flush(out)?;
    Ok(rows)
}

fn write_rows(batch: &RecordBatch, out: Option<&mut BufWriter<File>>) -> Result<()> {
    let Some(out) = out else { return Ok(()) };
    let writer = JsonRows::new(&batch.schema());
    let mut line = Vec::new();
    for row in 0..batch.num_rows() {
        line.clear();
        writer.object(batch, row, &mut line);
        line.push(b'\n');
        out.write_all(&line)?;
    }
    Ok(())
}

fn flush(out: Option<&mut BufWriter<File>>) -> Result<()> {
    Ok(out.map_or(Ok(()), Write::flush)?)
}
