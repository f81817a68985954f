//! Objects as files: written under a temporary name, synced, renamed, and the folder synced.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::{ObjectError, Objects};
use crate::{Disk, DiskError};

/// Where objects lie until they are whole. A name that no key has: keys hold no dots at the start of a part.
const UNFINISHED: &str = ".unfinished";

/// Written and synced at once, bytes: whoever waits for the device meanwhile, as the journal does, waits for so much.
const PIECE: usize = 1 << 20;

/// Objects as files of a [`crate::Disk`], in one folder of it. Cheap to clone.
#[derive(Clone)]
pub struct DiskObjects {
    inner: Arc<Inner>,
    /// False runs calls where they are made: for the simulation, which has one thread.
    blocking_threads: bool,
}

struct Inner {
    disk: Arc<dyn Disk>,
    folder: String,
    /// Keys being put: two puts of one key must not both find it free.
    busy: Mutex<HashSet<String>>,
    next_name: AtomicU64,
}

impl DiskObjects {
    /// Objects in `folder`. Calls run on the blocking threads of the current tokio runtime.
    pub fn new(disk: Arc<dyn Disk>, folder: &str) -> DiskObjects {
        DiskObjects { inner: Arc::new(Inner::new(disk, folder)), blocking_threads: true }
    }

    /// Objects in `folder` whose calls run on the caller's thread, without a runtime.
    pub fn inline(disk: Arc<dyn Disk>, folder: &str) -> DiskObjects {
        DiskObjects { inner: Arc::new(Inner::new(disk, folder)), blocking_threads: false }
    }

    /// Removes what unfinished puts of an earlier process left. Only for who holds the directory's lock.
    pub fn sweep(&self) -> Result<(), DiskError> {
        let inner = &self.inner;
        for path in inner.disk.list(&inner.path(UNFINISHED))? {
            inner.disk.remove(&path)?;
        }
        Ok(())
    }

    async fn run<T: Send + 'static>(
        &self,
        operation: &'static str,
        key: &str,
        work: impl FnOnce(&Inner, &str) -> Result<T, DiskError> + Send + 'static,
    ) -> Result<T, ObjectError> {
        let done = if self.blocking_threads {
            let inner = Arc::clone(&self.inner);
            let owned = key.to_owned();
            match tokio::task::spawn_blocking(move || work(&inner, &owned)).await {
                Ok(done) => done,
                Err(error) => {
                    return Err(ObjectError::Failed {
                        operation,
                        key: key.to_owned(),
                        source: Box::new(error),
                    });
                }
            }
        } else {
            work(&self.inner, key)
        };
        done.map_err(|error| match error {
            DiskError::Full => ObjectError::Full,
            DiskError::NotFound(_) => ObjectError::NotFound(key.to_owned()),
            DiskError::Exists(_) => ObjectError::Exists(key.to_owned()),
            error => ObjectError::Failed { operation, key: key.to_owned(), source: Box::new(error) },
        })
    }
}

impl Inner {
    fn new(disk: Arc<dyn Disk>, folder: &str) -> Inner {
        Inner {
            disk,
            folder: folder.to_owned(),
            busy: Mutex::new(HashSet::new()),
            next_name: AtomicU64::new(0),
        }
    }

    fn path(&self, key: &str) -> String {
        if self.folder.is_empty() { key.to_owned() } else { format!("{}/{key}", self.folder) }
    }

    fn put(&self, key: &str, bytes: &[u8]) -> Result<(), DiskError> {
        if !self.busy.lock().insert(key.to_owned()) {
            return Err(DiskError::Exists(key.to_owned()));
        }
        let done = self.put_busy(key, bytes);
        self.busy.lock().remove(key);
        done
    }

    fn put_busy(&self, key: &str, bytes: &[u8]) -> Result<(), DiskError> {
        let path = self.path(key);
        match self.disk.open(&path) {
            Err(DiskError::NotFound(_)) => {}
            Ok(_) => return Err(DiskError::Exists(path)),
            Err(error) => return Err(error),
        }
        let (unfinished, file) = loop {
            let name = self.next_name.fetch_add(1, Ordering::Relaxed);
            let unfinished = self.path(&format!("{UNFINISHED}/{name}"));
            match self.disk.create(&unfinished) {
                Ok(file) => break (unfinished, file),
                Err(DiskError::Exists(_)) => {}
                Err(error) => return Err(error),
            }
        };
        let mut at = 0;
        let written = pieces(bytes).try_for_each(|piece| {
            file.write_at(piece, at)?;
            at += piece.len() as u64;
            file.sync()
        });
        let named = written.and_then(|()| self.disk.rename(&unfinished, &path));
        if named.is_err() {
            // The space goes back at once on a full disk; what stays behind is swept at the next start.
            let _ = self.disk.remove(&unfinished);
            return named;
        }
        self.disk.sync_dir(folder_of(&path))
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, DiskError> {
        let file = self.disk.open(&self.path(key))?;
        let length = file.length()?;
        let (start, end) = (range.start.min(length), range.end.min(length));
        let mut buffer = vec![0; usize::try_from(end.saturating_sub(start)).unwrap_or(0)];
        let read = file.read_at(&mut buffer, start)?;
        buffer.truncate(read);
        Ok(Bytes::from(buffer))
    }
}

/// What there is to write, bit by bit; of nothing there is one bit, too, for an empty file is synced as well.
fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let (first, rest) = bytes.split_at(bytes.len().min(PIECE));
    std::iter::once(first).chain(rest.chunks(PIECE))
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[async_trait]
impl Objects for DiskObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        self.run("put", key, move |inner, key| inner.put(key, &bytes)).await
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        self.run("get", key, move |inner, key| inner.get_range(key, range)).await
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        self.run("stat", key, |inner, key| inner.disk.open(&inner.path(key))?.length()).await
    }

    async fn get_start(&self, key: &str, length: u64) -> Result<(Bytes, u64), ObjectError> {
        self.run("get", key, move |inner, key| {
            let size = inner.disk.open(&inner.path(key))?.length()?;
            Ok((inner.get_range(key, 0..length)?, size))
        })
        .await
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        self.run("delete", key, |inner, key| match inner.disk.remove(&inner.path(key)) {
            Err(DiskError::NotFound(_)) => Ok(()),
            done => done,
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        self.run("list", prefix, |inner, prefix| {
            // A prefix may end in the middle of a name: list its folder, then compare.
            let folder = folder_of(prefix);
            let below = if folder.is_empty() { inner.folder.clone() } else { inner.path(folder) };
            let cut = if inner.folder.is_empty() { 0 } else { inner.folder.len() + 1 };
            let unfinished = inner.path(UNFINISHED);
            let paths = inner.disk.list(&below)?;
            let keys = paths.iter().filter(|path| folder_of(path) != unfinished);
            let keys = keys.filter_map(|path| path.get(cut..)).filter(|key| key.starts_with(prefix));
            Ok(keys.map(str::to_owned).collect())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RealDisk;

    #[tokio::test]
    async fn objects_are_put_once_and_read_in_ranges() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), 0).expect("opens"));
        let objects = DiskObjects::new(Arc::clone(&disk), "objects");
        objects.put("a/b/one", Bytes::from_static(b"0123456789")).await.expect("puts");
        objects.put("a/bc", Bytes::from_static(b"x")).await.expect("puts");
        let again = objects.put("a/b/one", Bytes::new()).await;
        assert!(matches!(again, Err(ObjectError::Exists(_))), "{again:?}");
        assert_eq!(objects.get_range("a/b/one", 2..5).await.expect("reads"), "234");
        assert_eq!(objects.get_range("a/b/one", 8..50).await.expect("reads"), "89");
        assert_eq!(objects.get_start("a/b/one", 3).await.expect("reads"), (Bytes::from_static(b"012"), 10));
        assert_eq!(objects.list("a/b").await.expect("lists"), ["a/b/one", "a/bc"]);
        assert_eq!(objects.list("a/b/").await.expect("lists"), ["a/b/one"]);
        assert_eq!(objects.list("").await.expect("lists"), ["a/b/one", "a/bc"]);
        objects.delete("a/bc").await.expect("deletes");
        objects.delete("a/bc").await.expect("deletes nothing");
        assert!(matches!(objects.size("a/bc").await, Err(ObjectError::NotFound(_))));

        disk.create("objects/.unfinished/99").expect("creates");
        assert_eq!(objects.list("").await.expect("lists"), ["a/b/one"]);
        objects.sweep().expect("sweeps");
        assert_eq!(disk.list("").expect("lists"), ["objects/a/b/one"]);
    }
}
