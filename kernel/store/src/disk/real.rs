//! The operating system's files. Syncs are fdatasync; a folder's entries are synced by fsync on the folder.
#![allow(clippy::disallowed_methods, reason = "this is where files are touched")]

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, FlockOperation};

use super::{Disk, DiskError, DiskFile};

/// Files of the operating system below one directory. Cheap to clone.
#[derive(Clone)]
pub struct RealDisk {
    root: Arc<Root>,
    reserve: u64,
}

struct Root {
    path: PathBuf,
    /// Folders made by us whose own entry in their parent is not synced yet.
    unsynced: Mutex<BTreeSet<PathBuf>>,
}

impl RealDisk {
    /// The disk below `root`, created if absent. Data writes that would leave less than `reserve` bytes free on the
    /// device get [`DiskError::Full`].
    pub fn open(root: &Path, reserve: u64) -> Result<RealDisk, DiskError> {
        let disk = RealDisk {
            root: Arc::new(Root { path: root.to_owned(), unsynced: Mutex::new(BTreeSet::new()) }),
            reserve,
        };
        if !root.is_dir() {
            disk.root.create_folders(root).map_err(failed("create", "."))?;
            disk.root.sync_parents(root).map_err(failed("sync", "."))?;
        }
        Ok(disk)
    }

    /// Locks the directory for this process; [`DiskError::Locked`] while another holds it. Held until dropped.
    pub fn lock(&self) -> Result<DiskLock, DiskError> {
        let path = self.root.path.join("lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed("open", "lock"))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DiskLock { _file: file }),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(DiskError::Locked(self.root.path.display().to_string()))
            }
            Err(error) => Err(failed("lock", "lock")(error.into())),
        }
    }

    fn path(&self, path: &str) -> Result<PathBuf, DiskError> {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        if !inside {
            let error = std::io::Error::new(ErrorKind::InvalidInput, "the path leaves the directory");
            return Err(failed("resolve", path)(error));
        }
        Ok(self.root.path.join(path))
    }
}

impl Root {
    fn free_bytes(&self) -> Result<u64, DiskError> {
        let device = rustix::fs::statvfs(&self.path).map_err(|error| failed("statvfs", ".")(error.into()))?;
        Ok(device.f_bavail.saturating_mul(device.f_frsize))
    }

    /// Makes a folder and its parents, and remembers which of them are new.
    fn create_folders(&self, folder: &Path) -> std::io::Result<()> {
        let mut missing = Vec::new();
        let mut at = folder;
        while !at.is_dir() {
            missing.push(at.to_owned());
            match at.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => at = parent,
                _ => break,
            }
        }
        for folder in missing.into_iter().rev() {
            match fs::create_dir(&folder) {
                Ok(()) => {
                    self.unsynced.lock().insert(folder);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Makes the entries durable that lead to `folder`, as far as they are new.
    fn sync_parents(&self, folder: &Path) -> std::io::Result<()> {
        let new: Vec<PathBuf> = {
            let unsynced = self.unsynced.lock();
            folder.ancestors().filter(|path| unsynced.contains(*path)).map(Path::to_owned).collect()
        };
        for folder in new {
            let parent = match folder.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent,
                _ => Path::new("."),
            };
            File::open(parent)?.sync_all()?;
            self.unsynced.lock().remove(&folder);
        }
        Ok(())
    }
}

impl Disk for RealDisk {
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let whole = self.path(path)?;
        let open = || OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&whole);
        let file = match open() {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                if let Some(folder) = whole.parent() {
                    self.root.create_folders(folder).map_err(failed("create the folder", path))?;
                }
                open()
            }
            done => done,
        };
        let file = file.map_err(|error| match error.kind() {
            ErrorKind::AlreadyExists => DiskError::Exists(path.to_owned()),
            _ => failed("create", path)(error),
        })?;
        Ok(Arc::new(self.file(file, path, 0)))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let whole = self.path(path)?;
        // A reader beside the server, or a backup on a read-only mount, may not write.
        let file = match OpenOptions::new().read(true).write(true).open(&whole) {
            Err(error)
                if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) =>
            {
                File::open(&whole)
            }
            done => done,
        }
        .map_err(failed("open", path))?;
        let length = file.metadata().map_err(failed("stat", path))?.len();
        Ok(Arc::new(self.file(file, path, length)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let (source, target) = (self.path(from)?, self.path(to)?);
        match fs::rename(&source, &target) {
            Err(error) if error.kind() == ErrorKind::NotFound && source.exists() => {
                if let Some(folder) = target.parent() {
                    self.root.create_folders(folder).map_err(failed("create the folder", to))?;
                }
                fs::rename(&source, &target)
            }
            done => done,
        }
        .map_err(failed("rename", from))
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        super::gentle::remove(&self.path(path)?).map_err(failed("remove", path))
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let mut folders = vec![folder.to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            let entries = match fs::read_dir(self.path(&folder)?) {
                Ok(entries) => entries,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(failed("list", &folder)(error)),
            };
            for entry in entries {
                let entry = entry.map_err(failed("list", &folder))?;
                // What has no UTF-8 name is not ours.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                if entry.file_type().map_err(failed("stat", &path))?.is_dir() {
                    folders.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        files.sort_unstable();
        Ok(files)
    }

    fn sync_dir(&self, folder: &str) -> Result<(), DiskError> {
        let path = self.path(folder)?;
        File::open(&path).and_then(|folder| folder.sync_all()).map_err(failed("sync the folder", folder))?;
        self.root.sync_parents(&path).map_err(failed("sync the folder", folder))
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        Ok(self.root.free_bytes()?.saturating_sub(self.reserve))
    }

    fn privileged(&self) -> Arc<dyn Disk> {
        Arc::new(RealDisk { root: Arc::clone(&self.root), reserve: 0 })
    }
}

impl RealDisk {
    fn file(&self, file: File, path: &str, length: u64) -> RealFile {
        RealFile { file, path: path.to_owned(), disk: self.clone(), allocated: AtomicU64::new(length) }
    }
}

struct RealFile {
    file: File,
    path: String,
    disk: RealDisk,
    /// Bytes from the start that need no new space: writes there are not measured against the reserve.
    allocated: AtomicU64,
}

impl RealFile {
    /// Refuses growth that would eat the reserve.
    fn make_room(&self, end: u64) -> Result<(), DiskError> {
        let growth = end.saturating_sub(self.allocated.load(Ordering::Relaxed));
        if growth > 0 && self.disk.root.free_bytes()? < self.disk.reserve.saturating_add(growth) {
            return Err(DiskError::Full);
        }
        Ok(())
    }
}

impl DiskFile for RealFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        let end = at + bytes.len() as u64;
        self.make_room(end)?;
        self.file.write_all_at(bytes, at).map_err(failed("write", &self.path))?;
        self.allocated.fetch_max(end, Ordering::Relaxed);
        Ok(())
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, DiskError> {
        let mut done = 0;
        while let Some(rest) = buffer.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, at + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(failed("read", &self.path)(error)),
            }
        }
        Ok(done)
    }

    fn sync(&self) -> Result<(), DiskError> {
        // fdatasync. An error is not retried here: the kernel has forgotten which pages were dirty.
        self.file.sync_data().map_err(failed("sync", &self.path))
    }

    fn preallocate(&self, length: u64) -> Result<(), DiskError> {
        self.make_room(length)?;
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, length) {
            Ok(()) => {}
            // Not every file system has it: write the zeros.
            Err(rustix::io::Errno::OPNOTSUPP) => self.fill_with_zeros(length)?,
            Err(error) => return Err(failed("preallocate", &self.path)(error.into())),
        }
        self.allocated.fetch_max(length, Ordering::Relaxed);
        Ok(())
    }

    fn set_length(&self, length: u64) -> Result<(), DiskError> {
        self.file.set_len(length).map_err(failed("cut", &self.path))?;
        self.allocated.fetch_min(length, Ordering::Relaxed);
        Ok(())
    }

    fn length(&self) -> Result<u64, DiskError> {
        Ok(self.file.metadata().map_err(failed("stat", &self.path))?.len())
    }
}

impl RealFile {
    fn fill_with_zeros(&self, length: u64) -> Result<(), DiskError> {
        let zeros = vec![0; 1 << 20];
        let mut at = self.length()?;
        while at < length {
            let part = usize::try_from(length - at).unwrap_or(usize::MAX).min(zeros.len());
            let zeros = zeros.get(..part).unwrap_or_default();
            self.file.write_all_at(zeros, at).map_err(failed("preallocate", &self.path))?;
            at += part as u64;
        }
        Ok(())
    }
}

/// The right to write below a directory, for one process at a time.
pub struct DiskLock {
    _file: File,
}

fn failed(operation: &'static str, path: &str) -> impl FnOnce(std::io::Error) -> DiskError {
    let path = path.to_owned();
    move |source| match source.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DiskError::Full,
        ErrorKind::NotFound => DiskError::NotFound(path),
        _ => DiskError::Io { operation, path, source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_written_renamed_listed_and_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::open(&folder.path().join("a/b"), 0).expect("opens");
        let file = disk.create("x/y/one.tmp").expect("creates");
        file.preallocate(10_000).expect("preallocates");
        assert_eq!(file.length().expect("length"), 10_000);
        file.write_at(b"hello", 3).expect("writes");
        file.sync().expect("syncs");
        disk.rename("x/y/one.tmp", "x/z/one").expect("renames");
        disk.sync_dir("x/z").expect("syncs");
        assert!(disk.root.unsynced.lock().iter().all(|path| path.ends_with("y")), "parents are synced");
        assert_eq!(disk.list("x").expect("lists"), ["x/z/one"]);
        assert!(matches!(disk.create("x/z/one"), Err(DiskError::Exists(_))));
        let mut buffer = [9; 8];
        assert_eq!(disk.open("x/z/one").expect("opens").read_at(&mut buffer, 2).expect("reads"), 8);
        assert_eq!(&buffer, b"\0hello\0\0");
        file.set_length(4).expect("cuts");
        assert_eq!(file.read_at(&mut buffer, 2).expect("reads"), 2);
        disk.remove("x/z/one").expect("removes");
        assert!(matches!(disk.open("x/z/one"), Err(DiskError::NotFound(_))));
        assert_eq!(disk.list("nowhere").expect("lists"), Vec::<String>::new());
    }

    #[test]
    fn paths_stay_inside() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::open(folder.path(), 0).expect("opens");
        assert!(disk.create("../outside").is_err());
        assert!(disk.create("/etc/outside").is_err());
    }

    #[test]
    fn the_reserve_refuses_growth_but_not_writes_in_place() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::open(folder.path(), 0).expect("opens");
        let file = disk.create("file").expect("creates");
        file.preallocate(4096).expect("preallocates");
        let tight = RealDisk { reserve: u64::MAX, ..disk.clone() };
        let file = tight.open("file").expect("opens");
        file.write_at(b"in place", 0).expect("writes");
        assert!(matches!(file.write_at(b"beyond", 4096), Err(DiskError::Full)));
        assert!(matches!(file.preallocate(8192), Err(DiskError::Full)));
        assert_eq!(tight.free_bytes().expect("free"), 0);
        tight.privileged().open("file").expect("opens").write_at(b"beyond", 4096).expect("writes");
    }

    #[test]
    fn a_directory_is_locked_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = RealDisk::open(folder.path(), 0).expect("opens");
        let lock = disk.lock().expect("locks");
        assert!(matches!(disk.lock(), Err(DiskError::Locked(_))));
        drop(lock);
        disk.lock().expect("locks again");
    }
}
