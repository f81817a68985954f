//! Restoring: every file is checked against the manifest while it is copied, and opened with the root key after.

use std::path::Path;

use super::copy;
use super::{BackupError, DATA, Manifest, failed};
use crate::files;

/// Copies a backup into a new data dir. Nothing is left behind where a file is damaged.
pub fn restore(backup: &Path, root: &Path) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(backup)?;
    let occupied = files::exists(root)
        && !files::names(root).map_err(failed("list", root))?.iter().all(|name| name == "root.key");
    if occupied {
        return Err(BackupError::Exists(root.to_owned()));
    }
    let made = !files::exists(root);
    files::create_folders(root).map_err(failed("make", root))?;
    let result = copy_all(&manifest, backup, root);
    if result.is_err() && made {
        let _ = files::remove_folder(root);
    }
    result.map(|()| manifest)
}

fn copy_all(manifest: &Manifest, backup: &Path, root: &Path) -> Result<(), BackupError> {
    for entry in &manifest.files {
        let source = backup.join(DATA).join(&entry.path);
        let damaged = |what| BackupError::Damaged { path: source.clone(), what };
        if !files::exists(&source) {
            return Err(damaged("it is missing"));
        }
        let copied = copy::one(&source, &root.join(&entry.path), &entry.path)?;
        if copied.bytes != entry.bytes {
            return Err(damaged("its length is not what the manifest says"));
        }
        if copied.sha256 != entry.sha256 {
            return Err(damaged("its content is not what the manifest says"));
        }
    }
    copy::sync_folders(root)
}
