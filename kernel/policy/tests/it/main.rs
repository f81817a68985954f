//! The policy from outside the crate.
