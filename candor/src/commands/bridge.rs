//! `candor bridge …`.

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::password;
use crate::cli::bridge::{BridgeCommand, CreateArgs, Mechanism, NamedArgs, Start};
use crate::client::{Client, segment};
use crate::{files, output};

/// What a bridge is told, beside its name.
const SPEC: [&str; 10] =
    ["direction", "bootstrap", "tls", "ca", "sasl", "topics", "exclude", "prefix", "start", "groups"];

/// Runs the command.
pub async fn run(client: &Client, command: &BridgeCommand, as_json: bool) -> Result<()> {
    match command {
        BridgeCommand::Create(arguments) => {
            let made = if arguments.replace {
                let path = path_of(&arguments.name, &arguments.project);
                let before = client.call(Method::GET, &path, None).await?;
                client.call(Method::PUT, &path, Some(&spec(arguments, before)?)).await?
            } else {
                let untold = json!({
                    "tls": false, "topics": ["*"], "exclude": [], "prefix": "", "groups": false,
                    "start": "earliest",
                });
                let told = spec(arguments, untold)?;
                client.call(Method::POST, &all(&arguments.project), Some(&told)).await?
            };
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

/// What a bridge is told by its flags; what they do not say is as `before`.
fn spec(arguments: &CreateArgs, mut before: Value) -> Result<Value> {
    let mut told = Map::new();
    told.insert("name".to_owned(), json!(arguments.name));
    for name in SPEC {
        told.insert(name.to_owned(), before.get_mut(name).map(Value::take).unwrap_or_default());
    }
    let mut tell = |name: &str, value: Value| told.insert(name.to_owned(), value);
    for (direction, servers) in [("pull", &arguments.from), ("push", &arguments.to)] {
        if !servers.is_empty() {
            tell("direction", json!(direction));
            tell("bootstrap", json!(servers));
        }
    }
    if !arguments.topics.is_empty() {
        tell("topics", json!(arguments.topics));
    }
    if let Some(exclude) = &arguments.exclude {
        tell("exclude", exclude.iter().filter(|name| !name.is_empty()).cloned().collect());
    }
    if let Some(prefix) = &arguments.prefix {
        tell("prefix", json!(prefix));
    }
    if let Some(groups) = arguments.groups {
        tell("groups", json!(groups));
    }
    if let Some(start) = arguments.start {
        tell("start", json!(if start == Start::Latest { "latest" } else { "earliest" }));
    }
    if let Some(tls) = arguments.tls {
        tell("tls", json!(tls));
        if !tls {
            tell("ca", Value::Null);
        }
    }
    if let Some(path) = &arguments.ca {
        let pem = files::read_text(path).with_context(|| {
            format!("cannot read {}\nname a file of certificates in PEM form", path.display())
        })?;
        tell("ca", json!(pem));
        tell("tls", json!(true));
    }
    let sasl = told.remove("sasl").unwrap_or_default();
    told.insert("sasl".to_owned(), login(arguments, sasl)?);
    Ok(Value::Object(told))
}

/// Who logs in, and as whom before.
fn login(arguments: &CreateArgs, before: Value) -> Result<Value> {
    let mechanism = match arguments.sasl {
        Some(Mechanism::None) => return Ok(Value::Null),
        Some(Mechanism::Plain) => json!("PLAIN"),
        Some(Mechanism::ScramSha256) => json!("SCRAM-SHA-256"),
        Some(Mechanism::ScramSha512) => json!("SCRAM-SHA-512"),
        None if before.is_null() => {
            if arguments.username.is_some() || arguments.password_file.is_some() {
                bail!("--username and --password-file take --sasl");
            }
            return Ok(Value::Null);
        }
        None => before.get("mechanism").cloned().unwrap_or_default(),
    };
    let known = before.get("username").and_then(Value::as_str);
    let Some(username) = arguments.username.as_deref().or(known) else { bail!("--sasl takes --username") };
    if arguments.password_file.is_none() && before.is_null() {
        bail!("--sasl takes --password-file");
    }
    let password = arguments.password_file.as_deref().map(password).transpose()?;
    Ok(json!({ "mechanism": mechanism, "username": username, "password": password }))
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
