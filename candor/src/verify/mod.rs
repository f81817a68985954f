//! `candor verify storage`: every stored file opened with live keys.
//!
//! It reads a data dir beside a running server or a stopped one, and writes nothing into it. Files that Candor did
//! not make are left out; files that vanish meanwhile were merged or trimmed and are left out too. With
//! `--decrypt-to` each file is written out in the clear, so that a search can prove what is not there.

mod decrypt;
mod journal;
pub mod ledger;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candor_keyring::Keyring;
use candor_model::Random;
use candor_store::{DiskObjects, FileKind, Files, ObjectError, Objects, RealDisk, S3Objects, StoreError};
use serde_json::json;

use crate::sources::OsRandom;
use crate::{data_dir, files, output};
use decrypt::Writer;

/// Read from a file at once, bytes.
const PIECE_BYTES: u64 = 1 << 20;

/// Faults that are listed; the rest is counted.
const FAULTS_SHOWN_MAX: usize = 100;

/// What to check.
pub struct Request {
    /// The data dir.
    pub data_dir: PathBuf,
    /// Where to write everything in the clear.
    pub decrypt_to: Option<PathBuf>,
    /// The root key, where it is not in the data dir.
    pub root_key: Option<PathBuf>,
    /// Where objects are, where not in the data dir.
    pub objects: Option<String>,
    /// Where metadata is. Only named so that one set of flags serves both commands: keys of files need none.
    pub metadata: Option<String>,
}

impl Request {
    /// A data dir that holds everything itself.
    pub fn of(data_dir: PathBuf) -> Request {
        Request { data_dir, decrypt_to: None, root_key: None, objects: None, metadata: None }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Where the files are.
    pub place: String,
    /// Files that opened.
    pub files: u64,
    /// Their content, bytes.
    pub bytes: u64,
    /// Records in them.
    pub records: u64,
    /// Files that Candor did not make.
    pub foreign: u64,
    /// What does not open, or does not read.
    pub faults: Vec<String>,
}

/// Runs the command.
pub async fn run(request: Request, as_json: bool) -> Result<()> {
    let checked = check(&request).await?;
    if as_json {
        output::json(&json!({
            "place": checked.place,
            "files": checked.files,
            "bytes": checked.bytes,
            "records": checked.records,
            "foreign": checked.foreign,
            "faults": checked.faults,
        }))?;
    } else {
        output::line(&format!(
            "{}: {} files open, {} bytes, {} records; {} files are not ours",
            checked.place, checked.files, checked.bytes, checked.records, checked.foreign
        ))?;
        for fault in checked.faults.iter().take(FAULTS_SHOWN_MAX) {
            output::line(fault)?;
        }
    }
    match checked.faults.len() {
        0 => Ok(()),
        faults => {
            bail!("{faults} files do not open\nrestore a backup, or ask which key they were written under")
        }
    }
}

/// Opens everything.
pub async fn check(request: &Request) -> Result<Checked> {
    let root = &request.data_dir;
    if !data_dir::is_data_dir(root) {
        bail!("{} is no data dir\nname it with --data-dir", root.display());
    }
    let noted = data_dir::storage(root)?;
    let root_key = request.root_key.as_deref().or(noted.root_key.as_deref());
    let root_key = data_dir::read_root_key(&data_dir::root_key_path(root, root_key))?;
    let random: Arc<dyn Random> = Arc::new(OsRandom::new());
    let keys = Arc::new(Keyring::new(&root_key, Arc::clone(&random)));
    let disk: Arc<RealDisk> =
        Arc::new(RealDisk::open(root, 0).with_context(|| format!("cannot open {}", root.display()))?);
    let elsewhere = request.objects.as_ref().or(noted.objects.as_ref());
    let objects: Arc<dyn Objects> =
        match elsewhere {
            Some(url) => Arc::new(S3Objects::from_url(url).with_context(|| {
                format!("cannot open {url}: check the AWS_… variables, as serve has them")
            })?),
            None => Arc::new(DiskObjects::new(Arc::<RealDisk>::clone(&disk), crate::backup::OBJECTS)),
        };
    let store = Files::new(Arc::clone(&objects), Some(Arc::<Keyring>::clone(&keys)), random);
    let mut writer = match &request.decrypt_to {
        Some(folder) => Some(Writer::new(folder)?),
        None => None,
    };
    let place = elsewhere.map_or_else(|| root.display().to_string(), Clone::clone);
    let mut checked = Checked { place, ..Checked::default() };
    for key in objects.list("").await.with_context(|| format!("cannot list {}", checked.place))? {
        if !is_ours(&key) {
            checked.foreign += 1;
            continue;
        }
        match object(&store, &key, writer.as_mut()).await {
            Ok(Some((bytes, records))) => {
                checked.files += 1;
                checked.bytes += bytes;
                checked.records += records;
            }
            Ok(None) => {}
            Err(error) => checked.faults.push(format!("{key}: {error:#}")),
        }
    }
    journal::check(&*disk, &keys, root, writer.as_mut(), &mut checked)?;
    if let Some(writer) = writer {
        writer.finish()?;
    }
    Ok(checked)
}

/// The names that we give.
fn is_ours(key: &str) -> bool {
    let hex = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    match key.split_once('/') {
        // Those of a cluster tell when they were made, before the dash.
        Some(("log", name)) => name.split('-').all(hex),
        Some(("lake", rest)) => rest.ends_with(".parquet") || rest.ends_with(".sidecar"),
        Some(("blob", _)) => true,
        _ => false,
    }
}

/// Opens one object and reads it whole; its length and records. `None` where it vanished meanwhile.
async fn object(store: &Files, key: &str, writer: Option<&mut Writer>) -> Result<Option<(u64, u64)>> {
    let file = match store.open(key).await {
        Err(StoreError::Object(ObjectError::NotFound(_))) => return Ok(None),
        opened => opened?,
    };
    let mut content = Vec::with_capacity(usize::try_from(file.length()).unwrap_or(0));
    let mut at = 0;
    while at < file.length() {
        let piece = match file.read(at..(at + PIECE_BYTES).min(file.length())).await {
            Err(StoreError::Object(ObjectError::NotFound(_))) => return Ok(None),
            read => read?,
        };
        if piece.is_empty() {
            bail!("it ends early");
        }
        at += piece.len() as u64;
        content.extend_from_slice(&piece);
    }
    let (length, kind) = (content.len() as u64, file.kind());
    let content = bytes::Bytes::from(content);
    let mut rows = match &writer {
        Some(writer) => Some(writer.rows(key)?),
        None => None,
    };
    let records = match kind {
        FileKind::Parquet => decrypt::parquet(content.clone(), rows.as_mut())?,
        FileKind::Segment => {
            let batches = candor_log::inspect::segment(content.clone()).context("it is no segment")?;
            // The batches are compressed within: what is searched must not be. The footer holds names and numbers.
            if let Some(writer) = &writer {
                writer.stored(key, &batches)?;
            }
            decrypt::batches(&batches, rows.as_mut())?
        }
        _ => 0,
    };
    if let Some(writer) = writer.filter(|_| kind != FileKind::Segment) {
        writer.content(key, &content)?;
    }
    Ok(Some((length, records)))
}

/// The files of the log that lie beside the objects.
fn log_files(root: &std::path::Path) -> Result<Vec<String>> {
    let folder = root.join("log");
    if !files::is_folder(&folder) {
        return Ok(Vec::new());
    }
    let below = files::files_below(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    Ok(below.into_iter().map(|path| format!("log/{}", path.to_string_lossy())).collect())
}
