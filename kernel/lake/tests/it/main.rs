//! The lake over a stand-in for the log, real files and real databases.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod bed;
mod catch_up;
mod crash;
mod duckdb;
mod merge;
mod postgres;
mod promote;
mod retention;
mod serve;
mod simulate;
mod small;
mod streams;
mod streams_upkeep;
mod visible;
