//! What is set of a subject, a context or the whole: how schemas may change, and whether they may.

use candor_gate::may_name;
use candor_schemas::Level;
use serde::{Deserialize, Serialize};

use super::{Book, Context, RegistryError, Subject};

/// Whether schemas may be registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[allow(missing_docs, reason = "the names are the registry's")]
pub enum Mode {
    Readwrite,
    Readonly,
    ReadonlyOverride,
    Import,
}

impl Mode {
    /// Every mode.
    pub const ALL: [Mode; 4] = [Mode::Readwrite, Mode::Readonly, Mode::ReadonlyOverride, Mode::Import];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Readwrite => "READWRITE",
            Mode::Readonly => "READONLY",
            Mode::ReadonlyOverride => "READONLY_OVERRIDE",
            Mode::Import => "IMPORT",
        }
    }

    /// The mode of a name.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name))
    }
}

/// What settings are about, as a key: a subject with its context, a context as `:.name:`, nothing for the whole.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(pub(super) String);

impl Scope {
    /// Everything.
    pub fn whole() -> Scope {
        Scope(String::new())
    }

    /// A subject.
    pub fn subject(subject: &Subject) -> Scope {
        Scope(subject.full().to_owned())
    }

    /// False where what it names must not be stored.
    pub(super) fn may_be(&self) -> bool {
        may_name(&self.0)
    }

    /// A context; the default one is the whole.
    pub fn context(context: &Context) -> Scope {
        Scope(context.prefix())
    }
}

/// What is set. What is absent is as further out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// By its name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<String>,
    /// Whether schemas are normalized before they are kept and looked up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
    /// Another subject that is meant by this one's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// The mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

impl Settings {
    /// True where nothing is set.
    pub fn is_empty(&self) -> bool {
        *self == Settings::default()
    }

    /// The level, where one is set.
    pub fn level(&self) -> Option<Level> {
        self.compatibility.as_deref().and_then(Level::from_name)
    }
}

impl Book {
    /// What is set, from the innermost outwards.
    fn layers(&self, scope: &Scope) -> impl Iterator<Item = &Settings> {
        let context = super::names::split(&scope.0).map(|(context, _)| Scope::context(&context));
        let layers = [Some(scope.clone()), context.filter(|context| context != scope), Some(Scope::whole())];
        layers.into_iter().flatten().filter_map(|scope| self.settings(&scope))
    }

    /// How schemas may change: backwards unless something else is set.
    pub fn level(&self, scope: &Scope) -> Level {
        self.layers(scope).find_map(Settings::level).unwrap_or(Level::Backward)
    }

    /// Whether schemas are normalized.
    pub fn normalizes(&self, scope: &Scope) -> bool {
        self.layers(scope).find_map(|settings| settings.normalize).unwrap_or(false)
    }

    /// The mode in force.
    pub fn mode(&self, scope: &Scope) -> Mode {
        match self.settings(&Scope::whole()).and_then(|settings| settings.mode) {
            Some(Mode::ReadonlyOverride) => Mode::ReadonlyOverride,
            _ => self.layers(scope).find_map(|settings| settings.mode).unwrap_or(Mode::Readwrite),
        }
    }

    /// The subject that is meant by a name.
    pub fn meant(&self, subject: Subject) -> Subject {
        let alias = self.settings(&Scope::subject(&subject)).and_then(|settings| settings.alias.as_deref());
        match alias.map(|alias| Subject::parse(alias, subject.context())) {
            Some(Ok(meant)) => meant,
            _ => subject,
        }
    }
}

/// Ids are brought in where nothing has one yet: fails where a version is there.
pub(crate) fn check_empty(
    book: &Book,
    subject: Option<&Subject>,
    context: &Context,
) -> Result<(), RegistryError> {
    let concerned = |name: &str| match subject {
        Some(subject) => name == subject.full(),
        None => context.is_default() || name.starts_with(&context.prefix()),
    };
    let shown = |versions: &super::Versions| versions.values().any(|of| !of.is_deleted);
    let found = book.subjects().any(|(name, versions)| concerned(name) && shown(versions));
    match found {
        true => Err(RegistryError::not_permitted(
            "Cannot import since found existing subjects; force=true does it all the same",
        )),
        false => Ok(()),
    }
}
