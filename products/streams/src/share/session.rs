//! Share sessions: which partitions a member reads, said once and then only where it changes (KIP-932). Each request of
//! a session has its number, so that one that was lost is noticed. They live in memory alone.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use candor_model::ProjectId;
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Place;

/// Sessions of a project (`group.share.max.share.sessions`).
pub(super) const SESSIONS_MAX: usize = 2_000;

/// Partitions of a session: what a member that is assigned more reads at a time.
const PLACES_MAX: usize = 10_000;

/// Partitions of all sessions of a project, some 10 MB.
const PROJECT_PLACES_MAX: usize = 200_000;

/// A session that nothing was heard of for so long makes room for another.
const IDLE: Duration = Duration::from_secs(120);

/// The epoch with which a session begins.
pub(super) const OPENING: i32 = 0;
/// The epoch with which it ends.
pub(super) const CLOSING: i32 = -1;

type Key = (Arc<str>, Arc<str>);

struct Session {
    /// What its next request says.
    epoch: i32,
    places: BTreeSet<Place>,
    used: Instant,
}

/// Sessions of all projects, by group and member.
#[derive(Default)]
pub(super) struct Sessions {
    of: Mutex<HashMap<ProjectId, HashMap<Key, Session>>>,
}

fn key(group: &str, member: &Arc<str>) -> Key {
    (Arc::from(group), Arc::clone(member))
}

fn places_of(sessions: &HashMap<Key, Session>) -> usize {
    sessions.values().map(|session| session.places.len()).sum()
}

fn after(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl Sessions {
    /// Begins a session, in the place of one that there was.
    pub fn open(
        &self,
        project: ProjectId,
        group: &str,
        member: &Arc<str>,
        places: BTreeSet<Place>,
    ) -> Result<(), ResponseError> {
        if places.len() > PLACES_MAX {
            return Err(ResponseError::InvalidRequest);
        }
        let now = Instant::now();
        let mut all = self.of.lock();
        let theirs = all.entry(project).or_default();
        let key = key(group, member);
        if theirs.len() >= SESSIONS_MAX && !theirs.contains_key(&key) {
            theirs.retain(|_, session| session.used + IDLE > now);
            if theirs.len() >= SESSIONS_MAX {
                return Err(ResponseError::ShareSessionLimitReached);
            }
        }
        if places_of(theirs) + places.len() > PROJECT_PLACES_MAX {
            return Err(ResponseError::ShareSessionLimitReached);
        }
        theirs.insert(key, Session { epoch: after(OPENING), places, used: now });
        Ok(())
    }

    /// Takes a session's next request: what it adds and what it lets go of. Gives its partitions from then on.
    pub fn go_on(
        &self,
        project: ProjectId,
        group: &str,
        member: &Arc<str>,
        epoch: i32,
        more: BTreeSet<Place>,
        less: &BTreeSet<Place>,
    ) -> Result<Vec<Place>, ResponseError> {
        let mut all = self.of.lock();
        let theirs = all.get_mut(&project).ok_or(ResponseError::ShareSessionNotFound)?;
        let has_room = more.is_empty() || places_of(theirs) + more.len() <= PROJECT_PLACES_MAX;
        let session = theirs.get_mut(&key(group, member)).ok_or(ResponseError::ShareSessionNotFound)?;
        if epoch != session.epoch {
            return Err(ResponseError::InvalidShareSessionEpoch);
        }
        if !has_room {
            return Err(ResponseError::ShareSessionLimitReached);
        }
        session.places.extend(more);
        session.places.retain(|place| !less.contains(place));
        if session.places.len() > PLACES_MAX {
            // The client begins anew.
            session.places.clear();
            return Err(ResponseError::InvalidRequest);
        }
        session.epoch = after(epoch);
        session.used = Instant::now();
        Ok(session.places.iter().copied().collect())
    }

    /// Ends a session.
    pub fn close(&self, project: ProjectId, group: &str, member: &Arc<str>) -> Result<(), ResponseError> {
        let mut all = self.of.lock();
        let closed = all.get_mut(&project).and_then(|theirs| theirs.remove(&key(group, member)));
        closed.map(|_| ()).ok_or(ResponseError::ShareSessionNotFound)
    }

    /// Forgets a deleted project's.
    pub fn forget(&self, project: ProjectId) {
        self.of.lock().remove(&project);
    }
}
