//! The policy: `policy.toml` read, checked, compared and compiled.
//!
//! Pure functions over text: no I/O, no clock. [`model`] is the policy as everything else reads it.

pub mod model;

pub use model::Policy;
