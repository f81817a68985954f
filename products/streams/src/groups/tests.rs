//! Groups as their callers see them: requests in, responses out, with storage that can fail and be opened again.

mod admin;
mod bed;
mod classic;
mod consumer;
mod offsets;
mod random;
mod sights;
pub(crate) mod sim;
mod tables;
