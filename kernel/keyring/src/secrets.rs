//! Secrets of others that the house has to say again, as the password of a cluster: sealed wherever they lie.

use crate::Keyring;

impl Keyring {
    /// Seals a secret. `owner` is what it belongs to, and must be given again to open it.
    pub fn seal_secret(&self, owner: &[Vec<u8>], plain: &[u8]) -> Vec<u8> {
        let owner: Vec<&[u8]> = owner.iter().map(Vec::as_slice).collect();
        self.secrets.seal(&*self.random, &owner, plain)
    }

    /// Opens what [`Keyring::seal_secret`] made; none where it was changed, belongs to something else, or was sealed under
    /// another root key.
    pub fn open_secret(&self, owner: &[Vec<u8>], sealed: &[u8]) -> Option<Vec<u8>> {
        let owner: Vec<&[u8]> = owner.iter().map(Vec::as_slice).collect();
        self.secrets.open(&owner, sealed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use candor_model::random::Seeded;

    use super::*;
    use crate::RootKey;

    #[test]
    fn a_secret_opens_for_its_owner_alone() {
        let keyring = |seed| Keyring::new(&RootKey::generate(&Seeded::new(seed)), Arc::new(Seeded::new(3)));
        let owner = |name: &str| [b"bridge".to_vec(), name.as_bytes().to_vec()];
        let mut sealed = keyring(1).seal_secret(&owner("a"), b"geheim");
        assert!(!sealed.windows(6).any(|part| part == b"geheim"));
        assert_eq!(keyring(1).open_secret(&owner("a"), &sealed).as_deref(), Some(&b"geheim"[..]));
        assert_eq!(keyring(1).open_secret(&owner("b"), &sealed), None);
        assert_eq!(keyring(2).open_secret(&owner("a"), &sealed), None);
        assert_eq!(keyring(1).open_secret(&owner("a"), &[]), None);
        if let Some(last) = sealed.last_mut() {
            *last ^= 1;
        }
        assert_eq!(keyring(1).open_secret(&owner("a"), &sealed), None);
    }
}
