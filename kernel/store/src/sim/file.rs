//! An open file of a simulated disk.

use super::disk::SimDisk;
use super::inode::Inode;
use super::state::{SimOperation, State, fault};
use crate::{DiskError, DiskFile};

/// A file as the process has it open.
pub struct SimFile {
    pub disk: SimDisk,
    pub inode: u64,
    pub path: String,
    /// Of the disk, when it was opened.
    pub generation: u64,
}

impl SimFile {
    fn grow(&self, state: &mut State, end: u64, effect: impl FnOnce(&mut Inode)) -> Result<(), DiskError> {
        state.alive(self.generation, &self.path)?;
        let name = state.name_of(self.inode, &self.path);
        if state.fails(SimOperation::Write, &name) {
            return Err(fault("write", &self.path, "made to fail"));
        }
        let length = state.inode(self.inode, &self.path)?.data.len() as u64;
        state.room(end.saturating_sub(length), self.disk.reserve)?;
        state.mutate(SimOperation::Write, &name, |state| {
            effect(state.inode(self.inode, &self.path)?);
            state.measure();
            Ok(())
        })
    }
}

impl DiskFile for SimFile {
    fn write_at(&self, bytes: &[u8], at: u64) -> Result<(), DiskError> {
        let state = &mut *self.disk.state.lock();
        let name = state.name_of(self.inode, &self.path);
        let full = state.full.as_mut().is_some_and(|full| full(SimOperation::Write, &name));
        if full {
            let part = state.dice.below(bytes.len() as u64 + 1) as usize;
            let part = bytes.get(..part).unwrap_or_default();
            self.grow(state, at + part.len() as u64, |inode| inode.write(at as usize, part))?;
            return Err(DiskError::Full);
        }
        self.grow(state, at + bytes.len() as u64, |inode| inode.write(at as usize, bytes))
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> Result<usize, DiskError> {
        let state = &mut *self.disk.state.lock();
        state.alive(self.generation, &self.path)?;
        let data = &state.inode(self.inode, &self.path)?.data;
        let rest = data.get(at as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(rest) {
            *to = *from;
        }
        Ok(read)
    }

    fn sync(&self) -> Result<(), DiskError> {
        let state = &mut *self.disk.state.lock();
        state.alive(self.generation, &self.path)?;
        let name = state.name_of(self.inode, &self.path);
        if state.fails(SimOperation::Sync, &name) {
            let State { inodes, dice, .. } = state;
            if let Some(inode) = inodes.get_mut(&self.inode) {
                inode.sync_in_part(dice);
            }
            return Err(fault("sync", &self.path, "made to fail"));
        }
        state.mutate(SimOperation::Sync, &name, |state| {
            state.inode(self.inode, &self.path)?.sync();
            Ok(())
        })
    }

    fn preallocate(&self, length: u64) -> Result<(), DiskError> {
        let state = &mut *self.disk.state.lock();
        self.grow(state, length, |inode| {
            if (inode.data.len() as u64) < length {
                inode.set_length(length as usize);
            }
        })
    }

    fn set_length(&self, length: u64) -> Result<(), DiskError> {
        let state = &mut *self.disk.state.lock();
        self.grow(state, length, |inode| inode.set_length(length as usize))
    }

    fn length(&self) -> Result<u64, DiskError> {
        let state = &mut *self.disk.state.lock();
        state.alive(self.generation, &self.path)?;
        Ok(state.inode(self.inode, &self.path)?.data.len() as u64)
    }
}
