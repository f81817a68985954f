//! A disk in memory that keeps exactly what it promised, and at a power cut as little more as the dice say.

use std::sync::Arc;

use parking_lot::Mutex;

use super::file::SimFile;
use super::inode::Inode;
use super::state::{EntryChange, SimOperation, State, apply, fault};
use crate::{Disk, DiskError, DiskFile};

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimCrash {
    /// It is killed; what it wrote stays in the page cache.
    Killed,
    /// The power is cut; what was not synced is lost, in part or whole.
    PowerCut,
}

/// A simulated disk. Cheap to clone; clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    pub(super) state: Arc<Mutex<State>>,
    pub(super) reserve: u64,
}

impl SimDisk {
    /// An empty disk whose fate follows from `seed`.
    pub fn new(seed: u64) -> SimDisk {
        SimDisk { state: Arc::new(Mutex::new(State::new(seed))), reserve: 0 }
    }

    /// The same disk for data: what would leave less than `reserve` bytes free finds it full.
    pub fn with_reserve(&self, reserve: u64) -> SimDisk {
        SimDisk { reserve, ..self.clone() }
    }

    /// Bytes that fit.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = bytes;
    }

    /// Bytes in use.
    pub fn used(&self) -> u64 {
        self.state.lock().used
    }

    /// Writing calls so far.
    pub fn writes(&self) -> u64 {
        self.state.lock().writes
    }

    /// Cuts the power at the `calls`th writing call from now, before or after it took effect; every call fails
    /// from then on, until [`SimDisk::restart`].
    pub fn cut_power_after(&self, calls: u64) {
        self.state.lock().countdown = Some(calls);
    }

    /// True since the power went.
    pub fn is_off(&self) -> bool {
        self.state.lock().power_off
    }

    /// Calls for which `lie` is true pretend to have worked.
    pub fn lie_when(&self, lie: impl FnMut(SimOperation, &str) -> bool + Send + 'static) {
        self.state.lock().lie = Some(Box::new(lie));
    }

    /// Calls for which `fail` is true fail; a sync that fails loses what it should have made durable.
    pub fn fail_when(&self, fail: impl FnMut(SimOperation, &str) -> bool + Send + 'static) {
        self.state.lock().fail = Some(Box::new(fail));
    }

    /// Writes for which `full` is true find no room after a part of them, even in place.
    pub fn full_when(&self, full: impl FnMut(SimOperation, &str) -> bool + Send + 'static) {
        self.state.lock().full = Some(Box::new(full));
    }

    /// Ends the process and begins a new one on what is left. The power is back, nothing fails on demand any more;
    /// lies go on.
    pub fn restart(&self, crash: SimCrash) {
        let state = &mut *self.state.lock();
        state.generation += 1;
        state.power_off = false;
        state.countdown = None;
        state.fail = None;
        state.full = None;
        if crash == SimCrash::PowerCut {
            state.lose_power();
        }
        let State { inodes, entries, durable, pending, .. } = state;
        let named = |inode: &u64| {
            let in_pending = pending.values().flatten().any(|change| match change {
                EntryChange::Set(_, set) | EntryChange::Move { inode: set, .. } => set == inode,
                EntryChange::Unset(_) => false,
            });
            in_pending || entries.values().chain(durable.values()).any(|entry| entry == inode)
        };
        inodes.retain(|inode, _| named(inode));
        state.measure();
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

impl SimDisk {
    fn file(&self, inode: u64, path: &str, generation: u64) -> Arc<dyn DiskFile> {
        Arc::new(SimFile { disk: self.clone(), inode, path: path.to_owned(), generation })
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let state = &mut *self.state.lock();
        let generation = state.generation;
        state.alive(generation, path)?;
        if state.entries.contains_key(path) {
            return Err(DiskError::Exists(path.to_owned()));
        }
        if state.fails(SimOperation::Write, path) {
            return Err(fault("create", path, "made to fail"));
        }
        state.next_inode += 1;
        let number = state.next_inode;
        state.mutate(SimOperation::Write, path, |state| {
            state.inodes.insert(number, Inode::default());
            state.change(folder_of(path), EntryChange::Set(path.to_owned(), number));
            Ok(())
        })?;
        Ok(self.file(number, path, generation))
    }

    fn open(&self, path: &str) -> Result<Arc<dyn DiskFile>, DiskError> {
        let state = self.state.lock();
        state.alive(state.generation, path)?;
        let inode = state.entries.get(path).ok_or_else(|| DiskError::NotFound(path.to_owned()))?;
        Ok(self.file(*inode, path, state.generation))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let state = &mut *self.state.lock();
        state.alive(state.generation, from)?;
        let inode = *state.entries.get(from).ok_or_else(|| DiskError::NotFound(from.to_owned()))?;
        if state.fails(SimOperation::Write, from) {
            return Err(fault("rename", from, "made to fail"));
        }
        state.mutate(SimOperation::Write, from, |state| {
            if folder_of(from) == folder_of(to) {
                let change = EntryChange::Move { from: from.to_owned(), to: to.to_owned(), inode };
                state.change(folder_of(to), change);
            } else {
                state.change(folder_of(from), EntryChange::Unset(from.to_owned()));
                state.change(folder_of(to), EntryChange::Set(to.to_owned(), inode));
            }
            state.measure();
            Ok(())
        })
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let state = &mut *self.state.lock();
        state.alive(state.generation, path)?;
        if !state.entries.contains_key(path) {
            return Err(DiskError::NotFound(path.to_owned()));
        }
        state.mutate(SimOperation::Write, path, |state| {
            state.change(folder_of(path), EntryChange::Unset(path.to_owned()));
            state.measure();
            Ok(())
        })
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let state = self.state.lock();
        state.alive(state.generation, folder)?;
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        Ok(state.entries.keys().filter(|path| path.starts_with(&below)).cloned().collect())
    }

    fn sync_dir(&self, folder: &str) -> Result<(), DiskError> {
        let state = &mut *self.state.lock();
        state.alive(state.generation, folder)?;
        if state.fails(SimOperation::SyncDir, folder) {
            return Err(fault("sync the folder", folder, "made to fail"));
        }
        state.mutate(SimOperation::SyncDir, folder, |state| {
            for change in state.pending.remove(folder).unwrap_or_default() {
                apply(&mut state.durable, change);
            }
            Ok(())
        })
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        let state = self.state.lock();
        state.alive(state.generation, "")?;
        Ok(state.capacity.saturating_sub(state.used).saturating_sub(self.reserve))
    }

    fn privileged(&self) -> Arc<dyn Disk> {
        Arc::new(self.with_reserve(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(disk: &SimDisk, path: &str) -> Option<Vec<u8>> {
        let file = disk.open(path).ok()?;
        let mut buffer = vec![0; file.length().ok()? as usize];
        let read = file.read_at(&mut buffer, 0).ok()?;
        assert_eq!(read, buffer.len());
        Some(buffer)
    }

    #[test]
    fn what_is_synced_survives_and_what_is_not_may_not() {
        let (mut lost_entry, mut lost_bytes, mut torn, mut kept) = (0, 0, 0, 0);
        for seed in 0..200 {
            let disk = SimDisk::new(seed);
            let file = disk.create("a/synced").expect("creates");
            file.write_at(&[1; 2048], 0).expect("writes");
            file.sync().expect("syncs");
            disk.sync_dir("a").expect("syncs");
            file.write_at(&[2; 4096], 1024).expect("writes");
            let other = disk.create("a/unsynced").expect("creates");
            other.write_at(b"x", 0).expect("writes");
            other.sync().expect("syncs");
            disk.restart(SimCrash::PowerCut);
            assert!(file.write_at(b"late", 0).is_err(), "a file of the last life writes");

            let bytes = read(&disk, "a/synced").expect("its entry was synced");
            assert_eq!(bytes[..1024], [1; 1024]);
            assert!(bytes.len() >= 2048);
            match bytes.iter().filter(|byte| **byte == 2).count() {
                0 => lost_bytes += 1,
                4096 => kept += 1,
                _ => torn += 1,
            }
            match read(&disk, "a/unsynced") {
                Some(bytes) => assert_eq!(bytes, b"x"),
                None => lost_entry += 1,
            }
        }
        assert!(lost_entry > 50 && lost_bytes > 50 && torn > 10 && kept > 20);
    }

    #[test]
    fn a_killed_process_leaves_its_writes() {
        let disk = SimDisk::new(1);
        disk.create("f").expect("creates").write_at(b"bytes", 0).expect("writes");
        disk.restart(SimCrash::Killed);
        assert_eq!(read(&disk, "f").expect("is there"), b"bytes");
    }

    #[test]
    fn the_power_goes_at_the_call_asked_for() {
        let disk = SimDisk::new(1);
        disk.cut_power_after(3);
        let file = disk.create("f").expect("creates");
        file.write_at(b"1", 0).expect("writes");
        assert!(file.write_at(b"2", 1).is_err() && disk.is_off());
        assert!(disk.open("f").is_err());
        disk.restart(SimCrash::Killed);
        assert!(disk.open("f").is_ok());
    }

    #[test]
    fn a_full_disk_refuses_growth_and_recovers() {
        let disk = SimDisk::new(1);
        disk.set_capacity(10);
        let file = disk.create("f").expect("creates");
        file.preallocate(8).expect("fits");
        assert!(matches!(file.write_at(b"xyz", 8), Err(DiskError::Full)));
        file.write_at(b"12345678", 0).expect("in place");
        disk.remove("f").expect("removes");
        assert_eq!(disk.used(), 0);
    }

    #[test]
    fn lies_and_failures_lose_what_they_should_keep() {
        let disk = SimDisk::new(3);
        disk.lie_when(|operation, path| operation == SimOperation::Sync && path == "lied");
        for name in ["lied", "honest"] {
            let file = disk.create(name).expect("creates");
            file.write_at(&[7; 512], 0).expect("writes");
            file.sync().expect("says it synced");
        }
        disk.sync_dir("").expect("syncs");
        disk.fail_when(|operation, _| operation == SimOperation::Sync);
        let file = disk.open("honest").expect("opens");
        file.write_at(&[8; 512], 0).expect("writes");
        assert!(file.sync().is_err());
        let mut lost = false;
        for _ in 0..20 {
            disk.restart(SimCrash::PowerCut);
            lost |= read(&disk, "lied").is_some_and(|bytes| bytes.is_empty());
            assert_eq!(read(&disk, "honest").expect("is there").len(), 512);
        }
        assert!(lost);
    }
}
