//! The journal and the checkpoint, which lie on the disk itself and not among the objects.

use std::path::Path;

use anyhow::Result;
use candor_keyring::Keyring;
use candor_log::{OpenError, inspect};
use candor_store::{Disk, DiskError, open_file};

use super::decrypt::{self, Writer};
use super::{Checked, log_files};
use crate::files;

/// Opens every file of the journal, and the checkpoint.
pub(super) fn check(
    disk: &dyn Disk,
    keys: &Keyring,
    root: &Path,
    mut writer: Option<&mut Writer>,
    checked: &mut Checked,
) -> Result<()> {
    for path in log_files(root)? {
        let result = if path.ends_with(".journal") {
            journal(disk, keys, &path, writer.as_deref_mut())
        } else if path == "log/checkpoint" {
            checkpoint(keys, root, &path, writer.as_deref_mut())
        } else {
            checked.foreign += 1;
            continue;
        };
        match result {
            Ok(Some((bytes, records))) => {
                checked.files += 1;
                checked.bytes += bytes;
                checked.records += records;
            }
            Ok(None) => {}
            Err(error) => checked.faults.push(format!("{path}: {error:#}")),
        }
    }
    Ok(())
}

fn journal(
    disk: &dyn Disk,
    keys: &Keyring,
    path: &str,
    writer: Option<&mut Writer>,
) -> Result<Option<(u64, u64)>> {
    let frames = match inspect::journal(disk, path, Some(keys)) {
        Err(OpenError::Disk(DiskError::NotFound(_))) => return Ok(None),
        read => read?,
    };
    let mut rows = match &writer {
        Some(writer) => Some(writer.rows(path)?),
        None => None,
    };
    let records = decrypt::batches(&frames, rows.as_mut())?;
    if let Some(writer) = writer {
        writer.stored(path, &frames)?;
    }
    let bytes = frames.iter().map(|batch| batch.batch.len() as u64).sum();
    Ok(Some((bytes, records)))
}

fn checkpoint(
    keys: &Keyring,
    root: &Path,
    path: &str,
    writer: Option<&mut Writer>,
) -> Result<Option<(u64, u64)>> {
    let stored = match files::read_all(&root.join(path)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        read => read?,
    };
    let (_, content) = open_file(path, stored, Some(keys))?;
    if let Some(writer) = writer {
        writer.content(path, &content)?;
    }
    Ok(Some((content.len() as u64, 0)))
}
