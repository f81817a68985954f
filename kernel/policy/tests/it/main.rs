//! The policy from outside the crate.

mod changes;
mod clauses;
mod faults;
mod files;
mod fuzz;
mod importer;
mod notice;
mod schema;
mod toggle;
