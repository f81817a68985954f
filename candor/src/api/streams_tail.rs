//! A topic as it grows, as server-sent events: one message an event, its id where to resume.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use candor_ledger::Action;
use candor_ledger::scan::Subjects;
use candor_meta::ReadScope;
use candor_streams::view::{Cursor, Follow};
use futures::{Stream, stream};
use http::HeaderMap;
use serde::Deserialize;
use tokio::time::Instant;

use super::Params;
use super::rights::must_read;
use super::streams::reading;
use super::tail::{CHECK_EVERY, Counted, not_any_more};
use crate::app::App;
use crate::http::Caller;
use crate::http::problem::Answer;
use crate::noting::signal_of;

/// How long one wait for new messages lasts before the reader looks whether the server stops.
const WAIT: Duration = Duration::from_secs(1);

/// The parameters of `GET /api/v1/streams/topics/{topic}/tail`.
#[derive(Deserialize)]
pub struct Ask {
    project: String,
    partition: Option<u32>,
    key: Option<String>,
    text: Option<String>,
    last_event_id: Option<String>,
}

/// `GET /api/v1/streams/topics/{topic}/tail`.
pub async fn tail(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Params(ask): Params<Ask>,
    headers: HeaderMap,
) -> Answer<Response> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    must_read(&app, &caller, &scope).await?;
    let resumed = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let resumed = resumed.or(ask.last_event_id).and_then(|place| Cursor::parse(&place));
    let follow =
        view.follow(&scope, &topic, ask.partition, (ask.key.as_deref(), ask.text.as_deref()), resumed)?;
    let count = Counted::new(&app)?;
    // Whoever loses the connection before the first message resumes here too.
    let standing = Event::default().id(follow.place()).comment("following");
    let reader = Reader {
        app,
        signal: signal_of(&topic),
        scope,
        follow,
        waiting: VecDeque::from([standing]),
        proof: Caller::proof(&headers),
        path: ask.project,
        check_at: Instant::now() + CHECK_EVERY,
        ended: false,
        _count: count,
    };
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response = Sse::new(events(reader)).keep_alive(keep_alive).into_response();
    // Proxies that buffer would turn a live tail into bursts.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    Ok(response)
}

struct Reader {
    app: Arc<App>,
    /// Whose right it is, and of what, for the ledger.
    scope: ReadScope,
    signal: String,
    follow: Follow,
    waiting: VecDeque<Event>,
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
                reader.check_at = Instant::now() + CHECK_EVERY;
                if let Some(why) =
                    not_any_more(&reader.app, &reader.proof, &reader.path, reader.scope.project()).await
                {
                    reader.end(why);
                }
            }
            if let Some(event) = reader.waiting.pop_front() {
                return Some((Ok(event), reader));
            }
            if reader.ended || reader.app.stop.is_cancelled() {
                return None;
            }
            if let Err(error) = reader.read_on().await {
                tracing::warn!(error = crate::logging::chain(&error), "a live tail of a topic ended");
                return None;
            }
        }
    })
}

impl Reader {
    fn end(&mut self, why: &str) {
        self.ended = true;
        let data = serde_json::json!({ "detail": why }).to_string();
        self.waiting = VecDeque::from([Event::default().event("ended").data(data)]);
    }

    async fn read_on(&mut self) -> Result<(), candor_streams::view::ViewError> {
        let given = self.follow.next(WAIT).await?;
        if given.ended {
            self.end("the topic was deleted");
            return Ok(());
        }
        if given.missed > 0 {
            self.app.tail_counts.dropped.fetch_add(given.missed, Ordering::Relaxed);
            let data = format!("{{\"count\":{}}}", given.missed);
            self.waiting.push_back(Event::default().event("dropped").data(data));
        }
        let (mut rows, mut subjects) = (0, Subjects::default());
        for (place, message) in given.messages {
            let data = serde_json::to_string(&message).unwrap_or_default();
            rows += 1;
            subjects.read(data.as_bytes());
            self.waiting.push_back(Event::default().id(place).data(data));
        }
        if rows > 0 {
            self.app.count_read(&self.scope, (Action::Read, "tail"), self.signal.clone(), rows, subjects);
        }
        Ok(())
    }
}
