//! Reading stored files of a log by themselves, without opening it: for who proves what is in them. Nothing is
//! written or cut, and a log may run in the same folder meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use candor_gate::codec::{self, CodecError};
use candor_model::{Offset, Partition, Random};
use candor_store::{Disk, DiskError, KeyWrap};

use crate::batch::encode_committed;
use crate::checkpoint::Checkpoints;
use crate::journal::{self, number_of, path_of};
use crate::reader::decode_body;
use crate::segment;
use crate::state::State;
use crate::{Committed, OpenError, Topic};

/// Attempts at a journal file that is written to while it is read.
const ATTEMPTS_MAX: u32 = 5;

/// Every batch of a journal file, up to its torn or growing end.
pub fn journal(disk: &dyn Disk, path: &str, keys: Option<&dyn KeyWrap>) -> Result<Vec<Committed>, OpenError> {
    let mut attempt = 1;
    loop {
        match read(disk, path, keys) {
            // A frame that was not there yet, and one after it that was: the file grew under the reader.
            Err(OpenError::Hole { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
            done => return done,
        }
    }
}

fn read(disk: &dyn Disk, path: &str, keys: Option<&dyn KeyWrap>) -> Result<Vec<Committed>, OpenError> {
    let file = Arc::new(journal::open_file(disk, path, keys)?);
    let next = match number_of(path).map(|number| journal::open_file(disk, &path_of(number + 1), keys)) {
        Some(Ok(next)) => Some(next),
        Some(Err(OpenError::Disk(DiskError::NotFound(_)))) | None => None,
        // It may be begun this moment; its own inspection says what is wrong with it.
        Some(Err(_)) => None,
    };
    let mut batches = Vec::new();
    journal::scan(&file, next.as_ref(), |_, body| {
        batches.extend(decode_body(body).ok_or("a record is not of this format")?);
        Ok(())
    })?;
    Ok(batches)
}

/// Where a topic begins and ends in stored files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: Partition,
    /// The oldest offset that is held.
    pub start: Offset,
    /// The offset after the last record.
    pub end: Offset,
}

/// What a log would hold that is opened on these files: by the checkpoint and the whole journal. For a folder in which
/// no log runs.
pub fn bounds(
    disk: &dyn Disk,
    keys: Option<Arc<dyn KeyWrap>>,
    random: Arc<dyn Random>,
) -> Result<Vec<Bounds>, OpenError> {
    // No request ids are asked for.
    let mut state = State::new(0);
    Checkpoints::new(disk, keys.clone(), random).load(&mut state)?;
    let mut all: BTreeMap<(Topic, Partition), (u64, u64)> = BTreeMap::new();
    for held in &state.partitions {
        all.insert((held.topic.clone(), held.partition), (held.start, held.end));
    }
    for path in disk.list(journal::FOLDER)? {
        if number_of(&path).is_none() {
            continue;
        }
        for batch in read(disk, &path, keys.as_deref())? {
            let of_it = all.entry((batch.topic, batch.partition)).or_insert((batch.base.0, 0));
            of_it.1 = of_it.1.max(batch.base.0 + u64::from(batch.count));
        }
    }
    let held = all.into_iter().filter(|(_, (_, end))| *end > 0);
    let bounds = held.map(|((topic, partition), (start, end))| Bounds {
        topic,
        partition,
        start: Offset(start),
        end: Offset(end),
    });
    Ok(bounds.collect())
}

/// The stored form of a batch without compression: what a search for what must not be there looks through.
pub fn decompressed(batch: &Committed) -> Result<Vec<u8>, CodecError> {
    // What is not of a signal is compressed as its client did, if at all.
    let content = match batch.topic.name.signal() {
        Some(_) => codec::decompressed(&batch.batch)?,
        None => batch.batch.clone(),
    };
    let mut out = Vec::with_capacity(content.len() + 256);
    encode_committed(&Committed { batch: content, ..batch.clone() }, true, &mut out);
    Ok(out)
}

/// Every batch of a segment, from its content in the clear; `None` for what is no segment, or not all of one.
pub fn segment(content: Bytes) -> Option<Vec<Committed>> {
    segment::read_whole(content)
}
