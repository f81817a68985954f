//! Putting the parts together, from the bottom up: keys, databases, files, log, tables, products.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use axum::Router;
use axum::middleware::from_fn_with_state;
use candor_errors::{ErrorsState, Issues};
use candor_gate::Gate;
use candor_gate::admission::{self, Admission};
use candor_keyring::{Keyring, Vault};
use candor_lake::{Lake, LakeConfig, LakeParts};
use candor_log::Ingest;
use candor_logs::{LogsState, sources::Sources};
use candor_meta::Tenancy;
use candor_model::{Clock, Random};
use candor_people::People;
use candor_query::Query;
use candor_store::{Disk, Files, KeyWrap, RealDisk};
use candor_streams::registry::Registry;
use candor_streams::rest::RestState;
use candor_streams::topics::Topics;
use candor_streams::{Advertised, Streams, StreamsOptions};
use tokio_util::sync::CancellationToken;

use super::kafka::egress;
use super::options::Options;
use super::storage::{self, Databases, LogParts, Place};
use super::stream_tables::{SchemaValues, TopicTables};
use super::token_keys::TokenKeys;
use crate::app::App;
use crate::ballast::Ballast;
use crate::books::Books;
use crate::data_dir::DataDir;
use crate::deleted;
use crate::files;
use crate::http::aside::{self, Places};
use crate::http::pace::{self, Pace};
use crate::ledger_table::LedgerTable;
use crate::noting;
use crate::policies::{self, Enforcement};
use crate::pressure::{self, FreeSpace, Watcher, reserve_bytes};
use crate::sources::{CLOCK_FILE_VARIABLE, OsRandom, WallClock};
use crate::vault::VaultKeeper;

/// How long a request that is being taken in waits for metadata (a source that is new) before it is told to come again.
const INGEST_WAIT_MAX: Duration = Duration::from_millis(1500);

/// Everything that listens and what it shares.
pub(super) struct House {
    pub(super) app: Arc<App>,
    pub(super) http: Vec<Router>,
    pub(super) grpc: Router,
}

/// Opens the data dir and everything in it.
pub(super) async fn open(
    options: &Options,
    kafka: Option<SocketAddr>,
    stop: CancellationToken,
) -> Result<House> {
    let started = Instant::now();
    for flag in &options.without_effect {
        tracing::warn!(flag, "accepted, and without effect in this release");
    }
    let random: Arc<dyn Random> = Arc::new(OsRandom::new());
    let data_dir = DataDir::open(&options.data_dir, options.test_clock)?;
    let root = data_dir.root().to_owned();
    let clock = clock(&data_dir);
    let noted = storage::noted(options)?;
    data_dir.settle_storage(&noted)?;
    let root_key = data_dir.root_key(options.root_key.as_deref(), &*random)?;
    let admin_key = data_dir.admin_key(&*random)?;
    let keyring = Arc::new(Keyring::new(&root_key, Arc::clone(&random)));
    let Databases { meta, catalog, log: log_database, serving } = storage::databases(options, &root).await?;
    let stored = Vault::open(meta.clone(), &keyring)
        .await
        .context("cannot open the vault: does --root-key name the key of this data?")?;
    let tenancy = Tenancy::open(meta.clone(), Arc::clone(&clock), Arc::clone(&random))
        .await
        .context("cannot open organisations and projects")?;
    let people = People::open(meta.clone(), Arc::clone(&clock), Arc::clone(&random))
        .await
        .context("cannot open accounts")?;

    let policies = policies::open(meta.clone(), Arc::clone(&clock), options.policy.as_deref()).await?;

    let books = Books::open(stored, &policies, &meta, &keyring, &clock, &random).await?;

    let reserve = reserve_bytes(files::device_bytes(&root).unwrap_or(u64::MAX));
    let disk: Arc<dyn Disk> = Arc::new(
        RealDisk::open(&root, reserve).with_context(|| format!("cannot write to {}", root.display()))?,
    );
    let Place { objects, s3, data_path } = storage::objects(options, &disk, &root, &*random).await?;
    let keys: Arc<dyn KeyWrap> = Arc::<Keyring>::clone(&keyring);
    let store = Arc::new(Files::new(objects, Some(Arc::clone(&keys)), Arc::clone(&random)));
    let log = storage::log(LogParts {
        disk,
        files: Arc::clone(&store),
        keys,
        database: log_database,
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
        limits: options.log_limits.clone(),
    })
    .await?;

    let parts = LakeParts {
        catalog: catalog.clone(),
        meta: meta.clone(),
        files: store,
        source: Arc::new(log.clone()),
        clock: Arc::clone(&clock),
        random: Arc::clone(&random),
    };
    let retention = options.retention;
    let lake = Lake::start(parts, LakeConfig { data_path, retention, ..LakeConfig::default() })
        .await
        .context("cannot open the tables")?;
    let keeper = VaultKeeper::open(meta.clone(), log.clone(), Arc::clone(&keyring), Arc::clone(&clock))
        .await
        .context("cannot bring the vault up to the log")?;
    keeper.start();
    let issues = Issues::open(meta.clone(), log.clone(), Arc::clone(&clock))
        .await
        .context("cannot bring the issues up to the log")?;
    issues.start(retention.errors_us);
    candor_errors::attachments::start(issues.clone(), log.blobs(), retention.errors_us);
    let query = Query::new(
        Arc::new(lake.clone()),
        Arc::new(LedgerTable(books.ledger.clone())),
        Arc::new(issues.clone()),
        Arc::clone(&clock),
        candor_query::Options::default(),
    );
    let gate = Arc::new(Gate::new(Arc::clone(&keyring), Arc::clone(&clock), Arc::clone(&random)));
    let enforcement = Enforcement {
        policies,
        gate: Arc::clone(&gate),
        log: log.clone(),
        lake: lake.clone(),
        retention,
        ledger: books.ledger.clone(),
        standing: Default::default(),
    };
    enforcement.put_in_force().await?;
    tokio::spawn(enforcement.clone().run(stop.clone()));
    let ingest = Ingest::new(Arc::clone(&gate), log.clone());
    let streams = match kafka {
        Some(bound) => {
            let oauth = options.kafka_oauth.as_ref();
            let options = StreamsOptions {
                database: meta.clone(),
                tenancy: tenancy.clone(),
                log: log.clone(),
                gate: Arc::clone(&gate),
                clock: Arc::clone(&clock),
                random: Arc::clone(&random),
                keyring: Arc::clone(&keyring),
                advertised: advertised(options, bound),
                stop: stop.clone(),
                anonymous: options.kafka_anonymous.as_deref().map(Arc::from),
                egress: egress(&enforcement.policies),
                settings: options.kafka_settings.clone(),
                tokens: options.kafka_oauth.as_ref().map(|oauth| oauth.tokens.clone()),
            };
            let streams = Streams::open(options).await.context("cannot open the streams")?;
            if let (Some(tokens), Some(oauth)) = (streams.tokens(), oauth) {
                TokenKeys::new(tokens.clone(), oauth.keys.clone())?.start(stop.clone()).await?;
            }
            Some(streams)
        }
        None => None,
    };
    let topics = match &streams {
        Some(streams) => streams.topics().clone(),
        // Tables of topics are read, and topics are kept as they say, whether clients are listened to or not.
        None => {
            let settings = candor_streams::topics::Settings::default();
            let topics = Topics::open(meta.clone(), Arc::clone(&clock), Arc::clone(&random), settings)
                .await
                .context("cannot open the topics")?;
            candor_streams::keep(topics.clone(), log.clone(), stop.clone());
            topics
        }
    };
    // What waits in the log for its table names schemas, whether clients are listened to or not.
    if streams.is_none() {
        let registry = Registry::open(meta.clone()).await.context("cannot open the schema registry")?;
        gate.set_schemas(Arc::new(registry));
    }
    lake.serve_streams(Arc::new(TopicTables(topics)), Some(Arc::new(SchemaValues(Arc::clone(&gate)))));

    let admission = Admission::new(
        tenancy.clone(),
        Arc::clone(&clock),
        admission::Limits {
            trusted_proxies: options.trusted_proxies.clone(),
            ..admission::Limits::default()
        },
    );
    // A quota that was used up before the start still is.
    admission.save_usage().await.context("cannot read what keys have used today")?;
    let sources = Sources::open(meta.with_patience(INGEST_WAIT_MAX), Arc::clone(&clock), Arc::clone(&random))
        .await
        .context("cannot open the sources of logs")?;
    let logs = LogsState::new(admission.clone(), ingest.clone(), sources.clone());
    let errors =
        ErrorsState::new(admission.clone(), ingest, issues.clone(), Arc::clone(&clock), Arc::clone(&random));
    let free = Arc::new(FreeSpace::default());
    let watcher = Watcher {
        ballast: Ballast::new(&root, reserve),
        folder: root,
        reserve,
        meta: meta.clone(),
        serving,
        s3,
        lake: lake.clone(),
        admission: admission.clone(),
        free: Arc::clone(&free),
    };
    tokio::spawn(watcher.run());
    tokio::spawn(pressure::keep_usage(admission.clone()));
    let behind = lake.clone();
    let pace = Pace::new(move || behind.pressure());
    let app = Arc::new(App {
        test_clock: data_dir.test_clock(),
        data_dir,
        clock,
        random,
        meta,
        catalog,
        tenancy,
        people,
        log,
        lake,
        query,
        issues,
        sources,
        streams,
        kafka_tls: options.tls.is_some(),
        gate,
        policies: enforcement.policies.clone(),
        enforcement,
        measured: Default::default(),
        keyring,
        outcomes: errors.outcomes().clone(),
        vault: keeper,
        books,
        admission,
        pace: pace.clone(),
        free,
        stop,
        connections: Arc::default(),
        tail_counts: Default::default(),
        unplaced: Default::default(),
        started,
        admin_digest: candor_meta::secret::digest(&admin_key),
        addresses: OnceLock::new(),
        objects_elsewhere: noted.is_elsewhere(),
        exporting: Arc::default(),
        catalogs: Default::default(),
    });
    deleted::start(&app);
    noting::start(&app);
    // Outside is what every protocol has in common; the products' own layers are within.
    let places = Places::new();
    let taking_in = |router: Router| {
        router
            .layer(from_fn_with_state(places.clone(), aside::large))
            .layer(from_fn_with_state(pace.clone(), pace::paced))
    };
    let rest = app.streams.clone().map(|streams| {
        let (house, admission, clock) = (Arc::clone(&app), app.admission.clone(), Arc::clone(&app.clock));
        let random = Arc::clone(&app.random);
        let base = Arc::new(move |headers: &http::HeaderMap| house.base_for(headers));
        candor_streams::rest::routes(RestState::new(streams, admission, clock, random, base))
    });
    let http = [candor_logs::routes(logs.clone()), candor_errors::routes(errors)];
    let mut http: Vec<Router> = http.into_iter().chain(rest).map(taking_in).collect();
    http.extend(app.streams.iter().map(|streams| streams.routes(app.admission.clone())));
    let grpc = taking_in(super::grpc::router(candor_logs::grpc(logs)));
    Ok(House { app, http, grpc })
}

/// What Kafka clients are told to connect to: a client compares it with nothing, it just goes there.
fn advertised(options: &Options, bound: SocketAddr) -> Advertised {
    if let Some((host, port)) = &options.kafka_advertise {
        return Advertised { host: Arc::from(host.as_str()), port: *port };
    }
    let named = options.kafka_listen.as_deref().and_then(|address| address.rsplit_once(':'));
    let host = match named {
        Some((host, _)) if !bound.ip().is_unspecified() => host.trim_matches(['[', ']']),
        _ => "localhost",
    };
    Advertised { host: Arc::from(host), port: bound.port() }
}

fn clock(data_dir: &DataDir) -> Arc<dyn Clock> {
    let file = std::env::var_os(CLOCK_FILE_VARIABLE).map(PathBuf::from);
    match file {
        Some(file) if data_dir.test_clock() => Arc::new(WallClock::shifted_by(file)),
        Some(_) => {
            tracing::warn!("{CLOCK_FILE_VARIABLE} has no effect: the data dir was made without --test-clock");
            Arc::new(WallClock::system())
        }
        None => Arc::new(WallClock::system()),
    }
}
