//! Fetch's messages, and its sessions.

mod messages;
mod sessions;
