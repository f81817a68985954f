//! Streams: the log speaks Kafka.
//!
//! A connection proves who it is ([`auth`]); each request is answered by the part that owns what it asks about. Parts
//! know each other by what they need: topics by [`directory::TopicDirectory`]. Records go through the gate into the log.
//! Over HTTP ([`rest`]) the same parts are asked.

pub mod admin;
pub mod auth;
pub mod bridge;
pub mod broker;
mod by_project;
pub mod caller;
pub mod data;
pub mod directory;
pub mod groups;
mod mutant;
mod node;
mod parts;
pub mod reads;
pub mod registry;
pub mod rest;
mod rights;
mod settings;
pub mod share;
mod streams;
pub mod topics;
pub mod txn;
mod upkeep;
pub mod view;
pub mod wire;

#[cfg(test)]
mod sim;
#[cfg(test)]
mod testing;

pub use auth::{ProjectOf, TokenSettings, Tokens};
pub use caller::Peer;
pub use node::{Advertised, NODE_ID};
pub use settings::{NAMES as SETTING_NAMES, SettingError, Settings};
pub use streams::{OpenError, Streams, StreamsOptions};
pub use upkeep::keep;
