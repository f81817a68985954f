//! The ledger at work: who read, who revealed, and the vault that is opened for it.

use std::sync::Arc;

use anyhow::Context;
use candor_keyring::{Keyring, Vault};
use candor_ledger::scan::Subjects;
use candor_ledger::{Action, Ledger, LedgerError, Read};
use candor_meta::{Database, ReadScope};
use candor_model::{Clock, Random, Signal};
use candor_notices::Policies;
use candor_query::Given;

use crate::http::Problem;

/// Longest list of signals that an entry names, bytes.
const SIGNALS_BYTES_MAX: usize = 400;

/// The ledger, and what it watches over.
#[derive(Clone)]
pub struct Books {
    /// What was done.
    pub ledger: Ledger,
    /// What stands behind codes.
    pub vault: Vault,
    /// Whether reads are written down, project by project.
    pub policies: Policies,
}

/// A read on its way to its reader.
pub struct Reading<'a> {
    /// Whose right it is.
    pub scope: &'a ReadScope,
    /// [`Action::Read`], or [`Action::Export`].
    pub action: Action,
    /// For what: the door it came through.
    pub purpose: &'static str,
    /// Which signals.
    pub signal: String,
    /// The query, where it is SQL or a search.
    pub query: Option<String>,
}

impl Books {
    /// Opens the ledger and keeps it.
    pub async fn open(
        vault: Vault,
        policies: &Policies,
        meta: &Database,
        keyring: &Arc<Keyring>,
        clock: &Arc<dyn Clock>,
        random: &Arc<dyn Random>,
    ) -> anyhow::Result<Books> {
        let ledger = Ledger::open(meta.clone(), Arc::clone(keyring), Arc::clone(clock), Arc::clone(random))
            .await
            .context("cannot open the ledger")?;
        ledger.start(|error| tracing::warn!(error = crate::logging::chain(error), "the ledger waits"));
        Ok(Books { ledger, vault, policies: policies.clone() })
    }

    /// Counts a read in the ledger. An answer does not wait for a database that takes nothing: it is counted in memory
    /// and stored later. Where the policy of the project says that reads are not on record (`governance.reads.ledger`),
    /// none is written; reveals are, always.
    pub async fn note(&self, reading: Reading<'_>, rows: u64, subjects: Subjects) {
        let held = self.policies.of(reading.scope.project());
        if held.is_some_and(|held| !held.resolved.policy.governance.reads.ledger) {
            return;
        }
        let read = Read {
            action: reading.action,
            org: reading.scope.org(),
            project: reading.scope.project(),
            actor: reading.scope.actor().to_owned(),
            purpose: reading.purpose.to_owned(),
            signal: reading.signal,
            query: reading.query,
            policy: None,
            clause: None,
            rows,
            subjects,
        };
        if let Err(error) = self.ledger.note(read).await {
            tracing::warn!(error = crate::logging::chain(&error), "a read is not in the ledger yet");
        }
    }

    /// Counts what SQL gave. A query that names no table with rows about persons is nobody's read.
    async fn note_sql(&self, scope: &ReadScope, sql: String, rows: u64, subjects: Subjects) {
        let signal = signals_of(&sql);
        if signal.is_empty() && subjects.is_empty() {
            return;
        }
        let reading = Reading { scope, action: Action::Read, purpose: "query", signal, query: Some(sql) };
        self.note(reading, rows, subjects).await;
    }

    /// Counts what a page of the screen gave of a signal, where it names persons.
    pub async fn note_page(&self, scope: &ReadScope, signal: Signal, rows: u64, text: &[u8]) {
        let mut subjects = Subjects::default();
        subjects.read(text);
        if !subjects.is_empty() {
            let signal = signal.name().to_owned();
            let reading = Reading { scope, action: Action::Read, purpose: "screen", signal, query: None };
            self.note(reading, rows, subjects).await;
        }
    }
}

/// An answer of SQL on its way to its reader: what it names is noted once it ended or its reader went.
pub struct Watched {
    books: Books,
    scope: ReadScope,
    sql: String,
    given: Given,
    subjects: Subjects,
}

impl Watched {
    /// Watches an answer.
    pub fn new(books: &Books, scope: &ReadScope, sql: &str, answer: &candor_query::Answer) -> Watched {
        Watched {
            books: books.clone(),
            scope: scope.clone(),
            sql: sql.to_owned(),
            given: answer.given(),
            subjects: Subjects::default(),
        }
    }

    /// Looks through the next piece.
    pub fn read(&mut self, piece: &[u8]) {
        self.subjects.read(piece);
    }

    /// The answer is whole: notes it before it leaves.
    pub async fn end(mut self) {
        let (books, scope, sql) = (self.books.clone(), self.scope.clone(), std::mem::take(&mut self.sql));
        let (rows, subjects) = (self.given.rows(), std::mem::take(&mut self.subjects));
        books.note_sql(&scope, sql, rows, subjects).await;
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.sql.is_empty() {
            return;
        }
        let (books, scope, sql) = (self.books.clone(), self.scope.clone(), std::mem::take(&mut self.sql));
        let (rows, subjects) = (self.given.rows(), std::mem::take(&mut self.subjects));
        tokio::spawn(async move { books.note_sql(&scope, sql, rows, subjects).await });
    }
}

/// Which tables with rows about persons a query names: signals, and topics as `stream:NAME`. Empty where it names none,
/// as a query of the ledger itself.
pub fn signals_of(sql: &str) -> String {
    let mut named = Vec::new();
    let mut after_stream = false;
    for word in sql.split(|c: char| c.is_whitespace() || "(),;.=<>".contains(c)) {
        let plain = word.trim_matches('"');
        if after_stream && !plain.is_empty() {
            named.push(format!("stream:{plain}"));
        } else if let Some(signal) = Signal::from_name(&plain.to_ascii_lowercase()) {
            named.push(signal.name().to_owned());
        }
        after_stream = plain.eq_ignore_ascii_case("stream");
    }
    named.sort_unstable();
    named.dedup();
    let mut out = String::new();
    for name in named {
        if out.len() + name.len() < SIGNALS_BYTES_MAX {
            if !out.is_empty() {
                out.push(',');
            }
            out.push_str(&name);
        }
    }
    out
}

impl From<LedgerError> for Problem {
    fn from(error: LedgerError) -> Problem {
        match error {
            LedgerError::Sql(error) => error.into(),
            LedgerError::Busy | LedgerError::Stopped => Problem::unavailable(error.to_string(), 1),
            LedgerError::NoEntry(_) => Problem::not_found(error.to_string()),
            LedgerError::NoCheckpoint(_) => Problem::bad_request(error.to_string()),
            LedgerError::Damaged => {
                tracing::error!("the ledger does not fit its last checkpoint");
                Problem::unavailable(error.to_string(), 60)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::signals_of;

    #[test]
    fn tables_are_named_however_a_query_is_written() {
        assert_eq!(signals_of("SELECT * FROM Errors e JOIN logs ON true"), "errors,logs");
        assert_eq!(signals_of("select * from(select 1 from main.spans)x"), "spans");
        assert_eq!(signals_of("SELECT * FROM stream.\"orders\" LIMIT 1"), "stream:orders");
        assert_eq!(signals_of("SELECT * FROM ledger"), "");
    }
}
