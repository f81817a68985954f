//! The policy from outside the crate.

mod changes;
mod faults;
mod files;
mod fuzz;
mod importer;
mod schema;
mod toggle;
