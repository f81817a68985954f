//! The wire: envelopes, keys, paths, answers.

pub mod answer;
pub mod auth;
pub mod cors;
pub mod envelope;
pub mod path;
pub mod store;
