//! Conformance by the real thing: DuckDB 1.5.5 attaches the catalog and the export, offline, and agrees.

use std::path::Path;
use std::process::Command;

use axum::extract::{Path as UrlPath, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use candor_lake::{Lake, ServeError};
use candor_model::{ProjectId, Signal};

use crate::bed::{Bed, rows};

/// Loads the extensions from their wheels, runs the statements of the first argument's file, and prints the rows of
/// each query as one line of JSON.
const RUN: &str = r#"
import sys, json, pathlib, importlib.util
try:
    import duckdb
except ImportError:
    sys.exit(77)
con = duckdb.connect(config={"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"})
for name in ("sqlite_scanner", "ducklake", "httpfs"):
    spec = importlib.util.find_spec("duckdb_extension_" + name)
    if spec is None:
        sys.exit(77)
    folder = pathlib.Path(next(iter(spec.submodule_search_locations)))
    con.execute("LOAD '%s'" % next(folder.rglob(name + ".duckdb_extension")))
for statement in sys.stdin.read().split(";\n"):
    if statement.strip():
        result = con.execute(statement)
        if statement.lstrip().upper().startswith(("SELECT", "FROM", "DESCRIBE")):
            print(json.dumps(result.fetchall(), default=str))
"#;

/// The rows of each query, or none where DuckDB or a wheel is not installed.
async fn duckdb(script: &str) -> Option<Vec<String>> {
    let script = script.to_owned();
    tokio::task::spawn_blocking(move || {
        let python = std::env::var("CANDOR_PYTHON").unwrap_or_else(|_| "python3".to_owned());
        let mut child = Command::new(python)
            .args(["-c", RUN])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .ok()?;
        std::io::Write::write_all(&mut child.stdin.take()?, script.as_bytes()).ok()?;
        let output = child.wait_with_output().ok()?;
        if output.status.code() == Some(77) {
            eprintln!("SKIPPED: DuckDB 1.5.5 or one of its extension wheels is not installed");
            return None;
        }
        assert!(output.status.success(), "DuckDB failed on:\n{script}");
        Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
    })
    .await
    .unwrap()
}

/// Three signals, several files, a merge, promoted columns, two days.
async fn filled(bed: &Bed) -> Lake {
    let lake = bed.lake().await;
    for n in 0..4 {
        bed.logs(n * 1500, 1500);
        bed.log.append(bed.project(), Signal::Errors, rows(Signal::Errors, n * 10, 10), crate::bed::START);
        lake.flush(None).await.unwrap();
    }
    lake.compact(None).await.unwrap();
    bed.advance_seconds(86_400);
    bed.logs(6000, 700);
    bed.log.append(bed.project(), Signal::Spans, rows(Signal::Spans, 0, 30), crate::bed::START);
    bed.log.append(bed.other.project(), Signal::Logs, rows(Signal::Logs, 0, 5), crate::bed::START);
    lake.flush(None).await.unwrap();
    lake
}

const QUESTIONS: &str = "SELECT count(*) FROM shop.logs;
SELECT count(*), min(_offset), max(_offset), count(DISTINCT _offset) FROM shop.logs;
SELECT count(*) FROM shop.logs WHERE service_name = 'service-3' AND severity_text = 'error';
SELECT count(*) FROM shop.logs WHERE timestamp >= TIMESTAMPTZ '2026-11-20 10:05:00+00';
SELECT count(*) FROM shop.logs WHERE _ingested_at >= TIMESTAMPTZ '2026-11-21 00:00:00+00';
SELECT count(*) FROM shop.logs WHERE body LIKE '%number 777 %';
SELECT count(*) FROM shop.logs WHERE host_name IS NULL;
SELECT count(*) FROM shop.logs WHERE severity_number = 24 AND _epoch = 1 AND _partition = 0;
SELECT count(*) FROM shop.logs WHERE attributes['region'] = 'eu-1';
SELECT count(*) FROM shop.logs WHERE \"a_http.status\" = 300;
SELECT \"a_region\", count(*) FROM shop.logs GROUP BY 1 ORDER BY 1;
SELECT attributes, subjects, timestamp_ns, trace_id, epoch_us(_ingested_at) FROM shop.logs WHERE _offset = 1234;
SELECT count(*), count(DISTINCT group_hashes[1]), max(tags['region']) FROM shop.errors;
SELECT count(*), sum(duration_ns) FROM shop.spans;
";

const ANSWERS: [&str; 14] = [
    "[[6700]]",
    "[[6700, 0, 6699, 6700]]",
    "[[447]]",
    "[[3700]]",
    "[[700]]",
    "[[1]]",
    "[[958]]",
    "[[268]]",
    "[[2233]]",
    "[[1675]]",
    r#"[["eu-0", 2234], ["eu-1", 2233], ["eu-2", 2233]]"#,
    "",
    "[[40, 26, \"eu-2\"]]",
    "[[30, 7395]]",
];

fn check(answers: &[String]) {
    for (n, expected) in ANSWERS.iter().enumerate().filter(|(_, expected)| !expected.is_empty()) {
        assert_eq!(answers[n], *expected, "question {n}");
    }
    let whole = &answers[11];
    for part in ["eu-1", "req-1234", "http.status", "user:1234-0", "000000f6", "1795168800000000"] {
        assert!(whole.contains(part), "{part} in {whole}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_attaches_the_operators_catalog_and_follows_it() {
    let bed = Bed::new().await;
    let lake = filled(&bed).await;
    let attach =
        format!("ATTACH 'ducklake:sqlite:{}/lake.db' AS lake (READ_ONLY);\n", bed.folder.path().display());
    let schema = format!("lake.p{}", bed.project());
    let questions = QUESTIONS.replace("shop.", &format!("{schema}."));
    let Some(answers) = duckdb(&format!("{attach}{questions}")).await else { return };
    check(&answers);

    // An old snapshot reads as it was, while it is kept.
    let snapshot = lake.flush(None).await.unwrap();
    bed.logs(6700, 100);
    lake.flush(None).await.unwrap();
    let script = format!(
        "{attach}SELECT count(*) FROM {schema}.logs;
SELECT count(*) FROM {schema}.logs AT (VERSION => {snapshot});
SELECT count(*) FROM lake.p{}.logs;
",
        bed.other.project()
    );
    assert_eq!(duckdb(&script).await.unwrap(), ["[[6800]]", "[[6700]]", "[[5]]"]);

    // After history is cut, what is left reads on.
    for _ in 0..3 {
        bed.advance_seconds(4000);
        lake.upkeep().await.unwrap();
    }
    let script = format!("{attach}{questions}");
    assert!(duckdb(&script).await.unwrap()[0].contains("6800"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duckdb_reads_an_exported_project_through_the_door() {
    let bed = Bed::new().await;
    let lake = filled(&bed).await;
    let project = bed.project();
    let token = lake.mint_token(&bed.shop, 3600).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let door = axum::Router::new()
        .route("/lake/{project}/{*path}", axum::routing::any(open_door))
        .with_state(lake.clone());
    let door = tokio::spawn(async move { axum::serve(listener, door).await });

    let out = bed.folder.path().join("shop.db");
    let issues: Vec<(String, i64)> = (0..2500).map(|n| (format!("group_hashes number {n}"), n % 7)).collect();
    let data_path = format!("http://{address}/lake/{project}/");
    let snapshot = lake.export(&bed.shop, &issues, &data_path, &out).await.unwrap();
    assert_eq!(snapshot, lake.stats().snapshot);
    assert!(!out.with_extension("db-wal").exists(), "one file, to be handed on");
    let attach = |token: &str| {
        format!(
            "CREATE SECRET s (TYPE http, EXTRA_HTTP_HEADERS MAP {{'Authorization': 'Bearer {token}'}});
ATTACH 'ducklake:sqlite:{}' AS shop (READ_ONLY, DATA_PATH '{data_path}', OVERRIDE_DATA_PATH true);
",
            out.display()
        )
    };
    let more = "SELECT count(*), sum(issue) FROM shop.issues;
SELECT issue FROM shop.issues WHERE group_hash = 'group_hashes number 12';
SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'shop' ORDER BY 2;
";
    let script = format!("{}{QUESTIONS}{more}", attach(&token.token));
    let Some(answers) = duckdb(&script).await else { return };
    check(&answers);
    assert_eq!(answers[14], "[[2500, 7497]]");
    assert_eq!(answers[15], "[[5]]");
    assert_eq!(
        answers[16],
        r#"[["main", "errors"], ["main", "issues"], ["main", "logs"], ["main", "spans"]]"#
    );
    door.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_project_exports_empty_tables() {
    let bed = Bed::new().await;
    let lake = bed.lake().await;
    let out = bed.folder.path().join("shop.db");
    lake.export(&bed.shop, &[], "/nowhere/", &out).await.unwrap();
    let attach = format!("ATTACH 'ducklake:sqlite:{}' AS shop (READ_ONLY);\n", out.display());
    let ask = "SELECT count(*) FROM shop.logs;\nSELECT count(*) FROM shop.errors;\nSELECT count(*) FROM shop.issues;\n";
    if let Some(answers) = duckdb(&format!("{attach}{ask}")).await {
        assert_eq!(answers, ["[[0]]", "[[0]]", "[[0]]"]);
    }
    assert!(Path::new(&out).exists());
}

/// `/lake/…` as the binary serves it, in little.
async fn open_door(
    State(lake): State<Lake>,
    UrlPath((project, path)): UrlPath<(i64, String)>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or("");
    let answer = async {
        let grant = lake.authorize(token, ProjectId(project)).await?;
        lake.serve(&grant, &path).await
    };
    let file = match answer.await {
        Ok(served) => served.file,
        Err(ServeError::Unauthorized) => return StatusCode::UNAUTHORIZED.into_response(),
        Err(ServeError::Forbidden) => return StatusCode::FORBIDDEN.into_response(),
        Err(ServeError::Gone) => return StatusCode::GONE.into_response(),
        Err(_) => return StatusCode::NOT_FOUND.into_response(),
    };
    let length = file.length();
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (status, from, to) = match range {
        Some((from, to)) => {
            let from: u64 = from.parse().unwrap();
            let to = to.parse().map_or(length, |to: u64| (to + 1).min(length));
            (StatusCode::PARTIAL_CONTENT, from, to)
        }
        None => (StatusCode::OK, 0, length),
    };
    let body = match method {
        Method::HEAD => return (status, [(header::CONTENT_LENGTH, length.to_string())]).into_response(),
        _ => file.read(from..to).await.unwrap(),
    };
    let content_range = format!("bytes {from}-{}/{length}", to - 1);
    (status, [(header::CONTENT_RANGE, content_range), (header::ACCEPT_RANGES, "bytes".to_owned())], body)
        .into_response()
}
