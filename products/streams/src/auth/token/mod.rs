//! Tokens of an identity provider (OAUTHBEARER: KIP-255, KIP-768): JSON Web Tokens signed with a key of a set that the
//! operator names. Who made them, for whom, and until when is checked; whom they name is a user of the project they name.
//!
//! A token is held against public keys alone, by algorithms that need a private one: what is unsigned (`none`), or signed
//! with a secret that both sides know, is none. Keys come from outside ([`Tokens::set_keys`]); where a token names one
//! that is not known, they are asked for anew and waited for shortly.

mod keys;
pub(super) mod message;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use candor_meta::Tenancy;
use candor_model::{Clock, Timestamp};
use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};

use self::keys::{Algorithm, Keys};
pub use self::keys::{KEYS_BYTES_MAX, KeysError};
use self::message::Bearer;
use super::credentials::{ANONYMOUS, Identity, USER_BYTES_MAX};

/// How far the clocks of two machines may be apart, microseconds (Kafka's `sasl.oauthbearer.clock.skew.seconds`).
const SKEW_MICROS: i64 = 30 * Timestamp::SECOND;

/// Longest token, bytes: real ones have one or two thousand.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// How long a log in waits for a key that is not known yet.
const KEY_WAIT_MAX: Duration = Duration::from_secs(3);

/// The extension by which a client chooses among the projects of its token.
const PROJECT_EXTENSION: &str = "project";

/// Which tokens are taken, and what is read in them.
#[derive(Debug, Clone)]
pub struct TokenSettings {
    /// Who makes them (`iss`), to the letter.
    pub issuer: String,
    /// For whom they must be made (`aud`).
    pub audience: String,
    /// The claim that holds the user's name.
    pub user_claim: String,
    /// The project that they open.
    pub project: ProjectOf,
}

/// Which project a token opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProjectOf {
    /// This one.
    All(String),
    /// The one that this claim names. Where it names several, the client chooses by the extension `project`.
    Claim(String),
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum TokenError {
    #[error("the token is no JSON Web Token")]
    Malformed,
    #[error("the token is not signed with RS256 or ES256")]
    Algorithm,
    #[error("the key that signed the token is not of the issuer's key set")]
    Key,
    #[error("the token's signature is wrong")]
    Signature,
    #[error("the token is of another issuer (iss)")]
    Issuer,
    #[error("the token is for another audience (aud)")]
    Audience,
    #[error("the token has expired, or has no time of it (exp)")]
    Expired,
    #[error("the token is not valid yet (nbf, iat)")]
    Early,
    #[error("the token names no user")]
    User,
    #[error("the token is another user's: nobody may act as somebody else")]
    Other,
    #[error("the token names no project that there is; of several, choose one by the extension `project`")]
    Project,
    #[error("tokens cannot be checked now, try again")]
    Busy,
}

/// Checks tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    inner: Arc<Inner>,
}

struct Inner {
    settings: TokenSettings,
    tenancy: Tenancy,
    clock: Arc<dyn Clock>,
    keys: watch::Sender<Arc<Keys>>,
    wanted: Notify,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

impl Tokens {
    /// By these settings, with no keys yet.
    pub(crate) fn new(settings: TokenSettings, tenancy: Tenancy, clock: Arc<dyn Clock>) -> Tokens {
        let (keys, wanted) = (watch::Sender::default(), Notify::new());
        Tokens { inner: Arc::new(Inner { settings, tenancy, clock, keys, wanted }) }
    }

    /// Takes a key set (RFC 7517) in place of the one before, and tells how many keys of it are of use. One that cannot
    /// be read changes nothing; one without any that is of use ends those before, and is an error.
    pub fn set_keys(&self, document: &str) -> Result<usize, KeysError> {
        let keys = Keys::read(document)?;
        let count = keys.count();
        self.inner.keys.send_replace(Arc::new(keys));
        if count == 0 { Err(KeysError::NoKey) } else { Ok(count) }
    }

    /// Lets go of all keys: nobody knows any more whether they hold.
    pub fn forget_keys(&self) {
        self.inner.keys.send_replace(Arc::default());
    }

    /// Waits until somebody brings a token whose key is not known.
    pub async fn wants_keys(&self) {
        self.inner.wanted.notified().await;
    }

    /// Whose project the token of a message opens, and until when.
    pub(super) async fn check(&self, said: &Bearer<'_>) -> Result<(Identity, Timestamp), TokenError> {
        let claims = self.claims(said.token).await?;
        let settings = &self.inner.settings;
        let (user, until) = settings.check(&claims, self.inner.clock.now())?;
        if said.authzid.is_some_and(|name| name != user) {
            return Err(TokenError::Other);
        }
        let project = settings.project_name(&claims, &said.extensions).ok_or(TokenError::Project)?;
        let project = self.inner.tenancy.resolve(project).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "a project could not be looked up");
            TokenError::Busy
        })?;
        let project = project.ok_or(TokenError::Project)?.id;
        Ok((Identity { project, user: Arc::from(user) }, until))
    }

    /// The claims of a token whose signature is right.
    async fn claims(&self, token: &str) -> Result<Map<String, Value>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(TokenError::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(TokenError::Malformed)?;
        let decode = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| TokenError::Malformed);
        let header: Header = serde_json::from_slice(&decode(header)?).map_err(|_| TokenError::Malformed)?;
        // What is marked as critical must be understood (RFC 7515, section 4.1.11), and we know of nothing.
        if header.crit.is_some() {
            return Err(TokenError::Malformed);
        }
        let algorithm = Algorithm::of(&header.alg).ok_or(TokenError::Algorithm)?;
        let signature = decode(signature)?;
        let keys = self.keys(header.kid.as_deref(), algorithm).await.ok_or(TokenError::Key)?;
        if !keys.verify(header.kid.as_deref(), algorithm, signed.as_bytes(), &signature) {
            return Err(TokenError::Signature);
        }
        serde_json::from_slice(&decode(claims)?).map_err(|_| TokenError::Malformed)
    }

    /// Keys among which is the one that is asked for.
    async fn keys(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Keys>> {
        let mut known = self.inner.keys.subscribe();
        let now = Arc::clone(&known.borrow_and_update());
        if now.has(id, algorithm) {
            return Some(now);
        }
        self.inner.wanted.notify_one();
        let changed =
            tokio::time::timeout(KEY_WAIT_MAX, known.wait_for(|keys| keys.has(id, algorithm))).await;
        changed.ok()?.ok().map(|keys| Arc::clone(&keys))
    }
}

impl TokenSettings {
    /// The user of claims that hold now, and until when they hold.
    fn check<'a>(
        &self,
        claims: &'a Map<String, Value>,
        now: Timestamp,
    ) -> Result<(&'a str, Timestamp), TokenError> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        if text("iss") != Some(&self.issuer) {
            return Err(TokenError::Issuer);
        }
        if !texts(claims.get("aud")).any(|audience| audience == self.audience) {
            return Err(TokenError::Audience);
        }
        let until = time(claims.get("exp")).ok().flatten().ok_or(TokenError::Expired)?;
        // By the clock of who made it, it may be that much earlier.
        let until = Timestamp(until.0.saturating_add(SKEW_MICROS));
        if until <= now {
            return Err(TokenError::Expired);
        }
        for name in ["nbf", "iat"] {
            let from = time(claims.get(name)).map_err(|()| TokenError::Malformed)?;
            if from.is_some_and(|from| from.0.saturating_sub(SKEW_MICROS) > now.0) {
                return Err(TokenError::Early);
            }
        }
        let is_name = |name: &&str| {
            !name.is_empty()
                && name.len() <= USER_BYTES_MAX
                && !name.chars().any(char::is_control)
                && *name != ANONYMOUS
        };
        let user = text(&self.user_claim).filter(is_name).ok_or(TokenError::User)?;
        Ok((user, until))
    }

    /// The name of the project that claims open.
    fn project_name<'a>(
        &'a self,
        claims: &'a Map<String, Value>,
        extensions: &BTreeMap<&str, &str>,
    ) -> Option<&'a str> {
        let claim = match &self.project {
            ProjectOf::All(name) => return Some(name),
            ProjectOf::Claim(claim) => claims.get(claim),
        };
        let wish = extensions.get(PROJECT_EXTENSION);
        let mut named = texts(claim).filter(|name| wish.is_none_or(|wish| wish == name));
        let first = named.next()?;
        named.all(|other| other == first).then_some(first)
    }
}

/// The texts of a claim that is one or a list of them.
fn texts(claim: Option<&Value>) -> impl Iterator<Item = &str> {
    let list = match claim {
        Some(Value::Array(list)) => list.as_slice(),
        Some(one) => std::slice::from_ref(one),
        None => &[],
    };
    list.iter().filter_map(Value::as_str)
}

/// `NumericDate` of RFC 7519: seconds, with a fraction perhaps. An error where it is something else.
fn time(claim: Option<&Value>) -> Result<Option<Timestamp>, ()> {
    let Some(claim) = claim else { return Ok(None) };
    let seconds = claim.as_f64().filter(|seconds| seconds.is_finite()).ok_or(())?;
    // What is beyond the range of times is its end.
    Ok(Some(Timestamp((seconds * Timestamp::SECOND as f64) as i64)))
}
