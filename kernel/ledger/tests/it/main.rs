//! The ledger from outside the crate.
