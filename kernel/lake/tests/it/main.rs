//! The lake over a stand-in for the log, real files and real databases.

mod bed;
mod catch_up;
mod crash;
mod duckdb;
mod merge;
mod promote;
mod retention;
mod serve;
mod simulate;
mod small;
mod visible;
