//! Personal tokens: what scripts and `--token` use.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use candor_people::{PersonalToken, User};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Body;
use crate::app::App;
use crate::http::problem::Answer;
use crate::http::{Caller, Problem};

fn person(caller: &Caller) -> Answer<&User> {
    caller.user().ok_or_else(|| Problem::forbidden("tokens belong to a person: sign in"))
}

/// A token must not make tokens: a leaked one would outlive its revocation.
fn person_in_session(caller: &Caller) -> Answer<&User> {
    match caller {
        Caller::Session(user) => Ok(user),
        _ => Err(Problem::forbidden("only a signed-in person makes and revokes tokens")),
    }
}

fn shown(token: &PersonalToken) -> Value {
    json!({
        "id": token.id,
        "name": token.name,
        "hint": token.hint,
        "created_at": token.created.to_string(),
        "expires_at": token.expires.map(|at| at.to_string()),
        "used_at": token.used.map(|at| at.to_string()),
    })
}

/// `GET /api/v1/tokens`.
pub async fn list(caller: Caller, State(app): State<Arc<App>>) -> Answer<Json<Value>> {
    let tokens = app.people.tokens(person(&caller)?).await?;
    Ok(Json(Value::Array(tokens.iter().map(shown).collect())))
}

/// The body of `POST /api/v1/tokens`.
#[derive(Deserialize)]
pub struct Create {
    name: String,
    ttl_seconds: Option<i64>,
}

/// `POST /api/v1/tokens`: the answer holds the secret, once.
pub async fn create(
    caller: Caller,
    State(app): State<Arc<App>>,
    Body(body): Body<Create>,
) -> Answer<(StatusCode, Json<Value>)> {
    let user = person_in_session(&caller)?;
    let (token, secret) = app.people.create_token(user, &body.name, body.ttl_seconds).await?;
    let mut out = shown(&token);
    if let Some(object) = out.as_object_mut() {
        object.insert("token".to_owned(), secret.into());
    }
    Ok((StatusCode::CREATED, Json(out)))
}

/// `DELETE /api/v1/tokens/{id}`.
pub async fn revoke(caller: Caller, State(app): State<Arc<App>>, Path(id): Path<i64>) -> Answer<StatusCode> {
    let user = person_in_session(&caller)?;
    if app.people.revoke_token(user, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("you have no token of that number"))
    }
}
