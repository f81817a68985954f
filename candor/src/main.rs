//! The `candor` program. Thin: it is what relinks.

use std::process::ExitCode;

fn main() -> ExitCode {
    candor::run(std::env::args_os().collect())
}
