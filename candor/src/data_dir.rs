//! The data dir: one process at a time, the keys at its root, and how commands find the server that runs in it.

use std::path::{Path, PathBuf};

use candor_keyring::{KeyringError, RootKey};
use candor_model::Random;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};

use crate::files;

/// Which layout of the folder this program makes and opens.
const FORMAT: u32 = 1;

/// Says that a folder is a data dir, and of which form.
pub const INSTANCE_FILE: &str = "instance.json";
const LOCK_FILE: &str = "lock";
const ADDRESS_FILE: &str = "server.json";
const ADMIN_KEY_FILE: &str = "admin.key";
const ROOT_KEY_FILE: &str = "root.key";
const STORAGE_FILE: &str = "storage.json";
/// Where a backup gathers its links: in the data dir itself, as links do not cross file systems.
pub const STAGING_FOLDER: &str = "backup.tmp";
const EXPORT_PREFIX: &str = "export-";
const EXPORT_SUFFIX: &str = ".tmp";
/// What the local admin key begins with.
pub const ADMIN_KEY_PREFIX: &str = "candor_admin_";

/// Why the data dir could not be used: what, where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A file could not be made or read.
    #[error("cannot {what} {path}: {source}", path = .path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// Another process has it.
    #[error("{path} is in use by another candor\nstop that one, or give this one another --data-dir", path = .0.display())]
    InUse(PathBuf),
    /// A folder with other people's files.
    #[error("{path} holds files but is no data dir of candor\nname an empty or new folder with --data-dir", path = .0.display())]
    Foreign(PathBuf),
    /// Made by a newer release.
    #[error("{path} is of format {found}, this program knows up to {FORMAT}\nrun the newer release that made it", path = .path.display())]
    Newer {
        /// Which folder.
        path: PathBuf,
        /// What it says.
        found: u32,
    },
    /// `--test-clock` on a folder that was not made with it.
    #[error("{path} was made without --test-clock\nleave the flag out, or name a new folder with --data-dir", path = .0.display())]
    RealClock(PathBuf),
    /// The key file is not one.
    #[error("{path}: {reason}\nname the right file with --root-key, or put the key back from where you keep it", path = .path.display())]
    RootKey {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: KeyringError,
    },
    /// The data is there, the key is not.
    #[error("{path} is missing, and the data in the folder cannot be read without it\nput the key back, or name it with --root-key", path = .0.display())]
    RootKeyMissing(PathBuf),
    /// The flags say that the data is in another place than it was.
    #[error(
        "{path} belongs to a server with {was}, and this start says {is}\ngive the flags it was started with, or name a new folder with --data-dir\nwhere the data was really moved, remove {file} first",
        path = .path.display(), file = .path.join(STORAGE_FILE).display()
    )]
    Moved {
        /// Which folder.
        path: PathBuf,
        /// Where the data was.
        was: Box<Storage>,
        /// Where the flags say it is.
        is: Box<Storage>,
    },
    /// The key lies open.
    #[error("{path} can be read by others\nchmod 600 it", path = .0.display())]
    Exposed(PathBuf),
}

fn file_error(what: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> DataDirError {
    let path = path.to_owned();
    move |source| DataDirError::File { what, path, source }
}

#[derive(Debug, Serialize, Deserialize)]
struct Instance {
    format: u32,
    test_clock: bool,
}

/// Where the data of a server is that keeps it elsewhere than in its data dir. Without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// True where metadata is in PostgreSQL.
    pub postgres: bool,
    /// Where objects are, `s3://…`, if not in the data dir.
    pub objects: Option<String>,
    /// The root key's file, if not in the data dir.
    pub root_key: Option<PathBuf>,
}

impl Storage {
    /// Everything in the data dir.
    pub const HERE: Storage = Storage { postgres: false, objects: None, root_key: None };

    /// True where a copy of the data dir is not a copy of the data.
    pub fn is_elsewhere(&self) -> bool {
        self.postgres || self.objects.is_some()
    }
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let metadata = if self.postgres { "PostgreSQL" } else { "the folder" };
        let objects = self.objects.as_deref().unwrap_or("the folder");
        write!(f, "metadata in {metadata} and data in {objects}")
    }
}

/// Where the data of a data dir is, as its last start had it.
pub fn storage(root: &Path) -> Result<Storage, DataDirError> {
    let path = root.join(STORAGE_FILE);
    if !files::exists(&path) {
        return Ok(Storage::HERE);
    }
    let text = files::read_text(&path).map_err(file_error("read", &path))?;
    serde_json::from_str(&text).map_err(|error| file_error("read", &path)(std::io::Error::other(error)))
}

/// Where a running server is, as commands read it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Address {
    /// The server's process.
    pub pid: u32,
    /// Its release.
    pub version: String,
    /// Where its API is, as a URL that works on this machine.
    pub url: String,
    /// Where people find its screen, without `/app/`.
    pub screen: String,
}

/// A locked data dir.
pub struct DataDir {
    root: PathBuf,
    test_clock: bool,
    made_now: bool,
    _lock: files::File,
}

impl DataDir {
    /// Opens or makes the folder and locks it.
    pub fn open(root: &Path, test_clock: bool) -> Result<DataDir, DataDirError> {
        files::create_folders(root).map_err(file_error("make", root))?;
        let instance_file = root.join(INSTANCE_FILE);
        if !files::exists(&instance_file) {
            let names = files::names(root).map_err(file_error("list", root))?;
            // A crash between the lock and the instance file leaves these two at most.
            let ours = |name: &String| name == LOCK_FILE || name.starts_with(INSTANCE_FILE);
            if !names.iter().all(ours) {
                return Err(DataDirError::Foreign(root.to_owned()));
            }
        }
        let lock_file = root.join(LOCK_FILE);
        let lock = files::lock(&lock_file)
            .map_err(file_error("lock", &lock_file))?
            .ok_or_else(|| DataDirError::InUse(root.to_owned()))?;
        let made_now = !files::exists(&instance_file);
        if made_now {
            let instance = Instance { format: FORMAT, test_clock };
            let text = serde_json::to_vec(&instance).unwrap_or_default();
            files::write_private(&instance_file, &text).map_err(file_error("write", &instance_file))?;
        }
        let instance = read_instance(root)?;
        if test_clock && !instance.test_clock {
            return Err(DataDirError::RealClock(root.to_owned()));
        }
        // The databases take their modes from the umask: in a folder of the owner alone nobody else comes to them.
        if !files::close_folder(root).map_err(file_error("chmod", root))? {
            tracing::warn!(path = %root.display(), "the data dir is open to other users and not ours to chmod: chmod 700 it");
        }
        sweep(root)?;
        Ok(DataDir { root: root.to_owned(), test_clock: instance.test_clock, made_now, _lock: lock })
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// True where tests may shift the clock.
    pub fn test_clock(&self) -> bool {
        self.test_clock
    }

    /// Notes where the data is, so that commands look there and a start with other flags does not begin anew beside
    /// it. Refuses where it was elsewhere.
    pub fn settle_storage(&self, storage: &Storage) -> Result<(), DataDirError> {
        let path = self.root.join(STORAGE_FILE);
        // A folder from before there was a note holds its data itself.
        let was = match files::exists(&path) || files::exists(&self.root.join("meta.db")) {
            true => Some(self::storage(&self.root)?),
            false => None,
        };
        if let Some(was) = was
            && (was.postgres, &was.objects) != (storage.postgres, &storage.objects)
        {
            return Err(DataDirError::Moved {
                path: self.root.clone(),
                was: Box::new(was),
                is: Box::new(storage.clone()),
            });
        }
        if !storage.is_elsewhere() {
            return Ok(());
        }
        let text = serde_json::to_vec(storage).unwrap_or_default();
        files::write_private(&path, &text).map_err(file_error("write", &path))
    }

    /// The root key: made at the first start, read afterwards. `elsewhere` is what `--root-key` names.
    pub fn root_key(&self, elsewhere: Option<&Path>, random: &dyn Random) -> Result<RootKey, DataDirError> {
        let path = elsewhere.map_or_else(|| self.root.join(ROOT_KEY_FILE), Path::to_owned);
        if !files::exists(&path) {
            if !self.made_now && files::exists(&self.root.join("meta.db")) {
                return Err(DataDirError::RootKeyMissing(path));
            }
            let text = RootKey::generate(random).to_file();
            files::write_private(&path, text.as_bytes()).map_err(file_error("write", &path))?;
        }
        read_root_key(&path)
    }

    /// The local admin key: made at the first start, read afterwards.
    pub fn admin_key(&self, random: &dyn Random) -> Result<String, DataDirError> {
        let path = self.root.join(ADMIN_KEY_FILE);
        if !files::exists(&path) {
            let mut key = [0; 32];
            random.fill(&mut key);
            let text = format!("{ADMIN_KEY_PREFIX}{}\n", BASE64URL_NOPAD.encode(&key));
            files::write_private(&path, text.as_bytes()).map_err(file_error("write", &path))?;
        }
        read_admin_key(&self.root)
    }

    /// Says where the server is.
    pub fn publish_address(&self, address: &Address) -> Result<(), DataDirError> {
        let path = self.root.join(ADDRESS_FILE);
        let text = serde_json::to_vec(address).unwrap_or_default();
        files::write_private(&path, &text).map_err(file_error("write", &path))
    }

    /// Says that no server runs any more.
    pub fn withdraw_address(&self) {
        let _ = files::remove(&self.root.join(ADDRESS_FILE));
    }
}

/// Removes what a process that ended in the middle of it left of a backup or an export.
fn sweep(root: &Path) -> Result<(), DataDirError> {
    for name in files::names(root).map_err(file_error("list", root))? {
        let path = root.join(&name);
        if name == STAGING_FOLDER {
            files::remove_folder(&path).map_err(file_error("remove", &path))?;
        } else if name.starts_with(EXPORT_PREFIX) && name.contains(EXPORT_SUFFIX) {
            files::remove(&path).map_err(file_error("remove", &path))?;
        }
    }
    Ok(())
}

/// A name in the data dir for a catalog while it is made.
pub fn export_name(random: &dyn Random) -> String {
    format!("{EXPORT_PREFIX}{}{EXPORT_SUFFIX}", random.next_u64())
}

fn read_instance(root: &Path) -> Result<Instance, DataDirError> {
    let path = root.join(INSTANCE_FILE);
    let text = files::read_text(&path).map_err(file_error("read", &path))?;
    let instance: Instance = serde_json::from_str(&text)
        .map_err(|error| file_error("read", &path)(std::io::Error::other(error)))?;
    if instance.format > FORMAT {
        return Err(DataDirError::Newer { path: root.to_owned(), found: instance.format });
    }
    Ok(instance)
}

/// True where the folder is a data dir.
pub fn is_data_dir(root: &Path) -> bool {
    files::exists(&root.join(INSTANCE_FILE))
}

/// True where the folder is a data dir whose clock tests may shift.
pub fn has_test_clock(root: &Path) -> Result<bool, DataDirError> {
    read_instance(root).map(|instance| instance.test_clock)
}

/// Where the root key of a data dir is, unless a flag names another place.
pub fn root_key_path(root: &Path, elsewhere: Option<&Path>) -> PathBuf {
    elsewhere.map_or_else(|| root.join(ROOT_KEY_FILE), Path::to_owned)
}

/// Reads a root key.
pub fn read_root_key(path: &Path) -> Result<RootKey, DataDirError> {
    let text = files::read_text(path).map_err(file_error("read", path))?;
    if files::is_exposed(path).map_err(file_error("read", path))? {
        return Err(DataDirError::Exposed(path.to_owned()));
    }
    RootKey::from_file(text.as_bytes())
        .map_err(|reason| DataDirError::RootKey { path: path.to_owned(), reason })
}

/// Reads the local admin key.
pub fn read_admin_key(root: &Path) -> Result<String, DataDirError> {
    let path = root.join(ADMIN_KEY_FILE);
    let text = files::read_text(&path).map_err(file_error("read", &path))?;
    Ok(text.trim().to_owned())
}

/// Where the server of a data dir is; `None` where none runs. A server that was killed leaves its address behind,
/// so whoever finds nobody there should say that too.
pub fn read_address(root: &Path) -> Result<Option<Address>, DataDirError> {
    let path = root.join(ADDRESS_FILE);
    if !files::exists(&path) {
        return Ok(None);
    }
    let text = files::read_text(&path).map_err(file_error("read", &path))?;
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| file_error("read", &path)(std::io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::OsRandom;

    #[test]
    fn keys_are_made_once_and_for_the_owner_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        let random = OsRandom::new();
        let first = DataDir::open(&root, false).expect("opens");
        let key = first.root_key(None, &random).expect("makes a key");
        let admin = first.admin_key(&random).expect("makes a key");
        assert!(matches!(DataDir::open(&root, false), Err(DataDirError::InUse(_))));
        drop(first);
        let second = DataDir::open(&root, false).expect("opens again");
        assert_eq!(second.root_key(None, &random).expect("reads"), key);
        assert_eq!(second.admin_key(&random).expect("reads"), admin);
        for file in [ROOT_KEY_FILE, ADMIN_KEY_FILE] {
            assert!(!files::is_exposed(&root.join(file)).expect("has a mode"), "{file}");
        }
    }

    #[test]
    fn a_folder_that_others_may_read_is_closed_to_them() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("data");
        files::create_folders(&root).expect("makes it");
        files::set_mode(&root, 0o755).expect("opens it to others");
        drop(DataDir::open(&root, false).expect("opens"));
        assert!(!files::is_exposed(&root).expect("has a mode"));
        files::set_mode(&root, 0o755).expect("opens it to others");
        drop(DataDir::open(&root, false).expect("opens again"));
        assert!(!files::is_exposed(&root).expect("has a mode"));
    }

    #[test]
    fn what_a_backup_or_an_export_left_behind_is_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let random = OsRandom::new();
        drop(DataDir::open(root, false).expect("opens"));
        let before = files::names(root).expect("lists");
        files::create_folders(&root.join(STAGING_FOLDER).join("journal")).expect("makes it");
        files::write_private(&root.join(STAGING_FOLDER).join("journal/1"), b"x").expect("writes");
        let export = export_name(&random);
        files::write_private(&root.join(&export), b"x").expect("writes");
        files::write_private(&root.join(format!("{export}-journal")), b"x").expect("writes");
        drop(DataDir::open(root, false).expect("opens again"));
        assert_eq!(files::names(root).expect("lists"), before);
    }

    #[test]
    fn a_lost_root_key_is_not_replaced_by_a_new_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let random = OsRandom::new();
        DataDir::open(root, false).expect("opens").root_key(None, &random).expect("makes a key");
        files::write_private(&root.join("meta.db"), b"").expect("writes");
        files::remove(&root.join(ROOT_KEY_FILE)).expect("removes");
        let again = DataDir::open(root, false).expect("opens");
        assert!(matches!(again.root_key(None, &random), Err(DataDirError::RootKeyMissing(_))));
        files::write_private(&root.join(ROOT_KEY_FILE), b"nonsense").expect("writes");
        assert!(matches!(again.root_key(None, &random), Err(DataDirError::RootKey { .. })));
    }

    #[test]
    fn a_start_with_other_storage_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path();
        let dir = DataDir::open(root, false).expect("opens");
        let elsewhere = Storage {
            postgres: true,
            objects: Some("s3://bucket/prefix".to_owned()),
            root_key: Some(PathBuf::from("/keys/root.key")),
        };
        dir.settle_storage(&elsewhere).expect("is new");
        dir.settle_storage(&elsewhere).expect("is as before");
        assert_eq!(storage(root).expect("reads"), elsewhere);
        let refused = dir.settle_storage(&Storage::HERE).expect_err("would begin anew");
        assert!(refused.to_string().contains("PostgreSQL and data in s3://bucket/prefix"), "{refused}");

        let folder = tempfile::tempdir().expect("a folder");
        let dir = DataDir::open(folder.path(), false).expect("opens");
        dir.settle_storage(&Storage::HERE).expect("is new");
        files::write_private(&folder.path().join("meta.db"), b"").expect("writes");
        assert!(matches!(dir.settle_storage(&elsewhere), Err(DataDirError::Moved { .. })));
    }

    #[test]
    fn the_test_clock_is_a_choice_at_the_making() {
        let folder = tempfile::tempdir().expect("a folder");
        let (real, test) = (folder.path().join("real"), folder.path().join("test"));
        drop(DataDir::open(&real, false).expect("opens"));
        assert!(matches!(DataDir::open(&real, true), Err(DataDirError::RealClock(_))));
        drop(DataDir::open(&test, true).expect("opens"));
        assert!(DataDir::open(&test, false).expect("opens").test_clock());
    }

    #[test]
    fn a_folder_with_other_files_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        files::write_private(&folder.path().join("thesis.doc"), b"x").expect("writes");
        assert!(matches!(DataDir::open(folder.path(), false), Err(DataDirError::Foreign(_))));
        assert_eq!(files::names(folder.path()).expect("lists"), ["thesis.doc"]);
    }
}
