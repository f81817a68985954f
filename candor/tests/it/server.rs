//! A running `candor serve`, and requests to it.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// A debug build on a busy machine takes its time.
const READY_WAIT_MAX: Duration = Duration::from_secs(60);

pub struct Server {
    folder: Option<tempfile::TempDir>,
    pub data_dir: PathBuf,
    child: Child,
    pub ready: Value,
}

pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_candor"));
    // What the developer's shell sets must not reach the tests.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CANDOR_") {
            command.env_remove(name);
        }
    }
    command
}

impl Server {
    pub fn start() -> Server {
        Server::with(&[])
    }

    pub fn with(flags: &[&str]) -> Server {
        let folder = tempfile::tempdir().expect("a folder");
        let data_dir = folder.path().join("data");
        Server::launch(Some(folder), data_dir, flags)
    }

    /// Over a data dir that outlives the server.
    pub fn over(data_dir: &Path, flags: &[&str]) -> Server {
        Server::launch(None, data_dir.to_owned(), flags)
    }

    fn launch(folder: Option<tempfile::TempDir>, data_dir: PathBuf, flags: &[&str]) -> Server {
        let ready_file = data_dir.with_extension("ready");
        let _ = std::fs::remove_file(&ready_file);
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(data_dir.with_extension("log"))
            .expect("opens the log");
        let child = program()
            .arg("serve")
            .args([
                "--listen",
                "127.0.0.1:0",
                "--otlp-grpc-listen",
                "127.0.0.1:0",
                "--kafka-listen",
                "127.0.0.1:0",
            ])
            .arg("--data-dir")
            .arg(&data_dir)
            .arg("--ready-file")
            .arg(&ready_file)
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("starts");
        let mut server = Server { folder, data_dir, child, ready: Value::Null };
        let began = Instant::now();
        while !ready_file.exists() {
            if let Some(status) = server.child.try_wait().expect("waits") {
                panic!("the server ended with {status}: {}", server.log());
            }
            assert!(began.elapsed() < READY_WAIT_MAX, "not ready: {}", server.log());
            std::thread::sleep(Duration::from_millis(5));
        }
        let text = std::fs::read_to_string(&ready_file).expect("reads");
        server.ready = serde_json::from_str(&text).expect("the ready file is whole");
        server
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.data_dir.with_extension("log")).unwrap_or_default()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.ready["http"].as_str().expect("an address"))
    }

    pub fn admin_key(&self) -> String {
        std::fs::read_to_string(self.data_dir.join("admin.key")).expect("reads").trim().to_owned()
    }

    pub fn request(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let url = self.url(path);
        let method: reqwest::Method = method.parse().expect("a method");
        let (headers, body) = (headers.to_vec(), body.to_vec());
        block_on(async move {
            let client = reqwest::Client::builder()
                .no_proxy()
                .redirect(reqwest::redirect::Policy::none())
                .timeout(Duration::from_secs(60))
                .build()
                .expect("a client");
            let mut request = client.request(method, url).body(body);
            for (name, value) in headers {
                request = request.header(name, value);
            }
            let response = request.send().await.expect("an answer");
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            Answer { status, headers, body: response.bytes().await.expect("a body").to_vec() }
        })
    }

    /// The API as the local admin.
    pub fn api(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        let authorization = format!("Bearer {}", self.admin_key());
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        self.request(method, path, &headers, body.map(|body| body.to_string()).unwrap_or_default().as_bytes())
    }

    /// A command beside the data dir.
    pub fn run(&self, arguments: &[&str]) -> Output {
        program().args(arguments).arg("--data-dir").arg(&self.data_dir).output().expect("runs")
    }

    /// The same, which must succeed; its standard output.
    pub fn print(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}\n{}", self.log());
        String::from_utf8(output.stdout).expect("text")
    }

    pub fn project(&self, name: &str) -> Project {
        let value: Value =
            serde_json::from_str(&self.print(&["project", "create", name, "--json"])).expect("one document");
        let text = |key: &str| value[key].as_str().unwrap_or_else(|| panic!("{key} in {value}")).to_owned();
        let dsn = text("dsn");
        let key = dsn.split("//").nth(1).and_then(|rest| rest.split('@').next()).expect("a key").to_owned();
        Project { number: value["number"].as_i64().expect("a number"), key, token: text("ingest_token") }
    }

    pub fn rows(&self, project: &str, sql: &str) -> Vec<Value> {
        let text = self.print(&["query", "--project", project, "--format", "ndjson", sql]);
        text.lines().map(|line| serde_json::from_str(line).expect("an object")).collect()
    }

    pub fn count(&self, project: &str, table: &str) -> i64 {
        let rows = self.rows(project, &format!("SELECT count(*) AS n FROM {table}"));
        rows[0]["n"].as_i64().expect("a number")
    }

    pub fn send_logs(&self, token: &str, bodies: &[&str]) -> Answer {
        let authorization = format!("Bearer {token}");
        let headers = [("Authorization", authorization.as_str()), ("Content-Type", "application/json")];
        self.request("POST", "/v1/logs", &headers, otlp_logs(bodies).to_string().as_bytes())
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }

    pub fn signal(&self, name: &str) {
        let status =
            Command::new("kill").args([name, &self.child.id().to_string()]).status().expect("runs kill");
        assert!(status.success());
    }

    /// How long it takes to end, and with which code.
    pub fn wait(&mut self) -> (Duration, Option<i32>) {
        let began = Instant::now();
        let status = self.child.wait().expect("ends");
        (began.elapsed(), status.code())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- server log ---\n{}", self.log());
        }
        drop(self.folder.take());
    }
}

pub struct Project {
    pub number: i64,
    pub key: String,
    pub token: String,
}

/// An OTLP export request with one record a body.
pub fn otlp_logs(bodies: &[&str]) -> Value {
    let records: Vec<Value> = bodies
        .iter()
        .enumerate()
        .map(|(n, body)| {
            json!({
                "timeUnixNano": (1_790_000_000_000_000_000u64 + n as u64).to_string(),
                "severityNumber": 9, "severityText": "INFO",
                "body": { "stringValue": body },
                "attributes": [{ "key": "n", "value": { "intValue": n.to_string() } }],
            })
        })
        .collect();
    json!({ "resourceLogs": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "test" } }] },
        "scopeLogs": [{ "logRecords": records }],
    }] })
}

pub fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}
