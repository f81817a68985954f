//! Who a client is: users of projects ([`credentials`]), users that tokens name ([`token`]), a connection's log in ([`sasl`]), a request's over HTTP ([`over_http`]).

pub mod credentials;
pub mod mechanism;
pub mod over_http;
pub mod sasl;
mod scram;
mod store;
#[cfg(test)]
mod tests;
pub mod token;

pub use credentials::{CredentialError, Credentials, Identity, NewUser};
pub use over_http::{Door, Nobody};
pub use sasl::Sasl;
pub use token::{ProjectOf, TokenSettings, Tokens};
