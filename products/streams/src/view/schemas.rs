//! Schemas: what subjects there are, what each version says, how they may change, and what a new one would break.

use candor_meta::{ReadScope, WriteScope};
use candor_model::ProjectId;
use candor_schemas::{Incompatibility, Kind, Level, Reader};
use serde::{Deserialize, Serialize};

use super::{Inner, View, ViewError, read, write};
use crate::registry::{
    Book, Context, Deleted, Extra, Given, Mode, Reference, Scope, Settings, Stored, Subject, check_empty,
};

/// Subjects that a list holds.
const LISTED_MAX: usize = 500;

/// Versions of a subject that are listed: the latest.
const VERSIONS_MAX: usize = 500;

/// Subjects.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SubjectList {
    /// The first of them by name.
    pub subjects: Vec<SubjectSummary>,
    /// How many fit in all.
    pub total: usize,
    /// What is set where a subject has nothing of its own.
    pub whole: SubjectSettings,
}

/// A subject in a list.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectSummary {
    /// Its name, with its context but for the default one.
    pub subject: String,
    /// Its context; `.` is the default one.
    pub context: String,
    /// The topic that it is about, where there is one of that name.
    pub topic: Option<String>,
    /// The language of its latest version: `AVRO`, `JSON` or `PROTOBUF`.
    pub kind: &'static str,
    /// Its latest version.
    pub latest: i32,
    /// That version's schema.
    pub id: i32,
    /// Versions, hidden ones not among them unless all are.
    pub versions: usize,
    /// Every version is hidden.
    pub deleted: bool,
    /// The level in force.
    pub level: &'static str,
}

/// One thing that is set.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Setting {
    /// What is in force.
    pub now: &'static str,
    /// What is set here; none where it is as further out.
    pub own: Option<&'static str>,
}

/// How schemas may change, and whether they may.
#[derive(Debug, Clone, Default, Serialize)]
pub struct SubjectSettings {
    /// The level of compatibility.
    pub level: Setting,
    /// The mode.
    pub mode: Setting,
}

/// A subject.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectDetail {
    /// What a list says of it.
    #[serde(flatten)]
    pub summary: SubjectSummary,
    /// What is set of it.
    pub settings: SubjectSettings,
    /// Its versions, the latest first, hidden ones too.
    pub all: Vec<SubjectVersion>,
}

/// A version of a subject.
#[derive(Debug, Clone, Serialize)]
pub struct SubjectVersion {
    /// Its number.
    pub version: i32,
    /// Its schema.
    pub id: i32,
    /// Its language.
    pub kind: &'static str,
    /// Bytes of its text.
    pub size: usize,
    /// It is hidden.
    pub deleted: bool,
}

/// A version of a subject, from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Place {
    /// The subject.
    pub subject: String,
    /// The version.
    pub version: i32,
}

/// A version with what it says.
#[derive(Debug, Clone, Serialize)]
pub struct VersionDetail {
    /// What a list says of it.
    #[serde(flatten)]
    pub of: SubjectVersion,
    /// The same schema has the same one everywhere.
    pub guid: String,
    /// Its text, in one form.
    pub schema: String,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// Who refers to it.
    pub referenced_by: Vec<Place>,
    /// Other versions and subjects with the same schema.
    pub same: Vec<Place>,
    /// What clients keep with it.
    #[serde(flatten)]
    pub extra: Extra,
}

/// A schema to be tested or registered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSchema {
    /// Its text.
    pub schema: String,
    /// Its language.
    #[serde(default)]
    pub kind: Option<String>,
    /// What it refers to.
    #[serde(default)]
    pub references: Vec<Reference>,
}

/// A schema to be tested, and against what.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaTest {
    /// Its text.
    pub schema: String,
    /// Its language.
    #[serde(default)]
    pub kind: Option<String>,
    /// What it refers to.
    #[serde(default)]
    pub references: Vec<Reference>,
    /// One version; none for all that the level asks for.
    pub version: Option<i32>,
    /// A level; none for the subject's own.
    pub level: Option<String>,
}

/// How a schema stands to a subject.
#[derive(Debug, Clone, Serialize)]
pub struct Tested {
    /// It may follow.
    pub compatible: bool,
    /// The level that it was held to.
    pub level: &'static str,
    /// The versions that it was held against, the latest first.
    pub versions: Vec<TestedVersion>,
    /// The version that is this schema already.
    pub same_as: Option<i32>,
}

/// A version that a schema was held against.
#[derive(Debug, Clone, Serialize)]
pub struct TestedVersion {
    /// Which.
    pub version: i32,
    /// What does not fit.
    pub found: Vec<Unfit>,
}

/// One thing that does not fit.
#[derive(Debug, Clone, Serialize)]
pub struct Unfit {
    /// Its kind, as registries name it.
    pub error: &'static str,
    /// `new` where readers with the new schema cannot read what the version wrote, `old` the other way.
    pub reader: &'static str,
    /// Where in the reader's schema.
    pub path: String,
    /// What it is.
    pub text: String,
    /// Names and values concerned.
    pub info: String,
}

/// What is to be set; none takes it back to what is set further out.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SettingsChange {
    /// The level of compatibility.
    pub level: Option<String>,
    /// The mode.
    pub mode: Option<String>,
}

impl NewSchema {
    fn given(self) -> Result<Given, ViewError> {
        let kind = match self.kind.as_deref() {
            None | Some("") => Kind::Avro,
            Some(name) => Kind::from_name(name).ok_or_else(|| one_of("kind", Kind::ALL.map(Kind::name)))?,
        };
        let (text, references) = (self.schema, self.references);
        Ok(Given {
            kind,
            text,
            references,
            extra: Extra::default(),
            normalize: false,
            id: None,
            version: None,
        })
    }
}

fn one_of<const N: usize>(what: &str, names: [&str; N]) -> ViewError {
    ViewError::Refused(format!("{what} is one of {}", names.join(", ")))
}

fn level(name: Option<&str>) -> Result<Option<Level>, ViewError> {
    let known = |name| Level::from_name(name).ok_or_else(|| one_of("level", Level::ALL.map(Level::name)));
    name.map(known).transpose()
}

fn mode(name: Option<&str>) -> Result<Option<Mode>, ViewError> {
    let known = |name| Mode::from_name(name).ok_or_else(|| one_of("mode", Mode::ALL.map(Mode::name)));
    name.map(known).transpose()
}

fn subject(name: &str) -> Result<Subject, ViewError> {
    Ok(Subject::parse(name, &Context::default_one())?)
}

fn missing(name: &str) -> ViewError {
    ViewError::Missing(format!("the project has no subject {name:?}"))
}

fn settings(book: &Book, scope: &Scope) -> SubjectSettings {
    let own = book.settings(scope);
    SubjectSettings {
        level: Setting { now: book.level(scope).name(), own: own.and_then(Settings::level).map(Level::name) },
        mode: Setting { now: book.mode(scope).name(), own: own.and_then(|own| own.mode).map(Mode::name) },
    }
}

fn version_shown(version: i32, stored: &Stored, deleted: bool) -> SubjectVersion {
    let kind = stored.kind.name();
    SubjectVersion { version, id: stored.id, kind, size: stored.text.len(), deleted }
}

fn unfit(reader: Reader, found: &Incompatibility, version: i32) -> Unfit {
    let there = format!("version {version}'s");
    let (reader, own, other) = match reader {
        Reader::New => ("new", "new", there.as_str()),
        Reader::Old => ("old", there.as_str(), "new"),
    };
    // Descriptions speak of `the {reader} schema`, and of a version's no article is said.
    let text = found.description.replace("{reader}", own).replace("{writer}", other);
    let text =
        text.replace(&format!("the {there}"), &there).replace(&format!("The {there}"), &capital(&there));
    let (path, info) = (found.path.clone(), found.info.clone());
    Unfit { error: found.error, reader, path, text, info }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

impl Inner {
    fn subject_summary(&self, project: ProjectId, book: &Book, name: &str) -> Option<SubjectSummary> {
        let subject = Subject::parse(name, &Context::default_one()).ok()?;
        let versions = book.versions(name)?;
        let seen = versions.values().filter(|of| !of.is_deleted).count();
        let (latest, stored) = book.version(name, -1, seen == 0)?;
        let topic = self.topics.get(project, subject.topic()).filter(|topic| !topic.read_only);
        Some(SubjectSummary {
            subject: name.to_owned(),
            context: subject.context().name().to_owned(),
            topic: topic.map(|topic| topic.view.name.to_string()),
            kind: stored.kind.name(),
            latest,
            id: stored.id,
            versions: if seen == 0 { versions.len() } else { seen },
            deleted: seen == 0,
            level: book.level(&Scope::subject(&subject)).name(),
        })
    }

    fn subject_detail(&self, project: ProjectId, name: &str) -> Result<SubjectDetail, ViewError> {
        let book = self.registry.book(project);
        let subject = subject(name)?;
        let summary = self.subject_summary(project, &book, subject.full()).ok_or_else(|| missing(name))?;
        let versions = book.versions(subject.full()).into_iter().flatten().rev().take(VERSIONS_MAX);
        let all = versions
            .filter_map(|(version, of)| Some(version_shown(*version, book.schema(of.id)?, of.is_deleted)));
        Ok(SubjectDetail {
            summary,
            settings: settings(&book, &Scope::subject(&subject)),
            all: all.collect(),
        })
    }

    async fn set_schemas(
        &self,
        project: ProjectId,
        about: Option<Subject>,
        change: SettingsChange,
    ) -> Result<(), ViewError> {
        let (level, mode) = (level(change.level.as_deref())?, mode(change.mode.as_deref())?);
        let scope = about.as_ref().map_or_else(Scope::whole, Scope::subject);
        let set = move |book: &Book, settings: &mut Settings| {
            if mode == Some(Mode::Import) && settings.mode != mode {
                check_empty(book, about.as_ref(), &Context::default_one())?;
            }
            settings.compatibility = level.map(|level| level.name().to_owned());
            settings.mode = mode;
            Ok(())
        };
        self.registry.set(project, scope, set).await?;
        Ok(())
    }
}

impl View {
    /// A project's subjects whose names hold `q`; those whose versions are all hidden only where they are asked for.
    pub fn subjects(&self, scope: &ReadScope, q: &str, hidden_too: bool) -> SubjectList {
        let (project, q) = (read(scope), q.to_lowercase());
        let book = self.inner.registry.book(project);
        let is_seen = |all: &crate::registry::Versions| all.values().any(|of| !of.is_deleted);
        let fitting: Vec<&str> = book
            .subjects()
            .filter(|(name, all)| (hidden_too || is_seen(all)) && name.to_lowercase().contains(&q))
            .map(|(name, _)| name)
            .collect();
        let shown = fitting.iter().take(LISTED_MAX);
        let subjects = shown.filter_map(|name| self.inner.subject_summary(project, &book, name)).collect();
        SubjectList { subjects, total: fitting.len(), whole: settings(&book, &Scope::whole()) }
    }

    /// A subject.
    pub fn subject(&self, scope: &ReadScope, name: &str) -> Result<SubjectDetail, ViewError> {
        self.inner.subject_detail(read(scope), name)
    }

    /// A subject's version with what it says; hidden ones too.
    pub fn subject_version(
        &self,
        scope: &ReadScope,
        name: &str,
        version: i32,
    ) -> Result<VersionDetail, ViewError> {
        let book = self.inner.registry.book(read(scope));
        let subject = subject(name)?;
        let versions = book.versions(subject.full()).ok_or_else(|| missing(name))?;
        let found = book.version(subject.full(), version, true);
        let none = || ViewError::Missing(format!("{name} has no version {version}"));
        let (version, stored) = found.ok_or_else(none)?;
        let is_deleted = versions.get(&version).is_some_and(|of| of.is_deleted);
        let places = |id: i32| {
            book.uses(id, false).map(|(subject, version)| Place { subject: subject.to_owned(), version })
        };
        let here = Place { subject: subject.full().to_owned(), version };
        let referring = book.referenced_by(subject.full(), version, false);
        let mut referenced_by: Vec<Place> = referring.into_iter().flat_map(places).collect();
        referenced_by.sort();
        Ok(VersionDetail {
            of: version_shown(version, stored, is_deleted),
            guid: stored.guid(),
            schema: stored.text.to_string(),
            references: stored.references.clone(),
            referenced_by,
            same: places(stored.id).filter(|place| *place != here).collect(),
            extra: stored.extra.clone(),
        })
    }

    /// Where a schema is a version, by its id.
    pub fn schema_places(&self, scope: &ReadScope, id: i32) -> Result<Vec<Place>, ViewError> {
        let book = self.inner.registry.book(read(scope));
        let places =
            book.uses(id, true).map(|(subject, version)| Place { subject: subject.to_owned(), version });
        let places: Vec<Place> = places.collect();
        match places.is_empty() {
            true => Err(ViewError::Missing(format!("the project has no schema {id}"))),
            false => Ok(places),
        }
    }

    /// Holds a schema against a subject's versions.
    pub async fn test_schema(
        &self,
        scope: &ReadScope,
        name: &str,
        test: SchemaTest,
    ) -> Result<Tested, ViewError> {
        let SchemaTest { schema, kind, references, version, level: named } = test;
        let level = level(named.as_deref())?;
        let (subject, given) = (subject(name)?, NewSchema { schema, kind, references }.given()?);
        let found = self.inner.registry.examine(read(scope), subject, given, version, level).await?;
        let versions = found.versions.iter().map(|one| TestedVersion {
            version: one.version,
            found: one.found.iter().map(|(reader, found)| unfit(*reader, found, one.version)).collect(),
        });
        let versions: Vec<TestedVersion> = versions.collect();
        let compatible = versions.iter().all(|one| one.found.is_empty());
        Ok(Tested { compatible, level: found.level.name(), versions, same_as: found.same_as })
    }

    /// Registers a schema as a subject's next version, or finds the version that it is already.
    pub async fn register_schema(
        &self,
        scope: &WriteScope,
        name: &str,
        new: NewSchema,
    ) -> Result<SubjectVersion, ViewError> {
        let (subject, given) = (subject(name)?, new.given()?);
        let made = self.inner.registry.register(write(scope), subject, given).await?;
        Ok(version_shown(made.version, &made.stored, false))
    }

    /// Sets how a subject's schemas may change.
    pub async fn set_subject(
        &self,
        scope: &WriteScope,
        name: &str,
        change: SettingsChange,
    ) -> Result<SubjectDetail, ViewError> {
        // A setting of a subject that is not there would lie in wait for one that is made.
        self.inner.subject_detail(write(scope), name)?;
        self.inner.set_schemas(write(scope), Some(subject(name)?), change).await?;
        self.inner.subject_detail(write(scope), name)
    }

    /// Sets how schemas of subjects may change that have nothing of their own.
    pub async fn set_all_schemas(
        &self,
        scope: &WriteScope,
        change: SettingsChange,
    ) -> Result<SubjectSettings, ViewError> {
        self.inner.set_schemas(write(scope), None, change).await?;
        Ok(settings(&self.inner.registry.book(write(scope)), &Scope::whole()))
    }

    /// Hides a subject or one of its versions; for good removes what is hidden.
    pub async fn delete_schemas(
        &self,
        scope: &WriteScope,
        name: &str,
        version: Option<i32>,
        for_good: bool,
    ) -> Result<(), ViewError> {
        let (project, subject, registry) = (write(scope), subject(name)?, &self.inner.registry);
        let how = if for_good { Deleted::ForGood } else { Deleted::Softly };
        match version {
            Some(version) => drop(registry.delete_version(project, subject, version, how).await?),
            None => drop(registry.delete_subject(project, subject, how).await?),
        }
        Ok(())
    }
}
