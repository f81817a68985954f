//! The Confluent Schema Registry's HTTP API under `/registry`, for the project that the caller's Kafka name and password
//! open (Basic, RFC 7617). Schemas are readable by every user of the project; what changes them takes what Kafka's ACLs
//! ask of the subject's topic.

mod answer;
mod body;
mod schemas;
mod settings;
mod subjects;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::response::Response;
use axum::routing::any;
use candor_gate::admission::Admission;
use candor_meta::Tenancy;
use http::{HeaderMap, Method, header};

use super::{Context, Registry, RegistryError, Subject};
use crate::admin::acl::{Acls, Operation, Resource};
use crate::auth::over_http::{Door, Nobody, Origin};
use crate::caller::Caller;
use crate::wire::Room;
use answer::{Answer, Refusal, ok};
use body::Body;

/// What the routes need of the house.
pub(crate) struct Parts {
    pub registry: Registry,
    /// Who asks.
    pub door: Door,
    pub acls: Acls,
    pub tenancy: Tenancy,
    pub admission: Admission,
    /// For large bodies.
    pub room: Room,
}

/// Every path of the registry. The binary gives requests the peer's address as [`ConnectInfo`] of a `SocketAddr`.
pub(crate) fn routes(parts: Parts) -> Router {
    Router::new()
        .route("/registry", any(answered))
        .route("/registry/", any(answered))
        .route("/registry/{*path}", any(answered))
        .with_state(Arc::new(parts))
}

async fn answered(State(parts): State<Arc<Parts>>, request: Request) -> Response {
    match handle(&parts, request).await {
        Ok(response) => response,
        Err(refusal) => refusal.into(),
    }
}

async fn handle(parts: &Parts, request: Request) -> Answer {
    let (head, body) = request.into_parts();
    let peer = head.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    let peer = peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    let from = Origin { peer, client: parts.admission.client_ip(peer, &head.headers) };
    let caller = parts.door.caller(from, &head.headers, None).await?;
    // A user that is left of a deleted project.
    if parts.tenancy.user_write(caller.project).await.map_err(Refusal::sql)?.is_none() {
        return Err(Nobody::Wrong.into());
    }
    if matches!(head.method, Method::POST | Method::PUT) && !is_json(&head.headers) {
        return Err(Refusal::new(
            415,
            415,
            "HTTP 415 Unsupported Media Type: send JSON and say so in Content-Type",
        ));
    }
    let path = head.uri.path().strip_prefix("/registry").unwrap_or_default();
    let segments: Vec<String> =
        path.split('/').filter(|part| !part.is_empty()).map(|part| decoded(part, false)).collect();
    let query = query(head.uri.query().unwrap_or_default());
    let body = Body::read(&parts.room, body).await?;
    let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let mut context = Context::default_one();
    if let ["contexts", named, rest @ ..] = segments.as_slice() {
        context = Context::parse(named);
        segments = rest.to_vec();
    }
    let call = Call { parts, caller, context, query, body: &body.bytes };
    call.route(&head.method, &segments).await
}

/// One request of a caller who is known.
struct Call<'a> {
    parts: &'a Parts,
    caller: Caller,
    context: Context,
    query: HashMap<String, String>,
    body: &'a [u8],
}

impl Call<'_> {
    async fn route(&self, method: &Method, path: &[&str]) -> Answer {
        let (get, post) = (method == Method::GET || method == Method::HEAD, method == Method::POST);
        let (put, delete) = (method == Method::PUT, method == Method::DELETE);
        match path {
            [] if get => ok(&serde_json::json!({})),
            ["contexts"] if get => self.contexts(),
            ["schemas"] if get => self.schemas().await,
            ["schemas", "types"] if get => ok(&["JSON", "PROTOBUF", "AVRO"]),
            ["schemas", "ids", id] if get => self.schema_by_id(id).await,
            ["schemas", "ids", id, "schema"] if get => self.schema_text_by_id(id).await,
            ["schemas", "ids", id, "subjects"] if get => self.subjects_of_id(id),
            ["schemas", "ids", id, "versions"] if get => self.versions_of_id(id),
            ["schemas", "guids", guid] if get => self.schema_by_guid(guid).await,
            ["schemas", "guids", guid, "ids"] if get => self.ids_of_guid(guid),
            ["subjects"] if get => self.subjects(),
            ["subjects", subject] if post => self.look_up(subject).await,
            ["subjects", subject] if delete => self.delete_subject(subject).await,
            ["subjects", subject, "versions"] if get => self.versions(subject),
            ["subjects", subject, "versions"] if post => self.register(subject).await,
            ["subjects", subject, "versions", version] if get => self.version(subject, version).await,
            ["subjects", subject, "versions", version] if delete => {
                self.delete_version(subject, version).await
            }
            ["subjects", subject, "versions", version, "schema"] if get => {
                self.version_text(subject, version).await
            }
            ["subjects", subject, "versions", version, "referencedby"] if get => {
                self.referenced_by(subject, version)
            }
            ["compatibility", "subjects", subject, "versions"] if post => self.compare(subject, None).await,
            ["compatibility", "subjects", subject, "versions", version] if post => {
                self.compare(subject, Some(version)).await
            }
            ["config"] if get => self.config(None),
            ["config"] if put => self.set_config(None).await,
            ["config"] if delete => self.unset_config(None).await,
            ["config", subject] if get => self.config(Some(subject)),
            ["config", subject] if put => self.set_config(Some(subject)).await,
            ["config", subject] if delete => self.unset_config(Some(subject)).await,
            ["mode"] if get => self.mode(None),
            ["mode"] if put => self.set_mode(None).await,
            ["mode"] if delete => self.unset_mode(None).await,
            ["mode", subject] if get => self.mode(Some(subject)),
            ["mode", subject] if put => self.set_mode(Some(subject)).await,
            ["mode", subject] if delete => self.unset_mode(Some(subject)).await,
            ["v1", "metadata", "id"] if get => self.cluster(),
            ["v1", "metadata", "version"] if get => {
                ok(&serde_json::json!({ "version": env!("CARGO_PKG_VERSION"), "commitId": "" }))
            }
            _ => Err(Refusal::new(404, 404, "HTTP 404 Not Found")),
        }
    }

    /// The subject that a path names, within the context of the path, by its alias where it has one.
    fn subject(&self, name: &str) -> Result<Subject, RegistryError> {
        Ok(self.book().meant(Subject::parse(name, &self.context)?))
    }

    fn book(&self) -> Arc<super::Book> {
        self.parts.registry.book(self.caller.project)
    }

    fn is(&self, flag: &str) -> bool {
        self.query.get(flag).is_some_and(|value| value.is_empty() || value.eq_ignore_ascii_case("true"))
    }

    /// Refuses whom the ACLs do not allow this on a subject's topic.
    fn must_on(&self, subject: &Subject, operation: Operation) -> Result<(), Refusal> {
        self.must(operation, Resource::topic(subject.topic()))
    }

    fn must(&self, operation: Operation, resource: Resource<'_>) -> Result<(), Refusal> {
        match self.parts.acls.allowed(&self.caller, operation, resource) {
            true => Ok(()),
            false => {
                let message = format!(
                    "User is denied operation {operation:?} on {:?} '{}': an ACL has to allow it",
                    resource.resource, resource.name
                );
                Err(Refusal::new(403, 40301, message))
            }
        }
    }
}

/// Whether a body says that it is JSON. A page of somebody else can make a browser send other kinds without asking.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind.ends_with("json") || kind == "application/octet-stream"
}

fn query(text: &str) -> HashMap<String, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(key, true), decoded(value, true))
    };
    pairs.map(pair).collect()
}

/// Undoes percent-encoding; in a query a plus is a space.
fn decoded(text: &str, is_query: bool) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).filter(|_| *first == b'%');
        rest = if byte.is_some() { after.get(2..).unwrap_or_default() } else { after };
        out.push(match byte {
            Some(byte) => byte,
            None if is_query && *first == b'+' => b' ',
            None => *first,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
