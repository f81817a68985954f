//! What every handler does first: who sends, may they, and the body whole. The rules are admission's; here is where
//! these protocols carry their keys, their source and their client's name.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::{ConnectInfo, Query, Request};
use bytes::Bytes;
use candor_gate::admission::{Accept, Permit, Presented, Refusal};
use candor_meta::WriteScope;
use candor_model::{Consent, Origin, ProjectId};
use http::header::{AUTHORIZATION, ORIGIN, USER_AGENT};
use http::{Extensions, HeaderMap, Uri};

use crate::Logs;
use crate::idempotency::RequestKey;

/// Longest name of a client that is kept, bytes.
const CLIENT_BYTES_MAX: usize = 128;

/// What the parameter is called that names a source, the first that is given.
pub(crate) const SOURCE_NAMES: [&str; 4] = ["source", "source_name", "collection", "collection_name"];

/// A request that was let in. While it lives, its bytes count as in the house.
pub(crate) struct Entry {
    pub(crate) permit: Permit,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) origin: Origin,
    pub(crate) request: RequestKey,
    parameters: Parameters,
}

impl Entry {
    /// What the key proved.
    pub(crate) fn scope(&self) -> &WriteScope {
        self.permit.scope()
    }

    /// The key's project.
    pub(crate) fn project(&self) -> ProjectId {
        self.scope().project()
    }

    /// Takes the message of a gRPC call in.
    pub(crate) fn take_message(&mut self, protocol: &'static str, message: Bytes) -> Result<(), Refusal> {
        self.permit.reserve(message.len())?;
        self.request = RequestKey::of(protocol, &self.permit, &self.headers, &message)?;
        self.body = message;
        Ok(())
    }

    /// The source that the request names, by id or name (Logflare's parameters and its header for OTLP).
    pub(crate) fn source(&self) -> Option<&str> {
        SOURCE_NAMES
            .into_iter()
            .find_map(|name| self.parameters.get(name))
            .or_else(|| header(&self.headers, "x-source"))
            .or_else(|| header(&self.headers, "x-collection"))
            .filter(|source| !source.trim().is_empty())
    }
}

/// Lets a request in and reads its body. `body_bytes_max` is the protocol's own limit on what comes over the wire.
pub(crate) async fn enter(
    logs: &Logs,
    protocol: &'static str,
    body_bytes_max: usize,
    request: Request,
) -> Result<Entry, Refusal> {
    let (parts, body) = request.into_parts();
    let parameters = Parameters::of(&parts.uri);
    let mut permit = admit(logs, &parts.headers, &parameters).await?;
    if body.size_hint().lower() > body_bytes_max as u64 {
        return Err(Refusal::BodyTooLarge { limit: body_bytes_max });
    }
    let mut exceeded = false;
    let limited = Limited { body, left: body_bytes_max, exceeded: &mut exceeded };
    let read = permit.read(&parts.headers, limited, Accept::STANDARD).await;
    let body = read.map_err(|refusal| match exceeded {
        true => Refusal::BodyTooLarge { limit: body_bytes_max },
        false => refusal,
    })?;
    let request = RequestKey::of(protocol, &permit, &parts.headers, &body)?;
    let origin = origin(logs, &parts.headers, &parts.extensions);
    Ok(Entry { permit, headers: parts.headers, body, origin, request, parameters })
}

/// Lets a gRPC call in by its metadata; the message is read afterwards and given to [`Entry::take_message`].
pub(crate) async fn enter_grpc(
    logs: &Logs,
    headers: &HeaderMap,
    extensions: &Extensions,
) -> Result<Entry, Refusal> {
    let parameters = Parameters::default();
    let permit = admit(logs, headers, &parameters).await?;
    let origin = origin(logs, headers, extensions);
    let request = RequestKey::default();
    Ok(Entry { permit, headers: headers.clone(), body: Bytes::new(), origin, request, parameters })
}

async fn admit(logs: &Logs, headers: &HeaderMap, parameters: &Parameters) -> Result<Permit, Refusal> {
    let tokens = tokens(headers, parameters);
    let presented: Vec<_> = tokens.iter().map(|token| Presented::ingest(token)).collect();
    logs.admission.admit(&presented).await
}

/// Every place where a client may have put its token.
fn tokens(headers: &HeaderMap, parameters: &Parameters) -> Vec<String> {
    let mut tokens = Vec::new();
    for value in headers.get_all(AUTHORIZATION).iter().filter_map(|value| value.to_str().ok()) {
        match value.trim().split_once(' ') {
            Some((scheme, credentials)) if scheme.eq_ignore_ascii_case("basic") => {
                tokens.extend(basic(credentials.trim()));
            }
            Some((_, token)) => tokens.push(token.trim().to_owned()),
            None => tokens.push(value.trim().to_owned()),
        }
    }
    let named = ["x-api-key", "dd-api-key", "api-key"];
    tokens.extend(named.iter().filter_map(|name| header(headers, name)).map(|token| token.trim().to_owned()));
    tokens.extend(parameters.get("api_key").map(str::to_owned));
    tokens
}

/// The password and the user of Basic credentials: clients put a token in either place.
fn basic(credentials: &str) -> Vec<String> {
    let decoded = data_encoding::BASE64.decode(credentials.as_bytes()).ok();
    let Some(text) = decoded.and_then(|bytes| String::from_utf8(bytes).ok()) else { return Vec::new() };
    let (user, password) = text.split_once(':').unwrap_or((&text, ""));
    [password, user].into_iter().filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

fn origin(logs: &Logs, headers: &HeaderMap, extensions: &Extensions) -> Origin {
    let peer = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let ip: Option<IpAddr> = peer.map(|peer| logs.admission.client_ip(peer, headers));
    let client = header(headers, USER_AGENT.as_str()).filter(|name| name.len() <= CLIENT_BYTES_MAX);
    Origin {
        ip,
        site: header(headers, ORIGIN.as_str()).map(str::to_owned),
        // A token may do more than write: it is not told on.
        key: None,
        sdk: client.map(str::to_owned),
        country: peer.and_then(|peer| logs.admission.client_country(peer, headers)),
        global_privacy_control: header(headers, "sec-gpc") == Some("1"),
        do_not_track: header(headers, "dnt") == Some("1"),
        consent: header(headers, "candor-consent").and_then(Consent::from_word),
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The parameters of a URL.
#[derive(Debug, Default)]
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(uri: &Uri) -> Parameters {
        Parameters(Query::try_from_uri(uri).map(|Query(parameters)| parameters).unwrap_or_default())
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }
}

/// A body that ends in an error where it grows too large, and says so.
struct Limited<'e> {
    body: Body,
    left: usize,
    exceeded: &'e mut bool,
}

/// More came than the protocol allows.
#[derive(Debug, thiserror::Error)]
#[error("the body is too large")]
struct TooLarge;

impl HttpBody for Limited<'_> {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &frame
            && let Some(data) = frame.data_ref()
        {
            match self.left.checked_sub(data.len()) {
                Some(left) => self.left = left,
                None => {
                    *self.exceeded = true;
                    return Poll::Ready(Some(Err(TooLarge.into())));
                }
            }
        }
        frame.map_err(Into::into)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(uri: &str, headers: &[(&str, &str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(http::HeaderName::from_bytes(name.as_bytes()).unwrap(), value.parse().unwrap());
        }
        tokens(&map, &Parameters::of(&uri.parse().unwrap()))
    }

    #[test]
    fn tokens_are_found_wherever_clients_put_them() {
        for (name, value) in [
            ("authorization", "Bearer t"),
            ("authorization", "bearer  t "),
            ("authorization", "Splunk t"),
            ("authorization", "ApiKey t"),
            ("authorization", "t"),
            ("x-api-key", "t"),
            ("dd-api-key", "t"),
        ] {
            assert_eq!(of("/", &[(name, value)]), ["t"], "{name}: {value}");
        }
        assert_eq!(of("/logs?api_key=t", &[]), ["t"]);
        assert_eq!(of("/", &[("authorization", "Basic dXNlcjp0")]), ["t", "user"]);
        assert_eq!(of("/", &[("authorization", "Basic dDo=")]), ["t"]);
        assert!(of("/?api_key=", &[("authorization", "Basic %%")]).is_empty());
    }

    #[test]
    fn parameters_are_decoded() {
        let parameters = Parameters::of(&"/logs?source_name=my%20app+1&source=&x".parse().unwrap());
        assert_eq!((parameters.get("source_name"), parameters.get("source")), (Some("my app 1"), None));
    }
}
