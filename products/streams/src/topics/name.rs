//! What a topic may be called.

use candor_gate::may_name;
use candor_model::{Signal, TopicName};

/// Longest name, bytes: a folder's name has 255, and Kafka keeps room for a partition's number.
pub const NAME_BYTES_MAX: usize = 249;

/// Names that begin so are Candor's own.
pub const RESERVED: &str = "candor.";

/// Why a name cannot be a topic's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is empty.
    #[error("a topic's name is not empty")]
    Empty,
    /// It is `.` or `..`.
    #[error("a topic's name is neither '.' nor '..'")]
    Dots,
    /// It is too long.
    #[error("a topic's name has at most {NAME_BYTES_MAX} characters; this one has {0}")]
    Long(usize),
    /// It has a character that names do not have.
    #[error("a topic's name has letters of ASCII, digits, '.', '_' and '-'; this one has others")]
    Characters,
    /// It holds payment data or a secret, and names are stored as they are.
    #[error(
        "a topic's name is stored as it is, and this one holds payment data or a secret: call it something else"
    )]
    Struck,
}

/// Checks a name as Kafka does.
pub fn check(name: &str) -> Result<(), NameError> {
    match name {
        "" => return Err(NameError::Empty),
        "." | ".." => return Err(NameError::Dots),
        _ => {}
    }
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError::Long(name.len()));
    }
    let fits = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    if name.bytes().all(fits) { Ok(()) } else { Err(NameError::Characters) }
}

/// Checks the name of a topic that there is not yet.
pub fn check_new(name: &str) -> Result<(), NameError> {
    check(name)?;
    if may_name(name) { Ok(()) } else { Err(NameError::Struck) }
}

/// The signal whose records the topic of that name carries.
pub fn signal(name: &str) -> Option<Signal> {
    name.strip_prefix(RESERVED).and_then(Signal::from_name)
}

/// Two names with the same likeness would be one name in a system that writes `.` as `_`, as names of metrics do;
/// Kafka refuses the second.
pub(super) fn likeness(name: &str) -> String {
    name.replace('.', "_")
}

/// What the log calls the `incarnation`th topic of a name, counted from 1. `#` stands in no name that a client gives.
pub(super) fn in_log(name: &str, incarnation: i64) -> TopicName {
    TopicName(if incarnation <= 1 { name.to_owned() } else { format!("{name}#{incarnation}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_kafkas() {
        for good in ["a", "A-b_c.9", "...", &"x".repeat(249)] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        assert_eq!(check(""), Err(NameError::Empty));
        assert_eq!(check("."), Err(NameError::Dots));
        assert_eq!(check(".."), Err(NameError::Dots));
        assert_eq!(check(&"x".repeat(250)), Err(NameError::Long(250)));
        for bad in ["a b", "a#2", "ä", "a/b", "a\0", "a:b", "a,b"] {
            assert_eq!(check(bad), Err(NameError::Characters), "{bad}");
        }
    }

    #[test]
    fn a_new_name_holds_no_card() {
        for bad in ["4111111111111111", "orders.4111-1111-1111-1111"] {
            assert_eq!((check(bad), check_new(bad)), (Ok(()), Err(NameError::Struck)), "{bad}");
        }
        assert_eq!(check_new("orders-2026"), Ok(()));
        assert_eq!(check_new(""), Err(NameError::Empty));
    }

    #[test]
    fn the_log_never_sees_one_name_twice() {
        assert_eq!(in_log("a", 1).0, "a");
        assert_eq!(in_log("a", 2).0, "a#2");
        assert!(check(&in_log("a", 2).0).is_err(), "a client cannot ask for it");
        assert_eq!(signal("candor.logs"), Some(Signal::Logs));
        assert_eq!(signal("candor.other"), None);
        assert_eq!(signal("logs"), None);
    }
}
