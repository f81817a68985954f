//! What is known of a connection from one request to the next.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use candor_model::{ProjectId, Timestamp};
use parking_lot::Mutex;

use crate::auth::credentials::{ANONYMOUS, Identity};
use crate::auth::sasl::Sasl;
use crate::caller::Caller;
use crate::wire::Request;

/// A connection's state.
pub struct Session {
    host: IpAddr,
    /// How far it has come in proving who it is.
    pub(super) sasl: tokio::sync::Mutex<Sasl>,
    /// The next frame is a bare token (SaslHandshake of version 0).
    pub(super) expects_raw: AtomicBool,
    proven: Mutex<Option<Proven>>,
}

/// Who it has proved to be.
#[derive(Clone)]
struct Proven {
    project: ProjectId,
    user: Arc<str>,
    /// True where a token names it: users of the project are not asked whether it is one of them.
    is_by_token: bool,
    /// When that has to be proved again; never for who proved nothing.
    until: Option<Timestamp>,
}

impl Session {
    /// Of a client at this address that has said nothing yet.
    pub(super) fn new(host: IpAddr, sasl: Sasl) -> Session {
        Session {
            host,
            sasl: tokio::sync::Mutex::new(sasl),
            expects_raw: AtomicBool::new(false),
            proven: Mutex::new(None),
        }
    }

    /// Takes the client for this user of the project without a log in.
    pub(super) fn take_for(&self, project: ProjectId, user: &str) {
        let user = Arc::from(user);
        *self.proven.lock() = Some(Proven { project, user, is_by_token: false, until: None });
    }

    /// Takes the client for whom it has logged in as from now on, for as long as that lasts.
    pub(super) fn prove(&self, identity: &Identity, sasl: &Sasl) {
        *self.proven.lock() = Some(Proven {
            project: identity.project,
            user: Arc::clone(&identity.user),
            is_by_token: sasl.is_by_token(),
            until: sasl.expires_at(),
        });
    }

    /// True while it is taken for somebody.
    pub(super) fn is_proven(&self) -> bool {
        self.proven.lock().is_some()
    }

    /// True where a log in has run out: only another one is answered on this connection (KIP-368).
    pub(super) fn has_run_out(&self, now: Timestamp) -> bool {
        self.proven.lock().as_ref().and_then(|proven| proven.until).is_some_and(|until| until <= now)
    }

    /// True where it logged in as a user of the project, who may have been deleted since.
    pub(super) fn is_by_user(&self) -> bool {
        let proven = self.proven.lock();
        proven.as_ref().is_some_and(|proven| !proven.is_by_token && &*proven.user != ANONYMOUS)
    }

    /// Takes it for nobody.
    pub(super) fn forget(&self) {
        *self.proven.lock() = None;
    }

    /// Who asks; none before a proof.
    pub(super) fn caller(&self, request: &Request) -> Option<Caller> {
        let Proven { project, user, .. } = self.proven.lock().clone()?;
        Some(Caller { project, user, client_id: request.client_id.clone(), host: self.host })
    }

    /// True where the next frame is no request.
    pub(super) fn takes_raw(&self) -> bool {
        self.expects_raw.load(Ordering::Relaxed)
    }
}
