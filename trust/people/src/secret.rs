//! Secrets: 256 random bits in URL-safe text, stored as SHA-256.

use candor_model::Random;
use data_encoding::BASE64URL_NOPAD;

/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// Longest text that is looked up at all; ours are 43 characters and a prefix.
const PRESENTED_BYTES_MAX: usize = 128;

/// A new secret, to be shown once.
pub(crate) fn generate(random: &dyn Random) -> String {
    let mut bytes = [0; SECRET_BYTES];
    random.fill(&mut bytes);
    BASE64URL_NOPAD.encode(&bytes)
}

/// What is stored and looked up. `None` for text that cannot be one of ours.
pub(crate) fn digest(presented: &str) -> Option<Vec<u8>> {
    if presented.is_empty() || presented.len() > PRESENTED_BYTES_MAX {
        return None;
    }
    Some(candor_meta::secret::digest(presented).to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::random::Seeded;

    #[test]
    fn secrets_differ_and_their_digests_are_not_the_secret() {
        let random = Seeded::new(1);
        let (first, second) = (generate(&random), generate(&random));
        assert_ne!(first, second);
        assert_eq!(first.len(), 43);
        assert_ne!(digest(&first), digest(&second));
        assert_eq!(digest(""), None);
        assert_eq!(digest(&"x".repeat(129)), None);
    }
}
