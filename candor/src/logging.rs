//! Candor's own log: structured, on standard error, and without payloads.
//!
//! A payload could reach it in three ways, and each is closed: log lines name counts and places, never values; the
//! panic hook prints where, never what (a panic's text may quote the input that caused it); and the libraries
//! below, which owe us no such promise, are heard from warnings on and not at all where they quote statements.

use std::io::IsTerminal;

pub use candor_model::chain;
use tracing_subscriber::EnvFilter;

/// The variable that sets the filter, in `tracing`'s syntax.
const FILTER_VARIABLE: &str = "CANDOR_LOG";

const DEFAULT_FILTER: &str = "warn,candor=info,candor_log=info,candor_lake=info,candor_meta=info,candor_query=info,\
                              candor_keyring=info,candor_people=info,candor_logs=info,candor_errors=info,sqlx=error";

/// Starts logging and sets the panic hook. Called once, by `serve`.
pub fn start() {
    let filter = std::env::var(FILTER_VARIABLE)
        .ok()
        .and_then(|text| EnvFilter::try_new(text).ok())
        .unwrap_or_else(|| EnvFilter::new(DEFAULT_FILTER));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        builder.compact().try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    if started.is_err() {
        eprintln!("candor: logging was started twice");
    }
    std::panic::set_hook(Box::new(|panic| {
        let (file, line) = panic.location().map_or(("unknown", 0), |at| (at.file(), at.line()));
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed");
        tracing::error!(file, line, thread, "a task panicked; its text is withheld, it may quote input");
    }));
}
