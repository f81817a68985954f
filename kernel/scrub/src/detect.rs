//! The detectors. Each looks at one place of the text that the scan found worth a look, and pushes what it is sure of.

pub(crate) mod assignment;
pub(crate) mod bearer;
pub(crate) mod card;
pub(crate) mod email;
pub(crate) mod iban;
pub(crate) mod issuer;
pub(crate) mod pattern;
pub(crate) mod pem;
pub(crate) mod personal;
pub(crate) mod shape;
pub(crate) mod ssn;
pub(crate) mod url;
pub(crate) mod value;
