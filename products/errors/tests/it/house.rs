//! A whole house in memory: metadata in a temporary file, the log on a simulated disk, the real gate, the real routes.

use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use candor_errors::{ErrorsState, Issues, Outcomes, issues, routes};
use candor_gate::admission::{Admission, Limits};
use candor_gate::{Gate, codec};
use candor_keyring::{Keyring, RootKey};
use candor_log::{FailStop, Ingest, Log, LogOptions, Topic};
use candor_meta::{Database, ReadScope, Tenancy};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Clock, Offset, Partition, ProjectId, Random, Signal, Timestamp};
use candor_store::sim::SimDisk;
use candor_store::{Disk, DiskObjects, Files};
use http::{Request, Response, StatusCode};
use tower::ServiceExt;

/// When tests play.
pub const NOW: Timestamp = Timestamp(1_741_256_391_000_000);

pub struct House {
    folder: tempfile::TempDir,
    disk: SimDisk,
    pub clock: Arc<ManualClock>,
    pub database: Database,
    pub tenancy: Tenancy,
    pub log: Log,
    pub issues: Issues,
    pub admission: Admission,
    pub outcomes: Outcomes,
    pub router: Router,
    pub project: ProjectId,
    pub key: String,
    pub read: ReadScope,
}

struct Panic;

impl FailStop for Panic {
    fn stop(&self, why: &str) {
        panic!("the log stopped: {why}");
    }
}

impl House {
    pub async fn new() -> House {
        House::with(Limits::default()).await
    }

    pub async fn with(limits: Limits) -> House {
        let folder = tempfile::tempdir().unwrap();
        let disk = SimDisk::new(7);
        let clock = Arc::new(ManualClock::new(NOW));
        House::over(folder, disk, clock, limits).await
    }

    /// Stops without any farewell and starts again over what was stored. What was not synced stays: tests of the log
    /// take that away, these look at positions.
    pub async fn restart(self) -> House {
        let House { folder, disk, clock, log, router, issues, database, .. } = self;
        drop((router, issues));
        log.close().await;
        database.close().await;
        House::over(folder, disk, clock, Limits::default()).await
    }

    async fn over(
        folder: tempfile::TempDir,
        disk: SimDisk,
        clock: Arc<ManualClock>,
        limits: Limits,
    ) -> House {
        let random: Arc<dyn Random> = Arc::new(Seeded::new(clock.now().0 as u64 ^ disk.used()));
        let ticking: Arc<dyn Clock> = Arc::clone(&clock) as Arc<dyn Clock>;
        let keyring = Arc::new(Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::clone(&random)));
        let path = folder.path().join("meta.db");
        let database = Database::open_sqlite(&path, &[]).await.unwrap();
        let tenancy =
            Tenancy::open(database.clone(), Arc::clone(&ticking), Arc::clone(&random)).await.unwrap();
        let log = Log::open(log_options(&disk, &ticking, &random)).await.unwrap();
        let issues = Issues::open(database.clone(), log.clone(), Arc::clone(&ticking)).await.unwrap();
        let gate = Arc::new(Gate::new(keyring, Arc::clone(&ticking), Arc::clone(&random)));
        let admission = Admission::new(tenancy.clone(), Arc::clone(&ticking), limits);
        let state = ErrorsState::new(
            admission.clone(),
            Ingest::new(gate, log.clone()),
            issues.clone(),
            Arc::clone(&ticking),
            Arc::clone(&random),
        );
        let outcomes = state.outcomes().clone();
        let (project, key) = match tenancy.resolve("shop").await.unwrap() {
            Some(project) => (project.id, tenancy.dsn_key(project.id).await.unwrap().unwrap()),
            None => {
                let (project, keys) = tenancy.create_project("shop").await.unwrap();
                (project.id, keys.dsn_key)
            }
        };
        let read = tenancy.admin_read(project).await.unwrap().unwrap();
        House {
            folder,
            disk,
            clock,
            database,
            tenancy,
            log,
            issues,
            admission,
            outcomes,
            router: routes(state),
            project,
            key,
            read,
        }
    }

    pub fn envelope_path(&self) -> String {
        format!("/api/{}/envelope/?sentry_key={}", self.project, self.key)
    }

    pub fn store_path(&self) -> String {
        format!("/api/{}/store/?sentry_key={}", self.project, self.key)
    }

    pub async fn send(&self, request: Request<Body>) -> Answer {
        let mut request = candor_errors::protocol::path::fold_request(request);
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 2, 1], 4711))));
        Answer::of(self.router.clone().oneshot(request).await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(path).body(body.into()).unwrap()).await
    }

    /// Sends items as an envelope, each by its length.
    pub async fn post_items(&self, headers: &str, items: &[(&str, &[u8])]) -> Answer {
        self.post(&self.envelope_path(), envelope(headers, items)).await
    }

    /// Everything stored of a signal, as the log holds it.
    pub async fn rows(&self, signal: Signal) -> Vec<RecordBatch> {
        let topic = Topic { project: self.project, name: signal.topic() };
        let end = self.log.high_watermark(&topic, Partition(0)).0;
        let mut rows = Vec::new();
        let mut next = 0;
        while next < end {
            for batch in self.log.read(&topic, Partition(0), Offset(next), 1 << 30).await.unwrap() {
                next = batch.base.0 + u64::from(batch.count);
                rows.push(codec::decode(signal, &batch.batch).unwrap());
            }
        }
        rows
    }

    /// A text column over everything stored of a signal, null as `-`.
    pub async fn column(&self, signal: Signal, name: &str) -> Vec<String> {
        let mut values = Vec::new();
        for batch in self.rows(signal).await {
            let column = batch.column_by_name(name).unwrap().as_string::<i32>();
            values.extend(column.iter().map(|value| value.unwrap_or("-").to_owned()));
        }
        values
    }

    pub async fn count(&self, signal: Signal) -> usize {
        self.rows(signal).await.iter().map(RecordBatch::num_rows).sum()
    }

    /// What was counted: `category outcome reason quantity`.
    pub fn counted(&self) -> Vec<String> {
        self.outcomes
            .totals()
            .iter()
            .map(|(counted, quantity)| {
                format!("{} {} {} {quantity}", counted.category, counted.outcome.name(), counted.reason)
            })
            .collect()
    }
}

fn log_options(disk: &SimDisk, clock: &Arc<dyn Clock>, random: &Arc<dyn Random>) -> LogOptions {
    let data: Arc<dyn Disk> = Arc::new(disk.clone());
    let objects = Arc::new(DiskObjects::inline(Arc::clone(&data), "objects"));
    LogOptions {
        disk: data,
        files: Arc::new(Files::new(objects, None, Arc::clone(random))),
        keys: None,
        clock: Arc::clone(clock),
        random: Arc::clone(random),
        stop: Arc::new(Panic),
        consumers: vec![issues::consumer()],
        limits: candor_log::Limits::default(),
    }
}

/// An envelope of items, each by its length.
pub fn envelope(headers: &str, items: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = format!("{headers}\n").into_bytes();
    for (kind, payload) in items {
        body.extend_from_slice(format!("{{\"type\":\"{kind}\",\"length\":{}}}\n", payload.len()).as_bytes());
        body.extend_from_slice(payload);
        body.push(b'\n');
    }
    body
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: http::HeaderMap,
    pub body: String,
}

impl Answer {
    async fn of(response: Response<Body>) -> Answer {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        }
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Status and body in one line.
    pub fn line(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.body)
    }
}
