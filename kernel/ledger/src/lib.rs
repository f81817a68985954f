//! The ledger: what was done with personal data, append-only and tamper-evident.
