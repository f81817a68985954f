//! Checkpoints as signed notes (C2SP signed-note and tlog-checkpoint, Ed25519).

use candor_keyring::{Keyring, Signer, is_signed};
use data_encoding::{BASE64, HEXLOWER};
use ring::digest::{SHA256, digest};

use crate::LedgerError;
use crate::tree::Hash;

/// What the key signs.
const PURPOSE: &str = "ledger";

/// Before the root key's fingerprint in the log's origin.
const ORIGIN_PREFIX: &str = "candor-ledger/";

/// The algorithm's number in a verifier key: Ed25519.
const ED25519: u8 = 1;

/// Longest note that is read: three lines and as many signatures of witnesses as anybody has.
const NOTE_BYTES_MAX: usize = 64 << 10;

/// A tree's head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Entries.
    pub size: u64,
    /// The root over them.
    pub root: Hash,
}

/// Whoever signs and reads this ledger's checkpoints.
pub struct Notary {
    signer: Signer,
    origin: String,
}

impl Notary {
    /// Of a keyring.
    pub fn new(keyring: &Keyring) -> Notary {
        Notary {
            signer: keyring.signer(PURPOSE),
            origin: format!("{ORIGIN_PREFIX}{}", keyring.fingerprint()),
        }
    }

    /// The log's name, the first line of its checkpoints.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// What others check signatures with: `name+id+key`.
    pub fn verifier_key(&self) -> String {
        let mut key = vec![ED25519];
        key.extend_from_slice(&self.signer.public_key());
        format!("{}+{}+{}", self.origin, HEXLOWER.encode(&self.key_id()), BASE64.encode(&key))
    }

    fn key_id(&self) -> [u8; 4] {
        let mut named = self.origin.clone().into_bytes();
        named.extend_from_slice(&[b'\n', ED25519]);
        named.extend_from_slice(&self.signer.public_key());
        digest(&SHA256, &named).as_ref().first_chunk::<4>().copied().unwrap_or_default()
    }

    /// A checkpoint as a signed note.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let body = format!("{}\n{}\n{}\n", self.origin, checkpoint.size, BASE64.encode(&checkpoint.root));
        let mut signature = self.key_id().to_vec();
        signature.extend_from_slice(&self.signer.sign(body.as_bytes()));
        format!("{body}\n\u{2014} {} {}\n", self.origin, BASE64.encode(&signature))
    }

    /// Reads a note that this ledger signed.
    pub fn read(&self, note: &str) -> Result<Checkpoint, LedgerError> {
        let no = LedgerError::NoCheckpoint;
        if note.len() > NOTE_BYTES_MAX {
            return Err(no("it is too long"));
        }
        let (body, signatures) = note.split_once("\n\n").ok_or(no("it has no signatures"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(no("it has fewer than three lines"));
        };
        if origin != self.origin {
            return Err(no("it is of another log"));
        }
        let canonical = !size.is_empty()
            && size.bytes().all(|byte| byte.is_ascii_digit())
            && (size == "0" || !size.starts_with('0'));
        let size = size.parse().ok().filter(|_| canonical).ok_or(no("its size is no number"))?;
        let root = BASE64.decode(root.as_bytes()).ok().and_then(|root| Hash::try_from(root).ok());
        let root = root.ok_or(no("its root is no hash"))?;
        let message = format!("{body}\n");
        let ours = signatures.lines().any(|line| self.is_ours(line, message.as_bytes()));
        if ours { Ok(Checkpoint { size, root }) } else { Err(no("it is not signed by this ledger's key")) }
    }

    fn is_ours(&self, line: &str, message: &[u8]) -> bool {
        let signature = line
            .strip_prefix("\u{2014} ")
            .and_then(|rest| rest.rsplit_once(' '))
            .filter(|(name, _)| *name == self.origin)
            .and_then(|(_, signature)| BASE64.decode(signature.as_bytes()).ok());
        let Some((id, signature)) = signature.as_deref().and_then(|bytes| bytes.split_first_chunk::<4>())
        else {
            return false;
        };
        *id == self.key_id() && is_signed(&self.signer.public_key(), message, signature)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_keyring::RootKey;
    use candor_model::random::Seeded;

    use super::*;

    fn notary(seed: u64) -> Notary {
        Notary::new(&Keyring::new(&RootKey::generate(&Seeded::new(seed)), Arc::new(Seeded::new(9))))
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_signed_and_not_otherwise() {
        let head = Checkpoint { size: 7, root: [3; 32] };
        let note = notary(1).sign(&head);
        assert_eq!(note.lines().count(), 5);
        assert_eq!(notary(1).read(&note).unwrap(), head);
        let witnessed = format!("{note}\u{2014} witness.example AAAAAAAA\n");
        assert_eq!(notary(1).read(&witnessed).unwrap(), head, "others may sign too");
        assert!(notary(2).read(&note).is_err());
        for at in 0..note.len() {
            let mut bad = note.clone().into_bytes();
            bad[at] ^= 1;
            if let Ok(bad) = String::from_utf8(bad) {
                assert!(notary(1).read(&bad).is_err(), "byte {at}: {bad}");
            }
            let whole_signature = note.trim_end().len();
            if at < whole_signature && note.is_char_boundary(at) {
                assert!(notary(1).read(&note[..at]).is_err(), "cut at {at}");
            }
        }
        let key = notary(1).verifier_key();
        let parts: Vec<&str> = key.split('+').collect();
        assert_eq!((parts[0], parts[1].len()), (notary(1).origin(), 8));
    }
}
