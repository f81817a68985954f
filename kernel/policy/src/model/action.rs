//! What happens to what a rule finds: `remove`, `replace:[secret]`, `mask:4`.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Longest replacement, bytes.
const REPLACEMENT_MAX: usize = 200;
/// Most characters that a mask leaves: what is left of a card's number on receipts.
const MASK_MAX: usize = 4;
/// Most characters that cutting leaves.
const TRUNCATE_MAX: usize = 1_000_000;

/// What happens to what a rule finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A placeholder takes its place.
    Remove,
    /// This text takes its place.
    Replace(String),
    /// Its letters and digits become `*`, but for the last few.
    Mask(usize),
    /// It is cut behind so many characters.
    Truncate(usize),
    /// Less of it stays: of an address its network.
    Generalise,
    /// A code takes its place.
    Pseudonym,
    /// The member goes.
    DropField,
    /// The record goes.
    DropEvent,
    /// It stays, and is counted.
    Alert,
}

impl Action {
    /// How actions are written.
    pub const FORMS: &[&str] = &[
        "remove",
        "replace:TEXT",
        "mask",
        "mask:4",
        "truncate:200",
        "generalise",
        "pseudonym",
        "drop_field",
        "drop_event",
        "alert",
    ];

    /// Reads one.
    pub fn parse(text: &str) -> Option<Action> {
        let number = |text: &str, most: usize| text.parse().ok().filter(|number| *number <= most);
        Some(match text.split_once(':') {
            None => match text {
                "remove" => Action::Remove,
                "mask" => Action::Mask(0),
                "generalise" => Action::Generalise,
                "pseudonym" => Action::Pseudonym,
                "drop_field" => Action::DropField,
                "drop_event" => Action::DropEvent,
                "alert" => Action::Alert,
                _ => return None,
            },
            Some(("replace", with)) if with.len() <= REPLACEMENT_MAX => Action::Replace(with.to_owned()),
            Some(("mask", left)) => Action::Mask(number(left, MASK_MAX)?),
            Some(("truncate", left)) => Action::Truncate(number(left, TRUNCATE_MAX)?),
            Some(_) => return None,
        })
    }

    /// The action as the scrubber takes it.
    pub(crate) fn compiled(&self) -> candor_scrub::Action {
        match self {
            Action::Remove => candor_scrub::Action::Remove,
            Action::Replace(with) => candor_scrub::Action::Replace(with.clone()),
            Action::Mask(left) => candor_scrub::Action::Mask { keep_last: *left },
            Action::Truncate(left) => candor_scrub::Action::Truncate { characters: *left },
            Action::Generalise => candor_scrub::Action::GENERALISE,
            Action::Pseudonym => candor_scrub::Action::Pseudonym,
            Action::DropField => candor_scrub::Action::DropField,
            Action::DropEvent => candor_scrub::Action::DropEvent,
            Action::Alert => candor_scrub::Action::Alert,
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Action::Remove => f.write_str("remove"),
            Action::Replace(with) => write!(f, "replace:{with}"),
            Action::Mask(0) => f.write_str("mask"),
            Action::Mask(left) => write!(f, "mask:{left}"),
            Action::Truncate(left) => write!(f, "truncate:{left}"),
            Action::Generalise => f.write_str("generalise"),
            Action::Pseudonym => f.write_str("pseudonym"),
            Action::DropField => f.write_str("drop_field"),
            Action::DropEvent => f.write_str("drop_event"),
            Action::Alert => f.write_str("alert"),
        }
    }
}

impl Serialize for Action {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Action {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Action, D::Error> {
        let text = String::deserialize(deserializer)?;
        Action::parse(&text).ok_or_else(|| de::Error::custom("no action"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_read_as_they_are_written() {
        for form in Action::FORMS {
            let action = Action::parse(form).expect("it is an action");
            assert_eq!(action.to_string(), *form);
        }
        for wrong in ["", "remove:", "mask:5", "mask:-1", "truncate", "truncate:x", "hash", "replace"] {
            assert_eq!(Action::parse(wrong), None, "{wrong}");
        }
    }
}
