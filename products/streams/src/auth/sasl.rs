//! A connection's log in, step by step (KIP-43, KIP-152, KIP-368): SaslHandshake names a mechanism, SaslAuthenticate
//! carries its messages, and in the end it is known who the client is. A client may log in again on a live connection,
//! as the same user by the same mechanism.
//!
//! After a handshake of version 0 the mechanism's messages come without Kafka's framing; [`Sasl::raw`] takes those.

use bytes::Bytes;
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;

use candor_model::Timestamp;

use super::credentials::{CredentialError, Credentials, Identity};
use super::mechanism::Hash;
use super::scram::{Challenge, ClientFirst, ScramError};

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password in the clear (RFC 4616).
    Plain,
    /// A proof of knowing the password.
    Scram(Hash),
}

impl Mechanism {
    /// All that are offered.
    pub const ALL: [Mechanism; 3] =
        [Mechanism::Plain, Mechanism::Scram(Hash::Sha256), Mechanism::Scram(Hash::Sha512)];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
        }
    }
}

enum State {
    /// No handshake yet, or logged in.
    Rest,
    /// A mechanism is chosen; its first message comes next.
    Chosen(Mechanism),
    /// SCRAM's last message comes next.
    Challenged { hash: Hash, challenge: Box<Challenge>, identity: Option<Identity> },
    /// It failed. The connection is to be closed once the client has been told.
    Over,
}

/// Why a message was refused.
struct Refused {
    code: ResponseError,
    message: String,
}

/// What answers a mechanism's message.
enum Answer {
    /// The exchange goes on.
    More(Bytes),
    /// The client is who it says.
    Done(Bytes, Identity, Mechanism),
}

/// One connection's log in.
pub struct Sasl {
    credentials: Credentials,
    state: State,
    identity: Option<(Identity, Mechanism)>,
    /// The handshake was of version 0: messages come without framing.
    is_raw: bool,
    /// How long a log in lasts, milliseconds (`connections.max.reauth.ms`); none for ever.
    lifetime_ms: Option<u32>,
    expires_at: Option<Timestamp>,
}

impl Sasl {
    /// A connection of which nothing is known. A log in lasts `lifetime_ms` milliseconds, or as long as the connection.
    pub fn new(credentials: Credentials, lifetime_ms: Option<u32>) -> Sasl {
        let state = State::Rest;
        Sasl { credentials, state, identity: None, is_raw: false, lifetime_ms, expires_at: None }
    }

    /// Who the client is, once it has logged in. While it logs in again it is who it was.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().map(|(identity, _)| identity)
    }

    /// True once a log in failed: the connection is to be closed when the answer is sent.
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// True where the next frame is a mechanism's message itself, without a request's header.
    pub fn expects_raw(&self) -> bool {
        self.is_raw && !matches!(self.state, State::Rest | State::Over)
    }

    /// When the log in runs out: only another one is answered on this connection then.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// True where the log in has run out.
    #[cfg(test)]
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= self.credentials.now())
    }

    /// Answers SaslHandshake, versions 0 and 1.
    pub fn handshake(&mut self, request: &SaslHandshakeRequest, version: i16) -> SaslHandshakeResponse {
        let names = Mechanism::ALL.map(|mechanism| StrBytes::from_static_str(mechanism.name()));
        let response = SaslHandshakeResponse::default().with_mechanisms(names.into());
        if !matches!(self.state, State::Rest) {
            self.state = State::Over;
            return response.with_error_code(ResponseError::IllegalSaslState.code());
        }
        let asked = request.mechanism.as_str();
        match Mechanism::ALL.into_iter().find(|mechanism| mechanism.name() == asked) {
            Some(mechanism) => {
                self.is_raw = version == 0;
                self.state = State::Chosen(mechanism);
                response
            }
            None => {
                self.state = State::Over;
                response.with_error_code(ResponseError::UnsupportedSaslMechanism.code())
            }
        }
    }

    /// Answers SaslAuthenticate, versions 0 to 2.
    pub async fn authenticate(&mut self, request: &SaslAuthenticateRequest) -> SaslAuthenticateResponse {
        let response = SaslAuthenticateResponse::default().with_error_message(None);
        if self.is_raw {
            self.state = State::Over;
            return refusal(
                response,
                &illegal("after a handshake of version 0 messages come without framing"),
            );
        }
        match self.step(&request.auth_bytes).await {
            Ok(bytes) => {
                let is_done = matches!(self.state, State::Rest);
                let lifetime = self.lifetime_ms.filter(|_| is_done).map_or(0, i64::from);
                response.with_auth_bytes(bytes).with_session_lifetime_ms(lifetime)
            }
            Err(refused) => refusal(response, &refused),
        }
    }

    /// Answers a message that came without framing. None: the connection is to be closed without an answer, as there is
    /// no way to tell an error.
    pub async fn raw(&mut self, message: &[u8]) -> Option<Bytes> {
        self.step(message).await.ok()
    }

    async fn step(&mut self, message: &[u8]) -> Result<Bytes, Refused> {
        let state = std::mem::replace(&mut self.state, State::Over);
        match self.answer(state, message).await? {
            Answer::More(bytes) => Ok(bytes),
            Answer::Done(bytes, identity, mechanism) => {
                if let Some((before, by)) = &self.identity {
                    if *before != identity {
                        return Err(failed("a connection stays one user's: log in as another on a new one"));
                    }
                    if *by != mechanism {
                        return Err(failed(
                            "a connection keeps its mechanism: log in by another on a new one",
                        ));
                    }
                }
                self.state = State::Rest;
                self.expires_at = self.lifetime_ms.map(|lifetime| {
                    Timestamp(self.credentials.now().0.saturating_add(i64::from(lifetime) * 1000))
                });
                self.identity = Some((identity, mechanism));
                Ok(bytes)
            }
        }
    }

    async fn answer(&mut self, state: State, message: &[u8]) -> Result<Answer, Refused> {
        match state {
            State::Rest => Err(illegal("SaslHandshake comes before SaslAuthenticate")),
            State::Over => Err(illegal("the log in has failed")),
            State::Chosen(Mechanism::Plain) => {
                let (user, password) = read_plain(message).map_err(failed)?;
                let identity =
                    self.credentials.verify(user, password).await.map_err(|error| match error {
                        CredentialError::Busy => failed("too many clients log in at once, try again"),
                        _ => failed("the log in cannot be checked now"),
                    })?;
                let identity = identity.ok_or_else(wrong)?;
                Ok(Answer::Done(Bytes::new(), identity, Mechanism::Plain))
            }
            State::Chosen(Mechanism::Scram(hash)) => {
                let first = ClientFirst::read(message).map_err(scram_failed)?;
                let (key, identity) = self.credentials.scram_key(hash, &first.user);
                let (challenge, answer) = first.challenge(hash, key, &self.credentials.nonce());
                self.state = State::Challenged { hash, challenge: Box::new(challenge), identity };
                Ok(Answer::More(Bytes::from(answer)))
            }
            State::Challenged { hash, challenge, identity } => {
                let last = challenge.finish(message).map_err(scram_failed)?;
                let identity = identity.ok_or_else(wrong)?;
                Ok(Answer::Done(Bytes::from(last), identity, Mechanism::Scram(hash)))
            }
        }
    }
}

/// Reads `[authzid] NUL authcid NUL passwd` (RFC 4616).
fn read_plain(message: &[u8]) -> Result<(&str, &[u8]), &'static str> {
    let mut parts = message.split(|byte| *byte == 0);
    let (Some(authzid), Some(user), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("a PLAIN message has three parts between two NUL");
    };
    if user.is_empty() || password.is_empty() {
        return Err("a PLAIN message has a user's name and a password");
    }
    if !authzid.is_empty() && authzid != user {
        return Err("nobody may act as somebody else");
    }
    let user = std::str::from_utf8(user).map_err(|_| "the user's name is not UTF-8")?;
    Ok((user, password))
}

fn illegal(message: &str) -> Refused {
    Refused { code: ResponseError::IllegalSaslState, message: message.to_owned() }
}

fn failed(message: &str) -> Refused {
    Refused { code: ResponseError::SaslAuthenticationFailed, message: message.to_owned() }
}

fn wrong() -> Refused {
    failed("the user's name or the password is wrong")
}

fn scram_failed(error: ScramError) -> Refused {
    match error {
        ScramError::Proof => wrong(),
        other => failed(&other.to_string()),
    }
}

fn refusal(response: SaslAuthenticateResponse, refused: &Refused) -> SaslAuthenticateResponse {
    response
        .with_error_code(refused.code.code())
        .with_error_message(Some(StrBytes::from_string(refused.message.clone())))
}
