//! The `candor` program. Thin: it is what relinks.

// Optimised builds lay out futures of the catalog's database calls, which nest deeper than the default.
#![recursion_limit = "256"]

use std::process::ExitCode;

fn main() -> ExitCode {
    candor::run(std::env::args_os().collect())
}
