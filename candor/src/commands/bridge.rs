//! `candor bridge …`.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Value, json};

use super::password;
use crate::cli::bridge::{BridgeCommand, CreateArgs, Mechanism, NamedArgs, Start};
use crate::client::{Client, segment};
use crate::{files, output};

/// Runs the command.
pub async fn run(client: &Client, command: &BridgeCommand, as_json: bool) -> Result<()> {
    match command {
        BridgeCommand::Create(arguments) => {
            let (method, path) = if arguments.replace {
                (Method::PUT, path_of(&arguments.name, &arguments.project))
            } else {
                (Method::POST, all(&arguments.project))
            };
            let made = client.call(method, &path, Some(&spec(arguments)?)).await?;
            if as_json {
                return output::json(&made);
            }
            output::line(&format!(
                "{} mirrors from now on; see it with: candor bridge show {} --project {}",
                arguments.name, arguments.name, arguments.project
            ))
        }
        BridgeCommand::List { project } => {
            let answer = client.call(Method::GET, &all(project), None).await?;
            if as_json {
                return output::json(&answer);
            }
            for bridge in answer.as_array().into_iter().flatten() {
                print_line(bridge)?;
            }
            Ok(())
        }
        BridgeCommand::Show(named) => {
            let bridge = client.call(Method::GET, &one(named), None).await?;
            if as_json { output::json(&bridge) } else { print(&bridge) }
        }
        BridgeCommand::Pause(named) => hold(client, named, "pause", as_json).await,
        BridgeCommand::Resume(named) => hold(client, named, "resume", as_json).await,
        BridgeCommand::Delete(named) => {
            let answer = client.call(Method::DELETE, &one(named), None).await?;
            let left = answer.get("group_left").and_then(Value::as_str);
            if let Some(group) = left {
                eprintln!("The group {group} could not be removed at the target: delete it there.");
            }
            if as_json {
                return output::json(&json!({ "deleted": named.name, "group_left": left }));
            }
            output::line(&format!("{} is deleted; what it mirrored stays", named.name))
        }
    }
}

fn all(project: &str) -> String {
    format!("/api/v1/streams/bridges?project={}", segment(project))
}

fn one(named: &NamedArgs) -> String {
    path_of(&named.name, &named.project)
}

fn path_of(name: &str, project: &str) -> String {
    format!("/api/v1/streams/bridges/{}?project={}", segment(name), segment(project))
}

async fn hold(client: &Client, named: &NamedArgs, act: &str, as_json: bool) -> Result<()> {
    let (name, project) = (segment(&named.name), segment(&named.project));
    let path = format!("/api/v1/streams/bridges/{name}/{act}?project={project}");
    let bridge = client.call(Method::POST, &path, None).await?;
    if as_json { output::json(&bridge) } else { print_line(&bridge) }
}

fn spec(arguments: &CreateArgs) -> Result<Value> {
    let (direction, bootstrap) =
        if arguments.from.is_empty() { ("push", &arguments.to) } else { ("pull", &arguments.from) };
    let ca = match &arguments.ca {
        Some(path) => Some(files::read_text(path).with_context(|| {
            format!("cannot read {}\nname a file of certificates in PEM form", path.display())
        })?),
        None => None,
    };
    let sasl = match (arguments.sasl, &arguments.username, &arguments.password_file) {
        (None, _, _) => None,
        (Some(_), _, None) if !arguments.replace => bail!("--sasl takes --password-file"),
        (Some(mechanism), Some(username), file) => {
            let password = file.as_deref().map(password).transpose()?;
            let mechanism = match mechanism {
                Mechanism::Plain => "PLAIN",
                Mechanism::ScramSha256 => "SCRAM-SHA-256",
                Mechanism::ScramSha512 => "SCRAM-SHA-512",
            };
            Some(json!({ "mechanism": mechanism, "username": username, "password": password }))
        }
        _ => bail!("--sasl takes --username"),
    };
    let start = match arguments.start {
        Start::Earliest => "earliest",
        Start::Latest => "latest",
    };
    Ok(json!({
        "name": arguments.name,
        "direction": direction,
        "bootstrap": bootstrap,
        "tls": arguments.tls || ca.is_some(),
        "ca": ca,
        "sasl": sasl,
        "topics": arguments.topics,
        "exclude": arguments.exclude,
        "prefix": arguments.prefix,
        "groups": arguments.groups,
        "start": start,
    }))
}

fn text<'a>(of: &'a Value, name: &str) -> &'a str {
    of.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(of: &Value, name: &str) -> i64 {
    of.get(name).and_then(Value::as_i64).unwrap_or_default()
}

fn list<'a>(of: &'a Value, name: &str) -> &'a [Value] {
    of.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn print_line(bridge: &Value) -> Result<()> {
    let servers: Vec<&str> = list(bridge, "bootstrap").iter().filter_map(Value::as_str).collect();
    let way = if text(bridge, "direction") == "pull" { "from" } else { "to" };
    output::line(&format!(
        "{:<20} {:<8} {way} {}  topics {}, lag {}, records {}",
        text(bridge, "name"),
        text(bridge, "state"),
        servers.join(","),
        list(bridge, "mirrored").len(),
        number(bridge, "lag"),
        number(bridge, "records"),
    ))?;
    match text(bridge, "error") {
        "" => Ok(()),
        error => output::line(&format!("    {error}")),
    }
}

fn print(bridge: &Value) -> Result<()> {
    print_line(bridge)?;
    for topic in list(bridge, "mirrored") {
        let target = match text(topic, "target") {
            target if target == text(topic, "source") => String::new(),
            target => format!(" as {target}"),
        };
        let skipped = match number(topic, "skipped") {
            0 => String::new(),
            skipped => format!(", {skipped} offsets were deleted at the source before they were mirrored"),
        };
        let said = match text(topic, "error") {
            "" => {
                format!(
                    "{} partitions, lag {}{skipped}",
                    list(topic, "partitions").len(),
                    number(topic, "lag")
                )
            }
            error => error.to_owned(),
        };
        output::line(&format!("    topic {}{target}: {said}", text(topic, "source")))?;
    }
    for group in list(bridge, "mirrored_groups") {
        let said = match text(group, "error") {
            "" => format!("{} partitions", number(group, "partitions")),
            error => error.to_owned(),
        };
        output::line(&format!("    group {}: {said}", text(group, "group")))?;
    }
    match text(bridge, "groups_error") {
        "" => Ok(()),
        error => output::line(&format!("    groups: {error}")),
    }
}
