//! Sending: keep-alive connections, one request at a time each, every answer checked.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;

type Http = Client<HttpConnector, Full<Bytes>>;

fn client() -> Http {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new()).build(connector)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

/// Sends one body and insists on a success.
async fn post(http: &Http, url: &str, token: &str, media: &str, body: Bytes) -> anyhow::Result<f64> {
    let request = http::Request::post(url)
        .header("Authorization", format!("Bearer {token}"))
        .header("X-API-KEY", token)
        .header("Content-Type", media)
        .body(Full::new(body))?;
    let began = Instant::now();
    let answer = http.request(request).await.context("no answer")?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(status.is_success(), "{status}: {}", String::from_utf8_lossy(&body));
    Ok(began.elapsed().as_secs_f64() * 1e3)
}

fn media(path: &Path) -> &'static str {
    if path.extension().is_some_and(|end| end == "pb") {
        "application/x-protobuf"
    } else {
        "application/json"
    }
}

/// Sends every file of a folder once.
pub fn folder(
    url: &str,
    token: &str,
    dir: &Path,
    connections: usize,
    limit: Option<usize>,
) -> anyhow::Result<()> {
    let mut files: Vec<_> =
        std::fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<_>>()?;
    files.sort();
    files.truncate(limit.unwrap_or(usize::MAX));
    let files = Arc::new(files);
    let next = Arc::new(AtomicUsize::new(0));
    runtime()?.block_on(async {
        let began = Instant::now();
        let mut workers = Vec::new();
        for _ in 0..connections {
            let (files, next, http) = (Arc::clone(&files), Arc::clone(&next), client());
            let (url, token) = (url.to_owned(), token.to_owned());
            workers.push(tokio::spawn(async move {
                let (mut bytes, mut millis) = (0, Vec::new());
                while let Some(path) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let body = Bytes::from(std::fs::read(path)?);
                    bytes += body.len();
                    millis.push(post(&http, &url, &token, media(path), body).await?);
                }
                anyhow::Ok((bytes, millis))
            }));
        }
        let (mut bytes, mut millis) = (0, Vec::new());
        for worker in workers {
            let (b, m) = worker.await??;
            bytes += b;
            millis.extend(m);
        }
        let seconds = began.elapsed().as_secs_f64();
        let mb = bytes as f64 / 1e6;
        println!(
            "{}",
            serde_json::json!({ "requests": millis.len(), "mb": mb, "seconds": seconds, "mb_per_s": mb / seconds, "latency": crate::latencies(millis) })
        );
        Ok(())
    })
}

fn one_record(index: usize) -> Bytes {
    Bytes::from(
        serde_json::json!({ "resourceLogs": [{ "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "small" } }] },
            "scopeLogs": [{ "logRecords": [{ "severityNumber": 9, "body": { "stringValue": format!("small append {index}") } }] }] }] })
        .to_string(),
    )
}

/// One small record after the other, with a pause before each.
pub fn small(url: &str, token: &str, count: usize, pause: Duration) -> anyhow::Result<()> {
    runtime()?.block_on(async {
        let http = client();
        let mut millis = Vec::with_capacity(count);
        for index in 0..count {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            millis.push(post(&http, url, token, "application/json", one_record(index)).await?);
        }
        println!("{}", serde_json::json!({ "appends": count, "latency": crate::latencies(millis) }));
        Ok(())
    })
}

/// Many quiet projects: each sends one record every `every_s`, evenly spread.
pub fn tenants(url: &str, tokens: &Path, every_s: u64, seconds: u64) -> anyhow::Result<()> {
    let tokens: Vec<String> = std::fs::read_to_string(tokens)?.lines().map(str::to_owned).collect();
    ensure!(!tokens.is_empty(), "no tokens");
    runtime()?.block_on(async {
        let http = client();
        let step = Duration::from_secs(every_s) / tokens.len() as u32;
        let mut ticks = tokio::time::interval(step);
        let began = Instant::now();
        let (mut sent, mut millis) = (0, Vec::new());
        while began.elapsed() < Duration::from_secs(seconds) {
            ticks.tick().await;
            let Some(token) = tokens.get(sent % tokens.len()) else { break };
            millis.push(post(&http, url, token, "application/json", one_record(sent)).await?);
            sent += 1;
        }
        println!(
            "{}",
            serde_json::json!({ "projects": tokens.len(), "records": sent, "seconds": began.elapsed().as_secs_f64(), "latency": crate::latencies(millis) })
        );
        Ok(())
    })
}
