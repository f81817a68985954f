//! `candor project …`.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::ProjectCommand;
use crate::client::{Client, segment};
use crate::output;

/// Runs the command.
pub async fn run(client: &Client, command: &ProjectCommand, as_json: bool) -> Result<()> {
    match command {
        ProjectCommand::Create { name } => {
            let answer =
                client.call(Method::POST, "/api/v1/projects", Some(&json!({ "name": name }))).await?;
            print_secrets(&answer, as_json)
        }
        ProjectCommand::List => {
            let answer = client.call(Method::GET, "/api/v1/projects", None).await?;
            if as_json {
                return output::json(&answer);
            }
            for project in answer.as_array().into_iter().flatten() {
                let text =
                    |name: &str| project.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let number = project.get("number").and_then(Value::as_i64).unwrap_or_default();
                output::line(&format!("{number:>6}  {}/{}", text("org"), text("name")))?;
            }
            Ok(())
        }
        ProjectCommand::Delete { name } => {
            client.call(Method::DELETE, &format!("/api/v1/projects/{}", segment(name)), None).await?;
            if as_json {
                return output::json(&json!({ "deleted": name }));
            }
            output::line(&format!("{name} is deleted"))
        }
        ProjectCommand::RotateKeys { name, grace } => {
            let path = format!("/api/v1/projects/{}/rotate-keys", segment(name));
            let answer = client.call(Method::POST, &path, Some(&json!({ "grace_seconds": grace.0 }))).await?;
            print_secrets(&answer, as_json)
        }
    }
}

fn print_secrets(answer: &Value, as_json: bool) -> Result<()> {
    if as_json {
        return output::json(answer);
    }
    let text = |name: &str| answer.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let number = answer.get("number").and_then(Value::as_i64).unwrap_or_default();
    output::line(&format!("project       {} (number {number})", text("name")))?;
    output::line(&format!("DSN           {}", text("dsn")))?;
    output::line(&format!("ingest token  {}", text("ingest_token")))?;
    eprintln!("The ingest token is shown this once. Both can only write.");
    Ok(())
}
