//! The few files that are the program's own: lock, keys, addresses, configuration, what commands write for people.
//!
//! The one module outside `store` that touches `std::fs`. Payloads do not pass here: those go through
//! `candor_store`, in frames.
#![allow(clippy::disallowed_methods, reason = "this module is where the rule says such calls live")]

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

pub use std::fs::File;

/// True where something is at the path.
pub fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// True for a folder.
pub fn is_folder(path: &Path) -> bool {
    path.is_dir()
}

/// True for a file, not for a folder, a pipe or a device; what a link points to counts.
pub fn is_file(path: &Path) -> bool {
    path.is_file()
}

/// A file's length, bytes.
pub fn length(path: &Path) -> io::Result<u64> {
    fs::metadata(path).map(|metadata| metadata.len())
}

/// Reads a text file, at most 16 MiB of it: these are keys and configuration.
pub fn read_text(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(16 << 20).read_to_string(&mut text)?;
    Ok(text)
}

/// Reads a file whole.
pub fn read_all(path: &Path) -> io::Result<Vec<u8>> {
    fs::read(path)
}

/// Opens a file to read.
pub fn open(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Creates or replaces a file for reading by everyone the umask allows.
pub fn create(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// Makes folders for the owner alone.
pub fn create_folders(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The whole path of a file, with links resolved; where it does not exist, of its folder.
pub fn absolute(path: &Path) -> io::Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) => Ok(path),
        Err(_) => std::path::absolute(path),
    }
}

/// Removes a file; its absence is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Empties a folder but for one name.
pub fn remove_all_but(folder: &Path, kept: &str) -> io::Result<()> {
    for name in names(folder)?.iter().filter(|name| *name != kept) {
        let path = folder.join(name);
        if is_folder(&path) { remove_folder(&path)? } else { remove(&path)? }
    }
    Ok(())
}

/// Sets the mode of a file or folder.
#[cfg(test)]
pub fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
}

/// Keeps everyone but the owner out of a folder; false where it is another user's, whose to say that is.
pub fn close_folder(path: &Path) -> io::Result<bool> {
    if !is_exposed(path)? {
        return Ok(true);
    }
    match fs::set_permissions(path, fs::Permissions::from_mode(0o700)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a folder and what is in it.
pub fn remove_folder(path: &Path) -> io::Result<()> {
    fs::remove_dir_all(path)
}

/// Writes a file that others never see in part: beside it, synced, renamed over it, the folder synced.
pub fn write_whole(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = folder.join(name);
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(mode).open(&temporary)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// Writes a file for the owner alone.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    write_whole(path, content, 0o600)
}

/// True where group or others may read the file.
pub fn is_exposed(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.permissions().mode() & 0o077 != 0)
}

/// Names in a folder, sorted.
pub fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<io::Result<Vec<String>>>()?;
    names.sort();
    Ok(names)
}

/// Every file below a folder, as paths relative to it, sorted. What vanishes meanwhile is left out.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut waiting = vec![PathBuf::new()];
    while let Some(relative) = waiting.pop() {
        let entries = match fs::read_dir(folder.join(&relative)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let path = relative.join(entry.file_name());
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => waiting.push(path),
                Ok(kind) if kind.is_file() => found.push(path),
                _ => {}
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Opens the lock file and takes the lock; `None` where another process has it.
pub fn lock(path: &Path) -> io::Result<Option<File>> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Links a file under a second name, making its folders.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    if let Some(folder) = to.parent() {
        create_folders(folder)?;
    }
    fs::hard_link(from, to)
}

/// A file's content, read from its end to its start in pieces of `piece` bytes. The length is what it was at first; what
/// is cut off its end meanwhile reads as zeros.
pub fn read_backwards(path: &Path, piece: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    read_back(&file, length, piece)
}

fn read_back(file: &File, length: usize, piece: usize) -> io::Result<Vec<u8>> {
    let mut content = vec![0; length];
    let mut end = content.len();
    while end > 0 {
        let begin = (end - 1) / piece * piece;
        if let Some(target) = content.get_mut(begin..end) {
            read_at_most(file, target, begin as u64)?;
        }
        end = begin;
    }
    Ok(content)
}

/// Fills `target` from an offset of the file; what lies behind the file's end stays as it is.
fn read_at_most(file: &File, mut target: &mut [u8], mut from: u64) -> io::Result<()> {
    use std::os::unix::fs::FileExt;
    while !target.is_empty() {
        match file.read_at(target, from) {
            Ok(0) => return Ok(()),
            Ok(read) => {
                target = target.get_mut(read..).unwrap_or_default();
                from += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes the entries of a folder and of those below it durable.
pub fn sync_folders(root: &Path) -> io::Result<()> {
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
        File::open(&folder)?.sync_all()?;
    }
    Ok(())
}

/// Makes a file that takes so many bytes of the device.
pub fn allocate(path: &Path, bytes: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let allocated = match rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes) {
        Err(rustix::io::Errno::OPNOTSUPP) => io::copy(&mut io::repeat(0).take(bytes), &mut file).map(|_| ()),
        other => other.map_err(io::Error::from),
    };
    if allocated.is_err() {
        // Half a reserve would look like a whole one.
        let _ = fs::remove_file(path);
    }
    allocated
}

/// Bytes free on the file system of a folder, for whoever is not root.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// The size of the file system of a folder.
pub fn device_bytes(folder: &Path) -> io::Result<u64> {
    let stat = rustix::fs::statvfs(folder)?;
    Ok(stat.f_blocks.saturating_mul(stat.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_files_are_private_and_replaced_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("key");
        write_private(&path, b"one").expect("writes");
        write_private(&path, b"two").expect("writes again");
        assert_eq!(read_text(&path).expect("reads"), "two");
        assert!(!is_exposed(&path).expect("has a mode"));
        assert_eq!(names(folder.path()).expect("lists"), ["key"]);
    }

    #[test]
    fn reading_backwards_gives_the_same_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for length in [0, 1, 4095, 4096, 4097, 10_000] {
            let content: Vec<u8> = (0..length).map(|n| n as u8).collect();
            write_private(&path, &content).expect("writes");
            assert_eq!(read_backwards(&path, 4096).expect("reads"), content, "{length}");
        }
    }

    #[test]
    fn what_is_cut_off_while_it_is_read_is_zeros() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("file");
        for (kept, length) in [(0, 10_000), (1, 4096), (4096, 10_000), (5000, 10_000), (5000, 5001)] {
            let content: Vec<u8> = (0..length).map(|n| (n % 255 + 1) as u8).collect();
            write_private(&path, &content).expect("writes");
            let file = OpenOptions::new().read(true).write(true).open(&path).expect("opens");
            file.set_len(kept as u64).expect("cuts");
            let mut expected = content;
            expected.truncate(kept);
            expected.resize(length, 0);
            assert_eq!(read_back(&file, length, 4096).expect("reads"), expected, "{kept} of {length}");
        }
    }

    #[test]
    fn a_lock_is_taken_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lock");
        let held = lock(&path).expect("locks");
        assert!(held.is_some());
        assert!(lock(&path).expect("tries").is_none());
        drop(held);
        assert!(lock(&path).expect("tries").is_some());
    }
}
