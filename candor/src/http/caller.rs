//! Who is asking: the local admin key, a person with a session, or a person's token. Ingest keys are nobody here.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use candor_meta::ReadScope;
use candor_meta::tenancy::{Project, Role};
use candor_model::OrgId;
use candor_people::{TOKEN_PREFIX, User};
use http::request::Parts;
use http::{HeaderMap, Method, header};

use super::Problem;
use super::problem::Answer;
use crate::app::App;
use crate::data_dir::ADMIN_KEY_PREFIX;

/// The cookie of a session.
pub const SESSION_COOKIE: &str = "candor_session";

/// The header that state-changing calls with a cookie carry: a page of another origin cannot set it without asking.
pub const INTENT_HEADER: &str = "x-candor";

/// A caller whose proof was checked.
#[derive(Debug, Clone)]
pub enum Caller {
    /// The holder of the local admin key: owner of everything, sees codes only.
    Admin,
    /// A person in a browser.
    Session(User),
    /// A person's token.
    Token(User, i64),
}

impl Caller {
    /// As it stands in the audit and the ledger.
    pub fn actor(&self) -> String {
        match self {
            Caller::Admin => "admin".to_owned(),
            Caller::Session(user) => user.actor(),
            Caller::Token(_, id) => format!("token:{id}"),
        }
    }

    /// The person, where it is one.
    pub fn user(&self) -> Option<&User> {
        match self {
            Caller::Admin => None,
            Caller::Session(user) | Caller::Token(user, _) => Some(user),
        }
    }

    /// Whose proof the headers of a request carry.
    pub async fn of(app: &App, headers: &HeaderMap, method: &Method) -> Answer<Caller> {
        if let Some(secret) = bearer(headers) {
            if secret.starts_with(ADMIN_KEY_PREFIX) {
                return if app.is_admin_key(secret) {
                    Ok(Caller::Admin)
                } else {
                    Err(Problem::unauthorized())
                };
            }
            if secret.starts_with(TOKEN_PREFIX)
                && let Some((user, id)) = app.people.bearer(secret).await?
            {
                return Ok(Caller::Token(user, id));
            }
            return Err(Problem::unauthorized());
        }
        let Some(secret) = cookie(headers, SESSION_COOKIE) else {
            return Err(Problem::unauthorized());
        };
        let changes = !matches!(*method, Method::GET | Method::HEAD);
        if changes && !headers.contains_key(INTENT_HEADER) {
            return Err(Problem::forbidden(
                "a call with a cookie that changes something carries the header X-Candor: 1",
            ));
        }
        match app.people.session(secret).await? {
            Some(user) => Ok(Caller::Session(user)),
            None => Err(Problem::unauthorized()),
        }
    }

    /// The headers that [`Caller::of`] reads, to ask again later.
    pub fn proof(headers: &HeaderMap) -> HeaderMap {
        let mut proof = HeaderMap::new();
        for name in [header::AUTHORIZATION, header::COOKIE] {
            // HTTP/2 may cut cookies into several fields.
            for value in headers.get_all(&name) {
                proof.append(&name, value.clone());
            }
        }
        proof
    }

    /// Refuses everyone but the local admin key.
    pub fn must_be_admin(&self) -> Answer<()> {
        match self {
            Caller::Admin => Ok(()),
            _ => {
                Err(Problem::forbidden("this takes the local admin key: run the command beside the data dir"))
            }
        }
    }

    /// The project of a path and the right to read it. A project that the caller may not read does not exist.
    pub async fn read(&self, app: &App, path: &str) -> Answer<(Project, ReadScope)> {
        let absent = || Problem::not_found(format!("there is no project {path:?} that you may read"));
        let project = app.tenancy.resolve(path).await?.ok_or_else(absent)?;
        let scope = match self {
            Caller::Admin => app.tenancy.admin_read(project.id).await?,
            Caller::Session(user) => app.tenancy.user_read(user.id, project.id).await?,
            Caller::Token(user, id) => app.tenancy.token_read(*id, user.id, project.id).await?,
        };
        Ok((project, scope.ok_or_else(absent)?))
    }

    /// The project of a path, where the caller may change it.
    pub async fn manage(&self, app: &App, path: &str) -> Answer<Project> {
        let (project, _) = self.read(app, path).await?;
        self.must_manage(app, project.org).await?;
        Ok(project)
    }

    /// Refuses whoever is less than an admin of the organisation.
    pub async fn must_manage(&self, app: &App, org: OrgId) -> Answer<()> {
        let Some(user) = self.user() else { return Ok(()) };
        match app.tenancy.role_of(user.id, org).await? {
            Some(role) if role >= Role::Admin => Ok(()),
            _ => Err(Problem::forbidden("only an owner or admin of the organisation may do this")),
        }
    }

    /// Refuses whoever is less than an owner of the organisation.
    pub async fn must_own(&self, app: &App, org: OrgId) -> Answer<()> {
        let Some(user) = self.user() else { return Ok(()) };
        match app.tenancy.role_of(user.id, org).await? {
            Some(Role::Owner) => Ok(()),
            _ => Err(Problem::forbidden("only an owner of the organisation may do this")),
        }
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Answer<Caller> {
        Caller::of(app, &parts.headers, &parts.method).await
    }
}

/// The secret of `Authorization: Bearer`.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, secret) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secret.trim())
}

/// A cookie's value.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}
