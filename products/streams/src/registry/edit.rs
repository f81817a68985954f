//! Single changes of what a project has.

use std::sync::Arc;

use super::{Scope, Settings, Stored};

/// A change. What plans one has checked that it fits.
pub(super) enum Edit {
    /// A schema that is new.
    AddSchema(Arc<Stored>),
    /// A schema that no version names any more.
    RemoveSchema(i32),
    /// A version that is new, or another one's schema in its place.
    PutVersion { subject: String, version: i32, id: i32 },
    /// Hides a version, or shows it again.
    MarkVersion { subject: String, version: i32, is_deleted: bool },
    /// A version goes for good.
    RemoveVersion { subject: String, version: i32 },
    /// What is set; nothing where it is empty.
    Set { scope: Scope, settings: Settings },
}
