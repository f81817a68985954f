//! Answers as text: the JSON of the HTTP API, NDJSON, CSV and an aligned table.

mod plain;
pub(crate) mod types;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;

pub(crate) use candor_gate::json::string as json_string;
pub use candor_gate::json::{JsonBatch, JsonRows};

use crate::{Answer, QueryError, Stats};

/// A form of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One document: `{"columns":[…],"rows":[[…]],"truncated":…,"stats":{…}}`.
    Json,
    /// One JSON object a line and row.
    Ndjson,
    /// A head line and a line a row, quoted as RFC 4180 says; lines end in LF.
    Csv,
    /// Aligned columns for a terminal.
    Table,
}

impl Format {
    /// The format of that name.
    pub fn from_name(name: &str) -> Option<Format> {
        Some(match name {
            "json" => Format::Json,
            "ndjson" => Format::Ndjson,
            "csv" => Format::Csv,
            "table" => Format::Table,
            _ => return None,
        })
    }

    /// The media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Json => "application/json",
            Format::Ndjson => "application/x-ndjson",
            Format::Csv => "text/csv; charset=utf-8",
            Format::Table => "text/plain; charset=utf-8",
        }
    }
}

/// An answer as a stream of text, a piece a batch. A table is aligned by its first rows, which come as one piece.
pub fn stream(answer: Answer, format: Format) -> BoxStream<'static, Result<Bytes, QueryError>> {
    let writer = Writer::new(&answer, format);
    let state = Some((answer, writer));
    futures::stream::unfold(state, |state| async move {
        let (mut answer, mut writer) = state?;
        loop {
            let mut out = Vec::new();
            match answer.next().await {
                Some(Ok(batch)) => {
                    writer.batch(&batch, &mut out);
                    if !out.is_empty() {
                        return Some((Ok(Bytes::from(out)), Some((answer, writer))));
                    }
                }
                Some(Err(e)) => return Some((Err(e), None)),
                None => {
                    writer.end(answer.truncated(), &answer.stats(), &mut out);
                    return Some((Ok(Bytes::from(out)), None));
                }
            }
        }
    })
    .boxed()
}

/// An answer as one text, within a bound that follows from the answer's own.
pub async fn collect(answer: Answer, format: Format) -> Result<Bytes, QueryError> {
    let limit = answer.text_bytes_max();
    let mut pieces = stream(answer, format);
    let mut whole = Vec::new();
    while let Some(piece) = pieces.next().await {
        whole.extend_from_slice(&piece?);
        if whole.len() > limit {
            return Err(QueryError::TooLarge(limit));
        }
    }
    Ok(Bytes::from(whole))
}

/// Stats as the JSON of the API.
pub fn stats_json(stats: &Stats) -> String {
    let Stats { elapsed_ms, cpu_ms, rows_scanned, bytes_scanned, files, files_pruned } = stats;
    format!(
        "{{\"elapsed_ms\":{elapsed_ms:.3},\"cpu_ms\":{cpu_ms:.3},\"rows_scanned\":{rows_scanned},\
         \"bytes_scanned\":{bytes_scanned},\"files\":{files},\"files_pruned\":{files_pruned}}}"
    )
}

enum Writer {
    Json { rows: JsonRows, head: Option<Vec<u8>>, any: bool },
    Ndjson { rows: JsonRows },
    Csv(plain::Csv),
    Table(plain::Table),
}

impl Writer {
    fn new(answer: &Answer, format: Format) -> Writer {
        let rows = || JsonRows::new(&answer.schema());
        match format {
            Format::Json => Writer::Json { rows: rows(), head: Some(json_head(answer)), any: false },
            Format::Ndjson => Writer::Ndjson { rows: rows() },
            Format::Csv => Writer::Csv(plain::Csv::new(answer.columns())),
            Format::Table => Writer::Table(plain::Table::new(&answer.schema())),
        }
    }

    fn batch(&mut self, batch: &datafusion::arrow::record_batch::RecordBatch, out: &mut Vec<u8>) {
        match self {
            Writer::Json { rows, head, any } => {
                out.append(&mut head.take().unwrap_or_default());
                let cells = rows.batch(batch);
                for row in 0..batch.num_rows() {
                    if std::mem::replace(any, true) {
                        out.push(b',');
                    }
                    cells.array(row, out);
                }
            }
            Writer::Ndjson { rows } => {
                let cells = rows.batch(batch);
                for row in 0..batch.num_rows() {
                    cells.object(row, out);
                    out.push(b'\n');
                }
            }
            Writer::Csv(csv) => csv.batch(batch, out),
            Writer::Table(table) => table.batch(batch, out),
        }
    }

    fn end(&mut self, truncated: bool, stats: &Stats, out: &mut Vec<u8>) {
        match self {
            Writer::Json { head, .. } => {
                out.append(&mut head.take().unwrap_or_default());
                out.extend_from_slice(format!("],\"truncated\":{truncated},\"stats\":").as_bytes());
                out.extend_from_slice(stats_json(stats).as_bytes());
                out.push(b'}');
            }
            Writer::Ndjson { .. } => {}
            Writer::Csv(csv) => csv.end(out),
            Writer::Table(table) => table.end(truncated, stats, out),
        }
    }
}

fn json_head(answer: &Answer) -> Vec<u8> {
    let mut head = b"{\"columns\":[".to_vec();
    for (at, column) in answer.columns().iter().enumerate() {
        if at > 0 {
            head.push(b',');
        }
        head.extend_from_slice(b"{\"name\":");
        json_string(&column.name, &mut head);
        head.extend_from_slice(b",\"type\":");
        json_string(&column.r#type, &mut head);
        head.push(b'}');
    }
    head.extend_from_slice(b"],\"rows\":[");
    head
}
