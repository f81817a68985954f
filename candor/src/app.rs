//! What handlers share: the open kernel, who the admin is, and what the server calls itself.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::OnceLock;
use std::time::Instant;

use candor_errors::{Issues, Outcomes};
use candor_gate::Gate;
use candor_gate::admission::Admission;
use candor_keyring::Keyring;
use candor_lake::Lake;
use candor_log::Log;
use candor_logs::sources::Sources;
use candor_meta::{Database, ReadScope, Tenancy};
use candor_model::{Clock, IssueMap, ProjectId, Random};
use candor_notices::Policies;
use candor_people::People;
use candor_query::{Format, Limits, Query, QueryError};
use candor_streams::Streams;
use http::{HeaderMap, header};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::api::tail::TailCounts;
use crate::books::Books;
use crate::catalogs::{Catalog, Catalogs};
use crate::data_dir::{DataDir, export_name};
use crate::http::Problem;
use crate::http::listen::ConnectionCounts;
use crate::http::pace::Pace;
use crate::http::problem::Answer;
use crate::noting::Unplaced;
use crate::policies::Enforcement;
use crate::pressure::FreeSpace;
use crate::privacy::Measured;
use crate::vault::VaultKeeper;

/// Where the server is reached, known once it listens.
#[derive(Debug, Clone)]
pub struct Addresses {
    /// What DSNs and links name, without a trailing slash.
    pub base: String,
    /// True where `--public-url` said so.
    pub given: bool,
    /// The host that commands on this machine use where TLS is on: a socket that nobody else knows.
    pub local: Option<String>,
}

/// The shared state.
pub struct App {
    /// The locked data dir.
    pub data_dir: DataDir,
    /// Wall time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// `meta.db`.
    pub meta: Database,
    /// `lake.db`.
    pub catalog: Database,
    /// Organisations, projects, keys, scopes.
    pub tenancy: Tenancy,
    /// Accounts.
    pub people: People,
    /// The log.
    pub log: Log,
    /// The tables.
    pub lake: Lake,
    /// Queries over them.
    pub query: Query,
    /// Issues, and which of them a group hash belongs to.
    pub issues: Issues,
    /// The named origins of logs.
    pub sources: Sources,
    /// The Kafka side of the log, where it listens.
    pub streams: Option<Streams>,
    /// Kafka is spoken over TLS.
    pub kafka_tls: bool,
    /// What every record passes.
    pub gate: Arc<Gate>,
    /// What may be done with data, as it holds and as it is announced.
    pub policies: Policies,
    /// The figures beside the sentences of the page.
    pub measured: Measured,
    /// What puts policies into force.
    pub enforcement: Enforcement,
    /// What became of what Sentry's SDKs sent.
    pub outcomes: Outcomes,
    /// The keys of files and subjects.
    pub keyring: Arc<Keyring>,
    /// What left the rows.
    pub vault: VaultKeeper,
    /// What was done with personal data.
    pub books: Books,
    /// Where requests are let in.
    pub admission: Admission,
    /// How much later ingest is answered while the lake is behind.
    pub pace: Pace,
    /// Space on the data dir's device.
    pub free: Arc<FreeSpace>,
    /// Cancelled when the server stops.
    pub stop: CancellationToken,
    /// Counts of connections.
    pub connections: Arc<ConnectionCounts>,
    /// Counts of live tails.
    pub tail_counts: TailCounts,
    /// Reads whose organisation is not known yet, for the ledger.
    pub unplaced: Unplaced,
    /// When the process began.
    pub started: Instant,
    /// True in a data dir whose clock tests may shift.
    pub test_clock: bool,
    /// SHA-256 of the local admin key.
    pub admin_digest: [u8; 32],
    /// Where we are reached.
    pub addresses: OnceLock<Addresses>,
    /// True where objects lie in S3 or metadata in PostgreSQL.
    pub objects_elsewhere: bool,
    /// Only one catalog is exported at a time: each is a file while it is made.
    pub exporting: Arc<tokio::sync::Mutex<()>>,
    /// Catalogs that are being read.
    pub catalogs: Catalogs,
}

impl App {
    /// True for the local admin key.
    pub fn is_admin_key(&self, presented: &str) -> bool {
        candor_meta::secret::digest(presented) == self.admin_digest
    }

    /// The client behind a peer, as far as trusted proxies tell.
    pub fn client_address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        self.admission.client_ip(peer, headers)
    }

    fn base(&self) -> &str {
        self.addresses.get().map_or("http://localhost", |addresses| addresses.base.as_str())
    }

    /// What links in an answer name: the public URL, else the host that the caller itself used.
    pub fn base_for(&self, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let theirs = |host: &&str| {
            self.addresses.get().is_none_or(|own| !own.given && own.local.as_deref() != Some(*host))
        };
        match host.filter(theirs) {
            Some(host) => {
                let scheme = self.base().split("://").next().unwrap_or("http");
                format!("{scheme}://{host}")
            }
            None => self.base().to_owned(),
        }
    }

    /// True where we are reached over TLS: ours, or that of a proxy which `--public-url` names.
    pub fn is_secure(&self) -> bool {
        self.base().starts_with("https://")
    }

    /// The DSN of a project.
    pub fn dsn(&self, key: &str, project: ProjectId) -> String {
        match self.base().split_once("://") {
            Some((scheme, host)) => format!("{scheme}://{key}@{host}/{project}"),
            None => String::new(),
        }
    }

    /// The first row of a query as an object.
    pub async fn first_row(
        &self,
        scope: &ReadScope,
        sql: &str,
        limits: Limits,
    ) -> Result<Map<String, Value>, QueryError> {
        let answer = self.query.sql(scope, sql, limits).await?;
        let text = candor_query::encode::collect(answer, Format::Ndjson).await?;
        let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(serde_json::from_slice(line).unwrap_or_default())
    }

    /// The current catalog of the scope's project. It is kept for a moment, to be read in ranges.
    pub async fn export_catalog(&self, scope: &ReadScope) -> Answer<Catalog> {
        let project = scope.project();
        let issues: Vec<(String, i64)> =
            self.issues.issues(project).iter().map(|(hash, issue)| (hash.clone(), *issue)).collect();
        let data_path = format!("{}/lake/{project}/", self.base());
        let one_at_a_time = Arc::clone(&self.exporting).lock_owned().await;
        let file = self.data_dir.root().join(export_name(&*self.random));
        let (lake, scope) = (self.lake.clone(), scope.clone());
        // A task of its own: the file is removed also where the caller goes.
        let work = tokio::spawn(async move {
            let _one_at_a_time = one_at_a_time;
            let exported = lake.export(&scope, &issues, &data_path, &file).await;
            let bytes = crate::files::read_all(&file);
            let _ = crate::files::remove(&file);
            (exported, bytes)
        });
        let (exported, bytes) = work.await.map_err(|error| Problem::internal(&error))?;
        let snapshot = exported.map_err(|error| Problem::internal(&error))?;
        let catalog = Catalog::new(snapshot, bytes.map_err(|error| Problem::internal(&error))?.into());
        self.catalogs.keep(project, catalog.clone(), Instant::now());
        Ok(catalog)
    }
}

impl From<candor_meta::tenancy::TenancyError> for Problem {
    fn from(error: candor_meta::tenancy::TenancyError) -> Problem {
        use candor_meta::tenancy::TenancyError as E;
        let detail = error.to_string();
        match error {
            E::Sql(error) => error.into(),
            E::Taken => Problem::conflict(detail),
            E::BadName => Problem::new(http::StatusCode::UNPROCESSABLE_ENTITY, "Not valid", detail),
            E::NoSuchOrg | E::NoSuchProject => Problem::not_found(detail),
        }
    }
}
