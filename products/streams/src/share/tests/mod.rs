//! Share groups as their members see them, over a real log, topics and groups.

mod bed;
mod offsets;
mod requests;
mod wire;
