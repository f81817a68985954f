//! The policy from outside the crate.

mod changes;
mod faults;
mod files;
mod fuzz;
mod importer;
mod notice;
mod schema;
mod toggle;
