//! `candor demo`: a small shop, for a first look.
//!
//! Three services over a few hours of back-dated time, sent through the wire protocols that real clients speak:
//! OTLP over HTTP for logs and traces, Sentry envelopes, Logflare's and Better Stack's JSON. Nothing is written past
//! the gate, so what the page shows of it is what the gate lets through: the planted card numbers and e-mail
//! addresses come out as chips and codes.

mod dice;
mod shop;
mod wire;

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};
use candor_model::{Clock, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::client::{Client, segment};
use crate::data_dir;
use crate::output;
use crate::sources::{CLOCK_FILE_VARIABLE, WallClock};
use dice::Dice;
use shop::Shop;
use wire::Wire;

/// Visits a minute at the quietest and at the busiest: enough for curves, little enough for a minute of sending.
const VISITS_PER_MINUTE: (u64, u64) = (3, 14);

/// Longest span, seconds: a week.
const SPAN_SECONDS_MAX: i64 = 7 * 86_400;

/// What was sent.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Sent {
    logs: u64,
    spans: u64,
    errors: u64,
}

/// Makes the project if it is missing and fills it.
pub async fn run(client: &Client, arguments: &DemoArgs, as_json: bool) -> Result<()> {
    let span = arguments.span.0.clamp(60, SPAN_SECONDS_MAX);
    let keys = keys(client, &arguments.project).await?;
    let now = clock(client)?.now();
    let begin = Timestamp(now.0 - span * Timestamp::SECOND);
    let mut shop = Shop::new(Dice::new(arguments.seed));
    let mut wire = Wire::new(client, keys);
    let minutes = span / 60;
    for minute in 0..minutes {
        let at = begin.plus_seconds(minute * 60);
        for _ in 0..visits_at(minute, minutes, &mut shop.dice) {
            let moment = Timestamp(at.0 + shop.dice.below(60_000_000) as i64);
            shop.visit(moment, minute as f64 / minutes as f64, &mut wire);
        }
        shop.background(at, &mut wire);
        wire.send_when_full().await?;
        if minute % 5 == 0 {
            progress(minute, minutes, wire.sent);
        }
    }
    let sent = wire.finish().await?;
    progress(minutes, minutes, sent);
    if std::io::stderr().is_terminal() {
        eprintln!();
    }
    if as_json {
        return output::json(&json!({
            "project": arguments.project, "logs": sent.logs, "spans": sent.spans, "errors": sent.errors,
        }));
    }
    output::line(&format!(
        "{} log records, {} spans and {} errors are in project {}: {}/app/{}/explore",
        sent.logs,
        sent.spans,
        sent.errors,
        arguments.project,
        client.screen(),
        segment(&arguments.project)
    ))
}

/// The server's clock: shifted with it in a data dir made for tests.
fn clock(client: &Client) -> Result<WallClock> {
    let shifted = match client.data_dir() {
        Some(root) => data_dir::has_test_clock(root)?,
        None => false,
    };
    let file = std::env::var_os(CLOCK_FILE_VARIABLE).filter(|_| shifted);
    Ok(file.map_or_else(WallClock::system, |file| WallClock::shifted_by(file.into())))
}

/// Traffic swells and ebbs over the span, as it does over a day.
fn visits_at(minute: i64, minutes: i64, dice: &mut Dice) -> u64 {
    let (least, most) = VISITS_PER_MINUTE;
    let phase = minute as f64 / minutes.max(1) as f64 * std::f64::consts::TAU;
    let level = (1.0 - phase.cos()) / 2.0;
    let mean = least as f64 + (most - least) as f64 * level;
    mean as u64 + dice.below(3)
}

/// The project's keys: of a new project, or new ones of the present one, whose old keys go on for a day.
async fn keys(client: &Client, project: &str) -> Result<wire::Keys> {
    let projects = client.call(Method::GET, "/api/v1/projects", None).await?;
    let name = project.rsplit('/').next().unwrap_or(project);
    let exists = projects
        .as_array()
        .into_iter()
        .flatten()
        .any(|found| found.get("name").and_then(Value::as_str) == Some(name));
    let answer = if exists {
        let path = format!("/api/v1/projects/{}/rotate-keys", segment(project));
        client.call(Method::POST, &path, Some(&json!({}))).await?
    } else {
        client.call(Method::POST, "/api/v1/projects", Some(&json!({ "name": project }))).await?
    };
    let text = |name: &str| answer.get(name).and_then(Value::as_str).map(str::to_owned);
    let dsn = text("dsn").context("the server gave no DSN")?;
    let public =
        dsn.split("://").nth(1).and_then(|rest| rest.split('@').next()).unwrap_or_default().to_owned();
    let number = answer.get("number").and_then(Value::as_i64).context("the server gave no project number")?;
    Ok(wire::Keys { number, public, ingest: text("ingest_token").context("the server gave no token")? })
}

fn progress(done: i64, of: i64, sent: Sent) {
    const WIDTH: i64 = 30;
    let terminal = std::io::stderr().is_terminal();
    if !terminal && done % 60 != 0 && done != of {
        return;
    }
    let filled = done * WIDTH / of.max(1);
    let bar: String = (0..WIDTH).map(|cell| if cell < filled { '█' } else { '░' }).collect();
    let percent = done * 100 / of.max(1);
    let counts = format!("{} logs, {} spans, {} errors", sent.logs, sent.spans, sent.errors);
    let mut err = std::io::stderr();
    let _ = if terminal {
        write!(err, "\r{bar} {percent:3}%  {counts}  ")
    } else {
        writeln!(err, "{percent:3}%  {counts}")
    };
}
