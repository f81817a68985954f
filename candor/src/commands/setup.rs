//! `candor setup`: the first account without a browser.

use anyhow::Result;
use reqwest::Method;
use serde_json::json;

use super::password;
use crate::cli::SetupArgs;
use crate::client::Client;
use crate::output;

/// Makes the account.
pub async fn run(client: &Client, arguments: &SetupArgs, as_json: bool) -> Result<()> {
    let password = password(&arguments.password_file)?;
    let body = json!({ "email": arguments.email, "password": password, "org": arguments.org });
    let answer = client.call(Method::POST, "/api/v1/setup", Some(&body)).await?;
    if as_json {
        return output::json(&answer);
    }
    output::line(&format!("{} can sign in at {}/app/", arguments.email, client.screen()))
}
