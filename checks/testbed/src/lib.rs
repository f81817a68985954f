//! What tests share: cases for fuzz targets, figures, and what tests need of the machine they run on, as real servers,
//! started for one test binary and gone with it.
//!
//! Nothing of this ships. A test that needs what is not installed says `SKIPPED` and why; it never passes silently.
#![allow(clippy::disallowed_methods, reason = "it starts servers that tests talk to")]

pub mod fuzz;
pub mod postgres;
pub mod s3;
pub mod speed;
