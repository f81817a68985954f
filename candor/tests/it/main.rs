//! The real program, from outside: a free port, a data dir of its own, the protocols' own bytes.
#![allow(clippy::disallowed_methods, reason = "tests look into the data dir")]

mod account;
mod command_line;
mod durability;
mod isolation;
mod lake;
mod logs;
mod server;
mod stops;
mod storage;
