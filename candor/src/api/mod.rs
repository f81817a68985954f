//! `/api/v1`: what the screen and the commands use.
//!
//! [`ROUTES`] is the one list of these routes: the router is built from it, the OpenAPI document is checked against
//! it, and the isolation test walks it.

pub mod account;
pub mod attachments;
pub mod export;
pub mod issues;
pub mod lake;
pub mod ledger;
pub mod maintenance;
pub mod openapi;
pub mod policy;
pub mod policy_test;
pub mod projects;
pub mod query;
pub mod rights;
pub mod search;
pub mod streams;
pub mod streams_access;
pub mod streams_bridges;
pub mod streams_groups;
pub mod streams_messages;
pub mod streams_schemas;
pub mod streams_tail;
pub mod tail;
pub mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::app::App;
use crate::http::Problem;

/// A route: its path and what answers it.
type Route = (&'static str, fn() -> MethodRouter<Arc<App>>);

/// Every route of `/api/v1`.
pub const ROUTES: &[Route] = &[
    ("/api/v1/status", || get(account::status)),
    ("/api/v1/openapi.json", || get(openapi::document)),
    ("/api/v1/setup", || post(account::setup)),
    ("/api/v1/session", || post(account::sign_in).delete(account::sign_out)),
    ("/api/v1/me", || get(account::me)),
    ("/api/v1/tokens", || get(tokens::list).post(tokens::create)),
    ("/api/v1/tokens/{id}", || delete(tokens::revoke)),
    ("/api/v1/projects", || get(projects::list).post(projects::create)),
    ("/api/v1/projects/{project}", || get(projects::show).delete(projects::remove)),
    ("/api/v1/projects/{project}/rotate-keys", || post(projects::rotate_keys)),
    ("/api/v1/projects/{project}/limits", || put(projects::limit)),
    ("/api/v1/policy", || get(policy::show).put(policy::apply)),
    ("/api/v1/policy/announced", || delete(policy::withdraw)),
    ("/api/v1/policy/check", || post(policy::check)),
    ("/api/v1/policy/test", || post(policy_test::test)),
    ("/api/v1/policy/versions", || get(policy::versions)),
    ("/api/v1/policy/version", || get(policy::one_version)),
    ("/api/v1/ledger", || get(ledger::list)),
    ("/api/v1/ledger/checkpoint", || get(ledger::checkpoint)),
    ("/api/v1/ledger/{index}/proof", || get(ledger::proof)),
    ("/api/v1/reveal", || get(ledger::may_reveal).post(ledger::reveal)),
    ("/api/v1/members", || get(ledger::members).put(ledger::give)),
    ("/api/v1/query", || post(query::query)),
    ("/api/v1/export", || post(export::export)),
    ("/api/v1/schema", || get(query::schema)),
    ("/api/v1/search", || get(search::search)),
    ("/api/v1/tail", || get(tail::tail)),
    ("/api/v1/issues", || get(issues::list)),
    ("/api/v1/issues/{id}", || get(issues::show).put(issues::change)),
    ("/api/v1/issues/{id}/events", || get(issues::events)),
    ("/api/v1/events/{event_id}", || get(issues::event)),
    ("/api/v1/events/{event_id}/attachments/{attachment_id}", || get(attachments::download)),
    ("/api/v1/streams", || get(streams::overview)),
    ("/api/v1/streams/topics", || get(streams::topics).post(streams::create_topic)),
    ("/api/v1/streams/topics/{topic}", || {
        get(streams::topic).put(streams::change_topic).delete(streams::delete_topic)
    }),
    ("/api/v1/streams/topics/{topic}/messages", || {
        get(streams_messages::messages).post(streams_messages::produce)
    }),
    ("/api/v1/streams/topics/{topic}/tail", || get(streams_tail::tail)),
    ("/api/v1/streams/groups", || get(streams_groups::list)),
    ("/api/v1/streams/groups/{group}", || get(streams_groups::show).delete(streams_groups::remove)),
    ("/api/v1/streams/groups/{group}/lag", || get(streams_groups::lag)),
    ("/api/v1/streams/groups/{group}/reset", || post(streams_groups::reset)),
    ("/api/v1/streams/users", || get(streams_access::users).post(streams_access::create_user)),
    ("/api/v1/streams/users/{user}", || delete(streams_access::delete_user)),
    ("/api/v1/streams/users/{user}/password", || post(streams_access::renew_user)),
    ("/api/v1/streams/acls", || {
        get(streams_access::rules).post(streams_access::add_rule).delete(streams_access::remove_rule)
    }),
    ("/api/v1/streams/bridges", || get(streams_bridges::list).post(streams_bridges::create)),
    ("/api/v1/streams/bridges/{bridge}", || {
        get(streams_bridges::show).put(streams_bridges::change).delete(streams_bridges::remove)
    }),
    ("/api/v1/streams/bridges/{bridge}/pause", || post(streams_bridges::pause)),
    ("/api/v1/streams/bridges/{bridge}/resume", || post(streams_bridges::resume)),
    ("/api/v1/streams/quotas", || get(streams_access::quotas).put(streams_access::set_quota)),
    ("/api/v1/streams/schemas", || get(streams_schemas::list).put(streams_schemas::set_all)),
    ("/api/v1/streams/schemas/ids/{id}", || get(streams_schemas::places)),
    ("/api/v1/streams/schemas/subjects/{subject}", || {
        get(streams_schemas::subject)
            .put(streams_schemas::set_subject)
            .delete(streams_schemas::delete_subject)
    }),
    ("/api/v1/streams/schemas/subjects/{subject}/versions", || post(streams_schemas::register)),
    ("/api/v1/streams/schemas/subjects/{subject}/versions/{version}", || {
        get(streams_schemas::version).delete(streams_schemas::delete_version)
    }),
    ("/api/v1/streams/schemas/subjects/{subject}/test", || post(streams_schemas::test)),
    ("/api/v1/streams/schemas/subjects/{subject}/topics", || get(streams_schemas::topics)),
    ("/api/v1/flush", || post(maintenance::flush)),
    ("/api/v1/backup", || post(maintenance::backup)),
    ("/api/v1/lake/catalog", || post(lake::catalog)),
];

/// The routes as a router.
pub fn routes() -> Router<Arc<App>> {
    ROUTES
        .iter()
        .fold(Router::new(), |router, (path, method)| router.route(path, method().fallback(wrong_method)))
}

async fn wrong_method() -> Problem {
    Problem::new(
        http::StatusCode::METHOD_NOT_ALLOWED,
        "Method not allowed",
        "the path exists, but not for this method: see /api/v1/openapi.json",
    )
}

/// `Json`, refusing with a problem that names the fault and never quotes the body.
pub struct Body<T>(pub T);

impl<T: serde::de::DeserializeOwned> axum::extract::FromRequest<Arc<App>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: axum::extract::Request, app: &Arc<App>) -> Result<Body<T>, Problem> {
        use axum::extract::rejection::JsonRejection as R;
        match axum::Json::<T>::from_request(request, app).await {
            Ok(axum::Json(value)) => Ok(Body(value)),
            Err(R::MissingJsonContentType(_)) => Err(Problem::new(
                http::StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "Not JSON",
                "send the body as Content-Type: application/json",
            )),
            Err(R::JsonSyntaxError(_)) => Err(Problem::bad_request("the body is not JSON")),
            // Serde names the field and the type, which are ours; it quotes no values of strings beyond that.
            Err(R::JsonDataError(_)) => Err(Problem::bad_request(
                "a field of the body is missing or of another type: see /api/v1/openapi.json",
            )),
            Err(other) => Err(Problem::new(other.status(), "Bad request", "the body could not be read")),
        }
    }
}

/// `Query`, refusing with a problem.
pub struct Params<T>(pub T);

impl<T: serde::de::DeserializeOwned> axum::extract::FromRequestParts<Arc<App>> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        app: &Arc<App>,
    ) -> Result<Params<T>, Problem> {
        match axum::extract::Query::<T>::from_request_parts(parts, app).await {
            Ok(axum::extract::Query(value)) => Ok(Params(value)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}
