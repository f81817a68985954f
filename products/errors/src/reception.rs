//! From a request to its answer: key, body, items, one acceptance for all of it.

use std::cell::Cell;

use bytes::Bytes;
use candor_gate::admission::{Accept, BodyDigest, Claim, Permit, Presented, Refusal};
use candor_log::{AppendError, Receipt, Rejected};
use candor_meta::WriteScope;
use candor_model::limits::BODY_DECODED_BYTES_MAX;
use candor_model::{ErrorRecord, Incoming, Object, Origin, ProjectId, Records, RequestId, SpanRecord, Value};
use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use ring::digest;

use crate::attachments::{self, LateError};
use crate::event::normalize;
use crate::items::{Broken, Context, Gathered, normal_id};
use crate::origin::origin;
use crate::outcomes::Outcome;
use crate::peek;
use crate::protocol::answer::{Accepted, Refused};
use crate::protocol::auth::{self, AuthError};
use crate::protocol::envelope::{Envelope, Item};
use crate::protocol::store::{self, StoreBodyError};
use crate::routes::{Call, ErrorsState};

/// When to come again where the log cannot take it, seconds.
const RETRY_FULL: u64 = 30;
const RETRY_SOON: u64 = 5;
const RETRY_OVERLOADED: u64 = 1;

/// How often an envelope is cleared where the policy changes: SDKs drop what is refused, and it is still here.
const TRIES: u32 = 2;

/// `POST /api/{number}/envelope/`.
pub(crate) async fn envelope(
    state: &ErrorsState,
    number: Option<&str>,
    call: &Call,
    body: axum::body::Body,
) -> Result<Accepted, Refused> {
    let headers = headers_for_body(&call.headers);
    let (mut permit, presented, body) = match auth::from_request(&call.headers, &call.uri) {
        Ok(presented) => (admit(state, &presented, number).await?, presented, body),
        Err(AuthError::Missing) => {
            // A tunnel: the key is in the envelope's first line, which is read before the rest is let in.
            let (first, body) = peek::first_line(&headers, body).await.map_err(refused)?;
            let presented = peek::dsn(&first)
                .ok_or(AuthError::Missing)
                .and_then(|dsn| auth::from_dsn(&dsn))
                .map_err(unauthorized)?;
            (admit(state, &presented, number).await?, presented, body)
        }
        Err(error) => return Err(unauthorized(error)),
    };
    let body = permit.read(&headers, body, Accept::STANDARD).await.map_err(refused)?;
    let envelope = Envelope::parse(&body).map_err(|error| {
        state.outcomes.count(permit.scope().project(), "other", Outcome::Invalid, "invalid_envelope", 1);
        Refused::new(StatusCode::BAD_REQUEST, "invalid event envelope").because(error.to_string())
    })?;
    drop(body);
    receive(state, permit, call, &presented, &envelope).await
}

/// `POST /api/{number}/store/`: one event, in one of the older forms.
pub(crate) async fn store(
    state: &ErrorsState,
    number: Option<&str>,
    call: &Call,
    body: axum::body::Body,
) -> Result<Accepted, Refused> {
    let headers = headers_for_body(&call.headers);
    let presented = auth::from_request(&call.headers, &call.uri).map_err(unauthorized)?;
    let mut permit = admit(state, &presented, number).await?;
    let body = permit.read(&headers, body, Accept::STANDARD).await.map_err(refused)?;
    let envelope = enclose(&mut permit, body)?;
    receive(state, permit, call, &presented, &envelope).await
}

/// `GET /api/{number}/store/?sentry_data=…`: an image request of a client without any other way.
pub(crate) async fn store_pixel(
    state: &ErrorsState,
    number: Option<&str>,
    call: &Call,
) -> Result<Accepted, Refused> {
    let presented = auth::from_request(&call.headers, &call.uri).map_err(unauthorized)?;
    let mut permit = admit(state, &presented, number).await?;
    let data = auth::query(&call.uri).into_iter().find(|(name, _)| name == "sentry_data");
    let Some((_, data)) = data else {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "missing sentry_data"));
    };
    // A `+` of base64 that was not escaped has become a space.
    let data = Bytes::from(data.trim().replace(' ', "+"));
    let envelope = enclose(&mut permit, data)?;
    let accepted = receive(state, permit, call, &presented, &envelope).await?;
    Ok(Accepted { pixel: true, ..accepted })
}

/// An older body as the envelope that a newer client would have sent.
fn enclose(permit: &mut Permit, body: Bytes) -> Result<Envelope, Refused> {
    let received = body.len();
    let payload = store::decode(body, BODY_DECODED_BYTES_MAX).map_err(|error| {
        let status = match error {
            StoreBodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        Refused::new(status, "failed to decode the event payload").because(error.to_string())
    })?;
    permit.reserve(payload.len().saturating_sub(received)).map_err(refused)?;
    if payload.iter().all(u8::is_ascii_whitespace) {
        return Err(Refused::new(StatusCode::BAD_REQUEST, "empty request body"));
    }
    let mut headers = Object::new();
    headers.insert("type", "event");
    Ok(Envelope { headers: Object::new(), items: vec![Item { headers, payload }] })
}

async fn admit(
    state: &ErrorsState,
    presented: &auth::Presented,
    number: Option<&str>,
) -> Result<Permit, Refused> {
    let wrong_project = || refused(Refusal::WrongProject);
    let number = match number {
        Some(number) => Some(
            number.parse::<i64>().map_err(|_| Refused::new(StatusCode::BAD_REQUEST, "invalid project id"))?,
        ),
        None => None,
    };
    if let (Some(number), Some(named)) = (number, &presented.project)
        && named.parse() != Ok(number)
    {
        return Err(wrong_project());
    }
    let credential = Presented::dsn(&presented.key, number.map(ProjectId));
    state.admission.admit(&[credential]).await.map_err(refused)
}

/// Why an envelope was not taken in.
enum Untaken {
    Refused(Refused),
    /// The policy changed between gate and log.
    Outdated,
}

impl From<Refused> for Untaken {
    fn from(refused: Refused) -> Untaken {
        Untaken::Refused(refused)
    }
}

/// Reads the items, accepts what can be stored, and says what became of it.
async fn receive(
    state: &ErrorsState,
    permit: Permit,
    call: &Call,
    presented: &auth::Presented,
    envelope: &Envelope,
) -> Result<Accepted, Refused> {
    for _ in 0..TRIES {
        match attempt(state, &permit, call, presented, envelope).await {
            Ok(accepted) => return Ok(accepted),
            Err(Untaken::Refused(refused)) => return Err(refused),
            Err(Untaken::Outdated) => {}
        }
    }
    Err(unavailable(Rejected::Outdated.into()))
}

async fn attempt(
    state: &ErrorsState,
    permit: &Permit,
    call: &Call,
    presented: &auth::Presented,
    envelope: &Envelope,
) -> Result<Accepted, Untaken> {
    let scope = permit.scope().clone();
    let project = scope.project();
    let event_id = envelope.headers.get("event_id").and_then(crate::event::text).map(|id| normal_id(&id));
    let mut gathered = gather(state, project, call, event_id.clone(), envelope);
    if gathered.understood == 0 && !gathered.broken.is_empty() {
        return Err(broken(&gathered.broken).into());
    }
    let id = event_id
        .clone()
        .or_else(|| gathered.events.first().map(|event| event.id.clone()))
        .or_else(|| gathered.transactions.first().map(|transaction| transaction.id.clone()));
    let hold_back = std::mem::take(&mut gathered.hold_back);
    let ids = ContainerIds::of(project, call, envelope, &gathered);
    let claim = match ids.key {
        Some((key, body)) => Some(permit.claim(key, body).map_err(refused)?),
        None => None,
    };
    keep_attachments(state, &scope, event_id.as_deref(), &mut gathered).await?;
    let batches = batches(gathered, project, origin(call, presented, envelope), ids);
    if !batches.is_empty() {
        let (kinds, incoming): (Vec<&'static str>, Vec<Incoming>) = batches.into_iter().unzip();
        let receipt = state.ingest.accept(&scope, incoming).await.map_err(|error| match error {
            error if error.is_outdated() => Untaken::Outdated,
            error => unavailable(error).into(),
        })?;
        settle(state, project, &kinds, &receipt)?;
        if receipt.stored() > 0 {
            claim.iter().for_each(Claim::keep);
        }
    }
    Ok(Accepted { id, hold_back, pixel: false })
}

/// Reads the items.
fn gather(
    state: &ErrorsState,
    project: ProjectId,
    call: &Call,
    event_id: Option<String>,
    envelope: &Envelope,
) -> Gathered {
    let received = state.clock.now();
    // A retry that is known by its key alone must be answered with the id that the first was stored under.
    let known = idempotency_key(call).map(|key| format!("{key} {}", payloads(envelope, |_| true)));
    let made = Cell::new(0u32);
    let new_id = || {
        let mut bytes = [0; 16];
        match &known {
            Some(known) => {
                made.set(made.get() + 1);
                bytes = request_id(project, "id by key", &format!("{known} {}", made.get())).0;
            }
            None => state.random.fill(&mut bytes),
        }
        HEXLOWER.encode(&bytes)
    };
    let context = Context {
        project,
        event_id,
        drift: normalize::drift(envelope.headers.get("sent_at"), received),
        received,
        peer: call.peer,
        new_id: &new_id,
        outcomes: &state.outcomes,
    };
    let mut gathered = Gathered::default();
    for item in &envelope.items {
        gathered.add(item, &context);
    }
    gathered.drop_lone_attachments(&context);
    gathered
}

/// Stores what came with an event; it is named by the first, which is the only one that SDKs send. What came without
/// one is stored under the id that the envelope names.
async fn keep_attachments(
    state: &ErrorsState,
    scope: &WriteScope,
    event_id: Option<&str>,
    gathered: &mut Gathered,
) -> Result<(), Refused> {
    let attachments = std::mem::take(&mut gathered.attachments);
    if let (true, false, Some(event_id)) = (gathered.events.is_empty(), attachments.is_empty(), event_id) {
        let (project, sent) = (scope.project(), attachments.len() as u64);
        let kept = attachments::keep_late(&state.issues, &state.ingest, scope, event_id, attachments).await;
        let kept = kept.map_err(|error| match error {
            LateError::Append(error) => unavailable(error),
            LateError::Sql(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "attachments were not noted");
                unavailable(AppendError::Unavailable)
            }
        })?;
        let excess = sent.saturating_sub(kept);
        state.outcomes.count(project, "attachment", Outcome::Accepted, "", kept);
        state.outcomes.count(project, "attachment", Outcome::Invalid, "too_many_attachments", excess);
        return Ok(());
    }
    for (at, event) in gathered.events.iter_mut().enumerate() {
        let own = if at == 0 { attachments.clone() } else { Vec::new() };
        let kept = attachments::keep(&state.ingest, scope, &mut event.event, own).await;
        let kept = kept.map_err(unavailable)?;
        state.outcomes.count(scope.project(), "attachment", Outcome::Accepted, "", kept);
    }
    Ok(())
}

fn idempotency_key(call: &Call) -> Option<&str> {
    call.header("idempotency-key").filter(|key| !key.is_empty())
}

/// A digest of the items that are asked for, in hex.
fn payloads(envelope: &Envelope, of: fn(&Item) -> bool) -> String {
    let mut context = digest::Context::new(&digest::SHA256);
    for item in envelope.items.iter().filter(|item| of(item)) {
        context.update(&(item.payload.len() as u64).to_be_bytes());
        context.update(&item.payload);
    }
    HEXLOWER.encode(context.finish().as_ref())
}

/// The ids under which a retry of what came in containers is recognised.
#[derive(Default)]
struct ContainerIds {
    spans: Option<RequestId>,
    logs: Option<RequestId>,
    /// Of an event that has no id.
    events: Option<RequestId>,
    /// The client's `Idempotency-Key` and a digest of the payloads that came with it.
    key: Option<(RequestId, BodyDigest)>,
}

impl ContainerIds {
    /// A container has no id of its own. Spans have: the same bytes with the same span ids are the same spans, sent
    /// again. Log records have none, and two that are alike may both be meant: for those it takes the client's
    /// `Idempotency-Key`.
    fn of(project: ProjectId, call: &Call, envelope: &Envelope, gathered: &Gathered) -> ContainerIds {
        let named = |span: &SpanRecord| !span.trace_id.is_empty() && !span.span_id.is_empty();
        let key = idempotency_key(call);
        let body = key.map(|_| payloads(envelope, |_| true)).unwrap_or_default();
        let keyed = |kind| key.map(|key| request_id(project, kind, &format!("{key} {body}")));
        let of_spans = || request_id(project, "spans", &payloads(envelope, |item| item.kind() == "span"));
        let spans = || gathered.spans.iter().all(named).then(of_spans);
        ContainerIds {
            spans: keyed("spans by key").or_else(spans),
            logs: keyed("logs by key"),
            events: keyed("event by key"),
            key: key.map(|key| (request_id(project, "key", key), request_id(project, "body", &body).0)),
        }
    }
}

/// What is to be stored, by category: every event and every transaction by itself, because each carries an id of its
/// own under which a retry is recognised.
fn batches(
    gathered: Gathered,
    project: ProjectId,
    origin: Origin,
    ids: ContainerIds,
) -> Vec<(&'static str, Incoming)> {
    let mut batches = Vec::new();
    let mut add = |category: &'static str, records: Records, request: Option<RequestId>| {
        if !records.is_empty() {
            batches.push((category, Incoming { records, origin: origin.clone(), request }));
        }
    };
    for event in gathered.events {
        let request = match event.has_id {
            true => Some(request_id(project, "event", &event.id)),
            // Without an id of its own it is known by the client's `Idempotency-Key`.
            false => ids.events,
        };
        let record = ErrorRecord { event: Value::Object(event.event), columns: crate::event::columns };
        add("error", Records::Errors(vec![record]), request);
    }
    for transaction in gathered.transactions {
        let request = transaction.has_id.then(|| request_id(project, "transaction", &transaction.id));
        add("transaction", Records::Spans(transaction.spans), request);
    }
    add("span", Records::Spans(gathered.spans), ids.spans);
    add("log_item", Records::Logs(gathered.logs), ids.logs);
    batches
}

/// The id under which a retry is recognised.
fn request_id(project: ProjectId, kind: &str, id: &str) -> RequestId {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in ["sentry", &project.to_string(), kind, id] {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    let mut bytes = [0; 16];
    for (to, from) in bytes.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    RequestId(bytes)
}

/// Counts what became of each batch. An error where the gate left nothing at all for a reason that is the sender's.
fn settle(
    state: &ErrorsState,
    project: ProjectId,
    kinds: &[&'static str],
    receipt: &Receipt,
) -> Result<(), Refused> {
    let mut dropped = None;
    for ((category, appended), report) in kinds.iter().zip(&receipt.appended).zip(&receipt.reports) {
        if let Some(appended) = appended {
            let outcome = if appended.duplicate { Outcome::Duplicate } else { Outcome::Accepted };
            // A transaction is one in its category, whatever number of spans it has.
            let quantity = if *category == "transaction" { 1 } else { u64::from(appended.count) };
            state.outcomes.count(project, category, outcome, "", quantity);
        }
        for (reason, count) in &report.dropped {
            state.outcomes.count(project, category, Outcome::Filtered, reason, *count);
            if appended.is_none() {
                dropped.get_or_insert(*reason);
            }
        }
    }
    let stored = receipt.appended.iter().any(Option::is_some);
    match dropped {
        // What a policy drops is accepted, as Sentry's filters do; what is over a limit is refused.
        Some(reason) if !stored && !reason.starts_with("policy") => {
            let status =
                if reason == "size" { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            Err(Refused::new(status, "event submission rejected")
                .because(format!("over the limit of {reason}")))
        }
        _ => Ok(()),
    }
}

fn broken(items: &[Broken]) -> Refused {
    let too_large = items.iter().any(|broken| matches!(broken, Broken::TooLarge(_)));
    let (status, detail) = match too_large {
        true => (StatusCode::PAYLOAD_TOO_LARGE, "envelope exceeded size limits"),
        false => (StatusCode::BAD_REQUEST, "failed to read the event payload"),
    };
    items
        .iter()
        .take(3)
        .fold(Refused::new(status, detail), |refused, broken| refused.because(broken.to_string()))
}

fn unauthorized(error: AuthError) -> Refused {
    match error {
        AuthError::Missing => Refused::new(StatusCode::UNAUTHORIZED, "missing authorization information"),
        AuthError::Key | AuthError::Dsn => {
            Refused::new(StatusCode::BAD_REQUEST, "bad authorization information").because(error.to_string())
        }
    }
}

/// A refusal of the admission point in Sentry's words.
fn refused(refusal: Refusal) -> Refused {
    let refused = match refusal {
        Refusal::NoKey => Refused::new(StatusCode::UNAUTHORIZED, "missing authorization information"),
        Refusal::WrongKey | Refusal::WrongProject => {
            Refused::new(StatusCode::FORBIDDEN, "event submission rejected with_reason: ProjectId")
        }
        Refusal::RateLimited { .. } | Refusal::QuotaExceeded { .. } => {
            Refused::new(StatusCode::TOO_MANY_REQUESTS, "event submission rejected due to rate limits")
        }
        Refusal::BodyTooLarge { .. } | Refusal::DecodedTooLarge => {
            Refused::new(StatusCode::PAYLOAD_TOO_LARGE, "envelope exceeded size limits")
                .because(refusal.to_string())
        }
        Refusal::BadEncoding { .. } | Refusal::BodyCut => {
            Refused::new(StatusCode::BAD_REQUEST, "failed to read request body").because(refusal.to_string())
        }
        other => Refused::new(other.status(), other.to_string()),
    };
    match refusal.retry_after() {
        Some(seconds) => refused.after(u64::from(seconds)),
        None => refused,
    }
}

/// The log did not take it.
fn unavailable(error: AppendError) -> Refused {
    let seconds = match error {
        AppendError::Full => RETRY_FULL,
        AppendError::Overloaded => RETRY_OVERLOADED,
        _ => RETRY_SOON,
    };
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, "event submission failed")
        .because(error.to_string())
        .after(seconds)
}

/// The headers by which a body is read, without the charset that Android's SDK of 2019 wrote as its encoding.
fn headers_for_body(headers: &HeaderMap) -> HeaderMap {
    let mut own = HeaderMap::new();
    if let Some(length) = headers.get(header::CONTENT_LENGTH) {
        own.insert(header::CONTENT_LENGTH, length.clone());
    }
    for line in headers.get_all(header::CONTENT_ENCODING) {
        let names = line.to_str().map(|line| {
            line.split(',')
                .map(str::trim)
                .filter(|name| !name.eq_ignore_ascii_case("utf-8"))
                .collect::<Vec<_>>()
                .join(", ")
        });
        let line =
            names.ok().and_then(|names| HeaderValue::from_str(&names).ok()).unwrap_or_else(|| line.clone());
        own.append(header::CONTENT_ENCODING, line);
    }
    own
}
