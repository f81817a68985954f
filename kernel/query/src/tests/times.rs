//! Times that a sender's wild clock stated: they fail nobody's query, and what can hold them says them right.

use std::sync::Arc;

use candor_model::Signal;
use expect_test::expect;

use super::{Cell, START, TestLake, batch, engine, log_row, logs_schema, rendered, sql};
use crate::source::Scoped;
use crate::{Format, Limits};

/// The years 2500, 1500, 9999 and -9999, and one of today.
fn wild_lake() -> Arc<dyn Scoped> {
    let wild = |micros: i64| {
        let mut row = log_row(0);
        row.insert("timestamp", Cell::Int(micros));
        row
    };
    let rows = [
        wild(16_725_225_600_000_000),
        wild(-14_831_769_600_000_000),
        wild(253_402_207_200_999_999),
        wild(-377_705_023_201_000_000),
        wild(START),
    ];
    let mut lake = TestLake::default();
    let rows = batch(&logs_schema(), &rows);
    lake.table(Signal::Logs, &[rows.slice(0, 3)], &[rows.slice(3, 2)]);
    Arc::new(lake)
}

/// The rows of an answer in one line.
async fn answer(tables: &Arc<dyn Scoped>, query: &str) -> String {
    let engine = engine();
    let answer = match engine.sql(Arc::clone(tables), query, Limits::default()).await {
        Ok(answer) => rendered(answer, Format::Csv).await,
        Err(e) => Err(e),
    };
    match answer {
        Ok(rows) => {
            let rows = rows.lines().skip(1).collect::<Vec<_>>().join("  ");
            if rows.is_empty() { "null".to_owned() } else { rows }
        }
        Err(e) => format!("error: {e}"),
    }
}

#[tokio::test]
async fn a_senders_wild_clock_fails_nobodys_query() {
    let lake = wild_lake();
    let mut out = String::new();
    for query in [
        // Functions.
        "SELECT date_trunc('hour', timestamp) AS t, count(*) FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT date_bin(INTERVAL '1 hour', timestamp) AS t, count(*) FROM logs GROUP BY 1 ORDER BY 1",
        "SELECT date_bin(INTERVAL '1 month', timestamp, '2001-01-01') AS t FROM logs ORDER BY 1",
        "SELECT to_char(timestamp, '%Y-%m-%d %H:%M') FROM logs ORDER BY timestamp",
        "SELECT to_char(timestamp, severity_text) FROM logs ORDER BY timestamp",
        "SELECT date_part('year', timestamp), extract(month FROM timestamp) FROM logs ORDER BY timestamp",
        "SELECT extract(epoch FROM timestamp) FROM logs ORDER BY timestamp",
        "SELECT count(*) FROM logs WHERE extract(year FROM timestamp) = 2500",
        "SELECT extract(year FROM '2600-01-01'), date_trunc('day', '2026-11-20T10:00:00')",
        "SELECT to_unixtime(timestamp), to_timestamp(timestamp), to_date(timestamp) FROM logs ORDER BY timestamp",
        "SELECT to_local_time(timestamp) FROM logs ORDER BY timestamp",
        // Arithmetic.
        "SELECT now() - timestamp < INTERVAL '1 hour' FROM logs ORDER BY timestamp",
        "SELECT count(*) FROM logs WHERE now() - timestamp > INTERVAL '10 minutes'",
        "SELECT count(*) FROM logs WHERE now() - timestamp BETWEEN INTERVAL '0 s' AND INTERVAL '1 day'",
        "SELECT count(*) FROM logs WHERE now() - timestamp > INTERVAL '1 day'",
        "SELECT timestamp + INTERVAL '1 year', timestamp - INTERVAL '1 month 3 days' FROM logs ORDER BY timestamp",
        "SELECT extract(epoch FROM max(timestamp) - min(timestamp)) FROM logs",
        // Comparisons.
        "SELECT count(*) FROM logs WHERE timestamp > '2600-01-01'",
        "SELECT count(*) FROM logs WHERE '1600-01-01T00:00:00Z' > timestamp",
        "SELECT count(*) FROM logs WHERE timestamp > TIMESTAMP '2600-01-01 00:00:00'",
        "SELECT count(*) FROM logs WHERE timestamp < DATE '2600-01-01'",
        "SELECT count(*) FROM logs WHERE timestamp BETWEEN '1400-01-01' AND '2600-01-01'",
        "SELECT count(*) FROM logs WHERE timestamp IN ('2500-01-01', '2026-11-20T10:00:00Z')",
        "SELECT count(*) FROM logs WHERE timestamp NOT IN ('2500-01-01', DATE '2026-11-20')",
        "SELECT count(*) FROM logs WHERE timestamp > now() - INTERVAL '1 day'",
        "SELECT count(*) FROM logs WHERE timestamp >= to_timestamp('2499-12-31')",
        "SELECT count(*) FROM logs WHERE to_timestamp_nanos(0) < '2600-01-01'",
        "SELECT count(*) FROM logs WHERE timestamp >= to_timestamp(16725225600)",
        "SELECT count(*) FROM logs WHERE timestamp >= to_timestamp_nanos('2026-01-01')",
        "SELECT count(*) FROM logs WHERE timestamp IS DISTINCT FROM '2500-01-01'",
        "SELECT count(*) FROM logs WHERE timestamp::date > '2499-01-01'",
        // Casts and what brings types together.
        "SELECT timestamp, timestamp::date, timestamp::timestamp, timestamp::text FROM logs ORDER BY timestamp",
        "SELECT CAST(timestamp AS TIMESTAMP(9)), CAST(timestamp AS TIMESTAMP WITH TIME ZONE) FROM logs ORDER BY 1",
        "SELECT timestamp::bigint, TRY_CAST(timestamp AS TIMESTAMP) IS NULL FROM logs ORDER BY timestamp",
        "SELECT coalesce(timestamp, now()), greatest(timestamp, '2400-01-01') FROM logs ORDER BY timestamp",
        "SELECT CASE WHEN true THEN timestamp ELSE to_timestamp_nanos(0) END FROM logs ORDER BY timestamp",
        "SELECT timestamp FROM logs UNION ALL SELECT to_timestamp_nanos(0) ORDER BY 1",
        "SELECT count(*) FROM logs a JOIN logs b ON a.timestamp = b.timestamp::timestamp",
        "SELECT timestamp, count(*) OVER (ORDER BY timestamp RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) FROM logs ORDER BY 1",
        "SELECT count(*) FROM logs WHERE timestamp = (SELECT max(timestamp)::timestamp FROM logs)",
        "SELECT count(*) FROM logs WHERE timestamp IN (SELECT value FROM generate_series(TIMESTAMP '2026-11-20 09:00:00', TIMESTAMP '2026-11-20 11:00:00', INTERVAL '1 hour'))",
        "SELECT count(*) FROM generate_series(TIMESTAMP '2600-01-01', TIMESTAMP '2600-01-02', INTERVAL '1 hour')",
    ] {
        out.push_str(&format!("{query}\n    {}\n", answer(&lake, query).await));
    }
    expect![[r#"
        SELECT date_trunc('hour', timestamp) AS t, count(*) FROM logs GROUP BY 1 ORDER BY 1
            1678-01-01T00:00:00.000000Z,2  2026-11-20T10:00:00.000000Z,1  2261-12-31T23:00:00.000000Z,2
        SELECT date_bin(INTERVAL '1 hour', timestamp) AS t, count(*) FROM logs GROUP BY 1 ORDER BY 1
            1678-01-01T00:00:00.000000Z,2  2026-11-20T10:00:00.000000Z,1  2261-12-31T23:00:00.000000Z,2
        SELECT date_bin(INTERVAL '1 month', timestamp, '2001-01-01') AS t FROM logs ORDER BY 1
            1678-01-01T00:00:00.000000Z  1678-01-01T00:00:00.000000Z  2026-11-01T00:00:00.000000Z  2261-12-01T00:00:00.000000Z  2261-12-01T00:00:00.000000Z
        SELECT to_char(timestamp, '%Y-%m-%d %H:%M') FROM logs ORDER BY timestamp
            -9999-01-02 01:59  1500-01-01 00:00  2026-11-20 10:00  2500-01-01 00:00  9999-12-30 22:00
        SELECT to_char(timestamp, severity_text) FROM logs ORDER BY timestamp
            INFO  INFO  INFO  INFO  INFO
        SELECT date_part('year', timestamp), extract(month FROM timestamp) FROM logs ORDER BY timestamp
            -9999,1  1500,1  2026,11  2500,1  9999,12
        SELECT extract(epoch FROM timestamp) FROM logs ORDER BY timestamp
            -377705023201.0  -14831769600.0  1795168800.0  16725225600.0  253402207201.0
        SELECT count(*) FROM logs WHERE extract(year FROM timestamp) = 2500
            1
        SELECT extract(year FROM '2600-01-01'), date_trunc('day', '2026-11-20T10:00:00')
            2600,2026-11-20T00:00:00.000000Z
        SELECT to_unixtime(timestamp), to_timestamp(timestamp), to_date(timestamp) FROM logs ORDER BY timestamp
            -377705023201,-009999-01-02T01:59:59.000000Z,-009999-01-02  -14831769600,1500-01-01T00:00:00.000000Z,1500-01-01  1795168800,2026-11-20T10:00:00.000000Z,2026-11-20  16725225600,2500-01-01T00:00:00.000000Z,2500-01-01  253402207200,9999-12-30T22:00:00.999999Z,9999-12-30
        SELECT to_local_time(timestamp) FROM logs ORDER BY timestamp
            -009999-01-02T01:59:59.000000Z  1500-01-01T00:00:00.000000Z  2026-11-20T10:00:00.000000Z  2500-01-01T00:00:00.000000Z  9999-12-30T22:00:00.999999Z
        SELECT now() - timestamp < INTERVAL '1 hour' FROM logs ORDER BY timestamp
            false  false  true  true  true
        SELECT count(*) FROM logs WHERE now() - timestamp > INTERVAL '10 minutes'
            3
        SELECT count(*) FROM logs WHERE now() - timestamp BETWEEN INTERVAL '0 s' AND INTERVAL '1 day'
            1
        SELECT count(*) FROM logs WHERE now() - timestamp > INTERVAL '1 day'
            2
        SELECT timestamp + INTERVAL '1 year', timestamp - INTERVAL '1 month 3 days' FROM logs ORDER BY timestamp
            -009998-01-02T01:59:59.000000Z,-010000-11-29T01:59:59.000000Z  1501-01-01T00:00:00.000000Z,1499-11-28T00:00:00.000000Z  2027-11-20T10:00:00.000000Z,2026-10-17T10:00:00.000000Z  2501-01-01T00:00:00.000000Z,2499-11-28T00:00:00.000000Z  +010000-12-30T22:00:00.999999Z,9999-11-27T22:00:00.999999Z
        SELECT extract(epoch FROM max(timestamp) - min(timestamp)) FROM logs
            null
        SELECT count(*) FROM logs WHERE timestamp > '2600-01-01'
            1
        SELECT count(*) FROM logs WHERE '1600-01-01T00:00:00Z' > timestamp
            2
        SELECT count(*) FROM logs WHERE timestamp > TIMESTAMP '2600-01-01 00:00:00'
            1
        SELECT count(*) FROM logs WHERE timestamp < DATE '2600-01-01'
            4
        SELECT count(*) FROM logs WHERE timestamp BETWEEN '1400-01-01' AND '2600-01-01'
            3
        SELECT count(*) FROM logs WHERE timestamp IN ('2500-01-01', '2026-11-20T10:00:00Z')
            2
        SELECT count(*) FROM logs WHERE timestamp NOT IN ('2500-01-01', DATE '2026-11-20')
            4
        SELECT count(*) FROM logs WHERE timestamp > now() - INTERVAL '1 day'
            3
        SELECT count(*) FROM logs WHERE timestamp >= to_timestamp('2499-12-31')
            2
        SELECT count(*) FROM logs WHERE to_timestamp_nanos(0) < '2600-01-01'
            5
        SELECT count(*) FROM logs WHERE timestamp >= to_timestamp(16725225600)
            2
        SELECT count(*) FROM logs WHERE timestamp >= to_timestamp_nanos('2026-01-01')
            3
        SELECT count(*) FROM logs WHERE timestamp IS DISTINCT FROM '2500-01-01'
            4
        SELECT count(*) FROM logs WHERE timestamp::date > '2499-01-01'
            2
        SELECT timestamp, timestamp::date, timestamp::timestamp, timestamp::text FROM logs ORDER BY timestamp
            -009999-01-02T01:59:59.000000Z,-009999-01-02,-009999-01-02T01:59:59.000000Z,-9999-01-02T01:59:59Z  1500-01-01T00:00:00.000000Z,1500-01-01,1500-01-01T00:00:00.000000Z,1500-01-01T00:00:00Z  2026-11-20T10:00:00.000000Z,2026-11-20,2026-11-20T10:00:00.000000Z,2026-11-20T10:00:00Z  2500-01-01T00:00:00.000000Z,2500-01-01,2500-01-01T00:00:00.000000Z,2500-01-01T00:00:00Z  9999-12-30T22:00:00.999999Z,9999-12-30,9999-12-30T22:00:00.999999Z,9999-12-30T22:00:00.999999Z
        SELECT CAST(timestamp AS TIMESTAMP(9)), CAST(timestamp AS TIMESTAMP WITH TIME ZONE) FROM logs ORDER BY 1
            -009999-01-02T01:59:59.000000Z,-009999-01-02T01:59:59.000000Z  1500-01-01T00:00:00.000000Z,1500-01-01T00:00:00.000000Z  2026-11-20T10:00:00.000000Z,2026-11-20T10:00:00.000000Z  2500-01-01T00:00:00.000000Z,2500-01-01T00:00:00.000000Z  9999-12-30T22:00:00.999999Z,9999-12-30T22:00:00.999999Z
        SELECT timestamp::bigint, TRY_CAST(timestamp AS TIMESTAMP) IS NULL FROM logs ORDER BY timestamp
            -377705023201000000,false  -14831769600000000,false  1795168800000000,false  16725225600000000,false  253402207200999999,false
        SELECT coalesce(timestamp, now()), greatest(timestamp, '2400-01-01') FROM logs ORDER BY timestamp
            -009999-01-02T01:59:59.000000Z,2261-12-31T23:59:59.000000Z  1500-01-01T00:00:00.000000Z,2261-12-31T23:59:59.000000Z  2026-11-20T10:00:00.000000Z,2261-12-31T23:59:59.000000Z  2500-01-01T00:00:00.000000Z,2261-12-31T23:59:59.000000Z  9999-12-30T22:00:00.999999Z,2261-12-31T23:59:59.000000Z
        SELECT CASE WHEN true THEN timestamp ELSE to_timestamp_nanos(0) END FROM logs ORDER BY timestamp
            1678-01-01T00:00:00.000000Z  1678-01-01T00:00:00.000000Z  2026-11-20T10:00:00.000000Z  2261-12-31T23:59:59.000000Z  2261-12-31T23:59:59.000000Z
        SELECT timestamp FROM logs UNION ALL SELECT to_timestamp_nanos(0) ORDER BY 1
            1678-01-01T00:00:00.000000Z  1678-01-01T00:00:00.000000Z  1970-01-01T00:00:00.000000Z  2026-11-20T10:00:00.000000Z  2261-12-31T23:59:59.000000Z  2261-12-31T23:59:59.000000Z
        SELECT count(*) FROM logs a JOIN logs b ON a.timestamp = b.timestamp::timestamp
            5
        SELECT timestamp, count(*) OVER (ORDER BY timestamp RANGE BETWEEN INTERVAL '1 day' PRECEDING AND CURRENT ROW) FROM logs ORDER BY 1
            -009999-01-02T01:59:59.000000Z,1  1500-01-01T00:00:00.000000Z,1  2026-11-20T10:00:00.000000Z,1  2500-01-01T00:00:00.000000Z,1  9999-12-30T22:00:00.999999Z,1
        SELECT count(*) FROM logs WHERE timestamp = (SELECT max(timestamp)::timestamp FROM logs)
            1
        SELECT count(*) FROM logs WHERE timestamp IN (SELECT value FROM generate_series(TIMESTAMP '2026-11-20 09:00:00', TIMESTAMP '2026-11-20 11:00:00', INTERVAL '1 hour'))
            1
        SELECT count(*) FROM generate_series(TIMESTAMP '2600-01-01', TIMESTAMP '2600-01-02', INTERVAL '1 hour')
            error: a series of times lies between the years 1678 and 2261
    "#]].assert_eq(&out);
}

#[tokio::test]
async fn times_of_today_are_as_before() {
    let mut out = String::new();
    for query in [
        "SELECT now(), current_timestamp = now(), current_date",
        "SELECT to_timestamp('2026-11-20T10:00:00.5Z'), to_timestamp('20/11/2026', '%d/%m/%Y')",
        "SELECT to_timestamp(1795168800), to_timestamp(1795168800.25), to_timestamp(NULL), to_timestamp(1e300)",
        "SELECT to_timestamp(true)",
        "SELECT to_timestamp('gestern')",
        "SELECT date_bin('15 minutes', TIMESTAMP '2026-11-20 10:20:00', TIMESTAMP '2026-11-20 00:05:00')",
        "SELECT date_bin(INTERVAL '15 minutes', '2026-11-20 10:20:00')",
        "SELECT date_bin(INTERVAL '15 minutes', TIME '10:20:00'), date_trunc('hour', TIME '10:20:00')",
        "SELECT to_char(DATE '2026-11-20', '%d.%m.%Y'), to_char(now(), '%H:%M'), to_char(INTERVAL '1 hour', '%H')",
        "SELECT value FROM generate_series(TIMESTAMP '2026-11-20', TIMESTAMP '2026-11-21', INTERVAL '12 hours')",
        "SELECT count(*), min(timestamp), max(timestamp) FROM logs WHERE timestamp >= '2026-11-20T10:10:00Z' AND timestamp < '2026-11-20 10:11:00'",
        "SELECT count(*) FROM logs WHERE timestamp = '2026-11-20T12:00:01+02:00'",
        "SELECT count(*) FROM logs WHERE timestamp > '2026-13-45'",
        "SELECT arrow_typeof(now()), arrow_typeof(timestamp), arrow_typeof(TIMESTAMP '2026-01-01') FROM logs LIMIT 1",
        "SELECT TIMESTAMP '2026-11-20 10:00:00.123456789', INTERVAL '25 hours' > INTERVAL '1 day'",
        "SELECT to_timestamp_nanos('2026-11-20T10:00:00.123456789Z') = '2026-11-20T10:00:00.123456789Z'",
        "SELECT timestamp::date FROM logs ORDER BY timestamp LIMIT 1",
    ] {
        let text = match sql(query).await {
            Ok(answer) => rendered(answer, Format::Csv).await,
            Err(e) => Err(e),
        };
        let text = match text {
            Ok(rows) => rows.lines().skip(1).collect::<Vec<_>>().join("  "),
            Err(e) => format!("error: {e}"),
        };
        out.push_str(&format!("{query}\n    {text}\n"));
    }
    expect![[r#"
        SELECT now(), current_timestamp = now(), current_date
            2026-11-20T10:16:40.000000Z,true,2026-11-20
        SELECT to_timestamp('2026-11-20T10:00:00.5Z'), to_timestamp('20/11/2026', '%d/%m/%Y')
            2026-11-20T10:00:00.500000Z,2026-11-20T00:00:00.000000Z
        SELECT to_timestamp(1795168800), to_timestamp(1795168800.25), to_timestamp(NULL), to_timestamp(1e300)
            2026-11-20T10:00:00.000000Z,2026-11-20T10:00:00.250000Z,,9999-12-30T22:00:00.999999Z
        SELECT to_timestamp(true)
            error: to_timestamp takes no Boolean
        SELECT to_timestamp('gestern')
            error: Error parsing timestamp from 'gestern': timestamp must contain at least 10 characters
        SELECT date_bin('15 minutes', TIMESTAMP '2026-11-20 10:20:00', TIMESTAMP '2026-11-20 00:05:00')
            2026-11-20T10:20:00.000000Z
        SELECT date_bin(INTERVAL '15 minutes', '2026-11-20 10:20:00')
            2026-11-20T10:15:00.000000Z
        SELECT date_bin(INTERVAL '15 minutes', TIME '10:20:00'), date_trunc('hour', TIME '10:20:00')
            10:15:00.000000,10:00:00.000000
        SELECT to_char(DATE '2026-11-20', '%d.%m.%Y'), to_char(now(), '%H:%M'), to_char(INTERVAL '1 hour', '%H')
            error: to_char takes no arguments of the types Interval(MonthDayNano), Utf8
        SELECT value FROM generate_series(TIMESTAMP '2026-11-20', TIMESTAMP '2026-11-21', INTERVAL '12 hours')
            2026-11-20T00:00:00.000000Z  2026-11-20T12:00:00.000000Z  2026-11-21T00:00:00.000000Z
        SELECT count(*), min(timestamp), max(timestamp) FROM logs WHERE timestamp >= '2026-11-20T10:10:00Z' AND timestamp < '2026-11-20 10:11:00'
            60,2026-11-20T10:10:00.000000Z,2026-11-20T10:10:59.000000Z
        SELECT count(*) FROM logs WHERE timestamp = '2026-11-20T12:00:01+02:00'
            1
        SELECT count(*) FROM logs WHERE timestamp > '2026-13-45'
            error: Error parsing timestamp from '2026-13-45': error parsing date
        SELECT arrow_typeof(now()), arrow_typeof(timestamp), arrow_typeof(TIMESTAMP '2026-01-01') FROM logs LIMIT 1
            "Timestamp(µs, ""UTC"")","Timestamp(µs, ""UTC"")",Timestamp(µs)
        SELECT TIMESTAMP '2026-11-20 10:00:00.123456789', INTERVAL '25 hours' > INTERVAL '1 day'
            2026-11-20T10:00:00.123456Z,true
        SELECT to_timestamp_nanos('2026-11-20T10:00:00.123456789Z') = '2026-11-20T10:00:00.123456789Z'
            true
        SELECT timestamp::date FROM logs ORDER BY timestamp LIMIT 1
            2026-11-20
    "#]].assert_eq(&out);
}

#[tokio::test]
async fn text_to_the_nanosecond_is_compared_to_the_nanosecond() {
    let whole = "TIMESTAMP '2026-01-01 00:00:00.123456'";
    let finer = "'2026-01-01T00:00:00.123456789'";
    let old = "TIMESTAMP '1960-01-01 00:00:00.123456'";
    let old_finer = "'1960-01-01T00:00:00.123456789Z'";
    for (condition, holds) in [
        (format!("{whole} < {finer}"), true),
        (format!("{whole} <= {finer}"), true),
        (format!("{whole} = {finer}"), false),
        (format!("{whole} <> {finer}"), true),
        (format!("{whole} > {finer}"), false),
        (format!("{whole} >= {finer}"), false),
        (format!("{finer} > {whole}"), true),
        (format!("{finer} >= {whole}"), true),
        (format!("{finer} < {whole}"), false),
        (format!("{finer} <= {whole}"), false),
        (format!("{whole} IS DISTINCT FROM {finer}"), true),
        (format!("{whole} BETWEEN {finer} AND '2027-01-01'"), false),
        (format!("{whole} BETWEEN '2026-01-01' AND {finer}"), true),
        (format!("{whole} NOT BETWEEN '2026-01-01' AND {finer}"), false),
        (format!("{finer} BETWEEN {whole} AND TIMESTAMP '2026-01-01 00:00:00.123457'"), true),
        (format!("{whole} IN ({finer}, '2026-01-02')"), false),
        (format!("{whole} IN ({finer}, '2026-01-01T00:00:00.123456')"), true),
        (format!("{whole} < '2026-01-01T00:00:00.123456000'"), false),
        (format!("{whole} = '2026-01-01T00:00:00.123456000'"), true),
        (format!("TIMESTAMP '2026-01-01 00:00:00.123457' <= {finer}"), false),
        (format!("TIMESTAMP '2026-01-01 00:00:00.123457' > {finer}"), true),
        (format!("{old} < {old_finer}"), true),
        (format!("{old} >= {old_finer}"), false),
        (format!("TIMESTAMP '1960-01-01 00:00:00.123457' >= {old_finer}"), true),
    ] {
        let answer = rendered(sql(&format!("SELECT {condition} AS b")).await.expect("runs"), Format::Csv);
        assert_eq!(
            answer.await.expect("rows").lines().last(),
            Some(holds.to_string().as_str()),
            "{condition}"
        );
    }
    // Rows of the whole seconds, and files are still left out by their times.
    for (condition, rows) in [
        (
            "timestamp >= '2026-11-20T10:10:00.000000001Z' AND timestamp < '2026-11-20T10:11:00.000000001Z'",
            60,
        ),
        (
            "timestamp > '2026-11-20T10:09:59.999999999Z' AND timestamp <= '2026-11-20T10:10:59.999999999Z'",
            60,
        ),
        ("timestamp BETWEEN '2026-11-20T10:10:00.000000001Z' AND '2026-11-20T10:11:00.000000001Z'", 60),
        ("timestamp = '2026-11-20T10:10:00.000000001Z'", 0),
    ] {
        let mut answer = sql(&format!("SELECT body FROM logs WHERE {condition}")).await.expect("runs");
        let got: usize = answer.collect().await.expect("rows").iter().map(|batch| batch.num_rows()).sum();
        assert_eq!(got, rows, "{condition}");
        let stats = answer.stats();
        assert!(rows == 0 || stats.files_pruned >= 3, "{condition}: {stats:?}");
    }
}
