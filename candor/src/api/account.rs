//! Status, the first account, signing in and out, and who one is.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{ConnectInfo, State};
use axum::response::{IntoResponse, Response};
use candor_people::{FirstAccount, SESSION_IDLE_SECONDS, SignedIn};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::app::App;
use crate::http::caller::{SESSION_COOKIE, bearer, cookie};
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

/// `GET /api/v1/status`.
pub async fn status(State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    Ok(Json(json!({
        "version": crate::VERSION,
        "setup_needed": app.people.setup_needed().await?,
        "test_clock": app.test_clock,
    })))
}

/// The body of `POST /api/v1/setup`.
#[derive(Deserialize)]
pub struct Setup {
    token: Option<String>,
    email: String,
    password: String,
    org: Option<String>,
}

/// `POST /api/v1/setup`: by the token of the link, or by the local admin key. Signs in.
pub async fn setup(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    Body(body): Body<Setup>,
) -> Answer<Response> {
    let org = body.org.as_deref().map(str::trim).filter(|org| !org.is_empty());
    let new = FirstAccount { email: &body.email, password: &body.password, org };
    let is_admin = bearer(&headers).is_some_and(|key| app.is_admin_key(key));
    let user = match (&body.token, is_admin) {
        (_, true) => app.people.set_up_as_admin(&app.tenancy, &new).await?,
        (Some(token), false) => app.people.set_up(&app.tenancy, token, &new).await?,
        (None, false) => {
            return Err(Problem::forbidden("the setup link's token is needed: the server prints the link"));
        }
    };
    app.people.audit(&user.actor(), "setup", &user.actor()).await?;
    if is_admin {
        return Ok(Json(json!({ "user": { "id": user.id, "email": user.email } })).into_response());
    }
    let session = app.people.begin_session(user).await?;
    Ok(with_session(&app, session))
}

/// The body of `POST /api/v1/session`.
#[derive(Deserialize)]
pub struct SignIn {
    email: String,
    password: String,
}

/// `POST /api/v1/session`.
pub async fn sign_in(
    State(app): State<Arc<App>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Body(body): Body<SignIn>,
) -> Answer<Response> {
    let address = app.client_address(peer.ip(), &headers);
    let session = app.people.sign_in(&body.email, &body.password, Some(address)).await?;
    Ok(with_session(&app, session))
}

fn with_session(app: &App, session: SignedIn) -> Response {
    let body = json!({ "user": { "id": session.user.id, "email": session.user.email } });
    let secure = if app.is_secure() { "; Secure" } else { "" };
    let cookie = format!(
        "{SESSION_COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={SESSION_IDLE_SECONDS}{secure}",
        session.secret
    );
    with_cookie(Json(body).into_response(), &cookie)
}

fn with_cookie(mut response: Response, cookie: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// `DELETE /api/v1/session`.
pub async fn sign_out(_caller: Caller, State(app): State<Arc<App>>, headers: HeaderMap) -> Answer<Response> {
    if let Some(secret) = cookie(&headers, SESSION_COOKIE) {
        app.people.sign_out(secret).await?;
    }
    let gone = format!("{SESSION_COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0");
    Ok(with_cookie(StatusCode::NO_CONTENT.into_response(), &gone))
}

/// `GET /api/v1/me`.
pub async fn me(caller: Caller, State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    let orgs = match caller.user() {
        Some(user) => {
            app.tenancy.orgs_of(user.id).await?.into_iter().map(|(org, role)| (org, role.name())).collect()
        }
        None => app.tenancy.orgs().await?.into_iter().map(|org| (org, "owner")).collect::<Vec<_>>(),
    };
    let mut out = Vec::with_capacity(orgs.len());
    for (org, role) in orgs {
        let projects: Vec<Value> = app
            .tenancy
            .projects(Some(org.id))
            .await?
            .into_iter()
            .map(|project| json!({ "name": project.name, "number": project.id.0 }))
            .collect();
        out.push(json!({ "name": org.name, "role": role, "projects": projects }));
    }
    let user = match caller.user() {
        Some(user) => json!({ "id": user.id, "email": user.email }),
        None => json!({ "id": 0, "email": "admin" }),
    };
    Ok(Json(json!({ "user": user, "orgs": out })))
}
