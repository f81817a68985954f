//! The room of large files, given back piece by piece.
//!
//! A device that discards what it no longer holds (the mount option `discard`, storage of virtual machines) takes about
//! a millisecond a MiB for it and answers nobody meanwhile: the journal's fdatasync, and with it every acknowledgement,
//! would wait for the whole of a journal file.
#![allow(clippy::disallowed_methods, reason = "this is where files are touched")]

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::time::Duration;

/// Given back at once, bytes.
const PIECE: u64 = 2 << 20;

/// Between two pieces, so that those who wait get their turn.
const PAUSE: Duration = Duration::from_millis(3);

/// Removes a file; a large one loses its name at once and its room bit by bit, as far as nobody has it open.
pub fn remove(path: &Path) -> std::io::Result<()> {
    let open = OpenOptions::new().write(true).open(path);
    fs::remove_file(path)?;
    // What cannot be opened, or is still read, goes whole with its last reader.
    if let Ok(file) = open
        && let Ok(about) = file.metadata()
        && about.len() > PIECE
        && is_ours_alone(&file)
    {
        let mut left = about.len();
        while left > PIECE {
            left -= PIECE;
            if file.set_len(left).is_err() {
                break;
            }
            std::thread::sleep(PAUSE);
        }
    }
    Ok(())
}

/// True where no other descriptor of the file is open in any process: one that has no name can then never be opened
/// again.
#[cfg(target_os = "linux")]
fn is_ours_alone(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;

    if !file.metadata().is_ok_and(|about| about.nlink() == 0) {
        return false;
    }
    #[expect(unsafe_code, reason = "no crate wraps leases")]
    // SAFETY: both calls take a descriptor, which `file` keeps open, and a number; they touch no memory of ours. A write
    // lease is given to the only descriptor of a file (fcntl(2), "Leases"); it is given back at once, unbroken, for
    // nobody can open what has no name.
    unsafe {
        libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) == 0
            && libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_UNLCK) == 0
    }
}

/// Elsewhere nobody can tell, and who reads must not lose what is read.
#[cfg(not(target_os = "linux"))]
fn is_ours_alone(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Seek};

    use super::*;

    fn large(folder: &Path, bytes: u64) -> std::path::PathBuf {
        let path = folder.join("large");
        fs::write(&path, vec![7; usize::try_from(bytes).expect("fits")]).expect("writes");
        path
    }

    #[test]
    fn what_nobody_reads_goes_in_pieces_and_what_is_read_stays_whole() {
        let folder = tempfile::tempdir().expect("a folder");
        let nameless = folder.path().join("nameless");
        let open = File::create(&nameless).expect("creates");
        fs::remove_file(&nameless).expect("removes");
        let alone = is_ours_alone(&open);
        let path = large(folder.path(), 3 * PIECE + 5);
        let began = std::time::Instant::now();
        remove(&path).expect("removes");
        assert!(!path.exists());
        // Not every file system has leases.
        let pieces = if alone { 3 } else { 0 };
        assert!(began.elapsed() >= PAUSE * pieces, "it went at once");

        let path = large(folder.path(), 3 * PIECE);
        let mut reader = File::open(&path).expect("opens");
        remove(&path).expect("removes");
        assert!(!path.exists());
        let mut read = Vec::new();
        reader.rewind().and_then(|()| reader.read_to_end(&mut read)).expect("reads");
        assert_eq!(read.len() as u64, 3 * PIECE, "a reader lost what it reads");
    }

    #[test]
    fn another_name_keeps_its_content() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = large(folder.path(), 2 * PIECE);
        let kept = folder.path().join("kept");
        fs::hard_link(&path, &kept).expect("links");
        remove(&path).expect("removes");
        assert_eq!(fs::metadata(&kept).expect("is there").len(), 2 * PIECE);
    }

    #[test]
    fn what_is_not_there_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = remove(&folder.path().join("nothing")).expect_err("is not there");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    }
}
