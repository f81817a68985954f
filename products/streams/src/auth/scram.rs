//! The server's side of a SCRAM exchange (RFC 5802; RFC 7677 for SHA-256), without channel binding. Bytes in, bytes out.
//!
//! Names and passwords are taken as UTF-8, without SASLprep, as Kafka's clients do.

use data_encoding::BASE64;

use super::mechanism::{Hash, ScramKey, same};

/// Longest message of a client, bytes: real ones have some hundred.
const MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Longest nonce of a client, bytes.
const NONCE_BYTES_MAX: usize = 512;

/// Why an exchange ended. What a client is told is the same for a wrong name and a wrong password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScramError {
    /// A message is not as RFC 5802 writes it.
    #[error("the SCRAM message is malformed: {0}")]
    Malformed(&'static str),
    /// What the client asks for is not offered.
    #[error("not offered: {0}")]
    NotOffered(&'static str),
    /// The proof does not fit the password.
    #[error("the proof is wrong")]
    Proof,
}

/// The client's first message, read.
pub(super) struct ClientFirst {
    /// Who it says it is.
    pub user: String,
    gs2_header: String,
    bare: String,
    nonce: String,
}

/// What the server remembers between its first message and the client's last.
pub(super) struct Challenge {
    hash: Hash,
    key: ScramKey,
    gs2_header: String,
    nonce: String,
    /// `client-first-message-bare "," server-first-message`
    messages: String,
}

impl ClientFirst {
    /// Reads `client-first-message`.
    pub fn read(message: &[u8]) -> Result<ClientFirst, ScramError> {
        let message = text(message)?;
        let (flag, rest) = message.split_once(',').ok_or(ScramError::Malformed("no GS2 header"))?;
        match flag {
            "n" | "y" => {}
            _ if flag.starts_with("p=") => return Err(ScramError::NotOffered("channel binding")),
            _ => return Err(ScramError::Malformed("the channel binding flag is not n, y or p")),
        }
        let (authzid, bare) = rest.split_once(',').ok_or(ScramError::Malformed("no GS2 header"))?;
        let gs2_header = format!("{flag},{authzid},");
        let mut attributes = bare.split(',');
        let mut take = |name: &str, what| match attributes.next().and_then(|part| part.split_once('=')) {
            Some((found, value)) if found == name && !value.is_empty() => Ok(value.to_owned()),
            Some(("m", _)) => Err(ScramError::NotOffered("mandatory extensions")),
            _ => Err(ScramError::Malformed(what)),
        };
        let user = unescape(&take("n", "the user's name does not come first")?)?;
        let nonce = take("r", "no nonce after the user's name")?;
        if nonce.len() > NONCE_BYTES_MAX || !nonce.bytes().all(|c| c.is_ascii_graphic()) {
            return Err(ScramError::Malformed("the nonce is too long or not printable"));
        }
        for extension in attributes {
            // Kafka's clients say so when they log in with a delegation token in the place of a password.
            if extension.eq_ignore_ascii_case("tokenauth=true") {
                return Err(ScramError::NotOffered("delegation tokens"));
            }
        }
        if !authzid.is_empty() {
            let named = authzid.strip_prefix("a=").ok_or(ScramError::Malformed("the GS2 header"))?;
            if unescape(named)? != user {
                return Err(ScramError::NotOffered("to act as somebody else"));
            }
        }
        Ok(ClientFirst { user, gs2_header, bare: bare.to_owned(), nonce })
    }

    /// The server's first message, with a nonce of its own appended to the client's.
    pub fn challenge(self, hash: Hash, key: ScramKey, server_nonce: &str) -> (Challenge, String) {
        let nonce = format!("{}{server_nonce}", self.nonce);
        let message = format!("r={nonce},s={},i={}", BASE64.encode(&key.salt), key.iterations);
        let messages = format!("{},{message}", self.bare);
        (Challenge { hash, key, gs2_header: self.gs2_header, nonce, messages }, message)
    }
}

impl Challenge {
    /// Checks `client-final-message` and gives the server's last one.
    pub fn finish(self, message: &[u8]) -> Result<String, ScramError> {
        let message = text(message)?;
        let (without_proof, proof) =
            message.rsplit_once(",p=").ok_or(ScramError::Malformed("no proof at the end"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|part| part.strip_prefix("c="));
        let binding = binding.ok_or(ScramError::Malformed("no channel binding"))?;
        if BASE64.decode(binding.as_bytes()).ok().as_deref() != Some(self.gs2_header.as_bytes()) {
            return Err(ScramError::Malformed("the channel binding is not that of the first message"));
        }
        // librdkafka before 2.2 repeats its own part before it; Kafka's server takes that too.
        let nonce = attributes.next().and_then(|part| part.strip_prefix("r="));
        if !nonce.is_some_and(|nonce| nonce.ends_with(&*self.nonce)) {
            return Err(ScramError::Malformed("the nonce is not the one that was given"));
        }
        let proof = BASE64.decode(proof.as_bytes()).ok().filter(|proof| proof.len() == self.hash.bytes());
        let proof = proof.ok_or(ScramError::Malformed("the proof is not base64 of a digest"))?;
        let signed = format!("{},{without_proof}", self.messages);
        let signature = self.hash.hmac(&self.key.stored_key, signed.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        if !same(&self.hash.digest(&client_key), &self.key.stored_key) {
            return Err(ScramError::Proof);
        }
        let server = self.hash.hmac(&self.key.server_key, signed.as_bytes());
        Ok(format!("v={}", BASE64.encode(&server)))
    }
}

fn text(message: &[u8]) -> Result<&str, ScramError> {
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(ScramError::Malformed("it is too long"));
    }
    std::str::from_utf8(message).map_err(|_| ScramError::Malformed("it is not UTF-8"))
}

/// `saslname`: `,` is written `=2C` and `=` is written `=3D`.
fn unescape(name: &str) -> Result<String, ScramError> {
    let mut parts = name.split('=');
    let mut out = parts.next().unwrap_or("").to_owned();
    for part in parts {
        let (sign, rest) = match (part.strip_prefix("2C"), part.strip_prefix("3D")) {
            (Some(rest), _) => (',', rest),
            (_, Some(rest)) => ('=', rest),
            _ => return Err(ScramError::Malformed("'=' in a name is neither =2C nor =3D")),
        };
        out.push(sign);
        out.push_str(rest);
    }
    Ok(out)
}

#[cfg(test)]
pub(super) mod tests {
    use std::num::NonZeroU32;

    use super::*;

    /// What a client that knows the password answers to a challenge.
    pub fn client_final(hash: Hash, password: &str, first_bare: &str, server_first: &str) -> String {
        let field =
            |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name)).unwrap().to_owned();
        let salt = BASE64.decode(field("s=").as_bytes()).unwrap();
        let iterations: NonZeroU32 = field("i=").parse().unwrap();
        let without_proof = format!("c=biws,r={}", field("r="));
        let signed = format!("{first_bare},{server_first},{without_proof}");
        let salted = hash.salted(password.as_bytes(), &salt, iterations);
        let client_key = hash.hmac(&salted, b"Client Key");
        let signature = hash.hmac(&hash.digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        format!("{without_proof},p={}", BASE64.encode(&proof))
    }

    fn pencil() -> ScramKey {
        let salt = BASE64.decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        ScramKey::of_password(Hash::Sha256, b"pencil", salt, NonZeroU32::new(4096).unwrap())
    }

    const FIRST: &[u8] = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const SERVER_NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const FINAL: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                         p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    #[test]
    fn the_exchange_of_rfc_7677_section_3() {
        let first = ClientFirst::read(FIRST).unwrap();
        assert_eq!(first.user, "user");
        let (challenge, message) = first.challenge(Hash::Sha256, pencil(), SERVER_NONCE);
        let nonce = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        assert_eq!(message, format!("r={nonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        assert_eq!(client_final(Hash::Sha256, "pencil", "n=user,r=rOprNGfwEbeRWgbNEkqO", &message), FINAL);
        let last = challenge.finish(FINAL.as_bytes()).unwrap();
        assert_eq!(last, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn what_differs_from_the_exchange_is_refused() {
        let finish = |message: &str| {
            let (challenge, _) =
                ClientFirst::read(FIRST).unwrap().challenge(Hash::Sha256, pencil(), SERVER_NONCE);
            challenge.finish(message.as_bytes()).unwrap_err()
        };
        assert_eq!(finish(&FINAL.replace("p=dH", "p=dI")), ScramError::Proof);
        for wrong in [
            FINAL.replace("biws", "eSws"),
            FINAL.replace("%hv", "%hw"),
            FINAL.replace(",p=", ",q="),
            FINAL.replace("p=dHzb", "p=dHzb!"),
            FINAL.replace("Z", ""),
            "p=".to_owned(),
            ",p=".to_owned(),
            String::new(),
            "x".repeat(5000),
        ] {
            assert!(matches!(finish(&wrong), ScramError::Malformed(_)), "{wrong}");
        }
        let first = |message: &str| ClientFirst::read(message.as_bytes()).err();
        for wrong in [
            "",
            "n",
            "n,",
            "n,,",
            "x,,n=user,r=a",
            "n,,r=a,n=user",
            "n,,n=,r=a",
            "n,,n=user",
            "n,,n=user,r=",
            "n,b=x,n=user,r=a",
            "n,,n=us=er,r=a",
            "n,,n=user=2,r=a",
            "n,,n=user,r=a b",
        ] {
            assert!(matches!(first(wrong), Some(ScramError::Malformed(_))), "{wrong}");
        }
        for wrong in [
            "p=tls-unique,,n=user,r=a",
            "n,,m=x,n=user,r=a",
            "n,a=other,n=user,r=a",
            "n,,n=user,r=a,tokenauth=true",
        ] {
            assert!(matches!(first(wrong), Some(ScramError::NotOffered(_))), "{wrong}");
        }
        assert!(ClientFirst::read(b"n,,n=\xff,r=a").is_err());
    }

    #[test]
    fn names_are_unescaped() {
        let first = ClientFirst::read(b"y,a=a=2Cb=3Dc,n=a=2Cb=3Dc,r=x,e=f").unwrap();
        assert_eq!(first.user, "a,b=c");
    }
}
