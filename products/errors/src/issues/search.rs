//! The search box over issues: words, phrases and `key:value`, each with a minus before it for "not".
//!
//! Words match anywhere in title, value and culprit. Keys are `level`, `type`, `culprit`, `release`, `environment`,
//! `platform`, `is` (a status), `issue`. An unknown key is taken as words, so that `std::bad_alloc` and
//! `http://…` find what they say.

use candor_meta::Param;

/// Longest search, bytes, and most terms.
const SEARCH_BYTES_MAX: usize = 1_000;
const TERMS_MAX: usize = 20;

/// The conditions of a search, to be joined by `AND`, and their parameters.
pub(crate) fn conditions(search: &str) -> (Vec<String>, Vec<Param>) {
    let mut conditions = Vec::new();
    let mut values = Vec::new();
    for term in terms(crate::event::cut(search, SEARCH_BYTES_MAX)).into_iter().take(TERMS_MAX) {
        let not = if term.not { "NOT " } else { "" };
        let pattern = like(&term.text);
        match term.key.as_deref().and_then(column) {
            Some("id") => {
                conditions.push(format!("{not}(id = ?)"));
                values.push(Param::Int(term.text.trim_start_matches('#').parse().unwrap_or(-1)));
            }
            Some(exact @ ("status" | "level")) => {
                conditions.push(format!("{not}({exact} = ?)"));
                values.push(Param::Text(term.text.to_lowercase()));
            }
            Some(column) => {
                conditions.push(format!("{not}(LOWER({column}) LIKE ? ESCAPE '!')"));
                // A named column is the whole, unless stars say otherwise.
                values.push(Param::Text(pattern));
            }
            None => {
                let text = match &term.key {
                    Some(key) => format!("{key}:{}", term.text),
                    None => term.text.clone(),
                };
                let columns = ["title", "value", "culprit"];
                let any = columns.map(|column| format!("LOWER({column}) LIKE ? ESCAPE '!'")).join(" OR ");
                conditions.push(format!("{not}({any})"));
                values.extend(columns.map(|_| Param::Text(format!("%{}%", like(&text)))));
            }
        }
    }
    (conditions, values)
}

fn column(key: &str) -> Option<&'static str> {
    Some(match key {
        "is" | "status" => "status",
        "level" => "level",
        "type" | "error.type" => "kind",
        "value" | "error.value" | "message" => "value",
        "title" => "title",
        "culprit" => "culprit",
        "release" => "last_release",
        "environment" | "env" => "environment",
        "platform" => "platform",
        "issue" | "id" => "id",
        _ => return None,
    })
}

/// A pattern for `LIKE`: `*` is any text, the rest stands for itself, in lower case.
fn like(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.to_lowercase().chars() {
        match character {
            '*' => pattern.push('%'),
            '%' | '_' | '!' => pattern.extend(['!', character]),
            other => pattern.push(other),
        }
    }
    pattern
}

#[derive(Debug, PartialEq, Eq)]
struct Term {
    not: bool,
    key: Option<String>,
    text: String,
}

fn terms(search: &str) -> Vec<Term> {
    let mut terms = Vec::new();
    let mut rest = search.trim_start();
    while !rest.is_empty() {
        let not = rest.starts_with(['-', '!']) && rest.chars().nth(1).is_some_and(|c| !c.is_whitespace());
        if not {
            rest = rest.split_at(1).1;
        }
        let key = rest
            .split_once(':')
            .map(|(key, _)| key)
            .filter(|key| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '.'));
        let key = match key {
            Some(key) => {
                rest = rest.split_at(key.len() + 1).1;
                Some(key.to_ascii_lowercase())
            }
            None => None,
        };
        let text = match rest.strip_prefix('"') {
            Some(quoted) => {
                let end = quoted.find('"').unwrap_or(quoted.len());
                let (text, after) = quoted.split_at(end);
                rest = after.strip_prefix('"').unwrap_or(after);
                text
            }
            None => {
                let (text, after) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
                rest = after;
                text
            }
        };
        if !text.is_empty() || key.is_some() {
            terms.push(Term { not, key, text: text.to_owned() });
        }
        rest = rest.trim_start();
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(search: &str, expected: Expect) {
        let (conditions, values) = conditions(search);
        expected.assert_eq(&format!("{}\n{values:?}\n", conditions.join(" AND ")));
    }

    #[test]
    fn words_phrases_keys_and_not() {
        check(
            "",
            expect![[r#"

            []
        "#]],
        );
        check(
            r#"is:resolved -level:Error type:Key* 100%"#,
            expect![[r#"
                (status = ?) AND NOT (level = ?) AND (LOWER(kind) LIKE ? ESCAPE '!') AND (LOWER(title) LIKE ? ESCAPE '!' OR LOWER(value) LIKE ? ESCAPE '!' OR LOWER(culprit) LIKE ? ESCAPE '!')
                [Text("resolved"), Text("error"), Text("key%"), Text("%100!%%"), Text("%100!%%"), Text("%100!%%")]
            "#]],
        );
        check(
            r#"-"no such" std::bad_alloc issue:#7"#,
            expect![[r#"
                NOT (LOWER(title) LIKE ? ESCAPE '!' OR LOWER(value) LIKE ? ESCAPE '!' OR LOWER(culprit) LIKE ? ESCAPE '!') AND (LOWER(title) LIKE ? ESCAPE '!' OR LOWER(value) LIKE ? ESCAPE '!' OR LOWER(culprit) LIKE ? ESCAPE '!') AND (id = ?)
                [Text("%no such%"), Text("%no such%"), Text("%no such%"), Text("%std::bad!_alloc%"), Text("%std::bad!_alloc%"), Text("%std::bad!_alloc%"), Int(7)]
            "#]],
        );
    }
}
