//! What is stored of secrets.

/// SHA-256 (FIPS 180-4) of a secret: what tables hold and look up of session cookies, tokens and keys. Only for random
/// secrets of 128 bits and more, which need no slow hash.
///
/// Digests may be compared with `==` and found by an index: what the time of that tells is about digests, which tell
/// nothing of secrets.
pub fn digest(secret: &str) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, secret.as_bytes()).as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_the_standards() {
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let hex: String = digest("abc").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, expected, "FIPS 180-2, appendix B.1");
    }
}
