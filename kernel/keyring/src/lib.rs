//! Keys: the root key, the keys of files and of subjects, the codes of persons, and the vault.
//!
//! Everything hangs from one [`RootKey`], which only `candor` reads from its file:
//!
//! ```text
//! root key ── HKDF ─┬─ file-wrap key ──────── wraps the random key of every stored file
//!                   ├─ code key (project, site) ─ HMAC: identifier → `email:` + 26 characters
//!                   ├─ signing keys (purpose) ─ Ed25519
//!                   └─ project key ────────── wraps the random key of every subject ── seals what identifies it
//! ```
//!
//! A subject's key is random, not derived: destroying the one wrapped copy makes all that it sealed unreadable.
//! The trade-off refused is one key a project, which would make erasing one person a rewrite of everybody's vault.

mod keys;
mod known;
mod root;
mod sealed;
mod secrets;
mod signing;
mod vault;

pub use keys::{Identity, Keyring, Sealing, VaultEntry};
pub use root::{KeyringError, RootKey};
pub use signing::{PUBLIC_KEY_BYTES, SIGNATURE_BYTES, Signer, is_signed};
pub use vault::Vault;

use std::sync::Arc;

/// A keyring in an `Arc`.
pub type SharedKeyring = Arc<Keyring>;
