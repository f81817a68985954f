//! The live tail: records as they are committed, as server-sent events.
//!
//! A reader is a position in the log, not a queue: it reads on from where it stands, so any number of slow readers
//! cost no memory, and `Last-Event-ID` resumes by standing there again. A reader that falls behind the present by
//! more than a bound is moved on and told how many records it missed.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use candor_gate::codec;
use candor_log::{Committed, ReadError, Topic};
use candor_model::{Offset, Partition, Signal};
use candor_query::TailFilter;
use candor_query::encode::JsonRows;
use futures::{Stream, stream};
use http::HeaderMap;
use serde::Deserialize;

use super::Params;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// A reader further behind than this is moved on: more than anyone reads live.
const LAG_RECORDS_MAX: u64 = 10_000;

/// Where it is moved to: this many before the present.
const LAG_RECORDS_AFTER: u64 = 1_000;

/// Read from the log at once, bytes.
const READ_BYTES: usize = 1 << 20;

/// How long one wait for new records lasts before the reader looks whether the server stops.
const WAIT: Duration = Duration::from_secs(1);

/// Signal topics have one partition.
const PARTITION: Partition = Partition(0);

/// Counts of tails, for the metrics.
#[derive(Debug, Default)]
pub struct TailCounts {
    /// Open now.
    pub readers: AtomicU64,
    /// Records that slow readers missed.
    pub dropped: AtomicU64,
}

/// The parameters of `GET /api/v1/tail`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    #[serde(default)]
    q: String,
    table: Option<String>,
    last_event_id: Option<u64>,
}

/// `GET /api/v1/tail`.
pub async fn tail(
    caller: Caller,
    State(app): State<Arc<App>>,
    Params(ask): Params<Ask>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (project, _) = caller.read(&app, &ask.project).await?;
    let signal = match ask.table.as_deref() {
        None => Signal::Logs,
        Some(name) => Signal::from_name(name)
            .ok_or_else(|| Problem::bad_request("table is one of logs, errors, spans"))?,
    };
    let filter = TailFilter::new(signal, &ask.q)?;
    let topic = Topic { project: project.id, name: signal.topic() };
    let present = app.log.high_watermark(&topic, PARTITION);
    let resumed = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
        .or(ask.last_event_id)
        .map(|last| Offset(last.saturating_add(1)).min(present));
    let reader = Reader {
        filter,
        signal,
        topic,
        next: resumed.unwrap_or(present),
        caught_up_at: present,
        // Whoever loses the connection before the first record resumes here too.
        waiting: resumed
            .unwrap_or(present)
            .0
            .checked_sub(1)
            .map(|before| Event::default().id(before.to_string()).comment("following"))
            .into_iter()
            .collect::<Vec<_>>()
            .into_iter(),
        _count: Counted::new(Arc::clone(&app)),
        app,
    };
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response = Sse::new(events(reader)).keep_alive(keep_alive).into_response();
    // Proxies that buffer would turn a live tail into bursts.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

struct Counted(Arc<App>);

impl Counted {
    fn new(app: Arc<App>) -> Counted {
        app.tail_counts.readers.fetch_add(1, Ordering::Relaxed);
        Counted(app)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tail_counts.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Reader {
    app: Arc<App>,
    filter: TailFilter,
    signal: Signal,
    topic: Topic,
    next: Offset,
    /// What came before this was asked for by resuming: it is read in full, however far behind.
    caught_up_at: Offset,
    waiting: std::vec::IntoIter<Event>,
    _count: Counted,
}

fn events(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(reader, |mut reader| async move {
        loop {
            if let Some(event) = reader.waiting.next() {
                return Some((Ok(event), reader));
            }
            if reader.app.stop.is_cancelled() {
                return None;
            }
            match reader.read_on().await {
                Ok(events) => reader.waiting = events.into_iter(),
                Err(error) => {
                    tracing::warn!(error = crate::logging::chain(&*error), "a live tail ended");
                    return None;
                }
            }
        }
    })
}

impl Reader {
    /// The next events; none after a wait in which nothing came.
    async fn read_on(&mut self) -> Result<Vec<Event>, Box<dyn std::error::Error + Send + Sync>> {
        let log = &self.app.log;
        let present = log.high_watermark(&self.topic, PARTITION);
        if present <= self.next {
            log.wait(&self.topic, PARTITION, self.next, WAIT).await;
            return Ok(Vec::new());
        }
        let behind = present.0 - self.next.0;
        if self.next >= self.caught_up_at && behind > LAG_RECORDS_MAX {
            return Ok(vec![self.skip_to(Offset(present.0 - LAG_RECORDS_AFTER))]);
        }
        match log.read(&self.topic, PARTITION, self.next, READ_BYTES).await {
            Ok(batches) => {
                let mut events = Vec::new();
                for batch in &batches {
                    self.render(batch, &mut events)?;
                }
                Ok(events)
            }
            // Trimmed meanwhile: on from what is left.
            Err(ReadError::OutOfRange { start, .. }) if start > self.next.0 => {
                Ok(vec![self.skip_to(Offset(start))])
            }
            Err(error) => Err(Box::new(error)),
        }
    }

    fn skip_to(&mut self, to: Offset) -> Event {
        let missed = to.0.saturating_sub(self.next.0);
        self.next = to;
        self.app.tail_counts.dropped.fetch_add(missed, Ordering::Relaxed);
        Event::default().event("dropped").data(format!("{{\"count\":{missed}}}"))
    }

    fn render(
        &mut self,
        batch: &Committed,
        events: &mut Vec<Event>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let decoded;
        let rows = match &batch.rows {
            Some(rows) => rows,
            None => {
                decoded = codec::decode(self.signal, &batch.batch)?;
                &decoded
            }
        };
        let matches = self.filter.matches(rows)?;
        let writer = JsonRows::new(&rows.schema());
        // A read may begin with a batch that holds offsets before the one asked for.
        let begin = self.next.0.saturating_sub(batch.base.0) as usize;
        for row in begin..rows.num_rows() {
            if matches.value(row) {
                let mut text = Vec::new();
                writer.object(rows, row, &mut text);
                let text = String::from_utf8_lossy(&text).into_owned();
                events.push(Event::default().id((batch.base.0 + row as u64).to_string()).data(text));
            }
        }
        self.next = Offset((batch.base.0 + u64::from(batch.count)).max(self.next.0));
        Ok(())
    }
}
