//! `candor setup`: the first account without a browser.

use std::io::Read;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::json;

use crate::cli::SetupArgs;
use crate::client::Client;
use crate::{files, output};

/// Makes the account.
pub async fn run(client: &Client, arguments: &SetupArgs, as_json: bool) -> Result<()> {
    let text = if arguments.password_file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(16 << 10)
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        text
    } else {
        files::read_text(&arguments.password_file).with_context(|| {
            format!(
                "cannot read {}\nname a file whose first line is the password",
                arguments.password_file.display()
            )
        })?
    };
    let password = text.lines().next().unwrap_or_default();
    if password.is_empty() {
        bail!("{} has no first line\nwrite the password into it", arguments.password_file.display());
    }
    let body = json!({ "email": arguments.email, "password": password, "org": arguments.org });
    let answer = client.call(Method::POST, "/api/v1/setup", Some(&body)).await?;
    if as_json {
        return output::json(&answer);
    }
    output::line(&format!("{} can sign in at {}/app/", arguments.email, client.screen()))
}
