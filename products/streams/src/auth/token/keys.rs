//! The public keys of who makes tokens: a JSON Web Key Set (RFC 7517), and whether a signature is of one of them.

use data_encoding::BASE64URL_NOPAD;
use ring::signature;
use serde::Deserialize;

/// The longest key set that is read, bytes: real ones have some thousand.
pub const KEYS_BYTES_MAX: usize = 1 << 20;

/// Keys of a set that are looked at: more would let each log in cost that many signatures.
const KEYS_MAX: usize = 64;

/// Why a document is no key set.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// It is too long.
    #[error("it has more than {KEYS_BYTES_MAX} bytes")]
    TooLong,
    /// It cannot be read.
    #[error("it is no JSON Web Key Set: {0}")]
    Malformed(#[from] serde_json::Error),
    /// There is no key for us in it.
    #[error("it has no public key that signs: RSA of 2048 to 8192 bits (RS256) or P-256 (ES256)")]
    NoKey,
}

/// How a token is signed. A token names it, so there are those alone that need a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA over P-256 with SHA-256.
    ES256,
}

/// The keys of a set.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: Option<String>,
    public: Public,
}

#[derive(Debug)]
enum Public {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed: 4, x, y.
    P256([u8; 65]),
}

#[derive(Deserialize)]
struct Set {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl Keys {
    /// Reads a set. Keys of other kinds and for other ends are left out, as the standard asks.
    pub fn read(document: &str) -> Result<Keys, KeysError> {
        if document.len() > KEYS_BYTES_MAX {
            return Err(KeysError::TooLong);
        }
        let set: Set = serde_json::from_str(document)?;
        let keys = set.keys.into_iter().filter_map(|key| Key::of(serde_json::from_value(key).ok()?));
        Ok(Keys(keys.take(KEYS_MAX).collect()))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Whether one of them may have signed: it fits the algorithm and, where one is named, is the key of that id.
    pub fn has(&self, id: Option<&str>, algorithm: Algorithm) -> bool {
        self.fitting(id, algorithm).next().is_some()
    }

    /// Whether one of them has signed.
    pub fn verify(&self, id: Option<&str>, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        self.fitting(id, algorithm).any(|key| key.public.verify(message, signed))
    }

    fn fitting<'a>(&'a self, id: Option<&'a str>, algorithm: Algorithm) -> impl Iterator<Item = &'a Key> {
        self.0.iter().filter(move |key| {
            let is_named = id.is_none() || key.id.is_none() || key.id.as_deref() == id;
            is_named && key.public.algorithm() == algorithm
        })
    }
}

impl Key {
    fn of(jwk: Jwk) -> Option<Key> {
        let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
        let verifies = jwk.key_ops.as_ref().is_none_or(|all| all.iter().any(|one| one == "verify"));
        if !signs || !verifies {
            return None;
        }
        let public = match &*jwk.kty {
            "RSA" => {
                let (n, e) = (number(jwk.n.as_deref()?)?, number(jwk.e.as_deref()?)?);
                (256..=1024).contains(&n.len()).then_some(Public::Rsa { n, e })?
            }
            "EC" if jwk.crv.as_deref() == Some("P-256") => {
                let mut point = [4; 65];
                point.get_mut(1..33)?.copy_from_slice(&coordinate(jwk.x.as_deref()?)?);
                point.get_mut(33..)?.copy_from_slice(&coordinate(jwk.y.as_deref()?)?);
                Public::P256(point)
            }
            _ => return None,
        };
        let fits = jwk.alg.as_deref().is_none_or(|alg| alg == public.algorithm().name());
        fits.then_some(Key { id: jwk.kid, public })
    }
}

impl Algorithm {
    /// The one of this name.
    pub fn of(name: &str) -> Option<Algorithm> {
        [Algorithm::RS256, Algorithm::ES256].into_iter().find(|algorithm| algorithm.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Algorithm::RS256 => "RS256",
            Algorithm::ES256 => "ES256",
        }
    }
}

impl Public {
    fn algorithm(&self) -> Algorithm {
        match self {
            Public::Rsa { .. } => Algorithm::RS256,
            Public::P256(_) => Algorithm::ES256,
        }
    }

    fn verify(&self, message: &[u8], signed: &[u8]) -> bool {
        match self {
            Public::Rsa { n, e } => signature::RsaPublicKeyComponents { n, e }
                .verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signed)
                .is_ok(),
            Public::P256(point) => {
                signature::UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point)
                    .verify(message, signed)
                    .is_ok()
            }
        }
    }
}

/// A number in `Base64urlUInt`, without the zeros that some write before it.
fn number(text: &str) -> Option<Vec<u8>> {
    let bytes = BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()?;
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    Some(bytes.get(zeros..)?.to_vec())
}

fn coordinate(text: &str) -> Option<[u8; 32]> {
    BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    // The keys, the payload and the signatures of RFC 7515, appendices A.2 and A.3.
    const RSA: &str = r#"{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}"#;
    const EC: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    const PAYLOAD: &str =
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const RSA_SIGNED: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    const EC_SIGNED: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn set(keys: &[&str]) -> Result<Keys, KeysError> {
        Keys::read(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
    }

    #[test]
    fn signatures_of_the_standards_examples() {
        let both = set(&[RSA, EC]).unwrap();
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        let rsa = format!("eyJhbGciOiJSUzI1NiJ9.{PAYLOAD}");
        let ec = format!("eyJhbGciOiJFUzI1NiJ9.{PAYLOAD}");
        let verify = |algorithm, message: &str, signed: &[u8]| {
            both.verify(None, algorithm, message.as_bytes(), signed)
        };
        assert!(verify(Algorithm::RS256, &rsa, &decode(RSA_SIGNED)));
        assert!(verify(Algorithm::ES256, &ec, &decode(EC_SIGNED)));
        assert!(!verify(Algorithm::ES256, &rsa, &decode(RSA_SIGNED)));
        assert!(!verify(Algorithm::RS256, &ec, &decode(RSA_SIGNED)));
        assert!(!verify(Algorithm::RS256, &rsa, &[]) && !verify(Algorithm::ES256, &ec, &[0; 64]));
        let mut turned = decode(RSA_SIGNED);
        turned[7] ^= 1;
        assert!(!verify(Algorithm::RS256, &rsa, &turned));
    }

    #[test]
    fn keys_for_other_ends_are_left_out() {
        let with = |key: &str, more: &str| key.replacen('{', &format!("{{{more},"), 1);
        for other in [
            with(RSA, r#""use":"enc""#),
            with(RSA, r#""alg":"PS256""#),
            with(RSA, r#""alg":"RS512""#),
            with(EC, r#""key_ops":["sign"]"#),
            with(EC, r#""alg":"RS256""#),
            EC.replace("P-256", "P-384"),
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
            r#"{"kty":7}"#.to_owned(),
        ] {
            assert_eq!(set(&[&other]).unwrap().count(), 0, "{other}");
            assert_eq!(set(&[&other, EC]).unwrap().count(), 1);
        }
        for wrong in ["", "[]", "{}", r#"{"keys":{}}"#] {
            assert!(matches!(Keys::read(wrong), Err(KeysError::Malformed(_))), "{wrong}");
        }
        assert!(matches!(Keys::read(&" ".repeat(KEYS_BYTES_MAX + 1)), Err(KeysError::TooLong)));
        assert_eq!(set(&[EC; 100]).unwrap().count(), KEYS_MAX);
    }

    #[test]
    fn a_named_key_is_the_one_of_that_name() {
        let named = EC.replacen('{', r#"{"kid":"one","use":"sig","key_ops":["verify"],"alg":"ES256","#, 1);
        let keys = set(&[&named]).unwrap();
        assert!(keys.has(Some("one"), Algorithm::ES256) && keys.has(None, Algorithm::ES256));
        assert!(!keys.has(Some("two"), Algorithm::ES256) && !keys.has(Some("one"), Algorithm::RS256));
    }
}
