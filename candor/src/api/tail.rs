//! The live tail: records as they are committed, as server-sent events.
//!
//! A reader is a position in the log, not a queue: it reads on from where it stands, and `Last-Event-ID` resumes by
//! standing there again. It holds some rendered events, and the batches that it is in the middle of only as far as all
//! readers together stay below a bound: one more reads its batches again. A reader that falls behind the present by
//! more than a bound is moved on and told how many records it missed. Who follows is asked again twice a minute, for
//! a tail may stand for days.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{BooleanArray, RecordBatch};
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use candor_gate::codec;
use candor_ledger::Action;
use candor_ledger::scan::Subjects;
use candor_log::{Committed, ReadError, Topic};
use candor_meta::ReadScope;
use candor_model::{Offset, Partition, ProjectId, Signal};
use candor_query::TailFilter;
use candor_query::encode::JsonRows;
use futures::{Stream, stream};
use http::{HeaderMap, Method};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::Params;
use super::rights::rows_of;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// Tails at once. A screen has one for each open tab; each holds some rendered events.
const READERS_MAX: u64 = 500;

/// A reader further behind than this is moved on: more than anyone reads live.
const LAG_RECORDS_MAX: u64 = 10_000;

/// Where it is moved to: this many before the present.
const LAG_RECORDS_AFTER: u64 = 1_000;

/// Read from the log at once, bytes; one batch at the least.
const READ_BYTES: usize = 1 << 20;

/// Events rendered ahead of a reader, bytes; one event at the least.
const WINDOW_BYTES: usize = 64 << 10;

/// Batches that all readers together hold while they wait for their clients, KiB.
const HELD_KIB_MAX: usize = 64 << 10;

/// Windows that are rendered at once.
const RENDERING_MAX: usize = 2;

/// How long one wait for new records lasts before the reader looks whether the server stops.
const WAIT: Duration = Duration::from_secs(1);

/// How often a reader's right to read is looked at again.
pub(super) const CHECK_EVERY: Duration = Duration::from_secs(30);

/// Signal topics have one partition.
const PARTITION: Partition = Partition(0);

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Counts of tails, for the metrics, and what they share.
#[derive(Debug)]
pub struct TailCounts {
    /// Open now.
    pub readers: AtomicU64,
    /// Records that slow readers missed.
    pub dropped: AtomicU64,
    /// Leave to hold batches, in KiB.
    held: Arc<Semaphore>,
    /// Leave to render: many tails must not take the processors from ingest.
    rendering: Arc<Semaphore>,
}

impl Default for TailCounts {
    fn default() -> TailCounts {
        TailCounts {
            readers: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            held: Arc::new(Semaphore::new(HELD_KIB_MAX)),
            rendering: Arc::new(Semaphore::new(RENDERING_MAX)),
        }
    }
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
    let (project, scope) = rows_of(&app, &caller, &ask.project).await?;
    let signal = match ask.table.as_deref() {
        None => Signal::Logs,
        Some(name) => Signal::from_name(name)
            .ok_or_else(|| Problem::bad_request("table is one of logs, errors, spans"))?,
    };
    let filter = TailFilter::new(signal, &ask.q)?;
    let count = Counted::new(&app)?;
    let topic = Topic { project: project.id, name: signal.topic() };
    let present = app.log.high_watermark(&topic, PARTITION);
    let resumed = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok())
        .or(ask.last_event_id)
        .map(|last| Offset(last.saturating_add(1)).min(present));
    let next = resumed.unwrap_or(present);
    // Whoever loses the connection before the first record resumes here too.
    let standing =
        next.0.checked_sub(1).map(|before| Event::default().id(before.to_string()).comment("following"));
    let reader = Reader {
        scope,
        topic,
        // What came before this was asked for by resuming: it is read in full, however far behind.
        whole_until: present,
        waiting: standing.into_iter().collect(),
        work: Work { signal, filter, next, batches: VecDeque::new(), current: None, held: None },
        proof: Caller::proof(&headers),
        path: ask.project,
        check_at: Instant::now() + CHECK_EVERY,
        ended: false,
        _count: count,
        app,
    };
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response = Sse::new(events(reader)).keep_alive(keep_alive).into_response();
    // Proxies that buffer would turn a live tail into bursts.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

/// One of the tails that are open.
pub(super) struct Counted(Arc<App>);

impl Counted {
    /// Counts a tail, or refuses it where there are as many as there may be.
    pub(super) fn new(app: &Arc<App>) -> Answer<Counted> {
        let before = app.tail_counts.readers.fetch_add(1, Ordering::Relaxed);
        // Refused or not, dropping this takes the count back.
        let counted = Counted(Arc::clone(app));
        if before >= READERS_MAX {
            let detail = format!("{READERS_MAX} live tails are open, and more are not: close one, or search");
            return Err(Problem::unavailable(detail, 5));
        }
        Ok(counted)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.tail_counts.readers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why whoever proved themselves so may not follow the project any more; none where they may.
pub(super) async fn not_any_more(
    app: &App,
    proof: &HeaderMap,
    path: &str,
    project: ProjectId,
) -> Option<&'static str> {
    let asked = async { rows_of(app, &Caller::of(app, proof, &Method::GET).await?, path).await };
    match asked.await {
        Ok((found, _)) if found.id == project => None,
        Ok(_) => Some("the project is another one now"),
        // Who cannot be asked about keeps reading until the next time.
        Err(problem) if problem.status().is_server_error() => None,
        Err(problem) if problem.status() == http::StatusCode::UNAUTHORIZED => {
            Some("the session or token of this tail has ended")
        }
        Err(_) => Some("the project is gone, or may not be read any more"),
    }
}

struct Reader {
    app: Arc<App>,
    /// Whose right it is, for the ledger.
    scope: ReadScope,
    topic: Topic,
    /// Up to here everything is read, however far behind.
    whole_until: Offset,
    waiting: VecDeque<Event>,
    work: Work,
    /// What the caller proved itself by, and the project's path, to ask again.
    proof: HeaderMap,
    path: String,
    check_at: Instant,
    ended: bool,
    _count: Counted,
}

fn events(reader: Reader) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(reader, |mut reader| async move {
        loop {
            if reader.check_at <= Instant::now() {
                reader.check().await;
            }
            if let Some(event) = reader.waiting.pop_front() {
                return Some((Ok(event), reader));
            }
            if reader.ended || reader.app.stop.is_cancelled() {
                return None;
            }
            if let Err(error) = reader.read_on().await {
                tracing::warn!(error = crate::logging::chain(&*error), "a live tail ended");
                return None;
            }
        }
    })
}

impl Reader {
    /// Whether the caller may still read the project. Where not, the last event says so.
    async fn check(&mut self) {
        self.check_at = Instant::now() + CHECK_EVERY;
        let project = self.topic.project;
        let Some(detail) = not_any_more(&self.app, &self.proof, &self.path, project).await else { return };
        self.ended = true;
        let data = serde_json::json!({ "detail": detail }).to_string();
        self.waiting = VecDeque::from([Event::default().event("ended").data(data)]);
    }

    /// Fetches the next events; none after a wait in which nothing came.
    async fn read_on(&mut self) -> Result<(), Failure> {
        let log = &self.app.log;
        if self.work.is_done() && log.high_watermark(&self.topic, PARTITION) <= self.work.next {
            log.wait(&self.topic, PARTITION, self.work.next, WAIT).await;
            // Who stood at the present is not slow, however much came at once.
            self.whole_until = log.high_watermark(&self.topic, PARTITION).max(self.whole_until);
            return Ok(());
        }
        // All tails of a project wake at once: no more of them hold what they read than may go on with it.
        let rendering = Arc::clone(&self.app.tail_counts.rendering).acquire_owned().await?;
        if self.work.is_done() {
            self.fetch().await?;
        }
        if self.work.is_done() {
            return Ok(());
        }
        // Searching and rendering are work for a thread that takes no connections.
        let nothing = Work::nothing(&self.work);
        let mut work = std::mem::replace(&mut self.work, nothing);
        let rendered = tokio::task::spawn_blocking(move || {
            let _rendering = rendering;
            let mut subjects = Subjects::default();
            let events = work.window(&mut subjects);
            (work, events, subjects)
        });
        let (work, events, subjects) = rendered.await?;
        self.work = work;
        let events = events?;
        if !subjects.is_empty() {
            let (rows, signal) = (events.len() as u64, self.work.signal.name().to_owned());
            self.app.count_read(&self.scope, (Action::Read, "tail"), signal, rows, subjects);
        }
        self.waiting.extend(events);
        self.work.hold(&self.app.tail_counts.held);
        Ok(())
    }

    /// Reads the next batches.
    async fn fetch(&mut self) -> Result<(), Failure> {
        let log = &self.app.log;
        let next = self.work.next;
        let present = log.high_watermark(&self.topic, PARTITION);
        let behind = present.0.saturating_sub(next.0);
        if next >= self.whole_until && behind > LAG_RECORDS_MAX {
            self.skip_to(Offset(present.0 - LAG_RECORDS_AFTER));
            return Ok(());
        }
        match log.read(&self.topic, PARTITION, next, READ_BYTES).await {
            Ok(batches) => {
                // What was begun is read to its end, also where it must be read again.
                if let Some(last) = batches.last() {
                    let end = Offset(last.base.0 + u64::from(last.count));
                    self.whole_until = self.whole_until.max(end);
                }
                self.work.batches = batches.into();
                Ok(())
            }
            // Trimmed meanwhile: on from what is left.
            Err(ReadError::OutOfRange { start, .. }) if start > next.0 => {
                self.skip_to(Offset(start));
                Ok(())
            }
            Err(error) => Err(Box::new(error)),
        }
    }

    fn skip_to(&mut self, to: Offset) {
        let missed = to.0.saturating_sub(self.work.next.0);
        self.work.next = to;
        self.app.tail_counts.dropped.fetch_add(missed, Ordering::Relaxed);
        self.waiting.push_back(Event::default().event("dropped").data(format!("{{\"count\":{missed}}}")));
    }
}

/// Batches on their way to a reader.
struct Work {
    signal: Signal,
    filter: TailFilter,
    /// The first offset that was not looked at.
    next: Offset,
    /// Read and not begun.
    batches: VecDeque<Committed>,
    /// Begun.
    current: Option<Current>,
    /// Leave to hold these.
    held: Option<OwnedSemaphorePermit>,
}

struct Current {
    base: Offset,
    end: Offset,
    rows: RecordBatch,
    matches: BooleanArray,
}

impl Work {
    /// Where `work` stands, with no batches.
    fn nothing(work: &Work) -> Work {
        Work {
            signal: work.signal,
            filter: work.filter.clone(),
            next: work.next,
            batches: VecDeque::new(),
            current: None,
            held: None,
        }
    }

    fn is_done(&self) -> bool {
        self.batches.is_empty() && self.current.is_none()
    }

    /// Gives the batches up, to be read again, unless there is leave to keep them while the client takes its time.
    fn hold(&mut self, leave: &Arc<Semaphore>) {
        if self.is_done() {
            self.held = None;
        } else if self.held.is_none() {
            let bytes = self.current.as_ref().map_or(0, |current| current.rows.get_array_memory_size())
                + self.batches.iter().map(|batch| batch.batch.len()).sum::<usize>();
            let kib = u32::try_from(bytes.div_ceil(1 << 10)).unwrap_or(u32::MAX);
            self.held = Arc::clone(leave).try_acquire_many_owned(kib).ok();
            if self.held.is_none() {
                self.batches.clear();
                self.current = None;
            }
        }
    }

    /// The next events, until they fill the window or the batches end, and whom they name.
    fn window(&mut self, subjects: &mut Subjects) -> Result<Vec<Event>, Failure> {
        let mut events = Vec::new();
        let mut room = WINDOW_BYTES;
        loop {
            let current = match self.current.take() {
                Some(current) => current,
                None => match self.batches.pop_front() {
                    Some(batch) => self.begin(batch)?,
                    None => return Ok(events),
                },
            };
            let stopped_at = current.render(self.next, &mut room, &mut events, subjects);
            self.next = stopped_at.unwrap_or(current.end).max(self.next);
            if stopped_at.is_some() {
                self.current = Some(current);
                return Ok(events);
            }
        }
    }

    fn begin(&self, batch: Committed) -> Result<Current, Failure> {
        let rows = match batch.rows {
            Some(rows) => rows,
            None => codec::decode(self.signal, &batch.batch)?,
        };
        let matches = self.filter.matches(&rows)?;
        let end = Offset(batch.base.0 + u64::from(batch.count));
        Ok(Current { base: batch.base, end, rows, matches })
    }
}

impl Current {
    /// Renders what matches from an offset on while there is room; gives the first offset that found none.
    fn render(
        &self,
        from: Offset,
        room: &mut usize,
        events: &mut Vec<Event>,
        subjects: &mut Subjects,
    ) -> Option<Offset> {
        let writer = JsonRows::new(&self.rows.schema());
        let ready = writer.batch(&self.rows);
        // A read may begin with a batch that holds offsets before the one asked for.
        let begin = from.0.saturating_sub(self.base.0) as usize;
        for row in (begin..self.rows.num_rows()).filter(|row| self.matches.value(*row)) {
            let offset = self.base.0 + row as u64;
            if *room == 0 {
                return Some(Offset(offset));
            }
            let mut text = Vec::new();
            ready.object(row, &mut text);
            subjects.read(&text);
            *room = room.saturating_sub(text.len());
            let text = String::from_utf8_lossy(&text).into_owned();
            events.push(Event::default().id(offset.to_string()).data(text));
        }
        None
    }
}
