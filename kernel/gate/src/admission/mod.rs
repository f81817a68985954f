//! The one place where a request is let in: key, quota, rate, size, encoding, trusted proxies, pressure.
//!
//! Every protocol's handler does the same three things and answers a [`Refusal`] in its protocol's own form:
//!
//! ```text
//! let mut permit = admission.admit(&[Presented::ingest(token)]).await?;      // who, and may they now
//! let body = permit.read(&headers, body, Accept::STANDARD).await?;           // bounded, decompressed
//! …                                                                          // parse, accept; then drop the permit
//! ```
//!
//! A permit holds the bytes that its request occupies until it is dropped, so memory is bounded over all protocols at
//! once. It knows nothing of a web framework: headers are [`http::HeaderMap`], bodies [`http_body::Body`].

mod body;
mod encoding;
mod flight;
mod keys;
mod pressure;
mod proxy;
mod rate;
mod refusal;

use std::net::IpAddr;
use std::sync::Arc;

use candor_meta::{KeyKind, KeyLimits, SqlError, Tenancy, WriteScope};
use candor_model::limits::{BODY_BYTES_MAX, BODY_DECODED_BYTES_MAX};
use candor_model::{Clock, ProjectId, RequestId};
use http::HeaderMap;
use parking_lot::Mutex;

pub use encoding::{Accept, Encoding, decode, decode_start};
pub use flight::Reservation;
pub use keys::{BodyDigest, Claim};
pub use pressure::{Cause, Pressure};
pub use proxy::{Network, NotANetwork};
pub use refusal::{Refusal, RefusalCounts};

use flight::InFlight;
use keys::Keys;
use rate::Rates;

/// Bytes of all requests in the house. What parsing makes of them is several times as much; with this the process
/// stays below its 600 MB under load. The largest body that is allowed fits beside some small ones: else it would be
/// told to come again until it is alone, and a bomb would not be told that it is one.
const IN_FLIGHT_BYTES_MAX: usize = 128 << 20;
const _: () = assert!(IN_FLIGHT_BYTES_MAX >= BODY_DECODED_BYTES_MAX + BODY_BYTES_MAX);

/// What admission bounds.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One body as it comes, bytes.
    pub body_bytes: usize,
    /// One body decompressed, bytes.
    pub decoded_bytes: usize,
    /// All bodies at once, bytes. One request alone may take more, up to its own bounds.
    pub in_flight_bytes: usize,
    /// What holds for keys that have no limits of their own. Without limits by default.
    pub key: KeyLimits,
    /// Whose `X-Forwarded-For` is believed. Nobody's by default.
    pub trusted_proxies: Vec<Network>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            body_bytes: BODY_BYTES_MAX,
            decoded_bytes: BODY_DECODED_BYTES_MAX,
            in_flight_bytes: IN_FLIGHT_BYTES_MAX,
            key: KeyLimits::default(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// A credential as a client presents it, in whichever place its protocol has for it.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'a> {
    kind: KeyKind,
    secret: &'a str,
    project: Option<ProjectId>,
}

impl<'a> Presented<'a> {
    /// An ingest token.
    pub fn ingest(token: &'a str) -> Presented<'a> {
        Presented { kind: KeyKind::Ingest, secret: token, project: None }
    }

    /// The public key of a DSN, and the project that the path names: the key must be that project's.
    pub fn dsn(key: &'a str, project: Option<ProjectId>) -> Presented<'a> {
        Presented { kind: KeyKind::Dsn, secret: key, project }
    }
}

/// Lets requests in. Cheap to clone.
#[derive(Clone)]
pub struct Admission {
    inner: Arc<Inner>,
}

struct Inner {
    tenancy: Tenancy,
    clock: Arc<dyn Clock>,
    limits: Limits,
    in_flight: Arc<InFlight>,
    rates: Rates,
    pressure: Arc<Pressure>,
    refusals: RefusalCounts,
    keys: Arc<Mutex<Keys>>,
}

impl Admission {
    /// Admission by the keys of `tenancy`.
    pub fn new(tenancy: Tenancy, clock: Arc<dyn Clock>, limits: Limits) -> Admission {
        let in_flight = Arc::new(InFlight::new(limits.in_flight_bytes));
        let inner = Inner {
            tenancy,
            clock,
            limits,
            in_flight,
            rates: Rates::default(),
            pressure: Arc::default(),
            refusals: RefusalCounts::default(),
            keys: Arc::default(),
        };
        Admission { inner: Arc::new(inner) }
    }

    /// The pressure that others set: a full disk, a lost database, a stop.
    pub fn pressure(&self) -> Arc<Pressure> {
        Arc::clone(&self.inner.pressure)
    }

    /// How many requests were refused, by reason.
    pub fn refusals(&self) -> &RefusalCounts {
        &self.inner.refusals
    }

    /// Bytes of all requests in the house.
    pub fn in_flight_bytes(&self) -> usize {
        self.inner.in_flight.bytes()
    }

    /// Who sent a request: the peer, or, where the peer is a trusted proxy, whom it names.
    pub fn client_ip(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        proxy::client_ip(&self.inner.limits.trusted_proxies, peer, headers)
    }

    /// The country that a request is from, where the peer is a trusted proxy that states it.
    pub fn client_country(&self, peer: IpAddr, headers: &HeaderMap) -> Option<String> {
        proxy::client_country(&self.inner.limits.trusted_proxies, peer, headers)
    }

    /// Lets a request in, or says why not. Of several credentials (a protocol may carry them in several places) the
    /// first that is a key counts; none at all is [`Refusal::NoKey`].
    pub async fn admit(&self, presented: &[Presented<'_>]) -> Result<Permit, Refusal> {
        let permitted = self.check(presented).await;
        self.counted(permitted)
    }

    async fn check(&self, presented: &[Presented<'_>]) -> Result<Permit, Refusal> {
        let scope = self.authorize(presented).await?;
        self.inner.pressure.check()?;
        let now = self.inner.clock.now();
        self.inner.rates.check(scope.key(), self.limits_of(&scope), now)?;
        let reservation = self.inner.in_flight.enter()?;
        Ok(Permit { admission: self.clone(), scope, reservation })
    }

    async fn authorize(&self, presented: &[Presented<'_>]) -> Result<WriteScope, Refusal> {
        let mut refusal = Refusal::NoKey;
        for credential in presented.iter().filter(|credential| !credential.secret.is_empty()) {
            match self.inner.tenancy.authorize_write(credential.kind, credential.secret).await {
                Ok(Some(scope)) if credential.project.is_none_or(|project| project == scope.project()) => {
                    return Ok(scope);
                }
                Ok(Some(_)) => refusal = Refusal::WrongProject,
                Ok(None) if refusal == Refusal::NoKey => refusal = Refusal::WrongKey,
                Ok(None) => {}
                Err(SqlError::Full(_)) => return Err(Cause::DiskFull.refusal()),
                Err(_) => return Err(Cause::DatabaseLost.refusal()),
            }
        }
        Err(refusal)
    }

    fn limits_of(&self, scope: &WriteScope) -> KeyLimits {
        scope.limits().or(self.inner.limits.key)
    }

    fn counted<T>(&self, result: Result<T, Refusal>) -> Result<T, Refusal> {
        result.inspect_err(|refusal| self.inner.refusals.count(refusal))
    }

    /// Stores what keys with a quota used since the last call, and learns what other nodes stored. To be called
    /// every few seconds, and at a stop.
    pub async fn save_usage(&self) -> Result<(), SqlError> {
        let now = self.inner.clock.now();
        let fresh = self.inner.rates.take_unsaved(now);
        if let Err(error) = self.inner.tenancy.add_usage(&fresh).await {
            self.inner.rates.put_back(&fresh);
            return Err(error);
        }
        let stored = self.inner.tenancy.usage(rate::day(now)).await?;
        self.inner.rates.learn(&stored, now);
        Ok(())
    }
}

/// The right of one request to be read and parsed. Dropping it gives its bytes back.
pub struct Permit {
    admission: Admission,
    scope: WriteScope,
    reservation: Reservation,
}

impl Permit {
    /// What the key proved.
    pub fn scope(&self) -> &WriteScope {
        &self.scope
    }

    /// Counts bytes that a protocol read by itself (a gRPC message) against the limits.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), Refusal> {
        let reserved = self.reservation.grow(bytes);
        self.admission.counted(reserved)?;
        self.used(bytes);
        Ok(())
    }

    /// Claims a client's `Idempotency-Key` for a body: `key` is a digest of protocol, project and key. Refused where the
    /// key came with another body before.
    pub fn claim(&self, key: RequestId, body: BodyDigest) -> Result<Claim, Refusal> {
        self.admission.counted(Claim::new(&self.admission.inner.keys, key, body))
    }

    /// A reservation of nothing yet, for a protocol that reads its messages by itself: to be grown by what comes
    /// before it is kept.
    pub fn meter(&self) -> Reservation {
        self.admission.inner.in_flight.meter()
    }

    fn used(&self, bytes: usize) {
        let inner = &self.admission.inner;
        inner.rates.used(
            self.scope.key(),
            self.admission.limits_of(&self.scope),
            bytes as u64,
            inner.clock.now(),
        );
    }
}
