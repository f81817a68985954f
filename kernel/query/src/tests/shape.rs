//! The shape of answers: columns, types, stats, streaming.

use futures::StreamExt;

use super::sql;
use crate::{Format, encode};

#[tokio::test]
async fn columns_have_names_and_types_in_sqls_words() {
    let answer =
        sql("SELECT timestamp, timestamp_ns, body, attributes, subjects, _offset, 1.5 AS f, true AS b, \
         attributes['k'], sum(_offset) OVER () FROM logs LIMIT 1")
        .await
        .expect("runs");
    let columns: Vec<String> =
        answer.columns().iter().map(|column| format!("{} {}", column.name, column.r#type)).collect();
    expect_test::expect![[r#"
        timestamp TIMESTAMP
        timestamp_ns INTEGER
        body VARCHAR
        attributes MAP(VARCHAR, VARCHAR)
        subjects VARCHAR[]
        _offset BIGINT
        f DOUBLE
        b BOOLEAN
        attributes['k'] VARCHAR
        sum(_offset) OVER () BIGINT"#]]
    .assert_eq(&columns.join("\n"));
}

#[tokio::test]
async fn json_is_the_contracts_document() {
    let answer = sql("SELECT _offset, body FROM logs ORDER BY _offset LIMIT 2").await.expect("runs");
    let whole = encode::collect(answer, Format::Json).await.expect("encodes");
    let value = candor_model::json::parse(&whole, Default::default()).expect("is JSON");
    let object = value.as_object().expect("an object");
    let keys: Vec<&str> = object.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["columns", "rows", "truncated", "stats"]);
    let stats = value.get("stats").and_then(|stats| stats.as_object()).expect("stats");
    let keys: Vec<&str> = stats.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, ["elapsed_ms", "cpu_ms", "rows_scanned", "bytes_scanned", "files", "files_pruned"]);
}

#[tokio::test]
async fn a_stream_is_what_is_collected() {
    for format in [Format::Json, Format::Ndjson, Format::Csv] {
        let query = "SELECT _offset, body, attributes FROM logs ORDER BY _offset";
        let collected = encode::collect(sql(query).await.expect("runs"), format).await.expect("encodes");
        let mut pieces = encode::stream(sql(query).await.expect("runs"), format);
        let mut streamed = Vec::new();
        while let Some(piece) = pieces.next().await {
            streamed.extend_from_slice(&piece.expect("a piece"));
        }
        let until_stats = |text: &[u8]| {
            let text = String::from_utf8(text.to_vec()).expect("text");
            text.split("\"stats\"").next().unwrap_or_default().to_owned()
        };
        assert_eq!(until_stats(&collected), until_stats(&streamed));
    }
}

#[tokio::test]
async fn steps_that_repeat_are_all_done() {
    for (query, last) in [
        (
            "SELECT v + 1 AS v FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1)))",
            "3",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT v + 1 AS v FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1))))",
            "4",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1)) WHERE v > 0)",
            "3",
        ),
        (
            "SELECT v || v AS v FROM (SELECT v || v AS v FROM (SELECT severity_text AS v FROM logs ORDER BY _offset LIMIT 1))",
            "INFOINFOINFOINFO",
        ),
        (
            "WITH a AS (SELECT value AS v FROM generate_series(1, 1)), b AS (SELECT v * 2 AS v FROM a) SELECT v * 2 AS v FROM b",
            "4",
        ),
        (
            "SELECT abs(v) AS v FROM (SELECT abs(v) AS v FROM (SELECT -value AS v FROM generate_series(1, 1)))",
            "1",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT v FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1))))",
            "3",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT * FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1))))",
            "3",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT v, v + 2 AS w FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1))))",
            "3",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT w AS v FROM (SELECT v AS w FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1)))))",
            "3",
        ),
        (
            "SELECT w + 1 AS v FROM (SELECT v AS w FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1))))",
            "3",
        ),
        (
            "SELECT v + v AS v FROM (SELECT * FROM (SELECT v + v AS v FROM (SELECT v + v AS v FROM (SELECT value AS v FROM generate_series(1, 1)))))",
            "8",
        ),
        (
            "SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT value AS a, value + 1 AS b FROM generate_series(1, 1)))",
            "1,2",
        ),
        (
            "SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT value AS a, value + 1 AS b FROM generate_series(1, 1)) WHERE a > 0)",
            "1,2",
        ),
        (
            "SELECT b AS a, a AS b FROM (SELECT * FROM (SELECT b AS a, a AS b FROM (SELECT b AS a, a AS b FROM (SELECT value AS a, value + 1 AS b FROM generate_series(1, 1)))) WHERE a > 0)",
            "2,1",
        ),
        (
            "WITH a AS (SELECT value AS v FROM generate_series(1, 1)), b AS (SELECT v + 1 AS v FROM a), c AS (SELECT v FROM b WHERE v > 0) SELECT v + 1 AS v FROM c",
            "3",
        ),
        (
            "SELECT v + 1 AS v FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1) UNION ALL SELECT value AS v FROM generate_series(1, 1)) GROUP BY v)",
            "3",
        ),
        (
            "SELECT (SELECT v + 1 AS v FROM (SELECT v FROM (SELECT v + 1 AS v FROM (SELECT value AS v FROM generate_series(1, 1)))))",
            "3",
        ),
    ] {
        let answer = super::rendered(sql(query).await.expect("runs"), Format::Csv).await.expect("rows");
        assert_eq!(answer.lines().last(), Some(last), "{query}");
    }
}
