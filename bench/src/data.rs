//! Log rows as services write them: Zipf-skewed services, four levels, traces over neighbours, five templates.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use arrow::array::{ArrayRef, Int32Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use candor_model::Random;
use candor_model::random::Seeded;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use parquet::arrow::ArrowWriter;
use prost::Message;

const SERVICES: usize = 40;
const HOSTS: u64 = 200;
const SPAN_US: i64 = 12 * 3600 * 1_000_000;
/// The last row's time: fixed, so that two runs make the same bytes.
const END_US: i64 = 1_790_000_000_000_000;
const LEVELS: [(&str, i32, u64); 4] = [("DEBUG", 5, 15), ("INFO", 9, 70), ("WARN", 13, 10), ("ERROR", 17, 5)];
const REGIONS: [&str; 5] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-south-1"];
const METHODS: [&str; 4] = ["GET", "GET", "POST", "PUT"];
const ROUTES: [&str; 6] = ["/cart", "/pay", "/api/v1/orders", "/login", "/search", "/healthz"];
const STATUS: [&str; 6] = ["200", "200", "200", "204", "404", "500"];

pub struct Row {
    pub time_us: i64,
    pub service: usize,
    pub level: usize,
    pub host: u64,
    pub trace: [u8; 16],
    pub body: String,
    pub attributes: [(&'static str, String); 6],
}

/// Rows in time order, the same for the same seed.
pub struct Rows {
    random: Seeded,
    zipf: Vec<f64>,
    total: usize,
    next: usize,
    trace: [u8; 16],
}

impl Rows {
    pub fn new(total: usize) -> Rows {
        let weights: Vec<f64> = (1..=SERVICES).map(|rank| 1.0 / rank as f64).collect();
        let sum: f64 = weights.iter().sum();
        let zipf = weights
            .iter()
            .scan(0.0, |acc, w| {
                *acc += w / sum;
                Some(*acc)
            })
            .collect();
        Rows { random: Seeded::new(7), zipf, total, next: 0, trace: [0; 16] }
    }

    fn below(&self, n: u64) -> u64 {
        self.random.next_u64() % n
    }

    fn pick<'a>(&self, list: &[&'a str]) -> &'a str {
        list.get(self.below(list.len() as u64) as usize).copied().unwrap_or_default()
    }
}

impl Iterator for Rows {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        if self.next >= self.total {
            return None;
        }
        let index = self.next;
        self.next += 1;
        if self.below(5) == 0 {
            self.random.fill(&mut self.trace);
        }
        let toss = self.below(1_000_000) as f64 / 1e6;
        let service = self.zipf.iter().position(|edge| toss < *edge).unwrap_or(SERVICES - 1);
        let mut dice = self.below(100);
        let level = LEVELS
            .iter()
            .position(|(_, _, weight)| {
                let hit = dice < *weight;
                dice = dice.saturating_sub(*weight);
                hit
            })
            .unwrap_or(1);
        let id = self.next_hex();
        let ip = format!("10.{}.{}.{}", self.below(256), self.below(256), self.below(256));
        let ms = self.below(5000);
        let mut body = match self.below(5) {
            0 => format!(
                "request {id} from {ip} to {} finished with status {} in {ms} ms",
                self.pick(&ROUTES),
                self.pick(&STATUS)
            ),
            1 => format!(
                "connection pool of shard {} has {} idle and {} waiting clients after {ms} ms, request {id}",
                self.below(64),
                self.below(100),
                self.below(20)
            ),
            2 => format!(
                "cache miss for key session:{id} on node {ip}, loaded {} bytes from the origin in {ms} ms",
                self.below(100_000)
            ),
            3 => format!(
                "retry {} of 5 for upstream {ip}:{} after timeout of {ms} ms while handling order {id}",
                self.below(5),
                8000 + self.below(1000)
            ),
            _ => format!(
                "scheduled job {id} processed {} records from queue {} and took {ms} ms on worker {}",
                self.below(10_000),
                self.below(32),
                self.below(16)
            ),
        };
        // 20 needles and 200 rare words, spread evenly whatever the total.
        if index % (self.total / 20).max(1) == (self.total / 40).max(1) {
            body.push_str(" zygomorphicfault");
        }
        if index % (self.total / 200).max(1) == (self.total / 400).max(1) {
            body.push_str(" quarantine");
        }
        Some(Row {
            time_us: END_US - SPAN_US + (index as i64 * SPAN_US) / self.total as i64,
            service,
            level,
            host: self.below(HOSTS),
            trace: self.trace,
            body,
            attributes: [
                ("region", self.pick(&REGIONS).to_owned()),
                ("http.method", self.pick(&METHODS).to_owned()),
                ("http.route", self.pick(&ROUTES).to_owned()),
                ("http.status", self.pick(&STATUS).to_owned()),
                ("pod", format!("pod-{:x}", self.below(4096))),
                ("build", format!("1.{}.{}", self.below(20), self.below(10))),
            ],
        })
    }
}

impl Rows {
    fn next_hex(&self) -> String {
        format!("{:016x}", self.random.next_u64())
    }
}

impl Row {
    fn service_name(&self) -> String {
        format!("service-{:02}", self.service)
    }

    fn level(&self) -> (&'static str, i32) {
        let (text, number, _) = LEVELS.get(self.level).copied().unwrap_or(("INFO", 9, 0));
        (text, number)
    }

    fn trace_hex(&self) -> String {
        self.trace.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

fn text(value: &str) -> Option<AnyValue> {
    Some(AnyValue { value: Some(Value::StringValue(value.to_owned())) })
}

fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: text(value), ..Default::default() }
}

/// One export request: a resource per service, as a collector batches.
fn otlp(rows: &[Row]) -> Vec<u8> {
    let mut resources: Vec<(usize, u64, Vec<LogRecord>)> = Vec::new();
    for row in rows {
        let (severity_text, severity_number) = row.level();
        let record = LogRecord {
            time_unix_nano: row.time_us as u64 * 1000,
            observed_time_unix_nano: row.time_us as u64 * 1000,
            severity_number,
            severity_text: severity_text.to_owned(),
            body: text(&row.body),
            attributes: row.attributes.iter().map(|(key, value)| pair(key, value)).collect(),
            trace_id: row.trace.to_vec(),
            ..Default::default()
        };
        match resources.iter_mut().find(|(service, host, _)| *service == row.service && *host == row.host) {
            Some((_, _, records)) => records.push(record),
            None => resources.push((row.service, row.host, vec![record])),
        }
    }
    let resource_logs = resources
        .into_iter()
        .map(|(service, host, log_records)| ResourceLogs {
            resource: Some(Resource {
                attributes: vec![
                    pair("service.name", &format!("service-{service:02}")),
                    pair("host.name", &format!("host-{host:03}")),
                ],
                ..Default::default()
            }),
            scope_logs: vec![ScopeLogs { log_records, ..Default::default() }],
            ..Default::default()
        })
        .collect();
    ExportLogsServiceRequest { resource_logs }.encode_to_vec()
}

/// JSON lines as a Logflare client batches them.
fn json(rows: &[Row]) -> Vec<u8> {
    let mut out = Vec::with_capacity(rows.len() * 400);
    for row in rows {
        let (level, _) = row.level();
        let mut metadata = serde_json::Map::new();
        metadata.insert("level".into(), level.into());
        metadata.insert("service".into(), row.service_name().into());
        metadata.insert("host".into(), format!("host-{:03}", row.host).into());
        metadata.insert("trace_id".into(), row.trace_hex().into());
        for (key, value) in &row.attributes {
            metadata.insert((*key).into(), value.clone().into());
        }
        let line = serde_json::json!({ "message": row.body, "timestamp": row.time_us, "metadata": metadata });
        out.extend_from_slice(line.to_string().as_bytes());
        out.push(b'\n');
    }
    out
}

fn columns(rows: &[Row]) -> anyhow::Result<RecordBatch> {
    let strings = |of: &dyn Fn(&Row) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(of)))
    };
    let attributes = |row: &Row| {
        let map: serde_json::Map<_, _> =
            row.attributes.iter().map(|(k, v)| ((*k).to_owned(), v.clone().into())).collect();
        serde_json::Value::Object(map).to_string()
    };
    let times =
        TimestampMicrosecondArray::from_iter_values(rows.iter().map(|row| row.time_us)).with_timezone("UTC");
    Ok(RecordBatch::try_from_iter([
        ("timestamp", Arc::new(times) as ArrayRef),
        ("severity_text", strings(&|row| row.level().0.to_owned())),
        (
            "severity_number",
            Arc::new(Int32Array::from_iter_values(rows.iter().map(|row| row.level().1))) as ArrayRef,
        ),
        ("service_name", strings(&Row::service_name)),
        ("host_name", strings(&|row| format!("host-{:03}", row.host))),
        ("trace_id", strings(&Row::trace_hex)),
        ("body", strings(&|row| row.body.clone())),
        ("attributes", strings(&attributes)),
    ])?)
}

/// Writes the payloads and the peers' Parquet.
pub fn generate(total: usize, batch: usize, out: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out.join("otlp")).context("cannot make the folder for payloads")?;
    fs::create_dir_all(out.join("json"))?;
    let mut rows = Rows::new(total);
    let mut writer: Option<ArrowWriter<fs::File>> = None;
    let mut number = 0;
    let (mut otlp_bytes, mut json_bytes) = (0, 0);
    loop {
        let chunk: Vec<Row> = rows.by_ref().take(batch).collect();
        if chunk.is_empty() {
            break;
        }
        let (as_otlp, as_json) = (otlp(&chunk), json(&chunk));
        otlp_bytes += as_otlp.len();
        json_bytes += as_json.len();
        fs::write(out.join(format!("otlp/{number:06}.pb")), as_otlp)?;
        fs::write(out.join(format!("json/{number:06}.json")), as_json)?;
        let columns = columns(&chunk)?;
        if writer.is_none() {
            writer = Some(ArrowWriter::try_new(
                fs::File::create(out.join("rows.parquet"))?,
                columns.schema(),
                None,
            )?);
        }
        if let Some(writer) = &mut writer {
            writer.write(&columns)?;
        }
        number += 1;
    }
    if let Some(writer) = writer {
        writer.close()?;
    }
    println!(
        "{}",
        serde_json::json!({ "rows": total, "payloads": number, "otlp_bytes": otlp_bytes, "json_bytes": json_bytes })
    );
    Ok(())
}
