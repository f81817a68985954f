//! `candor verify ledger`: every entry, hash and checkpoint, beside a running server or in a stopped data dir.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use candor_keyring::Keyring;
use candor_ledger::verify::Verified;
use candor_meta::Database;
use serde_json::json;
use std::sync::Arc;

use crate::sources::OsRandom;
use crate::{data_dir, files, output};

/// Where PostgreSQL has the ledger's tables.
const META_SCHEMA: &str = "candor";

/// What to look through.
pub struct Request {
    /// The data dir.
    pub data_dir: PathBuf,
    /// A checkpoint that was kept outside.
    pub checkpoint: Option<PathBuf>,
    /// The root key, where it is not in the data dir.
    pub root_key: Option<PathBuf>,
    /// Where metadata is, where not in the data dir.
    pub metadata: Option<String>,
}

/// Runs the command.
pub async fn run(request: Request, as_json: bool) -> Result<()> {
    let root = &request.data_dir;
    if !data_dir::is_data_dir(root) {
        bail!("{} is no data dir\nname it with --data-dir", root.display());
    }
    let noted = data_dir::storage(root)?;
    let root_key = request.root_key.as_deref().or(noted.root_key.as_deref());
    let root_key = data_dir::read_root_key(&data_dir::root_key_path(root, root_key))?;
    let keyring = Keyring::new(&root_key, Arc::new(OsRandom::new()));
    let database = match (&request.metadata, noted.postgres) {
        (Some(url), _) => {
            Database::open_postgres(url, META_SCHEMA, &[]).await.context("--metadata: cannot open it")?
        }
        (None, true) => bail!("metadata is in PostgreSQL\nname it with --metadata, as serve has it"),
        (None, false) => sqlite(&root.join(crate::backup::META)).await?,
    };
    let outside: Vec<String> = match &request.checkpoint {
        Some(file) => {
            vec![files::read_text(file).with_context(|| format!("cannot read {}", file.display()))?]
        }
        None => Vec::new(),
    };
    let found = candor_ledger::verify::run(&database, &keyring, &outside)
        .await
        .context("cannot read the ledger: was this data dir served by this release?")?;
    database.close().await;
    print(&found, as_json)?;
    match found.faults.len() as u64 + found.more_faults {
        0 => Ok(()),
        faults => bail!(
            "{faults} faults in the ledger\nkeep this database as it is, and compare with a backup and with checkpoints kept outside"
        ),
    }
}

async fn sqlite(path: &Path) -> Result<Database> {
    if !files::exists(path) {
        bail!("{} is not there: the data dir was never served", path.display());
    }
    Database::open_sqlite(path, &[]).await.with_context(|| format!("cannot open {}", path.display()))
}

fn print(found: &Verified, as_json: bool) -> Result<()> {
    let root = found.root.map(|root| data_encoding::BASE64.encode(&root));
    if as_json {
        let faults: Vec<_> = found
            .faults
            .iter()
            .map(|fault| {
                json!({
                    "kind": fault.kind.name(),
                    "index": fault.index,
                    "until": fault.until,
                    "detail": fault.text,
                })
            })
            .collect();
        return output::json(&json!({
            "size": found.size,
            "root": root,
            "checkpoints": found.checkpoints,
            "details": found.details,
            "erased": found.erased,
            "faults": faults,
            "more_faults": found.more_faults,
        }));
    }
    output::line(&format!(
        "{} entries, {} checkpoints, {} details, {} erased; root {}",
        found.size,
        found.checkpoints,
        found.details,
        found.erased,
        root.as_deref().unwrap_or("of nothing")
    ))?;
    for fault in &found.faults {
        output::line(&format!("{}: {}", fault.kind.name(), fault.text))?;
    }
    Ok(())
}
