//! Reading the journal back at start: whole frames in order, a torn end cut, a hole refused.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use candor_store::{Disk, DiskError, KeyWrap};

use super::file::{ALIGNMENT, BadFile, FRAME_HEADER_BYTES, FrameAt, FrameHead, JournalFile, aligned};
use super::{FOLDER, WriterStart, number_of, path_of};
use crate::OpenError;
use crate::mutant::{Mutant, planted};

/// How much is read at once.
const WINDOW_BYTES: usize = 1 << 20;

/// Where reading begins: after what the checkpoint holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Position {
    pub file: u64,
    /// Byte in it; 0 where it is not begun yet.
    pub at: u64,
    pub sequence: u64,
    /// Where the file before it ends.
    pub previous_end: u64,
}

/// What was found.
pub(crate) struct Recovered {
    /// Every file from the first that is needed on, by number.
    pub files: BTreeMap<u64, Arc<JournalFile>>,
    /// Where to go on.
    pub start: WriterStart,
    /// Frames that were read.
    pub frames: u64,
    /// The last group, which was not given to `apply`.
    pub last_group: Option<LastGroup>,
}

/// The last group of the last file. It may be in the page cache alone: of a process that was killed before its sync,
/// or whose sync failed, after which the kernel takes the pages for clean and another sync does nothing. So it has
/// to be written once more before it is shown, and elsewhere: a write in place, torn, would destroy what may have
/// been acknowledged.
pub(crate) struct LastGroup {
    pub file: Arc<JournalFile>,
    pub frames: Vec<(FrameAt, Bytes)>,
    /// Where it begins, and the sequence of its first frame.
    pub at: u64,
    pub sequence: u64,
    pub end: u64,
}

/// Reads what was written after `from`, in order. `first_needed` is the oldest file that the caller still refers to;
/// older ones are removed.
pub(crate) fn recover(
    disk: &dyn Disk,
    keys: Option<&dyn KeyWrap>,
    from: Option<Position>,
    first_needed: u64,
    mut apply: impl FnMut(FrameAt, Bytes) -> Result<(), &'static str>,
) -> Result<Recovered, OpenError> {
    let mut files = open_files(disk, keys, first_needed)?;
    let begin = from.unwrap_or(Position { file: 1, at: 0, sequence: 1, previous_end: 0 });
    check_complete(&files, first_needed, begin)?;

    let mut start =
        WriterStart { number: begin.file, sequence: begin.sequence, previous_end: begin.previous_end };
    let mut frames = 0;
    let mut last_group = None;
    let numbers: Vec<u64> = files.range(begin.file..).map(|(number, _)| *number).collect();
    for (i, number) in numbers.iter().enumerate() {
        let Some(file) = files.get(number).map(Arc::clone) else { continue };
        let next = numbers.get(i + 1).and_then(|next| files.get(next));
        if file.head.first_sequence > start.sequence {
            return Err(hole(&file, 0, "frames before this file are missing"));
        }
        let at = if *number == begin.file && begin.at > 0 { begin.at } else { file.frames_at };
        let scan = Scan { file: &file, apply: &mut apply, group: Vec::new() };
        let end = scan.run(at, start.sequence, next.map(|next| next.head.previous_end))?;
        frames += end.sequence - start.sequence;
        start = WriterStart { number: number + 1, sequence: end.sequence, previous_end: end.at };
        if next.is_none() && end.at == file.frames_at {
            // Begun, and nothing was ever acknowledged in it. Its number is free again.
            disk.remove(&file.path())?;
            files.remove(number);
            start.number = *number;
            start.previous_end = file.head.previous_end;
        }
        if let Some((_, first, _)) = end.group.first() {
            let (at, sequence) = (first.at, end.sequence - end.group.len() as u64);
            let frames = end.group.into_iter().map(|(_, frame, body)| (frame, body)).collect();
            last_group = Some(LastGroup { file, frames, at, sequence, end: end.at });
        }
    }
    Ok(Recovered { files, start, frames, last_group })
}

fn open_files(
    disk: &dyn Disk,
    keys: Option<&dyn KeyWrap>,
    first_needed: u64,
) -> Result<BTreeMap<u64, Arc<JournalFile>>, OpenError> {
    let mut files = BTreeMap::new();
    let found = disk.list(FOLDER)?;
    if !found.is_empty() && !planted(Mutant::TrustFoundNames) {
        // The names may be those of a process that was killed before it synced them.
        disk.sync_dir(FOLDER)?;
    }
    for path in found {
        if path.ends_with(".new") {
            disk.remove(&path)?;
            continue;
        }
        let Some(number) = number_of(&path) else { continue };
        if number < first_needed {
            disk.remove(&path)?;
            continue;
        }
        files.insert(number, Arc::new(open_file(disk, &path, keys)?));
    }
    Ok(files)
}

/// Opens one file of a journal.
pub(crate) fn open_file(
    disk: &dyn Disk,
    path: &str,
    keys: Option<&dyn KeyWrap>,
) -> Result<JournalFile, OpenError> {
    JournalFile::open(disk.open(path)?, keys).map_err(|bad| match bad {
        BadFile::Disk(error) => OpenError::Disk(error),
        BadFile::Newer(found) => OpenError::Newer { file: path.to_owned(), found },
        BadFile::KeyGone => OpenError::KeyGone(path.to_owned()),
        BadFile::Damaged => OpenError::Hole { file: path.to_owned(), at: 0, what: "its header is damaged" },
    })
}

/// Reads every frame of one file; `next` is the file after it, which tells where this one ends.
pub(crate) fn scan(
    file: &JournalFile,
    next: Option<&JournalFile>,
    mut apply: impl FnMut(FrameAt, Bytes) -> Result<(), &'static str>,
) -> Result<(), OpenError> {
    let until = next.map(|next| next.head.previous_end);
    let scan = Scan { file, apply: &mut apply, group: Group::new() };
    let end = scan.run(file.frames_at, file.head.first_sequence, until)?;
    Scan { file, apply: &mut apply, group: end.group }.apply_group()
}

/// No file is missing between the first that is needed and the last.
fn check_complete(
    files: &BTreeMap<u64, Arc<JournalFile>>,
    first_needed: u64,
    begin: Position,
) -> Result<(), OpenError> {
    // A position at byte 0 is that of a file not begun yet.
    let last_needed = if begin.at > 0 { begin.file } else { begin.file - 1 };
    let last = files.keys().next_back().copied().unwrap_or(0).max(last_needed);
    match (first_needed..=last).find(|number| !files.contains_key(number)) {
        Some(missing) => Err(OpenError::Missing(path_of(missing))),
        None => Ok(()),
    }
}

fn hole(file: &JournalFile, at: u64, what: &'static str) -> OpenError {
    OpenError::Hole { file: file.path(), at, what }
}

struct ScanEnd {
    at: u64,
    sequence: u64,
    /// The last group, where nothing says that it was synced.
    group: Group,
}

/// Frames of one group, with the group's number.
type Group = Vec<(u64, FrameAt, Bytes)>;

struct Scan<'a, F> {
    file: &'a JournalFile,
    apply: &'a mut F,
    group: Group,
}

impl<F: FnMut(FrameAt, Bytes) -> Result<(), &'static str>> Scan<'_, F> {
    /// Reads frames from `at` on. With `until`, the file is known to be whole up to there.
    fn run(mut self, mut at: u64, mut sequence: u64, until: Option<u64>) -> Result<ScanEnd, OpenError> {
        while until.is_none_or(|until| at < until) {
            let Some((head, body)) = self.read_frame(at)?.filter(|(head, _)| head.sequence == sequence)
            else {
                if until.is_some() || self.later_group_follows(at, sequence)? {
                    return Err(hole(self.file, at, "a record is damaged"));
                }
                return Ok(ScanEnd { at, sequence, group: self.group });
            };
            if self.group.last().is_some_and(|(group, ..)| *group != head.group) {
                self.apply_group()?;
            }
            let length = FRAME_HEADER_BYTES as u32 + head.body;
            let frame = FrameAt { file: self.file.head.number, at, length };
            self.group.push((head.group, frame, body));
            at = aligned(at + u64::from(length));
            sequence += 1;
        }
        self.apply_group()?;
        match until {
            Some(until) if at != until => Err(hole(self.file, at, "records run over the end of the file")),
            _ => Ok(ScanEnd { at, sequence, group: Group::new() }),
        }
    }

    fn apply_group(&mut self) -> Result<(), OpenError> {
        for (_, frame, body) in std::mem::take(&mut self.group) {
            (self.apply)(frame, body).map_err(|what| hole(self.file, frame.at, what))?;
        }
        Ok(())
    }

    fn read_frame(&mut self, at: u64) -> Result<Option<(FrameHead, Bytes)>, DiskError> {
        let mut header = [0; FRAME_HEADER_BYTES];
        self.file.disk_file().read_at(&mut header, at)?;
        let Some(head) = self.file.parse_frame_head(&header) else { return Ok(None) };
        let length = FRAME_HEADER_BYTES as u64 + u64::from(head.body);
        if at + length > self.file.disk_file().length()? {
            return Ok(None);
        }
        let mut frame = vec![0; length as usize];
        self.file.disk_file().read_at(&mut frame, at)?;
        Ok(self.file.unseal(frame))
    }

    /// True where a valid frame of a group that began after `sequence` follows: that group was written only once
    /// the frame missing here had been synced.
    fn later_group_follows(&mut self, from: u64, sequence: u64) -> Result<bool, DiskError> {
        let mut window = vec![0; WINDOW_BYTES + FRAME_HEADER_BYTES];
        let mut base = from;
        loop {
            let read = self.file.disk_file().read_at(&mut window, base)?;
            let bytes = window.get(..read).unwrap_or_default();
            let places = bytes.len().min(WINDOW_BYTES) as u64;
            for place in (0..places).step_by(ALIGNMENT as usize) {
                let candidate = bytes.get(place as usize..).unwrap_or_default();
                let Some(head) = self.file.parse_frame_head(candidate) else { continue };
                if head.group > sequence && self.read_frame(base + place)?.is_some() {
                    return Ok(true);
                }
            }
            if read <= WINDOW_BYTES {
                return Ok(false);
            }
            base += WINDOW_BYTES as u64;
        }
    }
}
