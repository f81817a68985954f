//! Open files and their Parquet metadata, kept by key within a bound of bytes.
//!
//! Parsing a footer of a few hundred row groups takes longer than most queries need for the rest. Files never change
//! under their key, so nothing here goes stale; what is not used for [`IDLE_MAX`] goes, so that an idle server holds
//! neither metadata nor the unwrapped keys of files.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::parquet::file::metadata::ParquetMetaData;
use parking_lot::Mutex;

use crate::source::Content;

/// How long an entry outlives its last use.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(60);

/// Bytes counted for an entry beside its metadata.
const ENTRY_BYTES: usize = 512;

/// What is kept of a file.
#[derive(Clone)]
pub(crate) struct Kept {
    /// The file, open.
    pub(crate) content: Arc<dyn Content>,
    /// Its metadata; with the page index once a query needed it.
    pub(crate) metadata: Option<Arc<ParquetMetaData>>,
}

struct Entry {
    kept: Kept,
    bytes: usize,
    used: Instant,
}

/// The cache.
pub(crate) struct FileCache {
    limit: usize,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    by_key: HashMap<String, Entry>,
    bytes: usize,
}

impl FileCache {
    /// A cache of at most `limit` bytes.
    pub(crate) fn new(limit: usize) -> FileCache {
        FileCache { limit, entries: Mutex::default() }
    }

    /// What is kept of a file.
    pub(crate) fn get(&self, key: &str) -> Option<Kept> {
        let mut entries = self.entries.lock();
        let entry = entries.by_key.get_mut(key)?;
        entry.used = Instant::now();
        Some(entry.kept.clone())
    }

    /// Keeps a file, and lets go of those used longest ago until all fit.
    pub(crate) fn put(&self, key: &str, kept: Kept) {
        let metadata = kept.metadata.as_ref().map_or(0, |metadata| metadata.memory_size());
        let bytes = ENTRY_BYTES + key.len() + metadata;
        if bytes > self.limit {
            return;
        }
        let mut entries = self.entries.lock();
        let entry = Entry { kept, bytes, used: Instant::now() };
        entries.bytes += bytes;
        if let Some(old) = entries.by_key.insert(key.to_owned(), entry) {
            entries.bytes -= old.bytes;
        }
        if entries.bytes > self.limit {
            entries.shrink_to(self.limit / 4 * 3);
        }
    }

    /// Lets go of what was not used for [`IDLE_MAX`]; gives how many files are left.
    pub(crate) fn forget_idle(&self) -> usize {
        let mut entries = self.entries.lock();
        let now = Instant::now();
        entries.by_key.retain(|_, entry| now.duration_since(entry.used) < IDLE_MAX);
        entries.bytes = entries.by_key.values().map(|entry| entry.bytes).sum();
        entries.by_key.shrink_to_fit();
        entries.by_key.len()
    }

    /// Bytes held.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.entries.lock().bytes
    }
}

impl Entries {
    /// Drops in one pass what was used longest ago, so that a full cache does not sort at every insert.
    fn shrink_to(&mut self, limit: usize) {
        let mut by_age: Vec<(Instant, usize, String)> =
            self.by_key.iter().map(|(key, entry)| (entry.used, entry.bytes, key.clone())).collect();
        by_age.sort_unstable_by_key(|(used, _, _)| *used);
        for (_, bytes, key) in by_age {
            if self.bytes <= limit {
                break;
            }
            self.by_key.remove(&key);
            self.bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_trait::async_trait;
    use bytes::Bytes;
    use candor_store::StoreError;

    struct Nothing;

    #[async_trait]
    impl Content for Nothing {
        async fn read(&self, _range: std::ops::Range<u64>) -> Result<Bytes, StoreError> {
            Ok(Bytes::new())
        }
    }

    #[test]
    fn what_was_used_longest_ago_goes_first() {
        let cache = FileCache::new(10 * (ENTRY_BYTES + 2));
        let kept = || Kept { content: Arc::new(Nothing), metadata: None };
        for at in 10..20 {
            cache.put(&at.to_string(), kept());
        }
        assert!(cache.get("10").is_some());
        cache.put("20", kept());
        assert!(cache.bytes() <= 10 * (ENTRY_BYTES + 2));
        assert!(cache.get("10").is_some() && cache.get("20").is_some());
        assert!(cache.get("11").is_none());
        cache.put("20", kept());
        assert!(cache.forget_idle() > 0, "nothing is idle yet");
    }
}
