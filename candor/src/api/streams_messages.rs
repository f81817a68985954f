//! Messages of topics: pages of them, and one written by hand.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_ledger::Action;
use candor_ledger::scan::Subjects;
use candor_model::EventTime;
use candor_streams::view::{Ask, Begin, Cursor, NewMessage, Page, Produced};
use http::StatusCode;
use serde::Deserialize;

use super::issues::InProject;
use super::rights::must_read;
use super::streams::{changing, note, reading};
use super::{Body, Params};
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};
use crate::noting::signal_of;

/// Messages of a page where the caller names no number.
const PAGE: usize = 50;

/// The parameters of `GET /api/v1/streams/topics/{topic}/messages`.
#[derive(Deserialize)]
pub struct Wanted {
    project: String,
    partition: Option<u32>,
    /// `newest`, `oldest`, `offset` or `time`.
    #[serde(default)]
    from: String,
    offset: Option<u64>,
    time: Option<String>,
    key: Option<String>,
    text: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

/// `GET /api/v1/streams/topics/{topic}/messages`.
pub async fn messages(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Params(ask): Params<Wanted>,
) -> Answer<Json<Page>> {
    let (view, scope) = reading(&caller, &app, &ask.project).await?;
    must_read(&app, &caller, &scope).await?;
    let from = match (ask.cursor.as_deref().filter(|cursor| !cursor.is_empty()), ask.from.as_str()) {
        (Some(cursor), _) => Begin::Cursor(
            Cursor::parse(cursor).ok_or_else(|| Problem::bad_request("the cursor is none that was given"))?,
        ),
        (None, "" | "newest") => Begin::Newest,
        (None, "oldest") => Begin::Oldest,
        (None, "offset") => {
            if ask.partition.is_none() {
                return Err(Problem::bad_request("an offset is one of a partition: name it"));
            }
            Begin::Offset(ask.offset.ok_or_else(|| Problem::bad_request("offset is a number from 0 on"))?)
        }
        (None, "time") => Begin::Time(time_ms(ask.time.as_deref())?),
        _ => return Err(Problem::bad_request("from is one of newest, oldest, offset, time")),
    };
    let limit = ask.limit.unwrap_or(PAGE);
    let wanted = Ask { partition: ask.partition, from, key: ask.key, text: ask.text, limit };
    let page = view.messages(&scope, &topic, wanted).await?;
    if !page.messages.is_empty() {
        let mut subjects = Subjects::default();
        subjects.read(&serde_json::to_vec(&page.messages).unwrap_or_default());
        let rows = page.messages.len() as u64;
        app.count_read(&scope, (Action::Read, "screen"), signal_of(&topic), rows, subjects);
    }
    Ok(Json(page))
}

/// Milliseconds of an RFC 3339 time, or of milliseconds since 1970.
pub(super) fn time_ms(text: Option<&str>) -> Answer<i64> {
    let text = text.unwrap_or_default();
    let parsed = text.parse::<i64>().ok();
    parsed
        .or_else(|| EventTime::parse(text).map(|time| time.timestamp().0.div_euclid(1000)))
        .filter(|ms| *ms >= 0)
        .ok_or_else(|| Problem::bad_request("time is RFC 3339, or milliseconds since 1970"))
}

/// `POST /api/v1/streams/topics/{topic}/messages`.
pub async fn produce(
    caller: Caller,
    State(app): State<Arc<App>>,
    Path(topic): Path<String>,
    Params(ask): Params<InProject>,
    Body(body): Body<NewMessage>,
) -> Answer<(StatusCode, Json<Produced>)> {
    let (view, scope) = changing(&caller, &app, &ask.project).await?;
    let produced = view.produce(&scope, &topic, body).await?;
    let what = format!("topic:{topic} partition:{} offset:{}", produced.partition, produced.offset);
    note(&caller, &app, &scope, "topic.produce", &what).await?;
    Ok((StatusCode::CREATED, Json(produced)))
}
