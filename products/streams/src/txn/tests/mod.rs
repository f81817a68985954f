//! Transactions as their callers see them, over a real log, and storage that fails where it is told to.

mod admin;
pub(crate) mod bed;
mod crash;
mod faults;
mod produce;
mod requests;
mod rules;
pub(crate) mod sim;
mod time;
