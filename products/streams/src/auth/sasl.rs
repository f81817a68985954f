//! A connection's log in, step by step (KIP-43, KIP-152, KIP-368): SaslHandshake names a mechanism, SaslAuthenticate
//! carries its messages, and in the end it is known who the client is. A client may log in again on a live connection,
//! as the same user by the same mechanism.
//!
//! Where others could read along, no mechanism is offered: PLAIN would show the password, and whatever follows the log in
//! would be theirs to read and to change.
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
use super::token::{self, Tokens};

/// A way to prove who one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Name and password in the clear (RFC 4616).
    Plain,
    /// A proof of knowing the password.
    Scram(Hash),
    /// A token that somebody else made (RFC 7628).
    Bearer,
}

impl Mechanism {
    /// All that there are, the one last that the operator has to set up.
    const ALL: [Mechanism; 4] =
        [Mechanism::Plain, Mechanism::Scram(Hash::Sha256), Mechanism::Scram(Hash::Sha512), Mechanism::Bearer];

    /// Those that are offered: tokens where the operator set up who makes them.
    pub fn offered(takes_tokens: bool) -> impl Iterator<Item = Mechanism> {
        Mechanism::ALL.into_iter().filter(move |mechanism| takes_tokens || *mechanism != Mechanism::Bearer)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Scram(Hash::Sha256) => "SCRAM-SHA-256",
            Mechanism::Scram(Hash::Sha512) => "SCRAM-SHA-512",
            Mechanism::Bearer => "OAUTHBEARER",
        }
    }
}

/// What is said in place of the mechanisms where others could read along: clients print it beside what they asked for.
/// It has the form of a mechanism's name (RFC 4422, section 3.1) and is the value of `security.protocol` that helps.
pub const USE_TLS: &str = "USE_SASL_SSL";

/// By what a connection may log in, and for how long.
#[derive(Clone)]
pub struct Terms {
    /// Nobody reads along: the connection has TLS, or does not leave what the operator trusts.
    pub is_private: bool,
    /// How long a log in lasts, milliseconds (`connections.max.reauth.ms`); none for as long as the connection.
    pub lifetime_ms: Option<u32>,
    /// Checks tokens, where some are taken.
    pub tokens: Option<Tokens>,
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
    /// The client is whom its token names, until then.
    Vouched(Identity, Timestamp),
}

/// One connection's log in.
pub struct Sasl {
    credentials: Credentials,
    state: State,
    identity: Option<(Identity, Mechanism)>,
    /// The handshake was of version 0: messages come without framing.
    is_raw: bool,
    terms: Terms,
    expires_at: Option<Timestamp>,
}

impl Sasl {
    /// A connection of which nothing is known.
    pub fn new(credentials: Credentials, terms: Terms) -> Sasl {
        Sasl { credentials, state: State::Rest, identity: None, is_raw: false, terms, expires_at: None }
    }

    /// The mechanisms that this connection may choose from.
    fn offered(&self) -> impl Iterator<Item = Mechanism> {
        let Terms { is_private, tokens, .. } = &self.terms;
        Mechanism::offered(tokens.is_some()).filter(|_| *is_private)
    }

    /// True where it is a token that says who the client is: there may be no user of that name.
    pub fn is_by_token(&self) -> bool {
        matches!(self.identity, Some((_, Mechanism::Bearer)))
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
        let mut names: Vec<&str> = self.offered().map(Mechanism::name).collect();
        if names.is_empty() {
            names.push(USE_TLS);
        }
        let names = names.into_iter().map(StrBytes::from_static_str).collect();
        let response = SaslHandshakeResponse::default().with_mechanisms(names);
        if !matches!(self.state, State::Rest) {
            self.state = State::Over;
            return response.with_error_code(ResponseError::IllegalSaslState.code());
        }
        let asked = request.mechanism.as_str();
        let chosen = self.offered().find(|mechanism| mechanism.name() == asked);
        match chosen {
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
                let until = self.expires_at.filter(|_| is_done);
                let now = self.credentials.now();
                let lifetime_ms = until.map_or(0, |until| until.0.saturating_sub(now.0) / 1000);
                response.with_auth_bytes(bytes).with_session_lifetime_ms(lifetime_ms)
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
        let (bytes, identity, mechanism, vouched_until) = match self.answer(state, message).await? {
            Answer::More(bytes) => return Ok(bytes),
            Answer::Done(bytes, identity, mechanism) => (bytes, identity, mechanism, None),
            Answer::Vouched(identity, until) => (Bytes::new(), identity, Mechanism::Bearer, Some(until)),
        };
        if let Some((before, by)) = &self.identity {
            if *before != identity {
                return Err(failed("a connection stays one user's: log in as another on a new one"));
            }
            if *by != mechanism {
                return Err(failed("a connection keeps its mechanism: log in by another on a new one"));
            }
        }
        self.state = State::Rest;
        let now = self.credentials.now();
        let lasts = self.terms.lifetime_ms.map(|ms| Timestamp(now.0.saturating_add(i64::from(ms) * 1000)));
        self.expires_at = lasts.into_iter().chain(vouched_until).min();
        self.identity = Some((identity, mechanism));
        Ok(bytes)
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
            State::Chosen(Mechanism::Bearer) => {
                let tokens = self.terms.tokens.as_ref().ok_or_else(|| illegal("tokens are not taken"))?;
                let said = token::message::read(message).map_err(failed)?;
                let (identity, until) =
                    tokens.check(&said).await.map_err(|error| failed(&error.to_string()))?;
                Ok(Answer::Vouched(identity, until))
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
