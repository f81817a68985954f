//! The routes over real admission and real metadata, with a log that keeps what it is given or fails as it is told.

use std::future::Future;
use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use candor_gate::admission::{Admission, Limits};
use candor_log::{AppendError, Appended, Receipt};
use candor_logs::intake::Accept;
use candor_logs::sources::Sources;
use candor_logs::{LogsState, grpc, routes};
use candor_meta::{Database, Tenancy, WriteScope};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Incoming, LogRecord, Offset, Random, Records, RequestId, SpanRecord, Timestamp};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use tower::ServiceExt;

/// What the log was given, and how it shall fail.
#[derive(Default)]
pub struct Kept {
    pub batches: Mutex<Vec<Incoming>>,
    /// Batches by the call that gave them: those of one call are stored together or not at all.
    pub calls: Mutex<Vec<usize>>,
    pub failure: Mutex<Option<AppendError>>,
}

struct Door(Arc<Kept>);

impl Accept for Door {
    fn accept<'a>(
        &'a self,
        _: &'a WriteScope,
        incoming: Vec<Incoming>,
    ) -> Pin<Box<dyn Future<Output = Result<Receipt, AppendError>> + Send + 'a>> {
        Box::pin(async move {
            if let Some(failure) = self.0.failure.lock().clone() {
                return Err(failure);
            }
            self.0.calls.lock().push(incoming.len());
            let mut receipt = Receipt::default();
            for batch in incoming {
                let count = batch.records.len() as u32;
                receipt.appended.push(Some(Appended { base: Offset(0), count, duplicate: false }));
                receipt.reports.push(Default::default());
                self.0.batches.lock().push(batch);
            }
            Ok(receipt)
        })
    }
}

pub struct House {
    _folder: tempfile::TempDir,
    pub kept: Arc<Kept>,
    pub sources: Sources,
    pub token: String,
    pub http: Router,
    pub grpc: Router,
}

/// An answer, its body read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl House {
    pub async fn new() -> House {
        House::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> House {
        let folder = tempfile::tempdir().unwrap();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::new(Timestamp(1_767_225_600_000_000)));
        let random: Arc<dyn Random> = Arc::new(Seeded::new(11));
        let database = Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.unwrap();
        let tenancy = Tenancy::open(database.clone(), Arc::clone(&clock), Arc::clone(&random)).await.unwrap();
        let (_, keys) = tenancy.create_project("shop").await.unwrap();
        let sources = Sources::open(database, Arc::clone(&clock), random).await.unwrap();
        let kept = Arc::new(Kept::default());
        let admission = Admission::new(tenancy, clock, limits);
        let state = LogsState::new(admission, Door(Arc::clone(&kept)), sources.clone());
        House {
            _folder: folder,
            kept,
            sources,
            token: keys.ingest_token,
            http: routes(state.clone()),
            grpc: grpc(state).into_axum_router(),
        }
    }

    /// Sends a request, with the key unless `headers` have one.
    pub async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let bearer = format!("Bearer {}", self.token);
        let mut request = Request::post(path);
        if !headers.iter().any(|(name, _)| ["authorization", "x-api-key"].contains(name)) {
            request = request.header("authorization", bearer);
        }
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        self.send(self.http.clone(), request.body(body.into()).unwrap()).await
    }

    pub async fn send(&self, router: Router, request: Request<Body>) -> Answer {
        let (parts, body) = router.oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        let body = body.to_bytes().to_vec();
        Answer { status: parts.status, headers: parts.headers, trailers, body }
    }

    pub fn fail(&self, failure: AppendError) {
        *self.kept.failure.lock() = Some(failure);
    }

    /// The log records that were stored, and forgets them.
    pub fn logs(&self) -> Vec<LogRecord> {
        let batches = std::mem::take(&mut *self.kept.batches.lock());
        let logs = batches.into_iter().flat_map(|batch| match batch.records {
            Records::Logs(records) => records,
            other => panic!("{other:?}"),
        });
        logs.collect()
    }

    /// The spans that were stored, and forgets them.
    pub fn spans(&self) -> Vec<SpanRecord> {
        let batches = std::mem::take(&mut *self.kept.batches.lock());
        let spans = batches.into_iter().flat_map(|batch| match batch.records {
            Records::Spans(records) => records,
            other => panic!("{other:?}"),
        });
        spans.collect()
    }

    /// The bodies of the logs that were stored.
    pub fn bodies(&self) -> Vec<String> {
        self.logs().into_iter().map(|record| record.body.to_text()).collect()
    }

    /// The request ids of the batches that were stored, and forgets them.
    pub fn requests(&self) -> Vec<Option<RequestId>> {
        std::mem::take(&mut *self.kept.batches.lock()).into_iter().map(|batch| batch.request).collect()
    }
}

pub fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A body without a known length, in chunks.
pub fn chunked(body: Vec<u8>) -> Body {
    let chunks: Vec<Result<Vec<u8>, std::io::Error>> =
        body.chunks(64 << 10).map(|chunk| Ok(chunk.to_vec())).collect();
    Body::from_stream(tokio_stream::iter(chunks))
}
