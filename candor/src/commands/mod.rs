//! What each command does: ask the server, print the result on standard output.

mod bridge;
mod lake;
mod policy;
mod project;
mod rows;
mod setup;
mod tail;

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use reqwest::Method;
use serde_json::json;

use crate::cli::{BackupCommand, Command, FlushArgs, Global, LakeCommand, VerifyCommand};
use crate::client::Client;
use crate::{backup, demo, files, output, verify};

/// Runs a command other than `serve`.
pub fn run(command: Command, global: &Global) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        match command {
            Command::Serve(_) => Ok(()),
            Command::Setup(arguments) => setup::run(&Client::find(global)?, &arguments, global.json).await,
            Command::Project(command) => project::run(&Client::find(global)?, &command, global.json).await,
            Command::Bridge(command) => bridge::run(&Client::find(global)?, &command, global.json).await,
            Command::Policy(command) => policy::run(global, &command).await,
            Command::Query(arguments) => rows::run(&Client::find(global)?, &arguments, global.json).await,
            Command::Flush(arguments) => flush(&Client::find(global)?, &arguments, global.json).await,
            Command::Tail(arguments) => tail::run(&Client::find(global)?, &arguments, global.json).await,
            Command::Lake(LakeCommand::Catalog { project, out, ttl }) => {
                lake::catalog(&Client::find(global)?, &project, &out, ttl.0, global.json).await
            }
            Command::Verify(VerifyCommand::Ledger { checkpoint, root_key, metadata }) => {
                let data_dir = global.data_dir.clone();
                let request = verify::ledger::Request { data_dir, checkpoint, root_key, metadata };
                verify::ledger::run(request, global.json).await
            }
            Command::Verify(VerifyCommand::Storage { decrypt_to, root_key, objects, metadata }) => {
                let request = verify::Request {
                    data_dir: global.data_dir.clone(),
                    decrypt_to,
                    root_key,
                    objects,
                    metadata,
                };
                verify::run(request, global.json).await
            }
            Command::Backup(BackupCommand::Create { dir }) => backup::command::create(global, &dir).await,
            Command::Backup(BackupCommand::Restore { dir, root_key }) => {
                backup::command::restore(global, &dir, root_key.as_deref()).await
            }
            Command::Demo(arguments) => demo::run(&Client::find(global)?, &arguments, global.json).await,
        }
    })
}

async fn flush(client: &Client, arguments: &FlushArgs, as_json: bool) -> Result<()> {
    let body = json!({ "project": arguments.project });
    let answer = client.call(Method::POST, "/api/v1/flush", Some(&body)).await?;
    if as_json {
        return output::json(&answer);
    }
    output::line(&answer.get("snapshot").map(ToString::to_string).unwrap_or_default())
}

/// The first line of a file, or of standard input for `-`.
fn password(file: &Path) -> Result<String> {
    let text = if file.as_os_str() == "-" {
        let mut text = String::new();
        std::io::stdin()
            .lock()
            .take(16 << 10)
            .read_to_string(&mut text)
            .context("cannot read standard input")?;
        text
    } else {
        files::read_text(file).with_context(|| {
            format!("cannot read {}\nname a file whose first line is the password", file.display())
        })?
    };
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => bail!("{} has no first line\nwrite the password into it", file.display()),
    }
}
