//! `candor backup create` and `restore`.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use candor_keyring::Keyring;
use candor_meta::Database;
use reqwest::Method;
use serde_json::{Value, json};

use super::{BackupError, CATALOG, META, Subject, restore as copy_back, take};
use crate::cli::Global;
use crate::client::Client;
use crate::data_dir::{self, DataDir, DataDirError};
use crate::sources::{OsRandom, WallClock};
use crate::{files, output, verify};

/// Takes a backup: through the server where one runs, from the stopped data dir otherwise.
pub async fn create(global: &Global, dir: &Path) -> Result<()> {
    let dir = files::absolute(dir).with_context(|| format!("cannot find {}", dir.display()))?;
    let root = &global.data_dir;
    let manifest = match stopped(global)? {
        Some(_lock) => {
            let noted = data_dir::storage(root)?;
            if noted.is_elsewhere() {
                return Err(BackupError::Elsewhere.into());
            }
            let key = data_dir::read_root_key(&data_dir::root_key_path(root, noted.root_key.as_deref()))?;
            let keys = Arc::new(Keyring::new(&key, Arc::new(OsRandom::new())));
            let open = |name: &'static str| async move {
                Database::open_sqlite(&root.join(name), &[])
                    .await
                    .with_context(|| format!("cannot open {name}"))
            };
            let (meta, catalog) = (open(META).await?, open(CATALOG).await?);
            let clock = WallClock::system();
            let subject = Subject { root, meta: &meta, catalog: &catalog, log: None, clock: &clock, keys };
            serde_json::to_value(take(&subject, &dir).await?)?
        }
        None => {
            let client = Client::find(global)?;
            client.call(Method::POST, "/api/v1/backup", Some(&json!({ "dir": dir }))).await?
        }
    };
    if global.json {
        return output::json(&manifest);
    }
    let number = |name: &str| manifest.get(name).and_then(Value::as_u64).unwrap_or_default();
    output::line(&format!(
        "{} files, {} bytes in {}",
        number("file_count"),
        number("total_bytes"),
        dir.display()
    ))?;
    eprintln!("The root key is not in it: keep a copy of it elsewhere, or nothing here can be read.");
    Ok(())
}

/// The lock of a data dir that no server runs in.
fn stopped(global: &Global) -> Result<Option<DataDir>> {
    if global.server.is_some() || !data_dir::is_data_dir(&global.data_dir) {
        return Ok(None);
    }
    match DataDir::open(&global.data_dir, false) {
        Ok(dir) => Ok(Some(dir)),
        Err(DataDirError::InUse(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes a data dir from a backup.
pub async fn restore(global: &Global, dir: &Path, root_key: Option<&Path>) -> Result<()> {
    let root = &global.data_dir;
    let given = data_dir::root_key_path(root, root_key);
    if !files::exists(&given) {
        bail!(
            "{}: no such file; the root key is needed and is never in a backup\nname the file of the backed-up instance with --root-key",
            given.display()
        );
    }
    // Read before anything is copied: a wrong file should cost nothing.
    let key = data_dir::read_root_key(&given)?;
    let manifest = copy_back(dir, root)?;
    let own = data_dir::root_key_path(root, None);
    if given != own {
        files::write_private(&own, key.to_file().as_bytes())
            .with_context(|| format!("cannot write {}", own.display()))?;
    }
    let checked = verify::check(&verify::Request::of(root.clone())).await?;
    if let Some(fault) = checked.faults.first() {
        // A second try with another key or backup finds the place as this one did.
        files::remove_all_but(root, "root.key")
            .with_context(|| format!("cannot clear {}", root.display()))?;
        if given != own {
            files::remove(&own).with_context(|| format!("cannot clear {}", own.display()))?;
        }
        bail!(
            "the backup was copied to {} but does not open: {fault}\nis it the root key of that instance?",
            root.display()
        );
    }
    if global.json {
        return output::json(&json!({
            "data_dir": root, "files": manifest.file_count, "bytes": manifest.total_bytes,
            "created_at": manifest.created_at, "opened": checked.files,
        }));
    }
    output::line(&format!(
        "{} files of {} are in {} and open with the root key: candor serve --data-dir {}",
        manifest.file_count,
        manifest.created_at,
        root.display(),
        root.display()
    ))
}
