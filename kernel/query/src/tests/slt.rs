//! Golden queries: each file of `tests/slt` holds queries and what they answer, and is written anew with
//! `UPDATE_EXPECT=1`.

use std::sync::Arc;

use expect_test::expect_file;

use super::{engine, rendered, standard_lake};
use crate::{Format, Limits};

async fn check(script: &str, golden: expect_test::ExpectFile) {
    let engine = engine();
    let lake = Arc::new(standard_lake());
    let mut written = String::new();
    for block in script.split("\n\n") {
        let block = block.trim();
        if block.is_empty() {
            continue;
        }
        let query = block.split("\n----").next().unwrap_or_default().trim();
        let format = match query.lines().next() {
            Some("-- json") => Format::Json,
            Some("-- ndjson") => Format::Ndjson,
            Some("-- csv") => Format::Csv,
            _ => Format::Table,
        };
        let tables = Arc::clone(&lake);
        let text = match engine.sql(tables, query, Limits::default()).await {
            Ok(answer) => match rendered(answer, format).await {
                Ok(text) => text,
                Err(e) => format!("error: {e}\n"),
            },
            Err(e) => format!("error: {e}\n"),
        };
        // Stats are times.
        let text = text.split("\"stats\"").next().unwrap_or_default().trim_end().replace("\n\n", "\n");
        written.push_str(&format!("{query}\n----\n{text}\n\n"));
    }
    golden.assert_eq(&written);
}

macro_rules! goldens {
    ($($name:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                let script = include_str!(concat!("../../tests/slt/", stringify!($name), ".slt"));
                check(script, expect_file![concat!("../../tests/slt/", stringify!($name), ".slt")]).await;
            }
        )*
    };
}

goldens!(attributes, basics, describe, encodings, issues, json, messages);
