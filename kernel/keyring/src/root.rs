//! The root key and the text form in which it lies in a file.

use candor_model::Random;

/// Before the key in its file, with the version of the form.
const LABEL: &str = "candor-root-key-1";

/// Bytes of the checksum that tells a damaged file from another key.
const CHECK_BYTES: usize = 4;

/// Why keys could not be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The root key file is not one.
    #[error("not a root key file: it must hold one line, `{LABEL} KEY CHECK`")]
    NotARootKey,
    /// The root key file was damaged or cut.
    #[error("the root key file is damaged: its check digits do not fit")]
    Damaged,
    /// The data was written under another root key.
    #[error("this root key ({given}) is not the one that this data was written under ({expected})")]
    AnotherRootKey {
        /// The fingerprint of the key given.
        given: String,
        /// The fingerprint on record.
        expected: String,
    },
    /// The vault's tables failed.
    #[error("the vault's tables failed")]
    Sql(#[from] candor_meta::SqlError),
}

/// The key from which all others hang: 32 random bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct RootKey(pub(crate) [u8; 32]);

impl RootKey {
    /// A new key.
    pub fn generate(random: &dyn Random) -> RootKey {
        let mut key = [0; 32];
        random.fill(&mut key);
        RootKey(key)
    }

    /// Reads what [`RootKey::to_file`] wrote. White space around it is ignored.
    pub fn from_file(content: &[u8]) -> Result<RootKey, KeyringError> {
        let text = std::str::from_utf8(content).map_err(|_| KeyringError::NotARootKey)?;
        let mut words = text.split_ascii_whitespace();
        let (Some(LABEL), Some(key), Some(check), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(KeyringError::NotARootKey);
        };
        let decode = |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes()).ok();
        let key = decode(key).and_then(|key| <[u8; 32]>::try_from(key).ok()).ok_or(KeyringError::Damaged)?;
        let key = RootKey(key);
        if decode(check).as_deref() == Some(&key.check()[..]) { Ok(key) } else { Err(KeyringError::Damaged) }
    }

    /// One line for the key's file.
    pub fn to_file(&self) -> String {
        let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
        format!("{LABEL} {} {}\n", hex(&self.0), hex(&self.check()))
    }

    fn check(&self) -> [u8; CHECK_BYTES] {
        let digest = ring::digest::digest(&ring::digest::SHA256, &self.0);
        let mut check = [0; CHECK_BYTES];
        check.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        check
    }
}

impl std::fmt::Debug for RootKey {
    /// Never the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RootKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candor_model::random::Seeded;

    #[test]
    fn a_key_survives_its_file_and_damage_is_noticed() {
        let key = RootKey::generate(&Seeded::new(1));
        let file = key.to_file();
        assert!(RootKey::from_file(format!(" {file}\n").as_bytes()).is_ok_and(|read| read == key));
        let mut digits = file.clone().into_bytes();
        digits[LABEL.len() + 5] ^= 1;
        assert!(matches!(RootKey::from_file(&digits), Err(KeyringError::Damaged)));
        for cut in 0..file.trim_end().len() {
            assert!(RootKey::from_file(&file.as_bytes()[..cut]).is_err(), "{cut}");
        }
        assert!(matches!(RootKey::from_file(b"-----BEGIN PRIVATE KEY-----"), Err(KeyringError::NotARootKey)));
        assert_eq!(format!("{key:?}"), "RootKey(..)");
    }
}
