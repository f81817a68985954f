//! A policy that was made, as a file.

use std::fmt::Write;

use ring::digest;

use crate::model::Policy;

impl Policy {
    /// SHA-256 of its canonical JSON, in hexadecimal digits.
    pub fn hash(&self) -> String {
        let sum = digest::digest(&digest::SHA256, self.canonical().as_bytes());
        sum.as_ref().iter().fold(String::new(), |mut text, byte| {
            // Writing to a text does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// As a file of its own: what it names holds, whatever a preset says.
    pub fn to_toml(&self) -> String {
        toml::to_string(self).unwrap_or_default()
    }
}
