//! Promoted copies of attributes: whatever a file has of them, the answers are those of the map.

use std::sync::Arc;

use candor_model::Signal;
use candor_model::random::{Random, Seeded};
use datafusion::arrow::array::{ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::arrow::record_batch::RecordBatch;

use super::{Cell, START, TestLake, batch, engine, log_row, logs_schema, rendered};
use crate::engine::Engine;
use crate::source::Scoped;
use crate::{Format, Limits, Stats};

/// The promoted attributes and their types.
const COPIES: [(&str, DataType); 4] = [
    ("http.status", DataType::Int64),
    ("ratio", DataType::Float64),
    ("cached", DataType::Boolean),
    ("route", DataType::Utf8),
];

/// What a file of the lake has of its copies.
#[derive(Clone, Copy, PartialEq)]
enum Has {
    /// None: it is older than they are.
    Nothing,
    /// Copies of attributes some of which did not fit.
    Some,
    /// Copies of attributes that all fit, and says so.
    Exact,
}

fn with_copies(rows: &RecordBatch, schema: &SchemaRef) -> RecordBatch {
    let map = rows.column_by_name("attributes").expect("a map").as_map();
    let (keys, values) = (map.keys().as_string::<i32>(), map.values().as_string::<i32>());
    let value = |row: usize, key: &str| {
        let (from, to) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
        (from..to).find(|at| keys.value(*at) == key).map(|at| values.value(at))
    };
    let mut columns = rows.columns().to_vec();
    for (key, of) in COPIES {
        let all = (0..rows.num_rows()).map(|row| value(row, key));
        let integer = |text: &str| text.parse::<i64>().ok().filter(|number| number.to_string() == text);
        let float =
            |text: &str| text.parse::<f64>().ok().filter(|_| text.starts_with(|c: char| c.is_ascii_digit()));
        let column: ArrayRef = match of {
            DataType::Int64 => Arc::new(all.map(|text| text.and_then(integer)).collect::<Int64Array>()),
            DataType::Float64 => Arc::new(all.map(|text| text.and_then(float)).collect::<Float64Array>()),
            DataType::Boolean => {
                Arc::new(all.map(|text| text.and_then(|text| text.parse().ok())).collect::<BooleanArray>())
            }
            _ => Arc::new(all.collect::<StringArray>()),
        };
        columns.push(column);
    }
    RecordBatch::try_new(Arc::clone(schema), columns).expect("fits")
}

fn promoted_schema() -> SchemaRef {
    let mut fields: Vec<Field> = logs_schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.extend(COPIES.map(|(key, of)| Field::new(format!("a_{key}"), of, true)));
    Arc::new(Schema::new(fields))
}

/// Rows of which each has some of the attributes, and `filler` times 16 bytes more; where `odd`, some that fit no
/// copy.
fn rows(from: i64, count: i64, odd: bool, filler: usize) -> RecordBatch {
    let random = Seeded::new(from as u64 + 1);
    let pick = |of: &[&str]| of[(random.next_u64() % of.len() as u64) as usize].to_owned();
    let made: Vec<_> = (from..from + count)
        .map(|at| {
            let mut row = log_row(at);
            let filler: String = (0..filler).map(|_| format!("{:016x}", random.next_u64())).collect();
            let mut members = vec![("filler".to_owned(), filler)];
            let mut add = |key: &str, value: String| {
                if !random.next_u64().is_multiple_of(4) {
                    members.push((key.to_owned(), value));
                }
            };
            let fits = !odd || !random.next_u64().is_multiple_of(5);
            add(
                "http.status",
                if fits {
                    pick(&["200", "404", "500", "-1", "0"])
                } else {
                    pick(&["5e2", "007", "none", "", "+5", " 200", "200.0"])
                },
            );
            add("ratio", if fits { pick(&["0.5", "1.25", "3"]) } else { pick(&["half", ".5", "-"]) });
            add("cached", if fits { pick(&["true", "false"]) } else { pick(&["TRUE", "1", "no"]) });
            add("route", pick(&["/", "/a", "/b/c", "200"]));
            row.insert("attributes", Cell::Map(members));
            row
        })
        .collect();
    batch(&logs_schema(), &made)
}

/// A table of these files and a tail, with promoted columns or without.
fn lake(files: &[(RecordBatch, Has)], tail: &RecordBatch, promoted: bool) -> Arc<TestLake> {
    let mut lake = TestLake::default();
    let schema = promoted_schema();
    let of = |(rows, has): &(RecordBatch, Has)| match has {
        Has::Nothing => rows.clone(),
        _ if !promoted => rows.clone(),
        Has::Some => with_copies(rows, &schema),
        Has::Exact => {
            let exact = "a_http.status\na_ratio\na_cached".to_owned();
            let metadata = [(candor_lake::EXACT_COPIES.to_owned(), exact)].into_iter().collect();
            let schema = Arc::new(schema.as_ref().clone().with_metadata(metadata));
            with_copies(rows, &schema)
        }
    };
    let files: Vec<RecordBatch> = files.iter().map(of).collect();
    let tail = if promoted { with_copies(tail, &schema) } else { tail.clone() };
    lake.table(Signal::Logs, &files, std::slice::from_ref(&tail));
    if let Some(view) = lake.tables.get_mut(&Signal::Logs) {
        view.schema = tail.schema();
    }
    Arc::new(lake)
}

async fn run(engine: &Arc<Engine>, lake: &Arc<TestLake>, query: &str) -> (String, Stats) {
    let tables = Arc::clone(lake) as Arc<dyn Scoped>;
    let answer =
        engine.sql(tables, query, Limits::default()).await.unwrap_or_else(|e| panic!("{query}: {e}"));
    let mut again = engine
        .sql(Arc::clone(lake) as Arc<dyn Scoped>, query, Limits::default())
        .await
        .unwrap_or_else(|e| panic!("{query}: {e}"));
    again.collect().await.unwrap_or_else(|e| panic!("{query}: {e}"));
    let text = rendered(answer, Format::Csv).await.unwrap_or_else(|e| panic!("{query}: {e}"));
    (text, again.stats())
}

const QUERIES: &[&str] = &[
    "SELECT attributes['KEY'] AS v, count(*) FROM logs GROUP BY 1 ORDER BY 1 NULLS LAST",
    "SELECT attributes['KEY'], count(*) FROM logs WHERE timestamp >= 'FROM' GROUP BY 1 ORDER BY 2, 1",
    "SELECT attributes['KEY'], attributes['route'], count(*) FROM logs WHERE severity_number >= 13 GROUP BY 1, 2 ORDER BY 1, 2",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] >= 1",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] = 200 OR attributes['KEY'] = 'true'",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] = '200'",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] <> '200'",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] IS NULL",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] IS NOT NULL AND service_name = 'web'",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] IN (200, 404, 3)",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] BETWEEN 0 AND 250",
    "SELECT count(*) FROM logs WHERE attributes['KEY'] LIKE '%0%'",
    "SELECT service_name, sum(attributes['KEY']), avg(attributes['KEY']), min(attributes['KEY']) FROM logs GROUP BY 1 ORDER BY 1",
    "SELECT service_name, sum(attributes['KEY']) FROM logs WHERE attributes['KEY'] > 0 GROUP BY 1 ORDER BY 1",
    "SELECT _offset, attributes['KEY'] FROM logs WHERE attributes['KEY'] < 300 ORDER BY _offset LIMIT 50",
    "SELECT _offset, attributes['KEY'] || '!' FROM logs WHERE attributes['route'] = '/a' ORDER BY timestamp DESC LIMIT 50",
    "SELECT _offset, attributes FROM logs WHERE attributes['KEY'] IS NOT NULL ORDER BY _offset LIMIT 5",
    "SELECT count(*) FROM logs a JOIN logs b ON a._offset = b._offset WHERE a.attributes['KEY'] = b.attributes['KEY']",
    "SELECT DISTINCT attributes['KEY'] FROM logs WHERE body LIKE '%1%' ORDER BY 1",
    "SELECT upper(attributes['KEY']), attributes['KEY'] + 1 FROM logs ORDER BY _offset LIMIT 40",
    "SELECT x.v, count(*) FROM (SELECT attributes['KEY'] AS v, timestamp FROM logs) x WHERE x.timestamp > 'FROM' GROUP BY 1 ORDER BY 1",
];

#[tokio::test]
async fn copies_answer_as_the_map_does() {
    let files = [
        (rows(0, 300, false, 4), Has::Exact),
        (rows(300, 300, true, 4), Has::Some),
        (rows(600, 300, true, 4), Has::Nothing),
        (rows(900, 300, false, 4), Has::Exact),
    ];
    let tail = rows(1200, 200, true, 4);
    let (plain, promoted) = (lake(&files, &tail, false), lake(&files, &tail, true));
    // An engine each: files of both have the same keys.
    let (of_plain, of_promoted) = (engine(), engine());
    let from = candor_model::Timestamp(START + 100_000_000).to_string();
    for query in QUERIES {
        for (key, _) in COPIES {
            let query = query.replace("KEY", key).replace("FROM'", &format!("{from}'"));
            let (expected, _) = run(&of_plain, &plain, &query).await;
            let (answered, _) = run(&of_promoted, &promoted, &query).await;
            assert!(expected.lines().count() > 1, "{query} finds nothing");
            assert_eq!(expected, answered, "{query}");
        }
    }
}

#[tokio::test]
async fn where_copies_are_exact_the_map_is_not_read() {
    // So much that the columns beside the map are not read with it in one piece.
    let files: Vec<_> = (0..4).map(|at| (rows(at * 500, 500, false, 150), Has::Exact)).collect();
    let none = rows(0, 0, false, 150);
    let (plain, promoted) = (lake(&files, &none, false), lake(&files, &none, true));
    let (of_plain, of_promoted) = (engine(), engine());
    for query in [
        "SELECT attributes['http.status'], count(*) FROM logs GROUP BY 1",
        "SELECT attributes['route'], count(*) FROM logs GROUP BY 1",
        "SELECT attributes['http.status'], count(*) FROM logs WHERE severity_number > 9 GROUP BY 1",
        "SELECT attributes['cached'], count(*) FROM logs WHERE timestamp > '2026-11-20T10:00:00Z' GROUP BY 1",
        "SELECT count(*) FROM logs WHERE attributes['http.status'] >= 404",
        "SELECT count(*) FROM logs WHERE attributes['route'] = '/a'",
        "SELECT service_name, avg(attributes['ratio']) FROM logs WHERE attributes['http.status'] = 200 GROUP BY 1",
        "SELECT _offset FROM logs WHERE attributes['http.status'] = 500 LIMIT 1000",
        "SELECT _offset, attributes['http.status'] FROM logs WHERE attributes['route'] = '/a' LIMIT 1000",
    ] {
        let (_, of_map) = run(&of_plain, &plain, query).await;
        let (_, of_copies) = run(&of_promoted, &promoted, query).await;
        assert!(
            of_copies.bytes_scanned * 5 < of_map.bytes_scanned,
            "{query}: {} of {} bytes",
            of_copies.bytes_scanned,
            of_map.bytes_scanned
        );
    }
}
