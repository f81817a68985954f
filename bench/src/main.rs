//! Load and data for the benchmarks: one generator, one sender, and the bare disk to compare with.
//!
//! Payloads are made beforehand and sent as they lie, so that the client costs little beside the server on the same
//! two cores. `bench/run.py` drives this and the peers, interleaved.
#![allow(clippy::disallowed_methods, reason = "a tool beside the product")]

mod data;
mod disk;
mod put;
mod send;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Load and data for Candor's benchmarks")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Writes payloads (`otlp/*.pb`, `json/*.json`) and the same rows as `rows.parquet` for the peers.
    Generate {
        /// Rows in all.
        #[arg(long, default_value_t = 5_000_000)]
        rows: usize,
        /// Rows a payload.
        #[arg(long, default_value_t = 4_000)]
        batch: usize,
        /// Where to.
        #[arg(long)]
        out: PathBuf,
    },
    /// Sends every file of a folder, each once, and prints rate and latency as JSON.
    Send {
        /// `http://127.0.0.1:8080/v1/logs`.
        #[arg(long)]
        url: String,
        /// The ingest token.
        #[arg(long)]
        token: String,
        /// The folder.
        #[arg(long)]
        dir: PathBuf,
        /// Connections, each with one request at a time.
        #[arg(long, default_value_t = 8)]
        connections: usize,
        /// Stop after this many files.
        #[arg(long)]
        files: Option<usize>,
    },
    /// Appends one small record after the other on one connection and prints latencies as JSON.
    Small {
        /// `http://127.0.0.1:8080/v1/logs`.
        #[arg(long)]
        url: String,
        /// The ingest token.
        #[arg(long)]
        token: String,
        /// How many.
        #[arg(long, default_value_t = 500)]
        count: usize,
        /// Milliseconds to wait before each.
        #[arg(long, default_value_t = 0)]
        pause_ms: u64,
    },
    /// Puts 4 KiB under a new key of S3, over and over, and prints latencies as JSON.
    Put {
        /// `s3://bucket/prefix`.
        #[arg(long)]
        url: String,
        /// How many.
        #[arg(long, default_value_t = 100)]
        count: usize,
        /// Milliseconds to wait before each.
        #[arg(long, default_value_t = 0)]
        pause_ms: u64,
    },
    /// Appends 4 KiB and fdatasyncs, over and over, and prints latencies as JSON.
    Disk {
        /// A folder on the disk that the server writes to.
        #[arg(long)]
        dir: PathBuf,
        /// How many.
        #[arg(long, default_value_t = 500)]
        count: usize,
    },
    /// One small record every `every_s` for each token of a file, for `seconds`.
    Tenants {
        /// `http://127.0.0.1:8080/v1/logs`.
        #[arg(long)]
        url: String,
        /// One ingest token a line.
        #[arg(long)]
        tokens: PathBuf,
        /// Seconds between records of a project.
        #[arg(long, default_value_t = 10)]
        every_s: u64,
        /// How long.
        #[arg(long, default_value_t = 600)]
        seconds: u64,
    },
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Generate { rows, batch, out } => data::generate(rows, batch, &out),
        Command::Send { url, token, dir, connections, files } => {
            send::folder(&url, &token, &dir, connections, files)
        }
        Command::Small { url, token, count, pause_ms } => {
            send::small(&url, &token, count, Duration::from_millis(pause_ms))
        }
        Command::Put { url, count, pause_ms } => put::bare(&url, count, Duration::from_millis(pause_ms)),
        Command::Disk { dir, count } => disk::bare(&dir, count),
        Command::Tenants { url, tokens, every_s, seconds } => send::tenants(&url, &tokens, every_s, seconds),
    }
}

/// Percentiles of latencies in milliseconds, as JSON members.
fn latencies(mut millis: Vec<f64>) -> serde_json::Value {
    millis.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let index = ((millis.len() as f64 * share) as usize).min(millis.len().saturating_sub(1));
        millis.get(index).copied().unwrap_or(0.0)
    };
    serde_json::json!({ "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "max_ms": at(1.0) })
}
