//! Whose turn it is to read messages. Opening them takes processors, so that only so many read at once: of one project,
//! that another's pages do not wait for it, and in all.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use candor_model::ProjectId;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ViewError;

/// Pages of one project that are read and opened at once.
const PROJECT_MAX: usize = 2;

/// Pages of all projects: what they open is in memory.
const ALL_MAX: usize = 8;

/// The turns.
pub(super) struct Reading {
    all: Arc<Semaphore>,
    /// Those that somebody reads or waits in.
    projects: Mutex<HashMap<ProjectId, Weak<Semaphore>>>,
}

/// A turn, until it is dropped. A permit keeps its project's semaphore.
pub(super) struct Turn {
    _own: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Default for Reading {
    fn default() -> Reading {
        Reading { all: Arc::new(Semaphore::new(ALL_MAX)), projects: Mutex::default() }
    }
}

impl Reading {
    /// Waits for a turn: behind others of the project first, so that what waits there holds no turn of all.
    pub(super) async fn turn(&self, project: ProjectId) -> Result<Turn, ViewError> {
        let stopped = |_| ViewError::Later("the server stops".to_owned());
        let own = self.of(project).acquire_owned().await.map_err(stopped)?;
        let all = Arc::clone(&self.all).acquire_owned().await.map_err(stopped)?;
        Ok(Turn { _own: own, _all: all })
    }

    fn of(&self, project: ProjectId) -> Arc<Semaphore> {
        let mut projects = self.projects.lock();
        if let Some(known) = projects.get(&project).and_then(Weak::upgrade) {
            return known;
        }
        projects.retain(|_, one| one.strong_count() > 0);
        let made = Arc::new(Semaphore::new(PROJECT_MAX));
        projects.insert(project, Arc::downgrade(&made));
        made
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn one_project_does_not_keep_another_from_reading() {
        let reading = Reading::default();
        let (a, b) = (ProjectId(1), ProjectId(2));
        let first = reading.turn(a).await.unwrap();
        let _second = reading.turn(a).await.unwrap();
        assert!(reading.turn(a).now_or_never().is_none());
        assert!(reading.turn(b).now_or_never().is_some());
        drop(first);
        let third = reading.turn(a).now_or_never();
        assert!(third.is_some());
        let turns: Vec<_> = (10..20).map(|n| reading.turn(ProjectId(n)).now_or_never()).collect();
        assert_eq!(turns.iter().flatten().count(), ALL_MAX - PROJECT_MAX);
        drop((third, turns));
        assert!(reading.turn(ProjectId(30)).now_or_never().is_some());
        assert!(reading.projects.lock().len() <= 3);
    }
}
