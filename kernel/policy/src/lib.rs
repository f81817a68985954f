//! The policy: `policy.toml` read, checked, compared and compiled.
