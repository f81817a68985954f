//! Topics of streams as tables: their names, and columns that older files have narrower or not at all.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::arrow::record_batch::RecordBatch;

use super::{START, TestLake, engine, rendered, standard_lake};
use crate::{Format, Limits};

/// A table with the columns that matter here: `offset`, `timestamp`, `value`, `_ingested_at` and fields.
fn rows(offsets: &[i64], fields: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let times = || {
        let times =
            TimestampMicrosecondArray::from_iter_values(offsets.iter().map(|at| START + at * 1_000_000));
        Arc::new(times.with_timezone("UTC")) as ArrayRef
    };
    let texts: StringArray = offsets.iter().map(|at| Some(format!("value {at}"))).collect();
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("offset", Arc::new(Int64Array::from(offsets.to_vec()))),
        ("timestamp", times()),
        ("value", Arc::new(texts)),
        ("_ingested_at", times()),
    ];
    columns.extend(fields);
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("rows")
}

fn schema(fields: &[(&str, DataType)]) -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let base = [
        ("offset", DataType::Int64),
        ("timestamp", time.clone()),
        ("value", DataType::Utf8),
        ("_ingested_at", time),
    ];
    let all = base.iter().chain(fields);
    Arc::new(Schema::new(all.map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect::<Vec<_>>()))
}

fn lake() -> TestLake {
    let mut lake = standard_lake();
    let wide = schema(&[("v_a", DataType::Utf8), ("v_b", DataType::Float64), ("v_c", DataType::Utf8)]);
    let old = rows(
        &[0, 1, 2],
        vec![
            ("v_a", Arc::new(Int64Array::from(vec![Some(1), None, Some(30)]))),
            ("v_b", Arc::new(Int64Array::from(vec![1, 2, 3]))),
        ],
    );
    let newer = rows(
        &[3, 4],
        vec![
            ("v_a", Arc::new(BooleanArray::from(vec![true, false]))),
            ("v_b", Arc::new(Float64Array::from(vec![0.5, 4.0]))),
        ],
    );
    let tail = rows(
        &[5],
        vec![
            ("v_a", Arc::new(StringArray::from(vec!["x"]))),
            ("v_b", Arc::new(Float64Array::from(vec![5.0]))),
            ("v_c", Arc::new(StringArray::from(vec!["new"]))),
        ],
    );
    lake.stream("orders.v1", wide, &[old, newer], &[tail]);
    let bytes = rows(&[0], vec![("key", Arc::new(BinaryArray::from_vec(vec![&[0_u8, 255]])))]);
    lake.stream("logs", bytes.schema(), &[], &[bytes]);
    lake.stream("It's-odd", schema(&[]), &[], &[]);
    lake
}

async fn answer(sql: &str) -> String {
    match engine().sql(Arc::new(lake()), sql, Limits::default()).await {
        Ok(answer) => rendered(answer, Format::Csv).await.unwrap_or_else(|error| format!("error: {error}")),
        Err(error) => format!("error: {error}"),
    }
    .replace('\r', "")
}

#[tokio::test]
async fn older_files_read_as_the_columns_are_now() {
    assert_eq!(
        answer(r#"SELECT "offset", v_a, v_b, v_c FROM stream."orders.v1" ORDER BY 1"#).await,
        "offset,v_a,v_b,v_c\n0,1,1.0,\n1,,2.0,\n2,30,3.0,\n3,true,0.5,\n4,false,4.0,\n5,x,5.0,new\n"
    );
    for (filter, count) in [
        ("v_a = '30'", 1),
        ("v_a IN ('1', 'true', 'x')", 3),
        ("v_a IS NULL", 1),
        ("v_a > '2'", 4),
        ("v_b > 2.5", 3),
        ("v_b = 2", 1),
        ("v_c = 'new'", 1),
        ("v_c IS NULL", 5),
        ("\"offset\" >= 3 AND v_a <> 'x'", 2),
        ("value LIKE '%4'", 1),
    ] {
        let sql = format!(r#"SELECT count(*) AS n FROM stream."orders.v1" WHERE {filter}"#);
        assert_eq!(answer(&sql).await, format!("n\n{count}\n"), "{filter}");
        let sql = format!(r#"SELECT * FROM stream."orders.v1" WHERE {filter}"#);
        assert_eq!(answer(&sql).await.lines().count(), count + 1, "{filter}");
    }
    assert_eq!(
        answer(r#"SELECT max(v_a) AS a, sum(v_b) AS b, count(v_c) AS c FROM stream."orders.v1""#).await,
        "a,b,c\nx,15.5,1\n"
    );
}

#[tokio::test]
async fn topics_have_a_schema_of_their_own() {
    assert_eq!(answer("SELECT count(*) AS n FROM logs").await, "n\n1000\n");
    assert_eq!(answer("SELECT key FROM stream.logs").await, "key\nAP8=\n");
    assert_eq!(answer(r#"SELECT count(*) AS n FROM candor.stream."It's-odd""#).await, "n\n0\n");
    assert_eq!(
        answer("SHOW TABLES")
            .await
            .lines()
            .skip(1)
            .map(|line| line.replace("\"\"", "'"))
            .collect::<Vec<_>>()
            .join(" "),
        "errors,BASE TABLE ledger,BASE TABLE logs,BASE TABLE spans,BASE TABLE \"stream.'It's-odd'\",BASE TABLE \
         \"stream.'logs'\",BASE TABLE \"stream.'orders.v1'\",BASE TABLE"
    );
    let described = answer(r#"DESCRIBE stream."orders.v1""#).await;
    assert!(described.ends_with("v_a,VARCHAR,YES\nv_b,DOUBLE,YES\nv_c,VARCHAR,YES\n"), "{described}");
    assert_eq!(answer(r#"DESCRIBE stream."It's-odd""#).await.lines().count(), 5);
    assert!(answer("DESCRIBE logs").await.contains("body,VARCHAR"));
    for unknown in ["SELECT * FROM stream.none", "DESCRIBE stream.none", "SELECT * FROM \"orders.v1\""] {
        assert!(answer(unknown).await.contains("not found"), "{unknown}: {}", answer(unknown).await);
    }
    let columns = r#"SELECT count(*) AS n FROM information_schema.columns WHERE table_schema = 'stream'"#;
    assert_eq!(answer(columns).await, "n\n16\n");
}

#[tokio::test]
async fn the_schema_names_topics_as_queries_do() {
    let tables = engine().schema(Arc::new(lake())).await.expect("a schema");
    let names: Vec<&str> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "logs",
            "errors",
            "spans",
            "ledger",
            "stream.\"It's-odd\"",
            "stream.\"logs\"",
            "stream.\"orders.v1\""
        ]
    );
}
