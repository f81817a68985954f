//! Protocols in, answers out.
