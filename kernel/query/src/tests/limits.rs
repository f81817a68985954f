//! Limits on time, memory, rows, bytes and nesting; cancelling; many queries at once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use candor_model::Signal;

use super::{batch, engine, log_row, logs_schema, sql, standard_lake};
use crate::{Limits, QueryError};

#[tokio::test]
async fn rows_are_cut_at_the_limit_and_said_to_be() {
    let engine = engine();
    for (max, rows, cut) in [(10, 10, true), (999, 999, true), (1000, 1000, false), (5000, 1000, false)] {
        let limits = Limits { rows: Some(max), ..Limits::default() };
        let mut answer =
            engine.sql(Arc::new(standard_lake()), "SELECT body FROM logs", limits).await.expect("runs");
        let batches = answer.collect().await.expect("rows");
        assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), rows);
        assert_eq!(answer.truncated(), cut, "{max}");
    }
}

#[tokio::test]
async fn a_query_that_runs_too_long_is_stopped() {
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let started = Instant::now();
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000) a";
    let result = engine().sql(Arc::new(standard_lake()), endless, limits).await;
    assert!(matches!(result, Err(QueryError::Timeout(_))), "{:?}", result.err());
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hang_the_query() {
    let mut lake = standard_lake();
    lake.read_delay = Some(Duration::from_secs(60));
    let limits = Limits { time: Duration::from_millis(300), ..Limits::default() };
    let result = engine().sql(Arc::new(lake), "SELECT max(body) FROM logs", limits).await;
    assert!(matches!(result, Err(QueryError::Timeout(_))), "{:?}", result.err());
}

#[tokio::test]
async fn memory_is_bounded_and_given_back() {
    let engine = engine();
    let limits = Limits { memory_bytes: 4 << 20, rows: None, ..Limits::default() };
    for hungry in [
        "SELECT count(*) FROM (SELECT DISTINCT (value * 7919) % 10000019 FROM generate_series(1, 3000000))",
        "SELECT value, repeat('x', 100) AS v FROM generate_series(1, 3000000) ORDER BY v, value DESC LIMIT 2000000",
        "SELECT array_agg(value) FROM generate_series(1, 10000000)",
        "SELECT count(*) FROM generate_series(1, 3000000) a JOIN generate_series(1, 3000000) b ON a.value = b.value",
    ] {
        let result = match engine.sql(Arc::new(standard_lake()), hungry, limits).await {
            Ok(mut answer) => answer.collect().await.map(|_| ()),
            Err(e) => Err(e),
        };
        assert!(matches!(result, Err(QueryError::Memory(limit)) if limit == 4 << 20), "{hungry}: {result:?}");
    }
    // What a stopped query held comes back once its tasks are gone.
    for _ in 0..100 {
        if engine.memory.used() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(engine.memory.used(), 0);
    let small = engine.sql(Arc::new(standard_lake()), "SELECT count(DISTINCT body) FROM logs", limits).await;
    small.expect("runs").collect().await.expect("still runs");
}

/// What makes much out of little is stopped before it is made.
#[tokio::test]
async fn bombs_are_refused_and_cost_little() {
    let doubled = |step: &str, times: usize| {
        let inner = (0..times).fold("SELECT body AS a FROM logs".to_owned(), |inner, _| {
            format!("SELECT {step} AS a FROM ({inner})")
        });
        format!("SELECT max(length(a)) FROM ({inner})")
    };
    let bombs = [
        "SELECT repeat('x', 1000000000)".to_owned(),
        "SELECT repeat('x', 60000000), body FROM logs".to_owned(),
        "SELECT repeat(repeat('x', 30000), 30000)".to_owned(),
        "SELECT rpad('x', 60000000), body FROM logs".to_owned(),
        "SELECT length(replace(repeat(body, 1000), 'e', repeat(body, 1000))) FROM logs".to_owned(),
        "SELECT length(regexp_replace(repeat(body, 1000), '.', repeat(body, 1000), 'g')) FROM logs"
            .to_owned(),
        "SELECT levenshtein(repeat(body, 2000), repeat(body, 2000)) FROM logs".to_owned(),
        "SELECT unnest(string_to_array(repeat('a,', 30000), ',')), body FROM logs".to_owned(),
        "SELECT count(*) FROM logs WHERE body ~ '((a{1,100}){1,100}){1,100}'".to_owned(),
        "SELECT count(*) FROM logs a, logs b, logs c, logs d WHERE a.body < b.body || c.body || d.body"
            .to_owned(),
        "SELECT array_agg(a.body || b.body) FROM logs a, logs b, logs c".to_owned(),
        "SELECT a.body FROM logs a, logs b, logs c ORDER BY a.body || b.body".to_owned(),
        "SELECT count(*) FROM generate_series(1, 1000000000000) a, generate_series(1, 1000000000000) b"
            .to_owned(),
        "SELECT string_agg(repeat('x', 10000), ',') FROM generate_series(1, 1000000)".to_owned(),
        "SELECT DISTINCT repeat('x', 10000) || value FROM generate_series(1, 1000000)".to_owned(),
        format!("SELECT '{}' FROM logs", "x".repeat(100_000)),
        doubled("a || a", 24),
        doubled("concat(a, a)", 24),
        doubled("concat_ws(',', a, a)", 24),
        doubled("replace(a, 'e', a)", 12),
        doubled("encode(arrow_cast(a, 'Binary'), 'hex')", 24),
        doubled("a || a", 24).replace("SELECT body AS a FROM logs", "SELECT 'constant' AS a"),
    ];
    let engine = engine();
    let lake = Arc::new(standard_lake());
    for bomb in bombs {
        let shown: String = bomb.chars().take(100).collect();
        let limits = Limits { time: Duration::from_secs(3), ..Limits::default() };
        let began = Instant::now();
        let outcome = match engine.sql(Arc::clone(&lake) as _, &bomb, limits).await {
            Ok(mut answer) => answer.collect().await.map(|_| ()),
            Err(e) => Err(e),
        };
        assert!(began.elapsed() < Duration::from_secs(20), "{shown}: {:?}", began.elapsed());
        assert!(
            matches!(
                outcome,
                Err(QueryError::Execution(_)
                    | QueryError::Memory(_)
                    | QueryError::Timeout(_)
                    | QueryError::TooLarge(_)
                    | QueryError::Syntax(_)
                    | QueryError::Plan(_))
            ),
            "{shown}: {outcome:?}"
        );
    }
}

/// Rows of ten kilobytes are ordinary: what is replaced in them is held to what it makes.
#[tokio::test]
async fn long_texts_are_replaced_in() {
    let engine = engine();
    for (call, length) in [
        ("replace(body, 'foo', 'barx')", 10_001),
        ("replace(body, 'foo', '')", 9_997),
        ("replace(body, 'foo', repeat('y', 2000))", 11_997),
        ("replace(body, CASE WHEN value > 0 THEN 'foo' END, 'barx')", 10_001),
        ("regexp_replace(body, 'fo+', 'barx')", 10_001),
        ("regexp_replace(body, 'fo+', 'barx', 'g')", 10_001),
        ("regexp_replace(body, 'f(o+)', '\\1\\1\\1', 'g')", 10_003),
    ] {
        // Short rows among them, so that no slice may take its neighbour's place.
        let query = format!(
            "SELECT count(*) AS rows FROM (SELECT value, {call} AS given FROM (SELECT value, CASE WHEN value % 16 = 0              THEN repeat('x', value % 7) ELSE repeat('x', 4000) || 'foo' || repeat('x', 5997) END AS body              FROM generate_series(1, 8192)))              WHERE length(given) = CASE WHEN value % 16 = 0 THEN value % 7 ELSE {length} END"
        );
        let mut answer = match engine.sql(Arc::new(standard_lake()), &query, Limits::default()).await {
            Ok(answer) => answer,
            Err(e) => panic!("{call}: {e}"),
        };
        let rows = answer.collect().await.unwrap_or_else(|e| panic!("{call}: {e}"));
        assert!(format!("{:?}", rows[0].column(0)).contains("8192"), "{call}: {rows:?}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    let limits = Limits { answer_bytes: Some(10_000), ..Limits::default() };
    let engine = engine();
    let mut result = engine.sql(Arc::new(standard_lake()), "SELECT * FROM logs", limits).await;
    if let Ok(answer) = &mut result {
        let rest = answer.collect().await;
        assert!(matches!(rest, Err(QueryError::TooLarge(10_000))), "{rest:?}");
    }
    engine.sql(Arc::new(standard_lake()), "SELECT body FROM logs LIMIT 9", limits).await.expect("fits");
}

#[tokio::test]
async fn nesting_and_length_are_refused_before_they_overflow_a_stack() {
    let nested = [
        format!("SELECT {}1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("SELECT {}1", "-".repeat(100_000)),
        format!("SELECT {} true", "NOT ".repeat(50_000)),
        format!("SELECT 1{}", " + 1".repeat(60_000)),
        format!("SELECT 1{}", "::int".repeat(40_000)),
        format!("SELECT [1]{}", "[1]".repeat(40_000)),
        format!("SELECT {}1{}", "CASE WHEN true THEN ".repeat(5_000), " END".repeat(5_000)),
        format!("SELECT {}1{}", "abs(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT 1{}", " UNION ALL SELECT 1".repeat(10_000)),
        format!("{}SELECT 1", "EXPLAIN ".repeat(20_000)),
        format!("SELECT * FROM {}logs{}", "(SELECT * FROM ".repeat(5_000), ")".repeat(5_000)),
        format!("SELECT * FROM logs{}", " JOIN logs USING (body)".repeat(5_000)),
        format!("SELECT {}", "a.".repeat(100_000)),
        format!("SELECT '{}'", "x".repeat(300_000)),
        "SELECT ".to_owned() + &"[".repeat(100_000),
        "SELECT ".to_owned() + &"{'a':".repeat(50_000),
        "SELECT ".to_owned() + &"EXISTS (SELECT ".repeat(10_000),
        "WITH a AS (".repeat(10_000),
    ];
    for query in nested {
        let start: String = query.chars().take(40).collect();
        let result = sql(&query).await;
        assert!(
            matches!(result, Err(QueryError::Syntax(_) | QueryError::Plan(_))),
            "{start}: {:?}",
            result.err()
        );
    }
}

#[tokio::test]
async fn what_is_just_within_the_bounds_runs() {
    let most = crate::statement::OPERATORS_MAX - 2;
    let operators = format!("SELECT 1{} AS n", " + 1".repeat(most));
    let ors = format!("SELECT count(*) FROM logs WHERE {}false", "body = 'x' OR ".repeat(most / 2));
    let ids: Vec<String> = (0..20_000).map(|id| id.to_string()).collect();
    let list = format!("SELECT count(*) FROM logs WHERE _offset IN ({})", ids.join(","));
    for query in [operators, ors, list] {
        let limits = Limits { time: Duration::from_secs(120), ..Limits::default() };
        let result = engine().sql(Arc::new(standard_lake()), &query, limits).await;
        result.unwrap_or_else(|e| panic!("{}: {e}", query.chars().take(60).collect::<String>()));
    }
}

#[tokio::test]
async fn dropping_the_answer_stops_the_query() {
    let engine = engine();
    let limits = Limits { rows: None, answer_bytes: None, ..Limits::default() };
    let endless = "SELECT value FROM generate_series(1, 100000000000)";
    let mut answer = engine.sql(Arc::new(standard_lake()), endless, limits).await.expect("runs");
    answer.next().await.expect("a batch").expect("rows");
    drop(answer);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(engine.running(), 0);
}

#[tokio::test]
async fn a_caller_that_goes_before_the_answer_stops_the_query() {
    let engine = engine();
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000)";
    let call = engine.sql(Arc::new(standard_lake()), endless, Limits::default());
    assert!(tokio::time::timeout(Duration::from_millis(200), call).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(engine.running(), 0);
}

/// Joins whose every batch makes many, as many at once as there are threads: their time ends all the same, and none
/// computes on.
#[tokio::test]
async fn joins_without_end_keep_to_their_time() {
    let crossed = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let compared = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b \
                    WHERE a.value < b.value";
    let matching_none = "SELECT count(*) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b \
                         WHERE a.value + b.value < 0";
    let of_one_key = "SELECT count(*) FROM generate_series(1, 100000) a JOIN generate_series(1, 100000) b \
                      ON a.value % 1 = b.value % 1 AND a.value + b.value < 0";
    for query in [crossed, compared, of_one_key, matching_none] {
        let engine = engine();
        let limits = Limits { time: Duration::from_secs(2), ..Limits::default() };
        let began = Instant::now();
        let runs = (0..3).map(|_| engine.sql(Arc::new(standard_lake()), query, limits));
        for outcome in futures::future::join_all(runs).await {
            assert!(matches!(outcome, Err(QueryError::Timeout(_))), "{query}: {:?}", outcome.err());
        }
        // Two seconds and a little; on a busy machine that is more.
        assert!(began.elapsed() < Duration::from_secs(15), "{query}: {:?}", began.elapsed());
        // A caller that goes.
        let gone = engine.sql(Arc::new(standard_lake()), query, Limits::default());
        assert!(tokio::time::timeout(Duration::from_secs(1), gone).await.is_err());
        tokio::time::sleep(Duration::from_secs(2)).await;
        assert_eq!(engine.running(), 0, "{query}");
        assert_eq!(engine.memory.used(), 0, "{query}");
    }
}

#[tokio::test]
async fn stats_say_what_was_read() {
    let engine = engine();
    let lake = Arc::new(standard_lake());
    let run = async |query: &str| {
        let tables = Arc::clone(&lake);
        let mut answer = engine.sql(tables, query, Limits::default()).await.expect("runs");
        answer.collect().await.expect("rows");
        answer.stats()
    };
    let counted = run("SELECT count(*) FROM logs").await;
    assert_eq!((counted.files, counted.files_pruned), (0, 5), "a count reads no file");
    let all = run("SELECT count(DISTINCT body) FROM logs").await;
    assert_eq!((all.rows_scanned, all.files, all.files_pruned), (1000, 5, 0));
    assert!(all.bytes_scanned > 10_000 && all.cpu_ms > 0.0 && all.elapsed_ms > 0.0, "{all:?}");
    let pruned = run("SELECT count(DISTINCT body) FROM logs WHERE timestamp < '2026-11-20T10:01:00Z'").await;
    assert_eq!((pruned.files, pruned.files_pruned), (1, 4));
    let ingested =
        run("SELECT count(DISTINCT body) FROM logs WHERE _ingested_at < '2026-11-20T10:01:00Z'").await;
    assert_eq!((ingested.files, ingested.files_pruned), (1, 4));
    let by_text = run("SELECT count(DISTINCT body) FROM logs WHERE service_name = 'zebra'").await;
    assert_eq!((by_text.files, by_text.files_pruned), (0, 5));
    let point = run("SELECT body FROM logs WHERE trace_id = '00000000000000000000000000000001'").await;
    assert!(point.rows_scanned <= 1000, "{point:?}");
}

/// What is past its time in a file that is still there is in no answer, whatever is asked.
#[tokio::test]
async fn rows_past_their_time_are_shown_to_nobody() {
    let came = |row: i64| super::START + row * 1_000_000 + 10;
    for (not_before, left) in [(None, 210), (Some(came(150)), 60), (Some(came(1_000)), 0)] {
        let mut lake = standard_lake();
        let logs = |from: i64, to: i64| batch(&logs_schema(), &(from..to).map(log_row).collect::<Vec<_>>());
        lake.table(Signal::Logs, &[logs(0, 100), logs(100, 200)], &[logs(200, 210)]);
        lake.hide(Signal::Logs, not_before);
        let lake = Arc::new(lake);
        for query in [
            "SELECT body FROM logs",
            "SELECT body FROM logs WHERE severity_number >= 0",
            "SELECT body FROM logs ORDER BY timestamp DESC LIMIT 300",
            "SELECT body FROM logs LIMIT 300",
            "SELECT count(*) FROM logs GROUP BY _offset",
        ] {
            let tables = Arc::clone(&lake);
            let mut answer = engine().sql(tables, query, Limits::default()).await.expect("runs");
            let rows: usize =
                answer.collect().await.expect("rows").iter().map(|batch| batch.num_rows()).sum();
            assert_eq!(rows, left, "{query} from {not_before:?}");
        }
    }
}

#[tokio::test]
async fn newest_rows_read_the_newest_files_only() {
    let mut lake = standard_lake();
    // Without a tail that would answer at once.
    let logs = |from: i64, to: i64| batch(&logs_schema(), &(from..to).map(log_row).collect::<Vec<_>>());
    let files: Vec<_> = (0..20).map(|at| logs(at * 500, at * 500 + 500)).collect();
    lake.table(Signal::Logs, &files, &[]);
    let lake = Arc::new(lake);
    let engine = engine();
    // Each of the two partitions may open the file after the one it reads before the bar is set.
    for (query, most) in [
        ("SELECT * FROM logs ORDER BY timestamp DESC LIMIT 10", 3),
        ("SELECT body FROM logs ORDER BY timestamp DESC LIMIT 10", 3),
        ("SELECT body, timestamp FROM logs WHERE severity_number >= 9 ORDER BY timestamp DESC LIMIT 20", 3),
        (
            "SELECT body FROM logs WHERE attributes['http.status'] = '200' ORDER BY timestamp DESC, _offset DESC LIMIT 20",
            4,
        ),
        ("SELECT body FROM logs ORDER BY timestamp LIMIT 10", 3),
    ] {
        let mut answer = engine.sql(Arc::clone(&lake) as _, query, Limits::default()).await.expect("runs");
        let rows = answer.collect().await.expect("rows");
        assert!(!rows.is_empty());
        let stats = answer.stats();
        assert!(stats.files <= most, "{query}: {stats:?}");
        assert!(stats.rows_scanned < 2000, "{query}: {stats:?}");
    }
}

#[tokio::test]
async fn a_snapshot_reads_files_only() {
    let engine = engine();
    let of = |snapshot| Limits { snapshot: Some(snapshot), ..Limits::default() };
    let mut answer =
        engine.sql(Arc::new(standard_lake()), "SELECT body FROM logs", of(7)).await.expect("runs");
    let rows: usize = answer.collect().await.expect("rows").iter().map(|batch| batch.num_rows()).sum();
    assert_eq!(rows, 900);
    let gone = engine.sql(Arc::new(standard_lake()), "SELECT body FROM logs", of(8)).await;
    assert!(matches!(gone, Err(QueryError::NoSnapshot(8))), "{:?}", gone.err());
}

/// Queries out of pieces of queries: whatever comes, an answer or an error, and the engine lives on.
#[tokio::test]
async fn garbage_neither_panics_nor_hangs() {
    use candor_model::Random;
    let pieces = [
        "SELECT",
        "FROM",
        "WHERE",
        "logs",
        "errors",
        "attributes['k']",
        "body",
        "*",
        ",",
        "(",
        ")",
        "'",
        "\"",
        "--",
        "/*",
        "->",
        "->>",
        "::",
        "int",
        "CASE",
        "WHEN",
        "END",
        "AND",
        "NOT",
        "IN",
        "LIKE",
        "1",
        "1e999",
        "NULL",
        "[",
        "]",
        "{",
        "}",
        ";",
        "GROUP BY",
        "ORDER BY",
        "LIMIT",
        "OVER",
        "JOIN",
        "ON",
        "UNION",
        "WITH",
        "x",
        "AS",
        "EXPLAIN",
        "$1",
        "?",
        "@",
        "INTERVAL '1 day'",
        "date_trunc('day', timestamp)",
        "count(*)",
        "json_get(event, 'a')",
        "\u{0}",
        "é",
        "😀",
        "\\",
        "0x",
        "E'\\x'",
        "unnest(subjects)",
        "VALUES",
        "generate_series(1,3)",
        "LATERAL",
        "PIVOT",
    ];
    let random = candor_model::random::Seeded::new(7);
    let engine = engine();
    let lake = Arc::new(standard_lake());
    for _ in 0..1500 {
        let length = random.next_u64() % 14;
        let mut query =
            if random.next_u64().is_multiple_of(2) { "SELECT ".to_owned() } else { String::new() };
        for _ in 0..length {
            query.push_str(pieces[(random.next_u64() % pieces.len() as u64) as usize]);
            query.push(' ');
        }
        let limits = Limits { time: Duration::from_secs(5), ..Limits::default() };
        let tables = Arc::clone(&lake);
        match engine.sql(tables, &query, limits).await {
            Ok(mut answer) => {
                let _ = answer.collect().await;
            }
            Err(QueryError::Internal(e)) if format!("{e:?}").contains("without a result") => {
                panic!("{query:?} panicked")
            }
            Err(_) => {}
        }
    }
    engine.sql(lake, "SELECT 1", Limits::default()).await.expect("lives on");
}
