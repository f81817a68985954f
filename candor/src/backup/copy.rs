//! Copying files with their digests.

use std::io::{Read, Write};
use std::path::Path;

use ring::digest::{Context, SHA256};

use super::{BackupError, Entry, failed};
use crate::files;

/// Copied at once, bytes.
const PIECE_BYTES: usize = 1 << 20;

/// A growing file is read from its end to its start in pieces of this size: a page.
///
/// The journal is written front to back and a frame only after the one before it is on stable storage. Read front to
/// back beside that, a copy could hold a later frame and miss an earlier one; read back to front it cannot.
const PAGE_BYTES: usize = 4096;

/// Copies every file below `from`. `grows` says which are written to meanwhile.
pub(super) fn all(from: &Path, to: &Path, grows: impl Fn(&str) -> bool) -> Result<Vec<Entry>, BackupError> {
    let mut relative = files::files_below(from).map_err(failed("list", from))?;
    // Newer journal files before older ones, for the same reason as above.
    relative.reverse();
    let mut entries = Vec::with_capacity(relative.len());
    for path in relative {
        let name = path.to_string_lossy().into_owned();
        let (source, target) = (from.join(&path), to.join(&path));
        entries.push(if grows(&name) {
            growing(&source, &target, &name)?
        } else {
            one(&source, &target, &name)?
        });
    }
    Ok(entries)
}

/// Copies one file that does not change.
pub(super) fn one(from: &Path, to: &Path, name: &str) -> Result<Entry, BackupError> {
    let mut reader = files::open(from).map_err(failed("read", from))?;
    let mut writer = create(to)?;
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let read = reader.read(&mut piece).map_err(failed("read", from))?;
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        writer.write_all(read).map_err(failed("write", to))?;
        bytes += read.len() as u64;
    }
    writer.sync_all().map_err(failed("sync", to))?;
    Ok(Entry { path: name.to_owned(), bytes, sha256: hex(digest) })
}

/// Copies a file that grows, from its end to its start.
fn growing(from: &Path, to: &Path, name: &str) -> Result<Entry, BackupError> {
    let content = files::read_backwards(from, PAGE_BYTES).map_err(failed("read", from))?;
    let mut writer = create(to)?;
    writer.write_all(&content).and_then(|()| writer.sync_all()).map_err(failed("write", to))?;
    let mut digest = Context::new(&SHA256);
    digest.update(&content);
    Ok(Entry { path: name.to_owned(), bytes: content.len() as u64, sha256: hex(digest) })
}

/// The entry of a file that is in place already.
pub(super) fn measure(path: &Path, name: &str) -> Result<Entry, BackupError> {
    let mut reader = files::open(path).map_err(failed("read", path))?;
    let mut digest = Context::new(&SHA256);
    let mut piece = vec![0; PIECE_BYTES];
    let mut bytes = 0;
    loop {
        let read = reader.read(&mut piece).map_err(failed("read", path))?;
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
        digest.update(read);
        bytes += read.len() as u64;
    }
    reader.sync_all().map_err(failed("sync", path))?;
    Ok(Entry { path: name.to_owned(), bytes, sha256: hex(digest) })
}

/// Makes the names of the files durable.
pub(super) fn sync_folders(root: &Path) -> Result<(), BackupError> {
    files::sync_folders(root).map_err(failed("sync", root))
}

fn create(path: &Path) -> Result<files::File, BackupError> {
    if let Some(folder) = path.parent() {
        files::create_folders(folder).map_err(failed("make", folder))?;
    }
    files::create(path).map_err(failed("write", path))
}

fn hex(digest: Context) -> String {
    data_encoding::HEXLOWER.encode(digest.finish().as_ref())
}
