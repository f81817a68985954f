//! `candor project …`.

use anyhow::Result;
use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::cli::{Keys, LimitsArgs, ProjectCommand};
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
        ProjectCommand::Sources { name } => {
            let path = format!("/api/v1/projects/{}", segment(name));
            let mut answer = client.call(Method::GET, &path, None).await?;
            let sources = answer.get_mut("sources").map(Value::take).unwrap_or_else(|| json!([]));
            if as_json {
                return output::json(&sources);
            }
            for source in sources.as_array().into_iter().flatten() {
                let text = |name: &str| source.get(name).and_then(Value::as_str).unwrap_or_default();
                output::line(&format!("{}  {}", text("id"), text("name")))?;
            }
            Ok(())
        }
        ProjectCommand::RotateKeys { name, grace } => {
            let path = format!("/api/v1/projects/{}/rotate-keys", segment(name));
            let answer = client.call(Method::POST, &path, Some(&json!({ "grace_seconds": grace.0 }))).await?;
            print_secrets(&answer, as_json)
        }
        ProjectCommand::Limits(arguments) => limits(client, arguments, as_json).await,
    }
}

/// Changes limits where some are named, and prints what holds then.
async fn limits(client: &Client, arguments: &LimitsArgs, as_json: bool) -> Result<()> {
    let path = format!("/api/v1/projects/{}", segment(&arguments.name));
    let mut change = Map::new();
    for (name, limit) in [
        ("requests_per_second", arguments.requests_per_second),
        ("bytes_per_second", arguments.bytes_per_second),
        ("bytes_per_day", arguments.bytes_per_day),
    ] {
        if let Some(limit) = limit {
            change.insert(name.to_owned(), json!(limit.0));
        }
    }
    let kind = arguments.keys.map(|keys| match keys {
        Keys::Dsn => "dsn",
        Keys::Ingest => "ingest",
    });
    let answer = if change.is_empty() {
        client.call(Method::GET, &path, None).await?
    } else {
        if let Some(kind) = kind {
            change.insert("kind".to_owned(), json!(kind));
        }
        client.call(Method::PUT, &format!("{path}/limits"), Some(&Value::Object(change))).await?
    };
    let keys = answer.get("keys").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_meant =
        |key: &&Value| kind.is_none_or(|kind| key.get("kind").and_then(Value::as_str) == Some(kind));
    let keys: Vec<&Value> = keys.iter().filter(is_meant).collect();
    if as_json {
        return output::json(&json!({ "keys": keys }));
    }
    for key in keys {
        let text = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let limit = |name: &str| {
            let limit = key.get("limits").and_then(|limits| limits.get(name)).and_then(Value::as_u64);
            limit.map_or_else(|| "off".to_owned(), |limit| limit.to_string())
        };
        let ends = match text("expires_at").as_str() {
            "" => String::new(),
            ends => format!(", replaced: ends {ends}"),
        };
        output::line(&format!(
            "{:<7} {}…  requests/s {}, bytes/s {}, bytes/day {}{ends}",
            text("kind"),
            text("hint"),
            limit("requests_per_second"),
            limit("bytes_per_second"),
            limit("bytes_per_day"),
        ))?;
    }
    Ok(())
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
