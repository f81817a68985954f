//! A group's offsets: what is committed, as far as it is in memory, and what transactions would commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use candor_meta::SqlError;
use candor_model::{ProjectId, Timestamp};
use tokio::time::Instant;

use super::committer::What;
use super::registry::{Group, Groups};
use super::state::{Body, State};
use super::storage::{Committed, Place, Step, StoredPending};

/// How often a group's offsets are read anew where transactions end beside the reading.
const READS_MAX: usize = 16;

/// Of the groups that a project may have, the part that makes room at a time, where nothing is left of so many.
const ROOM: usize = 64;

/// Committed offsets by topic and partition.
pub(super) type Places = BTreeMap<Place, Committed>;

/// Offsets of a transaction that has not ended.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    pub epoch: i16,
    pub places: Places,
}

/// A group's offsets.
pub(super) struct Offsets {
    /// All of them; none where they are in the database alone.
    known: Option<Places>,
    /// Of transactions that have not ended, by producer id.
    pub pending: BTreeMap<i64, Transaction>,
    /// Changes with everything that is stored, so that who reads beside it notices.
    version: u64,
    /// Changes with everything that was of a transaction and is committed now.
    ends: u64,
    in_flight: u32,
    used: Instant,
    /// What the directory ticked when was last looked for what is kept no longer, and when to look again at the latest.
    swept: Option<(u64, Timestamp)>,
    /// Offsets in memory, of all groups.
    counter: Arc<AtomicUsize>,
}

impl Offsets {
    /// Of a group that has none.
    pub fn none(counter: &Arc<AtomicUsize>) -> Offsets {
        let mut offsets = Offsets::unread(counter, Vec::new());
        offsets.known = Some(Places::new());
        offsets
    }

    /// Of a group whose offsets have not been read.
    pub fn unread(counter: &Arc<AtomicUsize>, stored: Vec<StoredPending>) -> Offsets {
        let mut pending: BTreeMap<i64, Transaction> = BTreeMap::new();
        for one in stored {
            let transaction = pending.entry(one.producer).or_default();
            transaction.epoch = transaction.epoch.max(one.epoch);
            transaction.places.insert(one.place, one.committed);
        }
        let counter = Arc::clone(counter);
        Offsets {
            known: None,
            pending,
            version: 0,
            ends: 0,
            in_flight: 0,
            used: Instant::now(),
            swept: None,
            counter,
        }
    }

    /// Something is done to its group now.
    pub fn touch(&mut self, now: Instant) {
        self.used = now;
    }

    /// Something is on its way to storage; [`Offsets::stored`] follows.
    pub fn begin(&mut self) {
        self.in_flight += 1;
        self.version += 1;
    }

    /// Steps are stored, or could not be: then what is stored is not known.
    pub fn stored(&mut self, steps: &[Step], stored: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.version += 1;
        if !stored {
            self.set_known(None);
            return;
        }
        for step in steps {
            match step {
                Step::Offset { place, committed, .. } => self.put(place.clone(), committed.clone()),
                Step::ForgetOffset { place, .. } => {
                    // It may have been the last one.
                    self.swept = None;
                    let removed = self.known.as_mut().and_then(|known| known.remove(place));
                    self.counter.fetch_sub(usize::from(removed.is_some()), Ordering::Relaxed);
                }
                Step::Pending { producer, epoch, place, committed, .. } => {
                    let transaction = self.pending.entry(*producer).or_default();
                    transaction.epoch = *epoch;
                    transaction.places.insert(place.clone(), committed.clone());
                }
                Step::EndPending { producer, commit, .. } => {
                    let ended = self.pending.remove(producer).unwrap_or_default();
                    self.ends += 1;
                    for (place, committed) in ended.places.into_iter().filter(|_| *commit) {
                        self.put(place, committed);
                    }
                }
                _ => {}
            }
        }
    }

    fn put(&mut self, place: Place, committed: Committed) {
        if let Some(known) = &mut self.known
            && known.insert(place, committed).is_none()
        {
            self.counter.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn set_known(&mut self, known: Option<Places>) {
        let before = self.known.as_ref().map_or(0, BTreeMap::len);
        self.counter.fetch_add(known.as_ref().map_or(0, BTreeMap::len), Ordering::Relaxed);
        self.counter.fetch_sub(before, Ordering::Relaxed);
        self.known = known;
    }

    /// A transaction that has not ended would move this place.
    pub fn is_unstable(&self, place: &Place) -> bool {
        self.pending.values().any(|transaction| transaction.places.contains_key(place))
    }

    /// Nothing is stored and nothing is about to be.
    pub fn is_blank(&self) -> bool {
        self.in_flight == 0 && self.pending.is_empty() && self.known.as_ref().is_some_and(BTreeMap::is_empty)
    }
}

impl Drop for Offsets {
    fn drop(&mut self) {
        self.set_known(None);
    }
}

impl Groups {
    /// Looks at a group's offsets, read from the database where they are not in memory. None where transactions
    /// ended beside every reading: nothing is known for sure then.
    pub(super) async fn look<R>(
        &self,
        group: &Arc<Group>,
        look: impl FnOnce(&State, &Places) -> R,
    ) -> Result<Option<R>, SqlError> {
        for _ in 0..READS_MAX {
            let (version, ends) = {
                let mut state = group.state.lock();
                state.offsets.used = Instant::now();
                if let Some(known) = &state.offsets.known {
                    return Ok(Some(look(&state, known)));
                }
                (state.offsets.version, state.offsets.ends)
            };
            let read: Places = self.inner.storage.offsets(&group.key).await?.into_iter().collect();
            let looked = {
                let mut state = group.state.lock();
                if let Some(known) = &state.offsets.known {
                    return Ok(Some(look(&state, known)));
                }
                // What was read may be from before the end of a transaction that nothing tells of any more.
                if state.offsets.ends != ends {
                    continue;
                }
                let looked = look(&state, &read);
                let offsets = &mut state.offsets;
                // What was read is all there is, unless something was stored beside the reading.
                if offsets.version == version && offsets.in_flight == 0 {
                    offsets.set_known(Some(read));
                }
                looked
            };
            self.evict();
            return Ok(Some(looked));
        }
        Ok(None)
    }

    /// Lets go of what was used longest ago where too much is in memory.
    pub(super) fn evict(&self) {
        let most = self.inner.settings.max_offsets_cached;
        if self.inner.cached.load(Ordering::Relaxed) <= most {
            return;
        }
        let mut groups: Vec<(Instant, Arc<Group>)> = Vec::new();
        for group in self.all() {
            let state = group.state.lock();
            // That there are none takes no room, and is good to know.
            if state.offsets.known.as_ref().is_some_and(|known| !known.is_empty()) {
                let used = state.offsets.used;
                drop(state);
                groups.push((used, group));
            }
        }
        groups.sort_by_key(|(used, _)| *used);
        for (_, group) in groups {
            if self.inner.cached.load(Ordering::Relaxed) <= most - most / 4 {
                return;
            }
            group.state.lock().offsets.set_known(None);
        }
    }

    /// Where a project has as many groups as it may have, those go that nobody is in and nothing is left of, the ones
    /// first that were used longest ago.
    pub(super) fn make_room(&self, project: ProjectId) {
        let is_spare = |state: &State| {
            let is_share = matches!(state.body, Body::Share(_));
            !is_share && state.is_vacant() && state.offsets.is_blank()
        };
        let mut spare: Vec<(Instant, Arc<Group>)> = Vec::new();
        for group in self.of_project(project) {
            let state = group.state.lock();
            if is_spare(&state) {
                let used = state.offsets.used;
                drop(state);
                spare.push((used, group));
            }
        }
        spare.sort_by_key(|(used, _)| *used);
        for (_, group) in spare.into_iter().take(self.inner.settings.max_groups / ROOM + 1) {
            self.act(&group, |state, _| is_spare(state).then(|| self.take_out(&group, state)));
        }
    }

    /// Removes offsets that are kept no longer: of topics that are gone, and those of groups that have been empty for
    /// as long as offsets are kept. A group that nobody is in and nothing is left of goes.
    pub(super) async fn expire(&self) {
        for group in self.all() {
            if let Err(error) = self.expire_group(&group).await {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "offsets of consumer groups cannot be looked through"
                );
                return;
            }
        }
    }

    async fn expire_group(&self, group: &Arc<Group>) -> Result<(), SqlError> {
        let now = self.inner.clock.now();
        let mut kept = i64::try_from(self.inner.settings.offsets_retention.as_micros()).unwrap_or(i64::MAX);
        if group.key.name.starts_with(crate::bridge::GROUP_PREFIX) {
            // Where a bridge stands, it stands: without it, one that was held would mirror everything once more.
            kept = i64::MAX;
        }
        let oldest = Timestamp(now.0.saturating_sub(kept));
        let directory = &self.inner.directory;
        let project = group.key.project;
        let shared = self.act(group, |state, _| {
            let Body::Share(share) = &mut state.body else { return false };
            share.forget_gone(|topic| directory.topic_by_id(project, topic).is_some());
            true
        });
        // How far a share group has read is kept as long as the group.
        if shared == Some(true) {
            return Ok(());
        }
        let tick = *self.inner.changes.borrow();
        let swept = group.state.lock().offsets.swept;
        if swept.is_some_and(|(then, until)| then == tick && now < until) {
            return Ok(());
        }
        let looked: Option<(Vec<Place>, Timestamp)> = self
            .look(group, |state, places| {
                let empty_since = empty_since(state);
                // What is committed from now on, and what belongs to a group that has members, is kept that long.
                let until = |at: Timestamp| Timestamp(at.0.saturating_add(kept));
                let next = match state.is_vacant() {
                    true => places
                        .values()
                        .map(|committed| committed.at)
                        .min()
                        .map_or(now, |at| at.max(empty_since.unwrap_or_default())),
                    false => now,
                };
                let vacant = state.is_vacant();
                let gone = |place: &Place, committed: &Committed| {
                    let topic = directory.topic(project, &place.0);
                    topic.is_none_or(|topic| topic.id != committed.topic_id)
                };
                let old = |committed: &Committed| {
                    vacant && committed.at.max(empty_since.unwrap_or_default()) <= oldest
                };
                let expired = places
                    .iter()
                    .filter(|(place, committed)| {
                        (gone(place, committed) || old(committed)) && !state.offsets.is_unstable(place)
                    })
                    .map(|(place, _)| place.clone())
                    .collect();
                // A group without any goes as soon as nobody is in it.
                (expired, if places.is_empty() { now } else { until(next) })
            })
            .await?;
        let Some((expired, until)) = looked else { return Ok(()) };
        if !expired.is_empty() {
            let stored = self.act(group, |state, _| {
                let known = state.offsets.known.as_ref();
                let steps: Vec<Step> = expired
                    .into_iter()
                    // One that was committed anew meanwhile stays.
                    .filter(|place| match known.and_then(|known| known.get(place)) {
                        Some(committed) => {
                            let topic = directory.topic(project, &place.0);
                            committed.at <= oldest || topic.is_none_or(|topic| topic.id != committed.topic_id)
                        }
                        None => false,
                    })
                    .map(|place| Step::ForgetOffset { key: group.key.clone(), place })
                    .collect();
                (state.offsets.in_flight == 0 && !steps.is_empty()).then(|| {
                    state.offsets.begin();
                    self.enqueue(group, What::Steps(steps), None)
                })
            });
            if let Some(Some(stored)) = stored {
                stored.await.ok();
            }
        }
        self.act(group, |state, _| {
            state.quiet = true;
            state.offsets.swept = (now < until).then_some((tick, until));
            if state.is_vacant() && state.offsets.is_blank() {
                self.take_out(group, state);
            }
        });
        Ok(())
    }
}

/// Since when a group that had members has none.
fn empty_since(state: &State) -> Option<Timestamp> {
    match &state.body {
        Body::Classic(group) => group.empty_since,
        Body::Consumer(group) => group.empty_since,
        Body::Share(_) => None,
    }
}
