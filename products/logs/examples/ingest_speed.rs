//! Prints what each stage of ingest costs before the log takes over: `cargo run --release -p candor-logs --example
//! ingest_speed [FILE…]`. `.pb` is an OTLP request, `.json` a Logflare body of JSON lines, `.otlp.json` an OTLP request
//! in JSON. Without files, lines and a request are generated. The gate is measured by the policy that holds where none
//! says otherwise, by the preset `strict`, and by a policy without a rule, which exists here alone.

use std::sync::Arc;

use candor_gate::{Compiled, Gate, codec, compile};
use candor_keyring::{Keyring, RootKey};
use candor_logs::{logflare, otlp};
use candor_meta::{Database, KeyKind, Tenancy, WriteScope};
use candor_model::random::Seeded;
use candor_model::time::ManualClock;
use candor_model::{Incoming, LogRecord, Origin, PolicyEpoch, Random, Records, Timestamp};
use candor_scrub::Rules;
use candor_testbed::speed::megabytes_a_second;

/// When it all happens.
const NOW: Timestamp = Timestamp(1_790_000_000_000_000);

fn main() {
    let gates = gates();
    let scope = scope();
    let files: Vec<String> = std::env::args().skip(1).collect();
    for file in &files {
        // An example is no part of the product: it may read files by itself.
        #[allow(clippy::disallowed_methods)]
        match std::fs::read(file) {
            Ok(body) => measure(file, &body, parser(file), &gates, &scope),
            Err(error) => eprintln!("{file}: {error}"),
        }
    }
    if files.is_empty() {
        measure("generated JSON lines", lines().as_bytes(), of_lines, &gates, &scope);
        measure("generated OTLP in JSON", request().as_bytes(), of_otlp_json, &gates, &scope);
    }
}

type Parse = fn(&[u8]) -> Vec<LogRecord>;

fn parser(file: &str) -> Parse {
    match file {
        _ if file.ends_with(".pb") => of_otlp,
        _ if file.ends_with(".otlp.json") => of_otlp_json,
        _ => of_lines,
    }
}

fn of_otlp(body: &[u8]) -> Vec<LogRecord> {
    otlp::binary::logs(body).map(|records| records.flatten().collect()).unwrap_or_default()
}

fn of_otlp_json(body: &[u8]) -> Vec<LogRecord> {
    otlp::text::logs(body).map(|records| records.flatten().collect()).unwrap_or_default()
}

fn of_lines(body: &[u8]) -> Vec<LogRecord> {
    logflare::events(body).map(|records| records.flatten().collect()).unwrap_or_default()
}

fn measure(name: &str, body: &[u8], parse: Parse, gates: &[(&str, Gate)], scope: &WriteScope) {
    let count = parse(body).len();
    let parsing = megabytes_a_second(body.len(), || (), |()| parse(body));
    println!("{name}: {count} records, {} bytes; parse {parsing:.0} MB/s", body.len());
    for (policy, gate) in gates {
        let incoming = |records| Incoming { records, origin: Origin::default(), request: None };
        let clear = |records: Vec<LogRecord>| gate.clear(scope, incoming(Records::Logs(records)));
        let Some(admitted) = clear(parse(body)).admitted else { return eprintln!("{name}: no records") };
        let clearing = megabytes_a_second(body.len(), || parse(body), clear);
        let signal = candor_model::Signal::Logs;
        let Some(rows) = admitted.rows() else { return eprintln!("{name}: no rows") };
        let encoding = megabytes_a_second(body.len(), || (), |()| codec::encode(signal, rows));
        let all = megabytes_a_second(body.len(), || (), |()| clear(parse(body)));
        println!(
            "{policy}: {} encoded; MB/s: gate with encoding {clearing:.0} (encoding alone {encoding:.0}), together {all:.0}",
            admitted.batch().len(),
        );
    }
}

/// A gate for each policy.
#[allow(clippy::expect_used)]
fn gates() -> Vec<(&'static str, Gate)> {
    let strict = candor_policy::read("strict", "candor_policy = 1\nextends = \"preset:strict\"\n");
    let strict = compile(&strict.expect("the preset is a policy").policy, PolicyEpoch(1));
    let none = candor_gate::Policy { rules: Rules::of(Vec::new()), ..candor_gate::Policy::default() };
    let policies = [
        ("no rules", Compiled::new(none).expect("no rule is wrong")),
        ("default", Compiled::default()),
        ("strict", strict.expect("the preset can be enforced")),
    ];
    policies.into_iter().map(|(name, policy)| (name, gate(policy))).collect()
}

fn gate(policy: Compiled) -> Gate {
    let keyring = Keyring::new(&RootKey::generate(&Seeded::new(1)), Arc::new(Seeded::new(2)));
    let gate = Gate::new(Arc::new(keyring), Arc::new(ManualClock::new(NOW)), Arc::new(Seeded::new(3)));
    gate.set_policies(policy, std::collections::HashMap::new());
    gate
}

/// A scope to write under, from a database that lasts as long as this takes.
#[allow(clippy::expect_used)]
fn scope() -> WriteScope {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        let folder = tempfile::tempdir().expect("a folder is made");
        let database =
            Database::open_sqlite(&folder.path().join("meta.db"), &[]).await.expect("a database opens");
        let tenancy = Tenancy::open(database, Arc::new(ManualClock::new(NOW)), Arc::new(Seeded::new(4)))
            .await
            .expect("its tables are made");
        let (_, keys) = tenancy.create_project("shop").await.expect("a project is made");
        let scope = tenancy.authorize_write(KeyKind::Dsn, &keys.dsn_key).await.expect("the key is looked up");
        scope.expect("the key is known")
    })
}

/// What a record of either form says: one of a few templates with changing numbers.
fn message(random: &Seeded) -> String {
    let below = |n: u64| random.next_u64() % n;
    let (id, ms) = (random.next_u64(), below(5000));
    match below(4) {
        0 => format!(
            "request {id:016x} from 10.1.2.{} to /cart finished with status 200 in {ms} ms",
            below(256)
        ),
        1 => format!(
            "connection pool of shard {} has {} idle clients after {ms} ms, request {id:016x}",
            below(64),
            below(99)
        ),
        2 => format!(
            "cache miss for key item:{id:016x} on node 10.4.5.6, loaded {} bytes in {ms} ms",
            below(99_999)
        ),
        _ => format!(
            "scheduled job {id:016x} processed {} records from queue {} in {ms} ms",
            below(9_999),
            below(32)
        ),
    }
}

fn lines() -> String {
    let random = Seeded::new(7);
    let line = |n: u64| {
        format!(
            r#"{{"message":"{}","timestamp":{},"metadata":{{"level":"INFO","service":"service-{:02}","host":"host-{:03}","trace_id":"{:032x}","region":"eu-west-1","http.method":"GET","http.route":"/api/v1/orders","http.status":"200","pod":"pod-{:x}","build":"1.{}.4"}}}}"#,
            message(&random),
            1_790_000_000_000_000 + n * 8_640,
            n % 40,
            n % 200,
            random.next_u64(),
            n % 4096,
            n % 20,
        ) + "\n"
    };
    (0..5_000).map(line).collect()
}

fn request() -> String {
    let random = Seeded::new(7);
    let record = |n: u64| {
        format!(
            r#"{{"timeUnixNano":"{}","observedTimeUnixNano":"{}","severityNumber":9,"severityText":"INFO","body":{{"stringValue":"{}"}},"attributes":[{{"key":"http.request.method","value":{{"stringValue":"GET"}}}},{{"key":"http.route","value":{{"stringValue":"/api/v1/orders"}}}},{{"key":"http.response.status_code","value":{{"intValue":"200"}}}},{{"key":"duration","value":{{"doubleValue":12.25}}}},{{"key":"pod","value":{{"stringValue":"pod-{:x}"}}}}],"traceId":"{:032x}","spanId":"{:016x}"}}"#,
            1_790_000_000_000_000_000 + n * 8_640_000,
            1_790_000_000_000_000_000 + n * 8_640_000,
            message(&random),
            n % 4096,
            random.next_u64(),
            random.next_u64(),
        )
    };
    let records: Vec<String> = (0..5_000).map(record).collect();
    format!(
        r#"{{"resourceLogs":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"cart"}}}},{{"key":"host.name","value":{{"stringValue":"host-1"}}}}]}},"scopeLogs":[{{"scope":{{"name":"logger"}},"logRecords":[{}]}}]}}]}}"#,
        records.join(",")
    )
}
