//! Signatures of the house (Ed25519), and keyed digests of what is noted about a reader.

use ring::hmac;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

use crate::Keyring;
use crate::keys::expand;

/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Signs for one purpose.
pub struct Signer(Ed25519KeyPair);

impl Signer {
    /// What others hold signatures against.
    pub fn public_key(&self) -> [u8; PUBLIC_KEY_BYTES] {
        let mut key = [0; PUBLIC_KEY_BYTES];
        key.iter_mut().zip(self.0.public_key().as_ref()).for_each(|(to, from)| *to = *from);
        key
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut signature = [0; SIGNATURE_BYTES];
        signature.iter_mut().zip(self.0.sign(message).as_ref()).for_each(|(to, from)| *to = *from);
        signature
    }
}

/// True where the key signed the message.
pub fn is_signed(public_key: &[u8], message: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public_key).verify(message, signature).is_ok()
}

impl Keyring {
    /// The signing key of a purpose. It follows from the root key, so that it is the same after every start.
    pub fn signer(&self, purpose: &str) -> Signer {
        let seed = expand(&self.derive, &[b"sign", purpose.as_bytes()]);
        Signer(Ed25519KeyPair::from_seed_unchecked(&seed).expect("Ed25519 takes any 32 bytes"))
    }

    /// A digest that only this house can make: it tells texts apart, and nobody finds a short one by trying.
    /// 32 hexadecimal digits.
    pub fn keyed_digest(&self, purpose: &str, text: &[u8]) -> String {
        let key = expand(&self.derive, &[b"digest", purpose.as_bytes()]);
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), text);
        data_encoding::HEXLOWER.encode(tag.as_ref().first_chunk::<16>().unwrap_or(&[0; 16]))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_model::random::Seeded;

    use super::*;
    use crate::RootKey;

    #[test]
    fn signatures_hold_for_their_message_purpose_and_root_key() {
        let keyring = |seed| Keyring::new(&RootKey::generate(&Seeded::new(seed)), Arc::new(Seeded::new(3)));
        let signer = keyring(1).signer("a");
        let signature = signer.sign(b"said");
        assert!(is_signed(&signer.public_key(), b"said", &signature));
        assert!(
            is_signed(&keyring(1).signer("a").public_key(), b"said", &signature),
            "the same after a start"
        );
        assert!(!is_signed(&signer.public_key(), b"sa1d", &signature));
        for other in [keyring(1).signer("b"), keyring(2).signer("a")] {
            assert!(!is_signed(&other.public_key(), b"said", &signature));
        }
        assert_eq!(keyring(1).keyed_digest("q", b"x"), keyring(1).keyed_digest("q", b"x"));
        assert_ne!(keyring(1).keyed_digest("q", b"x"), keyring(2).keyed_digest("q", b"x"));
        assert_ne!(keyring(1).keyed_digest("q", b"x"), keyring(1).keyed_digest("r", b"x"));
    }
}
