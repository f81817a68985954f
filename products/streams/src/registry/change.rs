//! Registering, looking up, comparing, deleting.

use std::collections::HashSet;
use std::sync::Arc;

use candor_model::ProjectId;
use candor_schemas::{Kind, Level, Schema};

use super::edit::Edit;
use super::{Book, Extra, Mode, Reference, Registry, RegistryError, Scope, Settings, Stored, Subject, names};

/// A schema as a client sends it.
#[derive(Debug, Clone)]
pub struct Given {
    /// Its language.
    pub kind: Kind,
    /// Its text.
    pub text: String,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// What is kept with it.
    pub extra: Extra,
    /// Whether it is normalized before anything else.
    pub normalize: bool,
    /// The id that it shall have; in mode IMPORT alone.
    pub id: Option<i32>,
    /// The version that it shall be.
    pub version: Option<i32>,
}

/// A schema that a subject has.
#[derive(Debug, Clone)]
pub struct Registered {
    /// Which version.
    pub version: i32,
    /// The schema.
    pub stored: Arc<Stored>,
}

/// Whether a deletion only hides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deleted {
    /// It may come back, and values that name it still open.
    Softly,
    /// It is gone; what was hidden before alone.
    ForGood,
}

/// A schema that was read: with no id yet, and parsed.
pub(super) fn read(
    book: &Book,
    subject: &Subject,
    given: &Given,
) -> Result<(Stored, Arc<Schema>), RegistryError> {
    let references = book.resolved(&given.references, subject.context())?;
    let (dependencies, _) = book.dependencies(&references)?;
    let parse =
        |text: &str| Schema::parse(given.kind, text, &dependencies).map_err(RegistryError::invalid_schema);
    let mut schema = parse(&given.text)?;
    // What is kept is what values are opened with, so it is that which has to be a schema.
    schema = match given.normalize || book.normalizes(&Scope::subject(subject)) {
        true => parse(&schema.normalized().map_err(RegistryError::invalid_schema)?)?,
        false => parse(schema.canonical())?,
    };
    let text = schema.canonical().to_owned();
    Ok((Stored::new(0, given.kind, text, references, given.extra.clone()), Arc::new(schema)))
}

/// The newest version of a subject that has this schema.
pub(super) fn version_of(
    book: &Book,
    subject: &Subject,
    stored: &Stored,
    hidden_too: bool,
) -> Option<Registered> {
    let stored = book.same(stored)?;
    let versions = book.versions(subject.full())?;
    let fits = |of: &super::book::Version| of.id == stored.id && (hidden_too || !of.is_deleted);
    let (version, _) = versions.iter().rev().find(|(_, of)| fits(of))?;
    Some(Registered { version: *version, stored: Arc::clone(stored) })
}

/// Messages about what keeps a schema from following a subject's versions: the latest, or all where the level says so.
fn differences(
    book: &Book,
    schema: &Schema,
    level: Level,
    versions: impl DoubleEndedIterator<Item = i32>,
    subject: &Subject,
) -> Vec<String> {
    let mut messages = Vec::new();
    for version in versions.rev() {
        let Some((_, stored)) = book.version(subject.full(), version, false) else { continue };
        let Some(old) = stored.parsed(book) else { continue };
        let found = level.check(schema, &old);
        if !found.is_empty() {
            messages.extend(found);
            messages.push(format!("{{oldSchemaVersion: {version}}}"));
            messages.push(format!("{{oldSchema: '{}'}}", stored.text));
            messages.push(format!("{{compatibility: '{}'}}", level.name()));
            break;
        }
        if !level.is_transitive() {
            break;
        }
    }
    messages
}

pub(super) fn shown_versions(book: &Book, subject: &Subject) -> Vec<i32> {
    let versions = book.versions(subject.full()).into_iter().flatten();
    versions.filter(|(_, of)| !of.is_deleted).map(|(version, _)| *version).collect()
}

fn check_writable(book: &Book, subject: &Subject) -> Result<Mode, RegistryError> {
    let mode = book.mode(&Scope::subject(subject));
    match mode {
        Mode::Readonly | Mode::ReadonlyOverride => {
            Err(RegistryError::not_permitted(format!("Subject {} is in read-only mode", subject.full())))
        }
        Mode::Readwrite | Mode::Import => Ok(mode),
    }
}

fn plan_register(
    book: &Book,
    subject: &Subject,
    given: &Given,
) -> Result<(Registered, Vec<Edit>), RegistryError> {
    let mode = check_writable(book, subject)?;
    if book.versions(subject.full()).is_none() {
        subject.check_new()?;
    }
    let (fresh, schema) = read(book, subject, given)?;
    let known = version_of(book, subject, &fresh, false);
    if let Some(known) = &known
        && given.id.is_none_or(|id| id == known.stored.id)
        && given.version.is_none_or(|version| version == known.version || mode != Mode::Import)
    {
        return Ok((known.clone(), Vec::new()));
    }
    let mut edits = Vec::new();
    let same = book.same(&fresh);
    let stored = match (given.id, mode, same) {
        (Some(_), Mode::Readwrite, _) => {
            let message = format!("Subject {} is not in import mode", subject.full());
            return Err(RegistryError::not_permitted(message));
        }
        (None, Mode::Import, _) => {
            let message = format!("Subject {} is in import mode: a schema comes with its id", subject.full());
            return Err(RegistryError::not_permitted(message));
        }
        (Some(id), _, Some(same)) if same.id == id => Arc::clone(same),
        (Some(id), _, _) => {
            if book.schema(id).is_some() || id < 1 {
                let message = format!("Overwrite new schema with id {id} is not permitted.");
                return Err(RegistryError::not_permitted(message));
            }
            let stored = Arc::new(fresh.with_id(id));
            edits.push(Edit::AddSchema(Arc::clone(&stored)));
            stored
        }
        (None, _, Some(same)) => Arc::clone(same),
        (None, _, None) => {
            let stored = Arc::new(fresh.with_id(book.next_id()));
            edits.push(Edit::AddSchema(Arc::clone(&stored)));
            stored
        }
    };
    let level = book.level(&Scope::subject(subject));
    if mode != Mode::Import && level != Level::None {
        let versions = shown_versions(book, subject);
        let found = differences(book, &schema, level, versions.into_iter(), subject);
        if !found.is_empty() {
            return Err(RegistryError::new(
                409,
                format!(
                    "Schema being registered is incompatible with an earlier schema for subject \"{}\", details: [{}]",
                    subject.full(),
                    found.join(", ")
                ),
            ));
        }
    }
    let last = book.versions(subject.full()).and_then(|versions| versions.last_key_value());
    let next = last.map_or(1, |(last, _)| last.saturating_add(1));
    let version = match given.version.filter(|version| *version > 0) {
        Some(version) if mode == Mode::Import => version,
        Some(version) if version != next => {
            return Err(RegistryError::new(
                42201,
                format!(
                    "Invalid schema, details: Version is not one more than previous version: {version}, {next} is expected"
                ),
            ));
        }
        _ => next,
    };
    edits.push(Edit::PutVersion { subject: subject.full().to_owned(), version, id: stored.id });
    Ok((Registered { version, stored }, edits))
}

/// Removes schemas that nothing names once these versions are gone.
fn orphans(book: &Book, subject: &Subject, gone: &HashSet<i32>) -> Vec<Edit> {
    let Some(versions) = book.versions(subject.full()) else { return Vec::new() };
    let ids: HashSet<i32> =
        versions.iter().filter(|(version, _)| gone.contains(version)).map(|(_, of)| of.id).collect();
    let is_left = |id: i32| {
        book.uses(id, true).any(|(name, version)| name != subject.full() || !gone.contains(&version))
    };
    ids.into_iter().filter(|id| !is_left(*id)).map(Edit::RemoveSchema).collect()
}

fn check_unreferenced(
    book: &Book,
    subject: &Subject,
    version: i32,
    hidden_too: bool,
) -> Result<(), RegistryError> {
    match book.referenced_by(subject.full(), version, hidden_too).is_empty() {
        true => Ok(()),
        false => Err(RegistryError::new(
            42206,
            format!(
                "One or more references exist to the schema {{subject={},version={version}}}.",
                subject.full()
            ),
        )),
    }
}

fn plan_delete_subject(
    book: &Book,
    subject: &Subject,
    how: Deleted,
) -> Result<(Vec<i32>, Vec<Edit>), RegistryError> {
    check_writable(book, subject)?;
    let name = subject.full();
    let versions = book.versions(name).ok_or_else(|| RegistryError::no_subject(name))?;
    let is_hidden = versions.values().all(|of| of.is_deleted);
    match how {
        Deleted::Softly if is_hidden => {
            let message =
                format!("Subject '{name}' was soft deleted. Set permanent=true to delete permanently");
            return Err(RegistryError::new(40404, message));
        }
        Deleted::ForGood if !is_hidden => {
            let message = format!("Subject '{name}' was not deleted first before being permanently deleted");
            return Err(RegistryError::new(40405, message));
        }
        _ => {}
    }
    let gone = |of: &super::book::Version| how == Deleted::ForGood || !of.is_deleted;
    let gone: Vec<i32> = versions.iter().filter(|(_, of)| gone(of)).map(|(version, _)| *version).collect();
    let mut edits = Vec::new();
    for version in &gone {
        check_unreferenced(book, subject, *version, how == Deleted::ForGood)?;
        edits.push(deletion(subject, *version, how));
    }
    if how == Deleted::ForGood {
        edits.extend(orphans(book, subject, &gone.iter().copied().collect()));
    }
    Ok((gone, edits))
}

fn deletion(subject: &Subject, version: i32, how: Deleted) -> Edit {
    let subject = subject.full().to_owned();
    match how {
        Deleted::Softly => Edit::MarkVersion { subject, version, is_deleted: true },
        Deleted::ForGood => Edit::RemoveVersion { subject, version },
    }
}

fn plan_delete_version(
    book: &Book,
    subject: &Subject,
    version: i32,
    how: Deleted,
) -> Result<(i32, Vec<Edit>), RegistryError> {
    check_writable(book, subject)?;
    let name = subject.full();
    let versions = book.versions(name).ok_or_else(|| RegistryError::no_subject(name))?;
    if how == Deleted::Softly && versions.values().all(|of| of.is_deleted) {
        return Err(RegistryError::no_subject(name));
    }
    let hidden_too = version > 0 || how == Deleted::ForGood;
    let (version, _) =
        book.version(name, version, hidden_too).ok_or_else(|| RegistryError::no_version(version))?;
    let is_hidden = versions.get(&version).is_some_and(|of| of.is_deleted);
    match how {
        Deleted::Softly if is_hidden => {
            let message = format!(
                "Subject '{name}' Version {version} was soft deleted. Set permanent=true to delete permanently"
            );
            return Err(RegistryError::new(40406, message));
        }
        Deleted::ForGood if !is_hidden => {
            let message = format!(
                "Subject '{name}' Version {version} was not deleted first before being permanently deleted"
            );
            return Err(RegistryError::new(40407, message));
        }
        _ => {}
    }
    check_unreferenced(book, subject, version, how == Deleted::ForGood)?;
    let mut edits = vec![deletion(subject, version, how)];
    if how == Deleted::ForGood {
        edits.extend(orphans(book, subject, &HashSet::from([version])));
    }
    Ok((version, edits))
}

impl Registry {
    /// Registers a schema under a subject; one that is there already keeps its version, and one that the project knows
    /// its id.
    pub async fn register(
        &self,
        project: ProjectId,
        subject: Subject,
        given: Given,
    ) -> Result<Registered, RegistryError> {
        self.edit(project, move |book| plan_register(book, &subject, &given)).await
    }

    /// Finds a schema among a subject's versions.
    pub async fn find(
        &self,
        project: ProjectId,
        subject: Subject,
        given: Given,
        hidden_too: bool,
    ) -> Result<Registered, RegistryError> {
        let book = self.book(project);
        let plan = move |book: &Book| {
            let versions = book.versions(subject.full());
            if !versions.is_some_and(|all| all.values().any(|of| hidden_too || !of.is_deleted)) {
                return Err(RegistryError::no_subject(subject.full()));
            }
            let (fresh, _) = read(book, &subject, &given)?;
            version_of(book, &subject, &fresh, hidden_too).ok_or_else(RegistryError::no_schema)
        };
        self.aside(&book, plan).await
    }

    /// What keeps a schema from following one version, or all that the subject's level asks for.
    pub async fn compare(
        &self,
        project: ProjectId,
        subject: Subject,
        given: Given,
        version: Option<i32>,
    ) -> Result<Vec<String>, RegistryError> {
        let book = self.book(project);
        let plan = move |book: &Book| {
            let versions = match version {
                None => shown_versions(book, &subject),
                Some(version) => {
                    let shown = shown_versions(book, &subject);
                    match book.version(subject.full(), version, false) {
                        Some((found, _)) => vec![found],
                        // Whatever comes first follows the latest: clients ask before they register.
                        None if version < 0 => Vec::new(),
                        None if shown.is_empty() => return Err(RegistryError::no_subject(subject.full())),
                        None => return Err(RegistryError::no_version(version)),
                    }
                }
            };
            let (_, schema) = read(book, &subject, &given)?;
            let level = book.level(&Scope::subject(&subject));
            Ok(differences(book, &schema, level, versions.into_iter(), &subject))
        };
        self.aside(&book, plan).await
    }

    /// Deletes a subject; gives the versions that went.
    pub async fn delete_subject(
        &self,
        project: ProjectId,
        subject: Subject,
        how: Deleted,
    ) -> Result<Vec<i32>, RegistryError> {
        self.edit(project, move |book| plan_delete_subject(book, &subject, how)).await
    }

    /// Deletes a version, below zero the latest; gives which.
    pub async fn delete_version(
        &self,
        project: ProjectId,
        subject: Subject,
        version: i32,
        how: Deleted,
    ) -> Result<i32, RegistryError> {
        self.edit(project, move |book| plan_delete_version(book, &subject, version, how)).await
    }

    /// Changes what is set; gives what was.
    pub async fn set(
        &self,
        project: ProjectId,
        scope: Scope,
        change: impl Fn(&Book, &mut Settings) -> Result<(), RegistryError> + Send + Sync + 'static,
    ) -> Result<Settings, RegistryError> {
        self.edit(project, move |book| {
            let known = book.settings(&scope).cloned();
            if known.is_none() && !scope.may_be() {
                return Err(names::struck());
            }
            let before = known.unwrap_or_default();
            let mut settings = before.clone();
            change(book, &mut settings)?;
            let edit = Edit::Set { scope: scope.clone(), settings: settings.clone() };
            let edits = if settings == before { Vec::new() } else { vec![edit] };
            Ok((before, edits))
        })
        .await
    }
}
