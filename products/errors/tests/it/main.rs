//! The errors product from outside: real samples, real routes, the real gate and log.
#![allow(clippy::disallowed_methods, reason = "fixtures are read as they lie")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod attachments;
mod house;
mod issues;
mod items;
mod samples;
mod wire;
