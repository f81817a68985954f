//! Errors: Sentry's wire protocol in, issues out.
//!
//! Three parts: [`protocol`] takes the wire apart and gives Sentry's own answers; [`event`] and grouping read events
//! in whatever form twelve years of SDKs write them; issues follow the log and say which events are one fault.
//! Nothing here stores an event: records go through the gate into the log by way of [`candor_log::ingest`].

pub mod attachments;
pub mod event;
#[cfg(test)]
mod fuzz;
mod grouping;
pub mod issues;
mod items;
mod origin;
pub mod outcomes;
mod peek;
pub mod protocol;
mod reception;
mod routes;

pub use issues::{Issue, IssueQuery, Issues, IssuesError, Order, Status};
pub use outcomes::Outcomes;
pub use routes::{ErrorsState, routes};
