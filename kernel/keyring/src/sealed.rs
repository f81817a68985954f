//! AES-256-GCM over small values: a version byte, a random nonce, the ciphertext and its tag.
//!
//! Nonces are random: a key of this module seals far fewer than the 2^32 messages that NIST SP 800-38D (8.3) allows
//! for random 96-bit nonces.

use candor_model::Random;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// The form described above.
const VERSION: u8 = 1;

/// A sealing key.
pub(crate) struct Sealer(LessSafeKey);

impl Sealer {
    pub(crate) fn new(key: &[u8; 32]) -> Sealer {
        let unbound = UnboundKey::new(&AES_256_GCM, key).expect("AES-256 takes 32 bytes");
        Sealer(LessSafeKey::new(unbound))
    }

    /// Seals a value; `context` is bound to it and must be given again to open it.
    pub(crate) fn seal(&self, random: &dyn Random, context: &[&[u8]], plain: &[u8]) -> Vec<u8> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let mut body = plain.to_vec();
        self.0
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(bind(context)),
                &mut body,
            )
            .expect("a value is far below the 64 GiB of a GCM message");
        let mut out = Vec::with_capacity(1 + NONCE_LEN + body.len());
        out.push(VERSION);
        out.extend_from_slice(&nonce);
        out.append(&mut body);
        out
    }

    /// Opens what [`Sealer::seal`] made; none where it was changed, moved to another context, or is of another key.
    pub(crate) fn open(&self, context: &[&[u8]], sealed: &[u8]) -> Option<Vec<u8>> {
        let (&version, rest) = sealed.split_first()?;
        if version != VERSION {
            return None;
        }
        let (nonce, body) = rest.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut body = body.to_vec();
        let length = self.0.open_in_place(nonce, Aad::from(bind(context)), &mut body).ok()?.len();
        body.truncate(length);
        Some(body)
    }
}

/// The parts of a context with their lengths, so that no two contexts read the same.
fn bind(context: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for part in context {
        out.extend_from_slice(&(part.len() as u64).to_le_bytes());
        out.extend_from_slice(part);
    }
    out
}
