//! `candor policy …`. Checking, comparing and rendering files needs no server.

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail};
use candor_policy::notice::{self, Evidence, Language, PageContext};
use candor_policy::{PRESETS, Policy, Resolved, Severity, preset};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::Global;
use crate::cli::policy::{Format, PolicyCommand, RenderArgs};
use crate::client::{Client, segment};
use crate::{files, output};

/// Runs the command.
pub async fn run(global: &Global, command: &PolicyCommand) -> Result<()> {
    match command {
        PolicyCommand::Check { file } => check(file, global.json),
        PolicyCommand::Diff { old, new } => diff(old, new, global.json),
        PolicyCommand::Presets { name } => presets(name.as_deref(), global.json),
        PolicyCommand::Render(arguments) => render(global, arguments).await,
        PolicyCommand::Import { file } => import(file, global.json),
        PolicyCommand::Schema => output::line(&candor_policy::json_schema()),
        PolicyCommand::Show { project } => {
            show(&Client::find(global)?, project.as_deref(), global.json).await
        }
        PolicyCommand::Apply { file, project } => {
            apply(&Client::find(global)?, file, project.as_deref(), global.json).await
        }
    }
}

/// A policy file, read; its faults are printed.
fn read(file: &Path) -> Result<Resolved> {
    let text = files::read_text(file).with_context(|| format!("cannot read {}", file.display()))?;
    candor_policy::read(&file.display().to_string(), &text).map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

fn check(file: &Path, as_json: bool) -> Result<()> {
    let text = files::read_text(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let (faults, resolved) = match candor_policy::read(&name, &text) {
        Ok(resolved) => (Vec::new(), Some(resolved)),
        Err(faults) => (faults, None),
    };
    let findings = resolved.as_ref().map(candor_policy::lint).unwrap_or_default();
    let refused = !faults.is_empty() || findings.iter().any(|finding| finding.severity == Severity::Error);
    let overrides = resolved.as_ref().map(|resolved| resolved.overrides.as_slice()).unwrap_or_default();
    if as_json {
        output::json(&json!({ "faults": faults, "findings": findings, "overrides": overrides }))?;
    } else {
        let mut out = String::new();
        // Writing to a text does not fail.
        for fault in &faults {
            let _ = writeln!(out, "{fault}");
        }
        for finding in &findings {
            let _ = writeln!(out, "{finding}");
        }
        if let Some(extends) = resolved.as_ref().and_then(|resolved| resolved.extends.as_deref()) {
            for one in overrides {
                let (place, line) = (&one.place.file, one.place.line);
                let says = match one.preset.is_null() {
                    true => format!("of which {extends} says nothing"),
                    false => format!("where {extends} says {}", one.preset),
                };
                let _ = writeln!(out, "{place}:{line}: {} = {}, {says}", one.key, one.file);
            }
        }
        if !refused {
            let _ = writeln!(out, "{name} may hold");
        }
        output::line(out.trim_end())?;
    }
    if refused {
        bail!("{name} may not hold: see above");
    }
    Ok(())
}

/// Prints the page. Figures stand on the server's page alone.
async fn render(global: &Global, arguments: &RenderArgs) -> Result<()> {
    let policy: Policy = match &arguments.file {
        Some(file) => read(file)?.policy,
        None => {
            let client = Client::find(global)?;
            let answer = client.call(Method::GET, &path(arguments.project.as_deref()), None).await?;
            let policy = answer.pointer("/in_force/policy").cloned().unwrap_or_default();
            serde_json::from_value(policy).context("the server named no policy: is it candor?")?
        }
    };
    let Some(language) = Language::by_code(&arguments.language) else {
        bail!("there is no page in {:?}\ngive en or de", arguments.language);
    };
    let (notice, evidence) = (notice::compile(&policy, language), Evidence::new());
    let context = PageContext { hash: policy.hash(), ..PageContext::default() };
    match arguments.format {
        _ if global.json => output::json(&notice.to_json(&evidence)),
        Format::Json => output::json(&notice.to_json(&evidence)),
        Format::Md => output::line(notice.to_markdown(&evidence).trim_end()),
        Format::Html => output::line(notice.to_page(&context, &evidence).trim_end()),
    }
}

fn diff(old: &Path, new: &Path, as_json: bool) -> Result<()> {
    let (old, new) = (read(old)?, read(new)?);
    let changes = candor_policy::diff(&old.policy, &new.policy);
    if as_json {
        return output::json(&json!(changes));
    }
    output::line(&listed(&json!(changes)))
}

fn presets(name: Option<&str>, as_json: bool) -> Result<()> {
    match name {
        Some(name) => match preset(name) {
            Some(text) if as_json => output::json(&json!({ "name": name, "source": text })),
            Some(text) => output::line(text.trim_end()),
            None => bail!("there is no preset {name:?}\nsee `candor policy presets`"),
        },
        None if as_json => output::json(&json!(PRESETS)),
        None => {
            let lines: Vec<String> =
                PRESETS.iter().map(|preset| format!("{:<24} {}", preset.name, preset.what)).collect();
            output::line(&lines.join("\n"))
        }
    }
}

/// Prints the rules; what they cannot say goes to standard error, so that the output can be put into a policy.
fn import(file: &Path, as_json: bool) -> Result<()> {
    let text = files::read_text(file).with_context(|| format!("cannot read {}", file.display()))?;
    let name = file.display().to_string();
    let imported = candor_policy::import_sentry(&name, &text);
    if as_json {
        output::json(&json!({ "source": imported.toml, "faults": imported.faults }))?;
    } else {
        for fault in &imported.faults {
            eprintln!("{fault}");
        }
        if !imported.toml.trim().is_empty() {
            output::line(imported.toml.trim_end())?;
        }
    }
    if !imported.toml.contains("[[scrub.rule]]") {
        bail!("{name} holds no rule that a policy can say");
    }
    Ok(())
}

fn path(project: Option<&str>) -> String {
    project.map_or_else(
        || "/api/v1/policy".to_owned(),
        |project| format!("/api/v1/policy?project={}", segment(project)),
    )
}

async fn show(client: &Client, project: Option<&str>, as_json: bool) -> Result<()> {
    let answer = client.call(Method::GET, &path(project), None).await?;
    if as_json {
        return output::json(&answer);
    }
    let version = |name: &str| answer.get(name).filter(|version| !version.is_null());
    let text = |version: &Value, name: &str| {
        version.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let epoch = |version: &Value| version.get("epoch").and_then(Value::as_i64).unwrap_or_default();
    if let Some(held) = version("in_force") {
        eprintln!(
            "in force: epoch {}, since {}, applied by {}",
            epoch(held),
            text(held, "activated_at"),
            text(held, "applied_by")
        );
        output::line(text(held, "source").trim_end())?;
    }
    if let Some(next) = version("announced") {
        eprintln!(
            "announced: epoch {}, begins {}: `candor policy diff` tells what it changes",
            epoch(next),
            text(next, "effective_at")
        );
    }
    Ok(())
}

async fn apply(client: &Client, file: &Path, project: Option<&str>, as_json: bool) -> Result<()> {
    let text = files::read_text(file).with_context(|| format!("cannot read {}", file.display()))?;
    let body = json!({ "project": project, "name": file.display().to_string(), "source": text });
    let answer = client.call(Method::PUT, "/api/v1/policy", Some(&body)).await?;
    if as_json {
        return output::json(&answer);
    }
    let changes = answer.get("changes").cloned().unwrap_or_default();
    output::line(&listed(&changes))?;
    let field = |version: &str, name: &str| {
        answer.pointer(&format!("/{version}/{name}")).cloned().unwrap_or_default()
    };
    eprintln!("in force: epoch {}", field("in_force", "epoch"));
    if let Some(at) = field("announced", "effective_at").as_str() {
        eprintln!(
            "announced: epoch {}, begins {at}: what loosens waits for the notice period",
            field("announced", "epoch")
        );
    }
    Ok(())
}

/// Changes, a line each.
fn listed(changes: &Value) -> String {
    let changes = changes.as_array().map(Vec::as_slice).unwrap_or_default();
    if changes.is_empty() {
        return "nothing changes".to_owned();
    }
    let line = |change: &Value| {
        let text = |name: &str| change.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let value = |name: &str| {
            change
                .get(name)
                .filter(|value| !value.is_object())
                .map(Value::to_string)
                .unwrap_or_else(|| "…".to_owned())
        };
        format!("{:<10} {}: {} -> {}", text("class"), text("key"), value("old"), value("new"))
    };
    changes.iter().map(line).collect::<Vec<_>>().join("\n")
}
