//! Logging in to the other cluster: SASL's PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677), the client's side.

use std::num::NonZeroU32;
use std::time::Duration;

use bytes::Bytes;
use candor_model::Random;
use data_encoding::{BASE64, BASE64URL_NOPAD};
use kafka_protocol::messages::{ApiKey, SaslAuthenticateRequest, SaslHandshakeRequest};
use kafka_protocol::protocol::StrBytes;

use super::link::Link;
use crate::auth::mechanism::{Hash, same};
use crate::bridge::spec::Mechanism;
use crate::bridge::trouble::Trouble;

/// Rounds of hashing that a server may ask for: Kafka's default is 4096, and each costs us time.
const ITERATIONS_MAX: u32 = 100_000;

/// The fewest that RFC 7677 allows: with fewer a password is guessed from the proof.
const ITERATIONS_MIN: u32 = 4096;

/// Longest thing that a server says of why it refused, characters.
const WHY_MAX: usize = 200;

/// Who logs in, and how.
#[derive(Clone)]
pub(crate) struct Credential {
    pub mechanism: Mechanism,
    pub username: String,
    pub password: String,
}

/// The client's side of a SCRAM exchange.
struct Scram {
    hash: Hash,
    password: String,
    nonce: String,
    first_bare: String,
}

impl Scram {
    fn new(hash: Hash, credential: &Credential, random: &dyn Random) -> Scram {
        let mut bytes = [0; 18];
        random.fill(&mut bytes);
        Scram::with_nonce(hash, &credential.username, &credential.password, BASE64URL_NOPAD.encode(&bytes))
    }

    fn with_nonce(hash: Hash, username: &str, password: &str, nonce: String) -> Scram {
        let user = username.replace('=', "=3D").replace(',', "=2C");
        let first_bare = format!("n={user},r={nonce}");
        Scram { hash, password: password.to_owned(), nonce, first_bare }
    }

    fn first(&self) -> String {
        format!("n,,{}", self.first_bare)
    }

    /// The last message, and the signature that the server has to show.
    fn last(&self, server_first: &str) -> Result<(String, Vec<u8>), &'static str> {
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or("its challenge has no nonce")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its nonce does not go on from ours");
        }
        let salt = field("s=").and_then(|salt| BASE64.decode(salt.as_bytes()).ok());
        let salt = salt.ok_or("its challenge has no salt")?;
        let iterations = field("i=").and_then(|count| count.parse::<NonZeroU32>().ok());
        let iterations = iterations.ok_or("its challenge has no number of iterations")?;
        if !(ITERATIONS_MIN..=ITERATIONS_MAX).contains(&iterations.get()) {
            return Err("it asks for fewer than 4096 or more than 100,000 iterations");
        }
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{server_first},{without_proof}", self.first_bare);
        let salted = self.hash.salted(self.password.as_bytes(), &salt, iterations);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        let signature = self.hash.hmac(&self.hash.digest(&client_key), signed.as_bytes());
        let proof: Vec<u8> = client_key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        let server_key = self.hash.hmac(&salted, b"Server Key");
        let expected = self.hash.hmac(&server_key, signed.as_bytes());
        Ok((format!("{without_proof},p={}", BASE64.encode(&proof)), expected))
    }
}

/// Whether the server showed that it knows the password too.
fn has_shown(server_final: &[u8], expected: &[u8]) -> bool {
    let shown = std::str::from_utf8(server_final).ok().and_then(|text| text.strip_prefix("v="));
    let shown = shown.and_then(|text| BASE64.decode(text.split(',').next()?.as_bytes()).ok());
    shown.is_some_and(|shown| same(&shown, expected))
}

impl Link {
    /// Logs in. The server says how long is hashed, so that is done where nobody else waits for it.
    pub(super) async fn log_in(
        &mut self,
        credential: &Credential,
        random: &dyn Random,
    ) -> Result<(), Trouble> {
        let mechanism = credential.mechanism.name();
        let handshake = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism));
        let told = self.ask(&handshake, Duration::ZERO).await?.message;
        if told.error_code != 0 {
            let offered: Vec<&str> = told.mechanisms.iter().map(StrBytes::as_str).take(10).collect();
            let why = format!("{mechanism} is not offered; it has {}", printable(&offered.join(", ")));
            return Err(self.refused(why));
        }
        let hash = match credential.mechanism {
            Mechanism::Plain => {
                let token = format!("\0{}\0{}", credential.username, credential.password);
                let (_, lifetime) = self.step(token).await?;
                self.log_in_lasts(lifetime);
                return Ok(());
            }
            Mechanism::ScramSha256 => Hash::Sha256,
            Mechanism::ScramSha512 => Hash::Sha512,
        };
        let scram = Scram::new(hash, credential, random);
        let (challenge, _) = self.step(scram.first()).await?;
        let hashing = tokio::task::spawn_blocking(move || {
            scram.last(std::str::from_utf8(&challenge).unwrap_or_default())
        });
        let hashed =
            hashing.await.map_err(|_| self.refused("the password could not be hashed".to_owned()))?;
        let (last, expected) = hashed.map_err(|why| self.refused(why.to_owned()))?;
        let (proof, lifetime) = self.step(last).await?;
        if !has_shown(&proof, &expected) {
            return Err(self.refused("it does not know the password itself: is it the right cluster?".into()));
        }
        self.log_in_lasts(lifetime);
        Ok(())
    }

    async fn step(&mut self, token: String) -> Result<(Bytes, i64), Trouble> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(Bytes::from(token));
        let told = self.ask(&request, Duration::ZERO).await;
        let told = match told {
            // Some brokers just hang up.
            Err(Trouble::Broken { .. }) => {
                return Err(self.refused("it hung up: check the user's name and password".to_owned()));
            }
            told => told?.message,
        };
        if told.error_code != 0 {
            let said = told.error_message.as_ref().map(StrBytes::as_str).unwrap_or_default();
            let why = match said {
                "" => super::super::trouble::code_name(told.error_code),
                said => printable(said),
            };
            let api = super::super::trouble::name(ApiKey::SaslAuthenticate);
            return Err(self.refused(format!("{why} ({api}); check the user's name and password")));
        }
        Ok((told.auth_bytes, told.session_lifetime_ms))
    }

    fn log_in_lasts(&mut self, lifetime_ms: i64) {
        if let Ok(lifetime) = u64::try_from(lifetime_ms)
            && lifetime > 0
        {
            self.end_after(Duration::from_millis(lifetime));
        }
    }

    fn refused(&self, why: String) -> Trouble {
        Trouble::LogIn { server: self.server.clone(), why }
    }
}

/// What a server said, fit for a line of text.
fn printable(said: &str) -> String {
    said.chars().filter(|c| !c.is_control()).take(WHY_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SERVER_FIRST: &str =
        "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";

    fn scram() -> Scram {
        Scram::with_nonce(Hash::Sha256, "user", "pencil", "rOprNGfwEbeRWgbNEkqO".to_owned())
    }

    #[test]
    fn the_exchange_of_rfc_7677_section_3() {
        let scram = scram();
        assert_eq!(scram.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let (last, expected) = scram.last(SERVER_FIRST).unwrap();
        assert!(last.ends_with(",p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="), "{last}");
        assert!(has_shown(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=", &expected));
        for wrong in ["v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G5=", "e=other", "", "v="] {
            assert!(!has_shown(wrong.as_bytes(), &expected), "{wrong}");
        }
    }

    #[test]
    fn a_server_that_does_not_play_by_the_rules_is_left() {
        for (from, to) in [
            ("rOpr", "xOpr"),
            ("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0", ""),
            ("i=4096", "i=1"),
            ("i=4096", "i=100001"),
            ("s=W22Z", "s=!"),
        ] {
            let challenge = SERVER_FIRST.replace(from, to);
            assert!(scram().last(&challenge).is_err(), "{challenge}");
        }
        let named = Scram::with_nonce(Hash::Sha512, "a,b=c", "p", "n".to_owned());
        assert_eq!(named.first(), "n,,n=a=2Cb=3Dc,r=n");
    }
}
