//! How the values of topics may be opened.

use std::sync::Arc;

use candor_model::ProjectId;
use candor_schemas::Schema;

/// How the values of a topic may be opened (`candor.values`). Keys and headers, too, are left alone where values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ValuesMode {
    /// By the schema that a value names, where it is known; else objects and lists of JSON as JSON, other text as text, in
    /// UTF-16 or one byte a character as well. In what is mostly text that is blanked in which a rule strikes, at its own
    /// length; everything else is not opened.
    #[default]
    Auto,
    /// What is JSON as JSON, other text as text. Everything else is refused.
    Json,
    /// All as text: in UTF-16, in UTF-8, or one byte a character.
    Text,
    /// By the schema that a value names. What names none that is known, or does not fit it, is not opened.
    Schema,
    /// Not at all.
    Opaque,
}

impl ValuesMode {
    /// Every mode.
    pub const ALL: [ValuesMode; 5] =
        [ValuesMode::Auto, ValuesMode::Json, ValuesMode::Text, ValuesMode::Schema, ValuesMode::Opaque];

    /// Its name in the topic's configuration.
    pub fn name(self) -> &'static str {
        match self {
            ValuesMode::Auto => "auto",
            ValuesMode::Json => "json",
            ValuesMode::Text => "text",
            ValuesMode::Schema => "schema",
            ValuesMode::Opaque => "opaque",
        }
    }

    /// The mode of that name.
    pub fn from_name(name: &str) -> Option<ValuesMode> {
        ValuesMode::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// True where anything is opened.
    pub fn opens(self) -> bool {
        self != ValuesMode::Opaque
    }

    /// What a policy's mode becomes by a topic's own setting, which may only open more narrowly. What is left unopened is
    /// so by a topic's own setting only where the policy takes values that nobody opens.
    pub(crate) fn narrowed(self, of_topic: ValuesMode, takes_opaque: bool) -> ValuesMode {
        match (self, of_topic) {
            (ValuesMode::Auto, ValuesMode::Opaque) if !takes_opaque => ValuesMode::Auto,
            (ValuesMode::Auto, of_topic) => of_topic,
            (ValuesMode::Opaque, ValuesMode::Json | ValuesMode::Text | ValuesMode::Schema) => of_topic,
            (of_policy, _) => of_policy,
        }
    }

    /// True where a part that names a schema is opened by it: keys wherever anything is.
    pub fn opens_by_schema(self, part: Part) -> bool {
        match part {
            Part::Key => self.opens(),
            Part::Value => matches!(self, ValuesMode::Auto | ValuesMode::Schema),
        }
    }
}

/// What of a record names a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

/// What knows schemas by their ids.
pub trait Schemas: Send + Sync {
    /// A project's schema, without waiting.
    fn schema(&self, project: ProjectId, id: i32) -> Option<Arc<Schema>>;
}
