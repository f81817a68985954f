//! `candor tail`: records as they arrive. A broken connection is taken up again where it broke.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result};
use reqwest::Method;
use serde_json::Value;

use crate::cli::TailArgs;
use crate::client::Client;
use crate::output;

/// Wait before taking a broken connection up again.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// Attempts in a row that reach no server before giving up.
const RETRIES_MAX: u32 = 30;

/// Longest line that is taken: one record, with room for JSON's escapes.
const LINE_BYTES_MAX: usize = 64 << 20;

/// Follows the project until the user stops it.
pub async fn run(client: &Client, arguments: &TailArgs, as_json: bool) -> Result<()> {
    let mut last_id: Option<String> = None;
    let mut failures = 0;
    let mut connected = false;
    loop {
        let query =
            [("project", arguments.project.as_str()), ("q", arguments.search.as_deref().unwrap_or_default())];
        let mut request = client.request(Method::GET, "/api/v1/tail").query(&query);
        if let Some(id) = &last_id {
            request = request.header("Last-Event-ID", id);
        }
        match client.send(request).await {
            Ok(mut response) => {
                failures = 0;
                connected = true;
                let mut parser = Parser::default();
                while let Ok(Some(piece)) = response.chunk().await {
                    let mut out = output::stdout();
                    for event in parser.push(&piece)? {
                        if event.name == "ended" {
                            out.flush().context("cannot write to standard output")?;
                            let said: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
                            let why =
                                said.get("detail").and_then(Value::as_str).unwrap_or("it may not be read");
                            anyhow::bail!("the server ended the tail: {why}");
                        }
                        print(&mut out, &event, as_json).context("cannot write to standard output")?;
                    }
                    last_id = parser.last_id.clone().or(last_id);
                    out.flush().context("cannot write to standard output")?;
                }
            }
            // The first attempt says what is wrong; later ones may just be early.
            Err(error) if !connected || failures >= RETRIES_MAX => return Err(error),
            Err(_) => failures += 1,
        }
        tokio::time::sleep(RETRY_WAIT).await;
    }
}

fn print(out: &mut impl Write, event: &Event, as_json: bool) -> std::io::Result<()> {
    if event.name == "dropped" {
        let parsed: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
        let count = parsed.get("count").and_then(Value::as_u64).unwrap_or_default();
        eprintln!("candor: {count} records passed too quickly and are not shown");
        return Ok(());
    }
    if as_json {
        return writeln!(out, "{}", event.data);
    }
    let record: Value = serde_json::from_str(&event.data).unwrap_or(Value::Null);
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    writeln!(
        out,
        "{} {:<5} {}{}{}",
        text("timestamp"),
        text("severity_text"),
        text("service_name"),
        if text("service_name").is_empty() { "" } else { ": " },
        text("body").trim_end()
    )
}

/// A server-sent event.
#[derive(Debug, Default, PartialEq)]
struct Event {
    name: String,
    data: String,
}

/// Cuts a stream of bytes into events (WHATWG HTML, section 9.2.6).
#[derive(Default)]
struct Parser {
    rest: Vec<u8>,
    event: Event,
    has_data: bool,
    /// The last id seen; the server also sends one at the start, before any record.
    last_id: Option<String>,
}

impl Parser {
    fn push(&mut self, piece: &[u8]) -> Result<Vec<Event>> {
        self.rest.extend_from_slice(piece);
        let mut events = Vec::new();
        let mut begin = 0;
        while let Some(length) = self.rest.iter().skip(begin).position(|byte| *byte == b'\n') {
            let line = self.rest.get(begin..begin + length).unwrap_or_default();
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
            begin += length + 1;
            if let Some(event) = self.line(&line) {
                events.push(event);
            }
        }
        self.rest.drain(..begin);
        anyhow::ensure!(self.rest.len() <= LINE_BYTES_MAX, "the server sends a line without end");
        Ok(events)
    }

    fn line(&mut self, line: &str) -> Option<Event> {
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return std::mem::take(&mut self.has_data).then_some(event);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.last_id = Some(value.to_owned()),
            "event" => self.event.name = value.to_owned(),
            "data" => {
                if self.has_data {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
                self.has_data = true;
            }
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_whole_however_they_are_cut() {
        let stream =
            b": keep-alive\n\nid: 7\ndata: {\"a\":1}\n\nevent: dropped\r\ndata: {\"count\":3}\r\n\r\n";
        let expected = [
            Event { name: String::new(), data: "{\"a\":1}".into() },
            Event { name: "dropped".into(), data: "{\"count\":3}".into() },
        ];
        for size in 1..stream.len() {
            let mut parser = Parser::default();
            let mut events = Vec::new();
            for piece in stream.chunks(size) {
                events.extend(parser.push(piece).expect("parses"));
            }
            assert_eq!(parser.last_id.as_deref(), Some("7"));
            assert_eq!(events, expected, "in pieces of {size}");
        }
    }
}
