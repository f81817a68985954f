//! What a project has, in memory.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use candor_schemas::{Dependency, Kind, Schema};
use ring::digest::{Context as Digest, SHA256};
use serde::{Deserialize, Serialize};

use super::edit::Edit;
use super::parsed::Parsed;
use super::{Context, RegistryError, Scope, Settings, Subject};

/// Schemas that a project may have.
pub const SCHEMAS_PER_PROJECT_MAX: usize = 20_000;

/// Bytes of all schemas of a project, with what is kept with them. They are in memory; parsed they take some ten times as
/// much.
pub const SCHEMA_BYTES_PER_PROJECT_MAX: usize = 32 << 20;

/// Versions over all subjects, and things that something is set of.
const ROWS_PER_PROJECT_MAX: usize = 100_000;

/// Schemas that one refers to, over all levels.
const DEPENDENCIES_MAX: usize = 256;

/// Bytes of them, each counted once however many names lead to it, and of the names.
const DEPENDENCY_BYTES_MAX: usize = 4 << 20;

/// A schema that another one refers to, as clients name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// What the other calls it.
    pub name: String,
    /// The subject that it is kept under.
    pub subject: String,
    /// The version.
    pub version: i32,
}

/// What clients keep with a schema and nobody else looks into.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Extra {
    /// Properties and tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<serde_json::Value>,
    /// Rules that serializers follow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_set: Option<serde_json::Value>,
}

/// A schema with its id.
#[derive(Debug)]
pub struct Stored {
    /// Its number within the project.
    pub id: i32,
    /// Its language.
    pub kind: Kind,
    /// Its text, in one form.
    pub text: Arc<str>,
    /// What it refers to.
    pub references: Vec<Reference>,
    /// What is kept with it.
    pub extra: Extra,
    digest: [u8; 32],
    /// Bytes of the references and of what is kept with it.
    beside: usize,
}

impl Stored {
    /// A schema; its text is in one form already.
    pub fn new(
        id: i32,
        kind: Kind,
        text: impl Into<Arc<str>>,
        references: Vec<Reference>,
        extra: Extra,
    ) -> Stored {
        let text = text.into();
        let digest = digest(kind, &text, &references, &extra);
        let names: usize = references.iter().map(|one| one.name.len() + one.subject.len()).sum();
        let entries = references.len() * size_of::<Reference>();
        let beside = names + entries + serde_json::to_vec(&extra).map_or(0, |extra| extra.len());
        Stored { id, kind, text, references, extra, digest, beside }
    }

    /// Bytes that it takes of what a project may have: everything that was sent.
    fn bytes(&self) -> usize {
        self.text.len() + self.beside
    }

    /// The same under another id.
    pub fn with_id(&self, id: i32) -> Stored {
        Stored::new(id, self.kind, Arc::clone(&self.text), self.references.clone(), self.extra.clone())
    }

    /// What it says, as a number: the same for the same schema everywhere (RFC 9562, version 8).
    pub fn guid(&self) -> String {
        let mut bytes = self.digest.first_chunk::<16>().copied().unwrap_or_default();
        let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
        *version = *version & 0x0f | 0x80;
        *variant = *variant & 0x3f | 0x80;
        uuid::Uuid::from_bytes(bytes).to_string()
    }

    /// It, parsed: once, as long as there is room to keep it. None where it cannot be, which was checked when it came.
    pub fn parsed(&self, book: &Book) -> Option<Arc<Schema>> {
        let slot = match book.parsed.get(&self.digest) {
            Some(slot) => slot,
            None => {
                let (_, bytes) = book.dependencies(&self.references).ok()?;
                book.parsed.put(self.digest, bytes.saturating_add(self.text.len()))
            }
        };
        let parse = || {
            let (dependencies, _) = book.dependencies(&self.references).ok()?;
            Schema::parse(self.kind, &self.text, &dependencies).ok().map(Arc::new)
        };
        slot.get_or_init(parse).clone()
    }
}

fn digest(kind: Kind, text: &str, references: &[Reference], extra: &Extra) -> [u8; 32] {
    let mut digest = Digest::new(&SHA256);
    // Lengths keep parts apart.
    let mut part = |bytes: &[u8]| {
        digest.update(&(bytes.len() as u64).to_be_bytes());
        digest.update(bytes);
    };
    part(kind.name().as_bytes());
    part(text.as_bytes());
    for reference in references {
        part(reference.name.as_bytes());
        part(reference.subject.as_bytes());
        part(&reference.version.to_be_bytes());
    }
    part(&serde_json::to_vec(extra).unwrap_or_default());
    let mut out = [0; 32];
    out.copy_from_slice(digest.finish().as_ref());
    out
}

/// A version of a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Its schema.
    pub id: i32,
    /// Hidden, but still there for values that were written with it.
    pub is_deleted: bool,
}

/// Versions of a subject, by number.
pub type Versions = BTreeMap<i32, Version>;

/// A project's schemas.
#[derive(Debug, Clone, Default)]
pub struct Book {
    next_id: i32,
    schemas: BTreeMap<i32, Arc<Stored>>,
    by_digest: HashMap<[u8; 32], i32>,
    subjects: BTreeMap<String, Arc<Versions>>,
    settings: BTreeMap<Scope, Settings>,
    /// Of all states of the book.
    parsed: Arc<Parsed>,
}

impl Book {
    /// True where nothing was ever kept.
    pub fn is_empty(&self) -> bool {
        self.next_id == 0 && self.subjects.is_empty() && self.settings.is_empty()
    }

    /// The id that the next schema gets: none is given twice.
    pub fn next_id(&self) -> i32 {
        self.next_id.max(1)
    }

    pub(super) fn set_next_id(&mut self, next: i32) {
        self.next_id = next;
    }

    /// A schema by its id.
    pub fn schema(&self, id: i32) -> Option<&Arc<Stored>> {
        self.schemas.get(&id)
    }

    /// The schema that is the same as this one.
    pub fn same(&self, as_this: &Stored) -> Option<&Arc<Stored>> {
        self.schemas.get(self.by_digest.get(&as_this.digest)?)
    }

    /// A schema by its guid.
    pub fn schema_of_guid(&self, guid: &str) -> Option<&Arc<Stored>> {
        self.schemas.values().find(|stored| stored.guid().eq_ignore_ascii_case(guid))
    }

    /// Subjects and their versions, hidden ones too, by name.
    pub fn subjects(&self) -> impl Iterator<Item = (&str, &Versions)> {
        self.subjects.iter().map(|(name, versions)| (name.as_str(), &**versions))
    }

    /// Versions of a subject, hidden ones too; none where there never was one.
    pub fn versions(&self, subject: &str) -> Option<&Versions> {
        self.subjects.get(subject).map(|versions| &**versions)
    }

    /// A subject's version; of the hidden ones only where they are asked for. Below zero it is the latest.
    pub fn version(&self, subject: &str, version: i32, hidden_too: bool) -> Option<(i32, &Arc<Stored>)> {
        let versions = self.versions(subject)?;
        let mut seen = versions.iter().filter(|(_, of)| hidden_too || !of.is_deleted);
        let (number, of) =
            if version < 0 { seen.next_back()? } else { seen.find(|(number, _)| **number == version)? };
        Some((*number, self.schemas.get(&of.id)?))
    }

    /// Who names a schema: subjects and versions.
    pub fn uses(&self, id: i32, hidden_too: bool) -> impl Iterator<Item = (&str, i32)> {
        self.subjects().flat_map(move |(subject, versions)| {
            let fits = move |of: &Version| of.id == id && (hidden_too || !of.is_deleted);
            versions.iter().filter(move |(_, of)| fits(of)).map(move |(version, _)| (subject, *version))
        })
    }

    /// Ids of schemas that refer to a version of a subject, as far as versions name them.
    pub fn referenced_by(&self, subject: &str, version: i32, hidden_too: bool) -> Vec<i32> {
        let refers = |stored: &Stored| {
            stored.references.iter().any(|one| one.subject == subject && one.version == version)
        };
        let named: HashSet<i32> = self
            .subjects
            .values()
            .flat_map(|versions| versions.values())
            .filter(|of| hidden_too || !of.is_deleted)
            .map(|of| of.id)
            .collect();
        let all = self.schemas.values().filter(|stored| named.contains(&stored.id) && refers(stored));
        all.map(|stored| stored.id).collect()
    }

    /// What is set of something itself.
    pub fn settings(&self, scope: &Scope) -> Option<&Settings> {
        self.settings.get(scope)
    }

    /// Contexts that have subjects, and the default one.
    pub fn contexts(&self) -> Vec<Context> {
        let mut all: Vec<Context> = self
            .subjects
            .keys()
            .filter_map(|name| super::names::split(name).map(|(context, _)| context))
            .chain([Context::default_one()])
            .collect();
        all.sort();
        all.dedup();
        all
    }

    /// References with whole names and numbers: a subject of the same context may stand without it, and below zero the
    /// version is the latest.
    pub fn resolved(
        &self,
        references: &[Reference],
        context: &Context,
    ) -> Result<Vec<Reference>, RegistryError> {
        let resolve = |one: &Reference| {
            let subject = Subject::parse(&one.subject, context)?;
            let found = self.version(subject.full(), one.version, one.version > 0);
            let (version, _) = found.ok_or_else(|| missing(one))?;
            Ok(Reference { name: one.name.clone(), subject: subject.full().to_owned(), version })
        };
        references.iter().map(resolve).collect()
    }

    /// What references lead to, over all levels, each after what it needs; and the bytes of it.
    pub fn dependencies(&self, references: &[Reference]) -> Result<(Vec<Dependency>, usize), RegistryError> {
        let (mut out, mut bytes) = (Vec::new(), 0_usize);
        let mut counted = HashSet::new();
        let mut seen = HashSet::new();
        // What is left to do: a reference, and whether what it needs is there already.
        let mut left: Vec<(&Reference, bool)> = references.iter().rev().map(|one| (one, false)).collect();
        while let Some((reference, is_ready)) = left.pop() {
            let found = self.version(&reference.subject, reference.version, true);
            let (_, stored) = found.ok_or_else(|| missing(reference))?;
            if is_ready {
                out.push(Dependency { name: reference.name.clone(), text: Arc::clone(&stored.text) });
                continue;
            }
            if !seen.insert((&reference.name, &reference.subject, reference.version)) {
                continue;
            }
            if seen.len() > DEPENDENCIES_MAX {
                let why = format!("it refers to more than {DEPENDENCIES_MAX} schemas");
                return Err(RegistryError::invalid_schema(why));
            }
            let own = if counted.insert(stored.id) { stored.text.len() } else { 0 };
            bytes = bytes.saturating_add(own).saturating_add(reference.name.len());
            if bytes > DEPENDENCY_BYTES_MAX {
                let why = format!(
                    "it refers to schemas of more than {DEPENDENCY_BYTES_MAX} bytes together: refer to fewer or \
                     smaller ones"
                );
                return Err(RegistryError::invalid_schema(why));
            }
            left.push((reference, true));
            left.extend(stored.references.iter().rev().map(|one| (one, false)));
        }
        Ok((out, bytes))
    }

    /// Schemas, bytes of them, versions and settings.
    fn size(&self) -> [usize; 3] {
        let bytes = self.schemas.values().map(|stored| stored.bytes()).sum();
        let rows: usize = self.subjects.values().map(|versions| versions.len()).sum();
        [self.schemas.len(), bytes, rows + self.settings.len()]
    }

    /// Refuses what makes more of this than a project may have; what makes less of it is always welcome.
    pub(super) fn check_room(&self, before: &Book) -> Result<(), RegistryError> {
        let most = [SCHEMAS_PER_PROJECT_MAX, SCHEMA_BYTES_PER_PROJECT_MAX, ROWS_PER_PROJECT_MAX];
        let grown = self.size().into_iter().zip(before.size());
        let fits = grown.zip(most).all(|((now, before), most)| now <= most || now <= before);
        let what = || {
            format!(
                "the project is full: it may have {SCHEMAS_PER_PROJECT_MAX} schemas, {SCHEMA_BYTES_PER_PROJECT_MAX} \
                 bytes of them, and {ROWS_PER_PROJECT_MAX} versions and settings"
            )
        };
        if fits { Ok(()) } else { Err(RegistryError::not_permitted(what())) }
    }

    pub(super) fn apply(&mut self, edit: &Edit) {
        match edit {
            Edit::AddSchema(stored) => {
                self.next_id = self.next_id().max(stored.id.saturating_add(1));
                self.by_digest.insert(stored.digest, stored.id);
                self.schemas.insert(stored.id, Arc::clone(stored));
            }
            Edit::RemoveSchema(id) => {
                if let Some(stored) = self.schemas.remove(id)
                    && self.by_digest.get(&stored.digest) == Some(id)
                {
                    self.by_digest.remove(&stored.digest);
                }
            }
            Edit::PutVersion { subject, version, id } => {
                let versions = self.subjects.entry(subject.clone()).or_default();
                Arc::make_mut(versions).insert(*version, Version { id: *id, is_deleted: false });
            }
            Edit::MarkVersion { subject, version, is_deleted } => {
                let versions = self.subjects.get_mut(subject).map(Arc::make_mut);
                if let Some(of) = versions.and_then(|versions| versions.get_mut(version)) {
                    of.is_deleted = *is_deleted;
                }
            }
            Edit::RemoveVersion { subject, version } => {
                if let Some(versions) = self.subjects.get_mut(subject).map(Arc::make_mut) {
                    versions.remove(version);
                    if versions.is_empty() {
                        self.subjects.remove(subject);
                    }
                }
            }
            Edit::Set { scope, settings } if settings.is_empty() => drop(self.settings.remove(scope)),
            Edit::Set { scope, settings } => drop(self.settings.insert(scope.clone(), settings.clone())),
        }
    }
}

fn missing(reference: &Reference) -> RegistryError {
    RegistryError::invalid_schema(format!(
        "No schema reference found for subject \"{}\" and version {}",
        reference.subject, reference.version
    ))
}
