//! Files in authenticated 64 KiB frames (AES-256-GCM, STREAM construction) under a key of their own, below every
//! format; ranges are read without the whole.
//!
//! The layout, in bytes, little endian:
//!
//! ```text
//!  0  8  magic
//!  8  1  format version (1)
//!  9  1  kind of file
//! 10  1  mode: 0 plain frames with a CRC-32, 1 AES-256-GCM
//! 11  1  log2 of the frame size (16)
//! 12  8  length of the content
//! 20  2  length of the wrapped key
//! 22  n  the file's key, wrapped
//!     4  CRC-32 of the header so far
//!        frames: up to 64 KiB of content, then its tag (16) or CRC-32 (4); an empty file has one empty frame
//! ```
//!
//! A frame's nonce is its number (11 bytes, big endian) and 1 for the last frame, 0 for others, as in age and Tink:
//! frames cannot be swapped, left out or cut. Bytes 0 to 20 of the header and the file's name are bound to each
//! frame, so that neither a file under another name nor another length passes. The wrapped key is not bound: it is
//! wrapped anew when wrapping keys are retired, and another key's frames fail by themselves.
//!
//! With `at_rest = "off"` Parquet is stored as it is, so that any tool opens it; all else in plain frames.

mod frame;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use candor_model::Random;
use parking_lot::Mutex;

use crate::{ObjectError, Objects};
use frame::{Header, Opened};

/// Wraps the keys of files. The keyring implements it over the root key; `store` never sees that one.
pub trait KeyWrap: Send + Sync {
    /// Wraps a file's key. At most [`WRAPPED_KEY_BYTES_MAX`].
    fn wrap(&self, key: &[u8; 32]) -> Vec<u8>;
    /// Unwraps it; `None` where it was not wrapped here or the wrapping key is gone.
    fn unwrap(&self, wrapped: &[u8]) -> Option<[u8; 32]>;
}

/// Longest wrapped key: a nonce, a key, a tag, and room for which key wraps it.
pub const WRAPPED_KEY_BYTES_MAX: usize = 400;

/// Headers kept in memory, each some 200 bytes: a query opens the files of a table again and again.
const HEADERS_MAX: usize = 4096;

/// What a stored file is; in its header, bound to its frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileKind {
    /// A journal file of the log.
    Journal,
    /// A segment of the log.
    Segment,
    /// Parquet.
    Parquet,
    /// A search sidecar.
    Sidecar,
    /// An attachment.
    Blob,
    /// A chunk of a backup.
    Backup,
    /// The log's checkpoint.
    Checkpoint,
}

impl FileKind {
    const ALL: [FileKind; 7] = [
        FileKind::Journal,
        FileKind::Segment,
        FileKind::Parquet,
        FileKind::Sidecar,
        FileKind::Blob,
        FileKind::Backup,
        FileKind::Checkpoint,
    ];

    fn code(self) -> u8 {
        match self {
            FileKind::Journal => 1,
            FileKind::Segment => 2,
            FileKind::Parquet => 3,
            FileKind::Sidecar => 4,
            FileKind::Blob => 5,
            FileKind::Backup => 6,
            FileKind::Checkpoint => 7,
        }
    }

    fn from_code(code: u8) -> Option<FileKind> {
        FileKind::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

/// Why a stored file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object store failed.
    #[error(transparent)]
    Object(#[from] ObjectError),
    /// A frame's tag or the header is bad: the file was changed, cut or is of another key.
    #[error("{key}: frame {frame} does not authenticate")]
    Corrupt {
        /// Which file.
        key: String,
        /// Which frame; 0 is the first.
        frame: u64,
    },
    /// The header is of a newer format.
    #[error("{key}: format {found} is newer than this program knows")]
    Newer {
        /// Which file.
        key: String,
        /// What it says.
        found: u8,
    },
    /// The key that wraps the file's key is gone (shredded).
    #[error("{0}: its key is gone")]
    KeyGone(String),
}

/// Framed files over an object store.
pub struct Files {
    objects: Arc<dyn Objects>,
    keys: Option<Arc<dyn KeyWrap>>,
    random: Arc<dyn Random>,
    /// Opened headers by name. Names are never reused, so an entry stays true until the file goes.
    headers: Mutex<HashMap<String, Arc<Opened>>>,
}

impl Files {
    /// Files over `objects`. With `keys` none, files are plain (`at_rest = "off"`).
    pub fn new(objects: Arc<dyn Objects>, keys: Option<Arc<dyn KeyWrap>>, random: Arc<dyn Random>) -> Files {
        Files { objects, keys, random, headers: Mutex::new(HashMap::new()) }
    }

    /// Writes a file whole; on return it is on stable storage. Gives its stored size.
    pub async fn put(&self, key: &str, kind: FileKind, content: Bytes) -> Result<u64, StoreError> {
        // A reader tells raw Parquet from a framed file by Parquet's own magic, which cannot begin a frame header.
        let raw =
            self.keys.is_none() && kind == FileKind::Parquet && content.starts_with(frame::PARQUET_MAGIC);
        let stored = match raw {
            true => content,
            false => Bytes::from(seal_file(key, kind, &content, self.keys.as_deref(), &*self.random)),
        };
        let size = stored.len() as u64;
        self.objects.put(key, stored).await?;
        Ok(size)
    }

    /// Opens a file: reads its header.
    pub async fn open(&self, key: &str) -> Result<StoredFile, StoreError> {
        let known = self.headers.lock().get(key).cloned();
        let opened = match known {
            Some(opened) => opened,
            None => {
                let opened = Arc::new(self.read_header(key).await?);
                let mut headers = self.headers.lock();
                if headers.len() >= HEADERS_MAX {
                    headers.clear();
                }
                headers.insert(key.to_owned(), Arc::clone(&opened));
                opened
            }
        };
        Ok(StoredFile { objects: Arc::clone(&self.objects), key: key.into(), opened })
    }

    async fn read_header(&self, key: &str) -> Result<Opened, StoreError> {
        let (start, size) = self.objects.get_start(key, frame::HEADER_BYTES_MAX as u64).await?;
        if start.starts_with(frame::PARQUET_MAGIC) {
            return Ok(Opened::raw(size));
        }
        let opened = open_header(key, &start, self.keys.as_deref())?;
        if opened.stored_size() != size {
            return Err(StoreError::Corrupt { key: key.to_owned(), frame: 0 });
        }
        Ok(opened)
    }

    /// Removes a file; removing what is not there is no error.
    pub async fn delete(&self, key: &str) -> Result<(), StoreError> {
        self.headers.lock().remove(key);
        Ok(self.objects.delete(key).await?)
    }

    /// The keys below a prefix, sorted.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, StoreError> {
        Ok(self.objects.list(prefix).await?)
    }
}

/// A framed file in memory, for who writes a small one to a [`crate::Disk`] by itself (the log's checkpoint).
pub fn seal_file(
    name: &str,
    kind: FileKind,
    content: &[u8],
    keys: Option<&dyn KeyWrap>,
    random: &dyn Random,
) -> Vec<u8> {
    match keys {
        Some(keys) => {
            let mut file_key = [0; 32];
            random.fill(&mut file_key);
            frame::seal(name, kind, content, Some((file_key, &keys.wrap(&file_key))))
        }
        None => frame::seal(name, kind, content, None),
    }
}

/// The kind and content of what [`seal_file`] made.
pub fn open_file(
    name: &str,
    stored: Vec<u8>,
    keys: Option<&dyn KeyWrap>,
) -> Result<(FileKind, Bytes), StoreError> {
    let corrupt = |frame| StoreError::Corrupt { key: name.to_owned(), frame };
    let start = stored.get(..stored.len().min(frame::HEADER_BYTES_MAX)).unwrap_or_default();
    let opened = open_header(name, start, keys)?;
    if opened.stored_size() != stored.len() as u64 {
        return Err(corrupt(0));
    }
    let frames = Bytes::from(stored).slice(opened.header_bytes()..);
    let content = opened.unseal(&(0..opened.length()), 0, frames).map_err(corrupt)?;
    Ok((opened.kind(), content))
}

fn open_header(name: &str, start: &[u8], keys: Option<&dyn KeyWrap>) -> Result<Opened, StoreError> {
    let header = Header::parse(start).map_err(|bad| match bad {
        frame::BadHeader::Newer(found) => StoreError::Newer { key: name.to_owned(), found },
        frame::BadHeader::Damaged => StoreError::Corrupt { key: name.to_owned(), frame: 0 },
    })?;
    let file_key = match header.wrapped_key {
        Some(wrapped) => {
            let unwrapped = keys.and_then(|keys| keys.unwrap(wrapped));
            Some(unwrapped.ok_or_else(|| StoreError::KeyGone(name.to_owned()))?)
        }
        None => None,
    };
    Ok(header.open(name, file_key))
}

/// An open file. Cheap to clone; holds no descriptor.
#[derive(Clone)]
pub struct StoredFile {
    objects: Arc<dyn Objects>,
    key: Arc<str>,
    opened: Arc<Opened>,
}

impl StoredFile {
    /// What it is.
    pub fn kind(&self) -> FileKind {
        self.opened.kind()
    }

    /// Its name.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Length of the content in the clear, bytes.
    pub fn length(&self) -> u64 {
        self.opened.length()
    }

    /// A range of the content; fewer bytes at its end. Neighbouring frames come in one request.
    pub async fn read(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let range = range.start.min(self.length())..range.end.min(self.length());
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let stored = self.opened.stored_range(&range);
        let bytes = self.objects.get_range(&self.key, stored.bytes.clone()).await?;
        self.opened
            .unseal(&range, stored.first_frame, bytes)
            .map_err(|frame| StoreError::Corrupt { key: self.key.to_string(), frame })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Disk, DiskObjects, RealDisk};
    use candor_model::random::Seeded;

    struct Xor(u8);
    impl KeyWrap for Xor {
        fn wrap(&self, key: &[u8; 32]) -> Vec<u8> {
            [self.0].into_iter().chain(key.iter().map(|byte| byte ^ self.0)).collect()
        }
        fn unwrap(&self, wrapped: &[u8]) -> Option<[u8; 32]> {
            let (by, key) = wrapped.split_first().filter(|(by, _)| **by == self.0)?;
            let key: Vec<u8> = key.iter().map(|byte| byte ^ by).collect();
            key.try_into().ok()
        }
    }

    struct Fixture {
        _folder: tempfile::TempDir,
        disk: Arc<dyn Disk>,
        objects: Arc<dyn Objects>,
    }

    fn fixture() -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk::open(folder.path(), 0).expect("opens"));
        let objects: Arc<dyn Objects> = Arc::new(DiskObjects::inline(Arc::clone(&disk), "o"));
        Fixture { _folder: folder, disk, objects }
    }

    impl Fixture {
        fn files(&self, wrap: Option<u8>) -> Files {
            let keys = wrap.map(|by| Arc::new(Xor(by)) as Arc<dyn KeyWrap>);
            Files::new(Arc::clone(&self.objects), keys, Arc::new(Seeded::new(7)))
        }
    }

    fn content(length: usize) -> Bytes {
        (0..length).map(|i| (i * 31 % 251) as u8).collect::<Vec<u8>>().into()
    }

    #[tokio::test]
    async fn every_length_around_a_frame_reads_back_whole_and_in_ranges() {
        for wrap in [Some(5), None] {
            let fixture = fixture();
            let files = fixture.files(wrap);
            for length in [0, 1, 65_535, 65_536, 65_537, 131_072, 200_000] {
                let key = format!("f/{length}");
                let content = content(length);
                let size = files.put(&key, FileKind::Blob, content.clone()).await.expect("puts");
                assert_eq!(size, fixture.objects.size(&key).await.expect("size"));
                let file = files.open(&key).await.expect("opens");
                assert_eq!((file.length(), file.kind()), (length as u64, FileKind::Blob));
                assert_eq!(file.read(0..u64::MAX).await.expect("reads"), content);
                for (start, end) in [(0, 1), (65_530, 65_540), (65_536, 65_537), (100, 199_999), (7, 7)] {
                    let cut = start.min(length)..end.min(length);
                    let read = file.read(start as u64..end as u64).await.expect("reads");
                    assert_eq!(read, content.slice(cut), "{start}..{end} of {length}");
                }
            }
        }
    }

    #[tokio::test]
    async fn a_changed_cut_renamed_or_foreign_file_does_not_pass() {
        let fixture = fixture();
        let key = "f/a";
        fixture.files(Some(5)).put(key, FileKind::Segment, content(150_000)).await.expect("puts");
        let stored = fixture.objects.get_range(key, 0..1 << 20).await.expect("reads");

        let gone = fixture.files(Some(6)).open(key).await.err();
        assert!(matches!(gone, Some(StoreError::KeyGone(_))), "{gone:?}");
        fixture.objects.put("f/b", stored.clone()).await.expect("puts");
        let renamed = fixture.files(Some(5)).open("f/b").await.expect("opens").read(0..10).await;
        assert!(matches!(renamed, Err(StoreError::Corrupt { frame: 0, .. })), "{renamed:?}");

        let file = fixture.disk.open("o/f/a").expect("opens");
        for at in [3, 8, 9, 13, 21, 30, 70, 100, 66_000, stored.len() - 1] {
            let mut changed = stored.to_vec();
            changed[at] ^= 1;
            file.write_at(&changed, 0).expect("writes");
            let read = match fixture.files(Some(5)).open(key).await {
                Ok(file) => file.read(0..u64::MAX).await.map(|_| ()),
                Err(error) => Err(error),
            };
            assert!(read.is_err(), "a change at byte {at} passed");
        }
        file.write_at(&stored, 0).expect("writes");
        file.set_length(stored.len() as u64 - 65_552).expect("cuts");
        let cut = fixture.files(Some(5)).open(key).await.err();
        assert!(matches!(cut, Some(StoreError::Corrupt { .. })), "{cut:?}");
    }

    #[tokio::test]
    async fn content_is_not_readable_without_the_key_and_plain_parquet_is_as_it_is() {
        let fixture = fixture();
        let needle = Bytes::from_static(b"PAR1 zygomorphicfault PAR1");
        fixture.files(Some(5)).put("sealed", FileKind::Parquet, needle.clone()).await.expect("puts");
        let stored = fixture.objects.get_range("sealed", 0..1000).await.expect("reads");
        assert!(!stored.windows(8).any(|window| needle.windows(8).any(|part| part == window)));

        let plain = fixture.files(None);
        plain.put("plain", FileKind::Parquet, needle.clone()).await.expect("puts");
        assert_eq!(fixture.objects.get_range("plain", 0..1000).await.expect("reads"), needle);
        let file = plain.open("plain").await.expect("opens");
        assert_eq!((file.kind(), file.length()), (FileKind::Parquet, 26));
        assert_eq!(file.read(5..21).await.expect("reads"), "zygomorphicfault");
        // What a tenant sends cannot pass for a frame header or for raw Parquet of another kind.
        plain.put("blob", FileKind::Blob, needle.clone()).await.expect("puts");
        assert_eq!(plain.open("blob").await.expect("opens").kind(), FileKind::Blob);
    }

    #[tokio::test]
    async fn a_newer_format_says_so() {
        let fixture = fixture();
        let files = fixture.files(Some(5));
        files.put("f", FileKind::Blob, content(10)).await.expect("puts");
        fixture.disk.open("o/f").expect("opens").write_at(&[2], 8).expect("writes");
        let newer = fixture.files(Some(5)).open("f").await.err();
        assert!(matches!(newer, Some(StoreError::Newer { found: 2, .. })), "{newer:?}");
    }
}
