//! Where the data is: databases, objects, and the log over them, on one machine or shared by a cluster.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use candor_log::{ClusterOptions, Consumer, FailStop, Limits, Log, LogOptions};
use candor_meta::{Database, Held};
use candor_model::{Clock, Random};
use candor_store::{Disk, DiskObjects, Files, KeyWrap, Objects, S3Objects};
use tokio::sync::watch;

use super::options::{Metadata, ObjectsAt, Options};
use crate::backup::{CATALOG, META, OBJECTS};
use crate::data_dir::Storage;
use crate::{files, vault};

/// Schemas in PostgreSQL.
const META_SCHEMA: &str = "candor";
const CATALOG_SCHEMA: &str = "candor_lake";
const LOG_SCHEMA: &str = "candor_log";

/// The lock of the process that serves.
const SERVING: &str = "candor_serving";

/// How long a start waits for the lock: PostgreSQL takes a moment to notice that a process was killed.
const HOLD_WAIT_MAX: Duration = Duration::from_secs(5);

/// How often a lock is tried for, and looked after.
const HOLD_LOOK_EVERY: Duration = Duration::from_millis(500);

/// How long the database may take to say that a lock is held.
const HOLD_CHECK_WITHIN: Duration = Duration::from_secs(2);

/// How often a lock that was lost is tried for: nothing is let in meanwhile.
const HOLD_TRY_EVERY: Duration = Duration::from_millis(100);

/// The databases. The log has one in a cluster alone.
pub(super) struct Databases {
    pub meta: Database,
    pub catalog: Database,
    pub log: Option<Database>,
    /// False while the right to serve from them is lost.
    pub serving: watch::Receiver<bool>,
}

/// What the data dir notes of where the data is.
pub(super) fn noted(options: &Options) -> Result<Storage> {
    let absolute = |path: &std::path::PathBuf| {
        files::absolute(path).with_context(|| format!("--root-key {}: cannot find it", path.display()))
    };
    Ok(Storage {
        postgres: options.metadata != Metadata::Sqlite,
        objects: match &options.objects {
            ObjectsAt::DataDir => None,
            ObjectsAt::S3(url) => Some(url.trim_end_matches('/').to_owned()),
        },
        root_key: options.root_key.as_ref().map(absolute).transpose()?,
    })
}

/// Opens the databases, in PostgreSQL as the only process that serves from them.
pub(super) async fn databases(options: &Options, root: &Path) -> Result<Databases> {
    match &options.metadata {
        Metadata::Sqlite => {
            let open = |name: &'static str| async move {
                let path = root.join(name);
                Database::open_sqlite(&path, &[])
                    .await
                    .with_context(|| format!("cannot open {}", path.display()))
            };
            // The data dir's lock is never lost.
            let (_, serving) = watch::channel(true);
            Ok(Databases { meta: open(META).await?, catalog: open(CATALOG).await?, log: None, serving })
        }
        Metadata::Postgres(url) => {
            let open = |schema: &'static str| async move {
                Database::open_postgres(url, schema, &[]).await.with_context(|| {
                    format!(
                        "--metadata: cannot open schema {schema}\ncheck that the server runs and takes this host, user, password and database"
                    )
                })
            };
            let meta = open(META_SCHEMA).await?;
            let held = hold(&meta).await?;
            let (serves, serving) = watch::channel(true);
            tokio::spawn(keep_held(held, meta.clone(), serves));
            let log = match options.objects {
                ObjectsAt::S3(_) => Some(open(LOG_SCHEMA).await?),
                ObjectsAt::DataDir => None,
            };
            Ok(Databases { meta, catalog: open(CATALOG_SCHEMA).await?, log, serving })
        }
    }
}

/// Takes the right to serve.
async fn hold(meta: &Database) -> Result<Held> {
    let until = tokio::time::Instant::now() + HOLD_WAIT_MAX;
    loop {
        if let Some(held) =
            meta.hold(SERVING).await.context("--metadata: cannot take the lock of who serves")?
        {
            return Ok(held);
        }
        if tokio::time::Instant::now() >= until {
            bail!(
                "--metadata: another candor serves from this database\nin this release one process serves at a time: stop that one, or give this one a database of its own"
            );
        }
        tokio::time::sleep(HOLD_LOOK_EVERY).await;
    }
}

/// Sees that the right to serve is held, and takes it again where the connection was lost; until then nothing is let
/// in. Where somebody else has it and keeps it, this process ends: nothing acknowledged is lost, as offsets and
/// positions are fenced in the database. It is held until the process is gone: what drains still writes.
async fn keep_held(mut held: Held, meta: Database, serves: watch::Sender<bool>) {
    loop {
        tokio::time::sleep(HOLD_LOOK_EVERY).await;
        let checked = tokio::time::timeout(HOLD_CHECK_WITHIN, held.check()).await;
        let error = match checked {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => crate::logging::chain(&error),
            Err(_) => "the database does not answer".to_owned(),
        };
        tracing::warn!(error, "the lock of who serves is lost");
        // Who watches is told; a receiver lives as long as the server.
        let _ = serves.send(false);
        let backend = held.backend();
        drop(held);
        held = take_again(&meta, backend).await;
        tracing::info!("the lock of who serves is held again");
        let _ = serves.send(true);
    }
}

/// Takes the right to serve again, which `backend` of ours had.
async fn take_again(meta: &Database, backend: Option<i64>) -> Held {
    let mut foreign = Foreign::default();
    loop {
        let holder = match tokio::time::timeout(HOLD_CHECK_WITHIN, meta.hold(SERVING)).await {
            Ok(Ok(Some(held))) => return held,
            Ok(Ok(None)) => tokio::time::timeout(HOLD_CHECK_WITHIN, meta.holder(SERVING)).await,
            // Errors and silence: the database is lost for now, and nobody takes anything from it.
            Ok(Err(_)) | Err(_) => Ok(Ok(None)),
        };
        // The server may not have noticed yet that our own connection is gone.
        let holder = holder.ok().and_then(Result::ok).flatten().filter(|holder| Some(*holder) != backend);
        if foreign.stays(holder, tokio::time::Instant::now()) {
            EndProcess.stop("another candor serves from the database now");
        }
        tokio::time::sleep(HOLD_TRY_EVERY).await;
    }
}

/// Who has the lock, as far as that is not the connection we lost. It may still be one of ours: a try that was given
/// up after the server granted it.
#[derive(Default)]
struct Foreign(Option<(i64, tokio::time::Instant)>);

impl Foreign {
    /// True once the same one was seen each time for as long as the server takes to notice that a connection is gone.
    fn stays(&mut self, holder: Option<i64>, now: tokio::time::Instant) -> bool {
        self.0 = holder.map(|holder| match self.0 {
            Some((same, since)) if same == holder => (same, since),
            _ => (holder, now),
        });
        self.0.is_some_and(|(_, since)| now.duration_since(since) >= HOLD_WAIT_MAX)
    }
}

/// The objects.
pub(super) struct Place {
    pub objects: Arc<dyn Objects>,
    /// The same, where it is S3: asked whether it answers.
    pub s3: Option<S3Objects>,
    /// What the operator's own catalog names as their place.
    pub data_path: String,
}

/// Opens the objects; in S3 it tries that they can be written, read and not overwritten.
pub(super) async fn objects(
    options: &Options,
    disk: &Arc<dyn Disk>,
    root: &Path,
    random: &dyn Random,
) -> Result<Place> {
    match &options.objects {
        ObjectsAt::DataDir => {
            let place = files::absolute(root).with_context(|| format!("cannot find {}", root.display()))?;
            let data_path = format!("{}/{OBJECTS}/lake/", place.display());
            let objects = DiskObjects::new(Arc::clone(disk), OBJECTS);
            // What a killed process was writing. The data dir's lock is ours.
            objects.sweep().with_context(|| format!("cannot clear up in {OBJECTS}"))?;
            Ok(Place { objects: Arc::new(objects), s3: None, data_path })
        }
        ObjectsAt::S3(url) => {
            let refused = || {
                format!(
                    "--objects {url}: cannot store there\ncheck that the bucket is there, and AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_REGION and AWS_ENDPOINT_URL"
                )
            };
            let s3 = S3Objects::from_url(url).with_context(refused)?;
            s3.try_out(&format!("{:016x}", random.next_u64())).await.with_context(refused)?;
            let data_path = format!("{}/lake/", url.trim_end_matches('/'));
            Ok(Place { objects: Arc::new(s3.clone()), s3: Some(s3), data_path })
        }
    }
}

/// What the log stands on.
pub(super) struct LogParts {
    pub disk: Arc<dyn Disk>,
    pub files: Arc<Files>,
    pub keys: Arc<dyn KeyWrap>,
    /// The sequencer's, in a cluster.
    pub database: Option<Database>,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Sizes and times.
    pub limits: Limits,
}

/// Opens the log: a journal in the data dir, or segments in S3 with their order in PostgreSQL.
pub(super) async fn log(parts: LogParts) -> Result<Log> {
    let LogParts { disk, files, keys, database, clock, random, limits } = parts;
    let consumers = vec![lake_consumer(), candor_errors::issues::consumer(), vault::consumer()];
    let stop = Arc::new(EndProcess);
    let opened = match database {
        Some(database) => {
            Log::open_cluster(ClusterOptions {
                files,
                database,
                clock,
                random,
                stop,
                consumers,
                limits,
                linger: ClusterOptions::LINGER,
                puts_in_flight: ClusterOptions::PUTS_IN_FLIGHT,
                poll: ClusterOptions::POLL,
            })
            .await
        }
        None => {
            let keys = Some(keys);
            Log::open(LogOptions { disk, files, keys, clock, random, stop, consumers, limits }).await
        }
    };
    opened.context("cannot open the log")
}

/// What the lake has not published is not trimmed. Its name is the one that the lake gives to the log.
fn lake_consumer() -> Consumer {
    Consumer { name: "lake", topics: |_| true }
}

/// After a failed sync nothing is known about what the disk holds: only a restart, which reads it back, may go on.
struct EndProcess;

impl FailStop for EndProcess {
    fn stop(&self, why: &str) {
        tracing::error!(why, "the process ends: what was acknowledged is on stable storage");
        std::process::exit(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_holder_ends_the_process_only_where_it_stays() {
        let start = tokio::time::Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut foreign = Foreign::default();
        // A try of ours that was given up and is let go of.
        assert!(!foreign.stays(Some(1), at(0)));
        assert!(!foreign.stays(Some(1), at(4_900)));
        assert!(!foreign.stays(None, at(5_000)));
        assert!(!foreign.stays(Some(1), at(5_100)));
        // The next one.
        assert!(!foreign.stays(Some(2), at(10_000)));
        assert!(!foreign.stays(Some(2), at(14_900)));
        assert!(foreign.stays(Some(2), at(15_000)));
    }
}
