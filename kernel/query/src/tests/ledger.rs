//! The ledger as a table: all of the project's entries, each once, however many pages they are.

use std::sync::Arc;

use candor_model::Timestamp;

use super::{START, TestLake, engine, rendered, standard_lake};
use crate::source::LedgerRow;
use crate::{Format, Limits};

/// Every so many entries one is of this project.
pub(crate) const EVERY: u64 = 3;

/// An end at which entries cannot be read.
pub(crate) const BROKEN: u64 = 999_999_999;

/// An entry.
pub(crate) fn row(index: u64) -> LedgerRow {
    let is_drop = index.is_multiple_of(2);
    LedgerRow {
        timestamp: Timestamp(START + index as i64),
        index,
        actor: format!("user:{}", index % 5),
        action: if is_drop { "drop" } else { "read" },
        purpose: "query".to_owned(),
        signal: (!is_drop).then(|| "errors".to_owned()),
        rows: index * 2,
        subject_count: index % 7,
        clause: is_drop.then(|| "consent.mode".to_owned()),
    }
}

fn lake(end: u64) -> TestLake {
    TestLake { ledger_end: end.into(), ..standard_lake() }
}

async fn answer_of(end: u64, sql: &str, limits: Limits) -> String {
    match engine().sql(Arc::new(lake(end)), sql, limits).await {
        Ok(answer) => match rendered(answer, Format::Csv).await {
            Ok(text) => text,
            Err(error) => format!("{error}"),
        },
        Err(error) => format!("{error}"),
    }
}

async fn answer(end: u64, sql: &str) -> String {
    answer_of(end, sql, Limits::default()).await
}

#[tokio::test]
async fn all_entries_are_counted_once_over_pages() {
    // None, one, a page less one, a page, a page and one, several.
    for entries in [0, 1, 999, 1_000, 1_001, 2_000, 4_321] {
        let counted =
            answer(entries * EVERY, "SELECT count(*) AS n, count(DISTINCT index) AS d FROM ledger").await;
        assert_eq!(counted, format!("n,d\n{entries},{entries}\n"));
    }
    let of_two = "SELECT a.n, b.n AS m FROM (SELECT count(*) AS n FROM ledger) a, (SELECT count(*) AS n FROM ledger) b";
    assert_eq!(answer(1_500 * EVERY, of_two).await, "n,m\n1500,1500\n", "it ends in one place for a query");
}

#[tokio::test]
async fn entries_are_filtered_sorted_and_joined_as_rows_are() {
    let end = 4_000 * EVERY;
    let newest = "SELECT index, timestamp, actor, action, purpose, signal, rows, subject_count, clause \
                  FROM ledger ORDER BY index DESC LIMIT 2";
    assert_eq!(
        answer(end, newest).await,
        "index,timestamp,actor,action,purpose,signal,rows,subject_count,clause\n\
         11997,2026-11-20T10:00:00.011997Z,user:2,read,query,errors,23994,6,\n\
         11994,2026-11-20T10:00:00.011994Z,user:4,drop,query,,23988,3,consent.mode\n"
    );
    assert_eq!(answer(end, "SELECT index FROM ledger ORDER BY index LIMIT 3").await, "index\n0\n3\n6\n");
    assert_eq!(
        answer(end, "SELECT action, count(*) AS n FROM ledger WHERE clause IS NULL GROUP BY action").await,
        "action,n\nread,2000\n"
    );
    let beside = "SELECT count(*) AS n FROM ledger l JOIN logs ON l.index = logs._offset";
    assert_eq!(answer(end, beside).await, "n\n334\n");
    assert_eq!(
        answer(end, "SELECT _offset, _epoch FROM main.ledger WHERE index = 9").await,
        "_offset,_epoch\n9,\n"
    );
}

#[tokio::test]
async fn it_is_described_and_in_no_snapshot() {
    let described = answer(0, "DESCRIBE ledger").await;
    assert!(described.contains("\nindex,BIGINT,NO\nactor,VARCHAR,NO\n"), "{described}");
    let limits = Limits { snapshot: Some(1), ..Limits::default() };
    let refused = answer_of(30, "SELECT * FROM ledger", limits).await;
    assert!(refused.contains("in no snapshot"), "{refused}");
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_not_an_empty_one() {
    assert_eq!(answer(BROKEN, "SELECT count(*) FROM ledger").await, "a table could not be read");
}
