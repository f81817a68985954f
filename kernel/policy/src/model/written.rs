//! The policy written out: as a file, as canonical JSON, as a hash.

use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};
use serde_json::Value;

use super::Policy;

impl Policy {
    /// The whole policy as a file that [`crate::read`] reads as the same policy.
    pub fn to_toml(&self) -> String {
        // Nothing in the types can fail: keys are text, and there is no null.
        toml::to_string(self).unwrap_or_default()
    }

    /// The policy as JSON, as a tree.
    pub fn to_json(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// The policy as canonical JSON: members sorted by name, no spaces. Equal policies are equal texts but for how
    /// lengths of time are written.
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        write(&self.to_json(), &mut text);
        text
    }

    /// SHA-256 of the canonical JSON, in hexadecimal.
    pub fn hash(&self) -> String {
        HEXLOWER.encode(digest(&SHA256, self.canonical().as_bytes()).as_ref())
    }
}

/// Writes sorted, whatever order the map of `serde_json` keeps.
fn write(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(members) => {
            let mut names: Vec<&String> = members.keys().collect();
            names.sort_unstable();
            out.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::String(name.clone()).to_string());
                out.push(':');
                write(&members[name.as_str()], out);
            }
            out.push('}');
        }
        simple => out.push_str(&simple.to_string()),
    }
}
