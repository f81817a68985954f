//! An object store in memory that fails, and loses answers to what it did.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;

use super::Dice;
use crate::{ObjectError, Objects};

/// A simulated object store. Cheap to clone; clones are the same store.
#[derive(Clone)]
pub struct SimObjects {
    state: Arc<Mutex<State>>,
}

struct State {
    dice: Dice,
    objects: BTreeMap<String, Bytes>,
    /// One in so many calls fails before it did anything; 0 is never.
    failures: u64,
    /// One in so many puts and deletes works, but its answer is lost; 0 is never.
    lost_answers: u64,
    full: bool,
    /// Puts that pretend to have worked.
    lie: bool,
}

impl SimObjects {
    /// An empty store whose fate follows from `seed`.
    pub fn new(seed: u64) -> SimObjects {
        let state = State {
            dice: Dice::new(seed),
            objects: BTreeMap::new(),
            failures: 0,
            lost_answers: 0,
            full: false,
            lie: false,
        };
        SimObjects { state: Arc::new(Mutex::new(state)) }
    }

    /// One in `failures` calls fails and did nothing, one in `lost_answers` writing calls fails and worked; 0 is
    /// never.
    pub fn set_faults(&self, failures: u64, lost_answers: u64) {
        let mut state = self.state.lock();
        (state.failures, state.lost_answers) = (failures, lost_answers);
    }

    /// From now on puts find no room, or find it again.
    pub fn set_full(&self, full: bool) {
        self.state.lock().full = full;
    }

    /// From now on puts pretend to have worked, or work again.
    pub fn set_lie(&self, lie: bool) {
        self.state.lock().lie = lie;
    }
}

impl State {
    fn fails(&mut self) -> bool {
        self.failures > 0 && self.dice.one_in(self.failures)
    }

    fn loses_answer(&mut self) -> bool {
        self.lost_answers > 0 && self.dice.one_in(self.lost_answers)
    }
}

fn failed(operation: &'static str, key: &str) -> ObjectError {
    ObjectError::Failed { operation, key: key.to_owned(), source: "made to fail".into() }
}

#[async_trait]
impl Objects for SimObjects {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), ObjectError> {
        let mut state = self.state.lock();
        if state.full {
            return Err(ObjectError::Full);
        }
        if state.fails() {
            return Err(failed("put", key));
        }
        if state.lie {
            return Ok(());
        }
        if state.objects.get(key).is_some_and(|held| *held != bytes) {
            return Err(ObjectError::Exists(key.to_owned()));
        }
        state.objects.insert(key.to_owned(), bytes);
        if state.loses_answer() { Err(failed("put", key)) } else { Ok(()) }
    }

    async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, ObjectError> {
        let mut state = self.state.lock();
        if state.fails() {
            return Err(failed("get", key));
        }
        let object = state.objects.get(key).ok_or_else(|| ObjectError::NotFound(key.to_owned()))?;
        let length = object.len() as u64;
        let start = range.start.min(length);
        Ok(object.slice(start as usize..range.end.min(length).max(start) as usize))
    }

    async fn size(&self, key: &str) -> Result<u64, ObjectError> {
        let mut state = self.state.lock();
        if state.fails() {
            return Err(failed("stat", key));
        }
        let object = state.objects.get(key).ok_or_else(|| ObjectError::NotFound(key.to_owned()))?;
        Ok(object.len() as u64)
    }

    async fn delete(&self, key: &str) -> Result<(), ObjectError> {
        let mut state = self.state.lock();
        if state.fails() {
            return Err(failed("delete", key));
        }
        state.objects.remove(key);
        if state.loses_answer() { Err(failed("delete", key)) } else { Ok(()) }
    }

    async fn list(&self, prefix: &str) -> Result<Vec<String>, ObjectError> {
        let mut state = self.state.lock();
        if state.fails() {
            return Err(failed("list", prefix));
        }
        Ok(state.objects.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
    }
}
