//! What a policy lets be collected beside identifiers: ages, addresses, user agents, places, fields that nobody
//! documents.

pub(crate) mod address;
pub(crate) mod age;
pub(crate) mod agent;
pub(crate) mod device;
pub(crate) mod fields;
pub(crate) mod place;

/// A name in lower case without what joins words.
pub(crate) fn squash(part: &str) -> String {
    part.chars().filter(|c| !matches!(c, '_' | '-' | ' ')).map(|c| c.to_ascii_lowercase()).collect()
}
