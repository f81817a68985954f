//! What happens to what was found.

/// What happens to what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// The kind's placeholder takes its place.
    Remove,
    /// This text takes its place.
    Replace(String),
    /// Letters and digits become `*`, but for the last few.
    Mask {
        /// How many characters at the end stay.
        keep_last: usize,
    },
    /// It is cut behind this many characters.
    Truncate {
        /// How many characters at the start stay.
        characters: usize,
    },
    /// Less of it stays: of an address its network, of a time its hour, of a coordinate one decimal. Anything else is
    /// removed.
    Generalise {
        /// Bits of an address of version 4 that stay.
        v4: u8,
        /// Bits of an address of version 6 that stay.
        v6: u8,
    },
    /// A code takes its place, which whoever scrubs provides ([`crate::Pseudonyms`]).
    Pseudonym,
    /// The member that it was found in goes; in a list `null` takes its place, and a text is left empty.
    DropField,
    /// The whole record is dropped by whoever scrubs it ([`crate::Run::dropped_by`]).
    DropEvent,
    /// It stays, and is counted.
    Alert,
}

impl Action {
    /// [`Action::Generalise`] to what is left of an address in general: 24 bits, or 48.
    pub const GENERALISE: Action = Action::Generalise { v4: 24, v6: 48 };

    /// The action's name in reports: `remove`.
    pub fn name(&self) -> &'static str {
        match self {
            Action::Remove => "remove",
            Action::Replace(_) => "replace",
            Action::Mask { .. } => "mask",
            Action::Truncate { .. } => "truncate",
            Action::Generalise { .. } => "generalise",
            Action::Pseudonym => "pseudonym",
            Action::DropField => "drop_field",
            Action::DropEvent => "drop_event",
            Action::Alert => "alert",
        }
    }
}
