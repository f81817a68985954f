//! What the public API of the crate promises.

mod fuzz;
mod json;
