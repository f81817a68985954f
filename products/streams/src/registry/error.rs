//! Errors as the registry's clients know them, by number.

use candor_meta::SqlError;

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// The request does not fit what there is.
    #[error("{message}")]
    Refused {
        /// The registry's number of it; its first three digits are the HTTP status.
        code: i32,
        /// For the person who asked.
        message: String,
    },
    /// The database failed.
    #[error("the registry's store failed")]
    Sql(#[from] SqlError),
}

impl RegistryError {
    pub(super) fn new(code: i32, message: impl Into<String>) -> RegistryError {
        RegistryError::Refused { code, message: message.into() }
    }

    pub(super) fn busy() -> RegistryError {
        RegistryError::new(50303, "the registry is busy; try again")
    }

    pub(crate) fn no_subject(subject: &str) -> RegistryError {
        RegistryError::new(40401, format!("Subject '{subject}' not found."))
    }

    pub(crate) fn no_version(version: impl std::fmt::Display) -> RegistryError {
        RegistryError::new(40402, format!("Version {version} not found."))
    }

    pub(super) fn no_schema() -> RegistryError {
        RegistryError::new(40403, "Schema not found")
    }

    pub(crate) fn no_schema_id(id: impl std::fmt::Display) -> RegistryError {
        RegistryError::new(40403, format!("Schema {id} not found"))
    }

    pub(super) fn invalid_schema(why: impl std::fmt::Display) -> RegistryError {
        RegistryError::new(42201, format!("Invalid schema, details: {why}"))
    }

    pub(super) fn not_permitted(message: impl Into<String>) -> RegistryError {
        RegistryError::new(42205, message)
    }
}
