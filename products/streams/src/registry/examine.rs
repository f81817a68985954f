//! What keeps a schema from following a subject's versions, as findings rather than messages: for people.

use candor_model::ProjectId;
use candor_schemas::{Incompatibility, Level, Reader};

use super::change::{read, shown_versions, version_of};
use super::{Given, Registry, RegistryError, Scope, Subject};

/// A version that a schema was held against.
#[derive(Debug)]
pub struct Examined {
    /// Which.
    pub version: i32,
    /// What does not fit, and which of the two cannot read the other.
    pub found: Vec<(Reader, Incompatibility)>,
}

/// How a schema stands to a subject.
#[derive(Debug)]
pub struct Examination {
    /// The level that it was held to.
    pub level: Level,
    /// The versions that the level asks for, the latest first: all of them, those that it fits too.
    pub versions: Vec<Examined>,
    /// The version that is this schema already.
    pub same_as: Option<i32>,
}

impl Registry {
    /// Holds a schema against one version of a subject, or all that a level asks for: the subject's own unless one is
    /// given.
    pub async fn examine(
        &self,
        project: ProjectId,
        subject: Subject,
        given: Given,
        version: Option<i32>,
        level: Option<Level>,
    ) -> Result<Examination, RegistryError> {
        let book = self.book(project);
        let plan = move |book: &super::Book| {
            let level = level.unwrap_or_else(|| book.level(&Scope::subject(&subject)));
            let (fresh, schema) = read(book, &subject, &given)?;
            let mut asked = match version {
                Some(version) => {
                    let found = book.version(subject.full(), version, false);
                    vec![found.ok_or_else(|| RegistryError::no_version(version))?.0]
                }
                None => shown_versions(book, &subject),
            };
            asked.reverse();
            if !level.is_transitive() {
                asked.truncate(1);
            }
            let examined = asked.into_iter().filter_map(|version| {
                let (_, stored) = book.version(subject.full(), version, false)?;
                Some(Examined { version, found: level.compare(&schema, &*stored.parsed(book)?) })
            });
            let versions = if level == Level::None { Vec::new() } else { examined.collect() };
            let same_as = version_of(book, &subject, &fresh, false).map(|known| known.version);
            Ok(Examination { level, versions, same_as })
        };
        self.aside(&book, plan).await
    }
}
