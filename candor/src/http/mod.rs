//! The HTTP face: one listener for screen, API and every ingest protocol.
//!
//! Here are the parts that no protocol owns: accepting connections with bounds on number, time and size
//! ([`listen`]), keeping small requests apart from large ones ([`aside`]), answering later under pressure ([`pace`]),
//! the form of errors ([`problem`]), who is asking ([`caller`]), the screen's files ([`assets`]) and the routes
//! ([`router`]).

pub mod aside;
pub mod assets;
pub mod body;
pub mod caller;
pub mod door;
pub mod health;
pub mod listen;
pub mod pace;
pub mod patient;
pub mod problem;
pub mod router;
pub mod stored;
pub mod tls;

pub use caller::Caller;
pub use problem::Problem;
