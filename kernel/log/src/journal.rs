//! The journal: files that grow by whole frames, one an append, written in groups with one sync each.
//!
//! A file, in bytes, little endian:
//!
//! ```text
//! header  8 magic, 1 version (1), 1 mode (0 plain, 1 AES-256-GCM), 2 length of the wrapped key,
//!         8 number of the file, 8 identity (random), 8 sequence of its first frame,
//!         8 end of the file before it, n wrapped key, 4 CRC-32 of all this; zeros to a multiple of 16
//! frame   4 magic, 4 length of the body, 8 identity, 8 sequence, 8 group, 4 CRC-32 of these;
//!         the body, sealed (tag 16) or plain (CRC-32 of header and body); zeros to a multiple of 16
//! body    1 kind (1: append), 4 batches, each in its stored form
//! ```
//!
//! Sequences count through all files; the nonce of a frame is its sequence, the key is the file's own, and after a
//! failed write or a restart a new file is begun, so that no nonce is used twice. A group is the frames under one
//! sync, named by the sequence of its first. The next group is written only when the sync of the last returned:
//! hence a damaged frame followed by valid frames of *its own* group is a torn write that nobody was told of, and is
//! cut; followed by a frame of a *later* group it is damage to what was acknowledged, and stops the start.

mod file;
mod recovery;
mod writer;

pub(crate) use file::{FrameAt, JournalFile};
pub(crate) use recovery::{LastGroup, Position, Recovered, open_file, recover, scan};
pub(crate) use writer::{Body, JournalWriter, WriteError, WriterStart, Written};

/// The folder of the journal on its disk.
pub(crate) const FOLDER: &str = "log/journal";

pub(crate) fn path_of(number: u64) -> String {
    format!("{FOLDER}/{number:016}.journal")
}

pub(crate) fn number_of(path: &str) -> Option<u64> {
    path.strip_prefix(FOLDER)?.strip_prefix('/')?.strip_suffix(".journal")?.parse().ok()
}
