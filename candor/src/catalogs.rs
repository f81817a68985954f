//! Catalogs that were made for the open door, kept for a moment, so that the ranges of one file are of one file.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use candor_model::ProjectId;
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

/// How long a catalog answers ranges. Whoever reads longer asks by `If-Range` and gets the whole new one.
const KEPT: Duration = Duration::from_secs(60);

/// Catalogs kept.
const CATALOGS_MAX: usize = 64;

/// Their bytes together. A larger one is not kept.
const BYTES_MAX: usize = 32 << 20;

/// A project's catalog as it was at a snapshot.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The snapshot.
    pub snapshot: i64,
    /// The SQLite file.
    pub bytes: Bytes,
    /// Its entity tag, in quotes: a digest of the bytes, as issues change without a snapshot.
    pub tag: String,
}

impl Catalog {
    /// Of a file that was exported.
    pub fn new(snapshot: i64, bytes: Bytes) -> Catalog {
        let digest = digest(&SHA256, &bytes);
        let tag = format!("\"{}\"", HEXLOWER.encode(digest.as_ref().get(..16).unwrap_or_default()));
        Catalog { snapshot, bytes, tag }
    }
}

/// The newest catalog of each project that was asked for of late.
#[derive(Default)]
pub struct Catalogs {
    /// By when they were made, oldest first.
    kept: Mutex<VecDeque<(Instant, ProjectId, Catalog)>>,
}

impl Catalogs {
    fn kept(&self) -> MutexGuard<'_, VecDeque<(Instant, ProjectId, Catalog)>> {
        self.kept.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Keeps a catalog in place of its project's last one.
    pub fn keep(&self, project: ProjectId, catalog: Catalog, now: Instant) {
        let mut kept = self.kept();
        kept.retain(|(made, of, _)| *of != project && now.duration_since(*made) < KEPT);
        kept.push_back((now, project, catalog));
        let mut bytes: usize = kept.iter().map(|(_, _, catalog)| catalog.bytes.len()).sum();
        while kept.len() > CATALOGS_MAX || bytes > BYTES_MAX {
            let Some((_, _, oldest)) = kept.pop_front() else { return };
            bytes -= oldest.bytes.len();
        }
    }

    /// The project's last catalog, where it is fresh enough.
    pub fn recent(&self, project: ProjectId, now: Instant) -> Option<Catalog> {
        let kept = self.kept();
        let (made, _, catalog) = kept.iter().find(|(_, of, _)| *of == project)?;
        (now.duration_since(*made) < KEPT).then(|| catalog.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(snapshot: i64, size: usize) -> Catalog {
        Catalog::new(snapshot, vec![b'x'; size].into())
    }

    #[test]
    fn the_newest_is_kept_for_a_minute() {
        let (catalogs, begun) = (Catalogs::default(), Instant::now());
        let snapshot = |project, after| {
            catalogs
                .recent(ProjectId(project), begun + Duration::from_secs(after))
                .map(|found| found.snapshot)
        };
        catalogs.keep(ProjectId(1), of(7, 10), begun);
        catalogs.keep(ProjectId(1), of(8, 10), begun + Duration::from_secs(5));
        catalogs.keep(ProjectId(2), of(7, 10), begun + Duration::from_secs(9));
        assert_eq!((snapshot(1, 64), snapshot(2, 64), snapshot(3, 64)), (Some(8), Some(7), None));
        assert_eq!((snapshot(1, 65), snapshot(2, 65)), (None, Some(7)));
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        let (catalogs, now) = (Catalogs::default(), Instant::now());
        for project in 0..1000 {
            catalogs.keep(ProjectId(project), of(1, 1000), now);
        }
        assert_eq!(catalogs.kept().len(), CATALOGS_MAX);
        for project in 0..10 {
            catalogs.keep(ProjectId(project), of(1, 10 << 20), now);
        }
        assert_eq!(catalogs.kept().len(), 3);
        catalogs.keep(ProjectId(1), of(1, BYTES_MAX + 1), now);
        assert!(catalogs.recent(ProjectId(1), now).is_none());
    }

    #[test]
    fn tags_tell_contents_apart() {
        assert_eq!(of(1, 10).tag, of(2, 10).tag);
        assert_ne!(of(1, 10).tag, of(1, 11).tag);
        assert_eq!(of(1, 10).tag.len(), 34);
    }
}
