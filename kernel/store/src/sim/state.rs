//! What a simulated disk is: its files and entries, what of them is durable, and what is to go wrong.

use std::collections::{BTreeMap, HashMap};

use super::Dice;
use super::inode::{Inode, Spared};
use crate::DiskError;

/// A kind of call, for switches that make one of them fail or lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimOperation {
    /// A file's content is synced.
    Sync,
    /// A folder's entries are synced.
    SyncDir,
    /// Anything else that writes.
    Write,
}

/// Decides for each call.
pub type Switch = Box<dyn FnMut(SimOperation, &str) -> bool + Send>;

/// The disk's inside.
pub struct State {
    pub dice: Dice,
    pub inodes: HashMap<u64, Inode>,
    pub next_inode: u64,
    /// What the process sees: path to inode.
    pub entries: BTreeMap<String, u64>,
    pub durable: BTreeMap<String, u64>,
    /// Changes of entries that are not synced, by folder, in order.
    pub pending: BTreeMap<String, Vec<EntryChange>>,
    pub capacity: u64,
    pub used: u64,
    /// Files opened before a restart are dead.
    pub generation: u64,
    pub power_off: bool,
    /// Writing calls until the power goes.
    pub countdown: Option<u64>,
    pub writes: u64,
    /// True: the call pretends to have worked.
    pub lie: Option<Switch>,
    /// True: the call fails.
    pub fail: Option<Switch>,
    /// True: a write finds no room half way, as on a file system that copies on write.
    pub full: Option<Switch>,
}

/// A change of a folder's entries.
pub enum EntryChange {
    Set(String, u64),
    Unset(String),
    Move { from: String, to: String, inode: u64 },
}

impl State {
    pub fn new(seed: u64) -> State {
        State {
            dice: Dice::new(seed),
            inodes: HashMap::new(),
            next_inode: 0,
            entries: BTreeMap::new(),
            durable: BTreeMap::new(),
            pending: BTreeMap::new(),
            capacity: u64::MAX,
            used: 0,
            generation: 0,
            power_off: false,
            countdown: None,
            writes: 0,
            lie: None,
            fail: None,
            full: None,
        }
    }

    pub fn lose_power(&mut self) {
        let spared = match self.dice.below(4) {
            0 | 1 => Spared::Nothing,
            2 => Spared::All,
            _ => Spared::Some,
        };
        // In the order of their numbers: a hash map's own would make a seed mean something else each run.
        let mut numbers: Vec<u64> = self.inodes.keys().copied().collect();
        numbers.sort_unstable();
        for number in numbers {
            if let Some(inode) = self.inodes.get_mut(&number) {
                inode.crash(spared, &mut self.dice);
            }
        }
        for (_, changes) in std::mem::take(&mut self.pending) {
            let kept = match spared {
                Spared::Nothing => 0,
                Spared::All => changes.len(),
                Spared::Some => self.dice.below(changes.len() as u64 + 1) as usize,
            };
            for change in changes.into_iter().take(kept) {
                apply(&mut self.durable, change);
            }
        }
        self.entries = self.durable.clone();
    }

    pub fn measure(&mut self) {
        let sizes = self.entries.values().filter_map(|inode| self.inodes.get(inode));
        self.used = sizes.map(|inode| inode.data.len() as u64).sum();
    }

    pub fn alive(&self, generation: u64, path: &str) -> Result<(), DiskError> {
        if self.power_off || generation != self.generation {
            return Err(fault("call", path, "the power is off"));
        }
        Ok(())
    }

    /// Runs a writing call, which the power may leave before or after it.
    pub fn mutate(
        &mut self,
        operation: SimOperation,
        path: &str,
        effect: impl FnOnce(&mut State) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        self.writes += 1;
        if let Some(left) = self.countdown.as_mut() {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let after = self.dice.one_in(2);
                let done = if after { effect(self) } else { Ok(()) };
                self.power_off = true;
                return done.and_then(|()| Err(fault("call", path, "the power went")));
            }
        }
        if self.lie.as_mut().is_some_and(|lie| lie(operation, path)) {
            return Ok(());
        }
        effect(self)
    }

    pub fn fails(&mut self, operation: SimOperation, path: &str) -> bool {
        self.fail.as_mut().is_some_and(|fail| fail(operation, path))
    }

    pub fn change(&mut self, folder: &str, change: EntryChange) {
        match &change {
            EntryChange::Set(path, inode) => {
                self.entries.insert(path.clone(), *inode);
            }
            EntryChange::Unset(path) => {
                self.entries.remove(path);
            }
            EntryChange::Move { from, to, inode } => {
                self.entries.remove(from);
                self.entries.insert(to.clone(), *inode);
            }
        }
        self.pending.entry(folder.to_owned()).or_default().push(change);
    }

    pub fn room(&self, growth: u64, reserve: u64) -> Result<(), DiskError> {
        let wanted = self.used.saturating_add(growth).saturating_add(reserve);
        if growth > 0 && wanted > self.capacity { Err(DiskError::Full) } else { Ok(()) }
    }

    /// What a file is called now: it may have been renamed since it was opened.
    pub fn name_of(&self, number: u64, opened_as: &str) -> String {
        let entry = self.entries.iter().find(|(_, inode)| **inode == number);
        entry.map_or_else(|| opened_as.to_owned(), |(path, _)| path.clone())
    }

    pub fn inode(&mut self, number: u64, path: &str) -> Result<&mut Inode, DiskError> {
        self.inodes.get_mut(&number).ok_or_else(|| DiskError::NotFound(path.to_owned()))
    }
}

pub fn apply(entries: &mut BTreeMap<String, u64>, change: EntryChange) {
    match change {
        EntryChange::Set(path, inode) => {
            entries.insert(path, inode);
        }
        EntryChange::Unset(path) => {
            entries.remove(&path);
        }
        EntryChange::Move { from, to, inode } => {
            entries.remove(&from);
            entries.insert(to, inode);
        }
    }
}

pub fn fault(operation: &'static str, path: &str, why: &'static str) -> DiskError {
    DiskError::Io { operation, path: path.to_owned(), source: std::io::Error::other(why) }
}
