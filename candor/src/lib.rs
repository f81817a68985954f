//! Candor: one program that takes in what software gives off, and the commands that talk to it.
//!
//! This crate composes; it decides nothing about records. [`cli`] says what can be asked, [`commands`] ask a running
//! server over HTTP, [`serve`] opens the data dir, puts kernel and products together and listens. The binary's
//! `main` is three lines, because it is what relinks.

// Optimised builds lay out futures of the catalog's database calls, which nest deeper than the default.
#![recursion_limit = "256"]

pub mod api;
pub mod app;
pub mod backup;
pub mod ballast;
pub mod books;
pub mod catalogs;
pub mod cli;
pub mod client;
pub mod commands;
pub mod data_dir;
pub mod deleted;
pub mod demo;
pub mod files;
pub mod http;
pub mod ledger_table;
pub mod logging;
pub mod noting;
pub mod output;
pub mod policies;
pub mod pressure;
pub mod privacy;
pub mod serve;
pub mod sources;
pub mod vault;
pub mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use cli::Command;
use cli::config::{self, ConfigError};

/// The release.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Refused or failed.
const FAILED: u8 = 1;
/// Wrong usage.
const USAGE: u8 = 2;

/// Runs the program. The first argument is its own name.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    let cli = match config::parse(&arguments) {
        Ok(cli) => cli,
        Err(ConfigError::Usage(error)) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(USAGE));
        }
        Err(ConfigError::File(error)) => {
            eprintln!("candor: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let result = match cli.command {
        Command::Serve(arguments) => serve::run(*arguments, &cli.global),
        command => commands::run(command, &cli.global),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads our output has seen enough: `candor query … | head`.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("candor: {}", logging::chain(error.as_ref()));
            let usage = error.downcast_ref::<serve::UsageError>().is_some();
            ExitCode::from(if usage { USAGE } else { FAILED })
        }
    }
}
