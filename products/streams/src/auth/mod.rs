//! Who a client is: users of projects ([`credentials`]) and a connection's log in ([`sasl`]).

pub mod credentials;
pub mod mechanism;
pub mod sasl;
mod scram;
mod store;
#[cfg(test)]
mod tests;

pub use credentials::{CredentialError, Credentials, Identity, NewUser};
pub use sasl::Sasl;
