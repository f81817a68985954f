//! Room kept back for metadata and erasure when something else fills the device.
//!
//! Data is refused while little is free (see [`crate::pressure`]), but others write to the device too, down to the last
//! byte. So a file in the data dir takes the room that the databases will need then, and gives it up when it is time.

use std::path::{Path, PathBuf};

use crate::files;

/// The file's name in the data dir.
const FILE: &str = "reserve";

/// Least and most that it takes, bytes. Metadata commits are pages of 4 KiB and their log; a day of erasures fits.
const BYTES_MIN: u64 = 2 << 20;
const BYTES_MAX: u64 = 8 << 20;

/// The file.
pub struct Ballast {
    path: PathBuf,
    bytes: u64,
    reserve: u64,
}

impl Ballast {
    /// In that data dir, on a device of which so much is reserved.
    pub fn new(folder: &Path, reserve: u64) -> Ballast {
        Ballast { path: folder.join(FILE), bytes: (reserve / 2).clamp(BYTES_MIN, BYTES_MAX), reserve }
    }

    /// Gives the room up where next to nothing is free, and takes it again where there is enough for data too.
    pub fn adjust(&self, free: u64) {
        let held = files::exists(&self.path);
        if held && free < self.bytes / 2 {
            tracing::warn!(bytes = self.bytes, "the device is full: its reserve is given to the databases");
            if let Err(error) = files::remove(&self.path) {
                tracing::warn!(%error, "the reserve cannot be given up");
            }
        } else if !held
            && free > self.reserve.saturating_add(2 * self.bytes)
            && let Err(error) = files::allocate(&self.path, self.bytes)
        {
            tracing::debug!(%error, "no reserve can be taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_up_when_nothing_is_free_and_taken_again_when_there_is_plenty() {
        let folder = tempfile::tempdir().expect("a folder");
        let ballast = Ballast::new(folder.path(), 4 << 20);
        let held = || files::length(&folder.path().join(FILE)).ok();
        ballast.adjust(5 << 20);
        assert_eq!(held(), None, "not at the cost of data");
        ballast.adjust(1 << 30);
        assert_eq!(held(), Some(2 << 20));
        ballast.adjust(3 << 20);
        assert_eq!(held(), Some(2 << 20), "data is refused, metadata has room");
        ballast.adjust(0);
        assert_eq!(held(), None);
        ballast.adjust(2 << 20);
        assert_eq!(held(), None, "what it freed itself is no plenty");
    }
}
