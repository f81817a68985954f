//! The product against real parts around it.

#![allow(clippy::unwrap_used)]

mod better_stack;
mod fuzz;
mod grpc;
mod house;
mod logflare;
mod otlp_http;
mod sources;
