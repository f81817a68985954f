//! `candor query`: every row, as it comes.

use std::io::Write;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::json;

use crate::cli::{Format, QueryArgs};
use crate::client::Client;
use crate::output;

/// Runs the query.
pub async fn run(client: &Client, arguments: &QueryArgs, as_json: bool) -> Result<()> {
    let format = arguments.format.unwrap_or(if as_json { Format::Json } else { Format::Table });
    let name = match format {
        Format::Table => "table",
        Format::Json => "json",
        Format::Ndjson => "ndjson",
        Format::Csv => "csv",
    };
    let body = json!({
        "project": arguments.project,
        "sql": arguments.sql,
        "format": name,
        "max_rows": arguments.max_rows,
        "snapshot": arguments.snapshot,
    });
    let mut response = client.send(client.request(Method::POST, "/api/v1/export").json(&body)).await?;
    let mut out = output::stdout();
    let mut last = b'\n';
    // A table ends with a line about itself, which is no result.
    let mut held = Vec::new();
    while let Some(piece) = response.chunk().await.map_err(reqwest::Error::without_url).context(
        "the answer broke off before its end: a value failed (a cast, a division by zero), the query ran out of time or memory, or the server stopped",
    )? {
        last = piece.last().copied().unwrap_or(last);
        if format != Format::Table {
            out.write_all(&piece).context("cannot write to standard output")?;
            continue;
        }
        held.extend_from_slice(&piece);
        let whole = held.len().saturating_sub(usize::from(held.ends_with(b"\n")));
        let ended = held.get(..whole).and_then(|lines| lines.iter().rposition(|byte| *byte == b'\n'));
        if let Some(end) = ended {
            let line = held.split_off(end + 1);
            out.write_all(&held).context("cannot write to standard output")?;
            held = line;
        }
    }
    if last != b'\n' {
        out.write_all(b"\n").context("cannot write to standard output")?;
    }
    out.flush().context("cannot write to standard output")?;
    if !held.is_empty() {
        std::io::stderr().write_all(&held).context("cannot write to standard error")?;
    }
    Ok(())
}
