//! Fetch sessions (KIP-227): which partitions a client reads, said once and then only where it changes; and of these the
//! answer tells only those that have something new. Each request of a session has its number, so that one that was lost
//! is noticed. Sessions live in memory alone: a client that is told of none, or of none any more, says all again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use candor_model::{ProjectId, Random};
use kafka_protocol::ResponseError;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::asked::Asked;
use super::message::{FetchRequest, ToldPartition};

/// Sessions of a project (`max.incremental.fetch.session.cache.slots`).
pub(super) const SESSIONS_MAX: usize = 1_000;

/// Partitions of a session. Who reads more says all of them each time.
const PLACES_MAX: usize = 50_000;

/// Partitions of all sessions of a project: some 30 MB, or 110 MB at the very most, where each of them is of a topic of its
/// own whose name is as long as a name can be.
const PROJECT_PLACES_MAX: usize = 200_000;

/// A session may be put in another's place once it is so old, or nothing was heard of it for so long
/// (`min.incremental.fetch.session.eviction.ms`).
const EVICTION_AFTER: Duration = Duration::from_secs(120);

/// The epoch of a request that begins a session.
const OPENING: i32 = 0;
/// The epoch of a request that wants none.
const CLOSING: i32 = -1;

/// Sessions of all projects.
pub(super) struct Sessions {
    random: Arc<dyn Random>,
    of: Mutex<HashMap<ProjectId, HashMap<i32, Slot>>>,
}

/// A session's place among all.
struct Slot {
    user: Arc<str>,
    made: Instant,
    used: Instant,
    places: usize,
    session: Arc<tokio::sync::Mutex<Session>>,
}

/// What a session knows.
#[derive(Default)]
pub(super) struct Session {
    /// What its next request says.
    epoch: i32,
    by_id: bool,
    /// What it reads, in the order in which it has its turn.
    pub asked: Asked,
}

/// What a request is to be answered with.
pub(super) enum Turn {
    /// What it asks for, all of it; a session is wanted for it.
    Opens,
    /// What it asks for, all of it.
    Alone,
    /// What is new in a session.
    Goes(i32, OwnedMutexGuard<Session>),
}

fn after(epoch: i32) -> i32 {
    if epoch == i32::MAX { 1 } else { epoch + 1 }
}

impl Sessions {
    pub fn new(random: Arc<dyn Random>) -> Sessions {
        Sessions { random, of: Mutex::default() }
    }

    /// Takes a request of a user: what it changes in its session is changed.
    pub fn turn(
        &self,
        project: ProjectId,
        user: &str,
        request: &FetchRequest,
    ) -> Result<Turn, ResponseError> {
        let FetchRequest { session_id: id, session_epoch: epoch, .. } = *request;
        if epoch == OPENING || epoch == CLOSING {
            self.close(project, user, id);
            return Ok(if epoch == OPENING { Turn::Opens } else { Turn::Alone });
        }
        let session = {
            let mut all = self.of.lock();
            let slot = all.get_mut(&project).and_then(|theirs| theirs.get_mut(&id));
            let slot =
                slot.filter(|slot| &*slot.user == user).ok_or(ResponseError::FetchSessionIdNotFound)?;
            slot.used = Instant::now();
            Arc::clone(&slot.session)
        };
        // While one of its requests is under way the next cannot be the one that it expects.
        let mut session = session.try_lock_owned().map_err(|_| ResponseError::InvalidFetchSessionEpoch)?;
        if session.epoch != epoch {
            return Err(ResponseError::InvalidFetchSessionEpoch);
        }
        if session.by_id != request.by_id {
            return Err(ResponseError::FetchSessionTopicIdError);
        }
        session.epoch = after(epoch);
        let fits = session.asked.change(request);
        let places = session.asked.len();
        if places == 0 {
            // Nothing is left of it.
            self.close(project, user, id);
            return Ok(Turn::Alone);
        }
        if !fits || !self.resize(project, id, places) {
            self.close(project, user, id);
            return Err(ResponseError::FetchSessionIdNotFound);
        }
        Ok(Turn::Goes(id, session))
    }

    /// Makes a session of what a request asked for and was told; 0 where there is no room, or no use.
    pub fn open(&self, project: ProjectId, user: &str, by_id: bool, mut asked: Asked) -> i32 {
        let places = asked.len();
        if places == 0 || places > PLACES_MAX || !asked.own() {
            return 0;
        }
        let now = Instant::now();
        let mut all = self.of.lock();
        let theirs = all.entry(project).or_default();
        while theirs.len() >= SESSIONS_MAX || places_of(theirs) + places > PROJECT_PLACES_MAX {
            if !evict(theirs, places, now) {
                return 0;
            }
        }
        let id = loop {
            let id = (self.random.next_u64() & i32::MAX as u64) as i32;
            if id != 0 && !theirs.contains_key(&id) {
                break id;
            }
        };
        let session = Arc::new(tokio::sync::Mutex::new(Session { epoch: after(OPENING), by_id, asked }));
        theirs.insert(id, Slot { user: Arc::from(user), made: now, used: now, places, session });
        id
    }

    /// Ends a session of a user.
    fn close(&self, project: ProjectId, user: &str, id: i32) {
        if id == 0 {
            return;
        }
        let mut all = self.of.lock();
        if let Some(theirs) = all.get_mut(&project)
            && theirs.get(&id).is_some_and(|slot| &*slot.user == user)
        {
            theirs.remove(&id);
        }
    }

    /// Notes how many partitions a session has now; false where that is too many.
    fn resize(&self, project: ProjectId, id: i32, places: usize) -> bool {
        let mut all = self.of.lock();
        let Some(theirs) = all.get_mut(&project) else { return false };
        let Some(slot) = theirs.get_mut(&id) else { return false };
        let grows = places > slot.places;
        slot.places = places;
        !grows || (places <= PLACES_MAX && places_of(theirs) <= PROJECT_PLACES_MAX)
    }

    /// Forgets a deleted project's.
    pub fn forget(&self, project: ProjectId) {
        self.of.lock().remove(&project);
    }

    /// How many sessions a project has.
    #[cfg(test)]
    pub fn count(&self, project: ProjectId) -> usize {
        self.of.lock().get(&project).map_or(0, HashMap::len)
    }
}

fn places_of(theirs: &HashMap<i32, Slot>) -> usize {
    theirs.values().map(|slot| slot.places).sum()
}

/// Ends a session that may make room for one of so many partitions, as Kafka chooses: the one that nothing was heard of
/// for the longest, else of those that are old the smallest, where it is smaller than the new one.
fn evict(theirs: &mut HashMap<i32, Slot>, places: usize, now: Instant) -> bool {
    let idle = theirs.iter().min_by_key(|(_, slot)| slot.used);
    let idle = idle.filter(|(_, slot)| slot.used + EVICTION_AFTER < now);
    let old = || {
        let old = theirs.iter().filter(|(_, slot)| slot.made + EVICTION_AFTER < now);
        old.min_by_key(|(_, slot)| slot.places).filter(|(_, slot)| slot.places < places)
    };
    let Some(id) = idle.or_else(old).map(|(id, _)| *id) else { return false };
    theirs.remove(&id);
    true
}

impl Session {
    /// Leaves out of an answer what the client knows, and puts what had records behind the rest, so that each has its
    /// turn. The answer tells of all that the session reads, in its order.
    pub fn settle(&mut self, told: Vec<ToldPartition>) -> Vec<ToldPartition> {
        let is_news = self.asked.settle(&told);
        told.into_iter().zip(is_news).filter_map(|(told, is_news)| is_news.then_some(told)).collect()
    }
}
