//! The end of the journal where groups are written: one write and one sync each.

use std::sync::Arc;

use candor_model::Random;
use candor_store::{Disk, DiskError, DiskFile, KeyWrap};

use super::file::{FileHead, FrameAt, JournalFile, aligned};
use super::{FOLDER, LastGroup, Position, path_of};
use crate::mutant::{Mutant, planted};

/// Groups smaller than this are followed by zeros: where syncs are frequent they should not have to write the file
/// system's own journal too, which a write to space never written before makes them do.
const SMALL_GROUP_BYTES: u64 = 256 << 10;
/// How far the zeros go.
const ZEROS_BYTES: u64 = 1 << 20;

/// What the header of a file may take.
const HEADROOM_BYTES: u64 = 1024;

/// Why a group was not written.
#[derive(Debug)]
pub(crate) enum WriteError {
    /// No space. Nothing was written that will be read.
    Full,
    /// The disk failed; what it holds is unknown.
    Failed(DiskError),
}

/// Where a writer goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WriterStart {
    /// The number of the next file.
    pub number: u64,
    /// The sequence of the next frame.
    pub sequence: u64,
    /// Where the last file ends.
    pub previous_end: u64,
}

/// Writes groups. There is one.
pub(crate) struct JournalWriter {
    disk: Arc<dyn Disk>,
    keys: Option<Arc<dyn KeyWrap>>,
    random: Arc<dyn Random>,
    file_bytes: u64,
    next: WriterStart,
    active: Option<Active>,
    buffer: Vec<u8>,
}

struct Active {
    file: Arc<JournalFile>,
    /// Where the next frame goes.
    end: u64,
    /// Space that is reserved.
    capacity: u64,
    /// Up to here the disk has been written before.
    written: u64,
}

/// One frame's body: writes itself into a buffer.
pub(crate) type Body<'a> = &'a dyn Fn(&mut Vec<u8>);

/// A group that is on stable storage.
pub(crate) struct Written {
    pub file: Arc<JournalFile>,
    pub frames: Vec<FrameAt>,
}

impl JournalWriter {
    pub fn new(
        disk: Arc<dyn Disk>,
        keys: Option<Arc<dyn KeyWrap>>,
        random: Arc<dyn Random>,
        file_bytes: u64,
        start: WriterStart,
    ) -> JournalWriter {
        JournalWriter { disk, keys, random, file_bytes, next: start, active: None, buffer: Vec::new() }
    }

    /// Where a reader of the journal would go on after what is written.
    pub fn position(&self) -> Position {
        let sequence = self.next.sequence;
        match &self.active {
            Some(active) => Position {
                file: active.file.head.number,
                at: active.end,
                sequence,
                previous_end: active.file.head.previous_end,
            },
            None => {
                Position { file: self.next.number, at: 0, sequence, previous_end: self.next.previous_end }
            }
        }
    }

    /// Bytes of frames in the file that is open.
    pub fn active_bytes(&self) -> u64 {
        self.active.as_ref().map_or(0, |active| active.end - active.file.frames_at)
    }

    /// Writes and syncs a group of frames; `weight` bounds their bytes from above.
    pub fn write(&mut self, bodies: &[Body<'_>], weight: usize) -> Result<Written, WriteError> {
        let (file, start, capacity) = match self.file_for(weight as u64)? {
            Some(place) => place,
            None => return Err(WriteError::Full),
        };
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let group = self.next.sequence;
        let mut frames = Vec::with_capacity(bodies.len());
        for (sequence, body) in (group..).zip(bodies) {
            let at = start + buffer.len() as u64;
            let length = file.seal(sequence, group, &mut buffer, body);
            frames.push(FrameAt { file: file.head.number, at, length });
        }
        let end = start + buffer.len() as u64;
        assert!(end <= capacity, "a group beyond the space made for it: {end} of {capacity}");
        let written = self.write_buffer(&file, start, end, &mut buffer);
        // What one large request needed is not kept for good.
        buffer.shrink_to(16 << 20);
        self.buffer = buffer;
        match written {
            Ok(()) => {
                self.next.sequence += bodies.len() as u64;
                Ok(Written { file, frames })
            }
            Err(DiskError::Full) => {
                // Part of it may be on the disk, sealed under nonces that must not come again: this file ends before
                // it, and the next one, under another key, says so in its header. Until there is a next one, a
                // restart would take it for written: cut it off.
                let cut = match planted(Mutant::KeepFailedWrite) {
                    true => Ok(()),
                    false => file.disk_file().set_length(start).and_then(|()| file.disk_file().sync()),
                };
                self.seal_file();
                Err(cut.map_or_else(WriteError::Failed, |()| WriteError::Full))
            }
            Err(error) => Err(WriteError::Failed(error)),
        }
    }

    fn write_buffer(
        &mut self,
        file: &JournalFile,
        start: u64,
        end: u64,
        buffer: &mut Vec<u8>,
    ) -> Result<(), DiskError> {
        let Some(active) = self.active.as_mut() else { return Err(DiskError::NotFound(file.path())) };
        let mut written = end;
        if end > active.written && end - start < SMALL_GROUP_BYTES {
            let ahead = ZEROS_BYTES.min(self.file_bytes / 16);
            written = (end + ahead).min(active.capacity);
            buffer.resize((written - start) as usize, 0);
        }
        if planted(Mutant::AckBeforeSync) {
            file.disk_file().sync()?;
            file.disk_file().write_at(buffer, start)?;
        } else {
            file.disk_file().write_at(buffer, start)?;
            file.disk_file().sync()?;
        }
        active.end = end;
        active.written = active.written.max(written);
        Ok(())
    }

    /// The file, the place and the end of the space for a group, beginning a new file where it does not fit; `None`
    /// on a full disk.
    fn file_for(&mut self, weight: u64) -> Result<Option<(Arc<JournalFile>, u64, u64)>, WriteError> {
        if let Some(active) = &self.active
            && active.end + weight <= active.capacity
        {
            return Ok(Some((Arc::clone(&active.file), active.end, active.capacity)));
        }
        match self.begin_file(weight) {
            Ok(()) => {}
            Err(DiskError::Full) => return Ok(None),
            Err(error) => return Err(WriteError::Failed(error)),
        }
        Ok(self.active.as_ref().map(|active| (Arc::clone(&active.file), active.end, active.capacity)))
    }

    /// Ends the open file. The next group begins another.
    pub fn seal_file(&mut self) {
        if let Some(active) = self.active.take() {
            self.next.number = active.file.head.number + 1;
            self.next.previous_end = active.end;
            // Gives back what was reserved and not used; where that fails it stays reserved until the file goes.
            let _ = active.file.disk_file().set_length(active.end);
        }
    }

    fn begin_file(&mut self, weight: u64) -> Result<(), DiskError> {
        let number = self.active.as_ref().map_or(self.next.number, |active| active.file.head.number + 1);
        let previous_end = self.active.as_ref().map_or(self.next.previous_end, |active| active.end);
        let new = format!("{}.new", path_of(number));
        match self.disk.remove(&new) {
            Ok(()) | Err(DiskError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
        let made = self.prepare_file(&*self.disk, &new, number, previous_end, weight, |_, _| Ok(()));
        let (file, capacity) = match made {
            Ok(made) => made,
            Err(error) => {
                let _ = self.disk.remove(&new);
                return Err(error);
            }
        };
        self.disk.rename(&new, &path_of(number))?;
        self.disk.sync_dir(FOLDER)?;
        self.seal_file();
        let end = file.frames_at;
        self.active = Some(Active { file: Arc::new(file), end, capacity, written: end });
        Ok(())
    }

    /// A whole, synced file under a name that recovery passes over; `fill` may write to it.
    fn prepare_file(
        &self,
        disk: &dyn Disk,
        path: &str,
        number: u64,
        previous_end: u64,
        weight: u64,
        fill: impl FnOnce(&JournalFile, &dyn DiskFile) -> Result<(), DiskError>,
    ) -> Result<(JournalFile, u64), DiskError> {
        let file = disk.create(path)?;
        let identity = self.random.next_u64();
        let head = FileHead { number, identity, first_sequence: self.next.sequence, previous_end };
        let journal = JournalFile::create(Arc::clone(&file), head, self.keys.as_deref(), &*self.random)?;
        let least = aligned(journal.frames_at + weight);
        let mut capacity = self.file_bytes.max(least);
        // A nearly full disk gets smaller files, down to what this group needs.
        while let Err(error) = file.preallocate(capacity) {
            let smaller = (capacity / 4).max(least);
            if !matches!(error, DiskError::Full) || smaller >= capacity {
                return Err(error);
            }
            capacity = smaller;
        }
        fill(&journal, &*file)?;
        file.sync()?;
        Ok((journal, capacity))
    }

    /// Writes the last group of an earlier life again, at the start of a new file, which then takes its place: until
    /// the new file has its name the old one counts, from then on the new one alone. May use the reserve.
    pub fn recommit(&mut self, group: &LastGroup) -> Result<Written, WriteError> {
        let after = self.next;
        let previous_end = group.at;
        self.next = WriterStart { sequence: group.sequence, previous_end, ..after };
        let mut buffer = Vec::new();
        let mut places = Vec::with_capacity(group.frames.len());
        let weight = group.end - group.at + HEADROOM_BYTES;
        let path = path_of(after.number);
        let new = format!("{path}.new");
        let disk = self.disk.privileged();
        let made = self.prepare_file(&*disk, &new, after.number, previous_end, weight, |file, disk_file| {
            for (sequence, (_, body)) in (group.sequence..).zip(&group.frames) {
                let at = file.frames_at + buffer.len() as u64;
                let length =
                    file.seal(sequence, group.sequence, &mut buffer, |to| to.extend_from_slice(body));
                places.push(FrameAt { file: file.head.number, at, length });
            }
            disk_file.write_at(&buffer, file.frames_at)
        });
        let named = made.and_then(|made| {
            disk.rename(&new, &path)?;
            disk.sync_dir(FOLDER)?;
            Ok(made)
        });
        match named {
            Ok((file, capacity)) => {
                self.next.sequence += group.frames.len() as u64;
                let end = file.frames_at + buffer.len() as u64;
                let file = Arc::new(file);
                self.active = Some(Active { file: Arc::clone(&file), end, capacity, written: end });
                // Only the space: nothing reads on behind the place where the new file takes over.
                let _ = group.file.disk_file().set_length(group.at);
                Ok(Written { file, frames: places })
            }
            Err(error) => {
                self.next = after;
                let _ = disk.remove(&new);
                Err(match error {
                    DiskError::Full => WriteError::Full,
                    error => WriteError::Failed(error),
                })
            }
        }
    }
}
