//! The parsers of searches and of SQL against mutated input; see [`candor_testbed::fuzz`] for how long and how to run
//! a case again.

use candor_model::Signal;
use candor_model::random::{Random, Seeded};
use candor_testbed::fuzz::fuzz;

use super::{batch, error_row, errors_schema, log_row, logs_schema, span_row, spans_schema};
use crate::engine::STACK_BYTES;
use crate::language::{ParseError, SEARCH_BYTES_MAX, parse};
use crate::statement;
use crate::{QueryError, TailFilter};

/// Searches of every form.
const SEARCHES: &[&str] = &[
    r#"timeout "could not \"connect\"" refused"#,
    r"time*out * a\*b",
    "a b OR c d AND e",
    r#"-a -"b c" -(d e) NOT (f OR g) --h"#,
    "service:cart level>=error -host:db* source:main",
    "level:warn level<fatal severity_number>9",
    "http.status>=500 http.status:<=599 path:/api/* n:~^[0-9]+$",
    r#"key:* key:"*" key:"a b" "quoted key":value trace:0000"#,
    "url:~^/api/(a|b)$ http://host/path 12:30:45 a->b x=1",
    "subject:user:3 subjects:device* user:* subject.email:x",
    "time>=2026-11-20T10:00:20Z timestamp<9999-12-31 _offset:12 timestamp_ns>5",
    "duration>=38ms duration<1.5s status:error retries>=2 op:http.server name:GET*",
    r#"type:ValueError value:"bad value 3" release:shop* browser:firefox event_id:0"#,
    "ünïcode:größe 日本 \"日本 語\" ß*",
    "(((a))) f(x) key:f(x) x:~a{1000}",
    "body:%_\\ attributes:x tags:y",
];

/// Queries of every form that is taken or refused.
const QUERIES: &[&str] = &[
    "SELECT attributes['http.status'] AS s, count(*) FROM logs WHERE timestamp > now() - INTERVAL '1 hour' GROUP BY 1",
    "WITH x AS (SELECT event->'user'->>'id' AS u FROM errors) SELECT u, count(*) FROM x GROUP BY u ORDER BY 2 DESC LIMIT 5",
    "EXPLAIN ANALYZE SELECT CASE WHEN a > 1 THEN 'x' ELSE \"Y\" END, $1, ?, [1,2][1], {'a': 1} FROM logs a JOIN errors USING (b)",
    "DESCRIBE logs; SHOW TABLES; SHOW COLUMNS FROM main.errors",
    "COPY logs TO '/tmp/x'; CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "SELECT -(-1) + +2 * 3e5, E'\\n', U&'\\0041', N'x', X'00', $$a$$, -- c\n /* /* nested */ */ 1::int FROM unnest([1]) FOR UPDATE",
];

fn pick(random: &Seeded, below: usize) -> usize {
    (random.next_u64() % below.max(1) as u64) as usize
}

/// Text of a corpus changed in up to eight places.
fn mutated(random: &Seeded, corpus: &[&str], telling: &[&str]) -> String {
    let mut text: Vec<char> = corpus[pick(random, corpus.len())].chars().collect();
    for _ in 0..pick(random, 9) {
        let at = pick(random, text.len() + 1).min(text.len());
        let until = (at + 1 + pick(random, 12)).min(text.len());
        match pick(random, 6) {
            0 => drop(text.splice(at..at, telling[pick(random, telling.len())].chars())),
            1 => drop(text.splice(at..until, telling[pick(random, telling.len())].chars())),
            2 => drop(text.drain(at..until)),
            3 => text.truncate(at),
            4 => {
                let piece = text[at..until].repeat(1 + pick(random, 40));
                drop(text.splice(at..at, piece));
            }
            _ => {
                let other: Vec<char> = corpus[pick(random, corpus.len())].chars().collect();
                let from = pick(random, other.len());
                drop(text.splice(at..at, other[from..].iter().copied()));
            }
        }
    }
    text.into_iter().collect()
}

fn check_place(error: &ParseError, text: &str) {
    assert!(error.at >= 1 && error.at <= text.chars().count() + 1, "{error:?}");
    assert!(!error.what.is_empty());
}

/// Whatever is searched for is refused with its place, or filters rows; and what it finds and what its negation finds
/// are all rows, each once.
#[test]
fn searches_of_any_text() {
    let telling = [
        "\"",
        "\\",
        "*",
        "~",
        ":",
        "(",
        ")",
        "-",
        "--",
        " ",
        "<=",
        ">",
        " OR ",
        " AND ",
        " NOT ",
        "level:",
        "time>=",
        "duration<",
        "subject:",
        "é",
        "😀",
        "\u{0}",
        "\t",
        "1e999",
        "-1",
        "[",
        "{9999}",
        "%",
        "_",
        "a.b",
    ];
    let rows = [
        (Signal::Logs, batch(&logs_schema(), &(0..24).map(log_row).collect::<Vec<_>>())),
        (Signal::Errors, batch(&errors_schema(), &(0..12).map(error_row).collect::<Vec<_>>())),
        (Signal::Spans, batch(&spans_schema(), &(0..24).map(span_row).collect::<Vec<_>>())),
    ];
    for text in SEARCHES {
        assert!(parse(text).is_ok_and(|node| node.is_some()), "{text:?}");
    }
    fuzz(
        |case| {
            let random = Seeded::new(case);
            (mutated(&random, SEARCHES, &telling), pick(&random, rows.len() * 16))
        },
        |(text, table)| {
            match parse(text) {
                Err(error) => return check_place(&error, text),
                Ok(None) => assert!(text.trim().is_empty()),
                Ok(Some(_)) => assert!(text.len() <= SEARCH_BYTES_MAX),
            }
            // Planning takes far longer than parsing: a few of them say enough.
            let Some((signal, rows)) = rows.get(*table) else { return };
            let filter = match TailFilter::new(*signal, text) {
                Ok(filter) => filter,
                Err(QueryError::Search(error)) => return check_place(&error, text),
                Err(error) => panic!("{error:?}"),
            };
            let found = filter.matches(rows).expect("filters");
            assert_eq!(found.len(), rows.num_rows());
            // The negation may be too long, too deep or one term too many.
            if let Ok(others) = TailFilter::new(*signal, &format!("-({text})")) {
                let others = others.matches(rows).expect("filters");
                let all = (0..rows.num_rows())
                    .all(|row| text.trim().is_empty() || found.value(row) != others.value(row));
                assert!(all, "{} and {}", filter.explain(), rows.num_rows());
            }
        },
    );
}

/// Whatever is sent as SQL is one statement of a kind that runs, or refused in words.
#[test]
fn statements_of_any_text() {
    let telling = [
        "'", "\"", "`", "--", "/*", "*/", "->>", "::", "[", "]", "{", "}", "(", ")", ";", ",", " SELECT ",
        " FROM ", " UNION ", "\u{0}", "é", "$1", "E'\\", "0x", "1e999", "\\", "@@", "CASE ", " IN (", "NOT ",
        "EXPLAIN ",
    ];
    let all = move || {
        fuzz(
            |case| mutated(&Seeded::new(case), QUERIES, &telling),
            |text| {
                if let Err(error) = statement::parse(text) {
                    assert!(
                        matches!(error, QueryError::Syntax(_) | QueryError::Refused(_) | QueryError::Plan(_)),
                        "{error:?}"
                    );
                    assert!(!error.to_string().is_empty());
                }
            },
        )
    };
    // As the engine's own threads: what is just within the bounds nests deep.
    let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(all).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
