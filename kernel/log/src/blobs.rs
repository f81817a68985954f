//! Attachments: each an object of its own, written before the record that names it.
//!
//! A blob whose record never came (the sender retried, the process died between the two) is named by nothing; whoever
//! owns the records knows the names and removes the rest by [`Blobs::stored`] and [`Blobs::delete`].

use std::sync::Arc;

use candor_gate::AdmittedBlob;
use candor_meta::ReadScope;
use candor_model::{ProjectId, Timestamp};
use candor_store::{FileKind, Files, ObjectError, StoreError, StoredFile};

/// Where blobs lie among the objects: `blob/<project>/<name>`.
const FOLDER: &str = "blob/";

/// A stored blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredBlob {
    /// Whose it is.
    pub project: ProjectId,
    /// What records call it: 32 hex digits.
    pub name: String,
    /// When it was cleared.
    pub at: Timestamp,
}

/// The blobs of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Blobs {
    files: Arc<Files>,
}

impl Blobs {
    pub(crate) fn new(files: Arc<Files>) -> Blobs {
        Blobs { files }
    }

    /// Writes a blob; on return it is on stable storage.
    pub async fn put(&self, blob: &AdmittedBlob) -> Result<(), StoreError> {
        let key = key(blob.project(), &blob.name());
        self.files.put(&key, FileKind::Blob, blob.bytes().clone()).await?;
        Ok(())
    }

    /// Opens a blob of the project that the scope may read; none where there is none of that name.
    pub async fn open(&self, scope: &ReadScope, name: &str) -> Result<Option<StoredFile>, StoreError> {
        // A name that is no blob's must not become a path.
        if AdmittedBlob::time_of(name).is_none() {
            return Ok(None);
        }
        match self.files.open(&key(scope.project(), name)).await {
            Ok(file) => Ok(Some(file)),
            Err(StoreError::Object(ObjectError::NotFound(_))) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every blob, by project, oldest first.
    pub async fn stored(&self) -> Result<Vec<StoredBlob>, StoreError> {
        let keys = self.files.list(FOLDER).await?;
        Ok(keys.iter().filter_map(|key| parse(key)).collect())
    }

    /// Removes every blob of a deleted project.
    pub async fn forget(&self, project: ProjectId) -> Result<(), StoreError> {
        for key in self.files.list(&format!("{FOLDER}{}/", project.0)).await? {
            self.files.delete(&key).await?;
        }
        Ok(())
    }

    /// Removes a blob; removing what is not there is no error.
    pub async fn delete(&self, blob: &StoredBlob) -> Result<(), StoreError> {
        self.files.delete(&key(blob.project, &blob.name)).await
    }
}

fn key(project: ProjectId, name: &str) -> String {
    format!("{FOLDER}{}/{name}", project.0)
}

fn parse(key: &str) -> Option<StoredBlob> {
    let (project, name) = key.strip_prefix(FOLDER)?.split_once('/')?;
    let at = AdmittedBlob::time_of(name)?;
    Some(StoredBlob { project: ProjectId(project.parse().ok()?), name: name.to_owned(), at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_says_whose_it_is_and_when() {
        let name = "0193e4a1b2c3000102030405060708ff";
        let blob = parse(&key(ProjectId(7), name)).expect("ours");
        assert_eq!((blob.project, blob.name.as_str()), (ProjectId(7), name));
        assert_eq!(blob.at, Timestamp(0x0193_e4a1_b2c3 * 1000));
        for foreign in ["blob/7/readme.txt", "blob/x/0193e4a1b2c3000102030405060708ff", "log/7/a", "blob/7"] {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
    }
}
