//! CSV and aligned tables.

use candor_gate::json::Cell;
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;

use crate::{Column, Stats};

/// A cell as plain text: strings and times without quotes, null as `null_text`, the rest as JSON.
fn plain(cell: &Cell<'_>, row: usize, null_text: &str) -> String {
    let mut json = Vec::new();
    cell.write(row, &mut json);
    if json == b"null" {
        return null_text.to_owned();
    }
    let json = String::from_utf8(json).unwrap_or_default();
    match crate::functions::scan::unquote(&json) {
        Some(text) => text.into_owned(),
        None => json,
    }
}

/// CSV: a head line, then the rows; null is empty.
pub(super) struct Csv {
    head: Option<Vec<u8>>,
}

impl Csv {
    pub(super) fn new(columns: &[Column]) -> Csv {
        let mut head = Vec::new();
        for (at, column) in columns.iter().enumerate() {
            if at > 0 {
                head.push(b',');
            }
            field(&column.name, &mut head);
        }
        head.push(b'\n');
        Csv { head: Some(head) }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) {
        out.append(&mut self.head.take().unwrap_or_default());
        let cells: Vec<Cell<'_>> = batch.columns().iter().map(Cell::new).collect();
        for row in 0..batch.num_rows() {
            for (at, cell) in cells.iter().enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                field(&plain(cell, row, ""), out);
            }
            out.push(b'\n');
        }
    }

    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        out.append(&mut self.head.take().unwrap_or_default());
    }
}

fn field(text: &str, out: &mut Vec<u8>) {
    let quote = text.bytes().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'))
        || text.starts_with(' ')
        || text.ends_with(' ');
    if !quote {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

/// Rows that decide how wide a table's columns are: what a person reads. Wider ones below shift their line, so that
/// memory stays bounded however many rows there are.
const ALIGNED_ROWS: usize = 1_000;

/// Bytes of rows that are held back at most.
const ALIGNED_BYTES: usize = 4 << 20;

/// A table for a terminal.
pub(super) struct Table {
    names: Vec<String>,
    right: Vec<bool>,
    /// The first rows, until they are enough.
    held: Vec<Vec<String>>,
    held_bytes: usize,
    widths: Option<Vec<usize>>,
    rows: usize,
}

impl Table {
    pub(super) fn new(schema: &SchemaRef) -> Table {
        Table {
            names: schema.fields().iter().map(|field| visible(field.name())).collect(),
            right: schema.fields().iter().map(|field| is_number(field.data_type())).collect(),
            held: Vec::new(),
            held_bytes: 0,
            widths: None,
            rows: 0,
        }
    }

    pub(super) fn batch(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) {
        let cells: Vec<Cell<'_>> = batch.columns().iter().map(Cell::new).collect();
        self.rows += batch.num_rows();
        for row in 0..batch.num_rows() {
            let texts: Vec<String> = cells.iter().map(|cell| visible(&plain(cell, row, "∅"))).collect();
            if let Some(widths) = &self.widths {
                self.line(&texts, widths, out);
                continue;
            }
            self.held_bytes += texts.iter().map(String::len).sum::<usize>();
            self.held.push(texts);
            if self.held.len() >= ALIGNED_ROWS || self.held_bytes >= ALIGNED_BYTES {
                self.begin(out);
            }
        }
    }

    /// Fixes the widths and writes the head and what was held back.
    fn begin(&mut self, out: &mut Vec<u8>) {
        let held = std::mem::take(&mut self.held);
        let width = |at: usize| {
            let cells = held.iter().filter_map(|row| row.get(at));
            cells.chain(self.names.get(at)).map(|text| text.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        self.line(&self.names, &widths, out);
        let rules: Vec<String> = widths.iter().map(|width| "─".repeat(*width)).collect();
        self.line(&rules, &widths, out);
        held.iter().for_each(|row| self.line(row, &widths, out));
        self.widths = Some(widths);
    }

    fn line(&self, cells: &[String], widths: &[usize], out: &mut Vec<u8>) {
        let mut text = String::new();
        for (at, ((cell, width), right)) in cells.iter().zip(widths).zip(&self.right).enumerate() {
            if at > 0 {
                text.push_str("  ");
            }
            let blanks = " ".repeat(width.saturating_sub(cell.chars().count()));
            if *right {
                text.push_str(&blanks);
                text.push_str(cell);
            } else {
                text.push_str(cell);
                text.push_str(&blanks);
            }
        }
        out.extend_from_slice(text.trim_end().as_bytes());
        out.push(b'\n');
    }

    pub(super) fn end(&mut self, truncated: bool, stats: &Stats, out: &mut Vec<u8>) {
        if self.widths.is_none() {
            self.begin(out);
        }
        let rows = self.rows;
        let more = if truncated { " (more were cut)" } else { "" };
        let plural = if rows == 1 { "" } else { "s" };
        let text = format!("{rows} row{plural}{more} in {:.1} ms\n", stats.elapsed_ms);
        out.extend_from_slice(text.as_bytes());
    }
}

fn is_number(data_type: &DataType) -> bool {
    data_type.is_numeric()
}

/// Text that does nothing to a terminal: what came in logs may hold escape sequences.
fn visible(text: &str) -> String {
    if !text.chars().any(char::is_control) {
        return text.to_owned();
    }
    text.chars()
        .flat_map(|character| {
            let escaped: Vec<char> =
                if character.is_control() { character.escape_default().collect() } else { vec![character] };
            escaped
        })
        .collect()
}
