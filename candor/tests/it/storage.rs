//! Every stored file opens, backups come up elsewhere, and what the gate took out is in none of it.

use std::path::Path;

use serde_json::Value;

use super::server::{Server, program};

/// Every file below a folder, whole.
fn contents(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("lists").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(contents(&path));
        } else {
            found.push((path.display().to_string(), std::fs::read(&path).expect("reads")));
        }
    }
    found
}

fn holders(files: &[(String, Vec<u8>)], needle: &str) -> Vec<String> {
    let holds = |content: &Vec<u8>| content.windows(needle.len()).any(|window| window == needle.as_bytes());
    files.iter().filter(|(_, content)| holds(content)).map(|(path, _)| path.clone()).collect()
}

fn verify(data_dir: &Path, out: &Path) -> Value {
    let output = program()
        .args(["verify", "storage", "--json", "--decrypt-to"])
        .arg(out)
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .expect("runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("one document")
}

#[test]
fn secrets_are_in_no_file_and_the_canary_is() {
    let mut server = Server::start();
    let shop = server.project("shop");
    let body = "canary-7f3a paid with 4111111111111111";
    // Many alike: what is stored is compressed, what is written out is not.
    server.send_logs(&shop.token, &[body; 200]);
    std::fs::write(server.data_dir.join("notes.txt"), "someone's own file").expect("writes");
    let out = tempfile::tempdir().expect("a folder");

    // Beside a running server: the row is in the journal alone.
    let running = verify(&server.data_dir, &out.path().join("running"));
    assert_eq!(running["faults"], serde_json::json!([]));
    let clear = contents(&out.path().join("running"));
    let canary = holders(&clear, "canary-7f3a");
    for end in [".journal", ".journal.ndjson"] {
        assert!(
            canary.iter().any(|path| path.ends_with(end)),
            "{end}: the journal holds the canary: {canary:?}"
        );
    }

    // On a stopped one: in Parquet too.
    server.print(&["flush"]);
    server.signal("-TERM");
    server.wait();
    let stopped = verify(&server.data_dir, &out.path().join("stopped"));
    assert!(stopped["files"].as_u64() > Some(1), "{stopped}");
    let clear = contents(&out.path().join("stopped"));
    let canary = holders(&clear, "canary-7f3a");
    assert!(canary.iter().any(|path| path.ends_with(".parquet.ndjson")), "{canary:?}");

    let stored = contents(&server.data_dir);
    for (files, what) in [(&clear, "in the clear"), (&stored, "as stored")] {
        assert_eq!(holders(files, "4111111111111111"), Vec::<String>::new(), "{what}");
    }
    let plain = holders(&stored, "canary-7f3a");
    assert_eq!(plain, Vec::<String>::new(), "stored files are encrypted");
    assert!(!server.log().contains("canary-7f3a"), "payloads stay out of the log");
}

#[test]
fn a_damaged_file_is_named() {
    let mut server = Server::start();
    let shop = server.project("shop");
    server.send_logs(&shop.token, &["x"]);
    server.print(&["flush"]);
    server.signal("-TERM");
    server.wait();
    let lake = contents(&server.data_dir.join("objects"));
    let (victim, mut bytes) =
        lake.into_iter().find(|(path, _)| path.ends_with(".parquet")).expect("a published file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&victim, bytes).expect("writes");
    let output = server.run(&["verify", "storage", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).expect("one document");
    let name = victim.rsplit('/').next().expect("a name");
    assert!(found["faults"][0].as_str().is_some_and(|fault| fault.contains(name)), "{found}");
}

#[test]
fn a_backup_comes_up_elsewhere_with_the_root_key_and_not_without() {
    let server = Server::start();
    let shop = server.project("shop");
    server.send_logs(&shop.token, &["published"]);
    server.print(&["flush"]);
    server.send_logs(&shop.token, &["in the journal"]);
    let folder = tempfile::tempdir().expect("a folder");
    let backup = folder.path().join("backup");
    let path = backup.to_str().expect("text");
    let manifest: Value =
        serde_json::from_str(&server.print(&["backup", "create", path, "--json"])).expect("one");
    assert!(manifest["file_count"].as_u64() >= Some(4), "{manifest}");
    let logs = serde_json::json!([{ "project": shop.number, "topic": "candor.logs", "start": 0, "end": 2 }]);
    assert_eq!(manifest["topics"], logs);
    let again = server.run(&["backup", "create", path]);
    assert_eq!(again.status.code(), Some(1), "a backup is not overwritten");
    let names: Vec<String> = contents(&backup).into_iter().map(|(path, _)| path).collect();
    assert!(!names.iter().any(|name| name.ends_with(".key")), "{names:?}");

    let restored = folder.path().join("restored");
    let restore = |key: Option<&Path>, to: &Path| {
        let mut command = program();
        command.args(["backup", "restore", path, "--data-dir"]).arg(to);
        command.args(key.map(|key| [Path::new("--root-key"), key]).into_iter().flatten());
        command.output().expect("runs")
    };
    assert_eq!(restore(None, &restored).status.code(), Some(1));
    let key = server.data_dir.join("root.key");
    let done = restore(Some(&key), &restored);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let elsewhere = Server::over(&restored, &[]);
    let rows = elsewhere.rows("shop", "SELECT body FROM logs ORDER BY _offset");
    let bodies: Vec<&str> = rows.iter().filter_map(|row| row["body"].as_str()).collect();
    assert_eq!(bodies, ["published", "in the journal"]);
    assert_eq!(elsewhere.send_logs(&shop.token, &["goes on"]).status, 200);
    assert_eq!(elsewhere.count("shop", "logs"), 3);

    // A stopped one is copied the same way, and the copy is asked what it holds.
    let mut stopped = elsewhere;
    stopped.signal("-TERM");
    stopped.wait();
    let second = folder.path().join("second");
    let manifest: Value =
        serde_json::from_str(&stopped.print(&["backup", "create", second.to_str().expect("text"), "--json"]))
            .expect("one");
    assert_eq!(manifest["topics"][0]["end"], 3, "{manifest}");

    // A changed byte is noticed before anything comes up.
    let (victim, mut bytes) =
        contents(&backup).into_iter().find(|(path, _)| path.ends_with("lake.db")).expect("it");
    bytes[100] ^= 1;
    std::fs::write(victim, bytes).expect("writes");
    let damaged = restore(Some(&key), &folder.path().join("damaged"));
    assert_eq!(damaged.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&damaged.stderr).contains("damaged"));
}

/// Rows of a database that speak of a project, by table.
fn rows_of(file: &Path, project: i64) -> Vec<(String, i64)> {
    let tables = [
        "vault",
        "subject_key",
        "vault_position",
        "issue",
        "issue_hash",
        "issue_hour",
        "issue_position",
        "event_attachment",
        "log_source",
    ];
    super::server::block_on(async {
        let database = candor_meta::Database::open_sqlite(file, &[]).await.expect("opens");
        let mut found = Vec::new();
        for table in tables {
            let column = if table == "log_source" { "project_id" } else { "project" };
            let sql = format!("SELECT COUNT(*) FROM {table} WHERE {column} = ?");
            let rows = database.query(&sql, &[project.into()]).await.expect("counts");
            found.push((table.to_owned(), rows[0].int(0).expect("a number")));
        }
        database.close().await;
        found
    })
}

/// A deleted project leaves nothing, also where the process is killed right behind the answer.
#[test]
fn a_deleted_project_leaves_nothing() {
    for killed in [false, true] {
        let mut server = Server::start();
        let shop = server.project("shop");
        let other = server.project("other");
        server.send_logs(&shop.token, &["of the shop"]);
        server.send_logs(&other.token, &["of the other"]);
        let source = format!("/api/logs?source_name=web&api_key={}", shop.token);
        let logged =
            server.request("POST", &source, &[("content-type", "application/json")], br#"{"message":"x"}"#);
        assert_eq!(logged.status, 200, "{}", logged.text());
        let envelope = concat!(
            "{}\n{\"type\":\"event\"}\n{\"message\":\"boom\",\"user\":{\"email\":\"ada@example.org\"}}\n",
            "{\"type\":\"attachment\",\"length\":3,\"filename\":\"a.txt\"}\nabc\n"
        );
        let key = &shop.key;
        let path = format!("/api/{}/envelope/?sentry_key={key}", shop.number);
        assert_eq!(server.request("POST", &path, &[], envelope.as_bytes()).status, 200);
        server.print(&["flush"]);
        server.print(&["project", "delete", "shop"]);
        let mut _first = None;
        if killed {
            server.kill();
            let again = Server::over(&server.data_dir, &[]);
            _first = Some(std::mem::replace(&mut server, again));
        }
        std::thread::sleep(std::time::Duration::from_secs(2));
        assert_eq!(server.count("other", "logs"), 1);
        // Its frames are in no file of the log, beside the running server.
        let out = tempfile::tempdir().expect("a folder");
        verify(&server.data_dir, &out.path().join("clear"));
        let clear = contents(&out.path().join("clear"));
        let of_log: Vec<_> = clear.into_iter().filter(|(path, _)| path.contains("/clear/log/")).collect();
        assert_eq!(holders(&of_log, "of the shop"), Vec::<String>::new(), "killed: {killed}");
        assert!(!holders(&of_log, "of the other").is_empty(), "killed: {killed}");
        server.signal("-TERM");
        server.wait();
        let left = rows_of(&server.data_dir.join("meta.db"), shop.number);
        assert!(left.iter().all(|(_, rows)| *rows == 0), "killed: {killed}: {left:?}");
        let attached = contents(&server.data_dir.join("objects/blob"));
        assert!(attached.is_empty(), "{:?}", attached.iter().map(|(path, _)| path).collect::<Vec<_>>());
    }
}
