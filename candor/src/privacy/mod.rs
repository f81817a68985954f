//! What is published without a sign-in: the policy that people read, its versions, and what machines read of it.
//!
//! `/privacy` is the instance's; `/privacy/ORG` the organisation's, which is the same as long as it has no other;
//! `/privacy/ORG/PROJECT` a project's.

mod evidence;

pub use evidence::Measured;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use candor_model::PolicyEpoch;
use candor_notices::{Held, Owner, Version};
use candor_policy::notice::{self, Language, PageContext, VersionEntry};
use http::{HeaderValue, StatusCode, header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::Params;
use crate::app::App;
use crate::http::Problem;
use crate::http::problem::Answer;

/// Nothing but the page and its style.
const CONTENT_SECURITY_POLICY: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The routes.
pub fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/privacy", get(instance))
        .route("/privacy/style.css", get(style))
        .route("/privacy/feed.xml", get(feed))
        .route("/privacy/record.jsonld", get(record))
        .route("/privacy/subprocessors.json", get(subprocessors))
        .route("/privacy/policy.schema.json", get(schema))
        .route("/privacy/compare", get(compare))
        .route("/privacy/{org}", get(of_org))
        .route("/privacy/{org}/{project}", get(of_project))
        .route("/.well-known/gpc.json", get(gpc))
}

/// What of a page is asked for.
#[derive(Deserialize)]
struct Asked {
    /// `en`, `de`.
    lang: Option<String>,
    /// `html`, `md`, `json`.
    format: Option<String>,
    /// An older version, or one that was announced, by its epoch.
    version: Option<u32>,
}

async fn instance(State(app): State<Arc<App>>, Params(asked): Params<Asked>) -> Answer<Response> {
    page(&app, Owner::Instance, "/privacy", &asked).await
}

async fn of_org(
    State(app): State<Arc<App>>,
    Path(org): Path<String>,
    Params(asked): Params<Asked>,
) -> Answer<Response> {
    app.tenancy.org_named(&org).await?.ok_or_else(absent)?;
    page(&app, Owner::Instance, &format!("/privacy/{}", crate::client::segment(&org)), &asked).await
}

async fn of_project(
    State(app): State<Arc<App>>,
    Path((org, project)): Path<(String, String)>,
    Params(asked): Params<Asked>,
) -> Answer<Response> {
    let found = app.tenancy.resolve(&format!("{org}/{project}")).await?.ok_or_else(absent)?;
    // A project without a policy of its own answers as one that does not exist: names of projects are nobody's.
    let owner = Owner::Project(found.id);
    app.policies.own(owner).ok_or_else(absent)?;
    let (org, project) = (crate::client::segment(&org), crate::client::segment(&project));
    page(&app, owner, &format!("/privacy/{org}/{project}"), &asked).await
}

fn absent() -> Problem {
    Problem::not_found("no policy is published here")
}

/// The page of an owner, in the form that is asked for.
async fn page(app: &App, owner: Owner, path: &str, asked: &Asked) -> Answer<Response> {
    let held = version(app, owner, asked.version).await?;
    let policy = &held.resolved.policy;
    let spoken: Vec<Language> =
        policy.notice.languages.iter().filter_map(|code| Language::by_code(code)).collect();
    let asked_for =
        asked.lang.as_deref().and_then(Language::by_code).filter(|language| spoken.contains(language));
    let language = asked_for.or_else(|| spoken.first().copied()).unwrap_or(Language::En);
    let evidence = evidence::gather(app, &held).await;
    let notice = notice::compile(policy, language);
    match asked.format.as_deref() {
        Some("md") => Ok(published("text/markdown; charset=utf-8", notice.to_markdown(&evidence))),
        Some("json") => Ok(published("application/json", notice.to_json(&evidence).to_string())),
        None | Some("html") => {
            let versions = app.policies.versions(owner).await?;
            let context = PageContext {
                hash: held.version.hash.clone(),
                version: policy.notice.version.clone().or_else(|| Some(held.version.epoch.0.to_string())),
                effective: Some(day(&held.version)),
                languages: spoken
                    .iter()
                    .map(|language| (*language, format!("{path}?lang={}", language.code())))
                    .collect(),
                versions: versions
                    .iter()
                    .filter(|version| !version.is_interim)
                    .map(|version| entry(version, path))
                    .collect(),
                feed: (owner == Owner::Instance).then(|| "/privacy/feed.xml".to_owned()),
                style: Some("/privacy/style.css".to_owned()),
            };
            Ok(published("text/html; charset=utf-8", notice.to_page(&context, &evidence)))
        }
        Some(_) => Err(Problem::bad_request("format is html, md or json")),
    }
}

/// The version that is asked for; without a number the one that holds.
async fn version(app: &App, owner: Owner, epoch: Option<u32>) -> Answer<Held> {
    match epoch {
        Some(epoch) => app.policies.version(owner, PolicyEpoch(epoch)).await?.ok_or_else(absent),
        None => app.policies.own(owner).map(|held| Held::clone(&held)).ok_or_else(absent),
    }
}

fn day(version: &Version) -> String {
    version.effective_at.to_string().chars().take(10).collect()
}

fn entry(version: &Version, path: &str) -> VersionEntry {
    VersionEntry {
        version: version.epoch.0.to_string(),
        hash: version.hash.clone(),
        published: version.applied_at.to_string(),
        effective: Some(day(version)),
        summary: String::new(),
        path: format!("{path}?version={}", version.epoch.0),
    }
}

async fn feed(State(app): State<Arc<App>>, headers: http::HeaderMap) -> Answer<Response> {
    let versions = app.policies.versions(Owner::Instance).await?;
    let entries: Vec<VersionEntry> = versions
        .iter()
        .filter(|version| !version.is_interim)
        .map(|version| entry(version, "/privacy"))
        .collect();
    Ok(published("application/atom+xml", notice::feed(&entries, &app.base_for(&headers))))
}

async fn record(State(app): State<Arc<App>>) -> Answer<Response> {
    let held = version(&app, Owner::Instance, None).await?;
    Ok(published("application/ld+json", notice::record_of_processing(&held.resolved.policy).to_string()))
}

async fn subprocessors(State(app): State<Arc<App>>) -> Answer<Response> {
    let held = version(&app, Owner::Instance, None).await?;
    Ok(published("application/json", notice::subprocessors(&held.resolved.policy).to_string()))
}

/// See <https://w3c.github.io/gpc/>, "GPC support resource".
async fn gpc(State(app): State<Arc<App>>) -> Answer<Response> {
    let held = version(&app, Owner::Instance, None).await?;
    Ok(published("application/json", notice::gpc(&held.resolved.policy, &day(&held.version)).to_string()))
}

async fn schema() -> Response {
    published("application/schema+json", candor_policy::json_schema())
}

async fn style() -> Response {
    published("text/css; charset=utf-8", notice::STYLE.to_owned())
}

/// Two versions of the instance's policy, by their epochs.
#[derive(Deserialize)]
struct Compared {
    from: u32,
    to: u32,
    lang: Option<String>,
}

async fn compare(State(app): State<Arc<App>>, Params(asked): Params<Compared>) -> Answer<Response> {
    let language = asked.lang.as_deref().and_then(Language::by_code).unwrap_or(Language::En);
    let old = version(&app, Owner::Instance, Some(asked.from)).await?;
    let new = version(&app, Owner::Instance, Some(asked.to)).await?;
    let read = |held: &Held| notice::compile(&held.resolved.policy, language);
    let sentences: Value = json!(notice::compare(&read(&old), &read(&new)));
    let keys: Value = json!(candor_policy::diff(&old.resolved.policy, &new.resolved.policy));
    Ok(published("application/json", json!({ "sentences": sentences, "keys": keys }).to_string()))
}

fn published(kind: &'static str, body: String) -> Response {
    let mut response = (StatusCode::OK, body).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}
