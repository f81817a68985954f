//! The hashes of SCRAM, and what is kept of a password under each (RFC 5802, RFC 7677).

use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

/// A SCRAM mechanism. The numbers are those of Kafka's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hash {
    /// SCRAM-SHA-256.
    Sha256 = 1,
    /// SCRAM-SHA-512.
    Sha512 = 2,
}

impl Hash {
    /// Both.
    pub const ALL: [Hash; 2] = [Hash::Sha256, Hash::Sha512];

    /// The number in Kafka's messages.
    pub fn wire(self) -> i8 {
        self as i8
    }

    /// The mechanism of a number.
    pub fn from_wire(number: i8) -> Option<Hash> {
        Hash::ALL.into_iter().find(|hash| hash.wire() == number)
    }

    /// Bytes of a digest.
    pub fn bytes(self) -> usize {
        self.digest_algorithm().output_len()
    }

    fn digest_algorithm(self) -> &'static digest::Algorithm {
        match self {
            Hash::Sha256 => &digest::SHA256,
            Hash::Sha512 => &digest::SHA512,
        }
    }

    fn hmac_algorithm(self) -> hmac::Algorithm {
        match self {
            Hash::Sha256 => hmac::HMAC_SHA256,
            Hash::Sha512 => hmac::HMAC_SHA512,
        }
    }

    /// `Hi` of RFC 5802. Costs one HMAC an iteration: some milliseconds, so not on an async thread.
    pub(crate) fn salted(self, password: &[u8], salt: &[u8], iterations: NonZeroU32) -> Vec<u8> {
        let algorithm = match self {
            Hash::Sha256 => pbkdf2::PBKDF2_HMAC_SHA256,
            Hash::Sha512 => pbkdf2::PBKDF2_HMAC_SHA512,
        };
        let mut salted = vec![0; self.bytes()];
        pbkdf2::derive(algorithm, iterations, salt, password, &mut salted);
        salted
    }

    pub(crate) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        digest::digest(self.digest_algorithm(), bytes).as_ref().to_vec()
    }

    pub(crate) fn hmac(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        hmac::sign(&hmac::Key::new(self.hmac_algorithm(), key), message).as_ref().to_vec()
    }
}

/// What is kept of a password: nothing that opens a session by itself.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramKey {
    /// The salt.
    pub salt: Vec<u8>,
    /// How often it was hashed.
    pub iterations: NonZeroU32,
    /// `StoredKey`: tells a client that knows the password.
    pub stored_key: Vec<u8>,
    /// `ServerKey`: shows the client that the server knew it.
    pub server_key: Vec<u8>,
}

impl std::fmt::Debug for ScramKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScramKey").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

impl ScramKey {
    /// Of a password. Costs `iterations` HMACs.
    pub(super) fn of_password(
        hash: Hash,
        password: &[u8],
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> ScramKey {
        let salted = hash.salted(password, &salt, iterations);
        ScramKey::of_salted(hash, &salted, salt, iterations)
    }

    /// Of a password that the client has salted and hashed.
    pub(super) fn of_salted(hash: Hash, salted: &[u8], salt: Vec<u8>, iterations: NonZeroU32) -> ScramKey {
        let client_key = hash.hmac(salted, b"Client Key");
        ScramKey {
            stored_key: hash.digest(&client_key),
            server_key: hash.hmac(salted, b"Server Key"),
            salt,
            iterations,
        }
    }

    /// Whether the password is this one. Costs as many HMACs as the iterations, whatever the answer.
    pub(super) fn is_of(&self, hash: Hash, password: &[u8]) -> bool {
        let salted = hash.salted(password, &self.salt, self.iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        same(&hash.digest(&client_key), &self.stored_key)
    }
}

/// Compares secrets in a time that tells nothing of where they differ.
pub(crate) fn same(one: &[u8], other: &[u8]) -> bool {
    // What is compared byte by byte are HMACs of the two, and by a function that takes equally long for all.
    let key = hmac::Key::new(hmac::HMAC_SHA256, b"compare");
    hmac::verify(&key, one, hmac::sign(&key, other).as_ref()).is_ok()
}
