//! A PostgreSQL server of Debian's packages, in a temporary folder, on a free port of the loopback.
//!
//! One server serves all tests of a binary; each takes a schema of its own. A shell holds the server and waits for
//! its standard input to close, which happens however the test binary ends, so nothing is left behind.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where Debian puts its servers, one folder a version.
const INSTALLED: &str = "/usr/lib/postgresql";

/// How long a server may take to accept connections.
const START_TIMEOUT: Duration = Duration::from_secs(60);

/// Starts a server in the folder `$1` with the programs of `$2` on the port `$3` and stops it at end of input.
const HOLD: &str = r#"
dir=$1 bin=$2 port=$3
"$bin/initdb" -D "$dir/data" -U candor --auth=trust --encoding=UTF8 --no-locale --no-sync >"$dir/initdb.log" 2>&1 || exit 1
"$bin/postgres" -D "$dir/data" -h 127.0.0.1 -p "$port" -c unix_socket_directories='' \
  -c fsync=off -c shared_buffers=16MB -c max_connections=200 >"$dir/server.log" 2>&1 &
server=$!
read -r _
kill -INT $server
wait $server
rm -rf "$dir"
"#;

/// A running server.
pub struct Server {
    port: u16,
    schemas: AtomicU32,
    _holder: Child,
}

impl Server {
    /// Its address: `postgres://candor@127.0.0.1:PORT/postgres`.
    pub fn url(&self) -> String {
        format!("postgres://candor@127.0.0.1:{}/postgres?sslmode=disable", self.port)
    }

    /// A schema name that no other test of this binary has.
    pub fn fresh_schema(&self) -> String {
        format!("test_{}", self.schemas.fetch_add(1, Ordering::Relaxed))
    }
}

/// The server of this test binary, started at the first call; `None` where PostgreSQL is not installed, which is
/// said on standard error with the name of the test that wanted it.
///
/// # Panics
/// Where PostgreSQL is installed and does not start.
pub fn server(test: &str) -> Option<&'static Server> {
    static SERVER: OnceLock<Option<Server>> = OnceLock::new();
    static SKIPPED: AtomicU32 = AtomicU32::new(0);
    let server = SERVER.get_or_init(|| programs().map(|programs| start(&programs)));
    if server.is_none() {
        let count = SKIPPED.fetch_add(1, Ordering::Relaxed) + 1;
        eprintln!("SKIPPED: {test}: PostgreSQL is not installed ({count} skipped so far)");
    }
    server.as_ref()
}

fn programs() -> Option<PathBuf> {
    let mut versions: Vec<PathBuf> =
        std::fs::read_dir(INSTALLED).ok()?.flatten().map(|entry| entry.path().join("bin")).collect();
    versions.retain(|bin| bin.join("initdb").exists());
    versions.sort();
    versions.pop()
}

fn start(programs: &Path) -> Server {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
    let folder = std::env::temp_dir().join(format!("candor-postgres-{}-{port}", std::process::id()));
    std::fs::create_dir(&folder).expect("a temporary folder");
    let mut command = as_unprivileged(&folder);
    let holder = command
        .args(["sh", "-c", HOLD, "hold"])
        .args([folder.as_os_str(), programs.as_os_str()])
        .arg(port.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("a shell");
    let deadline = Instant::now() + START_TIMEOUT;
    while !accepts(port) {
        if Instant::now() > deadline {
            let logs: Vec<String> = ["initdb.log", "server.log"]
                .iter()
                .filter_map(|name| std::fs::read_to_string(folder.join(name)).ok())
                .collect();
            panic!("PostgreSQL does not start: {}", logs.join("\n"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Server { port, schemas: AtomicU32::new(0), _holder: holder }
}

/// The server refuses to run as root: there it runs as the user that its package made.
fn as_unprivileged(folder: &Path) -> Command {
    use std::os::unix::fs::MetadataExt;
    let root = std::fs::metadata(folder).is_ok_and(|meta| meta.uid() == 0);
    if !root {
        return Command::new("env");
    }
    let owned = Command::new("chown").arg("postgres").arg(folder).status();
    assert!(owned.is_ok_and(|status| status.success()), "the user postgres cannot be given the folder");
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    command
}

/// True once the server answers a start-up packet: a listening socket alone may still be starting.
fn accepts(port: u16) -> bool {
    use std::io::Read;
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    // Version 3.0, user and database (PostgreSQL documentation, 54.7, StartupMessage).
    let body = b"\x00\x03\x00\x00user\0candor\0database\0postgres\0\0";
    let length = u32::try_from(body.len() + 4).unwrap_or(0).to_be_bytes();
    let mut kind = [0; 1];
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    stream.write_all(&[&length, &body[..]].concat()).is_ok()
        && stream.read_exact(&mut kind).is_ok()
        && kind == *b"R"
}
