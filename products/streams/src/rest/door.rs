//! How a request comes in: who asks, what its path and query say, its body within bounds.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{ConnectInfo, FromRequestParts, Path, Query};
use futures::StreamExt;
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;

use super::RestState;
use super::client::{CLIENT_ID, Client};
use super::error::{Answer, RestError};
use super::links::At;
use crate::auth::Nobody;
use crate::auth::over_http::Origin;
use crate::wire::{self, Room};

/// The longest body that is read whole, bytes.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;

/// How long a body waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(10);

/// A request of somebody that has proved who it is.
pub(super) struct Ask {
    pub client: Client,
    /// Links begin with this.
    pub base: String,
}

impl Ask {
    /// The cluster, where the path names the one there is.
    pub fn cluster(&self, named: &str) -> Answer<At> {
        let id = self.client.cluster_id();
        if named != &*id {
            return Err(RestError::not_found(format!("Cluster {named} cannot be found.")));
        }
        Ok(At::cluster(&self.base, &id))
    }
}

impl FromRequestParts<RestState> for Ask {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &RestState) -> Answer<Ask> {
        let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let from = Origin { peer, client: state.admission.client_ip(peer, &parts.headers) };
        let client_id = Some(Arc::from(CLIENT_ID));
        let caller = state.streams.door().caller(from, &parts.headers, client_id).await?;
        let client = state.streams.client(caller).await.ok_or(Nobody::Wrong)?;
        Ok(Ask { client, base: format!("{}{}", (state.base)(&parts.headers), super::PREFIX) })
    }
}

/// The parts of a path that stand for something.
pub(super) struct Names<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<RestState> for Names<T> {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &RestState) -> Answer<Names<T>> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(names)) => Ok(Names(names)),
            // A number that is none, or bytes that are no text: nothing has that name.
            Err(_) => Err(RestError::not_found("HTTP 404 Not Found")),
        }
    }
}

/// The query.
pub(super) struct Asked(HashMap<String, String>);

impl Asked {
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A number of a query, where it is there.
    pub fn number<T: std::str::FromStr>(&self, name: &str) -> Answer<Option<T>> {
        let read = |text: &str| {
            text.parse().map_err(|_| RestError::bad_request(format!("{name} is a number within its range")))
        };
        self.text(name).map(read).transpose()
    }
}

impl FromRequestParts<RestState> for Asked {
    type Rejection = RestError;

    async fn from_request_parts(parts: &mut Parts, state: &RestState) -> Answer<Asked> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(pairs)) => Ok(Asked(pairs)),
            Err(_) => Err(RestError::bad_request("the query cannot be read")),
        }
    }
}

/// The media type that a body says it has, without parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Refuses what does not say that it is JSON: a page of another origin cannot say so without asking first.
pub(super) fn must_be_json(headers: &HeaderMap) -> Answer<()> {
    if media_type(headers) == "application/json" { Ok(()) } else { Err(unsupported("application/json")) }
}

pub(super) fn unsupported(wanted: &str) -> RestError {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    RestError::plain(status, format!("HTTP 415 Unsupported Media Type: send Content-Type: {wanted}"))
}

/// Room for what of a body is held: as much as has come, and none up to what needs no leave.
pub(super) struct Held {
    room: Room,
    held: wire::Held,
}

impl Held {
    pub fn new(state: &RestState) -> Held {
        Held { room: state.streams.room().clone(), held: wire::Held::default() }
    }

    /// Holds room for so many bytes from now on.
    pub async fn fit(&mut self, bytes: usize) -> Answer<()> {
        match tokio::time::timeout(ROOM_WAIT, self.held.fit(&self.room, bytes)).await {
            Ok(fitted) => {
                fitted.map_err(|_| RestError::plain(StatusCode::SERVICE_UNAVAILABLE, "the server stops"))
            }
            Err(_) => Err(RestError::plain(
                StatusCode::SERVICE_UNAVAILABLE,
                "there are too many large bodies at once; try again",
            )),
        }
    }
}

/// A body read whole, and the room that it holds.
pub(super) struct Whole {
    pub bytes: Vec<u8>,
    room: Held,
}

impl Whole {
    /// Reads a body.
    pub async fn read(state: &RestState, headers: &HeaderMap, body: Body) -> Answer<Whole> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(RestError::plain(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "HTTP 415 Unsupported Media Type: send the body without a Content-Encoding",
            ));
        }
        let mut pieces = body.into_data_stream();
        let mut whole = Whole { bytes: Vec::new(), room: Held::new(state) };
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|_| cut())?;
            if whole.bytes.len() + piece.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            whole.room.fit(whole.bytes.len() + piece.len()).await?;
            whole.bytes.extend_from_slice(&piece);
        }
        Ok(whole)
    }

    /// What it says in JSON.
    pub fn json<T: DeserializeOwned>(&self) -> Answer<T> {
        if self.bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(RestError::payload("Null input provided. Data is required."));
        }
        serde_json::from_slice(&self.bytes).map_err(|error| malformed(&error))
    }
}

/// A body of JSON, where it says that it is.
pub(super) async fn json<T: DeserializeOwned>(
    state: &RestState,
    headers: &HeaderMap,
    body: Body,
) -> Answer<T> {
    must_be_json(headers)?;
    Whole::read(state, headers, body).await?.json()
}

/// What is wrong with a body, said to who sent it.
pub(super) fn malformed(error: &serde_json::Error) -> RestError {
    RestError::bad_request(format!("Bad Request: {error}"))
}

pub(super) fn cut() -> RestError {
    RestError::bad_request("the body ended before it was whole, or came too slowly")
}

pub(super) fn too_large() -> RestError {
    let most = BODY_BYTES_MAX >> 20;
    RestError::plain(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("a body, or a record of a stream, has at most {most} MiB"),
    )
}
