//! The search language: what it finds, that files, tail and live tail agree, pages, histogram and facets.

use std::collections::BTreeSet;
use std::sync::Arc;

use candor_model::{Random, Signal, Timestamp};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::record_batch::RecordBatch;
use expect_test::expect;

use super::{
    Cell, Row, START, TestLake, batch, engine, error_row, errors_schema, log_row, logs_schema, map, span_row,
    spans_schema, standard_lake, text,
};
use crate::engine::Engine;
use crate::{Limits, QueryError, SearchPage, SearchRequest, TailFilter};

fn request(signal: Signal, text: &str) -> SearchRequest {
    SearchRequest {
        signal,
        text: text.to_owned(),
        from: None,
        to: None,
        limit: 5000,
        cursor: None,
        summary: false,
    }
}

fn offsets(batches: &[RecordBatch]) -> Vec<i64> {
    let column = |batch: &RecordBatch| Arc::clone(batch.column_by_name("_offset").expect("offset"));
    batches.iter().flat_map(|batch| column(batch).as_primitive::<Int64Type>().values().to_vec()).collect()
}

async fn search(engine: &Arc<Engine>, lake: &Arc<TestLake>, request: SearchRequest) -> SearchPage {
    let tables = Arc::clone(lake);
    engine.search(tables, request, Limits::default()).await.expect("searches")
}

/// The rows of one table: all in files, all in the tail, and as a batch on its way.
struct Ways {
    engine: Arc<Engine>,
    files: Arc<TestLake>,
    tail: Arc<TestLake>,
    signal: Signal,
    rows: RecordBatch,
}

impl Ways {
    fn new(signal: Signal, rows: &[Row]) -> Ways {
        let schema = match signal {
            Signal::Logs => logs_schema(),
            Signal::Errors => errors_schema(),
            Signal::Spans => spans_schema(),
        };
        let rows = batch(&schema, rows);
        let (mut files, mut tail) = (standard_lake(), standard_lake());
        let half = rows.num_rows() / 2;
        let pieces = [rows.slice(0, half), rows.slice(half, rows.num_rows() - half)];
        files.table(signal, &pieces, &[]);
        tail.table(signal, &[], &pieces);
        Ways { engine: engine(), files: Arc::new(files), tail: Arc::new(tail), signal, rows }
    }

    /// What is found, after all ways agreed on it.
    async fn find(&self, text: &str) -> Result<BTreeSet<i64>, QueryError> {
        let filter = TailFilter::new(self.signal, text)?;
        let mask = filter.matches(&self.rows)?;
        assert_eq!(mask.null_count(), 0);
        let all = offsets(std::slice::from_ref(&self.rows));
        let live: BTreeSet<i64> =
            all.iter().enumerate().filter(|(row, _)| mask.value(*row)).map(|(_, offset)| *offset).collect();
        for lake in [&self.files, &self.tail] {
            let page =
                search(&self.engine, lake, SearchRequest { summary: true, ..request(self.signal, text) })
                    .await;
            let found: BTreeSet<i64> = offsets(&page.rows).into_iter().collect();
            assert_eq!(found, live, "{text:?}: {}", filter.explain());
            assert_eq!(page.total, Some(found.len() as u64), "{text:?}");
            let counted: u64 =
                page.histogram.iter().flat_map(|h| &h.buckets).flat_map(|b| &b.counts).map(|(_, n)| n).sum();
            assert_eq!(counted, found.len() as u64, "{text:?}");
        }
        Ok(live)
    }
}

fn odd_logs() -> Vec<Row> {
    let mut rows: Vec<Row> = (0..40).map(log_row).collect();
    let mut odd = |change: &dyn Fn(&mut Row)| {
        let mut row = log_row(rows.len() as i64);
        change(&mut row);
        rows.push(row);
    };
    odd(&|row| drop(row.remove("body")));
    odd(&|row| drop(row.remove("service_name")));
    odd(&|row| drop(row.insert("attributes", Cell::Map(vec![]))));
    odd(&|row| drop(row.insert("attributes", map(&[("n", "12.5"), ("t", "1.2.3"), ("e", "")]))));
    odd(&|row| {
        drop(row.insert("attributes", map(&[("n", "-3"), ("user.name", "Größe 100%"), ("path", "/a_b%c")])))
    });
    odd(&|row| drop(row.insert("body", text("a \"quoted\" (thing) [x] \\ * end"))));
    odd(&|row| drop(row.insert("body", text("ÄÖÜ äöü 日本 time\nout"))));
    odd(&|row| {
        row.insert("severity_number", Cell::Int(0));
        row.insert("severity_text", text("Critical"));
    });
    odd(&|row| {
        row.insert("severity_number", Cell::Int(0));
        row.remove("severity_text");
    });
    odd(&|row| drop(row.insert("severity_number", Cell::Int(21))));
    rows
}

#[tokio::test]
async fn searches_find_what_they_say() {
    let ways = Ways::new(Signal::Logs, &odd_logs());
    let mut out = String::new();
    for query in [
        "",
        "TIMED",
        "\"request 7 \"",
        "req*took*11",
        "service:cart -level:info level<error",
        "level>=error",
        "level>warn",
        "-level:*",
        "severity:fatal",
        "host:db* OR host:cart-1",
        "-host:*",
        "-service:cart -service:web -service:db",
        "http.status:300",
        "http.status>=500",
        "http.status<300 path:/api/4",
        "n>=12 OR n<0",
        "t>=1.2.2",
        "e:* -e:x",
        "attributes.path:/api/3",
        "path:\"/a_b%c\"",
        "path:/a_b%*",
        "path:~^/api/[12]$",
        "user.name:~größe",
        "größe",
        "äöü",
        "日本",
        "\"time\nout\"",
        r#""\"quoted\"""#,
        r"\*",
        "\"(thing)\"",
        "body:took body:\" 9 ms\"",
        "body:~\"took [0-9] ms\"",
        "timestamp>=2026-11-20T10:00:45Z",
        "time<2026-11-20T10:00:02Z",
        "_offset>47",
        "user:3 trace:*",
        "subject:user:2",
        "subjects:device:1 _offset<4",
        "source:main -source:*n",
        "nothing_like_it:*",
        "(cart OR web-1) -(status OR http.status:200)",
        "critical",
        "trace:00000000000000000000000000000001",
    ] {
        let found = ways.find(query).await.unwrap_or_else(|e| panic!("{query:?}: {e}"));
        let list: Vec<String> = found.iter().map(i64::to_string).collect();
        let shown = if list.len() > 12 { format!("{} rows", list.len()) } else { list.join(" ") };
        out.push_str(&format!("{query:?}: {shown}\n"));
    }
    expect![[r#"
        "": 50 rows
        "TIMED": 0
        "\"request 7 \"": 7
        "req*took*11": 11
        "service:cart -level:info level<error": 3 9 15 21 27 33 39 45
        "level>=error": 14 rows
        "level>warn": 14 rows
        "-level:*": 48
        "severity:fatal": 47 49
        "host:db* OR host:cart-1": 19 rows
        "-host:*": 0 5 10 15 20 25 30 35 40 45
        "-service:cart -service:web -service:db": 41
        "http.status:300": 1 5 9 13 17 25 29 33 37 41 45
        "http.status>=500": 3 11 15 19 23 27 31 39 47
        "http.status<300 path:/api/4": 4 40
        "n>=12 OR n<0": 43 44
        "t>=1.2.2": 43
        "e:* -e:x": 43
        "attributes.path:/api/3": 3 12 21 30 39 48
        "path:\"/a_b%c\"": 44
        "path:/a_b%*": 44
        "path:~^/api/[12]$": 1 2 10 11 19 20 28 29 37 38 46 47
        "user.name:~größe": 
        "größe": 44
        "äöü": 46
        "日本": 46
        "\"time\nout\"": 46
        "\"\\\"quoted\\\"\"": 45
        "\\*": 45
        "\"(thing)\"": 45
        "body:took body:\" 9 ms\"": 9
        "body:~\"took [0-9] ms\"": 0 1 2 3 4 5 6 7 8 9
        "timestamp>=2026-11-20T10:00:45Z": 45 46 47 48 49
        "time<2026-11-20T10:00:02Z": 0 1
        "_offset>47": 48 49
        "user:3 trace:*": 
        "subject:user:2": 2 8 14 20 26 32 38 44
        "subjects:device:1 _offset<4": 1 3
        "source:main -source:*n": 
        "nothing_like_it:*": 
        "(cart OR web-1) -(status OR http.status:200)": 
        "critical": 
        "trace:00000000000000000000000000000001": 30 40
    "#]]
    .assert_eq(&out);
}

#[tokio::test]
async fn errors_and_spans_are_searched_too() {
    let mut out = String::new();
    let errors = Ways::new(Signal::Errors, &(0..12).map(error_row).collect::<Vec<_>>());
    for query in [
        "KeyError",
        "level>=error browser:firefox",
        "size>=9",
        "level:warning",
        "release:shop*",
        "hi",
        "value:\"bad value 3\"",
        "type:ValueError -level:fatal",
    ] {
        out.push_str(&format!("{query:?}: {:?}\n", errors.find(query).await.expect("searches")));
    }
    let spans = Ways::new(Signal::Spans, &(0..40).map(span_row).collect::<Vec<_>>());
    for query in [
        "duration>=38ms",
        "duration<2",
        "duration:5ms",
        "status:error retries>=2",
        "name:GET*",
        "service:web op:http.server duration>0.0385s",
    ] {
        out.push_str(&format!("{query:?}: {:?}\n", spans.find(query).await.expect("searches")));
    }
    expect![[r#"
        "KeyError": {1, 3, 5, 7, 9, 11}
        "level>=error browser:firefox": {}
        "size>=9": {9, 10, 11}
        "level:warning": {1, 4, 7, 10}
        "release:shop*": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
        "hi": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
        "value:\"bad value 3\"": {3}
        "type:ValueError -level:fatal": {0, 4, 6, 10}
        "duration>=38ms": {38, 39}
        "duration<2": {0, 1}
        "duration:5ms": {5}
        "status:error retries>=2": {5, 20, 35}
        "name:GET*": {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39}
        "service:web op:http.server duration>0.0385s": {39}
    "#]].assert_eq(&out);
    // The issue is the table's own; a record on its way has none yet.
    let page = search(&errors.engine, &errors.files, request(Signal::Errors, "issue:11")).await;
    assert_eq!(offsets(&page.rows), [10, 7, 4, 1]);
}

#[tokio::test]
async fn searches_that_make_no_sense_say_where() {
    let mut out = String::new();
    for query in [
        "level>=loud",
        "_offset:many",
        "time>=yesterday",
        "duration>=fast",
        "body:~(",
        "a (b",
        "attributes>5",
        "x:~a{1000000}",
    ] {
        let signal = if query.starts_with("duration") { Signal::Spans } else { Signal::Logs };
        match TailFilter::new(signal, query) {
            Ok(filter) => out.push_str(&format!("{query:?} is {}\n", filter.explain())),
            Err(e) => out.push_str(&format!("{query:?}: {e}\n")),
        }
    }
    expect![[r#"
        "level>=loud": unknown level: one of trace, debug, info, warn, error, fatal at character 8
        "_offset:many": expected a number at character 9
        "time>=yesterday": expected a time, like 2026-11-20T10:00:00Z at character 7
        "duration>=fast": expected a duration, like 250ms at character 11
        "body:~(": this is no regular expression at character 7
        "a (b": this ( is not closed at character 3
        "attributes>5": attributes has many values: name one, like attributes.5 at character 12
        "x:~a{1000000}": the regular expression is too large at character 4
    "#]]
    .assert_eq(&out);
}

/// Searches out of pieces of searches: files, tail and live tail always agree.
#[tokio::test]
async fn all_ways_agree_on_any_search() {
    let random = candor_model::random::Seeded::new(5);
    let ways = Ways::new(Signal::Logs, &odd_logs());
    let keys = [
        "service",
        "host",
        "level",
        "body",
        "http.status",
        "path",
        "n",
        "trace",
        "subject",
        "subjects",
        "_offset",
        "time",
        "nope",
        "timestamp_ns",
    ];
    let values = [
        "cart",
        "db*",
        "*",
        "error",
        "12",
        "300",
        "\"a b\"",
        "/api/*",
        "user:3",
        "2026-11-20T10:00:20Z",
        "~^[a-c]",
        "~\\d+",
        "\"*\"",
        "é",
    ];
    let words = ["request", "took", "TIMED", "ms", "\"9 ms\"", "r*t", "ä", "*", "200", "\\*"];
    let compare = [":", ":>=", "<", ">", "<=", ">="];
    let pick = |from: &[&'static str]| from[(random.next_u64() % from.len() as u64) as usize];
    let mut checked = 0;
    for _ in 0..150 {
        let mut query = String::new();
        let mut open = 0;
        for _ in 0..=random.next_u64() % 4 {
            if random.next_u64().is_multiple_of(5) {
                query.push('-');
            }
            if random.next_u64().is_multiple_of(6) {
                query.push('(');
                open += 1;
            }
            if random.next_u64().is_multiple_of(3) {
                query.push_str(pick(&words));
            } else {
                query.push_str(pick(&keys));
                query.push_str(pick(&compare));
                query.push_str(pick(&values));
            }
            if open > 0 && random.next_u64().is_multiple_of(2) {
                query.push(')');
                open -= 1;
            }
            query.push_str(if random.next_u64().is_multiple_of(3) { " OR " } else { " " });
        }
        query = query.trim_end().trim_end_matches(" OR").to_owned();
        query.push_str(&")".repeat(open));
        match ways.find(&query).await {
            Ok(_) => checked += 1,
            Err(QueryError::Search(_)) => {}
            Err(e) => panic!("{query:?}: {e}"),
        }
    }
    assert!(checked > 60, "only {checked} made sense");
}

#[tokio::test]
async fn pages_give_every_row_once_newest_first() {
    // Many rows of one time, in two partitions with the same offsets.
    let rows: Vec<Row> = (0..300)
        .map(|at| {
            let mut row = log_row(at);
            row.insert("timestamp", Cell::Int(START + at / 50));
            row.insert("timestamp_ns", Cell::Int(at % 3));
            row.insert("_partition", Cell::Int(at % 2));
            row.insert("_offset", Cell::Int(at / 2));
            row
        })
        .collect();
    let mut lake = standard_lake();
    let rows = batch(&logs_schema(), &rows);
    lake.table(Signal::Logs, &[rows.slice(0, 120), rows.slice(120, 100)], &[rows.slice(220, 80)]);
    let (engine, lake) = (engine(), Arc::new(lake));
    let mut seen = Vec::new();
    let mut cursor = None;
    let mut pages = 0;
    loop {
        let page =
            search(&engine, &lake, SearchRequest { limit: 23, cursor, ..request(Signal::Logs, "took") })
                .await;
        for batch in &page.rows {
            for row in 0..batch.num_rows() {
                let of = |name: &str| {
                    let array = datafusion::arrow::compute::cast(
                        batch.column_by_name(name).expect("column"),
                        &datafusion::arrow::datatypes::DataType::Int64,
                    );
                    array.expect("an integer").as_primitive::<Int64Type>().value(row)
                };
                seen.push([of("timestamp"), of("timestamp_ns"), of("_partition"), of("_offset")]);
            }
        }
        pages += 1;
        cursor = page.cursor;
        if cursor.is_none() {
            break;
        }
    }
    assert_eq!((pages, seen.len()), (14, 300));
    assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "newest first, none twice");

    for cursor in ["", "x", "1.2.3", "1.2.3.4.5", "1.2.3.99999999999999999999"] {
        let bad = SearchRequest { cursor: Some(cursor.to_owned()), ..request(Signal::Logs, "") };
        let result = engine.search(Arc::clone(&lake) as _, bad, Limits::default()).await;
        assert!(matches!(result, Err(QueryError::Argument(_))), "{cursor}");
    }
}

#[tokio::test]
async fn a_page_has_a_histogram_and_facets() {
    let (engine, lake) = (engine(), Arc::new(standard_lake()));
    let page = search(
        &engine,
        &lake,
        SearchRequest {
            from: Some(Timestamp(START + 100_000_000)),
            to: Some(Timestamp(START + 400_000_000)),
            limit: 2,
            summary: true,
            ..request(Signal::Logs, "-level:debug")
        },
    )
    .await;
    assert_eq!(offsets(&page.rows), [398, 397]);
    assert_eq!(page.total, Some(225));
    let histogram = page.histogram.as_ref().expect("a histogram");
    assert_eq!(histogram.bucket_us, 5_000_000);
    assert_eq!(histogram.buckets.len(), 60);
    let json = String::from_utf8(page.to_json()).expect("text");
    let value = candor_model::json::parse(json.as_bytes(), Default::default()).expect("is JSON");
    let keys: Vec<&str> = value.as_object().expect("object").iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["rows", "cursor", "total", "histogram", "facets", "stats"]);
    let facets = candor_model::json::to_string(value.get("facets").expect("facets"));
    expect![[r#"{"service_name":[["cart",75],["db",75],["web",75]],"severity_text":[["ERROR",75],["INFO",75],["WARN",75]],"host_name":[["cart-0",40],["db-0",40],["web-0",40],["cart-1",20],["db-1",20],["web-1",20]],"source":[["main",225]]}"#]].assert_eq(&facets);
    let bucket =
        &value.get("histogram").and_then(|h| h.get("buckets")).and_then(|b| b.as_array()).expect("buckets")
            [0];
    expect![[r#"{"t":1795168900000000,"counts":{"info":2,"warn":1,"error":1}}"#]]
        .assert_eq(&candor_model::json::to_string(bucket));
    // Rows have every column of the table.
    let row =
        value.get("rows").and_then(|rows| rows.as_array()).expect("rows")[0].as_object().expect("object");
    assert_eq!(row.len(), logs_schema().fields().len());
}

#[tokio::test]
async fn a_narrow_search_reads_few_files() {
    let (engine, lake) = (engine(), Arc::new(standard_lake()));
    let recent = SearchRequest { limit: 20, ..request(Signal::Logs, "took service:web") };
    let page = search(&engine, &lake, recent.clone()).await;
    // Each of the two partitions may begin a file before the tail's rows have filled the page.
    assert!(page.stats.files <= 2, "{:?}", page.stats);
    let bounded = SearchRequest { to: Some(Timestamp(START + 150_000_000)), summary: true, ..recent };
    let page = search(&engine, &lake, bounded).await;
    assert_eq!((page.stats.files, page.stats.files_pruned), (1, 4), "{:?}", page.stats);
}
