//! Reading stored files of a log by themselves, without opening it: for who proves what is in them. Nothing is
//! written or cut, and a log may run in the same folder meanwhile.

use std::sync::Arc;

use bytes::Bytes;
use candor_store::{Disk, DiskError, KeyWrap};

use crate::journal::{self, number_of, path_of};
use crate::reader::decode_body;
use crate::segment;
use crate::{Committed, OpenError};

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

/// Every batch of a segment, from its content in the clear; `None` for what is no segment, or not all of one.
pub fn segment(content: Bytes) -> Option<Vec<Committed>> {
    segment::read_whole(content)
}
