//! Backups: a consistent cut of a data dir, taken while it is written to.
//!
//! The order makes the cut consistent, not a pause. First the two databases, each as one transaction sees it; then
//! the log, which holds at least what their positions say was consumed; then the objects, of which the catalog's
//! snapshot names only such as exist, because files outlive the last snapshot that names them. The log's files are
//! taken as hard links in one go, with the checkpoint read before and after: a compaction in between shows, and the
//! taking is repeated. What the manifest says of the topics is read from the copy, as the log goes on growing until
//! its last file is copied. Files are copied as they are, encrypted; the root key is never among them, and neither is the
//! local admin key.
//!
//! What is refused: copying PostgreSQL or S3 through this process. Those have better tools of their own, and a slow
//! third way would only look like safety.

pub mod command;
mod copy;
mod manifest;
mod restore;

pub use manifest::{Entry, MANIFEST, Manifest, TopicEnd};
pub use restore::restore;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use candor_keyring::Keyring;
use candor_log::{Log, Topic, inspect};
use candor_meta::{Database, Engine};
use candor_model::{Clock, Offset, Partition};
use candor_store::{KeyWrap, RealDisk};

use crate::app::App;
use crate::data_dir::{INSTANCE_FILE, STAGING_FOLDER};
use crate::files;
use crate::sources::OsRandom;

/// The folder of copied files in a backup.
const DATA: &str = "data";

/// Attempts to take the log between two compactions.
const ATTEMPTS_MAX: u32 = 8;

/// What is replaced whole when the log compacts.
const CHECKPOINT: &str = "log/checkpoint";
const JOURNAL: &str = "log/journal";
/// Where objects lie.
pub const OBJECTS: &str = "objects";
/// The databases.
pub const META: &str = "meta.db";
/// The lake's catalog.
pub const CATALOG: &str = "lake.db";

/// Why there is no backup: what, where, what to do.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// There is something at the place.
    #[error("{path} exists already: name a new folder", path = .0.display())]
    Exists(PathBuf),
    /// A file failed.
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A database failed.
    #[error("cannot copy {0}")]
    Database(&'static str, #[source] candor_meta::SqlError),
    /// The copied log does not read.
    #[error("the copied log does not read: try again, and see `candor verify storage` where that fails too")]
    Log(#[source] candor_log::OpenError),
    /// The log was compacted during every attempt.
    #[error("the log was compacted during each of {ATTEMPTS_MAX} attempts: try again when less arrives")]
    Busy,
    /// Not what this copies.
    #[error(
        "backups copy data dirs: use pg_dump for PostgreSQL and the store's own versioning or replication for S3"
    )]
    Elsewhere,
    /// The folder is no backup, or its manifest is damaged.
    #[error("{path} is no backup of candor: {what}", path = .path.display())]
    NotOne {
        /// Which folder.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// A file differs from what the manifest says.
    #[error("{path} is damaged: {what}", path = .path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// How.
        what: &'static str,
    },
}

pub(crate) fn failed(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::File { what, path, source }
}

/// What a backup is taken of.
pub struct Subject<'a> {
    /// The data dir.
    pub root: &'a Path,
    /// `meta.db`.
    pub meta: &'a Database,
    /// `lake.db`.
    pub catalog: &'a Database,
    /// The log, where it is open.
    pub log: Option<&'a Log>,
    /// The clock, for the manifest.
    pub clock: &'a dyn Clock,
    /// The keys of files: the manifest says what the copied log holds.
    pub keys: Arc<Keyring>,
}

/// Takes a backup of a running server into a new folder.
pub async fn create(app: &App, out: &Path) -> Result<Manifest, BackupError> {
    if app.objects_elsewhere {
        return Err(BackupError::Elsewhere);
    }
    // Two at once would share the staging folder.
    let _one_at_a_time = app.exporting.lock().await;
    let subject = Subject {
        root: app.data_dir.root(),
        meta: &app.meta,
        catalog: &app.catalog,
        log: Some(&app.log),
        clock: &*app.clock,
        keys: Arc::clone(&app.keyring),
    };
    take(&subject, out).await
}

/// Takes a backup. The manifest is written last: a folder without one is not a backup.
pub async fn take(subject: &Subject<'_>, out: &Path) -> Result<Manifest, BackupError> {
    if subject.meta.engine() != Engine::Sqlite {
        return Err(BackupError::Elsewhere);
    }
    if files::exists(out) {
        return Err(BackupError::Exists(out.to_owned()));
    }
    let data = out.join(DATA);
    files::create_folders(&data).map_err(failed("make", &data))?;
    let staging = subject.root.join(STAGING_FOLDER);
    let result = fill(subject, &data, &staging).await;
    let _ = files::remove_folder(&staging);
    match result {
        Ok(manifest) => {
            manifest.write(out)?;
            Ok(manifest)
        }
        Err(error) => {
            let _ = files::remove_folder(out);
            Err(error)
        }
    }
}

async fn fill(subject: &Subject<'_>, data: &Path, staging: &Path) -> Result<Manifest, BackupError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let starts = subject.log.map(log_starts).unwrap_or_default();
        for (database, name) in [(subject.catalog, CATALOG), (subject.meta, META)] {
            let copy = data.join(name);
            files::remove(&copy).map_err(failed("remove", &copy))?;
            database.copy_to(&copy).await.map_err(|error| BackupError::Database(name, error))?;
        }
        let linked = link_log(subject.root, staging)?;
        // What was trimmed since the databases were copied may be what their positions still ask for.
        if linked && starts == subject.log.map(log_starts).unwrap_or_default() {
            break;
        }
        if attempts == ATTEMPTS_MAX {
            return Err(BackupError::Busy);
        }
    }
    let keys: Arc<dyn KeyWrap> = Arc::<Keyring>::clone(&subject.keys);
    let (root, staging, data) = (subject.root.to_owned(), staging.to_owned(), data.to_owned());
    let now = subject.clock.now();
    let work = tokio::task::spawn_blocking(move || {
        link_below(&root, OBJECTS, &staging)?;
        let mut entries = copy::all(&staging, &data, is_journal)?;
        let instance = root.join(INSTANCE_FILE);
        entries.push(copy::one(&instance, &data.join(INSTANCE_FILE), INSTANCE_FILE)?);
        for name in [META, CATALOG] {
            entries.push(copy::measure(&data.join(name), name)?);
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        copy::sync_folders(&data)?;
        Ok(Manifest::new(now, entries, topics(&data, keys)?))
    });
    match work.await {
        Ok(done) => done,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Links the log's files into the staging folder; false where a compaction came in between.
fn link_log(root: &Path, staging: &Path) -> Result<bool, BackupError> {
    let _ = files::remove_folder(staging);
    files::create_folders(staging).map_err(failed("make", staging))?;
    let checkpoint = root.join(CHECKPOINT);
    let read = || match files::read_all(&checkpoint) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed("read", &checkpoint)(error)),
    };
    let before = read()?;
    link_below(root, JOURNAL, staging)?;
    link_below(root, &format!("{OBJECTS}/log"), staging)?;
    if before.is_some() {
        files::link(&checkpoint, &staging.join(CHECKPOINT)).map_err(failed("link", &checkpoint))?;
    }
    Ok(read()? == before)
}

/// Links every file below a folder that is not linked yet. What vanishes meanwhile is left out.
fn link_below(root: &Path, folder: &str, staging: &Path) -> Result<(), BackupError> {
    let from = root.join(folder);
    for relative in files::files_below(&from).map_err(failed("list", &from))? {
        let (source, target) = (from.join(&relative), staging.join(folder).join(&relative));
        match files::link(&source, &target) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            linked => linked.map_err(failed("link", &source))?,
        }
    }
    Ok(())
}

/// Journal files are written to while they are copied.
fn is_journal(path: &str) -> bool {
    path.starts_with(JOURNAL)
}

/// Where each topic begins that becomes a table: no database has a position in any other.
fn log_starts(log: &Log) -> Vec<(Topic, Offset)> {
    log.topics(None)
        .into_iter()
        .filter(|topic| topic.name.signal().is_some())
        .map(|topic| {
            let start = log.log_start(&topic, Partition(0));
            (topic, start)
        })
        .collect()
}

/// What the copied log holds.
fn topics(data: &Path, keys: Arc<dyn KeyWrap>) -> Result<Vec<TopicEnd>, BackupError> {
    let disk = RealDisk::open(data, 0).map_err(|error| BackupError::Log(error.into()))?;
    let bounds = inspect::bounds(&disk, Some(keys), Arc::new(OsRandom::new())).map_err(BackupError::Log)?;
    let topic = |held: inspect::Bounds| TopicEnd {
        project: held.topic.project.0,
        topic: held.topic.name.0,
        start: held.start.0,
        end: held.end.0,
    };
    Ok(bounds.into_iter().map(topic).collect())
}
